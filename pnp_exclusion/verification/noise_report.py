"""What ``lattice.json`` says of noise: spectra of counted currents and two-point functions beside their theory.

Spectra are those of `pnp_exclusion.solution.noise` in its units: of a dimensionless case two-sided and over the volume
of a site, of an SI case one-sided. ``continuum`` is the limit of many sites, ``theory`` the leading order at this size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pnp_exclusion.particles.lattice import ChiSquare, Estimate, MeasuredNoise
from pnp_exclusion.particles.lattice.noise import cell_averages
from pnp_exclusion.particles.measure import batch_estimate
from pnp_exclusion.verification.continuum import Continuum

if TYPE_CHECKING:
    from pnp_exclusion.verification.compare import HydrodynamicComparison


def noise_of_all(comparison: HydrodynamicComparison) -> dict[str, Any]:
    """Return the noise of the continuum and that of the lattice extrapolated to it; nothing if it was not asked for."""
    continuum, limit = comparison.continuum, comparison.noise_limit
    if continuum.noise is None:
        return {}
    found: dict[str, Any] = {"noise": {"sides": 1 if continuum.units.scales.si else 2, "unit": _unit(continuum)}}
    if continuum.noise.at_zero is not None:
        found["noise"]["continuum"] = _matrix(continuum, continuum.noise.at_zero)
    if limit is not None:
        upper = np.triu_indices(len(continuum.names))
        mean, error = np.zeros((2, len(continuum.names), len(continuum.names)))
        for whole, part in zip((mean, error), limit.limit, strict=True):
            whole[upper] = part
            whole.T[upper] = part
        found["noise"]["limit"] = _beside(continuum, Estimate(mean, error), continuum.noise.at_zero, None)
    return found


def noise_of_size(continuum: Continuum, noise: MeasuredNoise) -> dict[str, Any]:
    """Return what was measured at one size."""
    assert continuum.noise is not None
    names, spectra = continuum.names, spectra_of_theory(noise)
    leading = None if noise.theory is None else noise.theory.covariance
    reference = continuum.noise.at_zero
    fano = None if reference is None else reference.diagonal() / np.abs(continuum.currents)
    return {
        "currents": _beside(continuum, noise.at_zero, reference, leading),
        "chi_square": _told(noise.compared(reference)),
        "chi_square_of_theory": _told(noise.compared(leading)),
        "fano": {
            name: _estimate(noise.fano, a, 1.0, None if fano is None else fano[a]) for a, name in enumerate(names)
        },
        "correlation": _pairs(names, lambda a, b: _estimate(noise.correlation, (a, b), 1.0)),
        "bonds": [
            {
                "bond": bond,
                "position": (bond + 0.5) / noise.process.lattice.scale,
                "with_bonds": _through(continuum, noise, i),
            }
            for i, bond in enumerate(noise.bonds)
        ],
        "spectra": [
            _spectrum(continuum, noise, place, None if spectra is None else spectra[place])
            for place in range(len(noise.frequencies))
        ],
        "chi_square_of_spectra": _told(noise.compared_spectra(spectra)),
        "two_point": _two_point(names, noise),
    }


def _unit(continuum: Continuum) -> str:
    return "1/s/m^2" if continuum.units.scales.si else ""


def _pairs[Told](names: Sequence[str], told: Callable[[int, int], Told]) -> dict[str, dict[str, Told]]:
    return {one: {other: told(a, b) for b, other in enumerate(names)} for a, one in enumerate(names)}


def _matrix(continuum: Continuum, values: np.ndarray) -> dict[str, dict[str, float]]:
    return _pairs(continuum.names, lambda a, b: float(values[a, b]) * continuum.units.noise)


def _estimate(
    estimate: Estimate, place: Any, factor: float, continuum: float | None = None, theory: float | None = None
) -> dict[str, Any]:
    beside = {"continuum": continuum, "theory": theory}
    return {"value": _number(estimate.mean[place], factor), "error": _number(estimate.error[place], factor)} | {
        key: float(value) * factor for key, value in beside.items() if value is not None
    }


def _number(value: float, factor: float) -> float | None:
    return None if np.isnan(value) else float(value) * factor


def _beside(
    continuum: Continuum, measured: Estimate, reference: np.ndarray | None, leading: np.ndarray | None
) -> dict[str, Any]:
    return _pairs(
        continuum.names,
        lambda a, b: _estimate(
            measured,
            (a, b),
            continuum.units.noise,
            None if reference is None else reference[a, b],
            None if leading is None else leading[a, b],
        ),
    )


def _through(continuum: Continuum, noise: MeasuredNoise, place: int) -> list[dict[str, Any]]:
    """The noise of the currents through a bond with those through all chosen ones, in their order."""
    found = []
    for other in range(len(noise.bonds)):
        part = Estimate(*(one[place, :, other] for one in noise.through_bonds))
        found.append(_beside(continuum, part, None, None))
    return found


def _spectrum(continuum: Continuum, noise: MeasuredNoise, place: int, leading: np.ndarray | None) -> dict[str, Any]:
    assert continuum.noise is not None
    units, charges = continuum.units, continuum.charges
    measured = Estimate(noise.spectra.mean[place], noise.spectra.error[place])
    frequency = noise.frequencies[place]
    found: dict[str, Any] = {
        "frequency": frequency / continuum.noise.per_frequency,
        "unit": "Hz" if units.scales.si else "D/L^2",
        "currents": _beside(continuum, measured, None, leading),
    }
    if continuum.noise.electric is not None:
        samples = np.einsum("a,sab,b->s", charges, noise.spectra_samples[:, place], charges)
        total = None if leading is None else float(charges @ leading @ charges)
        electric = batch_estimate(samples[None])
        found["electric"] = _estimate(electric, (), units.electric_noise, continuum.noise.electric[place], total)
        found["electric"]["unit"] = "A^2/Hz/m^2" if units.scales.si else ""
    return found


def spectra_of_theory(noise: MeasuredNoise) -> np.ndarray | None:
    """Return the spectra to leading order, ``(frequencies, N, N)``; None where there is no theory."""
    if noise.theory is None or not len(noise.frequencies):
        return None
    return np.array([noise.theory.spectrum(frequency).real for frequency in noise.frequencies])


def _told(found: ChiSquare | None) -> dict[str, Any] | None:
    return None if found is None else found._asdict()


def _two_point(names: Sequence[str], noise: MeasuredNoise) -> dict[str, Any]:
    """``(n + 1)`` times the covariances of two sites, averaged over pairs of cells; nothing within a cell."""
    cells = len(noise.edges) - 1
    leading = None if noise.theory is None else cell_averages(noise.theory.correlations, cells)

    def told(a: int, b: int) -> dict[str, Any]:
        found = {"mean": noise.pairs.mean[a, b], "error": noise.pairs.error[a, b]}
        return {
            key: [[_number(value, 1.0) for value in row] for row in values]
            for key, values in (found | ({} if leading is None else {"theory": leading[a, b]})).items()
        }

    return {"edges": noise.edges.tolist(), "covariance": _pairs(names, told)}


def noise_table(comparison: HydrodynamicComparison) -> list[list[str]]:
    """Return the rows that the command prints where noise was asked for: S(0) by size, error bars, and chi-square."""
    continuum = comparison.continuum
    assert continuum.noise is not None
    factor, unit, names = continuum.units.noise, _unit(continuum), continuum.names
    upper = [(a, b) for a in range(len(names)) for b in range(a, len(names))]
    rows = [["n", "currents", f"S(0){f' [{unit}]' if unit else ''}", "+-", "theory at n", "chi2/dof", "probability"]]
    for run in comparison.runs:
        if run.noise is None:
            continue
        reference, leading = continuum.noise.at_zero, run.noise.theory
        chi = run.noise.compared(leading.covariance if reference is None and leading is not None else reference)
        for place, (a, b) in enumerate(upper):
            rows.append(
                [
                    str(run.sites),
                    f"{names[a]}, {names[b]}",
                    f"{run.noise.at_zero.mean[a, b] * factor:.6g}",
                    f"{run.noise.at_zero.error[a, b] * factor:.2g}",
                    "" if leading is None else f"{leading.covariance[a, b] * factor:.6g}",
                    *(["", ""] if place or chi is None else [f"{chi.per_degree:.2f}", f"{chi.probability:.2g}"]),
                ]
            )
    if continuum.noise.at_zero is not None:
        for a, b in upper:
            value = f"{continuum.noise.at_zero[a, b] * factor:.6g}"
            rows.append(["continuum", f"{names[a]}, {names[b]}", value, "", "", "", ""])
    return rows
