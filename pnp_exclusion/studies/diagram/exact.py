"""The lines of the currents from exact solutions, where there are some: shdl in constant fields on an interval."""

from __future__ import annotations

import numpy as np

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.domain_tables import Interval
from pnp_exclusion.case.field_tables import FieldTable
from pnp_exclusion.errors import CaseError
from pnp_exclusion.exact import StationaryState, StationaryStateNotFound, stationary_state
from pnp_exclusion.studies.diagram.ends import contents_of, passing, works_of
from pnp_exclusion.studies.diagram.plane import Plane
from pnp_exclusion.studies.diagram.samples import Array
from pnp_exclusion.studies.diagram.trace import Line, trace

ACCURACY_SHARE = 0.1
"""Of the accuracy of the diagram."""


def exact_lines(plane: Plane) -> list[Line]:
    """The zero lines of the species' currents from `exact.stationary_state`; none where that does not apply."""
    if not _applies(plane.changed):
        return []
    accuracy = ACCURACY_SHARE * plane.accuracy
    return trace(lambda points: exact_excess(plane, points), resolution=plane.resolution, accuracy=accuracy).lines


def exact_excess(plane: Plane, points: Array) -> Array:
    """The excess forces (n, N), as `readings.Reading`, at points (n, 2); nan where there is no case or no solution."""
    rows = np.full((len(points), len(plane.case.species)), np.nan)
    state: StationaryState | None = None
    for row, point in zip(rows, points, strict=True):
        try:
            case = plane.case_at(point)
            state = stationary_state(*contents_of(case), works_of(case), guess=state)
        except (CaseError, StationaryStateNotFound, ValueError):
            state = None
            continue
        resistance = np.diag(state.resistances) + state.vacancy_resistance
        row[:] = state.currents / np.diagonal(np.linalg.inv(resistance))
    return rows


def _applies(case: Case) -> bool:
    stirring = case.model.flux_law.lattice_exchange == 1.0
    constant = not any(isinstance(species.field, FieldTable) for species in case.species)
    uneven = {"ions", "excluded", "diffusivity", "partition"}
    uniform = not case.reactions and not any(uneven & region.model_fields_set for region in case.regions)
    plain = constant and uniform and isinstance(case.domain, Interval) and case.domain.area is None
    open_ = len(passing(case)) == len(case.species)
    return stirring and plain and open_ and case.model.electrostatics == "imposed"
