"""What the tables of a case must satisfy together. Every mistake is collected; none hides another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pnp_exclusion.case import domain_tables, tables
from pnp_exclusion.case.areas import mistakes_of
from pnp_exclusion.case.boundary_tables import (
    TOTAL_CHARGE,
    TOTAL_CURRENT,
    Boundary,
    Contents,
    Interface,
    Reservoir,
    Wall,
)
from pnp_exclusion.case.contents import mean_of, volume_of
from pnp_exclusion.case.field_tables import FieldTable
from pnp_exclusion.case.goals import check_accuracy
from pnp_exclusion.case.law_tables import AnyModel, Model, without_parameters_of_others
from pnp_exclusion.case.output_checks import check_output
from pnp_exclusion.case.periodic_checks import check_periodic, is_along_periodic
from pnp_exclusion.case.plan_checks import check_plans
from pnp_exclusion.case.quantities import TOTAL_AMOUNT, TOTAL_FLUX, Dimension, Quantity, is_compatible
from pnp_exclusion.case.reaction_checks import check_reactions, electrodes_that_react
from pnp_exclusion.case.reading import Draft, Reader, read_tables
from pnp_exclusion.case.sentences import counted, listed, nearest
from pnp_exclusion.case.sizes import check_sizes, fill, law_of
from pnp_exclusion.case.supply_checks import check_supply
from pnp_exclusion.case.tables import CaseTables
from pnp_exclusion.case.time_checks import check_motion
from pnp_exclusion.errors import CaseError, LawError
from pnp_exclusion.mesh.gmsh_file import mesh_groups
from pnp_exclusion.mesh.physical_names import SIDES, MeshFileError, MeshGroups
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.physics.laws import LAWS, Law

RESERVED = ("x", "phi", "potential", "packing", "fixed_charge", ENERGY, "temperature")
"""Columns and fields of the results; no species can have such a name."""
RESERVED_BEGINNINGS = ("mu_", "flux_")
EXTREME = 1e30
"""Sizes, in SI units or without, beyond this or below its inverse are mistakes, and would overflow."""


def check_tables(raw: dict[str, Any], path: Path, draft: Draft | None = None, plain: bool = False) -> Draft:
    """Return what was read from a parsed file, or from objects, or raise `CaseError` with every mistake in it.

    draft
        What is known of the case already.
    plain
        Whether numbers without a unit are in SI units, as from Python.
    """
    draft = draft or Draft(path)
    read_tables(raw, draft, plain)
    if draft.model is not None:
        for check in (
            _check_model,
            check_sizes,
            _check_domain,
            _check_axis,
            check_periodic,
            _check_area,
            _check_species,
            _check_fit,
            _check_regions,
            _check_boundaries,
            check_reactions,
            check_supply,
            _check_totals,
            _check_solver,
            check_accuracy,
            _check_packing,
            _check_motion,
            check_output,
        ):
            check(draft, draft.model)
    check_plans(raw, draft, check_tables, plain)
    if draft.mistakes:
        raise CaseError(path, list(dict.fromkeys(draft.mistakes)))
    return draft


def _check_motion(draft: Draft, model: Model) -> None:
    for number, piece in enumerate(draft.time.protocol if draft.time else [], start=1):
        for imposed in piece.fields.values() if model.electrostatics == "imposed" else ():
            _check_field(draft, model, f"[[time.protocol]] {number}", imposed)
    check_motion(draft, model, _check_packing)


def check_law(case: CaseTables, law: str) -> Model:
    """Return the model of a checked case with another law; only what depends on the law is checked, no file opened."""
    draft = Draft(case.path, species={s.name: s for s in case.species}, boundaries=list(case.boundaries))
    written = case.model.model_dump(include=case.model.model_fields_set | {"units"}) | {"law": law}
    without_parameters_of_others(written)
    model: Model | None = Reader(draft, case.model.units).table({"model": written}, "model", AnyModel)
    if model is not None:
        for check in (_check_model, check_sizes, _check_fit, _check_packing):
            check(draft, model)
    if draft.mistakes or model is None:
        raise CaseError(case.path, [f'with law "{law}": {mistake}' for mistake in draft.mistakes])
    return model


def _check_totals(draft: Draft, model: Model) -> None:
    """Totals are over the whole body, or over a unit of the directions that its domain lacks."""
    if not model.si or not draft.dimension or draft.domain is None:
        return
    lacking = 3 - draft.dimension - domain_tables.unseen_dimensions(draft.domain)
    per = ("", "/m", "/m^2")[lacking]
    totals: list[tuple[str, str, Dimension, Any]]
    totals = [(f'[[species]] "{s.name}"', "amount", TOTAL_AMOUNT, s) for s in draft.species.values()]
    for boundary in draft.boundaries:
        where = f'[[boundaries]] "{boundary.where}"'
        totals += [(where, "total_charge", TOTAL_CHARGE, boundary), (where, "total_current", TOTAL_CURRENT, boundary)]
    for number, piece in enumerate(draft.time.protocol if draft.time else [], start=1):
        where = f"[[time.protocol]] {number}"
        totals.append((where, "total_current", TOTAL_CURRENT, piece))
        totals += [(where, "charge", TOTAL_CHARGE, piece.until), (where, "current", TOTAL_CURRENT, piece.until)]
        if piece.until is not None:
            for key, dimension in (("passed", TOTAL_AMOUNT), ("flux", TOTAL_FLUX)):
                totals += [
                    (f"{where}, until.{key}", name, dimension, SimpleNamespace(**{name: given}))
                    for name, given in getattr(piece.until, key).items()
                ]
    for where, key, dimension, table in totals:
        given: Quantity | None = getattr(table, key, None)
        right = f"{dimension.units[0]}{per}"
        if given is not None and not is_compatible(given.unit, right):
            draft.refuse(where, f'{key} = "{given.text}" is no total of this domain, whose totals are in {right}')


def _check_model(draft: Draft, model: Model) -> None:
    given = model.model_fields_set
    if model.si and model.thermal:
        draft.refuse("[model]", f'law "{model.law}" has a temperature, and its cases are in units = "dimensionless"')
    if model.si:
        if model.lattice_spacing is None and model.flux_law.crowded and model.sizes is None:
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
    _check_positive(draft, "[model]", "lattice_spacing", model.lattice_spacing)
    _check_positive(draft, "[model]", "temperature", model.temperature)


def _check_positive(draft: Draft, where: str, key: str, quantity: Quantity | None) -> bool:
    """Whether a quantity, if there is one, is positive and of a size that can be computed with."""
    if quantity is None:
        return True
    if quantity.value <= 0.0:
        draft.refuse(where, f"{key} must be positive, but it is {quantity.text}")
    elif not 1.0 / EXTREME < quantity.value < EXTREME:
        draft.refuse(where, f"{key} = {quantity.text} is out of all proportion")
    else:
        return True
    return False


def _check_species(draft: Draft, model: Model) -> None:
    for name, species in draft.species.items():
        where = f'[[species]] "{name}"'
        if name in RESERVED or name.startswith(RESERVED_BEGINNINGS):
            draft.refuse(where, "results have a column of this name for something else; give the species another name")
        if species.diffusivity is None and model.si:
            draft.refuse(where, 'the key "diffusivity" is missing, e.g. "1.6e-9 m^2/s"')
        _check_positive(draft, where, "diffusivity", species.diffusivity)
        if _check_positive(draft, where, "born_radius", species.born_radius) and species.born_radius and not model.si:
            draft.refuse(where, "born_radius is for cases in SI units; give partition energies in kT")
        if species.field is not None:
            _check_field(draft, model, where, species.field)
        wrong, right = ("mean_fraction", "mean_concentration") if model.si else ("mean_concentration", "mean_fraction")
        if getattr(species, wrong) is not None:
            draft.refuse(where, f"{wrong} is not for a case in {_units_name(model)}; write {right}")


def _check_fit(draft: Draft, model: Model) -> None:
    diffusivities = [1.0 if s.diffusivity is None else s.diffusivity.value for s in draft.species.values()]
    if not draft.species or not draft.all_species_read or min(diffusivities) <= 0.0:
        return
    known = draft.misfits
    try:
        law = law_of(model, list(draft.species.values()))
    except LawError:
        # said by `check_sizes`
        return
    pair = (law.name, law.free_energy, *law.parameters.values(), *diffusivities)
    if pair not in known:
        known[pair] = _misfit(law, diffusivities)
    if known[pair]:
        draft.refuse("[model]", known[pair])


def _misfit(law: Law, diffusivities: list[float]) -> str:
    try:
        law.require_fit(diffusivities)
    except LawError as error:
        return str(error)
    return ""


def _check_field(draft: Draft, model: Model, where: str, imposed: Any) -> None:
    if model.thermal:
        feels = f'law "{model.law}", whose particles feel temperature and composition'
        draft.refuse(where, f"field does not go with {feels}")
    if model.electrostatics == "poisson" and not is_along_periodic(draft, imposed):
        draft.refuse(
            where,
            'field goes with electrostatics = "imposed"; with "poisson" the field is solved for, '
            "but for a uniform one along periodic axes",
        )
    if isinstance(imposed, list) and draft.dimension and len(imposed) != draft.dimension:
        draft.refuse(where, f"field has {len(imposed)} components, but the domain has {draft.dimension} dimensions")
    if isinstance(imposed, FieldTable) and draft.size:
        first, last, length = imposed.x[0].value, imposed.x[-1].value, draft.size[0]
        if first > 1e-12 * length or last < length * (1 - 1e-12):
            draft.refuse(
                where,
                f"field.x runs from {imposed.x[0].text} to {imposed.x[-1].text}; "
                f"it must cover the domain, 0 to {draft.written_size[0].text}",
            )


def _units_name(model: Model) -> str:
    return "SI units" if model.si else "dimensionless units"


def _check_domain(draft: Draft, model: Model) -> None:
    for length in draft.written_size:
        _check_positive(draft, "[domain]", "length" if draft.shape == "interval" else "size", length)
    if not isinstance(draft.domain, domain_tables.Gmsh | domain_tables.GivenMesh):
        return
    if model.si and draft.domain.unit is None:
        draft.refuse("[domain]", 'unit is missing: the length of one unit of the mesh, e.g. "1 nm"')
    _check_positive(draft, "[domain]", "unit", draft.domain.unit)
    if isinstance(draft.domain, domain_tables.GivenMesh):
        return
    try:
        draft.groups = draft.groups or mesh_groups(draft.path.parent / draft.domain.file)
    except MeshFileError as error:
        draft.refuse("[domain]", f"file: {error}")
        return
    if draft.domain.dimension and draft.domain.dimension != draft.groups.dimension:
        draft.refuse(
            "[domain]",
            f"dimension = {draft.domain.dimension}, but the cells of {draft.domain.file} "
            f"are of dimension {draft.groups.dimension}",
        )


def _check_axis(draft: Draft, model: Model) -> None:
    domain = draft.domain
    if not isinstance(domain, domain_tables.Planar):
        return
    around = domain.coordinates == "axisymmetric"
    if not around and domain.axis != "y":
        draft.refuse("[domain]", 'axis goes with coordinates = "axisymmetric"; remove it, or add those')
    if around and isinstance(domain, domain_tables.Rectangle) and domain.axis == "z":
        draft.refuse("[domain]", 'a rectangle has the axis "y" (x is r) or "x" (y is r), but not "z"')
    if around and draft.dimension not in (None, 2):
        draft.refuse("[domain]", f'coordinates = "axisymmetric" is for two dimensions, but there are {draft.dimension}')


def _check_area(draft: Draft, model: Model) -> None:
    domain = draft.domain
    if not isinstance(domain, domain_tables.Interval):
        return
    if domain.wall_charge is not None:
        if domain.area is None:
            draft.refuse("[domain]", 'wall_charge is that of a channel\'s wall; give its section, area = "80 nm^2"')
        if model.electrostatics == "imposed":
            draft.refuse("[domain]", 'wall_charge has no effect with electrostatics = "imposed"; remove it')
    if domain.area is not None and draft.size:
        for mistake in mistakes_of(domain):
            draft.refuse("[domain]", mistake)


def _check_regions(draft: Draft, model: Model) -> None:
    for region in draft.regions:
        where = f'[[regions]] "{region.name}"'
        if region.tag is not None:
            if any(axis is not None for axis in region.ranges):
                draft.refuse(where, "has both a tag and ranges; give one of the two")
            if draft.shape in domain_tables.DIMENSIONS:
                draft.refuse(where, "a tag names a group of a gmsh file; give ranges x, y, z instead")
            elif draft.groups and region.tag not in draft.groups.cells():
                missing = _missing_group(draft.groups, region.tag, draft.groups.dimension)
                draft.refuse(where, f'the mesh has no group of cells "{region.tag}"; {missing}')
        for axis, limits in enumerate(region.ranges):
            if limits is not None:
                _check_range(draft, where, axis, [limit.value for limit in limits])
        _check_particles(draft, model, where, region)
        if model.electrostatics == "imposed":
            for key in ("fixed_charge", "permittivity", "surface_charge"):
                if getattr(region, key) is not None:
                    draft.refuse(where, f'{key} has no effect with electrostatics = "imposed"; remove it')


def _check_particles(draft: Draft, model: Model, where: str, region: tables.Region) -> None:
    """What a region says of the species in it."""
    diffusivities, energies = (
        given if isinstance(given, dict) else {} for given in (region.diffusivity, region.partition)
    )
    for key, names in (("excluded", region.excluded or []), ("diffusivity", diffusivities), ("partition", energies)):
        _refuse_unknown_species(draft, where, key, names)
    keeps_out, of_none = region.keeps_out, region.ions is False
    if model.thermal:
        for key in ("ions", "excluded", "partition"):
            if getattr(region, key) is not None:
                draft.refuse(where, f'{key} does not go with law "{model.law}", which itself has energies')
    for key, given in (("diffusivity", region.diffusivity), ("partition", region.partition)):
        if of_none and given is not None:
            draft.refuse(where, f"{key} has no effect where there are no ions; remove it")
        elif idle := [name for name in (given if isinstance(given, dict) else ()) if keeps_out(name)]:
            draft.refuse(where, f"{key} of {listed(idle)} has no effect where it is excluded; remove it")
    if model.flux_law.equal_diffusivities and len({diffusivities.get(name, 1.0) for name in draft.species}) > 1:
        draft.refuse(where, f'law "{model.law}" is for equal diffusivities; give one factor for all species')
    _check_born(draft, model, where, region)


def _check_born(draft: Draft, model: Model, where: str, region: tables.Region) -> None:
    named = region.partition.items() if isinstance(region.partition, dict) else ()
    wanted = [name for name, given in named if given == "born"]
    if region.partition != "born" and not wanted:
        return
    if not model.si:
        draft.refuse(where, 'partition = "born" needs lengths and charges in SI units; give energies in kT')
        return
    if region.permittivity is None:
        draft.refuse(where, 'partition = "born" follows from the permittivity of the region, which is missing')
    lacking = [name for name in wanted if name in draft.species and draft.species[name].born_radius is None]
    if lacking:
        draft.refuse(where, f'partition = "born" needs a born_radius of {listed(lacking)}, e.g. "0.2 nm"')
    if region.partition == "born" and all(species.born_radius is None for species in draft.species.values()):
        draft.refuse(where, 'partition = "born", but no species has a born_radius, e.g. "0.2 nm"')


def _missing_group(groups: MeshGroups, word: str, dimension: int) -> str:
    """Return what helps somebody who named a group of a dimension that is not in the mesh file."""
    names = groups.cells() if dimension == groups.dimension else groups.facets()
    near = nearest(word, names)
    hints = [groups.hint(word, dimension), near if near.startswith("did you mean") else "", groups.listing(dimension)]
    return "; ".join(filter(None, hints))


def _check_range(draft: Draft, where: str, axis: int, limits: list[float]) -> None:
    letter = "xyz"[axis]
    if draft.dimension and axis >= draft.dimension:
        draft.refuse(where, f"has a range in {letter}, but the domain has {counted(draft.dimension, 'dimension')}")
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


def _check_boundaries(draft: Draft, model: Model) -> None:
    known: Sequence[str] | None = None
    if draft.dimension:
        known = SIDES[: 2 * draft.dimension] if draft.groups is None else draft.groups.facets()
    seen: set[str] = set()
    for boundary in draft.boundaries:
        where = f'[[boundaries]] "{boundary.where}"'
        if known is not None and boundary.where not in known:
            if draft.groups:
                there = _missing_group(draft.groups, boundary.where, draft.groups.dimension - 1)
            else:
                there = nearest(boundary.where, known)
            draft.refuse(where, f"the domain has no such boundary; {there}")
        if boundary.where in seen:
            draft.refuse(where, "two boundaries are given for one side; keep one of them")
        seen.add(boundary.where)
        if isinstance(boundary, Interface) and draft.shape in domain_tables.DIMENSIONS:
            draft.refuse(where, "an interface is a group inside a mesh file; give surface_charge to a region instead")
        if isinstance(boundary, Contents):
            _check_contents(draft, model, where, boundary)
        _refuse_unknown_species(draft, where, "flux", boundary.fluxes)
        if isinstance(boundary, Wall) and boundary.regulation is not None:
            _refuse_unknown_species(draft, where, "regulation.protons", [boundary.regulation.protons])
        _check_potential(draft, model, where, boundary)
        _check_temperature(draft, model, where, boundary)


def _check_contents(draft: Draft, model: Model, where: str, boundary: Contents) -> None:
    wrong, right = ("fraction", "concentration") if model.si else ("concentration", "fraction")
    if getattr(boundary, wrong):
        draft.refuse(where, f"{wrong} is not for a case in {_units_name(model)}; write {right} = {{ ... }}")
    if boundary.chemical_potential and boundary.amounts:
        draft.refuse(where, f"has both {right} and chemical_potential; give one of the two")
    if boundary.chemical_potential and not model.thermal:
        draft.refuse(where, f"chemical_potential goes with a law that has a temperature; write {right} = {{ ... }}")
    _refuse_unknown_species(draft, where, right, boundary.amounts)
    _refuse_unknown_species(draft, where, "chemical_potential", boundary.chemical_potential)
    if isinstance(boundary, Reservoir) and draft.all_species_read:
        missing = [name for name, s in draft.species.items() if name not in boundary.held and not s.is_closed]
        if missing:
            lacking = "chemical_potential" if boundary.chemical_potential else right
            draft.refuse(where, f"a reservoir gives every species, but {lacking} lacks {listed(missing)}")
    negative = [name for name, amount in boundary.amounts.items() if amount < 0.0]
    if negative:
        draft.refuse(where, f"{right} of {listed(negative)} is negative; it must be 0 or more")


def _check_packing(draft: Draft, model: Model) -> None:
    """Particles that take space must leave some."""
    if not model.flux_law.crowded:
        return
    filled = dict(zip(draft.species, fill(model, list(draft.species.values())), strict=True))
    for boundary in draft.boundaries:
        amounts = boundary.amounts
        packing = sum(amount * filled.get(name, 0.0) for name, amount in amounts.items())
        if packing >= 1.0 and min(amounts.values()) >= 0.0:
            size = "lattice spacing" if model.sizes is None else "volumes"
            cure = f"lower the concentrations or the {size}" if model.si else "the fractions must add up to less than 1"
            draft.refuse(
                f'[[boundaries]] "{boundary.where}"',
                f"the species fill {packing:.4g} of the space (packing; it must be below 1): {cure}",
            )
    volume = volume_of(draft.domain)
    packing = sum((mean_of(species, volume) or 0.0) * filled[name] for name, species in draft.species.items())
    if packing >= 1.0:
        draft.refuse(
            "[[species]]", f"mean concentrations fill {packing:.4g} of the space (packing; it must be below 1)"
        )


def _refuse_unknown_species(draft: Draft, where: str, key: str, names: Iterable[str]) -> None:
    if not draft.all_species_read:
        return
    for name in names:
        if name not in draft.species:
            draft.refuse(where, f'{key} names an unknown species "{name}"; {nearest(name, draft.species)}')


def _check_potential(draft: Draft, model: Model, where: str, boundary: Boundary) -> None:
    potential = boundary.dirichlet_potential
    if model.electrostatics == "imposed":
        # as long as that is known
        reacts = boundary.where in electrodes_that_react(draft) or not draft.all_reactions_read
        if reacts and potential is None and draft.all_reactions_read:
            which = "must be given, not found" if boundary.floats else "is missing"
            draft.refuse(where, f"electrons react here, at a rate that depends on its potential, which {which}")
        for key in boundary.electrostatic:
            if getattr(boundary, key, None) is not None and not (reacts and key == "potential"):
                draft.refuse(where, f'{key} has no effect with electrostatics = "imposed"; give each species a field')
    if model.electrostatics == "poisson" and potential is None and boundary.needs_potential and not boundary.floats:
        example = '"50 mV"' if model.si else "2.0"
        draft.refuse(where, f"the potential of this {boundary.kind} is missing, e.g. potential = {example}")


def _check_temperature(draft: Draft, model: Model, where: str, boundary: Boundary) -> None:
    if boundary.temperature is not None and boundary.inverse_temperature is not None:
        draft.refuse(where, "has both temperature and inverse_temperature; give one of the two")
    if not model.thermal and boundary.held_temperature is not None:
        having = [name for name, law in LAWS.items() if law.make().thermal]
        draft.refuse(where, f'temperature has no effect with law "{model.law}"; laws with one: {listed(having)}')
    if model.thermal and boundary.held_temperature is None and (boundary.held or boundary.kind == "reservoir"):
        draft.refuse(where, f"the temperature of this {boundary.kind} is missing, e.g. temperature = 1.0")
    _check_positive(draft, where, "temperature", boundary.temperature)


def _check_solver(draft: Draft, model: Model) -> None:
    if draft.solver.linear == "banded" and draft.dimension not in (None, 1):
        draft.refuse("[solver]", 'linear = "banded" is for one dimension; "auto", "direct" or "fieldsplit" serve here')
    degree, given = draft.solver.degree, draft.solver.quadrature_degree
    # a rule that is not exact for products of gradients has too few points: it is blind to some functions
    least = 2 * (degree - 1)
    if given is not None and given < least:
        draft.refuse(
            "[solver]", f"quadrature_degree = {given} is singular with degree = {degree}; it must be at least {least}"
        )
