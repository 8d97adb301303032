"""Checks the interpolation between grids on any number of ranks.

Run by ``test_linear_solvers.py``.
"""

from __future__ import annotations

from pnp_exclusion.runtime import fenicsx

fenicsx.initialise_petsc()

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from pnp_exclusion.mesh.domain import Grid
from pnp_exclusion.solver.linear.coarser_grids import grid_interpolations


def multilinear(points: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return values of a function that is linear along every axis, of points (n, dimension)."""
    return np.prod(1.0 + slopes * points, axis=1)


def coarse_points(matrix: PETSc.Mat, fine: np.ndarray) -> np.ndarray:
    """Return where the unknowns of all columns are: those of the rows that take one of them as it is.

    fine
        Points of all rows.
    """
    points = np.full((matrix.getSize()[1], fine.shape[1]), np.nan)
    for row in range(*matrix.getOwnershipRange()):
        columns, weights = matrix.getRow(row)
        if len(columns) == 1 and weights[0] == 1.0:
            points[columns[0]] = fine[row]
    found = np.nan_to_num(np.array(MPI.COMM_WORLD.allgather(points)), nan=-np.inf).max(axis=0)
    assert np.all(np.isfinite(found)), "every coarse unknown is where a fine one is"
    return found


def check(nodes: list[np.ndarray], holds: bool, breakpoints: list[list[float]] | None = None) -> int:
    """Check the levels of a grid of which every rank has some nodes; return how many there are.

    holds
        Whether the ends of the first axis are held.
    """
    comm = MPI.COMM_WORLD
    shape = [len(axis) for axis in nodes]
    # of two nodes one stands for both
    slopes = np.array([0.0 if count == 2 else 1.0 + axis for axis, count in enumerate(shape)])
    rng = np.random.default_rng(7)
    owner = rng.integers(comm.size, size=np.prod(shape))
    numbers = [rng.permutation(np.flatnonzero(owner == rank)) for rank in range(comm.size)]
    everywhere = np.concatenate(numbers)
    along = np.unravel_index(everywhere, shape, order="F")
    points = np.column_stack([axis[index] for axis, index in zip(nodes, along, strict=True)])
    held = holds & np.isin(along[0], [0, shape[0] - 1])
    first = sum(map(len, numbers[: comm.rank]))
    own = slice(first, first + len(numbers[comm.rank]))
    matrices = grid_interpolations(comm, Grid(nodes, breakpoints or [()] * len(nodes)), numbers[comm.rank], held[own])
    for matrix in reversed(matrices):
        coarser = coarse_points(matrix, points)
        coarse, fine = matrix.createVecs()
        begin, end = coarse.getOwnershipRange()
        coarse.array_w[:] = multilinear(coarser[begin:end], slopes)
        matrix.mult(coarse, fine)
        begin, end = fine.getOwnershipRange()
        exact = multilinear(points[begin:end], slopes)
        whole = np.array([abs(sum(matrix.getRow(row)[1]) - 1.0) < 1e-12 for row in range(begin, end)], dtype=bool)
        # beside what is held something is missing, and to it nothing is interpolated
        assert np.all(np.isclose(fine.array_r, exact, rtol=1e-12) == whole)
        assert holds or whole.all()
        if len(points) == len(everywhere):
            assert not fine.array_r[held[own]].any()
            assert not set(map(tuple, coarser)) & set(map(tuple, points[held]))
        points = coarser
    return len(matrices)


def main() -> None:
    """Check even, uneven and graded grids, and some that can hardly be coarsened."""
    graded = np.array([0.0, 0.01, 0.03, 0.08, 0.2, 0.4, 0.7, 1.0])
    assert check([np.linspace(0.0, 1.0, 2001)], holds=True) == 2
    assert check([graded], holds=False) == 1
    # 41 x 38 nodes, 21 x 38, 11 x 20: the second axis only where it is as fine as the first
    assert check([np.linspace(0.0, 1.0, 41), np.linspace(0.0, 2.0, 38)], holds=True) == 2
    assert check([graded, np.linspace(0.0, 1.0, 12), graded], holds=True) == 1
    # 9 x 65 x 33 nodes, 9 x 33 x 17, 9 x 17 x 9, 9 x 9 x 5
    assert check([np.arange(9.0), np.linspace(0.0, 1.0, 65), np.linspace(0.0, 1.0, 33)], holds=False) == 3
    # 2 x 65 x 33 nodes, 1 x 65 x 33, 1 x 33 x 17, 1 x 17 x 9
    assert check([np.linspace(0.0, 0.01, 2), np.linspace(0.0, 2.0, 65), np.linspace(0.0, 1.0, 33)], holds=False) == 3
    assert check([np.arange(2.0), np.arange(2.0), np.arange(2.0)], holds=False) == 1
    # 5 x 101 x 101 nodes, 3 x 101 x 101, and then one layer between held ends: 51 x 51, 26 x 26, 14 x 14
    gap = [np.linspace(0.0, 0.004, 5), np.linspace(0.0, 1.0, 101), np.linspace(0.0, 1.0, 101)]
    assert check(gap, holds=True) == 4
    # a barrier one cell thick stays until a grid has hardly any other nodes
    assert check([np.linspace(0.0, 1.0, 2001)], holds=True, breakpoints=[[0.5, 0.5005]]) == 2
    # nothing between the held ends would be left
    assert check([np.arange(3.0)], holds=True) == 0
    print("equal", flush=True)


if __name__ == "__main__":
    main()
