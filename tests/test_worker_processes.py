"""The pool of worker processes by itself: what goes wrong in one, stopping, and a parent that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime.workers import WorkerFailedError, results_of

LONGEST = 60.0


@contextmanager
def bench(stopped: Callable[[], bool]) -> Iterator[Callable[[object], object]]:
    def do(item: object) -> object:
        match item:
            case Exception():
                raise item
            case "wait":
                while not stopped():
                    time.sleep(0.01)
            case "sleep":
                time.sleep(LONGEST)
        return item

    yield do


def never(item: object, ending: str) -> object:
    raise AssertionError(f"{item} was given up: {ending}")


def test_everything_is_done_by_no_more_workers_than_there_are_items():
    assert sorted(results_of(bench, iter([3, 1, 2]), 8, asked=lambda: False, given_up=never)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("thrown", "expected"),
    [
        (ConvergenceError("none"), ConvergenceError),
        (ValueError("none"), ValueError),
        (OSError("none"), WorkerFailedError),
    ],
)
def test_error_of_an_item_is_raised_with_the_place_in_the_worker(thrown: Exception, expected: type[Exception]):
    """Also one of the kind by which a broken pipe is known."""
    with pytest.raises(expected) as caught:
        list(results_of(bench, [thrown], 1, asked=lambda: False, given_up=never))
    assert "in do" in "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_workers_asked_to_stop_return_what_they_have_and_those_that_do_not_hear_are_ended():
    begun, answers = time.monotonic(), 0

    def asked() -> bool:
        return answers > 0

    found = []
    for result in results_of(bench, [1, "wait", "sleep", 2], 2, asked=asked, given_up=never, patience=2.0):
        found.append(result)
        answers += 1
        if result == 1:
            begun = time.monotonic()
    assert found[0] == 1
    assert set(found) <= {1, "wait"}
    assert time.monotonic() - begun < LONGEST / 2


PARENT = """
import sys
sys.path.insert(0, {folder!r})
from test_worker_processes import bench, never
from pnp_exclusion.runtime.workers import results_of
if __name__ == "__main__":
    for result in results_of(bench, [1, 2, "wait", "wait"], 2, asked=lambda: False, given_up=never):
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
