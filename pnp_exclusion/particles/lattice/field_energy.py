"""The field energy of a configuration: charges on the sites of a channel between two electrodes.

With ``m`` spacings to the length, bonds ``k`` of capacitance ``lambda^2 eps_k m`` in series hold the potentials
``phi_i`` of the sites, ``phi`` being ``V_L`` and ``V_R`` at the reservoirs and

    lambda^2 m^2 [ eps_i- (phi_i - phi_i-1) - eps_i (phi_i+1 - phi_i) ] = z_(type of i) + q_i ,

a Poisson equation that a finite-volume scheme would have. The energy is ``H = sum c_i phi_i`` of the charges in the
electrodes' field and ``(1/2) sum c_i G_ij c_j`` among themselves, in kT, with ``G`` of order ``1/m``: what one particle
does to another vanishes as the lattice grows, what all do stays. Where a charge ``Delta`` moves across a bond from the
right to the left, the drop of the potential over every bond ``k`` follows from its own past and one number: drops are
``c_k (d_k + D)``, ``c_k = 1/(lambda^2 eps_k m)``, and the move adds ``Delta/m`` to ``d`` of its own bond and takes
``(Delta/m) c/(sum of all c)`` off ``D`` (the theorem of Shockley and Ramo). It costs

    dH = Delta * drop + (1/2) Delta^2 (c/m) (1 - c/sum c) .
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FieldEnergy:
    """Charges in a channel, and what holds their field.

    charges
        Valences ``z_a`` of the species, ``(N,)``.
    debye_length
        ``lambda``, over the length between the reservoirs.
    potentials
        Of the reservoirs, left and right, in kT/e.
    fixed
        Fixed charge ``q`` on every site, in charges per site: one number, or ``(sites,)``.
    permittivity
        Over that of ``lambda``, of every bond: one number, or ``(sites + 1,)``.

    Raises `ValueError` for numbers that are not finite, and a length or permittivity that is not positive.
    """

    charges: Sequence[float]
    debye_length: float
    potentials: tuple[float, float] = (0.0, 0.0)
    fixed: ArrayLike = 0.0
    permittivity: ArrayLike = 1.0

    def __post_init__(self) -> None:
        numbers = [self.charges, self.potentials, self.fixed, self.permittivity]
        if not all(np.isfinite(np.asarray(given, dtype=np.float64)).all() for given in numbers):
            raise ValueError("charges, potentials and permittivities must be finite")
        if not (np.isfinite(self.debye_length) and self.debye_length > 0):
            raise ValueError(f"debye_length = {self.debye_length} must be finite and greater than 0")
        if not np.all(np.asarray(self.permittivity) > 0):
            raise ValueError("permittivity must be greater than 0")

    def on(self, sites: int) -> "FieldOnSites":
        """Return what it is on so many sites; `ValueError` where a shape does not fit."""
        for name, given, count in (("fixed", self.fixed, sites), ("permittivity", self.permittivity, sites + 1)):
            if np.shape(given) not in ((), (count,)):
                raise ValueError(f"{name} has shape {np.shape(given)}: it must be one number, or ({count},)")
        permittivity = np.broadcast_to(np.asarray(self.permittivity, dtype=np.float64), sites + 1)
        return FieldOnSites(
            charges=np.concatenate([[0.0], np.asarray(self.charges, dtype=np.float64)]),
            fixed=np.broadcast_to(np.asarray(self.fixed, dtype=np.float64), sites).copy(),
            compliance=1.0 / (self.debye_length**2 * permittivity * (sites + 1)),
            drop=float(self.potentials[0] - self.potentials[1]),
        )


@dataclass(frozen=True, eq=False)
class FieldOnSites:
    """The field energy on a lattice of given size.

    charges
        Of all types, the vacancy first, ``(N + 1,)``.
    fixed
        ``(sites,)``.
    compliance
        ``c_k`` of the bonds, ``(sites + 1,)``.
    drop
        Of the potential from left to right.
    """

    charges: Array
    fixed: Array
    compliance: Array
    drop: float

    @property
    def scale(self) -> int:
        """Spacings between the reservoirs."""
        return len(self.compliance)

    @property
    def shares(self) -> Array:
        """Part of the whole drop that every bond takes, ``(sites + 1,)``: the weights of Ramo and Shockley."""
        return self.compliance / self.compliance.sum()

    @cached_property
    def self_energies(self) -> Array:
        """``(c_k/m) (1 - c_k/sum c)``: by how much a unit charge that crosses a bond changes the drop over it."""
        return self.compliance / self.scale * (1.0 - self.shares)

    @cached_property
    def moved(self) -> Array:
        """What charge comes to the left as ``a`` there and ``b`` on the right swap, ``(N + 1, N + 1)``."""
        return self.charges[None, :] - self.charges[:, None]

    def swap_factors(self, bonds: Any, forth: Any, back: Any, drops: Any) -> Array:
        """Return ``exp(-dH/2)`` of swaps across bonds: of types ``forth`` on the left and ``back`` on the right, at
        drops of the potential over the bonds before them. Arrays that broadcast together.
        """
        moved = self.moved[forth, back]
        return np.asarray(np.exp(-0.5 * moved * (drops + 0.5 * moved * self.self_energies[bonds])))

    def every_swap(self, drops: Array) -> Array:
        """Return ``exp(-dH/2)`` of all swaps at drops ``(sites + 1,)``: ``(sites + 1, N + 1, N + 1)``."""
        bonds, types = np.arange(self.scale)[:, None, None], np.arange(len(self.charges))
        return self.swap_factors(bonds, types[:, None], types, drops[:, None, None])

    def displacements(self, charge: Array) -> tuple[Array, Array]:
        """Return ``d`` and ``D`` of charges ``(..., sites)`` and the fixed ones: ``(..., sites + 1)`` and ``(...)``."""
        gathered = np.cumsum(charge + self.fixed, axis=-1) / self.scale
        inner = np.concatenate([np.zeros((*charge.shape[:-1], 1)), gathered], axis=-1)
        return inner, (self.drop - inner @ self.compliance) / self.compliance.sum()

    def drops(self, charge: Array) -> Array:
        """Return ``phi`` left minus right of every bond, ``(..., sites + 1)``, for charges ``(..., sites)``."""
        inner, whole = self.displacements(charge)
        return np.asarray(self.compliance * (inner + whole[..., None]))

    def largest_drops(self) -> Array:
        """Return the most that the size of a drop can be over every bond in any configuration, ``(sites + 1,)``."""
        low, high = self.charges.min() + self.fixed, self.charges.max() + self.fixed
        cumulative = np.cumsum(self.shares)[:-1]
        # what a charge on site j does to the drop over bond k
        answer = np.where(np.arange(self.scale)[:, None] > np.arange(self.scale - 1), cumulative, cumulative - 1.0) * (
            self.compliance[:, None] / self.scale
        )
        most = np.maximum(answer * low, answer * high).sum(axis=1) + self.shares * self.drop
        least = np.minimum(answer * low, answer * high).sum(axis=1) + self.shares * self.drop
        return np.asarray(np.maximum(np.abs(most), np.abs(least)))

    def energy(self, charge: Array) -> Array:
        """Return ``H`` of charges ``(..., sites)`` in kT."""
        total = charge + self.fixed
        own = self.potentials(charge)
        outer = self.drop * (1.0 - np.cumsum(self.shares)[:-1])
        return np.asarray(0.5 * (total * (own + outer)).sum(axis=-1))

    def potentials(self, charge: Array) -> Array:
        """Return ``phi`` on the sites over that of the right reservoir, ``(..., sites)``."""
        drops = self.drops(charge)
        return np.asarray(np.flip(np.cumsum(np.flip(drops[..., 1:], axis=-1), axis=-1), axis=-1))

    def charge_of(self, states: NDArray[Any]) -> Array:
        """Charges of configurations, without the fixed ones: shape of ``states``."""
        return np.asarray(self.charges[states])
