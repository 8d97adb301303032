"""Runs: reproducible however they are spread, checked, refused when too short, interruptible."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pnp_exclusion.particles.lattice import (
    ExchangeProcess,
    Lattice,
    NothingMeasuredError,
    TooShortError,
    simulate_relaxation,
    simulate_stationary,
    time_needed,
)
from pnp_exclusion.particles.lattice.engine import Apparatus
from pnp_exclusion.particles.replicas import _Reporter
from pnp_exclusion.particles.stationary import BURN_IN_PROBES

PROCESS = ExchangeProcess(Lattice("reservoirs", 12), (3.0, -3.0), (0.2, 0.5), (0.6, 0.1))


def numbers(result):
    """All that was measured, as one vector."""
    batches = result.batches
    parts = [
        batches.densities,
        batches.currents,
        batches.channel_currents,
        *result.neighbour_correlations,
        *result.correlations,
        *result.densities,
    ]
    return np.concatenate([part.ravel() for part in parts])


def run(**options):
    return simulate_stationary(PROCESS, 40.0, 17, replicas=3, correlate=(1, 2), **options)


def test_one_and_two_processes_give_the_same_bits():
    assert np.array_equal(numbers(run()), numbers(run(workers=2)))


def test_relaxation_gives_the_same_bits_in_one_and_two_processes():
    start = np.full((2, 12), 0.3)
    first, second = (
        simulate_relaxation(PROCESS, start, [0.01, 0.1], 3, replicas=100, workers=workers) for workers in (1, 2)
    )
    assert np.array_equal(first.groups, second.groups)


RANKS = """
import sys
from mpi4py import MPI
from pnp_exclusion.particles.lattice import ExchangeProcess, Lattice, TooShortError, simulate_stationary
process = ExchangeProcess(Lattice("reservoirs", 12), (3.0, -3.0), (0.2, 0.5), (0.6, 0.1))
world = MPI.COMM_WORLD
result = simulate_stationary(
    process, 40.0, 17, replicas=3, correlate=(1, 2), communicator=world
)
try:
    simulate_stationary(process, 0.01, 17, replicas=3, communicator=world)
except TooShortError:
    refused = True
else:
    refused = False
same = world.allgather((result.batches.densities.tobytes(), refused))
assert all(one == (same[0][0], True) for one in same)
if world.Get_rank() == 0:
    import numpy as np
    np.savez(sys.argv[1], densities=result.batches.densities, currents=result.batches.currents,
             matrix=result.correlations.error)
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_one_and_two_mpi_ranks_give_the_same_bits_and_refuse_together(ranks, tmp_path):
    pytest.importorskip("mpi4py")
    beside = Path(sys.executable).parent / "mpiexec"
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("no mpiexec")
    target = tmp_path / "result.npz"
    command = [launcher, "-n", str(ranks), sys.executable, "-c", RANKS, str(target)]
    root = Path(__file__).resolve().parents[2]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    here, there = run(), np.load(target)
    assert np.array_equal(here.batches.densities, there["densities"])
    assert np.array_equal(here.batches.currents, there["currents"])
    assert np.array_equal(here.correlations.error, there["matrix"])


def test_seeds_matter_and_are_checked():
    first, second = (simulate_stationary(PROCESS, 40.0, seed, replicas=2) for seed in (1, 2))
    assert not np.array_equal(first.batches.densities, second.batches.densities)
    with pytest.raises(ValueError, match=r"seed = -1 must be a whole number"):
        simulate_stationary(PROCESS, 40.0, -1)


def test_batches_are_ten_correlation_times_long_and_there_are_eight():
    result = run()
    assert result.batches.time >= 10 * result.correlation_time
    assert np.prod(result.batches.densities.shape[:2]) >= 8
    assert result.settled
    assert result.burn_in >= 40 / np.pi**2


def test_a_time_too_short_for_its_error_bars_is_refused_with_one_that_is_enough():
    with pytest.raises(TooShortError, match=r"time = 0\.01 is too short.* at least") as refusal:
        simulate_stationary(PROCESS, 0.01, 1)
    enough = float(str(refusal.value).split("at least ")[1].split()[0])
    assert 1 < enough < 200
    assert not simulate_stationary(PROCESS, 1.5 * enough, 1).interrupted


def test_a_start_far_from_stationary_is_burnt_in_until_its_drift_is_gone():
    """Vacancy hopping renews the order of its particles slowly, six times slower than densities
    diffuse; the first window is less than a thousandth of that, so it cannot pass."""
    process = ExchangeProcess(Lattice("reservoirs", 12), (3.0, -3.0), (0.2, 0.5), (0.6, 0.1), kappa=0.0)
    result = simulate_stationary(process, 400.0, 3, replicas=2, burn_in=1e-4)
    assert result.burn_in > 10 * result.correlation_time
    assert result.settled


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"time": 0.0}, "time = 0.0 must be finite and greater"),
        ({"time": 1.0, "replicas": 0}, "replicas = 0 must be"),
        ({"time": 1.0, "batches": 12}, "batches = 12 must be a power of 2"),
        ({"time": 1.0, "correlate": (0, 3)}, "two species from 1 to 2"),
        ({"time": 1.0, "workers": 0}, "workers = 0 must be"),
        ({"time": 1.0, "burn_in": -1.0}, "burn_in = -1.0 must be"),
    ],
)
def test_bad_options_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        simulate_stationary(PROCESS, seed=1, **options)


def test_a_closed_channel_that_keeps_its_order_has_no_one_stationary_state():
    process = ExchangeProcess(Lattice("closed", 8), (0.0, 0.0), content=(2, 2), kappa=0.0)
    with pytest.raises(ValueError, match="keeps the order"):
        simulate_stationary(process, 10.0, 1)


def test_a_lattice_in_which_nothing_can_move_is_refused():
    full = ExchangeProcess(Lattice("reservoirs", 8), (0.0, 0.0), (0.4, 0.6), (0.3, 0.7), kappa=0.0)
    with pytest.raises(ValueError, match="into vacancies only, and there are none"):
        simulate_stationary(full, 10.0, 1)


def test_a_very_long_run_of_a_small_lattice_is_settled():
    """Its slow modes are looked at once in several correlation times: no lack of burn-in."""
    process = ExchangeProcess(Lattice("reservoirs", 4), (1.0,), (0.2,), (0.6,))
    result = simulate_stationary(process, 100_000.0, 1)
    assert result.verdict.resolution > 0.3
    assert result.settled


class Interrupter:
    """Sends a signal to this process at the first report past a fraction of the run."""

    def __init__(self, number, fraction):
        self.number, self.fraction, self.sent = number, fraction, False

    def __call__(self, progress):
        if progress.fraction > self.fraction and not self.sent:
            self.sent = True
            os.kill(os.getpid(), self.number)


LONG = ExchangeProcess(Lattice("reservoirs", 64), (3.0, -3.0), (0.2, 0.5), (0.6, 0.1))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_keeps_what_is_measured(number, workers):
    interrupter = Interrupter(number, 0.15)
    before = signal.getsignal(number)
    result = simulate_stationary(LONG, 3000.0, 5, replicas=2, workers=workers, report=interrupter, correlate=(1, 1))
    assert result.interrupted
    batches = result.batches.densities
    assert 2 <= batches.shape[0] * batches.shape[1] < 128
    assert np.isfinite(result.densities.error).all()
    assert signal.getsignal(number) is before


def test_an_interruption_before_the_first_batch_measures_nothing():
    with pytest.raises(NothingMeasuredError, match="nothing is measured"):
        simulate_stationary(LONG, 3e6, 5, burn_in=1e4, report=Interrupter(signal.SIGINT, -1.0))


def test_progress_rises_to_the_end():
    seen = []
    simulate_stationary(LONG, 300.0, 5, replicas=2, report=seen.append)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] <= 1


def test_progress_tells_the_time_left_but_not_too_often(monkeypatch):
    """A quarter in ten seconds leaves thirty, and so on."""
    seen = []
    reporter = _Reporter(seen.append, 4, begun=100.0)
    for now, done in [(101.0, 0.0), (110.0, 1.0), (110.1, 1.5), (120.0, 2.0), (150.0, 4.0)]:
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        reporter.tell(done)
    assert np.isnan(seen.pop(0).remaining)
    assert seen == [(0.25, 10.0, 30.0), (0.5, 20.0, 20.0), (1.0, 50.0, 0.0)]


def test_burn_in_is_doubled_to_the_sample_whatever_the_last_bits_of_the_fields():
    """Windows of s, 2s, 4s .. samples are 2^k - 1 first windows together, at any rate; a doubled time is not always."""
    for strength in np.linspace(1.0, 3.0, 11):
        process = ExchangeProcess(Lattice("reservoirs", 8), (strength, -strength), (0.2, 0.5), (0.6, 0.1), kappa=0.0)
        result = simulate_stationary(process, 400.0, 17, burn_in=1e-4)
        windows = np.log2(result.burn_in / (BURN_IN_PROBES * Apparatus(process).sample_time) + 1)
        assert windows == pytest.approx(round(windows), abs=1e-9)


def test_more_batches_can_be_demanded_and_the_time_for_them_is_told():
    with pytest.raises(TooShortError) as refusal:
        simulate_stationary(PROCESS, 20.0, 17, fewest_batches=40)
    assert refusal.value.needed == pytest.approx(
        time_needed(simulate_stationary(PROCESS, 20.0, 17).correlation_time, 1, 40)
    )
    result = simulate_stationary(PROCESS, refusal.value.needed, 17, fewest_batches=40)
    assert result.batches.densities.shape[1] >= 40
