"""Checkpoints of a motion: where it is, in files from which any number of ranks goes on as if it had never stopped.

A folder ``checkpoints`` holds ``checkpoint_000007.npz``, the newest with the highest number and the one before, each
complete or not there. Fields that are kept on the way lie beside, each in the one file that was written with the first
checkpoint after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np

from pnp_exclusion.case.build import Setup, build, setup_on
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.domain_tables import periodic_axes
from pnp_exclusion.case.moving import extremes
from pnp_exclusion.case.protocol import ProtocolState
from pnp_exclusion.case.same_case import case_hash, differences, files_of, tables_differ, tables_of
from pnp_exclusion.case.scales import scales_of
from pnp_exclusion.discretisation.discretisation import Discretisation, State
from pnp_exclusion.errors import DiskError, UsageError
from pnp_exclusion.mesh.domain import tensor_domain, too_many_ranks
from pnp_exclusion.observe.motion import Reading, Sums
from pnp_exclusion.physics.laws import Law
from pnp_exclusion.runtime.parallel import on_rank_zero
from pnp_exclusion.solution.archive import CHECKPOINTS, read_archive, write_archive
from pnp_exclusion.solution.places import CELL_NODES, NODES, Places, gathered, places_in
from pnp_exclusion.solution.series import Row
from pnp_exclusion.solution.stored import NODE_FOUND
from pnp_exclusion.solver.transient.carried import Carried
from pnp_exclusion.solver.transient.drive import Drive

FORMAT, VERSION = "pnp_exclusion checkpoint", 3
KEPT = 2
"""Of which the older stands in for a newest one that is damaged."""
_NAME = re.compile(r"checkpoint_(\d{6,})\.npz")


type Kept = tuple[list[tuple[float, list[float]]], dict[str, np.ndarray]]
"""States that were kept in one file: their times, with the potentials that are found, and arrays."""


@dataclass(eq=False)
class Motion:
    """What was found of a motion so far, dimensionless but for the rows; all of it goes into a checkpoint.

    carried
        What the solver goes on with.
    sums
        What the reader of its steps does.
    last
        The last reading.
    rows
        The series.
    moments
        The states that were kept, with their times.
    is_still
        Whether it ended because nothing moved any more.
    protocol
        Where it is in its protocol; None without one.
    """

    carried: Carried
    sums: Sums
    last: Reading
    rows: list[Row]
    moments: list[tuple[float, State]]
    is_still: bool = False
    protocol: ProtocolState | None = None


class CheckpointFolder:
    """Writes checkpoints of one motion; all methods are collective.

    path
        The folder of results that ``checkpoints`` lies in; it must be there.
    files
        Hashes of what the case names, as they were when it was read: files may be gone when a checkpoint is written.
    """

    def __init__(
        self,
        path: Path,
        setup: Setup,
        discrete: Discretisation,
        files: dict[str, str | None],
        found: Found | None = None,
    ) -> None:
        self.path = path / CHECKPOINTS
        self._setup, self._discrete = setup, discrete
        self._comm = discrete.problem.domain.comm
        goes_on = found is not None and found.folder.resolve() == self.path.resolve()
        self._moments = [*found.moment_files] if goes_on and found is not None else []
        self._mine = [found.number] if goes_on and found is not None else []
        self._saved = 0 if found is None or not goes_on else found.moments
        self._files = files
        self._tables = tables_of(setup.case)

    @property
    def is_used(self) -> bool:
        """Whether there is a checkpoint of this motion."""
        return bool(self._mine)

    def write(self, motion: Motion) -> None:
        """Write where a motion is, then remove what is older than the one before; `DiskError` leaves all as it was."""
        number = on_rank_zero(self._comm, self._next_number)
        fresh = motion.moments[self._saved :]
        if fresh:
            floating = self._discrete.problem.floating
            values = np.array([state.values for _, state in fresh])
            steep = {f"is_steep_{i}": state.is_steep for i, (_, state) in enumerate(fresh)}
            arrays = gathered(self._discrete, {"values": values}, steep)
            potentials = [[state.problem.boundaries[tag].applied_potential for tag in floating] for _, state in fresh]
            of_moments = {"times": [time for time, _ in fresh], "potentials": potentials}
            arrays["heading"] = _text({"format": FORMAT, "version": VERSION, **of_moments})
            self._save(f"fields_{number:06d}.npz", arrays)
            self._moments.append(f"fields_{number:06d}.npz")
            self._saved += len(fresh)
        self._save(f"checkpoint_{number:06d}.npz", self._arrays(motion))
        self._mine = [*self._mine, number][-KEPT:]
        on_rank_zero(self._comm, self._remove_others)

    def finish(self) -> None:
        """Remove what other motions have left."""
        on_rank_zero(self._comm, self._remove_others)

    def _next_number(self) -> int:
        try:
            # the folder of results is not made anew where it has vanished
            self.path.mkdir(exist_ok=True)
            return max([0, *_numbers(self.path)]) + 1
        except OSError as error:
            raise self._refused(error) from None

    def _save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        on_rank_zero(self._comm, lambda: write_archive(self.path / name, arrays))

    def _remove_others(self) -> None:
        kept = {f"checkpoint_{number:06d}.npz" for number in self._mine}
        # those of an older checkpoint are among those of the newest
        kept |= set(self._moments)
        try:
            for entry in self.path.glob("*.npz*") if self.path.is_dir() else ():
                if entry.name not in kept:
                    entry.unlink(missing_ok=True)
            if not kept and self.path.is_dir() and not any(self.path.iterdir()):
                self.path.rmdir()
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> DiskError:
        return DiskError(f"cannot write to {self.path}: {error.strerror or error}")

    def _arrays(self, motion: Motion) -> dict[str, np.ndarray]:
        nodal: dict[str, np.ndarray] = {}
        cellwise: dict[str, np.ndarray] = {}
        numbers = {}
        for name in ("carried", "last"):
            numbers[name] = _split(getattr(motion, name), name, nodal, cellwise)
        arrays = gathered(self._discrete, nodal, cellwise)
        if self._comm.rank != 0:
            return {}
        setup, problem = self._setup, self._discrete.problem
        written = setup.case.as_written()
        grid = problem.domain.grid
        if grid is not None:
            arrays |= {f"axis_{i}": np.asarray(axis) for i, axis in enumerate(grid.nodes)}
        columns = [[name, unit] for name, (_, unit) in motion.rows[0].items()]
        arrays["rows"] = np.array([[value for value, _ in row.values()] for row in motion.rows])
        heading = {
            "format": FORMAT,
            "version": VERSION,
            "case": written,
            "case_sha256": case_hash(written),
            "files": self._files,
            "tables": [*self._tables],
            "law": problem.law.name,
            "length": setup.scales.length,
            "breakpoints": [[float(x) for x in axis] for axis in grid.breakpoints] if grid else [],
            "columns": columns,
            "moments": self._saved,
            "moment_files": self._moments,
            "is_still": motion.is_still,
            "sums": vars(motion.sums),
            "protocol": None if motion.protocol is None else asdict(motion.protocol),
            **numbers,
        }
        tables = {f"table_{i}": table for i, table in enumerate(self._tables.values())}
        return arrays | tables | {"heading": _text(heading)}


def _split(record: Any, prefix: str, nodal: dict[str, np.ndarray], cellwise: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the numbers of a dataclass, and put its arrays to those of their kind."""
    numbers = {}
    for field in fields(record):
        value, of = getattr(record, field.name), field.metadata.get("of")
        if of is None:
            numbers[field.name] = value
        elif value is not None:
            (nodal if of == "nodes" else cellwise)[f"{prefix}.{field.name}"] = value
    return numbers


def _text(content: Mapping[str, Any]) -> np.ndarray:
    return np.array(json.dumps(content, ensure_ascii=False))


# ---- reading ----


@dataclass(eq=False)
class Found:
    """A checkpoint as every rank knows it: what is text of it, and on rank 0 its arrays.

    folder, number
        Where it is.
    time
        Of the motion, dimensionless.
    moments, moment_files
        How many states were kept, and where they are.
    warnings
        What is to be said of newer ones that could not be read.
    """

    folder: Path
    number: int
    heading: dict[str, Any]
    warnings: list[str]
    axes: list[np.ndarray]
    arrays: dict[str, np.ndarray]
    kept: list[Kept]

    @property
    def time(self) -> float:
        """Of the motion, dimensionless."""
        return float(self.heading["carried"]["time"])

    @property
    def moments(self) -> int:
        """How many states were kept."""
        return int(self.heading["moments"])

    @property
    def moment_files(self) -> list[str]:
        """Where they are."""
        return list(self.heading["moment_files"])

    def setup(self, case: Case, comm: MPI.Comm, law: Law | None) -> Setup:
        """Return the problem of a case on the mesh of the checkpoint; collective."""
        if not self.heading["breakpoints"]:
            return build(case, comm, law, also=extremes(case))
        domain = tensor_domain(comm, self.axes, self.heading["breakpoints"], periodic_axes(case.domain))
        return setup_on(domain, scales_of(case, self.heading["length"]), case, law)

    def motion(self, discrete: Discretisation, drive: Drive) -> Motion:
        """Return the motion so far, on the ranks of a discretisation of its mesh; collective."""
        places = self._places(discrete, self.arrays)
        heading = self.heading
        columns = [(str(name), str(unit)) for name, unit in heading["columns"]]
        rows = places.comm.bcast(self.arrays.get("rows"), root=0)
        moments: list[tuple[float, State]] = []
        for times, arrays in self.kept:
            of_file = self._places(discrete, arrays)
            values = of_file.nodal(arrays.get("values"))
            for i, (time, potentials) in enumerate(times):
                is_steep = of_file.cellwise(arrays.get(f"is_steep_{i}"))
                problem = drive.problem_at(time, before=True).at_potentials(potentials)
                moments.append((time, State(values[i], problem, 1.0, is_steep)))
        return Motion(
            self._joined(Carried, "carried", places),
            Sums(**heading["sums"]),
            self._joined(Reading, "last", places),
            [{name: (x, unit) for (name, unit), x in zip(columns, row, strict=True)} for row in rows.tolist()],
            moments,
            bool(heading["is_still"]),
            self.protocol,
        )

    @property
    def protocol(self) -> ProtocolState | None:
        """Where the motion is in its protocol; None without one."""
        written = self.heading["protocol"]
        return None if written is None else ProtocolState.of(written)

    def _places(self, discrete: Discretisation, arrays: dict[str, np.ndarray]) -> Places:
        domain = discrete.problem.domain

        def check() -> None:
            shape = (domain.cells, discrete.space.dofmap.list.shape[1])
            if arrays[CELL_NODES].shape != shape:
                raise UsageError(f"{self.folder}: the checkpoint is of another mesh")

        on_rank_zero(domain.comm, check)
        places = places_in(discrete, arrays)
        if not places.apart <= NODE_FOUND:
            raise UsageError(f"{self.folder}: the checkpoint is of another mesh, or of another version of DOLFINx")
        return places

    def _joined[T](self, kind: type[T], prefix: str, places: Places) -> T:
        content = dict(self.heading[prefix])
        for field in fields(kind):  # type: ignore[arg-type]
            of, name = field.metadata.get("of"), f"{prefix}.{field.name}"
            if of is not None and name in self.heading["arrays"]:
                take = places.nodal if of == "nodes" else places.cellwise
                content[field.name] = take(self.arrays.get(name))
        return kind(**content)


def find(folder: Path, case: Case, law: Law | None, comm: MPI.Comm) -> Found:
    """Return the newest checkpoint of a folder of results that can be read, if it is of a case; collective.

    Raises `UsageError` if there is none, if it is of another case, with the difference, or beyond the end.
    """

    arrays: dict[str, np.ndarray] = {}
    kept: list[Kept] = []

    def search() -> Found:
        nonlocal arrays, kept
        found, arrays, kept = _newest(folder / CHECKPOINTS)
        _require_case(found, arrays, case, law, folder)
        if excess := too_many_ranks(comm.size, len(arrays[CELL_NODES])):
            raise UsageError(excess)
        return found

    found = on_rank_zero(comm, search)
    if comm.rank == 0:
        found.arrays, found.kept = arrays, kept
    else:
        found.arrays, found.kept = {}, [(times, {}) for times in found.heading["times"]]
    return found


def _newest(
    folder: Path,
) -> tuple[Found, dict[str, np.ndarray], list[Kept]]:
    numbers = sorted(_numbers(folder), reverse=True) if folder.is_dir() else []
    damaged: list[str] = []
    for number in numbers:
        name = f"checkpoint_{number:06d}.npz"
        try:
            heading, arrays = _read(folder / name)
            kept = []
            for other in heading["moment_files"]:
                beside, fields_there = _read(folder / other)
                potentials = [[float(v) for v in row] for row in beside["potentials"]]
                kept.append((list(zip(map(float, beside["times"]), potentials, strict=True)), fields_there))
            heading |= {"arrays": sorted(arrays), "times": [times for times, _ in kept]}
            axes = [arrays[f"axis_{i}"] for i in range(len(heading["breakpoints"]))]
            _require_whole(heading, arrays)
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            reason = f"{error.filename} is missing" if isinstance(error, FileNotFoundError) else str(error)
            damaged.append(f"{folder / name} cannot be read ({reason})")
            continue
        warnings = [f"{sentence}; the one before is gone on from" for sentence in damaged]
        return Found(folder, number, heading, warnings, axes, {}, []), arrays, kept
    if damaged:
        raise UsageError(f"there is no whole checkpoint: {'; '.join(damaged)}")
    raise UsageError(f"there is no checkpoint in {folder}")


def _numbers(folder: Path) -> list[int]:
    return [int(found[1]) for entry in folder.iterdir() if (found := _NAME.fullmatch(entry.name))]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    arrays = read_archive(path)
    heading = json.loads(str(arrays.pop("heading")))
    if not isinstance(heading, dict) or (heading["format"], heading["version"]) != (FORMAT, VERSION):
        raise ValueError("it is of another version")
    return heading, arrays


def _require_whole(heading: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Raise an error if something is missing that all ranks will ask for together."""
    kinds: list[tuple[Any, str]] = [(Carried, "carried"), (Reading, "last")]
    for kind, prefix in kinds:
        absent = {field.name: None for field in fields(kind) if field.metadata.get("of")}
        kind(**heading[prefix], **absent)
        for field in fields(kind):
            name = f"{prefix}.{field.name}"
            if field.metadata.get("of") == "nodes" and name in arrays and arrays[name].shape[-2] != len(arrays[NODES]):
                raise ValueError(f"{name} does not fit")
    for name in ("carried.values", "carried.stored", "carried.flowing", "carried.is_steep", "last.stored"):
        if name not in arrays:
            raise ValueError(f"{name} is missing")
    Sums(**heading["sums"])
    if arrays["rows"].shape[1:] != (len(heading["columns"]),):
        raise ValueError("rows does not fit")


def _require_case(found: Found, arrays: Mapping[str, np.ndarray], case: Case, law: Law | None, folder: Path) -> None:
    heading = found.heading
    apart = differences(heading["case"], case.as_written())
    there, here = {name: arrays[f"table_{i}"] for i, name in enumerate(heading["tables"])}, tables_of(case)
    apart += [
        tables_differ(name, table, here[name])
        for name, table in there.items()
        if name in here and not np.array_equal(table, here[name])
    ]
    now = files_of(case)
    apart += [
        f'"{name}" has changed'
        for name, was in heading["files"].items()
        # of a table its numbers count
        if name not in there and now.get(name, was) != was
    ]
    name = case.model.flux_law.name if law is None else law.name
    if heading["law"] != name and not apart:
        apart.append(f"the law is {heading['law']} there and {name} here")
    if apart:
        raise UsageError(f"{case.path} is not the case of the checkpoint in {folder}: {'; '.join(apart)}")
    assert case.time is not None
    end = case.time.last / scales_of(case, heading["length"]).time
    if found.time > end * (1.0 + 1e-12):
        text = f"{case.time.last:g}" if case.time.end is None else case.time.end.text
        raise UsageError(f"the checkpoint in {folder} is beyond the end, {text}")
