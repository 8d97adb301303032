"""Says in sentences what is wrong with a table: the key, what it holds, what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pnp_exclusion.case.quantities import shown

_MUST_BE = {
    "string_type": "a text",
    "bool_type": "true or false",
    "float_type": "a number",
    "int_type": "a whole number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
"""What pydantic expected, by the type of its finding."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A phrase that names the known word nearest to ``word``, and all of them if none is near."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.55)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"there is {listed(known)}" if known else "there is none"


def listed(words: Iterable[str]) -> str:
    """The words in quotation marks."""
    return ", ".join(f'"{word}"' for word in words)


def counted(count: int, what: str) -> str:
    """The number with what is counted: "1 cycle", "2 cycles"."""
    return f"{count} {what}{'s' * (count != 1)}"


def sentences(error: ValidationError, entry: Any, kind: Any) -> Iterator[str]:
    """Say pydantic's findings about the table ``entry`` in words.

    kind
        The table that was expected, or a union of tables that one of their keys tells apart.
    """
    union = not isinstance(kind, type)
    for finding in error.errors():
        location = [part for part in finding["loc"][int(union) :] if not _is_form(part)]
        key = "".join(f", entry {part + 1}" if isinstance(part, int) else f".{part}" for part in location)[1:]
        prefix, context = f"{key}: " if key else "", finding.get("ctx", {})
        match finding["type"]:
            case "extra_forbidden" if len(location) == 1 and "law" in entry and (laws := _laws_with(key, kind)):
                yield f"{key} goes with law = {laws}, but the law is {shown(entry['law'])}"
            case "extra_forbidden":
                known = _keys_beside(location, kind, entry)
                yield f'unknown key "{key}"; {nearest(str(location[-1]), known)}'
            case "missing":
                yield f'the key "{key}" is missing'
            case "literal_error":
                yield f"{prefix}{shown(finding['input'])} is not one of {context['expected']}"
            case "union_tag_not_found":
                yield f"the key {context['discriminator']} is missing"
            case "union_tag_invalid" if "()" in context["discriminator"]:
                yield f"{prefix}must be a number or a list of numbers, but it is {shown(finding['input'])}"
            case "union_tag_invalid":
                word = context["discriminator"].strip("'")
                yield f"{word} = {shown(entry[word])} is not one of {context['expected_tags']}"
            case "quantity" | "case":
                yield prefix + context["message"]
            case "string_pattern_mismatch":
                yield f'{prefix}{shown(finding["input"])} must be a letter followed by letters, digits, "_", "+" or "-"'
            case wrong if wrong in _MUST_BE:
                yield f"{prefix}must be {_MUST_BE[wrong]}, but it is {shown(finding['input'])}"
            case _:
                yield f"{prefix}{finding['msg'].lower()}, but it is {shown(finding['input'])}"


def _is_form(part: int | str) -> bool:
    """Whether pydantic put the member of a union, or the mark of a key, into a location: neither is a key."""
    return isinstance(part, str) and (part == "[key]" or (part.startswith("<") and part.endswith(">")))


def _tables_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the tables that an annotation speaks of, however deep: in a union, a list, a mapping."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    arguments = get_args(annotation)
    for argument in arguments[:1] if get_origin(annotation) is Annotated else arguments:
        yield from _tables_in(argument)


def _meant(kind: Any, entry: Any) -> list[type[BaseModel]]:
    """The tables that an entry may mean to be: of a union those whose tag it has, or the last one."""
    members = list(_tables_in(kind))
    tags = {entry.get(word) for word in ("shape", "kind", "law")}
    return [member for member in members if _tag(member) in tags] or members[-1:]


def _keys_beside(location: list[int | str], kind: Any, entry: Any) -> list[str]:
    """The keys that are known where the last part of a location stands."""
    tables = _meant(kind, entry)
    for key in location[:-1]:
        if isinstance(key, str):
            fields = [table.model_fields[key] for table in tables if key in table.model_fields]
            tables = [inner for field in fields for inner in _tables_in(field.annotation)]
    return list(dict.fromkeys(field.alias or name for table in tables for name, field in table.model_fields.items()))


def _laws_with(key: str, kind: Any) -> str:
    """The laws whose table has the key, in words."""
    return " or ".join(f'"{_tag(table)}"' for table in _tables_in(kind) if key in table.model_fields and _tag(table))


def _tag(table: type[BaseModel]) -> str:
    """What tells a table from the others of its union; empty if nothing does."""
    for word in ("shape", "kind", "law"):
        if word in table.model_fields:
            values = get_args(table.model_fields[word].annotation)
            return str(values[0]) if values else ""
    return ""
