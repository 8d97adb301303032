"""Chunks over processes on one machine. One that is killed is replaced, and its chunk done again, once."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawArray
from typing import Any

from pnp_exclusion import fenicsx
from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.sweeps.interruption import GRACE_SECONDS, SIGNALS, Interruption
from pnp_exclusion.sweeps.plan import Chunk, Work
from pnp_exclusion.sweeps.record import WORKER_DIED, Outcome, failure

POLL_SECONDS = 0.2
LAUNCHER = ("PMI_", "PMIX_", "HYDRA_", "HYDI_", "OMPI_", "MPI_LOCAL", "MPIEXEC_")
"""Beginnings of the variables by which an MPI launcher knows its ranks; a worker is none of them."""


class WorkerFailedError(Exception):
    """An unexpected error in a worker process, with its traceback."""


@dataclass
class _Worker:
    process: Any
    connection: Connection
    chunk: Chunk
    started: bool = False


def over_processes(work: Work, chunks: Iterator[Chunk], workers: int, interruption: Interruption) -> Generator[Outcome]:
    """Solve chunks in ``workers`` processes; yield what comes of each as it comes in.

    A chunk at which two workers died is recorded as failed.
    """
    crew = _Crew(work, chunks)
    try:
        crew.hire(workers)
        while crew.busy and not interruption.asked:
            yield from crew.hear(POLL_SECONDS)
        yield from crew.stop()
    finally:
        crew.dismiss()


class _Crew:
    def __init__(self, work: Work, chunks: Iterator[Chunk]) -> None:
        self._work = work
        self._chunks = chunks
        self._stop = RawArray("b", 1)
        self._context = multiprocessing.get_context("spawn")
        self._bereaved: set[int] = set()
        self.busy: dict[Connection, _Worker] = {}

    def hire(self, count: int) -> None:
        """Start so many workers, or fewer if there are no more chunks."""
        for _, chunk in zip(range(count), self._chunks, strict=False):
            self._hire_for(chunk)

    def hear(self, seconds: float) -> Generator[Outcome]:
        """Yield what comes in; give those who sent it the next chunk."""
        for connection in wait(list(self.busy), seconds):
            assert isinstance(connection, Connection)
            worker = self.busy.pop(connection)
            try:
                answer = connection.recv()
            except (EOFError, OSError):
                yield from self._mourn(worker)
                continue
            if answer is None:
                worker.started = True
                self.busy[connection] = worker
                continue
            if isinstance(answer, PnpExclusionError):
                raise answer
            if isinstance(answer, str):
                raise WorkerFailedError(answer)
            yield answer
            self._give_next(worker)

    def stop(self) -> Generator[Outcome]:
        """Ask all at work to return what they have, and yield it."""
        self._stop[0] = 1
        self._chunks = iter(())
        until = time.monotonic() + GRACE_SECONDS
        while self.busy and time.monotonic() < until:
            yield from self.hear(POLL_SECONDS)

    def dismiss(self) -> None:
        """End those still at work, by force; nothing that they do is wanted."""
        for worker in self.busy.values():
            _end(worker)

    def _give_next(self, worker: _Worker) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            worker.connection.close()
            worker.process.join(GRACE_SECONDS)
            worker.process.kill()
            return
        worker.chunk = chunk
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        # one that is dead already is found out when it is listened to
        with contextlib.suppress(OSError):
            worker.connection.send(worker.chunk)
        self.busy[worker.connection] = worker

    def _hire_for(self, chunk: Chunk) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._work, theirs, self._stop), daemon=True)
        with _started_apart():
            process.start()
        theirs.close()
        self._give(_Worker(process, ours, chunk))

    def _mourn(self, worker: _Worker) -> Generator[Outcome]:
        worker.process.join(GRACE_SECONDS)
        code = worker.process.exitcode
        _end(worker)
        chunk = worker.chunk
        if self._stop[0]:
            return
        if not worker.started and code is not None and code > 0:
            raise UsageError(
                f"worker processes end as they start (exit code {code}); a script that asks for workers must do so "
                'under if __name__ == "__main__":'
            )
        if chunk.number not in self._bereaved:
            self._bereaved.add(chunk.number)
            self._hire_for(chunk)
            return
        drivings = self._work.cases.drivings
        yield Outcome(chunk.number, [failure(point, drivings, WORKER_DIED) for point in chunk.points])
        self.hire(1)


def _end(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.kill()
    worker.process.join()


@contextlib.contextmanager
def _started_apart() -> Iterator[None]:
    """Start a process that is deaf to signals, which are for this one, and that is no rank of a launcher."""
    # started on demand otherwise, and unblocking the signals by the way
    resource_tracker.ensure_running()
    former = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(LAUNCHER)}
    try:
        yield
    finally:
        os.environ.update(hidden)
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _serve(work: Work, connection: Connection, stop: Any) -> None:
    """Solve chunks until there are no more."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    parent = multiprocessing.parent_process()
    assert parent is not None
    fenicsx.initialise_petsc(work.petsc_options)
    from pnp_exclusion.sweeps.station import Station

    # a signal to the whole group is ignored here, so one whose parent is gone has to notice by itself
    with Station(work, stopped=lambda: bool(stop[0]) or not parent.is_alive()) as station:
        connection.send(None)
        while True:
            try:
                chunk = connection.recv()
            except (EOFError, OSError):
                return
            try:
                answer: Any = station.solve(chunk)
            except PnpExclusionError as error:
                answer = error
            except Exception:  # noqa: BLE001 - told in full by the parent
                answer = traceback.format_exc()
            try:
                connection.send(answer)
            except OSError:
                # nobody listens any more
                return
