"""A problem on its mesh: unknowns, equations, constraints, compiled forms, and the state that it has taken on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpi4py import MPI

import basix.ufl
import numpy as np
import ufl
from dolfinx import fem, la

from pnp_exclusion.discretisation.around_nodes import least_around_nodes
from pnp_exclusion.discretisation.constraints import Constraints
from pnp_exclusion.discretisation.integration import STEEP, CellwiseForm, Integration, changes_within
from pnp_exclusion.discretisation.layout import (
    INVERSE_TEMPERATURE,
    POTENTIAL,
    Layout,
    electrochemical_potential,
    unknown_of,
)
from pnp_exclusion.discretisation.parameters import EXCLUDED, Parameters
from pnp_exclusion.discretisation.weak_form import Fields, WeakForm
from pnp_exclusion.physics.energy import Warmth
from pnp_exclusion.physics.expressions import Value
from pnp_exclusion.physics.problem import Problem


@dataclass(frozen=True, eq=False)
class State:
    """What a discretisation takes on of a solution: it grows with the mesh, not with the forms.

    values
        The unknowns of this rank, owned and ghost.
    problem
        The numbers for which they are a solution.
    load_parameter
        Share of the driving forces.
    is_steep
        ``(cells of this rank,)``: those integrated by the high rule.
    """

    values: np.ndarray
    problem: Problem
    load_parameter: float
    is_steep: np.ndarray

    @staticmethod
    def combined(states: Sequence[State], weights: np.ndarray) -> State:
        """Return the weighted sum of states, the weights adding up to 1; what is not summed is that of the first."""
        references = [state.problem.potential_reference for state in states]
        problem = replace(states[0].problem, potential_reference=float(weights @ references))
        return replace(states[0], values=weights @ [state.values for state in states], problem=problem)


@dataclass(frozen=True)
class NodalValues:
    """A state at the nodes of this rank, owned and ghost; arrays have the shape ``(N, nodes)``.

    mu, eta
        Electrochemical potentials, and these without the electric part.
    contents
        Fractions, and with a temperature the density of energy behind them; between cells of unlike partition energy
        those in the cell of the least.
    potential
        ``(nodes,)``; None with imposed fields.
    """

    mu: np.ndarray
    eta: np.ndarray
    contents: np.ndarray
    potential: np.ndarray | None

    @property
    def rho(self) -> np.ndarray:
        """Fractions."""
        return self.contents[: len(self.mu)]


class Discretisation:
    """Finite elements for a problem and all that differ from it in numbers only.

    problem
        The problem whose numbers are in force.
    degree
        Of the elements.
    quadrature_degree
        Of `Integration`.
    layout, space, unknown
        Names of the unknowns, the blocked space, and the function that holds their current values.
    values
        The function's array, owned and ghost: a view.
    mu
        Names of the unknowns ``mu_a``, in the order of the species.
    entropic
        Those of everything that is conserved: the same, and with a temperature ``beta`` behind them.
    reference
        The state from which the storage term counts.
    parameters, weak_form, constraints, integration, forms
        The numbers, the equations, the values held at boundaries, the measures, what is compiled.
    steep
        `integration.STEEP`, or more where the solution is a start only.
    is_absent
        ``(nodes, N)``: whether there can be none of a species in all cells around a node.
    """

    def __init__(
        self,
        problem: Problem,
        degree: int = 2,
        quadrature_degree: int | None = None,
        stored: Sequence[str] | None = None,
    ) -> None:
        self.problem = problem
        self.degree = degree
        self.quadrature_degree = quadrature_degree
        mesh = problem.domain.mesh
        self.mu = [electrochemical_potential(name) for name in problem.names]
        self.entropic = [unknown_of(name) for name in problem.quantities]
        self.layout = Layout([*self.entropic, *([POTENTIAL] if problem.coupled else [])])
        shape = (self.layout.size,) if self.layout.size > 1 else None
        self.space = fem.functionspace(mesh, basix.ufl.element("Lagrange", mesh.basix_cell(), degree, shape=shape))
        self.unknown = fem.Function(self.space, name="unknown")
        self.values = self.unknown.x.array
        self.reference = fem.Function(self.space, name="reference")
        for species in problem.species:
            if species.name in problem.conserved and species.mean_fraction is None:
                raise ValueError(f"species {species.name} is supplied by no boundary and needs a mean_fraction")
        for combination in problem.linked:
            if all(s.mean_fraction is None for s in problem.species if s.name in combination):
                raise ValueError(
                    f"the amounts of {', '.join(combination)} together need a mean_fraction of one of them"
                )
        if problem.law.thermal and not any(boundary.temperature is not None for boundary in problem.boundaries):
            raise ValueError("no boundary holds a temperature, so that the energy is not fixed")
        if problem.law.thermal and problem.fields:
            raise ValueError(f'imposed fields do not go with law "{problem.law.name}", which has a temperature')
        names = [boundary.where for boundary in problem.boundaries]
        weight = None if problem.cross_section is None else problem.cross_section.weight(problem.domain)
        sheets = [sheet.sides for sheet in problem.sheets]
        inside = [boundary.where for boundary in problem.boundaries if boundary.inside]
        self.integration = Integration(problem.domain, names, degree, quadrature_degree, weight, sheets, inside)
        self.parameters = Parameters(problem)
        stored = problem.conserved if stored is None else stored
        self.weak_form = WeakForm(
            problem, self.layout, self.unknown, self.reference, self.integration, self.parameters, stored
        )
        self.constraints = Constraints(problem, self.layout, self.space)
        self.forms = Forms(self.integration, self.weak_form, self.unknown)
        self.steep = STEEP
        self._rows_of_mu = np.array(self.layout.indices(self.mu))
        self._cells = np.ascontiguousarray(self.space.dofmap.list[: len(self.integration.is_steep)].T)
        self.is_absent = np.zeros((len(self.values) // self.layout.size, len(self.mu)), dtype=bool)
        for a, name in enumerate(self.mu):
            self.is_absent[self.layout.nodes_of(self.constraints.absent.get(name, np.empty(0, dtype=int))), a] = True
        self._excluded = np.array([problem.excludes(name) for name in problem.names])[:, : self._cells.shape[1]]
        self._shown: State | None = None
        self.set_load_parameter(1.0)

    @property
    def fields(self) -> Fields:
        """The physical fields of the unknown, as UFL."""
        return self.weak_form.fields

    # ---- numbers ----

    def take(self, problem: Problem) -> None:
        """Take the numbers of a problem that differs in nothing else; the unknown stays.

        Potentials in the unknown are relative to ``potential_reference``, which may have changed.
        """
        self._shown = None
        self.problem = problem
        self.parameters.take(problem)
        self.weak_form.take_numbers(problem)
        self.set_load_parameter(1.0)

    def set_load_parameter(self, load_parameter: float) -> None:
        """Scale potentials, imposed fields, fixed charge and given fluxes, and write the Dirichlet values."""
        self.parameters.load_parameter.value = load_parameter
        self.constraints.write(self.problem, load_parameter)
        self.impose_dirichlet_values()

    def set_potentials(self, potentials: Sequence[float]) -> None:
        """Say where the potentials are that are found, in the order of `Problem.floating`; the unknown stays."""
        self._shown = None
        self.problem = self.problem.at_potentials(potentials)
        self.constraints.write(self.problem, float(self.parameters.load_parameter.value))
        self.weak_form.take_numbers(self.problem)

    def set_debye_length(self, debye_length: float) -> None:
        """Replace lambda, which a solver may do on its way to a solution."""
        self.parameters.debye_squared.value = debye_length**2

    def impose_dirichlet_values(self) -> None:
        """Write the held values into the unknown."""
        self.constraints.impose(self.values)

    # ---- states ----

    def state(self) -> State:
        """Return a copy of the state that the unknown holds, for `show`."""
        load_parameter = float(self.parameters.load_parameter.value)
        self._shown = State(self.values.copy(), self.problem, load_parameter, self.integration.is_steep)
        return self._shown

    def show(self, state: State) -> None:
        """Take on a state of this discretisation, unless that is what it holds; `unknown_changes` ends that."""
        if self._shown is state:
            return
        self.take(state.problem)
        self.set_load_parameter(state.load_parameter)
        self.values[:] = state.values
        self.integration.mark(state.is_steep)
        self._shown = state

    def unknown_changes(self) -> None:
        """Say that the unknown will be written: no state is shown from now on."""
        self._shown = None

    def potentials(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Split unknowns, ``(nodes, size)`` or flat, into ``mu`` and ``eta`` (species, nodes) and ``phi`` (or None).

        ``eta`` is without what partition energies take off it, which belong to cells.
        """
        nodes = self.layout.at_nodes(values)
        mu = nodes.T[self._rows_of_mu]
        phi = nodes[:, self.layout.index(POTENTIAL)] if POTENTIAL in self.layout else None
        beta = self.inverse_temperature(values)
        if beta is not None:
            return mu, np.array(self.problem.law.eta(mu, self.problem.charges, phi, beta)), phi
        # as `Law.eta` has it, of all species at once
        return (mu, mu, None) if phi is None else (mu, mu - self.problem.charges[:, None] * phi, phi)

    def inverse_temperature(self, values: np.ndarray) -> np.ndarray | None:
        """Return ``beta`` of unknowns, as `potentials`; None under a law without a temperature."""
        if INVERSE_TEMPERATURE not in self.layout:
            return None
        return self.layout.at_nodes(values)[:, self.layout.index(INVERSE_TEMPERATURE)]

    def warmth(self, values: np.ndarray) -> Warmth | None:
        """Return what the law must know of the temperature of unknowns, as `potentials`; None without one."""
        beta = self.inverse_temperature(values)
        if beta is None:
            return None
        _, _, phi = self.potentials(values)
        return Warmth(beta, None if phi is None else [z * phi for z in self.problem.charges])

    def contents(self, values: np.ndarray, partition: np.ndarray | None = None) -> np.ndarray:
        """Return the density of everything that is conserved for unknowns, as `potentials`; (quantities, nodes).

        partition
            Partition energies there, as of `partition_of_cells`.
        """
        _, eta, _ = self.potentials(values)
        return self._contents(eta, self.inverse_temperature(values), partition)

    def densities(self, values: np.ndarray, partition: np.ndarray | None = None) -> list[Value]:
        """Return ``[rho_0, rho_1, .., rho_N]`` for unknowns, as `contents`."""
        _, eta, _ = self.potentials(values)
        return self.problem.law.free_energy.densities(list(eta if partition is None else eta - partition))

    def _contents(self, eta: np.ndarray, beta: np.ndarray | None, partition: np.ndarray | None = None) -> np.ndarray:
        law = self.problem.law
        vacancy, *rho = law.free_energy.densities(list(eta if partition is None else eta - partition))
        if law.energy is None or beta is None:
            return np.array(rho)
        return np.array([*rho, law.energy.density([vacancy, *rho], beta, **law.parameters)])

    def nodal_values(self) -> NodalValues:
        """Return the unknown and its densities at the nodes."""
        mu, eta, potential = self.potentials(self.values)
        contents = self._contents(eta, self.inverse_temperature(self.values), self.partition_at_nodes())
        return NodalValues(mu, eta, contents, potential)

    # ---- partition energies ----

    @property
    def partition_of_cells(self) -> np.ndarray | None:
        """Partition energies as in the equations, kT, ``(N, cells)``; None if no species has any."""
        if self.parameters.partition is None:
            return None
        zero = np.zeros(self.problem.domain.local_cells)
        return np.array([zero if isinstance(energy, float) else energy.x.array for energy in self.parameters.partition])

    def partition_at_nodes(self) -> np.ndarray | None:
        """Return the least partition energies around the nodes, ``(N, nodes)``, or None; collective."""
        of_cells = self.partition_of_cells
        if of_cells is None:
            return None
        scalar = self.forms.kept("scalar space", self.scalar_space)
        return np.array([least_around_nodes(energies, scalar) for energies in of_cells])

    def scalar_space(self) -> fem.FunctionSpace:
        """Return the space of one unknown: its nodes have the same numbers."""
        return fem.functionspace(self.problem.domain.mesh, ("Lagrange", self.degree))

    def reported_potentials(
        self, values: np.ndarray, partition: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Split unknowns, as `potentials`, into ``mu`` (species, nodes) and ``phi``, counted from the user's zero.

        partition
            As of `contents`; ``mu_a`` is NaN where there can be none of the species.
        """
        mu, _, phi = self.potentials(values)
        if partition is not None:
            mu = np.where(partition < EXCLUDED, mu, np.nan)
        if phi is None:
            return mu, None
        reference, beta = self.problem.potential_reference, self.inverse_temperature(values)
        reduced = reference if beta is None else reference * beta
        return mu + reduced * self.problem.charges[:, None], phi + reference

    def shift_potentials(self, shift: float) -> None:
        """Add a constant to the electric potential in the unknown, all densities staying as they are."""
        if POTENTIAL in self.layout:
            nodes = self.layout.at_nodes(self.values)
            nodes[:, self.layout.index(POTENTIAL)] += shift
            beta = self.inverse_temperature(nodes)
            reduced = shift if beta is None else shift * beta[:, None]
            nodes[:, self.layout.indices(self.mu)] += reduced * self.problem.charges

    # ---- integration ----

    def mark_steep_cells(self) -> None:
        """Integrate by the high rule where a potential in the unknown is steep within a cell."""
        self.integration.mark(self.changes_within_cells().max(axis=0) > self.steep)

    def changes_within_cells(self) -> np.ndarray:
        """Return how much every ``mu_a``, and every ``eta_a`` where that is another one, changes within each cell of
        this rank, ``(N or 2 N, cells)`` in kT; 0 where there is none of the species."""
        mu, eta, _ = self.potentials(self.values)
        changes = changes_within(mu if eta is mu else np.concatenate([mu, eta]), self._cells)
        if self.problem.partition:
            changes.reshape(-1, *self._excluded.shape)[:, self._excluded] = 0.0
        return changes


class Forms:
    """What is compiled of the equations, and of what others ask for, each once.

    balance
        What flows in and out of the neighbourhood of every node: the currents are read off it.
    """

    def __init__(self, integration: Integration, weak_form: WeakForm, unknown: fem.Function) -> None:
        self._integration = integration
        self._kept: dict[str, Any] = {}
        self.balance = integration.form(weak_form.balance)
        has_more = weak_form.residual != weak_form.balance
        self.residual = integration.form(weak_form.residual) if has_more else self.balance
        self.jacobian = integration.form(ufl.derivative(weak_form.residual, unknown))

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returns, made the first time only: for forms, expressions and nodes that are read often.

        Numbers in forms must be those of the parameters, which follow the problem.
        """
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def integrals(self, name: str, integrands: Callable[[], Sequence[Any]]) -> np.ndarray:
        """Return the integrals over the domain of UFL expressions, as `integrals_over_cells`; collective."""
        totals: np.ndarray = self.integrals_over_cells(name, integrands).sum(axis=0)
        self._integration.domain.comm.Allreduce(MPI.IN_PLACE, totals, op=MPI.SUM)
        return totals

    def integrals_over_cells(self, name: str, integrands: Callable[[], Sequence[Any]]) -> np.ndarray:
        """Return the integrals of UFL expressions over every cell of this rank, ``(cells, expressions)``; collective.

        They are compiled together once under a name, and assembled against the constants of every cell.
        """

        def make() -> tuple[CellwiseForm, la.Vector]:
            densities, mesh = integrands(), self._integration.domain.mesh
            element = basix.ufl.element("Discontinuous Lagrange", mesh.basix_cell(), 0, shape=(len(densities),))
            space = fem.functionspace(mesh, element)
            test = ufl.TestFunction(space)
            form = self._integration.form(ufl.inner(ufl.as_vector(densities), test) * self._integration.dx)
            return form, la.vector(space.dofmap.index_map, space.dofmap.index_map_bs)

        form, of_cells = self.kept(name, make)
        of_cells.array[:] = 0.0
        form.add_to(of_cells.array)
        owned: np.ndarray = of_cells.array[: of_cells.index_map.size_local * of_cells.block_size]
        return owned.reshape(-1, of_cells.block_size)

    def total(self, functional: CellwiseForm) -> float:
        """Return the value of a compiled functional over all ranks."""
        comm = self._integration.domain.comm
        return float(comm.allreduce(fem.assemble_scalar(functional.now), op=MPI.SUM))
