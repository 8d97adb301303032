"""The words in which the tables of a case file are declared."""

from __future__ import annotations

import ast
import contextlib
import inspect
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError

from pnp_exclusion.case.ions import name_of_ion
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


def name_of_entry(entry: dict[str, Any]) -> Any:
    """Return what an entry of an array of tables goes by: what it is called, what it says, or where it is."""
    of_ion = name_of_ion(entry["ion"]) if "ion" in entry else None
    return name_of_number(entry.get("name") or of_ion or entry.get("equation") or entry.get("where"))


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

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True, defer_build=True)
    can_vary: ClassVar[tuple[str, ...]] = ()
    """Its keys that can be set along the axes of a sweep or diagram; empty for all."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe keys by what is written under them, which is read for this only: it takes as long as a solve."""
        found = handler(schema)
        keys = handler.resolve_ref_schema(found).get("properties", {})
        meanings = _meanings(cls)
        for name in cls.model_fields.keys() & meanings.keys():
            keys[cls.model_fields[name].alias or name]["description"] = meanings[name]
        return found


def _meanings(kind: type[Table]) -> dict[str, str]:
    """Return what is written under the keys of a table, by their names in Python."""
    meanings: dict[str, str] = {}
    for base in reversed([base for base in kind.__mro__ if issubclass(base, Table)]):
        # the tables of laws are made without a source
        with contextlib.suppress(OSError):
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
            for key, text in pairwise(body):
                if isinstance(key, ast.AnnAssign) and isinstance(text, ast.Expr):
                    meanings[key.target.id] = inspect.cleandoc(text.value.value)  # type: ignore[union-attr,attr-defined]
    return meanings


def plain(value: Any) -> Any:
    """Return a table, or an array of them, as plain values of JSON with defaults filled in; anything else as it is."""
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value.model_dump(mode="json", exclude_none=True) if isinstance(value, Table) else value


def as_written(table: Table) -> dict[str, Any]:
    """Return a table as it is written: the keys that are given, and what says which kind of table it is."""
    kinds: dict[str, Any] = {
        key: getattr(table, key) for key in ("kind", "shape", "law") if key in type(table).model_fields
    }
    return {**table.model_dump(exclude_unset=True), **kinds}


def refusal(message: str) -> PydanticCustomError:
    """Return what a validator raises to refuse a value with a sentence of its own."""
    return PydanticCustomError("case", "{message}", {"message": message})
