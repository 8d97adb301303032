"""Kinetic exclusion: hops that carry energy, neighbours that share theirs (`pnp_exclusion.exact.kinetic_exclusion`).

Uniformisation, as for the lattice without energy: every bond rings at the rate 2 of a share, and a hop takes every
second ring.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pnp_exclusion.exact import kinetic_exclusion as exact
from pnp_exclusion.particles.energy.channel import EnergyChannel, Reference, Sampling
from pnp_exclusion.particles.energy.sampling import count_fields, project
from pnp_exclusion.particles.generator import uniform

Array = NDArray[np.float64]

SHARING_RATE = 2.0


@dataclass(frozen=True)
class KineticExclusion(EnergyChannel):
    """Kinetic exclusion on ``cells`` sites between two reservoirs, which are drawn afresh at every ring of their bond.

    Raises `ValueError` for a density outside 0 to 1, a temperature that is not positive, or no site.
    """

    cells: int
    left: exact.Contents
    right: exact.Contents

    names = ("particles", "energy")
    sites_per_cell = 1

    def __post_init__(self) -> None:
        self.check_cells()
        for name, (density, temperature) in (("left", self.left), ("right", self.right)):
            if not 0.0 <= density <= 1.0:
                raise ValueError(f"{name}: density = {density:g} must be from 0 to 1")
            if not (np.isfinite(temperature) and temperature > 0.0):
                raise ValueError(f"{name}: temperature = {temperature:g} must be finite and greater than 0")
        if self.left.density == self.right.density == 0.0:
            raise ValueError("both reservoirs are empty: there is nothing to measure")

    @property
    def rings_per_time(self) -> float:
        """Rings of all bonds per lattice unit of time."""
        return SHARING_RATE * (self.cells + 1)

    @property
    def slowest_diffusion(self) -> float:
        """Particles and energy diffuse alike."""
        return 1.0

    @property
    def at_equilibrium(self) -> bool:
        """Whether both reservoirs are the same."""
        return self.left == self.right

    @property
    def forces(self) -> Array:
        """On particles and energy, ``(2,)``."""
        return exact.forces(self.left, self.right)

    def reference(self) -> Reference:
        """Return what is exact at this size; the noise of the energy is that of the limit."""
        return Reference(
            currents=exact.steady_currents(self.left, self.right),
            fields=exact.steady_fields(self.left, self.right, self.positions),
            noise=exact.current_noise(self.left, self.right, self.cells),
        )

    def continuum_currents(self) -> Array:
        """Return those of every size."""
        return exact.steady_currents(self.left, self.right)

    def start(self, generator: np.random.Generator) -> Array:
        """Draw the product law on the straight profile: occupation and energy of every site, ``(2, cells)``."""
        density, energy = exact.steady_fields(self.left, self.right, self.positions)
        occupied = generator.random(self.cells) < density
        drawn = generator.exponential(energy / np.where(density > 0.0, density, 1.0))
        return np.stack([occupied.astype(np.float64), np.where(occupied, drawn, 0.0)])

    def run(self, state: Array, generator: NDArray[np.uint64], sampling: Sampling, amplitudes: Array) -> None:
        """Ring bonds, sample and count."""
        reservoirs = np.array([self.left, self.right])
        observe(
            state, generator, reservoirs, sampling.rings, sampling.samples, sampling.modes, amplitudes, *sampling.counts
        )


@njit(nogil=True, cache=True)
def ring(state: Any, generator: Any, reservoirs: Any, rings: int, crossings: Any) -> None:
    """Ring random bonds; adds to ``crossings``, ``(2, bonds)``.

    ``reservoirs``: density and temperature, left and right.
    """
    cells = state.shape[1]
    for _ in range(rings):
        bond = min(np.int64((1.0 - uniform(generator)) * (cells + 1)), cells)
        a, e = 0.0, 0.0
        b, f = 0.0, 0.0
        if bond == 0:
            if uniform(generator) <= reservoirs[0, 0]:
                a, e = 1.0, -reservoirs[0, 1] * np.log(uniform(generator))
        else:
            a, e = state[0, bond - 1], state[1, bond - 1]
        if bond == cells:
            if uniform(generator) <= reservoirs[1, 0]:
                b, f = 1.0, -reservoirs[1, 1] * np.log(uniform(generator))
        else:
            b, f = state[0, bond], state[1, bond]
        if a + b == 0.0:
            continue
        if a + b == 1.0:
            if uniform(generator) > 0.5:
                continue
            new_a, new_e, new_b, new_f = b, f, a, e
        else:
            new_a, new_b = 1.0, 1.0
            new_e = uniform(generator) * (e + f)
            new_f = e + f - new_e
        if bond > 0:
            state[0, bond - 1], state[1, bond - 1] = new_a, new_e
            crossings[0, bond] += a - new_a
            crossings[1, bond] += e - new_e
        else:
            crossings[0, bond] += new_b - b
            crossings[1, bond] += new_f - f
        if bond < cells:
            state[0, bond], state[1, bond] = new_b, new_f


@njit(nogil=True, cache=True)
def observe(
    state: Any,
    generator: Any,
    reservoirs: Any,
    rings: int,
    samples: int,
    modes: Any,
    amplitudes: Any,
    crossings: Any,
    fields: Any,
) -> None:
    """Ring bonds and take samples, ``rings`` from one to the next, ``samples`` for each row of ``amplitudes``."""
    for row in range(amplitudes.shape[0]):
        for _ in range(samples):
            ring(state, generator, reservoirs, rings, crossings)
            count_fields(state, fields)
        project(state, modes, amplitudes[row])
