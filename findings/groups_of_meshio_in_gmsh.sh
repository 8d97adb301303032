#!/bin/sh
# A .msh file of format 2.2 that meshio writes loses its physical groups when gmsh reads it.
#
# Packages: meshio 5.3.5 and gmsh 4.15.2 (PyPI).
# Format 2 gives every element a physical group of its own, beside the number of the geometrical entity it lies on.
# meshio writes 0 for all entities where a mesh knows none. gmsh keeps physical groups for entities only, takes all
# elements of a dimension for one entity 0, and puts this entity into every group.
# Expected: 1 line in group 1, 1 line in group 2, as meshio itself reads the file.
# Seen:     2 lines in both groups, without a message.
# Matters here: an inlet and an outlet become the same boundary, and a region covers the whole domain. What reads such
# files must take the groups from the elements themselves.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet meshio==5.3.5 gmsh==4.15.2
cat > "$folder/groups.py" <<'PY'
import sys

import gmsh
import meshio
import numpy as np

path = sys.argv[1]
points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
cells = [("line", [[0, 3], [1, 2]]), ("triangle", [[0, 1, 2], [0, 2, 3]])]
numbers = [np.array([1, 2]), np.array([3, 3])]
mesh = meshio.Mesh(points, cells, cell_data={"gmsh:physical": numbers})
meshio.write(path, mesh, file_format="gmsh22", binary=False)

read = meshio.read(path)
by_meshio = {g: int((read.cell_data_dict["gmsh:physical"]["line"] == g).sum()) for g in (1, 2)}
gmsh.initialize(interruptible=False)
gmsh.option.setNumber("General.Terminal", 0)
gmsh.open(path)
by_gmsh = {}
for group in (1, 2):
    entities = gmsh.model.getEntitiesForPhysicalGroup(1, group)
    by_gmsh[group] = sum(len(tags) for e in entities for tags in gmsh.model.mesh.getElements(1, e)[1])
gmsh.finalize()
print("lines in groups 1 and 2, read by meshio:", by_meshio)
print("lines in groups 1 and 2, read by gmsh:  ", by_gmsh)
sys.exit(0 if by_meshio == {1: 1, 2: 1} and by_gmsh == {1: 2, 2: 2} else 1)
PY
"$folder/venv/bin/python" "$folder/groups.py" "$folder/square.msh" 2>/dev/null
