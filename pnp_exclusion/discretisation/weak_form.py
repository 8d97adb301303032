"""The weak form: the one place where the residual is written (docs/numerics.md#weak-form). UFL only.

Unknowns are the electrochemical potentials ``mu_1 .. mu_N``, under a law with a temperature its inverse ``beta``, and
with Poisson the potential ``phi``, all in one blocked space ``P_k``. Densities are a function of ``eta_a = mu_a - z_a
phi - u_a`` (``u_a``: the partition energy in a cell; with a temperature see `pnp_exclusion.physics.laws.Law.eta`) and
so never leave the simplex:

    R_a[v]   = s int (rho_a - rho_a^ref) v  -  int J_a . grad v  -  int R_a v  +  int_Gamma g_a v
    R_phi[p] = lambda^2 int eps grad phi . grad p  -  int (sum_a z_a rho_a + q) p  -  int_Gamma sigma p

(``Gamma``: the boundaries, and for ``sigma`` charged surfaces inside the domain too.)
Energy has an equation like that of a species, tested with the component of ``beta``. It is the total energy: what moves
takes its potential energy ``z_a phi`` with it, so that the heat of an electric current needs no source.

The first term, of rate ``s``, is that of the species whose amounts are conserved, or of all on the way to a steady
state in time; it vanishes there. Those that reactions turn into each other share one for every combination that these
conserve, in the equation of one species. Reactions are in ``R_a``, and those at electrodes in ``g_a``. All integrals
carry the weight of `pnp_exclusion.discretisation.integration`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, override

import ufl
from dolfinx import fem

from pnp_exclusion.discretisation.integration import Integration
from pnp_exclusion.discretisation.layout import (
    INVERSE_TEMPERATURE,
    POTENTIAL,
    Layout,
    electrochemical_potential,
    unknown_of,
)
from pnp_exclusion.discretisation.parameters import Parameters, TermNumbers
from pnp_exclusion.physics.energy import ENERGY, Warmth
from pnp_exclusion.physics.events import Event
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.physics.reactions import Reaction

PENALTY_RATE = 1e10
"""Rate of exchange that holds one species of several at a crowded electrode; its error is the flux divided by this."""


@dataclass(frozen=True)
class LocalState:
    """Densities and potential as UFL expressions: what a boundary may depend on (`boundaries.BoundaryState`)."""

    rho: Mapping[str, Any]
    potential: Any | None
    load_parameter: fem.Constant
    numbers: TermNumbers
    eta: Mapping[str, Any] = field(default_factory=dict)

    def number(self, value: float) -> fem.Constant:
        """Return a constant of the form, whose value may change without compiling."""
        return self.numbers.number(value)


class PlainState(LocalState):
    """The same of plain numbers: what is written with it gives the constants of a term their values, and is no form."""

    @override
    def number(self, value: float) -> float:
        """Give the next constant of the term its value, and return that."""
        return float(super().number(value).value)


@dataclass(frozen=True)
class Fields:
    """UFL expressions of the physical fields for one set of unknowns, by species; forces and fluxes of energy too."""

    rho: Mapping[str, Any]
    gradients: Mapping[str, Any]
    """Of the densities."""
    potential: Any | None
    vacancy: Any
    forces: Mapping[str, Any]
    """``G_a = grad mu_a - E_a``, ``G_energy = -grad beta``."""
    fluxes: Mapping[str, Any]
    """``J_a``."""
    eta: Mapping[str, Any]
    """Chemical potentials, partition energies included."""
    mu: Mapping[str, Any]
    """Electrochemical potentials."""
    warmth: Warmth | None = None
    """Under a law with a temperature."""
    energy: Any = None
    """Of a site, likewise."""

    @property
    def contents(self) -> Mapping[str, Any]:
        """Density of everything that is conserved."""
        return self.rho if self.warmth is None else {**self.rho, ENERGY: self.energy}


class WeakForm:
    """The equations of a problem at an unknown.

    layout, space
        Names of the unknowns, and the blocked space.
    unknown, reference
        Functions of the space: the state, and that from which the storage term counts.
    integration
        Measures over cells and boundaries.
    parameters
        The numbers of the problem.
    stored
        Species, and energy, that have a storage term.
    """

    def __init__(
        self,
        problem: Problem,
        layout: Layout,
        unknown: fem.Function,
        reference: fem.Function,
        integration: Integration,
        parameters: Parameters,
        stored: Sequence[str],
    ) -> None:
        self._problem = problem
        self._layout = layout
        self._integration = integration
        self._parameters = parameters
        section = problem.cross_section
        self._wall = None if section is None or problem.wall_charge is None else section.wall(problem.domain)
        self.fields = self.fields_of(unknown)
        """Of the unknown."""
        test = layout.parts(ufl.TestFunction(unknown.function_space))
        earlier = self.fields_of(reference)
        self.balance = self.storage(self.fields, earlier, test, stored)
        self.balance += self._linked_storage(self.fields, earlier, test)
        """The residual without what holds densities weakly."""
        for name in problem.quantities:
            self.balance += self._conservation(name, test[unknown_of(name)])
        if POTENTIAL in layout:
            rho = list(self.fields.rho.values())
            self.balance += self.poisson_equation(self.fields.potential, rho, test[POTENTIAL])
        self.residual = self.balance + self._penalty_terms(test)

    def fields_of(self, unknown: fem.Function) -> Fields:
        """Return the physical fields that belong to a function of the blocked space."""
        parameters, parts = self._parameters, self._layout.parts(unknown)
        mu = [parts[electrochemical_potential(name)] for name in self._problem.names]
        potential, beta, law = parts.get(POTENTIAL), parts.get(INVERSE_TEMPERATURE), self._problem.law
        eta = law.eta(mu, parameters.charges, potential, beta, parameters.law, parameters.partition)
        # another function with the same values: the derivative of a form passes it by
        same = self._layout.parts(fem.Function(unknown.function_space, unknown.x, name="same"))
        same_eta = law.eta(
            [same[electrochemical_potential(name)] for name in self._problem.names],
            parameters.charges,
            same.get(POTENTIAL),
            same.get(INVERSE_TEMPERATURE),
            parameters.law,
            parameters.partition,
        )
        vacancy, *rho = parameters.free_energy.densities_near(eta, same_eta)
        gradients = parameters.free_energy.changes(rho, [ufl.grad(eta_a) for eta_a in eta])
        forces = [ufl.grad(mu_a) for mu_a in mu]
        for a, name in enumerate(self._problem.names):
            if name in parameters.fields:
                forces[a] -= parameters.load_parameter * parameters.fields[name]
        warmth = energy = None
        if law.energy is not None and beta is not None:
            warmth = Warmth(beta, None if potential is None else [z * potential for z in parameters.charges])
            energy = law.energy.density([vacancy, *rho], beta, **parameters.law)
            forces.append(-ufl.grad(beta))
        fluxes = law.fluxes(
            [vacancy, *rho],
            forces,
            parameters.local_diffusivities,
            parameters.law,
            parameters.least_mobility,
            warmth,
        )
        by_name = lambda values: dict(zip(self._problem.quantities, values, strict=True))  # noqa: E731
        densities = dict(zip(self._problem.names, rho, strict=True))
        of_species = lambda values: dict(zip(self._problem.names, values, strict=True))  # noqa: E731
        # partition energies belong to the affinity, or reactions would run for ever between two regions
        activities = law.eta(mu, parameters.charges, potential, beta, parameters.law)
        return Fields(
            densities,
            of_species(gradients or [ufl.grad(rho_a) for rho_a in rho]),
            potential,
            vacancy,
            by_name(forces),
            by_name(fluxes),
            of_species(activities),
            of_species(mu),
            warmth,
            energy,
        )

    def energy_mobility(self) -> Any:
        """Return ``M_ee`` under a law with a temperature: the energy that flows per ``-G_energy`` alone."""
        parameters, fields = self._parameters, self.fields
        forces = [0.0] * len(self._problem.species) + [1.0]
        rho = [fields.vacancy, *fields.rho.values()]
        fluxes = self._problem.law.fluxes(
            rho, forces, parameters.local_diffusivities, parameters.law, warmth=fields.warmth
        )
        return -fluxes[-1]

    def storage(self, now: Fields, reference: Fields, test: Mapping[str, Any], species: Sequence[str]) -> ufl.Form:
        """Return ``s int (rho_a - share_a rho_a^ref) v`` for some species, or energy; its derivative over ``s`` is the
        mass."""
        parameters, form = self._parameters, ufl.Form([])
        for name in species:
            stored = now.contents[name] - parameters.reference_share[name] * reference.contents[name]
            v = test[unknown_of(name)]
            form += parameters.storage_rate * stored * v * self._integration.dx
        return form

    def contents_against(self, test: Mapping[str, Any]) -> ufl.Form:
        """Return ``int rho_a v`` for all that is conserved: what is stored, of which a motion in time is the change."""
        form = ufl.Form([])
        for name, content in self.fields.contents.items():
            form += content * test[unknown_of(name)] * self._integration.dx
        return form

    def _linked_storage(self, now: Fields, reference: Fields, test: Mapping[str, Any]) -> ufl.Form:
        """Return the storage of combinations that reactions conserve, each in the equation of its first species."""
        parameters, form = self._parameters, ufl.Form([])
        for combination, shift in zip(self._problem.linked, parameters.reference_shift, strict=True):
            excess = sum(
                (factor * (now.rho[name] - reference.rho[name]) for name, factor in combination.items()), start=-shift
            )
            first = next(iter(combination))
            form += parameters.storage_rate * excess * test[unknown_of(first)] * self._integration.dx
        return form

    def _conservation(self, name: str, test: Any) -> ufl.Form:
        form = -ufl.inner(self.fields.fluxes[name], ufl.grad(test)) * self._integration.dx
        if name in self._problem.sources:
            form -= self._problem.sources[name] * test * self._integration.dx
        for number, reaction in enumerate(self._problem.reactions):
            if reaction.boundary is None and reaction.change(name):
                form -= reaction.change(name) * self.volume_rate(number) * test * self._integration.dx
        for tag in range(len(self._problem.boundaries)):
            outward_flux = self.outward_flux(tag, name)
            if outward_flux is not None:
                form += outward_flux * test * self._integration.ds(tag)
        return form

    def poisson_equation(self, potential: Any, rho: Sequence[Any], test: Any) -> ufl.Form:
        """Return ``R_phi`` for given densities, in the order of the species."""
        parameters = self._parameters
        displacement = parameters.debye_squared * parameters.permittivity * ufl.grad(potential)
        form = ufl.inner(displacement, ufl.grad(test)) * self._integration.dx
        form -= self.charge_density(rho) * test * self._integration.dx
        if POTENTIAL_SOURCE in self._problem.sources:
            form -= self._problem.sources[POTENTIAL_SOURCE] * test * self._integration.dx
        densities = dict(zip(self._problem.names, rho, strict=True))
        for tag in range(len(self._problem.boundaries)):
            charge = self.surface_charge(tag, densities, potential)
            if charge is not None:
                form -= charge * test * self._integration.ds(tag)
        for number in range(len(self._problem.sheets)):
            tag = len(self._problem.boundaries) + number
            form -= self.sheet_charge(number) * test * self._integration.ds(tag)
        return form

    def charge_density(self, rho: Sequence[Any]) -> Any:
        """Return ``sum_a z_a rho_a + q`` for densities in the order of the species."""
        pairs = zip(self._parameters.charges, rho, strict=True)
        return sum((z * rho_a for z, rho_a in pairs), start=self.immobile_charge())

    def immobile_charge(self) -> Any:
        """Return the density of charge that does not move, that of walls beside cross-sections included."""
        immobile = self._parameters.fixed_charge
        if self._wall is not None:
            immobile += self._parameters.wall_charge * self._wall
        return self._parameters.load_parameter * immobile

    # ---- boundaries ----

    def outward_flux(self, tag: int, name: str) -> Any | None:
        """Return the flux ``J_a . n`` of a species, or of energy, that a boundary imposes, or None."""
        boundary = self._problem.boundaries[tag]
        flux = boundary.outward_flux(name, self._local_state("flux", tag, name))
        for number, reaction in enumerate(self._problem.reactions):
            if reaction.boundary == boundary.where and reaction.change(name):
                consumed = -reaction.change(name) * self.electrode_rate(number)
                flux = consumed if flux is None else flux + consumed
        return flux

    def _local_state(self, *term: Any) -> LocalState:
        fields, parameters = self.fields, self._parameters
        return LocalState(fields.rho, fields.potential, parameters.load_parameter, parameters.of_term(term), fields.eta)

    # ---- reactions ----

    def volume_rate(self, number: int) -> Any:
        """Return the rate per volume of a reaction, 0 outside its region."""
        forth, back = self.volume_directions(number)
        return forth - back

    def volume_directions(self, number: int) -> tuple[Any, Any]:
        """Return the rates per volume of the two directions of a reaction."""
        forth, back = self._problem.reactions[number].directions(self._local_state("reaction", number))
        region = self._parameters.reacting_cells[number]
        return (forth, back) if region is None else (region * forth, region * back)

    def electrode_rate(self, number: int) -> Any:
        """Return the rate per area of a reaction at its boundary."""
        return self._rate_and_drop(number)[0]

    def volume_events(self) -> list[Event]:
        """Return what reacts in the volume."""
        return [
            Event(_changes_of(reaction), *self.volume_directions(number))
            for number, reaction in enumerate(self._problem.reactions)
            if reaction.boundary is None
        ]

    def events_at(self, tag: int) -> list[Event]:
        """Return what is exchanged and reacts at a boundary."""
        boundary = self._problem.boundaries[tag]
        found = list(boundary.events(self._problem.law.crowded, self._local_state("events", tag)))
        for number, reaction in enumerate(self._problem.reactions):
            if reaction.boundary == boundary.where:
                forth, back, _ = self._directions_and_drop(number)
                found.append(Event(_changes_of(reaction), forth, back))
        return found

    def electrode_slope(self, number: int) -> Any:
        """Return the derivative of the rate of a reaction at a boundary by the potential behind it."""
        return ufl.diff(*self._rate_and_drop(number))

    def _rate_and_drop(self, number: int) -> tuple[Any, Any]:
        forth, back, drop = self._directions_and_drop(number)
        return forth - back, drop

    def _directions_and_drop(self, number: int) -> tuple[Any, Any, Any]:
        """Return the rates of both directions of a reaction at a boundary, and the drop of the potential there, of
        which they are functions."""
        reaction, state = self._problem.reactions[number], self._local_state("reaction", number)
        boundary = next(one for one in self._problem.boundaries if one.where == reaction.boundary)
        metal = boundary.metal_potential(state)
        drop = ufl.variable(metal if state.potential is None else metal - state.potential)
        return *reaction.directions(state, drop), drop

    def surface_charge(self, tag: int, rho: Mapping[str, Any], potential: Any) -> Any | None:
        """Return the charge per area that a boundary carries at given densities and potential, or None."""
        state = LocalState(rho, potential, self._parameters.load_parameter, self._parameters.of_term(("charge", tag)))
        return self._problem.boundaries[tag].surface_charge(state)

    def surface_energy(self, tag: int) -> Any | None:
        """Return the free energy per area of the charge that a boundary carries, or None."""
        numbers = self._parameters.of_term(("energy", tag))
        state = LocalState(self.fields.rho, self.fields.potential, self._parameters.load_parameter, numbers)
        return self._problem.boundaries[tag].surface_energy(state)

    def sheet_charge(self, number: int) -> Any:
        """Return the charge per area of a surface inside the domain."""
        given = self._parameters.of_term(("sheet", number)).number(self._problem.sheets[number].charge)
        return self._parameters.load_parameter * given

    def take_numbers(self, problem: Problem) -> None:
        """Give the terms of the boundaries the numbers of a problem that differs in nothing else."""
        self._problem = problem
        # writing a term again gives its constants their new values
        for tag in range(len(self._problem.boundaries)):
            self.surface_charge(tag, self.fields.rho, self.fields.potential)
            if self._parameters.has_term(("energy", tag)):
                self.surface_energy(tag)
            if self._parameters.has_term(("events", tag)):
                # reactions have their numbers from below
                self._problem.boundaries[tag].events(self._problem.law.crowded, self._local_state("events", tag))
            for name in self._problem.quantities:
                self._problem.boundaries[tag].outward_flux(name, self._local_state("flux", tag, name))
        for number in range(len(self._problem.reactions)):
            self._take_numbers_of_reaction(number)
        for number in range(len(self._problem.sheets)):
            self.sheet_charge(number)
        self._penalised_densities()

    def _take_numbers_of_reaction(self, number: int) -> None:
        """Write a rate of plain numbers in place of fields: that of fields takes UFL milliseconds, at every time."""
        reaction = self._problem.reactions[number]
        names = self._problem.names
        plain = PlainState(
            dict.fromkeys(names, 1.0),
            0.0,
            1.0,
            self._parameters.of_term(("reaction", number)),
            dict.fromkeys(names, 0.0),
        )
        if reaction.boundary is None:
            reaction.directions(plain)
            return
        boundary = next(one for one in self._problem.boundaries if one.where == reaction.boundary)
        reaction.rate(plain, boundary.metal_potential(plain))

    def _penalised_densities(self) -> list[tuple[int, str, fem.Constant]]:
        return [
            (tag, name, self._parameters.of_term(("held", tag, name)).number(rho))
            for tag, name, rho in weakly_imposed(self._problem)
        ]

    def _penalty_terms(self, test: Mapping[str, Any]) -> ufl.Form:
        form = ufl.Form([])
        for tag, name, held in self._penalised_densities():
            excess = self.fields.rho[name] - held
            form += PENALTY_RATE * excess * test[electrochemical_potential(name)] * self._integration.ds(tag)
        return form


def _changes_of(reaction: Reaction) -> dict[str, float]:
    return {name: float(reaction.change(name)) for name in reaction.species if reaction.change(name)}


POTENTIAL_SOURCE = "potential"
"""Name of a source of charge."""


def weakly_imposed(problem: Problem) -> list[tuple[int, str, float]]:
    """Boundary, species and density that no constant value of one unknown holds: some but not all species of a crowded
    law."""
    return [
        (tag, name, rho)
        for tag, boundary in enumerate(problem.boundaries)
        if problem.law.crowded
        and not boundary.holds_potentials
        and 0 < len(boundary.dirichlet_fractions) < len(problem.species)
        for name, rho in boundary.dirichlet_fractions.items()
    ]
