"""Chunks over the workers of a Dask cluster, by the address of its scheduler."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.studies.sweeps.futures import completed
from pnp_exclusion.studies.sweeps.plan import Chunk, Work
from pnp_exclusion.studies.sweeps.record import Outcome, lost

if TYPE_CHECKING:
    from pnp_exclusion.studies.sweeps.station import Station

PATIENCE = "20s"
"""For the scheduler to answer."""

_one_at_a_time = threading.Lock()
"""PETSc is not made for threads, of which Dask gives a worker several."""
_station: tuple[str, Station] | None = None
"""Of this process, with the sweep that it serves."""


class SchedulerLostError(PnpExclusionError):
    """A Dask scheduler that ended, or was cut off, before the sweep was done."""


def over_dask(work: Work, chunks: Iterator[Chunk], address: str, interruption: Interruption) -> Generator[Outcome]:
    """Solve chunks on the workers of a scheduler; yield what comes of each as it comes in.

    A chunk that Dask gives up, because workers died over it, is recorded as failed. `UsageError` if the scheduler does
    not answer or Dask is not installed, `SchedulerLostError` if it ends meanwhile.
    """
    try:
        from distributed import Client
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise UsageError('--dask needs the package distributed: pip install "pnp-exclusion[dask]"') from None
    try:
        client = Client(address, timeout=PATIENCE)
    except Exception as error:  # noqa: BLE001 - whatever is at the address may answer anything
        raise UsageError(f'no Dask scheduler answers at "{address}": {error}') from None
    with client:
        tasks = {client.submit(_solve, work, chunk, pure=False): chunk for chunk in chunks}
        with closing(completed(tasks, interruption)) as done:
            for future in done:
                chunk = tasks.pop(future)
                try:
                    yield future.result()
                except KilledWorker:
                    yield lost(chunk, work)
                except FutureCancelledError:
                    raise SchedulerLostError(
                        f'the Dask scheduler at "{address}" is gone; the same command goes on from what is on disk'
                    ) from None


def _solve(work: Work, chunk: Chunk) -> Outcome:
    with _one_at_a_time:
        return _station_for(work).solve(chunk)


def _station_for(work: Work) -> Station:
    global _station
    if _station is None or _station[0] != work.fingerprint:
        from pnp_exclusion.runtime import fenicsx

        fenicsx.initialise_petsc(work.petsc_options)
        from pnp_exclusion.studies.sweeps.station import Station

        _leave_station()
        _station = (work.fingerprint, Station(work))
        atexit.register(_leave_station)
    return _station[1]


def _leave_station() -> None:
    global _station
    if _station is not None:
        _station[1].close()
        _station = None
