"""The words in which the tables of a case file are declared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from pnp_exclusion.case.quantities import as_python
from pnp_exclusion.case.sentences import sentences
from pnp_exclusion.errors import CaseError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

Name = Annotated[str, Field(min_length=1, max_length=200)]


def name_of_number(written: Any) -> Any:
    """Return a whole number as the text that names it; anything else as it is."""
    written = as_python(written)
    return str(written) if isinstance(written, int) and not isinstance(written, bool) else written


GroupName = Annotated[Name, BeforeValidator(name_of_number, json_schema_input_type=str | int)]
"""Of a physical group of a mesh file: its name, or its number where it has none."""
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(ge=1, le=10_000_000, strict=True), BeforeValidator(as_python)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class _MadeInPython(ModelMetaclass):
    """Tells whoever makes a table in Python what is wrong in the sentences of a case file, as `CaseError`.

    It is the call of the class that is wrapped: an ``__init__`` of its own would slow the reading of every case.
    """

    def __call__(cls, *arguments: Any, **keys: Any) -> Any:
        try:
            return super().__call__(*arguments, **keys)
        except ValidationError as error:
            raise CaseError(Path(cls.__name__), list(sentences(error, keys, cls))) from None


class Table(BaseModel, metaclass=_MadeInPython):
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
