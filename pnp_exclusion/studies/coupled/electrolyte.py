"""What electrochemistry reads off the response of a membrane to voltage and salinity.

With currents and forces from the first end to the second, ``V`` the drop of the electric potential (kT/e), ``s`` that
of the chemical potentials by a common factor on all contents of the first reservoir (kT, see `directions`), the
electric current ``I = sum z_a J_a`` and the current of all ions ``J = sum J_a`` (of those that pass):

conductance
    ``dI/dV`` at fixed contents.
transport number
    ``t_a = z_a (dJ_a/dV) / (dI/dV)``: the share of the electric current that ``a`` carries. They add up to 1.
zero-current voltage
    ``-(dI/ds) / (dI/dV)``: what a salinity of one kT builds up when no electric current flows; about equilibrium
    ``-sum t_a / z_a`` (Kontturi, Murtomaki, Manzanares, Ionic Transport Processes (Oxford, 2008), membrane potential).
permeability
    ``(dJ/ds)_{I=0} (ds/dc)``, ``c`` the concentration of all ions in the first reservoir: the diffusive permeability
    to the salt, ``omega RT`` of Kedem, Katchalsky, Biochim. Biophys. Acta 27, 229 (1958). ``ds/dc = 1/c`` for point
    ions and ``1/c + 1/rho_0`` on a lattice, where ``rho_0`` is what all ions leave free.

Beside closed species of a crowded law contents do not fix chemical potentials alone; fixed are then these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.physics.free_energies import FreeEnergy, IdealGas, LatticeGas
from pnp_exclusion.studies.coupled.response import Response

type Array = NDArray[np.float64]


@dataclass(frozen=True)
class Electrolyte:
    """Response to voltage and salinity about a steady state, dimensionless.

    matrix
        ``(2, 2)``: electric current and current of all ions (rows) by voltage and salinity (columns).
    transport_numbers
        By species, nan if no current answers to the voltage.
    permeability
        In D/L; None for a free energy of one's own.
    """

    matrix: Array
    transport_numbers: dict[str, float]
    permeability: float | None

    @property
    def conductance(self) -> float:
        """``dI/dV``."""
        return float(self.matrix[0, 0])

    @property
    def zero_current_voltage(self) -> float:
        """kT/e per kT of salinity."""
        return float(-self.matrix[0, 1] / self.matrix[0, 0])


def electrolyte(response: Response, charges: Array, rho: Array, vacancy: float, energy: FreeEnergy) -> Electrolyte:
    """Return what a response means for an electrolyte.

    charges, rho
        ``(N,)``: valences of the species that pass, not all zero, and their fractions at the first end.
    vacancy
        Fraction that is free there.
    """
    assert response.to_potential is not None
    to_voltage = response.to_contents @ charges + response.to_potential
    to_salinity = response.to_contents.sum(axis=1)
    rows = np.stack([charges, np.ones_like(charges)])
    matrix = rows @ np.column_stack([to_voltage, to_salinity])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = charges * to_voltage / matrix[0, 0]
    at_no_current = matrix[1, 1] - matrix[1, 0] * matrix[0, 1] / matrix[0, 0]
    rise = _salinity_by_concentration(float(rho.sum()), vacancy, energy)
    return Electrolyte(
        matrix,
        dict(zip(response.species, shares.tolist(), strict=True)),
        None if rise is None else float(at_no_current * rise),
    )


def _salinity_by_concentration(rho: float, vacancy: float, energy: FreeEnergy) -> float | None:
    """``ds / d(sum rho)`` for contents that change by a common factor."""
    match energy:
        case IdealGas():
            return 1.0 / rho
        case LatticeGas():
            return 1.0 / rho + 1.0 / vacancy
    return None
