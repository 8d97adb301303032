"""SIGINT and SIGTERM, kept from what they would break: imports of compiled modules, and processes as they start."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held_back(numbers: tuple[signal.Signals, ...] = SIGNALS) -> Iterator[None]:
    """Let signals wait until what is done here is done, however it ends.

    A mask would not do: a signal goes to any thread that does not block it, and Python acts on it in the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # handlers that were not set in Python could not be put back
    former = {number: handler for number in numbers if (handler := signal.getsignal(number)) is not None}
    caught: list[int] = []
    with contextlib.ExitStack() as afterwards:
        try:
            for number in former:
                signal.signal(number, lambda number, _: caught.append(number))
            yield
        finally:
            # the handlers of all that came are called, though one of them raises
            afterwards.callback(_raise_all, caught)
            for number, handler in former.items():
                afterwards.callback(signal.signal, number, handler)


def _raise_all(numbers: list[int]) -> None:
    with contextlib.ExitStack() as remaining:
        for number in reversed(numbers):
            remaining.callback(signal.raise_signal, number)


@contextlib.contextmanager
def blocked(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Block signals in this thread, and so in processes that are started here until they unblock them."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextlib.contextmanager
def kept_from_children() -> Iterator[None]:
    """Start processes that are deaf to signals from their first line on, until they `listen`; held back here."""
    # not for every run: most start no process
    from multiprocessing import resource_tracker

    # started on demand otherwise, and unblocking the signals by the way
    resource_tracker.ensure_running()
    with held_back(), blocked(SIGNALS):
        yield


def listen(ignored: tuple[signal.Signals, ...] = SIGNALS) -> None:
    """Let a process that was started deaf hear signals again, except those that are for its parent."""
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
