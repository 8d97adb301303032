"""What lands on disk. A file is complete or absent: results are staged in a hidden folder and moved at the end."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from mpi4py import MPI

import numpy as np

from pnp_exclusion.case.output_tables import PICTURE_FORMATS, Files
from pnp_exclusion.errors import DiskError, UsageError
from pnp_exclusion.observe.sample import Profile
from pnp_exclusion.output.netcdf import write_netcdf
from pnp_exclusion.output.text import header
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

    def draw(self, output: Files, name: str, picture: str, *content: Any, ending: str = "") -> None:
        """Have a picture drawn by `complete`, on rank 0 alone, in the format that a case wants, if any.

        name
            Of its file, without an ending.
        picture
            "module.function" in this package.
        ending
            Of a picture that has a format of its own.
        """
        ending = ending or output.picture_format
        if not ending:
            return

        def work(path: Path) -> None:
            place, function = picture.rsplit(".", 1)
            with uncollected():
                module = importlib.import_module(f"pnp_exclusion.{place}")
            getattr(module, function)(path, *content)

        self._pictures.append((f"{name}.{ending}", work))

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
            print(",".join(header(name, unit) for name, (_, unit) in row.items()), file=self._stream)
        print(",".join(f"{value:.15g}" for value, _ in row.values()), file=self._stream, flush=True)


OUR_FILES = {
    "summary.json",
    "animation.gif",
    "manifest.json",
    "profile.csv",
    "series.csv",
    "impedance.csv",
    "impedance_numbers.csv",
    "impedance.json",
    "gradient.csv",
    "gradient.json",
    "fit.csv",
    "fit.json",
    "noise.csv",
    "noise.json",
    "correlations.nc",
    "correlations.json",
    "structure_factors.csv",
    "fields.bp",
    "fields.vtkhdf",
    "fields.csv",
    "lines.csv",
    "probes.csv",
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
        f"{picture}.{ending}"
        for ending in PICTURE_FORMATS
        for picture in (
            "profiles",
            "series",
            "strip",
            "nyquist",
            "bode",
            "fit",
            "noise",
            "correlations",
            "slice",
            "fluxes",
            "accuracy",
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
    columns = [(header("x", scales.length_unit), profile.x * scales.length_in_unit)]
    if profile.potential is not None:
        columns.append((header("phi", "V" if scales.si else ""), profile.potential * scales.potential))
    for name, rho in zip(names, profile.rho * scales.displayed_contents[:, None], strict=True):
        columns.append((header(name, "mol/L" if scales.si else ""), rho))
    columns.append(("packing", solution.discretisation.problem.packing(profile.rho)))
    if profile.temperature is not None and profile.energy is not None:
        columns += [("temperature", profile.temperature), ("energy", profile.energy)]
    for name, mu in zip(names, profile.mu, strict=True):
        columns.append((header(f"mu_{name}", "kT" if scales.si else ""), mu))
    rows = np.column_stack([values for _, values in columns])
    lines = [",".join(head for head, _ in columns), *(",".join(f"{value:.12g}" for value in row) for row in rows)]
    return "\n".join(lines) + "\n"
