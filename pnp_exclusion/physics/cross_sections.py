"""Cross-sections: what a domain of one or two dimensions stands for in space, as the weight of every integral.

Dimensionless, in units of L. A new one is one more class; nothing else changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, override

import numpy as np
import ufl

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
