"""What only rank 0 may do, in a way that every rank learns how it went."""

from __future__ import annotations

from collections.abc import Callable

from mpi4py import MPI

from pnp_exclusion.errors import PnpExclusionError


def on_rank_zero[T](comm: MPI.Comm, work: Callable[[], T]) -> T:
    """Run ``work`` on rank 0 and return its result on every rank; an error of the package is raised on every rank."""
    result: T | None = None
    problem: PnpExclusionError | None = None
    if comm.rank == 0:
        try:
            result = work()
        except PnpExclusionError as error:
            problem = error
    result, problem = comm.bcast((result, problem), root=0)
    if problem is not None:
        raise problem
    return result
