"""Barrier exchange: bullets and rods that swap places over an energy barrier, explicit as the cells grow.

Cells of `m` sites, each with a bullet `b`, a rod `r` or a vacancy `v`; particles carry an energy. A site of one cell
meets one of the next, and their contents swap with their energies: a bullet with a vacancy at rate `w_b`, a rod with a
vacancy at `w_r`, a bullet and a rod at rate 1, only if the energy of the rod exceeds `h`. Cells are mixed: places and
energies in them are drawn anew at given numbers and energy. As `m` grows, with `k = exp(-h/T)` and the fractions `b`,
`r`, `v` of the sites, the mobility is `M = <w df df^T>/2` over the product law,

    M_bb = b (v w_b + r k)    M_br = -b r k              M_bu = b v w_b T - b r k h
                              M_rr = r (v w_r + b k)     M_ru = r v w_r T + b r k h
                                                         M_uu = 2 T^2 v (b w_b + r w_r) + b r k (2 T^2 + h^2).

A bullet that passes a rod brings less energy than the rod takes the other way, at least `h`: where this prevails, heat
pushes bullets to the hot side. Where rods cannot leave the channel, bullets and energy have what is left of `M` once
the rods stand still, `M'_bu = M_bu - M_br M_ru/M_rr`, negative if and only if

    (h - T) r k w_r > T w_b (v w_r + b k).

At finite `m` the response is below `M` (their difference is positive semidefinite) by O(1/m).

Order of all vectors and matrices: bullets, rods, energy; without rods bullets, energy. Forces are `-(mu_b/T)'`,
`-(mu_r/T)'` and `(1/T)'`; currents are positive to the right. Energies count from rest: a zero of the energy of bullets
at `e_0` adds `e_0` to `M'_bu/M'_bb` (`shifted`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import root

type Array = NDArray[np.float64]

BULLETS, RODS, ENERGY = 0, 1, 2
TOLERANCE = 1e-10
"""Of the balance of the steady chain against its largest current, and of what a continuum misses at its right end."""


class Rates(NamedTuple):
    """``barrier`` is `h`, in the unit of temperature; ``bullet`` and ``rod`` are `w_b` and `w_r`."""

    barrier: float
    bullet: float
    rod: float


class Mixture(NamedTuple):
    """Fractions of the sites with a bullet and with a rod, and the temperature."""

    bullets: float
    rods: float
    temperature: float

    @classmethod
    def of_potentials(cls, bullets: float, rods: float, energy: float) -> Self:
        """Return the mixture at `mu_b/T`, `mu_r/T` and `-1/T`."""
        temperature = -1.0 / energy
        over_vacancies = temperature * np.exp([bullets, rods])
        vacant = 1.0 / (1.0 + over_vacancies.sum())
        return cls(float(over_vacancies[0] * vacant), float(over_vacancies[1] * vacant), temperature)

    @property
    def vacant(self) -> float:
        """Fraction of the sites with neither."""
        return 1.0 - self.bullets - self.rods

    @property
    def potentials(self) -> Array:
        """`mu_b/T`, `mu_r/T` and `-1/T`, whose differences, left minus right, are the forces, ``(3,)``.

        An ideal lattice gas of particles whose energies are exponential: `mu/T = ln(b/(v T))`, `-inf` without any.
        """
        fractions = np.array([self.bullets, self.rods])
        with np.errstate(divide="ignore"):
            particles = np.log(fractions / (self.vacant * self.temperature))
        return np.append(particles, -1.0 / self.temperature)

    @property
    def fields(self) -> Array:
        """Bullets, rods and energy of a site, ``(3,)``."""
        return np.array([self.bullets, self.rods, (self.bullets + self.rods) * self.temperature])


def mobility(mixture: Mixture, rates: Rates) -> Array:
    """Return `M` of the limit of large cells, ``(3, 3)``."""
    b, r, temperature = mixture
    h, w_b, w_r = rates
    v, passing = 1.0 - b - r, b * r * np.exp(-h / temperature)
    bullets, rods = b * v * w_b, r * v * w_r
    bullets_energy, rods_energy = bullets * temperature - passing * h, rods * temperature + passing * h
    energy = 2.0 * temperature**2 * (bullets + rods) + passing * (2.0 * temperature**2 + h**2)
    return np.array(
        [
            [bullets + passing, -passing, bullets_energy],
            [-passing, rods + passing, rods_energy],
            [bullets_energy, rods_energy, energy],
        ]
    )


def covariance(mixture: Mixture) -> Array:
    """Return the static covariance of a site, ``(3, 3)``: `M` is it times the diffusion matrix."""
    b, r, temperature = mixture
    v, energy = 1.0 - b - r, (b + r) * temperature
    itself = 2.0 * (b + r) * temperature**2 - energy**2
    return np.array(
        [
            [b * (1.0 - b), -b * r, b * v * temperature],
            [-b * r, r * (1.0 - r), r * v * temperature],
            [b * v * temperature, r * v * temperature, itself],
        ]
    )


def with_rods_at_rest(matrix: Array) -> Array:
    """Return what is left of a mobility, or of responses, for bullets and energy when no rods flow, ``(2, 2)``."""
    kept = np.ix_((BULLETS, ENERGY), (BULLETS, ENERGY))
    left_out = matrix[[BULLETS, ENERGY], RODS]
    return np.asarray(matrix[kept] - np.outer(left_out, left_out) / matrix[RODS, RODS])


def is_inverse(mixture: Mixture, rates: Rates) -> bool:
    """Whether bullets flow against a force on the energy, rods being at rest: `M'_bu < 0`, as explained above."""
    b, r, temperature = mixture
    h, w_b, w_r = rates
    v, passing = 1.0 - b - r, np.exp(-h / temperature)
    return bool((h - temperature) * r * passing * w_r > temperature * w_b * (v * w_r + b * passing))


def shifted(matrix: Array, zero: float) -> Array:
    """Return a mobility or responses of bullets and energy when the energy of a bullet at rest is ``zero``."""
    change = np.array([[1.0, 0.0], [zero, 1.0]])
    return np.asarray(change @ matrix @ change.T)


def forces(left: Mixture, right: Mixture) -> Array:
    """Return the forces on bullets, rods and energy over the channel, ``(3,)``; on rods none where neither has any."""
    kinds = [BULLETS, ENERGY] if left.rods == right.rods == 0.0 else [BULLETS, RODS, ENERGY]
    found = np.zeros(3)
    found[kinds] = left.potentials[kinds] - right.potentials[kinds]
    return found


def exchange_currents(left: Mixture, right: Mixture, rates: Rates) -> Array:
    """Return the expected currents between two cells with product laws, ``(3,)``."""
    h, w_b, w_r = rates

    def hops(a: float, a_right: float, rate: float) -> Array:
        to_right, to_left = rate * a * right.vacant, rate * a_right * left.vacant
        return np.array([to_right - to_left, to_right * left.temperature - to_left * right.temperature])

    bullets, bullets_energy = hops(left.bullets, right.bullets, w_b)
    rods, rods_energy = hops(left.rods, right.rods, w_r)
    to_right = left.bullets * right.rods * np.exp(-h / right.temperature)
    to_left = right.bullets * left.rods * np.exp(-h / left.temperature)
    carried = left.temperature - right.temperature
    passing = to_right * (carried - h) + to_left * (carried + h)
    return np.array([bullets + to_right - to_left, rods - to_right + to_left, bullets_energy + rods_energy + passing])


def contact_currents(reservoir: Mixture, cell: Mixture, rate: float) -> Array:
    """Return the currents into a cell from a reservoir of bullets and vacancies alone, at closed rods, ``(3,)``."""
    inward, outward = rate * reservoir.bullets * cell.vacant, rate * cell.bullets * (1.0 - reservoir.bullets)
    energy = inward * reservoir.temperature - outward * cell.temperature
    return np.array([inward - outward, 0.0, energy])


class SteadyState(NamedTuple):
    """Fields at the places asked for, ``(3, places)``, and currents in a channel of length 1, ``(3,)``."""

    fields: Array
    currents: Array


def steady_continuum(
    left: Mixture, right: Mixture, rates: Rates, x: ArrayLike, rods: float | None = None
) -> SteadyState:
    """Solve `J = -M (mu_b/T, mu_r/T, -1/T)'` between reservoirs at 0 and 1, by shooting, at any strength of the forces.

    x
        Places, rising.
    rods
        If they cannot leave: their mean fraction of the sites. The reservoirs then hold bullets and vacancies alone,
        with which the ends are in equilibrium.

    Raises `ValueError` where no steady state is found from the response half way.
    """
    ends = [left, right] if rods is None else [_filled(side, rods) for side in (left, right)]
    places = np.asarray(x, dtype=np.float64)

    def slope(_: float, state: Array, currents: Array) -> Array:
        here = Mixture.of_potentials(*state[:3])
        return np.append(-np.linalg.solve(mobility(here, rates), currents), here.rods)

    def shoot(currents: Array, potential_of_rods: float) -> Any:
        start = np.append(ends[0].potentials, 0.0)
        start[RODS] = potential_of_rods
        return solve_ivp(
            slope, (0.0, 1.0), start, "DOP853", args=(currents,), rtol=1e-12, atol=1e-13, dense_output=True
        )

    def missed(unknowns: Array) -> Array:
        at_right = shoot(*meaning(unknowns)).y[:, -1]
        misses = at_right[:3] - ends[1].potentials
        if rods is not None:
            misses[RODS] = at_right[3] - rods
        return np.asarray(misses)

    def meaning(unknowns: Array) -> tuple[Array, float]:
        """Of the three unknowns: all currents, or those of bullets and energy and the potential of rods at the left."""
        if rods is None:
            return unknowns, float(ends[0].potentials[RODS])
        return np.array([unknowns[BULLETS], 0.0, unknowns[ENERGY]]), float(unknowns[RODS])

    middle = Mixture.of_potentials(*(0.5 * (ends[0].potentials + ends[1].potentials)))
    force = ends[0].potentials - ends[1].potentials
    guess = mobility(middle, rates) @ force
    if rods is not None:
        driven = with_rods_at_rest(mobility(middle, rates)) @ force[[BULLETS, ENERGY]]
        guess = np.array([driven[0], ends[0].potentials[RODS], driven[1]])
    with np.errstate(all="ignore"):
        found = root(missed, guess, tol=1e-13)
    if not np.abs(missed(found.x)).max() < TOLERANCE:
        raise ValueError("no steady state of the continuum is found between these reservoirs")
    currents, potential_of_rods = meaning(found.x)
    states = shoot(currents, potential_of_rods).sol(places)[:3]
    return SteadyState(np.stack([Mixture.of_potentials(*state).fields for state in states.T], axis=1), currents)


def steady_chain(
    left: Mixture, right: Mixture, rates: Rates, cells: int, rods: float | None = None, contact: float = 1.0
) -> SteadyState:
    """Return the steady state of a chain of large cells between reservoirs, at any strength of the forces.

    Its currents are those of a bond times ``cells + 1``; as the cells get more they are those of `steady_continuum`.

    rods
        If they cannot leave: their mean fraction of the sites. The reservoirs then hold bullets and vacancies alone and
        exchange them with the end cells at the rate ``contact``.

    Raises `ValueError` where no steady state is found from the straight profile.
    """
    closed = rods is not None
    across = (np.arange(cells) + 1.0) / (cells + 1.0)
    ends = [_filled(side, rods) if rods is not None else side for side in (left, right)]
    start = ends[0].fields[:, None] + np.outer(ends[1].fields - ends[0].fields, across)

    def currents(fields: Array) -> Array:
        inside = [Mixture(b, r, energy / (b + r)) for b, r, energy in fields.T]
        inner = [exchange_currents(*pair, rates) for pair in pairwise(inside)]
        if closed:
            into, out = contact_currents(left, inside[0], contact), -contact_currents(right, inside[-1], contact)
        else:
            into, out = exchange_currents(left, inside[0], rates), exchange_currents(inside[-1], right, rates)
        return np.stack([into, *inner, out], axis=1)

    def balance(flat: Array) -> Array:
        fields = flat.reshape(3, cells)
        gained = -np.diff(currents(fields), axis=1)
        if closed:
            # one balance of the rods follows from the others; their number takes its place
            gained[RODS, -1] = fields[RODS].mean() - rods
        return np.asarray(gained.ravel())

    found = root(balance, start.ravel(), tol=1e-14)
    fields = found.x.reshape(3, cells)
    flow = currents(fields)
    scale = max(float(np.abs(flow).max()), float(np.abs(start).max()) / (cells + 1.0))
    possible = np.all(fields[:2] >= 0.0) and np.all(fields[:2].sum(axis=0) <= 1.0) and np.all(fields[2] > 0.0)
    if not possible or np.abs(balance(found.x)).max() > TOLERANCE * scale:
        raise ValueError("no steady state of the chain is found from the straight profile between these reservoirs")
    return SteadyState(fields, flow.mean(axis=1) * (cells + 1.0))


def response_of_chain(mixture: Mixture, rates: Rates, cells: int, contact: float) -> Array:
    """Return `L` of a chain of large cells whose rods cannot leave, contacts included, ``(2, 2)``; `M'` as it grows.

    Bonds in series: ``cells - 1`` with the mobility `M'`, and two contacts.
    """
    inner, end = _bond_mobilities(mixture, rates, contact)
    resistance = (cells - 1) * np.linalg.inv(inner) + 2.0 * np.linalg.inv(end)
    return np.asarray((cells + 1) * np.linalg.inv(resistance))


def shares_of_bonds(mixture: Mixture, rates: Rates, cells: int, contact: float) -> Array:
    """Return how a unit force over a chain with closed rods falls on its bonds, ``(2, 3, cells + 1)``.

    Entry ``[a, c, bond]``: what bullets, rods and energy (``c``) feel of a force on bullets or energy (``a``). The sum
    of the counts of all bonds, so weighted, is the count of current ``a`` with the least transient part.
    """
    matrix = mobility(mixture, rates)
    inner, end = _bond_mobilities(mixture, rates, contact)
    response = response_of_chain(mixture, rates, cells, contact) / (cells + 1)
    shares = np.zeros((2, 3, cells + 1))
    for bond in range(cells + 1):
        local = np.linalg.solve(end if bond in (0, cells) else inner, response)
        shares[:, [BULLETS, ENERGY], bond] = local.T
        if bond not in (0, cells):
            shares[:, RODS, bond] = -(matrix[RODS, [BULLETS, ENERGY]] @ local) / matrix[RODS, RODS]
    return shares


def _bond_mobilities(mixture: Mixture, rates: Rates, contact: float) -> tuple[Array, Array]:
    b, r, temperature = mixture
    # the reservoir, at equilibrium with the cell, has a bullet on b/(1 - r) of its sites
    single = contact * b / (1.0 - r) * (1.0 - b - r)
    end = single * np.array([[1.0, temperature], [temperature, 2.0 * temperature**2]])
    return with_rods_at_rest(mobility(mixture, rates)), end


def _filled(reservoir: Mixture, rods: float) -> Mixture:
    """Return the mixture with so many rods that is at equilibrium with a reservoir without any."""
    return Mixture(reservoir.bullets * (1.0 - rods), rods, reservoir.temperature)
