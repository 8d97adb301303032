"""The words in which the tables of a case file are declared."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

Name = Annotated[str, Field(min_length=1, max_length=200)]


def name_of_number(written: Any) -> Any:
    """Return a whole number as the text that names it; anything else as it is."""
    return str(written) if isinstance(written, int) and not isinstance(written, bool) else written


GroupName = Annotated[Name, BeforeValidator(name_of_number, json_schema_input_type=str | int)]
"""Of a physical group of a mesh file: its name, or its number where it has none."""
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(ge=1, le=10_000_000, strict=True)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class Table(BaseModel):
    """A table of a case file: no key beyond those declared, nothing changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, serialize_by_alias=True)


def as_written(table: Table) -> dict[str, Any]:
    """Return a table as it is written: the keys that are given, and what says which kind of table it is."""
    kinds: dict[str, Any] = {
        key: getattr(table, key) for key in ("kind", "shape", "law") if key in type(table).model_fields
    }
    return {**table.model_dump(exclude_unset=True), **kinds}


def refusal(message: str) -> PydanticCustomError:
    """Return what a validator raises to refuse a value with a sentence of its own."""
    return PydanticCustomError("case", "{message}", {"message": message})
