"""Units of what coupled transport reports; a dimensionless case has factors of one and no units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pnp_exclusion.case.quantities import AVOGADRO
from pnp_exclusion.case.scales import Scales


@dataclass(frozen=True)
class Units:
    """SI values of dimensionless totals over a boundary: per area in one dimension, per length in two.

    boundary_dimension
        That of `Problem.boundary_dimension`.
    """

    scales: Scales
    boundary_dimension: int

    @property
    def _extent(self) -> float:
        return self.scales.length**self.boundary_dimension

    @property
    def _per(self) -> str:
        return ["/m^2", "/m", ""][self.boundary_dimension]

    @property
    def molar_energy(self) -> float:
        """kT of every particle of a mole, ``RT`` in J/mol."""
        return self.scales.thermal_energy * AVOGADRO if self.scales.si else 1.0

    @property
    def flux(self) -> tuple[float, str]:
        """Of currents of particles."""
        return self.scales.flux * self._extent, self._name(f"mol{self._per}/s")

    @property
    def current(self) -> tuple[float, str]:
        """Of electric currents."""
        return self.scales.current * self._extent, self._name(f"A{self._per}")

    @property
    def dissipation(self) -> tuple[float, str]:
        """Of entropy production, as the summary of a run has it."""
        return self.flux[0], self._name(f"kT {self.flux[1]}")

    @property
    def power(self) -> tuple[float, str]:
        """Of free energy per time."""
        return self.flux[0] * self.molar_energy, self._name(f"W{self._per}")

    @property
    def onsager(self) -> tuple[float, str]:
        """Of ``J_a/F_b`` with forces in J/mol."""
        return self.flux[0] / self.molar_energy, self._name(f"mol^2/J{self._per}/s")

    @property
    def conductance(self) -> tuple[float, str]:
        """Of electric current over voltage."""
        return self.current[0] / self.scales.potential, self._name(f"S{self._per}")

    @property
    def permeability(self) -> tuple[float, str]:
        """Of a current of particles over a difference of concentrations."""
        unit = ["m/s", "m^2/s", "m^3/s"][self.boundary_dimension]
        return self.flux[0] / self.scales.concentration, self._name(unit)

    @property
    def potential(self) -> tuple[float, str]:
        """Of voltages."""
        return self.scales.potential, self._name("V")

    @property
    def time(self) -> tuple[float, str]:
        """Of times."""
        return self.scales.time, self._name("s")

    @property
    def volume(self) -> tuple[float, str]:
        """Of volumes, over what currents are over."""
        return self.scales.length * self._extent, self._name(["m", "m^2", "m^3"][self.boundary_dimension])

    @property
    def energy(self) -> tuple[float, str]:
        """Of free energy."""
        return self.power[0] * self.scales.time, self._name(f"J{self._per}")

    @property
    def resistance(self) -> tuple[float, str]:
        """Of voltage over electric current."""
        return self.potential[0] / self.current[0], self._name(["ohm m^2", "ohm m", "ohm"][self.boundary_dimension])

    def _name(self, unit: str) -> str:
        return unit if self.scales.si else ""


def in_units(value: float, scale: tuple[float, str]) -> dict[str, Any]:
    """A number as results hold it: its value and its unit."""
    return {"value": float(value) * scale[0], "unit": scale[1]}


def shown(value: float, scale: tuple[float, str]) -> str:
    """A number for people."""
    return f"{float(value) * scale[0]:.5g} {scale[1]}".rstrip()
