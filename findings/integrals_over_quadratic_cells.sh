#!/bin/sh
# VTK integrates data on quadratic cells as piecewise linear: a quadratic is 25 % wrong on a triangle, 41 % on a tetrahedron.
#
# Versions: pyvista 0.49.1, vtk 9.7.2, numpy 2.5.5.
#
# Problem: x^2 at the nodes of quadratic cells (VTK_QUADRATIC_* and VTK_LAGRANGE_*) that hold it exactly, integrated by
# integrate_data (vtkIntegrateAttributes, "Integrate Variables" in ParaView) over one triangle, one tetrahedron, and the
# unit square in 2 n^2 triangles.
# Expected: 1/12, 1/60 and 1/3, to rounding: sampling in the same cells has the quadratic.
# Seen: 1.25/12 and 1.41/60; on the square an error of 1/(24 n^2), that of linear elements on half the spacing. The cells
# are split into linear ones at their nodes, and curved sides become chords. Volumes of straight cells are right.
# Why it matters here: the charge and the content of a region are such integrals, read off a file of P2 results after the
# fact. The solution is of fourth order in its totals; what is integrated from the file is of second, and does not agree
# with the solver's own numbers. Take totals from the solver.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pyvista==0.49.1 vtk==9.7.2 numpy==2.5.5
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import pyvista as pv

TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0]])
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
EDGES = np.array([[0, 1], [1, 2], [0, 2], [0, 3], [1, 3], [2, 3]])
TETRAHEDRON = np.vstack([CORNERS, CORNERS[EDGES].mean(axis=1)])


def grid(points, cells, kind):
    with_sizes = np.insert(cells, 0, cells.shape[1], axis=1).ravel()
    result = pv.UnstructuredGrid(with_sizes, np.full(len(cells), kind), points)
    result.point_data["f"] = points[:, 0] ** 2
    return result


def integral(mesh):
    return float(mesh.integrate_data()["f"][0])


def square(n):
    x, y = np.meshgrid(*2 * [np.linspace(0, 1, 2 * n + 1)], indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    a, b = (2 * index.ravel() for index in np.meshgrid(range(n), range(n), indexing="ij"))
    lower = [(0, 0), (2, 0), (2, 2), (1, 0), (2, 1), (1, 1)]
    upper = [(0, 0), (2, 2), (0, 2), (1, 1), (1, 2), (0, 1)]
    cells = [np.stack([(a + i) * (2 * n + 1) + b + j for i, j in half], axis=1) for half in (lower, upper)]
    return grid(points, np.vstack(cells), pv.CellType.QUADRATIC_TRIANGLE)


as_described = True
for points, kinds, exact, seen in (
    (TRIANGLE, ("QUADRATIC_TRIANGLE", "LAGRANGE_TRIANGLE"), 1 / 12, 1.25),
    (TETRAHEDRON, ("QUADRATIC_TETRA", "LAGRANGE_TETRAHEDRON"), 1 / 60, 1.40625),
):
    for kind in kinds:
        mesh = grid(points, np.arange(len(points))[None, :], pv.CellType[kind])
        sampled = float(pv.PolyData([[0.3, 0.2, 0.1 * (len(points) == 10)]]).sample(mesh)["f"][0])
        print(f"{kind}: integral {integral(mesh):.6f} of {exact:.6f}, sampled {sampled:.6f} of 0.09")
        as_described &= np.isclose(integral(mesh) / exact, seen) and np.isclose(sampled, 0.09, rtol=1e-3)
errors = [integral(square(n)) - 1 / 3 for n in (1, 2, 4, 8)]
print("unit square:", errors)
as_described &= np.allclose(errors, [1 / (24 * n**2) for n in (1, 2, 4, 8)])
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
