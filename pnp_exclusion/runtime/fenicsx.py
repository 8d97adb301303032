"""Imports the FEniCSx stack in the order that every distribution of it needs.

The wheel must be imported before DOLFINx; conda and Spack builds have no such module. PETSc is initialised with the
user's options here, because options given later are lost to objects that exist already.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from functools import cache

from pnp_exclusion.errors import MissingLibraryError
from pnp_exclusion.runtime.heap import keep_freed_memory
from pnp_exclusion.runtime.imports import without
from pnp_exclusion.runtime.signals import held_back

INSTALL = 'pip install ".[fenicsx,gmsh]" in the folder of this package'
INSTALL_BY_CONDA = "conda install -c conda-forge fenics-dolfinx=0.11 mpich python-gmsh"


@cache
def import_wheel() -> None:
    """Import what must come before DOLFINx, where it is installed; it imports MPI.

    `MissingLibraryError` where there is no DOLFINx.
    """
    if importlib.util.find_spec("dolfinx") is None:
        raise MissingLibraryError(
            f"FEniCSx is not installed for {sys.executable}: {INSTALL}, or {INSTALL_BY_CONDA}, which is then to be "
            "activated"
        )
    if importlib.util.find_spec("dolfinx_solver") is not None:
        with held_back():
            importlib.import_module("dolfinx_solver")


def initialise_petsc(options: Sequence[str] = ()) -> None:
    """Start PETSc with command-line options such as ``["-snes_monitor", "-ksp_type", "gmres"]``, unless it runs."""
    import_wheel()
    import petsc4py

    keep_freed_memory()
    # modules of nanobind, interrupted as they are imported, end the process with SIGSEGV
    with held_back():
        # PETSc's own handler would answer SLURM's SIGTERM with a page of advice for debugging
        # not again: at the end of the process that would wait for ranks that did not ask for it
        if "petsc4py.PETSc" not in sys.modules:
            petsc4py.init([sys.argv[0], "-no_signal_handler", *options])
        import_dolfinx()


def import_dolfinx() -> None:
    """Import DOLFINx with PETSc, which is imported before."""
    # which registers types with numba where it is found; that takes half of the time of this import
    with without("numba"):
        importlib.import_module("dolfinx.fem.petsc")
