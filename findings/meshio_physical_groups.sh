#!/bin/sh
# meshio reads a gmsh mesh whose entities lie in two physical groups with every cell twice, or with one group lost.
#
# Versions: meshio 5.3.5, gmsh 4.15.2, numpy 2.5.5.
#
# Problem: the unit square, its surface in the groups "water" and "all", its rim in "rim" and one side of it in
# "electrode" too, as overlapping groups are allowed and usual in gmsh. Saved in both formats that gmsh writes.
# Expected: cells that fill an area of 1 and both groups of lines, from either file.
# Seen: MSH 2.2 has one line for every cell and group, which meshio takes for cells of their own: each triangle is there
# twice and the area is 2. From MSH 4.1 the area is right, but only the first group of an entity survives: "electrode"
# and "all" have no cells. Neither reading warns.
# Why it matters here: a mesh that is converted by meshio on its way to DOLFINx doubles every integral (charges, amounts,
# currents), or turns a boundary condition into a wall.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet meshio==5.3.5 gmsh==4.15.2 numpy==2.5.5
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import gmsh
import meshio
import numpy as np

gmsh.initialize(interruptible=False)
gmsh.option.setNumber("General.Verbosity", 1)
surface = gmsh.model.occ.addRectangle(0.0, 0.0, 0.0, 1.0, 1.0)
gmsh.model.occ.synchronize()
for dimension, entities, name in ((2, [surface], "water"), (2, [surface], "all"), (1, [1, 2, 3, 4], "rim")):
    gmsh.model.addPhysicalGroup(dimension, entities, name=name)
gmsh.model.addPhysicalGroup(1, [1], name="electrode")
gmsh.option.setNumber("Mesh.MeshSizeMax", 0.2)
gmsh.model.mesh.generate(2)
found = {}
for version in (2.2, 4.1):
    gmsh.option.setNumber("Mesh.MshFileVersion", version)
    gmsh.write("square.msh")
    mesh = meshio.read("square.msh")
    corners = mesh.points[mesh.cells_dict["triangle"]]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = 0.5 * np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()
    tags = mesh.cell_data_dict["gmsh:physical"]
    names = {(tag, dimension): name for name, (tag, dimension) in mesh.field_data.items()}
    kinds = {"triangle": 2, "line": 1}
    groups = {names[tag, kinds[kind]] for kind in kinds for tag in np.unique(tags[kind])}
    print(f"\nMSH {version}: area {area:.12g}, groups with cells: {', '.join(sorted(groups))}")
    found[version] = round(float(area), 9), groups
gmsh.finalize()
as_described = found == {2.2: (2.0, {"water", "all", "rim", "electrode"}), 4.1: (1.0, {"water", "rim"})}
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
