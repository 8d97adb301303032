#!/bin/sh
# In a mesh of small coordinates (metres) DOLFINx finds every point in every cell whose bounding box it lies in.
#
# Versions: dolfinx-solver-real 0.11.0.post0, fenics-ufl 2026.1.0, numpy 2.5.5.
#
# Problem: a unit square of 8 x 8 x 2 triangles, and the same square of one micrometre and of five nanometres in metres.
# For 500 points inside, the cell that holds each is looked for as the demos do: bb_tree, compute_collisions_points,
# compute_colliding_cells, the first link; and checked by a function that has the number of the cell in every cell.
# Expected: one cell a point (but on edges), the right one, at any unit of length.
# Seen: right at a size of 1. At 1e-6 and 5e-9 both triangles of every rectangle "collide" with the point, and the first
# of them is wrong for about half of the points: distances are compared with an absolute tolerance that is larger than
# the cells. No warning.
# Why it matters here: nanopores in metres are a common case. Eval extrapolates the wrong cell's polynomial, or takes the
# other side of an interface: materials, fixed charges and gradients are then those of the neighbour. Search in
# coordinates scaled to cells of order one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet dolfinx-solver-real==0.11.0.post0 fenics-ufl==2026.1.0 numpy==2.5.5
"$folder/venv/bin/python" - <<'PY'
import sys

import dolfinx_solver  # noqa: F401
import numpy as np
from dolfinx import geometry, mesh
from mpi4py import MPI

shares = np.random.default_rng(0).uniform(size=(500, 3)) * [1.0, 1.0, 0.0]


def wrong(size):
    """How many cells a point has on average, and the share of points of which the first does not hold it."""
    square = mesh.create_rectangle(MPI.COMM_SELF, [[0.0, 0.0], [size, size]], [8, 8])
    candidates = geometry.compute_collisions_points(geometry.bb_tree(square, 2), size * shares)
    found = geometry.compute_colliding_cells(square, candidates, size * shares)
    corners = square.geometry.x[square.geometry.dofmaps[0]][:, :, :2] / size
    missed = 0
    for i, point in enumerate(shares[:, :2]):
        a, b, c = corners[found.links(i)[0]]
        # barycentric coordinates in the cell that is named first
        inner = np.linalg.solve(np.column_stack([b - a, c - a]), point - a)
        missed += min(*inner, 1.0 - inner.sum()) < -1e-9
    cells = float(np.mean([len(found.links(i)) for i in range(len(shares))]))
    print(f"size {size:g}: {cells:.2f} cells a point, the first is wrong for {missed / len(shares):.0%}")
    return cells, missed / len(shares)


unit, micro, nano = (wrong(size) for size in (1.0, 1e-6, 5e-9))
as_described = unit == (1.0, 0.0) and all(cells > 1.9 and 0.3 < share < 0.7 for cells, share in (micro, nano))
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
