"""What is written and printed of a lattice that carries energy. All numbers are dimensionless."""

from __future__ import annotations

from typing import Any

import numpy as np

from pnp_exclusion.particles.energy import BarrierExchange
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.studies.energy.run import Array, EnergyCampaign, EnergyRun


def verdict(campaign: EnergyCampaign) -> str:
    """Return one plain sentence: whether the largest size agrees with theory within the error bars."""
    found = "nothing was measured." if not campaign.runs else _verdict(campaign.runs[-1])
    if not (campaign.interrupted or campaign.failure):
        return found[0].upper() + found[1:]
    missing = ", ".join(map(str, campaign.missing))
    reason = "Interrupted" if campaign.interrupted else "Incomplete"
    return f"{reason}: {f'n = {missing} not measured; ' if missing and campaign.runs else ''}{found}"


def _verdict(run: EnergyRun) -> str:
    process = run.result.process
    if run.agrees is None:
        return f"too little was measured at n = {process.cells} to compare."
    theory, departure = "what is exact", ""
    if isinstance(process, BarrierExchange):
        theory = "the limit of large cells"
        departure = "" if run.agrees else f", as cells of {process.sites_per_cell} sites are not large"
    agree = "agree" if run.agrees else "do not agree"
    drift = "" if run.result.settled else " The state still drifts and is not steady: take a longer --time."
    return (
        f"lattice and {theory} {agree} within the error bars at n = {process.cells}{departure}: chi-square per degree "
        f"of freedom of the currents {run.currents}, of the profiles {run.profiles}.{drift}"
    )


def as_json(campaign: EnergyCampaign) -> dict[str, Any]:
    """Return the contents of ``summary.json``.

    Currents are positive to the right, per site of the cross-section, in a channel of length 1, where the reservoirs
    stand at 0 and 1 and time is in ``(n + 1)^2`` lattice units.
    """
    settings = campaign.settings
    names = _flowing(campaign)
    return {
        "kind": campaign.case.lattice.kind,
        "verdict": verdict(campaign),
        "interrupted": campaign.interrupted,
        "missing_sizes": campaign.missing,
        "replicas": settings.replicas,
        "seed": settings.seed,
        "continuum": {"currents": dict(zip(names, campaign.continuum.tolist(), strict=True))},
        "sizes": [_one_size(run) for run in campaign.runs],
    }


def _flowing(campaign: EnergyCampaign) -> list[str]:
    process = campaign.process
    return [process.names[field] for field in process.flowing]


def _one_size(run: EnergyRun) -> dict[str, Any]:
    result, reference = run.result, run.reference
    process = result.process
    names = [process.names[field] for field in process.flowing]
    per_particle = reference.fields[-1] / reference.fields[:-1].sum(axis=0)
    responses = result.responses
    return {
        "n": process.cells,
        "sites_per_cell": process.sites_per_cell,
        "forces": dict(zip(names, run.forces.tolist(), strict=True)),
        "currents": _by_name(names, result.currents, reference.currents),
        "directions": run.directions,
        "entropy_production": _told(run.entropy_production, run.entropy_production_of_theory),
        "noise": _told(result.noise, reference.noise),
        "responses": None if responses is None else _told(responses, _half(reference.noise)),
        "ratio": None if result.ratio is None else _told(result.ratio, _ratio(reference.noise)),
        "position": process.positions.tolist(),
        "profiles": _by_name(process.names, result.fields, reference.fields)
        | {"temperature": _told(result.temperatures, per_particle)},
        "chi_square": {
            "currents": run.currents and run.currents._asdict(),
            "profiles": run.profiles and run.profiles._asdict(),
        },
        "agrees": run.agrees,
        "settled": result.settled,
        "correlation_time": result.verdict.correlation_time,
        "burn_in": result.burn_in,
        "rings": result.rings,
        "seconds": result.seconds,
    }


def _half(noise: Array | None) -> Array | None:
    return None if noise is None else noise / 2.0


def _ratio(noise: Array | None) -> float | None:
    return None if noise is None else float(noise[0, -1] / noise[0, 0])


def _told(measured: Estimate, theory: Array | float | None) -> dict[str, Any]:
    """Mean and standard error, beside what theory says."""
    return {
        "mean": np.asarray(measured.mean).tolist(),
        "error": np.asarray(measured.error).tolist(),
        "theory": None if theory is None else np.asarray(theory).tolist(),
    }


def _by_name(names: tuple[str, ...] | list[str], measured: Estimate, theory: Array) -> dict[str, Any]:
    rows = zip(names, measured.mean, measured.error, theory, strict=True)
    return {name: _told(Estimate(mean, error), reference) for name, mean, error, reference in rows}


def table(campaign: EnergyCampaign) -> list[list[str]]:
    """Return the rows that the command prints: currents with error bars by size, beside theory, and the forces."""
    rows = [["n", "current of", "measured", "+-", "theory", "force", "direction"]]
    for run in campaign.runs:
        process, measured = run.result.process, run.result.currents
        for row, field in enumerate(process.flowing):
            name = process.names[field]
            rows.append(
                [
                    str(process.cells),
                    name,
                    f"{measured.mean[row]:.5g}",
                    f"{measured.error[row]:.2g}",
                    f"{run.reference.currents[row]:.5g}",
                    f"{run.forces[row]:.5g}",
                    run.directions[name],
                ]
            )
        produced, theory = run.entropy_production, run.entropy_production_of_theory
        rows.append(["", "entropy", f"{produced.mean:.5g}", f"{produced.error:.2g}", f"{theory:.5g}", "", ""])
        if run.result.ratio is not None:
            ratio, limit = run.result.ratio, _ratio(run.reference.noise)
            told = "" if limit is None else f"{limit:.5g}"
            rows.append(["", "L_1u/L_11", f"{ratio.mean:.5g}", f"{ratio.error:.2g}", told, "", ""])
    for name, value in zip(_flowing(campaign), campaign.continuum, strict=True):
        rows.append(["limit", name, "", "", f"{value:.5g}", "", ""])
    return rows
