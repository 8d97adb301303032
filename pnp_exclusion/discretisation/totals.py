"""Fluxes out of the domain through boundaries, charges on them, and how both change: from the discrete equations.

The residual of an equation, summed over the nodes that a boundary holds, is what must flow in there to keep them, or
the charge that must sit there (docs/numerics.md#currents); what terms of the boundary let through, or carry, is
integrated.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mpi4py import MPI

import numpy as np
import ufl
from dolfinx import la

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.layout import POTENTIAL, unknown_of
from pnp_exclusion.physics.problem import Problem


@dataclass(frozen=True)
class Totals:
    """Integrals over boundaries, or their derivatives.

    fluxes
        ``(boundaries, quantities)``, out of the domain.
    charges
        ``(boundaries,)``; zero with imposed fields.
    """

    fluxes: np.ndarray
    charges: np.ndarray

    def __add__(self, other: Totals) -> Totals:
        """Return the sums."""
        return Totals(self.fluxes + other.fluxes, self.charges + other.charges)

    def of_floating(self, discrete: Discretisation) -> np.ndarray:
        """Return of every boundary whose potential is found (`Problem.floating`) what is given of it instead."""
        problem = discrete.problem
        currents = self.fluxes[:, : len(problem.species)] @ problem.charges
        totals = [(tag, problem.boundaries[tag].given_total) for tag in problem.floating]
        return np.array([(currents if one and one.quantity == "current" else self.charges)[tag] for tag, one in totals])


class BoundaryIntegrals:
    """Evaluates them; all methods are collective. `boundary_integrals` makes one a discretisation."""

    def __init__(self, discrete: Discretisation) -> None:
        # the discretisation keeps this: a circle would hold meshes, and communicators of MPI, until Python looks for it
        self._discrete = weakref.ref(discrete)
        self._owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size

    @property
    def discrete(self) -> Discretisation:
        """Of which they are."""
        found = self._discrete()
        assert found is not None
        return found

    def now(self, stored: np.ndarray | None = None) -> Totals:
        """Return those of the state in the unknown.

        stored
            What is stored per time at every owned unknown; None in a steady state.
        """
        return self.natural() + self.held(self.balance() if stored is None else self.balance() + stored)

    def natural(self) -> Totals:
        """Return what terms of the boundaries let through, and carry, at the state in the unknown."""
        return self._sums(np.zeros(self._owned), {unknown: self._values(unknown) for unknown in self._unknowns})

    def held(self, rows: np.ndarray) -> Totals:
        """Return what rows of the equations, at the owned unknowns, say where boundaries hold something."""
        return self._sums(
            rows, {unknown: np.zeros(len(self.discrete.problem.boundaries)) for unknown in self._unknowns}
        )

    def along(self, change: np.ndarray, direction: np.ndarray) -> Totals:
        """Return the derivatives along a direction of the owned unknowns.

        change
            Of the balance at the owned unknowns, along it: see `balance_along`.
        """
        natural = {unknown: self._slopes(unknown, direction) for unknown in self._unknowns}
        return self._sums(change, natural)

    def slopes(self, fluxes: np.ndarray, charges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which rows of the balance a weighted sum of totals adds up, and the slopes of what terms of the
        boundaries add to it, both at the owned unknowns.

        fluxes, charges
            The weights, as in `Totals`.
        """
        discrete = self.discrete
        weights = {unknown: -fluxes[:, a] for a, unknown in enumerate(discrete.entropic)} | {POTENTIAL: charges}
        rows, slopes = np.zeros(self._owned), np.zeros(self._owned)
        for (tag, unknown), dofs in discrete.constraints.claimed.items():
            rows[dofs[dofs < self._owned]] = weights[unknown][tag]
        for unknown in self._unknowns:
            sign = 1.0 if unknown == POTENTIAL else -1.0
            if weights[unknown].any():
                for tag, form in self._slope_forms(unknown).items():
                    slopes += sign * weights[unknown][tag] * self._assembled(form)
        return rows, slopes

    def balance(self) -> np.ndarray:
        """Return the balance of the owned unknowns, those too that are held."""
        return self._assembled(self.discrete.forms.balance)

    def balance_along(self, direction: np.ndarray) -> np.ndarray:
        """Return the derivative of the balance along a direction of the owned unknowns."""
        return self._along("balance", direction)

    def residual_along(self, direction: np.ndarray) -> np.ndarray:
        """Return the derivative of the residual likewise, with what holds densities weakly."""
        forms = self.discrete.forms
        return self._along("balance" if forms.residual is forms.balance else "residual", direction)

    def by_number(self, tag: int) -> tuple[np.ndarray, Totals]:
        """Return what the potential of a boundary changes of the balance, and of totals, at a state that stays.

        Where it is held that is what reacts there; behind a Stern layer it stands in the charge too, to which both are
        linear, so that a difference is the derivative.
        """
        discrete, problem = self.discrete, self.discrete.problem
        column, charges = np.zeros(self._owned), np.zeros(len(problem.boundaries))
        boundary = problem.boundaries[tag]
        if boundary.dirichlet_potential is None and problem.coupled:
            raised = replace(boundary, potential=(boundary.applied_potential or 0.0) + 1.0)  # type: ignore[call-arg]
            changed = [raised if number == tag else one for number, one in enumerate(problem.boundaries)]
            for numbers, sign in ((problem, -1.0), (replace(problem, boundaries=changed), 1.0)):
                discrete.weak_form.take_numbers(numbers)
                column += sign * self.balance()
                charges += sign * self._values(POTENTIAL)
            discrete.weak_form.take_numbers(problem)
            # of reactions, which are not linear to it, see `_by_reactions`
            discrete.layout.at_nodes(column)[:, discrete.layout.indices(discrete.entropic)] = 0.0
        reacting, fluxes = self._by_reactions(tag)
        return column + reacting, Totals(fluxes, charges)

    def _by_reactions(self, tag: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what the potential of a boundary changes of balance and fluxes at a state that stays, because
        something reacts there."""
        discrete, problem = self.discrete, self.discrete.problem
        column, fluxes = np.zeros(self._owned), np.zeros((len(problem.boundaries), len(problem.quantities)))

        def forms() -> tuple[CellwiseForm, dict[str, CellwiseForm]] | None:
            weak_form, integration = discrete.weak_form, discrete.integration
            slopes: dict[str, Any] = {}
            for number in reacting_at(problem, tag):
                reaction = problem.reactions[number]
                for name in filter(reaction.change, reaction.species):
                    slopes[name] = slopes.get(name, 0.0) - reaction.change(name) * weak_form.electrode_slope(number)
            if not slopes:
                return None
            test = discrete.layout.parts(ufl.TestFunction(discrete.space))
            ds = integration.ds(tag)
            of_nodes = sum((slope * test[unknown_of(a)] * ds for a, slope in slopes.items()), ufl.Form([]))
            return integration.form(of_nodes), {a: integration.form(slope * ds) for a, slope in slopes.items()}

        found = discrete.forms.kept(f"slopes of reactions at {tag}", forms)
        if found is not None:
            of_nodes, totals = found
            column += self._assembled(of_nodes)
            for name, total in totals.items():
                fluxes[tag, problem.quantities.index(name)] = discrete.forms.total(total)
        return column, fluxes

    # ---- sums over nodes, and terms of boundaries ----

    @property
    def _unknowns(self) -> list[str]:
        return [*self.discrete.entropic, *([POTENTIAL] if POTENTIAL in self.discrete.layout else [])]

    def _sums(self, at_nodes: np.ndarray, natural: dict[str, np.ndarray]) -> Totals:
        discrete = self.discrete
        held = {unknown: np.zeros(len(discrete.problem.boundaries)) for unknown in natural}
        for (tag, unknown), dofs in discrete.constraints.claimed.items():
            held[unknown][tag] = at_nodes[dofs[dofs < self._owned]].sum()
        table = np.array(list(held.values()))
        discrete.problem.domain.comm.Allreduce(MPI.IN_PLACE, table, op=MPI.SUM)
        summed = dict(zip(held, table, strict=True))
        fluxes = np.column_stack([natural[unknown] - summed[unknown] for unknown in discrete.entropic])
        if POTENTIAL not in natural:
            return Totals(fluxes, np.zeros(len(fluxes)))
        return Totals(fluxes, natural[POTENTIAL] + summed[POTENTIAL])

    def _values(self, unknown: str) -> np.ndarray:
        """Return what terms of the equation of an unknown give at every boundary: the flux out of it, or its charge."""
        values = np.zeros(len(self.discrete.problem.boundaries))
        for tag, form in self._terms(unknown).items():
            values[tag] = self.discrete.forms.total(form)
        return values

    def _slopes(self, unknown: str, direction: np.ndarray) -> np.ndarray:
        slopes = np.zeros(len(self.discrete.problem.boundaries))
        for tag, form in self._slope_forms(unknown).items():
            slopes[tag] = float(self._assembled(form) @ direction)
        self.discrete.problem.domain.comm.Allreduce(MPI.IN_PLACE, slopes, op=MPI.SUM)
        return slopes

    def _densities(self, unknown: str) -> dict[int, Any]:
        discrete = self.discrete
        fields, weak_form = discrete.fields, discrete.weak_form

        def term(tag: int) -> Any | None:
            if unknown == POTENTIAL:
                return weak_form.surface_charge(tag, fields.rho, fields.potential)
            return weak_form.outward_flux(tag, discrete.problem.quantities[discrete.entropic.index(unknown)])

        terms = {tag: term(tag) for tag in range(len(discrete.problem.boundaries))}
        return {tag: density for tag, density in terms.items() if density is not None}

    def _terms(self, unknown: str) -> dict[int, CellwiseForm]:
        integration = self.discrete.integration
        return self._kept(
            f"terms of {unknown} at boundaries", unknown, lambda tag, density: density * integration.ds(tag)
        )

    def _slope_forms(self, unknown: str) -> dict[int, CellwiseForm]:
        discrete = self.discrete

        def slope(tag: int, density: Any) -> ufl.Form:
            return ufl.derivative(density * discrete.integration.ds(tag), discrete.unknown)

        return self._kept(f"slopes of terms of {unknown} at boundaries", unknown, slope)

    def _kept(self, name: str, unknown: str, form: Callable[[int, Any], ufl.Form]) -> dict[int, CellwiseForm]:
        def make() -> dict[int, CellwiseForm]:
            densities = self._densities(unknown)
            return {tag: self.discrete.integration.form(form(tag, density)) for tag, density in densities.items()}

        kept: dict[int, CellwiseForm] = self.discrete.forms.kept(name, make)
        return kept

    def _along(self, what: str, direction: np.ndarray) -> np.ndarray:
        discrete = self.discrete

        def make() -> tuple[CellwiseForm, Any]:
            along = discrete.unknown.copy()
            whole = getattr(discrete.weak_form, what)
            return discrete.integration.form(ufl.derivative(whole, discrete.unknown, along)), along

        form, along = discrete.forms.kept(f"{what} along a direction", make)
        along.x.array[: self._owned] = direction
        along.x.scatter_forward()
        return self._assembled(form)

    def _assembled(self, form: CellwiseForm) -> np.ndarray:
        """Return a form of one test function at the owned unknowns."""
        dofmap = self.discrete.space.dofmap
        vector: la.Vector = self.discrete.forms.kept(
            "balance at nodes", lambda: la.vector(dofmap.index_map, dofmap.index_map_bs)
        )
        vector.array[:] = 0.0
        form.add_to(vector.array)
        vector.scatter_reverse(la.InsertMode.add)
        return vector.array[: self._owned].copy()


def reacting_at(problem: Problem, tag: int) -> list[int]:
    """Return the numbers of the reactions that exchange electrons at a boundary."""
    where = problem.boundaries[tag].where
    return [n for n, reaction in enumerate(problem.reactions) if reaction.boundary == where and reaction.electrons]


def boundary_integrals(discrete: Discretisation) -> BoundaryIntegrals:
    """Return those of a discretisation, made the first time only."""
    integrals: BoundaryIntegrals = discrete.forms.kept("boundary integrals", lambda: BoundaryIntegrals(discrete))
    return integrals
