"""Chunks over processes on one machine. One that is killed is replaced, and its chunk done again, once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial

from pnp_exclusion.runtime import fenicsx
from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.runtime.workers import Stopped, results_of
from pnp_exclusion.studies.sweeps.interruption import GRACE_SECONDS
from pnp_exclusion.studies.sweeps.plan import Chunk, Work
from pnp_exclusion.studies.sweeps.record import Outcome, lost


def over_processes(work: Work, chunks: Iterator[Chunk], workers: int, interruption: Interruption) -> Generator[Outcome]:
    """Solve chunks in ``workers`` processes; yield what comes of each as it comes in.

    A chunk at which two workers died is recorded as failed.
    """
    return results_of(
        partial(_solving, work),
        chunks,
        workers,
        asked=interruption.stopped,
        given_up=lambda chunk, ending: lost(chunk, work),
        patience=GRACE_SECONDS,
    )


@contextmanager
def _solving(work: Work, stopped: Stopped) -> Iterator[Callable[[Chunk], Outcome]]:
    fenicsx.initialise_petsc(work.petsc_options)
    from pnp_exclusion.studies.sweeps.station import Station

    with Station(work, stopped=stopped) as station:
        yield station.solve
