"""``[[boundaries]]``: one table a kind, with the condition that it stands for.

A new kind is a class here, an entry in `AnyBoundary`, and its condition in `pnp_exclusion.physics.boundaries`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Protocol, override

from pydantic import Field

from pnp_exclusion.case.base import GroupName, Number, Positive, Table
from pnp_exclusion.case.quantities import Concentration, Dimension, MolarFlux, Potential, Quantity, Temperature
from pnp_exclusion.physics import boundaries


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


class Surroundings(Protocol):
    """What a boundary must know of the rest of its case."""

    @property
    def scales(self) -> Scales:
        """Units."""
        ...

    def fractions(self, where: str) -> Mapping[str, float]:
        """Occupied fractions that a boundary holds, above zero."""
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

    def at_blocking(self, potential: Quantity) -> float:
        """Of that at one which holds a potential and lets ions pile up."""
        ...


class Boundary(Table):
    """What every ``[[boundaries]]`` has."""

    numbers: ClassVar[tuple[str, ...]] = ("temperature", "inverse_temperature")
    """Keys whose values are numbers of a compiled form; whether they are given at all is structure."""
    needs_potential: ClassVar[bool] = False
    """Whether ``potential`` must be given with ``electrostatics = "poisson"``."""
    electrostatic: ClassVar[tuple[str, ...]] = ("potential",)
    """Keys that have no effect with ``electrostatics = "imposed"``."""

    kind: str
    where: GroupName
    """left, right, bottom, top, back, front, or a physical group of the gmsh file: its name, or its number if it has
    none."""
    temperature: Temperature | None = None
    """Held under a law with a temperature; needed where contents are held. Without it no heat passes by itself."""
    inverse_temperature: Positive | None = None
    """Instead of it: ``1/T``, of which the force on energy is a difference."""

    @property
    def dirichlet_potential(self) -> Quantity | None:
        """The potential that is given."""
        return None

    @property
    def amounts(self) -> Mapping[str, float]:
        """What is held, per species: SI concentrations (mol/m^3), or fractions in a dimensionless case."""
        return {}

    @property
    def held(self) -> frozenset[str]:
        """Species of which an amount or a chemical potential is given."""
        return frozenset(self.amounts)

    @property
    def held_temperature(self) -> float | None:
        """The temperature that is given, in one way or the other."""
        if self.inverse_temperature is not None:
            return 1.0 / self.inverse_temperature
        return None if self.temperature is None else self.temperature.value

    @property
    def fluxes(self) -> Mapping[str, Quantity]:
        """Fluxes that are given, per species, positive out of the domain."""
        return {}

    @abstractmethod
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        """Return what the weak form takes."""

    def layer(self, sizes: LayerSizes) -> float:
        """Return the thickness of the layer that the boundary makes, for the mesh."""
        return math.inf


class Contents(Boundary):
    """A boundary that holds species at given amounts."""

    concentration: dict[str, Concentration] = Field(default_factory=dict)
    """SI: per species."""
    fraction: dict[str, Number] = Field(default_factory=dict)
    """Occupied fraction per species, in a dimensionless case."""
    chemical_potential: dict[str, Number] = Field(default_factory=dict)
    """Instead of these, under a law with a temperature: ``mu_a/T`` per species, of which forces are differences."""
    potential: Potential | None = None
    """Needed with ``electrostatics = "poisson"``, refused with "imposed"."""

    numbers: ClassVar[tuple[str, ...]] = (
        "potential",
        "concentration",
        "fraction",
        "chemical_potential",
        *Boundary.numbers,
    )
    needs_potential: ClassVar[bool] = True

    @property
    @override
    def dirichlet_potential(self) -> Quantity | None:
        return self.potential

    @property
    @override
    def amounts(self) -> Mapping[str, float]:
        return {**{name: c.value for name, c in self.concentration.items()}, **self.fraction}

    @property
    @override
    def held(self) -> frozenset[str]:
        return frozenset([*self.amounts, *self.chemical_potential])


class Reservoir(Contents):
    """``kind = "reservoir"``: every species but closed ones, the potential and the temperature are given."""

    kind: Literal["reservoir"] = "reservoir"

    @override
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        fractions, potential = surroundings.fractions(self.where), surroundings.potential(self.potential)
        return boundaries.Reservoir(self.where, fractions, potential)

    @override
    def layer(self, sizes: LayerSizes) -> float:
        return math.inf if self.potential is None else sizes.at_potential()


class Electrode(Contents):
    """``kind = "electrode"``: the potential is given; a species is blocked unless its amount is given."""

    kind: Literal["electrode"] = "electrode"

    @override
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        potential, fractions = surroundings.potential(self.potential), surroundings.fractions(self.where)
        return boundaries.Electrode(self.where, potential, fractions)

    @override
    def layer(self, sizes: LayerSizes) -> float:
        return math.inf if self.potential is None else sizes.at_blocking(self.potential)


SurfaceCharge = Annotated[Quantity, Dimension("a charge per area", ("C/m^2",), "-0.05 C/m^2")]


class Wall(Boundary):
    """``kind = "wall"``: blocks every species; carries a given charge, or none, as boundaries that are not named."""

    kind: Literal["wall"] = "wall"
    surface_charge: SurfaceCharge | None = None
    """Charge per area that does not move; dimensionless: elementary charges a site, times the length L."""

    numbers: ClassVar[tuple[str, ...]] = ("surface_charge", *Boundary.numbers)
    electrostatic: ClassVar[tuple[str, ...]] = ("surface_charge",)

    @override
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        if self.surface_charge is None:
            return boundaries.Wall(self.where)
        return boundaries.Wall(self.where, self.surface_charge.value / surroundings.scales.surface_charge)

    @override
    def layer(self, sizes: LayerSizes) -> float:
        """Return the Debye length, or that of Gouy and Chapman, ``2 lambda^2/(z sigma)``, if it is less."""
        if self.surface_charge is None or not self.surface_charge.value:
            return math.inf
        charge = abs(self.surface_charge.value) / sizes.scales.surface_charge
        return min(sizes.at_potential(), 2.0 * sizes.debye_length**2 / (sizes.largest_valence * charge))


class Flux(Boundary):
    """``kind = "flux"``: the outward flux of some species is given, the others are blocked."""

    kind: Literal["flux"] = "flux"
    flux: dict[str, MolarFlux]
    """Per species, positive out of the domain."""
    potential: Potential | None = None
    """Held if given; otherwise the boundary carries no charge."""

    numbers: ClassVar[tuple[str, ...]] = ("potential", "flux", *Boundary.numbers)

    @property
    @override
    def dirichlet_potential(self) -> Quantity | None:
        return self.potential

    @property
    @override
    def fluxes(self) -> Mapping[str, Quantity]:
        return self.flux

    @override
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        fluxes = {name: flux.value / surroundings.scales.flux for name, flux in self.flux.items()}
        return boundaries.PrescribedFlux(self.where, fluxes, surroundings.potential(self.potential))

    @override
    def layer(self, sizes: LayerSizes) -> float:
        return math.inf if self.potential is None else sizes.at_blocking(self.potential)


KINDS: tuple[type[Boundary], ...] = (Reservoir, Electrode, Wall, Flux)
AnyBoundary = Annotated[Reservoir | Electrode | Wall | Flux, Field(discriminator="kind")]
