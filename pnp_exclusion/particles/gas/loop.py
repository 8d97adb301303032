"""Gases in a loop between two reservoirs that are large but finite, so that their chemical potentials float.

A reservoir holds a number of particles at a temperature that is kept. What enters a gas it loses, what leaves it gets,
and particles enter at rates in proportion to what it holds: ``mu/T`` is that of the case plus the logarithm of what it
holds over what it held. Steady is where no net current flows through all gases together; what goes through one gas
against its bias comes back through another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.gas.copy import GasCopy, sample_time
from pnp_exclusion.particles.gas.kernel import COLUMNS
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.replicas import Monitor

Array = NDArray[np.float64]

STEPS_PER_RELAXATION = 40.0
"""Steps in which rates stay what they are, in the shortest time that the reservoirs can relax in."""


@dataclass(frozen=True, eq=False)
class GasLoop:
    """Gases side by side between the same reservoirs: temperatures, and ``mu/T`` at the start.

    copies
        How many of each gas there are.
    number
        Particles of the open kind that both reservoirs hold together at the start, in proportion to their densities.

    Raises `ValueError` unless every gas has one open kind, of the same mass, between the same reservoirs.
    """

    gases: tuple[Gas, ...]
    copies: tuple[int, ...]
    number: int

    def __post_init__(self) -> None:
        if len(self.gases) != len(self.copies) or min(self.copies) < 1:
            raise ValueError(f"copies = {self.copies} must be one or more of each of {len(self.gases)} gases")
        first = self.gases[0]
        for gas in self.gases:
            if len(gas.open_kinds) != 1:
                raise ValueError(f"a gas in a loop has one open kind, but there is one with {len(gas.open_kinds)}")
            if gas.masses[gas.open_kinds[0]] != first.masses[first.open_kinds[0]] or gas.planck != first.planck:
                raise ValueError("the particles that circulate must have one mass (and Planck's constant)")
            for side, end in gas.ends.items():
                if end != first.ends[side]:
                    raise ValueError(f"the gases of a loop join the same reservoirs, but the {side} ones differ")
        if self.number < 2:
            raise ValueError(f"number = {self.number} must be at least 2")

    @cached_property
    def contents(self) -> Array:
        """Particles in the left and the right reservoir at the start, ``(2,)``."""
        gas = self.gases[0]
        densities = np.exp([end.potentials[0] for end in gas.ends.values()]) * np.sqrt(gas.temperatures)
        return np.maximum(1.0, np.round(self.number * densities / densities.sum()))

    @property
    def sample_time(self) -> float:
        """Time from one sample to the next."""
        return min(sample_time(gas) for gas in self.gases)

    @property
    def relaxation_time(self) -> float:
        """Shortest time in which the reservoirs can relax: with nothing in the way inside the gases."""
        rates = sum(n * gas.injection_rates[:, 0] for n, gas in zip(self.copies, self.gases, strict=True))
        return float(1.0 / np.sum(rates / self.contents))

    @property
    def force(self) -> float:
        """``F`` of the particles between the reservoirs at the start."""
        left, right = (end.potentials[0] for end in self.gases[0].ends.values())
        return left - right


class LoopCopy:
    """A loop that evolves; see `particles.stationary.Copy`.

    flows
        Net particles and energy of each gas, all its copies, that crossed each end from left to right since the last
        `observe` began, ``(gases, 2, 2)``.
    force
        ``F`` between the reservoirs, its mean since then.
    events
        Since then.
    """

    def __init__(self, loop: GasLoop, seed: np.random.SeedSequence) -> None:
        members = np.repeat(np.arange(len(loop.gases)), loop.copies)
        self.loop = loop
        self.flows: Array = np.zeros((len(loop.gases), 2, 2))
        self.force = loop.force
        self.events = 0
        self._members = [int(member) for member in members]
        self._copies = [
            GasCopy(loop.gases[member], 1, one)
            for member, one in zip(self._members, seed.spawn(len(members)), strict=True)
        ]
        self._rates = [copy.tables.rates.copy() for copy in self._copies]
        for copy in self._copies:
            copy.sample_time = loop.sample_time
        self._samples_per_step = max(1, int(loop.relaxation_time / STEPS_PER_RELAXATION / loop.sample_time))
        self._contents = loop.contents.copy()

    def observe(self, probes: int, samples_per_probe: int, monitor: Monitor) -> Array | None:
        """Clear the counters, run ``probes`` times ``samples_per_probe`` samples and count.

        Returns the slow modes, ``F`` first and then those of all gases, or None when the monitor asked to stop on the
        way. Raises `ClottedError`; `ValueError` when a reservoir runs empty.
        """
        self.flows[...], self.events, total = 0.0, 0, 0.0
        amplitudes = np.empty((probes, 1 + COLUMNS * sum(len(copy.gas.kinds) for copy in self._copies)))
        for probe in range(probes):
            taken, modes = 0, []
            while taken < samples_per_probe:
                samples = min(self._samples_per_step, samples_per_probe - taken)
                found = self._step(samples, monitor)
                if found is None:
                    return None
                taken, modes = taken + samples, found
                total += samples * self._force
            amplitudes[probe] = np.concatenate([[self._force], *modes])
        self.force = total / (probes * samples_per_probe)
        return amplitudes

    @property
    def _force(self) -> float:
        left, right = np.log(self._contents / self.loop.contents)
        return float(self.loop.force + left - right)

    def _step(self, samples: int, monitor: Monitor) -> list[Array] | None:
        """Run all gases at the rates of now, then let the reservoirs take and give; return the slow modes."""
        share, modes = self._contents / self.loop.contents, []
        gained = np.zeros(2)
        for member, copy, rates in zip(self._members, self._copies, self._rates, strict=True):
            copy.enter_at(rates * share)
            found = copy.observe(1, samples, monitor)
            if found is None:
                return None
            modes.append(found[0])
            counts, opened = copy.counts, copy.gas.open_kinds[0]
            entered = counts.entered[:, opened] - counts.left[:, opened]
            energy = (counts.energy_in - counts.energy_out).sum(axis=1)
            # into the gas at both ends; from left to right it is that at the left end and minus that at the right one
            self.flows[member] += np.stack([entered, energy], axis=1) * np.array([[1.0], [-1.0]])
            self.events += int(counts.events[0])
            gained -= entered
        self._contents += gained
        if self._contents.min() <= 0:
            raise ValueError(f"a reservoir has run empty: {self.loop.number} particles in both are too few")
        return modes
