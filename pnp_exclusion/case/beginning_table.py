"""A table of contents from which a motion begins: a CSV file of places and of what there is of every species there."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic_core import PydanticCustomError

from pnp_exclusion.case.domain_tables import LETTERS
from pnp_exclusion.case.quantities import CONCENTRATION, LENGTH, Dimension
from pnp_exclusion.case.sentences import counted, listed, nearest

TEMPERATURE = "temperature"
"""Of a law that has one, dimensionless."""
LEFT_ASIDE = ("phi", "packing", "energy")
"""Columns of a ``profile.csv`` that follow from others, as those that begin with `POTENTIAL_OF` do."""
POTENTIAL_OF = "mu_"
FLAT = 1e-9
"""Of the extent along every axis: places that lie no further from a line or a plane are on it."""


class BeginningError(ValueError):
    """What is wrong with such a table, in words."""


@dataclass(frozen=True, eq=False)
class BeginningTable:
    """Contents at places, in the units of the case (SI, or none).

    places
        ``(rows, axes)``; of one axis in ascending order, a jump where one is given twice.
    contents
        ``(rows,)`` by species, 0 or more.
    temperature
        ``(rows,)`` under a law that has one, else None.
    """

    places: np.ndarray
    contents: Mapping[str, np.ndarray]
    temperature: np.ndarray | None = None


def read_beginning(
    path: Path, species: Sequence[str], *, si: bool, thermal: bool = False, dimension: int | None = None
) -> BeginningTable:
    """Read a table with a header, ``x [nm],Na [mol/L],Cl [mol/L]``.

    species
        Those of the case, each of which has a column.
    dimension
        Of the domain, None if it is not known yet.

    Raises `BeginningError` with a sentence.
    """
    head, rows = _rows_of(path)
    split = [_name_and_unit(column) for column in head]
    names = [name for name, _ in split]
    axes = max(1, len([name for name in names if name in LETTERS])) if dimension is None else dimension
    wanted = [*LETTERS[:axes], *species, *([TEMPERATURE] if thermal else [])]
    aside = {*LEFT_ASIDE, *(f"{POTENTIAL_OF}{name}" for name in species)}
    for name in names:
        if names.count(name) > 1:
            raise BeginningError(f'has the column "{name}" more than once')
        if name in LETTERS and name not in wanted:
            raise BeginningError(f'has a column "{name}", but the domain has {counted(axes, "dimension")}')
        if name not in wanted and name not in aside:
            raise BeginningError(f'has a column "{name}" that says nothing here; {nearest(name, wanted)}')
    if lacking := [name for name in wanted if name not in names]:
        raise BeginningError(f"lacks the column{'s' * (len(lacking) > 1)} {listed(lacking)}")
    try:
        numbers = np.array([[float(cell) for cell in row] for row in rows])
    except ValueError:
        raise BeginningError("has a cell that is not a number") from None
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0])
        raise BeginningError(f"has a number in row {row + 1} that is not finite")
    found = {}
    for name in wanted:
        column = names.index(name)
        kind = LENGTH if name in LETTERS else None if name == TEMPERATURE else CONCENTRATION
        found[name] = numbers[:, column] * _factor(name, split[column][1], kind, si)
    for name in (*species, *([TEMPERATURE] if thermal else [])):
        if (found[name] < 0.0).any():
            raise BeginningError(f"has a negative {name} in row {int(np.argmax(found[name] < 0.0)) + 1}")
    if not any(found[name].any() for name in species):
        raise BeginningError("has nothing in it: all contents are 0")
    if thermal and not found[TEMPERATURE].min() > 0.0:
        raise BeginningError("has a temperature of 0; it must be positive")
    places = np.column_stack([found[letter] for letter in LETTERS[:axes]])
    _require_places(places)
    return BeginningTable(places, {name: found[name] for name in species}, found.get(TEMPERATURE))


def _rows_of(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            head, *rows = [row for row in csv.reader(stream) if row]
    except FileNotFoundError:
        raise BeginningError("is not there") from None
    except (OSError, ValueError, csv.Error):
        raise BeginningError("cannot be read as a table") from None
    if len(rows) < 2:
        raise BeginningError("must have a header and two rows or more")
    if any(len(row) != len(head) for row in rows):
        row = next(number for number, row in enumerate(rows, start=1) if len(row) != len(head))
        raise BeginningError(f"has {len(head)} columns in its header, but {len(rows[row - 1])} in row {row}")
    return head, rows


def _name_and_unit(column: str) -> tuple[str, str]:
    name, bracket, rest = column.partition("[")
    return name.strip(), rest.rpartition("]")[0].strip() if bracket else ""


def _factor(name: str, unit: str, kind: Dimension | None, si: bool) -> float:
    """Return what one unit of a column is in those of the case."""
    if not si or kind is None:
        if unit:
            raise BeginningError(f'has the unit "{unit}" at "{name}", which has none in this case')
        return 1.0
    if not unit:
        example = "nm" if kind is LENGTH else "mol/L"
        raise BeginningError(f'gives "{name}" no unit; its header would be right as "{name} [{example}]"')
    try:
        return kind.parse(f"1 {unit}", "si").value
    except PydanticCustomError as error:
        raise BeginningError(f"is wrong at the header of {name}: {error.message()}") from None


def _require_places(places: np.ndarray) -> None:
    if places.shape[1] == 1:
        x = places[:, 0]
        if (np.diff(x) < 0.0).any():
            raise BeginningError(f"has an x in row {int(np.argmax(np.diff(x) < 0.0)) + 2} below the one before")
        if (x[2:] == x[:-2]).any():
            raise BeginningError("has an x more than twice, where a jump has two values")
    elif len(np.unique(places, axis=0)) < len(places):
        raise BeginningError("has a place twice")
    else:
        extent = np.ptp(places, axis=0)
        # on straight lines and planes, oblique ones too
        if not extent.all() or np.linalg.matrix_rank((places - places[0]) / extent, tol=FLAT) < len(extent):
            raise BeginningError(f"has places that span no {'area' if len(extent) == 2 else 'volume'}")
