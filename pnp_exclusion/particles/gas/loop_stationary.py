"""Stationary averages of gases in a loop, by the schedule that every stationary run has."""

from __future__ import annotations

import time as clock
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.gas.copy import ClottedError
from pnp_exclusion.particles.gas.loop import GasLoop, LoopCopy
from pnp_exclusion.particles.measure import Estimate, batch_estimate
from pnp_exclusion.particles.replicas import Monitor, Report, root_seed, spread
from pnp_exclusion.particles.stationary import (
    FEWEST_BATCHES,
    NothingMeasuredError,
    Schedule,
    judge,
    observe_blocks,
    settle,
    stacked,
)

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LoopResult:
    """Stationary averages of a loop, in the units of its gases; from left to right positive.

    currents
        Of particles and energy through each gas, all its copies, means of both ends, ``(gases, 2)``.
    net
        Of particles from reservoir to reservoir: zero but for what the reservoirs still take and give.
    round
        Half the difference of the currents of particles through the first gas and through all others.
    power
        Work against the biases per time.
    heat
        Energy that leaves the left reservoir per time.
    efficiency
        Power over heat.
    force
        ``F`` that has come about between the reservoirs.
    complaint
        Why the state is not steady; empty if it is.
    """

    loop: GasLoop
    currents: Estimate
    net: Estimate
    round: Estimate
    power: Estimate
    heat: Estimate
    efficiency: Estimate
    force: Estimate
    complaint: str
    correlation_time: float
    burn_in: float
    time: float
    events: int
    seconds: float
    interrupted: bool


@dataclass(frozen=True, eq=False)
class _Plan:
    loop: GasLoop
    schedule: Schedule


@dataclass
class _Record:
    """What one replica brings home: lists over its blocks, and why it never settled."""

    flows: list[Array]
    forces: list[float]
    amplitudes: list[Array]
    events: int = 0
    burn_in: float = 0.0
    complaint: str = ""


def simulate_loop(
    loop: GasLoop,
    time: float,
    seed: int | np.random.SeedSequence,
    replicas: int = 1,
    burn_in: float | None = None,
    batches: int = 64,
    workers: int = 1,
    communicator: MPI.Comm | None = None,
    report: Report | None = None,
    executor: Executor | None = None,
) -> LoopResult:
    """Measure the stationary state of a loop.

    time
        Measured time of each replica, in the gases' unit, beyond its burn-in.
    replicas, seed, burn_in, batches, workers, communicator, report, executor
        As for `simulate_gas`.

    Raises `TooShortError` (a `ValueError`) when ``time`` holds too few decorrelated samples, `ValueError` for bad
    input or reservoirs that run empty, `ClottedError` or, when interrupted, `NothingMeasuredError` before one block was
    complete.
    Interrupted later, it returns what is measured, with ``interrupted`` set.
    """
    begun = clock.monotonic()
    relaxation = max([loop.relaxation_time, *(gas.crossing_time for gas in loop.gases)])
    schedule = Schedule(
        time,
        burn_in,
        batches,
        replicas,
        FEWEST_BATCHES,
        loop.sample_time,
        relaxation,
        unit="unit of time",
        slow="mode of gases and reservoirs",
        content="reservoirs and gases",
    )
    plan = _Plan(loop, schedule)
    outcome = spread(
        partial(_run_replica, plan), root_seed(seed).spawn(replicas), workers, communicator, report, executor
    )
    records: list[_Record] = outcome.results
    whole = [record for record in records if record.flows]
    complaints = [record.complaint for record in records if record.complaint]
    if not whole and complaints:
        raise ClottedError(complaints[0])
    if not whole:
        raise NothingMeasuredError("interrupted before the first block was complete: nothing is measured")
    verdict = judge(schedule, [np.concatenate(record.amplitudes) for record in whole])
    burnt = max(record.burn_in for record in whole)
    if not (verdict.enough or outcome.interrupted or complaints):
        raise schedule.too_short(verdict.correlation_time)
    if not complaints and not outcome.interrupted and not verdict.is_settled(burnt):
        complaints = ["the state is not steady: gases or reservoirs are not the same early and late in the run"]
    flows = stacked([np.array(record.flows) for record in whole], verdict.factor) / schedule.block_time
    forces = stacked([np.array(record.forces) for record in whole], verdict.factor)
    return LoopResult(
        loop=loop,
        **_estimates(loop, flows, forces),
        complaint=(complaints or [""])[0],
        correlation_time=verdict.correlation_time,
        burn_in=burnt,
        time=schedule.block_time * max(len(record.flows) for record in whole),
        events=sum(record.events for record in whole),
        seconds=clock.monotonic() - begun,
        interrupted=outcome.interrupted,
    )


def _estimates(loop: GasLoop, flows: Array, forces: Array) -> dict[str, Estimate]:
    """From batches ``(replicas, batches, gases, ends, particles and energy)``, and of the force, what a result has.

    The correlation of neighbouring batches is pooled over all quantities, each in units of its own deviation.
    """
    means = flows.mean(axis=3)
    first, others = means[..., 0, 0], means[..., 1:, 0].sum(axis=2)
    power = means[..., 0] @ np.array([gas.biases[0] for gas in loop.gases])
    heat = flows[..., 0, 1].sum(axis=2)
    efficiency = power.mean() / heat.mean()
    series = {
        "net": first + others,
        "round": 0.5 * (first - others),
        "power": power,
        "heat": heat,
        # the linearised ratio, about its mean
        "efficiency": efficiency + (power - efficiency * heat) / heat.mean(),
        "force": forces,
        "currents": means.reshape(*means.shape[:2], -1),
    }
    columns = np.concatenate([one.reshape(*means.shape[:2], -1) for one in series.values()], axis=2)
    scale = columns.std(axis=(0, 1))
    scale[scale == 0.0] = 1.0
    found = batch_estimate(columns / scale)
    estimates, at = {}, 0
    for name, one in series.items():
        part = slice(at, at + one[0, 0].size)
        shape = means.shape[2:] if name == "currents" else ()
        estimates[name] = Estimate(*((of * scale)[part].reshape(shape) for of in found))
        at = part.stop
    return estimates


def _run_replica(plan: _Plan, seed: np.random.SeedSequence, monitor: Monitor) -> _Record:
    """Burn in and measure one replica; stops early, with whole blocks, when the monitor says so or a gas clots."""
    copy, record = LoopCopy(plan.loop, seed), _Record([], [], [])

    def keep(amplitudes: Array) -> None:
        record.flows.append(copy.flows.copy())
        record.forces.append(copy.force)
        record.amplitudes.append(amplitudes)
        record.events += copy.events

    try:
        record.burn_in = settle(plan.schedule, copy, monitor)
        observe_blocks(plan.schedule, copy, keep, record.burn_in, monitor)
    except ClottedError as clot:
        record.complaint = f"with the energy that passings lose a gas clots, it has no steady state: {clot}"
    return record
