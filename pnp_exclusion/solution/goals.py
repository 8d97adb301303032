"""What of a steady state can be a goal: sums over boundaries and integrals, by their names in the summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import ufl
from numpy.typing import NDArray

from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.sentences import nearest
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.functionals import Functional, Integral
from pnp_exclusion.discretisation.totals import Totals
from pnp_exclusion.errors import UsageError
from pnp_exclusion.observe.integrals import entropy_production_density
from pnp_exclusion.solution.steady_state import SteadyState

type Real = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """A sum in the units of the case of what a state has without units.

    fluxes, charges
        As in `pnp_exclusion.discretisation.totals.Totals`; None for none of them.
    integral
        Of the goal's integral.
    potential
        Of the potential that is found.
    constant
        Beside all of these.
    """

    fluxes: Real | None = None
    charges: Real | None = None
    integral: float = 0.0
    potential: float = 0.0
    constant: float = 0.0


@dataclass(frozen=True)
class Goal:
    """A functional of a steady state.

    name, unit
        As in the summary.
    weights
        By a setup: those of a state of this.
    integral
        None for a goal without one.
    floating
        Position in `Problem.floating` of the boundary whose potential it is.
    """

    name: str
    unit: str
    weights: Callable[[Setup], Weights]
    integral: Integral | None = None
    floating: int | None = None

    def functional(self, weights: Weights) -> Functional:
        """Return the sum of totals and the integral in it, for weights of this goal, or differences of such."""
        return Functional(weights.fluxes, weights.charges, self.integral, weights.integral)

    def value(self, weights: Weights, totals: Totals, discrete: Discretisation) -> float:
        """Return the sum for totals of the state in the unknown of a discretisation; collective if it has an integral.

        weights
            Of this goal, or differences of such.
        """
        found = weights.constant + self.functional(weights).value(totals, discrete)
        if self.floating is not None and weights.potential:
            tag = discrete.problem.floating[self.floating]
            found += weights.potential * (discrete.problem.boundaries[tag].applied_potential or 0.0)
        return found


HEADS = (
    "currents",
    "electric_current",
    "flux",
    "current",
    "charge",
    "amount",
    "entropy_production",
    "flux_along",
    "reactions",
    "found_potential",
)
"""What names of goals begin with, before the first dot."""


def require_goals(names: Iterable[str]) -> None:
    """Raise `UsageError` for a name that cannot be that of a goal of any state, before there is one."""
    for name in names:
        head = name.partition(".")[0]
        if head not in HEADS:
            raise UsageError(f'there is no goal "{name}" to differentiate; {nearest(head, HEADS)}')


def goals_named(steady: SteadyState, names: list[str]) -> list[Goal]:
    """Return the goals of some names; `UsageError` says which there are if one is none."""
    known = {goal.name: goal for goal in goals_of(steady)}
    for name in names:
        if name not in known:
            raise UsageError(f'there is no goal "{name}" to differentiate; {nearest(name, known)}')
    return [known[name] for name in names]


def goals_of(steady: SteadyState) -> Iterator[Goal]:
    """Yield every goal of a steady state."""
    setup, problem = steady.setup, steady.state.problem
    si, per, shape = setup.scales.si, steady.per_extent, (len(problem.boundaries), len(problem.quantities))
    unit = (lambda name: name) if si else (lambda name: "")
    wheres = [boundary.where for boundary in problem.boundaries]
    flux_unit, current_unit = unit(f"mol{per}/s"), unit(f"A{per}")
    z = np.array([*problem.charges, *([0.0] if problem.law.thermal else [])])
    if steady.ends is not None:
        ends = [wheres.index(end.name) for end in steady.ends]
        through = np.zeros((len(problem.quantities), *shape))
        for a, name in enumerate(problem.quantities):
            share = steady.totals.share_of_second(name, *(wheres[tag] for tag in ends))
            through[a, ends[0], a], through[a, ends[1], a] = share - 1.0, share
            yield Goal(f"currents.{name}", flux_unit, partial(_fluxes, through[a]))
        yield Goal("electric_current", current_unit, partial(_currents, through.sum(axis=0)))
    for tag, where in enumerate(wheres):
        for a, name in enumerate(problem.quantities):
            yield Goal(f"flux.{where}.{name}", flux_unit, partial(_fluxes, _one(shape, tag, a)))
        if z.any():
            yield Goal(f"current.{where}", current_unit, partial(_currents, _one(shape, tag, slice(None))))
        if problem.coupled:
            yield Goal(f"charge.{where}", unit(f"C{per}"), partial(_charges, _one(shape[:1], tag)))
    content = ("mol/m^2", "mol/m", "mol")[setup.case.dimension_of_totals - 1]
    for a, name in enumerate(problem.names):
        yield Goal(f"amount.{name}", unit(content), partial(_amount, a), _integral(f"amount {name}", _content, name))
    dissipated = _integral("entropy production", _entropy_production)
    yield Goal("entropy_production", unit(f"kT {flux_unit}"), _of_fluxes, dissipated)
    for axis in problem.domain.periodic:
        for name in problem.quantities:
            along = _integral(f"flux of {name} along {axis}", _flux_along, name, axis)
            yield Goal(f"flux_along.{'xyz'[axis]}.{name}", flux_unit, partial(_mean_along, axis), along)
    for number, reaction in enumerate(problem.reactions):
        rate = _integral(f"rate of {reaction.name}", _rate, number)
        yield Goal(f"reactions.{reaction.name}.rate", flux_unit, _of_fluxes, rate)
        if reaction.electrons:
            passed = partial(_of_currents, reaction.electrons)
            yield Goal(f"reactions.{reaction.name}.current", current_unit, passed, rate)
    for position, tag in enumerate(problem.floating):
        yield Goal(f"found_potential.{wheres[tag]}", unit("V"), _potential, floating=position)


def _integral(name: str, form: Callable[..., ufl.Form], *of: Any) -> Integral:
    return Integral(name, partial(form, *of))


def _one(shape: tuple[int, ...], *place: Any) -> Real:
    found = np.zeros(shape)
    found[place] = 1.0
    return found


def _extent(setup: Setup) -> float:
    return setup.scales.length**setup.problem.boundary_dimension


def _fluxes(weights: Real, setup: Setup) -> Weights:
    return Weights(fluxes=weights * setup.scales.flux * _extent(setup))


def _currents(weights: Real, setup: Setup) -> Weights:
    z = np.array([*setup.problem.charges, *([0.0] if setup.problem.law.thermal else [])])
    return Weights(fluxes=weights * z * setup.scales.current * _extent(setup))


def _charges(weights: Real, setup: Setup) -> Weights:
    return Weights(charges=weights * setup.scales.surface_charge * _extent(setup))


def _amount(species: int, setup: Setup) -> Weights:
    content = float(setup.scales.contents[species])
    return Weights(integral=content * setup.scales.length**setup.case.dimension_of_totals)


def _of_fluxes(setup: Setup) -> Weights:
    return Weights(integral=setup.scales.flux * _extent(setup))


def _of_currents(electrons: int, setup: Setup) -> Weights:
    return Weights(integral=electrons * setup.scales.current * _extent(setup))


def _mean_along(axis: int, setup: Setup) -> Weights:
    low, high = setup.problem.domain.bounding_box()
    return Weights(integral=setup.scales.flux * _extent(setup) / float((high - low)[axis]))


def _potential(setup: Setup) -> Weights:
    unit = setup.scales.potential
    return Weights(potential=unit, constant=unit * setup.problem.potential_reference)


def _content(species: str, discrete: Discretisation) -> ufl.Form:
    return discrete.fields.rho[species] * discrete.integration.dx


def _entropy_production(discrete: Discretisation) -> ufl.Form:
    return entropy_production_density(discrete) * discrete.integration.dx


def _flux_along(quantity: str, axis: int, discrete: Discretisation) -> ufl.Form:
    return discrete.fields.fluxes[quantity][axis] * discrete.integration.dx


def _rate(number: int, discrete: Discretisation) -> ufl.Form:
    problem = discrete.problem
    where = problem.reactions[number].boundary
    if where is None:
        return discrete.weak_form.volume_rate(number) * discrete.integration.dx
    tag = [boundary.where for boundary in problem.boundaries].index(where)
    return discrete.weak_form.electrode_rate(number) * discrete.integration.ds(tag)
