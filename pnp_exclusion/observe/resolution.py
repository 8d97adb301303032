"""Whether the cells at a boundary can hold the layer that the solution has there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from dolfinx import fem

from pnp_exclusion.mesh.sizes import cells_at, heights
from pnp_exclusion.weakform import WeakForm


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


def coarsest_cells(weak_form: WeakForm) -> list[CoarseCells]:
    """Return the coarsest cell of every boundary that holds a potential; collective.

    The charge density at the wall is known however coarse the cells are, because what determines it, potentials and
    contents, is held there or constant across the layer. Without charge there is no layer: it is infinitely thick.
    """
    problem = weak_form.problem
    if not problem.coupled:
        return []
    nodes = weak_form.unknown.x.array.reshape(-1, weak_form.components)
    found = []
    for boundary in problem.boundaries:
        if boundary.held_potential is None:
            continue
        cells, at_wall, dofs, sizes = weak_form.kept(
            f"cells at {boundary.where}", partial(_cells_beside, weak_form, boundary.where)
        )
        eta, _ = weak_form.nodal_potentials(nodes[dofs.ravel()])
        rho = problem.law.free_energy.densities(list(eta))[1:]
        mobile = sum(z.value * r for z, r in zip(weak_form.charges, rho, strict=True)).reshape(dofs.shape)
        fixed = float(weak_form.drive.value) * problem.fixed_charge.x.array[cells]
        charge = np.where(at_wall, np.abs(mobile + fixed[:, None]), 0.0).max(axis=1, initial=0.0)
        squares = charge / ((problem.debye_length or 1.0) ** 2 * problem.permittivity.x.array[cells])
        ratios = sizes * np.sqrt(squares)
        pairs = zip(ratios.tolist(), sizes.tolist(), strict=True)
        found.append((boundary.where, *max(pairs, default=(0.0, 0.0))))
    gathered = problem.domain.comm.allgather(found)
    worst = [max(several, key=lambda one: one[1:]) for several in zip(*gathered, strict=True)]
    return [CoarseCells(where, size, size / ratio if ratio else np.inf) for where, ratio, size in worst]


def _cells_beside(weak_form: WeakForm, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the owned cells at a boundary, which of their nodes lie on it, their nodes, and their heights over it."""
    domain, space = weak_form.problem.domain, weak_form.space
    facets, cells = cells_at(domain, domain.boundary_facets[where])
    dofs = np.asarray(space.dofmap.list)[cells]
    on_boundary = np.zeros(space.dofmap.index_map.size_local + space.dofmap.index_map.num_ghosts, dtype=bool)
    on_boundary[fem.locate_dofs_topological(space, domain.dimension - 1, domain.boundary_facets[where])] = True
    return cells, on_boundary[dofs], dofs, heights(domain, facets, cells)
