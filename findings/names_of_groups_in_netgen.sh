#!/bin/sh
# netgen's reader of gmsh files cuts the name of a group at its first space and drops one letter more.
#
# Versions: netgen-mesher and ngsolve 6.2.2608, gmsh 4.15.2, numpy 2.4.6.
#
# Problem: a rectangle of 2 by 1 with the physical groups "bath left", "bath right", "charged wall" and "pore water",
# written by gmsh as a file of version 2.2, in which names stand in quotation marks; read by netgen.read_gmsh.
# Expected: regions and boundaries of those names, the two baths of length 1 each.
# Seen: the material is "por", the walls are "charge", and both baths are one boundary "bat" of length 2. A condition on
# "bath left" then holds at no node at all, and NGSolve does not say that the name matches nothing: the problem has no
# bath. A condition on "bat.*" holds both at one potential.
# Why it matters here: meshes of pores go from gmsh to us and to NGSolve, beside which we are measured. Names without
# spaces are read alike by both.
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
kernel = gmsh.model.occ
kernel.addRectangle(0, 0, 0, 2, 1)
kernel.synchronize()
walls, baths = [], {}
for _, curve in gmsh.model.getBoundary([(2, 1)], oriented=False):
    x = kernel.getCenterOfMass(1, curve)[0]
    if abs(x - 1) < 0.5:
        walls.append(curve)
    else:
        baths["bath left" if x < 1 else "bath right"] = curve
for name, curve in baths.items():
    gmsh.model.addPhysicalGroup(1, [curve], name=name)
gmsh.model.addPhysicalGroup(1, walls, name="charged wall")
gmsh.model.addPhysicalGroup(2, [1], name="pore water")
gmsh.option.setNumber("Mesh.MeshSizeMax", 0.3)
gmsh.option.setNumber("Mesh.MshFileVersion", 2.2)
gmsh.model.mesh.generate(2)
gmsh.write("pore.msh")
gmsh.finalize()

mesh = ngsolve.Mesh(ReadGmsh("pore.msh"))
lengths = {name: ngsolve.Integrate(1, mesh.Boundaries(name)) for name in set(mesh.GetBoundaries())}
print("materials", mesh.GetMaterials(), "boundaries", {name: round(length, 6) for name, length in lengths.items()})
space = ngsolve.H1(mesh, order=1, dirichlet="bath left")
free, nodes = sum(space.FreeDofs()), space.ndof
print(f"free with a condition on 'bath left': {free} of {nodes} nodes")
as_described = (
    mesh.GetMaterials() == ("por",)
    and lengths.keys() == {"bat", "charge"}
    and abs(lengths["bat"] - 2) < 1e-9
    and free == nodes
)
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
