"""SIGINT and SIGTERM during long work: noted, so that what is done is kept."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, Self

from pnp_exclusion.runtime.signals import SIGNALS


class Interruption:
    """A context that notes the first SIGINT or SIGTERM in ``asked``; the second acts as usual."""

    def __init__(self) -> None:
        self.asked = False
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
        self.asked = True
        self.__exit__()
        if self._at_once:
            raise KeyboardInterrupt
