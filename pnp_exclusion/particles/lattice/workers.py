"""Replicas over worker processes, which tell how far they are."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.sharedctypes import RawArray
from typing import Any, NoReturn

from pnp_exclusion.runtime.workers import MOST_DEATHS, Stopped, results_of


class WorkerDiedError(RuntimeError):
    """Worker processes died over the same item again and again."""


@dataclass
class Monitor:
    """What a replica is given: where to say how far it is, and whether it has been asked to stop.

    ``say(fraction)`` may be called at any rate.
    """

    stopped: Stopped
    say: Callable[[float], None]


Task = Callable[[Any, Monitor], Any]


def run_in_processes(
    task: Task, items: Sequence[Any], workers: int, asked: Callable[[], bool], tell: Callable[[float], None]
) -> list[Any]:
    """Run ``task(item, monitor)`` for every item on so many processes; results in the order of the items.

    Once ``asked`` says so the items at work return what they have and those not begun are left out. ``tell`` is called
    a few times a second with the number of items done, in fractions. Raises the `ValueError` of any item, and
    `WorkerDiedError`.
    """
    fractions = RawArray("d", len(items))

    def look() -> bool:
        tell(sum(fractions))
        return asked()

    bench = partial(_running, task, fractions)
    results = dict(results_of(bench, enumerate(items), workers, asked=look, given_up=_refuse))
    return [results[index] for index in sorted(results)]


def _refuse(item: tuple[int, Any], ending: str) -> NoReturn:
    raise WorkerDiedError(f"worker processes ended {MOST_DEATHS + 1} times at the same copy, the last by {ending}")


@contextmanager
def _running(task: Task, fractions: Any, stopped: Stopped) -> Iterator[Callable[[tuple[int, Any]], tuple[int, Any]]]:
    def run(numbered: tuple[int, Any]) -> tuple[int, Any]:
        index, item = numbered

        def say(fraction: float) -> None:
            fractions[index] = fraction

        result = task(item, Monitor(stopped, say))
        say(1.0)
        return index, result

    yield run
