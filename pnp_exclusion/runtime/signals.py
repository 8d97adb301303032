"""SIGINT and SIGTERM, kept from what they would break: imports of compiled modules, calls of PETSc that call back to
Python, and processes as they start."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
"""The exit code of a process that was interrupted."""
REPEATED = 0.5
"""Seconds after which a signal counts as a second one: launchers pass on what a process has heard itself."""


class _Wait:
    """How many are holding signals back, when the first signal came that waits for them, and when the one that was
    noted, so that work is brought to an end."""

    holders = 0
    since: float | None = None
    noted: float | None = None


class _Process:
    """Whether this one is a command's alone, so that what signals do in it is the command's to say."""

    is_a_commands = False


@contextlib.contextmanager
def held_back(numbers: tuple[signal.Signals, ...] = SIGNALS) -> Iterator[list[int]]:
    """Let signals wait until what is done here is done, however it ends; yield the list of those that do.

    A mask would not do: a signal goes to any thread that does not block it, and Python acts on it in the main one.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    # handlers that were not set in Python could not be put back
    former = {number: handler for number in numbers if (handler := signal.getsignal(number)) is not None}
    _Wait.holders += 1
    with contextlib.ExitStack() as afterwards:
        try:
            for number, handler in former.items():
                ignored = handler is signal.SIG_IGN
                signal.signal(number, handler if ignored else lambda number, _: caught.append(number))
            yield caught
        finally:
            # the handlers of all that came are called, though one of them raises
            afterwards.callback(_act_on_all, caught, former)
            afterwards.callback(_hold_no_more)
            for number, handler in former.items():
                afterwards.callback(signal.signal, number, handler)


def _hold_no_more() -> None:
    _Wait.holders -= 1
    if not _Wait.holders:
        _Wait.since = None


def hear_interruptions() -> None:
    """From now on SIGTERM interrupts this process as SIGINT does, unless ignored; a second signal never waits.

    Where the first one is held back the second ends the process at once. A thread sees to that: while compiled code is
    at work, a long elimination say, Python calls no handlers. For a process that is a command's alone.
    """
    _Process.is_a_commands = True
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard,), daemon=True).start()


def _watch(heard: int) -> None:
    """Read the numbers of signals as they come, and end the process at the second one that would wait."""
    while numbers := os.read(heard, 64):
        if not _Wait.holders or not set(numbers) & set(SIGNALS):
            continue
        now = time.monotonic()
        if _Wait.since is None:
            _Wait.since = now if _Wait.noted is None else _Wait.noted
        if now - _Wait.since > REPEATED:
            os._exit(INTERRUPTED)


def note(moment: float | None) -> None:
    """Say when a signal came that was noted and not acted on, None for not any more: the next one is a second one."""
    _Wait.noted = moment


def ignore_interruptions() -> None:
    """From now on nothing interrupts: all that is left is to end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def results_are_in_place() -> None:
    """From now on nothing interrupts a command, which would say that no results were written; others still hear."""
    if _Process.is_a_commands:
        ignore_interruptions()


def _act_on_all(numbers: list[int], handlers: Mapping[signal.Signals, Any]) -> None:
    with contextlib.ExitStack() as remaining:
        for number in reversed(numbers):
            remaining.callback(act_on, number, handlers[signal.Signals(number)])


def act_on(number: int, handler: Any) -> None:
    """Do what a signal that has waited asks for; raised again it would count as a second one."""
    if callable(handler):
        handler(number, None)
    else:
        signal.raise_signal(number)


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
