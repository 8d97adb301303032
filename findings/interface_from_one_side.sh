#!/bin/sh
# A function of one region, integrated over the region's interface in DOLFINx, is zero on part of it, by the numbers
# of the cells.
#
# Versions: dolfinx-solver-real 0.11.0.post0, fenics-ufl 2026.1.0, numpy 2.5.5.
#
# Problem: a square hole of side 1/2 in the unit square is a mesh of its own (create_submesh), with a function that is 1
# everywhere in it. It is integrated over the interface, of length 2, with dS and the map between the two meshes.
# Expected: 2 from the side on which the function lives, and an error from the side on which it is not defined; or a
# word that "+" and "-" are by the numbers of the cells.
# Seen: u("+"), u("-") and avg(u) are all accepted and give 1, 1 and 1: the function counts as 0 in cells outside its
# mesh, and the cell inside is the "+" of one half of the facets and the "-" of the other. On a straight line through
# a square of crossed triangles it was one side throughout, so that small tests may pass. Only u("+") + u("-") gives 2.
# Why it matters here: the charge of a membrane, an exchange current or a Stern layer is written like this between a
# region with ions and one without. Part of the surface then carries nothing, and which part goes by how the cells are
# numbered. Here surfaces inside are integrated over from the cells of one named side, as ds over pairs of a cell and
# its facet.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet dolfinx-solver-real==0.11.0.post0 fenics-ufl==2026.1.0 numpy==2.5.5
"$folder/venv/bin/python" - <<'PY'
import sys

import dolfinx_solver  # noqa: F401
import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

square = mesh.create_unit_square(MPI.COMM_SELF, 12, 12)
for first, second in ((1, 2), (2, 1)):
    square.topology.create_connectivity(first, second)
cells = np.arange(square.topology.index_map(2).size_local, dtype=np.int32)
inside = (np.abs(mesh.compute_midpoints(square, 2, cells)[:, :2] - 0.5) < 0.25).all(axis=1)
cells_of = square.topology.connectivity(1, 2)
facets = [facet for facet in range(cells_of.num_nodes) if len(cells_of.links(facet)) == 2]
interface = np.array([facet for facet in facets if inside[cells_of.links(facet)].sum() == 1], dtype=np.int32)
tags = mesh.meshtags(square, 1, interface, np.ones(len(interface), dtype=np.int32))
over = ufl.Measure("dS", square, subdomain_data=tags)(1)
hole, between, *_ = mesh.create_submesh(square, 2, cells[inside])
u = fem.Function(fem.functionspace(hole, ("Lagrange", 1)))
u.x.array[:] = 1.0
sides = {'u("+")': u("+"), 'u("-")': u("-"), "avg(u)": ufl.avg(u), 'u("+") + u("-")': u("+") + u("-")}
found = {name: fem.assemble_scalar(fem.form(side * over, entity_maps=[between])) for name, side in sides.items()}
for name, value in found.items():
    print(f"{name}: {value:g}")
as_described = np.allclose(list(found.values()), [1.0, 1.0, 1.0, 2.0])
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
