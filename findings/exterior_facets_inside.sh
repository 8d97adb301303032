#!/bin/sh
# In DOLFINx ds over tagged facets inside a mesh is zero without a word; the same facets as pairs of cells are integrated.
#
# Versions: dolfinx-solver-real 0.11.0.post0, fenics-ufl 2026.1.0, numpy 2.5.5.
#
# Problem: the line x = 1/2 in the middle of a unit square, of length 1. Its facets are tagged, and 1 is integrated over
# them with ds(1), with dS(1), and with ds(1) where the subdomain data are pairs of a cell and the number of its facet
# instead of tags.
# Expected: for ds over facets with cells on both sides an error, or one result however the facets are named.
# Seen: 0 with tags, 1 with dS, and 1 with pairs. Which side the cells of the pairs are on is up to the caller, and each
# rank that owns such a cell counts its own: no ghost cells are needed.
# Why it matters here: a charged interface between two regions is exactly such a term. Written as ds with the tags of a
# drawing it does nothing, and the solution looks like one without charge; written as dS it needs ghost cells, or
# misses facets between ranks.
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

square = mesh.create_unit_square(MPI.COMM_SELF, 4, 4)
line = np.sort(mesh.locate_entities(square, 1, lambda x: np.isclose(x[0], 0.5)))
tags = mesh.meshtags(square, 1, line, np.ones(len(line), dtype=np.int32))
for first, second in ((1, 2), (2, 1)):
    square.topology.create_connectivity(first, second)
cells_of, facets_of = (square.topology.connectivity(*pair) for pair in ((1, 2), (2, 1)))
pairs = []
for facet in line:
    cell = cells_of.links(facet)[0]
    pairs += [cell, int(np.flatnonzero(facets_of.links(cell) == facet)[0])]
one = fem.Constant(square, 1.0)


def length(kind, data):
    return fem.assemble_scalar(fem.form(one * ufl.Measure(kind, square, subdomain_data=data)(1)))


found = {
    "ds, tags": length("ds", tags),
    "dS, tags": length("dS", tags),
    "ds, pairs": length("ds", [(1, np.array(pairs, dtype=np.int32))]),
}
for name, value in found.items():
    print(f"{name}: {value:g}")
as_described = np.allclose(list(found.values()), [0.0, 1.0, 1.0])
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
