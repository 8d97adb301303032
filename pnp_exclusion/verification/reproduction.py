"""Two folders of results of one command, number by number: what `pnp-exclusion reproduce` compares."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROUNDING = 1e-3
"""Where another machine, other versions or other ranks compute: times the tolerance, relative to the largest number of
the same kind in the file, what is less is rounding."""
READ = (".json", ".csv", ".nc")
HOW_IT_RAN = {
    "manifest.json",
    "plan.json",
    "points.jsonl",
    "profiling.json",
}
"""Files that say how results came about."""
Limits = tuple[float, float]
"""The tolerance, and what part of the largest number of a kind."""
OF_THE_WAY = {
    "wall_seconds",
    "seconds",
    "newton_iterations",
    "linear_iterations",
    "ramp_steps",
    "solves",
    "steps",
    "rejected_steps",
    "jacobians",
    "warnings",
    "peak_memory_mb",
    "sampling_error",
}
"""Keys and variables that say how a result was found, not what it is, or how far a file of fields is from it."""
MOST_OF_ONE = 10
"""Differences that are described of one name."""
OF_ORDER_ONE = {"balance", "identity_residual", "accuracy", "uncertainty"}
"""Relative errors, which are compared as parts of one."""


@dataclass(frozen=True)
class Quantity:
    """What a file says under one name.

    values
        Numbers, NaN where there is none; or words.
    kind
        What its file has of the same sort: numbers of one kind have the same unit, or differ in a species only.
    """

    values: np.ndarray
    kind: str


@dataclass(frozen=True)
class Difference:
    """Something that is not the same; ``size`` is relative, infinite where there is nothing to compare.

    Without ``there``, ``here`` says it all.
    """

    file: str
    where: str
    there: str
    here: str
    size: float = np.inf

    def __str__(self) -> str:
        if not self.there:
            return f"{self.file}: {self.where} {self.here}"
        relative = f", {self.size:.2g} apart" if np.isfinite(self.size) else ""
        return f"{self.file}: {self.where}: {self.there} there, {self.here} here{relative}"


@dataclass
class FileReport:
    """One file beside its counterpart.

    count
        Of numbers and words.
    largest
        Relative difference of two numbers.
    differences
        Some of each name; ``differing`` counts them all.
    """

    name: str
    count: int = 0
    largest: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    more: int = 0

    @property
    def differing(self) -> int:
        """How many numbers, words, names or shapes differ."""
        return len(self.differences) + self.more


def compare_folders(
    there: Path, here: Path, names: Collection[str], ours: Collection[str], limits: Limits
) -> list[FileReport]:
    """Compare the results of two folders, the earlier one first.

    names
        Of species, boundaries, regions, laws: quantities that differ in them only are of one kind.
    ours
        Files that the program writes; what else is in the earlier folder does not count.
    limits
        By which two numbers may differ, relative to the larger one, or to a part of the largest one of their kind.
    """
    found = {folder: _results_in(folder) for folder in (there, here)}
    reports = []
    for name in sorted(found[there] | found[here]):
        report = FileReport(name)
        if name in found[there] and name in found[here]:
            _compare_files(there / name, here / name, report, names, limits)
        elif name in found[here]:
            report.differences.append(Difference(name, "the file", "none", "written"))
        elif Path(name).name in ours:
            report.differences.append(Difference(name, "the file", "written", "none"))
        else:
            continue
        reports.append(report)
    return reports


def names_in(tables: Any) -> set[str]:
    """Return what the tables of cases call their species, boundaries, regions and laws."""
    match tables:
        case Mapping():
            own = {tables[key] for key in ("name", "where", "law", "tag") if isinstance(tables.get(key), str)}
            return own.union(*(names_in(value) for value in tables.values()))
        case list():
            return set().union(*map(names_in, tables))
    return set()


def _results_in(folder: Path) -> set[str]:
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.suffix in READ and path.is_file()}
    return {
        str(path)
        for path in found
        if path.name not in HOW_IT_RAN and not any(part.startswith(".") or "." in part for part in path.parts[:-1])
    }


def _compare_files(there: Path, here: Path, report: FileReport, names: Collection[str], limits: Limits) -> None:
    found = []
    for path, told in ((there, "there"), (here, "that was written now")):
        try:
            found.append(_quantities(path, names))
        except (ValueError, TypeError, OSError, RecursionError) as error:
            reason = " ".join(str(error).split())
            report.differences.append(Difference(report.name, f"the file {told}", "", f"cannot be read: {reason}"))
    if len(found) < 2:
        return
    earlier, later = found
    largest: dict[str, float] = {}
    for quantity in earlier.values():
        if quantity.values.dtype.kind == "f":
            biggest = np.max(np.abs(quantity.values), initial=0.0, where=np.isfinite(quantity.values))
            largest[quantity.kind] = max(largest.get(quantity.kind, 0.0), float(biggest))
    for where in dict.fromkeys([*earlier, *later]):
        if where not in earlier or where not in later:
            told = ("something", "none") if where in earlier else ("none", "something")
            report.differences.append(Difference(report.name, where, *told))
            continue
        one, other = earlier[where].values, later[where].values
        report.count += one.size
        if one.shape != other.shape:
            report.differences.append(Difference(report.name, where, _shape(one), _shape(other)))
        else:
            report.differences += _apart(report, where, one, other, largest.get(earlier[where].kind, 0.0), limits)


def _apart(
    report: FileReport, where: str, one: np.ndarray, other: np.ndarray, largest: float, limits: Limits
) -> Iterator[Difference]:
    tolerance, rounding = limits
    if "f" not in one.dtype.kind + other.dtype.kind:
        sizes = np.where(one == other, 0.0, np.inf)
    elif one.dtype.kind != other.dtype.kind:
        yield from _words_beside_numbers(report, where, one, other)
        return
    else:
        least = 1.0 if where.rpartition(".")[2] in OF_ORDER_ONE else rounding * largest
        scale = np.maximum(np.maximum(np.abs(one), np.abs(other)), least)
        with np.errstate(invalid="ignore"):
            # infinities are the same where they are equal, and nothing is where there is nothing
            same = (one == other) | (np.isnan(one) & np.isnan(other))
            sizes = np.where(same, 0.0, np.abs(one - other) / np.where(scale > 0.0, scale, 1.0))
        sizes[np.isnan(sizes)] = np.inf
    report.largest = max(report.largest, float(sizes.max(initial=0.0)))
    differing = np.argwhere(sizes > tolerance)
    report.more += max(len(differing) - MOST_OF_ONE, 0)
    for index in differing[:MOST_OF_ONE]:
        place = tuple(index)
        at = f" ({', '.join(str(position + 1) for position in place)})" if place else ""
        yield Difference(report.name, where + at, _word(one[place]), _word(other[place]), float(sizes[place]))


def _words_beside_numbers(report: FileReport, where: str, one: np.ndarray, other: np.ndarray) -> Iterator[Difference]:
    """Say once where there is a word in one of two files whose counterpart holds numbers."""
    words, told = (one, "there") if one.dtype.kind != "f" else (other, "here")
    for index in np.ndindex(words.shape):
        if _number(str(words[index])) is None:
            at = f" in row {', '.join(str(position + 1) for position in index)}" if index else ""
            said = f'has "{words[index]}"{at} {told}, where the other file has a number'
            yield Difference(report.name, where, "", said)
            return
    yield Difference(report.name, where, "", f"has words {told}, and numbers in the other file")


def _shape(values: np.ndarray) -> str:
    return f"{' x '.join(map(str, values.shape))} values" if values.ndim else "one value"


def _word(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _quantities(path: Path, names: Collection[str]) -> dict[str, Quantity]:
    match path.suffix:
        case ".json":
            return dict(_leaves(_json(path), (), names))
        case ".csv":
            return _columns(path)
    return _variables(path)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON from line {error.lineno} on") from None


def _leaves(content: Any, path: tuple[str, ...], names: Collection[str]) -> Iterator[tuple[str, Quantity]]:
    match content:
        case dict():
            for key, value in content.items():
                if key not in OF_THE_WAY:
                    yield from _leaves(value, (*path, key), names)
        case list():
            for position, value in enumerate(content, start=1):
                yield from _leaves(value, (*path, str(position)), names)
        case bool() | str():
            yield ".".join(path), Quantity(np.array(str(content)), "")
        case _:
            kind = ".".join("*" if part.isdecimal() or part in names else part for part in path)
            yield ".".join(path), Quantity(np.array(np.nan if content is None else float(content)), kind)


def _columns(path: Path) -> dict[str, Quantity]:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    if not rows:
        return {}
    has_head = any(_number(cell) is None for cell in rows[0])
    head = rows.pop(0) if has_head else [f"column {position}" for position in range(1, len(rows[0]) + 1)]
    for position, row in enumerate(rows, start=1):
        if len(row) != len(head):
            raise ValueError(f"row {position} has {len(row)} cells in place of {len(head)}")
    found = {}
    for title, column in zip(head, zip(*rows, strict=True), strict=True) if rows else ():
        name, _, unit = title.partition(" [")
        if name in OF_THE_WAY:
            continue
        numbers = [_number(cell) for cell in column]
        is_number = all(number is not None for number in numbers)
        values = np.array(numbers, dtype=float) if is_number else np.array(column, dtype=str)
        found[name] = Quantity(values, unit or name)
    return found


def _number(cell: str) -> float | None:
    if not cell:
        return np.nan
    try:
        return float(cell)
    except ValueError:
        return None


def _variables(path: Path) -> dict[str, Quantity]:
    import xarray

    with xarray.open_dataset(path, decode_times=False) as dataset:
        return {
            str(name): Quantity(_plain(variable.values), str(name))
            for name, variable in dataset.variables.items()
            if name not in OF_THE_WAY
        }


def _plain(values: np.ndarray) -> np.ndarray:
    return values.astype(float) if values.dtype.kind in "biufc" and values.dtype.kind != "c" else values.astype(str)
