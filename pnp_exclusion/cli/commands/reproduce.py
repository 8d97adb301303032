"""``reproduce``: run the command of a results folder again, from its manifest, and compare every number."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnp_exclusion.errors import ConvergenceError, DiskError, ReproductionError, UsageError
from pnp_exclusion.runtime import fenicsx

if TYPE_CHECKING:
    from mpi4py import MPI

    from pnp_exclusion.runtime.console import Console
    from pnp_exclusion.verification.reproduction import FileReport
    from pnp_exclusion.verification.rerun import Manifest

HELP = "run again what a results folder holds, from its manifest, and compare every number"
NOT_AGAIN: dict[str, Any] = {
    "overwrite": False,
    "restart": None,
    "walltime": None,
    "dask": None,
    "retry": False,
    "plan_only": False,
    "part": None,
    "parts": None,
    "gather": False,
}
"""Words of other commands that say how the results came about, beside what they are."""
MOST_TOLD = 10
INTERRUPTED = 130


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of results with its manifest.json")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-6,
        metavar="T",
        help="by which numbers may differ, relative to themselves (default: %(default)g)",
    )
    parser.add_argument(
        "--files", type=Path, metavar="DIR", help="where the files are that the case names (default: where they were)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="keep the new results there (default: they are removed)"
    )
    parser.add_argument("--quiet", action="store_true", help="no lines of progress")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Run the command of the manifest in a folder of its own, compare, print a table."""
    if petsc_options:
        raise UsageError("reproduce takes PETSc's options from the manifest, and no others")
    if not 0.0 < arguments.tolerance < math.inf:
        raise UsageError(f"--tolerance must be greater than 0, but it is {arguments.tolerance:g}")
    fenicsx.import_mpi()
    from mpi4py import MPI

    from pnp_exclusion.runtime.console import Console
    from pnp_exclusion.runtime.parallel import on_rank_zero
    from pnp_exclusion.verification.rerun import read_manifest

    comm = MPI.COMM_WORLD
    console = Console(comm.rank, arguments.quiet)
    manifest = on_rank_zero(comm, lambda: read_manifest(arguments.folder))
    with _temporary_folder(comm) as temporary:
        reports = _run_and_compare(arguments, manifest, temporary, console)
    if comm.rank == 0:
        print("\n".join(_table(reports, arguments.tolerance)), flush=True)
    count = sum(report.differing for report in reports)
    if count:
        differences = [difference for report in reports for difference in report.differences]
        lines = [f"  {difference}" for difference in differences[:MOST_TOLD]]
        rest = [f"  and {count - len(lines)} more"] if count > len(lines) else []
        raise ReproductionError("\n".join([f"{arguments.folder} was not reproduced:", *lines, *rest]))
    return 0


@contextlib.contextmanager
def _temporary_folder(comm: MPI.Comm) -> Iterator[Path]:
    """A folder for cases and results, which rank 0 removes at the end."""
    from pnp_exclusion.runtime.parallel import on_rank_zero

    folder = on_rank_zero(comm, lambda: _on_disk(lambda: Path(tempfile.mkdtemp(prefix="pnp-reproduce-"))))
    try:
        yield folder
    finally:
        if comm.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)


def _on_disk[T](work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        raise DiskError(f"cannot write to {tempfile.gettempdir()}: {error.strerror or error}") from None


def _run_and_compare(
    arguments: argparse.Namespace, manifest: Manifest, temporary: Path, console: Console
) -> list[FileReport]:
    from mpi4py import MPI

    from pnp_exclusion.runtime.parallel import on_rank_zero
    from pnp_exclusion.verification.rerun import find_files, write_cases

    comm, keeps = MPI.COMM_WORLD, arguments.output is not None
    work = lambda: _on_disk(lambda: write_cases(manifest, temporary, arguments.files, keeps))  # noqa: E731
    paths, changed = on_rank_zero(comm, work)
    files, others_changed = on_rank_zero(comm, lambda: _on_disk(lambda: find_files(manifest, arguments.files)))
    out = arguments.output or temporary / "results"
    console.say(f"{arguments.folder}: {shlex.join(['pnp-exclusion', *manifest.command_line])}")
    _run(manifest, {**files, "output": out, "quiet": arguments.quiet}, paths)

    from pnp_exclusion.output.manifest import versions
    from pnp_exclusion.output.results import OUR_FILES
    from pnp_exclusion.physics.laws import LAWS
    from pnp_exclusion.verification.reproduction import ROUNDING, compare_folders, names_in

    others = [*_other_versions(manifest.versions, versions()), *_other_ranks(manifest.ranks, comm.size)]
    for sentence in [*changed, *others_changed, *others]:
        console.warn(sentence)
    limits = arguments.tolerance, ROUNDING if others else 0.0
    names, ours = names_in(manifest.cases) | set(LAWS), OUR_FILES | {"sweep.nc"}
    return on_rank_zero(comm, lambda: compare_folders(arguments.folder, out, names, ours, limits))


def _run(manifest: Manifest, words_here: Mapping[str, Any], cases: Sequence[Path]) -> None:
    """Run the command of a manifest of given cases; what it ends with counts only if it has left no results.

    words_here
        Where the results go, how to talk, and where the files are that the command takes.
    """
    from pnp_exclusion.cli.line import called_with, command, read_line

    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            words, petsc_options = read_line(manifest.command_line)
    except SystemExit:
        line = shlex.join(manifest.command_line)
        raise UsageError(f"{manifest.folder} is of words that this version does not know: {line}") from None
    given = vars(words)
    given |= {word: value for word, value in NOT_AGAIN.items() if word in given}
    if "cases" in given:
        # a case a law, each with its own
        given |= {"cases": list(cases), "law": None}
    else:
        given |= dict(zip(("case", "other"), cases, strict=False))
    given |= words_here
    try:
        with called_with(manifest.command_line), contextlib.redirect_stdout(io.StringIO()):
            code = command(words.command).execute(words, petsc_options)
    except ConvergenceError:
        if not (words_here["output"] / "manifest.json").is_file():
            raise
    else:
        if code == INTERRUPTED:
            raise KeyboardInterrupt


def _other_versions(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Say what computes now and did not then."""
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield f"{name} was {then.get(name, 'not there')} then and is {now.get(name, 'not there')} now"


def _other_ranks(then: int, now: int) -> Iterator[str]:
    if then != now:
        yield f"it ran on {then} {'rank' if then == 1 else 'ranks'} then and on {now} now"


def _table(reports: Sequence[FileReport], tolerance: float) -> list[str]:
    from pnp_exclusion.output.text import columns

    rows = [["file", "numbers and words", "largest difference", ""]]
    for report in reports:
        count = report.differing
        verdict = f"{count} {'differs' if count == 1 else 'differ'}" if count else "the same"
        rows.append([report.name, str(report.count), f"{report.largest:.2g}", verdict])
    total = sum(report.count for report in reports)
    same = not any(report.differing for report in reports)
    within = f"within {tolerance:g}"
    ending = f"all {total} are the same {within}" if same else f"not all of {total} are the same {within}"
    return [*columns(rows), f"{ending}; fields in .bp and .vtkhdf, pictures and the log are not compared"]
