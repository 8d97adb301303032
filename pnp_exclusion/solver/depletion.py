"""How fast reactions in the volume use species up, for the first guess.

Where a reaction takes all of a species, its potential falls without bound away from where it is supplied, and Newton's
method follows by one kT a step. The solution of ``-D_a lap rho + k rho = 0``, with the rate constant at the contents
that are given, is near enough; it is the solution itself for point particles that decay.
"""

from __future__ import annotations

import math

from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.physics.reactions import MassAction, Reaction

FASTEST = 100.0
"""Logarithm: nothing is faster, as rate constants per particle go."""


def depletion_rates(problem: Problem, name: str) -> dict[int, float]:
    """Return how often a particle of a species is used up, by the numbers of the reactions that do so, beside the
    largest contents."""
    rates = {number: _rate(problem, reaction, name) for number, reaction in enumerate(problem.reactions)}
    return {number: rate for number, rate in rates.items() if rate > 0.0}


def _rate(problem: Problem, reaction: Reaction, name: str) -> float:
    kinetics = reaction.kinetics
    if reaction.boundary is not None or reaction.change(name) >= 0:
        return 0.0
    if not isinstance(kinetics, MassAction) or kinetics.log_backward is not None:
        # what goes back stays within reach of equilibrium
        return 0.0
    contents = [
        {species.name: species.mean_fraction or 0.0 for species in problem.species},
        *(boundary.dirichlet_fractions for boundary in problem.boundaries),
    ]
    most = {one: max(held.get(one, 0.0) for held in contents) or 1.0 for one in reaction.reactants}
    log_rate = kinetics.log_forward + sum(count * math.log(most[one]) for one, count in reaction.reactants.items())
    return math.exp(min(log_rate - math.log(most[name]), FASTEST))
