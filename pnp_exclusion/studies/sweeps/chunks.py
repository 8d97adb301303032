"""The solver of chunks: the workbenches of one process, or of one group of ranks; and the task of a worker."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from mpi4py import MPI
from petsc4py import PETSc

from pnp_exclusion.errors import CaseError, ConvergenceError, LawError
from pnp_exclusion.runtime.fenicsx import initialise_petsc
from pnp_exclusion.runtime.worker import stop_requested, worker_state
from pnp_exclusion.solver.linear.presets import petsc_message
from pnp_exclusion.studies.neighbours import Neighbours
from pnp_exclusion.studies.sweeps.coupling import analysed
from pnp_exclusion.studies.sweeps.noise import noise_of_point
from pnp_exclusion.studies.sweeps.plan import Chunk, Point, Work
from pnp_exclusion.studies.sweeps.record import Outcome, Record, failure, record_of
from pnp_exclusion.studies.workbench import Workbench

MOST_WORKBENCHES = 3
"""Kept by a process at a time: chunks of one group follow one another, but for the seams."""


class ChunkSolver:
    """Solves chunks, building each group's workbench once; `close` frees them.

    stopped
        Asked between points; once it says yes, a chunk returns what it has. Collective over ``comm``.
    """

    def __init__(
        self,
        work: Work,
        comm: MPI.Comm = MPI.COMM_SELF,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._cases = work.cases
        self._petsc_options = work.petsc_options
        self._coupling = work.coupling
        self._noise = work.noise
        self._comm = comm
        self._stopped = stopped
        self._workbenches: OrderedDict[int, Workbench] = OrderedDict()

    def close(self) -> None:
        """Free the workbenches."""
        while self._workbenches:
            self._workbenches.popitem()[1].close()

    def solve(self, chunk: Chunk) -> Outcome:
        """Solve the points of a chunk in turn; one that has no solution is recorded with the reason."""
        begun = time.perf_counter()
        records: list[Record] = []
        solved = Neighbours()
        for point in chunk.points:
            if self._stopped():
                break
            try:
                records.append(self._solve(chunk, point, solved))
            except (ConvergenceError, CaseError, LawError) as error:
                records.append(failure(point, self._cases.drivings, str(error)))
            except PETSc.Error as error:
                records.append(failure(point, self._cases.drivings, f"PETSc stopped: {petsc_message(error)}"))
            except KeyboardInterrupt:
                if not self._stopped():
                    raise
                break
        bench = self._workbenches.get(chunk.group.number)
        return Outcome(chunk.number, records, time.perf_counter() - begun, bench.warnings if bench else ())

    def _solve(self, chunk: Chunk, point: Point, solved: Neighbours) -> Record:
        case = self._cases.case(point.coordinates)
        workbench = self._workbench(chunk)
        start = solved.start(point.position)
        if start is None:
            # what the workbench remembers of other chunks must leave no trace
            workbench.forget()
        solution = workbench.solve(case, start)
        record = record_of(point, self._cases.drivings, solution)
        solved.add(point.position, solution.state)
        if self._coupling is not None:
            record["coupling"] = analysed(solution, self._coupling, self._petsc_options)
        if self._noise:
            record |= noise_of_point(solution)
        return record

    def _workbench(self, chunk: Chunk) -> Workbench:
        group = chunk.group
        if group.number not in self._workbenches:
            if len(self._workbenches) >= MOST_WORKBENCHES:
                self._workbenches.popitem(last=False)[1].close()
            first, *others = [self._cases.case(coordinates) for coordinates in group.mesh]
            self._workbenches[group.number] = Workbench(
                first, self._comm, also=others, petsc_options=self._petsc_options
            )
        self._workbenches.move_to_end(group.number)
        return self._workbenches[group.number]


def solve_chunk(work: Work, chunk: Chunk) -> Outcome:
    """Solve a chunk in whichever process this is, which keeps its workbenches for the next one."""

    def build() -> ChunkSolver:
        initialise_petsc(work.petsc_options)
        return ChunkSolver(work, stopped=stop_requested)

    with worker_state(work.fingerprint, build) as solver:
        return solver.solve(chunk)
