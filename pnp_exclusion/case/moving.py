"""The tables of a case at a moment: numbers in time are replaced by what they are then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pnp_exclusion.case.base import Table
from pnp_exclusion.case.courses import Course
from pnp_exclusion.case.quantities import MovingNumber, Quantity
from pnp_exclusion.case.tables import CaseTables

MOVING = ("species", "domain", "regions", "boundaries")
"""Tables with numbers that may change in time."""


def courses_in(value: Any) -> Iterator[Course]:
    """Yield the courses in a table, or in whatever stands under its keys."""
    match value:
        case Quantity() | MovingNumber():
            if value.course is not None:
                yield value.course
        case Table():
            for key in type(value).model_fields:
                yield from courses_in(getattr(value, key))
        case dict():
            yield from courses_in(list(value.values()))
        case list() | tuple():
            for entry in value:
                yield from courses_in(entry)


def at_time(value: Any, time: float, *, before: bool = False) -> Any:
    """Return a table, or what stands under a key, with the numbers of a time in the units of the case."""
    if next(courses_in(value), None) is None:
        return value
    match value:
        case Quantity():
            return value.at(time, before=before)
        case MovingNumber():
            return value.course.value(time, before=before)
        case Table():
            keys = {key: getattr(value, key) for key in type(value).model_fields}
            moved = {key: at_time(old, time, before=before) for key, old in keys.items()}
            return value.model_copy(update={key: new for key, new in moved.items() if new is not keys[key]})
        case dict():
            return {key: at_time(entry, time, before=before) for key, entry in value.items()}
    return [at_time(entry, time, before=before) for entry in value]


def case_at[C: CaseTables](case: C, time: float, *, before: bool = False) -> C:
    """Return a case with the numbers of a time, in its own units; at that of a jump those after it."""
    found = {key: at_time(getattr(case, key), time, before=before) for key in MOVING}
    return case.model_copy(update={key: value for key, value in found.items() if value is not getattr(case, key)})


def extremes[C: CaseTables](case: C) -> list[C]:
    """Return the case at moments at which some number is the smallest or the largest, for the mesh."""
    if case.time is None:
        return []
    courses = [course for key in MOVING for course in courses_in(getattr(case, key))]
    moments = {moment for course in courses for moment in course.extremes(case.time.last)}
    return [*(case_at(case, time, before=before) for time, before in sorted(moments)), *_of_protocol(case)]


def _of_protocol[C: CaseTables](case: C) -> list[C]:
    """Return the case at the lowest and at the highest potential that its protocol gives, or ends a piece with."""
    time, given = case.time, []
    if case.model.electrostatics == "imposed":
        return _of_fields(case)
    for piece in [] if time is None else time.protocol:
        if piece.potential is not None:
            course = piece.potential.course
            moments = [(0.0, False)] if course is None else course.extremes(piece.duration.value)
            given += [piece.potential.at(moment, before=before) for moment, before in moments]
        elif piece.until is not None and piece.until.potential is not None:
            given.append(piece.until.potential)
    if time is None or not given:
        return []

    def at(potential: Quantity) -> C:
        boundaries = [
            one.model_copy(update={"potential": potential}) if one.where == time.terminal else one
            for one in case.boundaries
        ]
        return case.model_copy(update={"boundaries": boundaries})

    return [at(choose(given, key=float)) for choose in (min, max)]


def _of_fields[C: CaseTables](case: C) -> list[C]:
    """Return the case in the fields of every piece at moments at which some of them are the smallest or the largest."""
    found = []
    for piece in [] if case.time is None else case.time.protocol:
        courses = list(courses_in(piece.fields))
        moments = {moment for course in courses for moment in course.extremes(piece.duration.value)}
        for moment, before in sorted(moments) or [(0.0, False)]:
            fields = at_time(piece.fields, moment, before=before)
            found.append(
                case.model_copy(
                    update={
                        "species": [
                            one.model_copy(update={"field": fields[one.name]}) if one.name in fields else one
                            for one in case.species
                        ]
                    }
                )
            )
    return found
