"""From the counts of all replicas to densities, currents and correlations with error bars."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.lattice.engine import Apparatus, Engine, Recording
from pnp_exclusion.particles.lattice.process import (
    ExchangeProcess,
    net_crossing_rates,
    with_reservoir_pairs,
)
from pnp_exclusion.particles.measure import (
    Estimate,
    batch_estimate,
    connected_estimate,
    merge_batches,
    neighbour_correlation,
)
from pnp_exclusion.particles.stationary import Verdict, stacked

Array = NDArray[np.float64]


@dataclass
class Blocks:
    """Averages over consecutive equal blocks of one replica, axis 0 the block.

    ``occupation``: fraction of samples, ``(blocks, N, sites)``; ``crossings``: net crossings in
    the block, ``(blocks, N, bonds)``; ``pairs``: fraction of samples, inside the lattice,
    ``(blocks, bonds, N + 1, N + 1)``; ``products``: fraction of samples for the chosen two
    species, ``(longer blocks, sites, sites)``, or with no sites at all; ``amplitudes``: slow modes,
    ``(probes, N * modes)``; ``flows``, ``(probes, currents)``, and ``cells``, ``(probes, N, cells)``: what is recorded.
    """

    occupation: Array
    crossings: Array
    pairs: Array
    products: Array
    amplitudes: Array
    flows: Array
    cells: Array
    probes_per_block: int
    blocks_per_product: int
    count: int = 0

    @classmethod
    def empty(cls, apparatus: Apparatus, blocks: int, probes_per_block: int, product_blocks: int) -> "Blocks":
        """Return room for so many blocks, none filled yet."""
        process, bonds = apparatus.process, apparatus.tables.bonds.shape[0]
        species, sites, types = process.species, process.lattice.sites, process.types
        side = 0 if apparatus.pair is None else sites
        modes = apparatus.modes.weights.shape[0]
        probes, cells = blocks * probes_per_block, apparatus.weights.shape[0] - modes
        return cls(
            occupation=np.zeros((blocks, species, sites)),
            crossings=np.zeros((blocks, species, bonds)),
            pairs=np.zeros((blocks, bonds, types, types)),
            products=np.zeros((product_blocks, side, side)),
            amplitudes=np.zeros((probes, species * modes)),
            flows=np.zeros((probes, apparatus.flow_weights.shape[0])),
            cells=np.zeros((probes, species, cells)),
            probes_per_block=probes_per_block,
            blocks_per_product=blocks // product_blocks,
        )

    def add(self, engine: Engine, amplitudes: Array, samples: int, products: int) -> None:
        """Append one block; ``samples`` and ``products`` are how often each was counted."""
        counters = engine.counters
        block = self.count
        self.occupation[block] = counters.occupation / samples
        self.crossings[block] = counters.crossings[:, 1:].T
        self.pairs[block] = counters.pairs / samples
        long_block = block // self.blocks_per_product
        self.products[long_block] += counters.products / (products * self.blocks_per_product)
        these = slice(block * self.probes_per_block, (block + 1) * self.probes_per_block)
        self.amplitudes[these] = amplitudes
        self.flows[these] = engine.flows
        self.cells[these] = engine.cells
        self.count += 1

    def trimmed(self) -> "Blocks":
        """Without the room for blocks that were not reached."""
        return replace(
            self,
            occupation=self.occupation[: self.count],
            crossings=self.crossings[: self.count],
            pairs=self.pairs[: self.count],
            products=self.products[: self.count // self.blocks_per_product],
            amplitudes=self.amplitudes[: self.count * self.probes_per_block],
            flows=self.flows[: self.count * self.probes_per_block],
            cells=self.cells[: self.count * self.probes_per_block],
        )


@dataclass(frozen=True, eq=False)
class Batches:
    """Batch averages, axes 0 and 1 the replica and the batch (one replica if interrupted).

    ``densities``: ``(replicas, batches, N, sites)``; ``currents``: macroscopic, by count,
    ``(replicas, batches, N, bonds)``; ``channel_currents``: ``(replicas, batches, N)``, see
    `StationaryResult`. ``time`` is the macroscopic length of a batch.
    """

    densities: Array
    currents: Array
    channel_currents: Array
    time: float


@dataclass(frozen=True, eq=False)
class Record:
    """What was recorded in time, of every replica.

    ``step``: macroscopic time from one row to the next. ``flows``: sums of crossings in a step by their weights,
    ``(replicas, rows, currents)``; ``cells``: particles of every stretch at the end of it,
    ``(replicas, rows, N, cells)``. ``recording`` says which. ``ring_rate``: attempts per lattice unit of time; a step
    has a fixed number of them, where a time has a Poisson number.
    """

    recording: Recording
    step: float
    flows: Array
    cells: Array
    ring_rate: float


@dataclass(frozen=True, eq=False)
class StationaryResult:
    """Stationary averages; each `measure.Estimate` is a mean and its standard error.

    densities
        Occupied fractions, ``(N,) + lattice.site_shape``.
    currents, currents_across
        Net crossings of each bond times ``lattice.scale``, per lattice unit of time, left to right
        positive: shapes ``(N,) + lattice.along_shape`` and ``(N,) + lattice.across_shape``. Every
        crossing is counted. In units of D/L, the J of the continuum: a bond is crossed
        ``j = -(rho[i + 1] - rho[i]) + ...`` times per unit of time, and with space in ``1/m`` and
        time in ``m**2`` the current of fractions is ``J = j m**2 / m``.
    channel_currents
        ``(N,)``: the mean over all bonds along of the *expected* crossing rate given the sampled
        configuration. It has the same mean as the counted current, averaged over the bonds, without
        the noise of the jumps themselves: where the fields vanish and ``kappa`` is 1 the sum
        telescopes to the difference of the reservoirs and has no noise at all. Where charges make a field it is the
        counted current.
    counted_currents
        ``(N,)``: the mean over all bonds along of ``currents``.
    neighbour_correlations, neighbour_correlations_across
        ``<a b> - <a><b>`` for species ``a`` left, ``b`` right on each bond inside the lattice:
        ``(N, N, bonds along, width)`` or without ``width`` in 1D; across ``(N, N) + across_shape``.
    correlations
        Connected correlations of the two chosen species, ``(sites, sites)``, row the first species;
        None when none were chosen.
    verdict
        What the slow modes say: ``correlation_time`` (macroscopic) and ``drift`` (of each mode of each species);
        ``settled`` says that none drifts and that the burn-in was long enough, see `particles.stationary.Verdict`.
    record
        What was recorded in time; None if nothing.
    batch_correlation
        Correlation of neighbouring batches of the densities, which is corrected for; batches are
        at least ten correlation times long.
    burn_in
        Longest macroscopic burn-in of a replica. ``attempts``, ``seconds``: cost of the whole run.
    """

    process: ExchangeProcess
    densities: Estimate
    currents: Estimate
    currents_across: Estimate
    channel_currents: Estimate
    counted_currents: Estimate
    neighbour_correlations: Estimate
    neighbour_correlations_across: Estimate
    correlations: Estimate | None
    batches: Batches
    record: "Record | None"
    verdict: Verdict
    batch_correlation: float
    burn_in: float
    attempts: int
    seconds: float
    interrupted: bool

    @property
    def settled(self) -> bool:
        """Whether no drift is seen and the burn-in was long enough, see above."""
        return self.verdict.is_settled(self.burn_in)

    @property
    def correlation_time(self) -> float:
        """Integrated autocorrelation time of the slowest density mode, macroscopic."""
        return self.verdict.correlation_time


def assemble(
    process: ExchangeProcess,
    replicas: list[Blocks],
    block_time: float,
    verdict: Verdict,
    pair: tuple[int, int] | None,
    record: Record | None,
    **about: object,
) -> StationaryResult:
    """Merge blocks to batches, as many as the verdict says, and estimate.

    ``pair`` are the species whose ``products`` were counted; ``record`` and ``about`` goes into the result as it
    is.
    """
    lattice, factor = process.lattice, verdict.factor
    occupation = stacked([blocks.occupation for blocks in replicas], factor)
    pairs = stacked([blocks.pairs for blocks in replicas], factor)
    crossings = stacked([blocks.crossings for blocks in replicas], factor)
    currents = crossings / (block_time * lattice.scale)
    along = slice(0, lattice.along_bonds)
    expected = _channel_currents(process, occupation, pairs)
    batches = Batches(
        occupation, currents, currents[..., along].mean(axis=-1) if expected is None else expected, factor * block_time
    )
    counted = batch_estimate(currents)
    neighbours = _neighbour_correlations(process, occupation, pairs)
    return StationaryResult(
        process=process,
        densities=_reshaped(batch_estimate(occupation), lattice.site_shape),
        currents=_reshaped(_part(counted, along), lattice.along_shape),
        currents_across=_reshaped(_part(counted, slice(lattice.along_bonds, None)), lattice.across_shape),
        channel_currents=batch_estimate(batches.channel_currents),
        counted_currents=batch_estimate(currents[..., along].mean(axis=-1)),
        neighbour_correlations=neighbours[0],
        neighbour_correlations_across=neighbours[1],
        correlations=_matrix(replicas, pair, factor),
        batches=batches,
        record=record,
        verdict=verdict,
        batch_correlation=neighbour_correlation(occupation),
        **about,  # type: ignore[arg-type]
    )


def _part(estimate: Estimate, bonds: slice) -> Estimate:
    return Estimate(estimate.mean[..., bonds], estimate.error[..., bonds])


def _reshaped(estimate: Estimate, shape: tuple[int, ...]) -> Estimate:
    kept = estimate.mean.shape[:-1]
    return Estimate(estimate.mean.reshape(*kept, *shape), estimate.error.reshape(*kept, *shape))


def _channel_currents(process: ExchangeProcess, occupation: Array, pairs: Array) -> Array | None:
    """Means of the expected crossing rates; None where these depend on more than neighbours, on the whole field."""
    lattice = process.lattice
    if process.energy is not None:
        return None
    if process.has_linear_averages and lattice.ends == "reservoirs":
        # the sum over the bonds telescopes; computed, it would keep the rounding of its terms
        left, right = process.reservoirs[:, 1:]
        return np.tile(left - right, (*occupation.shape[:2], 1))
    vacancy = 1 - occupation.sum(axis=-2, keepdims=True)
    types = np.concatenate([vacancy, occupation], axis=-2)
    rates = net_crossing_rates(process, with_reservoir_pairs(process, pairs, types))
    return np.asarray(rates[..., : lattice.along_bonds].mean(axis=-1) * lattice.scale)


def _neighbour_correlations(process: ExchangeProcess, occupation: Array, pairs: Array) -> tuple[Estimate, Estimate]:
    lattice, bonds = process.lattice, process.lattice.bonds
    inside = np.flatnonzero(bonds.reservoir == 0)
    products = np.moveaxis(pairs[:, :, inside, 1:, 1:], 2, -1)
    left, right = occupation[..., bonds.left[inside]], occupation[..., bonds.right[inside]]
    estimate = connected_estimate(products, left[:, :, :, None], right[:, :, None])
    along = int(np.sum(inside < lattice.along_bonds))
    rows = along // lattice.width
    shape = (rows,) if lattice.width == 1 else (rows, lattice.width)
    return (
        _reshaped(_part(estimate, slice(0, along)), shape),
        _reshaped(_part(estimate, slice(along, None)), lattice.across_shape),
    )


def _matrix(replicas: list[Blocks], pair: tuple[int, int] | None, factor: int) -> Estimate | None:
    per_product = replicas[0].blocks_per_product
    whole = [blocks for blocks in replicas if len(blocks.products) > 0]
    if pair is None or not whole:
        return None
    merge = max(1, factor // per_product)
    products = stacked([blocks.products for blocks in whole], merge)
    occupation = stacked([merge_batches(blocks.occupation[None], per_product)[0] for blocks in whole], merge)
    first, second = (occupation[:, :, species - 1] for species in pair)
    return connected_estimate(products, first[..., :, None], second[..., None, :])
