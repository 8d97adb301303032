"""Reservoir compositions: checked once, then trusted."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

type Array = NDArray[np.float64]


def checked_fractions(name: str, fractions: ArrayLike) -> Array:
    """Occupied fractions (N,) of a reservoir, N >= 1, inside the open simplex.

    Raises ValueError naming the reservoir when a fraction is missing, not finite, not positive, or
    when together they leave no vacancy.
    """
    values = np.atleast_1d(np.asarray(fractions, dtype=np.float64))
    if values.ndim != 1 or values.size == 0:
        raise ValueError(
            f"{name}: expected one fraction per species, a sequence of N >= 1 numbers, but its shape is {values.shape}"
        )
    for species, value in enumerate(values):
        if not (math.isfinite(value) and value > 0.0):
            raise ValueError(
                f"{name}: the fraction of species {species} is {value:g}; it must be positive "
                "(use a small number such as 1e-14 for a species that is absent)"
            )
    packing = math.fsum(values)
    if packing >= 1.0:
        raise ValueError(
            f"{name}: the fractions reach a packing of {packing:.17g}; it must stay below 1, "
            "so that some vacancies are left"
        )
    return values


def checked_pair(left: ArrayLike, right: ArrayLike) -> tuple[Array, Array]:
    """Both reservoirs (N,), with the same species. Raises ValueError otherwise."""
    checked_left = checked_fractions("left", left)
    checked_right = checked_fractions("right", right)
    if len(checked_left) != len(checked_right):
        raise ValueError(
            f"right: has {len(checked_right)} species where left has {len(checked_left)}; "
            "both reservoirs must list the same species"
        )
    return checked_left, checked_right


def with_vacancy(fractions: Array) -> Array:
    """Composition (N+1,) with the vacancy fraction `1 - sum rho_a` as component 0."""
    return np.concatenate([[1.0 - math.fsum(fractions)], fractions])
