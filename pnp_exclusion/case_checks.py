"""What the tables of a case must satisfy together. Every mistake is collected; none hides another."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pnp_exclusion import case as tables
from pnp_exclusion.case import Case
from pnp_exclusion.errors import CaseError
from pnp_exclusion.laws import LAWS, LawError
from pnp_exclusion.mesh.physical_names import MeshFileError, MeshGroups, mesh_groups
from pnp_exclusion.quantities import AVOGADRO

SIDES = {1: ["left", "right"], 2: ["left", "right", "bottom", "top"]}
SIDES[3] = [*SIDES[2], "back", "front"]


def nearest(word: str, known: Iterable[str]) -> str:
    """A phrase that names the known word nearest to ``word``, and all of them if none is near."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.55)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"there is {_listed(known)}" if known else "there is none"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


@dataclass
class Draft:
    """What of a case could be read so far, and the mistakes found; a table that could not be read is missing here."""

    path: Path
    mistakes: list[str] = field(default_factory=list)
    model: tables.Model | None = None
    species: dict[str, tables.Species] = field(default_factory=dict)
    all_species_read: bool = True
    domain: Any = None
    shape: str = ""
    """The shape of the domain as written, even where the rest of its table could not be read."""
    regions: list[tables.Region] = field(default_factory=list)
    boundaries: list[Any] = field(default_factory=list)
    all_boundaries_read: bool = True
    solver: tables.Solver = field(default_factory=tables.Solver)
    output: tables.Output = field(default_factory=tables.Output)
    groups: MeshGroups | None = None

    def refuse(self, where: str, what: str) -> None:
        """Note a mistake in the table ``where``."""
        self.mistakes.append(f"{where}: {what}")

    @property
    def dimension(self) -> int | None:
        """Dimension of the domain, where it can be known."""
        match self.domain:
            case tables.Interval():
                return 1
            case tables.Rectangle():
                return 2
            case tables.Box():
                return 3
            case tables.Gmsh() as gmsh:
                return gmsh.dimension or (self.groups.dimension if self.groups else None)
        return {"interval": 1, "rectangle": 2, "box": 3}.get(self.shape)

    @property
    def size(self) -> list[float] | None:
        """Extent of the domain along each axis, where the case itself says it and it makes sense."""
        lengths = [length.value for length in self.written_size]
        return lengths if lengths and min(lengths) > 0.0 else None

    @property
    def written_size(self) -> list[tables.Quantity]:
        """The lengths of the domain as written."""
        match self.domain:
            case tables.Interval() as interval:
                return [interval.length]
            case tables.Rectangle() | tables.Box() as box:
                return box.size
        return []


def check_tables(raw: dict[str, Any], path: Path) -> Case:
    """Return the checked `Case` of a parsed file, or raise `CaseError` with every mistake in it."""
    draft = Draft(path)
    _read_tables(raw, draft)
    if draft.model is not None:
        for check in (_check_model, _check_species, _check_domain, _check_regions, _check_boundaries, _check_supply):
            check(draft, draft.model)
    if draft.mistakes or draft.model is None:
        raise CaseError(path, list(dict.fromkeys(draft.mistakes)))
    case = Case(
        title=str(raw.get("title", "")),
        model=draft.model,
        species=list(draft.species.values()),
        domain=draft.domain,
        regions=draft.regions,
        boundaries=draft.boundaries,
        solver=draft.solver,
        output=draft.output,
    )
    case._folder = path.parent
    return case


# ---- reading: one table at a time, so that a mistake in one does not hide those in the next ----


def _read_tables(raw: dict[str, Any], draft: Draft) -> None:
    for key in raw:
        if key not in Case.model_fields:
            draft.refuse(f"[{key}]", f"unknown table or key; {nearest(key, Case.model_fields)}")
    model = raw.get("model")
    units = model.get("units", "si") if isinstance(model, dict) else "si"
    reader = _Reader(draft, "dimensionless" if units == "dimensionless" else "si")
    if not isinstance(raw.get("title", ""), str):
        draft.refuse("title", "must be a text")
    draft.model = reader.table(raw, "model", tables.Model, required=True)
    draft.domain = reader.table(raw, "domain", tables.Domain, required=True)
    draft.shape = str(raw["domain"].get("shape", "")) if isinstance(raw.get("domain"), dict) else ""
    draft.solver = reader.table(raw, "solver", tables.Solver) or draft.solver
    draft.output = reader.table(raw, "output", tables.Output) or draft.output
    for position, species in enumerate(reader.array(raw, "species", tables.Species, required=True), start=1):
        if species is None:
            draft.all_species_read = False
        elif species.name in draft.species:
            draft.refuse(f"[[species]] {position}", f'the name "{species.name}" is given to two species')
        else:
            draft.species[species.name] = species
    draft.regions = [r for r in reader.array(raw, "regions", tables.Region) if r is not None]
    boundaries = list(reader.array(raw, "boundaries", tables.AnyBoundary, required=True))
    draft.boundaries = [b for b in boundaries if b is not None]
    draft.all_boundaries_read = len(draft.boundaries) == len(boundaries)


@dataclass
class _Reader:
    draft: Draft
    units: str

    def table(self, raw: dict[str, Any], key: str, kind: Any, required: bool = False) -> Any:
        if key not in raw:
            if required:
                self.draft.refuse(f"[{key}]", "this table is missing")
            return None
        return self._read(raw[key], kind, f"[{key}]")

    def array(self, raw: dict[str, Any], key: str, kind: Any, required: bool = False) -> Iterator[Any]:
        entries = raw.get(key, [])
        if not isinstance(entries, list):
            self.draft.refuse(f"[{key}]", f"must be an array of tables: write [[{key}]]")
            entries = []
        elif required and not entries:
            self.draft.refuse(f"[[{key}]]", "there must be at least one")
        for position, entry in enumerate(entries, start=1):
            name = (entry.get("name") or entry.get("where")) if isinstance(entry, dict) else None
            yield self._read(entry, kind, f'[[{key}]] "{name}"' if name else f"[[{key}]] {position}")

    def _read(self, entry: Any, kind: Any, where: str) -> Any:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        try:
            return adapter.validate_python(entry, context={"units": self.units})
        except ValidationError as error:
            for mistake in _sentences(error, entry, kind):
                self.draft.refuse(where, mistake)
            return None


def _sentences(error: ValidationError, entry: Any, kind: Any) -> Iterator[str]:
    """Say pydantic's findings in words: the key, what is wrong, what would be right."""
    unions_told: set[str] = set()
    for finding in error.errors():
        location = [part for part in finding["loc"] if not _is_union_member(part)]
        key = ".".join(str(part) for part in location)
        prefix = f"{key}: " if key else ""
        match finding["type"]:
            case "extra_forbidden":
                yield f'unknown key "{key}"; {nearest(str(location[-1]), _keys(kind, entry))}'
            case "missing":
                yield f'the key "{key}" is missing'
            case "literal_error":
                yield f"{prefix}{finding['input']!r} is not one of {finding['ctx']['expected']}"
            case "union_tag_not_found":
                yield f"the key {finding['ctx']['discriminator']} is missing"
            case "union_tag_invalid":
                tags = finding["ctx"]["expected_tags"]
                yield f'{finding["ctx"]["discriminator"]} = "{finding["ctx"]["tag"]}" is not one of {tags}'
            case "quantity" | "case":
                yield prefix + finding["ctx"]["message"]
            case "string_pattern_mismatch":
                yield f'{prefix}"{finding["input"]}" must be a letter followed by letters, digits, "_", "+" or "-"'
            case _ if len(location) < len(finding["loc"]) and key in unions_told:
                continue
            case _:
                unions_told.add(key)
                yield f"{prefix}{finding['msg'].lower()}, but it is {finding['input']!r}"


def _is_union_member(part: int | str) -> bool:
    """Whether pydantic put the branch of a union into a location, which is no key of the file."""
    branches = {"interval", "rectangle", "box", "gmsh", "reservoir", "electrode", "wall", "flux"}
    return isinstance(part, str) and (part in branches - {"flux"} or "[" in part or part in {"FieldTable", "int"})


def _keys(kind: Any, entry: Any) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, tables.Table):
        return list(kind.model_fields)
    chosen = [
        k
        for k in kind.__origin__.__args__
        if isinstance(entry, dict) and _tag(k) in (entry.get("shape"), entry.get("kind"))
    ]
    return list(dict.fromkeys(key for k in chosen for key in k.model_fields))


def _tag(kind: type[tables.Table]) -> str:
    discriminator = kind.model_fields.get("shape") or kind.model_fields["kind"]
    return str(discriminator.annotation.__args__[0])  # type: ignore[union-attr]


# ---- consistency ----


def _check_model(draft: Draft, model: tables.Model) -> None:
    given = model.model_fields_set
    if model.si:
        if model.lattice_spacing is None and model.law != "pnp":
            draft.refuse(
                "[model]", f'lattice_spacing is missing: law "{model.law}" needs the size of a particle, e.g. "0.7 nm"'
            )
        if "debye_length" in given:
            draft.refuse(
                "[model]", "debye_length is for dimensionless cases; in SI it follows from permittivity and temperature"
            )
    else:
        for key in sorted(given & {"temperature", "permittivity", "lattice_spacing"}):
            draft.refuse("[model]", f"{key} has no meaning in a dimensionless case; remove it")
        if model.electrostatics == "poisson" and model.debye_length is None:
            draft.refuse("[model]", 'debye_length is missing: electrostatics = "poisson" needs it, e.g. 0.05')
        if model.electrostatics == "imposed" and model.debye_length is not None:
            draft.refuse("[model]", 'debye_length has no meaning with electrostatics = "imposed"; remove it')
    for key in ("lattice_spacing", "temperature"):
        quantity = getattr(model, key)
        if quantity is not None and quantity.value <= 0.0:
            draft.refuse("[model]", f"{key} must be positive, but it is {quantity.text}")
    if "kappa" in given and model.law != "vacancy":
        draft.refuse("[model]", f'kappa goes with law = "vacancy", but the law is "{model.law}"')


def _check_species(draft: Draft, model: tables.Model) -> None:
    for name, species in draft.species.items():
        where = f'[[species]] "{name}"'
        if species.diffusivity is None:
            if model.si:
                draft.refuse(where, 'the key "diffusivity" is missing, e.g. "1.6e-9 m^2/s"')
        elif species.diffusivity.value <= 0.0:
            draft.refuse(where, f"diffusivity must be positive, but it is {species.diffusivity.text}")
        if species.field is not None:
            _check_field(draft, model, where, species.field)
        wrong, right = ("mean_fraction", "mean_concentration") if model.si else ("mean_concentration", "mean_fraction")
        if getattr(species, wrong) is not None:
            draft.refuse(where, f"{wrong} is not for a case in {_units_name(model)}; write {right}")
    if draft.species and draft.all_species_read:
        try:
            law = LAWS[model.law](model.kappa) if model.law == "vacancy" else LAWS[model.law]()
            law.require_fit([1.0 if s.diffusivity is None else s.diffusivity.value for s in draft.species.values()])
        except LawError as error:
            draft.refuse("[model]", str(error))


def _check_field(draft: Draft, model: tables.Model, where: str, imposed: Any) -> None:
    if model.electrostatics == "poisson":
        draft.refuse(where, 'field goes with electrostatics = "imposed"; with "poisson" the field is solved for')
    if isinstance(imposed, list) and draft.dimension and len(imposed) != draft.dimension:
        draft.refuse(where, f"field has {len(imposed)} components, but the domain has {draft.dimension} dimensions")
    if isinstance(imposed, tables.FieldTable) and draft.size:
        first, last, length = imposed.x[0].value, imposed.x[-1].value, draft.size[0]
        if first > 1e-12 * length or last < length * (1 - 1e-12):
            draft.refuse(
                where,
                f"field.x runs from {imposed.x[0].text} to {imposed.x[-1].text}; "
                f"it must cover the domain, 0 to {draft.written_size[0].text}",
            )


def _units_name(model: tables.Model) -> str:
    return "SI units" if model.si else "dimensionless units"


def _check_domain(draft: Draft, model: tables.Model) -> None:
    for length in draft.written_size:
        if length.value <= 0.0:
            draft.refuse("[domain]", f"every length must be positive, but one is {length.text}")
    if not isinstance(draft.domain, tables.Gmsh):
        return
    if model.si and draft.domain.unit is None:
        draft.refuse("[domain]", 'unit is missing: the length of one unit of the mesh file, e.g. "1 nm"')
    if draft.domain.unit is not None and draft.domain.unit.value <= 0.0:
        draft.refuse("[domain]", f"unit must be a positive length, but it is {draft.domain.unit.text}")
    try:
        draft.groups = mesh_groups(draft.path.parent / draft.domain.file)
    except MeshFileError as error:
        draft.refuse("[domain]", f"file: {error}")
        return
    if draft.domain.dimension and draft.domain.dimension != draft.groups.dimension:
        draft.refuse(
            "[domain]",
            f"dimension = {draft.domain.dimension}, but the named groups of {draft.domain.file} "
            f"go up to dimension {draft.groups.dimension}",
        )


def _check_regions(draft: Draft, model: tables.Model) -> None:
    for region in draft.regions:
        where = f'[[regions]] "{region.name}"'
        if region.tag is not None:
            if any(axis is not None for axis in region.ranges):
                draft.refuse(where, "has both a tag and ranges; give one of the two")
            if not isinstance(draft.domain, tables.Gmsh):
                draft.refuse(where, "a tag names a group of a gmsh file; give ranges x, y, z instead")
            elif draft.groups and draft.dimension:
                cells = draft.groups.cells(draft.dimension)
                if region.tag not in cells:
                    draft.refuse(
                        where, f'the mesh file has no group of cells "{region.tag}"; {nearest(region.tag, cells)}'
                    )
        for axis, limits in enumerate(region.ranges):
            if limits is not None:
                _check_range(draft, where, axis, [limit.value for limit in limits])
        if model.electrostatics == "imposed":
            for key in ("fixed_charge", "permittivity"):
                if getattr(region, key) is not None:
                    draft.refuse(where, f'{key} has no effect with electrostatics = "imposed"; remove it')


def _check_range(draft: Draft, where: str, axis: int, limits: list[float]) -> None:
    letter = "xyz"[axis]
    if draft.dimension and axis >= draft.dimension:
        draft.refuse(where, f"has a range in {letter}, but the domain has {draft.dimension} dimension(s)")
        return
    if not limits[0] < limits[1]:
        draft.refuse(where, f"{letter} must go from a smaller to a larger value")
    if draft.size:
        length = draft.size[axis]
        if limits[0] < -1e-12 * length or limits[1] > length * (1 + 1e-12):
            shown = f"{limits[0]:.6g} to {limits[1]:.6g}"
            unit = " m" if draft.model and draft.model.si else ""
            draft.refuse(
                where, f"{letter} ({shown}{unit}) reaches outside the domain, which ends at {length:.6g}{unit}"
            )


def _check_boundaries(draft: Draft, model: tables.Model) -> None:
    known = None
    if draft.dimension:
        known = SIDES[draft.dimension] if draft.groups is None else draft.groups.facets(draft.dimension)
    if isinstance(draft.domain, tables.Gmsh) and draft.groups is None:
        known = None
    seen: set[str] = set()
    for boundary in draft.boundaries:
        where = f'[[boundaries]] "{boundary.where}"'
        if known is not None and boundary.where not in known:
            draft.refuse(where, f"the domain has no such boundary; {nearest(boundary.where, known)}")
        if boundary.where in seen:
            draft.refuse(where, "two boundaries are given for one side; keep one of them")
        seen.add(boundary.where)
        if isinstance(boundary, tables.Contents):
            _check_contents(draft, model, where, boundary)
        if isinstance(boundary, tables.Flux):
            _refuse_unknown_species(draft, where, "flux", boundary.flux)
        _check_potential(draft, model, where, boundary)


def _check_contents(draft: Draft, model: tables.Model, where: str, boundary: tables.Contents) -> None:
    wrong, right = ("fraction", "concentration") if model.si else ("concentration", "fraction")
    if getattr(boundary, wrong):
        draft.refuse(where, f"{wrong} is not for a case in {_units_name(model)}; write {right} = {{ ... }}")
    _refuse_unknown_species(draft, where, right, boundary.amounts)
    if isinstance(boundary, tables.Reservoir) and draft.all_species_read:
        missing = [name for name in draft.species if name not in boundary.amounts]
        if missing:
            draft.refuse(where, f"a reservoir gives every species, but {right} lacks {_listed(missing)}")
    negative = [name for name, amount in boundary.amounts.items() if amount < 0.0]
    if negative:
        draft.refuse(where, f"{right} of {_listed(negative)} is negative; it must be 0 or more")
    elif model.law != "pnp":
        packing = sum(boundary.amounts.values()) * _site_volume(model)
        if packing >= 1.0:
            cure = (
                "lower the concentrations or the lattice spacing"
                if model.si
                else "the fractions must add up to less than 1"
            )
            draft.refuse(where, f"the species fill {packing:.4g} of the space (packing; it must be below 1): {cure}")


def _site_volume(model: tables.Model) -> float:
    """Factor from an amount of `Contents` to an occupied fraction."""
    if not model.si:
        return 1.0
    return AVOGADRO * model.lattice_spacing.value**3 if model.lattice_spacing else 0.0


def _refuse_unknown_species(draft: Draft, where: str, key: str, names: Iterable[str]) -> None:
    if not draft.all_species_read:
        return
    for name in names:
        if name not in draft.species:
            draft.refuse(where, f'{key} names an unknown species "{name}"; {nearest(name, draft.species)}')


def _check_potential(draft: Draft, model: tables.Model, where: str, boundary: Any) -> None:
    potential = getattr(boundary, "potential", None)
    if model.electrostatics == "poisson":
        if isinstance(boundary, tables.Reservoir) and potential is None:
            example = '"0 V"' if model.si else "0.0"
            draft.refuse(where, f"a reservoir gives the potential, but it is missing, e.g. potential = {example}")
    elif potential is not None:
        draft.refuse(where, 'potential has no effect with electrostatics = "imposed"; give each species a field')


def _check_supply(draft: Draft, model: tables.Model) -> None:
    """Every unknown must be fixed somewhere, or the steady problem is singular."""
    if not draft.all_boundaries_read or not draft.all_species_read or not draft.boundaries:
        return
    if model.electrostatics == "poisson" and all(getattr(b, "potential", None) is None for b in draft.boundaries):
        draft.refuse(
            "[[boundaries]]",
            "no boundary gives a potential, so it is fixed only up to a constant; add a reservoir or an electrode",
        )
    for name, species in draft.species.items():
        where = f'[[species]] "{name}"'
        key = "mean_concentration" if model.si else "mean_fraction"
        mean = species.mean_concentration.value if species.mean_concentration else species.mean_fraction
        supplied = any(isinstance(b, tables.Contents) and name in b.amounts for b in draft.boundaries)
        if supplied and mean is not None:
            draft.refuse(where, f"{key} is for a species that no boundary supplies; remove it")
        if not supplied and mean is None:
            draft.refuse(where, f"no boundary supplies it, so its amount is not fixed; give {key} or a reservoir")
        if mean is not None and mean <= 0.0:
            draft.refuse(where, f"{key} must be positive")
        if not supplied:
            _check_closed_fluxes(draft, name, where)
    contents = [
        s.mean_concentration.value if s.mean_concentration else (s.mean_fraction or 0.0) for s in draft.species.values()
    ]
    packing = sum(contents) * _site_volume(model)
    if model.law != "pnp" and packing >= 1.0:
        draft.refuse("[[species]]", f"the mean contents fill {packing:.4g} of the space (packing; it must be below 1)")


def _check_closed_fluxes(draft: Draft, name: str, where: str) -> None:
    fluxes = [b.flux[name].value for b in draft.boundaries if isinstance(b, tables.Flux) and name in b.flux]
    if any(fluxes) and (draft.dimension != 1 or abs(sum(fluxes)) > 1e-12 * max(map(abs, fluxes))):
        draft.refuse(
            where,
            "flows through a boundary but is supplied by none, so there is no steady state; "
            "let a reservoir or an electrode hold it",
        )
