"""Barrier exchange in cells of ``m`` sites (`pnp_exclusion.exact.barrier_exchange`).

Cells are mixed at once: between two exchanges places and energies in a cell are drawn anew at its numbers and energy,
uniformly. So numbers and energy are all the state there is. A site is a bullet with the fraction of bullets, and the
energy of one of `N` particles that share `E` uniformly is `E (1 - u^(1/(N - 1)))`, `u` uniform.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pnp_exclusion.exact import barrier_exchange as exact
from pnp_exclusion.particles.energy.channel import EnergyChannel, Reference, Sampling
from pnp_exclusion.particles.energy.sampling import count_fields, project
from pnp_exclusion.particles.generator import uniform

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BarrierExchange(EnergyChannel):
    """Barrier exchange in ``cells`` of ``sites_per_cell`` between two reservoirs, infinite cells that never change.

    rods
        Of all sites, if they cannot leave: the reservoirs then hold bullets and vacancies alone, which they exchange
        with the end cells at the rate ``contact``. None lets rods pass to and from the reservoirs, which are cells like
        all others.

    Every pair of sites of two neighbouring cells meets at a rate ``1/m``, so that the currents of a site do not depend
    on ``m``.

    Raises `ValueError` for fractions that do not fit, temperatures or rates that are not positive, or no cell.
    """

    cells: int
    sites_per_cell: int
    rates: exact.Rates
    left: exact.Mixture
    right: exact.Mixture
    rods: float | None = None
    contact: float = 1.0

    names = ("bullets", "rods", "energy")

    def __post_init__(self) -> None:
        self.check_cells()
        if self.sites_per_cell < 1:
            raise ValueError(f"sites_per_cell = {self.sites_per_cell} must be at least 1")
        for name, rate in (("bullet rate", self.rates.bullet), ("rod rate", self.rates.rod), ("contact", self.contact)):
            if not (np.isfinite(rate) and rate > 0.0):
                raise ValueError(f"{name} = {rate:g} must be finite and greater than 0")
        if not (np.isfinite(self.rates.barrier) and self.rates.barrier >= 0.0):
            raise ValueError(f"barrier = {self.rates.barrier:g} must be finite and 0 or greater")
        for name, side in (("left", self.left), ("right", self.right)):
            self._check_reservoir(name, side)
        if self.rods is not None and not 0.0 < self.rods < 1.0:
            raise ValueError(f"rods = {self.rods:g} must be between 0 and 1")
        if self.rods is not None and self.rod_count in (0, self.cells * self.sites_per_cell):
            raise ValueError(f"rods = {self.rods:g} of {self.cells * self.sites_per_cell} sites are none, or all")

    def _check_reservoir(self, name: str, side: exact.Mixture) -> None:
        if not (side.bullets > 0.0 and side.rods >= 0.0 and side.bullets + side.rods < 1.0):
            raise ValueError(
                f"{name}: fractions {side.bullets:g} and {side.rods:g} must be positive and leave vacancies"
            )
        if self.rods is None and side.rods == 0.0:
            raise ValueError(f"{name}: a reservoir that rods pass to must hold some")
        if self.rods is not None and side.rods > 0.0:
            raise ValueError(f"{name}: holds rods, which cannot leave the channel")
        if not (np.isfinite(side.temperature) and side.temperature > 0.0):
            raise ValueError(f"{name}: temperature = {side.temperature:g} must be finite and greater than 0")

    @property
    def flowing(self) -> tuple[int, ...]:
        """Fields that can leave the channel."""
        return (exact.BULLETS, exact.RODS, exact.ENERGY) if self.rods is None else (exact.BULLETS, exact.ENERGY)

    @property
    def rod_count(self) -> int:
        """Rods in a channel that they cannot leave."""
        return round((self.rods or 0.0) * self.cells * self.sites_per_cell)

    @cached_property
    def middle(self) -> exact.Mixture:
        """Contents of a cell half way between the reservoirs."""
        return exact.Mixture(*(0.5 * (a + b) for a, b in zip(self._end(self.left), self._end(self.right), strict=True)))

    def _end(self, reservoir: exact.Mixture) -> exact.Mixture:
        if self.rods is None:
            return reservoir
        rods = self.rod_count / (self.cells * self.sites_per_cell)
        return exact.Mixture(reservoir.bullets * (1.0 - rods), rods, reservoir.temperature)

    @property
    def bond_rates(self) -> tuple[float, float]:
        """Rings of a bond between cells and of one to a reservoir, per site and lattice unit of time."""
        inner = max(self.rates.bullet, self.rates.rod, 1.0)
        return inner, inner if self.rods is None else self.contact

    @property
    def rings_per_time(self) -> float:
        """Rings of all bonds per lattice unit of time."""
        inner, end = self.bond_rates
        return self.sites_per_cell * (inner * (self.cells - 1) + 2.0 * end)

    @property
    def slowest_diffusion(self) -> float:
        """Of the limit of large cells, half way between the reservoirs."""
        diffusion = exact.mobility(self.middle, self.rates) @ np.linalg.inv(exact.covariance(self.middle))
        return float(np.linalg.eigvals(diffusion).real.min())

    @property
    def at_equilibrium(self) -> bool:
        """Whether both reservoirs are the same."""
        return self.left == self.right

    @property
    def forces(self) -> Array:
        """On bullets, rods unless they are closed in, and energy, ``(flowing,)``."""
        return exact.forces(self.left, self.right)[list(self.flowing)]

    @property
    def shares(self) -> Array:
        """See `EnergyChannel.shares`; with contacts of their own they are not even."""
        if self.rods is None:
            return super().shares
        return exact.shares_of_bonds(self.middle, self.rates, self.cells, self.contact)

    @property
    def response_of_limit(self) -> Array:
        """`L` between equal reservoirs in the limit of large cells, ``(flowing, flowing)``."""
        if self.rods is None:
            return exact.mobility(self.middle, self.rates)
        return exact.response_of_chain(self.middle, self.rates, self.cells, self.contact)

    def reference(self) -> Reference:
        """Return the limit of large cells at this number of them; the noise is known at equilibrium.

        Raises `ValueError` where no steady state is found.
        """
        rods = None if self.rods is None else self.middle.rods
        chain = exact.steady_chain(self.left, self.right, self.rates, self.cells, rods, self.contact)
        noise = 2.0 * self.response_of_limit if self.at_equilibrium else None
        return Reference(chain.currents[list(self.flowing)], chain.fields, noise)

    def continuum_currents(self) -> Array:
        """Return those of many large cells, with contacts that resist no more; `ValueError` if none are found."""
        rods = None if self.rods is None else self.middle.rods
        steady = exact.steady_continuum(self.left, self.right, self.rates, self.positions, rods)
        return steady.currents[list(self.flowing)]

    def start(self, generator: np.random.Generator) -> Array:
        """Draw the product law on the straight profile, rods that cannot leave anywhere: ``(3, cells)``."""
        sites, size = self.sites_per_cell, self.cells * self.sites_per_cell
        ends = [np.array(self._end(side)) for side in (self.left, self.right)]
        bullets, rods, temperature = ends[0][:, None] + np.outer(ends[1] - ends[0], self.positions)
        if self.rods is None:
            drawn_rods = generator.binomial(sites, rods)
        else:
            places = generator.permutation(size)[: self.rod_count] // sites
            drawn_rods = np.bincount(places, minlength=self.cells)
        drawn_bullets = generator.binomial(sites - drawn_rods, bullets / (1.0 - rods))
        particles = drawn_bullets + drawn_rods
        energy = np.where(particles > 0, temperature * generator.gamma(np.maximum(particles, 1)), 0.0)
        return np.stack([drawn_bullets, drawn_rods, energy]).astype(np.float64)

    def run(self, state: Array, generator: NDArray[np.uint64], sampling: Sampling, amplitudes: Array) -> None:
        """Ring bonds, sample and count."""
        inner, end = self.bond_rates
        odds = np.array([self.rates.bullet, self.rates.rod, 1.0]) / inner
        end_odds = odds if self.rods is None else np.array([1.0, 0.0, 0.0])
        ends = 2.0 * end / (inner * (self.cells - 1) + 2.0 * end)
        observe(
            state,
            generator,
            self.sites_per_cell,
            np.stack([odds, end_odds]),
            self.rates.barrier,
            ends,
            np.array([self.left, self.right]),
            sampling.rings,
            sampling.samples,
            sampling.modes,
            amplitudes,
            *sampling.counts,
        )


@njit(nogil=True, cache=True)
def _content(bullets: float, rods: float, drawn: float) -> int:
    """Return 0 for a bullet, 1 for a rod, 2 for a vacancy; ``drawn`` is uniform in (0, 1] of all sites.

    Of a cell these are whole numbers, whose sums are exact: no vacancy is found in a full one.
    """
    if drawn <= bullets:
        return 0
    return 1 if drawn <= bullets + rods else 2


@njit(nogil=True, cache=True)
def _energy(state: Any, cell: int, generator: Any) -> float:
    """Return the energy of one particle of a cell, drawn uniformly from the ways in which they share what there is."""
    others = state[0, cell] + state[1, cell] - 1.0
    whole = state[2, cell]
    if others == 0.0:
        return whole
    return whole * (1.0 - uniform(generator) ** (1.0 / others))


@njit(nogil=True, cache=True)
def ring(
    state: Any,
    generator: Any,
    sites: int,
    odds: Any,
    barrier: float,
    ends: float,
    reservoirs: Any,
    rings: int,
    crossings: Any,
) -> None:
    """Ring random bonds; adds to ``crossings``, ``(3, bonds)``.

    ``odds``: of a swap of bullet and vacancy, rod and vacancy, bullet and rod over the barrier at a ring, inside and at
    the reservoirs, ``(2, 3)``; ``ends``: probability of a ring to be at a reservoir; ``reservoirs``: bullets, rods and
    temperature, ``(2, 3)``.
    """
    cells = state.shape[1]
    for _ in range(rings):
        drawn = 1.0 - uniform(generator)
        at_end = drawn < ends
        if at_end:
            bond = 0 if drawn < 0.5 * ends else cells
        else:
            bond = 1 + min(np.int64((drawn - ends) / (1.0 - ends) * (cells - 1)), cells - 2)
        if bond == 0:
            a = _content(reservoirs[0, 0], reservoirs[0, 1], uniform(generator))
        else:
            a = _content(state[0, bond - 1], state[1, bond - 1], sites * uniform(generator))
        if bond == cells:
            b = _content(reservoirs[1, 0], reservoirs[1, 1], uniform(generator))
        else:
            b = _content(state[0, bond], state[1, bond], sites * uniform(generator))
        if a == b:
            continue
        # which of the three kinds of swap: the vacancy is 2, so the sum tells bullet and rod, bullet and it, rod and it
        kind = (2, 0, 1)[a + b - 1]
        if uniform(generator) > odds[1 if at_end else 0, kind]:
            continue
        e, f = 0.0, 0.0
        if a != 2:
            e = -reservoirs[0, 2] * np.log(uniform(generator)) if bond == 0 else _energy(state, bond - 1, generator)
        if b != 2:
            f = -reservoirs[1, 2] * np.log(uniform(generator)) if bond == cells else _energy(state, bond, generator)
        if kind == 2 and (e if a == 1 else f) <= barrier:
            continue
        if bond > 0:
            _exchange(state, bond - 1, a, b, f - e)
        if bond < cells:
            _exchange(state, bond, b, a, e - f)
        if a != 2:
            crossings[a, bond] += 1.0
        if b != 2:
            crossings[b, bond] -= 1.0
        crossings[2, bond] += e - f


@njit(nogil=True, cache=True)
def _exchange(state: Any, cell: int, gone: int, come: int, energy: float) -> None:
    if gone != 2:
        state[gone, cell] -= 1.0
    if come != 2:
        state[come, cell] += 1.0
    # an empty cell has no energy, not even the rounding of what came and went
    state[2, cell] = state[2, cell] + energy if state[0, cell] + state[1, cell] > 0.0 else 0.0


@njit(nogil=True, cache=True)
def observe(
    state: Any,
    generator: Any,
    sites: int,
    odds: Any,
    barrier: float,
    ends: float,
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
            ring(state, generator, sites, odds, barrier, ends, reservoirs, rings, crossings)
            count_fields(state, fields)
        project(state, modes, amplitudes[row])
