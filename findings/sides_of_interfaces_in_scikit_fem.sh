#!/bin/sh
# scikit-fem forgets which side an interface looks to when its mesh is refined or saved: fluxes through it are wrong.
#
# Versions: scikit-fem 12.0.2, meshio 5.3.5, numpy 2.5.5, scipy 1.18.1.
#
# Problem: a square of side 1/2 in the unit square of rectangles or triangles; its rim is the boundary "rim", made by
# facets_around, which keeps the side (OrientedBoundary). Integrated over it: n, and x n_x, before and after refined(1)
# and after writing and reading (.vtk by meshio, .json by scikit-fem).
# Expected: n integrates to 0 over a closed line, and x n_x to the area within, 1/4. A boundary that cannot be kept is
# dropped with a message, as it is where cells are refined one by one.
# Seen: so before. After each of these "rim" is still there and has its length of 2, but the sides are lost: on rectangles
# n_x gives 1 and x n_x 1/2, on refined triangles -1/2 and -1/8, and on written triangles x n_x gives 0. The triangles of
# the .vtk file are an OrientedBoundary still, with other sides. No message.
# Why it matters here: the current through a membrane's mouth or the charge within a surface is such an integral, and a
# refined mesh is where one looks for convergence: the value jumps, and its sign is of the numbering of cells.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet scikit-fem==12.0.2 meshio==5.3.5 numpy==2.5.5 scipy==1.18.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from skfem import ElementQuad1, ElementTriP1, FacetBasis, Functional, Mesh, MeshQuad, MeshTri
from skfem.io.json import from_file, to_file

over = {
    "length": Functional(lambda w: 1 + 0 * w.x[0]),
    "n_x": Functional(lambda w: w.n[0]),
    "x n_x": Functional(lambda w: w.n[0] * w.x[0]),
}
wanted = {
    (MeshQuad, "made"): (0, 1 / 4),
    (MeshQuad, "refined"): (1, 1 / 2),
    (MeshQuad, "vtk"): (1, 1 / 2),
    (MeshQuad, "json"): (1, 1 / 2),
    (MeshTri, "made"): (0, 1 / 4),
    (MeshTri, "refined"): (-1 / 2, -1 / 8),
    (MeshTri, "vtk"): (0, 0),
    (MeshTri, "json"): (0, 0),
}
as_described = True
for kind, element in ((MeshQuad, ElementQuad1), (MeshTri, ElementTriP1)):
    mesh = kind().refined(2).with_subdomains({"pore": lambda x: (abs(x - 0.5) < 0.25).all(0)})
    mesh = mesh.with_boundaries({"rim": mesh.facets_around("pore")})
    mesh.save("square.vtk")
    to_file(mesh, "square.json")
    ways = {"made": mesh, "refined": mesh.refined(1), "vtk": Mesh.load("square.vtk"), "json": from_file("square.json")}
    for way, changed in ways.items():
        rim = FacetBasis(changed, element(), facets="rim")
        found = {name: float(form.assemble(rim)) for name, form in over.items()}
        print(kind.__name__, way, {name: round(value, 12) for name, value in found.items()})
        as_described &= np.allclose(list(found.values()), (2, *wanted[kind, way]))
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
