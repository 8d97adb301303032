"""The folder of a sweep: its plan, and every solved point as a line that is on disk before the point counts."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pnp_exclusion.case.output_tables import PICTURE_FORMATS
from pnp_exclusion.errors import DiskError, UsageError
from pnp_exclusion.studies.sweeps.plan import Plan
from pnp_exclusion.studies.sweeps.record import Record, line_of, record_in

PLAN = "plan.json"
POINTS = "points.jsonl"
OUR_FILES = (
    *(PLAN, POINTS, "sweep.nc", "manifest.json", "log.txt"),
    *("coupling.csv", "coupling.json"),
    *(f"{picture}.{ending}" for picture in ("sweep", "coupling", "noise") for ending in PICTURE_FORMATS),
)
PARTS = "points-*.jsonl"
OUR_PARTS = (PARTS, "log-*.txt")
"""What a sweep writes; nothing else in a folder is ever removed."""


class Part(NamedTuple):
    """Which of how many shares of a sweep, from 0: a task of an array of jobs."""

    number: int = 0
    of: int = 1

    @property
    def whole(self) -> bool:
        """Whether it is all of the sweep."""
        return self.of == 1


WHOLE = Part()


class Store:
    """The points of a plan on disk; from `open` to `close` no other process may write the same file.

    Lines are appended, flushed and synchronised. What is no record of this plan, because it was torn, changed or put
    there, does not count when the folder is opened again: its point is solved again. Everything but reading raises
    `DiskError` where the disk fails.
    """

    def __init__(self, folder: Path, plan: Plan, part: Part = WHOLE) -> None:
        self.folder = folder
        self.plan = plan
        self.part = part
        self.done = np.zeros(plan.size, dtype=bool)
        self.failed = np.zeros(plan.size, dtype=bool)
        self.dropped = 0
        """Lines that are no records of this plan."""
        self._files: list[Path] = []
        self._place = np.full((plan.size, 2), -1, dtype=np.int64)
        """File and offset of every point's line."""
        self._stream: BinaryIO | None = None

    @property
    def path(self) -> Path:
        """The file that is appended to."""
        return self.folder / (POINTS if self.part.whole else f"points-{self.part.number}.jsonl")

    @property
    def complete(self) -> bool:
        """Whether every point is there, in one file."""
        return bool(self.done.all()) and len(self._files) == 1

    def close(self) -> None:
        """Leave the folder to others."""
        if self._stream is not None:
            # what a full disk did not take has been told
            with contextlib.suppress(OSError):
                self._stream.close()

    def open(self, overwrite: bool = False) -> None:
        """Make the folder or take up what it holds of this sweep; `UsageError` if it holds something else."""
        with self.on_disk():
            if self.folder.exists() and not self.folder.is_dir():
                raise UsageError(f"{self.folder} is a file; -o names a folder")
            self.folder.mkdir(parents=True, exist_ok=True)
            if not overwrite:
                self._require_ours()
            self._require_rest()
            if overwrite:
                self._remove(*OUR_FILES, *OUR_PARTS)
            if not (self.folder / PLAN).exists():
                self.write(PLAN, json.dumps(self._plan_on_disk(), indent=2, ensure_ascii=False) + "\n")
            self._stream = self.path.open("ab")
            self._lock(self._stream)
            for path in [self.folder / POINTS, *sorted(self.folder.glob(PARTS))]:
                if path.exists():
                    self._take_up(path)

    def append(self, records: Iterable[Record]) -> int:
        """Put records on disk, but for points that are there; return how many were new."""
        assert self._stream is not None
        new = [record for record in records if not self.done[record["index"]]]
        with self.on_disk():
            for record in new:
                self._note(record, self._files.index(self.path), self._stream.tell())
                self._stream.write(line_of(record, self.plan.fingerprint).encode())
            self._stream.flush()
            os.fsync(self._stream.fileno())
        return len(new)

    def records(self) -> Iterator[Record]:
        """Yield the records in the order of the points; one at a time is in memory."""
        return map(json.loads, self._lines())

    def forget_failed(self) -> None:
        """Drop the points that failed, to be done again; not while other parts write."""
        self._place[self.failed] = -1
        self._gather()

    def finish(self) -> None:
        """Bring all lines into one file in the order of the points, so that it does not tell who found them when."""
        self._gather()

    def write(self, name: str, content: str) -> None:
        """Write a text file, complete or not at all."""
        with self.on_disk(), self.replacing(name) as unfinished, unfinished.open("w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """Yield the path of an unfinished file, which takes its place at the end if all went well."""
        # tasks of an array write the same plan at the same time
        unfinished = self.folder / f".unfinished.{os.getpid()}.{name}"
        try:
            yield unfinished
            if unfinished.exists():
                os.replace(unfinished, self.folder / name)
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink()

    @contextlib.contextmanager
    def on_disk(self) -> Iterator[None]:
        """Turn what the disk refuses into `DiskError`."""
        try:
            yield
        except OSError as error:
            raise DiskError(f"cannot write to {self.folder}: {error.strerror or error}") from None

    # ---- what is there ----

    def _require_ours(self) -> None:
        known = self.folder / PLAN
        if not known.exists():
            others = sorted(entry.name for entry in self.folder.iterdir() if not entry.name.startswith((".", "log")))
            if others:
                more = ", .." if len(others) > 3 else ""
                raise UsageError(
                    f"{self.folder} holds other results ({', '.join(others[:3])}{more}), which are kept; "
                    "choose another folder"
                )
            return
        try:
            plan = json.loads(known.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            plan = None
        if not isinstance(plan, dict) or plan.get("fingerprint") != self.plan.fingerprint:
            title = plan.get("title") if isinstance(plan, dict) else ""
            raise UsageError(
                f"{self.folder} holds another sweep{f' ({title})' if title else ''}: its plan or its case differs from "
                "this one; choose another folder or add --overwrite"
            )

    def _plan_on_disk(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "fingerprint": plan.fingerprint,
            "title": plan.case.title,
            "points": plan.size,
            "chunks": len(plan.pieces),
            "design": plan.design.kind,
            "axes": [
                {"name": driving.name, "unit": driving.unit, "keys": driving.keys, "factors": driving.factors}
                for driving in plan.design.drivings
            ],
            "petsc_options": plan.petsc_options,
            "case": plan.case.as_written(),
        }

    def _require_rest(self) -> None:
        """Refuse to meddle with files that another process writes: for a part its own, for the whole all."""
        mine = [self.path] if not self.part.whole else [self.path, *self.folder.glob(PARTS)]
        for path in mine:
            if path.exists():
                with path.open("ab") as stream:
                    self._lock(stream)

    def _lock(self, stream: BinaryIO) -> None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process is at this sweep: it writes {stream.name}") from None
        except OSError:
            # a file system without locks
            return

    def _take_up(self, path: Path) -> None:
        """Find the lines of a file; drop what is torn at the end of our own, of others leave it."""
        number = len(self._files)
        self._files.append(path)
        end = 0
        with path.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    record = record_in(line, self.plan.fingerprint)
                    if record is None or not 0 <= record["index"] < self.plan.size:
                        self.dropped += 1
                    elif self._place[record["index"], 0] < 0:
                        self._note(record, number, end)
                    end += len(line)
        if path == self.path and path.stat().st_size > end:
            os.truncate(path, end)
            assert self._stream is not None
            self._stream.seek(0, os.SEEK_END)

    def _note(self, record: Record, file: int, offset: int) -> None:
        index = record["index"]
        self._place[index] = file, offset
        self.done[index], self.failed[index] = True, not record["converged"]

    def _lines(self) -> Iterator[bytes]:
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(path.open("rb")) for path in self._files]
            for file, offset in self._place.tolist():
                if file >= 0:
                    streams[file].seek(offset)
                    yield streams[file].readline()

    def _gather(self) -> None:
        assert self._stream is not None
        with self.on_disk():
            with self.replacing(POINTS) as unfinished, unfinished.open("wb") as stream:
                for line in self._lines():
                    stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
            self._stream.close()
            self._remove(PARTS)
            self.part = WHOLE
            self._stream = self.path.open("ab")
            self._lock(self._stream)
            self.done[:], self.failed[:], self._place[:], self._files = False, False, -1, []
            self._take_up(self.path)

    def _remove(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)
