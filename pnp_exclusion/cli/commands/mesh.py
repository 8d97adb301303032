"""``mesh``: run a drawing, a Python script for gmsh, and write its file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pnp_exclusion.runtime import fenicsx

HELP = "run a drawing, a Python script for gmsh, and write its .msh file"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument("script", type=Path, help="a Python script with a function build(gmsh)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="changes",
        help="another value of a number at the top of the script, e.g. RADIUS=5; can be given several times",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the file to write (default: beside the script)"
    )


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Make the mesh and say how many cells it has, on rank 0 alone."""
    fenicsx.import_mpi()
    from mpi4py import MPI

    from pnp_exclusion.mesh.make import write_mesh
    from pnp_exclusion.runtime.parallel import on_rank_zero

    target = arguments.output or arguments.script.with_suffix(".msh")
    cells = on_rank_zero(MPI.COMM_WORLD, lambda: write_mesh(arguments.script, target, arguments.changes))
    if MPI.COMM_WORLD.rank == 0:
        print(f"{target}: {cells} cells")
    return 0
