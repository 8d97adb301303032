"""Unknown scalars beside the potential in the Poisson problem of the first guess, and one equation for each.

The potential of a boundary whose charge is given, and a shift of ``mu`` for a closed species whose amount is given.
Block elimination with the matrix of the Poisson problem, as in `pnp_exclusion.solver.border`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpi4py import MPI

import numpy as np
import ufl
from dolfinx import fem, la

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import given
from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.layout import POTENTIAL, electrochemical_potential


class PoissonBorder:
    """The scalars of one Poisson problem; all methods are collective.

    frozen, potential
        The functions that hold ``mu`` and the potential.
    rho
        Densities of the species, as UFL of both.
    residual
        Of Poisson's equation, likewise.
    """

    def __init__(
        self,
        discrete: Discretisation,
        frozen: fem.Function,
        potential: fem.Function,
        rho: Sequence[Any],
        residual: ufl.Form,
    ) -> None:
        self._discrete, self._frozen = discrete, frozen
        problem, form = discrete.problem, discrete.integration.form
        self._tags = [
            (number, tag)
            for number, tag in enumerate(problem.floating)
            if getattr(problem.boundaries[tag].given_total, "quantity", "") == "charge"
        ]
        self._closed = problem.conserved
        if not self.any:
            return
        space, self._owned = potential.function_space, potential.function_space.dofmap.index_map.size_local
        self._along_potential, self._along_frozen = fem.Function(space), fem.Function(frozen.function_space)

        def along(whole: ufl.Form) -> CellwiseForm:
            by_potential = ufl.derivative(whole, potential, self._along_potential)
            by_mu = ufl.derivative(whole, frozen, self._along_frozen)
            return form(by_potential + by_mu)

        self._residual_along = along(residual)
        by_name, weak_form = dict(zip(problem.names, rho, strict=True)), discrete.weak_form
        self._natural: dict[int, tuple[CellwiseForm, CellwiseForm]] = {}
        for number, tag in self._tags:
            density = weak_form.surface_charge(tag, by_name, potential)
            if density is not None:
                total = density * discrete.integration.ds(tag)
                self._natural[number] = form(total), along(total)
        amounts = [by_name[name] * discrete.integration.dx for name in self._closed]
        self._amounts = [(form(amount), along(amount)) for amount in amounts]
        self._volume = form(fem.Constant(problem.domain.mesh, 1.0) * discrete.integration.dx)
        self._vector = la.vector(space.dofmap.index_map, 1)

    @property
    def any(self) -> bool:
        """Whether there are such scalars."""
        return bool(self._tags or self._closed)

    def correct(
        self,
        fixed: np.ndarray,
        residual: Callable[[], np.ndarray],
        solve: Callable[[np.ndarray], np.ndarray],
        with_amounts: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the step of the potential and those of the scalars.

        fixed
            The Newton step of the potential at the owned nodes with the scalars as they are.
        residual
            Returns the residual at the owned nodes, held ones too.
        solve
            With its matrix, for a right-hand side at the owned nodes.
        with_amounts
            Whether the amounts of closed species are to be kept; their scalars are 0 otherwise.
        """
        count = len(self._tags) + len(self._closed) * with_amounts
        if count == 0:
            return fixed, np.zeros(0)
        tangents, slopes = zip(*(self._tangent(scalar, residual, solve, count) for scalar in range(count)), strict=True)
        left = self.excess(residual(), count) + self._changes(fixed, self._closed_shift(None), count)
        try:
            steps = np.linalg.solve(np.column_stack(slopes), -left)
        except np.linalg.LinAlgError:
            steps = np.full(count, np.nan)
        return fixed + steps @ np.array(tangents), steps

    def move(self, steps: np.ndarray) -> None:
        """Change the scalars: but for potentials at nodes, which are among the nodes' own."""
        split = self._discrete.layout.split(self._frozen.x.array)
        for name, step in zip(self._closed, steps[len(self._tags) :], strict=False):
            split[electrochemical_potential(name)][:] += step
        problem = self._discrete.problem
        behind = {number: step for (number, _), step in zip(self._tags, steps, strict=False) if number in self._natural}
        if behind:
            now = [problem.boundaries[tag].applied_potential or 0.0 for tag in problem.floating]
            self._discrete.set_potentials([v + behind.get(number, 0.0) for number, v in enumerate(now)])

    def _tangent(
        self,
        scalar: int,
        residual: Callable[[], np.ndarray],
        solve: Callable[[np.ndarray], np.ndarray],
        count: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how the owned nodes answer to a scalar, and what all equations of scalars do."""
        moved, shift = np.zeros(self._owned), self._closed_shift(scalar - len(self._tags))
        column, charges = np.zeros(self._owned), np.zeros(count)
        if scalar < len(self._tags):
            number, tag = self._tags[scalar]
            nodes = self._nodes(tag)
            moved[nodes] = 1.0
            if number in self._natural:
                column, charges = self._by_number(tag, scalar, residual, count)
        right = self._assembled_along(moved, shift) + column
        tangent = moved - solve(right)
        changes = self._changes(tangent, shift, count) + charges
        for position, (_, tag) in enumerate(self._tags):
            changes[position] += self._sum(column[self._nodes(tag)])
        return tangent, changes

    def _by_number(
        self, tag: int, scalar: int, residual: Callable[[], np.ndarray], count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what the potential behind a Stern layer changes of the residual and of its charge: both are linear."""
        problem = self._discrete.problem
        number, now = self._tags[scalar][0], [problem.boundaries[t].applied_potential or 0.0 for t in problem.floating]
        column, charges = np.zeros(self._owned), np.zeros(count)
        raised = [potential + (position == number) for position, potential in enumerate(now)]
        for potentials, sign in ((raised, 1.0), (now, -1.0)):
            self._discrete.set_potentials(potentials)
            column += sign * residual()
            charges[scalar] += sign * self._discrete.forms.total(self._natural[number][0])
        return column, charges

    def excess(self, residual: np.ndarray, count: int) -> np.ndarray:
        """Return by how much charges, and amounts if they are counted, exceed what is given."""
        discrete, totals = self._discrete, given(self._discrete)
        found = []
        for number, tag in self._tags:
            charge = self._sum(residual[self._nodes(tag)]) - totals[number]
            if number in self._natural:
                charge += discrete.forms.total(self._natural[number][0])
            found.append(charge)
        if count > len(self._tags):
            volume = discrete.forms.total(self._volume)
            means = {species.name: species.mean_fraction or 0.0 for species in discrete.problem.species}
            for name, (amount, _) in zip(self._closed, self._amounts, strict=True):
                found.append(discrete.forms.total(amount) - means[name] * volume)
        return np.array(found)

    def _changes(self, potential: np.ndarray, shift: np.ndarray, count: int) -> np.ndarray:
        """Return how charges and amounts change with the potential at the owned nodes and with ``mu``."""
        at_nodes = self._assembled_along(potential, shift)
        changes = []
        for number, tag in self._tags:
            slope = self._sum(at_nodes[self._nodes(tag)])
            if number in self._natural:
                slope += self._discrete.forms.total(self._natural[number][1])
            changes.append(slope)
        if count > len(self._tags):
            changes += [self._discrete.forms.total(along) for _, along in self._amounts]
        return np.array(changes)

    def _closed_shift(self, position: int | None) -> np.ndarray:
        """Return 1 for ``mu`` of a closed species at all nodes of this rank, by its place among them."""
        shift = np.zeros_like(self._frozen.x.array)
        if position is not None and position >= 0:
            self._discrete.layout.split(shift)[electrochemical_potential(self._closed[position])][:] = 1.0
        return shift

    def _nodes(self, tag: int) -> np.ndarray:
        """Return the owned nodes that a boundary holds at its potential."""
        dofs = self._discrete.constraints.claimed.get((tag, POTENTIAL), np.empty(0, dtype=np.int32))
        nodes = self._discrete.layout.nodes_of(dofs)
        return nodes[nodes < self._owned]

    def _assembled_along(self, potential: np.ndarray, shift: np.ndarray) -> np.ndarray:
        self._along_potential.x.array[: self._owned] = potential
        self._along_potential.x.scatter_forward()
        self._along_frozen.x.array[:] = shift
        self._vector.array[:] = 0.0
        self._residual_along.add_to(self._vector.array)
        self._vector.scatter_reverse(la.InsertMode.add)
        return self._vector.array[: self._owned].copy()

    def _sum(self, values: np.ndarray) -> float:
        return float(self._discrete.problem.domain.comm.allreduce(float(values.sum()), op=MPI.SUM))
