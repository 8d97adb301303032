"""Where the lines and points of ``[output]``, and those that Python asks for, are in a domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError

from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.output_tables import Line, Point, coordinates
from pnp_exclusion.case.quantities import LENGTH, shown
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.mesh.locate import are_inside


def points_along(setup: Setup, line: Line) -> np.ndarray:
    """Return the points of a line, ``(count, 3)``, in units of the domain length."""
    start, end = (_padded(setup, coordinates(place)) for place in (line.start, line.end))
    return np.linspace(start, end, line.count)


def points_at(setup: Setup, points: list[Point]) -> np.ndarray:
    """Return points, ``(n, 3)``, in units of the domain length."""
    return np.array([_padded(setup, coordinates(point.at)) for point in points]).reshape(-1, 3)


def places_in(setup: Setup, written: Any) -> np.ndarray:
    """Return points as Python gives them, ``(n, 3)``, in units of the domain length; on an interval numbers will do.

    Numbers are in m for a case in SI units, texts have their unit. Raises `UsageError` for what are no points of this
    domain.
    """
    dimension, units = setup.problem.domain.dimension, setup.case.model.units
    try:
        is_numbers = np.asarray(written).dtype.kind in "if"
    except ValueError:
        raise UsageError(f"points must have as many coordinates each, but there is {shown(written)}") from None
    given = np.array(written, dtype=None if is_numbers else object)
    if not given.size:
        raise UsageError("there is no point; give one or more")
    if dimension == 1 and given.ndim < 2:
        given = given.reshape(-1, 1)
    given = np.atleast_2d(given)
    if given.ndim != 2 or given.shape[1] != dimension:
        several = "coordinate" if dimension == 1 else "coordinates"
        raise UsageError(f"a point of this domain has {dimension} {several}, but there is {shown(written)}")
    try:
        found = [[LENGTH.parse(one, units, plain=True).value for one in place] for place in given.tolist()]
    except PydanticCustomError as error:
        raise UsageError(f"points: {error.message()}") from None
    return np.pad(np.array(found) / setup.scales.length, ((0, 0), (0, 3 - dimension)))


def require_inside(setup: Setup, points: np.ndarray) -> None:
    """Raise `UsageError` on every rank if no point ``(n, 3)`` is in the domain; collective."""
    if not are_inside(setup.problem.domain.mesh, points).any():
        what = "the point is" if len(points) == 1 else f"all {len(points)} points are"
        raise UsageError(f"{what} outside the domain{_extent(setup)}")


def _padded(setup: Setup, place: list[float]) -> np.ndarray:
    return np.pad(np.array(place) / setup.scales.length, (0, 3 - len(place)))


def require_places(setup: Setup) -> None:
    """Raise `CaseError` on every rank for points, and whole lines, outside the domain; collective."""
    output, domain = setup.case.output, setup.problem.domain
    mistakes = []
    if output.points:
        inside = are_inside(domain.mesh, points_at(setup, output.points))
        outside = [name for name, is_in in zip(output.named_points, inside, strict=True) if not is_in]
        mistakes += [f'[[output.points]] "{name}": it is outside the domain{_extent(setup)}' for name in outside]
    for name, line in output.named_lines.items():
        if not are_inside(domain.mesh, points_along(setup, line)).any():
            mistakes.append(
                f'[[output.lines]] "{name}": none of its points is inside the domain{_extent(setup)}',
            )
    if mistakes:
        raise CaseError(setup.case.path, mistakes)


def lines_outside(setup: Setup) -> Iterator[str]:
    """Yield a sentence for every line that is partly outside the domain; collective."""
    for name, line in setup.case.output.named_lines.items():
        outside = int((~are_inside(setup.problem.domain.mesh, points_along(setup, line))).sum())
        if outside:
            yield f'line "{name}": {outside} of its {line.count} points are outside the domain and have no values'


def _extent(setup: Setup) -> str:
    """Say how far the domain reaches, in the unit of tables."""
    scales, domain = setup.scales, setup.problem.domain
    low, high = (corner * scales.length_in_unit for corner in domain.bounding_box())
    reach = ", ".join(
        f"{letter} from {a:.6g} to {b:.6g}" for letter, a, b in zip("xyz", low.tolist(), high.tolist(), strict=False)
    )
    return f", which reaches in {reach} {scales.length_unit}".rstrip()
