"""Whether a case is that of a run which is to go on, and in what it differs if not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pnp_exclusion.case.base import name_of_entry
from pnp_exclusion.case.moving import MOVING, courses_in
from pnp_exclusion.case.quantities import shown
from pnp_exclusion.case.tables import CaseTables

MAY_CHANGE = (
    "title",
    "output",
    "time.end",
    "time.stop",
    "time.fields",
    "time.checkpoint",
    "solver.linear",
    "solver.petsc",
)
"""What does not change the way to where a run is: how long it is, what is written of it, and how systems are solved."""
MOST_SHOWN = 5


def case_hash(written: dict[str, Any]) -> str:
    """Return the SHA-256 of a case with its defaults filled in (`Case.as_written`)."""
    return hashlib.sha256(json.dumps(written, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def files_of(case: CaseTables) -> dict[str, str | None]:
    """Return the SHA-256 of the files that a case names, as it names them: its mesh, tables in time, what its motion
    begins from; None for one that cannot be read any more."""
    mesh = [case.domain.file] if case.domain.shape == "gmsh" else []
    state = [case.initial.file] if case.initial is not None and case.initial.file is not None else []
    return {name: _sha256(case.path.parent / name) for name in (*mesh, *tables_of(case), *state)}


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def tables_of(case: CaseTables) -> dict[str, np.ndarray]:
    """Return the tables in time of a case by the names of their files, ``(rows, 2)``: times and numbers."""
    courses = [course for key in (*MOVING, "time") for course in courses_in(getattr(case, key))]
    return {
        str(course.written["table"]): np.column_stack([course.times, course.values])
        for course in courses
        if "table" in course.written
    }


def tables_differ(name: str, there: np.ndarray, here: np.ndarray) -> str:
    """Return in what two tables in time differ: the first row that does, or how many they have."""
    count = min(len(there), len(here))
    apart = np.flatnonzero((there[:count] != here[:count]).any(axis=1))
    if not len(apart):
        return f'"{name}" has {len(there)} rows there and {len(here)} here'
    row = int(apart[0])
    one, other = (f"({', '.join(f'{x:.10g}' for x in table[row])})" for table in (there, here))
    return f'row {row + 1} of "{name}" is {one} there and {other} here'


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return in what two cases with defaults filled in differ beyond what may change, by their keys."""
    found = [
        f"{key} is {_shown(one)} there and {_shown(other)} here"
        for key, one, other in _apart(there, here, "")
        if not any(key == free or key.startswith(f"{free}.") for free in MAY_CHANGE)
    ]
    more = len(found) - MOST_SHOWN
    return [*found[:MOST_SHOWN], f"{more} more"] if more > 0 else found


_ABSENT = object()


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else shown(value)


def _apart(one: Any, other: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    match one, other:
        case dict(), dict():
            for name in sorted(one.keys() | other.keys()):
                yield from _apart(one.get(name, _ABSENT), other.get(name, _ABSENT), f"{key}.{name}" if key else name)
        case list(), list() if _named(one) and _named(one) == _named(other):
            for name, first, second in zip(_named(one), one, other, strict=True):
                yield from _apart(first, second, f"{key}.{name}")
        case list(), list() if _named(one) and _named(other):
            yield key, _named(one), _named(other)
        case _ if one != other:
            yield key, one, other


def _named(entries: list[Any]) -> list[Any]:
    """Return what the entries of an array of tables go by; nothing for another list."""
    return [name_of_entry(entry) for entry in entries] if all(isinstance(entry, dict) for entry in entries) else []
