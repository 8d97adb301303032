"""Importing all that commands need, without starting MPI or PETSc: neither survives a fork."""

from __future__ import annotations

import importlib
import pkgutil

import pnp_exclusion
from pnp_exclusion import fenicsx
from pnp_exclusion.quantities import unit_registry
from pnp_exclusion.signals import held_back
from pnp_exclusion.standby.server import LEAVE


def import_everything() -> None:
    """Import the stack and every module of this package, and read the units, before anything else imports MPI.

    In a child `fenicsx.start_mpi` starts the one, and `fenicsx.initialise_petsc` the other.
    """
    import mpi4py

    mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
    # libraries that are loaded set handlers of their own, which this takes back
    with held_back(LEAVE):
        fenicsx.import_wheel()
        importlib.import_module("petsc4py.lib").ImportPETSc()
        fenicsx.import_dolfinx()
        for module in pkgutil.walk_packages(pnp_exclusion.__path__, "pnp_exclusion."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    unit_registry()
