#!/bin/sh
# Basix' default rules on tetrahedra of degree 3, 7 and 8 have negative weights: a positive density integrates to less
# than nothing.
#
# Versions: dolfinx-solver-real 0.11.0.post0, fenics-ufl 2026.1.0, numpy 2.5.5.
#
# Problem: a cube of 6 tetrahedra, on it the density exp(-60 r^2) around the middle of every cell, which is positive
# everywhere and nearly zero away from these middles, integrated with quadrature_degree 1 to 9.
# Expected: positive numbers, more or less accurate ones.
# Seen: degrees 3, 7 and 8 have a point of negative weight (-0.13 of a cell at degree 3: the middle itself), and degree 3
# gives an integral below zero. Triangles, quadrangles, hexahedra, prisms and pyramids have none up to degree 30.
# Why it matters here: densities of ions change by orders of magnitude within a cell. With such a rule a mass or a
# charge can have the wrong sign, a residual can vanish where densities do not, and the matrix of a storage term need
# not be positive definite. Ask for the next degree whose weights are all positive.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet dolfinx-solver-real==0.11.0.post0 fenics-ufl==2026.1.0 numpy==2.5.5
"$folder/venv/bin/python" - <<'PY'
import sys

import dolfinx_solver  # noqa: F401
import basix
import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

kinds = ("triangle", "quadrilateral", "tetrahedron", "hexahedron", "prism", "pyramid")
negative = {
    kind: [d for d in range(1, 31) if basix.make_quadrature(getattr(basix.CellType, kind), d)[1].min() < 0.0]
    for kind in kinds
}
cube = mesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1)
middles = fem.Function(fem.functionspace(cube, ("Discontinuous Lagrange", 0, (3,))))
middles.x.array[:] = mesh.compute_midpoints(cube, 3, np.arange(6, dtype=np.int32)).ravel()
away = ufl.SpatialCoordinate(cube) - middles
density = ufl.exp(-60.0 * ufl.inner(away, away))
integrals = {
    degree: fem.assemble_scalar(fem.form(density * ufl.dx(metadata={"quadrature_degree": degree})))
    for degree in range(1, 10)
}
for kind, degrees in negative.items():
    print(f"{kind}: negative weights at degrees {degrees}")
for degree, integral in integrals.items():
    print(f"degree {degree}: {integral:+.4f}")
as_described = (
    negative == dict.fromkeys(kinds, []) | {"tetrahedron": [3, 7, 8]}
    and integrals[3] < 0.0
    and all(integrals[degree] > 0.0 for degree in (1, 2, 4, 5, 6, 9))
)
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
