"""The page of all keys of a case file, written from its schema as the site is made."""

from __future__ import annotations

import json
import re
from typing import Any

type Schema = dict[str, Any]

VARIANT = ("law", "shape", "kind")
"""Keys whose value says which others a table has."""


def page(schema: Schema) -> str:
    """Return the page as Markdown: a table of keys for every table of a case file, each with an anchor."""
    known = schema["$defs"]
    parts = [
        "# All keys\n",
        "Every key of a case file with its kind, its default and its meaning, written from the schema that checks the "
        "file, as `pnp-exclusion schema` prints it for editors. How tables go together, units and examples are in "
        "[case files](case-file.md). A quantity is a text with its unit, or a number in a dimensionless case.\n",
    ]
    shown: set[str] = set()
    for key, value in schema["properties"].items():
        names = _references(value)
        if not names:
            parts.append(f"## `{key}`\n\n{_meaning(value) or 'Shown in pictures.'}\n")
            continue
        heading = f"[[{key}]]" if value.get("type") == "array" else f"[{key}]"
        parts.append(f'<a id="{anchor(names[0])}"></a>\n## `{heading}`\n\n{_table(names, known)}')
        shown |= set(names)
        inner = [name for one in names for name in _nested(known[one]) if name not in shown]
        while inner:
            name = inner.pop(0)
            if name in shown:
                continue
            shown.add(name)
            title = re.match(r"``(.+?)``", known[name].get("description", "")) or [None, name]
            parts.append(f'<a id="{anchor(name)}"></a>\n### `{title[1]}`\n\n{_table([name], known)}')
            inner += _nested(known[name])
    return "\n".join(parts)


def anchor(name: str) -> str:
    """Return the target of a table."""
    return f"key-{name.lower().replace('_', '-')}"


def _references(schema: Schema) -> list[str]:
    """The tables that a value may be, in order."""
    return [found.rpartition("/")[2] for found in re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema))]


def _nested(table: Schema) -> list[str]:
    return [name for value in table["properties"].values() for name in _references(value)]


def _table(names: list[str], known: dict[str, Schema]) -> str:
    """The keys of a table, or of all that it may be, with the names of those that have the key."""
    lines = [f"* {_words(known[name]['description'])}" for name in names if known[name].get("description")]
    lines += ["", "| key | value | default | meaning |", "|---|---|---|---|"]
    rows: dict[str, list[str]] = {}
    for name in names:
        for key in known[name]["properties"]:
            rows.setdefault(key, []).append(name)
    for key, owners in rows.items():
        values = [known[name]["properties"][key] for name in owners]
        kinds = _without_parts(list(dict.fromkeys(kind(value) for value in values)))
        needed = any(key in known[name].get("required", []) for name in owners)
        default = "needed" if needed else _default(values[0])
        meaning = next((_meaning(value) for value in values if _meaning(value)), "")
        if len(owners) < len(names):
            meaning = f"*{', '.join(_variant(known[name], name) for name in owners)}.* {meaning}"
        lines.append(f"| `{key}` | {' or '.join(kinds)} | {default} | {meaning} |".replace("  ", " "))
    return "\n".join(lines) + "\n"


def _without_parts(kinds: list[str]) -> list[str]:
    """Leave out words that are among those of another kind: a table may allow fewer of them."""
    return [one for one in kinds if not any(one != other and one in other.split(", ") for other in kinds)]


def _variant(table: Schema, name: str) -> str:
    """What a table is told by: the value of its kind, its shape or its law."""
    found = (table["properties"].get(key, {}).get("const") for key in VARIANT)
    return next((f"`{value}`" for value in found if value), name)


def kind(schema: Schema) -> str:
    """Return what a value may be, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[table](#{anchor(name)})"
    if "const" in schema:
        return f'`"{schema["const"]}"`'
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(word)}`" for word in schema["enum"])
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        # of a quantity the number of a dimensionless case goes without saying
        quantity = _quantity(several[0])
        kinds = [kind(one) for one in several if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(one for one in kinds if not quantity or one != "number"))
    match schema.get("type"):
        case "array":
            return f"list: {kind(schema['items'])}" if "items" in schema else "list"
        case "object" if "in the course of time" in schema.get("description", ""):
            return "its [course](case-file.md#time)"
        case "object":
            inner = schema.get("additionalProperties")
            return f"by name: {kind(inner)}" if isinstance(inner, dict) else "table"
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number" as number:
            return ("whole number" if number == "integer" else "number") + _limits(schema)
        case "string":
            return _quantity(schema) or "text"
    return ""


def _quantity(schema: Schema) -> str:
    """What a text with a unit is, with an example; empty for other values."""
    found = re.fullmatch(r"an? (.+) with its unit", schema.get("description", ""))
    return f"{found[1]}, `{json.dumps(schema['examples'][0], ensure_ascii=False)}`" if found else ""


def _limits(schema: Schema) -> str:
    words = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "to"}
    return "".join(f" {word} {schema[key]:g}" for key, word in words.items() if key in schema)


def _default(schema: Schema) -> str:
    value = schema.get("default")
    if isinstance(value, dict):
        # a quantity is written as its text
        value = value.get("text")
    return "" if value in (None, "", []) else f"`{json.dumps(value)}`"


def _meaning(schema: Schema) -> str:
    return _words(schema.get("description", ""))


def _words(text: str) -> str:
    """A docstring as a cell of a table."""
    text = re.sub(r"`+([^`]+)`+", r"`\1`", text)
    return " ".join(text.split()).replace("|", "\\|")
