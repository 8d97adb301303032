"""One copy of a gas: its configuration, its generator, its counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.gas.kernel import (
    COLUMNS,
    COUNT,
    CROWDED,
    DONE,
    HEAD,
    Counts,
    State,
    Tables,
    build_tables,
    draw_entries,
    empty_state,
    no_counts,
    observe,
    set_clocks_back,
)
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.replicas import Monitor

Array = NDArray[np.float64]

SLICE_EVENTS = 2_000_000
"""Between two looks at the monitor, about."""
SAMPLES_PER_CROSSING = 20.0
CROWDED_FACTOR = 100.0
"""Events from one sample to the next, as multiples of those of a homogeneous gas, at which a gas is clotted."""
LEAST_EVENTS = 100_000


class ClottedError(RuntimeError):
    """The particles meet more and more often without end: they have lost their energy and stick together."""


def sample_time(gas: Gas) -> float:
    """Time from one sample to the next."""
    return gas.crossing_time / SAMPLES_PER_CROSSING


class GasCopy:
    """A gas that evolves; see `stationary.Copy`.

    counts, moments
        Since the last `observe` began, as in `kernel.Counts` and `kernel.observe`.
    """

    def __init__(
        self, gas: Gas, bins: int, seed: np.random.SeedSequence, full_scan: bool = False, tables: Tables | None = None
    ) -> None:
        preparation, dynamics = seed.spawn(2)
        self.gas = gas
        self.tables = tables or build_tables(gas)
        self.sample_time = sample_time(gas)
        self.counts: Counts = no_counts(len(gas.kinds))
        self.moments: Array = np.zeros((3, len(gas.kinds), bins))
        self._full_scan = full_scan
        self._most_events = int(max(LEAST_EVENTS, CROWDED_FACTOR * gas.event_rate * self.sample_time))
        self._events_per_sample = 1.0
        self._state = _draw(gas, np.random.default_rng(preparation), dynamics.generate_state(4, np.uint64))
        draw_entries(self._state, self.tables)
        set_clocks_back(self._state, self.tables)

    def observe(self, probes: int, samples_per_probe: int, monitor: Monitor) -> Array | None:
        """Clear the counters, run ``probes`` times ``samples_per_probe`` samples and count.

        Returns the slow modes, ``(probes, COLUMNS * kinds)``, or None when the monitor asked to stop on the way.
        Raises `ClottedError`.
        """
        for counter in (*self.counts, self.moments):
            counter[...] = 0
        amplitudes = np.empty((probes, COLUMNS * len(self.gas.kinds)))
        first = 0
        while first < probes:
            if monitor.stopped():
                return None
            rows = max(1, int(SLICE_EVENTS / (self._events_per_sample * samples_per_probe)))
            self._observe(amplitudes[first : first + rows], samples_per_probe)
            first += rows
            samples = min(first, probes) * samples_per_probe
            self._events_per_sample = max(1.0, float(self.counts.events[0]) / samples)
        return amplitudes

    def _observe(self, amplitudes: Array, samples_per_probe: int) -> None:
        done = np.zeros(1, dtype=np.int64)
        while True:
            ending = observe(
                self._state,
                self.tables,
                self.counts,
                done,
                samples_per_probe,
                self.sample_time,
                amplitudes,
                self.moments,
                self._most_events,
                self._full_scan,
            )
            if ending == DONE:
                return
            if ending == CROWDED:
                raise ClottedError("the particles meet more and more often")
            self._state = _enlarged(self._state, self.tables)

    def enter_at(self, rates: Array) -> None:
        """Let particles enter at other rates, left and right, from now on: a Poisson process forgets what it was."""
        self.tables.rates[:] = rates
        draw_entries(self._state, self.tables)

    @property
    def particles(self) -> tuple[Array, Array, NDArray[np.int64]]:
        """Positions in ascending order, velocities and kinds, when all clocks are set back."""
        state = self._state
        places = (state.ring[HEAD] + np.arange(state.ring[COUNT])) & (len(state.x) - 1)
        return state.x[places], state.v[places], state.kind[places]

    @property
    def energy(self) -> float:
        """Kinetic energy of all particles."""
        _, v, kind = self.particles
        return float(np.sum(0.5 * self.gas.masses[kind] * v**2))


def _draw(gas: Gas, random: np.random.Generator, generator: NDArray[Any]) -> State:
    """Draw particles at uniform places with the mean temperature, as many of an open kind as its mean density has."""
    numbers = [
        random.poisson(density * gas.length) if kind.number is None else kind.number
        for kind, density in zip(gas.kinds, gas.mean_densities, strict=True)
    ]
    kinds = random.permutation(np.repeat(np.arange(len(numbers)), numbers))
    total = len(kinds)
    state = empty_state(1 << max(3, int(2 * total + 2).bit_length()), generator)
    state.x[:total] = np.sort(random.random(total)) * gas.length
    state.v[:total] = random.standard_normal(total) * np.sqrt(gas.mean_temperature / gas.masses[kinds])
    state.kind[:total] = kinds
    state.ring[COUNT] = total
    return state


def _enlarged(state: State, tables: Tables) -> State:
    """Return the same state with twice the room; clocks and times stay as they are."""
    size, count = len(state.x), int(state.ring[COUNT])
    places = (state.ring[HEAD] + np.arange(count)) & (size - 1)
    larger = empty_state(2 * size, state.generator)
    for name in ("x", "v", "t", "kind"):
        getattr(larger, name)[:count] = getattr(state, name)[places]
    # the leaf before the first particle goes before it again
    larger.tree[2 * size : 2 * size + count] = state.tree[size + places]
    larger.tree[-1] = state.tree[size + ((state.ring[HEAD] - 1) & (size - 1))]
    larger.ring[COUNT] = count
    larger.clock[:] = state.clock
    for node in range(2 * size - 1, 0, -1):
        larger.tree[node] = min(larger.tree[2 * node], larger.tree[2 * node + 1])
    return larger
