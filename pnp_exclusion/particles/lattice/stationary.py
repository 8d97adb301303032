"""Stationary averages of the lattice process, by the schedule that every stationary run has."""

import time as clock
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from pnp_exclusion.particles.lattice.engine import (
    SAMPLES_PER_PRODUCT,
    Apparatus,
    Engine,
    Recording,
    draw_start,
)
from pnp_exclusion.particles.lattice.process import ExchangeProcess
from pnp_exclusion.particles.lattice.result import Blocks, Record, StationaryResult, assemble
from pnp_exclusion.particles.replicas import Monitor, Report, root_seed, spread
from pnp_exclusion.particles.stationary import (
    FEWEST_BATCHES,
    LEAST_BATCHES,
    NothingMeasuredError,
    Schedule,
    judge,
    observe_blocks,
    settle,
)

if TYPE_CHECKING:
    from mpi4py import MPI

PRODUCT_BATCHES = LEAST_BATCHES


@dataclass(frozen=True, eq=False)
class Plan:
    """What one replica is to do; times are macroscopic."""

    apparatus: Apparatus
    schedule: Schedule


@dataclass
class Share:
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
    recording: Recording | None = None,
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
    recording
        What to record in time, for `noise`.

    Raises `TooShortError` (a `ValueError`) when ``time`` does not hold enough decorrelated samples,
    `ValueError` for bad input, `NothingMeasuredError` when interrupted before the first batch was
    complete. Interrupted later, it returns what is measured, with ``interrupted`` set.
    """
    begun = clock.monotonic()
    plan = _plan(process, time, replicas, burn_in, correlate, batches, fewest_batches, recording)
    draw_start(process, np.random.default_rng(0))
    seeds = root_seed(seed).spawn(replicas)
    outcome = spread(partial(run_replica, plan), seeds, workers, communicator, report, executor)
    shares: list[Share] = outcome.results
    whole = [share for share in shares if share.blocks.count > 0]
    if not whole:
        raise NothingMeasuredError("interrupted before the first batch was complete: nothing is measured")
    verdict = judge(plan.schedule, [share.blocks.amplitudes for share in whole])
    if not (verdict.enough or outcome.interrupted):
        raise plan.schedule.too_short(verdict.correlation_time)
    return assemble(
        process,
        [share.blocks for share in whole],
        plan.schedule.block_time,
        verdict,
        correlate,
        _recorded(plan, [share.blocks for share in whole]),
        burn_in=max(share.burn_in for share in whole),
        attempts=sum(share.attempts for share in shares),
        seconds=clock.monotonic() - begun,
        interrupted=outcome.interrupted,
    )


def run_replica(plan: Plan, seed: np.random.SeedSequence, monitor: Monitor) -> Share:
    """Burn in and measure one replica; stops early, with whole blocks, when the monitor says so."""
    preparation, dynamics = seed.spawn(2)
    apparatus, schedule = plan.apparatus, plan.schedule
    start = draw_start(apparatus.process, np.random.default_rng(preparation))
    engine = Engine(apparatus, start, dynamics)
    burn_in = settle(schedule, engine, monitor)
    blocks = Blocks.empty(apparatus, schedule.batches, schedule.probes_per_block, PRODUCT_BATCHES)
    products = schedule.probes_per_block * ceil(schedule.probe_samples / SAMPLES_PER_PRODUCT)
    observe_blocks(
        schedule,
        engine,
        lambda amplitudes: blocks.add(engine, amplitudes, schedule.samples_per_block, products),
        burn_in,
        monitor,
    )
    total = blocks.count * schedule.samples_per_block + schedule.samples_in(burn_in)
    return Share(blocks.trimmed(), burn_in, total * apparatus.attempts_per_sample)


def _plan(
    process: ExchangeProcess,
    time: float,
    replicas: int,
    burn_in: float | None,
    correlate: tuple[int, int] | None,
    batches: int,
    fewest_batches: int,
    recording: Recording | None,
) -> Plan:
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
    if recording is not None:
        _check_recording(process, recording)
    apparatus = Apparatus(process, correlate, recording)
    schedule = Schedule(
        time,
        burn_in,
        batches,
        replicas,
        fewest_batches,
        apparatus.sample_time,
        apparatus.modes.relaxation_time,
        unit="unit L^2/D",
        slow="density mode",
        content="densities",
    )
    return Plan(apparatus, schedule)


def _check_pair(pair: Sequence[int], species: int) -> None:
    if len(pair) != 2 or not all(1 <= one <= species for one in pair):
        raise ValueError(f"correlate = {pair} must be two species from 1 to {species}")


def _check_recording(process: ExchangeProcess, recording: Recording) -> None:
    lattice, bonds = process.lattice, process.lattice.bonds.left.size
    if recording.flows.shape[1:] != (process.species, bonds):
        raise ValueError(
            f"recorded flows have shape {recording.flows.shape}: it must be (currents, {process.species}, {bonds})"
        )
    if not 0 <= recording.cells <= lattice.length:
        raise ValueError(f"recorded cells = {recording.cells} must be from 0 to {lattice.length}")


def _recorded(plan: Plan, blocks: list[Blocks]) -> Record | None:
    """Put together what the replicas recorded; those of an interrupted run are cut to the shortest."""
    apparatus = plan.apparatus
    if apparatus.recording is None:
        return None
    rows = min(len(one.flows) for one in blocks)
    return Record(
        recording=apparatus.recording,
        step=plan.schedule.probe_time,
        flows=np.stack([one.flows[:rows] for one in blocks]),
        cells=np.stack([one.cells[:rows] for one in blocks]),
        ring_rate=apparatus.tables.largest_rate * apparatus.tables.bonds.shape[0],
    )
