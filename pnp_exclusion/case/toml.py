"""Writes a case that is held as nested tables as a case file again: `Case.as_written` and its like, as TOML."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def as_toml(tables: Mapping[str, Any]) -> str:
    """Return the text of a case file, a table a line; ``None`` is left out, which TOML does not have."""
    lines = [f"{json.dumps(key)} = {_value(value)}" for key, value in tables.items() if value is not None]
    return "\n".join([*lines, ""])


def _value(value: Any) -> str:
    match value:
        case Mapping():
            entries = [f"{json.dumps(key)} = {_value(entry)}" for key, entry in value.items() if entry is not None]
            return "{ " + ", ".join(entries) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str():
            # a surrogate pair, as JSON has it, is none in TOML
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case float() if not math.isfinite(value):
            return str(value)
    return json.dumps(value)
