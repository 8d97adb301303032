"""Runs that are interrupted, or whose callbacks fail, while PETSc is at work: how they end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from mpi4py import MPI

import pytest
from conftest import BIN, dimensionless_case, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.case.output_tables import Files
from pnp_exclusion.output import plots, results
from pnp_exclusion.output.results import ResultFolder
from pnp_exclusion.solver.linear.block_matrices import FieldMatrices
from pnp_exclusion.solver.newton import NewtonSolver

PATIENCE = 60.0
SAID = "pnp-exclusion: interrupted; no results were written\n"


def box(cells: int) -> dict:
    """A salt in a box, by multigrid for every field."""
    ends = (("left", 0.2, 3.0), ("right", 0.4, 0.0))
    return {
        "model": {"units": "dimensionless", "law": "shdl", "electrostatics": "poisson", "debye_length": 0.3},
        "species": [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}],
        "domain": {"shape": "box", "size": [1.0, 1.0, 1.0], "cells": cells},
        "boundaries": [
            {"where": where, "kind": "reservoir", "fraction": {"A": rho, "B": rho}, "potential": potential}
            for where, rho, potential in ends
        ],
        "solver": {"degree": 1, "linear": "fieldsplit"},
    }


def start(case: Path, folder: Path, ranks: int = 1, *others: str) -> subprocess.Popen[str]:
    """Start a run in a process group of its own, as a shell does."""
    words = [str(BIN / "pnp-exclusion"), "run", str(case), "-o", str(folder), "--quiet", *others]
    if ranks > 1:
        words = [str(BIN / "mpiexec"), "-n", str(ranks), *words]
    return subprocess.Popen(
        words,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        # what runs in the background of a shell inherits that SIGINT is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def until_newton(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the log tells of a Newton step."""
    log, until = folder / ".unfinished" / "log.txt", time.monotonic() + PATIENCE
    while not (log.exists() and "Newton" in log.read_text()):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)


def ranks_of(launcher: int) -> list[int]:
    """The processes below a launcher that run our command."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = status.read_text().partition(" ")
            parents[int(number)] = int(rest.rpartition(")")[2].split()[1])
        except OSError:
            continue
    below = lambda process: process == launcher or (process in parents and below(parents[process]))  # noqa: E731
    commands = {process: Path(f"/proc/{process}/cmdline") for process in parents if below(process)}
    return [p for p, line in sorted(commands.items()) if line.exists() and b"mpiexec" not in line.read_bytes()[:200]]


@pytest.mark.parametrize(("number", "ranks"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_run_in_three_dimensions_ends_at_any_moment_with_exit_code_130(number: signal.Signals, ranks: int, tmp_path):
    """Ctrl-C and SIGTERM, sent to the group; PETSc's set-up ended by an exception was a segmentation fault."""
    process = start(write_toml(box(16), tmp_path / "box.toml"), tmp_path / "out", ranks)
    until_newton(tmp_path / "out", process)
    time.sleep(0.5 * random.random())
    os.killpg(process.pid, number)
    printed, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, told
    assert told.count(SAID) == 1
    assert printed == "" or ranks > 1  # where the launcher speaks
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["log.txt"]


def test_interruption_of_one_rank_alone_ends_all(tmp_path: Path):
    case = write_toml(box(24), tmp_path / "box.toml")
    process = start(case, tmp_path / "out", 2)
    until_newton(tmp_path / "out", process)
    os.kill(ranks_of(process.pid)[-1], signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, told
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["log.txt"]


@pytest.mark.parametrize(("place", "call"), [("_part", 2), ("_make_parts", 1)])
def test_error_in_the_set_up_of_a_preconditioner_is_raised_when_petsc_has_returned(place: str, call: int, monkeypatch):
    """One that passed through PETSc left a preconditioner half made, whose end was a segmentation fault."""
    usual, calls = getattr(FieldMatrices, place), []

    def fail(self: FieldMatrices, *arguments: object) -> object:
        calls.append(place)
        if len(calls) == call:
            raise MemoryError("as where memory has run out")
        return usual(self, *arguments)

    case = pnp.make_case(box(6))
    monkeypatch.setattr(FieldMatrices, place, fail)
    with pytest.raises(MemoryError, match="has run out"):
        pnp.solve(case)
    monkeypatch.undo()
    assert pnp.solve(case).converged


@pytest.mark.parametrize("callback", ["_assemble_residual", "_assemble_jacobian", "_test", "_limit_step"])
def test_error_of_any_callback_is_raised_as_it_was(callback: str, monkeypatch):
    def fail_at_once(self: NewtonSolver, *arguments: object) -> object:
        raise ZeroDivisionError(callback)

    monkeypatch.setattr(NewtonSolver, callback, fail_at_once)
    with pytest.raises(ZeroDivisionError, match=callback):
        pnp.solve(pnp.make_case(dimensionless_case()))
    # a signal that was noted is acted on at the end of the call
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


FAILING_ON_ONE_RANK = """
import sys
from mpi4py import MPI
from pnp_exclusion.runtime import fenicsx
fenicsx.initialise_petsc()
from pnp_exclusion.solver.newton import NewtonSolver
if MPI.COMM_WORLD.rank == 1:
    def fail(*_):
        raise MemoryError("as where memory has run out")
    NewtonSolver._assemble_residual = fail
from pnp_exclusion.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
LOG_ON_A_FULL_DISK = """
import sys
from pathlib import Path
from pnp_exclusion.runtime.console import Console
usual = Console.open_log
Console.open_log = lambda self, path: usual(self, Path("/dev/full"))
from pnp_exclusion.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


INTERRUPTED_AS_THE_FOLDER_OPENS = """
import signal, sys
from pnp_exclusion.runtime import fenicsx
fenicsx.initialise_petsc()
from mpi4py import MPI
from pnp_exclusion.output.job import Job
from pnp_exclusion.runtime.console import Console
where, name = {where}
usual = getattr(where, name)
def interrupted(*arguments):
    if MPI.COMM_WORLD.rank == MPI.COMM_WORLD.size - 1:
        signal.raise_signal(signal.SIGINT)
    return usual(*arguments)
setattr(where, name, interrupted)
from pnp_exclusion.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def run_program(program: str, ranks: int, *words: str | Path) -> subprocess.CompletedProcess[str]:
    launcher = [str(BIN / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def test_error_of_a_callback_on_one_rank_ends_all(tmp_path: Path):
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    ended = run_program(FAILING_ON_ONE_RANK, 2, "run", case, "-o", tmp_path / "out")
    assert ended.returncode == 1
    assert "error on rank 1" in ended.stderr
    assert "MemoryError: as where memory has run out" in ended.stderr


@pytest.mark.parametrize(("where", "ranks"), [('Console, "open_log"', 1), ('Job, "__enter__"', 2)])
def test_interruption_as_the_folder_opens_leaves_no_staged_results(where: str, ranks: int, tmp_path: Path):
    """While rank 0 makes the folder, or on another rank just before it has come there."""
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    program = INTERRUPTED_AS_THE_FOLDER_OPENS.format(where=where)
    ended = run_program(program, ranks, "run", case, "-o", tmp_path / "out", "--quiet")
    assert ended.returncode == 130, ended.stderr
    assert {entry.name for entry in (tmp_path / "out").glob("*")} <= {"log.txt"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("ranks", [1, 2])
def test_log_on_a_full_disk_ends_in_one_sentence_with_exit_code_4(ranks: int, tmp_path: Path):
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    ended = run_program(LOG_ON_A_FULL_DISK, ranks, "run", case, "-o", tmp_path / "out", "--quiet")
    assert (ended.returncode, ended.stderr) == (4, "pnp-exclusion: cannot write /dev/full: No space left on device\n")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("after", "rounds", "code"), [(0.0, 2_000_000, -signal.SIGINT), (1.0, 2_000_000_000, 130)])
def test_second_signal_ends_at_once_what_compiled_code_is_at(after: float, rounds: int, code: int):
    """Long arithmetic stands for a long elimination; one that a launcher passes on within a moment is no second one."""
    program = (
        "import hashlib\nfrom pnp_exclusion.runtime import signals\nsignals.hear_interruptions()\n"
        f"with signals.held_back():\n    print('begun', flush=True)\n"
        f"    hashlib.pbkdf2_hmac('sha1', b'', b'', {rounds})\n    print('done', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(after)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, printed) == (code, b"" if after else b"done\n")


INTERRUPTED_WHEN_ALL_IS_DONE = """
import signal, sys
from pnp_exclusion.runtime import fenicsx
fenicsx.initialise_petsc()
from pnp_exclusion.output.job import Job
usual = Job.print_lines
def interrupted(*arguments):
    signal.raise_signal(signal.SIGINT)
    usual(*arguments)
Job.print_lines = interrupted
from pnp_exclusion.cli.main import main
sys.argv = ["pnp-exclusion", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_interruption_when_results_are_in_place_is_no_interruption(ranks: int, tmp_path: Path):
    """The command once ended with 130 and said that none was written, beside a folder of results."""
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    ended = run_program(INTERRUPTED_WHEN_ALL_IS_DONE, ranks, "run", case, "-o", tmp_path / "out", "--quiet")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "out" / "summary.json").exists()


def _folder_with_results(path: Path) -> ResultFolder:
    folder = ResultFolder(path, MPI.COMM_SELF)
    folder.open()
    folder.write("summary.json", lambda: "{}")
    return folder


def test_interruption_while_a_picture_is_drawn_leaves_no_results(tmp_path: Path, monkeypatch):
    """Pictures come last and take most of a small run's time: one who interrupts there is told the truth."""
    folder = _folder_with_results(tmp_path / "results")
    folder.draw(Files(), "slice", "output.plots.draw_slice")
    monkeypatch.setattr(plots, "draw_slice", lambda path: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        folder.complete()
    folder.abandon()
    assert list((tmp_path / "results").iterdir()) == []


def test_interruption_while_results_move_comes_too_late(tmp_path: Path, monkeypatch):
    folder = _folder_with_results(tmp_path / "results")
    moved = results._move

    def move(source: Path, target: Path) -> None:
        signal.raise_signal(signal.SIGINT)
        moved(source, target)

    monkeypatch.setattr(results, "_move", move)
    folder.complete()
    assert [entry.name for entry in (tmp_path / "results").iterdir()] == ["summary.json"]
