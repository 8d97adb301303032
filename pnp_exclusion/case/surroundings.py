"""What a boundary's table may ask of the case around it, to say its condition and how thin its layers are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from pnp_exclusion.case.quantities import Quantity


class Scales(Protocol):
    """What dimensionless numbers are multiplied by to give those of the case (`pnp_exclusion.case.scales.Scales`)."""

    @property
    def flux(self) -> float:
        """Density of particle flux."""
        ...

    @property
    def surface_charge(self) -> float:
        """Charge per area."""
        ...

    @property
    def current(self) -> float:
        """Density of electric current."""
        ...

    @property
    def capacitance(self) -> float:
        """Capacitance per area."""
        ...

    @property
    def displayed_concentration(self) -> float:
        """Of a full lattice, mol/L."""
        ...

    @property
    def velocity(self) -> float:
        """A rate of exchange, which is a flux over a density."""
        ...

    @property
    def length(self) -> float:
        """L."""
        ...

    @property
    def debye_length(self) -> float | None:
        """``lambda``; None with imposed fields."""
        ...


class Surroundings(Protocol):
    """What a boundary must know of the rest of its case."""

    @property
    def scales(self) -> Scales:
        """Units."""
        ...

    def fractions(self, where: str) -> Mapping[str, float]:
        """Occupied fractions that a boundary holds, or exchanges with, above zero."""
        ...

    def content(self, species: str) -> float:
        """What one particle a site of a species is in mol/L, or as a fraction in a dimensionless case."""
        ...

    def permittivity(self, given: float) -> float:
        """A permittivity relative to that of the reference medium."""
        ...

    @property
    def total(self) -> float:
        """The unit of what totals over a boundary are integrals over: 1, L or L^2."""
        ...

    def potential(self, given: Quantity | None) -> float | None:
        """A potential relative to the middle of those that the case holds, kT/e."""
        ...


class LayerSizes(Protocol):
    """Thicknesses of layers in a case, in L."""

    @property
    def scales(self) -> Scales:
        """Units."""
        ...

    @property
    def debye_length(self) -> float:
        """``lambda``."""
        ...

    @property
    def largest_valence(self) -> float:
        """Of the species, 1 at least."""
        ...

    def at_potential(self) -> float:
        """Of the diffuse layer at a boundary that holds a potential and what is dissolved there."""
        ...

    def at_blocking(
        self, potential: Quantity, held: Collection[str] = (), stern_capacitance: float | None = None
    ) -> float:
        """Of that at one which holds a potential and lets ions pile up, but for those that it holds; behind a layer
        without ions or not."""
        ...

    @property
    def total(self) -> float:
        """The unit of what totals over a boundary are integrals over: 1, L or L^2."""
        ...

    def permittivity(self, given: float) -> float:
        """A permittivity relative to that of the reference medium."""
        ...
