"""Many cases that differ in numbers only, on one mesh, with forms and solvers built once: what sweeps are made of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from mpi4py import MPI

from pnp_exclusion.case.base import Table, plain
from pnp_exclusion.case.boundary_tables import KINDS
from pnp_exclusion.case.build import build, setup_on
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.domain_tables import GivenMesh, Interval
from pnp_exclusion.case.law_tables import TABLES, Model
from pnp_exclusion.case.reaction_tables import Reaction
from pnp_exclusion.case.scales import scales_of
from pnp_exclusion.case.tables import CaseTables, Region, Species
from pnp_exclusion.discretisation.discretisation import Discretisation, State
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.physics.laws import Law
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solution.coarse_start import coarser_start
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import CaseLike, as_case, solve_quietly, with_petsc
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SteadySolver

NUMBERS: dict[str, frozenset[str]] = {
    "model": frozenset(key for table in TABLES.values() for key in table.numbers),
    "species": frozenset(Species.numbers),
    "domain": frozenset(Interval.numbers),
    "regions": frozenset(Region.numbers),
    "boundaries": frozenset(key for kind in KINDS for key in kind.numbers),
    "reactions": frozenset(Reaction.numbers),
}
"""Keys of a case whose values a compiled weak form takes as numbers; whether they are given at all is structure."""
PARAMETERS = frozenset(key for table in TABLES.values() for key in table.parameters)
"""Of laws: numbers too, but some values of theirs make another form, as ``kappa = 0`` does."""

STRUCTURAL = tuple(table for table in CaseTables.model_fields if table not in ("title", "output"))
"""Tables of a case that have more than words for people."""


class Workbench:
    """Solves cases that differ from the first one in numbers only; a context that frees PETSc's objects.

    case
        The first case, as whatever stands for one (`CaseLike`); `solve` takes it or any that `fits`.
    also
        Cases for which the mesh is made fine enough too: all, or those with the strongest driving forces.
    law
        A law written in Python, instead of the one that the cases name.
    petsc, progress
        As for `pnp_exclusion.solve`; no warnings are given, they are in `Solution.warnings`, and what is told of the
        mesh of all solutions in ``warnings``.
    petsc_options
        The options that PETSc was started with, as for `pnp_exclusion.solution.solve.solve_quietly`.

    Raises as `pnp_exclusion.case.build.build` does. All methods are collective over ``comm``.
    """

    def __init__(
        self,
        case: CaseLike,
        comm: MPI.Comm = MPI.COMM_SELF,
        *,
        also: Sequence[CaseLike] = (),
        law: Law | None = None,
        petsc: Mapping[str, str | float | int | bool] | None = None,
        petsc_options: Sequence[str] = (),
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._comm = comm
        self._law = law
        self._first = as_case(case)
        case = with_petsc(self._first, petsc or {})
        others = [as_case(other) for other in also]
        setup = build(case, comm, law, others)
        missed: list[str] = []
        if case.solver.accuracy is not None:
            # on the mesh that the first and the last of them need, one after the other
            for one in dict.fromkeys([0, len(others)]):
                needing = case if one == 0 else with_petsc(others[one - 1], petsc or {})
                solved = solve_quietly(
                    needing, law, comm=comm, petsc_options=petsc_options, progress=progress, on_mesh_of=setup
                )
                setup = setup_on(solved.setup.problem.domain, setup.scales, case, law)
                # nothing may flow at one end of a study
                sentences = [] if solved.refinement is None else solved.refinement.missed
                missed += [f"at the {'last' if one else 'first'} point: {sentence}" for sentence in sentences]
        self.warnings = tuple(missed)
        """Of the mesh, where it is not as accurate as ``[solver] accuracy``."""
        self._domain, self._length = setup.problem.domain, setup.scales.length
        self.discrete = Discretisation(setup.problem, case.solver.degree, case.solver.quadrature_degree)
        self._database = OptionsDatabase(petsc_options)
        self._command_line = tuple(petsc_options)
        say = progress if comm.rank == 0 else (lambda line: None)
        settings = replace(settings_of(case), repeated=True)
        # options are in force while this one builds or solves, so that several do not disturb each other
        with self._database:
            self._solver = SteadySolver(self.discrete, self._database, settings, say)
        self._coarser = coarser_start(setup, self.discrete, settings, petsc_options, say)
        self._effective: dict[str, str] | None = None
        self._unused: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self._comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects."""
        if self._coarser is not None:
            self._coarser.close()
        self._solver.close()

    def fits(self, case: CaseLike) -> bool:
        """Whether a case differs from the first one in numbers only."""
        case = as_case(case)
        # names of a mesh that Python has made do not tell it from others
        on_it = not isinstance(case.domain, GivenMesh) or case.domain is self._first.domain
        # nor does the name of a law that Python has registered anew
        of_it = self._law is not None or case.model.flux_law.exchange is self.discrete.problem.law.exchange
        return (
            on_it
            and of_it
            and all(_agree(table, getattr(self._first, table), getattr(case, table)) for table in STRUCTURAL)
        )

    def solve(self, case: CaseLike, start: State | None = None) -> Solution:
        """Return the steady state of a case that fits, starting from the state of a solution nearby if one is given.

        Raises `ConvergenceError` if there is
        none to be found, also not from the first guess, or the mesh cannot hold its layers; `ValueError` for a case
        that does not fit.
        """
        case = as_case(case)
        if not self.fits(case):
            raise ValueError("the case differs from that of the workbench in more than numbers")
        begun = time.perf_counter()
        discrete = self.discrete
        setup = setup_on(self._domain, scales_of(case, self._length), case, self._law)
        discrete.take(setup.problem)
        if start is not None:
            discrete.values[:] = start.values
            discrete.shift_potentials(start.problem.potential_reference - setup.problem.potential_reference)
        near = start is not None or (self._coarser is not None and self._coarser.fill(setup))
        with self._database:
            report = self._solver.solve(near)
            if self._effective is None:
                self._effective, self._unused = self._database.effective(), self._database.unused()
        seconds = {"solve": time.perf_counter() - begun}
        solution = Solution(
            setup, discrete, report, True, seconds, self._effective, self._unused, command_line=self._command_line
        )
        solution.refuse_unresolved()
        if not solution.converged:
            raise ConvergenceError("\n".join(solution.unresolved))
        return solution

    def forget(self) -> None:
        """Make the next solve without a start independent of the former ones to the last bit."""
        if self._coarser is not None:
            self._coarser.forget()
        with self._database:
            self._solver.forget()


def is_number(path: Sequence[str | int]) -> bool:
    """Whether what is at this place in the tables of a case, where it is a number, is no part of its structure."""
    table, *steps = path
    keys = [step for step in steps if isinstance(step, str)]
    if table == "model" and keys[0] in PARAMETERS:
        return False
    return keys[0] in NUMBERS.get(str(table), ()) or (table == "species" and keys[0] == "field" and "x" not in keys)


def structure_of(case: Case) -> str:
    """Return a text that is the same for two cases which differ in numbers only (`NUMBERS`, and imposed fields)."""
    return json.dumps({table: _structure(table, getattr(case, table)) for table in STRUCTURAL}, sort_keys=True)


def _agree(name: str, one: Any, other: Any) -> bool:
    """Whether two tables of a case, or arrays of them, differ in numbers only; those that are one object do not."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_agree(name, *pair) for pair in zip(one, other, strict=True))
    return one is other or _structure(name, one) == _structure(name, other)


def _structure(name: str, table: Any) -> Any:
    """Return what is more than numbers of a table of a case, or of an array of them."""
    if isinstance(table, list):
        return [_structure(name, entry) for entry in table]
    if not isinstance(table, Table):
        return table
    written = plain(table)
    for key in NUMBERS.get(name, ()):
        if key in written:
            written[key] = _without_values(written[key], getattr(table, key))
    if isinstance(table, Model):
        exchange = table.flux_law.exchange
        written["exchange"] = getattr(exchange, "__qualname__", type(exchange).__name__)
    if "field" in written:
        written["field"] = _shape_of_field(written["field"])
    return written


def _without_values(written: Any, value: Any) -> Any:
    """Names without what they stand for, and how many numbers there are in a list; a single value is just there.

    written, value
        As in the file, and as read: a table within a table says which of its keys are numbers, if some are not.
    """
    if isinstance(written, dict):
        numbers = getattr(value, "numbers", written)
        return {key: _without_values(one, None) if key in numbers else one for key, one in written.items()}
    return len(written) if isinstance(written, list) else True


def _shape_of_field(field: Any) -> Any:
    """A uniform field is a vector, whether it is written as one or not; the knots of a table are nodes of the mesh."""
    return field["x"] if isinstance(field, dict) else "uniform"
