"""The cases that one becomes along axes: what these leave alone is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pnp_exclusion.case.axes import Coordinate, Driving
from pnp_exclusion.case.case import Case, checked_case
from pnp_exclusion.case.checks import check_tables
from pnp_exclusion.case.keys import path_of_key, put
from pnp_exclusion.case.reading import Draft


@dataclass
class VariedCases:
    """Makes the cases at coordinates along axes.

    path, tables
        Of the case that they start from, without its plans.
    drivings
        The axes, which change values and not where they are.
    """

    path: Path
    tables: dict[str, Any]
    drivings: tuple[Driving, ...]
    _draft: Draft | None = field(default=None, repr=False)
    _paths: dict[str, tuple[str | int, ...]] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Travel without what can be read again."""
        return self.__dict__ | {"_draft": None}

    def case(self, coordinates: Sequence[Coordinate]) -> Case:
        """Return the case at some coordinates; `CaseError` if they do not make one."""
        if self._draft is None:
            self._paths = {key: path_of_key(self.tables, key) for driving in self.drivings for key in driving.keys}
            self._draft = check_tables(self.tables, self.path)
        varied = {path[0] for path in self._paths.values()}
        tables = {name: copied(table) if name in varied else table for name, table in self.tables.items()}
        for driving, coordinate in zip(self.drivings, coordinates, strict=True):
            for key, value in driving.settings(coordinate).items():
                put(tables, self._paths[key], value)
        return checked_case(tables, self.path, self._draft.varied(varied))


def copied(node: Any) -> Any:
    """A deep copy of tables of plain values."""
    if isinstance(node, dict):
        return {key: copied(value) for key, value in node.items()}
    return [copied(entry) for entry in node] if isinstance(node, list) else node
