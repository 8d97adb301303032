"""What is needed to run a case again, and to know what ran."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpi4py import MPI
from petsc4py import PETSc

from pnp_exclusion.case.same_case import case_hash

if TYPE_CHECKING:
    from pnp_exclusion.solution.solution import Solution


def manifest(solution: Solution, ranks: int, memory: Sequence[float]) -> dict[str, Any]:
    """Return what is needed to run a case again and to know what ran; reads the mesh file, so for rank 0 alone.

    memory
        The most bytes that each rank has held.
    """
    content = case_manifest(solution.setup.case.as_written(), ranks) | {
        "law": solution.discretisation.problem.law.name,
        "petsc_options": solution.petsc_options,
        "petsc_options_unused": solution.unused_petsc_options,
        "linear": solution.report.linear,
        "tried": solution.report.tried,
        "peak_memory_mb": [round(bytes_held / 1e6) for bytes_held in memory],
        "seconds": dict(solution.seconds),
    }
    if solution.setup.case.domain.shape == "gmsh":
        content["mesh_sha256"] = hashlib.sha256(solution.setup.case.mesh_path.read_bytes()).hexdigest()
    return content


def case_manifest(written: dict[str, Any], ranks: int) -> dict[str, Any]:
    """Return what every manifest says: the case with defaults filled in, its hash, and what ran."""
    return {
        "case": written,
        "case_sha256": case_hash(written),
        "command_line": sys.argv[1:],
        "versions": versions(),
        "ranks": ranks,
    }


def versions() -> dict[str, str]:
    """Return the versions of the package and of what its numbers depend on."""
    found = {
        "python": platform.python_version(),
        "petsc": ".".join(map(str, PETSc.Sys.getVersion())),
        "mpi": MPI.Get_library_version().splitlines()[0].strip(),
    }
    for name in (
        "pnp-exclusion",
        "fenics-dolfinx",
        "dolfinx-solver-real",
        "fenics-basix",
        "fenics-ffcx",
        "fenics-ufl",
        "numpy",
        "scipy",
        "xarray",
        "mpi4py",
        "pydantic",
        "pint",
        "matplotlib",
        "h5py",
        "gmsh",
    ):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = _version(name)
    return found


def _version(name: str) -> str:
    """Return the version of an installed package; `PackageNotFoundError` without one."""
    # importlib.metadata.version reads the whole file, with its long description, as an e-mail: longer than a solve
    distribution = importlib.metadata.distribution(name)
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    return text.partition("\nVersion: ")[2].partition("\n")[0]
