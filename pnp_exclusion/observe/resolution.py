"""Whether the cells at a boundary can hold the layer that the solution has there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation, NodalValues
from pnp_exclusion.mesh.sizes import cells_at, heights


@dataclass(frozen=True)
class CoarseCells:
    """The cell of a boundary that is largest beside its layer.

    size, layer
        Height of the cell over the boundary, and thickness ``lambda sqrt(eps/|sum z rho + q|)`` of the layer, within
        which the charge at the boundary alone makes the potential fall by about kT/e. In units of L.
    """

    where: str
    size: float
    layer: float


def coarsest_cells(discrete: Discretisation, nodal: NodalValues) -> list[CoarseCells]:
    """Return the coarsest cell of every boundary that holds a potential; collective.

    nodal
        Of the solution in the unknown.

    The charge density at the wall is known however coarse the cells are, because what determines it, potentials and
    contents, is held there or constant across the layer. Without charge there is no layer: it is infinitely thick.
    """
    problem = discrete.problem
    if not problem.coupled or problem.is_adrift:
        return []
    beside = discrete.forms.kept("cells beside the boundaries", lambda: _cells_beside(discrete))
    fixed = float(discrete.parameters.load_parameter.value) * problem.immobile_charge[beside.cells]
    eta, energies = nodal.eta[:, beside.nodes], discrete.partition_of_cells
    eta = eta if energies is None else eta - energies[:, beside.cells]
    charge = np.abs(problem.charge_density(problem.law.free_energy.densities(list(eta))[1:], fixed))
    ratios = beside.sizes * np.sqrt(charge / problem.permittivity[beside.cells]) / (problem.debye_length or 1.0)
    worst = [(float(ratios[part].max(initial=0.0)), part) for part in beside.parts]
    here = [(ratio, float(beside.sizes[part][ratios[part].argmax()]) if ratio else 0.0) for ratio, part in worst]
    everywhere = [max(several) for several in zip(*problem.domain.comm.allgather(here), strict=True)]
    return [
        CoarseCells(where, size, size / ratio if ratio else np.inf)
        for where, (ratio, size) in zip(beside.boundaries, everywhere, strict=True)
    ]


@dataclass(frozen=True)
class _Beside:
    """The nodes of boundaries that hold a potential, once for every owned cell there, one boundary after the other.

    nodes, cells, sizes
        ``(n,)``: node, cell, and height of the cell over the boundary.
    parts
        Those of each boundary.
    """

    boundaries: list[str]
    nodes: np.ndarray
    cells: np.ndarray
    sizes: np.ndarray
    parts: list[slice]


def _cells_beside(discrete: Discretisation) -> _Beside:
    domain, space = discrete.problem.domain, discrete.space
    boundaries = [boundary.where for boundary in discrete.problem.boundaries if boundary.applied_potential is not None]
    found = []
    for where in boundaries:
        facets, cells = cells_at(domain, domain.boundary_facets[where])
        sizes, dofs = heights(domain, facets, cells), np.asarray(space.dofmap.list)[cells]
        at_wall = fem.locate_dofs_topological(space, domain.dimension - 1, domain.boundary_facets[where])
        of_cells, which = np.nonzero(np.isin(dofs, at_wall))
        found.append((dofs[of_cells, which], cells[of_cells], sizes[of_cells]))
    ends = np.cumsum([0, *(len(nodes) for nodes, _, _ in found)])
    nodes, cells, sizes = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return _Beside(boundaries, nodes, cells, sizes, [slice(a, b) for a, b in pairwise(ends)])
