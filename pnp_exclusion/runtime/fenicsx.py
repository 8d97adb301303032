"""Imports the FEniCSx stack in the order that every distribution of it needs.

MPI must be imported before DOLFINx. PETSc is initialised with the user's options here, because options given later are
lost to objects that exist already.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pnp_exclusion.errors import MissingLibraryError
from pnp_exclusion.runtime.heap import keep_freed_memory
from pnp_exclusion.runtime.imports import uncollected, without
from pnp_exclusion.runtime.signals import held_back

INSTALL = 'pip install ".[fenicsx,gmsh]" in the folder of this package'
INSTALL_BY_CONDA = "conda install -c conda-forge fenics-dolfinx=0.11 mpich python-gmsh"


OTHER_PETSC = {"petsc", "petsc4py", "slepc", "slepc4py", "dolfinx_solver_complex"}
"""Distributions that write over files of the wheel."""


@cache
def import_mpi() -> None:
    """Import MPI, which must come before DOLFINx.

    `MissingLibraryError` where there is no DOLFINx; `ImportError` where another PETSc is in the way of the wheel's.
    """
    if importlib.util.find_spec("dolfinx") is None:
        raise MissingLibraryError(
            f"FEniCSx is not installed for {sys.executable}: {INSTALL}, or {INSTALL_BY_CONDA}, which is then to be "
            "activated"
        )
    with held_back():
        if _other_petsc():
            # which says so; conda and Spack builds have no such module, and it takes longer than a solve
            importlib.import_module("dolfinx_solver")
        importlib.import_module("mpi4py.MPI")


def _other_petsc() -> bool:
    """Whether a PETSc was installed over that of the wheel, or is found before it."""
    wheel, petsc = (importlib.util.find_spec(name) for name in ("dolfinx_solver", "petsc4py"))
    if wheel is None or wheel.origin is None:
        return False
    folder = Path(wheel.origin).parents[1]
    if petsc is None or petsc.origin is None or Path(petsc.origin).parents[1] != folder:
        return True
    return not OTHER_PETSC.isdisjoint(path.name.split("-")[0] for path in folder.glob("*.dist-info"))


def initialise_petsc(options: Sequence[str] = ()) -> None:
    """Start PETSc with command-line options such as ``["-snes_monitor", "-ksp_type", "gmres"]``, unless it runs."""
    keep_freed_memory()
    # modules of nanobind, interrupted as they are imported, end the process with SIGSEGV
    with uncollected(), held_back():
        import_mpi()
        import petsc4py

        # PETSc's own handler would answer SLURM's SIGTERM with a page of advice for debugging
        # not again: at the end of the process that would wait for ranks that did not ask for it
        if "petsc4py.PETSc" not in sys.modules:
            petsc4py.init([sys.argv[0], "-no_signal_handler", *options])
        import_dolfinx()


def import_dolfinx() -> None:
    """Import DOLFINx with PETSc, and MPI before them.

    Without numba: registering types with it takes half of the time of this import. DOLFINx would also load PETSc's
    library by LLVM, with all names for everybody, and the HDF5 that PETSc needs would stand in for that of h5py, which
    could not be imported any more.
    """
    import_mpi()
    with without("numba"):
        importlib.import_module("dolfinx.fem.petsc")
