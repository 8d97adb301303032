"""Solving a case: what scripts use, and what the command line is made of."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

from pnp_exclusion.case.build import Setup, build, setup_on
from pnp_exclusion.case.case import Case, make_case, read_case
from pnp_exclusion.case.places import require_places
from pnp_exclusion.case.scales import scales_of
from pnp_exclusion.case.time_checks import require_rest
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.errors import ConvergenceError, SolutionWarning
from pnp_exclusion.physics.laws import Law
from pnp_exclusion.runtime.log import LOGGER
from pnp_exclusion.runtime.parallel import on_rank_zero
from pnp_exclusion.solution.adaptive import refine_to_accuracy
from pnp_exclusion.solution.coarse_start import coarser_start
from pnp_exclusion.solution.limits import limits
from pnp_exclusion.solution.refined_interval import ROUNDS, is_too_coarse, refined, transfer
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solver.linear.fields import size_of
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SolverSettings, SteadySolver
from pnp_exclusion.solver.watch import Watch

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
            return case.case
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
        return solve_quietly(case, comm=comm, petsc_options=petsc_options)
    if not case.converged:
        raise ConvergenceError(
            f"{case.case.path}: this solution did not converge, and what is read off it would mean nothing"
        )
    return case


def with_petsc(case: Case, petsc: Mapping[str, Any]) -> Case:
    """Return a case with PETSc options beside those of its ``[solver]``, over which they win.

    Unlike a case file, which is data, Python may give any option.
    """
    given = {name.lstrip("-"): value for name, value in petsc.items()}
    solver = case.solver.model_copy(update={"petsc": {**case.solver.petsc, **given}})
    return case.model_copy(update={"solver": solver})


def solve(
    case: CaseLike,
    law: Law | None = None,
    *,
    petsc: Mapping[str, str | float | int | bool] | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Callable[[str], None] = lambda line: None,
    keep_failure: bool = False,
) -> Solution:
    """Solve a case for its steady state; collective over ``comm``.

    What the user should know of the case and its solution is in `Solution.warnings`, and each sentence is given once as
    a `SolutionWarning` on rank 0.

    Parameters
    ----------
    case : Case, str, Path, Mapping or Solution
        A case, the path of its file, its tables, or a solution of it, which is solved anew with its law.
    law : Law, optional
        A law written in Python, instead of the one that the case names.
    petsc : Mapping[str, str | float | int | bool], optional
        Options of PETSc for this solve, e.g. ``{"pc_type": "lu"}``, which win over ``[solver] petsc`` of the case.
        True stands for an option without a value, False for one that is left out.
    comm : MPI.Comm, optional
        The ranks that share the solution.
    progress : Callable[[str], None], optional
        Called on rank 0 with one line per Newton or ramp step.
    keep_failure : bool, optional
        Return the last good state, marked as not converged, instead of raising `ConvergenceError`.

    Returns
    -------
    Solution
        In the units of the case.

    Raises
    ------
    CaseError
        The case has mistakes, or its mesh cannot be used.
    LawError
        The law does not fit the species.
    UsageError
        PETSc refuses an option, or there are more ranks than cells.
    ConvergenceError
        No steady state was found, or the mesh cannot hold its layers of charge.
    """
    solution = solve_quietly(case, law, petsc=petsc, comm=comm, progress=progress, keep_failure=keep_failure)
    sentences = solution.warnings

    def tell() -> None:
        for sentence in sentences:
            warnings.warn(sentence, SolutionWarning, skip_file_prefixes=_OWN_FILES)

    # a filter may turn them into errors, which all ranks must meet
    on_rank_zero(comm, tell)
    return solution


_OWN_FILES = (str(Path(__file__).parents[1]),)
"""A warning is about the first line outside of these."""


def solve_quietly(
    case: CaseLike,
    law: Law | None = None,
    *,
    petsc: Mapping[str, str | float | int | bool] | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
    petsc_options: Sequence[str] = (),
    progress: Callable[[str], None] = lambda line: None,
    keep_failure: bool = False,
    on_mesh_of: Setup | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Solve as `solve` does, without a word: for commands and studies, which tell of warnings themselves.

    on_mesh_of
        What another case of the same domain was turned into, whose mesh is taken.
    petsc_options
        The options that PETSc was started with (`pnp_exclusion.runtime.fenicsx.initialise_petsc`), to know what is the
        user's: they are in PETSc's database, and what is ours is left out of it where they speak.
    watch
        Told how far the solve is, on the ranks that give one.
    """
    clock = _Clock()
    if law is None and isinstance(case, Solution):
        law = case.discretisation.problem.law
    case = with_petsc(as_case(case), petsc or {})
    if case.time is not None:
        require_rest(case)
    if on_mesh_of is None:
        setup = build(case, comm, law)
    else:
        scales = scales_of(case, on_mesh_of.scales.length)
        setup = setup_on(on_mesh_of.problem.domain, scales, case, law)
    require_places(setup)
    clock.lap("mesh")
    quadrature_degree = case.solver.quadrature_degree
    discrete = Discretisation(setup.problem, case.solver.degree, quadrature_degree)
    say = progress if comm.rank == 0 else (lambda line: None)
    if setup.memory:
        # the solve may not live to tell its warnings
        say(f"  {setup.memory}")
    settings = settings_of(case)
    if watch is not None:
        watch.announce(size_of(discrete).unknowns)
        settings = replace(settings, watch=watch)
    clock.lap("forms")
    near = False
    coarser = coarser_start(setup, discrete, settings, petsc_options, say)
    if coarser is not None:
        with coarser:
            near = coarser.fill(setup)
    clock.lap("coarse start")
    with OptionsDatabase(petsc_options) as database, SteadySolver(discrete, database, settings, say) as solver:
        try:
            report, converged = solver.solve(near), True
        except ConvergenceError as error:
            if not keep_failure:
                raise ConvergenceError("\n".join([str(error), *limits(setup, solver.report)])) from None
            report, converged = solver.report, False
        options = database.effective(), database.unused()
    solution = Solution(setup, discrete, report, converged, clock.seconds, *options, command_line=petsc_options)
    for _ in range(ROUNDS):
        if solution.converged and is_too_coarse(solution.steady):
            solution = _on_finer_cells(solution, settings, petsc_options, say)
    if solution.converged and case.solver.accuracy is not None:
        solution = _to_accuracy(solution, settings, petsc_options, say)
    clock.lap("solve")
    solution.refuse_unresolved()
    if not (solution.converged or keep_failure):
        raise ConvergenceError("\n".join(solution.unresolved))
    return solution


def _on_finer_cells(
    coarse: Solution, settings: SolverSettings, petsc_options: Sequence[str], say: Callable[[str], None]
) -> Solution:
    """Solve again on an interval with finer cells where the solution is steep; the same if that fails."""
    setup = refined(coarse.steady)
    discrete = Discretisation(setup.problem, setup.case.solver.degree, setup.case.solver.quadrature_degree)
    say(f"  {setup.problem.domain.cells} cells instead of {coarse.setup.problem.domain.cells}, finer where it is steep")
    transfer(coarse.discretisation, discrete)
    with OptionsDatabase(petsc_options) as database, SteadySolver(discrete, database, settings, say) as solver:
        try:
            report = solver.solve(near=True)
        except ConvergenceError:
            return coarse
        options = database.effective(), database.unused()
    report.add(coarse.report)
    return Solution(setup, discrete, report, True, coarse.seconds, *options, command_line=petsc_options)


def _to_accuracy(
    first: Solution, settings: SolverSettings, petsc_options: Sequence[str], say: Callable[[str], None]
) -> Solution:
    """Solve on finer and finer cells until the case's goals are accurate."""
    found = refine_to_accuracy(first.steady, settings, petsc_options, say)
    options = found.options or (first.petsc_options, first.unused_petsc_options)
    steady = found.steady
    return Solution(
        steady.setup, steady.shared, steady.report, True, first.seconds, *options, refinement=found.refinement
    )


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        LOGGER.debug("%s: %.3f s", name, now - self._last)
        self._last = now
