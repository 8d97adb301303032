"""What one rank finds out and every rank must know."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable

from mpi4py import MPI

import numpy as np

from pnp_exclusion.errors import PnpExclusionError
from pnp_exclusion.runtime.launcher import LAUNCHER_DELAY


def on_rank_zero[T](comm: MPI.Comm, work: Callable[[], T]) -> T:
    """Run ``work`` on rank 0 and return its result on every rank; whatever it raises is raised on every rank."""
    result: T | None = None
    problem: Exception | None = None
    if comm.rank == 0:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - forwarded to all ranks and raised there
            problem = error
    if comm.size > 1:
        travelling = (
            problem if problem is None or isinstance(problem, PnpExclusionError) else RuntimeError(repr(problem))
        )
        result, received = comm.bcast((result, travelling), root=0)
        problem = problem or received
    if problem is not None:
        raise problem
    return result  # type: ignore[return-value]


def largest_over_ranks(comm: MPI.Comm, values: np.ndarray, least: float = 0.0) -> float:
    """Return the largest of the values of all ranks, at least ``least``; NaN on every rank if there is one on any.

    MPI's own maximum drops a NaN or not, depending on the order in which it meets the ranks.
    """
    own = float(values.max(initial=least))
    if comm.size == 1:
        return own
    found = np.array([least, 1.0] if np.isnan(own) else [own, 0.0])
    comm.Allreduce(MPI.IN_PLACE, found, op=MPI.MAX)
    return np.nan if found[1] else float(found[0])


def leaves_together(kind: type[BaseException] | None, comm: MPI.Comm) -> bool:
    """Whether all ranks leave a context at the same place, so that they can free PETSc's objects, together.

    An interruption, or a bug, meets them at different ones: they would wait for each other for ever. It ends the
    processes, and that frees everything.
    """
    return comm.size == 1 or kind is None or (issubclass(kind, PnpExclusionError) and kind.everywhere)


def end_all_ranks(comm: MPI.Comm, error: BaseException) -> None:
    """Tell of an error that one rank has met in the middle of common work, and end them all: they would wait for it."""
    print(f"pnp-exclusion: error on rank {comm.rank}", file=sys.stderr)
    traceback.print_exception(error)
    sys.stderr.flush()
    # what was just printed is lost if the launcher ends this rank before it has passed it on
    time.sleep(LAUNCHER_DELAY)
    comm.Abort(getattr(error, "exit_code", 1))
