"""How the page of the API shows objects: those of a case by their keys, everything else as `autodoc` reads it."""

from __future__ import annotations

import re
from typing import Any

import case_reference

import pnp_exclusion
from pnp_exclusion.case.base import Table
from pnp_exclusion.case.quantities import Quantity

BLOCK = re.compile(r"^```\{api\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOREIGN = "Protocol, Generic, Exception, BaseException, ValueError, Warning, UserWarning, object"
"""Classes whose members are Python's, not ours."""
METHODS = {"Case": "with_law, varied, species_names, dimension"}
"""What tables have for their users beside keys."""
KEPT = {"kind", "shape", "law"}
"""Keys that the class itself says."""


def with_directives(text: str) -> str:
    """Replace the blocks that name objects by the directives that show them; refuse to leave out a public one."""
    missing = set(pnp_exclusion.__all__) - {name for block in BLOCK.findall(text) for name in block.split()}
    if missing:
        raise ValueError(f"docs/api.md does not show {', '.join(sorted(missing))}")
    return BLOCK.sub(lambda block: "\n".join(["```{eval-rst}", *map(_directive, block[1].split()), "```"]), text)


def _directive(name: str) -> str:
    thing = getattr(pnp_exclusion, name)
    if not isinstance(thing, type):
        return f".. autofunction:: pnp_exclusion.{name}\n"
    # autodoc would call it an alias of the name that it has inside
    thing.__name__ = name
    if not is_table(thing):
        shown = f"   :members:\n   :inherited-members: {FOREIGN}"
    else:
        shown = f"   :members: {METHODS[name]}" if name in METHODS else "   :no-members:"
    return f".. autoclass:: pnp_exclusion.{name}\n{shown}\n"


def is_table(thing: Any) -> bool:
    """Return whether it is a table of a case file."""
    return isinstance(thing, type) and issubclass(thing, Table)


def signature(table: type[Table]) -> str:
    """Return the keys of a table with their defaults."""
    needed, optional = [], []
    for name, field in _keys(table).items():
        if field.is_required():
            needed.append(name)
            continue
        default = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
        default = default.text if isinstance(default, Quantity) else default
        optional.append(f"{name}={default!r}" if isinstance(default, str | float | int | None) else f"{name}=...")
    return f"({', '.join(['*', *needed, *optional])})"


def shortened(arguments: str) -> str:
    """Return a signature without the modules of types and without what Python prints for objects."""
    arguments = re.sub(r"~?\b(?:[a-z_]\w*\.)+(?=[A-Z])", "", arguments)
    arguments = arguments.replace("<MPI.Intracomm object>", "MPI.COMM_WORLD")
    return re.sub(r"<function <lambda>>|<factory>|<function [\w.<>]+>", "...", arguments)


def keys(table: type[Table]) -> list[str]:
    """Return the lines of reStructuredText that say what each key may be and what it means."""
    schema = table.model_json_schema()["properties"]
    lines = [""]
    for name, field in _keys(table).items():
        found = schema[field.alias or name]
        kind = re.sub(r"\[table\]\(#key-(\w+)\)", _link, case_reference.kind(found).replace("`", "``"))
        kind = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", kind)
        meaning = re.sub(r"`+([^`]+)`+", r"``\1``", found.get("description", ""))
        lines.append(f":param {name}: {' '.join(f'{kind}. {meaning}'.split())}")
    return [*lines, ""]


def _link(table: re.Match[str]) -> str:
    """Return the class of a table as a link."""
    name = next((name for name in pnp_exclusion.__all__ if name.lower() == table[1]), "")
    return f"`{name}`" if name else "table"


def _keys(table: type[Table]) -> dict[str, Any]:
    return {name: field for name, field in table.model_fields.items() if name not in KEPT}
