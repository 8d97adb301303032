"""Groups of the ranks of one MPI job: all ranks as one, or the first rank hands out and groups of the others solve.

The ranks of a group solve a chunk together. That is what no executor does; their first ranks are the workers of one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Self, cast

from mpi4py import MPI
from mpi4py.futures import MPICommExecutor, MPIPoolExecutor

from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.runtime.pool import results_of
from pnp_exclusion.studies.sweeps.chunks import ChunkSolver
from pnp_exclusion.studies.sweeps.plan import Chunk, Work
from pnp_exclusion.studies.sweeps.record import Outcome

_group: Group | None = None
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


class Group:
    """A context on every rank of ``comm``: the first calls `solve`, the others `follow`."""

    def __init__(self, work: Work, comm: MPI.Comm, stopped: Callable[[], bool]) -> None:
        self._comm = comm
        self._own_stopped = stopped
        self._solver = ChunkSolver(work, comm, self._stopped)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._comm.rank == 0 and self._comm.size > 1:
            self._comm.bcast(None, root=0)
        self._solver.close()

    def solve(self, chunk: Chunk) -> Outcome:
        """Solve a chunk with all ranks."""
        if self._comm.size > 1:
            self._comm.bcast(chunk, root=0)
        return self._solver.solve(chunk)

    def follow(self) -> None:
        """Solve what the first rank says until it leaves."""
        while (chunk := self._comm.bcast(None, root=0)) is not None:
            # which the first rank meets too, and tells
            with contextlib.suppress(PnpExclusionError):
                self._solver.solve(chunk)

    def _stopped(self) -> bool:
        own = self._own_stopped()
        return own if self._comm.size == 1 else bool(self._comm.allreduce(own, op=MPI.LOR))


def in_turn(work: Work, chunks: Iterable[Chunk], comm: MPI.Comm, interruption: Interruption) -> Generator[Outcome]:
    """Solve chunk after chunk with all ranks of ``comm``; only its first rank yields what comes of them."""
    with Group(work, comm, interruption.stopped) as group:
        if comm.rank > 0:
            group.follow()
            return
        # one rank alone can leave a solve in the middle; of several, each would leave at another place
        ending = interruption.at_once if comm.size == 1 else contextlib.nullcontext
        for chunk in chunks:
            try:
                with ending():
                    outcome = group.solve(chunk)
            except KeyboardInterrupt:
                if not interruption.asked:
                    raise
                return
            yield outcome
            if interruption.asked:
                return


def over_groups(
    work: Work, chunks: Iterator[Chunk], comm: MPI.Intracomm, ranks_per_point: int, interruption: Interruption
) -> Generator[Outcome]:
    """Solve chunks on all ranks of ``comm`` but the first, which yields what comes of them; collective."""
    global _group
    number, position = divmod(comm.rank - 1, ranks_per_point)
    members = comm.Split(number if comm.rank else MPI.UNDEFINED, comm.rank)
    leading = comm.rank == 0 or position == 0
    leaders = cast(MPI.Intracomm, comm.Split(0 if leading else MPI.UNDEFINED, comm.rank))
    try:
        if comm.rank == 0:
            with MPICommExecutor(leaders, root=0) as executor:
                assert isinstance(executor, MPIPoolExecutor)
                for _, outcome in results_of(executor, _solve, chunks, asked=interruption.stopped):
                    yield outcome
            return
        with Group(work, members, interruption.stopped) as group:
            if not leading:
                group.follow()
                return
            _group = group
            with MPICommExecutor(leaders, root=0):
                # serves until the first rank is done
                pass
            _group = None
    finally:
        for split in (members, leaders):
            if split != MPI.COMM_NULL:
                split.Free()


def _solve(chunk: Chunk) -> Outcome:
    assert _group is not None
    return _group.solve(chunk)
