#!/bin/sh
# netgen's reader of gmsh files takes a plane mesh of the second order for a surface in space, which has no content.
#
# Versions: netgen-mesher and ngsolve 6.2.2608, gmsh 4.15.2, numpy 2.4.6.
#
# Problem: a disc of radius 1, meshed by gmsh with triangles of the first and of the second order (curved at the rim),
# written as files of version 2.2 and read by netgen.read_gmsh.
# Expected: two meshes of dimension 2 with an area near pi, the second one nearer.
# Seen: the first is one. The second is a mesh of dimension 3 without any volume element: its triangles are a boundary,
# "bulk" the name of that boundary, and an integral over the mesh is 0, without an error. The reader knows
# the numbers of elements of the second order when it reads them, but tells the dimension by "above 3 is solid", and a
# segment of three nodes is number 8.
# Why it matters here: curved pores are drawn with such elements, and our benchmarks beside NGSolve need the same mesh
# in both. A flux computed on it is 0, not wrong by a few percent, so that it may pass for a closed pore.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet ngsolve==6.2.2608 gmsh==4.15.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import gmsh
import ngsolve
from netgen.read_gmsh import ReadGmsh

gmsh.initialize()
gmsh.option.setNumber("General.Terminal", 0)
gmsh.option.setNumber("Mesh.MeshSizeMax", 0.5)
gmsh.option.setNumber("Mesh.MshFileVersion", 2.2)
gmsh.model.occ.addDisk(0, 0, 0, 1, 1)
gmsh.model.occ.synchronize()
gmsh.model.addPhysicalGroup(2, [1], name="bulk")
gmsh.model.addPhysicalGroup(1, [1], name="rim")
gmsh.model.mesh.generate(2)
gmsh.write("straight.msh")
gmsh.model.mesh.setOrder(2)
gmsh.write("curved.msh")
gmsh.finalize()

found = {}
for name in ("straight", "curved"):
    mesh = ngsolve.Mesh(ReadGmsh(f"{name}.msh"))
    inside, outside = ngsolve.Integrate(1, mesh), ngsolve.Integrate(1, mesh, ngsolve.BND)
    found[name] = mesh.dim, inside, outside, mesh.GetBoundaries()
    contents = f"of the mesh {inside:.4f}, of its boundary {outside:.4f}"
    print(f"{name}: dimension {mesh.dim}, {contents}, {mesh.GetBoundaries()}")
flat, curved = found["straight"], found["curved"]
as_described = (
    flat[0] == 2
    and abs(flat[1] - 3.0) < 0.2
    and curved[0] == 3
    and curved[1] == 0.0
    and abs(curved[2] - 3.0) < 0.2
    and curved[3] == ("bulk",)
)
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
