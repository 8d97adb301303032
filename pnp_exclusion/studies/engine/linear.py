"""The engine in linear response, from the two legs' Onsager matrices. Numbers only.

Leg ``X`` carries the current ``I_X`` of what circulates, conjugate to its force ``V_X``, and that of the driver,
``Q_X``, conjugate to the driver's force ``s``; both from the first reservoir to the second:

    I_X = L_VV V_X + L_Vs s = g_X (V_X + S_X s) ,    Q_X = L_sV V_X + L_ss s = S_X I_X + kappa_X s ,

``g`` the conductance, ``S = L_Vs / L_VV`` minus the force at which a unit of ``s`` drives no current (``r`` of a gas,
the twin of the Seebeck coefficient) and ``kappa = L_ss - L_Vs^2 / L_VV`` what leaks of the driver without a current.
Round the loop the current ``I = I_A = -I_B`` works against the load ``U = V_B - V_A``. With
``K = g_A g_B / (g_A + g_B)``, ``S = S_A - S_B`` and ``kappa = kappa_A + kappa_B``,

    I = K (S s - U) ,   Q = Q_A + Q_B = S I + kappa s ,   P = I U ,   eta = P / (Q s) ,

so that load and driver have the symmetric matrix ``[[K, K S], [K S, K S^2 + kappa]]``, the load's force being ``-U``,
with

    Z = K S^2 / kappa ,   P_max = K S^2 s^2 / 4 ;

``Z`` is YT of Benenti, Casati, Marchesoni, Wang, Phys. Rev. E 106, 044104 (2022), and ``eta`` the efficiency over
Carnot's; eta_max and eta(P_max) as in `pnp_exclusion.studies.coupled.conversion`. ``Q s`` is what the reservoirs lose
per time: free energy of mixing in kT, or entropy that they do not gain if the load takes it all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.studies.coupled.conversion import Conversion

type Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearLeg:
    """One leg: its Onsager matrix ``(2, 2)`` by the forces on what circulates and of the driver, times its area."""

    matrix: Array

    @property
    def conductance(self) -> float:
        """``g``."""
        return float(self.matrix[0, 0])

    @property
    def ratio(self) -> float:
        """``S``: minus the force at which a driver of one drives no current."""
        return float(0.5 * (self.matrix[0, 1] + self.matrix[1, 0]) / self.matrix[0, 0])

    @property
    def leakage(self) -> float:
        """``kappa``: the driver's current by its force where nothing circulates."""
        return float(np.linalg.det(self.matrix) / self.matrix[0, 0])


@dataclass(frozen=True)
class LinearEngine:
    """Two legs in a loop."""

    first: LinearLeg
    second: LinearLeg

    @property
    def conductance(self) -> float:
        """``K``: of both legs in series."""
        a, b = self.first.conductance, self.second.conductance
        return a * b / (a + b)

    @property
    def ratio(self) -> float:
        """``S = S_A - S_B``: the load that stops the current, by the driver."""
        return self.first.ratio - self.second.ratio

    @property
    def leakage(self) -> float:
        """``kappa``: of both legs side by side."""
        return self.first.leakage + self.second.leakage

    @property
    def conversion(self) -> Conversion:
        """Load and driver, the load's force being minus the load."""
        k, s = self.conductance, self.ratio
        return Conversion(np.array([[k, k * s], [k * s, k * s**2 + self.leakage]]))

    @property
    def figure_of_merit(self) -> float:
        """``Z = K S^2 / kappa``: YT."""
        return float(self.conductance * self.ratio**2 / self.leakage)

    def best_power(self, driver: float) -> float:
        """``P_max = K S^2 s^2 / 4``."""
        return float(0.25 * self.conductance * (self.ratio * driver) ** 2)

    def stopping_load(self, driver: float) -> float:
        """``U = S s``, at which no current flows."""
        return float(self.ratio * driver)
