"""What ``[output]`` must satisfy, but for what the mesh says of its places (`pnp_exclusion.case.places`)."""

from __future__ import annotations

from collections.abc import Sequence

from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.output_tables import Line, Point, coordinates
from pnp_exclusion.case.reading import Draft


def check_output(draft: Draft, model: Model) -> None:
    """Refuse an animation of what has no profiles in time, places with too few or too many coordinates, and names that
    are there twice."""
    if draft.output.animation:
        _check_animation(draft)
    every: dict[str, Sequence[Line | Point]] = {"lines": draft.output.lines, "points": draft.output.points}
    for kind, tables in every.items():
        names = [table.name for table in tables if table.name]
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            draft.refuse(f"[[output.{kind}]]", f'the name "{name}" is given twice')
        for number, table in enumerate(tables, start=1):
            _check_coordinates(draft, f'[[output.{kind}]] "{table.name or number}"', table)


def _check_animation(draft: Draft) -> None:
    if draft.time is None:
        draft.refuse("[output]", "animation is of a motion, but the table [time] is missing")
    elif draft.time.fields is None:
        draft.refuse("[output]", "animation needs the times of its frames, e.g. fields = { count = 50 } in [time]")
    if draft.dimension not in (None, 1):
        draft.refuse("[output]", "animation is of profiles, in one dimension; ParaView animates fields.vtkhdf")


def _check_coordinates(draft: Draft, where: str, table: Line | Point) -> None:
    places = {"at": table.at} if isinstance(table, Point) else {"start": table.start, "end": table.end}
    for key, place in places.items():
        count = len(coordinates(place))
        if draft.dimension not in (None, count):
            several = "coordinate" if count == 1 else "coordinates"
            draft.refuse(where, f"{key} has {count} {several}, but the domain has {draft.dimension}")
