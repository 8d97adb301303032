"""The unknown on finer cells: what the polynomials of their parents are there."""

from __future__ import annotations

import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.mesh.refine import Children

CHUNK = 20_000
"""Cells at a time."""


def transfer(coarse: Discretisation, fine: Discretisation, children: Children) -> None:
    """Write the unknown of a discretisation into that of one on the children of its cells, of the same degree.

    Collective. Cells may have been shared out anew since.
    """
    mesh = fine.problem.domain.mesh
    if children.mesh is mesh:
        _on_children(coarse, fine.unknown, children)
        return
    before = fem.Function(fem.functionspace(children.mesh, fine.space.ufl_element()))
    _on_children(coarse, before, children)
    cells = np.arange(fine.problem.domain.local_cells, dtype=np.int32)
    # at nodes on edges that are bent there may be no cell of before
    data = fem.create_interpolation_data(fine.space, before.function_space, cells, padding=1e-6)
    fine.unknown.interpolate_nonmatching(before, cells, data)
    fine.unknown.x.scatter_forward()


def _on_children(coarse: Discretisation, target: fem.Function, children: Children) -> None:
    space, size = target.function_space, coarse.layout.size
    element = space.sub(0).element.basix_element if size > 1 else space.element.basix_element
    values, found = coarse.layout.at_nodes(coarse.values), coarse.layout.at_nodes(target.x.array)
    points = children.in_parents(element.points)
    for start in range(0, len(points), CHUNK):
        here = slice(start, min(start + CHUNK, len(points)))
        inside = points[here]
        shapes = element.tabulate(0, inside.reshape(-1, inside.shape[-1]))[0, :, :, 0].reshape(*inside.shape[:2], -1)
        of_parents = values[coarse.space.dofmap.list[children.parents[here]]]
        found[space.dofmap.list[here]] = np.einsum("cpn,cnu->cpu", shapes, of_parents)
    target.x.scatter_forward()
