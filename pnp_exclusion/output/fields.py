"""The fields of a solution as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpi4py import MPI

from pnp_exclusion.case.case import Case
from pnp_exclusion.discretisation.discretisation import State
from pnp_exclusion.output.drawn_fields import DrawnFields
from pnp_exclusion.output.vtkhdf import VtkHdf, require_h5py
from pnp_exclusion.output.vtx import Vtx
from pnp_exclusion.solution.solution import Solution

Moments = Sequence[tuple[float, State]]
"""States of a motion with their times, in ascending order; empty for a solution at rest."""


def require_formats(case: Case, comm: MPI.Comm) -> None:
    """Raise `MissingLibraryError` if fields cannot be written as a case asks for: before it is solved; collective."""
    if "vtkhdf" in case.output.field_formats:
        require_h5py(comm)


def write_fields(solution: Solution, paths: Sequence[Path], moments: Moments = ()) -> dict[str, dict[str, Any]]:
    """Write every field, one named quantity with its unit each; collective.

    Parameters
    ----------
    solution
        What is written at the time 0, if there are no moments.
    paths
        Files that end in ``.bp`` or ``.vtkhdf``.
    moments
        States of a motion, each of which is written.

    Coordinates are in the unit of the tables (`pnp_exclusion.case.scales.Scales`). Returns how far every
    field is at most from the solution between the nodes, ``value`` and ``unit``, of a file of straight cells.
    """
    fields = DrawnFields(solution)
    states = list(moments) or [(0.0, solution.state)]
    times = [time for time, _ in moments] if moments else None
    errors: dict[str, float] = {}
    files: list[Vtx | VtkHdf] = [(Vtx if path.suffix == ".bp" else VtkHdf)(path, fields, times) for path in paths]
    for step, (_, state) in enumerate(states):
        fields.show(state)
        for file in files:
            file.write(step)
    for file in files:
        file.close()
        errors |= file.errors
    return {name: {"value": error, "unit": fields.units[name]} for name, error in errors.items()}
