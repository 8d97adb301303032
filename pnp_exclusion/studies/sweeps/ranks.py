"""Chunks over the ranks of one MPI job by `mpi4py.futures`: the first rank hands out, groups of the others solve."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import cast

from mpi4py import MPI
from mpi4py.futures import MPICommExecutor, MPIPoolExecutor

from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.studies.sweeps.futures import completed
from pnp_exclusion.studies.sweeps.plan import Chunk, Work
from pnp_exclusion.studies.sweeps.record import Outcome
from pnp_exclusion.studies.sweeps.team import Team

_team: Team | None = None
"""That this rank leads."""


def groups_of(ranks: int, ranks_per_point: int) -> int:
    """Return how many groups solve, 0 if all ranks together are one that nobody hands out to.

    `UsageError` if the ranks cannot be grouped so.
    """
    if ranks == ranks_per_point:
        return 0
    if (ranks - 1) % ranks_per_point or ranks < ranks_per_point:
        right = max(1, (ranks - 1) // ranks_per_point) * ranks_per_point + 1
        raise UsageError(
            f"--ranks-per-point {ranks_per_point} does not fit {ranks} ranks: one hands out, the others form groups; "
            f"start e.g. {right}, or {ranks_per_point} to solve one chunk after the other"
        )
    return (ranks - 1) // ranks_per_point


def over_ranks(
    work: Work, chunks: Iterator[Chunk], comm: MPI.Intracomm, ranks_per_point: int, interruption: Interruption
) -> Generator[Outcome]:
    """Solve chunks on all ranks of ``comm`` but the first, which yields what comes of them; collective."""
    global _team
    group = (comm.rank - 1) // ranks_per_point if comm.rank else MPI.UNDEFINED
    members = comm.Split(group, comm.rank)
    leading = comm.rank == 0 or (comm.rank - 1) % ranks_per_point == 0
    leaders = cast(MPI.Intracomm, comm.Split(0 if leading else MPI.UNDEFINED, comm.rank))
    try:
        if comm.rank == 0:
            yield from _hand_out(chunks, leaders, interruption)
            return
        with Team(work, members, interruption.stopped) as team:
            if not leading:
                team.follow()
                return
            _team = team
            with MPICommExecutor(leaders, root=0):
                # serves until the first rank is done
                pass
            _team = None
    finally:
        for split in (members, leaders):
            if split != MPI.COMM_NULL:
                split.Free()


def _hand_out(chunks: Iterator[Chunk], leaders: MPI.Intracomm, interruption: Interruption) -> Generator[Outcome]:
    with MPICommExecutor(leaders, root=0) as executor:
        assert isinstance(executor, MPIPoolExecutor)
        futures = (executor.submit(_solve, chunk) for chunk in chunks)
        with closing(completed(futures, interruption)) as done:
            for future in done:
                yield future.result()


def _solve(chunk: Chunk) -> Outcome:
    assert _team is not None
    return _team.solve(chunk)
