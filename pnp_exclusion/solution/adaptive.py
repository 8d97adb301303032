"""Finer cells until what is reported is as accurate as the case wants (``[solver] accuracy``).

From one mesh to the next: errors of the goals are estimated, the cells that contribute most are halved, those that
contribute many times as much more than once, the state is carried over, and Newton's method goes on from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpi4py import MPI

import numpy as np
from dolfinx import la
from numpy.typing import NDArray

from pnp_exclusion.case.build import setup_on
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import follow_potentials
from pnp_exclusion.discretisation.transfer import transfer
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.refine import refined, refined_interval
from pnp_exclusion.runtime.memory import GB, available_per_rank
from pnp_exclusion.runtime.memory import estimate as memory_for
from pnp_exclusion.solution.accuracy_goals import AccurateGoal, accurate_goals
from pnp_exclusion.solution.refined_interval import transfer as transfer_along
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solver.error_estimate import Estimate, estimate
from pnp_exclusion.solver.linear.fields import size_of
from pnp_exclusion.solver.linear.presets import OptionsDatabase, resolved
from pnp_exclusion.solver.steady import SolverSettings, SteadySolver

MOST_UNKNOWNS = 2_000_000
"""If the case does not say."""
SHARE = 0.7
"""Of all contributions: what the cells that are refined have."""
MOST_ROUNDS = 2
"""How often a cell is halved from one mesh to the next."""
OUTSTANDING, PEAK = 0.03, 2.0
"""A cell with this share of all contributions, around one of whose corners cells contribute so many times what they do
around another one, is one at which the solution is singular."""
CORNER_ORDER, MOST_CORNER_ROUNDS, CORNER_SHARE = 4.0 / 3.0, 5, 0.2
"""Halving cells at a corner of three right angles makes its contribution ``2^(4/3)`` times less, whatever the degree:
it is halved towards it until all such corners together should contribute less than this share of what is wanted."""
LEVELS_WITHOUT_PROGRESS = 4
"""After so many meshes whose estimates are no better than one before, rounding or a solution without the smoothness
that estimates need is all there is."""
MOST_LEVELS = 60
ON_FIRST_MESH = 1.5
"""Times what is seen of an error on the first mesh, beside which there is none that would show how much that is: 0.4 to
0.7 of it at corners and edges, nearly all elsewhere. On intervals there is none of these."""
LEAST_SEEN = 0.3
"""Share of an error that an estimate sees at least, where the mesh before shows that it does not see all of it."""


@dataclass(frozen=True)
class Level:
    """One mesh.

    values, errors, seen
        By goal, in its unit: what was found, what must be added to it as estimated, and how much of that elements of
        one degree more see.
    relative
        The largest of the errors over what they are relative to.
    """

    cells: int
    unknowns: int
    newton_iterations: int
    values: dict[str, float]
    errors: dict[str, float]
    seen: dict[str, float]
    relative: float


@dataclass(frozen=True)
class Refinement:
    """How a solution came to its accuracy.

    wanted
        As in ``[solver] accuracy``.
    goals, levels
        What it is of, and the meshes, the last one that of the solution.
    ended
        Why there is no finer mesh, a clause; empty if what is wanted was reached.
    """

    wanted: float
    goals: Sequence[AccurateGoal]
    levels: Sequence[Level]
    ended: str = ""

    @property
    def estimated(self) -> float:
        """The relative error of the solution."""
        return self.levels[-1].relative

    @property
    def missed(self) -> list[str]:
        """A sentence if it is larger than wanted."""
        if not self.ended:
            return []
        missed = f"[solver] accuracy = {self.wanted:g} was not reached: {self.ended}"
        return [f"{missed}; the error is about {self.estimated:.1e}" if math.isfinite(self.estimated) else missed]

    @property
    def warnings(self) -> list[str]:
        """Sentences if it is larger than wanted, or the goals say nothing of the solution."""
        found = self.missed
        if all(goal.vanishes for goal in self.goals):
            names = ", ".join(goal.name for goal in self.goals)
            found.append(
                f"[solver] accuracy is of {names}, and nothing flows: any mesh has that, and whether this one is fine "
                "enough for anything else is not known; name another goal"
            )
        return found

    def effectivities(self) -> list[float | None]:
        """Return of every mesh the error that was estimated over that which the last mesh shows; None of the last one,
        and where it shows none."""
        last = self.levels[-1]
        limit = {name: last.values[name] + last.errors[name] for name in last.values}
        found: list[float | None] = []
        for level in self.levels[:-1]:
            worst = max(level.errors, key=lambda name: abs(level.errors[name]))
            true = limit[worst] - level.values[worst]
            told = abs(true) > 3.0 * abs(last.errors[worst])
            found.append(abs(level.errors[worst] / true) if told else None)
        return [*found, None]

    def summary(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds of it."""
        last = self.levels[-1]
        return {
            "wanted": self.wanted,
            "estimated": self.estimated,
            "reached": not self.ended,
            "goals": {
                goal.name: {
                    "value": last.values[goal.name],
                    "estimated_error": last.errors[goal.name],
                    "unit": goal.unit,
                }
                for goal in self.goals
            },
            "history": [
                {
                    "cells": level.cells,
                    "unknowns": level.unknowns,
                    "newton_iterations": level.newton_iterations,
                    "estimated": level.relative,
                    "effectivity": effectivity,
                    "values": level.values,
                    "estimated_errors": level.errors,
                }
                for level, effectivity in zip(self.levels, self.effectivities(), strict=True)
            ],
        }


@dataclass(frozen=True)
class Refined:
    """What `refine_to_accuracy` returns: the last steady state, how it came about, and PETSc's options."""

    steady: SteadyState
    refinement: Refinement
    options: tuple[dict[str, str], list[str]] | None


def refine_to_accuracy(
    steady: SteadyState,
    settings: SolverSettings,
    petsc_options: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Refined:
    """Return a steady state whose goals are as accurate as its case wants, or as can be had; collective.

    steady
        On the first mesh.

    Raises `CaseError` if there is no goal, or a finer mesh cannot be used.
    """
    wanted = steady.setup.case.solver.accuracy
    assert wanted is not None
    goals, options = accurate_goals(steady), None
    levels: list[Level] = []
    while True:
        discrete = steady.discretisation
        try:
            found = estimate(discrete, [goal.functional for goal in goals], settings, petsc_options)
        except ConvergenceError as error:
            if not levels:
                raise
            return Refined(steady, Refinement(wanted, goals, levels, str(error)), options)
        relative_to = np.maximum(np.abs(found.values), [goal.least for goal in goals])
        levels.append(_level(steady, goals, found, relative_to, levels))
        relative = levels[-1].relative
        say(f"  {levels[-1].cells} cells, {levels[-1].unknowns} unknowns: estimated error {relative:.2e}")
        if relative <= wanted:
            return Refined(steady, Refinement(wanted, goals, levels), options)
        if not math.isfinite(relative):
            return Refined(steady, Refinement(wanted, goals, levels, "the estimate is not a finite number"), options)
        shares = (found.shares / np.where(relative_to > 0.0, relative_to, 1.0)[:, None]).sum(axis=0)
        rounds, peaks = _rounds(discrete.problem.domain, shares, discrete.degree, wanted)
        ended = _why_no_further(levels) or _too_large(
            discrete, rounds, peaks.any(axis=1), steady.setup.case.solver.most_unknowns
        )
        if not ended:
            try:
                steady, options = _on_finer_cells(steady, rounds, peaks, settings, petsc_options, say)
            except ConvergenceError:
                ended = "no solution was found on finer cells"
        if ended:
            return Refined(steady, Refinement(wanted, goals, levels, ended), options)


def _level(
    steady: SteadyState,
    goals: Sequence[AccurateGoal],
    found: Estimate,
    relative_to: NDArray[np.float64],
    earlier: Sequence[Level],
) -> Level:
    discrete, names = steady.discretisation, [goal.name for goal in goals]
    seen = dict(zip(names, found.errors.tolist(), strict=True))
    values = dict(zip(names, found.values.tolist(), strict=True))
    errors = {
        name: error * _unseen(name, error, values, earlier, discrete.problem.domain.dimension)
        for name, error in seen.items()
    }
    sizes = np.abs(list(errors.values()))
    return Level(
        discrete.problem.domain.cells,
        size_of(discrete).unknowns,
        steady.report.newton_iterations - sum(level.newton_iterations for level in earlier),
        values,
        errors,
        seen,
        float(np.max(sizes / np.where(relative_to > 0.0, relative_to, np.where(sizes > 0.0, sizes, 1.0)))),
    )


def _unseen(name: str, seen: float, values: dict[str, float], earlier: Sequence[Level], dimension: int) -> float:
    """Return by what the error of a goal is larger than elements of one degree more see.

    At corners these are hardly better than those of the state. What the value has changed by since the mesh before is
    the difference of the errors of both, and so tells which share of them is seen.
    """
    if not earlier:
        return ON_FIRST_MESH if dimension > 1 else 1.0
    before = earlier[-1]
    change = values[name] - before.values[name]
    share = (before.seen[name] - seen) / change if change else 1.0
    return 1.0 / share if LEAST_SEEN <= share < 1.0 and abs(seen) < abs(before.seen[name]) else 1.0


def _rounds(
    domain: Domain, shares: NDArray[np.float64], degree: int, wanted: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return how often each cell is halved, ``(cells,)``, and at which corners alone, ``(cells, corners)``; collective.

    The largest contributions that add up to `SHARE` of all are refined (Doerfler, SIAM J. Numer. Anal. 33, 1106
    (1996)): where the solution is smooth halving once makes one ``2^(2 degree)`` times less, and those that would be
    large still are halved again.
    """
    comm = domain.comm
    total, largest = comm.allreduce(float(shares.sum())), comm.allreduce(float(shares.max(initial=0.0)), op=MPI.MAX)
    low, high = 0.0, largest
    for _ in range(60):
        middle = 0.5 * (low + high)
        enough = comm.allreduce(float(shares[shares >= middle].sum())) >= SHARE * total
        low, high = (middle, high) if enough else (low, middle)
    threshold = max(low, np.finfo(float).tiny)
    with np.errstate(divide="ignore"):
        further = np.floor(np.log2(shares / threshold) / (2 * degree))
    rounds = np.where(shares >= threshold, np.clip(1 + further, 1, MOST_ROUNDS), 0).astype(np.int64)
    around = _around_corners(domain, shares)
    peaks = around >= PEAK * around.min(axis=1, keepdims=True)
    peaks[(rounds == 0) | (shares < OUTSTANDING * total) | (domain.dimension == 1)] = False
    at_peaks = peaks.any(axis=1)
    # what all of them may contribute, shared out among them
    each = CORNER_SHARE * wanted / max(1, comm.allreduce(int(at_peaks.sum())))
    with np.errstate(divide="ignore"):
        needed = np.ceil(np.log2(shares[at_peaks] / each) / CORNER_ORDER)
    rounds[at_peaks] = np.maximum(rounds[at_peaks], np.clip(needed, 1, MOST_CORNER_ROUNDS))
    return rounds, peaks


def _around_corners(domain: Domain, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what all cells around the corners of owned cells contribute, ``(cells, corners)``; collective."""
    topology, dimension = domain.mesh.topology, domain.dimension
    corners = topology.connectivity(dimension, 0).array.reshape(domain.local_cells, -1)[: len(shares)]
    sums = la.vector(topology.index_map(0), 1)
    sums.array[:] = 0.0
    np.add.at(sums.array, corners, shares[:, None])
    sums.scatter_reverse(la.InsertMode.add)
    sums.scatter_forward()
    found: NDArray[np.float64] = sums.array[corners]
    return found


def _why_no_further(levels: Sequence[Level]) -> str:
    """Return a clause if finer meshes have not helped lately."""
    late = [level.relative for level in levels[-LEVELS_WITHOUT_PROGRESS:]]
    early = [level.relative for level in levels[:-LEVELS_WITHOUT_PROGRESS]]
    if (early and min(late) >= min(early)) or len(levels) >= MOST_LEVELS:
        return f"{len(late)} finer meshes have not lowered the estimate, which rounding may be"
    return ""


def _too_large(
    discrete: Discretisation, rounds: NDArray[np.int64], at_peaks: NDArray[np.bool_], most: int | None
) -> str:
    """Return a clause if there would be too many unknowns, or too little memory, on the next mesh; collective."""
    domain, size = discrete.problem.domain, size_of(discrete)
    dimension = domain.dimension
    # towards a point there are as many cells in every round, towards an edge in space twice as many as in that before
    towards = rounds * 2 ** (dimension + max(0, dimension - 2) * rounds)
    children = np.where(at_peaks, towards, 2 ** (dimension * rounds))
    grown = float(domain.comm.allreduce(int(children.sum())))
    unknowns, limit = size.unknowns * grown / domain.cells, most or MOST_UNKNOWNS
    if unknowns > limit:
        origin = "most_unknowns" if most else "its limit, most_unknowns in [solver],"
        return f"the next mesh would have about {unknowns:.2g} unknowns, and {origin} is {limit:.3g}"
    components, degree = discrete.layout.size, min(discrete.degree + 1, 4)
    nodes = unknowns / components * (degree / discrete.degree) ** domain.dimension
    rich = replace(size, unknowns=int(nodes * components), degree=degree, on_grid=False)
    share = memory_for(nodes, domain.dimension, degree, components, resolved("auto", rich)) / domain.comm.size
    there = available_per_rank(domain.comm, share)
    if share > there:
        return f"the next mesh would take about {share / GB:.2g} GB, and {there / GB:.2g} GB are available"
    return ""


def _on_finer_cells(
    steady: SteadyState,
    rounds: NDArray[np.int64],
    peaks: NDArray[np.bool_],
    settings: SolverSettings,
    petsc_options: Sequence[str],
    say: Callable[[str], None],
) -> tuple[SteadyState, tuple[dict[str, str], list[str]]]:
    """Return the steady state of the same case with finer cells, and PETSc's options; collective."""
    coarse, setup = steady.discretisation, steady.setup
    domain, children = coarse.problem.domain, None
    if domain.dimension == 1 and domain.grid is not None:
        finer = refined_interval(domain, 2**rounds)
    else:
        finer, children = refined(domain, rounds, peaks)
    setup = setup_on(finer, setup.scales, setup.case, setup.problem.law)
    fine = Discretisation(setup.problem, coarse.degree, coarse.quadrature_degree)
    if children is None:
        transfer_along(coarse, fine)
    else:
        transfer(coarse, fine, children)
    follow_potentials(fine)
    fine.impose_dirichlet_values()
    with OptionsDatabase(petsc_options) as database, SteadySolver(fine, database, settings, say) as solver:
        report = solver.solve(near=True)
        options = database.effective(), database.unused()
    report.add(steady.report)
    return SteadyState(setup, fine, report), options
