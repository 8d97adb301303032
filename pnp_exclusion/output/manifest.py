"""What is needed to run a command again, and to know what ran: "cases" where it takes several."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpi4py import MPI
from petsc4py import PETSc

from pnp_exclusion.case.same_case import case_hash, files_of
from pnp_exclusion.case.tables import CaseTables

if TYPE_CHECKING:
    from pnp_exclusion.case.gas_case import GasCase
    from pnp_exclusion.case.lattice_tables import LatticeCase
    from pnp_exclusion.solution.solution import Solution

type AnyCase = CaseTables | GasCase | LatticeCase


def manifest(solution: Solution, ranks: int, memory: Sequence[float]) -> dict[str, Any]:
    """Return what is needed to run a case again and to know what ran; reads the mesh file, so for rank 0 alone.

    memory
        The most bytes that each rank has held.
    """
    return case_manifest(solution.setup.case, ranks, hashes=solution.files) | {
        "law": solution.discretisation.problem.law.name,
        "petsc_options": solution.petsc_options,
        "petsc_options_unused": solution.unused_petsc_options,
        "linear": solution.report.linear,
        "tried": solution.report.tried,
        "peak_memory_mb": [round(bytes_held / 1e6) for bytes_held in memory],
        "seconds": dict(solution.seconds),
    }


def case_manifest(
    case: AnyCase,
    ranks: int,
    written: dict[str, Any] | None = None,
    files: Mapping[str, Path] | None = None,
    hashes: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Return what every manifest of one case says; reads the files that the case names, so for rank 0 alone.

    written
        The case with defaults filled in, where it is not as the command has read it.
    files
        Those that the command takes beside its case, by the words that name them.
    hashes
        Of the files that the case names as they were read, where they may have changed or gone since.
    """
    named = {word: {"file": str(path.resolve()), "sha256": _sha256(path)} for word, path in (files or {}).items()}
    return _of_case(case, written or case.as_written(), hashes) | {"files_of_command": named} | _what_ran(ranks)


def cases_manifest(cases: Sequence[AnyCase], ranks: int) -> dict[str, Any]:
    """Return the same of a command that takes several cases."""
    return {"cases": [_of_case(case, case.as_written()) for case in cases]} | _what_ran(ranks)


def _of_case(case: AnyCase, written: dict[str, Any], hashes: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """Return a case with defaults filled in, its hash, where it was read, and the hashes of the files that it names."""
    if hashes is None:
        hashes = files_of(case) if isinstance(case, CaseTables) else {}
    return {
        "case": written,
        "case_sha256": case_hash(written),
        "case_file": str(case.path.resolve()),
        "files_sha256": dict(hashes),
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _what_ran(ranks: int) -> dict[str, Any]:
    return {"command_line": sys.argv[1:], "versions": versions(), "ranks": ranks}


def versions() -> dict[str, str]:
    """Return the versions of the package and of what its numbers depend on, the processor first."""
    found = {
        "cpu": _cpu(),
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


def _cpu() -> str:
    """Return what computes, whose rounding is not that of others."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    """Return the version of an installed package; `PackageNotFoundError` without one."""
    # importlib.metadata.version reads the whole file, with its long description, as an e-mail: longer than a solve
    distribution = importlib.metadata.distribution(name)
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    return text.partition("\nVersion: ")[2].partition("\n")[0]
