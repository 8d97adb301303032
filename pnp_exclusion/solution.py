"""Solving a case and reading the answer: what scripts use, and what the command line is made of."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np

from pnp_exclusion.advice import advice
from pnp_exclusion.build import EMPTY_SHARE, Setup, build
from pnp_exclusion.case import Case, Contents, Flux, make_case, read_case
from pnp_exclusion.checks import beyond_limits, unresolved_layers
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.laws import Law
from pnp_exclusion.observe import currents, forces, identity, split
from pnp_exclusion.observe.currents import BoundaryTotals
from pnp_exclusion.solver.linear import OptionsLedger
from pnp_exclusion.solver.nested import coarser_start
from pnp_exclusion.solver.steady import SolverSettings, SteadyReport, SteadySolver
from pnp_exclusion.weakform import WeakForm


@dataclass
class Solution:
    """A steady state and what can be read off it.

    ``converged`` is False for the last good state of a solve that failed; it then belongs to ``report.drive`` of the
    driving forces (0: no state at all was found, and what is read off it means nothing), and for a solution whose
    layers the mesh cannot hold (``report.drive`` is 1, see `unresolved`). All values are dimensionless
    but those of `summary`. Reading is collective over the ranks of the problem.
    """

    setup: Setup
    weak_form: WeakForm
    report: SteadyReport
    converged: bool
    seconds: Mapping[str, float] = field(default_factory=dict)
    petsc_options: dict[str, str] = field(default_factory=dict)
    """The options in force."""
    unused_petsc_options: list[str] = field(default_factory=list)
    """Those of the case or the command line that had no effect."""

    @property
    def has_state(self) -> bool:
        """Whether there is a state to read: the solution, or the last good state before a failure."""
        return self.report.drive > 0.0

    def warnings(self) -> list[str]:
        """Return one sentence for everything about this case and its solution that the user should know; collective.

        First what `pnp-exclusion check` says too, then what is beyond the limits of `pnp_exclusion.checks`.
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

    @cached_property
    def totals(self) -> BoundaryTotals:
        """Fluxes and charges at the boundaries."""
        return currents.boundary_totals(self.weak_form)

    @cached_property
    def mean_fluxes(self) -> dict[str, float]:
        """The flux of every species if nothing opposed its mean density, see `observe.currents.mean_fluxes`."""
        return currents.mean_fluxes(self.weak_form)

    @cached_property
    def resistance(self) -> np.ndarray | None:
        """``int M^-1 dx``, shape ``(N, N)``; None above one dimension."""
        if self.weak_form.problem.domain.dimension > 1 or self.currents is None:
            return None
        return identity.mean_resistance(self.weak_form, list(self.currents.values()))

    @cached_property
    def one_way(self) -> dict[str, float]:
        """The flux that one kT drives of every species: through its resistances in series; above one dimension the mean
        flux, or less if it is scarcer at the ends than within."""
        if self.resistance is not None:
            return identity.one_way_fluxes(self.resistance, self.mean_fluxes)
        if self.ends is None:
            return self.mean_fluxes
        contents = {name: max(end.rho[name] for end in self.ends) for name in self.mean_fluxes}
        means = currents.mean_densities(self.weak_form)
        return {
            name: mean * min(1.0, contents[name] / max(means[name], np.finfo(float).tiny))
            for name, mean in self.mean_fluxes.items()
        }

    @cached_property
    def ends(self) -> tuple[forces.End, forces.End] | None:
        """The two ends between which the species flow."""
        return forces.ends_of(self.weak_form)

    @cached_property
    def currents(self) -> dict[str, float] | None:
        """Flux of every species from the first end to the second; None without two ends."""
        if self.ends is None:
            return None
        first, second = (end.name for end in self.ends)
        return {name: self.totals.through(name, first, second) for name in self.weak_form.problem.names}

    @cached_property
    def forces(self) -> dict[str, float] | None:
        """``F_a`` in kT from the first end to the second; None without two ends."""
        return None if self.ends is None else forces.forces(self.ends)

    @cached_property
    def regimes(self) -> dict[str, str | None]:
        """Label of every species; None without two ends."""
        if self.ends is None or self.currents is None:
            return dict.fromkeys(self.weak_form.problem.names)
        driven = forces.is_driven(self.weak_form, self.ends)
        none = {
            name: max(forces.NO_CURRENT * self.one_way[name], self._left_by_absence(name))
            if self.totals.passes(name)
            else math.inf
            for name in self.mean_fluxes
        }
        return dict(forces.regimes(self.ends, self.currents, none, driven))

    @property
    def axes(self) -> int:
        """Dimension of the domain."""
        return self.weak_form.problem.domain.dimension

    @property
    def has_steep_cells(self) -> bool:
        """Whether a potential is steep within some cell, on any rank; collective."""
        return bool(
            self.weak_form.problem.domain.comm.allreduce(bool(self.weak_form.integration.is_steep.any()), op=MPI.LOR)
        )

    def _left_by_absence(self, name: str) -> float:
        """Return the current of a species that is only there because unknowns cannot hold a content of exactly 0."""
        holding = [boundary for boundary in self.setup.case.boundaries if isinstance(boundary, Contents)]
        amounts = [boundary.amounts[name] for boundary in holding if name in boundary.amounts]
        if 0.0 not in amounts or self.forces is None:
            return 0.0
        if not any(amounts):
            return math.inf
        species = next(s for s in self.weak_form.problem.species if s.name == name)
        largest = max(amounts) / self.setup.scales.concentration
        return EMPTY_SHARE * largest * species.diffusivity * (1.0 + abs(self.forces[name]))

    @cached_property
    def currents_of_profile(self) -> dict[str, float] | None:
        """The currents that the master identity asks of the computed profile; None where there is no `resistance`."""
        if self.resistance is None or self.forces is None:
            return None
        predicted = identity.predicted_currents(self.resistance, list(self.forces.values()))
        return dict(zip(self.forces, predicted.tolist(), strict=True))

    @cached_property
    def identity_residual(self) -> float | None:
        """How far the currents are from the master identity, relative; None above one dimension."""
        if self.resistance is None or self.currents is None or self.forces is None:
            return None
        return identity.identity_residual(self.resistance, self.currents, self.forces, self.one_way)

    @cached_property
    def entropy_production(self) -> float:
        """Free energy dissipated per time, in kT; see `pnp_exclusion.observe.split`."""
        return split.entropy_production(self.weak_form)

    @cached_property
    def flux_parts(self) -> dict[str, split.FluxParts]:
        """Mean flux density along the axis from end to end, split; see `pnp_exclusion.observe.split`."""
        return split.flux_parts(self.weak_form, self.axis)

    @cached_property
    def axis(self) -> int:
        """The axis along which the two ends lie farthest apart; 0 without two ends."""
        if self.ends is None:
            return 0
        names = [boundary.where for boundary in self.weak_form.problem.boundaries]
        centres = [self._centre(names.index(end.name)) for end in self.ends]
        return int(np.argmax(np.abs(centres[1] - centres[0])))

    def _centre(self, tag: int) -> np.ndarray:
        weak_form = self.weak_form
        nodes = weak_form.own_nodes(tag, 0)
        comm, points = weak_form.problem.domain.comm, weak_form.space.tabulate_dof_coordinates()[nodes]
        return comm.allreduce(points.sum(axis=0), op=MPI.SUM) / comm.allreduce(len(points), op=MPI.SUM)

    # ---- in the units of the case ----

    def summary(self) -> dict[str, Any]:
        """Return the contract's summary (DESIGN), in SI units for an SI case, with `warnings`; collective.

        Without any state (`has_state`) only what was tried is in it.
        """
        return self.readings() | {"warnings": self.warnings()}

    def readings(self) -> dict[str, Any]:
        """Return the summary without its warnings, for those who read many solutions; collective."""
        if not self.has_state:
            return self._failure_summary()
        problem, scales = self.weak_form.problem, self.setup.scales
        extent = scales.length ** (problem.domain.dimension - 1)
        per = ["/m^2", "/m", ""][problem.domain.dimension - 1]
        unit = (lambda name: name) if scales.si else (lambda name: "")

        def value(number: float, scale: float, name: str) -> dict[str, Any]:
            return {"value": number * scale * extent, "unit": unit(name)}

        charges = {species.name: species.charge for species in problem.species}
        flux_unit, flux = f"mol{per}/s", self.totals.flux
        index_map = self.weak_form.space.dofmap.index_map
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
            "unknowns": index_map.size_global * self.weak_form.components,
            "wall_seconds": sum(self.seconds.values()),
        }
        return summary if self.converged else summary | self._failure_summary()

    def _failure_summary(self) -> dict[str, Any]:
        return {
            "converged": False,
            "law": self.weak_form.problem.law.name,
            "units": self.setup.case.model.units,
            "drive": self.report.drive,
            "tried": self.report.tried,
        }


def settings_of(case: Case) -> SolverSettings:
    """Return the solver's settings from ``[solver]`` of a case."""
    solver = case.solver
    return SolverSettings(
        tolerance=solver.tolerance,
        max_newton_steps=solver.max_newton_steps,
        always_ramp=solver.strategy == "ramp",
        linear=solver.linear,
        petsc=solver.petsc,
    )


type CaseLike = Case | Solution | str | Path | Mapping[str, Any]
"""What stands for a case: itself, a file of it, its tables, or a solution of it."""


def as_case(case: CaseLike) -> Case:
    """Return the case that something stands for.

    Raises `CaseError` if it has mistakes, `TypeError` for what stands for none.
    """
    match case:
        case Case():
            return case
        case Solution():
            return case.setup.case
        case str() | Path():
            return read_case(case)
        case Mapping():
            return make_case(dict(case))
    raise TypeError(
        "a case is given as a Case, the path of its file, its tables (a dict) or a Solution of it, "
        f"not as {type(case).__name__}"
    )


def as_solution(case: CaseLike, comm: MPI.Comm = MPI.COMM_WORLD, petsc_options: Sequence[str] = ()) -> Solution:
    """Return a solution that is given as such, if it has converged, or solve the case; collective.

    Raises as `solve` does.
    """
    if not isinstance(case, Solution):
        return solve(case, comm=comm, petsc_options=petsc_options)
    if not case.converged:
        raise ConvergenceError(
            f"{case.setup.case.path}: this solution did not converge, and what is read off it would mean nothing"
        )
    return case


def solve(
    case: CaseLike,
    law: Law | None = None,
    *,
    comm: MPI.Comm = MPI.COMM_WORLD,
    petsc_options: Sequence[str] = (),
    progress: Callable[[str], None] = lambda line: None,
    keep_failure: bool = False,
) -> Solution:
    """Solve a case for its steady state; collective over ``comm``.

    case
        As from `read_case` or `make_case`, or the path of a case file, or its tables, or a solution of it, which is
        solved anew with its law.
    law
        A law written in Python, instead of the one that the case names.
    petsc_options
        The options that PETSc was started with (`pnp_exclusion.fenicsx.initialise_petsc`), to know what is the user's.
    progress
        Called on rank 0 with one line per Newton or ramp step.
    keep_failure
        Return the last good state, marked as not converged, instead of raising `ConvergenceError`.
    """
    clock = _Clock()
    if law is None and isinstance(case, Solution):
        law = case.weak_form.problem.law
    case = as_case(case)
    setup = build(case, comm, law)
    clock.lap("mesh")
    quadrature_degree = case.solver.quadrature_degree
    weak_form = WeakForm(setup.problem, case.solver.degree, quadrature_degree)
    say = progress if comm.rank == 0 else (lambda line: None)
    settings = settings_of(case)
    clock.lap("forms")
    near = False
    coarser = coarser_start(setup, weak_form, settings, petsc_options, say)
    if coarser is not None:
        with coarser:
            near = coarser.fill(setup)
    clock.lap("coarse start")
    with OptionsLedger(petsc_options) as ledger, SteadySolver(weak_form, ledger, settings, say) as solver:
        try:
            report, converged = solver.solve(near), True
        except ConvergenceError as error:
            if not keep_failure:
                raise ConvergenceError("\n".join([str(error), *carried_fluxes(case, solver.report)])) from None
            report, converged = solver.report, False
        clock.lap("solve")
        options = ledger.effective(), ledger.unused()
    solution = Solution(setup, weak_form, report, converged, clock.seconds, *options)
    solution.refuse_unresolved()
    if not (solution.converged or keep_failure):
        raise ConvergenceError("\n".join(solution.unresolved))
    return solution


def carried_fluxes(case: Case, report: SteadyReport) -> list[str]:
    """Return a sentence for every flux that a case gives, if its solve has failed: between what it is limited.

    The ramp has raised given fluxes together with all other driving forces.
    """
    if not 0.0 < report.drive < report.failed_drive <= 1.0:
        return []
    return [
        f'the flux of {name} through "{boundary.where}" can be carried up to {report.drive * flux.number:.5g} of the '
        f"{flux.text} given; at {report.failed_drive * flux.number:.5g} no steady state was found"
        for boundary in case.boundaries
        if isinstance(boundary, Flux)
        for name, flux in boundary.flux.items()
        if flux.number
    ]


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now
