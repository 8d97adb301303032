"""The side of a worker: what a task may keep, ask and say, and the loop of a process that does tasks for its parent.

Tasks run in the workers of any executor. In those that are not of a `pnp_exclusion.runtime.pool.ProcessPool` nobody
asks them to stop, and nobody hears how far they are.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from pnp_exclusion.runtime.signals import listen

_state: tuple[str, Any] | None = None
"""What tasks keep in this process, with its key."""
_one_at_a_time = threading.RLock()
"""PETSc is not made for threads, of which an executor may give a process several."""
_stop: Any = None
_progress: Any = None
"""Shared with the parent; None in a process that is not of a `ProcessPool`."""


@contextlib.contextmanager
def worker_state[State](key: str, build: Callable[[], State]) -> Iterator[State]:
    """Yield what this process keeps from task to task, to one task at a time.

    It is built where there is none, or one of another ``key``, which is closed; after an error it is not trusted.
    """
    global _state
    with _one_at_a_time:
        if _state is None or _state[0] != key:
            close_worker_state()
            _state = (key, build())
            # once, and before whatever the state is made of ends
            atexit.unregister(close_worker_state)
            atexit.register(close_worker_state)
        try:
            yield _state[1]
        except BaseException:
            close_worker_state()
            raise


def close_worker_state() -> None:
    """Close what tasks keep in this process."""
    global _state
    with _one_at_a_time:
        if _state is not None:
            _state[1].close()
            _state = None


def stop_requested() -> bool:
    """Whether the task should return what it has: the parent asked for it, or is gone."""
    parent = multiprocessing.parent_process()
    return _stop is not None and (bool(_stop.value) or parent is None or not parent.is_alive())


def report_progress(fraction: float) -> None:
    """Say which part of the task is done; at any rate."""
    if _progress is not None:
        _progress.value = fraction


def serve(connection: Connection, stop: Any, progress: Any, initializer: Callable[[], None] | None) -> None:
    """Do tasks until there are no more. Signals are for the parent alone."""
    global _stop, _progress
    _stop, _progress = stop, progress
    listen()
    if initializer is not None:
        initializer()
    # a pipe that fails says that there is no more to do, or nobody who listens
    with contextlib.suppress(EOFError, OSError):
        connection.send_bytes(b"started")
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))


def _answer(request: bytes) -> bytes:
    """Return the result of a task and the error that it raised, one of them None."""
    try:
        task, arguments, options = pickle.loads(request)
        return pickle.dumps((task(*arguments, **options), None))
    except Exception as error:  # noqa: BLE001 - raised by the parent
        error.add_note(traceback.format_exc())
        return pickle.dumps((None, error))
