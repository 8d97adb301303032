"""The units in which a case is computed, and the way back to SI.

Everything behind this file is dimensionless (docs/theory.md#scales): lengths in L, potentials in kT/e, densities in
particles a site (occupied fractions where a particle fills one), diffusivities in the largest one, times in L^2/D. A
dimensionless case has all scales equal to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.domain_tables import GivenMesh, Gmsh, Interval
from pnp_exclusion.case.quantities import (
    AVOGADRO,
    BOLTZMANN,
    ELEMENTARY_CHARGE,
    FARADAY,
    THERMAL_ENERGY,
    VACUUM_PERMITTIVITY,
    Quantity,
)
from pnp_exclusion.case.sizes import site_volume, sizes_of

POINT_ION_REFERENCE = 1000.0
"""mol/m^3: the unit of ``pnp`` without a lattice spacing, where a fraction is just a scaled concentration."""

READABLE = (1e-3, 1e4)
"""Of the largest extent in the unit in which the case gives it: tables and pictures keep a unit within these."""
_LENGTH_UNITS = (("nm", 1e-9), ("um", 1e-6), ("mm", 1e-3), ("m", 1.0))
"""The others; the first is taken in which the extent is a thousand at most."""


@dataclass(frozen=True)
class Scales:
    """SI value of every dimensionless unit; the units' names are empty for a dimensionless case."""

    si: bool
    length: float
    """m."""
    potential: float
    """kT/e in V."""
    concentration: float
    """Of one particle a site, mol/m^3."""
    diffusivity: float
    """m^2/s."""
    debye_length: float | None
    """lambda of Poisson's equation in units of ``length``; None with imposed fields."""
    length_unit: str = ""
    """The unit of lengths in results: that of the case's domain, or a handier one (`READABLE`)."""
    length_in_unit: float = 1.0
    """``length`` in ``length_unit``."""
    sizes: tuple[float, ...] = ()
    """How many sites a particle of every species fills."""

    @property
    def contents(self) -> np.ndarray:
        """What one particle a site of every species is, ``(N,)``: in mol/m^3, or a fraction without dimensions."""
        return np.full(len(self.sizes), self.concentration) if self.si else np.array(self.sizes)

    @property
    def displayed_contents(self) -> np.ndarray:
        """The same in the unit of profiles and fields, mol/L."""
        return self.contents / 1000.0 if self.si else self.contents

    @property
    def is_one_size(self) -> bool:
        """Whether every particle fills one site, so that all contents are the same fraction of a full lattice."""
        return set(self.sizes) <= {1.0}

    @property
    def thermal_energy(self) -> float:
        """kT in J."""
        return self.potential * ELEMENTARY_CHARGE if self.si else 1.0

    def in_thermal_energies(self, energy: Quantity) -> float:
        """Return an energy in kT."""
        return energy.value if energy.unit in ("", THERMAL_ENERGY) else energy.value / self.thermal_energy

    @property
    def force(self) -> float:
        """kT/L in N."""
        return self.thermal_energy / self.length

    @property
    def time(self) -> float:
        """L^2/D in s."""
        return self.length**2 / self.diffusivity

    @property
    def flux(self) -> float:
        """Density of particle flux, mol/m^2/s."""
        return self.diffusivity * self.concentration / self.length

    @property
    def current(self) -> float:
        """Density of electric current, A/m^2."""
        return self.flux * (FARADAY if self.si else 1.0)

    @property
    def surface_charge(self) -> float:
        """Charge per area, C/m^2."""
        return self.concentration * self.length * (FARADAY if self.si else 1.0)

    @property
    def capacitance(self) -> float:
        """Capacitance per area, F/m^2."""
        return self.surface_charge / self.potential

    @property
    def velocity(self) -> float:
        """A flux over a density, m/s."""
        return self.diffusivity / self.length

    @property
    def displayed_concentration(self) -> float:
        """Of one particle a site in the unit of profiles and fields, mol/L."""
        return self.concentration / 1000.0 if self.si else 1.0


def domain_length(case: Case) -> float | None:
    """Return L of the case, its largest extent in m (or dimensionless 1); None if only the mesh file knows it."""
    if not case.model.si:
        return 1.0
    match case.domain:
        case Interval(length=length):
            return length.value
        case Gmsh() | GivenMesh():
            return None
        case box:
            return max(length.value for length in box.size)


def scales_of(case: Case, length: float) -> Scales:
    """Return the scales of a case whose domain has the extent ``length`` (m; 1 for a dimensionless case)."""
    model = case.model
    if not model.si:
        return Scales(False, 1.0, 1.0, 1.0, 1.0, model.debye_length, sizes=sizes_of(model, case.species))
    temperature = model.temperature.value
    thermal_energy = BOLTZMANN * temperature
    site = site_volume(model, case.species)
    concentration = POINT_ION_REFERENCE if site is None else 1.0 / (AVOGADRO * site)
    permittivity = VACUUM_PERMITTIVITY * model.permittivity
    lambda_squared = permittivity * thermal_energy / (ELEMENTARY_CHARGE**2 * AVOGADRO * concentration * length**2)
    unit, unit_in_metres = _length_unit(case, length)
    return Scales(
        si=True,
        length=length,
        potential=thermal_energy / ELEMENTARY_CHARGE,
        concentration=concentration,
        diffusivity=max(species.diffusivity.value for species in case.species if species.diffusivity),
        debye_length=lambda_squared**0.5 if model.electrostatics == "poisson" else None,
        length_unit=unit,
        length_in_unit=length / unit_in_metres,
        sizes=sizes_of(model, case.species),
    )


def _length_unit(case: Case, length: float) -> tuple[str, float]:
    """The unit of lengths in results for a domain of an extent in m, and that unit in m."""
    match case.domain:
        case Interval(length=length_as_written):
            written = length_as_written
        case Gmsh() | GivenMesh() as mesh if mesh.unit is not None:
            written = mesh.unit
        case box:
            written = box.size[0]  # type: ignore[union-attr]
    least, most = READABLE
    if least <= length / (written.value / written.number) <= most:
        return written.unit, written.value / written.number
    return next(((name, size) for name, size in _LENGTH_UNITS if length <= 1e3 * size), _LENGTH_UNITS[-1])
