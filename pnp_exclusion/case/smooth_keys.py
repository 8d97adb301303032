"""Keys of a case whose numbers a steady state follows smoothly: what it can be differentiated by, and fitted to.

A parameter is named as a sweep names a key; several keys joined by "=" are one, and change in proportion to their
values.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from pnp_exclusion.case.base import Table
from pnp_exclusion.case.case import Case, checked_case
from pnp_exclusion.case.checks import check_tables
from pnp_exclusion.case.domain_tables import GivenMesh
from pnp_exclusion.case.keys import CaseKeyError, dimension_of_key, path_of_key, put
from pnp_exclusion.case.quantities import THERMAL_ENERGY, Dimension, MovingNumber, Quantity
from pnp_exclusion.case.reaction_tables import OfOrder
from pnp_exclusion.case.reading import Draft
from pnp_exclusion.case.scales import Scales, domain_length, scales_of
from pnp_exclusion.case.varied import copied
from pnp_exclusion.errors import CaseError, UsageError

TOGETHER = "="
"""Between keys that are one parameter."""
STEP = 2e-6
"""Of a number, or of its scale: the centred difference of what is smooth is then right to 1e-9."""
WHOLE = {"cells", "dimension", "degree"}
"""Keys that count something."""
PHYSICAL = ("model", "species", "domain", "regions", "boundaries", "reactions")
"""Tables with numbers of the equations; the others say how they are solved, or what is written."""


@dataclass(frozen=True)
class Entry:
    """One key: where it is in the tables of its case, and the number there.

    value
        In SI units, or without dimensions.
    number, unit
        As it is written.
    slope
        ``dvalue/dnumber``.
    """

    path: tuple[str | int, ...]
    value: float
    number: float
    unit: str
    slope: float

    def moved(self, parameter: Parameter, value: float) -> float:
        """Return the number, as it is written, for another value of the parameter that it belongs to."""
        own = value * (self.value / parameter.value) if parameter.value else value
        return self.number + (own - self.value) / self.slope

    def written(self, number: float) -> str | float:
        """Return what stands in a case file for a number."""
        return f"{number!r} {self.unit}" if self.unit else number


@dataclass(frozen=True)
class Parameter:
    """A number that a case may be differentiated by.

    name
        As it was asked for.
    entries
        Its keys; it has the value of the first.
    unit
        SI unit of its value; empty without one.
    scale
        By what it may change without much ado.
    signed
        Whether it may be negative; its logarithm may be taken if not.
    """

    name: str
    entries: tuple[Entry, ...]
    unit: str
    scale: float
    signed: bool

    @property
    def value(self) -> float:
        """Where it stands."""
        return self.entries[0].value

    @property
    def step(self) -> float:
        """Of a centred difference."""
        return STEP * self.scale

    @property
    def moves_mesh(self) -> bool:
        """Whether it is where something begins or ends in the domain."""
        return any(is_length(entry.path) for entry in self.entries)


def parameters_of(case: Case, names: Sequence[str]) -> list[Parameter]:
    """Return the parameters of some names before the case has a mesh; raises as `Variations.parameters`."""
    return Variations(case).parameters(names, scales_of(case, domain_length(case) or 1.0))


class Variations:
    """Cases that differ from one in the values of parameters, of which only the tables that change are read again."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._tables = case.as_written()
        if isinstance(case.domain, GivenMesh):
            self._tables["domain"] = case.domain
        self._draft: Draft | None = None

    def parameters(self, names: Sequence[str], scales: Scales) -> list[Parameter]:
        """Return the parameters of some names; `UsageError` says which cannot be, and why."""
        keys = [tuple(key.strip() for key in name.split(TOGETHER)) for name in names]
        twice = [name for name, own in zip(names, keys, strict=True) if keys.count(own) > 1]
        if twice:
            raise UsageError(f'parameter "{twice[0].strip()}" is named twice')
        return [self._parameter(name, scales) for name in names]

    def at(self, values: Sequence[tuple[Parameter, float]]) -> Case:
        """Return the case with parameters at other values nearby, unchecked: see `require_neighbours`."""
        case = self._case
        for parameter, value in values:
            for entry in parameter.entries:
                case = _with(case, entry.path, entry.moved(parameter, value))
        return case

    def require_neighbours(self, parameters: Sequence[Parameter]) -> None:
        """Raise `UsageError` if there is a parameter a little less or more of which is no case."""
        for sign in (-1.0, 1.0):
            # all at once, and no two of them alike
            steps = enumerate(parameters, start=1)
            values = [(one, one.value + sign * (-1) ** n * (1.0 + 0.01 * n) * one.step) for n, one in steps]
            try:
                self.checked_at(values)
            except CaseError:
                for one in parameters:
                    self._require_neighbour(one, one.value + sign * one.step)

    def checked_at(self, values: Sequence[tuple[Parameter, float]]) -> Case:
        """Return the case with parameters at other values; `CaseError` if they do not make one."""
        if self._draft is None:
            self._draft = check_tables(self._tables, self._case.path, plain=True)
        settings = [
            (entry.path, entry.written(entry.moved(parameter, value)))
            for parameter, value in values
            for entry in parameter.entries
        ]
        changed = {str(path[0]) for path, _ in settings}
        tables = {name: copied(table) if name in changed else table for name, table in self._tables.items()}
        for path, written in settings:
            put(tables, path, written)
        return checked_case(tables, self._case.path, self._draft.varied(changed), plain=True)

    def _require_neighbour(self, parameter: Parameter, value: float) -> None:
        try:
            self.checked_at([(parameter, value)])
        except CaseError as error:
            text = f"{parameter.value:.6g} {parameter.unit}".strip()
            raise UsageError(
                f'{self._case.path}: no derivative by "{parameter.name}", whose neighbours of {text} are refused: '
                + "; ".join(error.mistakes)
            ) from None

    def _parameter(self, name: str, scales: Scales) -> Parameter:
        keys = [key.strip() for key in name.split(TOGETHER)]
        try:
            found = [self._entry(key) for key in keys]
        except CaseKeyError as error:
            raise UsageError(f'parameter "{name}": {error}') from None
        entries = tuple(entry for entry, _, _ in found)
        _, unit, kind = found[0]
        for key, (entry, other, _) in zip(keys, found, strict=True):
            if other != unit:
                raise UsageError(f'parameter "{name}": "{keys[0]}" and "{key}" hold unlike quantities')
            if not entry.value and any(one.value for one in entries):
                raise UsageError(f'parameter "{name}": "{key}" is 0, and nothing is in proportion to that')
        scale = _scale(name, entries[0], kind, self._case, scales)
        return Parameter(name, entries, unit, scale, _is_signed(entries[0], kind))

    def _entry(self, key: str) -> tuple[Entry, str, Dimension | None]:
        path = path_of_key(self._tables, key)
        if path[0] not in PHYSICAL or WHOLE.intersection(path):
            raise CaseKeyError(f'"{key}" is no number of the equations, and nothing follows it smoothly')
        if path[:2] == ("domain", "area"):
            raise CaseKeyError(f'"{key}" is of the section of a channel, by which there are no derivatives')
        value, kind = _value_at(self._case, path), dimension_of_key(self._tables, key)
        if value is None:
            raise CaseKeyError(f'"{key}" is not given in the case; write its value there first')
        if isinstance(value, MovingNumber) or getattr(value, "course", None) is not None:
            raise CaseKeyError(f'"{key}" is given in the course of time, and is no single number')
        if isinstance(value, Quantity) and kind is not None:
            return *_quantity(path, value, kind), kind
        if isinstance(value, bool) or not isinstance(value, int | float):
            numbers = sorted(_numbers_below(value))
            inner = f"; it has {', '.join(f'{key}.{one}' for one in numbers)}" if numbers else ""
            raise CaseKeyError(f'"{key}" is not a single number{inner}')
        return Entry(path, float(value), float(value), "", 1.0), "", None


def is_length(path: Sequence[str | int]) -> bool:
    """Whether what is at this place of a case says where something is along an axis."""
    table, *steps = path
    if table == "domain":
        return steps[0] in ("length", "size")
    if table == "species":
        return steps[1:3] == ["field", "x"]
    return table == "regions" and len(steps) > 1 and steps[1] in ("x", "y", "z")


def _quantity(path: tuple[str | int, ...], quantity: Quantity, kind: Dimension) -> tuple[Entry, str]:
    if not quantity.unit:
        return Entry(path, quantity.value, quantity.value, "", 1.0), ""
    if isinstance(kind, OfOrder):
        # its SI unit follows from the equation, and is no handier
        return Entry(path, quantity.number, quantity.number, quantity.unit, 1.0), quantity.unit
    # by two points, because degrees Celsius have a zero of their own
    zero, one = (kind.parse(f"{number} {quantity.unit}", "si").value for number in (0, 1))
    if THERMAL_ENERGY in kind.units:
        unit = THERMAL_ENERGY if quantity.unit == THERMAL_ENERGY else "J"
    else:
        # in that in which it is stated, where there are several ways and no factor between them
        unit = kind.way_of(quantity.unit) if len(set(kind.factors)) == 1 else kind.units[0]
    return Entry(path, quantity.value, quantity.number, quantity.unit, one - zero), unit


def _scale(name: str, entry: Entry, kind: Dimension | None, case: Case, scales: Scales) -> float:
    """Return by what a parameter may change without much ado: its own size, but of potentials kT/e."""
    own, unit = abs(entry.value), kind.units[0] if kind is not None and kind.units else ""
    if unit == "V":
        return scales.potential
    if is_length(entry.path):
        return scales.length
    area = scales.length ** (case.dimension_of_totals - 1)
    signed = {
        "N": scales.force,
        "C/m^2": scales.surface_charge,
        "mol/m^2/s": scales.flux,
        "C": scales.surface_charge * area,
        "A": scales.current * area,
    }
    if "fixed_charge" in entry.path:
        return max(own, scales.concentration)
    if unit in signed:
        return max(own, signed[unit])
    if own or kind is None or THERMAL_ENERGY in kind.units:
        return own or 1.0
    raise UsageError(f'parameter "{name}" is 0, where there is no derivative by it')


def _is_signed(entry: Entry, kind: Dimension | None) -> bool:
    """Return whether a number may be negative: potentials, charges, fields, fluxes and energies."""
    if entry.value <= 0.0 or {"charge", "fixed_charge", "flux", "field", "pK"}.intersection(entry.path):
        return True
    unit = kind.units[0] if kind is not None and kind.units else ""
    return unit in ("V", "N", "C", "A", "C/m^2", "mol/m^2/s", THERMAL_ENERGY)


def _value_at(case: Case, path: Sequence[str | int]) -> Any:
    """Return what a case has at a place of its tables; None where nothing is given."""
    node: Any = case
    for step in path:
        if isinstance(node, Table) or node is case:
            node = getattr(node, str(step), None)
        elif isinstance(node, dict):
            node = node.get(step)
        elif isinstance(node, list | tuple) and isinstance(step, int):
            node = node[step]
        else:
            return None
    return node


def _with(node: Any, path: Sequence[str | int], number: float) -> Any:
    """Return a case, or what stands in it, with another number at a place, in the unit that is there."""
    if not path:
        if not isinstance(node, Quantity):
            return number
        # a zero of its own, as of degrees Celsius, is in both
        ratio = node.value / node.number if node.number else 1.0
        return replace(node, value=node.value + (number - node.number) * ratio, number=number)
    step, *rest = path
    if isinstance(node, BaseModel):
        return node.model_copy(update={str(step): _with(getattr(node, str(step)), rest, number)})
    changed = copy.copy(node)
    changed[step] = _with(node[step], rest, number)
    return changed


def _numbers_below(value: Any) -> Iterator[str]:
    """The names, or positions from 1 on, under which something has numbers."""
    if isinstance(value, Table):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    elif isinstance(value, list | tuple):
        value = {str(position): one for position, one in enumerate(value, start=1)}
    if isinstance(value, dict):
        is_number = lambda one: isinstance(one, int | float | Quantity) and not isinstance(one, bool)  # noqa: E731
        yield from (name for name, one in value.items() if is_number(one))
