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


def read_table(path: Path, case: Case) -> list[Measurement]:
    """Read a CSV of measurements; `CaseError` with every mistake in it, in one sentence each."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CaseError(path, ["there is no such file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(path, [f"cannot be read: {error}"]) from None
    return measurements(list(csv.DictReader(io.StringIO(text))), case, path)


def measurements(rows: Sequence[Mapping[str, Any]], case: Case, path: Path = Path("data")) -> list[Measurement]:
    """Return the rows of a table as measurements, as `read_table`.

    rows
        By columns: ``observable``, ``value``, in an SI case ``unit``, and keys of the case, with their unit in brackets
        behind them, ``"boundaries.left.potential [mV]"``; an empty cell leaves the value of the case.
    """
    mistakes: list[str] = []
    found = []
    if not rows:
        raise CaseError(path, ["has no row below its header"])
    columns = list(rows[0])
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
    if mistakes:
        raise CaseError(path, mistakes)
    for number, row in enumerate(rows, start=2):
        try:
            found.append(_measurement(row, keys, case, number))
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
        try:
            number = float(cell)
        except ValueError:
            raise UsageError(f'"{cell}" in the column of {self.keys[0]} is not a number') from None
        written: Any = f"{number!r} {self.unit}" if self.unit else number
        if self.kind is not None:
            try:
                self.kind.parse(written, "si" if self._si else "dimensionless")
            except PydanticCustomError as error:
                raise UsageError(error.message()) from None
        return [(key, written) for key in self.keys]


def _measurement(row: Mapping[str, Any], keys: Mapping[str, _Column], case: Case, number: int) -> Measurement:
    def numeric(name: str, absent: float) -> float:
        cell = row.get(name)
        if cell in (None, ""):
            return absent
        try:
            found = float(cell)
        except (TypeError, ValueError):
            raise UsageError(f'{name} "{cell}" is not a number') from None
        if not math.isfinite(found):
            raise UsageError(f"{name} {cell} is not a finite number")
        return found

    observable, unit = str(row.get("observable") or "").strip(), str(row.get("unit") or "").strip()
    value = numeric("value", math.nan)
    if math.isnan(value):
        raise UsageError("the value is missing")
    if not observable:
        raise UsageError("the observable is missing, e.g. current.left")
    if case.model.si and not unit:
        raise UsageError(f'{observable} has no unit; give it in the column "unit", e.g. A/m^2')
    uncertainty, weight = numeric("uncertainty", math.nan), numeric("weight", 1.0)
    if "uncertainty" in row and not uncertainty > 0.0:
        raise UsageError(f"the uncertainty of {observable} is missing, or not greater than 0")
    if not weight > 0.0:
        raise UsageError(f"the weight of {observable} must be greater than 0, but it is {weight:g}")
    given = {name: str(row.get(name) or "").strip() for name in keys}
    settings = [pair for name, cell in given.items() if cell for pair in keys[name].settings(cell)]
    return Measurement(observable, value, unit, uncertainty, weight, tuple(settings), number)
