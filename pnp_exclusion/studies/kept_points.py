"""Points of a curve on disk, each as a line that is written before the next one is looked for: what a kill leaves."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from mpi4py import MPI

from pnp_exclusion.errors import DiskError, UsageError
from pnp_exclusion.runtime.parallel import on_rank_zero

Record = dict[str, Any]


class KeptPoints:
    """Appends records to a file and finds those of an earlier run there; without a path it keeps nothing.

    path
        Of the file, whose first line tells what it is of; None for none.
    of
        All that decides what the points are; only a file of the same is gone on with.

    Raises `UsageError` for a file of something else, `DiskError` where the disk fails. All methods are collective.
    """

    def __init__(self, path: Path | None, comm: MPI.Comm, of: Record) -> None:
        self._path, self._comm = path, comm
        canonical = json.dumps(of, sort_keys=True, ensure_ascii=False, default=str)
        self._heading = _line({"curve_sha256": hashlib.sha256(canonical.encode()).hexdigest()})
        self.found: list[Record] = on_rank_zero(comm, self._read) if path is not None else []
        """Records of an earlier run, in their order."""

    def append(self, record: Record) -> None:
        """Write a record."""
        if self._path is not None:
            on_rank_zero(self._comm, lambda: self._write(_line(record)))

    def _read(self) -> list[Record]:
        assert self._path is not None
        try:
            lines = self._path.read_bytes().splitlines(keepends=True) if self._path.exists() else []
            # what was torn by a kill does not count
            whole = [line for line in lines if line.endswith(b"\n")]
            if whole and whole[0] != self._heading:
                raise UsageError(
                    f"{self._path} holds points of another curve: its case, its boundary, its ends or its steps differ "
                    "from this one; choose another folder, or begin anew with --overwrite"
                )
            if len(whole) < len(lines):
                os.truncate(self._path, sum(map(len, whole)))
            return [_record(line) for line in whole[1:]]
        except ValueError:
            raise UsageError(f"{self._path} was changed and cannot be gone on with; remove it") from None
        except OSError as error:
            raise self._refused(error) from None

    def _write(self, line: bytes) -> None:
        assert self._path is not None
        try:
            with self._path.open("ab") as stream:
                # handed over to the system, which is enough for a kill: waiting for the disk takes longer than a point
                stream.write(line if stream.tell() else self._heading + line)
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> DiskError:
        return DiskError(f"cannot write to {self._path}: {error.strerror or error}")


def _line(record: Record) -> bytes:
    """Return a record as a line, with its checksum in front."""
    written = json.dumps(record, ensure_ascii=False).encode()
    return b"%08x %s\n" % (zlib.crc32(written), written)


def _record(line: bytes) -> Record:
    """Return the record of a line; `ValueError` if it is not as it was written."""
    record: Record = json.loads(line.partition(b" ")[2])
    if _line(record) != line:
        raise ValueError("the checksum does not fit")
    return record
