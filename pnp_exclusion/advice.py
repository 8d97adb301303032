"""What is allowed in a case but deserves a word: charges that do not balance, layers that the mesh does not resolve."""

from __future__ import annotations

from collections.abc import Iterator

from mpi4py import MPI

import numpy as np

from pnp_exclusion.build import Setup
from pnp_exclusion.case import Gmsh
from pnp_exclusion.layers import thinnest_layers

NEUTRAL = 1e-6
"""Of the ions' own charge."""
CELLS_IN_LAYER = 1.0
"""A layer with fewer cells than this across it is not resolved."""
NEARLY_FULL = 0.95


def advice(setup: Setup) -> list[str]:
    """Return one sentence for everything that the user should know before trusting the numbers; collective."""
    return [*_charged_reservoirs(setup), *_packing(setup), *_empty(setup), *_unresolved(setup)]


def _charged_reservoirs(setup: Setup) -> Iterator[str]:
    for where, (mobile, fixed) in _reservoir_charges(setup).items():
        if not _balanced(setup, where, mobile, fixed):
            yield (
                f'boundary "{where}": the charge of its ions ({_concentration(setup, mobile)}) does not balance '
                f"the fixed charge beside it ({_concentration(setup, fixed)}); a diffuse layer will form there"
            )


def _reservoir_charges(setup: Setup) -> dict[str, tuple[float, float]]:
    """Charge of the ions and of the medium beside every boundary that holds all species."""
    problem = setup.problem
    if not problem.coupled:
        return {}
    return {
        boundary.where: (
            sum(species.charge * boundary.held_fractions[species.name] for species in problem.species),
            _mean_beside(setup, boundary.where, problem.fixed_charge.x.array),
        )
        for boundary in problem.boundaries
        if len(boundary.held_fractions) == len(problem.species)
    }


def _balanced(setup: Setup, where: str, mobile: float, fixed: float) -> bool:
    held = next(boundary for boundary in setup.problem.boundaries if boundary.where == where).held_fractions
    scale = sum(abs(species.charge) * held[species.name] for species in setup.problem.species) + abs(fixed)
    return abs(mobile + fixed) <= NEUTRAL * scale


def _is_neutral_reservoir(setup: Setup, where: str) -> bool:
    """Whether no diffuse layer is expected at a boundary because its ions balance the charge beside it."""
    charges = _reservoir_charges(setup).get(where)
    return charges is not None and _balanced(setup, where, *charges)


def _concentration(setup: Setup, fraction: float) -> str:
    if not setup.scales.si:
        return f"{fraction:+.4g}"
    return f"{fraction * setup.scales.displayed_concentration:+.4g} mol/L"


def _packing(setup: Setup) -> Iterator[str]:
    problem = setup.problem
    if not problem.law.crowded:
        return
    for boundary in problem.boundaries:
        packing = sum(boundary.held_fractions.values())
        if packing > NEARLY_FULL:
            yield f'boundary "{boundary.where}": the species fill {packing:.4g} of the space'
    valence = max((abs(species.charge) for species in problem.species), default=0.0)
    if not problem.coupled:
        return
    fixed = problem.domain.comm.allreduce(float(np.abs(problem.fixed_charge.x.array).max(initial=0.0)), op=MPI.MAX)
    if fixed > NEARLY_FULL * valence:
        yield (
            f"a fixed charge of {fixed:.4g} elementary charges a site is more than ions of valence {valence:g} "
            "can comfortably compensate: one a site is the limit"
        )


def _empty(setup: Setup) -> Iterator[str]:
    for boundary in setup.case.boundaries:
        empty = [name for name, amount in getattr(boundary, "amounts", {}).items() if amount == 0.0]
        if empty:
            yield (
                f'boundary "{boundary.where}": {", ".join(empty)} is 0 there; the fraction 1e-12 is used instead, '
                "since the unknowns are logarithms"
            )


def _unresolved(setup: Setup) -> Iterator[str]:
    scales = setup.scales
    unit = f" {scales.length_unit}" if scales.si else ""
    cure = "refine the mesh file there" if isinstance(setup.case.domain, Gmsh) else "leave out domain.cells"
    for name, thickness in sorted(thinnest_layers(setup.case, scales).items()):
        if _is_neutral_reservoir(setup, name):
            continue
        size = _cell_size_beside(setup, name)
        if size > thickness / CELLS_IN_LAYER:
            layer, cell = (f"{length * scales.length_in_unit:.3g}{unit}" for length in (thickness, size))
            yield f'boundary "{name}": its layer is about {layer} thick, but the cells there measure {cell}; {cure}'


def _beside(setup: Setup, where: str) -> np.ndarray:
    """Owned cells that touch a boundary."""
    mesh = setup.problem.domain.mesh
    dimension = setup.problem.domain.dimension
    mesh.topology.create_connectivity(dimension - 1, dimension)
    to_cells = mesh.topology.connectivity(dimension - 1, dimension)
    facets = setup.problem.domain.boundary_facets[where]
    cells = np.unique(np.concatenate([to_cells.links(facet) for facet in facets] or [np.empty(0, dtype=np.int32)]))
    return cells[cells < mesh.topology.index_map(dimension).size_local].astype(np.int32)


def _mean_beside(setup: Setup, where: str, values: np.ndarray) -> float:
    cells, comm = _beside(setup, where), setup.problem.domain.comm
    return float(comm.allreduce(values[cells].sum()) / max(1, comm.allreduce(len(cells))))


def _cell_size_beside(setup: Setup, where: str) -> float:
    """Largest smallest-height of the cells at a boundary: cells may be long along it."""
    mesh = setup.problem.domain.mesh
    heights = [0.0]
    for cell in _beside(setup, where):
        points = mesh.geometry.x[mesh.geometry.dofmap[cell]]
        heights.append(_smallest_height(points))
    return float(setup.problem.domain.comm.allreduce(max(heights), op=MPI.MAX))


def _smallest_height(points: np.ndarray) -> float:
    """The smallest height of a simplex from its vertices ``(d + 1, 3)``."""
    edges = points[1:] - points[0]
    dual = np.linalg.pinv(edges).T
    lengths = [*np.linalg.norm(dual, axis=1), np.linalg.norm(dual.sum(axis=0))]
    return 1.0 / max(lengths)
