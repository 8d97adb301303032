"""Checkpoints of motions: a run that was stopped or killed ends as one that was not, on any number of ranks."""

from __future__ import annotations

import copy
import csv
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import change, run_command, write_toml
from test_interruptions import start
from test_transient import between_electrodes

import pnp_exclusion as pnp
from pnp_exclusion.case.same_case import MAY_CHANGE
from pnp_exclusion.errors import DiskError, StoppedError, UsageError
from pnp_exclusion.output.results import ResultFolder, SeriesFile
from pnp_exclusion.solution.series import Row
from pnp_exclusion.solution.transient import TransientSolution

PATIENCE = 60.0
JUMP = 0.01


class Killed(Exception):
    """Stands for the end of a process between two steps."""


def pulsed(**time: object) -> dict:
    """Two blocking electrodes, one of which jumps in the middle."""
    drive = {"pulses": [0.0, 1.0], "period": 2.0 * JUMP, "width": JUMP}
    of_time = {"end": 1.6 * JUMP, "fields": {"count": 4}, "checkpoint": {"steps": 1}, **time}
    tables = between_electrodes("shdl", drive, -1.0, 0.2, **of_time)
    tables["domain"]["cells"] = 20
    tables["output"] = {"pictures": False, "fields": False}
    return tables


def killed_after(rows: int) -> Callable[[Row], None]:
    """What ends a run as it has so many rows, before the checkpoint of the last one."""
    seen = []

    def end(row: Row) -> None:
        seen.append(row)
        if len(seen) == rows:
            raise Killed

    return end


def run_killed(tables: dict, folder: Path, rows: int) -> None:
    with pytest.raises(Killed):
        pnp.run(tables, checkpoints=folder, on_row=killed_after(rows))


@pytest.fixture(scope="module")
def undisturbed() -> TransientSolution:
    """A run that nobody stops, and that writes no checkpoints."""
    return pnp.run(pulsed())


def numbers(rows: list[Row]) -> np.ndarray:
    return np.array([[value for value, _ in row.values()] for row in rows])


def table(path: Path) -> np.ndarray:
    with path.open() as stream:
        return np.array([[float(cell) for cell in row] for row in list(csv.reader(stream))[1:]])


def far(found: np.ndarray, right: np.ndarray) -> float:
    """The largest difference of two tables, relative to the largest of its column."""
    assert found.shape == right.shape
    return float((np.abs(found - right).max(axis=0) / np.maximum(np.abs(right).max(axis=0), 1e-300)).max())


def test_killed_run_goes_on_to_the_same_numbers(undisturbed: TransientSolution, tmp_path: Path):
    """The first step, one that ends at a jump, and any other: a checkpoint has all that is carried on, to the bit."""
    right = numbers(undisturbed.rows)
    jump = 1 + int(np.argmin(np.abs(right[:, 0] - JUMP)))
    assert right[jump - 1, 0] == JUMP
    for rows in (2, jump + 1, len(right) - 3):
        folder = tmp_path / str(rows)
        folder.mkdir()
        run_killed(pulsed(), folder, rows)
        told: list[Row] = []
        solution = pnp.run(pulsed(), restart=folder, on_row=told.append)
        assert np.array_equal(numbers(solution.rows), right)
        assert told == solution.rows
        fields, expected = solution.snapshots(), undisturbed.snapshots()
        assert fields is not None
        assert fields.identical(expected)
        one, other = ({**each.summary(), "wall_seconds": 0.0} for each in (solution, undisturbed))
        assert one == other


def test_other_scheme_goes_on_too_and_not_beyond_its_steady_end(tmp_path: Path):
    """It remembers other points of its steps than the usual one."""
    tables = pulsed(scheme="galerkin", stop="steady", end=1e4, tolerance=0.05)
    tables["boundaries"][0]["potential"] = 0.0
    right = numbers(pnp.run(tables).rows)
    run_killed(tables, tmp_path, 12)
    for _ in range(2):
        solution = pnp.run(tables, restart=tmp_path)
        assert np.array_equal(numbers(solution.rows), right)
        assert solution.steady_at_end


def test_two_ranks_go_on_from_one_and_one_from_two(undisturbed: TransientSolution, tmp_path: Path):
    case, folder = write_toml(pulsed(), tmp_path / "case.toml"), tmp_path / "out"
    folder.mkdir()
    run_killed(pulsed(), folder, 9)
    ended = run_command("run", case, "--restart", folder, "--walltime", "1 ms", ranks=2)
    assert ended.returncode == 5, ended.stderr
    assert "stopped as its time is up" in ended.stderr
    assert far(table(folder / "series_unfinished.csv"), numbers(undisturbed.rows)[:9]) < 1e-8
    solution = pnp.run(pulsed(), restart=folder)
    assert far(numbers(solution.rows), numbers(undisturbed.rows)) < 1e-8


def started(case: Path, folder: Path, ranks: int) -> subprocess.Popen[str]:
    """Start a run, as a shell does, and wait for its first rows."""
    process = start(case, folder, ranks)
    series, until = folder / ".unfinished" / "series.csv", time.monotonic() + PATIENCE
    while not (series.exists() and series.read_text().count("\n") > 3):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(("number", "ranks", "code"), [(signal.SIGTERM, 1, 5), (signal.SIGINT, 2, 130)])
def test_signal_ends_a_run_at_a_checkpoint(number: signal.Signals, ranks: int, code: int, tmp_path: Path):
    """Exit code 5 as a scheduler's time is up, 130 at Ctrl-C; a new run does not touch what is there."""
    # too long to end by itself
    case, folder = write_toml(pulsed(end=10.0, checkpoint={"every": "1 h"}), tmp_path / "case.toml"), tmp_path / "out"
    process = started(case, folder, ranks)
    os.killpg(process.pid, number)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, told
    assert told.count(f"pnp-exclusion: stopped at {number.name}, at t = ") == 1
    assert {entry.name for entry in folder.iterdir()} == {"log.txt", "series_unfinished.csv", "checkpoints"}
    if ranks > 1:
        return
    anew = run_command("run", case, "-o", folder)
    assert anew.returncode == 2
    assert f"go on with --restart {folder}" in anew.stderr
    before = table(folder / "series_unfinished.csv")
    # where the tests are at work, it may be one step
    shorter = write_toml(pulsed(end=float(before[-1, 0]) + 1e-6), case)
    ended = run_command("run", shorter, "--restart", folder)
    assert ended.returncode == 0, ended.stderr
    after = table(folder / "series.csv")
    assert far(after[: len(before)], before) < 1e-12
    assert (np.diff(after[:, 0]) > 0.0).all()
    assert len(after) > len(before)
    assert {"log.txt", "series.csv", "summary.json", "checkpoints"} <= {entry.name for entry in folder.iterdir()}
    assert not (folder / "series_unfinished.csv").exists()


def test_second_signal_ends_at_once_and_one_that_a_launcher_passes_on_does_not():
    from pnp_exclusion.runtime import interruption

    with interruption.Interruption() as noted:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert noted.number == signal.SIGINT
        time.sleep(1.1 * interruption.REPEATED)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two checkpoints of a run that was killed."""
    folder = tmp_path_factory.mktemp("stopped")
    run_killed(pulsed(), folder, 9)
    assert len(list((folder / "checkpoints").glob("checkpoint_*"))) == 2
    return folder


def test_another_case_is_refused_with_the_difference(stopped: Path, tmp_path: Path):
    for path, value, told in (
        (("model", "debye_length"), 0.3, "model.debye_length is 0.2 there and 0.3 here"),
        (("boundaries", 1, "potential"), -2.0, "boundaries.right.potential is -1.0 there and -2.0 here"),
        (("time", "largest_step"), 1e-3, "time.largest_step is absent there and 0.001 here"),
        (("species", 0, "name"), "K", "species is ['cation', 'anion'] there and ['K', 'anion'] here"),
    ):
        with pytest.raises(UsageError, match="is not the case of the checkpoint") as refused:
            pnp.run(change(pulsed(), *path, to=value), restart=stopped)
        assert told in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match="is beyond the end"):
        pnp.run(pulsed(end=1e-5), restart=stopped)
    with pytest.raises(UsageError, match="there is no checkpoint in"):
        pnp.run(pulsed(), restart=tmp_path)
    case = write_toml(pulsed(), tmp_path / "case.toml")
    ended = run_command("run", case, "--restart", tmp_path / "nowhere")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


def test_table_that_has_changed_is_another_case(tmp_path: Path):
    drive = tmp_path / "drive.csv"
    drive.write_text("time,potential\n0,0\n0.01,1\n")
    tables = pulsed()
    tables["boundaries"][0]["potential"] = {"table": "drive.csv"}
    run_killed(pnp.make_case(tables, tmp_path), tmp_path, 3)
    drive.write_text("time,potential\n0,0\n0.01,2\n")
    there = r'row 2 of "drive\.csv" is \(0\.01, 1\) there and \(0\.01, 2\) here'
    with pytest.raises(UsageError, match=there):
        pnp.run(pnp.make_case(tables, tmp_path), restart=tmp_path)
    drive.write_text("time,potential\n0,0\n0.01,1\n0.02,1\n")
    with pytest.raises(UsageError, match=r'"drive\.csv" has 2 rows there and 3 here'):
        pnp.run(pnp.make_case(tables, tmp_path), restart=tmp_path)


def test_what_may_change_does_and_the_end_may_be_put_off(stopped: Path, tmp_path: Path):
    """To a time by which the potential goes further, for which a mesh would be made another way."""
    (tmp_path / "run").mkdir()
    tables = pulsed(end=1.9 * JUMP, checkpoint={"every": "1 h"}, fields={"times": [0.5 * JUMP]}, stop="steady")
    tables |= {"title": "another", "solver": {"linear": "direct", "petsc": {"ksp_rtol": 1e-9}}}
    tables["output"] = {"pictures": True}
    assert {key.partition(".")[0] for key in MAY_CHANGE} == {"title", "output", "time", "solver"}
    solution = pnp.run(tables, restart=stopped, checkpoints=tmp_path / "run")
    assert solution.time == 1.9 * JUMP
    assert (np.diff(numbers(solution.rows)[:, 0]) > 0.0).all()
    # and again from there
    assert pnp.run(change(tables, "time", "end", to=1.95 * JUMP), restart=tmp_path / "run").time == 1.95 * JUMP


@pytest.mark.parametrize("damage", ["cut", "changed", "without its fields"])
def test_damaged_checkpoint_falls_back_to_the_one_before(damage: str, undisturbed: TransientSolution, tmp_path: Path):
    right = numbers(undisturbed.rows)
    # the newest checkpoint is the first one after fields were kept
    run_killed(pulsed(), tmp_path, 2 + int(np.argmin(np.abs(right[:, 0] - 0.4 * JUMP))))
    folder = tmp_path / "checkpoints"
    newest = max(folder.glob("checkpoint_*"))
    content = newest.read_bytes()
    match damage:
        case "cut":
            newest.write_bytes(content[: len(content) // 2])
        case "changed":
            newest.write_bytes(content[:2000] + bytes(64) + content[2064:])
        case _:
            (fields,) = folder.glob("fields_*")
            fields.unlink()
    told: list[str] = []
    solution = pnp.run(pulsed(), restart=tmp_path, warn=told.append)
    assert len(told) == 1
    assert f"{newest} cannot be read" in told[0]
    assert np.array_equal(numbers(solution.rows), right)
    assert len(solution.moments) == len(undisturbed.moments)
    for broken in folder.iterdir():
        broken.write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"there is no whole checkpoint: .* cannot be read .*; .* cannot be read"):
        pnp.run(pulsed(), restart=tmp_path)


def test_walltime_stops_a_run_after_a_step(tmp_path: Path):
    with pytest.raises(StoppedError, match="stopped as its time is up") as stopped:
        pnp.run(pulsed(), checkpoints=tmp_path, walltime="1 ms")
    assert stopped.value.exit_code == 5
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    for wrong, told in (("2 m", "is of another kind"), ("soon", "is not a time"), (-1.0, "must be positive")):
        with pytest.raises(UsageError, match=told):
            pnp.run(pulsed(), checkpoints=tmp_path, walltime=wrong)
    with pytest.raises(UsageError, match="give checkpoints"):
        pnp.run(pulsed(), walltime="1 h")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_full_disk_and_vanished_folder_are_told_and_lose_no_checkpoint(stopped: Path, tmp_path: Path):
    shutil.copytree(stopped, tmp_path / "run")
    there = {entry: entry.read_bytes() for entry in (tmp_path / "run" / "checkpoints").iterdir()}
    number = 1 + max(int(entry.stem.rpartition("_")[2]) for entry in there)
    os.symlink("/dev/full", tmp_path / "run" / "checkpoints" / f".checkpoint_{number:06d}.npz.unfinished")
    with pytest.raises(DiskError, match="No space left on device"):
        pnp.run(pulsed(), restart=tmp_path / "run")
    # fields of the checkpoint that failed may be beside them, until the next one
    assert {entry: entry.read_bytes() for entry in there} == there

    def vanish(row: Row) -> None:
        shutil.rmtree(tmp_path / "other", ignore_errors=True)

    (tmp_path / "other").mkdir()
    with pytest.raises(DiskError, match="No such file or directory"):
        pnp.run(pulsed(), checkpoints=tmp_path / "other", on_row=vanish)
    assert not (tmp_path / "other").exists()


def test_series_in_a_folder_that_vanishes_is_told(tmp_path: Path):
    """A file that was removed takes what is written to it without a word."""
    folder = ResultFolder(tmp_path / "out", MPI.COMM_SELF)
    folder.open()
    with SeriesFile(folder) as series:
        series.add({"time": (0.0, "")})
        shutil.rmtree(tmp_path / "out")
        with pytest.raises(DiskError, match="No such file"):
            series.add({"time": (1.0, "")})


def test_checkpoints_of_another_motion_are_replaced(stopped: Path, tmp_path: Path):
    """One that begins anew in the same folder numbers its own beyond those, which go with its first."""
    shutil.copytree(stopped, tmp_path / "run")
    other = change(copy.deepcopy(pulsed()), "boundaries", 1, "potential", to=0.0)
    run_killed(other, tmp_path / "run", 2)
    (only,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert int(only.stem.rpartition("_")[2]) > 8
    assert pnp.run(other, restart=tmp_path / "run").time == 1.6 * JUMP


def test_schedules_of_checkpoints_are_checked():
    from conftest import mistakes

    assert any("give every, time or steps" in mistake for mistake in mistakes(pulsed(checkpoint={})))
    assert any("every must be positive" in mistake for mistake in mistakes(pulsed(checkpoint={"every": "0 s"})))
    assert any("10 min" in mistake for mistake in mistakes(pulsed(checkpoint={"every": "1 m"})))
