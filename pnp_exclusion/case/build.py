"""From a case to a problem: scales, mesh, law, materials, boundary conditions."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from pnp_exclusion.case import domain_tables, tables
from pnp_exclusion.case.areas import area_of
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.closed_cells import require_contents
from pnp_exclusion.case.contents import amounts_of, mean_of
from pnp_exclusion.case.field_tables import FieldTable
from pnp_exclusion.case.layers import grid_of
from pnp_exclusion.case.mesh_checks import require_axis, require_usable_mesh
from pnp_exclusion.case.quantities import Quantity
from pnp_exclusion.case.region_cells import (
    RegionCells,
    diffusivity_factor_of,
    materials_of,
    partition_of,
    reference_permittivity_of,
    sheets_of,
)
from pnp_exclusion.case.region_checks import require_usable_regions
from pnp_exclusion.case.scales import Scales, domain_length, scales_of
from pnp_exclusion.case.sizes import law_of
from pnp_exclusion.discretisation.integration import integral
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.mesh.domain import Domain, tensor_domain, too_many_ranks
from pnp_exclusion.mesh.given_mesh import given_domain
from pnp_exclusion.mesh.gmsh_domain import gmsh_domain
from pnp_exclusion.mesh.physical_names import MeshFileError
from pnp_exclusion.physics.boundaries import BoundaryCondition, Wall
from pnp_exclusion.physics.cross_sections import AroundAxis, Channel, CrossSection
from pnp_exclusion.physics.imposed_fields import ImposedField, TabulatedField, UniformField
from pnp_exclusion.physics.laws import Law
from pnp_exclusion.physics.problem import Problem, Species
from pnp_exclusion.physics.reactions import Reaction
from pnp_exclusion.runtime.memory import check_memory, estimate
from pnp_exclusion.solver.linear.presets import Size, resolved

LEAST_SHARE = 1e-30
"""Of the most that any boundary holds of any species: contents are taken as given down to this."""
EMPTY_SHARE = 1e-16
"""Of the largest content of a species: stands for one of exactly zero, whose logarithm the unknowns cannot hold."""

NOTHING = 1e-300
"""Fraction of what a solution does not contain, whose logarithm is taken."""
ON_PERIODIC_SIDE = "it lies on a side along a periodic axis, where the domain does not end; remove it"


@dataclass(frozen=True)
class Setup:
    """A case and what it was turned into."""

    case: Case
    scales: Scales
    problem: Problem
    memory: str = ""
    """A sentence where there may be too little of it, else empty."""


def build(case: Case, comm: MPI.Comm = MPI.COMM_WORLD, law: Law | None = None, also: Sequence[Case] = ()) -> Setup:
    """Turn a case into a problem on the ranks of ``comm``.

    ``law`` replaces the law that the case names, for laws that are written in Python. The mesh serves the cases
    ``also`` too. Raises `CaseError` if the mesh file cannot be used or a region has no cells, `LawError` if a given
    law does not fit the species.
    """
    domain, scales, memory = _domain_and_scales(case, comm, also)
    return replace(setup_on(domain, scales, case, law), memory=memory)


def setup_on(domain: Domain, scales: Scales, case: Case, law: Law | None = None) -> Setup:
    """Turn a case into a problem on a domain that is there already, in units of ``scales.length``."""
    problem = problem_on(domain, scales, case, law)
    require_axis(case, problem)
    if domain.grid is None:
        require_usable_mesh(case, scales, problem)
    require_contents(case, scales, problem)
    require_usable_regions(case, scales, problem)
    return Setup(case, scales, problem)


def problem_on(
    domain: Domain, scales: Scales, case: Case, law: Law | None = None, regions: RegionCells | None = None
) -> Problem:
    """Return the problem of a case on a domain that is there already, whatever its mesh and its contents are.

    regions
        Where the regions of the case are, if that is known.
    """
    regions = regions or RegionCells(case, scales, domain)
    if law is None:
        # checked when the case was read
        law = law_of(case.model, case.species)
    else:
        law = law_of(case.model, case.species, law)
        law.require_fit([species.diffusivity.value if species.diffusivity else 1.0 for species in case.species])
    reference = _potential_reference(case, scales)
    partition = partition_of(case, scales, regions)
    permittivity, fixed_charge = materials_of(case, scales, regions)
    return Problem(
        domain=domain,
        law=law,
        species=_all_species(case, scales, domain),
        boundaries=_boundaries(case, scales, domain, reference),
        potential_reference=reference,
        debye_length=scales.debye_length,
        sheets=sheets_of(case, scales, regions),
        cross_section=cross_section_of(case, scales),
        wall_charge=_wall_charge(case, scales),
        reactions=_reactions(case, scales, regions, law, partition),
        permittivity=permittivity,
        diffusivity_factor=diffusivity_factor_of(case, regions),
        fixed_charge=fixed_charge,
        partition=partition,
        fields=fields_of(case.species, case, scales, domain),
    )


def problem_with(setup: Setup, case: Case, changed: Collection[str] = ("boundaries", "regions", "species")) -> Problem:
    """Return the problem of a case that differs from that of a setup in numbers of its boundaries, charge that does not
    move, or imposed fields; potentials stay relative to the same one.

    changed
        The tables that may differ.
    """
    problem, scales, domain = setup.problem, setup.scales, setup.problem.domain
    found = replace(problem, boundaries=_boundaries(case, scales, domain, problem.potential_reference))
    if "regions" in changed:
        cells = RegionCells(case, scales, domain)
        sheets, (_, fixed_charge) = sheets_of(case, scales, cells), materials_of(case, scales, cells)
        found = replace(found, sheets=sheets, fixed_charge=fixed_charge)
    if "domain" in changed:
        found = replace(found, wall_charge=_wall_charge(case, scales))
    return replace(found, fields=fields_of(case.species, case, scales, domain)) if "species" in changed else found


def _domain_and_scales(case: Case, comm: MPI.Comm, also: Sequence[Case]) -> tuple[Domain, Scales, str]:
    """Return also what is to be said of memory."""
    if not isinstance(case.domain, domain_tables.Gmsh | domain_tables.GivenMesh):
        scales = scales_of(case, domain_length(case) or 1.0)
        domain, memory = _made_mesh(case, scales, comm, also)
        return domain, scales, memory
    try:
        domain = _read_mesh(case, comm)
    except (MeshFileError, ValueError) as error:
        raise CaseError(case.path, [f"[domain]: {error}"]) from None
    vertices = domain.mesh.topology.index_map(0).size_global
    memory = _check_memory(case, comm, vertices * case.solver.degree**domain.dimension, on_grid=False)
    length = 1.0
    if case.domain.unit is not None:
        low, high = domain.bounding_box()
        length = float((high - low).max()) * case.domain.unit.value
        domain.mesh.geometry.x[:] *= case.domain.unit.value / length
    return _joined(domain, case), scales_of(case, length), memory


def _joined(domain: Domain, case: Case) -> Domain:
    """Return a domain that is periodic as its case says."""
    try:
        found = domain.periodic_along(domain_tables.periodic_axes(case.domain))
    except ValueError as error:
        raise CaseError(case.path, [f"[domain]: {error}"]) from None
    gone = [boundary.where for boundary in case.boundaries if boundary.where not in found.boundary_facets]
    if gone:
        raise CaseError(case.path, [f'[[boundaries]] "{where}": {ON_PERIODIC_SIDE}' for where in gone])
    return found


def _read_mesh(case: Case, comm: MPI.Comm) -> Domain:
    """Return the domain of a mesh file, or of a mesh that Python has made, in the units of its coordinates."""
    if isinstance(case.domain, domain_tables.GivenMesh):
        if comm.size != case.domain.mesh.comm.size:
            ranks = case.domain.mesh.comm.size
            raise UsageError(f"the mesh of the case is on {ranks} rank(s), but the case is solved on {comm.size}")
        return given_domain(case.domain.mesh, case.domain.boundaries, case.domain.regions)
    return gmsh_domain(comm, case.mesh_path, in_simplices=case.solver.accuracy is not None)


def _made_mesh(case: Case, scales: Scales, comm: MPI.Comm, also: Sequence[Case]) -> tuple[Domain, str]:
    """Make the mesh of an interval, rectangle or box, if there is hope of the memory for it and work for all ranks."""
    degree = case.solver.degree
    grid = grid_of(case, scales, also)
    nodes = math.prod(degree * (len(axis) - 1) + 1 for axis in grid.nodes)
    memory = _check_memory(case, comm, nodes, on_grid=True)
    if excess := too_many_ranks(comm.size, grid.cells):
        raise UsageError(excess)
    return _joined(tensor_domain(comm, grid.nodes, grid.breakpoints), case), memory


def _check_memory(case: Case, comm: MPI.Comm, nodes: int, *, on_grid: bool) -> str:
    """Return a sentence on what this machine may not hold, refuse the hopeless; ``pc_type`` overrules the preset."""
    components = case.unknowns
    linear = resolved(
        case.solver.linear, Size(case.dimension, nodes * components, case.solver.degree, comm.size, on_grid)
    )
    preconditioner = PETSc.Options().getString("pc_type", str(case.solver.petsc.get("pc_type", "")))
    if preconditioner:
        linear = "direct" if preconditioner in ("lu", "cholesky") else "iterative"
    needed = estimate(nodes, case.dimension, case.solver.degree, components, linear)
    return check_memory(comm, needed, linear, f"{nodes * components:.3g} unknowns")


def cross_section_of(case: Case, scales: Scales) -> CrossSection | None:
    """Return what stands on every point of the domain of a case."""
    if isinstance(case.domain, domain_tables.Interval) and case.domain.area is not None:
        area = area_of(case.domain)
        return Channel(lambda x: area(x * scales.length) / scales.length**2)
    if getattr(case.domain, "coordinates", "cartesian") == "axisymmetric":
        return AroundAxis(case.domain.radial)  # type: ignore[union-attr]
    return None


def _wall_charge(case: Case, scales: Scales) -> float | None:
    given = case.domain.wall_charge if isinstance(case.domain, domain_tables.Interval) else None
    return None if given is None else given.value / scales.surface_charge


def _all_species(case: Case, scales: Scales, domain: Domain) -> list[Species]:
    """Return the species, amounts spread over the domain."""
    volume = None
    if any(species.amount is not None for species in case.species):
        section = cross_section_of(case, scales)
        volume = integral(domain, None if section is None else section.weight(domain))
        volume *= scales.length**case.dimension_of_totals
    of_each = zip(case.species, scales.sizes, scales.contents.tolist(), strict=True)
    return [_species(species, size, mean_of(species, volume), content, scales) for species, size, content in of_each]


def _species(species: tables.Species, size: float, mean: float | None, content: float, scales: Scales) -> Species:
    diffusivity = species.diffusivity.value / scales.diffusivity if species.diffusivity else 1.0
    return Species(species.name, species.charge, diffusivity, None if mean is None else float(mean / content), size)


# ---- boundaries ----


def _potential_reference(case: Case, scales: Scales) -> float:
    """The middle of the potentials that the case holds, kT/e."""
    if scales.debye_length is None:
        # only drops against a solution at zero count
        return 0.0
    given = [boundary.dirichlet_potential for boundary in case.boundaries]
    values = [potential.value / scales.potential for potential in given if potential is not None]
    return 0.5 * (min(values) + max(values)) if values else 0.0


@dataclass(frozen=True)
class _Surroundings:
    """Of a boundary, see `pnp_exclusion.case.boundary_tables.Surroundings`."""

    scales: Scales
    reference: float
    reference_permittivity: float
    held: Mapping[str, Mapping[str, float]]
    total: float
    contents: Mapping[str, float]

    def content(self, species: str) -> float:
        return self.contents[species]

    def fractions(self, where: str) -> Mapping[str, float]:
        return self.held[where]

    def permittivity(self, given: float) -> float:
        return given / self.reference_permittivity

    def potential(self, given: Quantity | None) -> float | None:
        return None if given is None else given.value / self.scales.potential - self.reference


def _boundaries(case: Case, scales: Scales, domain: Domain, reference: float) -> list[BoundaryCondition]:
    """The conditions in the order of the case, then a wall for every boundary that it does not name."""
    total = scales.length ** (case.dimension_of_totals - 1)
    contents = dict(zip(case.species_names, scales.displayed_contents.tolist(), strict=True))
    surroundings = _Surroundings(
        scales, reference, reference_permittivity_of(case), fractions_of(case, scales), total, contents
    )
    listed = [
        replace(boundary.condition(surroundings), temperature=boundary.held_temperature) for boundary in case.boundaries
    ]
    for position, boundary in enumerate(case.boundaries):
        given = boundary.given_total(surroundings)
        if given is not None:
            # where the search begins: in the middle of the potentials that are held
            listed[position] = replace(listed[position], given_total=given, potential=0.0)  # type: ignore[call-arg]
    named = {boundary.where for boundary in case.boundaries}
    return listed + [Wall(name) for name in domain.boundary_facets if name not in named]


def fractions_of(case: Case, scales: Scales) -> dict[str, dict[str, float]]:
    """Return the density of every species that each boundary of a case holds or exchanges, above zero, a site.

    Zero becomes `EMPTY_SHARE` of the most that any boundary holds of the species, and no content is less than
    `LEAST_SHARE` of the most that any holds of any.
    """
    contents = dict(zip(case.species_names, scales.contents.tolist(), strict=True))
    given = {
        boundary.where: {
            name: amount / contents[name]
            for name, amount in amounts_of(boundary, case.model, case.species_names).items()
        }
        for boundary in case.boundaries
    }
    largest: dict[str, float] = {}
    for name, fraction in (item for fractions in given.values() for item in fractions.items()):
        largest[name] = max(fraction, largest.get(name, 0.0))
    of_any = max(largest.values(), default=0.0) or 1.0
    held = {
        where: {
            name: max(fraction or EMPTY_SHARE * largest[name], LEAST_SHARE * of_any)
            for name, fraction in fractions.items()
        }
        for where, fractions in given.items()
    }
    return {boundary.where: held.get(boundary.where, {}) for boundary in case.boundaries}


# ---- reactions ----


@dataclass(frozen=True)
class _Solution:
    """See `pnp_exclusion.case.reaction_tables.Surroundings`."""

    scales: Scales
    law: Law
    species: Sequence[str]
    contents: Sequence[Mapping[str, float]]

    def least(self, species: str) -> float:
        largest = max(held.get(species, 0.0) for held in self.contents)
        return EMPTY_SHARE * (largest or max(max(held.values(), default=0.0) for held in self.contents) or 1.0)

    def log_activities(self, amounts: Mapping[str, float]) -> Mapping[str, float]:
        units = zip(self.species, self.scales.contents.tolist(), strict=True)
        rho = [max(amounts.get(name, 0.0) / unit, NOTHING) for name, unit in units]
        return dict(zip(self.species, self.law.free_energy.chemical_potentials(rho), strict=True))


def _reactions(
    case: Case, scales: Scales, where: RegionCells, law: Law, partition: Mapping[str, np.ndarray]
) -> list[Reaction]:
    """The reactions in the order of the case; without a place they happen wherever all their species are."""
    if not case.reactions:
        return []
    domain = where.domain
    means = {one.name: one.mean_fraction or 0.0 for one in _all_species(case, scales, domain)}
    contents = [means, *fractions_of(case, scales).values()]
    surroundings, sides = _Solution(scales, law, case.species_names, contents), set(domain.boundary_facets)
    regions: dict[str, np.ndarray] = {one.name: cells for one, cells in zip(case.regions, where.cells, strict=True)}
    found = []
    for table in case.reactions:
        equation, at_boundary = table.stoichiometry, table.where in sides and table.where not in regions
        cells = None
        if table.where in regions:
            cells = np.zeros(domain.local_cells)
            cells[regions[table.where]] = 1.0
        elif not at_boundary and (
            given := [partition[name] for name in (*equation.reactants, *equation.products) if name in partition]
        ):
            cells = np.where(np.isposinf(np.max(given, axis=0)), 0.0, 1.0)
        found.append(
            Reaction(
                table.title,
                equation.reactants,
                equation.products,
                table.kinetics(surroundings, at_boundary),
                equation.electrons,
                table.where if at_boundary else None,
                cells,
                table.activities,
            )
        )
    return found


# ---- imposed fields ----


def fields_of(species: Sequence[tables.Species], case: Case, scales: Scales, domain: Domain) -> dict[str, ImposedField]:
    """Return the imposed fields of those species that have any."""
    return {one.name: _imposed_field(one.field, case, scales, domain) for one in species if one.field is not None}


def _imposed_field(imposed: object, case: Case, scales: Scales, domain: Domain) -> ImposedField:
    if isinstance(imposed, FieldTable):
        knots = np.array([knot.value for knot in imposed.x]) / scales.length
        low, high = (float(corner[0]) for corner in domain.bounding_box())
        slack = 1e-9 * (high - low)
        if knots[0] > low + slack or knots[-1] < high - slack:
            ends = f"{imposed.x[0].text} to {imposed.x[-1].text}"
            raise CaseError(case.path, [f"field.x runs from {ends}, but must cover the domain"])
        return TabulatedField(knots, np.array([value.value for value in imposed.values]) / scales.force)
    components = np.zeros(domain.dimension)
    if isinstance(imposed, list):
        components[:] = [component.value for component in imposed]
    else:
        components[0] = float(imposed)  # type: ignore[arg-type]
    return UniformField(components / scales.force)
