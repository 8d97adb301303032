"""Stationary averages of a gas, by the schedule that every stationary run has."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.gas.copy import ClottedError, GasCopy, sample_time
from pnp_exclusion.particles.gas.kernel import COLUMNS
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.gas.result import MODES, Blocks, GasResult, assemble
from pnp_exclusion.particles.replicas import Monitor, Report, root_seed, spread
from pnp_exclusion.particles.stationary import (
    FEWEST_BATCHES,
    NothingMeasuredError,
    Schedule,
    TooShortError,
    Verdict,
    judge,
    observe_blocks,
    settle,
)

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.float64]

BURN_IN_CORRELATIONS = 6.0
"""Correlation times that burn-in lasts at least."""
STEADY_SCORE = 8.0
"""Standard errors of a drift: slow particles, which nothing stirs up, give the modes long tails."""
GROWTH = 3.0
"""Standard deviations of a number in equilibrium by which a mean number may not grow."""
MOST_LATE = 0.25
"""Of a run that may be given to the burn-in afterwards."""
PERHAPS_NONE = "with the energy that passings lose there may be no steady state: "


@dataclass(frozen=True, eq=False)
class Plan:
    """What one replica is to do."""

    gas: Gas
    bins: int
    schedule: Schedule


@dataclass
class Record:
    """What one replica brings home; ``blocks`` may be fewer than planned if it was stopped, or if the gas clotted.

    complaint
        Why it never settled, empty if it did.
    """

    blocks: Blocks
    burn_in: float
    complaint: str = ""


def simulate_gas(
    gas: Gas,
    time: float,
    seed: int | np.random.SeedSequence,
    replicas: int = 1,
    burn_in: float | None = None,
    bins: int = 40,
    batches: int = 64,
    fewest_batches: int = FEWEST_BATCHES,
    workers: int = 1,
    communicator: MPI.Comm | None = None,
    report: Report | None = None,
    executor: Executor | None = None,
) -> GasResult:
    """Measure the stationary state of a gas.

    time
        Measured time of each replica, in the gas's unit, beyond its burn-in.
    replicas
        Independent copies, seeded by `numpy.random.SeedSequence.spawn`. The result depends on ``seed`` and
        ``replicas``, not on ``workers``, ``communicator`` or ``executor`` (see `replicas.spread`).
    burn_in
        Length of the first window of burn-in; forty times what the slowest kind takes to cross the gas by default.
    bins
        Of the profiles.
    batches, fewest_batches
        Blocks of a replica, a power of 2 of at least 8; batches of ten correlation times that all replicas together
        must have.
    report
        Called with `replicas.Progress`.

    A gas that loses energy may have no steady state. What was measured of it until the end, or until its particles
    stick together, is returned with a ``complaint``.

    Raises `TooShortError` (a `ValueError`) when ``time`` does not hold enough decorrelated samples and no energy is
    lost, `ValueError` for bad input, `ClottedError` for a gas that clots and `NothingMeasuredError` when interrupted
    before one block was complete. Interrupted later, it returns what is measured, with ``interrupted`` set.
    """
    begun = clock.monotonic()
    if bins < 1:
        raise ValueError(f"bins = {bins} must be at least 1")
    schedule = Schedule(
        time,
        burn_in,
        batches,
        replicas,
        fewest_batches,
        sample_time(gas),
        gas.crossing_time,
        unit="unit of time",
        slow="mode of density and energy",
        content="densities and energies",
    )
    plan = Plan(gas, bins, schedule)
    outcome = spread(
        partial(run_replica, plan), root_seed(seed).spawn(replicas), workers, communicator, report, executor
    )
    records: list[Record] = outcome.results
    whole = [record for record in records if record.blocks.count > 0]
    complaints = [record.complaint for record in records if record.complaint]
    if not whole and not outcome.interrupted:
        raise ClottedError(f"{complaints[0]} before the first block was complete: nothing is measured")
    if not whole:
        raise NothingMeasuredError("interrupted before the first block was complete: nothing is measured")
    verdict = judge(schedule, [record.blocks.amplitudes for record in whole])
    burnt = max(record.burn_in for record in whole)
    late = blocks_of_burn_in(schedule, verdict, min(record.burn_in for record in whole))
    if 0 < late <= min(record.blocks.count for record in whole) * MOST_LATE:
        for record in whole:
            record.blocks.keep(late)
        burnt += late * schedule.block_time
        verdict = judge(schedule, [record.blocks.amplitudes for record in whole])
    if not (verdict.enough or outcome.interrupted or complaints):
        if not gas.loses_energy:
            raise schedule.too_short(verdict.correlation_time)
        complaints = [PERHAPS_NONE + str(schedule.too_short(verdict.correlation_time))]
    complaints += growth(gas, [record.blocks for record in whole])
    if not complaints and not outcome.interrupted and not is_steady(verdict, burnt):
        complaints = [(PERHAPS_NONE if gas.loses_energy else "") + _drift(gas, verdict, burnt)]
    return assemble(
        gas,
        [record.blocks for record in whole],
        schedule.block_time,
        verdict,
        (complaints or [""])[0],
        burn_in=burnt,
        time=schedule.block_time * max(record.blocks.count for record in whole),
        replicas=len(whole),
        events=sum(record.blocks.events for record in whole),
        seconds=clock.monotonic() - begun,
        interrupted=outcome.interrupted,
    )


def is_steady(verdict: Verdict, burn_in: float) -> bool:
    """Whether no drift is seen and the burn-in was five correlation times; see `STEADY_SCORE`."""
    return bool(np.abs(verdict.drift).max() < STEADY_SCORE) and verdict.was_burnt_in(burn_in)


def growth(gas: Gas, copies: Sequence[Blocks]) -> list[str]:
    """Say of every open kind whether its number grows or falls by more than it fluctuates."""
    numbers = np.concatenate(
        [blocks.moments[:, 0].sum(axis=-1) for blocks in copies if blocks.count == copies[0].count]
    )
    numbers = numbers.reshape(-1, copies[0].count, len(gas.kinds)).mean(axis=0)
    early, late = (
        numbers[part].mean(axis=0) for part in (slice(0, -(-len(numbers) // 5)), slice(len(numbers) // 2, None))
    )
    return [
        f'the state is not steady: the number of "{gas.kinds[a].name}" goes from {early[a]:.4g} to {late[a]:.4g}'
        for a in gas.open_kinds
        if abs(late[a] - early[a]) > GROWTH * np.sqrt(numbers[:, a].mean())
    ]


def blocks_of_burn_in(schedule: Schedule, verdict: Verdict, burn_in: float) -> int:
    """Return how many blocks were still burn-in, now that the correlation time of all replicas is known."""
    missing = BURN_IN_CORRELATIONS * verdict.correlation_time - burn_in
    return max(0, ceil(missing / schedule.block_time))


def run_replica(plan: Plan, seed: np.random.SeedSequence, monitor: Monitor) -> Record:
    """Burn in and measure one replica; stops early, with whole blocks, when the monitor says so or the gas clots."""
    schedule, copy = plan.schedule, GasCopy(plan.gas, plan.bins, seed)
    blocks = Blocks.empty(plan.gas, plan.bins, schedule.batches, schedule.probes_per_block)
    record = Record(blocks, 0.0)
    try:
        try:
            record.burn_in = settle(schedule, copy, monitor)
        except TooShortError as error:
            if not plan.gas.loses_energy:
                raise
            record.complaint = PERHAPS_NONE + str(error)
        energy = copy.energy

        def keep(amplitudes: Array) -> None:
            nonlocal energy
            blocks.add(copy, amplitudes, schedule.samples_per_block, energy)
            energy = copy.energy

        observe_blocks(schedule, copy, keep, record.burn_in, monitor)
    except ClottedError as clot:
        record.complaint = f"with the energy that passings lose the gas clots and has no steady state: {clot}"
    blocks.keep()
    return record


def _drift(gas: Gas, verdict: Verdict, burn_in: float) -> str:
    """Say what drifts most, or how much longer the burn-in should have been."""
    worst = int(np.argmax(np.abs(verdict.drift)))
    kind, mode = gas.kinds[worst // COLUMNS], MODES[worst % COLUMNS]
    score = float(verdict.drift[worst])
    if is_steady(verdict, np.inf):
        return (
            f"the burn-in of {burn_in:.3g} is less than five correlation times of {verdict.correlation_time:.3g}: "
            "the state is perhaps not steady; give a longer burn_in"
        )
    return (
        f'the state is not steady: the {mode} of "{kind.name}" is not the same early and late in the run, by '
        f"{abs(score):.1f} standard errors; give a longer burn_in"
    )
