"""Compares the matrices of the fields with those that PETSc cuts out, on any number of ranks.

Run by ``test_linear_solvers.py``.
"""

from __future__ import annotations

from pnp_exclusion.runtime import fenicsx

fenicsx.initialise_petsc()

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from assembly_check import case

import pnp_exclusion as pnp
from pnp_exclusion.case.build import build
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.solver.assembly.assembly import BatchedAssembly
from pnp_exclusion.solver.linear.block_matrices import WEAK, FieldMatrices
from pnp_exclusion.solver.linear.fields import _grid_of


def rows(matrix: PETSc.Mat) -> list[dict[int, float]]:
    """Return the entries of this rank's rows."""
    return [dict(zip(*matrix.getRow(row), strict=True)) for row in range(*matrix.getOwnershipRange())]


def check_sums(taken: PETSc.Mat, exact: PETSc.Mat) -> None:
    """Check that a field's own matrix does to constants what the exact one does."""
    for here, there in zip(rows(taken), rows(exact), strict=True):
        assert abs(sum(here.values()) - sum(there.values())) <= 1e-13 * sum(map(abs, there.values()))


def check_choice(taken: PETSc.Mat, exact: PETSc.Mat, numbers: np.ndarray, strides: np.ndarray) -> int:
    """Check which couplings a field's own matrix leaves out; return how many.

    numbers
        In the grid, of the nodes of all ranks.
    """
    left_out, first = 0, exact.getOwnershipRange()[0]
    along = [
        {column: abs(numbers[column] - numbers[row]) in strides for column in there}
        for row, there in enumerate(rows(exact), start=first)
    ]
    least_here = [
        min((abs(there[c]) for c in there if is_along[c] and there[c] != 0.0), default=0.0)
        for there, is_along in zip(rows(exact), along, strict=True)
    ]
    least = np.concatenate(exact.comm.tompi4py().allgather(np.array(least_here)))
    for row, (here, there) in enumerate(zip(rows(taken), rows(exact), strict=True), start=first):
        for column, value in there.items():
            kept = along[row - first][column] or column == row or abs(value) > WEAK * min(least[row], least[column])
            assert (column in here) == kept
            assert column == row or not kept or here[column] == value
        left_out += len(there) - len(here)
    return left_out


def check(assembly: BatchedAssembly, whole: bool) -> int:
    """Check all parts; return how many couplings within fields are left out."""
    matrix, fields = assembly.matrix, assembly.discrete.layout.size
    first, end = matrix.getOwnershipRange()
    grid = _grid_of(assembly.discrete)
    assert grid is not None
    numbers = np.concatenate(matrix.comm.tompi4py().allgather(grid[1]))
    matrices, left_out = FieldMatrices(matrix, fields, whole, grid), 0
    everything = PETSc.IS().createStride(end - first, first, 1, comm=matrix.comm)
    chosen = [
        PETSc.IS().createStride((end - first) // fields, first + k, fields, comm=matrix.comm) for k in range(fields)
    ]
    # the second time all values are others
    for round_ in range(2):
        assembly.discrete.unknown.x.array[:] += 0.1 * round_
        assembly.fill_jacobian()
        matrices.changed()
        for field, unknowns in enumerate(chosen):
            own = matrices.operator.createSubMatrix(unknowns, unknowns)
            exact = matrix.createSubMatrix(unknowns, unknowns)
            check_sums(own, exact)
            if round_ == 0:
                left_out += check_choice(own, exact, numbers, grid[0].strides)
            exact = matrix.createSubMatrix(unknowns, everything)
            coupling = matrices.operator.createSubMatrix(unknowns, everything)
            for here, there in zip(rows(coupling), rows(exact), strict=True):
                wanted = {c: v for c, v in there.items() if v != 0.0 and (whole or c % fields < field)}
                assert {c: v for c, v in here.items() if v != 0.0} == wanted
            before = matrices.operator.createSubMatrix(unknowns, chosen[0])
            exact = matrix.createSubMatrix(unknowns, chosen[0])
            assert field == 0 or rows(before) == rows(exact)
    matrices.close()
    return matrix.comm.tompi4py().allreduce(left_out, op=MPI.SUM)


def main() -> None:
    """Check the laws that couple fields least and most, with the couplings to fields before and to all."""
    for law in ("pnp", "shdl"):
        for whole in (False, True):
            discrete = Discretisation(build(pnp.make_case(case(law, 3))).problem, 1)
            discrete.unknown.interpolate(lambda x: [-2.0 + 0.5 * np.sin(3.0 * (k + 1) * x[0] + x[1]) for k in range(3)])
            discrete.set_drive(1.0)
            assembly = BatchedAssembly(discrete)
            assert check(assembly, whole) > 0, "the cases are to have weak couplings"
            assembly.close()
    print("equal", flush=True)


if __name__ == "__main__":
    main()
