"""The case of a gas: its tables, read and checked together. `read_gas_case` is the way to one.

It stands for itself: a gas has no domain and no species.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnp_exclusion.case.axes import read_axis
from pnp_exclusion.case.base import Table
from pnp_exclusion.case.gas_tables import ENERGY, SIDES, GasTable, KindTable, PairTable, ReservoirTable
from pnp_exclusion.case.keys import CaseKeyError, set_key
from pnp_exclusion.case.output_tables import Files
from pnp_exclusion.case.plans import Sweep
from pnp_exclusion.case.quantities import Quantity
from pnp_exclusion.case.reading import Draft, Reader, parsed, read_title, refuse_unknown
from pnp_exclusion.case.sentences import listed, nearest
from pnp_exclusion.errors import CaseError


@dataclass(frozen=True)
class GasCase:
    """A whole case of a gas, without mistakes.

    pairs
        At most one for two kinds.
    reservoirs
        By side.
    """

    path: Path
    title: str
    gas: GasTable
    kinds: tuple[KindTable, ...]
    pairs: tuple[PairTable, ...]
    reservoirs: dict[str, ReservoirTable]
    output: Files
    sweep: Sweep | None = None

    @property
    def si(self) -> bool:
        """Whether the case is written in units."""
        return self.gas.units == "si"

    def varied(self, changes: Mapping[str, Any]) -> GasCase:
        """The same case with other values, by their keys (``gas.pairs.bullet-rod.barrier``), and without its sweep."""
        tables = copy.deepcopy(self.as_written())
        tables.pop("sweep", None)
        for key, value in changes.items():
            set_key(tables, key, value)
        return checked_gas_case(tables, self.path)

    def as_written(self) -> dict[str, Any]:
        """The case with defaults filled in: a case file again, once written as TOML."""

        def written(table: Table) -> dict[str, Any]:
            return table.model_dump(mode="json", exclude_none=True)

        arrays = {"kinds": self.kinds, "pairs": self.pairs, "reservoirs": tuple(self.reservoirs.values())}
        gas = written(self.gas) | {key: [written(one) for one in array] for key, array in arrays.items()}
        swept = {} if self.sweep is None else {"sweep": written(self.sweep)}
        return {"title": self.title, "gas": gas, "output": written(self.output)} | swept


type GasCaseLike = GasCase | str | Path | Mapping[str, Any]
"""What stands for the case of a gas: itself, a file of it, or its tables."""


def as_gas_case(case: GasCaseLike) -> GasCase:
    """Return the case that something stands for.

    Raises `CaseError` if it has mistakes, `TypeError` for what stands for none.
    """
    match case:
        case GasCase():
            return case
        case str() | Path():
            return read_gas_case(case)
        case Mapping():
            return checked_gas_case(case, Path("case"))
    raise TypeError(
        f"the case of a gas is given as the path of its file or its tables (a dict), not as {type(case).__name__}"
    )


def is_gas_case(path: str | Path) -> bool:
    """Whether a case file is that of a gas."""
    tables = parsed(Path(path))
    return "gas" in tables and "model" not in tables


def read_gas_case(path: str | Path) -> GasCase:
    """Read and check the case file of a gas; `CaseError` says every mistake in one sentence."""
    path = Path(path)
    return checked_gas_case(parsed(path), path)


def checked_gas_case(raw: Mapping[str, Any], path: Path) -> GasCase:
    """Return the case of a parsed file, or raise `CaseError` with every mistake in it."""
    if "model" in raw and "gas" not in raw:
        raise CaseError(path, ["is not the case of a gas: the table [gas] is missing"])
    draft = Draft(path)
    refuse_unknown(raw, draft, ("title", "gas", "output", "sweep"), " in the case of a gas")
    read_title(raw, draft)
    output = Reader(draft, "si").table(raw, "output", Files) or Files()
    sweep = Reader(draft, "si").table(raw, "sweep", Sweep)
    given = raw.get("gas")
    if not isinstance(given, Mapping):
        draft.refuse("[gas]", "this table is missing" if given is None else "must be a table")
        raise CaseError(path, draft.mistakes)
    arrays = ("kinds", "pairs", "reservoirs")
    units = given.get("units", "si")
    units = units if units in ("si", "dimensionless") else ""
    gas = Reader(draft, units).table({"gas": {k: v for k, v in given.items() if k not in arrays}}, "gas", GasTable)
    reader = Reader(draft, units, within="gas.")
    kinds = list(reader.array(given, "kinds", KindTable, required=True))
    pairs = list(reader.array(given, "pairs", PairTable))
    reservoirs = list(reader.array(given, "reservoirs", ReservoirTable, required=True))
    whole = gas is not None and None not in (*kinds, *pairs, *reservoirs)
    kinds, pairs, reservoirs = ([one for one in array if one is not None] for array in (kinds, pairs, reservoirs))
    if gas is not None:
        _check_gas(draft, gas)
    _check_kinds(draft, kinds)
    if whole:
        _check_pairs(draft, kinds, pairs)
        _check_reservoirs(draft, kinds, reservoirs)
        _check_forces(draft, gas, kinds)
        _check_sweep(draft, sweep, raw)
    if draft.mistakes:
        raise CaseError(path, list(dict.fromkeys(draft.mistakes)))
    by_side = {table.where: table for table in reservoirs}
    ends = {side: by_side[side] for side in SIDES}
    return GasCase(path, draft.title, gas, tuple(kinds), tuple(pairs), ends, output, sweep)


def _require(
    draft: Draft, where: str, key: str, value: Quantity | None, right: Callable[[float], bool], is_: str
) -> None:
    if value is not None and not right(value.value):
        draft.refuse(where, f"{key} must be {is_}, but it is {value.text}")


def _positive(value: float) -> bool:
    return value > 0.0


def _at_least_zero(value: float) -> bool:
    return value >= 0.0


def _check_gas(draft: Draft, gas: GasTable) -> None:
    _require(draft, "[gas]", "length", gas.length, _positive, "positive")
    _require(draft, "[gas]", "time", gas.time, _positive, "positive")
    if gas.units == "si" and gas.planck is not None:
        draft.refuse("[gas]", "planck is for dimensionless cases; in SI it is known")


def _check_kinds(draft: Draft, kinds: list[KindTable]) -> None:
    names = [kind.name for kind in kinds]
    for position, kind in enumerate(kinds):
        where = f'[[gas.kinds]] "{kind.name}"'
        if kind.name in names[:position]:
            draft.refuse(where, "this name is given to two kinds")
        if kind.name == ENERGY:
            draft.refuse(where, "results have a current of this name for something else; give the kind another name")
        _require(draft, where, "mass", kind.mass, _positive, "positive")
        if kind.number is not None and kind.density is not None:
            draft.refuse(where, "number and density say the same; give one of them")
        _require(draft, where, "density", kind.density, _at_least_zero, "0 or greater")
        if kind.bias is not None and not kind.is_open:
            draft.refuse(where, "bias is for an open kind: a closed one does not cross from left to right")


def _check_pairs(draft: Draft, kinds: list[KindTable], pairs: list[PairTable]) -> None:
    names, seen = [kind.name for kind in kinds], set()
    for position, pair in enumerate(pairs, start=1):
        where = f"[[gas.pairs]] {position}"
        for name in pair.kinds:
            if name not in names:
                draft.refuse(where, f'there is no kind "{name}"; {nearest(name, names)}')
        key = frozenset(pair.kinds)
        if key in seen:
            draft.refuse(where, f"the pair of {' and '.join(pair.kinds)} is given twice")
        seen.add(key)
        _require(draft, where, "barrier", pair.barrier, _at_least_zero, "0 or greater")
        if not pair.passes and (pair.barrier is not None or pair.loss):
            draft.refuse(where, "barrier and loss have no meaning for a pair that never passes; remove them")


def _check_reservoirs(draft: Draft, kinds: list[KindTable], reservoirs: list[ReservoirTable]) -> None:
    opened, closed = ([kind.name for kind in kinds if kind.is_open == chosen] for chosen in (True, False))
    sides: list[str] = [table.where for table in reservoirs]
    for side in SIDES:
        if sides.count(side) != 1:
            there = "is missing" if side not in sides else "is given twice"
            draft.refuse("[[gas.reservoirs]]", f"the {side} one {there}")
    for table in reservoirs:
        where = f'[[gas.reservoirs]] "{table.where}"'
        _require(draft, where, "temperature", table.temperature, _positive, "positive")
        for name in dict.fromkeys((*table.density, *table.potential)):
            if name in closed:
                draft.refuse(where, f'"{name}" is a closed kind, of which [[gas.kinds]] says how many there are')
            elif name not in opened:
                draft.refuse(where, f'there is no open kind "{name}"; {nearest(name, opened)}')
            elif name in table.density and name in table.potential:
                draft.refuse(where, f'"{name}" has a density and a potential; one says the other')
        for name, density in table.density.items():
            _require(draft, where, f"density.{name}", density, _positive, "positive")
        for name in opened:
            if name not in table.density and name not in table.potential:
                draft.refuse(where, f'neither density nor potential says how much of "{name}" it holds')


def _check_forces(draft: Draft, gas: GasTable, kinds: list[KindTable]) -> None:
    names = [kind.name for kind in kinds if kind.is_open] + [ENERGY]
    for name, force in gas.forces.items():
        if name not in names:
            draft.refuse("[gas]", f'forces: there is no force on "{name}", there are those on {listed(names)}')
        elif name == ENERGY and not abs(force) < 2.0:
            draft.refuse("[gas]", f"forces: that on energy must be less than 2 in size, but it is {force:g}")


def _check_sweep(draft: Draft, sweep: Sweep | None, raw: Mapping[str, Any]) -> None:
    for axis in sweep.axes if sweep is not None else ():
        try:
            read_axis(axis, dict(raw))
        except CaseKeyError as error:
            draft.refuse(f'[[sweep.axes]] "{axis.title}"', str(error))
