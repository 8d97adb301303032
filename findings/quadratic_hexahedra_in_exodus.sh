#!/bin/sh
# Quadratic hexahedra that meshio writes to Exodus are tangled in ParaView and VTK: a unit cube has a volume of 1/12.
#
# Versions: meshio 5.3.5, gmsh 4.15.2, netCDF4 1.7.5.1.post1, pyvista 0.49.1, vtk 9.7.2, numpy 2.5.5.
#
# Problem: the unit cube in 8 hexahedra of 20 or 27 nodes, or in tetrahedra of 10, meshed by gmsh, converted by meshio to
# VTU and to Exodus, and its volume computed by VTK from each file. And 200 points inside are looked for.
# Expected: a volume of 1 and all the points, from both.
# Seen: so from VTU, and for tetrahedra. From Exodus hexahedra of 20 nodes have 0.083 and no point is found in them, those
# of 27 nodes have -0.021. Exodus numbers the nodes on the upright edges before those of the top, VTK after them; meshio
# writes its own order, which is VTK's, and reads it back as it wrote it, so that its round trip is right.
# Why it matters here: Exodus is the way from gmsh to other multiphysics codes, with which a solution is compared, and
# hexahedra of second order are what one takes for layers at electrodes. The corners are right, so that a list of nodes
# or a picture of the corners looks well, and only what uses the upright edges is wrong.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet meshio==5.3.5 gmsh==4.15.2 netCDF4==1.7.5.1.post1 pyvista==0.49.1 \
    vtk==9.7.2 numpy==2.5.5
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import gmsh
import meshio
import numpy as np
import pyvista


def cube(hexahedra, incomplete):
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Verbosity", 1)
    gmsh.option.setNumber("Mesh.SecondOrderIncomplete", incomplete)
    gmsh.model.occ.addBox(0, 0, 0, 1, 1, 1)
    gmsh.model.occ.synchronize()
    for _, tag in gmsh.model.getEntities(1):
        gmsh.model.mesh.setTransfiniteCurve(tag, 3)
    for _, tag in gmsh.model.getEntities(2):
        gmsh.model.mesh.setTransfiniteSurface(tag)
        if hexahedra:
            gmsh.model.mesh.setRecombine(2, tag)
    gmsh.model.mesh.setTransfiniteVolume(1)
    gmsh.model.mesh.generate(3)
    gmsh.model.mesh.setOrder(2)
    gmsh.write("cube.msh")
    gmsh.finalize()
    mesh = meshio.read("cube.msh")
    return meshio.Mesh(mesh.points, [(cells.type, cells.data) for cells in mesh.cells if cells.dim == 3])


inside = pyvista.PolyData(np.random.default_rng(0).uniform(0.01, 0.99, size=(200, 3)))
as_described = True
for kind, volume, arguments in (
    ("tetra10", 1, (False, False)),
    ("hexahedron20", 1 / 12, (True, True)),
    ("hexahedron27", -1 / 48, (True, False)),
):
    mesh = cube(*arguments)
    assert {cells.type for cells in mesh.cells} == {kind}
    seen = {}
    for ending in ("vtu", "e"):
        meshio.write(f"{kind}.{ending}", mesh)
        grid = pyvista.read(f"{kind}.{ending}")
        grid = grid.combine() if ending == "e" else grid
        found = inside.sample(grid)["vtkValidPointMask"].sum()
        seen[ending] = (float(grid.compute_cell_sizes()["Volume"].sum()), int(found))
    again = meshio.read(f"{kind}.e")
    as_described &= np.array_equal(again.points[again.cells[0].data], mesh.points[mesh.cells[0].data])
    print(f"{kind}: volume and points found: VTU {seen['vtu']}, Exodus {seen['e']}")
    as_described &= np.allclose(seen["vtu"], (1, 200)) and np.isclose(seen["e"][0], volume)
    as_described &= (seen["e"][1] == 200) == (kind == "tetra10")
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
