"""Stationary averages: burn-in that is checked, then batches.

Each replica runs by itself: windows of burn-in, doubled until one passes, then ``batches`` equal
blocks. The blocks of all replicas are merged afterwards until they are long against the correlation
time of the slowest density modes, which is estimated from all replicas together.
"""

import time as clock
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.lattice.engine import (
    SAMPLES_PER_PRODUCT,
    Apparatus,
    Engine,
    draw_start,
)
from pnp_exclusion.particles.lattice.measure import drift_scores, integrated_time
from pnp_exclusion.particles.lattice.process import ExchangeProcess
from pnp_exclusion.particles.lattice.replicas import Monitor, Report, root_seed, spread
from pnp_exclusion.particles.lattice.result import (
    Blocks,
    StationaryResult,
    assemble,
    smallest_merge,
)

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.float64]

BURN_IN_RELAXATIONS = 40.0
BURN_IN_PROBES = 400
BURN_IN_CORRELATION_TIMES = 20.0
BURN_IN_PATIENCE = 4.0
SETTLED_SCORE = 3.0
BATCH_CORRELATION_TIMES = 10.0
FEWEST_BATCHES = 8
PROBES_PER_RELAXATION = 10.0
MOST_PROBES = 100_000
PRODUCT_BATCHES = 8


class TooShortError(ValueError):
    """The time asked for holds too few decorrelated samples; the sentence says what would do, and ``needed`` too."""

    def __init__(self, sentence: str, needed: float) -> None:
        super().__init__(sentence, needed)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def needed(self) -> float:
        """Macroscopic time of each replica that will probably do."""
        return float(self.args[1])


class NothingMeasuredError(RuntimeError):
    """The run was interrupted before one batch was complete."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What one replica is to do; ``time`` and ``burn_in`` are macroscopic."""

    apparatus: Apparatus
    time: float
    burn_in: float
    batches: int
    replicas: int
    fewest_batches: int

    @property
    def probe_samples(self) -> int:
        """Samples from one look at the slow modes to the next."""
        spacing = self.apparatus.modes.relaxation_time / PROBES_PER_RELAXATION
        longest = self.time / self.batches
        return self.apparatus.samples_in(min(longest, max(spacing, self.time / MOST_PROBES)))

    @property
    def probe_time(self) -> float:
        """Macroscopic time from one look at the slow modes to the next."""
        return self.probe_samples * self.apparatus.sample_time

    @property
    def probes_per_block(self) -> int:
        """Looks at the slow modes in one block."""
        return ceil(self.time / self.batches / self.probe_time)

    @property
    def block_time(self) -> float:
        """Macroscopic time of one block."""
        return self.probes_per_block * self.probe_time


@dataclass
class Record:
    """What one replica brings home; ``blocks`` may be fewer than planned if it was stopped."""

    blocks: Blocks
    burn_in: float
    attempts: int


def simulate_stationary(
    process: ExchangeProcess,
    time: float,
    seed: int | np.random.SeedSequence,
    replicas: int = 1,
    burn_in: float | None = None,
    correlate: tuple[int, int] | None = None,
    batches: int = 64,
    fewest_batches: int = FEWEST_BATCHES,
    workers: int = 1,
    communicator: "MPI.Comm | None" = None,
    report: Report | None = None,
    executor: Executor | None = None,
) -> StationaryResult:
    """Measure the stationary state of a process.

    time
        Measured macroscopic time of each replica (unit: ``lattice.scale**2`` lattice units, the
        L^2/D of the continuum), beyond its burn-in.
    replicas
        Independent copies, seeded by `numpy.random.SeedSequence.spawn`. The result depends on
        ``seed`` and ``replicas``, not on ``workers``, ``communicator`` or ``executor`` (see `replicas.spread`).
    burn_in
        Length of the first burn-in window, macroscopic; forty slowest relaxation times by default.
        A window passes if it is twenty correlation times long and shows no drift between its first
        fifth and last half; otherwise another of twice the length follows.
    correlate
        Two species, from 1, equal or not, whose full matrix of connected correlations is measured.
        Costs ``sites**2`` per look and 8 batches per replica of that many numbers.
    batches
        Blocks per replica, a power of 2 of at least 8.
    fewest_batches
        Batches of ten correlation times that all replicas together must have: a covariance of many
        numbers needs more than an error bar.
    report
        Called with `replicas.Progress`.
    executor
        Instead of ``workers`` a `concurrent.futures.Executor` that takes the replicas; it is left open.

    Raises `TooShortError` (a `ValueError`) when ``time`` does not hold enough decorrelated samples,
    `ValueError` for bad input, `NothingMeasuredError` when interrupted before the first batch was
    complete. Interrupted later, it returns what is measured, with ``interrupted`` set.
    """
    begun = clock.monotonic()
    plan = _plan(process, time, replicas, burn_in, correlate, batches, fewest_batches)
    draw_start(process, np.random.default_rng(0))
    seeds = root_seed(seed).spawn(replicas)
    outcome = spread(partial(run_replica, plan), seeds, workers, communicator, report, executor)
    records: list[Record] = outcome.results
    whole = [record for record in records if record.blocks.count > 0]
    if not whole:
        raise NothingMeasuredError("interrupted before the first batch was complete: nothing is measured")
    probes = _probe_series(plan, whole)
    correlation_time = float(integrated_time(probes).max()) * plan.probe_time
    factor = _merge_factor(plan, correlation_time, outcome.interrupted)
    return assemble(
        process,
        [record.blocks for record in whole],
        plan.block_time,
        factor,
        correlate,
        correlation_time=correlation_time,
        resolution=plan.probe_time / 2,
        drift=drift_scores(probes),
        burn_in=max(record.burn_in for record in whole),
        attempts=sum(record.attempts for record in records),
        seconds=clock.monotonic() - begun,
        interrupted=outcome.interrupted,
    )


def run_replica(plan: Plan, seed: np.random.SeedSequence, monitor: Monitor) -> Record:
    """Burn in and measure one replica; stops early, with whole blocks, when the monitor says so."""
    preparation, dynamics = seed.spawn(2)
    apparatus = plan.apparatus
    start = draw_start(apparatus.process, np.random.default_rng(preparation))
    engine = Engine(apparatus, start, dynamics)
    burn_in = _settle(plan, engine, monitor)
    blocks = Blocks.empty(apparatus, plan.batches, plan.probes_per_block, PRODUCT_BATCHES)
    samples = plan.probe_samples * plan.probes_per_block
    products_per_block = plan.probes_per_block * ceil(plan.probe_samples / SAMPLES_PER_PRODUCT)
    for block in range(plan.batches):
        monitor.say((burn_in + block * plan.block_time) / (burn_in + plan.time))
        amplitudes = engine.observe(plan.probes_per_block, plan.probe_samples, monitor)
        if amplitudes is None:
            break
        blocks.add(engine.counters, amplitudes, samples, products_per_block)
    measured = blocks.count * samples
    total = measured + apparatus.samples_in(burn_in)
    return Record(blocks.trimmed(), burn_in, total * apparatus.attempts_per_sample)


def _plan(
    process: ExchangeProcess,
    time: float,
    replicas: int,
    burn_in: float | None,
    correlate: tuple[int, int] | None,
    batches: int,
    fewest_batches: int,
) -> Plan:
    for name, value in (("time", time), ("burn_in", burn_in)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} = {value} must be finite and greater than 0")
    if replicas < 1:
        raise ValueError(f"replicas = {replicas} must be at least 1")
    if batches < PRODUCT_BATCHES or batches & (batches - 1):
        raise ValueError(f"batches = {batches} must be a power of 2 of at least {PRODUCT_BATCHES}")
    if not 2 <= fewest_batches <= replicas * batches:
        raise ValueError(f"fewest_batches = {fewest_batches} must be from 2 to {replicas * batches}, all there are")
    if correlate is not None:
        _check_pair(correlate, process.species)
    if process.keeps_order and process.lattice.ends != "reservoirs":
        raise ValueError(
            "kappa = 0 keeps the order of the particles in one dimension, so without "
            "reservoirs there is no one stationary state: take kappa > 0, a width "
            "above 1 or one species"
        )
    if process.is_jammed:
        raise ValueError(
            "kappa = 0 moves particles into vacancies only, and there are none: take kappa > 0 or leave room"
        )
    apparatus = Apparatus(process, correlate)
    default = BURN_IN_RELAXATIONS * apparatus.modes.relaxation_time
    return Plan(apparatus, time, burn_in or default, batches, replicas, fewest_batches)


def _check_pair(pair: Sequence[int], species: int) -> None:
    if len(pair) != 2 or not all(1 <= one <= species for one in pair):
        raise ValueError(f"correlate = {pair} must be two species from 1 to {species}")


def _settle(plan: Plan, engine: Engine, monitor: Monitor) -> float:
    """Burn in until a window passes its check; returns the macroscopic time it took."""
    sample_time = plan.apparatus.sample_time
    # doubled as a whole number: of a doubled time the last bit would decide whether one sample more covers it
    samples, spent = plan.apparatus.samples_in(plan.burn_in / BURN_IN_PROBES), 0.0
    while True:
        length = BURN_IN_PROBES * samples * sample_time
        monitor.say(spent / (spent + length + plan.time))
        amplitudes = engine.observe(BURN_IN_PROBES, samples, monitor)
        if amplitudes is None:
            return spent
        spent += length
        correlation_time = float(integrated_time(amplitudes[None]).max()) * samples * sample_time
        settled = np.abs(drift_scores(amplitudes[None])).max() < SETTLED_SCORE
        # A window shorter than the true correlation time underestimates it, but hardly to a
        # twentieth of the window.
        if settled and length >= BURN_IN_CORRELATION_TIMES * correlation_time:
            if plan.time < 2 * correlation_time:
                raise _too_short(plan, correlation_time)
            return spent
        samples *= 2
        if 2 * length > BURN_IN_PATIENCE * max(plan.time, plan.burn_in):
            needed = max(2 * length, 20 * correlation_time)
            raise TooShortError(
                f"time = {plan.time:g} is too short: after a burn-in of {spent:.3g} the densities "
                f"still drift or stay correlated over {2 * correlation_time:.3g} (unit L^2/D); "
                f"give a time of at least {needed:.2g}",
                needed,
            )


def _probe_series(plan: Plan, records: list[Record]) -> Array:
    """Slow-mode amplitudes, ``(replicas, probes, columns)``, of those that got furthest."""
    longest = max(record.blocks.count for record in records)
    alike = [record.blocks.amplitudes for record in records if record.blocks.count == longest]
    return np.stack(alike)


def _merge_factor(plan: Plan, correlation_time: float, interrupted: bool) -> int:
    factor = smallest_merge(plan.block_time, BATCH_CORRELATION_TIMES * correlation_time)
    if interrupted:
        return factor
    if plan.replicas * (plan.batches // factor) < plan.fewest_batches:
        raise _too_short(plan, correlation_time)
    return factor


def _too_short(plan: Plan, correlation_time: float) -> TooShortError:
    needed = time_needed(correlation_time, plan.replicas, plan.fewest_batches)
    return TooShortError(
        f"time = {plan.time:g} is too short: the slowest density mode has one decorrelated sample "
        f"in {2 * correlation_time:.3g} (unit L^2/D), and {plan.replicas} replica(s) need a time "
        f"of at least {needed:.2g} each",
        needed,
    )


def time_needed(correlation_time: float, replicas: int, fewest_batches: int = FEWEST_BATCHES) -> float:
    """Time of each replica that is surely enough for so many batches, up to twice what may just do."""
    return 2 * ceil(fewest_batches / replicas) * BATCH_CORRELATION_TIMES * correlation_time
