"""``warm``: compile forms before they are needed."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from pnp_exclusion.runtime import fenicsx

HELP = "compile the forms of cases, or of all laws, so that later runs compile nothing"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument(
        "cases",
        type=Path,
        nargs="*",
        metavar="CASE",
        help="TOML case files; without any, two species under every law, 1D to 3D, degrees 1 and 2",
    )
    parser.add_argument("--quiet", action="store_true", help="no lines of progress")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Compile, and say where to."""
    started = time.perf_counter()
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.output.job import read
    from pnp_exclusion.runtime.compilation import cache_folder
    from pnp_exclusion.runtime.console import Console
    from pnp_exclusion.studies import warming

    comm = MPI.COMM_WORLD
    cases = [read(path) for path in arguments.cases] or list(warming.standard_cases())
    new = warming.warm(cases, comm, Console(comm.rank, arguments.quiet).say)
    if comm.rank == 0:
        print(f"{new} libraries compiled in {time.perf_counter() - started:.0f} s; the cache is {cache_folder()}")
        print("(elsewhere: set XDG_CACHE_HOME, here and in the jobs)")
    return 0
