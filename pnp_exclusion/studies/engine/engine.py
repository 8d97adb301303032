"""From two solved membranes to an engine: whether they fit together, its curve, and linear theory beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import CaseLike, as_solution
from pnp_exclusion.studies.coupled.channel import drive_of
from pnp_exclusion.studies.coupled.ends import why_not
from pnp_exclusion.studies.coupled.units import Units
from pnp_exclusion.studies.engine.linear import LinearEngine
from pnp_exclusion.studies.engine.loop import LEAST_LOAD, EnginePoint, Loop
from pnp_exclusion.studies.engine.membrane import Membrane

SAME_CONTENTS = 1e-9
"""kT: by which the chemical potentials of two legs' reservoirs may differ."""


@dataclass(frozen=True)
class Engine:
    """Two membranes at work; powers and currents in units of leg A (kT times its flux), see `units`.

    solutions
        Of the two cases as they are.
    area_ratio
        Area of leg B over that of leg A; everything is for leg A's area.
    zero_current_voltages
        Of the legs by themselves, kT/e.
    curve
        Loads from short circuit to open circuit.
    best_power, best_efficiency
        The loads that are best.
    """

    solutions: tuple[Solution, Solution]
    area_ratio: float
    salinity: float
    linear: LinearEngine
    zero_current_voltages: tuple[float, float]
    curve: tuple[EnginePoint, ...]
    best_power: EnginePoint
    best_efficiency: EnginePoint

    @property
    def open_circuit_voltage(self) -> float:
        """kT/e, of the load."""
        return self.zero_current_voltages[1] - self.zero_current_voltages[0]

    @property
    def units(self) -> Units:
        """Units of the totals."""
        first = self.solutions[0]
        return Units(first.setup.scales, first.discretisation.problem.boundary_dimension)


def run_engine(
    case: CaseLike,
    other: CaseLike,
    area_ratio: float = 1.0,
    points: int = 21,
    petsc_options: Sequence[str] = (),
    *,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> Engine:
    """Put two membranes into a loop and load it; collective.

    case, other
        Legs A and B, as what `pnp_exclusion.solve` takes; anything but a converged solution is solved on ``comm``.
    area_ratio
        Area of leg B over that of leg A.
    points
        Loads of the curve, 3 or more.

    The potentials of the cases do not matter: they float. Raises `CaseError` for a case that is no leg, `UsageError`
    for two that do not fit together or drive nothing, or a ratio or number out of range, `ConvergenceError` if a state
    is not found.
    """
    if not 0.0 < area_ratio < float("inf"):
        raise UsageError(f"area_ratio must be greater than 0, but it is {area_ratio:g}")
    if points < 3:
        raise UsageError(f"points is a whole number from 3 on, but it is {points}")
    first, second = (as_solution(leg, comm, petsc_options) for leg in (case, other))
    for solution in (first, second):
        _require_leg(solution)
    _require_same_reservoirs(first, second)
    units = [Units(s.setup.scales, s.discretisation.problem.boundary_dimension) for s in (first, second)]
    with (
        Membrane(first, 1.0, petsc_options) as a,
        Membrane(second, area_ratio * units[1].flux[0] / units[0].flux[0], petsc_options) as b,
    ):
        loop = Loop((a, b))
        if abs(loop.stopping_load) < LEAST_LOAD:
            raise UsageError(
                f"{second.setup.case.path}: this membrane has the same reversal potential as that of "
                f"{first.setup.case.path}, so that the loop drives no current; legs must select unlike ions"
            )
        return Engine(
            (first, second),
            area_ratio,
            a.drive.salinity,
            loop.linear,
            (a.zero_current_force, b.zero_current_force),
            tuple(loop.curve(points)),
            loop.best(lambda point: point.power),
            loop.best(lambda point: point.efficiency),
        )


def _require_leg(solution: Solution) -> None:
    path, problem = solution.setup.case.path, solution.discretisation.problem
    reason = why_not(solution.discretisation)
    if not reason and weakly_imposed(solution.discretisation.problem):
        reason = (
            f"{' and '.join(problem.conserved)} cannot pass: beside closed species reservoirs do not fix the "
            f'chemical potentials of law "{problem.law.name}" by themselves, as those of an engine must'
        )
    if not reason and problem.law.thermal:
        reason = "[model]: the legs of an engine on salinity are at one temperature"
    if not reason and solution.setup.case.model.sizes is not None:
        reason = "[model]: the legs of an engine are of particles of one size; remove sizes"
    if not reason and not problem.coupled:
        reason = '[model]: electrostatics must be "poisson": charges go round the loop of an engine'
    if not reason and len(drive_of(solution).species) < 2:
        reason = "[[species]]: an engine needs ions of both signs, and only one species passes"
    if not reason and len({np.sign(z) for z in drive_of(solution).charges if z}) < 2:
        reason = "[[species]]: an engine needs ions of both signs that pass"
    if not reason and drive_of(solution).salinity == 0.0:
        reason = "[[boundaries]]: both reservoirs hold the same, so that nothing drives an engine"
    if reason:
        raise CaseError(path, [reason])


def _require_same_reservoirs(first: Solution, second: Solution) -> None:
    paths = [solution.setup.case.path for solution in (first, second)]
    a, b = drive_of(first), drive_of(second)

    def refuse(what: str) -> UsageError:
        return UsageError(f"{paths[1]}: {what}; the legs of an engine join the same two reservoirs")

    if a.species != b.species or not np.array_equal(a.charges, b.charges):
        listed = [", ".join(f"{n} ({z:+g})" for n, z in zip(d.species, d.charges, strict=True)) for d in (a, b)]
        raise refuse(f"its species are {listed[1]}, but those of {paths[0]} are {listed[0]}")
    if first.setup.case.model.units != second.setup.case.model.units:
        raise refuse(f"its units are {second.setup.case.model.units}, but those of {paths[0]} are not")
    if first.discretisation.problem.domain.dimension != second.discretisation.problem.domain.dimension:
        raise refuse(f"it has not as many dimensions as {paths[0]}")
    if not np.isclose(first.setup.scales.potential, second.setup.scales.potential, rtol=1e-12):
        raise refuse(f"its temperature is not that of {paths[0]}")
    for side, (one, other) in enumerate(zip(_contents(first), _contents(second), strict=True)):
        where = ("first", "second")[side]
        if not np.allclose(one, other, rtol=1e-9, atol=0.0):
            raise refuse(f"its {where} reservoir does not hold what that of {paths[0]} holds")
    if np.abs(a.chemical - b.chemical).max() > SAME_CONTENTS:
        raise refuse(
            f"with its law and lattice spacing the reservoirs differ by {b.salinity:.6g} kT, but by "
            f"{a.salinity:.6g} kT in {paths[0]}"
        )


def _contents(solution: Solution) -> tuple[np.ndarray, np.ndarray]:
    """Concentrations of the species that pass at the two ends, in the units of the case."""
    assert solution.steady.ends is not None
    names, scale = drive_of(solution).species, solution.setup.scales.concentration
    first, second = (np.array([end.rho[name] for name in names]) * scale for end in solution.steady.ends)
    return first, second
