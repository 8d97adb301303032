"""Coupling at any drive: the master identity turns the profile into a symmetric matrix, ``J = K F`` exactly.

For a stationary state in one dimension ``F = <M^-1> J`` (docs/theory.md#master-identity), so that with
``K = <M^-1>^-1`` the formulas of linear theory hold for the state itself, however far from equilibrium: ``K`` is
symmetric and positive, and depends on the drive through the profile alone. For `shdl`, with ``G_a = 1/<1/rho_a>``,
``G_0`` that of the vacancies,

    K_ab = G_a delta_ab - G_a G_b / sum_{c>=0} G_c ,    Z = G_1 G_2 / (G_0 (G_0 + G_1 + G_2))   (two species),

which is ``rho_1 rho_2 / rho_0`` about a uniform state and zero for laws of diagonal mobility.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[np.float64]


def conductances(resistance: Array) -> Array:
    """Return ``K = <M^-1>^-1`` from ``<M^-1>``, both ``(N, N)``, symmetric to the last bit."""
    # entries of very unlike size: solve in units of each species' own resistance
    unit = np.sqrt(np.diagonal(resistance))
    inverse = np.linalg.inv(resistance / np.outer(unit, unit)) / np.outer(unit, unit)
    symmetric: Array = 0.5 * (inverse + inverse.T)
    return symmetric


@dataclass(frozen=True)
class StirringConductances:
    """The ``G`` of `shdl`: one a species, and that of the vacancies."""

    species: Array
    vacancy: float

    @property
    def figure_of_merit(self) -> float:
        """``Z = G_1 G_2 / (G_0 (G_0 + G_1 + G_2))`` of two species; ValueError for another number."""
        if len(self.species) != 2:
            raise ValueError(f"the formula is for two species, and there are {len(self.species)}")
        first, second = self.species
        return float(first * second / (self.vacancy * (self.vacancy + first + second)))


def stirring_conductances(resistance: Array) -> StirringConductances:
    """Return the ``G`` from ``<M^-1>`` of `shdl`, which is ``diag(<1/rho_a>) + <1/rho_0>``, the same in every entry.

    Raises ValueError for one species, whose share in its resistance cannot be told from the vacancies'.
    """
    count = len(resistance)
    if count < 2:
        raise ValueError("one species alone does not tell its resistance from that of the vacancies")
    vacancy = float(resistance[~np.eye(count, dtype=bool)].mean())
    return StirringConductances(1.0 / (np.diagonal(resistance) - vacancy), 1.0 / vacancy)
