#!/bin/sh
# Where numba is installed, h5py cannot be imported any more once DOLFINx has been.
#
# Versions: dolfinx-solver-real 0.11.0.post0 (DOLFINx 0.11, HDF5 1.14.6 inside), numba 0.68.0, h5py 3.16.0.
#
# Problem: a script that imports dolfinx.fem.petsc, and h5py after it, to read what was written.
# Expected: both imported, in any order, as each brings the HDF5 that it was built with.
# Seen: "ValueError: Not a datatype" from within h5py. It does not come if h5py is first, nor if numba is not there: only
# with numba does dolfinx.fem.petsc load PETSc's library anew for all of the process, and with it the names of its
# HDF5, in which h5py then finds the functions of the other version.
# Why it matters here: fields are written by DOLFINx and read by h5py, pyvista or xarray in one notebook, and numba comes
# along with many a package. Import h5py before, or hide numba from DOLFINx as it is imported.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet dolfinx-solver-real==0.11.0.post0 'fenics-ufl<2026.2' numba==0.68.0 \
    h5py==3.16.0
cd "$folder"
try() {
    "$folder/venv/bin/python" -c "$1" 2>&1 | tail -1
}
begin="import dolfinx_solver, mpi4py.MPI"
first=$(try "$begin; import dolfinx.fem.petsc, h5py; print('imported')")
other=$(try "import h5py; $begin; import dolfinx.fem.petsc; print('imported')")
without=$(try "import sys; sys.modules['numba'] = None; $begin; import dolfinx.fem.petsc, h5py; print('imported')")
echo "h5py after DOLFINx: $first"
echo "h5py before DOLFINx: $other"
echo "h5py after DOLFINx without numba: $without"
case "$first|$other|$without" in
*"Not a datatype"*"|imported|imported") echo "as described" ;;
*) echo "NOT as described any more" && exit 1 ;;
esac
