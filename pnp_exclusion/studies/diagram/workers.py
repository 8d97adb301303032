"""The solves of diagrams, in this process or shared out among others, each with a workbench of its own."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Self

import numpy as np

from pnp_exclusion.errors import PnpExclusionError
from pnp_exclusion.runtime.signals import kept_from_children
from pnp_exclusion.studies.diagram.begin import begin
from pnp_exclusion.studies.diagram.plane import Plane
from pnp_exclusion.studies.diagram.readings import Reading, Station
from pnp_exclusion.studies.diagram.samples import Array

BATCH = 8
"""Points handed to a process at a time: neighbours, which start from each other."""

type Read = Callable[[Array], list[Reading]]

_serials = itertools.count()
_station: tuple[int, Station] | None = None
"""Of this process, with the number of its task: one workbench at a time."""


class WorkerError(PnpExclusionError):
    """A worker process that ended before its work was done."""


class Workers:
    """Solves in ``count`` processes, in this one if that is 1; a context.

    If a process dies, they are all replaced, once, and what they had not done yet is done again.
    """

    def __init__(self, count: int = 1, petsc_options: Sequence[str] = ()) -> None:
        self._count = count
        self._options = tuple(petsc_options)
        self._pool = self._new_pool() if count > 1 else None
        self._replaced = False
        self._children: set[Any] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        _leave_station()
        if kind is not None:
            for child in self._children:
                child.kill()  # nothing that it still does is wanted
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def reader(self, plane: Plane, tell: Callable[[int], None] = lambda count: None) -> Read:
        """A function that reads points (n, 2) of the unit square of a plane, in their order.

        ``tell`` is called with the number of new readings as they come in. `WorkerError` if processes die twice.
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
        done = 0
        while done < len(batches):
            futures: list[Future[list[Reading]]] = []
            try:
                with self._starting():
                    for batch in batches[done:]:
                        futures.append(self._pool.submit(_read, serial, plane, self._options, batch))
                for future in futures:
                    readings = future.result()
                    done += 1
                    yield readings
            except BrokenProcessPool:
                if self._replaced:
                    message = "worker processes ended before their work was done, twice; was there memory enough?"
                    raise WorkerError(message) from None
                self._pool, self._replaced = self._new_pool(), True
            finally:
                for future in futures:
                    future.cancel()

    def _new_pool(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._count, context, initializer=begin, initargs=(self._options,))

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        """Let the pool start processes, which it does as work comes in."""
        others = set(multiprocessing.active_children())
        with kept_from_children():
            try:
                yield
            finally:
                self._children |= set(multiprocessing.active_children()) - others


def _read(serial: int, plane: Plane, petsc_options: tuple[str, ...], points: Array) -> list[Reading]:
    global _station
    if _station is None or _station[0] != serial:
        _leave_station()
        _station = (serial, Station(plane, petsc_options))
    return [_station[1].read(point) for point in points]


def _leave_station() -> None:
    global _station
    if _station is not None:
        _station[1].close()
        _station = None
