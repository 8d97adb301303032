"""Potentials of boundaries that are found: at which potential a boundary is follows from the unknown."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import POTENTIAL
from pnp_exclusion.discretisation.totals import boundary_integrals, reacting_at

MOST_STEPS = 50
"""Of Newton's method for the potential behind a layer at which something reacts."""
LONGEST_STEP = 5.0
"""kT/e: what a longer one overshoots is taken back a few kT/e at a time."""
SETTLED = 1e-13
"""Relative to 1 kT/e and the potential."""


def excess(discrete: Discretisation) -> np.ndarray:
    """Return by how much every boundary of `Problem.floating` exceeds the total given of it; collective."""
    totals = boundary_integrals(discrete).now()
    return totals.of_floating(discrete) - given(discrete)


def given(discrete: Discretisation) -> np.ndarray:
    """Return the totals that are given at the load parameter in force."""
    load_parameter = float(discrete.parameters.load_parameter.value)
    totals = [discrete.problem.boundaries[tag].given_total for tag in discrete.problem.floating]
    return load_parameter * np.array([total.total for total in totals if total is not None])


def follow_potentials(discrete: Discretisation, in_terms_only: bool = False) -> None:
    """Put the boundaries whose potentials are found at those which the unknown shows; collective.

    Where the boundary holds its nodes at the potential, these show it. Behind a Stern layer it is that at which the
    potential before the layer gives the total: of a charge, which is linear in both, at once, of what reacts there by
    Newton's method.

    in_terms_only
        Leave those whose numbers no equation contains.
    """
    problem = discrete.problem
    behind = [problem.boundaries[tag].dirichlet_potential is None for tag in problem.floating]
    in_terms = any(behind) or any(reacting_at(problem, tag) for tag in problem.floating)
    if not in_terms and (in_terms_only or not problem.floating):
        return
    potentials = _at_nodes(discrete)
    if any(behind):
        integrals = boundary_integrals(discrete)
        for _ in range(MOST_STEPS):
            discrete.set_potentials(potentials)
            missing = given(discrete) - integrals.now().of_floating(discrete)
            left = 0.0
            for number, tag in enumerate(problem.floating):
                if behind[number]:
                    step = missing[number] / integrals.by_number(tag)[1].of_floating(discrete)[number]
                    if reacting_at(problem, tag):
                        step = float(np.clip(step, -LONGEST_STEP, LONGEST_STEP))
                        left = max(left, abs(step) / (1.0 + abs(potentials[number])))
                    potentials[number] += step
            if not left > SETTLED:
                break
    discrete.set_potentials(potentials)


def _at_nodes(discrete: Discretisation) -> list[float]:
    """Return the potentials at the nodes that floating boundaries hold; where there are none, those in force."""
    found: list[float] = []
    for tag in discrete.problem.floating:
        dofs = discrete.constraints.claimed.get((tag, POTENTIAL), np.empty(0, dtype=np.int32))
        # one and the same at all of them
        here = float(discrete.values[dofs[0]]) if len(dofs) else -np.inf
        highest = float(discrete.problem.domain.comm.allreduce(here, op=MPI.MAX))
        found.append(highest if np.isfinite(highest) else discrete.problem.boundaries[tag].applied_potential or 0.0)
    return found
