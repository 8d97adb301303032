"""Stationary states of the SHDL in one dimension: the exact reference for currents and profiles.

    d rho_a/dt + J_a' = 0,   J_a = D ( -rho_a' + rho_a (E_a - sum_b rho_b E_b) ),   a = 1..N

between two reservoirs, with fields and diffusivity constant or piecewise constant (Casini,
Giardina, Nicolini, Selmi, Vernia, arXiv 2602.08583 (2026), for the equations). Solved by multiple
shooting on exact matrix exponentials; see `shooting` for the method and `profile` for the proof
that the densities are positive between the nodes too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .continuation import Root, find_root
from .reservoirs import checked_pair, with_vacancy
from .shooting import Channel, Iterate, Nodes

type Array = NDArray[np.float64]

LARGEST_DRIVE = 1e4


@dataclass(frozen=True, eq=False)
class StationaryState:
    """A stationary SHDL state, dimensionless (fractions, kT, the length unit of `edges`).

    Currents and fields are positive to the right. `residual` is the largest relative mismatch at a
    shooting node before the last Newton step, `uncertainty` the largest relative correction of that
    step: it bounds what is still open in the profile, is below 1e-11 as a rule and 1e-6 at worst
    (a shock that neither reservoir holds); the currents are settled to 1e-11 in any case.
    """

    channel: Channel
    root: Root

    @property
    def currents(self) -> Array:
        """`J_a` (N,), the same at every x."""
        return self.root.profile.solution.current[1:].copy()

    @property
    def vacancy_current(self) -> float:
        """`J_0 = -sum_a J_a`."""
        return float(self.root.profile.solution.current[0])

    @property
    def residual(self) -> float:
        """Largest relative mismatch of the shooting equations."""
        return self.root.residual

    @property
    def uncertainty(self) -> float:
        """Largest relative change of the last Newton step."""
        return self.root.uncertainty

    @property
    def nodes(self) -> Array:
        """Shooting nodes (K+1,), from the left end to the right end."""
        return self.root.profile.nodes.position.copy()

    def density(self, x: ArrayLike) -> Array:
        """`rho_a(x)` of every species, (N, len(x)); ValueError for x outside the channel."""
        return self.root.profile.at(self._inside(x))[1:]

    def vacancy(self, x: ArrayLike) -> Array:
        """`rho_0(x)`, (len(x),), not computed as a difference; ValueError for x outside."""
        vacancy: Array = self.root.profile.at(self._inside(x))[0]
        return vacancy

    def gradient(self, x: ArrayLike) -> Array:
        """`rho_a'(x)`, (N, len(x)), from the stationary equation; the right-hand one at an edge."""
        return self.root.profile.gradient(self._inside(x))[1:]

    @cached_property
    def forces(self) -> Array:
        """`F_a = int E_a dx - [mu_a(R) - mu_a(L)]` (N,), in kT, `mu_a = log(rho_a/rho_0)`."""
        potential = np.log(self.channel.right / self.channel.left)
        work = self.channel.lengths @ self.channel.fields
        forces: Array = work[1:] - (potential[1:] - potential[0])
        return forces

    @cached_property
    def resistances(self) -> Array:
        """`int dx/(D rho_a)` (N,), by adaptive quadrature of the profile, to about 1e-13."""
        return self._all_resistances[1:]

    @property
    def vacancy_resistance(self) -> float:
        """`int dx/(D rho_0)`."""
        return float(self._all_resistances[0])

    @property
    def entropy_production(self) -> float:
        """`sum_a J_a F_a >= 0`, in k per unit time and cross-section."""
        return float(self.currents @ self.forces)

    @cached_property
    def _all_resistances(self) -> Array:
        return self.root.profile.resistances()

    def _inside(self, x: ArrayLike) -> Array:
        positions = np.atleast_1d(np.asarray(x, dtype=np.float64))
        low, high = self.channel.edges[[0, -1]]
        if positions.ndim != 1:
            raise ValueError(f"x: expected a sequence of positions, not shape {positions.shape}")
        if not np.all((positions >= low) & (positions <= high)):
            raise ValueError(f"x: positions must lie in the channel, between {low:g} and {high:g}")
        return positions


def stationary_state(
    left: ArrayLike,
    right: ArrayLike,
    fields: ArrayLike,
    *,
    edges: ArrayLike = (0.0, 1.0),
    diffusivity: ArrayLike = 1.0,
    guess: StationaryState | None = None,
) -> StationaryState:
    """The stationary SHDL state between two reservoirs.

    left, right: occupied fractions (N,), positive, with a sum below 1.
    fields: imposed fields `E_a` in kT per unit length, (N,), or (N, S) for S pieces. Numbers serve
    for left, right and fields of a single species.
    edges: (S+1,) increasing ends of the pieces; the first and last are the reservoirs.
    diffusivity: positive factor D common to all species, a number or (S,).
    guess: a state of a similar channel with the same number of species, to start from.

    Raises ValueError for bad input, StationaryStateNotFound when no state with densities proved
    positive everywhere was found. That happens where double precision does not determine the
    profile: shifting a shock between coexisting phases, such as that of one species with
    `rho^R = 1 - rho^L` in a field above about 90, costs only `exp(-E d)`, `d` its distance from the
    reservoirs.
    """
    channel = _checked_channel(left, right, fields, edges, diffusivity)
    return StationaryState(channel, find_root(channel, _transferred(guess, channel)))


def _checked_channel(
    left: ArrayLike, right: ArrayLike, fields: ArrayLike, edges: ArrayLike, diffusivity: ArrayLike
) -> Channel:
    left, right = checked_pair(left, right)
    species = len(left)
    ends = np.asarray(edges, dtype=np.float64)
    if ends.ndim != 1 or len(ends) < 2 or not np.all(np.isfinite(ends)):
        raise ValueError("edges: expected at least two finite numbers, the ends of the pieces")
    if not np.all(np.diff(ends) > 0.0):
        raise ValueError("edges: the ends of the pieces must increase from left to right")
    pieces = len(ends) - 1
    drive = np.atleast_1d(np.asarray(fields, dtype=np.float64))
    if drive.shape == (species,):
        drive = np.repeat(drive[:, None], pieces, axis=1)
    if drive.shape != (species, pieces):
        raise ValueError(
            f"fields: shape {drive.shape} does not fit; expected ({species},) or "
            f"({species}, {pieces}), one row per species and one column per piece of edges"
        )
    if not np.all(np.isfinite(drive)):
        raise ValueError("fields: every field must be a finite number")
    if np.abs(drive).max() * (ends[-1] - ends[0]) > LARGEST_DRIVE:
        raise ValueError(
            f"fields: max |E| times the length is {np.abs(drive).max() * (ends[-1] - ends[0]):g} "
            f"kT; it must not exceed {LARGEST_DRIVE:g}, at four shooting segments per kT"
        )
    factor = np.asarray(diffusivity, dtype=np.float64)
    if factor.ndim > 1 or (factor.ndim == 1 and factor.shape != (pieces,)):
        raise ValueError(
            f"diffusivity: shape {factor.shape} does not fit; expected a number or ({pieces},), "
            "one factor per piece of edges, common to all species"
        )
    if not np.all((factor > 0.0) & np.isfinite(factor)):
        raise ValueError("diffusivity: every factor must be positive and finite")
    return Channel(
        with_vacancy(left),
        with_vacancy(right),
        ends,
        np.column_stack([np.zeros(pieces), drive.T]),
        np.broadcast_to(factor, (pieces,)).copy(),
    )


def _transferred(guess: StationaryState | None, channel: Channel) -> Iterate | None:
    """The guess evaluated on the nodes of another channel, with its reservoirs at the ends."""
    if guess is None:
        return None
    if len(guess.channel.left) != len(channel.left):
        raise ValueError(
            f"guess: has {len(guess.channel.left) - 1} species where the reservoirs have "
            f"{len(channel.left) - 1}; they must agree"
        )
    old, new = guess.channel.edges, channel.edges
    share = (Nodes.of(channel).position - new[0]) / (new[-1] - new[0])
    position = np.clip(old[0] + share * (old[-1] - old[0]), old[0], old[-1])
    density = guess.root.profile.at(position).T
    density[0], density[-1] = channel.left, channel.right
    return Iterate(density, guess.root.profile.solution.current.copy())
