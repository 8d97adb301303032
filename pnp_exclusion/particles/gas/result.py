"""From the counts of all replicas to currents, profiles and pass fractions with error bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.gas.copy import GasCopy
from pnp_exclusion.particles.gas.kernel import COLUMNS
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.measure import Estimate, batch_estimate, neighbour_correlation, ratio_estimate
from pnp_exclusion.particles.stationary import Verdict, smallest_merge, stacked

Array = NDArray[np.float64]

MODES = ("motion", "place of the motion", "middle of the motion", "energy", "place of the energy")
"""What the slow modes of a kind say, in the order of `kernel._slow_modes`."""
assert len(MODES) == COLUMNS

CURRENT_BLOCK = 3.0
"""Correlation times of the blocks whose covariances are taken: neighbouring blocks are allowed for."""


@dataclass
class Blocks:
    """Consecutive equal blocks of one replica, axis 0 the block.

    ``flows``: net particles of every open kind and, last, net energy that crossed each end from left to right,
    ``(blocks, 2, open kinds + 1)``; ``lost``: energy, ``(blocks,)``; ``meetings``, ``passings``: by unordered pair,
    ``(blocks, kinds, kinds)``; ``moments``: means over samples of number, velocity and velocity squared by kind and
    bin, ``(blocks, 3, kinds, bins)``; ``amplitudes``: slow modes, ``(probes, COLUMNS * kinds)``. ``imbalance``: largest
    departure of the energy in the gas from what came in, went out and was lost, relative to what came in and went out.
    """

    flows: Array
    lost: Array
    meetings: Array
    passings: Array
    moments: Array
    amplitudes: Array
    probes_per_block: int
    imbalance: float = 0.0
    events: int = 0
    count: int = 0

    @classmethod
    def empty(cls, gas: Gas, bins: int, blocks: int, probes_per_block: int) -> Blocks:
        """Return room for so many blocks, none filled yet."""
        kinds = len(gas.kinds)
        return cls(
            flows=np.zeros((blocks, 2, len(gas.open_kinds) + 1)),
            lost=np.zeros(blocks),
            meetings=np.zeros((blocks, kinds, kinds)),
            passings=np.zeros((blocks, kinds, kinds)),
            moments=np.zeros((blocks, 3, kinds, bins)),
            amplitudes=np.zeros((blocks * probes_per_block, COLUMNS * kinds)),
            probes_per_block=probes_per_block,
        )

    def add(self, copy: GasCopy, amplitudes: Array, samples: int, energy_before: float) -> None:
        """Append the block that a copy has just counted in so many samples."""
        counts, block, opened = copy.counts, self.count, copy.gas.open_kinds
        entered, left = counts.entered[:, opened] - counts.left[:, opened], counts.energy_in - counts.energy_out
        # into the gas at both ends; from left to right it is that at the left end and minus that at the right one
        into = np.concatenate([entered, left.sum(axis=1)[:, None]], axis=1)
        self.flows[block] = into * np.array([[1.0], [-1.0]])
        self.lost[block] = counts.lost.sum()
        both_ways = 1.0 - 0.5 * np.eye(len(copy.gas.kinds))
        self.meetings[block] = (counts.meetings + counts.meetings.T) * both_ways
        self.passings[block] = (counts.passings + counts.passings.T) * both_ways
        self.moments[block] = copy.moments / samples
        first = block * self.probes_per_block
        self.amplitudes[first : first + self.probes_per_block] = amplitudes
        gained = into[:, -1].sum() - counts.lost.sum()
        passed = counts.energy_in.sum() + counts.energy_out.sum() + energy_before
        if passed > 0:
            self.imbalance = max(self.imbalance, abs(copy.energy - energy_before - gained) / passed)
        self.events += int(counts.events[0])
        self.count += 1

    def keep(self, first: int = 0) -> None:
        """Drop the blocks before the first one to keep, and the room for those that were not reached."""
        for name in ("flows", "lost", "meetings", "passings", "moments"):
            setattr(self, name, getattr(self, name)[first : self.count])
        self.amplitudes = self.amplitudes[first * self.probes_per_block : self.count * self.probes_per_block]
        self.count -= first


@dataclass(frozen=True, eq=False)
class GasResult:
    """Stationary averages of a gas, in its own units; each `measure.Estimate` is a mean and its standard error.

    end_currents
        Of every open kind and, last, of energy through the left and the right end, from left to right positive,
        ``(2, open kinds + 1)``.
    currents
        Means of both ends, ``(open kinds + 1,)``.
    loss
        Energy that is lost by passings per time.
    entropy_production
        Of the reservoirs per time, from the currents at both ends.
    densities, temperatures
        By kind and bin, ``(kinds, bins)``; temperatures of the motion relative to the mean one, nan where no particle
        ever was.
    pass_fractions
        Of the meetings of each pair of kinds, ``(kinds, kinds)``; nan without meetings.
    separation
        Difference of the mean positions of two kinds over half the length, ``(kinds, kinds)``: 0 if they are mixed, 1
        or -1 if each fills one half; row minus column.
    blocks
        Currents ``(replicas, blocks, open kinds + 1)`` in blocks of a few correlation times, ``block_time`` long, for
        their covariances.
    verdict
        What the slow modes say, see `particles.stationary.Verdict`.
    complaint
        Why the state is not steady; empty if it is.
    imbalance
        Of the energy, to rounding: see `Blocks`.
    burn_in, events, seconds
        Longest burn-in of a replica; cost of the whole run.
    """

    gas: Gas
    end_currents: Estimate
    currents: Estimate
    loss: Estimate
    entropy_production: Estimate
    densities: Estimate
    temperatures: Estimate
    pass_fractions: Estimate
    separation: Estimate
    blocks: Array
    block_time: float
    verdict: Verdict
    complaint: str
    imbalance: float
    burn_in: float
    time: float
    replicas: int
    events: int
    seconds: float
    interrupted: bool

    @property
    def steady(self) -> bool:
        """Whether no drift was seen; see ``complaint``."""
        return not self.complaint

    @property
    def positions(self) -> Array:
        """Of the middles of the bins."""
        bins = self.densities.mean.shape[1]
        return np.asarray((np.arange(bins) + 0.5) / bins * self.gas.length)


def assemble(
    gas: Gas, copies: list[Blocks], block_time: float, verdict: Verdict, complaint: str, **about: object
) -> GasResult:
    """Merge blocks to batches, as many as the verdict says, and estimate; ``about`` goes into the result as it is."""

    def batches(name: str) -> Array:
        return stacked([getattr(blocks, name) for blocks in copies], verdict.factor)

    moments = batches("moments")
    # charges forget their past sooner than densities do
    short = smallest_merge(block_time, CURRENT_BLOCK * verdict.correlation_time)
    flows, lost = (
        stacked([getattr(blocks, name) for blocks in copies], short) / block_time for name in ("flows", "lost")
    )
    densities, temperatures = _profiles(gas, moments)
    return GasResult(
        gas=gas,
        end_currents=current_estimate(flows),
        currents=current_estimate(flows.mean(axis=2)),
        loss=current_estimate(lost),
        entropy_production=current_estimate(_entropy_production(gas, flows)),
        densities=densities,
        temperatures=temperatures,
        pass_fractions=ratio_estimate(batches("passings"), batches("meetings")),
        separation=_separation(moments[:, :, 0]),
        blocks=flows.mean(axis=2),
        block_time=short * block_time,
        verdict=verdict,
        complaint=complaint,
        imbalance=max(blocks.imbalance for blocks in copies),
        **about,  # type: ignore[arg-type]
    )


def current_estimate(batches: Array) -> Estimate:
    """Estimate currents from their batches, ``(replicas, batches, ...)``.

    Entries of unlike units share the correlation of neighbouring batches, which a few batches tell badly. Batches that
    seem to repel each other, as those of one charge do that comes and goes, are taken as independent.
    """
    replicas, count = batches.shape[:2]
    mean = batches.mean(axis=(0, 1))
    if replicas * count < 2:
        return Estimate(mean, np.full_like(mean, np.nan))
    deviation = batches.std(axis=(0, 1), ddof=1)
    attraction = neighbour_correlation((batches - mean) / np.where(deviation > 0, deviation, 1.0))
    inflation = 1 + 2 * max(0.0, attraction) * (1 - 1 / count)
    return Estimate(mean, deviation * np.sqrt(inflation / (replicas * count)))


def _entropy_production(gas: Gas, flows: Array) -> Array:
    """Entropy that both reservoirs gain per time, ``(replicas, batches)``, from currents at the ends."""
    given = np.concatenate([gas.contacts, -1.0 / gas.temperatures[:, None]], axis=1)
    return np.asarray(np.sum(flows[:, :, 0] * given[0] - flows[:, :, 1] * given[1], axis=-1))


def _profiles(gas: Gas, moments: Array) -> tuple[Estimate, Estimate]:
    width = gas.length / moments.shape[-1]
    number, velocity, square = (moments[:, :, column] for column in range(3))
    density = batch_estimate(number)
    drift = ratio_estimate(velocity, number).mean
    # the square of a mean velocity is small beside the mean of the square, and so is its error
    masses = gas.masses[:, None]
    temperature = ratio_estimate(masses * (square - 2 * np.nan_to_num(drift) * velocity), number)
    return (
        Estimate(density.mean / width, density.error / width),
        Estimate(temperature.mean + masses * drift**2, temperature.error),
    )


def _separation(numbers: Array) -> Estimate:
    """From mean numbers by kind and bin, ``(replicas, batches, kinds, bins)``."""
    bins = numbers.shape[-1]
    places = 2 * (np.arange(bins) + 0.5) / bins
    totals = numbers.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = totals.mean(axis=(0, 1))
        place = (numbers @ places).mean(axis=(0, 1)) / mean
        deviations = np.nan_to_num((numbers @ places - place * totals) / mean)
    error = batch_estimate(deviations[..., :, None] - deviations[..., None, :]).error
    difference = place[:, None] - place
    return Estimate(difference, np.where(np.isnan(difference), np.nan, error))
