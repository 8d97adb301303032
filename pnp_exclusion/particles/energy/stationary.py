"""Steady states of channels that carry energy: currents and fields with error bars, and the noise of the currents.

Between equal reservoirs half the noise is the matrix of responses `L` to the forces (Green, J. Chem. Phys. 22, 398
(1954); Kubo, J. Phys. Soc. Japan 12, 570 (1957)).
"""

import time as clock
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.energy.channel import EnergyChannel, Sampling
from pnp_exclusion.particles.measure import Estimate, batch_estimate, connected_estimate
from pnp_exclusion.particles.replicas import Monitor, Report, root_seed, spread
from pnp_exclusion.particles.stationary import (
    FEWEST_BATCHES,
    NothingMeasuredError,
    Schedule,
    Verdict,
    judge,
    observe_blocks,
    settle,
    stacked,
)

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.float64]

SLICE_RINGS = 10_000_000
"""Between two looks at the monitor."""
SITES_PER_SWEEP = 8
BLOCK_RELAXATIONS = 2.0
LEAST_BLOCKS, MOST_BLOCKS = 64, 4096


@dataclass(frozen=True)
class Batches:
    """Averages over batches, axes 0 and 1 the replica and the batch (one replica if interrupted).

    ``currents``: of the channel, ``(replicas, batches, flowing)``; ``fields``: ``(replicas, batches, fields, cells)``;
    ``time``: of a batch, macroscopic.
    """

    currents: Array
    fields: Array
    time: float


@dataclass(frozen=True)
class EnergyResult:
    """Steady averages; each `measure.Estimate` is a mean and its standard error.

    fields
        Of a site in every cell, ``(fields, cells)``, in the order of ``process.names``.
    temperatures
        Energy over particles of every cell, ``(cells,)``.
    bond_currents
        Counted, ``(fields, cells + 1)``; macroscopic as in `channel.EnergyChannel`.
    currents
        Of the channel, by the counts of all bonds, ``(flowing,)``.
    noise
        `scale Cov(Q_a, Q_b)/t` of the counts of the channel, two-sided, ``(flowing, flowing)``; between equal
        reservoirs ``responses`` is half of it.
    ratio
        Between equal reservoirs, response of the first current to the force on the energy, over that to its own; None
        where that current never flows, in a full lattice.
    verdict, burn_in
        See `pnp_exclusion.particles.stationary`; ``rings`` and ``seconds`` are what the run has cost.
    """

    process: EnergyChannel
    fields: Estimate
    temperatures: Estimate
    bond_currents: Estimate
    currents: Estimate
    noise: Estimate
    ratio: Estimate | None
    batches: Batches
    verdict: Verdict
    burn_in: float
    rings: int
    seconds: float
    interrupted: bool

    @property
    def responses(self) -> Estimate | None:
        """`L`, ``(flowing, flowing)``, if the reservoirs are equal."""
        if not self.process.at_equilibrium:
            return None
        return Estimate(self.noise.mean / 2.0, self.noise.error / 2.0)

    @property
    def settled(self) -> bool:
        """Whether no drift is seen and the burn-in was long enough."""
        return self.verdict.is_settled(self.burn_in)


@dataclass(frozen=True)
class Plan:
    """What one replica is to do; times are macroscopic."""

    process: EnergyChannel
    rings_per_sample: int
    schedule: Schedule


@dataclass
class Record:
    """What one replica brings home, whole blocks only; axis 0 of all is the block, but of ``amplitudes`` the probe."""

    fields: Array
    crossings: Array
    amplitudes: Array
    burn_in: float


class Evolution:
    """A copy of a process that evolves and counts."""

    def __init__(self, plan: Plan, seed: np.random.SeedSequence) -> None:
        preparation, dynamics = seed.spawn(2)
        process = plan.process
        self.plan = plan
        self.state = process.start(np.random.default_rng(preparation))
        self.generator: NDArray[np.uint64] = dynamics.generate_state(4, np.uint64).astype(np.uint64)
        fields = len(process.names)
        self.crossings = np.zeros((fields, process.cells + 1))
        self.sums = np.zeros((fields, process.cells))

    def observe(self, probes: int, samples_per_probe: int, monitor: Monitor) -> Array | None:
        """Clear the counts, run and count; return the slow modes, ``(probes, columns)``, None if asked to stop."""
        modes = self.plan.process.modes
        amplitudes = np.empty((probes, len(modes)))
        counts = (self.crossings, self.sums)
        sampling = Sampling(self.plan.rings_per_sample, samples_per_probe, modes, counts)
        for count in counts:
            count[...] = 0.0
        at_once = max(1, SLICE_RINGS // (samples_per_probe * self.plan.rings_per_sample))
        for first in range(0, probes, at_once):
            if monitor.stopped():
                return None
            self.plan.process.run(self.state, self.generator, sampling, amplitudes[first : first + at_once])
        return amplitudes


def simulate_energy(
    process: EnergyChannel,
    time: float,
    seed: int | np.random.SeedSequence,
    replicas: int = 1,
    burn_in: float | None = None,
    batches: int | None = None,
    fewest_batches: int = FEWEST_BATCHES,
    workers: int = 1,
    communicator: "MPI.Comm | None" = None,
    report: Report | None = None,
    executor: Executor | None = None,
) -> EnergyResult:
    """Measure the steady state of a channel that carries energy.

    time
        Measured macroscopic time of each replica, beyond its burn-in (unit: ``process.scale**2`` lattice units).
    batches
        Blocks of a replica, a power of 2; by default as many of two relaxation times as the time holds, 64 to 4096. As
        many of them as ten correlation times need make a batch; the noise has a relative error of the square root of
        two over the number of batches.

    Everything else is as in `pnp_exclusion.particles.lattice.simulate_stationary`, the errors that are raised too.
    """
    begun = clock.monotonic()
    plan = _plan(process, time, replicas, burn_in, batches, fewest_batches)
    seeds = root_seed(seed).spawn(replicas)
    outcome = spread(partial(run_replica, plan), seeds, workers, communicator, report, executor)
    records: list[Record] = [record for record in outcome.results if len(record.fields) > 0]
    if not records:
        raise NothingMeasuredError("interrupted before the first batch was complete: nothing is measured")
    verdict = judge(plan.schedule, [record.amplitudes for record in records])
    if not (verdict.enough or outcome.interrupted):
        raise plan.schedule.too_short(verdict.correlation_time)
    return _assemble(plan, records, verdict, clock.monotonic() - begun, outcome.interrupted)


def run_replica(plan: Plan, seed: np.random.SeedSequence, monitor: Monitor) -> Record:
    """Burn in and measure one replica; stops early, with whole blocks, when the monitor says so."""
    schedule = plan.schedule
    evolution = Evolution(plan, seed)
    burn_in = settle(schedule, evolution, monitor)
    fields = np.zeros((schedule.batches, *evolution.sums.shape))
    crossings = np.zeros((schedule.batches, *evolution.crossings.shape))
    amplitudes: list[Array] = []

    def keep(seen: Array) -> None:
        fields[len(amplitudes)] = evolution.sums / schedule.samples_per_block
        crossings[len(amplitudes)] = evolution.crossings
        amplitudes.append(seen)

    observe_blocks(schedule, evolution, keep, burn_in, monitor)
    done = len(amplitudes)
    return Record(fields[:done], crossings[:done], np.concatenate(amplitudes) if done else np.zeros((0, 0)), burn_in)


def _plan(
    process: EnergyChannel,
    time: float,
    replicas: int,
    burn_in: float | None,
    batches: int | None,
    fewest_batches: int,
) -> Plan:
    rings_per_sweep = process.rings_per_time / process.sites_per_cell
    sweeps = max(1, process.sites_per_cell * process.cells // SITES_PER_SWEEP)
    rings = max(1, round(rings_per_sweep * sweeps))
    sample_time = rings / process.rings_per_time / process.scale**2
    if batches is None:
        held = max(1.0, time / (BLOCK_RELAXATIONS * process.relaxation_time)) if time > 0.0 else 1.0
        batches = int(np.clip(2 ** int(np.log2(min(held, MOST_BLOCKS))), LEAST_BLOCKS, MOST_BLOCKS))
    return Plan(
        process,
        rings,
        Schedule(
            time,
            burn_in,
            batches,
            replicas,
            fewest_batches,
            sample_time=sample_time,
            relaxation_time=process.relaxation_time,
            unit="unit (n + 1)^2",
            slow="mode",
            content="fields",
        ),
    )


def _assemble(plan: Plan, records: list[Record], verdict: Verdict, seconds: float, interrupted: bool) -> EnergyResult:
    process, time = plan.process, plan.schedule.block_time
    # those of an interrupted run may be fewer than a batch needs
    factor = min(verdict.factor, sum(len(record.fields) for record in records))
    per_site = 1.0 / process.sites_per_cell
    fields = stacked([record.fields for record in records], factor) * per_site
    crossings = stacked([record.crossings for record in records], factor) * per_site / (time * process.scale)
    currents = np.einsum("kcb,rtcb->rtk", process.shares, crossings)
    noise = noise_of(process, currents, factor * time)
    measured = factor * time * currents.shape[0] * currents.shape[1] + sum(one.burn_in for one in records)
    return EnergyResult(
        process=process,
        fields=batch_estimate(fields),
        temperatures=_temperatures(fields),
        bond_currents=batch_estimate(crossings),
        currents=batch_estimate(currents),
        noise=noise,
        ratio=_ratio(currents, noise) if process.at_equilibrium and currents[..., 0].any() else None,
        batches=Batches(currents, fields, factor * time),
        verdict=verdict,
        burn_in=max(record.burn_in for record in records),
        rings=round(measured * process.rings_per_time * process.scale**2),
        seconds=seconds,
        interrupted=interrupted,
    )


def _temperatures(fields: Array) -> Estimate:
    particles, energy = fields[:, :, :-1].sum(axis=2), fields[:, :, -1]
    mean_particles, mean_energy = particles.mean(axis=(0, 1)), energy.mean(axis=(0, 1))
    temperature = mean_energy / mean_particles
    linear = batch_estimate((energy - temperature * particles) / mean_particles)
    return Estimate(temperature, linear.error)


def noise_of(process: EnergyChannel, currents: Array, time: float) -> Estimate:
    """Covariance of the currents of batches, in the unit in which it is twice the mobility.

    A current of the channel is the count of a site over ``scale``; hence ``scale * sites_per_cell`` sites share its
    noise in ``time``. Batches have the same number of rings, where equal times would have a Poisson number: that adds
    the product of the mean currents over the rate of the rings. A single batch does not tell.
    """
    first, second = currents[..., :, None], currents[..., None, :]
    if currents.shape[0] * currents.shape[1] < 2:
        unknown = np.full(2 * currents.shape[2:], np.nan)
        return Estimate(unknown, unknown)
    covariance = connected_estimate(first * second, first, second)
    mean = currents.mean(axis=(0, 1))
    factor = process.scale * process.sites_per_cell
    spread_of_rings = np.outer(mean, mean) / (process.rings_per_time * process.scale**2)
    return Estimate(factor * (covariance.mean * time + spread_of_rings), factor * covariance.error * time)


def _ratio(currents: Array, noise: Estimate) -> Estimate:
    """Response of the first current to the force on the energy over that to its own, by the linearised ratio."""
    first, energy = (currents[..., column] - currents[..., column].mean() for column in (0, -1))
    ratio = noise.mean[0, -1] / noise.mean[0, 0]
    linear = batch_estimate(first * energy - ratio * first**2)
    return Estimate(np.asarray(ratio), np.asarray(linear.error / np.mean(first**2)))
