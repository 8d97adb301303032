"""The hard-point gas: point particles on a line that pass or bounce, between two reservoirs.

Two neighbours that meet pass if the kinetic energy of their relative motion exceeds the barrier of their kinds,
``m_red g^2/2 > h``, and bounce elastically else; passing may cost a fraction ``delta`` of that energy, at constant
momentum. Particles of an open kind leave at the ends and enter from the reservoirs, a Poisson process of rate
``T e^(mu/T)/planck`` with the speeds of an ideal gas that effuses (density ``v exp(-m v^2/2T)``); those of a closed
kind come back from an end with such a speed.

Forces and currents run from left to right, energies are kinetic:

    F_a = (mu_a/T)_left - (mu_a/T)_right ,  F_u = 1/T_right - 1/T_left ,  J = L F/length .

A bias ``U_a`` is the work that a particle of the kind does against an outer force when it leaves to the right: a step
up at that end, in equilibrium with the reservoir behind it, whose contact therefore has ``mu_a + U_a`` inside the gas.

The model is that of Wang, Casati and Benenti, Phys. Rev. Lett. 124, 110607 (2020), and Benenti, Casati, Marchesoni and
Wang, Phys. Rev. E 106, 044104 (2022); the masses and densities here are our own choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """A kind of particle.

    number
        How many there are of a closed kind; None if it is open.
    bias
        The work ``U`` of one that crosses from left to right.
    """

    name: str
    mass: float
    number: int | None = None
    bias: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is exchanged with the reservoirs."""
        return self.number is None


@dataclass(frozen=True)
class Reservoir:
    """What is behind an end: its temperature and ``mu/T`` of every open kind, in their order."""

    temperature: float
    potentials: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Gas:
    """A gas between two reservoirs, in any consistent units with Boltzmann's constant 1.

    barriers, losses
        By pair of kinds, symmetric, ``(kinds, kinds)``. Between particles of one kind the barrier decides nothing
        unless they lose energy: to bounce is to exchange names.
    planck
        Planck's constant: where ``mu`` is counted from.

    Raises `ValueError` when a mass, temperature or length is not positive, or anything does not fit.
    """

    length: float
    kinds: tuple[Kind, ...]
    left: Reservoir
    right: Reservoir
    barriers: Array
    losses: Array
    planck: float = 1.0

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("kinds must name at least one kind of particle")
        positive = {"length": self.length, "planck": self.planck}
        positive |= {f'mass of "{kind.name}"': kind.mass for kind in self.kinds}
        positive |= {f"temperature of the {side} reservoir": end.temperature for side, end in self.ends.items()}
        for name, value in positive.items():
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} = {value} must be finite and greater than 0")
        for kind in self.kinds:
            if kind.number is not None and kind.number < 0:
                raise ValueError(f'number of "{kind.name}" = {kind.number} must be 0 or greater')
        for side, end in self.ends.items():
            if len(end.potentials) != len(self.open_kinds):
                raise ValueError(
                    f"the {side} reservoir has {len(end.potentials)} potentials for {len(self.open_kinds)} open kinds"
                )
        count = len(self.kinds)
        for name, right, words in (
            ("barriers", lambda table: table >= 0, "0 or greater"),
            ("losses", lambda table: (table >= 0) & (table < 1), "at least 0 and less than 1"),
        ):
            table = np.array(getattr(self, name), dtype=float)
            if table.shape != (count, count) or not np.array_equal(table, table.T):
                raise ValueError(f"{name} must be a symmetric table of {count} by {count} kinds")
            if not np.all(right(table)):
                raise ValueError(f"{name} must be {words}")
            object.__setattr__(self, name, table)

    @property
    def ends(self) -> dict[str, Reservoir]:
        """The reservoirs by side."""
        return {"left": self.left, "right": self.right}

    @property
    def open_kinds(self) -> list[int]:
        """Positions of the open kinds."""
        return [position for position, kind in enumerate(self.kinds) if kind.is_open]

    @property
    def masses(self) -> Array:
        """Masses of the kinds."""
        return np.array([kind.mass for kind in self.kinds])

    @property
    def biases(self) -> Array:
        """Biases of the open kinds."""
        return np.array([self.kinds[a].bias for a in self.open_kinds])

    @property
    def temperatures(self) -> Array:
        """Left and right."""
        return np.array([self.left.temperature, self.right.temperature])

    @property
    def contacts(self) -> Array:
        """``mu/T`` of the open kinds just inside the gas, left and right, ``(2, open kinds)``."""
        right = np.array(self.right.potentials) + self.biases / self.right.temperature
        return np.stack([np.array(self.left.potentials, dtype=float), right])

    @property
    def injection_rates(self) -> Array:
        """Particles that enter a unit of time, left and right, ``(2, open kinds)``."""
        return np.asarray(self.temperatures[:, None] * np.exp(self.contacts) / self.planck)

    @property
    def contact_densities(self) -> Array:
        """Density of every kind that the contacts are in equilibrium with, ``(2, kinds)``; nan of a closed one."""
        densities = np.full((2, len(self.kinds)), np.nan)
        thermal = np.sqrt(2 * np.pi * self.masses[self.open_kinds] / self.temperatures[:, None])
        densities[:, self.open_kinds] = self.injection_rates * thermal
        return densities

    @property
    def mean_densities(self) -> Array:
        """Mean over the ends of the density of an open kind, number over length of a closed one."""
        found = self.contact_densities.mean(axis=0)
        return np.array(
            [
                density if kind.number is None else kind.number / self.length
                for kind, density in zip(self.kinds, found, strict=True)
            ]
        )

    @property
    def crossing_time(self) -> float:
        """Time that the slowest kind's thermal particle takes from end to end: the unit of every relaxation here."""
        return float(self.length * np.sqrt(self.masses.max() / self.temperatures.min()))

    @property
    def event_rate(self) -> float:
        """Meetings and arrivals at the ends per time, if the hotter and the denser contact filled the whole gas."""
        densities = np.nan_to_num(self.contact_densities.max(axis=0))
        for position, kind in enumerate(self.kinds):
            if kind.number is not None:
                densities[position] = kind.number / self.length
        speeds = np.sqrt(2 * self.temperatures.max() / np.pi * (1 / self.masses[:, None] + 1 / self.masses))
        arrivals = np.sum(densities * np.sqrt(2 * self.temperatures.max() / np.pi / self.masses))
        return float(0.5 * self.length * densities @ speeds @ densities + 2 * arrivals)

    @property
    def loses_energy(self) -> bool:
        """Whether any pair of kinds loses energy on passing."""
        return bool(np.any(self.losses > 0))

    @property
    def forces(self) -> Array:
        """``F`` of the open kinds and, last, of energy."""
        contacts, inverse = self.contacts, 1.0 / self.temperatures
        return np.append(contacts[0] - contacts[1], inverse[1] - inverse[0])

    @property
    def mean_temperature(self) -> float:
        """Of the state midway between the reservoirs: that of the mean of ``1/T``."""
        return float(1.0 / np.mean(1.0 / self.temperatures))

    def under(self, forces: ArrayLike) -> Gas:
        """Return the gas under other forces about the same state midway: the mean of ``mu/T`` and of ``1/T``."""
        forces = np.asarray(forces, dtype=float)
        if forces.shape != (len(self.open_kinds) + 1,):
            raise ValueError(
                f"there must be {len(self.open_kinds) + 1} forces, one for each open kind and one for energy"
            )
        middle, inverse = self.contacts.mean(axis=0), 1.0 / self.mean_temperature
        if abs(forces[-1]) >= 2 * inverse:
            raise ValueError(f"the force of energy {forces[-1]:g} must be less than 2/T = {2 * inverse:g} in size")
        left, right = (1.0 / (inverse - sign * forces[-1] / 2) for sign in (1.0, -1.0))
        contact = middle - forces[:-1] / 2 - self.biases / right
        return replace(
            self,
            left=Reservoir(left, tuple(map(float, middle + forces[:-1] / 2))),
            right=Reservoir(right, tuple(map(float, contact))),
        )

    def stretched(self, length: float) -> Gas:
        """Return the gas of another length with the same densities; numbers of closed kinds are rounded."""
        kinds = tuple(
            kind if kind.number is None else replace(kind, number=round(kind.number * length / self.length))
            for kind in self.kinds
        )
        return replace(self, length=length, kinds=kinds)

    def with_barrier(self, height: float) -> Gas:
        """Return the gas with another barrier between all unlike kinds that have one which can be passed."""
        chosen = (self.barriers > 0) & np.isfinite(self.barriers) & ~np.eye(len(self.kinds), dtype=bool)
        return replace(self, barriers=np.where(chosen, height, self.barriers))

    @property
    def midway(self) -> Gas:
        """The equilibrium midway between the reservoirs."""
        return self.under(np.zeros(len(self.open_kinds) + 1))


def potential_of(density: float, mass: float, temperature: float, planck: float = 1.0) -> float:
    """Return ``mu/T`` of an ideal gas on a line; minus infinity of an empty one."""
    with np.errstate(divide="ignore"):
        return float(np.log(density * planck / np.sqrt(2 * np.pi * mass * temperature)))


def pair_tables(
    count: int, pairs: Sequence[tuple[int, int, float, float]], barrier: float = 0.0
) -> tuple[Array, Array]:
    """Return barriers and losses of ``count`` kinds from ``(kind, kind, barrier, loss)`` of the pairs that have any."""
    barriers, losses = np.full((count, count), barrier), np.zeros((count, count))
    for a, b, height, loss in pairs:
        barriers[a, b] = barriers[b, a] = height
        losses[a, b] = losses[b, a] = loss
    return barriers, losses


def bullets_and_rods(
    length: float,
    barrier: float,
    mass_ratio: float = 2.0,
    density: float = 1.0,
    rods: float = 1.0,
    loss: float = 0.0,
) -> Gas:
    """Return a gas of open bullets and closed rods in equilibrium at temperature 1.

    mass_ratio
        ``m_bullet/m_rod``; the lighter has the mass 1.
    density, rods
        Bullets and rods per unit of length.
    loss
        Of bullets and rods that pass each other.
    """
    lightest = min(mass_ratio, 1.0)
    masses = mass_ratio / lightest, 1.0 / lightest
    end = Reservoir(1.0, (potential_of(density, masses[0], 1.0),))
    kinds = Kind("bullet", masses[0]), Kind("rod", masses[1], number=round(rods * length))
    barriers, losses = pair_tables(2, [(0, 1, barrier, loss)])
    return Gas(length, kinds, end, end, barriers, losses)
