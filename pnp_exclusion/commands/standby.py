"""``standby``: keep a process from which later commands start with everything imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.errors import UsageError
from pnp_exclusion.launcher import launched_rank

HELP = "stay, with everything imported, and let later commands begin at once"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument("--quiet", action="store_true", help="no line for each command")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Import, wait; in a child, be the command that was asked for."""
    if petsc_options:
        raise UsageError("standby takes no options for PETSc; give them to the commands")
    if launched_rank() is not None:
        raise UsageError("standby is one process without an MPI launcher")
    from pnp_exclusion import cli, fenicsx
    from pnp_exclusion.console import Console
    from pnp_exclusion.signals import hear_interruptions
    from pnp_exclusion.standby.address import address
    from pnp_exclusion.standby.preload import import_everything
    from pnp_exclusion.standby.server import Standby

    standby = Standby(address(), Console(0, arguments.quiet).say)
    import_everything()
    words = standby.wait()
    if words is None:
        return 0
    hear_interruptions()
    fenicsx.start_mpi()
    return cli.main(words)
