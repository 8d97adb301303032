"""What is constant on every cell, seen from the nodes between the cells."""

from __future__ import annotations

from petsc4py import PETSc

import numpy as np
from dolfinx import fem


def least_around_nodes(cellwise: np.ndarray, space: fem.FunctionSpace) -> np.ndarray:
    """Return the least value in the cells around every node of a scalar space, on whichever rank they are; collective.

    cellwise
        ``(cells,)`` of this rank.
    """
    # PETSc sends the largest values over, but not the least
    largest = fem.Function(space)
    values = largest.x.array
    values[:] = -np.inf
    np.maximum.at(values, space.dofmap.list, -cellwise[:, None])
    largest.x.petsc_vec.ghostUpdate(addv=PETSc.InsertMode.MAX, mode=PETSc.ScatterMode.REVERSE)
    largest.x.scatter_forward()
    least: np.ndarray = -values
    return least


def surrounded(chosen: np.ndarray, space: fem.FunctionSpace) -> np.ndarray:
    """Return the nodes of a scalar space, owned and ghost, around which all cells are among the chosen; collective.

    chosen
        ``(cells,)`` of this rank.
    """
    return np.flatnonzero(least_around_nodes(chosen.astype(float), space) > 0.0).astype(np.int32)
