"""Worker processes that die or refuse."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from pnp_exclusion.particles.lattice import (
    ExchangeProcess,
    Lattice,
    TooShortError,
    WorkerDiedError,
    simulate_stationary,
)

PROCESS = ExchangeProcess(Lattice("reservoirs", 32), (3.0, -3.0), (0.2, 0.5), (0.6, 0.1))


class Killer:
    """Kills a worker, as a kernel short of memory does, at reports past a fraction of the run."""

    def __init__(self, times, fraction):
        self.left, self.fraction = times, fraction

    def __call__(self, progress):
        if self.left > 0 and progress.fraction > self.fraction:
            for worker in multiprocessing.active_children()[:1]:
                self.left -= 1
                os.kill(worker.pid, signal.SIGKILL)


def run(**options):
    return simulate_stationary(PROCESS, 1000.0, 17, replicas=3, **options)


def test_what_a_dead_worker_was_at_is_done_again():
    undisturbed, disturbed = run(), run(workers=2, report=Killer(1, 0.05))
    assert np.array_equal(undisturbed.batches.densities, disturbed.batches.densities)
    assert np.array_equal(undisturbed.batches.currents, disturbed.batches.currents)
    assert not disturbed.interrupted
    assert multiprocessing.active_children() == []


def test_workers_that_die_again_and_again_end_the_run_and_leave_none_behind():
    """The one that is left does not hear SIGTERM; a run must not wait for it."""
    begun = time.monotonic()
    with pytest.raises(WorkerDiedError, match=r"ended 2 times at the same task, the last by SIGKILL: .* fewer workers"):
        run(workers=2, report=Killer(100, -1.0))
    assert multiprocessing.active_children() == []
    assert time.monotonic() - begun < 60.0


def test_replicas_over_an_executor_of_the_users_are_the_same():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        spread = run(executor=executor)
    assert np.array_equal(run().batches.densities, spread.batches.densities)


def test_a_refusal_in_a_worker_is_that_of_the_run():
    with pytest.raises(TooShortError, match=r"time = 0\.01 is too short") as refusal:
        simulate_stationary(PROCESS, 0.01, 17, replicas=3, workers=2)
    assert refusal.value.needed > 1.0
    assert multiprocessing.active_children() == []
