#!/bin/sh
# DOLFINx gives a facet that lies in two physical groups of a gmsh file to one of them; the other loses it silently.
#
# Versions: dolfinx-solver-real 0.11.0.post0, fenics-ufl 2026.1.0, gmsh 4.15.2, numpy 2.5.5.
#
# Problem: the unit square with 8 facets a side; the group "rim" is all of its rim, and "electrode" one side of it. The
# groups get their numbers in either order, as they do in gmsh's window by which was made first.
# Expected: 32 facets in "rim" and 8 in "electrode", whatever their numbers, or an error that says that facet tags hold
# one number a facet.
# Seen: the group of the lower number keeps all of its facets. With the electrode first it has its 8 and the rim 24; with
# the rim first the electrode has none, though MeshData.physical_groups still lists it.
# Why it matters here: a condition on "electrode" then holds nowhere, the side is a wall, and the solve converges to the
# answer of another problem. Count the facets of a group against the file's before a condition is put on it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet dolfinx-solver-real==0.11.0.post0 fenics-ufl==2026.1.0 gmsh==4.15.2 numpy==2.5.5
"$folder/venv/bin/python" - <<'PY'
import sys

import dolfinx_solver  # noqa: F401
import gmsh
from dolfinx.io.gmsh import model_to_mesh
from mpi4py import MPI

ALL = {"rim": [1, 2, 3, 4], "electrode": [1]}


def facets(numbers):
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Verbosity", 1)
    surface = gmsh.model.occ.addRectangle(0.0, 0.0, 0.0, 1.0, 1.0)
    gmsh.model.occ.synchronize()
    for side in ALL["rim"]:
        gmsh.model.mesh.setTransfiniteCurve(side, 9)
    gmsh.model.addPhysicalGroup(2, [surface], name="water")
    for name, number in numbers.items():
        gmsh.model.addPhysicalGroup(1, ALL[name], number, name)
    gmsh.model.mesh.generate(2)
    data = model_to_mesh(gmsh.model, MPI.COMM_SELF, 0, gdim=2)
    gmsh.finalize()
    return {name: len(data.facet_tags.find(data.physical_groups[name].tag)) for name in ALL}


first, second = facets({"rim": 1, "electrode": 2}), facets({"rim": 2, "electrode": 1})
print(f"rim 1, electrode 2: facets {first}\nrim 2, electrode 1: facets {second}")
as_described = first == {"rim": 32, "electrode": 0} and second == {"rim": 24, "electrode": 8}
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
