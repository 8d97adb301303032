"""Boundary conditions: one class each, with what it holds and its term of the weak form (docs/theory.md#boundaries).

Dimensionless. A condition may hold densities and the potential (essential) and may add an outward flux ``J_a . n`` or a
surface charge ``lambda^2 eps dphi/dn`` (natural). A new condition is one more class; nothing else changes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, override

import ufl

from pnp_exclusion.physics import stern
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.physics.events import Event

_NOTHING: Mapping[str, float] = MappingProxyType({})


class BoundaryState(Protocol):
    """What a natural condition may depend on: UFL expressions on the boundary."""

    @property
    def rho(self) -> Mapping[str, Any]:
        """Density of every species."""
        ...

    @property
    def eta(self) -> Mapping[str, Any]:
        """Logarithm of the activity of every species; empty where only charges are asked for."""
        ...

    @property
    def potential(self) -> Any:
        """The potential, or None with imposed fields."""
        ...

    @property
    def load_parameter(self) -> Any:
        """0..1 while the solver ramps driving forces up, 1 in the solution; given fluxes are scaled by it."""
        ...

    def number(self, value: float) -> Any:
        """Return a symbol for a number, so that another value compiles nothing anew."""
        ...


@dataclass(frozen=True)
class GivenTotal:
    """What is given of a boundary in place of its potential, which is found.

    quantity
        The charge that sits on it, or the electric current out of the domain through it; in time also the potential
        itself, kT/e, where that is given at some times and another quantity at others.
    total
        Over the whole boundary; scaled by the load parameter.
    """

    quantity: Literal["charge", "current", "potential"]
    total: float


@dataclass(frozen=True)
class BoundaryCondition:
    """A boundary that holds nothing and lets nothing through; the others refine it.

    where
        Name of the boundary in the domain.
    temperature
        Held here, under a law with a temperature; None lets no heat through but with what passes.
    given_total
        Determines the potential of the boundary, one and the same all over it; its number is then where it stands, and
        no driving force.
    """

    where: str
    temperature: float | None = field(default=None, kw_only=True)
    given_total: GivenTotal | None = field(default=None, kw_only=True)

    @property
    def inside(self) -> bool:
        """Whether it is given between cells, and not on the surface of the domain."""
        return False

    @property
    def dirichlet_fractions(self) -> Mapping[str, float]:
        """Occupied fraction of every species whose density is held here."""
        return _NOTHING

    @property
    def dirichlet_potential(self) -> float | None:
        """The potential held here (kT/e)."""
        return None

    @property
    def applied_potential(self) -> float | None:
        """The potential given here (kT/e), whether it is held where the electrolyte begins or behind a layer."""
        return self.dirichlet_potential

    def metal_potential(self, state: BoundaryState) -> Any:
        """Return the potential on the other side of the boundary, which drives what reacts there."""
        own = state.number(self.applied_potential or 0.0)
        return state.load_parameter * own if self.given_total is None else own

    @property
    def exchanged_fractions(self) -> Mapping[str, float]:
        """Occupied fraction of every species with which this boundary would be in equilibrium, without holding it."""
        return _NOTHING

    def supplies(self, quantity: str) -> bool:
        """Whether the amount of a species, or of energy, in the domain is fixed by what is held or exchanged here."""
        return (
            quantity in self.dirichlet_fractions
            or quantity in self.exchanged_fractions
            or (quantity == ENERGY and self.temperature is not None)
        )

    @property
    def holds_potentials(self) -> bool:
        """Whether it is the chemical potentials of its contents that it holds, also where these lack some species."""
        return False

    def outward_flux(self, species: str, state: BoundaryState) -> Any | None:
        """The flux ``J_a . n`` that is imposed on a species, or None."""
        return None

    def events(self, crowded: bool, state: BoundaryState) -> Sequence[Event]:
        """What makes up the fluxes of `outward_flux` that come of single events, with the rates of both directions.

        crowded
            Whether particles exclude each other's volume.
        """
        return ()

    def surface_charge(self, state: BoundaryState) -> Any | None:
        """The charge per area on the boundary, ``lambda^2 eps dphi/dn``, or None."""
        return None

    def surface_energy(self, state: BoundaryState) -> Any | None:
        """What the charge of `surface_charge` adds to the free energy per area, whose derivative by the potential it
        is; None if there is no such charge, or no such energy."""
        return None


@dataclass(frozen=True)
class Wall(BoundaryCondition):
    """Blocks every species and carries a given charge ``sigma = lambda^2 eps dphi/dn`` per area, or none."""

    charge: float | None = None

    @override
    def surface_charge(self, state: BoundaryState) -> Any | None:
        return _given_charge(self.charge, state)

    @override
    def surface_energy(self, state: BoundaryState) -> Any | None:
        return _energy_of_given_charge(self.charge, state)


@dataclass(frozen=True)
class Interface(BoundaryCondition):
    """A surface inside the domain that carries a charge ``-lambda^2 [eps dphi/dn]`` per area and blocks nothing."""

    charge: float

    @property
    @override
    def inside(self) -> bool:
        return True

    @override
    def surface_charge(self, state: BoundaryState) -> Any | None:
        return _given_charge(self.charge, state)


@dataclass(frozen=True)
class RegulatedWall(BoundaryCondition):
    """Blocks every species; its groups take up protons and give them off, in equilibrium with those beside the wall.

    With ``h`` the density of protons, ``K`` that at which half the groups are dissociated and ``Gamma`` groups per
    area, acids carry ``-Gamma K/(K + h)``, bases ``Gamma h/(K + h)``, amphoteric groups of two constants, the first
    that of the positive group, ``Gamma (h^2 - K_1 K_2)/(h^2 + K_1 h + K_1 K_2)`` (Ninham and Parsegian, J. Theor. Biol.
    31, 405 (1971); Healy and White, Adv. Colloid Interface Sci. 9, 303 (1978)).

    protons
        Name of the species.
    sites
        ``Gamma``, per area.
    constants
        ``K``, or the two of an amphoteric group, as densities of protons.
    basic
        Whether a single group is positive with its proton and neutral without it.
    stern_capacitance
        ``C_S``, per area, of a layer without ions between the groups and where the domain begins: at the groups there
        are ``h exp(-sigma/C_S)`` protons, ``sigma`` being their charge. None without such a layer.
    """

    protons: str
    sites: float
    constants: tuple[float, ...]
    basic: bool = False
    stern_capacitance: float | None = None

    @override
    def surface_charge(self, state: BoundaryState) -> Any | None:
        if self.stern_capacitance is not None:
            return self._charge_behind_layer(self.stern_capacitance, state)
        # over the first constant, so that no square is too small for a number
        first = state.number(self.constants[0])
        h = state.rho[self.protons] / first
        if len(self.constants) == 2:
            ratio = state.number(self.constants[1]) / first
            share = (h * h - ratio) / (h * h + h + ratio)
        else:
            share = h / (1.0 + h) if self.basic else -1.0 / (1.0 + h)
        return state.load_parameter * state.number(self.sites) * share

    def _charge_behind_layer(self, capacitance: float, state: BoundaryState) -> Any:
        sites = state.load_parameter * state.number(self.sites)
        # of the potential across the layer if every group were charged
        most = sites / state.number(capacitance)
        protons = ufl.ln(state.rho[self.protons] / state.number(self.constants[0]))
        if len(self.constants) == 1:
            bare = protons if self.basic else protons + most
            share = stern.protonated(bare, most)
            return sites * (share if self.basic else share - 1.0)
        spread = 0.5 * math.log(self.constants[0] / self.constants[1])
        return sites * stern.amphoteric(protons + state.number(spread), most, spread, state)


def _given_charge(charge: float | None, state: BoundaryState) -> Any | None:
    return None if charge is None else state.load_parameter * state.number(charge)


def _energy_of_given_charge(charge: float | None, state: BoundaryState) -> Any | None:
    return None if charge is None else state.load_parameter * state.number(charge) * state.potential


@dataclass(frozen=True)
class Reservoir(BoundaryCondition):
    """Holds every species and, with Poisson, the potential.

    A species that it lacks, because no boundary supplies it, is blocked: the others pass as through a membrane, at the
    chemical potentials of the reservoir's own contents.
    """

    fractions: Mapping[str, float]
    potential: float | None = None

    @property
    @override
    def dirichlet_fractions(self) -> Mapping[str, float]:
        return self.fractions

    @property
    @override
    def dirichlet_potential(self) -> float | None:
        return self.potential

    @property
    @override
    def holds_potentials(self) -> bool:
        return True


@dataclass(frozen=True)
class Electrode(BoundaryCondition):
    """Holds the potential (with Poisson); blocks every species but those it holds.

    stern_capacitance
        ``C_S``, per area, of a layer without ions between the metal and where the domain begins, in series with the
        diffuse layer: the metal's charge is ``C_S (V - phi)``. None without such a layer.
    """

    potential: float | None
    fractions: Mapping[str, float] = field(default_factory=dict)
    stern_capacitance: float | None = None

    @property
    @override
    def dirichlet_fractions(self) -> Mapping[str, float]:
        return self.fractions

    @property
    @override
    def dirichlet_potential(self) -> float | None:
        return self.potential if self.stern_capacitance is None else None

    @property
    @override
    def applied_potential(self) -> float | None:
        return self.potential

    @override
    def surface_charge(self, state: BoundaryState) -> Any | None:
        if self.stern_capacitance is None or self.potential is None:
            return None
        own = state.number(self.potential)
        drop = (state.load_parameter * own if self.given_total is None else own) - state.potential
        return state.number(self.stern_capacitance) * drop

    @override
    def surface_energy(self, state: BoundaryState) -> Any | None:
        charge = self.surface_charge(state)
        if charge is None:
            return None
        drop = state.load_parameter * state.number(self.potential or 0.0) - state.potential
        return -0.5 * charge * drop


@dataclass(frozen=True)
class Exchange(BoundaryCondition):
    """Exchanges species with a reservoir at finite rates ``k_a``: ``J_a . n = k_a (rho_a - rho_a^res)``.

    That is what a lattice does whose last sites swap their contents with those of a reservoir at these rates. It tends
    to a reservoir as the rates grow, and to a wall as they vanish; species without a rate are blocked. The potential is
    held if one is given.
    """

    rates: Mapping[str, float]
    fractions: Mapping[str, float]
    potential: float | None = None

    @property
    @override
    def exchanged_fractions(self) -> Mapping[str, float]:
        return self.fractions

    @property
    @override
    def dirichlet_potential(self) -> float | None:
        return self.potential

    @override
    def outward_flux(self, species: str, state: BoundaryState) -> Any | None:
        if species not in self.rates:
            return None
        return state.number(self.rates[species]) * (state.rho[species] - state.number(self.fractions[species]))

    def is_swapping(self, species: Sequence[str]) -> bool:
        """Whether sites of these species, and of no others, are swapped whatever they hold."""
        return set(species) == set(self.rates) and len(set(self.rates.values())) == 1

    @override
    def events(self, crowded: bool, state: BoundaryState) -> Sequence[Event]:
        """Swaps of a site here with one of the reservoir; of point particles, their passing either way.

        Swaps need one rate for all species: `is_swapping`.
        """
        rates = {name: state.number(rate) for name, rate in self.rates.items()}
        outside = {name: state.number(self.fractions[name]) for name in self.rates}
        inside = {name: state.rho[name] for name in self.rates}
        if not crowded:
            return [Event({name: 1.0}, k * outside[name], k * inside[name]) for name, k in rates.items()]
        rate = next(iter(rates.values()))
        vacant = [1.0 - sum(contents.values()) for contents in (outside, inside)]
        found = [Event({a: 1.0}, rate * outside[a] * vacant[1], rate * inside[a] * vacant[0]) for a in rates]
        for a, b in itertools.combinations(rates, 2):
            found.append(Event({a: 1.0, b: -1.0}, rate * outside[a] * inside[b], rate * inside[a] * outside[b]))
        return found


@dataclass(frozen=True)
class PrescribedFlux(BoundaryCondition):
    """Lets given fluxes out (positive outward), blocks the other species.

    Holds the potential if one is given; otherwise it carries a given charge per area, as a `Wall`, or none.
    """

    fluxes: Mapping[str, float]
    potential: float | None = None
    charge: float | None = None

    @property
    @override
    def dirichlet_potential(self) -> float | None:
        return self.potential

    @override
    def outward_flux(self, species: str, state: BoundaryState) -> Any | None:
        if species not in self.fluxes:
            return None
        return state.load_parameter * state.number(self.fluxes[species])

    @override
    def surface_charge(self, state: BoundaryState) -> Any | None:
        return _given_charge(self.charge, state)

    @override
    def surface_energy(self, state: BoundaryState) -> Any | None:
        return _energy_of_given_charge(self.charge, state)
