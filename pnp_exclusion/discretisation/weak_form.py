"""The weak form: the one place where the residual is written (docs/numerics.md#weak-form).

Unknowns are the electrochemical potentials ``mu_1 .. mu_N`` and, with Poisson, the potential ``phi``, all in one
blocked space ``P_k``. Densities are a function of ``eta_a = mu_a - z_a phi`` and so never leave the simplex:

    R_a[v]   = - int J_a . grad v  -  int R_a v  +  int_Gamma g_a v  (+ int s (rho_a - rho_a^ref) v, see `storage_rate`)
    R_phi[p] = lambda^2 int eps grad phi . grad p  -  int (sum_a z_a rho_a + q) p  -  int_Gamma sigma p
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mpi4py import MPI

import basix.ufl
import numpy as np
import ufl
from dolfinx import fem

from pnp_exclusion.discretisation.constants import ConstantBook, ConstantPage
from pnp_exclusion.discretisation.integration import STEEP, CellwiseForm, Integration, changes_within
from pnp_exclusion.physics.laws import LEAST_MOBILITY
from pnp_exclusion.physics.problem import Problem

HOLDING_RATE = 1e10
"""Rate of exchange that holds one species of several at a crowded electrode; its error is the flux divided by this."""


@dataclass(frozen=True)
class LocalState:
    """Densities and potential as UFL expressions: what a boundary may depend on (`boundaries.BoundaryState`)."""

    rho: Mapping[str, Any]
    potential: Any | None
    drive: fem.Constant
    page: ConstantPage

    def number(self, value: float) -> fem.Constant:
        """Return a constant of the form, whose value may change without compiling."""
        return self.page.number(value)


@dataclass(frozen=True)
class State:
    """UFL expressions of the physical fields for one set of unknowns."""

    rho: Mapping[str, Any]
    potential: Any | None
    vacancy: Any
    forces: Mapping[str, Any]
    """``G_a = grad mu_a - E_a``."""
    fluxes: Mapping[str, Any]
    """``J_a``."""


@dataclass(frozen=True)
class Held:
    """Nodes of a boundary at which one component of the unknowns is given, and the constant that gives it."""

    tag: int
    """Number of the boundary in the problem."""
    component: int
    dofs: np.ndarray
    condition: fem.DirichletBC
    value: fem.Constant


class WeakForm:
    """Residual and Jacobian of a problem, its unknowns and the values held at its boundaries.

    Forms are compiled once; numbers that a ramp (`set_drive`) or a sweep (`take_numbers`) changes are constants in
    them.

    unknown
        Current values of ``(mu_1, .., mu_N, phi)``, interleaved node by node.
    drive
        0..1: potentials, imposed fields, fixed charge and given fluxes are scaled by it (see `set_drive`).
    steep
        `integration.STEEP`, or more where the solution is a start only.
    least_mobility
        `laws.LEAST_MOBILITY`, from which a solver may deviate on its way to a solution.
    storage_rate
        ``s = 1/dt`` of one implicit Euler step that ties closed species (those that no boundary holds) to their given
        amount; zero rows otherwise. See `pnp_exclusion.solver.steady`.
    """

    def __init__(self, problem: Problem, degree: int = 2, quadrature_degree: int | None = None) -> None:
        self.problem = problem
        self.degree = degree
        mesh = problem.domain.mesh
        self.components = len(problem.species) + int(problem.coupled)
        shape = (self.components,) if self.components > 1 else None
        element = basix.ufl.element("Lagrange", mesh.basix_cell(), degree, shape=shape)
        self.space = fem.functionspace(mesh, element)
        self.unknown = fem.Function(self.space, name="unknown")
        names = [boundary.where for boundary in problem.boundaries]
        self.integration = Integration(problem.domain, names, degree, quadrature_degree)
        self.dx, self.ds = self.integration.dx, self.integration.ds
        constant = lambda value: fem.Constant(mesh, float(value))  # noqa: E731
        self.drive = constant(1.0)
        self.storage_rate = constant(0.0)
        self._book = ConstantBook(mesh)
        self._kept: dict[str, Any] = {}
        self.charges = [constant(species.charge) for species in problem.species]
        self.diffusivities = [constant(species.diffusivity) for species in problem.species]
        self.steep = STEEP
        self.least_mobility = constant(LEAST_MOBILITY)
        self._parameters = {name: constant(value) for name, value in problem.law.parameters.items()}
        self._debye_squared = constant((problem.debye_length or 0.0) ** 2)
        self.closed = [
            s.name for s in problem.species if not any(s.name in b.held_fractions for b in problem.boundaries)
        ]
        for species in problem.species:
            if species.name in self.closed and species.mean_fraction is None:
                raise ValueError(f"species {species.name} is held by no boundary and needs a mean_fraction")
        self.reference = fem.Function(self.space, name="reference")
        self.reference_share = {name: constant(1.0) for name in self.closed}

        self.state = self.state_of(self.unknown)
        test = self._split(ufl.TestFunction(self.space))
        balance = self._species_equations(test) + self._potential_equation(test)
        residual = balance + self._holding_terms(test)
        self.residual = residual
        """As UFL; `residual_form` and `jacobian_form` are compiled from it."""
        self.balance = balance
        """The residual without what holds densities weakly, as UFL."""
        self.balance_form = self.integration.form(balance)
        """What flows in and out of the neighbourhood of every node: the currents are read off it."""
        self.residual_form = self.integration.form(residual) if self.weakly_held else self.balance_form
        self.jacobian_form = self.integration.form(ufl.derivative(residual, self.unknown))
        self.claimed = self._claim_nodes()
        self.held = list(self._hold_boundaries())
        self.set_drive(1.0)

    def _split(self, function: Any) -> list[Any]:
        return [function[c] for c in range(self.components)] if self.components > 1 else [function]

    # ---- the physics ----

    def state_of(self, unknown: fem.Function) -> State:
        """Return the physical fields that belong to a function of the blocked space."""
        problem, law = self.problem, self.problem.law
        count = len(problem.species)
        parts = self._split(unknown)
        mu, potential = parts[:count], parts[count] if problem.coupled else None
        eta = [mu[a] - self.charges[a] * potential for a in range(count)] if problem.coupled else mu
        vacancy, *rho = law.free_energy.densities(eta)
        forces = [
            ufl.grad(mu[a]) - self.drive * problem.fields[s.name].vector
            if s.name in problem.fields
            else ufl.grad(mu[a])
            for a, s in enumerate(problem.species)
        ]
        diffusivity = [d * problem.diffusivity_factor for d in self.diffusivities]
        fluxes = law.fluxes([vacancy, *rho], forces, diffusivity, self._parameters, self.least_mobility)
        by_name = lambda values: dict(zip(problem.names, values, strict=True))  # noqa: E731
        return State(by_name(rho), potential, vacancy, by_name(forces), by_name(fluxes))

    def outward_flux(self, tag: int, name: str) -> Any | None:
        """Return the flux ``J_a . n`` of a species that a boundary imposes (UFL), or None."""
        state = LocalState(self.state.rho, self.state.potential, self.drive, self._book.page(("flux", tag, name)))
        return self.problem.boundaries[tag].outward_flux(name, state)

    def surface_charge(self, tag: int, rho: Mapping[str, Any], potential: Any) -> Any | None:
        """Return the charge per area that a boundary carries at given densities and potential (UFL), or None."""
        state = LocalState(rho, potential, self.drive, self._book.page(("charge", tag)))
        return self.problem.boundaries[tag].surface_charge(state)

    def charge_density(self, rho: Sequence[Any]) -> Any:
        """Return ``sum_a z_a rho_a + q`` for densities in the order of the species."""
        mobile = sum((z * rho_a for z, rho_a in zip(self.charges, rho, strict=True)), start=0.0)
        return mobile + self.drive * self.problem.fixed_charge

    def poisson_equation(self, potential: Any, rho: Sequence[Any], test: Any) -> ufl.Form:
        """Return ``R_phi`` for given densities."""
        problem = self.problem
        form = self._debye_squared * problem.permittivity * ufl.inner(ufl.grad(potential), ufl.grad(test)) * self.dx
        form -= self.charge_density(rho) * test * self.dx
        if "potential" in problem.sources:
            form -= problem.sources["potential"] * test * self.dx
        densities = dict(zip(problem.names, rho, strict=True))
        for tag in range(len(problem.boundaries)):
            charge = self.surface_charge(tag, densities, potential)
            if charge is not None:
                form -= charge * test * self.ds(tag)
        return form

    def _species_equations(self, test: Sequence[Any]) -> ufl.Form:
        problem, state = self.problem, self.state
        form = 0
        for a, name in enumerate(problem.names):
            form -= ufl.inner(state.fluxes[name], ufl.grad(test[a])) * self.dx
            if name in problem.sources:
                form -= problem.sources[name] * test[a] * self.dx
            for tag in range(len(problem.boundaries)):
                outward_flux = self.outward_flux(tag, name)
                if outward_flux is not None:
                    form += outward_flux * test[a] * self.ds(tag)
            if name in self.closed:
                stored = state.rho[name] - self.reference_share[name] * self.state_of(self.reference).rho[name]
                form += self.storage_rate * stored * test[a] * self.dx
        return form

    def _potential_equation(self, test: Sequence[Any]) -> ufl.Form:
        if not self.problem.coupled:
            return ufl.Form([])
        return self.poisson_equation(self.state.potential, list(self.state.rho.values()), test[-1])

    # ---- what boundaries hold ----

    @property
    def weakly_held(self) -> list[tuple[int, int, float]]:
        """Boundary, species and density that no constant value of one unknown holds: some but not all species of a
        crowded law."""
        problem = self.problem
        return [
            (tag, problem.names.index(name), rho)
            for tag, boundary in enumerate(problem.boundaries)
            if problem.law.crowded and 0 < len(boundary.held_fractions) < len(problem.species)
            for name, rho in boundary.held_fractions.items()
        ]

    def _holding_terms(self, test: Sequence[Any]) -> ufl.Form:
        form = ufl.Form([])
        for tag, a, held in self.weakly_held:
            rho = self.state.rho[self.problem.names[a]]
            target = self._book.page(("held", tag, a)).number(held)
            form += HOLDING_RATE * (rho - target) * test[a] * self.ds(tag)
        return form

    def _claim_nodes(self) -> dict[tuple[int, int], np.ndarray]:
        """Return the nodes that each boundary holds, by its number and the component held, weakly or not.

        A node shared by two boundaries belongs to the first, so that nothing is counted twice.
        """
        problem = self.problem
        taken: dict[int, np.ndarray] = {c: np.empty(0, dtype=np.int32) for c in range(self.components)}
        claimed = {}
        for tag, boundary in enumerate(problem.boundaries):
            held = [problem.names.index(name) for name in boundary.held_fractions]
            if boundary.held_potential is not None and problem.coupled:
                held.append(self.components - 1)
            for component in held:
                dofs = self.components * self._boundary_nodes(boundary.where) + component
                dofs = np.setdiff1d(dofs, taken[component])
                taken[component] = np.union1d(taken[component], dofs)
                claimed[tag, component] = dofs
        return claimed

    def own_nodes(self, tag: int, component: int) -> np.ndarray:
        """Return the owned nodes of a boundary at which no other boundary holds a component (as node numbers)."""
        nodes: np.ndarray = self.kept(
            f"own nodes of boundary {tag}, component {component}", lambda: self._find_own_nodes(tag, component)
        )
        return nodes

    def _find_own_nodes(self, tag: int, component: int) -> np.ndarray:
        nodes = self._boundary_nodes(self.problem.boundaries[tag].where)
        for (other, held), dofs in self.claimed.items():
            if other != tag and held == component:
                nodes = np.setdiff1d(nodes, dofs // self.components)
        return nodes[nodes < self.space.dofmap.index_map.size_local]

    def _hold_boundaries(self) -> Any:
        """Yield `Held` for every boundary and component that is held by constant values of the unknowns."""
        weak = {(tag, a) for tag, a, _ in self.weakly_held}
        for (tag, component), dofs in self.claimed.items():
            if (tag, component) not in weak:
                yield self._hold(tag, component, dofs)

    def _boundary_nodes(self, where: str) -> np.ndarray:
        """Local nodes (owned and ghost) on a boundary."""
        domain = self.problem.domain
        nodes: np.ndarray = self.kept(
            f"nodes on {where}",
            lambda: fem.locate_dofs_topological(self.space, domain.dimension - 1, domain.boundary_facets[where]),
        )
        return nodes

    @cached_property
    def _component_spaces(self) -> list[fem.FunctionSpace]:
        return [self.space.sub(c) for c in range(self.components)] if self.components > 1 else [self.space]

    def _hold(self, tag: int, component: int, dofs: np.ndarray) -> Held:
        value = fem.Constant(self.problem.domain.mesh, 0.0)
        condition = fem.dirichletbc(value, dofs.astype(np.int32), self._component_spaces[component])
        return Held(tag, component, dofs, condition, value)

    def set_drive(self, drive: float) -> None:
        """Scale potentials, imposed fields, fixed charge and given fluxes by ``drive`` and write the held values."""
        self.drive.value = drive
        for held in self.held:
            held.value.value = self._held_value(held.tag, held.component, drive)
        self.impose_held_values()

    def set_debye_length(self, debye_length: float) -> None:
        """Replace lambda, which a solver may do on its way to a solution."""
        self._debye_squared.value = debye_length**2

    def impose_held_values(self) -> None:
        """Write the held values into the unknown."""
        for held in self.held:
            held.condition.set(self.unknown.x.array)

    def _held_value(self, tag: int, component: int, drive: float) -> float:
        problem = self.problem
        boundary = problem.boundaries[tag]
        potential = drive * (boundary.held_potential or 0.0)
        if component == len(problem.species):
            return potential
        species = problem.species[component]
        held = boundary.held_fractions
        if problem.law.crowded:
            eta = problem.law.free_energy.chemical_potentials([held[name] for name in problem.names])[component]
        else:
            eta = problem.law.free_energy.chemical_potentials([held[species.name]])[0]
        return eta + species.charge * potential

    # ---- other numbers, other forms ----

    def take_numbers(self, problem: Problem) -> None:
        """Replace the numbers by those of a problem that differs in nothing else; the unknown stays.

        Potentials in the unknown are relative to ``potential_reference``, which may have changed.
        """
        own = self.problem
        for name in ("permittivity", "diffusivity_factor", "fixed_charge"):
            getattr(own, name).x.array[:] = getattr(problem, name).x.array
        fields = {name: own.fields[name].with_numbers(other) for name, other in problem.fields.items()}
        materials = {name: getattr(own, name) for name in ("permittivity", "diffusivity_factor", "fixed_charge")}
        self.problem = replace(problem, domain=own.domain, fields=fields, **materials)
        for a, species in enumerate(problem.species):
            self.charges[a].value = species.charge
            self.diffusivities[a].value = species.diffusivity
        for name, value in problem.law.parameters.items():
            self._parameters[name].value = value
        self._debye_squared.value = (problem.debye_length or 0.0) ** 2
        # writing the terms of the boundaries again gives their constants the new values
        for tag in range(len(problem.boundaries)):
            self.surface_charge(tag, self.state.rho, self.state.potential)
            for name in problem.names:
                self.outward_flux(tag, name)
        for tag, a, held in self.weakly_held:
            self._book.page(("held", tag, a)).number(held)
        self.set_drive(1.0)

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returns, made the first time only: for forms, expressions and nodes that are read often.

        Numbers in forms must be constants of this weak form, which `take_numbers` changes.
        """
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def integral(self, name: str, integrand: Callable[[], Any]) -> float:
        """Return the integral over the domain of a UFL expression, compiled once under a name; collective."""
        return self.total(self.kept(name, lambda: self.integration.form(integrand() * self.dx)))

    def total(self, functional: CellwiseForm) -> float:
        """Return the value of a compiled functional over all ranks."""
        return float(self.problem.domain.comm.allreduce(fem.assemble_scalar(functional.now), op=MPI.SUM))

    def mark_steep_cells(self) -> None:
        """Integrate by the high rule where a potential in the unknown is steep within a cell."""
        self.integration.mark(self.changes_within_cells() > self.steep)

    def changes_within_cells(self) -> np.ndarray:
        """Return the most that any ``mu_a`` or ``eta_a`` changes within each cell of this rank (kT)."""
        nodes = self.unknown.x.array.reshape(-1, self.components)
        eta, potential = self.nodal_potentials(self.unknown.x.array)
        mu = [] if potential is None else list(nodes[:, : len(self.problem.species)].T)
        cells = self.space.dofmap.list[: len(self.integration.is_steep)]
        return changes_within([*mu, *eta], cells)

    @property
    def conditions(self) -> list[fem.DirichletBC]:
        """The essential conditions, for assembly."""
        return [held.condition for held in self.held]

    def reported_potentials(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Split unknowns ``(nodes, components)`` into ``mu`` (species, nodes) and ``phi``, from the user's zero."""
        reference = self.problem.potential_reference
        mu = nodes[:, : len(self.problem.species)].T
        if not self.problem.coupled:
            return mu, None
        charges = np.array([species.charge for species in self.problem.species])
        return mu + reference * charges[:, None], nodes[:, -1] + reference

    def nodal_potentials(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Split an array of the blocked space into ``eta`` (species, nodes) and ``phi`` (nodes, or None)."""
        nodes = values.reshape(-1, self.components).T
        if not self.problem.coupled:
            return nodes, None
        charges = np.array([species.charge for species in self.problem.species])
        return nodes[:-1] - charges[:, None] * nodes[-1], nodes[-1]
