"""Worker processes that survive the death of one of them.

Each has a pipe of its own, so that one that is killed (by hand, or by a kernel short of memory) is noticed at once and
nobody waits for it: what it was at is done again by a new one, and a second death over the same item ends the run. The
standard executor instead joins its other workers, which do not hear its SIGTERM.
"""

import multiprocessing
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawArray
from typing import Any

POLL_SECONDS = 0.2
GRACE_SECONDS = 2.0
"""In which a worker without further work ends by itself."""
MOST_DEATHS = 1
"""Of workers at one item, for which it is done again."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class WorkerDiedError(RuntimeError):
    """Worker processes died over the same item again and again."""


@dataclass
class Monitor:
    """What a replica is given: where to say how far it is, and whether it has been asked to stop.

    ``say(fraction)`` may be called at any rate.
    """

    stopped: Callable[[], bool]
    say: Callable[[float], None]


Task = Callable[[Any, Monitor], Any]


@dataclass(frozen=True)
class Board:
    """Memory that all processes see, without locks that a dead one could hold: a request to stop, and how far items
    are."""

    stop: Any
    fractions: Any


def run_in_processes(
    task: Task, items: Sequence[Any], workers: int, flag: threading.Event, tell: Callable[[float], None]
) -> list[Any]:
    """Run ``task(item, monitor)`` for every item on so many processes; results in the order of the items.

    Once ``flag`` is set the items at work return what they have and those not begun are left out. ``tell`` is called a
    few times a second with the number of items done, in fractions. Raises the `ValueError` of any item, and
    `WorkerDiedError`.
    """
    crew = _Crew(task, items)
    try:
        for _ in range(min(workers, len(items))):
            crew.hire()
        while crew.busy:
            for connection in wait(list(crew.busy), POLL_SECONDS):
                assert isinstance(connection, Connection)
                crew.hear(connection)
            if flag.is_set():
                crew.stop()
            tell(sum(crew.board.fractions))
        return [crew.results[index] for index in sorted(crew.results)]
    finally:
        crew.dismiss()


class _Crew:
    def __init__(self, task: Task, items: Sequence[Any]) -> None:
        self.task, self.items = task, items
        self.board = Board(RawArray("b", 1), RawArray("d", len(items)))
        self.waiting = deque(range(len(items)))
        self.busy: dict[Connection, tuple[Any, int]] = {}
        self.results: dict[int, Any] = {}
        self.deaths: Counter[int] = Counter()
        self.hired: list[Any] = []

    def hire(self) -> None:
        """Start a process and give it the next item."""
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_serve, args=(self.board, theirs))
        with _signals_held_back():
            process.start()
        theirs.close()
        self.hired.append(process)
        self._give(process, ours)

    def hear(self, connection: Connection) -> None:
        """Take what a process sends: a result, a refusal, or its end."""
        process, index = self.busy.pop(connection)
        try:
            result, refusal = connection.recv()
        except (EOFError, OSError):
            connection.close()
            self._mourn(process, index)
            return
        if refusal is not None:
            connection.close()
            raise refusal
        self.results[index] = result
        self._give(process, connection)

    def stop(self) -> None:
        """Ask all at work to return what they have; begin nothing more."""
        self.board.stop[0] = 1
        self.waiting.clear()

    def dismiss(self) -> None:
        """End every process, by force if it does not hear; nothing that they still do is wanted."""
        self.stop()
        for connection in self.busy:
            connection.close()
        for process in self.hired:
            process.join(GRACE_SECONDS)
            process.kill()
            process.join()

    def _give(self, process: Any, connection: Connection) -> None:
        if not self.waiting:
            connection.close()
            return
        index = self.waiting.popleft()
        self.busy[connection] = process, index
        try:
            connection.send((self.task, index, self.items[index]))
        except OSError:
            # it died meanwhile
            del self.busy[connection]
            connection.close()
            self._mourn(process, index)

    def _mourn(self, process: Any, index: int) -> None:
        process.kill()
        process.join()
        self.deaths[index] += 1
        if self.deaths[index] > MOST_DEATHS:
            raise WorkerDiedError(
                f"worker processes ended {self.deaths[index]} times at the same copy, the last by "
                f"{_ending(process.exitcode)}"
            )
        if not self.board.stop[0]:
            self.waiting.appendleft(index)
            self.hire()


def _ending(exitcode: int) -> str:
    if exitcode == -signal.SIGKILL:
        return "SIGKILL: if memory has run out, take fewer workers"
    return signal.Signals(-exitcode).name if exitcode < 0 else f"exit code {exitcode}"


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Hold back what would interrupt: a process started meanwhile is born deaf to it, and this one hears it later."""
    # started on demand otherwise, and unblocking the signals by the way
    resource_tracker.ensure_running()
    former = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _serve(board: Board, connection: Connection) -> None:
    """Run items until there are no more."""
    # a signal to the whole group is for the parent, which passes it on through the board
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    parent = multiprocessing.parent_process()
    assert parent is not None
    while True:
        try:
            task, index, item = connection.recv()
        except (EOFError, OSError):
            return

        def say(fraction: float, index: int = index) -> None:
            board.fractions[index] = fraction

        # SIGTERM is ignored here, so a replica whose parent is gone has to notice by itself
        monitor = Monitor(lambda: bool(board.stop[0]) or not parent.is_alive(), say)
        outcome: tuple[Any, ValueError | None]
        try:
            outcome = task(item, monitor), None
            say(1.0)
        except ValueError as error:
            outcome = None, error
        try:
            connection.send(outcome)
        except OSError:
            # nobody listens any more
            return
