"""What the Onsager matrix of particles and energy says of a gas with one open kind. Numbers only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Onsager:
    """Currents of particles and energy by their forces, the falls of ``mu/T`` and ``-1/T`` from left to right.

    matrix
        ``[[L_rr, L_ru], [L_ur, L_uu]]`` over the length, so that ``J = matrix @ F``.
    """

    matrix: Array

    @property
    def conductance(self) -> float:
        """``G``: the current of particles by their own force."""
        return float(self.matrix[0, 0])

    @property
    def ratio(self) -> float:
        """``r = L_ru/L_rr``: the energy that a particle carries at one temperature."""
        return self._cross / self.conductance

    @property
    def heat_conductance(self) -> float:
        """``L_uu - L_ru^2/L_rr``: the current of energy by ``F_u`` where no particles flow."""
        return float(self.matrix[1, 1] - self._cross**2 / self.matrix[0, 0])

    @property
    def figure_of_merit(self) -> float:
        """``L_ru^2/det L``: YT of this gas by itself, energies counted as in the matrix."""
        return self._cross**2 / (self.conductance * self.heat_conductance)

    @property
    def inverse_particles(self) -> float:
        """The ``F_u/F_rho`` above which particles flow against both forces; infinite where they never do."""
        return -self.conductance / self._cross if self._cross < 0 else np.inf

    @property
    def inverse_energy(self) -> float:
        """The ``F_u/F_rho`` below which energy flows against both forces, of one sign; 0 where it never does."""
        return max(0.0, -self._cross / float(self.matrix[1, 1]))

    @property
    def _cross(self) -> float:
        return float(self.matrix[0, 1] + self.matrix[1, 0]) / 2
