"""Several vectors at once, arrays ``(vectors, owned)`` of the unknowns that a rank owns; all is collective."""

from __future__ import annotations

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from numpy.typing import NDArray

type Real = NDArray[np.float64]


def sizes_of(comm: MPI.Comm, vectors: Real) -> Real:
    """Return the largest absolute value of each."""
    sizes: Real = np.abs(vectors).max(axis=1, initial=0.0)
    comm.Allreduce(MPI.IN_PLACE, sizes, op=MPI.MAX)
    return sizes


def times(matrix: PETSc.Mat, vectors: Real, factor: PETSc.Vec, product: PETSc.Vec) -> Real:
    """Return the products of a square matrix with each.

    factor, product
        Vectors of its rows, to work with.
    """
    found = np.empty_like(vectors)
    for row, vector in zip(found, vectors, strict=True):
        factor.array_w[:] = vector
        matrix.mult(factor, product)
        row[:] = product.array_r
    return found
