"""The engine in linear response, from the two legs' Onsager matrices. Numbers only.

Leg ``X`` carries the electric current ``I_X`` and the salt current ``Q_X`` (conjugate to the salinity ``s``), both from
the first reservoir to the second, at the voltage ``V_X`` and the salinity ``s``, in kT:

    I_X = L_VV V_X + L_VS s = g_X (V_X + S_X s) ,    Q_X = L_SV V_X + L_SS s = S_X I_X + kappa_X s ,

``g`` the conductance, ``S = L_VS / L_VV`` minus the zero-current voltage by salinity (the twin of the Seebeck
coefficient) and ``kappa = L_SS - L_VS^2 / L_VV`` the permeance to salt without current (that of the heat conductance).
Round the loop the current ``I = I_A = -I_B`` works against the load ``U = V_B - V_A``. With
``K = g_A g_B / (g_A + g_B)``, ``S = S_A - S_B`` and ``kappa = kappa_A + kappa_B``,

    I = K (S s - U) ,   Q = Q_A + Q_B = S I + kappa s ,   P = I U ,   eta = P / (Q s) ,

so that load and driver have the symmetric matrix ``[[K, K S], [K S, K S^2 + kappa]]``, the load's force being ``-U``,
with

    Z = K S^2 / kappa ,   P_max = K S^2 s^2 / 4 ,

the twins of YT and P_max of Benenti, Casati, Marchesoni, Wang, Phys. Rev. E 106, 044104 (2022); eta_max and eta(P_max)
as in `pnp_exclusion.studies.coupled.conversion`. ``Q s`` is the free energy of mixing that reservoirs lose per time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.studies.coupled.conversion import Conversion

type Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearLeg:
    """One leg: its Onsager matrix ``(2, 2)`` by voltage and salinity, times its area."""

    matrix: Array

    @property
    def conductance(self) -> float:
        """``g``."""
        return float(self.matrix[0, 0])

    @property
    def voltage_by_salinity(self) -> float:
        """``S``: minus the voltage at which a salinity of one kT drives no current."""
        return float(0.5 * (self.matrix[0, 1] + self.matrix[1, 0]) / self.matrix[0, 0])

    @property
    def permeance(self) -> float:
        """``kappa``: salt current by salinity without electric current."""
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
    def voltage_by_salinity(self) -> float:
        """``S = S_A - S_B``: the open-circuit voltage by salinity."""
        return self.first.voltage_by_salinity - self.second.voltage_by_salinity

    @property
    def permeance(self) -> float:
        """``kappa``: of both legs side by side."""
        return self.first.permeance + self.second.permeance

    @property
    def conversion(self) -> Conversion:
        """Load and driver, the load's force being minus its voltage."""
        k, s = self.conductance, self.voltage_by_salinity
        return Conversion(np.array([[k, k * s], [k * s, k * s**2 + self.permeance]]))

    @property
    def figure_of_merit(self) -> float:
        """``Z = K S^2 / kappa``, the twin of YT."""
        return float(self.conductance * self.voltage_by_salinity**2 / self.permeance)

    def best_power(self, salinity: float) -> float:
        """``P_max = K S^2 s^2 / 4``."""
        return float(0.25 * self.conductance * (self.voltage_by_salinity * salinity) ** 2)

    def open_circuit_voltage(self, salinity: float) -> float:
        """``U = S s``, at which no current flows."""
        return float(self.voltage_by_salinity * salinity)
