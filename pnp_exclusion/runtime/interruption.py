"""SIGINT and SIGTERM during long work: noted, so that what is done is kept."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

from pnp_exclusion.runtime.signals import REPEATED, SIGNALS, act_on, note


class Interruption:
    """A context that notes the first SIGINT or SIGTERM in ``number``; the second acts as usual, but for one that comes
    at once: launchers pass on what a process has heard itself."""

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self._since = 0.0
        self._at_once = False
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._former = {}
        note(None)

    @property
    def asked(self) -> bool:
        """Whether there was one."""
        return self.number is not None

    def stopped(self) -> bool:
        """Whether we were asked to stop."""
        return self.asked

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let the signal end what is done meanwhile by a `KeyboardInterrupt`: nothing of it is worth waiting for."""
        self._at_once, finished = True, False
        try:
            yield
            finished = True
        finally:
            self._at_once = False
            if self.asked and not finished:
                # C code that calls back to Python may have made an error of its own of the interruption
                raise KeyboardInterrupt

    def _note(self, number: int, frame: object) -> None:
        now = time.monotonic()
        if self.asked and not self._at_once:
            if now - self._since > REPEATED:
                usual = self._former[signal.Signals(number)]
                self.__exit__()
                act_on(number, usual)
            return
        self.number, self._since = signal.Signals(number), now
        if self._at_once:
            self.__exit__()
            raise KeyboardInterrupt
        note(now)
