"""Reads a case table by table, so that a mistake in one does not hide those in the next, and says each in words."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pnp_exclusion.case import domain_tables, tables
from pnp_exclusion.case.base import Table, as_written, name_of_entry
from pnp_exclusion.case.boundary_tables import AnyBoundary
from pnp_exclusion.case.domain_tables import DIMENSIONS, dimension_of
from pnp_exclusion.case.law_tables import AnyModel, Model
from pnp_exclusion.case.output_tables import Output
from pnp_exclusion.case.plans import Diagram, Sweep
from pnp_exclusion.case.quantities import Quantity, shown
from pnp_exclusion.case.reaction_tables import Reaction
from pnp_exclusion.case.sentences import nearest, sentences
from pnp_exclusion.case.tables import CaseTables
from pnp_exclusion.case.time_tables import Initial, Time
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.physical_names import MeshGroups


@dataclass
class Draft:
    """What of a case could be read so far, and the mistakes found; a table that could not be read is missing here.

    known
        Tables that are as in another case, read and without mistakes: they are not read again.
    groups
        Of a mesh file, once it was opened.
    misfits
        What is wrong between a law and diffusivities, empty if nothing; shared with the cases that this one is made of.
    """

    path: Path
    known: frozenset[str] = frozenset()
    mistakes: list[str] = field(default_factory=list)
    title: str = ""
    model: Model | None = None
    species: dict[str, tables.Species] = field(default_factory=dict)
    all_species_read: bool = True
    domain: Any = None
    shape: str = ""
    """The shape of the domain as written, even where the rest of its table could not be read."""
    regions: list[tables.Region] = field(default_factory=list)
    boundaries: list[Any] = field(default_factory=list)
    all_boundaries_read: bool = True
    reactions: list[Reaction] = field(default_factory=list)
    all_reactions_read: bool = True
    solver: tables.Solver = field(default_factory=tables.Solver)
    output: Output = field(default_factory=Output)
    sweep: Sweep | None = None
    diagram: Diagram | None = None
    time: Time | None = None
    initial: Initial | None = None
    groups: MeshGroups | None = None
    misfits: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def varied(self, tables: Iterable[Any]) -> Draft:
        """Return the draft of a case that differs from this one in some tables, which are to be read."""
        known = frozenset(CaseTables.model_fields).difference(tables)
        return replace(self, known=known, mistakes=[], groups=self.groups if "domain" in known else None)

    def refuse(self, where: str, what: str) -> None:
        """Note a mistake in the table ``where``, in one line."""
        mistake = f"{where}: {what}"
        self.mistakes.append("".join(c if c.isprintable() else repr(c)[1:-1] for c in mistake))

    @property
    def dimension(self) -> int | None:
        """Dimension of the domain, where it can be known."""
        return dimension_of(self.shape, self.groups)

    @property
    def has_ends(self) -> bool:
        """Whether the domain ends anywhere, as far as the case itself says: it is not periodic along every axis, or
        its drawing may have holes."""
        letters = set(domain_tables.periodic_letters(self.domain))
        return self.shape not in DIMENSIONS or len(letters) < DIMENSIONS[self.shape]

    @property
    def size(self) -> list[float] | None:
        """Extent of the domain along each axis, where the case itself says it and it makes sense."""
        lengths = [length.value for length in self.written_size]
        return lengths if lengths and min(lengths) > 0.0 else None

    @property
    def written_size(self) -> list[Quantity]:
        """The lengths of the domain as written."""
        match self.domain:
            case domain_tables.Interval() as interval:
                return [interval.length]
            case domain_tables.Rectangle() | domain_tables.Box() as box:
                return box.size
        return []


def parsed(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file; `CaseError` if there is none that can be read."""
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise CaseError(path, ["there is no such file"]) from None
    except OSError as error:
        raise CaseError(path, [f"cannot be read: {error.strerror}"]) from None
    except ValueError as error:  # TOML, UTF-8, or a number of more digits than Python reads
        raise CaseError(path, [f"is not valid TOML: {error}"]) from None
    except RecursionError:
        raise CaseError(path, ["is not a case file: its tables are nested too deeply"]) from None


def read_tables(raw: Mapping[str, Any], draft: Draft, plain: bool = False) -> None:
    """Read what can be read of a parsed case file, or of tables that are objects, into the draft.

    plain
        Whether numbers without a unit are in SI units, as from Python.
    """
    refuse_unknown(raw, draft, CaseTables.model_fields)
    reader = Reader(draft, _units(raw.get("model")), plain)
    for key, read in _READERS.items():
        if key not in draft.known:
            read(raw, draft, reader)


def refuse_unknown(raw: Mapping[str, Any], draft: Draft, known: Iterable[str], of: str = "") -> None:
    """Refuse the tables that a case does not have; ``of`` says of which kind it is, where there are others."""
    known = list(known)
    for key in raw:
        if key not in known:
            draft.refuse(f"[{key}]", f"unknown table or key{of}; {nearest(key, known)}")


def read_title(raw: Mapping[str, Any], draft: Draft) -> None:
    """Read the title of a case."""
    draft.title = raw.get("title", "")
    if not isinstance(draft.title, str):
        draft.refuse("title", f"must be a text, but it is {shown(draft.title)}")


def _read_model(raw: Mapping[str, Any], draft: Draft, reader: Reader) -> None:
    draft.model = reader.table(raw, "model", AnyModel, required=True)
    if draft.model is None and "model" in raw:
        draft.model = reader.without_mistakes(raw["model"], AnyModel)


def _read_domain(raw: Mapping[str, Any], draft: Draft, reader: Reader) -> None:
    given = raw.get("domain")
    if isinstance(given, domain_tables.GivenMesh):
        draft.domain, draft.shape, draft.groups = given, given.shape, given.groups
        return
    draft.domain = reader.table(raw, "domain", domain_tables.Domain, required=True)
    shape = given.get("shape") if isinstance(given, dict) else getattr(given, "shape", None)
    draft.shape = shape if isinstance(shape, str) else ""


def _read_others(raw: Mapping[str, Any], draft: Draft, reader: Reader) -> None:
    for key, kind in _OTHERS.items():
        if key not in draft.known:
            setattr(draft, key, reader.table(raw, key, kind) or getattr(draft, key))


def _read_species(raw: Mapping[str, Any], draft: Draft, reader: Reader) -> None:
    draft.species, draft.all_species_read = {}, True
    for position, species in enumerate(reader.array(raw, "species", tables.Species, required=True), start=1):
        if species is None:
            draft.all_species_read = False
        elif species.name in draft.species:
            draft.refuse(f"[[species]] {position}", f'the name "{species.name}" is given to two species')
        else:
            draft.species[species.name] = species
    draft.all_species_read &= bool(draft.species)


def _read_regions(raw: Mapping[str, Any], draft: Draft, reader: Reader) -> None:
    draft.regions = [r for r in reader.array(raw, "regions", tables.Region) if r is not None]


def _read_boundaries(raw: Mapping[str, Any], draft: Draft, reader: Reader) -> None:
    boundaries = list(reader.array(raw, "boundaries", AnyBoundary, required=draft.has_ends))
    draft.boundaries = [b for b in boundaries if b is not None]
    draft.all_boundaries_read = len(draft.boundaries) == len(boundaries)


def _read_reactions(raw: Mapping[str, Any], draft: Draft, reader: Reader) -> None:
    reactions = list(reader.array(raw, "reactions", Reaction))
    draft.reactions = [r for r in reactions if r is not None]
    draft.all_reactions_read = len(draft.reactions) == len(reactions)


_OTHERS: dict[str, type[Table]] = {
    "solver": tables.Solver,
    "output": Output,
    "sweep": Sweep,
    "diagram": Diagram,
    "time": Time,
    "initial": Initial,
}
_READERS: dict[str, Callable[[Mapping[str, Any], Draft, Reader], None]] = {
    "title": lambda raw, draft, reader: read_title(raw, draft),
    "model": _read_model,
    "domain": _read_domain,
    "others": _read_others,
    "species": _read_species,
    "regions": _read_regions,
    "boundaries": _read_boundaries,
    "reactions": _read_reactions,
}
"""In the order in which their mistakes are told."""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _units(model: object) -> str:
    """The units of the case, or nothing where they cannot be known, so that every quantity is not told to be wrong."""
    units = model.get("units", "si") if isinstance(model, dict) else getattr(model, "units", "")
    return units if units in ("si", "dimensionless") else ""


class Reader:
    """Reads single tables; what is wrong with them goes into the draft.

    within
        The table that they are in, with a dot, for messages.
    """

    def __init__(self, draft: Draft, units: str, plain: bool = False, within: str = "") -> None:
        self.draft = draft
        self._within = within
        self._context: dict[str, Any] = {"units": units, "plain": plain, "folder": draft.path.parent}

    def table(self, raw: Mapping[str, Any], key: str, kind: Any, required: bool = False) -> Any:
        """Return the checked table, or None."""
        where = f"[{self._within}{key}]"
        if key not in raw:
            if required:
                self.draft.refuse(where, "this table is missing")
            return None
        return self._read(raw[key], kind, where)

    def array(self, raw: Mapping[str, Any], key: str, kind: Any, required: bool = False) -> Iterator[Any]:
        """Yield every table of an array, None for one that cannot be read."""
        entries, where = raw.get(key, []), f"[[{self._within}{key}]]"
        if not isinstance(entries, list | tuple):
            self.draft.refuse(where[1:-1], f"must be an array of tables: write {where}")
            yield None
            return
        if required and not entries:
            self.draft.refuse(where, "there must be at least one")
        for position, entry in enumerate(entries, start=1):
            written = as_written(entry) if isinstance(entry, Table) else entry
            name = name_of_entry(written) if isinstance(written, dict) else None
            named = isinstance(name, str) and name.isprintable() and len(name) <= 100
            yield self._read(entry, kind, f'{where} "{name}"' if named else f"{where} {position}")

    def _read(self, entry: Any, kind: Any, where: str) -> Any:
        if isinstance(entry, Table):
            entry = as_written(entry)
        try:
            return _adapter(kind).validate_python(entry, context=self._context)
        except ValidationError as error:
            for mistake in sentences(error, entry, kind):
                self.draft.refuse(where, mistake)
        return None

    def without_mistakes(self, entry: Any, kind: Any) -> Any:
        """Read a table without the keys that are wrong in it, so that the rest can still be checked."""
        adapter = _adapter(kind)
        try:
            return adapter.validate_python(entry, context=self._context)
        except ValidationError as error:
            in_union = not isinstance(kind, type)
            wrong = {finding["loc"][in_union] for finding in error.errors() if len(finding["loc"]) > in_union}
        right = {key: value for key, value in entry.items() if key not in wrong} if isinstance(entry, dict) else {}
        try:
            return adapter.validate_python(right, context=self._context)
        except ValidationError:
            return None
