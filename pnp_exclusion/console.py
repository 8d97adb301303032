"""Lines for people: on standard error while it runs, and with the time of day in a log file. Rank 0 alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TextIO


class Console:
    """Says lines to people and to a log file; silent on all ranks but the first."""

    def __init__(self, rank: int, quiet: bool = False) -> None:
        self._speaks = rank == 0
        self._quiet = quiet
        self._log: TextIO | None = None

    def open_log(self, path: Path) -> None:
        """Begin the log file; what was said before is not in it."""
        if self._speaks:
            self._log = path.open("w", encoding="utf-8")

    def say(self, line: str) -> None:
        """A line of progress."""
        self._write(line, show=not self._quiet)

    def warn(self, line: str) -> None:
        """A line that is shown even when progress is not."""
        self._write(f"warning: {line}", show=True)

    def _write(self, line: str, show: bool) -> None:
        if not self._speaks:
            return
        if show:
            print(line, file=sys.stderr, flush=True)
        if self._log is not None:
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", file=self._log, flush=True)
