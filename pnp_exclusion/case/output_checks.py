"""What the lines and points of ``[output]`` must satisfy, but for what the mesh says (`pnp_exclusion.case.places`)."""

from __future__ import annotations

from collections.abc import Sequence

from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.output_tables import Line, Point, coordinates
from pnp_exclusion.case.reading import Draft


def check_output(draft: Draft, model: Model) -> None:
    """Refuse places with too few or too many coordinates, and names that are there twice."""
    every: dict[str, Sequence[Line | Point]] = {"lines": draft.output.lines, "points": draft.output.points}
    for kind, tables in every.items():
        names = [table.name for table in tables if table.name]
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            draft.refuse(f"[[output.{kind}]]", f'the name "{name}" is given twice')
        for number, table in enumerate(tables, start=1):
            _check_coordinates(draft, f'[[output.{kind}]] "{table.name or number}"', table)


def _check_coordinates(draft: Draft, where: str, table: Line | Point) -> None:
    places = {"at": table.at} if isinstance(table, Point) else {"start": table.start, "end": table.end}
    for key, place in places.items():
        count = len(coordinates(place))
        if draft.dimension not in (None, count):
            several = "coordinate" if count == 1 else "coordinates"
            draft.refuse(where, f"{key} has {count} {several}, but the domain has {draft.dimension}")
