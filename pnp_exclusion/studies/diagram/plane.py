"""A case over two drivings, as a map from the unit square to cases."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pnp_exclusion.case.axes import Driving, read_axis
from pnp_exclusion.case.case import Case, make_case
from pnp_exclusion.case.domain_tables import Interval
from pnp_exclusion.case.keys import CaseKeyError, set_key
from pnp_exclusion.case.varied import VariedCases
from pnp_exclusion.errors import CaseError
from pnp_exclusion.studies.diagram.ends import passing, reservoirs
from pnp_exclusion.studies.diagram.samples import Array, lattice

PLANS = ("sweep", "diagram")
LOOKED_AT = 8
"""Cells a side of the lattice on which there must be a case."""


@dataclass(frozen=True, eq=False)
class Plane:
    """The cases of one diagram: ``case`` in one of its variants, over two drivings.

    changed
        The case with the changes of the variant.
    cases
        Those that this one becomes along the two drivings.
    """

    case: Case
    variant: str
    changed: Case
    cases: VariedCases
    resolution: int
    accuracy: float

    @property
    def x(self) -> Driving:
        """The first driving."""
        return self.cases.drivings[0]

    @property
    def y(self) -> Driving:
        """The second driving."""
        return self.cases.drivings[1]

    @property
    def noise(self) -> bool:
        """Whether the noise of the currents is asked for."""
        return self.case.diagram is not None and bool(self.case.diagram.noise)

    @property
    def folder(self) -> Path:
        """To which paths in the case are relative."""
        return self.case.path.parent

    def case_at(self, point: Array) -> Case:
        """The case at a point (2,) of the unit square; `CaseError` where the drivings make none, e.g. overfull."""
        return self.cases.case([axis.at(float(share)) for axis, share in zip(self.cases.drivings, point, strict=True)])

    def coordinates(self, points: Array) -> Array:
        """Points (n, 2) of the unit square in the units of the axes."""
        low = np.array([self.x.low, self.y.low])
        return low + np.asarray(points) * (np.array([self.x.high, self.y.high]) - low)


def planes_of(case: Case, resolution: int | None = None, accuracy: float | None = None) -> list[Plane]:
    """The planes of the diagram of a case, one for each variant, or one without a name.

    Raises `CaseError` if the case has no diagram, or none that can be drawn: species must flow between two boundaries
    that hold them all and pass no other, imposed fields are for intervals, and somewhere there must be a case.
    """
    diagram = case.diagram
    if diagram is None:
        raise CaseError(case.path, ["there is no [diagram]: give the drivings in [diagram.x] and [diagram.y]"])
    planes = []
    for name, changes in [(variant.name, variant.set) for variant in diagram.variants] or [("", {})]:
        tables = {key: table for key, table in copy.deepcopy(case.as_written()).items() if key not in PLANS}
        try:
            for key, value in changes.items():
                set_key(tables, key, value)
            x, y = read_axis(diagram.x, tables), read_axis(diagram.y, tables)
        except CaseKeyError as error:
            raise CaseError(case.path, [f"[diagram]: {error}"]) from None
        one = make_case(tables, case.path.parent)
        _require_two_reservoirs(one, case.path)
        cases = VariedCases(one.path, tables, (x, y))
        plane = Plane(case, name, one, cases, resolution or diagram.resolution, accuracy or diagram.accuracy)
        _require_cases(plane)
        planes.append(plane)
    return planes


def _require_two_reservoirs(case: Case, path: Path) -> None:
    if len(reservoirs(case)) != 2:
        raise CaseError(path, ["[diagram]: species must flow between two boundaries that hold all of them"])
    for boundary in case.boundaries:
        if boundary.floats and boundary.held:
            mistake = f'[diagram]: "{boundary.where}" gives an electric current; in a plane of forces give potentials'
            raise CaseError(path, [mistake])
        partly = 0 < len(boundary.held) < len(passing(case))
        heats = boundary.held_temperature is not None and not boundary.held
        if partly or heats or boundary.fluxes:
            what = "heat" if heats else "some"
            mistake = f'[diagram]: species must not pass a third boundary, but "{boundary.where}" lets {what} through'
            raise CaseError(path, [mistake])
    if any(species.field is not None for species in case.species) and not isinstance(case.domain, Interval):
        raise CaseError(path, ["[diagram]: imposed fields are for intervals, where they have one direction"])


def _require_cases(plane: Plane) -> None:
    """Raise `CaseError` if no point of a lattice over the plane is a case; says what is wrong in its middle."""
    mistakes: list[str] = []
    for point in [np.array([0.5, 0.5]), *lattice(LOOKED_AT)]:
        try:
            plane.case_at(point)
        except CaseError as error:
            mistakes = mistakes or error.mistakes
            continue
        return
    variant = f' of the variant "{plane.variant}"' if plane.variant else ""
    raise CaseError(
        plane.case.path, [f"[diagram]: no point of the plane{variant} is a case; in its middle: {mistakes[0]}"]
    )
