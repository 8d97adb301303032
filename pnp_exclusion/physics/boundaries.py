"""Boundary conditions: one class each, with what it holds and its term of the weak form (docs/theory.md#boundaries).

Dimensionless. A condition may hold densities and the potential (essential) and may add an outward flux ``J_a . n`` or a
surface charge ``lambda^2 eps dphi/dn`` (natural). A new condition is one more class; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, override

from pnp_exclusion.physics.energy import ENERGY

_NOTHING: Mapping[str, float] = MappingProxyType({})


class BoundaryState(Protocol):
    """What a natural condition may depend on: UFL expressions on the boundary."""

    @property
    def rho(self) -> Mapping[str, Any]:
        """Density of every species."""
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
class BoundaryCondition:
    """A boundary that holds nothing and lets nothing through; the others refine it.

    where
        Name of the boundary in the domain.
    temperature
        Held here, under a law with a temperature; None lets no heat through but with what passes.
    """

    where: str
    temperature: float | None = field(default=None, kw_only=True)

    @property
    def dirichlet_fractions(self) -> Mapping[str, float]:
        """Occupied fraction of every species whose density is held here."""
        return _NOTHING

    @property
    def dirichlet_potential(self) -> float | None:
        """The potential held here (kT/e)."""
        return None

    def supplies(self, quantity: str) -> bool:
        """Whether the amount of a species, or of energy, in the domain is fixed by what is held or exchanged here."""
        return quantity in self.dirichlet_fractions or (quantity == ENERGY and self.temperature is not None)

    @property
    def holds_potentials(self) -> bool:
        """Whether it is the chemical potentials of its contents that it holds, also where these lack some species."""
        return False

    def outward_flux(self, species: str, state: BoundaryState) -> Any | None:
        """The flux ``J_a . n`` that is imposed on a species, or None."""
        return None

    def surface_charge(self, state: BoundaryState) -> Any | None:
        """The charge per area on the boundary, ``lambda^2 eps dphi/dn``, or None."""
        return None


@dataclass(frozen=True)
class Wall(BoundaryCondition):
    """Blocks every species and carries a given charge ``sigma = lambda^2 eps dphi/dn`` per area, or none."""

    charge: float | None = None

    @override
    def surface_charge(self, state: BoundaryState) -> Any | None:
        return None if self.charge is None else state.load_parameter * state.number(self.charge)


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
    """Holds the potential (with Poisson); blocks every species but those it holds."""

    potential: float | None
    fractions: Mapping[str, float] = field(default_factory=dict)

    @property
    @override
    def dirichlet_fractions(self) -> Mapping[str, float]:
        return self.fractions

    @property
    @override
    def dirichlet_potential(self) -> float | None:
        return self.potential


@dataclass(frozen=True)
class PrescribedFlux(BoundaryCondition):
    """Lets given fluxes out (positive outward), blocks the other species; holds the potential if one is given."""

    fluxes: Mapping[str, float]
    potential: float | None = None

    @property
    @override
    def dirichlet_potential(self) -> float | None:
        return self.potential

    @override
    def outward_flux(self, species: str, state: BoundaryState) -> Any | None:
        if species not in self.fluxes:
            return None
        return state.load_parameter * state.number(self.fluxes[species])
