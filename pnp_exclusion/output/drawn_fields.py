"""Every field of a solution as functions on its mesh as drawn, for the files that others open."""

from __future__ import annotations

import basix
import basix.ufl
import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import State
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.observe.flux_parts import flux_fields
from pnp_exclusion.observe.nodes import nodal_fields
from pnp_exclusion.output.displayed import Displayed, displayed
from pnp_exclusion.output.text import header
from pnp_exclusion.solution.solution import Solution


class DrawnFields:
    """Every field of a state as a function on the mesh as drawn, a named quantity with its unit each.

    Scalars and vectors have the degree of the solution, so that curved profiles are as they are, and nodes that are
    evenly spaced in every cell, as VTK takes them to be; those of the solution are not from degree 3 on. Densities jump
    between cells of unlike partition energy.
    """

    def __init__(self, solution: Solution) -> None:
        self.scales, self.discrete = solution.setup.scales, solution.discretisation
        discrete, problem = self.discrete, self.discrete.problem
        self.mesh = problem.domain.drawn
        self.space, self._numbers = unfolded(discrete.space, self.mesh)
        self.solved = fem.Function(self.space)
        self._unknown = self._evenly(discrete.layout.size)
        self.scalar = self._evenly(1).function_space
        self._vector = self._evenly(problem.domain.dimension).function_space
        self._linear = fem.Function(fem.functionspace(self.mesh, ("Lagrange", 1)))
        self._raised = fem.Function(self.scalar)
        self._points = self.scalar.tabulate_dof_coordinates()[:, : problem.domain.dimension]
        self.units: dict[str, str] = {}
        self.vectors: set[str] = set()
        self.nodal: dict[str, fem.Function] = {}
        self.cellwise: dict[str, fem.Function] = {}

    def _evenly(self, components: int) -> fem.Function:
        shape = (components,) if components > 1 else None
        variant, jumps = basix.LagrangeVariant.equispaced, self.discrete.partition_of_cells is not None
        element = basix.ufl.element(
            "Lagrange", self.mesh.basix_cell(), self.discrete.degree, variant, shape=shape, discontinuous=jumps
        )
        return fem.Function(fem.functionspace(self.mesh, element))

    def show(self, state: State) -> None:
        """Take on the fields of a state; collective."""
        discrete, dimension = self.discrete, self.mesh.geometry.dim
        discrete.show(state)
        discrete.layout.at_nodes(self.solved.x.array)[:] = discrete.layout.at_nodes(discrete.values)[self._numbers]
        self._unknown.interpolate(self.solved)
        nodes = discrete.layout.at_nodes(self._unknown.x.array)
        partition = None
        if discrete.partition_of_cells is not None:
            partition = np.empty((len(discrete.partition_of_cells), len(nodes)))
            partition[:, self.scalar.dofmap.list] = discrete.partition_of_cells[:, :, None]
        fields = nodal_fields(discrete, self._points, nodes, self._fluxes(), partition)
        for field in displayed(fields, self.scales, discrete.problem):
            is_vector = field.values.ndim > 1
            function = self._named(self.nodal, field, self._vector if is_vector else self.scalar)
            function.x.array.reshape(-1, dimension if is_vector else 1)[:] = np.atleast_2d(field.values).T
            if is_vector:
                self.vectors.add(field.name)
        if discrete.problem.coupled:
            fixed = discrete.problem.immobile_charge * self.scales.displayed_concentration
            field = Displayed("fixed_charge", "mol/L" if self.scales.si else "", fixed)
            space = None if field.name in self.cellwise else fem.functionspace(self.mesh, ("Discontinuous Lagrange", 0))
            self._named(self.cellwise, field, space).x.array[:] = fixed

    def _named(
        self, functions: dict[str, fem.Function], field: Displayed, space: fem.FunctionSpace | None
    ) -> fem.Function:
        if field.name not in functions:
            functions[field.name] = fem.Function(space, name=header(field.name, field.unit))
            self.units[field.name] = field.unit
        return functions[field.name]

    def _fluxes(self) -> np.ndarray:
        """Return flux densities at the nodes, ``(nodes, quantities * dimension)``: linear between the vertices."""
        averaged = flux_fields(self.discrete)
        _, vertices = unfolded(averaged.function_space, self.mesh)
        of_vertices = averaged.x.array.reshape(-1, averaged.function_space.dofmap.index_map_bs)[vertices]
        found = np.empty((len(self._raised.x.array), of_vertices.shape[1]))
        for component, values in enumerate(of_vertices.T):
            self._linear.x.array[:] = values
            self._raised.interpolate(self._linear)
            found[:, component] = self._raised.x.array
        return found

    def at(self, unknowns: np.ndarray, partition: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return the scalar fields of unknowns ``(points, size)`` anywhere, with partition energies there."""
        problem = self.discrete.problem
        nowhere = np.zeros((len(unknowns), 1))
        fluxes = np.zeros((len(unknowns), len(problem.quantities)))
        fields = nodal_fields(self.discrete, nowhere, unknowns, fluxes, partition)
        return {field.name: field.values for field in displayed(fields, self.scales, problem) if field.values.ndim == 1}
