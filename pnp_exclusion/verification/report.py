"""What is written and printed of the lattice beside its continuum. Numbers carry their unit; "" if dimensionless."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pnp_exclusion.particles.lattice import Estimate, Order
from pnp_exclusion.verification.compare import HydrodynamicComparison, LatticeRun
from pnp_exclusion.verification.continuum import Continuum, Units
from pnp_exclusion.verification.noise_report import noise_of_all, noise_of_size
from pnp_exclusion.verification.relax import Relaxation


def verdict(comparison: HydrodynamicComparison) -> str:
    """Return one plain sentence: whether lattice and continuum agree within the error bars at the largest size."""
    found = _verdict_of_last(comparison)
    if not (comparison.interrupted or comparison.failure):
        return _capital(found)
    missing = ", ".join(map(str, comparison.missing))
    reason = "Interrupted" if comparison.interrupted else "Incomplete"
    return f"{reason}: {f'n = {missing} not measured; ' if missing and comparison.runs else ''}{found}"


def _verdict_of_last(comparison: HydrodynamicComparison) -> str:
    if not comparison.runs:
        return "nothing was measured."
    last = comparison.runs[-1]
    currents, densities = last.comparison.currents, last.comparison.densities
    chi = f"chi-square per degree of freedom of the currents {currents}, of the densities {densities}"
    if not comparison.continuum.is_limit:
        return (
            f"departure of the process from the mean-field law (not its limit: the true one has a self-diffusion "
            f"coefficient) at n = {last.sites}: {chi}."
        )
    agrees = "agree" if last.comparison.agrees else "do not agree"
    part = ", measured in part" if last.result.interrupted else ""
    return f"lattice and continuum {agrees} within the error bars at n = {last.sites}{part}: {chi}."


def relaxation_verdict(relaxation: Relaxation | None) -> str:
    """Return one plain sentence: whether lattice and reference agree at all times."""
    if relaxation is None:
        return "Interrupted: too few copies were completed to compare."
    result = relaxation.result
    worst = min(relaxation.chi_square, key=lambda chi: chi.probability)
    agree = "agree" if relaxation.agrees else "do not agree"
    found = (
        f"lattice and {relaxation.course.reference} {agree} within the error bars at n = "
        f"{result.process.lattice.length}: chi-square per degree of freedom, at the time where it is least "
        f"probable, {worst}."
    )
    if not result.interrupted:
        return _capital(found)
    return f"Interrupted: after {result.replicas} of {relaxation.replicas} copies {found}"


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


# ---- the file ----


def as_json(comparison: HydrodynamicComparison) -> dict[str, Any]:
    """Return the contents of ``lattice.json``, in the case's units; densities are fractions, by site.

    ``position`` is that of the sites along the channel, 0 at the left reservoir and 1 at the right.
    """
    continuum, settings = comparison.continuum, comparison.settings
    limit = comparison.current_limit
    return {
        "law": continuum.law,
        "kappa": continuum.kappa,
        "continuum_is_the_limit": continuum.is_limit,
        "verdict": verdict(comparison),
        "interrupted": comparison.interrupted,
        "missing_sizes": comparison.missing,
        "replicas": comparison.replicas,
        "time": _time(continuum.units, comparison.time),
        "diffusion_time": _time(continuum.units, 1.0),
        "seed": settings.seed,
        "form": settings.form,
        "field": continuum.field,
        "continuum": {
            "currents": _currents(continuum, continuum.currents),
            "force": dict(continuum.forces),
        },
        "sizes": [_one_size(continuum, run) for run in comparison.runs],
        "order": {
            "currents": _order(comparison.order_of_currents, _current(continuum.units)),
            "densities": _order(comparison.order_of_densities, (1.0, "")),
        },
        "limit": _currents(continuum, *limit.limit) if limit else None,
    } | noise_of_all(comparison)


def _one_size(continuum: Continuum, run: LatticeRun) -> dict[str, Any]:
    result, found = run.result, run.comparison
    current = _current(continuum.units)
    return {
        "n": run.sites,
        "currents": _currents(continuum, *result.channel_currents),
        "counted_currents": _currents(continuum, *result.counted_currents),
        "direction": run.directions(continuum),
        "position": result.process.lattice.positions.tolist(),
        "densities": _densities(continuum.names, result.densities, continuum.densities[run.sites], "continuum"),
        "chi_square": {"currents": found.currents._asdict(), "densities": found.densities._asdict()},
        "distance": {
            "currents": _quantity(found.current_distance.value, current, found.current_distance.error),
            "densities": _quantity(found.density_distance.value, (1.0, ""), found.density_distance.error),
        },
        "agrees": found.agrees,
        "settled": result.settled,
        "correlation_time": _time(continuum.units, result.correlation_time),
        "burn_in": _time(continuum.units, result.burn_in),
        "attempts": result.attempts,
        "seconds": result.seconds,
    } | ({} if run.noise is None else {"noise": noise_of_size(continuum, run.noise)})


def relaxation_as_json(relaxation: Relaxation) -> dict[str, Any]:
    """Return the contents of ``lattice.json`` for a relaxation, in the case's units; densities are fractions."""
    result, continuum = relaxation.result, relaxation.course.continuum
    return {
        "verdict": relaxation_verdict(relaxation),
        "reference": relaxation.course.reference,
        "field": continuum.field,
        "agrees": relaxation.agrees,
        "interrupted": result.interrupted,
        "n": result.process.lattice.length,
        "position": result.process.lattice.positions.tolist(),
        "replicas": result.replicas,
        "diffusion_time": _time(continuum.units, 1.0),
        "times": [
            {
                "time": _time(continuum.units, time),
                "chi_square": relaxation.chi_square[moment]._asdict(),
                "densities": _densities(
                    continuum.names,
                    Estimate(result.densities.mean[moment], result.densities.error[moment]),
                    relaxation.course.expected[moment],
                    "exact" if relaxation.course.reference == "heat equation" else "continuum",
                ),
            }
            for moment, time in enumerate(result.times)
        ],
    }


def _densities(names: Sequence[str], measured: Estimate, reference: np.ndarray, called: str) -> dict[str, Any]:
    """Occupied fractions by species, site by site from left to right, with standard errors, beside a reference."""
    rows = zip(names, measured.mean, measured.error, reference, strict=True)
    return {name: {"mean": m.tolist(), "error": e.tolist(), called: r.tolist()} for name, m, e, r in rows}


Unit = tuple[float, str]
"""The lattice's own unit in that of the file, and the name of this."""


def _current(units: Units) -> Unit:
    return units.current * units.scales.flux, "mol/m^2/s" if units.scales.si else ""


def _time(units: Units, time: float) -> dict[str, Any]:
    return _quantity(time, (units.time * units.scales.time, "s" if units.scales.si else ""))


def _quantity(value: float, unit: Unit, error: float | None = None) -> dict[str, Any]:
    factor, name = unit
    errors = {} if error is None else {"error": float(error) * factor}
    return {"value": float(value) * factor} | errors | {"unit": name}


def _currents(continuum: Continuum, values: np.ndarray, errors: np.ndarray | None = None) -> dict[str, Any]:
    unit = _current(continuum.units)
    told = [None] * len(values) if errors is None else errors
    return {
        name: _quantity(value, unit, error) for name, value, error in zip(continuum.names, values, told, strict=True)
    }


def _order(order: Order | None, unit: Unit) -> dict[str, Any] | None:
    if order is None or np.isnan(order.order):
        return None
    return {"order": order.order, "error": order.error, "amplitude": _quantity(order.amplitude, unit)}


# ---- the terminal ----


def table(comparison: HydrodynamicComparison) -> list[list[str]]:
    """Return the rows that the command prints: currents with error bars by size, chi-square, and the fitted orders."""
    continuum = comparison.continuum
    factor, unit = _current(continuum.units)
    rows = [
        ["n", "species", f"current{f' [{unit}]' if unit else ''}", "+-", "direction", "chi2/dof currents", "densities"]
    ]
    for run in comparison.runs:
        measured, directions = run.result.channel_currents, run.directions(continuum)
        for a, name in enumerate(continuum.names):
            chi = [f"{found.per_degree:.2f}" for found in (run.comparison.currents, run.comparison.densities)]
            rows.append(
                [
                    str(run.sites),
                    name,
                    f"{measured.mean[a] * factor:.6g}",
                    f"{measured.error[a] * factor:.2g}",
                    directions[name],
                    *(chi if a == 0 else ["", ""]),
                ]
            )
    for name, value in zip(continuum.names, continuum.currents, strict=True):
        rows.append(["continuum", name, f"{value * factor:.6g}", "", "", "", ""])
    return rows + _order_rows(comparison)


def _order_rows(comparison: HydrodynamicComparison) -> list[list[str]]:
    orders = {"(currents)": comparison.order_of_currents, "(densities)": comparison.order_of_densities}
    return [
        ["order in 1/n", name, f"{order.order:.2f}", f"{order.error:.2f}", "", "", ""]
        for name, order in orders.items()
        if order is not None and not np.isnan(order.order)
    ]


def relaxation_table(relaxation: Relaxation) -> list[list[str]]:
    """Return the rows that the command prints of a relaxation: chi-square by time."""
    rows = [["time [L^2/D]", "chi2/dof", "probability"]]
    return rows + [
        [f"{time:g}", f"{chi.per_degree:.2f}", f"{chi.probability:.2g}"]
        for time, chi in zip(relaxation.times, relaxation.chi_square, strict=True)
    ]
