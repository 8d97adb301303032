"""The continuum of a case that moves, as the lattice is to follow it: from its beginning, in fields that change too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mpi4py import MPI

import numpy as np

from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.courses import Expression
from pnp_exclusion.case.moving import MOVING, courses_in
from pnp_exclusion.case.time_tables import Records
from pnp_exclusion.errors import UsageError
from pnp_exclusion.particles.lattice import ExchangeProcess
from pnp_exclusion.solution.transient import TransientSolution, run
from pnp_exclusion.verification.continuum import (
    Field,
    admitted,
    densities_at,
    process_on,
    read_continuum,
)
from pnp_exclusion.verification.relax import Course

EARLY = 1e-4
"""Of the time in which particles pass from a site to the next: nothing has moved yet."""
TOLERANCE = 1e-4
"""Of the continuum's steps, or less: well below what copies can tell."""
FIELDS = 24
"""Into how many steps the time is divided in which a mean field changes, shorter ones at first."""

_ONLY_JUMPS = (
    "--relaxation: reservoirs and fields of the lattice are what they are after time 0; let numbers of the case jump "
    "at time 0 only"
)


def solve_motion(
    case: Case, sites: int, times: Sequence[float], petsc_options: Sequence[str] = ()
) -> TransientSolution:
    """Solve a case that moves, on this rank alone, up to the last of some times in L^2/D, with what the lattice needs.

    Raises `UsageError` for one whose data change after time 0.
    """
    assert case.time is not None
    unit = build(case, MPI.COMM_SELF).scales.time
    end = case.time.end
    if end is None or case.time.protocol:
        raise UsageError(_ONLY_JUMPS)
    _require_jumps(case, max(times) * unit)
    early = EARLY / (sites + 1) ** 2
    between = np.geomspace(max(100 * early, 1e-3 * min(times)), max(times), FIELDS)
    moments = [
        replace(end, value=float(time) * unit, text=f"{time * unit:g}")
        for time in sorted({early, *between.tolist(), *times})
    ]
    time = case.time.model_copy(
        update={
            "end": moments[-1],
            "tolerance": min(TOLERANCE, case.time.tolerance),
            "stop": None,
            "largest_step": None,
            "fields": Records.model_construct(count=None, first=None, times=moments),
        }
    )
    return run(case.model_copy(update={"time": time}), comm=MPI.COMM_SELF, petsc_options=petsc_options)


def _require_jumps(case: Case, end: float) -> None:
    """Refuse a case whose numbers change after time 0, up to an end in its own units."""
    for key in MOVING:
        for course in courses_in(getattr(case, key)):
            moving = course.sine is not None or isinstance(course, Expression)
            later = any(0.0 < kink < end for kink in course.kinks(end))
            if moving or later or course.value(0.0) != course.value(end):
                raise UsageError(_ONLY_JUMPS)


def read_motion(solution: TransientSolution, sites: int, times: Sequence[float], form: str, field: Field) -> Course:
    """Return the course of a motion that `solve_motion` has found; collective over its ranks.

    Raises `UsageError` for a case that is no lattice channel or, as `read_continuum`, for rates that it cannot have.
    """
    end = read_continuum(solution, [sites], form, field)
    unit, steady = solution.setup.scales.time * end.units.time, solution.steady
    x, moments, densities, curves, processes = end.processes[sites].lattice.positions, [], [], [], []
    changes = solution.discretisation.problem.coupled and field == "mean"
    wanted, last = np.sort(times) / end.units.time, steady.state
    for moment, state in solution.moments:
        steady.state = state
        moments.append(moment / unit)
        densities.append(densities_at(solution, x))
        curves.append(densities_at(solution, end.curve_x))
        if changes:
            processes.append(admitted(lambda size: process_on(solution, size, form, field), sites))
    steady.state = last
    kept = [int(np.abs(np.array(moments) - time).argmin()) for time in wanted]
    # the first moment is the beginning, and what is compared the only ones that matter where no field changes
    steps = range(1, len(moments)) if changes else kept
    told = [_between(processes[k - 1], processes[k]) if changes else end.processes[sites] for k in steps]
    return Course(
        continuum=end,
        start=densities[0],
        times=np.array([moments[k] for k in steps]),
        kept=[list(steps).index(k) for k in kept],
        processes=told,
        expected=np.stack([densities[k] for k in kept]),
        curves=np.stack([curves[k] for k in kept]),
        reference="continuum",
    )


def _between(one: ExchangeProcess, other: ExchangeProcess) -> ExchangeProcess:
    """The process in the mean of two fields."""
    return replace(other, fields=0.5 * (np.asarray(one.fields) + np.asarray(other.fields)))
