"""GMRES over arrays of this rank: its norm is that of the preconditioned residual, a change of the unknowns in kT.

A depleted species' equations are 1e-30 of the others'; only a norm of the unknowns counts them.
"""

from __future__ import annotations

from collections.abc import Callable

from mpi4py import MPI

import numpy as np

type Apply = Callable[[np.ndarray], np.ndarray]


def gmres(
    comm: MPI.Comm, operator: Apply, preconditioner: Apply, right: np.ndarray, tolerance: float, most: int
) -> tuple[np.ndarray, int, bool]:
    """Solve a linear system, the preconditioner from the left; collective.

    tolerance
        Of the preconditioned residual, relative to what it is in the beginning.
    most
        Iterations at most.

    Returns the solution, the iterations that it took, and whether it is one.
    """
    residual = preconditioner(right)
    begin = _norm(comm, residual)
    if begin == 0.0 or not np.isfinite(begin):
        return residual, 0, begin == 0.0
    basis = [residual / begin]
    hessenberg = np.zeros((most + 1, most))
    target, coefficients, reached = np.zeros(most + 1), np.zeros(0), 1.0
    target[0] = begin
    for k in range(most):
        vector = preconditioner(operator(basis[k]))
        # twice, or the basis loses its orthogonality
        for _ in range(2):
            shares = comm.allreduce(np.array([v @ vector for v in basis]), op=MPI.SUM)
            hessenberg[: k + 1, k] += shares
            for share, v in zip(shares, basis, strict=True):
                vector = vector - share * v
        size = _norm(comm, vector)
        hessenberg[k + 1, k] = size
        if not np.isfinite(size):
            return residual, k + 1, False
        coefficients, *_ = np.linalg.lstsq(hessenberg[: k + 2, : k + 1], target[: k + 2], rcond=None)
        left = hessenberg[: k + 2, : k + 1] @ coefficients - target[: k + 2]
        reached = float(np.linalg.norm(left)) / begin
        if reached < tolerance or size < 1e-14 * begin:
            break
        basis.append(vector / size)
    solution = np.zeros_like(right)
    for share, v in zip(coefficients, basis, strict=False):
        solution += share * v
    return solution, len(coefficients), bool(reached < tolerance)


def _norm(comm: MPI.Comm, values: np.ndarray) -> float:
    return float(np.sqrt(comm.allreduce(float(values @ values), op=MPI.SUM)))
