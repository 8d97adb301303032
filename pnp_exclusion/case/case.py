"""A case: its tables, read and checked together. `read_case` and `make_case` are the ways to one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pnp_exclusion.case.checks import check_law, check_tables
from pnp_exclusion.case.domain_tables import GivenMesh
from pnp_exclusion.case.keys import set_key
from pnp_exclusion.case.law_tables import without_parameters_of_others
from pnp_exclusion.case.reading import Draft, parsed
from pnp_exclusion.case.tables import CaseTables
from pnp_exclusion.errors import CaseError


class Case(CaseTables):
    """A whole case, without mistakes; from objects, as here, or from a file by `read_case`.

    model, species, domain, regions, boundaries, reactions, solver, output, sweep, diagram, time, initial
        Tables as objects (`pnp_exclusion.Model`, `pnp_exclusion.Species`, ...) or as dictionaries of what a case file
        has. Quantities are texts with units, or numbers in SI units (in a dimensionless case just numbers).
    title
        Shown in pictures.
    folder
        Paths in the case are relative to it.

    Raises `CaseError` with every mistake, each in one sentence.
    """

    def __init__(self, *, folder: str | Path = ".", **tables: Any) -> None:
        checked = checked_case(tables, Path(folder) / "case", plain=True)
        self.__setstate__(checked.__getstate__())

    def with_law(self, law: str) -> Case:
        """The same case with another law; `CaseError` if it does not fit."""
        return self.model_copy(update={"model": check_law(self, law)})

    def varied(self, changes: Mapping[str, Any]) -> Case:
        """The same case with other values, by their keys: ``{"boundaries.left.potential": "-80 mV"}``.

        Raises `pnp_exclusion.case.keys.CaseKeyError` for a key that the case cannot have, and `CaseError` for a value
        that it cannot take.
        """
        tables = self.as_written()
        for key, value in changes.items():
            set_key(tables, key, value)
        if isinstance(self.domain, GivenMesh):
            tables["domain"] = self.domain
        return checked_case(tables, self.path, plain=True)


def checked_case(tables: dict[str, Any], path: Path, draft: Draft | None = None, plain: bool = False) -> Case:
    """Return the case of a parsed file, or of objects, or raise `CaseError` with every mistake in it.

    draft
        What is known of the case already, see `Draft.varied`.
    plain
        Whether numbers without a unit are in SI units, as from Python.
    """
    draft = check_tables(tables, path, draft, plain)
    case = Case.model_construct(
        title=draft.title,
        model=draft.model,
        species=list(draft.species.values()),
        domain=draft.domain,
        regions=draft.regions,
        boundaries=draft.boundaries,
        reactions=draft.reactions,
        solver=draft.solver,
        output=draft.output,
        sweep=draft.sweep,
        diagram=draft.diagram,
        time=draft.time,
        initial=draft.initial,
    )
    case._path = path
    case._groups = draft.groups
    return case


def read_case(path: str | Path, law: str | None = None) -> Case:
    """Read and check a case file, with another law if one is named; `CaseError` says every mistake in one sentence."""
    path = Path(path)
    tables = parsed(path)
    if "lattice" in tables and "model" not in tables:
        raise CaseError(path, ['is a lattice whose particles carry energy, which "pnp-exclusion lattice" runs'])
    if "gas" in tables and "model" not in tables:
        raise CaseError(path, ["is the case of a gas, which the commands gas and engine run"])
    if law is not None and isinstance(tables.get("model"), dict):
        tables["model"]["law"] = law
        without_parameters_of_others(tables["model"])
    return checked_case(tables, path)


def make_case(tables: dict[str, Any], folder: str | Path = ".") -> Case:
    """Check a case that a script holds as nested dictionaries; paths in it are relative to ``folder``."""
    return checked_case(tables, Path(folder) / "case")
