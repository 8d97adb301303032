"""What is to be accurate: the goals that ``[solver] goal`` names, and what their errors are measured against."""

from __future__ import annotations

from dataclasses import dataclass

from pnp_exclusion.case.goals import CURRENTS
from pnp_exclusion.discretisation.functionals import Functional
from pnp_exclusion.errors import CaseError
from pnp_exclusion.solution.goals import goals_of
from pnp_exclusion.solution.steady_state import SteadyState

LEAST_CURRENT = 1e-3
"""Of what one kT would drive of a species: errors of smaller fluxes are relative to this."""
LEAST_CHARGE = 1e-3
"""Of the largest charge of any boundary: likewise."""


@dataclass(frozen=True)
class AccurateGoal:
    """A goal that is to be accurate.

    name, unit
        As those of `pnp_exclusion.solution.goals.Goal`.
    functional
        What it is of a state, in this unit.
    least
        Errors of smaller values are relative to this.
    """

    name: str
    unit: str
    functional: Functional
    least: float


def accurate_goals(steady: SteadyState) -> list[AccurateGoal]:
    """Return the goals of a case, those that it names or its currents, or where nothing flows the charges of
    its electrodes.

    Collective. Raises `CaseError` if it names none and has none of these.
    """
    known, case = {goal.name: goal for goal in goals_of(steady)}, steady.setup.case
    currents = [name for name in known if name.startswith(f"{CURRENTS}.")]
    given = case.solver.goal
    named = [given] if isinstance(given, str) else given or []
    names = [one for name in named for one in (currents if name == CURRENTS else [name])]
    if not named:
        flows = any(steady.totals.passes(name) for name in steady.discretisation.problem.quantities)
        names = (currents if flows else []) or _charges_of_electrodes(steady) or currents
    if not names:
        raise CaseError(
            case.path,
            ["[solver]: accuracy is of currents or of charges of electrodes, and this case has none; name a goal"],
        )
    found = []
    for name in names:
        goal = known[name]
        functional = goal.functional(goal.weights(steady.setup))
        found.append(AccurateGoal(name, goal.unit, functional, _least(name, functional, steady)))
    return found


def _charges_of_electrodes(steady: SteadyState) -> list[str]:
    problem = steady.discretisation.problem
    held = [one.where for one in problem.boundaries if one.applied_potential is not None]
    return [f"charge.{where}" for where in held] if problem.coupled else []


def _least(name: str, functional: Functional, steady: SteadyState) -> float:
    if functional.fluxes is not None:
        weights = abs(functional.fluxes).sum(axis=0)
        one_way = [steady.one_way[quantity] for quantity in steady.discretisation.problem.quantities]
        return LEAST_CURRENT * float(weights @ one_way)
    if functional.charges is not None:
        largest = max(map(abs, steady.totals.charge.values()), default=0.0)
        return LEAST_CHARGE * largest * float(abs(functional.charges).max())
    return 0.0
