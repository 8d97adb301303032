"""How far a sweep is: for people on standard error, with the time of every chunk in a log file."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TextIO

from pnp_exclusion.runtime.console import Console

SECONDS_BETWEEN_LINES = 30.0
"""Where standard error is no terminal."""


class Progress:
    """Tells of points as they come in. Raises `OSError` where the disk does not take the log."""

    def __init__(self, console: Console, log: Path, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        # appended to, because a sweep that is resumed goes on with its log
        self._log: TextIO = log.open("a", encoding="utf-8")
        self._begun = self._told = time.monotonic()
        self._line_is_open = False
        self._total = self._before = self._now = self._failed = 0

    def close(self) -> None:
        """Close the log."""
        self._end_line()
        # what a full disk did not take has been told
        with contextlib.suppress(OSError):
            self._log.close()

    def begin(self, done: int, total: int) -> None:
        """So many points are done of those that this run is about."""
        self._before, self._total = done, total
        self._begun = self._told = time.monotonic()

    def say(self, line: str) -> None:
        """A line for people and the log."""
        self._end_line()
        self._console.say(line)
        self.note(line)

    def warn(self, line: str) -> None:
        """A line that is shown even when progress is not."""
        self._end_line()
        self._console.warn(line)
        self.note(f"warning: {line}")

    def note(self, line: str) -> None:
        """A line for the log alone."""
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", file=self._log, flush=True)

    def tell(self, new: int, failed: int) -> None:
        """So many more points are on disk, of which some failed."""
        self._now += new
        self._failed += failed
        now, finished = time.monotonic(), self._before + self._now >= self._total
        on_terminal = sys.stderr.isatty()
        if now - self._told < (0.2 if on_terminal else SECONDS_BETWEEN_LINES) and not finished:
            return
        self._told = now
        if self._quiet:
            return
        if on_terminal:
            print(f"\r{self._line():78s}", end="", file=sys.stderr, flush=True)
            self._line_is_open = True
        else:
            self._console.say(self._line())

    def _line(self) -> str:
        done = self._before + self._now
        rate = self._now / max(1e-9, time.monotonic() - self._begun)
        left = (self._total - done) / rate if rate else 0.0
        failed = f", {self._failed} failed" if self._failed else ""
        return f"  {done} of {self._total} points{failed}, {_shown(rate)} a second, {duration(left)} left"

    def _end_line(self) -> None:
        if self._line_is_open:
            print(file=sys.stderr, flush=True)
            self._line_is_open = False


def _shown(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10.0 else f"{rate:.2g}"


def duration(seconds: float) -> str:
    """Return a time span as people say it: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
