"""Tasks over executors by themselves: what goes wrong in a worker, stopping, and a parent that is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime.launcher import launched_rank
from pnp_exclusion.runtime.pool import (
    ExecutorLostError,
    ProcessPool,
    WorkerDiedError,
    executor_for,
    results_of,
)
from pnp_exclusion.runtime.signals import SIGNALS
from pnp_exclusion.runtime.worker import stop_requested, worker_state

LONGEST = 60.0


def do(item: object) -> object:
    match item:
        case Exception():
            raise item
        case "wait":
            while not stop_requested():
                time.sleep(0.01)
        case "sleep":
            time.sleep(LONGEST)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case Path():
            # dies the first time only
            if not item.exists():
                item.touch()
                os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.fixture(scope="module")
def spawning() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_everything_is_done_by_no_more_workers_than_there_are_items():
    with ProcessPool(8) as pool:
        assert sorted(results_of(pool, do, iter([3, 1, 2]))) == [(0, 3), (1, 1), (2, 2)]
        assert len(multiprocessing.active_children()) <= 3
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("thrown", "expected"),
    [
        (ConvergenceError("none"), ConvergenceError),
        (ValueError("none"), ValueError),
        (OSError("none"), OSError),
    ],
)
def test_error_of_an_item_is_raised_with_the_place_in_the_worker(thrown: Exception, expected: type[Exception]):
    """Also one of the kind by which a broken pipe is known."""
    with ProcessPool(1) as pool, pytest.raises(expected) as caught:
        list(results_of(pool, do, [thrown]))
    assert "in do" in "".join(caught.value.__notes__)


def test_what_a_dead_worker_was_at_is_done_again_once_and_then_given_up(tmp_path: Path):
    """The others, at work beside it, are none the worse."""
    items = [tmp_path / "first", 1, "die", 2]
    with ProcessPool(2) as pool:
        assert dict(results_of(pool, do, items, given_up=lambda item: None)) == {0: items[0], 1: 1, 2: None, 3: 2}
    with ProcessPool(2) as pool, pytest.raises(WorkerDiedError, match=r"ended 2 times .*, the last by SIGKILL: "):
        list(results_of(pool, do, items))
    assert multiprocessing.active_children() == []


def test_workers_are_no_ranks_and_leave_signals_to_their_parent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PMI_RANK", "3")
    with ProcessPool(1) as pool:
        assert pool.submit(launched_rank).result() is None
        assert [pool.submit(signal.getsignal, number).result() for number in SIGNALS] == [signal.SIG_IGN] * 2
    assert launched_rank() == 3


def test_workers_asked_to_stop_return_what_they_have_and_those_that_do_not_hear_are_ended():
    begun, answers = time.monotonic(), 0

    def asked() -> bool:
        return answers > 0

    found = []
    with ProcessPool(2) as pool:
        for _, result in results_of(pool, do, [1, "wait", "sleep", 2], asked=asked, patience=2.0):
            found.append(result)
            answers += 1
            if result == 1:
                begun = time.monotonic()
    assert found[0] == 1
    assert set(found) <= {1, "wait"}
    assert time.monotonic() - begun < LONGEST / 2


# ---- executors of the user's ----


def test_workers_of_any_executor_do_the_same_and_it_is_left_open(spawning: Executor):
    for executor in (spawning, ThreadPoolExecutor(2)):
        with executor_for(1, executor) as chosen:
            assert sorted(results_of(chosen, do, range(5))) == [(n, n) for n in range(5)]
        assert executor.submit(do, 7).result() == 7
    with pytest.raises(UsageError, match="exclude each other"), executor_for(2, spawning):
        pass


def test_executor_that_is_stopped_begins_nothing_more(spawning: Executor):
    """Sixty numbers; nothing comes once the first ones have."""
    found: list[object] = []
    for _, result in results_of(spawning, do, range(60), asked=lambda: len(found) > 0):
        found.append(result)
    assert 0 < len(found) < 60


@pytest.mark.parametrize("broken_before", [False, True])
def test_executor_that_breaks_is_told_in_a_sentence(broken_before: bool):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        if broken_before:
            executor.submit(do, "die").exception()
        with pytest.raises(ExecutorLostError, match=r"the workers are gone, .* \(ProcessPoolExecutor\)"):
            list(results_of(executor, do, ["die"]))


def test_work_that_an_executor_drops_is_told_in_a_sentence():
    """As Dask's does once its scheduler is gone."""

    class Dropping(Executor):
        def submit(self, *_: object) -> Future[object]:
            future: Future[object] = Future()
            future.cancel()
            return future

    with pytest.raises(ExecutorLostError, match=r"the workers are gone, .* \(Dropping\)"):
        list(results_of(Dropping(), do, [1]))


class State:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_state_of_a_worker_is_kept_for_its_key_and_not_trusted_after_an_error():
    with worker_state("a", State) as first:
        pass
    with pytest.raises(ZeroDivisionError), worker_state("a", State) as second:
        raise ZeroDivisionError
    with worker_state("a", State) as third:
        pass
    with worker_state("b", State) as fourth:
        pass
    assert first is second and first.closed
    assert third is not first and third.closed and not fourth.closed


# ---- a parent that is gone ----

PARENT = """
import sys
sys.path.insert(0, {folder!r})
from test_worker_processes import do
from pnp_exclusion.runtime.pool import ProcessPool, results_of
if __name__ == "__main__":
    with ProcessPool(2) as pool:
        for _, result in results_of(pool, do, [1, 2, "wait", "wait"]):
            print(result, flush=True)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(folder=str(Path(__file__).parent)))
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert {parent.stdout.readline(), parent.stdout.readline()} == {"1\n", "2\n"}
    parent.kill()
    parent.wait()
    until = time.monotonic() + LONGEST
    while _alive(parent.pid):
        assert time.monotonic() < until, "workers outlive their parent"
        time.sleep(0.05)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return any(
        stat.split(")")[-1].split()[0] != "Z"
        for path in Path("/proc").glob("[0-9]*/stat")
        if (stat := _read(path)) and int(stat.split(")")[-1].split()[2]) == group
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
