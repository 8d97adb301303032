"""The slowest density modes of a lattice: what a run is long or short against."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.lattice.geometry import Lattice

Array = NDArray[np.float64]


class SlowModes(NamedTuple):
    """Slowest eigenvectors of the lattice Laplacian and their common decay.

    ``weights``: one mode a row, ``(modes, sites)``, of unit length; ``relaxation_time``: inverse of
    the smallest decay rate, macroscopic units. This is exactly the slowest mean density at zero
    fields and ``kappa`` 1, and only a first guess otherwise.
    """

    weights: Array
    relaxation_time: float


def slow_modes(lattice: Lattice) -> SlowModes:
    """Slowest modes along the channel and, in two dimensions, across it."""
    along, along_rate = _along(lattice)
    flat = np.ones((1, lattice.width))
    shapes, rates = [np.einsum("mi,ky->mkiy", along, flat)], [along_rate]
    if lattice.width > 1:
        across, across_rate = _across(lattice)
        # Between reservoirs nothing is uniform along, so across modes ride on the slowest along.
        reservoirs = lattice.ends == "reservoirs"
        base = along if reservoirs else np.ones((1, lattice.length))
        shapes.append(np.einsum("mi,ky->mkiy", base, across))
        rates.append(across_rate + (along_rate if reservoirs else 0.0))
    weights = np.concatenate([shape.reshape(-1, lattice.sites) for shape in shapes])
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return SlowModes(weights, 1.0 / (min(rates) * lattice.scale**2))


def _along(lattice: Lattice) -> tuple[Array, float]:
    x = lattice.positions
    if lattice.ends == "reservoirs":
        return np.sin(np.pi * x)[None], _decay(np.pi / lattice.scale)
    if lattice.ends == "closed":
        return np.cos(np.pi * x)[None], _decay(np.pi / lattice.scale)
    return _pair(2 * np.pi * x), _decay(2 * np.pi / lattice.scale)


def _across(lattice: Lattice) -> tuple[Array, float]:
    y = np.arange(lattice.width) / lattice.width
    if lattice.across == "periodic":
        return _pair(2 * np.pi * y), _decay(2 * np.pi / lattice.width)
    return np.cos(np.pi * (y + 0.5 / lattice.width))[None], _decay(np.pi / lattice.width)


def _pair(phase: Array) -> Array:
    return np.stack([np.cos(phase), np.sin(phase)])


def _decay(wave_number: float) -> float:
    return float(2 * (1 - np.cos(wave_number)))
