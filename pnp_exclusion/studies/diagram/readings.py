"""What is read off the steady state of one case of a diagram, and who solves many of them: this process, or others."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

from mpi4py import MPI

import numpy as np

from pnp_exclusion.case.case import Case
from pnp_exclusion.errors import CaseError, ConvergenceError
from pnp_exclusion.runtime.fenicsx import initialise_petsc
from pnp_exclusion.runtime.pool import results_of
from pnp_exclusion.runtime.worker import worker_state
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import solve_quietly
from pnp_exclusion.studies.diagram.ends import flowing
from pnp_exclusion.studies.diagram.plane import Plane
from pnp_exclusion.studies.diagram.samples import Array
from pnp_exclusion.studies.neighbours import Neighbours
from pnp_exclusion.studies.workbench import Workbench

BATCH = 8
"""Points handed to a worker at a time: neighbours, which start from each other."""


@dataclass(frozen=True)
class Reading:
    """A steady state between two reservoirs, from the first to the second; one value for everything that flows.

    excess
        Its current in units of what one kT more of its own force would drive through the same profile,
        ``J_a / (<M^-1>^-1)_aa``: by docs/theory.md#master-identity that is the force beyond the one at which the
        species stands still, in kT. It vanishes with the current and is a smoother function of the drivings; above
        one dimension the current over the mean flux. nan if the solve failed.
    current
        In ``unit``.
    force
        kT.
    regime
        One of docs/theory.md#regimes.
    failure
        Why there is no state, or no noise where that is asked for; empty if there is one.
    fano, electric_fano, correlation
        Of the noise at frequency zero: of every current, of the electric one, and the correlation coefficients of every
        pair of currents in the order of `itertools.combinations`. Empty and nan if they are not asked for.
    """

    excess: tuple[float, ...]
    current: tuple[float, ...] = ()
    force: tuple[float, ...] = ()
    regime: tuple[str, ...] = ()
    identity_residual: float | None = None
    unit: str = ""
    failure: str = ""
    fano: tuple[float, ...] = ()
    electric_fano: float = np.nan
    correlation: tuple[float, ...] = ()


def reading_of(solution: Solution) -> Reading:
    """Read a solution with two ends."""
    names = flowing(solution.case)
    currents, forces = solution.currents or {}, solution.forces or {}
    dimensionless, drives = solution.steady.currents or {}, _own_conductance(solution)
    return Reading(
        excess=tuple(float(dimensionless[name] / drives[name]) for name in names),
        current=tuple(float(currents[name]) for name in names),
        force=tuple(float(forces[name]) for name in names),
        regime=tuple(solution.regimes[name] or "" for name in names),
        identity_residual=solution.identity_residual,
        unit=solution.current_unit,
    )


def with_noise(reading: Reading, solution: Solution) -> Reading:
    """Return a reading with the noise of its solution at the first terminal; raises as `Solution.noise` does."""
    names, noise = flowing(solution.case), solution.noise([])
    first = noise.terminals[0]
    return replace(
        reading,
        fano=tuple(float(noise.fano[0, noise.quantities.index(name)]) for name in names),
        electric_fano=float(noise.electric_fano[0]),
        correlation=tuple(noise.correlation(first, one, other) for one, other in combinations(names, 2)),
    )


def _own_conductance(solution: Solution) -> dict[str, float]:
    """``(<M^-1>^-1)_aa``: the current of a species for one kT more of its own force, the profile being what it is."""
    if solution.steady.resistance is None:
        return solution.steady.mean_fluxes
    unit = np.sqrt(np.diagonal(solution.steady.resistance))
    conductance = np.diagonal(np.linalg.inv(solution.steady.resistance / np.outer(unit, unit))) / unit**2
    return dict(zip(solution.discretisation.problem.quantities, conductance.tolist(), strict=True))


class PlaneSolver:
    """Solves the cases of a plane one after the other on one workbench, each from the nearest state it has."""

    def __init__(self, plane: Plane, petsc_options: tuple[str, ...] = ()) -> None:
        self._plane = plane
        self._options = petsc_options
        self._workbench = self._made_workbench()
        self._solved = Neighbours()

    def close(self) -> None:
        """Free PETSc's objects."""
        if self._workbench is not None:
            self._workbench.close()

    def read(self, point: Array) -> Reading:
        """The reading at a point (2,) of the unit square; what makes it fail is told in it."""
        try:
            solution = self._solve(self._plane.case_at(point), point)
            reading = reading_of(solution)
            return with_noise(reading, solution) if self._plane.noise else reading
        except CaseError as error:
            reason = error.mistakes[0]
        except ConvergenceError as error:
            reason = str(error).splitlines()[0].removesuffix(". Tried:")
        return Reading((np.nan,) * len(flowing(self._plane.case)), failure=reason)

    def _solve(self, case: Case, point: Array) -> Solution:
        workbench = self._workbench
        if workbench is None or not workbench.fits(case):
            return solve_quietly(case, comm=MPI.COMM_SELF, petsc_options=self._options)
        place = tuple(point.tolist())
        solution = workbench.solve(case, self._solved.start(place))
        self._solved.add(place, solution.state)
        return solution

    def _made_workbench(self) -> Workbench | None:
        """A workbench with a mesh for the whole plane: its corners, of those that are cases, and its middle."""
        cases = []
        for place in ((0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
            try:
                cases.append(self._plane.case_at(np.array(place)))
            except CaseError:
                continue
        if not cases:
            return None
        return Workbench(cases[0], MPI.COMM_SELF, also=cases[1:], petsc_options=self._options)


def reader_of(
    plane: Plane,
    executor: Executor | None = None,
    petsc_options: Sequence[str] = (),
    tell: Callable[[int], None] = lambda count: None,
) -> Callable[[Array], list[Reading]]:
    """Return a function that reads points (n, 2) of the unit square of a plane, in their order.

    executor
        Solves them; this process if there is none.
    tell
        Called with the number of new readings as they come in.
    """
    # no two diagrams have the same key, whichever processes they are made in
    read_batch = partial(_read, uuid.uuid4().hex, plane, tuple(petsc_options))

    def read(points: Array) -> list[Reading]:
        batches = np.array_split(points, max(1, -(-len(points) // BATCH)))
        coming = enumerate(map(read_batch, batches)) if executor is None else results_of(executor, read_batch, batches)
        found: dict[int, list[Reading]] = {}
        for number, readings in coming:
            found[number] = readings
            tell(len(readings))
        return [reading for number in range(len(batches)) for reading in found[number]]

    return read


def _read(key: str, plane: Plane, petsc_options: tuple[str, ...], points: Array) -> list[Reading]:
    def build() -> PlaneSolver:
        initialise_petsc(petsc_options)
        return PlaneSolver(plane, petsc_options)

    with worker_state(key, build) as solver:
        return [solver.read(point) for point in points]
