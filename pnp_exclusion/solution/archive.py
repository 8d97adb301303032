"""Arrays in one file, an archive of numpy without code: complete or not there, and nothing but what was written."""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pnp_exclusion.errors import DiskError

CHECKPOINTS = "checkpoints"
"""The folder of those of a motion, beside its results."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, OverflowError)
"""What an archive raises whose bytes are not those that were written."""


def write_archive(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays beside the place of a file and move them there; `DiskError` leaves what is there as it is."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise DiskError(f"cannot write {path}: {error.strerror or error}") from None


def read_archive(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file; `FileNotFoundError`, or `ValueError` in a few words if it is not what was written.

    All bytes are read and compared with their checksums before any of them is believed.
    """
    try:
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is no whole archive of arrays")
            if broken := zipfile.ZipFile(stream).testzip():
                raise ValueError(f"{broken} is not what was written")
            stream.seek(0)
            archive = np.load(stream, allow_pickle=False)
            return {name: archive[name] for name in archive}
    except FileNotFoundError:
        raise
    except (*_DAMAGE, OSError, ValueError, KeyError, EOFError, MemoryError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
