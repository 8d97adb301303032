"""A solution: a steady state in the units of its case, with what its user should know of it."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

from pnp_exclusion.case.advice import advice
from pnp_exclusion.observe import currents
from pnp_exclusion.solution.checks import beyond_limits, unresolved_layers
from pnp_exclusion.solution.steady_state import SteadyState


class Solution(SteadyState):
    """A steady state and what its user should know of it; `summary` is in SI units for an SI case."""

    def warnings(self) -> list[str]:
        """Return one sentence for everything about this case and its solution that the user should know; collective.

        First what `pnp-exclusion check` says too, then what is beyond the limits of `pnp_exclusion.solution.checks`.
        """
        return list(self._warnings)

    @cached_property
    def _warnings(self) -> list[str]:
        return [*advice(self.setup), *beyond_limits(self)]

    @cached_property
    def unresolved(self) -> list[str]:
        """A sentence for every boundary whose charge the mesh cannot hold, see `checks.UNRESOLVED`; collective."""
        return list(unresolved_layers(self))

    def refuse_unresolved(self) -> None:
        """Take it as not converged if the mesh cannot hold its layers, unless the case wants to be warned only."""
        if self.converged and self.setup.case.solver.unresolved == "refuse" and self.unresolved:
            self.converged = False

    def summary(self) -> dict[str, Any]:
        """Return what `summary.json` holds, in SI units for an SI case, with `warnings`; collective.

        Without any state (`has_state`) only what was tried is in it.
        """
        return self.readings() | self._mechanisms() | {"warnings": self.warnings()}

    def _mechanisms(self) -> dict[str, Any]:
        """Return what carries every flux, and where it runs uphill, which take more integrals than all readings."""
        if not self.has_state:
            return {}
        scales = self.setup.scales
        unit = "mol/m^2/s" if scales.si else ""
        parts = {
            name: {part: {"value": value * scales.flux, "unit": unit} for part, value in asdict(split).items()}
            for name, split in self.flux_parts.items()
        }
        return {"flux_parts": parts, "uphill": {"global": self.is_globally_uphill, "local": self.uphill_shares}}

    def readings(self) -> dict[str, Any]:
        """Return the summary without its warnings, for those who read many solutions; collective."""
        if not self.has_state:
            return self._failure_summary()
        problem, scales = self.discretisation.problem, self.setup.scales
        extent = scales.length ** (problem.domain.dimension - 1)
        per = ["/m^2", "/m", ""][problem.domain.dimension - 1]
        unit = (lambda name: name) if scales.si else (lambda name: "")

        def value(number: float, scale: float, name: str) -> dict[str, Any]:
            return {"value": number * scale * extent, "unit": unit(name)}

        charges = {species.name: species.charge for species in problem.species}
        flux_unit, flux = f"mol{per}/s", self.totals.flux
        index_map = self.discretisation.space.dofmap.index_map
        summary: dict[str, Any] = {
            "converged": self.converged,
            "law": problem.law.name,
            "units": self.setup.case.model.units,
            "flux": {
                where: {name: value(j, scales.flux, flux_unit) for name, j in fluxes.items()}
                for where, fluxes in flux.items()
            },
            "current": {
                where: value(sum(charges[name] * j for name, j in fluxes.items()), scales.current, f"A{per}")
                for where, fluxes in flux.items()
            },
            "charge": {where: value(q, scales.surface_charge, f"C{per}") for where, q in self.totals.charge.items()},
            "regime": self.regimes,
            "force": self.forces or dict.fromkeys(problem.names),
            "balance": currents.balance(self.totals, self.mean_fluxes),
            "identity_residual": self.identity_residual,
            "entropy_production": value(self.entropy_production, scales.flux, f"kT {flux_unit}"),
            "newton_iterations": self.report.newton_iterations,
            "linear_iterations": self.report.linear_iterations,
            "ramp_steps": self.report.ramp_steps,
            "cells": problem.domain.cells,
            "unknowns": index_map.size_global * self.discretisation.layout.size,
            "wall_seconds": sum(self.seconds.values()),
        }
        return summary if self.converged else summary | self._failure_summary()

    def _failure_summary(self) -> dict[str, Any]:
        return {
            "converged": False,
            "law": self.discretisation.problem.law.name,
            "units": self.setup.case.model.units,
            "drive": self.report.drive,
            "tried": self.report.tried,
        }
