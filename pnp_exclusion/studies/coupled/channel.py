"""One case under many values of one driving force: solved on one workbench, each from the nearest that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from pnp_exclusion.discretisation.discretisation import State
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.physics.laws import Law
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.studies.coupled.directions import Drive
from pnp_exclusion.studies.coupled.driving_parameters import DrivingParameter, force_parameter, voltage_parameter
from pnp_exclusion.studies.coupled.ends import from_end_to_end, passing
from pnp_exclusion.studies.workbench import Workbench

type Array = NDArray[np.float64]

FIRST_STEP = 0.25
"""kT: the first bracket about a guessed root is so wide to either side."""
FARTHEST = 120.0
"""kT: a root farther away than this from the guess is not looked for."""
STARTS = 32
"""States that are kept to start others from; older ones go."""
SHARP = 1e-12
"""kT, and relative: how sharply a root is bracketed."""


@dataclass(frozen=True)
class Steady:
    """What is kept of one steady state: currents and forces from the first end to the second, dimensionless.

    value
        Of the parameter, kT.
    currents, forces
        ``(N,)`` over the species that pass.
    entropy_production
        ``int sum_ab w_ab |G_a - G_b|^2 / 2``, the dissipation in the volume.
    resistance
        ``<M^-1>`` (N, N) over the species that pass; None above one dimension.
    """

    value: float
    currents: Array
    forces: Array
    entropy_production: float
    resistance: Array | None


def drive_of(solution: Solution) -> Drive:
    """Return the forces at a solution with two ends."""
    assert solution.steady.ends is not None
    assert solution.forces is not None
    names, problem = passing(solution.discretisation), solution.discretisation.problem
    charges = {species.name: species.charge for species in problem.species}
    first, second = solution.steady.ends
    return Drive(
        names,
        np.array([solution.forces[name] for name in names]),
        np.array([charges.get(name, 0.0) for name in names]),
        # with a temperature a voltage is no force by itself
        first.potential - second.potential if problem.coupled and not problem.law.thermal else None,
    )


def steady_of(solution: Solution, value: float = 0.0) -> Steady:
    """Return what is kept of a solution with two ends; collective."""
    assert solution.steady.currents is not None
    assert solution.forces is not None
    names = passing(solution.discretisation)
    rows = [solution.discretisation.problem.quantities.index(name) for name in names]
    return Steady(
        value,
        np.array([solution.steady.currents[name] for name in names]),
        np.array([solution.forces[name] for name in names]),
        solution.steady.entropy_production,
        None if solution.steady.resistance is None else solution.steady.resistance[np.ix_(rows, rows)],
    )


def parameter_of(solution: Solution, species: str) -> tuple[DrivingParameter, float]:
    """Return what turns the force on a species, and its present value: the voltage with Poisson, else its own force."""
    assert solution.steady.ends is not None
    assert solution.forces is not None
    case, scales = solution.setup.case, solution.setup.scales
    first, second = solution.steady.ends
    if solution.discretisation.problem.coupled:
        return voltage_parameter(case, scales, (first.name, second.name)), first.potential - second.potential
    now = solution.forces[species]
    return force_parameter(case, scales, species, now, from_end_to_end(solution.discretisation)), now


class Channel:
    """A case whose driving force is turned by a parameter; a context that frees PETSc's objects.

    parameter
        The case for every value.
    span
        Values that the mesh must serve: the smallest and the largest that matter.
    law
        Instead of the law that the case names.
    """

    def __init__(
        self,
        parameter: DrivingParameter,
        span: Sequence[float],
        comm: MPI.Comm,
        law: Law | None = None,
        petsc_options: Sequence[str] = (),
    ) -> None:
        self._parameter = parameter
        cases = [parameter(value) for value in span]
        self.workbench = Workbench(cases[0], comm, also=cases[1:], law=law, petsc_options=petsc_options)
        self._known: dict[float, Steady] = {}
        self._starts: dict[float, State] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.workbench.__exit__(*error)

    def close(self) -> None:
        """Free PETSc's objects."""
        self.workbench.close()

    def at(self, value: float) -> Steady:
        """Return the steady state at a value of the parameter; raises `ConvergenceError`. Collective."""
        if value not in self._known:
            solution = self.solution_at(value)
            self._known[value] = steady_of(solution, value)
            self._starts[value] = solution.state
            if len(self._starts) > STARTS:
                del self._starts[next(iter(self._starts))]
        return self._known[value]

    def solution_at(self, value: float) -> Solution:
        """Return the solution at a value. Collective."""
        nearest = min(self._starts, key=lambda known: abs(known - value), default=None)
        return self.workbench.solve(self._parameter(value), None if nearest is None else self._starts[nearest])

    def root(self, quantity: Callable[[Steady], float], guess: float, name: str) -> float:
        """Return the value of the parameter at which a quantity vanishes, bracketed about a guess and bisected (Brent).

        Raises `ConvergenceError`, which calls the quantity by its name, if it does not change sign.
        """

        def of(value: float) -> float:
            return quantity(self.at(value))

        def opposite(value: float) -> bool:
            return of(value) * of(guess) <= 0.0

        # the quantities looked at are monotonic as a rule: go on where it falls
        side = min((-1.0, 1.0), key=lambda sign: of(guess + sign * FIRST_STEP) * math.copysign(1.0, of(guess)))
        inner, step = guess, FIRST_STEP
        while not opposite(guess + side * step):
            inner, step = guess + side * step, 2.0 * step
            if step > FARTHEST:
                raise ConvergenceError(f"{name} keeps its sign from {guess:.4g} to {inner:.4g} kT")
        return float(brentq(of, *sorted((inner, guess + side * step)), xtol=SHARP, rtol=SHARP))
