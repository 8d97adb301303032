"""One copy of the process: its configuration, its generator, its counters and its schedule."""

from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.lattice.kernel import Tables, attempt, attempt_charged, build_tables, observe
from pnp_exclusion.particles.lattice.modes import SlowModes, slow_modes
from pnp_exclusion.particles.lattice.process import ExchangeProcess
from pnp_exclusion.particles.replicas import Monitor

SLICE_ATTEMPTS = 20_000_000
SITES_PER_SWEEP = 8
SAMPLES_PER_PRODUCT = 8


@dataclass(frozen=True, eq=False)
class Recording:
    """What is recorded in time beside the averages, whenever the slow modes are looked at.

    ``flows``: sums of crossings by their weights, ``(currents, N, bonds)``; ``cells``: into how many stretches of equal
    length the channel is divided, whose particles are counted.
    """

    flows: NDArray[np.float64]
    cells: int


@dataclass(frozen=True, eq=False)
class Apparatus:
    """All that the copies of one process share, prepared once.

    ``pair`` are the species, from 1, whose full correlation matrix is measured, or None.
    """

    process: ExchangeProcess
    pair: tuple[int, int] | None = None
    recording: Recording | None = None
    tables: Tables = field(init=False)
    modes: SlowModes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", build_tables(self.process))
        object.__setattr__(self, "modes", slow_modes(self.process.lattice))

    @cached_property
    def flow_weights(self) -> NDArray[np.float64]:
        """Weights of recorded currents, ``(currents, N, bonds)``."""
        if self.recording is None:
            return np.zeros((0, self.process.species, self.tables.bonds.shape[0]))
        return np.ascontiguousarray(self.recording.flows, dtype=np.float64)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weights of the sites: of the slow modes, and behind them of cells that are recorded."""
        if self.recording is None:
            return self.modes.weights
        lattice = self.process.lattice
        cell_of = np.arange(lattice.length) * self.recording.cells // lattice.length
        cells = (cell_of == np.arange(self.recording.cells)[:, None]).astype(np.float64)
        return np.concatenate([self.modes.weights, np.repeat(cells, lattice.width, axis=1)])

    @cached_property
    def sweeps_per_sample(self) -> int:
        """Attempts per bond between samples; long lattices change little in one."""
        return max(1, int(self.process.lattice.length) // SITES_PER_SWEEP)

    @property
    def attempts_per_sample(self) -> int:
        """Attempted exchanges from one sample to the next."""
        return int(self.sweeps_per_sample * self.tables.bonds.shape[0])

    @property
    def sample_time(self) -> float:
        """Mean macroscopic time between samples."""
        lattice = self.process.lattice
        return self.sweeps_per_sample / self.tables.largest_rate / lattice.scale**2

    def samples_in(self, time: float) -> int:
        """Samples that cover a macroscopic time, at least one."""
        return max(1, ceil(time / self.sample_time))


@dataclass
class Counters:
    """Sums over samples and attempts, in the shapes of `kernel.observe`."""

    crossings: NDArray[np.int64]
    occupation: NDArray[np.int64]
    pairs: NDArray[np.int64]
    products: NDArray[np.int64]

    @classmethod
    def zero(cls, apparatus: Apparatus) -> "Counters":
        """Return counters at zero."""
        process = apparatus.process
        bonds, types = apparatus.tables.bonds.shape[0], process.types
        sites = process.lattice.sites
        side = 0 if apparatus.pair is None else sites
        return cls(
            crossings=np.zeros((bonds, types), dtype=np.int64),
            occupation=np.zeros((process.species, sites), dtype=np.int64),
            pairs=np.zeros((bonds, types, types), dtype=np.int64),
            products=np.zeros((side, side), dtype=np.int64),
        )

    def clear(self) -> None:
        """Set every counter to zero."""
        for counter in (self.crossings, self.occupation, self.pairs, self.products):
            counter[...] = 0


class Engine:
    """A configuration that evolves.

    ``state`` holds the type on each site, ``(sites,)``. The generator of the dynamics is seeded
    from a child of ``seed``, so that it never meets the one that drew the configuration.
    """

    def __init__(self, apparatus: Apparatus, state: NDArray[np.uint8], seed: np.random.SeedSequence) -> None:
        self.apparatus = apparatus
        self.state = np.concatenate([state, np.zeros(2, dtype=np.uint8)])
        self.generator = seed.generate_state(4, np.uint64)
        self.counters = Counters.zero(apparatus)
        self.flows = np.zeros((0, apparatus.flow_weights.shape[0]))
        self.cells = np.zeros((0, apparatus.process.species, 0))

    def advance(self, attempts: int) -> None:
        """Ring ``attempts`` bonds, keeping no record but the crossings."""
        tables, crossings = self.apparatus.tables, self.counters.crossings
        ends = (self.state, self.generator, attempts, tables.bonds)
        if self.apparatus.process.energy is None:
            attempt(*ends, tables.thresholds, tables.reservoirs, crossings)
        else:
            attempt_charged(*ends, tables.charged, self._displacement(), tables.reservoirs, crossings)

    def observe(self, probes: int, samples_per_probe: int, monitor: Monitor) -> NDArray[np.float64] | None:
        """Clear the counters, run ``probes`` times ``samples_per_probe`` samples and count.

        Returns the amplitudes of the slow modes, ``(probes, N * modes)``, or None when the monitor
        asked to stop on the way. What is recorded is in ``flows``, ``(probes, currents)``: what crossed since the last
        look, and in ``cells``, ``(probes, N, cells)``.
        """
        apparatus = self.apparatus
        species, modes = apparatus.process.species, apparatus.modes.weights.shape[0]
        amplitudes = np.empty((probes, species * apparatus.weights.shape[0]))
        flows = np.empty((probes, apparatus.flow_weights.shape[0]))
        at_once = max(1, SLICE_ATTEMPTS // (samples_per_probe * apparatus.attempts_per_sample))
        self.counters.clear()
        for first in range(0, probes, at_once):
            if monitor.stopped():
                return None
            these = slice(first, first + at_once)
            self._observe(amplitudes[these], flows[these], samples_per_probe)
        self.flows = np.diff(flows, axis=0, prepend=0.0)
        every = amplitudes.reshape(probes, species, -1)
        self.cells = every[:, :, modes:].copy()
        return np.ascontiguousarray(every[:, :, :modes].reshape(probes, -1))

    def _displacement(self) -> NDArray[np.float64]:
        """Of the configuration, see `kernel.attempt_charged`; anew each time, so that no rounding gathers."""
        field = self.apparatus.process.field_of_charges
        if field is None:
            return np.zeros(0)
        return np.append(*field.displacements(field.charge_of(self.state[:-2])))

    def _observe(self, amplitudes: NDArray[np.float64], flows: NDArray[np.float64], samples_per_probe: int) -> None:
        apparatus, counters = self.apparatus, self.counters
        tables = apparatus.tables
        observe(
            self.state,
            self.generator,
            tables.bonds,
            tables.thresholds,
            tables.reservoirs,
            apparatus.attempts_per_sample,
            samples_per_probe,
            SAMPLES_PER_PRODUCT,
            apparatus.weights,
            np.array(apparatus.pair or (0, 0), dtype=np.int64),
            tables.charged,
            self._displacement(),
            apparatus.flow_weights,
            amplitudes,
            flows,
            counters.crossings,
            counters.occupation,
            counters.pairs,
            counters.products,
        )


def draw_product_measure(fractions: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Draw each site independently; ``fractions`` of the species, ``(N, sites)``."""
    upper = np.cumsum(fractions, axis=0)
    uniform = generator.random(fractions.shape[1])
    species = 1 + (uniform >= upper).sum(axis=0)
    return np.where(species > fractions.shape[0], 0, species).astype(np.uint8)


def draw_start(process: ExchangeProcess, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a start: product measure on the linear profile, or the content in random order."""
    lattice = process.lattice
    if lattice.ends == "reservoirs":
        left, right = process.reservoirs[:, 1:]
        x = np.repeat(lattice.positions, lattice.width)
        profile = left[:, None] + np.outer(right - left, x)
        return draw_product_measure(profile, generator)
    if process.content is None:
        raise ValueError(
            "content must give the number of particles of each species: without "
            "reservoirs it is conserved and selects the stationary law"
        )
    counts = [lattice.sites - sum(process.content), *process.content]
    types = np.repeat(np.arange(process.types, dtype=np.uint8), counts)
    return generator.permutation(types)
