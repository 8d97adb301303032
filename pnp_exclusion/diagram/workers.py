"""The solves of diagrams, in this process or shared out among others, each with a workbench of its own."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Self

import numpy as np

from pnp_exclusion.diagram.plane import Plane
from pnp_exclusion.diagram.readings import Reading, Station
from pnp_exclusion.diagram.samples import Array
from pnp_exclusion.errors import PnpExclusionError
from pnp_exclusion.fenicsx import initialise_petsc

BATCH = 8
"""Points handed to a process at a time: neighbours, which start from each other."""

type Read = Callable[[Array], list[Reading]]

_serials = itertools.count()
_station: tuple[int, Station] | None = None
"""Of this process, with the number of its task: one workbench at a time."""


class WorkerError(PnpExclusionError):
    """A worker process that ended before its work was done."""


class Workers:
    """Solves in ``count`` processes, in this one if that is 1; a context."""

    def __init__(self, count: int = 1, petsc_options: Sequence[str] = ()) -> None:
        self._options = tuple(petsc_options)
        self._pool = None
        if count > 1:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(count, context, initializer=initialise_petsc, initargs=(self._options,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _leave_station()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def reader(self, plane: Plane, tell: Callable[[int], None] = lambda count: None) -> Read:
        """A function that reads points (n, 2) of the unit square of a plane, in their order.

        ``tell`` is called with the number of new readings as they come in. `WorkerError` if a process dies.
        """
        serial = next(_serials)

        def read(points: Array) -> list[Reading]:
            readings: list[Reading] = []
            for batch in self._batches(serial, plane, points):
                readings += batch
                tell(len(batch))
            return readings

        return read

    def _batches(self, serial: int, plane: Plane, points: Array) -> Iterator[list[Reading]]:
        batches = np.array_split(points, max(1, -(-len(points) // BATCH)))
        if self._pool is None:
            yield from (_read(serial, plane, self._options, batch) for batch in batches)
            return
        futures = [self._pool.submit(_read, serial, plane, self._options, batch) for batch in batches]
        try:
            yield from (future.result() for future in futures)
        except BrokenProcessPool:
            raise WorkerError("a worker process ended before its work was done; was there memory enough?") from None
        finally:
            for future in futures:
                future.cancel()


def _read(serial: int, plane: Plane, petsc_options: tuple[str, ...], points: Array) -> list[Reading]:
    global _station
    if multiprocessing.parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C goes to the whole group; the parent ends this one
    if _station is None or _station[0] != serial:
        _leave_station()
        _station = (serial, Station(plane, petsc_options))
    return [_station[1].read(point) for point in points]


def _leave_station() -> None:
    global _station
    if _station is not None:
        _station[1].close()
        _station = None
