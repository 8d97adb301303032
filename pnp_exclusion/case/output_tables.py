"""``[output]``: which files a case wants, and where its fields are read off."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from pnp_exclusion.case.base import Flag, Table, refusal
from pnp_exclusion.case.quantities import Length, Quantity, shown
from pnp_exclusion.case.sentences import listed

FIELD_FORMATS = ("bp", "vtkhdf", "csv")
USUAL_FIELDS = ("bp", "vtkhdf")
PICTURE_FORMATS = ("png", "svg", "pdf")
MOST_POINTS = 100_000
"""Of a line."""


def _field_formats(written: Any) -> Any:
    if isinstance(written, bool):
        return written
    several = written if isinstance(written, list | tuple) else [written]
    for one in several:
        if one not in FIELD_FORMATS:
            raise refusal(f"must be true, false, or some of {listed(FIELD_FORMATS)}, but there is {shown(one)}")
    return list(several)


def _picture_format(written: Any) -> Any:
    if not isinstance(written, bool) and written not in (*PICTURE_FORMATS, "none"):
        raise refusal(f'must be true, false, {listed(PICTURE_FORMATS)} or "none", but it is {shown(written)}')
    return written


def _form(written: Any) -> str:
    return "<list>" if isinstance(written, list | tuple) else "<value>"


_Name = Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*$")]
Place = Annotated[
    Annotated[list[Length], Field(min_length=1, max_length=3), Tag("<list>")] | Annotated[Length, Tag("<value>")],
    Discriminator(_form),
]
"""A point of the domain by its coordinates, a number on an interval."""


def coordinates(place: list[Quantity] | Quantity) -> list[float]:
    """Return the coordinates of a place, in m or without dimensions."""
    return [one.value for one in (place if isinstance(place, list) else [place])]


class Line(Table):
    """``[[output.lines]]``: a straight line along which every field is written, into ``lines.csv``."""

    name: _Name | None = None
    """In the results; its number if absent."""
    start: Place
    """Its first point: a coordinate for every axis of the domain, ``["0 nm", "2 nm"]``."""
    end: Place
    """Its last point."""
    count: Annotated[int, Field(ge=2, le=MOST_POINTS, strict=True)] = 101
    """How many points it has, both ends included, evenly spaced."""

    @model_validator(mode="after")
    def _is_long(self) -> Line:
        if coordinates(self.start) == coordinates(self.end):
            raise refusal("start and end are the same point")
        return self


class Point(Table):
    """``[[output.points]]``: a point at which every field is written, into ``probes.csv``."""

    name: _Name | None = None
    """In the results; its number if absent."""
    at: Place
    """Where it is: a coordinate for every axis of the domain."""


class Files(Table):
    """``[output]`` of every sort of case: what is written beside summary, profile and manifest."""

    fields: Annotated[
        Flag | list[str],
        BeforeValidator(
            _field_formats,
            json_schema_input_type=bool | Literal[FIELD_FORMATS] | list[Literal[FIELD_FORMATS]],
        ),
    ] = True
    """Files of all fields: true for ``fields.bp`` and ``fields.vtkhdf``, or some of "bp", "vtkhdf", "csv"."""
    pictures: Annotated[
        Flag | str,
        BeforeValidator(
            _picture_format,
            json_schema_input_type=bool | Literal[(*PICTURE_FORMATS, "none")],
        ),
    ] = True
    """Pictures: true for "png", or "svg", "pdf", "none"."""

    @property
    def field_formats(self) -> tuple[str, ...]:
        """The endings of the files of fields."""
        if isinstance(self.fields, bool):
            return USUAL_FIELDS if self.fields else ()
        return tuple(dict.fromkeys(self.fields))

    @property
    def picture_format(self) -> str:
        """The ending of pictures, empty if there are none."""
        if isinstance(self.pictures, bool):
            return PICTURE_FORMATS[0] if self.pictures else ""
        return "" if self.pictures == "none" else self.pictures


class Output(Files):
    """``[output]`` of a case with a domain."""

    animation: Flag = False
    """``animation.gif``: profiles of a motion, a frame for every time of ``fields`` in ``[time]``."""
    lines: list[Line] = Field(default_factory=list)
    """Straight lines along which every field is written."""
    points: list[Point] = Field(default_factory=list)
    """Points at which every field is written."""

    @property
    def named_lines(self) -> dict[str, Line]:
        """The lines by what they are called."""
        return {line.name or str(number): line for number, line in enumerate(self.lines, start=1)}

    @property
    def named_points(self) -> dict[str, Point]:
        """The points by what they are called."""
        return {point.name or str(number): point for number, point in enumerate(self.points, start=1)}
