#!/bin/sh
# DOLFINx 0.11 writes "Lagrange" fields of degree 3 and more for ParaView on nodes that VTK takes to be somewhere else.
#
# Expected: a field of degree 3 that VTXWriter has written is, read by VTK at any point, what it is in DOLFINx (here x^3,
#           which elements of degree 3 hold exactly), and every point of the domain is found in some cell.
# Seen:     basix' default Lagrange elements have their nodes at warped (Gauss-Lobatto-Legendre) positions from degree 3
#           on; VTXWriter writes those positions, and VTK, whose Lagrange cells of straight sides have evenly spaced
#           nodes, bends the cells instead and misses points: here it finds none of 300 in any cell. With
#           basix.LagrangeVariant.equispaced all points are found and the values are right to rounding.
# Matters:  probes, lines and integrals in ParaView of a solution of degree 3 or 4 are wrong, without any message.
#
# Versions: dolfinx-solver-real 0.11.*, fenics-ufl < 2026.2, adios2 2.12.1.1001, vtk 9.7.2. Takes Python 3.12 or later.
set -eu
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$python" -m venv venv
venv/bin/pip install --quiet "dolfinx-solver-real==0.11.*" "fenics-ufl<2026.2" "adios2==2.12.1.1001" "vtk==9.7.2" "numpy>=2.1"

cat > write.py <<'PYTHON'
import dolfinx_solver  # noqa: F401
from mpi4py import MPI
import basix
import basix.ufl
from dolfinx import fem, mesh
from dolfinx.io import VTXWriter

square = mesh.create_unit_square(MPI.COMM_SELF, 3, 3)
for variant in ("gll_warped", "equispaced"):
    element = basix.ufl.element("Lagrange", "triangle", 3, basix.LagrangeVariant[variant])
    function = fem.Function(fem.functionspace(square, element), name="cube")
    function.interpolate(lambda x: x[0] ** 3)
    with VTXWriter(MPI.COMM_SELF, f"{variant}.bp", [function]) as writer:
        writer.write(0.0)
PYTHON

# the adios2 package and the library inside DOLFINx do not share a process
cat > read.py <<'PYTHON'
import adios2
import numpy as np

for variant in ("gll_warped", "equispaced"):
    with adios2.FileReader(f"{variant}.bp") as file:
        fields = {name: file.read(name, block_id=0) for name in ("connectivity", "geometry", "cube")}
    np.savez(f"{variant}.npz", **fields)
PYTHON

cat > probe.py <<'PYTHON'
import sys

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

points = np.random.default_rng(1).uniform(0.02, 0.98, (300, 3)) * [1.0, 1.0, 0.0]
result = {}
for variant in ("gll_warped", "equispaced"):
    read = np.load(f"{variant}.npz")
    grid, nodes = vtk.vtkUnstructuredGrid(), vtk.vtkPoints()
    nodes.SetData(numpy_to_vtk(np.ascontiguousarray(read["geometry"])))
    grid.SetPoints(nodes)
    for count, *cell in read["connectivity"].tolist():
        grid.InsertNextCell(vtk.VTK_LAGRANGE_TRIANGLE, count, cell)
    values = numpy_to_vtk(np.ascontiguousarray(read["cube"].ravel()))
    values.SetName("cube")
    grid.GetPointData().AddArray(values)
    wanted, places = vtk.vtkPolyData(), vtk.vtkPoints()
    places.SetData(numpy_to_vtk(points))
    wanted.SetPoints(places)
    probe = vtk.vtkProbeFilter()
    probe.SetInputData(wanted)
    probe.SetSourceData(grid)
    probe.Update()
    found = vtk_to_numpy(probe.GetValidPoints())
    sampled = vtk_to_numpy(probe.GetOutput().GetPointData().GetArray("cube"))[found]
    error = float(np.abs(sampled - points[found, 0] ** 3).max(initial=0.0))
    result[variant] = (len(found), error)
    print(f"{variant}: VTK {vtk.vtkVersion.GetVTKVersion()} finds {len(found)} of 300 points, largest error {error:.1e}")
missed, error = 300 - result["gll_warped"][0], result["gll_warped"][1]
as_seen = (missed > 0 or error > 1e-3) and result["equispaced"][0] == 300 and result["equispaced"][1] < 1e-12
print("as seen before" if as_seen else "the behaviour has changed")
sys.exit(0 if as_seen else 1)
PYTHON

venv/bin/python -c "import importlib.metadata as m; print(*(f'{p} {m.version(p)}' for p in ('dolfinx-solver-real', 'adios2', 'vtk')))"
OMP_NUM_THREADS=1 venv/bin/python write.py
venv/bin/python read.py
venv/bin/python probe.py
