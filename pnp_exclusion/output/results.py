"""What lands on disk. A file is complete or absent: results are staged in a hidden folder and moved at the end."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from mpi4py import MPI
from petsc4py import PETSc

import basix
import basix.ufl
import numpy as np
from dolfinx import fem
from dolfinx.io import VTXWriter

from pnp_exclusion.case.same_case import case_hash
from pnp_exclusion.discretisation.discretisation import State
from pnp_exclusion.errors import DiskError, OneRankDiskError, UsageError
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.observe.flux_parts import flux_fields
from pnp_exclusion.observe.sample import Profile
from pnp_exclusion.output.netcdf import write_netcdf
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.physics.laws import LAWS
from pnp_exclusion.runtime.imports import uncollected
from pnp_exclusion.runtime.parallel import on_rank_zero
from pnp_exclusion.runtime.signals import held_back
from pnp_exclusion.solution.archive import CHECKPOINTS
from pnp_exclusion.solution.solution import Solution

if TYPE_CHECKING:
    import xarray

    from pnp_exclusion.solution.series import Row

LOG = "log.txt"
_STAGING = ".unfinished"
SERIES = "series.csv"
LEFT = {LOG: LOG, SERIES: "series_unfinished.csv"}
"""What a command that ends early leaves in its folder, and under which name; no results."""
UNFINISHED_CURVE = "curve.jsonl"
"""Points of a curve that was stopped, with which the same command goes on."""


class ResultFolder:
    """A folder that receives the results of one command, all at once or not at all.

    Refuses a folder that holds anything but a log unless ``overwrite``, or if its run ``goes_on``; then files of the
    same names are replaced, and earlier results of other names removed, when the new ones are complete. Pictures are
    drawn last, and one that cannot be drawn costs nothing but itself: ``warn`` is told on rank 0, and the summary
    beside it. Every method but `abandon` and `withdraw` is collective.
    """

    def __init__(
        self,
        path: Path,
        comm: MPI.Comm,
        overwrite: bool = False,
        warn: Callable[[str], None] = lambda line: None,
        goes_on: bool = False,
    ) -> None:
        self.path = path
        self.comm = comm
        self._overwrite = overwrite or goes_on
        self._goes_on = goes_on
        self._warn = warn
        self._pictures: list[tuple[str, Callable[[Path], Any]]] = []
        self._made: list[Path] = []

    def open(self) -> None:
        """Make the folder; `UsageError` if it holds other results, `DiskError` if it cannot be made."""
        on_rank_zero(self.comm, lambda: self.on_disk(self._open))

    @property
    def staging(self) -> Path:
        """Where files are written until `complete` moves them."""
        return self.path / _STAGING

    def _open(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path} is a file; -o names a folder")
        kept = self._results()
        if kept and not self._overwrite:
            raise UsageError(
                f"{self.path} holds other results ({', '.join(kept[:3])}{', ..' if len(kept) > 3 else ''}), "
                "which are kept; choose another folder or add --overwrite"
            )
        if (self.path / CHECKPOINTS).is_dir() and not self._overwrite:
            raise UsageError(
                f"{self.path} holds a checkpoint of a run that was stopped; go on with --restart {self.path}, or begin "
                "anew with --overwrite"
            )
        self._made = [one for one in (self.path, *self.path.parents) if not one.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        log = self._earlier_log() if self._goes_on else ""
        shutil.rmtree(self.staging, ignore_errors=True)
        self.staging.mkdir()
        if log:
            self._write_through(LOG, log)

    def _earlier_log(self) -> str:
        """Return the log of the run that goes on, which was killed or has ended."""
        logs = [folder / LOG for folder in (self.staging, self.path) if (folder / LOG).is_file()]
        return logs[0].read_text(encoding="utf-8", errors="replace") if logs else ""

    def _results(self) -> list[str]:
        if not self.path.is_dir():
            return []
        unfinished = (*LEFT.values(), _STAGING, UNFINISHED_CURVE, CHECKPOINTS)
        return sorted(entry.name for entry in self.path.iterdir() if entry.name not in unfinished)

    def make(self, prefix: str) -> None:
        """Make a sub-folder for results whose names begin with ``prefix``."""
        on_rank_zero(self.comm, lambda: self.on_disk(lambda: (self.staging / prefix).mkdir(exist_ok=True)))

    def write(self, name: str, content: Callable[[], str]) -> None:
        """Stage a text file; ``content`` is called on rank 0 alone."""
        on_rank_zero(self.comm, lambda: self.on_disk(lambda: self._write_through(name, content())))

    def write_json(self, name: str, content: Callable[[], Any]) -> None:
        """Stage a JSON file from what ``content`` returns on rank 0; numbers that are not finite become null."""
        self.write(name, lambda: _as_json(content()))

    def write_netcdf(self, name: str, content: Callable[[], xarray.Dataset]) -> None:
        """Stage a dataset; ``content`` is called on rank 0 alone."""
        on_rank_zero(self.comm, lambda: self.on_disk(lambda: write_netcdf(content(), self.staging / name)))

    def draw(self, name: str, picture: str, *content: Any) -> None:
        """Have a picture drawn by `complete`, on rank 0 alone; ``picture`` is "module.function" in this package."""

        def work(path: Path) -> None:
            name, function = picture.rsplit(".", 1)
            with uncollected():
                module = importlib.import_module(f"pnp_exclusion.{name}")
            getattr(module, function)(path, *content)

        self._pictures.append((name, work))

    def _draw(self) -> None:
        for name, picture in self._pictures:
            # libraries may make an error of their own of an interruption, and be broken by one as they are imported
            with held_back():
                failure = draw_or_say(picture, self.staging / name, name)
            if failure:
                self._warn(failure)
                self._add_warning((self.staging / name).with_name("summary.json"), failure)

    def _add_warning(self, summary: Path, sentence: str) -> None:
        if summary.exists():
            content = json.loads(summary.read_text(encoding="utf-8"))
            content["warnings"] = [*content.get("warnings", []), sentence]
            # on a disk that is full, which may be why, the summary stays as it was
            unfinished = summary.with_suffix(".unfinished")
            with contextlib.suppress(OSError):
                self._write_through(str(unfinished.relative_to(self.staging)), _as_json(content))
                os.replace(unfinished, summary)
            unfinished.unlink(missing_ok=True)

    def _write_through(self, name: str, content: str) -> None:
        target = self.staging / name
        with target.open("w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    def complete(self) -> None:
        """Draw, then move everything into place; ``summary.json`` goes first and comes last: the sign of all else.

        An interruption ends it between two pictures; once results move it comes too late to be acted on.
        """

        def move() -> None:
            (self.path / "summary.json").unlink(missing_ok=True)
            new = sorted(self.staging.iterdir(), key=lambda entry: entry.name == "summary.json")
            if self._overwrite:
                _remove_earlier(self.path, {entry.name for entry in new})
            for entry in new:
                _move(entry, self.path / entry.name)
                if LEFT.get(entry.name, entry.name) != entry.name:
                    (self.path / LEFT[entry.name]).unlink(missing_ok=True)
            self.staging.rmdir()

        on_rank_zero(self.comm, lambda: self.on_disk(self._draw))
        with held_back() as too_late:
            on_rank_zero(self.comm, lambda: self.on_disk(move))
            too_late.clear()

    def abandon(self) -> None:
        """Remove what was staged but for the log and a series; any rank, without talking to the others.

        Used after errors: a rank that meets one alone ends rank 0, which can do it no more.
        """
        # another rank may be at it too
        for name, left in LEFT.items():
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.staging / name, self.path / left)
        shutil.rmtree(self.staging, ignore_errors=True)

    def withdraw(self) -> None:
        """Remove what was staged and what `open` has made, as `abandon`: nothing was begun, and nothing is left.

        Of a run that goes on what it had already stays.
        """
        if self._goes_on:
            self.abandon()
            return
        shutil.rmtree(self.staging, ignore_errors=True)
        for folder in self._made:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def on_disk(self, work: Callable[[], None]) -> None:
        """Do what may fail for the disk's sake, turning that into `DiskError` and leaving earlier results alone."""
        try:
            work()
        except OSError as error:
            with contextlib.suppress(OSError):
                self.abandon()
            raise DiskError(f"cannot write to {self.path}: {error.strerror or error}") from None


class SeriesFile:
    """``series.csv``, a row a step from the first one on; a context.

    Every row is on the disk as soon as it is there: a run that ends early leaves those it had as
    ``series_unfinished.csv``, one that is killed in the hidden folder.
    """

    def __init__(self, folder: ResultFolder) -> None:
        self._folder = folder
        self._stream: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, row: Row) -> None:
        """Write a row, and with the first the header; collective."""
        on_rank_zero(self._folder.comm, lambda: self._folder.on_disk(lambda: self._add(row)))

    def _add(self, row: Row) -> None:
        if self._stream is not None and os.fstat(self._stream.fileno()).st_nlink == 0:
            # what is written to a file that was removed is lost without a word
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if self._stream is None:
            self._stream = (self._folder.staging / SERIES).open("w", encoding="utf-8")
            print(",".join(_header(name, unit) for name, (_, unit) in row.items()), file=self._stream)
        print(",".join(f"{value:.15g}" for value, _ in row.values()), file=self._stream, flush=True)


OUR_FILES = {
    "summary.json",
    "manifest.json",
    "profile.csv",
    "series.csv",
    "impedance.csv",
    "impedance_numbers.csv",
    "impedance.json",
    "noise.csv",
    "noise.json",
    "correlations.nc",
    "correlations.json",
    "structure_factors.csv",
    "fields.bp",
    "lattice.json",
    "gas.json",
    "coupling.json",
    "entropy.csv",
    "engine.json",
    "coupling.csv",
    "discharge.csv",
    "diagram.json",
    "points.csv",
    "curve.csv",
    "curve.json",
    "cv.csv",
    "cv.json",
    *(
        f"{picture}.png"
        for picture in (
            "profiles",
            "series",
            "strip",
            "nyquist",
            "bode",
            "noise",
            "correlations",
            "slice",
            "fluxes",
            "comparison",
            "lattice_profiles",
            "lattice_convergence",
            "lattice_relaxation",
            "gas_profiles",
            "gas_critical",
            "gas_sweep",
            "entropy",
            "power_efficiency",
            "engine",
            "discharge",
            "diagram",
            "curve",
            "cv",
        )
    ),
}
"""What this package writes; nothing else in a folder is ever removed."""


LEGS = {"leg_a", "leg_b"}
"""Folders of the legs of an engine within its results; beside them those of laws."""


def _remove_earlier(folder: Path, kept: set[str]) -> None:
    """Remove earlier results that the new ones do not replace; folders within only if they hold nothing else."""
    for entry in folder.iterdir():
        if entry.name in OUR_FILES and entry.name not in kept:
            _remove(entry)
        elif entry.name in LEGS | set(LAWS) and (entry / "manifest.json").is_file():
            _remove_earlier(entry, set())
            with contextlib.suppress(OSError):
                entry.rmdir()


def _move(source: Path, target: Path) -> None:
    """Put a file or folder in its place; into a folder that is there already, unless that is one of our own."""
    if source.is_dir() and target.is_dir() and source.name not in OUR_FILES:
        for entry in source.iterdir():
            _move(entry, target / entry.name)
        source.rmdir()
        return
    if target.is_dir():
        _remove(target)
    os.replace(source, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def draw_or_say(picture: Callable[[Path], Any], path: Path, name: str) -> str:
    """Draw a picture into a file; return nothing, or a sentence with its name if it fails, and then no file is left.

    Whatever goes wrong there, also on a full disk, is no reason to lose what was computed.
    """
    try:
        picture(path)
    except Exception as error:  # noqa: BLE001 - told as a warning
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"{name} could not be drawn ({reason}); everything else is complete"
    return ""


def _as_json(content: Any) -> str:
    return json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n"


def _finite(content: Any) -> Any:
    match content:
        case dict():
            return {key: _finite(value) for key, value in content.items()}
        case list() | tuple():
            return [_finite(value) for value in content]
        case float() if not np.isfinite(content):
            return None
        case np.generic():
            return _finite(content.item())
    return content


# ---- contents ----


def profile_csv(solution: Solution, profile: Profile) -> str:
    """Return ``profile.csv``: x, phi, every species, packing, with a temperature this and the energy of a site,
    electrochemical potentials; units in the header."""
    scales, names = solution.setup.scales, solution.discretisation.problem.names
    columns = [(_header("x", scales.length_unit), profile.x * scales.length_in_unit)]
    if profile.potential is not None:
        columns.append((_header("phi", "V" if scales.si else ""), profile.potential * scales.potential))
    for name, rho in zip(names, profile.rho * scales.displayed_contents[:, None], strict=True):
        columns.append((_header(name, "mol/L" if scales.si else ""), rho))
    columns.append(("packing", solution.discretisation.problem.packing(profile.rho)))
    if profile.temperature is not None and profile.energy is not None:
        columns += [("temperature", profile.temperature), ("energy", profile.energy)]
    for name, mu in zip(names, profile.mu, strict=True):
        columns.append((_header(f"mu_{name}", "kT" if scales.si else ""), mu))
    rows = np.column_stack([values for _, values in columns])
    lines = [",".join(header for header, _ in columns), *(",".join(f"{value:.12g}" for value in row) for row in rows)]
    return "\n".join(lines) + "\n"


def _header(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


def write_fields(solution: Solution, path: Path, moments: Sequence[tuple[float, State]] = ()) -> None:
    """Write every field for ParaView (ADIOS2 VTX), one named quantity with its unit each; collective.

    moments
        States of a motion with their times, in ascending order; the solution itself, at the time 0, if there are none.

    Scalars and vectors have the degree of the solution, so that curved profiles are drawn as they are, and nodes that
    are evenly spaced in every cell, as VTK takes them to be; those of the solution are not from degree 3 on.
    Coordinates are in the unit of the tables (`pnp_exclusion.case.scales.Scales`).
    """
    discrete, scales = solution.discretisation, solution.setup.scales
    problem = discrete.problem
    mesh, dimension = problem.domain.drawn, problem.domain.dimension
    drawn, numbers = unfolded(discrete.space, mesh)
    solved = fem.Function(drawn)

    # densities jump between cells of unlike partition energy
    jumps = discrete.partition_of_cells is not None

    def evenly(components: int) -> fem.Function:
        shape = (components,) if components > 1 else None
        variant = basix.LagrangeVariant.equispaced
        element = basix.ufl.element(
            "Lagrange", mesh.basix_cell(), discrete.degree, variant, shape=shape, discontinuous=jumps
        )
        return fem.Function(fem.functionspace(mesh, element))

    unknown = evenly(discrete.layout.size)
    scalar, vector = evenly(1).function_space, evenly(dimension).function_space
    functions: dict[str, fem.Function] = {}

    def named(name: str, space: fem.FunctionSpace) -> fem.Function:
        return functions.setdefault(name, fem.Function(space, name=name))

    def add(name: str, unit: str, values: np.ndarray) -> None:
        named(_header(name, unit), scalar).x.array[:] = values

    linear = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)))
    cellwise = fem.functionspace(mesh, ("Discontinuous Lagrange", 0))
    raised = fem.Function(scalar)

    def fill() -> None:
        """Write the fields of the state in the unknown into the functions."""
        discrete.layout.at_nodes(solved.x.array)[:] = discrete.layout.at_nodes(discrete.values)[numbers]
        unknown.interpolate(solved)
        nodes = discrete.layout.at_nodes(unknown.x.array)
        partition = None
        if discrete.partition_of_cells is not None:
            partition = np.empty((len(problem.species), len(nodes)))
            partition[:, scalar.dofmap.list] = discrete.partition_of_cells[:, :, None]
        mu, potential = discrete.reported_potentials(nodes, partition)
        rho = discrete.densities(nodes, partition)[1:]
        if potential is not None:
            add("potential", "V" if scales.si else "kT/e", potential * scales.potential)
        for a, name in enumerate(problem.names):
            kind = "concentration" if scales.si else "fraction"
            add(f"{kind}_{name}", "mol/L" if scales.si else "", rho[a] * scales.displayed_contents[a])
            add(f"electrochemical_potential_{name}", "kT", mu[a])
        add("packing", "", problem.packing(rho))
        beta = discrete.inverse_temperature(nodes)
        if beta is not None:
            add("temperature", "", 1.0 / beta)
            add(ENERGY, "", discrete.contents(nodes)[-1])
        averaged = flux_fields(discrete)
        _, vertices = unfolded(averaged.function_space, mesh)
        of_vertices = averaged.x.array.reshape(-1, len(problem.quantities), dimension)[vertices]
        for a, name in enumerate(problem.quantities):
            function = named(_header(f"flux_{name}", "mol/m^2/s" if scales.si else ""), vector)
            for component in range(dimension):
                linear.x.array[:] = of_vertices[:, a, component]
                raised.interpolate(linear)
                function.x.array[component::dimension] = raised.x.array * scales.flux
        if problem.coupled:
            header = _header("fixed_charge", "mol/L" if scales.si else "")
            fixed = named(header, cellwise)
            fixed.x.array[:] = discrete.problem.immobile_charge * scales.displayed_concentration

    def show_and_fill(state: State) -> None:
        discrete.show(state)
        fill()

    states = list(moments) or [(0.0, solution.state)]
    show_and_fill(states[0][1])
    coordinates = mesh.geometry.x.copy()
    mesh.geometry.x[:] *= scales.length_in_unit
    try:
        writer = VTXWriter(mesh.comm, path, list(functions.values()))
        writer.write(states[0][0])
        for time, state in states[1:]:
            mesh.geometry.x[:] = coordinates
            show_and_fill(state)
            mesh.geometry.x[:] *= scales.length_in_unit
            writer.write(time)
        writer.close()
    except RuntimeError as error:
        # the writer's destructor would fail again, and end the process before it could say why
        _broken_writers.append(writer)
        raise OneRankDiskError(f"cannot write {path.name}: {_reason(str(error))}") from None
    finally:
        mesh.geometry.x[:] = coordinates


def _reason(message: str) -> str:
    """What the system said, in a message of ADIOS2, which has colours, a date and the names of its functions beside."""
    number = re.search(r"errno = (\d+)", message)
    return os.strerror(int(number[1])) if number else message.splitlines()[0]


_broken_writers: list[VTXWriter] = []


def manifest(solution: Solution, ranks: int, memory: Sequence[float]) -> dict[str, Any]:
    """Return what is needed to run a case again and to know what ran; reads the mesh file, so for rank 0 alone.

    memory
        The most bytes that each rank has held.
    """
    content = case_manifest(solution.setup.case.as_written(), ranks) | {
        "law": solution.discretisation.problem.law.name,
        "petsc_options": solution.petsc_options,
        "petsc_options_unused": solution.unused_petsc_options,
        "linear": solution.report.linear,
        "tried": solution.report.tried,
        "peak_memory_mb": [round(bytes_held / 1e6) for bytes_held in memory],
        "seconds": dict(solution.seconds),
    }
    if solution.setup.case.domain.shape == "gmsh":
        content["mesh_sha256"] = hashlib.sha256(solution.setup.case.mesh_path.read_bytes()).hexdigest()
    return content


def case_manifest(written: dict[str, Any], ranks: int) -> dict[str, Any]:
    """Return what every manifest says: the case with defaults filled in, its hash, and what ran."""
    return {
        "case": written,
        "case_sha256": case_hash(written),
        "command_line": sys.argv[1:],
        "versions": versions(),
        "ranks": ranks,
    }


def versions() -> dict[str, str]:
    """Return the versions of the package and of what its numbers depend on."""
    found = {
        "python": platform.python_version(),
        "petsc": ".".join(map(str, PETSc.Sys.getVersion())),
        "mpi": MPI.Get_library_version().splitlines()[0].strip(),
    }
    for name in (
        "pnp-exclusion",
        "fenics-dolfinx",
        "dolfinx-solver-real",
        "fenics-basix",
        "fenics-ffcx",
        "fenics-ufl",
        "numpy",
        "scipy",
        "xarray",
        "mpi4py",
        "pydantic",
        "pint",
        "matplotlib",
        "gmsh",
    ):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = _version(name)
    return found


def _version(name: str) -> str:
    """Return the version of an installed package; `PackageNotFoundError` without one."""
    # importlib.metadata.version reads the whole file, with its long description, as an e-mail: longer than a solve
    distribution = importlib.metadata.distribution(name)
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    return text.partition("\nVersion: ")[2].partition("\n")[0]
