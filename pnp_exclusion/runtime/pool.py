"""Tasks over an executor of `concurrent.futures`: one of the user's, or processes on this machine.

The processes survive the death of one of them. Each has a pipe of its own, so that one that is killed (by hand, or by a
kernel short of memory) is noticed at once: what it was at is done again by a new one, once. A Ctrl-C, which goes to the
whole group, and SIGTERM are for the parent alone, which asks the others to stop; they also stop once it is gone.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawValue
from typing import Any

from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.runtime.launcher import no_rank
from pnp_exclusion.runtime.signals import kept_from_children
from pnp_exclusion.runtime.worker import close_worker_state, serve

POLL_SECONDS = 0.2
PATIENCE = 5.0
"""Seconds for tasks at work to return what they have, once we are asked to stop."""
GRACE_SECONDS = 5.0
"""For a process without further work to end by itself."""
MOST_DEATHS = 1
"""Of processes at one task, for which it is done again."""
AHEAD = 1000
"""Tasks that an executor is given at a time: enough for any cluster, while the rest takes no memory yet."""


class WorkerDiedError(PnpExclusionError):
    """Worker processes died at the same task again and again."""


class ExecutorLostError(PnpExclusionError):
    """An executor that ended, or was cut off from its workers, before the work was done."""


@contextlib.contextmanager
def executor_for(
    workers: int, executor: Executor | None = None, initializer: Callable[[], None] | None = None
) -> Iterator[Executor | None]:
    """Yield the user's executor, or one of so many processes; None if that is one: then this process works itself.

    initializer
        Called by each of our processes before its first task; must be picklable.
    """
    if executor is not None and workers > 1:
        raise UsageError("workers and an executor exclude each other; take one of them")
    if executor is not None:
        yield executor
    elif workers > 1:
        with ProcessPool(workers, initializer) as pool:
            yield pool
    else:
        try:
            yield None
        finally:
            close_worker_state()


def results_of[Item, Result](
    executor: Executor,
    task: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    asked: Callable[[], bool] = lambda: False,
    given_up: Callable[[Item], Result] | None = None,
    patience: float = PATIENCE,
) -> Generator[tuple[int, Result]]:
    """Do a task for every item; yield the number of each and what comes of it, as it comes in.

    asked
        Looked at several times a second: whether to stop. Then no item is begun, and those at work have ``patience``
        (in seconds) to return what they have.
    given_up
        Makes the result of an item over which workers died again and again; without it that is an error.

    Whatever a task raises is raised here, and `ExecutorLostError`.
    """
    done: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
    waiting: dict[Future[Result], tuple[int, Item]] = {}
    remaining, until = enumerate(items), math.inf
    try:
        while time.monotonic() < until:
            if asked() and until == math.inf:
                if isinstance(executor, ProcessPool):
                    executor.request_stop()
                remaining, until = enumerate(()), time.monotonic() + patience
                waiting = {future: numbered for future, numbered in waiting.items() if not future.cancel()}
            for number, item in islice(remaining, AHEAD - len(waiting)):
                future = executor.submit(task, item)
                waiting[future] = number, item
                future.add_done_callback(done.put)
            if not waiting:
                return
            try:
                future = done.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if future not in waiting:
                continue
            # not kept, so that the results of long work do not pile up in memory
            number, item = waiting.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                yield number, future.result()
            elif given_up is not None and isinstance(error, _deaths()):
                yield number, given_up(item)
            elif not asked():
                raise error
            # a worker that was interrupted with us is of no interest
    except (BrokenExecutor, CancelledError) as error:
        raise ExecutorLostError(
            f"the workers are gone, or what hands out their work is ({type(executor).__name__})"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _deaths() -> tuple[type[BaseException], ...]:
    """Return what says that workers died over one task: our own error, and Dask's where it is in use."""
    scheduler = sys.modules.get("distributed.scheduler")
    return (WorkerDiedError, scheduler.KilledWorker) if scheduler else (WorkerDiedError,)


@dataclass(eq=False)
class _Worker:
    """A process, the pipe to it, which part of its task it has done, and whether it has begun to listen."""

    process: Any
    connection: Connection
    progress: Any
    started: bool = False


class ProcessPool(ThreadPoolExecutor):
    """An executor over processes on this machine: a thread for each, which waits for it. A context that ends them all.

    A process that dies is replaced, and its task done again, once: then its future raises `WorkerDiedError`. What a
    task raises has the place in the worker as a note. `UsageError` in a script that lacks
    ``if __name__ == "__main__":``.
    """

    def __init__(self, workers: int, initializer: Callable[[], None] | None = None) -> None:
        super().__init__(workers)
        self._begin = initializer
        self._stop = RawValue("b")  # without a lock, which a dead process could hold
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._left = False

    def __exit__(self, *_: object) -> None:
        """End every process, by force if it is at work: nothing that it still does is wanted."""
        with self._lock:
            self._left = True
            for worker in self._workers.difference(self._idle):
                worker.process.kill()
        self.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.connection.close()
        until = time.monotonic() + GRACE_SECONDS
        for worker in self._workers:
            _exit_code(worker, until)

    def submit[**P, T](self, task: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Future[T]:
        """Let a process do a task, which must be picklable like what it is given and returns."""
        return super().submit(self._in_process, task, arguments, options)

    def request_stop(self) -> None:
        """Ask all at work to return what they have (`pnp_exclusion.runtime.worker.stop_requested`)."""
        self._stop.value = 1

    def progress(self) -> float:
        """Return how much is done of the tasks at work, in tasks."""
        with self._lock:
            return sum(worker.progress.value for worker in self._workers)

    def _in_process(self, task: Any, arguments: Any, options: Any) -> Any:
        request, ending = pickle.dumps((task, arguments, options)), ""
        for _ in range(1 + MOST_DEATHS):
            worker = self._idle_or_new()
            try:
                worker.started = worker.started or bool(worker.connection.recv_bytes())
                worker.connection.send_bytes(request)
                answer = worker.connection.recv_bytes()
            except (EOFError, OSError):
                ending = self._ending(worker)
                continue
            worker.progress.value = 0.0
            self._idle.append(worker)
            result, error = pickle.loads(answer)
            if error is not None:
                raise error
            return result
        raise WorkerDiedError(f"worker processes ended {1 + MOST_DEATHS} times at the same task, the last by {ending}")

    def _idle_or_new(self) -> _Worker:
        with self._lock:
            if self._left:
                raise CancelledError
            if self._idle:
                return self._idle.pop()
            context, progress = multiprocessing.get_context("spawn"), RawValue("d")
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, self._stop, progress, self._begin), daemon=True)
            with kept_from_children(), no_rank():
                process.start()
            theirs.close()
            worker = _Worker(process, ours, progress)
            self._workers.add(worker)
            return worker

    def _ending(self, worker: _Worker) -> str:
        """Part with a worker that is dead; return how it ended."""
        with self._lock:
            worker.connection.close()
            code = _exit_code(worker, time.monotonic() + GRACE_SECONDS)
            self._workers.remove(worker)
        if self._left or self._stop.value:
            raise CancelledError
        if not worker.started and code > 0:
            raise UsageError(
                f"worker processes end as they start (exit code {code}); a script that asks for workers must do so "
                'under if __name__ == "__main__":'
            )
        if code == -signal.SIGKILL:
            return "SIGKILL: if memory has run out, take fewer workers"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _exit_code(worker: _Worker, until: float) -> int:
    """Wait for the end of a process, up to a time, then see to it; return its exit code, negative for a signal."""
    worker.process.join(max(0.0, until - time.monotonic()))
    worker.process.kill()
    worker.process.join()
    return int(worker.process.exitcode or 0)
