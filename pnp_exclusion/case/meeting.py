"""Boundaries that meet and hold different values: what flows from one to the other has no limit.

Near the corner or edge where they meet the potentials depend on the angle alone, so that the flux density falls as one
over the distance and its integral grows by as much with every halving of the cells, ``D dc log 2/angle`` for a neutral
species between contents that differ by ``dc``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pnp_exclusion.case.build import Setup
from pnp_exclusion.mesh.contacts import meeting_boundaries
from pnp_exclusion.physics.boundaries import BoundaryCondition
from pnp_exclusion.physics.energy import ENERGY, Warmth
from pnp_exclusion.physics.problem import Problem

SAME = 1e-9
"""kT: values that differ by less are one value, written in two ways."""


@dataclass(frozen=True)
class Jump:
    """What two boundaries that meet hold differently, and what has no limit because of it.

    potentials
        Whether their potentials differ; then the charges on both have no limit.
    contents
        Species whose held contents differ.
    fluxes
        Species whose fluxes through both have no limit.
    """

    potentials: bool
    contents: list[str]
    fluxes: list[str]


def jump_between(problem: Problem, first: BoundaryCondition, second: BoundaryCondition) -> Jump:
    """Return what becomes of two boundaries that meet.

    A flux between them is driven by the electrochemical potential: it has a limit for species that only one of them
    holds, and for those whose contents differ just as the potentials make them do at equilibrium. Under laws whose
    species drag each other, one that is driven drives all that both hold.
    """
    volts = [boundary.dirichlet_potential for boundary in (first, second)]
    potentials = problem.coupled and None not in volts and abs(volts[0] - volts[1]) > SAME  # type: ignore[operator]
    # one that is found is hardly that of a neighbour
    potentials |= None not in volts and (first.given_total, second.given_total) != (None, None)
    both = [name for name in problem.names if name in first.dirichlet_fractions and name in second.dirichlet_fractions]
    contents = [
        name for name in both if abs(np.log(first.dirichlet_fractions[name] / second.dirichlet_fractions[name])) > SAME
    ]
    driven = [name in both and _is_driven(problem, first, second, name) for name in problem.names]
    temperatures = [boundary.temperature for boundary in (first, second)]
    warmth = None
    if problem.law.thermal:
        both = [*both, *[ENERGY] * (None not in temperatures)]
        driven.append(ENERGY in both and abs(np.log(temperatures[0] / temperatures[1])) > SAME)  # type: ignore[operator]
        warmth = Warmth(np.ones(1))
    count = len(problem.names)
    mobility = problem.law.mobility([np.full(1, 1.0 / (count + 1))] * (count + 1), [1.0] * count, warmth)[0]
    dragged = (np.abs(mobility) > SAME * np.abs(mobility).max()) @ np.array(driven)
    return Jump(
        potentials,
        contents,
        [name for name, moves in zip(problem.quantities, dragged, strict=True) if moves and name in both],
    )


def _is_driven(problem: Problem, first: BoundaryCondition, second: BoundaryCondition, name: str) -> bool:
    electric = [_electric(problem, boundary, name) for boundary in (first, second)]
    complete = all(len(boundary.dirichlet_fractions) == len(problem.names) for boundary in (first, second))
    if problem.law.crowded and not complete:
        # what the others amount to at the wall is not known beforehand
        same = abs(np.log(first.dirichlet_fractions[name] / second.dirichlet_fractions[name])) <= SAME
        return not same or abs(electric[0] - electric[1]) > SAME
    chemical = [_chemical(problem, boundary, name) for boundary in (first, second)]
    return abs(chemical[0] + electric[0] - chemical[1] - electric[1]) > SAME


def _electric(problem: Problem, boundary: BoundaryCondition, name: str) -> float:
    charge = problem.species[problem.names.index(name)].charge
    return charge * (boundary.dirichlet_potential or 0.0) if problem.coupled else 0.0


def _chemical(problem: Problem, boundary: BoundaryCondition, name: str) -> float:
    energy, held = problem.law.free_energy, boundary.dirichlet_fractions
    if not problem.law.crowded:
        return energy.chemical_potentials([held[name]])[0]
    a = problem.names.index(name)
    eta = energy.chemical_potentials([held[other] for other in problem.names])[a]
    if boundary.temperature is None:
        return eta
    return float(eta - problem.law.eta([0.0] * len(held), problem.charges, None, 1.0 / boundary.temperature)[a])


def meeting_with_a_jump(setup: Setup) -> Iterator[str]:
    """Yield a sentence for every two boundaries that meet and hold different values; collective."""
    problem = setup.problem
    boundaries = {boundary.where: boundary for boundary in problem.boundaries}
    holding = [
        name
        for name, b in boundaries.items()
        if b.dirichlet_fractions or b.dirichlet_potential is not None or b.temperature is not None
    ]
    for first, second in meeting_boundaries(problem.domain, holding):
        jump = jump_between(problem, boundaries[first], boundaries[second])
        if problem.excludes_any:
            jump = _of_present(problem, jump, (first, second))
        unlimited = ["the charges"] * jump.potentials
        unlimited += [f"the fluxes of {', '.join(jump.fluxes)}"] if jump.fluxes else []
        if not unlimited:
            continue
        different = [f"potentials ({_potential(setup, first)} and {_potential(setup, second)})"] * jump.potentials
        different += [f"concentrations of {', '.join(jump.contents)}"] if jump.contents else []
        different += ["temperatures"] if ENERGY in jump.fluxes and not different else []
        yield (
            f'boundaries "{first}" and "{second}" meet, but hold different {" and ".join(different)}: '
            f"{' and '.join(unlimited)} there have no limit, they grow by as much with every halving of the cells; "
            "leave a piece of wall between the two"
        )


def _of_present(problem: Problem, jump: Jump, names: tuple[str, str]) -> Jump:
    """Return what is left of a jump of species that are not excluded from where the boundaries meet; collective."""

    def is_there(species: str) -> bool:
        present = species == ENERGY or ~problem.excludes(species)
        return bool(meeting_boundaries(problem.domain, names, np.broadcast_to(present, problem.domain.local_cells)))

    there = {name: is_there(name) for name in dict.fromkeys([*jump.contents, *jump.fluxes])}
    contents, fluxes = ([name for name in some if there[name]] for some in (jump.contents, jump.fluxes))
    return Jump(jump.potentials, contents, fluxes)


def _potential(setup: Setup, where: str) -> str:
    boundary = next(boundary for boundary in setup.case.boundaries if boundary.where == where)
    potential = getattr(boundary, "potential", None)
    return potential.text if potential else "found"
