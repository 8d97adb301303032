"""What a command says beyond its lines of progress: ``--verbose`` on standard error, ``--log-file`` into a file.

Both are handlers of Python's logger "pnp_exclusion": lines that people see anyway are of level INFO and above, details
are DEBUG. A script that imports the package can listen to the same logger.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pnp_exclusion.errors import DiskError, OneRankDiskError

LOGGER = logging.getLogger("pnp_exclusion")
# without a handler Python would print errors, which are told already
LOGGER.addHandler(logging.NullHandler())


class _File(logging.FileHandler):
    """A log file that a full disk ends with one sentence."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exception()
        LOGGER.removeHandler(self)
        with contextlib.suppress(OSError):
            self.close()
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise OneRankDiskError(f"cannot write {self.baseFilename}: {reason}") from None


@contextlib.contextmanager
def listening(verbose: bool, file: Path | None, line: Sequence[str]) -> Iterator[None]:
    """Show details on standard error if ``verbose``, and write all that is said into a file if one is named.

    The file is appended to: a command begins with its line there, and ends with the seconds that it took. For the rank
    that talks. Raises `DiskError` for a file that cannot be opened.
    """
    handlers: list[logging.Handler] = []
    if verbose:
        details = logging.StreamHandler(sys.stderr)
        details.addFilter(lambda record: record.levelno < logging.INFO)
        details.setFormatter(logging.Formatter("  [%(relativeCreated)d ms] %(message)s"))
        handlers.append(details)
    if file is not None:
        try:
            kept = _File(file, encoding="utf-8")
        except OSError as error:
            raise DiskError(f"cannot write {file}: {error.strerror or error}") from None
        kept.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        handlers.append(kept)
    level, began = LOGGER.level, time.monotonic()
    LOGGER.setLevel(logging.DEBUG)
    for handler in handlers:
        LOGGER.addHandler(handler)
    try:
        LOGGER.debug("pnp-exclusion %s", " ".join(line))
        yield
        LOGGER.debug("ended after %.1f s", time.monotonic() - began)
    finally:
        LOGGER.setLevel(level)
        for handler in handlers:
            LOGGER.removeHandler(handler)
            with contextlib.suppress(OSError):
                handler.close()
