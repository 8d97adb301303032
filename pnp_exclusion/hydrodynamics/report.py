"""What is written and printed of a comparison with the lattice."""

from __future__ import annotations

from typing import Any

import numpy as np

from pnp_exclusion.hydrodynamics.compare import HydrodynamicComparison, LatticeRun, channel_length, kappa_of


def verdict(comparison: HydrodynamicComparison) -> str:
    """Return one plain sentence: whether lattice and continuum agree within the error bars at the largest size."""
    if not comparison.runs:
        return "Nothing was measured."
    last = comparison.runs[-1]
    chi = (
        f"chi-square per degree of freedom {last.comparison.currents.per_degree:.2f} (currents) and "
        f"{last.comparison.densities.per_degree:.2f} (densities)"
    )
    if not comparison.is_limit:
        return (
            f"Departure of the process from the mean-field law (not its limit: the true one has a self-diffusion "
            f"coefficient) at n = {last.sites}: {chi}."
        )
    agrees = "agree" if last.comparison.agrees else "do not agree"
    return f"Lattice and continuum {agrees} within the error bars at n = {last.sites}: {chi}."


def as_json(comparison: HydrodynamicComparison) -> dict[str, Any]:
    """Return the contents of ``lattice.json``, currents in the case's units; collective."""
    solution, settings = comparison.solution, comparison.settings
    names, scales = solution.weak_form.problem.names, solution.setup.scales
    unit = "mol/m^2/s" if scales.si else ""
    per_lattice_unit = scales.flux / channel_length(solution)

    def per_species(
        values: np.ndarray, errors: np.ndarray | None = None, factor: float = scales.flux
    ) -> dict[str, Any]:
        entries: dict[str, Any] = {n: {"value": float(v) * factor} for n, v in zip(names, values, strict=True)}
        for name, error in zip(names, errors if errors is not None else [], strict=False):
            entries[name]["error"] = float(error) * factor
        return {name: entry | {"unit": unit} for name, entry in entries.items()}

    def one(run: LatticeRun) -> dict[str, Any]:
        result, found = run.result, run.comparison
        return {
            "n": run.sites,
            "currents": per_species(result.channel_currents.mean, result.channel_currents.error, per_lattice_unit),
            "counted_currents": per_species(
                result.counted_currents.mean, result.counted_currents.error, per_lattice_unit
            ),
            "direction": comparison.regimes(run),
            "chi_square": {"currents": found.currents._asdict(), "densities": found.densities._asdict()},
            "distance": {
                "currents": found.current_distance._asdict(),
                "densities": found.density_distance._asdict(),
            },
            "agrees": found.agrees,
            "settled": result.settled,
            "correlation_time": result.correlation_time,
            "burn_in": result.burn_in,
            "attempts": result.attempts,
            "seconds": result.seconds,
        }

    limit = comparison.current_limit
    return {
        "law": solution.weak_form.problem.law.name,
        "kappa": kappa_of(solution),
        "continuum_is_the_limit": comparison.is_limit,
        "verdict": verdict(comparison),
        "interrupted": comparison.interrupted,
        "replicas": settings.replicas,
        "time": settings.time,
        "seed": settings.seed,
        "form": settings.form,
        "continuum": {"currents": per_species(comparison.currents), "force": solution.forces},
        "sizes": [one(run) for run in comparison.runs],
        "order": {
            "currents": comparison.order_of_currents._asdict() if comparison.order_of_currents else None,
            "densities": comparison.order_of_densities._asdict() if comparison.order_of_densities else None,
        },
        "limit": per_species(limit.limit.mean, limit.limit.error, per_lattice_unit) if limit else None,
    }


def table(comparison: HydrodynamicComparison) -> list[list[str]]:
    """Return the rows that the command prints: currents with error bars by size, and chi-square; collective."""
    solution = comparison.solution
    scales = solution.setup.scales
    factor = scales.flux / channel_length(solution)
    unit = " [mol/m^2/s]" if scales.si else ""
    rows = [["n", "species", f"current{unit}", "+-", "direction", "chi2/dof currents", "densities"]]
    for run in comparison.runs:
        measured, directions = run.result.channel_currents, comparison.regimes(run)
        for a, name in enumerate(solution.weak_form.problem.names):
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
    for name, value in zip(solution.weak_form.problem.names, comparison.currents, strict=True):
        rows.append(["continuum", name, f"{value * scales.flux:.6g}", "", "", "", ""])
    return rows
