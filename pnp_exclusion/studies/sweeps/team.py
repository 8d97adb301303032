"""One process, or a group of ranks, that solves chunks together; the first rank says which."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import Self

from mpi4py import MPI

from pnp_exclusion.errors import PnpExclusionError
from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.studies.sweeps.plan import Chunk, Work
from pnp_exclusion.studies.sweeps.record import Outcome
from pnp_exclusion.studies.sweeps.station import Station


class Team:
    """A context on every rank of ``comm``: the first calls `solve`, the others `follow`."""

    def __init__(self, work: Work, comm: MPI.Comm, stopped: Callable[[], bool]) -> None:
        self._comm = comm
        self._own_stopped = stopped
        self._station = Station(work, comm, self._stopped)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._comm.rank == 0 and self._comm.size > 1:
            self._comm.bcast(None, root=0)
        self._station.close()

    def solve(self, chunk: Chunk) -> Outcome:
        """Solve a chunk with all ranks."""
        if self._comm.size > 1:
            self._comm.bcast(chunk, root=0)
        return self._station.solve(chunk)

    def follow(self) -> None:
        """Solve what the first rank says until it leaves."""
        while (chunk := self._comm.bcast(None, root=0)) is not None:
            # which the first rank meets too, and tells
            with contextlib.suppress(PnpExclusionError):
                self._station.solve(chunk)

    def _stopped(self) -> bool:
        own = self._own_stopped()
        return own if self._comm.size == 1 else bool(self._comm.allreduce(own, op=MPI.LOR))


def in_turn(work: Work, chunks: Iterable[Chunk], comm: MPI.Comm, interruption: Interruption) -> Generator[Outcome]:
    """Solve chunk after chunk with all ranks of ``comm``; only its first rank yields what comes of them."""
    with Team(work, comm, interruption.stopped) as team:
        if comm.rank > 0:
            team.follow()
            return
        # one rank alone can leave a solve in the middle; of several, each would leave at another place
        ending = interruption.at_once if comm.size == 1 else contextlib.nullcontext
        for chunk in chunks:
            try:
                with ending():
                    outcome = team.solve(chunk)
            except KeyboardInterrupt:
                if not interruption.asked:
                    raise
                return
            yield outcome
            if interruption.asked:
                return
