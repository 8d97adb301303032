"""What a case asks of its mesh file: conditions that are kept where they are given, parts that something determines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from mpi4py import MPI

import numpy as np

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.parts import Parts
from pnp_exclusion.physics.boundaries import BoundaryCondition, Exchange, PrescribedFlux, RegulatedWall, Wall
from pnp_exclusion.physics.cross_sections import AroundAxis
from pnp_exclusion.physics.problem import Problem

JOIN = (
    "let touching pieces of the drawing share their borders before it is meshed (in gmsh: BooleanFragments, "
    "occ.fragment, or Coherence)"
)
ON_AXIS = 1e-9
"""Of the extent: what is nearer to r = 0 is on the axis."""
MOST_SHOWN = 5
"""Parts that are described one by one."""


def require_usable_mesh(case: Case, scales: Scales, problem: Problem) -> None:
    """Raise `CaseError` on every rank if the mesh cannot carry what the case gives; collective."""
    domain, conditions = problem.domain, listed_conditions(case, problem)
    mistakes = [
        *_not_refinable(case, domain),
        *_without_facets(domain, conditions),
        *_ignored_inside(problem, conditions),
        *_charged_on_surface(problem, conditions),
        *_contradictions(domain, conditions),
        *_undetermined_parts(problem, scales),
    ]
    if mistakes:
        raise CaseError(case.path, mistakes)


def _not_refinable(case: Case, domain: Domain) -> Iterator[str]:
    """Cells that cannot be bisected, in a case that wants an accuracy."""
    kind = domain.mesh.topology.cell_name()
    if case.solver.accuracy is not None and kind not in ("interval", "triangle", "tetrahedron"):
        bent = " of second order" if domain.mesh.geometry.cmaps[0].degree > 1 else ""
        yield (
            f"[solver]: cells are refined for an accuracy by bisection, which those of this mesh, of the kind {kind}"
            f"{bent}, cannot be; mesh it with triangles or tetrahedra, or leave out accuracy"
        )


def require_axis(case: Case, problem: Problem) -> None:
    """Raise `CaseError` if the domain reaches across its axis, or if the case gives something on it; collective.

    Whatever is given on the axis would have no area.
    """
    if not isinstance(problem.cross_section, AroundAxis):
        return
    domain, radial = problem.domain, problem.cross_section.radial
    mistakes = []
    low, high = (float(corner[radial]) for corner in domain.bounding_box())
    if low < -ON_AXIS * (high - low):
        mistakes.append(
            f"[domain]: the axis is at {'xy'[radial]} = 0, but the domain reaches across it, to {low:.4g} of its "
            "length; draw one half, or move the drawing"
        )
    for condition in listed_conditions(case, problem):
        if isinstance(condition, Wall) and condition.charge is None:
            continue
        areas = problem.facet_areas(domain.boundary_facets[condition.where])
        if domain.comm.allreduce(float(areas.max(initial=0.0)), op=MPI.MAX) < ON_AXIS * high**2:
            mistakes.append(
                f'[[boundaries]] "{condition.where}": it is the axis, where nothing can be given; remove it'
            )
    if mistakes:
        raise CaseError(case.path, mistakes)


def listed_conditions(case: Case, problem: Problem) -> list[BoundaryCondition]:
    """Return the conditions that the case gives, without the walls that stand where it says nothing."""
    return list(problem.boundaries[: len(case.boundaries)])


def inner_facets(domain: Domain, name: str) -> int:
    """Return how many facets of a boundary have cells on both sides, over all ranks; collective."""
    return int(domain.comm.allreduce(len(np.setdiff1d(domain.owned_facets(name), domain.exterior_facets))))


def shared_facets(
    domain: Domain, conditions: Sequence[BoundaryCondition]
) -> Iterator[tuple[BoundaryCondition, BoundaryCondition, int]]:
    """Yield every two conditions that are given on the same facets, and how many these are; collective."""
    for first, second in combinations(conditions, 2):
        both = np.intersect1d(domain.owned_facets(first.where), domain.owned_facets(second.where))
        if count := int(domain.comm.allreduce(len(both))):
            yield first, second, count


def facets_in_words(count: int) -> str:
    """Return a number of facets as words."""
    return f"{count} facet{'s' * (count != 1)}"


def _without_facets(domain: Domain, conditions: Sequence[BoundaryCondition]) -> Iterator[str]:
    for name in (condition.where for condition in conditions):
        found, stray = domain.comm.allreduce(len(domain.owned_facets(name))), domain.stray_facets.get(name, 0)
        if stray:
            yield (
                f'[[boundaries]] "{name}": {stray} of the {found + stray} elements in this group of the mesh file are '
                "not facets of its cells; mesh both together"
            )
        elif not found:
            yield f'[[boundaries]] "{name}": this group of the mesh file is empty; mesh that boundary too'


def _ignored_inside(problem: Problem, conditions: Sequence[BoundaryCondition]) -> Iterator[str]:
    """Conditions on facets inside the domain that would not be kept: only what is held at nodes is."""
    for condition in conditions:
        held = condition.dirichlet_fractions
        ignored = {
            PrescribedFlux: "no flux can be given",
            Exchange: "nothing is exchanged at a rate",
            Wall: 'nothing is blocked (a charge alone is of kind = "interface")',
            RegulatedWall: "nothing is blocked",
        }.get(type(condition))
        if condition.applied_potential != condition.dirichlet_potential:
            ignored = "an electrode has no Stern layer"
        if ignored is None and problem.law.crowded and 0 < len(held) < len(problem.species):
            ignored = f"no single species can be held with a crowded law, but it holds {', '.join(held)}"
        if ignored and (inside := inner_facets(problem.domain, condition.where)):
            yield (
                f'[[boundaries]] "{condition.where}": {facets_in_words(inside)} of this group have cells on both '
                f"sides, and inside the domain {ignored}; keep the group to the surface of the mesh (for a wall or "
                "an electrode inside cut it out of the drawing), or leave out this boundary"
            )


def _charged_on_surface(problem: Problem, conditions: Sequence[BoundaryCondition]) -> Iterator[str]:
    """Charges between cells on facets that have cells on one side only."""
    domain = problem.domain
    for condition in conditions:
        there = np.intersect1d(domain.owned_facets(condition.where), domain.exterior_facets)
        if condition.inside and (outside := domain.comm.allreduce(len(there))):
            yield (
                f'[[boundaries]] "{condition.where}": an interface is inside the domain, but '
                f"{facets_in_words(outside)} of this group are on the surface of the mesh; give those as a group of "
                "their own to a wall"
            )


def _contradictions(domain: Domain, conditions: Sequence[BoundaryCondition]) -> Iterator[str]:
    for first, second, count in shared_facets(domain, conditions):
        pair = f'[[boundaries]] "{first.where}" and "{second.where}"'
        if replace(first, where=second.where) != second:
            yield (
                f"{pair} share {facets_in_words(count)}, but do not give the same conditions; take these facets out "
                "of one of the two groups, or give both the same"
            )
        elif count == domain.comm.allreduce(len(domain.owned_facets(second.where))):
            yield f'{pair}: every facet of the second is one of the first; leave out "{second.where}"'


# ---- parts ----


def part_in_words(domain: Domain, scales: Scales, number: int, parts: Parts | None = None) -> str:
    """Return the number of a part, of the mesh if not of others, its regions, cells and place; collective."""
    owned = domain.mesh.topology.index_map(domain.dimension).size_local
    inside = (parts or domain.parts).of_cells == number
    names = [
        f'"{name}"' for name, cells in domain.region_cells.items() if domain.comm.allreduce(int(inside[cells].sum()))
    ]
    count = domain.comm.allreduce(int(inside[:owned].sum()))
    nodes = np.unique(domain.mesh.geometry.dofmaps[0][inside])
    where = place_in_words(domain.comm, scales, domain.mesh.geometry.x[nodes, : domain.dimension])
    return f"part {number + 1} ({', '.join([*names, f'{count} cell{"s" * (count != 1)}'])}, {where})"


def place_in_words(comm: MPI.Comm, scales: Scales, points: np.ndarray) -> str:
    """Return the box that holds the points ``(n, dimension)`` of all ranks, in the case's units; collective."""
    low, high = points.min(axis=0, initial=np.inf), points.max(axis=0, initial=-np.inf)
    comm.Allreduce(MPI.IN_PLACE, low, op=MPI.MIN)
    comm.Allreduce(MPI.IN_PLACE, high, op=MPI.MAX)
    corners = [", ".join(f"{x * scales.length_in_unit:.4g}" for x in corner) for corner in (low, high)]
    unit = f" {scales.length_unit}" if scales.si else ""
    if corners[0] == corners[1]:
        return f"at ({corners[0]}){unit}"
    return f"from ({corners[0]}) to ({corners[1]}){unit}"


def _undetermined_parts(problem: Problem, scales: Scales) -> Iterator[str]:
    """Parts in which some unknown is fixed by no boundary, where another part has what would fix it."""
    domain = problem.domain
    if domain.parts.count == 1:
        return
    unknowns = [*(["potential"] if problem.coupled else []), *problem.names]
    held = {unknown: np.zeros(domain.parts.count, dtype=np.int32) for unknown in unknowns}
    for boundary in problem.boundaries:
        holds = [name for name in problem.names if boundary.supplies(name)]
        if problem.coupled and boundary.applied_potential is not None and boundary.given_total is None:
            holds.append("potential")
        for unknown in holds:
            held[unknown][_parts_at(domain, boundary.where)] = 1
    for flags in held.values():
        domain.comm.Allreduce(MPI.IN_PLACE, flags, op=MPI.MAX)
    missing = {
        number: [unknown for unknown in unknowns if not held[unknown][number]] for number in range(domain.parts.count)
    }
    wanting = [number for number, unknowns in missing.items() if unknowns]
    for number in wanting[:MOST_SHOWN]:
        names = ["the potential" if unknown == "potential" else f'"{unknown}"' for unknown in missing[number]]
        part = part_in_words(domain, scales, number)
        yield (
            f"the mesh is in {domain.parts.count} parts that share no facets, and {part} touches no boundary that "
            f"holds {' or '.join(names)}, so nothing determines its state: {JOIN}, or let a reservoir or an electrode "
            "hold them there"
        )
    if len(wanting) > MOST_SHOWN:
        yield f"{len(wanting) - MOST_SHOWN} more parts of the mesh are like this"


def _parts_at(domain: Domain, name: str) -> np.ndarray:
    """Return the parts of the cells at the local facets of a boundary."""
    topology = domain.mesh.topology
    cells_of_facets = topology.connectivity(domain.dimension - 1, domain.dimension)
    cells = [cells_of_facets.links(facet)[0] for facet in domain.boundary_facets[name]]
    return np.unique(domain.parts.of_cells[cells]) if cells else np.empty(0, dtype=int)
