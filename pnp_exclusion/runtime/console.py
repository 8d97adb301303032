"""Lines for people: on standard error while it runs, and with the time of day in a log file. Rank 0 alone."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Protocol, TextIO

from pnp_exclusion.errors import OneRankDiskError
from pnp_exclusion.runtime.log import LOGGER


class Progress(Protocol):
    """How far a long run is."""

    @property
    def fraction(self) -> float:
        """Of the whole, 0 to 1."""
        ...

    @property
    def remaining(self) -> float:
        """Seconds that are left; NaN while nobody knows."""
        ...


class Console:
    """Says lines to people and to a log file; silent on all ranks but the first.

    Raises `OneRankDiskError` where the disk does not take the log.
    """

    def __init__(self, rank: int, quiet: bool = False) -> None:
        self._speaks = rank == 0
        self._quiet = quiet
        self._log: TextIO | None = None
        self._told = ("", 0)
        self._open_line = 0

    def open_log(self, path: Path) -> None:
        """Begin the log file, or go on with one that is there; what was said before is not in it."""
        if self._speaks:
            self._log = path.open("a", encoding="utf-8")

    @property
    def rewrites(self) -> bool:
        """Whether progress is one line that is rewritten: on a terminal, on the rank that talks."""
        return self._speaks and not self._quiet and sys.stderr.isatty()

    def rewrite(self, line: str) -> None:
        """Show a line in place of the one that was shown so before; what is said next takes its place."""
        print(f"\r{line:{self._open_line}s}", end="", file=sys.stderr, flush=True)
        self._open_line = len(line)

    def clear(self) -> None:
        """Remove the line that is rewritten."""
        if self._open_line:
            print(f"\r{'':{self._open_line}s}\r", end="", file=sys.stderr, flush=True)
            self._open_line = 0

    def say(self, line: str) -> None:
        """A line of progress."""
        self._write(line, show=not self._quiet)

    def warn(self, line: str) -> None:
        """A line that is shown even when progress is not."""
        self._write(f"warning: {line}", show=True)

    def progress(self, run: str, progress: Progress) -> None:
        """How far a long run is: a line rewritten on a terminal, now and then a line elsewhere."""
        if not self._speaks:
            return
        left = "" if progress.remaining != progress.remaining else f", {progress.remaining:.0f} s left"
        line = f"  {run}: {100.0 * progress.fraction:3.0f} %{left}"
        if self.rewrites:
            self.rewrite(line)
            if progress.fraction >= 1.0:
                print(file=sys.stderr, flush=True)
                self._open_line = 0
        tenth = (run, int(10.0 * progress.fraction))
        if tenth != self._told:
            self._told = tenth
            self._write(line, show=not self._quiet and not sys.stderr.isatty())

    def _write(self, line: str, show: bool) -> None:
        if not self._speaks:
            return
        if show:
            self.clear()
            print(line, file=sys.stderr, flush=True)
        LOGGER.info(line)
        if self._log is not None:
            try:
                print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", file=self._log, flush=True)
            except OSError as error:
                log, self._log = self._log, None
                with contextlib.suppress(OSError):
                    log.close()
                raise OneRankDiskError(f"cannot write {log.name}: {error.strerror or error}") from None
