"""Compares the matrices of the fields with those that PETSc cuts out, on any number of ranks.

Run by ``test_linear_solvers.py``.
"""

from __future__ import annotations

from pnp_exclusion.runtime import fenicsx

fenicsx.initialise_petsc()

from petsc4py import PETSc

import numpy as np
from assembly_check import case

import pnp_exclusion as pnp
from pnp_exclusion.case.build import build
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.solver.assembly.assembly import Assembly, BatchedAssembly
from pnp_exclusion.solver.linear.block_matrices import FieldMatrices


def rows(matrix: PETSc.Mat) -> list[dict[int, float]]:
    """Return the entries of this rank's rows."""
    return [dict(zip(*matrix.getRow(row), strict=True)) for row in range(*matrix.getOwnershipRange())]


def check(assembly: Assembly, whole: bool) -> None:
    """Check all parts."""
    matrix, fields = assembly.matrix, assembly.discrete.layout.size
    first, end = matrix.getOwnershipRange()
    matrices = FieldMatrices(matrix, fields, whole)
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
            for other, columns in enumerate(chosen):
                exact = rows(matrix.createSubMatrix(unknowns, columns))
                assert rows(matrices.operator.createSubMatrix(unknowns, columns)) == exact, (field, other)
            exact = rows(matrix.createSubMatrix(unknowns, everything))
            coupling = rows(matrices.operator.createSubMatrix(unknowns, everything))
            for here, there in zip(coupling, exact, strict=True):
                wanted = {c: v for c, v in there.items() if v != 0.0 and (whole or c % fields < field)}
                assert {c: v for c, v in here.items() if v != 0.0} == wanted
    matrices.close()


def main() -> None:
    """Check the laws that couple fields least and most, with the couplings to fields before and to all.

    Of matrices on arrays of ours and of DOLFINx'.
    """
    for law in ("pnp", "shdl"):
        for way in (BatchedAssembly, Assembly):
            for whole in (False, True):
                discrete = Discretisation(build(pnp.make_case(case(law, 3))).problem, 1)
                discrete.unknown.interpolate(
                    lambda x: [-2.0 + 0.5 * np.sin(3.0 * (k + 1) * x[0] + x[1]) for k in range(3)]
                )
                discrete.set_load_parameter(1.0)
                assembly = way(discrete)
                check(assembly, whole)
                assembly.close()
    print("equal", flush=True)


if __name__ == "__main__":
    main()
