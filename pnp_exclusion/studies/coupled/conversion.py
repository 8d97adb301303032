"""Two forces and two currents: how well one drives the other against its load. Numbers only, no meshes.

Linear irreversible thermodynamics of a load (index 0) and a driver (index 1), at one temperature:

    J_0 = L_00 X_0 + L_01 X_1 ,   J_1 = L_10 X_0 + L_11 X_1 ,   L symmetric (Onsager) and positive.

The driver's current runs down its force, which consumes the free energy ``J_1 X_1`` per time; the load's runs against
its force, which delivers the power ``P = -J_0 X_0``; the difference is the entropy production. The efficiency is
``eta = P / (J_1 X_1)``, at most 1. With ``Z = L_01^2 / det L`` (docs/theory.md#coupled; Benenti, Casati, Saito,
Whitney, Phys. Rep. 694, 1 (2017), with 1 in the place of Carnot's efficiency):

    eta_max = (sqrt(1 + Z) - 1) / (sqrt(1 + Z) + 1) ,   eta(P_max) = Z / (2 (Z + 2)) ,
    eta(P)  = x / (2 [1 + 2/Z -/+ sqrt(1 - x)]) ,   x = P / P_max   (minus: the efficient branch).

Units are the caller's: currents times forces are powers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

type Array = NDArray[np.float64]

LEAST_COUPLING = 1e-9
"""Of the geometric mean of the diagonal: a coefficient below it is rounding, and couples nothing."""
BEST_SHARP = 1e-4
"""Of the range: how sharply the best loads are found; powers there are flat, and good to its square."""


@dataclass(frozen=True)
class Conversion:
    """A load and a driver with their ``(2, 2)`` matrix, load first.

    Raises ValueError for another shape, or a matrix that would destroy entropy.
    """

    matrix: Array

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (2, 2):
            raise ValueError(f"matrix: expected shape (2, 2), load and driver, not {matrix.shape}")
        object.__setattr__(self, "matrix", matrix)
        if not (matrix[0, 0] > 0.0 and matrix[1, 1] > 0.0 and self.degree_of_coupling**2 < 1.0):
            raise ValueError("matrix: its diagonal and its determinant must be positive, or entropy would be destroyed")

    @property
    def degree_of_coupling(self) -> float:
        """``q = L_01 / sqrt(L_00 L_11)``, -1..1 (Kedem, Caplan, Trans. Faraday Soc. 61, 1897 (1965))."""
        return float(self._cross / np.sqrt(self.matrix[0, 0] * self.matrix[1, 1]))

    @property
    def couples(self) -> bool:
        """Whether one drives the other at all."""
        return abs(self.degree_of_coupling) > LEAST_COUPLING

    @property
    def figure_of_merit(self) -> float:
        """``Z = L_01^2 / det L = q^2 / (1 - q^2)``, zero or more; zero where the two do not know of each other."""
        squared = self.degree_of_coupling**2
        return float(squared / (1.0 - squared))

    @property
    def best_efficiency(self) -> float:
        """``eta_max``, over all loads."""
        return best_efficiency(self.figure_of_merit)

    @property
    def efficiency_at_best_power(self) -> float:
        """``eta(P_max)``."""
        return efficiency_at_best_power(self.figure_of_merit)

    def stopping_load(self, driver: float) -> float:
        """The load's force at which its current vanishes, ``X_0 = -(L_01 / L_00) X_1``."""
        return float(-self._cross / self.matrix[0, 0] * driver)

    def best_power(self, driver: float) -> float:
        """``P_max = (L_01 X_1)^2 / (4 L_00)``, at half the stopping load."""
        return float((self._cross * driver) ** 2 / (4.0 * self.matrix[0, 0]))

    def currents(self, load: ArrayLike, driver: float) -> Array:
        """Currents ``(2, ...)`` for forces on the load, of any shape, and one on the driver."""
        x = np.asarray(load, dtype=np.float64)
        currents: Array = np.tensordot(self.matrix, np.stack([x, np.full_like(x, driver)]), axes=1)
        return currents

    def power(self, load: ArrayLike, driver: float) -> Array:
        """``P = -J_0 X_0``."""
        power: Array = -self.currents(load, driver)[0] * np.asarray(load, dtype=np.float64)
        return power

    def efficiency(self, load: ArrayLike, driver: float) -> Array:
        """``eta = -J_0 X_0 / (J_1 X_1)``."""
        efficiency: Array = self.power(load, driver) / (self.currents(load, driver)[1] * driver)
        return efficiency

    @property
    def _cross(self) -> float:
        return float(0.5 * (self.matrix[0, 1] + self.matrix[1, 0]))


def best_efficiency(figure_of_merit: float) -> float:
    """``eta_max = (sqrt(1 + Z) - 1) / (sqrt(1 + Z) + 1)``, without cancellation for small Z."""
    root = float(np.sqrt(1.0 + figure_of_merit))
    return float(figure_of_merit / (root + 1.0) ** 2)


def efficiency_at_best_power(figure_of_merit: float) -> float:
    """``eta(P_max) = Z / (2 (Z + 2))``."""
    return 0.5 * figure_of_merit / (figure_of_merit + 2.0)


def trade_off(figure_of_merit: float, share_of_power: ArrayLike) -> tuple[Array, Array]:
    """Efficiency at a share ``x = P / P_max`` of the greatest power, on both branches.

    Returns the efficient branch (loads beyond that of greatest power) and the other, each of the shape of
    ``share_of_power``. Raises ValueError for shares outside 0..1 or ``Z <= 0``.
    """
    share = np.asarray(share_of_power, dtype=np.float64)
    if not figure_of_merit > 0.0:
        raise ValueError(f"figure_of_merit: must be positive for any power at all, not {figure_of_merit:g}")
    if not np.all((share >= 0.0) & (share <= 1.0)):
        raise ValueError("share_of_power: P / P_max lies between 0 and 1")
    root, loss = np.sqrt(1.0 - share), 2.0 / figure_of_merit
    # (1 - root) as share / (1 + root): it is small where the power is
    efficient: Array = 0.5 * share / (share / (1.0 + root) + loss)
    wasteful: Array = 0.5 * share / (1.0 + root + loss)
    return efficient, wasteful


def greatest[Point](
    at: Callable[[float], Point], quantity: Callable[[Point], float], top: float, known: Iterable[Point]
) -> Point:
    """Return the point with the greatest quantity under loads from zero to ``top``, or of those known already."""
    found = minimize_scalar(
        lambda share: -quantity(at(share * top)), bounds=(0.0, 1.0), method="bounded", options={"xatol": BEST_SHARP}
    )
    return max([at(float(found.x) * top), *known], key=quantity)
