"""What every stationary run shares: burn-in that is checked, then equal blocks, then batches long enough.

Each replica runs by itself: windows of burn-in, doubled until one passes, then ``batches`` equal blocks. The blocks of
all replicas are merged afterwards until they are long against the correlation time of the slowest modes, which is
estimated from all replicas together. What a replica is, how it evolves and what it counts is for each kind of process
to say: `particles.lattice`, `particles.gas`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.measure import drift_scores, integrated_time, merge_batches
from pnp_exclusion.particles.replicas import Monitor

Array = NDArray[np.float64]

BURN_IN_RELAXATIONS = 40.0
BURN_IN_PROBES = 400
BURN_IN_CORRELATION_TIMES = 20.0
BURN_IN_PATIENCE = 4.0
SETTLED_SCORE = 3.0
STEADY_SCORE = 4.0
BATCH_CORRELATION_TIMES = 10.0
FEWEST_BATCHES = 8
LEAST_BATCHES = 8
PROBES_PER_RELAXATION = 10.0
MOST_PROBES = 100_000


class TooShortError(ValueError):
    """The time asked for holds too few decorrelated samples; the sentence says what would do, and ``needed`` too."""

    def __init__(self, sentence: str, needed: float) -> None:
        super().__init__(sentence, needed)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def needed(self) -> float:
        """Time of each replica that will probably do, in the unit of the run."""
        return float(self.args[1])


class NothingMeasuredError(RuntimeError):
    """The run was interrupted before one batch was complete."""


class Copy(Protocol):
    """One copy of a process that evolves and counts."""

    def observe(self, probes: int, samples_per_probe: int, monitor: Monitor) -> Array | None:
        """Clear the counters, run and count; return the slow modes, ``(probes, columns)``, None if asked to stop."""
        ...


@dataclass(frozen=True)
class Schedule:
    """When a replica looks at what; all times in the unit of the run.

    time, burn_in
        Measured time of a replica, and the first window of its burn-in; forty relaxation times by default.
    batches
        Blocks of a replica, a power of 2.
    fewest_batches
        Batches of ten correlation times that all replicas together must have.
    sample_time, relaxation_time
        From one sample to the next; first guess of the slowest relaxation.
    unit, slow, content
        In the words of messages: of time; what is slowest; what may drift.

    Raises `ValueError` for bad numbers.
    """

    time: float
    burn_in: float | None
    batches: int
    replicas: int
    fewest_batches: int
    sample_time: float
    relaxation_time: float
    unit: str
    slow: str
    content: str

    def __post_init__(self) -> None:
        for name, value in (("time", self.time), ("burn_in", self.burn_in)):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} = {value} must be finite and greater than 0")
        if self.replicas < 1:
            raise ValueError(f"replicas = {self.replicas} must be at least 1")
        if self.batches < LEAST_BATCHES or self.batches & (self.batches - 1):
            raise ValueError(f"batches = {self.batches} must be a power of 2 of at least {LEAST_BATCHES}")
        most = self.replicas * self.batches
        if not 2 <= self.fewest_batches <= most:
            raise ValueError(f"fewest_batches = {self.fewest_batches} must be from 2 to {most}, all there are")

    @property
    def first_window(self) -> float:
        """Length of the first window of burn-in."""
        return self.burn_in or BURN_IN_RELAXATIONS * self.relaxation_time

    def samples_in(self, time: float) -> int:
        """Samples that cover a time, at least one."""
        return max(1, ceil(time / self.sample_time))

    @property
    def probe_samples(self) -> int:
        """Samples from one look at the slow modes to the next."""
        spacing = self.relaxation_time / PROBES_PER_RELAXATION
        longest = self.time / self.batches
        return self.samples_in(min(longest, max(spacing, self.time / MOST_PROBES)))

    @property
    def probe_time(self) -> float:
        """Time from one look at the slow modes to the next."""
        return self.probe_samples * self.sample_time

    @property
    def probes_per_block(self) -> int:
        """Looks at the slow modes in one block."""
        return ceil(self.time / self.batches / self.probe_time)

    @property
    def samples_per_block(self) -> int:
        """Samples in one block."""
        return self.probe_samples * self.probes_per_block

    @property
    def block_time(self) -> float:
        """Time of one block."""
        return self.probes_per_block * self.probe_time

    def too_short(self, correlation_time: float) -> TooShortError:
        """Return the refusal of a time that holds too few samples this long correlated."""
        needed = time_needed(correlation_time, self.replicas, self.fewest_batches)
        return TooShortError(
            f"time = {self.time:g} is too short: the slowest {self.slow} has one decorrelated sample "
            f"in {2 * correlation_time:.3g} ({self.unit}), and {self.replicas} replica(s) need a time "
            f"of at least {needed:.2g} each",
            needed,
        )


def time_needed(correlation_time: float, replicas: int, fewest_batches: int = FEWEST_BATCHES) -> float:
    """Time of each replica that is surely enough for so many batches, up to twice what may just do."""
    return 2 * ceil(fewest_batches / replicas) * BATCH_CORRELATION_TIMES * correlation_time


def settle(schedule: Schedule, copy: Copy, monitor: Monitor) -> float:
    """Burn in until a window passes its check; return the time it took, also when asked to stop on the way.

    A window passes if it is twenty correlation times long and shows no drift between its first fifth and last half;
    otherwise another of twice the length follows. `TooShortError` if none passes that is short beside the time asked.
    """
    # doubled as a whole number: of a doubled time the last bit would decide whether one sample more covers it
    samples, spent = schedule.samples_in(schedule.first_window / BURN_IN_PROBES), 0.0
    while True:
        length = BURN_IN_PROBES * samples * schedule.sample_time
        monitor.say(spent / (spent + length + schedule.time))
        amplitudes = copy.observe(BURN_IN_PROBES, samples, monitor)
        if amplitudes is None:
            return spent
        spent += length
        correlation_time = float(integrated_time(amplitudes[None]).max()) * samples * schedule.sample_time
        settled = np.abs(drift_scores(amplitudes[None])).max() < SETTLED_SCORE
        # A window shorter than the true correlation time underestimates it, but hardly to a
        # twentieth of the window.
        if settled and length >= BURN_IN_CORRELATION_TIMES * correlation_time:
            if schedule.time < 2 * correlation_time:
                raise schedule.too_short(correlation_time)
            return spent
        samples *= 2
        if 2 * length > BURN_IN_PATIENCE * max(schedule.time, schedule.first_window):
            needed = max(2 * length, 20 * correlation_time)
            raise TooShortError(
                f"time = {schedule.time:g} is too short: after a burn-in of {spent:.3g} the {schedule.content} "
                f"still drift or stay correlated over {2 * correlation_time:.3g} ({schedule.unit}); "
                f"give a time of at least {needed:.2g}",
                needed,
            )


def observe_blocks(
    schedule: Schedule, copy: Copy, keep: Callable[[Array], None], burn_in: float, monitor: Monitor
) -> None:
    """Observe block after block; ``keep`` gets the slow modes of each while the copy still has its counts.

    Stops early, with whole blocks, when the monitor says so.
    """
    for block in range(schedule.batches):
        monitor.say((burn_in + block * schedule.block_time) / (burn_in + schedule.time))
        amplitudes = copy.observe(schedule.probes_per_block, schedule.probe_samples, monitor)
        if amplitudes is None:
            return
        keep(amplitudes)


class Verdict(NamedTuple):
    """What the slow modes of all replicas say of a run.

    correlation_time
        Integrated autocorrelation time of the slowest mode; in a very long run, which is looked at less often, an upper
        bound of at least ``resolution``.
    factor
        Blocks that make a batch; blocks of one replica that suffice are more than it has if ``enough`` is false.
    drift
        Geweke score of each mode, standard normal if stationary.
    """

    correlation_time: float
    resolution: float
    factor: int
    enough: bool
    drift: Array

    def is_settled(self, burn_in: float) -> bool:
        """Whether no drift is seen and the burn-in was long enough."""
        return bool(np.abs(self.drift).max() < STEADY_SCORE) and self.was_burnt_in(burn_in)

    def was_burnt_in(self, burn_in: float) -> bool:
        """Whether the burn-in was five correlation times, as far as the run resolves them."""
        return burn_in >= 5 * (self.correlation_time - self.resolution)


def judge(schedule: Schedule, amplitudes: Sequence[Array]) -> Verdict:
    """Judge a run by the slow modes of its replicas, ``(probes, columns)`` each; those that got furthest count."""
    longest = max(len(one) for one in amplitudes)
    probes = np.stack([one for one in amplitudes if len(one) == longest])
    correlation_time = float(integrated_time(probes).max()) * schedule.probe_time
    factor = smallest_merge(schedule.block_time, BATCH_CORRELATION_TIMES * correlation_time)
    enough = schedule.replicas * (schedule.batches // factor) >= schedule.fewest_batches
    return Verdict(correlation_time, schedule.probe_time / 2, factor, enough, drift_scores(probes))


def smallest_merge(block_time: float, wanted: float) -> int:
    """Smallest power of 2 of blocks that together last at least ``wanted``."""
    factor = 1
    while factor * block_time < wanted:
        factor *= 2
    return factor


def stacked(blocks: Sequence[Array], factor: int) -> Array:
    """Batches of all replicas; put end to end when an interruption has left them unequal."""
    if len({len(one) for one in blocks}) == 1 and len(blocks[0]) >= factor:
        return merge_batches(np.stack(blocks), factor)
    chain = np.concatenate(blocks)[None]
    return merge_batches(chain, min(factor, chain.shape[1]))
