"""An imposed force on the particles of a species: a value along x, a vector, or a table over x."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from pnp_exclusion.case.base import Table
from pnp_exclusion.case.courses import KINDS
from pnp_exclusion.case.domain_tables import list_or_value, require_matching_knots
from pnp_exclusion.case.quantities import ForceInTime, Length


def form_of(written: Any) -> str:
    """Return which member of a union is meant, so that a mistake in it is told once."""
    if isinstance(written, dict) and not KINDS.keys().isdisjoint(written):
        return "<value>"
    if isinstance(written, dict | FieldTable):
        return "<table>"
    return list_or_value(written)


class FieldTable(Table):
    """An imposed field that depends on x: linear between the knots; a knot given twice is a jump."""

    x: Annotated[list[Length], Field(min_length=2)]
    """Positions of the knots, in ascending order, covering the domain."""
    values: Annotated[list[ForceInTime], Field(min_length=2)]
    """The field at the knots, along x."""

    @model_validator(mode="after")
    def _matching_ascending_knots(self) -> FieldTable:
        require_matching_knots(self.x, self.values)
        return self


GivenField = Annotated[
    Annotated[FieldTable, Tag("<table>")]
    | Annotated[list[ForceInTime], Tag("<list>")]
    | Annotated[ForceInTime, Tag("<value>")],
    Discriminator(form_of),
]
