"""Towards a steady state in time: implicit Euler in growing steps, from a first guess (docs/numerics.md#paths).

What Newton's method does not find from anywhere else, fronts of jammed particles above all, it follows as they form.
Steps are not accurate, and need not be: only where they end counts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.solver.amounts import amount_ratios
from pnp_exclusion.solver.guess import FirstGuess, Start
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.newton import NewtonReport, NewtonSolver

FIRST_RATE = 1e3
"""D/L^2, of the first step: a good guess is hardly changed by it."""
LARGEST_RATE = 1e13
"""A shorter step would not move anything."""
LEAST_RATE = 1e-12
"""Beyond this step nothing but what is jammed moves."""
SETTLED_RATE = 1e-3
"""After so long a step a steady state may be near."""
STEPS = 150
GROWTH, CUT = 4.0, 10.0
"""A step of `QUICK` Jacobians or fewer lets the next one be longer by the one factor; one that fails is shorter by the
other."""
QUICK = 6
FAILURES = 12
TOLERANCE = 1e-5


def relaxing(
    discrete: Discretisation, database: OptionsDatabase, max_steps: int, start: Start, say: Callable[[str], None]
) -> Generator[tuple[NewtonReport, bool]]:
    """Yield the report of every step and whether a steady state may be near; the unknown then holds the state.

    discrete
        Of the steady problem, which stays as it is but for its unknown.
    start
        The first guess.
    """
    problem = discrete.problem
    moving = Discretisation(problem, discrete.degree, discrete.quadrature_degree, stored=problem.quantities)
    moving.steep = discrete.steep
    guess, newton = FirstGuess(moving), NewtonSolver(moving, database, TOLERANCE, max_steps, say)
    rate, failures = FIRST_RATE, 0
    try:
        guess.fill(start)
        for _ in range(STEPS):
            moving.parameters.storage_rate.value = rate
            moving.reference.x.array[:] = moving.values
            for name, ratio in amount_ratios(moving).items():
                moving.parameters.reference_share[name].value = 1.0 / ratio
            report = newton.solve("damp")
            if not report.converged:
                say(f"  a step of 1/{rate:.2g} in time: {report.reason}")
                failures, rate = failures + 1, CUT * rate
                yield report, False
                if failures > FAILURES or rate > LARGEST_RATE:
                    return
                continue
            say(f"  a step of 1/{rate:.2g} in time in {report.iterations} Newton steps")
            change = newton.largest(moving.values - moving.reference.x.array) / (1.0 + newton.largest(moving.values))
            if report.jacobians <= QUICK:
                rate /= GROWTH
            discrete.values[:] = moving.values
            yield report, rate < SETTLED_RATE or change < TOLERANCE
            if rate < LEAST_RATE:
                return
    finally:
        newton.close()
        guess.close()
