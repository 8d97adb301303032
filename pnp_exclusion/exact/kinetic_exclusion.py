"""Kinetic exclusion: particles that carry energy on a lattice, and a process of gradient type.

A site is empty or holds one particle with an energy `e >= 0`. A particle hops to an empty neighbour at rate 1 and takes
its energy along; two neighbours share their energy anew, uniformly, at rate 2. With `u = rho T` the energy of a site,

    J_rho = -rho',   J_u = -u',   M = [[rho (1 - rho), u (1 - rho)], [u (1 - rho), 2 u^2/rho - u^2]],

the currents exactly so at every number of sites: the expected currents across a bond are the differences of `rho` and
`u` at its ends, whatever the configuration (so is `e_i - e_j`: a hop carries `e_i (1 - n_j) - e_j (1 - n_i)`, and twice
an equal share of two particles `n_j e_i - n_i e_j`). The mobility `M` is the static covariance of a site: the diffusion
matrix is the identity. Without energy this is simple exclusion, at `rho = 1` the process of Kipnis, Marchioro and
Presutti, J. Stat. Phys. 27, 65 (1982), with `M_uu = u^2`.

Order of all vectors and matrices: particles, energy. Forces are `-(mu/T)'` and `(1/T)'`; currents are positive to the
right, lengths in that of the channel, times in `L^2/D`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad

type Array = NDArray[np.float64]


class Contents(NamedTuple):
    """Of a reservoir: the occupied fraction, and the temperature (mean energy of a particle)."""

    density: float
    temperature: float

    @property
    def fields(self) -> Array:
        """Density and energy of a site, ``(2,)``."""
        return np.array([self.density, self.density * self.temperature])


def mobility(density: float, energy: float) -> Array:
    """Return `M` at a density and an energy of a site, ``(2, 2)``; an empty lattice has none."""
    if density <= 0.0:
        return np.zeros((2, 2))
    hole = 1.0 - density
    cross = energy * hole
    return np.array([[density * hole, cross], [cross, 2.0 * energy**2 / density - energy**2]])


def forces(left: Contents, right: Contents) -> Array:
    """Return the forces on particles and energy over the channel, differences of `mu/T` and `-1/T`, ``(2,)``.

    `mu/T` is `ln(rho/((1 - rho) T))`. The force on particles is infinite where one reservoir alone is full or empty;
    equal densities cancel, full ones too.
    """
    of_particles = np.log(right.temperature / left.temperature)
    if left.density != right.density:
        with np.errstate(divide="ignore"):
            odds = [np.log(side.density) - np.log1p(-side.density) for side in (left, right)]
        of_particles += odds[0] - odds[1]
    return np.array([of_particles, 1.0 / right.temperature - 1.0 / left.temperature])


def steady_currents(left: Contents, right: Contents) -> Array:
    """Return the currents of particles and energy, exact at every number of sites, ``(2,)``."""
    return left.fields - right.fields


def steady_fields(left: Contents, right: Contents, x: ArrayLike) -> Array:
    """Return density and energy of a site at places from 0 (left) to 1, exact at every size, ``(2, places)``."""
    return left.fields[:, None] + np.outer(right.fields - left.fields, np.asarray(x, dtype=np.float64))


def current_noise(left: Contents, right: Contents, sites: int | None = None) -> Array:
    """Return the noise of the currents `(n + 1) Cov(Q_a, Q_b)/t`, two-sided, ``(2, 2)``.

    As the lattice grows it is `2 int M dx` along the straight profile. With ``sites`` the entries that are known
    exactly for a lattice of so many are those, `a_L + .. - (2 n + 1)/(3 (n + 1)) ..` as for stirred particles, because
    the correlations of two particles, and of a particle and an energy, obey the same closed equations; that of energy
    with itself, for which no closed equations are known, is then the limit too (exact between equal reservoirs).
    """
    a, b = left.fields, right.fields

    def energy_with_itself(x: float) -> float:
        return float(mobility(*(a + (b - a) * x))[1, 1])

    share = 2.0 / 3.0 if sites is None else (2.0 * sites + 1.0) / (3.0 * (sites + 1.0))
    exclusion = a[0] * b + b[0] * a + share * (b[0] - a[0]) * (b - a)
    with_particles = a + b - exclusion
    itself = 2.0 * quad(energy_with_itself, 0.0, 1.0, epsabs=1e-13, epsrel=1e-12)[0]
    return np.array([with_particles, [with_particles[1], itself]])
