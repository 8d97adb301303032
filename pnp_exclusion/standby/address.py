"""Where commands meet the process on standby. Read by every command, so nothing is imported that takes time."""

from __future__ import annotations

import os
import stat
import sys
import zlib
from pathlib import Path


def address() -> Path:
    """Return the socket of this user, host and Python environment."""
    parent = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("TMPDIR") or "/tmp"
    place = f"{os.uname().nodename}\0{sys.prefix}\0{__file__}".encode()
    return Path(parent) / f"pnp-exclusion-{os.getuid()}" / f"standby-{zlib.crc32(place):08x}"


def is_ours(folder: Path) -> bool:
    """Whether nobody else can have put anything into a folder."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
