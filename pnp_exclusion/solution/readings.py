"""The numbers of a steady state in the units of its case, as ``summary.json`` names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pnp_exclusion.observe import currents
from pnp_exclusion.solution.steady_state import SteadyState


def readings_of(steady: SteadyState, converged: bool, seconds: float) -> dict[str, Any]:
    """Return what a solution's currents, charges, regimes and checks are, and what they took; collective.

    seconds
        Of all that was done for it.
    """
    problem, scales = steady.discretisation.problem, steady.setup.scales
    extent, per = steady.extent, steady.per_extent
    unit = (lambda name: name) if scales.si else (lambda name: "")

    def value(number: float, scale: float, name: str) -> dict[str, Any]:
        return {"value": number * scale * extent, "unit": unit(name)}

    charges = {species.name: species.charge for species in problem.species}
    totals, flux_unit = steady.totals, f"mol{per}/s"
    index_map = steady.discretisation.space.dofmap.index_map

    def fluxes_in(places: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        return {
            place: {name: value(j, scales.flux, flux_unit) for name, j in fluxes.items()}
            for place, fluxes in places.items()
        }

    def currents_in(places: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        return {
            place: value(sum(z * fluxes[name] for name, z in charges.items()), scales.current, f"A{per}")
            for place, fluxes in places.items()
        }

    summary: dict[str, Any] = {
        "converged": converged,
        "law": problem.law.name,
        "units": steady.setup.case.model.units,
        "flux": fluxes_in(totals.flux),
        "current": currents_in(totals.flux),
        "charge": {where: value(q, scales.surface_charge, f"C{per}") for where, q in steady.totals.charge.items()},
        "regime": steady.regimes,
        "force": steady.forces or dict.fromkeys(problem.quantities),
        "balance": currents.balance(totals, steady.mean_fluxes),
        "identity_residual": steady.identity_residual,
        "entropy_production": value(steady.entropy_production, scales.flux, f"kT {flux_unit}"),
        "newton_iterations": steady.report.newton_iterations,
        "linear_iterations": steady.report.linear_iterations,
        "ramp_steps": steady.report.ramp_steps,
        "cells": problem.domain.cells,
        "unknowns": index_map.size_global * steady.discretisation.layout.size,
        "wall_seconds": seconds,
    }
    if problem.domain.periodic:
        along = {"xyz"[axis]: fluxes for axis, fluxes in steady.fluxes_along.items()}
        summary |= {"flux_along": fluxes_in(along), "current_along": currents_in(along)}
    if problem.floating:
        summary["found_potential"] = {
            problem.boundaries[tag].where: {"value": potential, "unit": unit("V")}
            for tag, potential in steady.found_potentials.items()
        }
    if problem.reactions:
        summary["reactions"] = {
            reaction.name: {
                "where": reaction.boundary or "volume",
                "rate": value(turnover.rate, scales.flux, flux_unit),
            }
            | ({"current": value(turnover.current, scales.current, f"A{per}")} if reaction.electrons else {})
            for reaction, turnover in zip(problem.reactions, steady.turnovers.values(), strict=True)
        }
    if problem.law.thermal:
        held = {boundary.where: boundary.temperature for boundary in problem.boundaries}
        summary["temperature"] = {where: t for where, t in held.items() if t is not None}
    return summary


def mechanisms_of(steady: SteadyState) -> dict[str, Any]:
    """Return what carries every flux, and where it runs uphill; collective. Takes more integrals than all readings."""
    scales = steady.setup.scales
    unit = "mol/m^2/s" if scales.si else ""
    parts = {
        name: {part: {"value": value * scales.flux, "unit": unit} for part, value in asdict(split).items()}
        for name, split in steady.flux_parts.items()
    }
    uphill = {"global": steady.is_globally_uphill, "local": steady.uphill_shares}
    return ({"flux_parts": parts} if parts else {}) | {"uphill": uphill}


def regions_of(steady: SteadyState) -> dict[str, Any]:
    """Return the volume of every region of the case, what it holds and what it dissipates; collective."""
    if not steady.setup.case.regions:
        return {}
    scales, dimension = steady.setup.scales, steady.setup.case.dimension_of_totals
    per, size = ("/m^2", "/m", "")[dimension - 1], scales.length**dimension
    contents = dict(zip(steady.discretisation.problem.names, scales.contents.tolist(), strict=True))

    def value(number: float, unit: str) -> dict[str, Any]:
        return {"value": number, "unit": unit if scales.si else ""}

    return {
        "regions": {
            region: {
                "volume": value(held.volume * size, ("m", "m^2", "m^3")[dimension - 1]),
                "amount": {
                    name: value(held.mean_densities[name] * held.volume * content * size, f"mol{per}")
                    for name, content in contents.items()
                },
                "mean": {
                    name: value(held.mean_densities[name] * content, "mol/m^3") for name, content in contents.items()
                },
                "entropy_production": value(
                    held.entropy_production * scales.flux * steady.extent, f"kT mol{steady.per_extent}/s"
                ),
            }
            for region, held in steady.integrals_over_regions.items()
        }
    }


def failure_of(steady: SteadyState) -> dict[str, Any]:
    """Return how far a solve came that did not converge."""
    return {
        "converged": False,
        "law": steady.discretisation.problem.law.name,
        "units": steady.setup.case.model.units,
        "load_parameter": steady.report.load_parameter,
        "tried": steady.report.tried,
    }
