"""Whoever solves, and whatever is killed meanwhile: the same files, to the last byte."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import BIN, dimensionless_case, run_command, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.case.case import Case, make_case
from pnp_exclusion.case.varied import VariedCases
from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime.pool import ExecutorLostError, ProcessPool
from pnp_exclusion.studies.sweeps.executors import dask_executor, over_executor
from pnp_exclusion.studies.sweeps.groups import groups_of
from pnp_exclusion.studies.sweeps.plan import Chunk, Work, plan_of
from pnp_exclusion.studies.sweeps.record import WORKER_DIED

FILES = ("points.jsonl", "sweep.nc", "plan.json")
LONG = 400
"""Points of a sweep that is disturbed: enough to outlive ten kills."""
LONGEST = 100.0
"""Seconds for something to happen on a busy machine."""


def tables(points: int) -> dict:
    """Two laws, so two workbenches; chunks of four."""
    axes = [
        {"key": "model.law", "values": ["shdl", "mpnp"]},
        {"key": "species.A.field", "from": -10.0, "to": 10.0, "count": points // 2},
    ]
    return dimensionless_case() | {"sweep": {"axes": axes, "chunk": 4}}


class Reference(NamedTuple):
    case: Path
    files: dict[str, bytes]


def files_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def lines_of(folder: Path) -> set[bytes]:
    """The whole lines of the points on disk."""
    lines = (folder / "points.jsonl").read_bytes().splitlines(keepends=True)
    return {line for line in lines if line.endswith(b"\n")}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """A sweep that is soon done, solved in this process."""
    return _reference(tmp_path_factory.mktemp("short"), 28)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """One that takes some seconds, so that it can be disturbed."""
    return _reference(tmp_path_factory.mktemp("long"), LONG)


def _reference(folder: Path, points: int) -> Reference:
    case = write_toml(tables(points), folder / "case.toml")
    pnp.sweep(case, folder / "out")
    return Reference(case, files_of(folder / "out"))


# ---- who solves ----


def test_processes_find_the_same(short: Reference, tmp_path: Path):
    finished = run_command("sweep", short.case, "-o", tmp_path, "--workers", "2")
    assert finished.returncode == 0, finished.stderr
    assert files_of(tmp_path) == short.files
    assert "28 points in 8 chunks" in finished.stderr


def test_ranks_by_mpi4py_futures_find_the_same(short: Reference, tmp_path: Path):
    finished = run_command("sweep", short.case, "-o", tmp_path, ranks=2)
    assert finished.returncode == 0, finished.stderr
    assert files_of(tmp_path) == short.files
    assert finished.stdout.count("28 points, 28 with a solution") == 1


@pytest.mark.parametrize("ranks", [2, 3])
def test_groups_of_ranks_solve_points_together(ranks: int, short: Reference, tmp_path: Path):
    """Two ranks in turn, and two for a third that hands out; sums over ranks differ in the last digits."""
    finished = run_command("sweep", short.case, "-o", tmp_path, "--ranks-per-point", "2", ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    import xarray as xr

    with xr.open_dataset(tmp_path / "sweep.nc") as found, xr.open_dataset(short.case.parent / "out/sweep.nc") as alone:
        assert found["current"].values == pytest.approx(alone["current"].values, rel=1e-9, abs=1e-12)
        assert (found["regime"] == alone["regime"]).all()


def test_dask_finds_the_same(short: Reference, tmp_path: Path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster:
        pnp.sweep(short.case, tmp_path, dask=cluster.scheduler_address)
    assert files_of(tmp_path) == short.files


@pytest.mark.parametrize(
    "make",
    [lambda: ThreadPoolExecutor(2), lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))],
    ids=["threads", "processes"],
)
def test_executor_of_the_users_finds_the_same(make, short: Reference, tmp_path: Path):
    with make() as executor:
        results = pnp.sweep(short.case, tmp_path, executor=executor)
    assert files_of(tmp_path) == short.files
    assert results["converged"].all()
    solved_by = json.loads((tmp_path / "manifest.json").read_text())["solved_by"]
    assert solved_by["executor"] == type(executor).__name__


def test_executor_of_a_dask_client_finds_the_same(short: Reference, tmp_path: Path):
    """Two threads in this process, as many tasks at a time."""
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        pnp.sweep(short.case, tmp_path, executor=client.get_executor())
    assert files_of(tmp_path) == short.files


RANKS = """
import sys
from mpi4py.futures import MPICommExecutor
from pnp_exclusion import sweep
with MPICommExecutor() as executor:
    if executor is not None:
        sweep(sys.argv[1], sys.argv[2], executor=executor)
"""


def test_executor_over_ranks_finds_the_same(short: Reference, tmp_path: Path):
    """One of mpi4py's; the rank that hands out is the only one that sweeps. The import starts PETSc on all of them."""
    command = [BIN / "mpiexec", "-n", "3", sys.executable, "-c", RANKS, short.case, tmp_path]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    assert finished.returncode == 0, finished.stderr
    assert files_of(tmp_path) == short.files


def test_sweep_whose_executor_breaks_goes_on_from_what_is_on_disk(short: Reference, tmp_path: Path):
    """The workers are killed once there are points."""

    def kill() -> None:
        while not size_of(tmp_path):
            time.sleep(0.01)
        for worker in multiprocessing.active_children():
            worker.kill()

    killing = threading.Thread(target=kill)
    killing.start()
    gone = pytest.raises(ExecutorLostError, match=r"are gone, .*; the same command goes on from what is on disk")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor, gone:
        pnp.sweep(short.case, tmp_path, executor=executor)
    killing.join()
    assert 0 < len(lines_of(tmp_path)) < 28
    pnp.sweep(short.case, tmp_path)
    assert files_of(tmp_path) == short.files


def test_scheduler_that_ends_meanwhile_is_told_in_a_sentence(tmp_path: Path):
    """It is killed once it has the first chunk, for which it has no worker."""
    distributed = pytest.importorskip("distributed")
    known = tmp_path / "scheduler.json"
    words = ["--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(known)]
    scheduler = subprocess.Popen([BIN / "dask", "scheduler", *words], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + LONGEST
        while not known.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        with distributed.Client(scheduler_file=str(known)) as client:
            address = client.scheduler.address
        plan = plan_of(make_case(tables(8)))

        def chunks() -> Iterator[Chunk]:
            yield next(plan.chunks(np.ones(8, dtype=bool)))
            scheduler.kill()

        gone = r"is \(ClientExecutor\); the same command goes on from what is on disk"
        with dask_executor(address) as executor, pytest.raises(ExecutorLostError, match=gone):
            list(over_executor(plan.work, chunks(), executor, lambda: False))
    finally:
        scheduler.kill()
        scheduler.wait()


def test_something_else_at_the_address_of_a_scheduler_is_told_in_a_sentence():
    """A web server, say: its answer, read as lengths, asks for more memory than there is."""
    pytest.importorskip("distributed")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 40)

        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        refused = pytest.raises(UsageError, match=f'no Dask scheduler answers at "{address}"')
        with refused, dask_executor(address):
            pass


def test_ranks_that_do_not_fit_are_told_once(short: Reference, tmp_path: Path):
    finished = run_command("sweep", short.case, "-o", tmp_path, "--workers", "2", ranks=2)
    assert finished.returncode == 2
    assert finished.stderr.count("exclude each other") == 1


def test_ranks_form_groups_of_one_size():
    assert [groups_of(ranks, 1) for ranks in (1, 2, 5)] == [0, 1, 4]
    assert [groups_of(ranks, 2) for ranks in (2, 3, 9)] == [0, 1, 4]
    for ranks, right in ((1, 4), (2, 4), (6, 4), (9, 7)):
        with pytest.raises(UsageError, match=rf"does not fit {ranks} ranks: .* start e.g. {right}, or 3"):
            groups_of(ranks, 3)


# ---- what is killed ----


def start(reference: Reference, folder: Path, *words: str, ranks: int = 1) -> subprocess.Popen:
    command = [str(BIN / "pnp-exclusion"), "sweep", str(reference.case), "-o", str(folder), *words]
    if ranks > 1:
        command = [str(BIN / "mpiexec"), "-n", str(ranks), *command]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def wait_for_points(folder: Path, more_than: int, process: subprocess.Popen) -> None:
    """Until so many bytes of points are on disk."""
    until = time.monotonic() + LONGEST
    while process.poll() is None and size_of(folder) <= more_than:
        assert time.monotonic() < until
        time.sleep(0.01)


def size_of(folder: Path) -> int:
    path = folder / "points.jsonl"
    return path.stat().st_size if path.exists() else 0


def test_sigkills_at_random_leave_no_trace(long: Reference, tmp_path: Path):
    """Four times, with one or two processes, some time after the next points came in."""
    chance = random.Random(7)
    for kill in range(4):
        process = start(long, tmp_path, "--quiet", "--workers", str(1 + kill % 2))
        wait_for_points(tmp_path, size_of(tmp_path), process)
        time.sleep(chance.uniform(0.0, 0.15))
        assert process.poll() is None, "it was done before it was killed so often"
        process.kill()
        process.communicate()
    assert 0 < len((tmp_path / "points.jsonl").read_bytes().splitlines()) < LONG
    finished = run_command("sweep", long.case, "-o", tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "are there already" in finished.stderr
    assert files_of(tmp_path) == long.files


def test_killed_worker_is_replaced_and_its_chunk_done_again(long: Reference, tmp_path: Path):
    process = start(long, tmp_path, "--workers", "2")
    for _ in range(2):
        wait_for_points(tmp_path, size_of(tmp_path), process)
        # the older one: the other may just begin with what the first was at
        os.kill(min(workers_of(process)), signal.SIGKILL)
    _, told = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, told
    assert files_of(tmp_path) == long.files


def workers_of(process: subprocess.Popen) -> Iterator[int]:
    # of any of its threads
    children = [c for path in Path(f"/proc/{process.pid}/task").glob("*/children") for c in path.read_text().split()]
    return (int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes())


@dataclass
class Poisoned(VariedCases):
    """Kills the process that makes the case of one point, the first times."""

    poison: float = 0.0
    deaths: Path = Path()
    most: int = 0

    def case(self, coordinates) -> Case:
        if coordinates[1] == self.poison and multiprocessing.parent_process() is not None:
            with self.deaths.open("a") as stream:
                stream.write("died\n")
            if len(self.deaths.read_text().splitlines()) <= self.most:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().case(coordinates)


@pytest.mark.parametrize("deaths", [1, 2])
def test_chunk_that_kills_its_worker_twice_is_recorded_as_failed(deaths: int, tmp_path: Path):
    """The poison is in the third chunk; the others are as ever."""
    plan = plan_of(make_case(tables(160)))
    poison = plan.design.drivings[1].values[9]
    wanted = np.arange(160) < 20
    cases = Poisoned(**vars(plan.cases), poison=poison, deaths=tmp_path / "deaths", most=deaths)
    work: Work = replace(plan.work, cases=cases)
    with ProcessPool(2) as pool:
        outcomes = list(over_executor(work, plan.chunks(wanted), pool, lambda: False))
    assert sorted(outcome.chunk for outcome in outcomes) == [0, 1, 2, 3, 4]
    records = {record["index"]: record for outcome in outcomes for record in outcome.records}
    assert len(records) == 20
    failed = {index: record["reason"] for index, record in records.items() if not record["converged"]}
    assert failed == ({} if deaths == 1 else dict.fromkeys([8, 9, 10, 11], WORKER_DIED))


@pytest.mark.parametrize(
    ("sent", "words", "ranks"),
    [(signal.SIGINT, [], 1), (signal.SIGTERM, ["--workers", "2"], 1), (signal.SIGTERM, [], 2)],
    ids=["alone", "processes", "ranks"],
)
def test_interrupted_sweep_says_how_it_goes_on(
    sent: int, words: list[str], ranks: int, long: Reference, tmp_path: Path
):
    process = start(long, tmp_path, *words, ranks=ranks)
    wait_for_points(tmp_path, 0, process)
    process.send_signal(sent)
    printed, told = process.communicate(timeout=30.0)
    assert process.returncode == 130, told
    kept = len((tmp_path / "points.jsonl").read_bytes().splitlines())
    assert f"interrupted with {kept} of {LONG} points, which {tmp_path} keeps" in told
    assert told.count("the same command goes on from there") == 1
    assert 0 < kept < LONG
    assert printed == ""
    assert lines_of(tmp_path) <= lines_of(long.case.parent / "out")


@pytest.mark.parametrize("workers", [1, 2])
def test_full_disk_ends_with_exit_code_4_and_keeps_what_is_there(workers: int, long: Reference, tmp_path: Path):
    process = start(long, tmp_path, "--workers", str(workers))
    wait_for_points(tmp_path, 0, process)
    most = size_of(tmp_path) + 5_000
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
    _, told = process.communicate(timeout=LONGEST)
    assert process.returncode == 4, told
    assert f"cannot write to {tmp_path}: File too large" in told
    assert "Traceback" not in told
    # the last line is torn
    assert lines_of(tmp_path) <= lines_of(long.case.parent / "out")


def test_script_without_a_guard_is_told_so(short: Reference, tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(f"import pnp_exclusion as pnp\npnp.sweep({str(short.case)!r}, 'out', workers=2)\n")
    finished = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST)
    assert finished.returncode == 1
    assert 'must do so under if __name__ == "__main__":' in finished.stderr
