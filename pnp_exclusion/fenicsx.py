"""Imports the FEniCSx stack in the order that every distribution of it needs.

The wheel must be imported before DOLFINx; conda and Spack builds have no such module. PETSc is initialised with the
user's options here, because options given later are lost to objects that exist already.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

if importlib.util.find_spec("dolfinx_solver") is not None:
    import dolfinx_solver  # noqa: F401


def initialise_petsc(options: Sequence[str] = ()) -> None:
    """Start PETSc with command-line options such as ``["-snes_monitor", "-ksp_type", "gmres"]``."""
    import petsc4py

    # PETSc's own handler would answer SLURM's SIGTERM with a page of advice for debugging
    petsc4py.init([sys.argv[0], "-no_signal_handler", *options])
    _import_dolfinx()


def _import_dolfinx() -> None:
    """Import DOLFINx without numba, of which we use nothing through it: half of the time that its import takes."""
    if "numba" in sys.modules:
        return
    sys.modules["numba"] = None  # type: ignore[assignment]
    try:
        pass
    finally:
        del sys.modules["numba"]
