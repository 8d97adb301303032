"""Replicas over processes, MPI ranks or the workers of an executor: the same answer however many there are.

A replica depends on its own seed only, and results come back in the order of the items.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.runtime.pool import POLL_SECONDS, ProcessPool, executor_for, results_of
from pnp_exclusion.runtime.worker import report_progress, stop_requested

if TYPE_CHECKING:
    from mpi4py import MPI

PATIENCE = 30.0
"""Seconds for replicas at work to return what they have: they look at their monitor once a second or so."""


@dataclass
class Monitor:
    """What a replica is given: where to say how far it is, and whether it has been asked to stop.

    ``say(fraction)`` may be called at any rate.
    """

    stopped: Callable[[], bool]
    say: Callable[[float], None]


Task = Callable[[Any, Monitor], Any]


class Progress(NamedTuple):
    """How far a run is: fraction done, seconds gone, seconds left (nan until it can be told)."""

    fraction: float
    elapsed: float
    remaining: float


Report = Callable[[Progress], None]


class Spread(NamedTuple):
    """Results in the order of the items, and whether the run was interrupted."""

    results: list[Any]
    interrupted: bool


def root_seed(seed: int | np.random.SeedSequence) -> np.random.SeedSequence:
    """Make a `numpy.random.SeedSequence` of an integer; raise `ValueError` for anything else."""
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed = {seed!r} must be a whole number, 0 or greater, or a SeedSequence")
    return np.random.SeedSequence(int(seed))


def spread(
    task: Task,
    items: Sequence[Any],
    workers: int = 1,
    communicator: "MPI.Comm | None" = None,
    report: Report | None = None,
    executor: Executor | None = None,
) -> Spread:
    """Run ``task(item, monitor)`` for every item: the seed of a replica, or those of a few.

    ``workers`` processes are started, unless there is an ``executor`` that takes the items, or a ``communicator``:
    then rank ``r`` of ``s`` takes the items ``r, r + s, ...``, the call is collective and every rank returns all
    results. ``task`` must be picklable for more than one process. ``report`` is called in the calling
    process a few times a second; on MPI by rank 0, for its own share.

    SIGINT and SIGTERM stop the run at the next look of each replica at its monitor; the replicas
    return what they have, those not begun are left out, and a second signal acts as usual. Replicas
    over somebody's executor do not hear of it; those that are not done soon are left out too. On MPI
    each rank listens for itself. A `ValueError` of any replica is raised on all ranks; processes that
    die are replaced, see `pnp_exclusion.runtime.pool`.
    """
    if workers < 1:
        raise ValueError(f"workers = {workers} must be at least 1")
    with Interruption() as interruption:
        if communicator is not None:
            return _over_ranks(task, items, communicator, report, interruption)
        with executor_for(min(workers, len(items)), executor) as chosen:
            if chosen is None:
                results = _in_turn(task, items, report, interruption)
            else:
                results = _over_executor(task, items, chosen, report, interruption)
        return Spread(results, interruption.stopped())


@dataclass
class _Reporter:
    """Turns fractions of replicas into a report of the whole, not more often than needed."""

    report: Report | None
    replicas: int
    begun: float = field(default_factory=time.monotonic)
    last: float = -np.inf
    furthest: float = 0.0

    def tell(self, done: float) -> None:
        now = time.monotonic()
        # what a worker was at when it died is done again
        self.furthest = done = max(done, self.furthest)
        if self.report is None or now - self.last < POLL_SECONDS:
            return
        self.last = now
        fraction, elapsed = done / self.replicas, now - self.begun
        remaining = elapsed * (1 - fraction) / fraction if fraction > 0 else np.nan
        self.report(Progress(fraction, elapsed, remaining))


def _in_turn(
    task: Task,
    items: Sequence[Any],
    report: Report | None,
    interruption: Interruption,
) -> list[Any]:
    reporter = _Reporter(report, len(items))
    results: list[Any] = []
    monitor = Monitor(interruption.stopped, lambda fraction: reporter.tell(len(results) + fraction))
    for item in items:
        if interruption.stopped():
            break
        results.append(task(item, monitor))
    return results


def _over_executor(
    task: Task, items: Sequence[Any], executor: Executor, report: Report | None, interruption: Interruption
) -> list[Any]:
    reporter = _Reporter(report, len(items))
    results: dict[int, Any] = {}

    def asked() -> bool:
        reporter.tell(len(results) + (executor.progress() if isinstance(executor, ProcessPool) else 0.0))
        return interruption.stopped()

    for number, result in results_of(executor, partial(_run, task), items, asked=asked, patience=PATIENCE):
        results[number] = result
    return [results[number] for number in sorted(results)]


def _run(task: Task, item: Any) -> Any:
    return task(item, Monitor(stop_requested, report_progress))


def _over_ranks(
    task: Task,
    items: Sequence[Any],
    communicator: "MPI.Comm",
    report: Report | None,
    interruption: Interruption,
) -> Spread:
    rank, size = communicator.Get_rank(), communicator.Get_size()
    mine: list[Any] = []
    complaint: ValueError | None = None
    try:
        mine = _in_turn(task, items[rank::size], report if rank == 0 else None, interruption)
    except ValueError as error:
        complaint = error
    shares = communicator.allgather((mine, interruption.stopped(), complaint))
    for _, _, refusal in shares:
        if refusal is not None:
            raise refusal
    placed = [
        (index * size + owner, result)
        for owner, (results, _, _) in enumerate(shares)
        for index, result in enumerate(results)
    ]
    results = [result for _, result in sorted(placed, key=lambda pair: pair[0])]
    return Spread(results, any(stopped for _, stopped, _ in shares))
