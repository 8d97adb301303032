"""Relaxation without fields, where densities obey the heat equation: in the continuum and exactly.

With ``E = 0`` and ``kappa = 1``, or one species, the mean of each density on the lattice obeys a
closed linear equation, the discrete heat equation, for every size. Its limit is the heat equation
(Kipnis and Landim, Scaling Limits of Interacting Particle Systems, 1999).
"""

from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnp_exclusion.particles.lattice.process import ExchangeProcess, check_fractions

Array = NDArray[np.float64]

# A mode with k^2 pi^2 t beyond this is below 1e-19 and no longer adds to a density.
LARGEST_EXPONENT = 44.0


def heat_profile(
    x: ArrayLike,
    time: float,
    edges: ArrayLike,
    values: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
) -> Array:
    """Solve ``d rho/dt = d^2 rho/dx^2`` on [0, 1] from a profile of steps, by Fourier series.

    ``values[a, k]`` is the start between ``edges[k]`` and ``edges[k + 1]``, shape ``(N, pieces)``,
    with ``edges`` rising from 0 to 1; ``left`` and ``right``, ``(N,)``, are held at the ends.
    Lengths in L, ``time`` in L^2/D. Returns ``(N,) + x.shape``.

    Raises `ValueError` for a negative time, or edges and values that do not fit together.
    """
    place, borders, steps = (np.asarray(one, dtype=np.float64) for one in (x, edges, values))
    if not time >= 0:
        raise ValueError(f"time = {time} must be 0 or greater")
    rising = borders.ndim == 1 and borders.size > 1 and np.all(np.diff(borders) > 0)
    if not rising or borders[0] != 0 or borders[-1] != 1:
        raise ValueError("edges must rise from 0 to 1")
    if steps.ndim != 2 or steps.shape[1] != borders.size - 1:
        raise ValueError(
            f"values has shape {steps.shape}: it must be (species, {borders.size - 1}), one column between two edges"
        )
    if time == 0:
        piece = np.clip(np.searchsorted(borders, place, side="right") - 1, 0, steps.shape[1] - 1)
        return np.asarray(steps[:, piece])
    held_left, held_right = (np.asarray(one, dtype=np.float64) for one in (left, right))
    wave = np.pi * np.arange(1, 1 + ceil(np.sqrt(LARGEST_EXPONENT / time) / np.pi))
    start = steps @ -np.diff(np.cos(np.outer(borders, wave)), axis=0)
    final = held_left[:, None] - held_right[:, None] * np.cos(wave)
    amplitudes = 2 * (start - final) / wave * np.exp(-(wave**2) * time)
    series = np.einsum("ak,k...->a...", amplitudes, np.sin(np.multiply.outer(wave, place)))
    linear = np.multiply.outer(held_left, 1 - place) + np.multiply.outer(held_right, place)
    return np.asarray(linear + series)


def lattice_heat_profile(process: ExchangeProcess, initial: ArrayLike, times: ArrayLike) -> Array:
    """Mean densities at macroscopic ``times`` from mean densities ``initial``, for this very size.

    ``initial``: ``(N,) + lattice.site_shape``. Returns ``(times, N) + lattice.site_shape``. Exact
    for any lattice, by diagonalising its Laplacian; takes the cube of the number of sites.

    Raises `ValueError` where the means do not obey a closed equation: with fields, or with several
    species and ``kappa`` other than 1.
    """
    if not process.has_linear_averages:
        raise ValueError("mean densities obey the heat equation only without fields, and with kappa = 1 or one species")
    lattice = process.lattice
    shape = (process.species, *lattice.site_shape)
    start = np.asarray(initial, dtype=np.float64)
    check_fractions("initial", start, shape)
    laplacian, source = _laplacian(process)
    decay, modes = np.linalg.eigh(laplacian)
    begun = start.reshape(process.species, -1) @ modes
    fed = source @ modes
    lapse = np.atleast_1d(np.asarray(times, dtype=np.float64))[:, None] * lattice.scale**2
    gained = np.where(decay < -1e-13, np.expm1(decay * lapse) / np.minimum(decay, -1e-13), lapse)
    amplitudes = np.exp(decay * lapse)[:, None] * begun + gained[:, None] * fed
    return np.asarray((amplitudes @ modes.T).reshape(-1, *shape))


def _laplacian(process: ExchangeProcess) -> tuple[Array, Array]:
    """Laplacian of the sites, and what the reservoirs feed into them, ``(N, sites)``."""
    sites, bonds = process.lattice.sites, process.lattice.bonds
    laplacian, source = np.zeros((sites, sites)), np.zeros((process.species, sites))
    for left, right, reservoir in zip(bonds.left, bonds.right, bonds.reservoir, strict=True):
        if reservoir == 0:
            laplacian[[left, right], [right, left]] += 1.0
            laplacian[[left, right], [left, right]] -= 1.0
        else:
            site = right if reservoir == 1 else left
            laplacian[site, site] -= 1.0
            source[:, site] += process.reservoirs[reservoir - 1, 1:]
    return laplacian, source
