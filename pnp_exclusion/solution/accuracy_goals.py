"""What is to be accurate: the goals that ``[solver] goal`` names, and what their errors are measured against."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.domain_tables import LETTERS
from pnp_exclusion.case.goals import CURRENTS
from pnp_exclusion.discretisation.functionals import Functional
from pnp_exclusion.errors import CaseError
from pnp_exclusion.solution.goals import goals_of
from pnp_exclusion.solution.steady_state import SteadyState

LEAST_CURRENT = 1e-3
"""Of what one kT would drive of a species: errors of smaller fluxes are relative to this."""
LEAST_CHARGE = 1e-3
"""Of the largest charge of any boundary, or of what one kT makes if that is more: likewise."""
LEAST_AMOUNT = 1e-6
"""Of the amount of the species of which there is most: likewise."""


@dataclass(frozen=True)
class AccurateGoal:
    """A goal that is to be accurate.

    name, unit
        As those of `pnp_exclusion.solution.goals.Goal`.
    functional
        What it is of a state, in this unit.
    least
        Errors of smaller values are relative to this.
    vanishes
        Whether it is of fluxes, and nothing flows.
    """

    name: str
    unit: str
    functional: Functional
    least: float
    vanishes: bool = False


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
    flows = any(steady.totals.passes(name) for name in steady.discretisation.problem.quantities)
    if not named:
        names = (currents if flows else []) or _charges_of_electrodes(steady) or currents
    if not names:
        raise CaseError(
            case.path,
            ["[solver]: accuracy is of currents or of charges of electrodes, and this case has none; name a goal"],
        )
    missing = [name for name in names if name not in known]
    if missing:
        mistakes = [f'[solver]: goal "{name}" is from end to end, and this case has no two ends' for name in missing]
        raise CaseError(case.path, mistakes)
    found = []
    for name in dict.fromkeys(names):
        goal = known[name]
        functional = goal.functional(goal.weights(steady.setup))
        vanishes = functional.fluxes is not None and not flows
        found.append(AccurateGoal(name, goal.unit, functional, _least(name, functional, steady), vanishes))
    return found


def _charges_of_electrodes(steady: SteadyState) -> list[str]:
    problem = steady.discretisation.problem
    held = [one.where for one in problem.boundaries if one.applied_potential is not None]
    return [f"charge.{where}" for where in held] if problem.coupled else []


def _least(name: str, functional: Functional, steady: SteadyState) -> float:
    problem = steady.discretisation.problem
    one_way = np.array([steady.one_way[quantity] for quantity in problem.quantities])
    if functional.fluxes is not None:
        return LEAST_CURRENT * float(abs(functional.fluxes).sum(axis=0) @ one_way)
    if functional.charges is not None:
        return LEAST_CHARGE * float(abs(functional.charges) @ _charges_of_one_kt(steady))
    kind, scale = name.partition(".")[0], abs(functional.factor)
    if kind == "amount":
        densities = [steady.integrals.mean_densities[species] for species in problem.names]
        return LEAST_AMOUNT * scale * steady.integrals.volume * max(densities)
    if kind == "flux_along":
        _, axis, quantity = name.split(".", 2)
        low, high = problem.domain.bounding_box()
        return LEAST_CURRENT * scale * float((high - low)[LETTERS.index(axis)]) * steady.one_way[quantity]
    # dissipation is of second order in what flows
    least = LEAST_CURRENT**2 if kind == "entropy_production" else LEAST_CURRENT
    return least * scale * float(one_way.sum())


def _charges_of_one_kt(steady: SteadyState) -> NDArray[np.float64]:
    """Return the charge that one kT makes of a layer of charge at every boundary, by the mean densities of the ions, or
    without ions across the domain; that of the boundary with the largest charge where it is larger. ``(boundaries,)``.
    """
    problem, densities = steady.discretisation.problem, steady.integrals.mean_densities
    low, high = problem.domain.bounding_box()
    ions = sum(z**2 * densities[name] for name, z in zip(problem.names, problem.charges, strict=True))
    debye_length = problem.debye_length or 0.0
    by_area = debye_length * max(float(ions) ** 0.5, debye_length / float((high - low).max()))
    areas = np.array([problem.facet_areas(problem.domain.owned_facets(one.where)).sum() for one in problem.boundaries])
    problem.domain.comm.Allreduce(MPI.IN_PLACE, areas, op=MPI.SUM)
    largest = max(map(abs, steady.totals.charge.values()), default=0.0)
    found: NDArray[np.float64] = np.maximum(by_area * areas, largest)
    return found
