"""Cross-sections: what a domain of one or two dimensions stands for in space, as the weight of every integral.

Dimensionless, in units of L. A new one is one more class; nothing else changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

import numpy as np
import ufl
from dolfinx import fem

from pnp_exclusion.mesh.domain import Domain


class CrossSection(ABC):
    """What stands on every point of a domain.

    dimension
        Its own: 1 for the circle that a point describes around an axis, 2 for the section of a channel.
    """

    dimension: int

    @abstractmethod
    def weight(self, domain: Domain) -> Any:
        """Return its size as a UFL expression."""

    @abstractmethod
    def at(self, points: np.ndarray) -> np.ndarray:
        """Return its size at points ``(n, 3)``."""

    def wall(self, domain: Domain) -> Any:
        """Return the size of its own wall over its size as a UFL expression; 0 where walls are boundaries."""
        return 0.0

    def wall_at(self, points: np.ndarray) -> np.ndarray:
        """Return the same at points ``(n, 3)``."""
        return np.zeros(len(points))


@dataclass(frozen=True)
class AroundAxis(CrossSection):
    """The circle ``2 pi r`` that every point of a half-plane describes around its edge ``r = 0``.

    radial
        Which coordinate is the distance from the axis: 0 or 1.
    """

    radial: int = 0
    dimension = 1

    @override
    def weight(self, domain: Domain) -> Any:
        return 2.0 * ufl.pi * ufl.SpatialCoordinate(domain.mesh)[self.radial]

    @override
    def at(self, points: np.ndarray) -> np.ndarray:
        around: np.ndarray = 2.0 * np.pi * points[:, self.radial]
        return around


CHANNEL_DEGREE = 4
"""Of the polynomials by which a section is integrated in every cell: those of cones and tables are exact."""


@dataclass(frozen=True)
class Channel(CrossSection):
    """The section of a channel along x, whose wall is round.

    area
        Of the section at positions ``(n,)``, positive.
    """

    area: Callable[[np.ndarray], np.ndarray]
    dimension = 2

    @override
    def weight(self, domain: Domain) -> Any:
        return self._in_cells(domain, self.area)

    @override
    def at(self, points: np.ndarray) -> np.ndarray:
        return self.area(points[:, 0])

    @override
    def wall(self, domain: Domain) -> Any:
        return self._in_cells(domain, self._perimeter) / self._in_cells(domain, self.area)

    @override
    def wall_at(self, points: np.ndarray) -> np.ndarray:
        return self._perimeter(points[:, 0]) / self.area(points[:, 0])

    def _perimeter(self, x: np.ndarray) -> np.ndarray:
        perimeter: np.ndarray = 2.0 * np.sqrt(np.pi * self.area(x))
        return perimeter

    @staticmethod
    def _in_cells(domain: Domain, values: Callable[[np.ndarray], np.ndarray]) -> fem.Function:
        """Return a polynomial in every cell through values in it: another section compiles nothing anew."""
        space = fem.functionspace(domain.mesh, ("Discontinuous Lagrange", CHANNEL_DEGREE))
        function = fem.Function(space)
        x, cells = space.tabulate_dof_coordinates()[:, 0], space.dofmap.list
        # from within each cell, where a table may jump at its ends
        middles = domain.cell_midpoints()[:, 0]
        inside = x.copy()
        inside[cells] = middles[:, None] + (x[cells] - middles[:, None]) * (1.0 - 1e-9)
        function.x.array[:] = values(inside)
        return function
