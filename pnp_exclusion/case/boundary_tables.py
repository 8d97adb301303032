"""``[[boundaries]]``: one table a kind, with the condition that it stands for.

A new kind is a class here, an entry in `AnyBoundary`, and its condition in `pnp_exclusion.physics.boundaries`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, override

from pydantic import BeforeValidator, Field, model_validator

from pnp_exclusion.case.base import GroupName, Name, Number, Positive, Table, refusal
from pnp_exclusion.case.quantities import (
    AVOGADRO,
    ELEMENTARY_CHARGE,
    ConcentrationInTime,
    Dimension,
    Length,
    MolarFlux,
    NumberInTime,
    Potential,
    Quantity,
    Temperature,
)
from pnp_exclusion.case.surroundings import LayerSizes, Surroundings
from pnp_exclusion.physics import boundaries


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
    """Held under a law with a temperature; needed where densities are held. Without it no heat passes by itself."""
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

    def given_total(self, surroundings: Surroundings) -> boundaries.GivenTotal | None:
        """Return what is given over the whole boundary in place of its potential, which is then found."""
        return None

    @property
    def floats(self) -> bool:
        """Whether its potential is found."""
        return False

    def layer(self, sizes: LayerSizes) -> float:
        """Return the thickness of the layer that the boundary makes, for the mesh."""
        return math.inf


BLOCKED_CURRENT = (
    "an electrode that holds no species, and at which none reacts, passes no current; give a total_charge to one of "
    'kind = "floating"'
)
TOTAL_CHARGE = Dimension("a charge", ("C", "C/m", "C/m^2"), "-10 mC/m^2", (1.0, 1.0, 1.0), in_time=True)
TOTAL_CURRENT = Dimension("an electric current", ("A", "A/m", "A/m^2"), "20 A/m^2", (1.0, 1.0, 1.0), in_time=True)

Capacitance = Annotated[Quantity, Dimension("a capacitance per area", ("F/m^2",), "0.2 F/m^2")]


Rate = Annotated[Quantity, Dimension("a rate of exchange", ("m/s",), "1e-3 m/s")]


class Stern(Table):
    """``stern``: a layer without ions on an electrode, given by its capacitance or by what makes it."""

    capacitance: Capacitance | None = None
    """Per area; dimensionless: ``C_S`` of ``sigma = C_S (V - phi)``."""
    thickness: Length | None = None
    permittivity: Positive | None = None
    """Of the layer: relative (SI), or relative to the reference medium."""

    @model_validator(mode="after")
    def _given_once(self) -> Stern:
        others = (self.thickness is None) + (self.permittivity is None)
        if self.capacitance is None and others:
            raise refusal("give either capacitance, or thickness and permittivity")
        if self.capacitance is not None and others < 2:
            raise refusal("has both a capacitance and what makes one; give capacitance, or thickness and permittivity")
        for key in ("capacitance", "thickness"):
            given = getattr(self, key)
            if given is not None and given.value <= 0.0:
                raise refusal(f"{key} must be positive, but it is {given.text}")
        return self

    def dimensionless(self, surroundings: Surroundings | LayerSizes) -> float:
        """Return ``C_S``, that of a plate capacitor where the layer's thickness is given."""
        scales = surroundings.scales
        if self.capacitance is not None:
            return self.capacitance.value / scales.capacitance
        assert self.thickness is not None
        assert self.permittivity is not None
        assert scales.debye_length is not None
        permittivity = scales.debye_length**2 * surroundings.permittivity(self.permittivity)
        return permittivity * scales.length / self.thickness.value


class Contents(Boundary):
    """A boundary that holds species at given amounts."""

    concentration: dict[str, ConcentrationInTime] = Field(default_factory=dict)
    """SI: per species."""
    fraction: dict[str, NumberInTime] = Field(default_factory=dict)
    """Occupied fraction per species, in a dimensionless case."""
    chemical_potential: dict[str, Number] = Field(default_factory=dict)
    """Instead of these, under a law with a temperature: ``mu_a/T`` per species, of which forces are differences."""
    potential: Potential | None = None
    """Needed with ``electrostatics = "poisson"``, refused with "imposed"."""
    total_current: Annotated[Quantity, TOTAL_CURRENT] | None = None
    """Instead of the potential, which is then found: the electric current out of the domain through this boundary, as
    ``current`` in results: A/m^2 in 1D, A/m in 2D, A in 3D and around an axis."""

    numbers: ClassVar[tuple[str, ...]] = (
        "potential",
        "total_current",
        "concentration",
        "fraction",
        "chemical_potential",
        *Boundary.numbers,
    )
    needs_potential: ClassVar[bool] = True
    electrostatic: ClassVar[tuple[str, ...]] = ("potential", "total_current")

    @model_validator(mode="after")
    def _potential_or_current(self) -> Contents:
        if self.potential is not None and self.total_current is not None:
            raise refusal("has both a potential and a total_current, of which one follows from the other; give one")
        return self

    @property
    @override
    def floats(self) -> bool:
        return self.total_current is not None

    @override
    def given_total(self, surroundings: Surroundings) -> boundaries.GivenTotal | None:
        if self.total_current is None:
            return None
        scales = surroundings.scales
        return boundaries.GivenTotal("current", self.total_current.value / (scales.current * surroundings.total))

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
        return sizes.at_potential() if self.potential is not None or self.floats else math.inf


class Electrode(Contents):
    """``kind = "electrode"``: the potential is given; a species is blocked unless its amount is given."""

    kind: Literal["electrode"] = "electrode"
    stern: Stern | None = None
    """A layer without ions on the metal, in series with the diffuse layer; blocks every species."""

    numbers: ClassVar[tuple[str, ...]] = (*Contents.numbers, "stern")
    electrostatic: ClassVar[tuple[str, ...]] = (*Contents.electrostatic, "stern")

    @model_validator(mode="after")
    def _blocks_behind_a_layer(self) -> Electrode:
        if self.stern is not None and self.amounts:
            raise refusal("an electrode behind a layer without ions holds no species; remove what it holds, or stern")
        return self

    @override
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        potential, fractions = surroundings.potential(self.potential), surroundings.fractions(self.where)
        stern = None if self.stern is None else self.stern.dimensionless(surroundings)
        return boundaries.Electrode(self.where, potential, fractions, stern)

    @override
    def layer(self, sizes: LayerSizes) -> float:
        stern = None if self.stern is None else self.stern.dimensionless(sizes)
        if self.floats:
            return sizes.at_potential()
        return math.inf if self.potential is None else sizes.at_blocking(self.potential, self.held, stern)


class Floating(Electrode):
    """``kind = "floating"``: an electrode whose potential is found, from its total charge or from its total current."""

    kind: Literal["floating"] = "floating"  # type: ignore[assignment]
    total_charge: Annotated[Quantity, TOTAL_CHARGE] | None = None
    """The charge that sits on it, which then blocks every species: C/m^2 in 1D, C/m in 2D, C in 3D and around an
    axis; dimensionless: a site's charge, times L in the power that this is of its density."""

    numbers: ClassVar[tuple[str, ...]] = (*Electrode.numbers, "total_charge")
    needs_potential: ClassVar[bool] = False
    electrostatic: ClassVar[tuple[str, ...]] = (*Electrode.electrostatic, "total_charge")

    @model_validator(mode="after")
    def _determined_once(self) -> Floating:
        if self.potential is not None:
            raise refusal('the potential of a floating electrode is found; remove it, or take kind = "electrode"')
        if (self.total_charge is None) == (self.total_current is None):
            raise refusal("give either total_charge, or total_current and what the electrode holds")
        if self.total_charge is not None and self.held:
            raise refusal("an electrode of given charge blocks every species; remove what it holds, or total_charge")
        return self

    @property
    @override
    def floats(self) -> bool:
        return True

    @override
    def given_total(self, surroundings: Surroundings) -> boundaries.GivenTotal | None:
        if self.total_charge is None:
            return super().given_total(surroundings)
        scales = surroundings.scales
        return boundaries.GivenTotal("charge", self.total_charge.value / (scales.surface_charge * surroundings.total))

    @override
    def layer(self, sizes: LayerSizes) -> float:
        if self.total_charge is None:
            return sizes.at_potential()
        # as if it were spread over L
        charge = abs(self.total_charge.value) / (sizes.scales.surface_charge * sizes.total)
        return min(sizes.at_potential(), Charged.layer_of(charge, sizes))


class Exchange(Contents):
    """``kind = "exchange"``: species are exchanged with a reservoir at finite rates, ``J.n = k (rho - rho_res)``."""

    kind: Literal["exchange"] = "exchange"
    rate: dict[str, Rate]
    """Per species; dimensionless in D/L. Species without one are blocked."""

    numbers: ClassVar[tuple[str, ...]] = (*Contents.numbers, "rate")
    needs_potential: ClassVar[bool] = False

    @model_validator(mode="after")
    def _rate_for_every_content(self) -> Exchange:
        for name, rate in self.rate.items():
            if name not in self.amounts:
                raise refusal(f'rate names "{name}", but its concentration or fraction in the reservoir is missing')
            if rate.value <= 0.0:
                raise refusal(f"the rate of {name} must be positive, but it is {rate.text}")
        for name in self.amounts:
            if name not in self.rate:
                raise refusal(
                    f'the concentration of "{name}" has no effect without a rate; give rate.{name} or remove it'
                )
        return self

    @override
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        rates = {name: rate.value / surroundings.scales.velocity for name, rate in self.rate.items()}
        potential, fractions = surroundings.potential(self.potential), surroundings.fractions(self.where)
        return boundaries.Exchange(self.where, rates, fractions, potential)

    @override
    def layer(self, sizes: LayerSizes) -> float:
        return math.inf if self.potential is None else sizes.at_blocking(self.potential)


SurfaceCharge = Annotated[Quantity, Dimension("a charge per area", ("C/m^2",), "-0.05 C/m^2", in_time=True)]


class Charged(Boundary):
    """A boundary that may carry a given charge."""

    surface_charge: SurfaceCharge | None = None
    """Charge per area that does not move; dimensionless: elementary charges a site, times the length L."""

    numbers: ClassVar[tuple[str, ...]] = ("surface_charge", *Boundary.numbers)
    electrostatic: ClassVar[tuple[str, ...]] = ("surface_charge",)

    def charge(self, surroundings: Surroundings) -> float | None:
        """Return the charge per area without its unit, None if there is none."""
        return None if self.surface_charge is None else self.surface_charge.value / surroundings.scales.surface_charge

    @override
    def layer(self, sizes: LayerSizes) -> float:
        given = 0.0 if self.surface_charge is None else self.surface_charge.value
        return self.layer_of(abs(given) / sizes.scales.surface_charge, sizes)

    @staticmethod
    def layer_of(charge: float, sizes: LayerSizes) -> float:
        """Return the Debye length, or that of Gouy and Chapman, ``2 lambda^2/(z sigma)``, if it is less."""
        if not charge:
            return math.inf
        return min(sizes.at_potential(), 2.0 * sizes.debye_length**2 / (sizes.largest_valence * charge))


SiteDensity = Annotated[
    Quantity, Dimension("a density of sites", ("1/m^2", "mol/m^2"), "4.6e18 1/m^2", (1.0, AVOGADRO))
]


def _as_list(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


Acidity = Annotated[Number, Field(ge=-100.0, le=100.0)]
"""Far beyond any group; its power of ten, squared too, is a number."""


class Regulation(Table):
    """``regulation``: groups on a wall that take up protons and give them off, so that its charge depends on them."""

    numbers: ClassVar[tuple[str, ...]] = ("sites", "pK")

    protons: Name
    """The species that they exchange."""
    sites: SiteDensity
    """Groups per area; dimensionless: a site's charge times the length L, as ``surface_charge``."""
    pK: Annotated[list[Acidity], BeforeValidator(_as_list), Field(min_length=1, max_length=2)]
    """A number, of an acid or a base; or two, of an amphoteric group first that of its positive form, then that of its
    neutral one. In a dimensionless case the negative decadic logarithm of an volume fraction."""
    group: Literal["acid", "base"] = "acid"
    """A single pK: neutral with its proton, or positive."""

    @model_validator(mode="after")
    def _sensible(self) -> Regulation:
        if self.sites.value <= 0.0:
            raise refusal(f"sites must be positive, but it is {self.sites.text}")
        if len(self.pK) == 2 and self.group == "base":
            raise refusal('group goes with a single pK; with two the group is amphoteric, remove group = "base"')
        return self

    def condition(self, where: str, stern: Stern | None, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        """Return the regulated wall, behind a layer without ions if there is one."""
        scales = surroundings.scales
        # 1 mol/L is where the logarithm is zero
        unit = 1.0 / surroundings.content(self.protons)
        constants = tuple(10.0**-pk * unit for pk in self.pK)
        charge = self.sites.value * (ELEMENTARY_CHARGE if self.sites.unit else 1.0)
        return boundaries.RegulatedWall(
            where,
            self.protons,
            charge / scales.surface_charge,
            constants,
            self.group == "base",
            None if stern is None else stern.dimensionless(surroundings),
        )


class Wall(Charged):
    """``kind = "wall"``: blocks every species; carries a given charge, or none, as boundaries that are not named."""

    kind: Literal["wall"] = "wall"
    regulation: Regulation | None = None
    """Groups that exchange protons, instead of a given charge."""
    stern: Stern | None = None
    """With ``regulation``: a layer without ions on the groups."""

    numbers: ClassVar[tuple[str, ...]] = (*Charged.numbers, "regulation", "stern")
    electrostatic: ClassVar[tuple[str, ...]] = ("surface_charge", "regulation", "stern")

    @model_validator(mode="after")
    def _groups_behind_a_layer(self) -> Wall:
        if self.stern is not None and self.regulation is None:
            raise refusal(
                "behind a layer without ions a given charge is the same to the solution, and only the potential of the "
                "wall itself differs, by charge over capacitance; remove stern, or give a regulation"
            )
        return self

    @model_validator(mode="after")
    def _charged_once(self) -> Wall:
        if self.regulation is not None and self.surface_charge is not None:
            raise refusal("has both a surface_charge and a regulation, which gives one; keep one of them")
        return self

    @override
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        if self.regulation is not None:
            return self.regulation.condition(self.where, self.stern, surroundings)
        return boundaries.Wall(self.where, self.charge(surroundings))

    @override
    def layer(self, sizes: LayerSizes) -> float:
        if self.regulation is None:
            return super().layer(sizes)
        most = self.regulation.sites.value * (ELEMENTARY_CHARGE if self.regulation.sites.unit else 1.0)
        return self.layer_of(most / sizes.scales.surface_charge, sizes)


class Interface(Charged):
    """``kind = "interface"``: a group of facets inside the domain that carries a charge, and blocks nothing."""

    kind: Literal["interface"] = "interface"
    surface_charge: SurfaceCharge

    @override
    def condition(self, surroundings: Surroundings) -> boundaries.BoundaryCondition:
        return boundaries.Interface(self.where, self.surface_charge.value / surroundings.scales.surface_charge)


class Flux(Charged):
    """``kind = "flux"``: the outward flux of some species is given, the others are blocked."""

    kind: Literal["flux"] = "flux"
    flux: dict[str, MolarFlux]
    """Per species, positive out of the domain."""
    potential: Potential | None = None
    """Held if given; otherwise the boundary carries the given charge, or none."""

    numbers: ClassVar[tuple[str, ...]] = ("potential", "flux", "surface_charge", *Boundary.numbers)
    electrostatic: ClassVar[tuple[str, ...]] = ("potential", "surface_charge")

    @model_validator(mode="after")
    def _potential_or_charge(self) -> Flux:
        if self.potential is not None and self.surface_charge is not None:
            raise refusal("has both a potential and a surface_charge, of which one follows from the other; give one")
        return self

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
        return boundaries.PrescribedFlux(
            self.where, fluxes, surroundings.potential(self.potential), self.charge(surroundings)
        )

    @override
    def layer(self, sizes: LayerSizes) -> float:
        return super().layer(sizes) if self.potential is None else sizes.at_blocking(self.potential)


KINDS: tuple[type[Boundary], ...] = (Reservoir, Electrode, Floating, Exchange, Wall, Flux, Interface)
AnyBoundary = Annotated[
    Reservoir | Electrode | Floating | Exchange | Wall | Flux | Interface, Field(discriminator="kind")
]
