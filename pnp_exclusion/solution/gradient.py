"""Derivatives of a steady state by any number of parameters of its case: one adjoint for each goal.

A parameter changes the numbers of the equations, what boundaries hold, where nodes are, and the units. Of all that the
adjoint needs no more than by how much residual and goal change at a state that stays: centred differences of one
assembly, over those cells whose numbers differ (docs/gradients.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mpi4py import MPI

import numpy as np
from dolfinx import la
from numpy.typing import NDArray

from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.region_cells import RegionCells
from pnp_exclusion.case.smooth_keys import Variations
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.functionals import gradients
from pnp_exclusion.discretisation.totals import Totals, boundary_integrals
from pnp_exclusion.errors import UsageError
from pnp_exclusion.solution.displaced import Displacement, Numbers, PotentialDisplacement
from pnp_exclusion.solution.goals import Goal, Weights, goals_named
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solver.adjoint import adjoints_of
from pnp_exclusion.solver.amounts import amount_ratios, linked_lacks
from pnp_exclusion.solver.steady import SolverSettings

if TYPE_CHECKING:
    import xarray

type Real = NDArray[np.float64]


@dataclass(frozen=True)
class Gradient:
    """Goals of a steady state and their derivatives by parameters.

    goals, units
        Names, and the units of their values; empty without any.
    parameters, parameter_units
        Likewise.
    values
        ``(goals,)``, of the goals.
    at
        ``(parameters,)``, of the parameters.
    derivatives
        ``(goals, parameters)``, in the unit of the goal over that of the parameter.
    """

    goals: tuple[str, ...]
    units: tuple[str, ...]
    parameters: tuple[str, ...]
    parameter_units: tuple[str, ...]
    values: Real
    at: Real
    derivatives: Real

    def __getitem__(self, of: str | tuple[str, str]) -> Any:
        """Return the derivative of a goal by a parameter, or those of a single goal by its parameter alone."""
        goal, parameter = (self.goals[0], of) if isinstance(of, str) else of
        return float(self.derivatives[self.goals.index(goal), self.parameters.index(parameter)])

    @property
    def elasticities(self) -> Real:
        """``d log G/d log p``, ``(goals, parameters)``: by how many per cent a goal changes with one of a parameter."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.derivatives * self.at / self.values[:, None])

    def unit_of(self, goal: int, parameter: int) -> str:
        """Return the unit of a derivative."""
        unit, per = self.units[goal], self.parameter_units[parameter]
        if not per:
            return unit
        return f"{unit or 1}/({per})" if set("/ ").intersection(per) else f"{unit or 1}/{per}"

    def to_xarray(self) -> xarray.Dataset:
        """Return the derivatives along ``goal`` and ``parameter``, with values and units."""
        import xarray as xr

        return xr.Dataset(
            {
                "derivative": (("goal", "parameter"), self.derivatives),
                "elasticity": (("goal", "parameter"), self.elasticities),
                "value": ("goal", self.values),
                "at": ("parameter", self.at),
            },
            {
                "goal": list(self.goals),
                "parameter": list(self.parameters),
                "unit": ("goal", list(self.units)),
                "parameter_unit": ("parameter", list(self.parameter_units)),
            },
        )


def gradient_of(
    steady: SteadyState,
    goals: str | Sequence[str],
    parameters: str | Sequence[str],
    settings: SolverSettings,
    petsc_options: Sequence[str] = (),
    *,
    are_known: bool = False,
) -> Gradient:
    """Return the derivatives of goals of a steady state by parameters of its case; collective.

    are_known
        Whether the parameters are known to be numbers whose neighbours are cases too.

    Raises `UsageError` for a goal that there is not, and for a parameter that the state does not follow smoothly,
    `ConvergenceError` if a linear system cannot be solved.
    """
    names = [goals] if isinstance(goals, str) else list(goals)
    keys = [parameters] if isinstance(parameters, str) else list(parameters)
    if not names or not keys:
        raise UsageError(f"a gradient needs one {'parameter' if names else 'goal'} or more")
    variations = Variations(steady.setup.case)
    found = variations.parameters(keys, steady.setup.scales)
    if not are_known:
        variations.require_neighbours(found)
    wanted = goals_named(steady, names)
    with Sensitivity(steady, wanted, settings, petsc_options) as sensitivity:
        setup = steady.setup
        regions = RegionCells(setup.case, setup.scales, setup.problem.domain)
        derivatives = sensitivity.by([Displacement(steady, variations, one, regions) for one in found])
        return Gradient(
            tuple(names),
            tuple(goal.unit for goal in wanted),
            tuple(keys),
            tuple(one.unit for one in found),
            sensitivity.values,
            np.array([one.value for one in found]),
            derivatives,
        )


class Sensitivity:
    """Goals of a steady state with their adjoints; a context that leaves the discretisation at this state.

    values
        ``(goals,)``.
    """

    def __init__(
        self, steady: SteadyState, goals: Sequence[Goal], settings: SolverSettings, petsc_options: Sequence[str]
    ) -> None:
        self._steady, self._discrete = steady, steady.discretisation
        self._problem = problem = steady.state.problem
        self._setup = replace(steady.setup, problem=problem)
        self._functionals = [*goals, *_totals_given(steady)]
        self._count = len(goals)
        self._integrals, self._held = boundary_integrals(self._discrete), self._discrete.constraints.dofs
        self._totals = self._integrals.now()
        self._weights = [goal.weights(self._setup) for goal in self._functionals]
        self._at_rest = [self._value(goal, one) for goal, one in zip(self._functionals, self._weights, strict=True)]
        self.values: Real = np.array(self._at_rest[: self._count])
        self._has_terms = any(_has_terms(self._discrete, weights) for weights in self._weights)
        of_weights = zip(self._functionals, self._weights, strict=True)
        rows, slopes = gradients([goal.functional(weights) for goal, weights in of_weights], self._discrete)
        adjoints, self._shares = adjoints_of(self._discrete, rows, slopes, settings, petsc_options)
        self._volume = steady.integrals.volume if problem.combinations else 1.0
        has_more = self._discrete.forms.residual is not self._discrete.forms.balance
        against = [(self._discrete.forms.residual, (0.0 if has_more else rows) - adjoints)]
        against += [(self._discrete.forms.balance, rows)] if has_more else []
        self._against = [(form, self._with_ghosts(weights)) for form, weights in against]

    def __enter__(self) -> Sensitivity:
        return self

    def __exit__(self, *_: object) -> None:
        # the numbers in force are those of the last displacement
        self._discrete.unknown_changes()
        self._discrete.show(self._steady.state)

    def by(self, displacements: Sequence[Displacement]) -> Real:
        """Return the derivatives of the goals, ``(goals, displacements)``; collective."""
        floating = [PotentialDisplacement(self._steady, n) for n in range(len(self._problem.floating))]
        every: list[Displacement | PotentialDisplacement] = [*displacements, *floating]
        columns = np.array([self._at_fixed_potentials(one) for one in every])
        derivatives: Real = self._steady.shared.problem.domain.comm.allreduce(columns, op=MPI.SUM).T
        if not floating:
            return derivatives
        # the potentials that are found keep the totals that are given
        given, count = derivatives[self._count :], len(displacements)
        answers = np.linalg.solve(given[:, count:], -given[:, :count])
        return derivatives[: self._count, :count] + derivatives[: self._count, count:] @ answers

    def _value(self, goal: Goal, weights: Weights) -> float:
        return goal.value(weights, self._totals, self._discrete)

    def _with_ghosts(self, vectors: Real) -> Real:
        space = self._discrete.space
        found = []
        for row in vectors:
            vector = la.vector(space.dofmap.index_map, space.dofmap.index_map_bs)
            vector.array[: len(row)] = row
            vector.scatter_forward()
            found.append(vector.array.copy())
        return np.array(found)

    def _at_fixed_potentials(self, displacement: Displacement | PotentialDisplacement) -> Real:
        """Return the derivatives of all functionals, of which the ranks must add up."""
        discrete, sides = self._discrete, []
        for sign in (-1.0, 1.0):
            with displacement.at(sign) as setup:
                discrete.take(setup.problem)
                numbers = Numbers(discrete, self._held, displacement.moves_nodes)
                explicit = [goal.weights(setup) for goal in self._functionals]
                sides.append((numbers, explicit, self._readings()))
        low, high = sides
        cells = low[0].differing_cells(high[0])
        found = np.zeros(len(self._functionals))
        for sign, (numbers, explicit, (totals, lacks)) in zip((-1.0, 1.0), sides, strict=True):
            with numbers.in_force():
                for form, weights in self._against:
                    vector = np.zeros(weights.shape[1])
                    form.add_among(cells, vector)
                    found += sign * (weights @ vector)
                own = self._explicit(explicit, totals)
            if discrete.problem.domain.comm.rank == 0:
                # which all ranks have alike
                found += sign * (own + self._volume * (self._shares @ lacks))
        return found / (2.0 * displacement.step)

    def _readings(self) -> tuple[Totals, Real]:
        """Return what terms of boundaries let through, and what there lacks of the means of closed species."""
        discrete, problem = self._discrete, self._discrete.problem
        means = {species.name: species.mean_fraction or 0.0 for species in problem.species}
        lacks = [(1.0 - ratio) * means[name] for name, ratio in amount_ratios(discrete).items()]
        lacks += linked_lacks(discrete)
        none = Totals(np.zeros_like(self._totals.fluxes), np.zeros_like(self._totals.charges))
        return self._integrals.natural() if self._has_terms else none, np.array(lacks)

    def _explicit(self, weights: Sequence[Weights], natural: Totals) -> Real:
        """Return what a displacement changes of the functionals but for rows of the balance."""
        found = []
        for goal, here, there in zip(self._functionals, self._weights, weights, strict=True):
            terms = replace(here, integral=0.0, potential=0.0, constant=0.0)
            # the units, at the totals of the state
            changed = replace(_difference(there, here), integral=0.0, potential=there.potential)
            value = goal.value(terms, natural, self._discrete) + goal.value(changed, self._totals, self._discrete)
            if goal.integral and there.integral:
                value += there.integral * goal.integral.of(self._discrete)
            found.append(value)
        return np.array(found)


def _difference(one: Weights, other: Weights) -> Weights:
    def less(a: Real | None, b: Real | None) -> Real | None:
        return None if a is None or b is None else a - b

    return Weights(
        less(one.fluxes, other.fluxes),
        less(one.charges, other.charges),
        one.integral - other.integral,
        one.potential - other.potential,
        one.constant - other.constant,
    )


def _totals_given(steady: SteadyState) -> Iterator[Goal]:
    """Yield of every boundary whose potential is found by how much its total exceeds what is given."""
    problem = steady.state.problem
    for tag in problem.floating:
        total = problem.boundaries[tag].given_total
        assert total is not None
        yield Goal("", "", partial(_excess, tag, total.quantity == "current"))


def _excess(tag: int, is_current: bool, setup: Setup) -> Weights:
    problem = setup.problem
    fluxes, charges = np.zeros((len(problem.boundaries), len(problem.quantities))), np.zeros(len(problem.boundaries))
    if is_current:
        fluxes[tag, : len(problem.species)] = problem.charges
    else:
        charges[tag] = 1.0
    total = problem.boundaries[tag].given_total
    assert total is not None
    return Weights(fluxes, charges, constant=-total.total)


def _has_terms(discrete: Discretisation, weights: Weights) -> bool:
    """Return whether a goal counts what a boundary lets through, or carries, without holding it."""
    weak_form, problem, fields = discrete.weak_form, discrete.problem, discrete.fields
    for tag in range(len(problem.boundaries)):
        for a, name in enumerate(problem.quantities):
            counts = weights.fluxes is not None and weights.fluxes[tag, a]
            if counts and weak_form.outward_flux(tag, name) is not None:
                return True
        counts = weights.charges is not None and weights.charges[tag] and problem.coupled
        if counts and weak_form.surface_charge(tag, fields.rho, fields.potential) is not None:
            return True
    return False
