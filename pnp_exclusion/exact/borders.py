"""Where uphill transport and inverse currents begin, in the plane of two drivings (E_1, E_2).

Two species in a channel of unit length with constant fields. The current of species `s` vanishes
on its uphill border, beyond which it runs up its gradient; in shdl this is a curve,

    F_s = F_o G_o / (G_0 + G_o),       o the other species, G the conductances of the profile,

and between it and the straight line `F_s = 0` the current is inverse: against its own force. For
laws of diagonal mobility both are the line `F_s = 0`. All borders meet at global equilibrium.
Species are numbered 0 and 1. (Border of uphill transport in SHDL: Casini, Giardina, Nicolini,
Selmi, Vernia, arXiv 2602.08583 (2026); inverse currents: Wang, Casati, Benenti, Phys. Rev. Lett.
124, 110607 (2020).)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from .identity import Law, force, logarithmic_mean
from .reservoirs import checked_pair, with_vacancy
from .shdl import StationaryState, stationary_state

type Array = NDArray[np.float64]

RELATIVE_TOLERANCE = 1e-14


def equilibrium_fields(left: ArrayLike, right: ArrayLike, law: Law = "shdl") -> Array:
    """Fields (N,) at which nothing flows: `E_a = log[rho_a^R rho_0^L / (rho_a^L rho_0^R)]`.

    Any number of species; without the vacancies for pnp. Raises ValueError for bad reservoirs.
    """
    return -force(left, right, law=law)


def border_field(left: ArrayLike, right: ArrayLike, species: int, other_field: float, *, law: Law = "shdl") -> float:
    """The field `E_s` on `species` at which its current vanishes, for a given field on the other.

    For shdl the root is bracketed: `F_s/F_o = G_o/(G_0 + G_o)` lies between 0 and 1, and the
    current has opposite signs at the two ends. It is found to about 1e-13 of `F_o`.
    Raises ValueError for bad input (two species), StationaryStateNotFound as `stationary_state`.
    """
    other = _checked_other(left, right, species)
    balanced = equilibrium_fields(left, right, law)
    other_force = float(other_field - balanced[other])
    if not math.isfinite(other_force):
        raise ValueError("other_field: the field must be a finite number")
    if law != "shdl" or other_force == 0.0:
        return float(balanced[species])
    state: StationaryState | None = None

    def current(share: float) -> float:
        nonlocal state
        fields = np.empty(2)
        fields[species] = balanced[species] + share * other_force
        fields[other] = other_field
        state = stationary_state(left, right, fields, guess=state)
        return float(state.currents[species] * math.copysign(1.0, other_force))

    share = brentq(current, 0.0, 1.0, xtol=RELATIVE_TOLERANCE, rtol=RELATIVE_TOLERANCE)
    return float(balanced[species] + share * other_force)


def inverse_interval(left: ArrayLike, right: ArrayLike, species: int, other_field: float) -> tuple[float, float]:
    """The open interval of `E_s` in which shdl drives `species` against its own force.

    Its ends are the line `F_s = 0` and the uphill border; empty at equilibrium. Raises as
    `border_field`.
    """
    curve = border_field(left, right, species, other_field)
    line = float(equilibrium_fields(left, right)[species])
    return min(line, curve), max(line, curve)


def border_slope(left: ArrayLike, right: ArrayLike, species: int, *, law: Law = "shdl") -> float:
    """Slope `dE_s/dE_o` of the uphill border at global equilibrium, where all borders meet.

    To first order in the forces the conductances are those of the equilibrium profile
    `rho_a ~ rho_a^L exp(E_a x)`, on which `int dx/rho_a` is a sum of logarithmic means: the border
    has the slope `G_o/(G_0 + G_o)`. The line `F_s = 0`, the inverse border and the only one of
    the laws of diagonal mobility, has slope 0. Raises ValueError for bad input.
    """
    other = _checked_other(left, right, species)
    if law != "shdl":
        return 0.0
    resistance = equilibrium_resistances(left, right)
    return float(resistance[0] / (resistance[0] + resistance[1 + other]))


def equilibrium_resistances(left: ArrayLike, right: ArrayLike) -> Array:
    """`int dx/rho_a` (N+1,), vacancy first, of the equilibrium profile in constant fields.

    `1/rho_a = sum_b rho_b/rho_a` and every ratio is exponential in x between its reservoir values.
    """
    checked_left, checked_right = checked_pair(left, right)
    at_left, at_right = with_vacancy(checked_left), with_vacancy(checked_right)
    ratio_left = at_left / at_left[:, None]
    ratio_right = at_right / at_right[:, None]
    return logarithmic_mean(ratio_left, ratio_right).sum(axis=1)


def _checked_other(left: ArrayLike, right: ArrayLike, species: int) -> int:
    if len(checked_pair(left, right)[0]) != 2:
        raise ValueError("left, right: the borders are drawn for two species; give two fractions")
    if species not in (0, 1):
        raise ValueError(f"species: expected 0 or 1, not {species!r}")
    return 1 - species
