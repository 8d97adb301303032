"""Processes on one machine that do items of work, and survive the death of one of them.

Each has a pipe of its own, so that one that is killed (by hand, or by a kernel short of memory) is noticed at once and
nobody waits for it: what it was at is done again by a new one, once. A Ctrl-C, which goes to the whole group, and
SIGTERM are for the parent alone, which asks the others to stop; they also stop once the parent is gone.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawArray
from typing import Any

from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.runtime.launcher import LAUNCHER_VARIABLES
from pnp_exclusion.runtime.signals import kept_from_children, listen

POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0
"""For a worker without further work to end by itself."""
MOST_DEATHS = 1
"""Of workers at one item, for which it is done again."""

type Stopped = Callable[[], bool]
"""Says to a worker whether it is asked to stop."""
type Bench[Item, Result] = Callable[[Stopped], AbstractContextManager[Callable[[Item], Result]]]
"""What a worker builds once, as it starts: a context of the function that does an item. Must be picklable."""


class WorkerFailedError(Exception):
    """An unexpected error in a worker process, with its traceback."""


def results_of[Item, Result](
    bench: Bench[Item, Result],
    items: Iterable[Item],
    workers: int,
    *,
    asked: Callable[[], bool],
    given_up: Callable[[Item, str], Result],
    patience: float = math.inf,
) -> Generator[Result]:
    """Do items in so many processes; yield what comes of each as it comes in.

    asked
        Looked at several times a second: whether to stop. Then no item is begun, and those at work have ``patience``
        (in seconds) to return what they have.
    given_up
        Makes the result of an item at which a second worker died, from how it ended; or raises.

    `PnpExclusionError` and `ValueError` of an item are raised here, anything else as `WorkerFailedError`; no process
    outlives the generator. `UsageError` in a script that lacks ``if __name__ == "__main__":``.
    """
    crew = _Crew(bench, items, given_up)
    try:
        crew.hire(workers)
        while crew.busy and not asked():
            yield from crew.hear()
        crew.stop()
        until = time.monotonic() + patience
        while crew.busy and time.monotonic() < until:
            asked()
            yield from crew.hear()
    finally:
        crew.dismiss()


@dataclass
class _Worker:
    process: Any
    connection: Connection
    number: int
    item: Any
    """What it is at, and which of all this is."""
    started: bool = False


class _Crew:
    def __init__(self, bench: Bench[Any, Any], items: Iterable[Any], given_up: Callable[[Any, str], Any]) -> None:
        self._bench = bench
        self._items: Iterator[tuple[int, Any]] = enumerate(items)
        self._given_up = given_up
        self._stop = RawArray("b", 1)  # without a lock, which a dead worker could hold
        self._deaths: Counter[int] = Counter()
        self._leaving: list[Any] = []
        self.busy: dict[Connection, _Worker] = {}

    def hire(self, count: int) -> None:
        """Start so many workers, or fewer if there are no more items."""
        for _, (number, item) in zip(range(count), self._items, strict=False):
            self._hire_for(number, item)

    def hear(self) -> Generator[Any]:
        """Yield what comes in; give those who sent it the next item."""
        for connection in wait(list(self.busy), POLL_SECONDS):
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
            result, error = answer
            if error is not None:
                self._leave(worker)
                raise error
            yield result
            self._give_next(worker)

    def stop(self) -> None:
        """Ask all at work to return what they have; begin nothing more."""
        self._stop[0] = 1
        self._items = iter(())

    def dismiss(self) -> None:
        """End every process, by force if it does not hear; nothing that they still do is wanted."""
        self.stop()
        for worker in self.busy.values():
            _end(worker)
        until = time.monotonic() + GRACE_SECONDS
        for process in self._leaving:
            process.join(max(0.0, until - time.monotonic()))
            process.kill()
            process.join()

    def _give_next(self, worker: _Worker) -> None:
        following = next(self._items, None)
        if following is None:
            self._leave(worker)
            return
        worker.number, worker.item = following
        self._give(worker)

    def _leave(self, worker: _Worker) -> None:
        worker.connection.close()
        self._leaving.append(worker.process)

    def _give(self, worker: _Worker) -> None:
        # one that is dead already is found out when it is listened to
        with contextlib.suppress(OSError):
            worker.connection.send(worker.item)
        self.busy[worker.connection] = worker

    def _hire_for(self, number: int, item: Any) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self._bench, theirs, self._stop), daemon=True)
        with _started_apart():
            process.start()
        theirs.close()
        self._give(_Worker(process, ours, number, item))

    def _mourn(self, worker: _Worker) -> Generator[Any]:
        worker.process.join(GRACE_SECONDS)
        code = worker.process.exitcode
        _end(worker)
        if self._stop[0]:
            return
        if not worker.started and code is not None and code > 0:
            raise UsageError(
                f"worker processes end as they start (exit code {code}); a script that asks for workers must do so "
                'under if __name__ == "__main__":'
            )
        self._deaths[worker.number] += 1
        if self._deaths[worker.number] <= MOST_DEATHS:
            self._hire_for(worker.number, worker.item)
            return
        yield self._given_up(worker.item, _ending(code))
        self.hire(1)


def _end(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.kill()
    worker.process.join()


def _ending(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "SIGKILL: if memory has run out, take fewer workers"
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


@contextlib.contextmanager
def _started_apart() -> Iterator[None]:
    """Start a process that is deaf to signals, which are for this one, and that is no rank of a launcher."""
    with kept_from_children():
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(LAUNCHER_VARIABLES)}
        try:
            yield
        finally:
            os.environ.update(hidden)


def _serve(bench: Bench[Any, Any], connection: Connection, stop: Any) -> None:
    """Do items until there are no more."""
    listen()
    parent = multiprocessing.parent_process()
    assert parent is not None
    # a pipe that fails says that there is no more to do, or nobody who listens
    with bench(lambda: bool(stop[0]) or not parent.is_alive()) as do, contextlib.suppress(EOFError, OSError):
        connection.send(None)
        while True:
            connection.send(_answer(do, connection.recv()))


def _answer(do: Callable[[Any], Any], item: Any) -> tuple[Any, Exception | None]:
    try:
        return do(item), None
    except (PnpExclusionError, ValueError) as error:
        error.add_note(traceback.format_exc())
        return None, error
    except Exception:  # noqa: BLE001 - told in full by the parent
        return None, WorkerFailedError(traceback.format_exc())
