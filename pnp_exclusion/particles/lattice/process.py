"""The exchange process: which pairs of neighbours swap, and at what rate.

Across a bond with type ``a`` on the left and ``b`` on the right the two swap at rate
``s_ab (1 + (E_a - E_b) / (2 m))``, or ``s_ab exp((E_a - E_b) / (2 m))``, ``m`` lattice spacings to
the macroscopic length. Type 0 is the vacancy, with ``E_0 = 0``; ``s_ab`` is 1 between a particle
and a vacancy and ``kappa`` between unlike particles. ``kappa = 1`` is the stirring process of
Casini, Giardina, Nicolini, Selmi and Vernia, arXiv 2602.08583 (2026): with space in ``1/m`` and
time in ``m^2`` its densities follow ``d rho_a/dt + d J_a/dx = 0``,
``J_a = -d rho_a/dx + rho_a (E_a - sum_b rho_b E_b)``, exactly as ``m`` grows (it is of gradient
type: Kipnis and Landim, Scaling Limits of Interacting Particle Systems, 1999).

For any other ``kappa`` and more than one species the process is not of gradient type and its limit
carries a self-diffusion coefficient (Quastel, Comm. Pure Appl. Math. 45, 623 (1992)): it is no
oracle for the mean-field law with mobility
``M_ab = rho_0 rho_a delta_ab + kappa (delta_ab rho_a sum_{c>=1} rho_c - rho_a rho_b)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnp_exclusion.particles.lattice.field_energy import FieldEnergy, FieldOnSites
from pnp_exclusion.particles.lattice.geometry import Lattice

Form = Literal["linear", "exponential"]
FULL = 1.0 + 1e-12


class NegativeRateError(ValueError):
    """Fields too strong for linear rates at this size; ``smallest`` is the length that fields of this strength need."""

    def __init__(self, sentence: str, smallest: int) -> None:
        super().__init__(sentence, smallest)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def smallest(self) -> int:
        """The smallest admissible length if the strongest field stays what it is at this one."""
        return int(self.args[1])


@dataclass(frozen=True, eq=False)
class ExchangeProcess:
    """An exchange process of ``N`` species on a lattice.

    fields
        ``E_a``, in kT over the macroscopic length, positive to the right: shape ``(N,)`` if
        constant, else on the bonds along the channel, ``(N,) + lattice.along_shape``. A potential
        ``phi`` known on the sites drives species ``a`` by
        ``-z_a (phi[i + 1] - phi[i]) * lattice.scale``.
    left, right
        Occupied fractions of the reservoirs, shape ``(N,)``; needed with reservoirs and only then.
        Every attempt at an end bond meets a fresh independent draw from its reservoir.
    content
        Particles of each species in a closed channel or ring, shape ``(N,)``, which are conserved.
        Without it the process has no one stationary law, but its relaxation can be simulated.
    kappa
        Rate at which unlike particles swap, against 1 for a particle and a vacancy.
    form
        ``"linear"`` or ``"exponential"``: how the rates depend on the fields. They agree to first
        order in ``1/m``, so their limits are the same.
    fields_across
        ``E_a`` on the bonds across the channel, shape ``(N,)`` or ``(N,) + lattice.across_shape``;
        zero by default.
    energy
        Of the field that the particles' charges make: the rates are those of the imposed fields times ``exp(-dH/2)``,
        ``dH`` what a swap costs. Exponential rates between reservoirs in one dimension only.

    Raises `ValueError` when a shape does not fit, a fraction is negative or a reservoir overfull,
    the particles outnumber the sites or ``kappa`` is negative, and `NegativeRateError` (a
    `ValueError`) when the linear form has a negative rate at this size; the sentence then says the
    smallest admissible length.
    """

    lattice: Lattice
    fields: ArrayLike
    left: Sequence[float] | None = None
    right: Sequence[float] | None = None
    content: Sequence[int] | None = None
    kappa: float = 1.0
    form: Form = "linear"
    fields_across: ArrayLike | None = None
    energy: FieldEnergy | None = None

    def __post_init__(self) -> None:
        if self.form not in ("linear", "exponential"):
            raise ValueError(f"form = {self.form!r} must be 'linear' or 'exponential'")
        if not (np.isfinite(self.kappa) and self.kappa >= 0):
            raise ValueError(f"kappa = {self.kappa} must be a finite number, 0 or greater")
        self._check_ends()
        self._check_content()
        self._check_rates()
        self._check_energy()

    @cached_property
    def field_of_charges(self) -> FieldOnSites | None:
        """What the energy is on this lattice; None without one."""
        return None if self.energy is None else self.energy.on(self.lattice.length)

    @cached_property
    def species(self) -> int:
        """Number of species."""
        count = len(np.atleast_1d(np.asarray(self.fields)))
        if not 1 <= count <= 255:
            raise ValueError(f"fields are given for {count} species: there must be 1 to 255")
        return count

    @property
    def types(self) -> int:
        """Species and the vacancy."""
        return self.species + 1

    @cached_property
    def bond_fields(self) -> NDArray[np.float64]:
        """Field of every type on every bond, the vacancy first (zero), shape ``(N + 1, bonds)``."""
        lattice = self.lattice
        along = self._spread("fields", self.fields, lattice.along_shape)
        across = np.zeros((self.species, lattice.across_count * lattice.length))
        if self.fields_across is not None:
            if lattice.width == 1:
                raise ValueError("fields_across is given, but a lattice of width 1 has no bonds across")
            across = self._spread("fields_across", self.fields_across, lattice.across_shape)
        particles = np.concatenate([along, across], axis=1)
        return np.concatenate([np.zeros((1, particles.shape[1])), particles])

    @cached_property
    def field_classes(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distinct columns of `bond_fields`, ``(N + 1, classes)``, and the class of each bond."""
        columns, class_of_bond = np.unique(self.bond_fields, axis=1, return_inverse=True)
        return columns, class_of_bond.astype(np.int64)

    @cached_property
    def rates(self) -> NDArray[np.float64]:
        """Swap rate for ``a`` left, ``b`` right in each field class, ``(classes, N + 1, N + 1)``.

        Per lattice unit of time; zero for two of a kind, whose swap changes nothing. Without what the field of the
        charges does.
        """
        tilt = self._tilts
        bias = 1 + tilt if self.form == "linear" else np.exp(tilt)
        return self.exchange_factors * bias

    @cached_property
    def exchange_factors(self) -> NDArray[np.float64]:
        """``s_ab``: 1 with a vacancy, ``kappa`` for unlike particles, 0 for two of a kind."""
        factors = np.full((self.types, self.types), float(self.kappa))
        factors[0, :] = factors[:, 0] = 1.0
        np.fill_diagonal(factors, 0.0)
        return factors

    @property
    def reservoirs(self) -> NDArray[np.float64]:
        """Fractions of all types in the left and right reservoir, ``(2, N + 1)``, vacancy first.

        Without reservoirs both are taken as empty, and no bond reads them.
        """
        empty = np.zeros(self.species)
        particles = np.array([empty if side is None else side for side in (self.left, self.right)])
        # A reservoir that is full but for rounding has no vacancies, not a negative fraction.
        vacancy = np.maximum(0.0, 1 - particles.sum(axis=1, keepdims=True))
        return np.concatenate([vacancy, particles], axis=1)

    @property
    def keeps_order(self) -> bool:
        """Whether unlike particles can never pass each other: one dimension, several species."""
        return self.kappa == 0 and self.lattice.width == 1 and self.species > 1

    @property
    def is_jammed(self) -> bool:
        """Whether nothing can ever move: ``kappa`` 0 and no vacancy anywhere."""
        if self.kappa > 0:
            return False
        if self.lattice.ends == "reservoirs":
            return not np.any(self.reservoirs[:, 0] > FULL - 1)
        return self.content is not None and sum(self.content) == self.lattice.sites

    @property
    def has_linear_averages(self) -> bool:
        """Whether mean densities obey the discrete heat equation: no fields, and ``kappa`` 1."""
        driven = self.bond_fields.any() or self.energy is not None
        return not driven and (self.kappa == 1 or self.species == 1)

    @property
    def _tilts(self) -> NDArray[np.float64]:
        columns, _ = self.field_classes
        return (columns.T[:, :, None] - columns.T[:, None, :]) / (2 * self.lattice.scale)

    def _spread(self, name: str, given: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
        fields = np.atleast_1d(np.asarray(given, dtype=np.float64))
        if fields.shape not in ((self.species,), (self.species, *shape)):
            raise ValueError(
                f"{name} has shape {fields.shape}: it must be ({self.species},) or {(self.species, *shape)}"
            )
        if not np.isfinite(fields).all():
            raise ValueError(f"{name} must be finite")
        if fields.ndim == 1:
            fields = np.broadcast_to(fields.reshape(-1, *[1] * len(shape)), (self.species, *shape))
        return fields.reshape(self.species, -1)

    def _check_ends(self) -> None:
        for name, fractions in (("left", self.left), ("right", self.right)):
            if self.lattice.ends != "reservoirs":
                if fractions is not None:
                    raise ValueError(
                        f"{name} is given, but a lattice with ends = {self.lattice.ends!r} has no reservoirs"
                    )
            elif fractions is None:
                raise ValueError(f"{name} must give the fraction of each species in that reservoir")
            else:
                check_fractions(name, np.asarray(fractions, dtype=np.float64), (self.species,))

    def _check_content(self) -> None:
        if self.content is None:
            return
        if self.lattice.ends == "reservoirs":
            raise ValueError("content is given, but reservoirs do not conserve particles")
        counts = np.asarray(self.content)
        whole = counts.shape == (self.species,) and np.issubdtype(counts.dtype, np.integer)
        if not whole or counts.min() < 0:
            raise ValueError(f"content must be {self.species} whole numbers, 0 or greater")
        if counts.sum() > self.lattice.sites:
            raise ValueError(
                f"content has {counts.sum()} particles for {self.lattice.sites} sites: there must be at most one a site"
            )

    def _check_energy(self) -> None:
        if self.energy is None:
            return
        if self.form != "exponential" or self.lattice.ends != "reservoirs" or self.lattice.width > 1:
            raise ValueError("energy needs form = 'exponential' and a lattice of width 1 between reservoirs")
        if len(self.energy.charges) != self.species:
            raise ValueError(f"energy has {len(self.energy.charges)} charges for {self.species} species")
        self.energy.on(self.lattice.length)

    def _check_rates(self) -> None:
        if self.form == "exponential":
            return
        worst = np.max(self._tilts * (self.exchange_factors > 0))
        if worst > 1:
            scale = ceil(round(worst * self.lattice.scale, 9))
            smallest = scale - 1 if self.lattice.ends == "reservoirs" else scale
            raise NegativeRateError(
                f"fields differ by {2 * worst * self.lattice.scale:g} across a bond, which makes "
                f"a linear rate negative at length = {self.lattice.length}: take a length of at "
                f"least {smallest}, or form = 'exponential'",
                smallest,
            )


def check_fractions(name: str, fractions: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    """Raise `ValueError` unless ``fractions`` has this shape, species first, and fits on sites."""
    if fractions.shape != shape:
        raise ValueError(f"{name} has shape {fractions.shape}: it must be {shape}, species first")
    if not np.all(fractions >= 0):
        raise ValueError(f"{name} has the fraction {fractions.min():g}: none may be negative")
    fullest = fractions.sum(axis=0).max()
    if fullest > FULL:
        raise ValueError(f"{name} is overfull: its fractions add up to {fullest:g}, more than 1")


def net_crossing_rates(process: ExchangeProcess, pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected net crossings of every bond from the law of the types at its ends.

    ``pairs[..., bond, a, b]`` is the probability of ``a`` on the left and ``b`` on the right, shape
    ``(..., bonds, N + 1, N + 1)``. Returns crossings per lattice unit of time of species ``1..N``,
    left to right positive, shape ``(..., N, bonds)``.
    """
    _, class_of_bond = process.field_classes
    flow = pairs * process.rates[class_of_bond]
    net = flow.sum(axis=-1) - flow.sum(axis=-2)
    return np.moveaxis(net[..., 1:], -1, -2)


def with_reservoir_pairs(
    process: ExchangeProcess, pairs: NDArray[np.float64], occupation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fill in the pairs at the end bonds, where the draw is independent of the site.

    ``pairs`` as in `net_crossing_rates`; ``occupation[..., a, site]`` the probability of each type
    on each site, shape ``(..., N + 1, sites)``. Returns a new array.
    """
    bonds, filled = process.lattice.bonds, pairs.copy()
    for bond in np.flatnonzero(bonds.reservoir):
        source = process.reservoirs[bonds.reservoir[bond] - 1]
        if bonds.reservoir[bond] == 1:
            site = occupation[..., bonds.right[bond]]
            filled[..., bond, :, :] = source[:, None] * site[..., None, :]
        else:
            site = occupation[..., bonds.left[bond]]
            filled[..., bond, :, :] = site[..., :, None] * source
    return filled
