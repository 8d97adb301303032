"""Measured values as a table: what was measured, in which unit, how well, and of which case (docs/fits.md)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.keys import CaseKeyError, dimension_of_key
from pnp_exclusion.case.quantities import Dimension
from pnp_exclusion.case.smooth_keys import TOGETHER
from pnp_exclusion.errors import CaseError, UsageError

OF_ROW = ("observable", "value", "unit", "uncertainty", "weight")
"""Columns that say what was measured; all others are keys of the case."""
REVERSAL = "reversal_potential"
"""Of a boundary: its potential at which no current passes it."""


@dataclass(frozen=True)
class Measurement:
    """One measured value.

    observable
        A goal of a gradient, or "reversal_potential.WHERE".
    value, unit, uncertainty
        As it stands in the table; the standard deviation is nan where only weights are known.
    weight
        Of its square, relative to others.
    settings
        Keys of the case at this point, as a case file has them.
    row
        Line of the table.
    """

    observable: str
    value: float
    unit: str
    uncertainty: float
    weight: float
    settings: tuple[tuple[str, Any], ...]
    row: int

    def factor_to(self, unit: str) -> float:
        """Return its unit in another one; `UsageError` if that is of another kind."""
        if self.unit == unit:
            return 1.0
        kind = Dimension(f"a value of {self.observable}", (unit,), f"1 {unit}")
        try:
            return kind.parse(f"1 {self.unit}", "si").value
        except PydanticCustomError as error:
            raise UsageError(error.message()) from None


def read_table(path: Path, case: Case) -> list[Measurement]:
    """Read a CSV of measurements; `CaseError` with every mistake in it, in one sentence each."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CaseError(path, ["there is no such file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(path, [f"cannot be read: {error}"]) from None
    reader = csv.reader(io.StringIO(text))
    try:
        numbered = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise CaseError(path, [f"line {reader.line_num} cannot be read: {error}"]) from None
    if not numbered:
        raise CaseError(path, ["is empty"])
    (_, header), *below = numbered
    header = [name.strip() for name in header]
    mistakes = [f'has the column "{name}" twice' for name in dict.fromkeys(header) if header.count(name) > 1]
    mistakes += [
        f"line {number}: has {len(cells)} cells, but the header has {len(header)}"
        for number, cells in below
        if len(cells) > len(header)
    ]
    if mistakes:
        raise CaseError(path, mistakes)
    # what is missing at the end of a line is empty
    rows = [dict(zip(header, cells, strict=False)) for _, cells in below]
    return measurements(rows, case, path, [number for number, _ in below])


def measurements(
    rows: Sequence[Mapping[str, Any]], case: Case, path: Path = Path("data"), lines: Sequence[int] = ()
) -> list[Measurement]:
    """Return the rows of a table as measurements, as `read_table`.

    rows
        By columns: ``observable``, ``value``, in an SI case ``unit``, and keys of the case, with their unit in brackets
        behind them, ``"boundaries.left.potential [mV]"``; an empty cell leaves the value of the case, as None or a
        missing key does.
    lines
        Of the file; without it the rows stand below a header.
    """
    mistakes: list[str] = []
    found = []
    if not rows:
        raise CaseError(path, ["has no row below its header"])
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for name in ("observable", "value"):
        if name not in columns:
            mistakes.append(f'has no column "{name}"; its columns are {", ".join(map(str, columns))}')
    if "uncertainty" in columns and "weight" in columns:
        mistakes.append("has both uncertainty and weight; give one of them")
    keys = {}
    for column in columns:
        if column not in OF_ROW:
            try:
                keys[column] = _Column(str(column), case)
            except (CaseKeyError, UsageError) as error:
                mistakes.append(str(error))
    of_columns = [key for column in keys.values() for key in column.keys]
    mistakes += [f'sets "{key}" in two columns' for key in dict.fromkeys(of_columns) if of_columns.count(key) > 1]
    if mistakes:
        raise CaseError(path, mistakes)
    for number, row in zip(lines or range(2, len(rows) + 2), rows, strict=True):
        try:
            found.append(_measurement(row, keys, "uncertainty" in columns, case, number))
        except UsageError as error:
            mistakes.append(f"line {number}: {error}")
    if mistakes:
        raise CaseError(path, mistakes)
    return found


class _Column:
    """A column of values of one key, or of several that are set together."""

    def __init__(self, column: str, case: Case) -> None:
        name, bracket, rest = column.partition("[")
        self.keys = [key.strip() for key in name.split(TOGETHER)]
        self.unit = rest.rstrip().removesuffix("]").strip() if bracket else ""
        self.kind = None
        for key in self.keys:
            self.kind = dimension_of_key(case.as_written(), key)
        self._si = case.model.si
        if self._si and self.kind is not None and not self.unit:
            raise UsageError(f'column "{column}" has no unit; write it as "{name.strip()} [{self.kind.units[0]}]"')

    def settings(self, cell: str) -> list[tuple[str, Any]]:
        """Return what the keys are set to; `UsageError` for a cell that is no number."""
        number = _number(cell, self.keys[0])
        written: Any = f"{number!r} {self.unit}" if self.unit else number
        if self.kind is not None:
            try:
                self.kind.parse(written, "si" if self._si else "dimensionless")
            except PydanticCustomError as error:
                raise UsageError(error.message()) from None
        return [(key, written) for key in self.keys]


def _cell(row: Mapping[str, Any], name: str) -> str:
    """Return what stands in a row, "" for nothing: a 0 from Python is something."""
    found = row.get(name)
    return "" if found is None else str(found).strip()


def _number(cell: str, name: str) -> float:
    try:
        found = float(cell)
    except ValueError:
        raise UsageError(f'{name} "{cell}" is not a number') from None
    if not math.isfinite(found):
        raise UsageError(f"{name} {cell} is not a finite number")
    return found


def _measurement(
    row: Mapping[str, Any], keys: Mapping[str, _Column], has_uncertainties: bool, case: Case, number: int
) -> Measurement:
    observable, unit = _cell(row, "observable"), _cell(row, "unit")
    if not observable:
        raise UsageError("the observable is missing, e.g. current.left")
    if not _cell(row, "value"):
        raise UsageError("the value is missing")
    value = _number(_cell(row, "value"), "value")
    if case.model.si and not unit:
        raise UsageError(f'{observable} has no unit; give it in the column "unit", e.g. A/m^2')
    if unit and not case.model.si:
        raise UsageError(f'{observable} has the unit "{unit}", but the case is dimensionless')
    uncertainty, weight = math.nan, 1.0
    if has_uncertainties:
        if not _cell(row, "uncertainty"):
            raise UsageError(f"the uncertainty of {observable} is missing; give those of all values, or of none")
        uncertainty = _number(_cell(row, "uncertainty"), "uncertainty")
        if not uncertainty > 0.0:
            raise UsageError(f"the uncertainty of {observable} must be greater than 0, but it is {uncertainty:g}")
    if _cell(row, "weight"):
        weight = _number(_cell(row, "weight"), "weight")
        if not weight > 0.0:
            raise UsageError(f"the weight of {observable} must be greater than 0, but it is {weight:g}")
    cells = {name: _cell(row, name) for name in keys}
    settings = [pair for name, cell in cells.items() if cell for pair in keys[name].settings(cell)]
    return Measurement(observable, value, unit, uncertainty, weight, tuple(settings), number)
