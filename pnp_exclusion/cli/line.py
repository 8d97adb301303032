"""The words of a command line: which command, its arguments, and what is PETSc's. Imports nothing heavy."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from pnp_exclusion.cli import commands
from pnp_exclusion.errors import UsageError

EPILOG = """\
Whatever follows "--" goes to PETSc, e.g.  pnp-exclusion run case.toml -- -snes_view -ksp_type gmres
Under MPI:  mpiexec -n 4 pnp-exclusion run case.toml -o results

exit codes: 0 done, 1 an unexpected error, 2 a bad case or command line, 3 did not converge, 4 the disk,
            5 stopped at SIGTERM or by --walltime after a checkpoint, 130 interrupted
"""


def read_line(line: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments of a line, with the name of its command, and PETSc's options.

    `UsageError` for options that are none; argparse ends the process itself where it is asked for help or finds a
    mistake.
    """
    words, petsc_options = _split_petsc_options(list(line))
    return parser_of(words).parse_args(_with_negative_values(words)), petsc_options


def parser_of(line: Sequence[str]) -> argparse.ArgumentParser:
    """Return what reads a line: of all commands, or of the one that it begins with, so that no other is imported."""
    parser = argparse.ArgumentParser(
        prog="pnp-exclusion",
        description="Crowded ions: modified Poisson-Nernst-Planck with volume exclusion, by finite elements.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and leave")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in [name for name in commands.NAMES if line[:1] == [name]] or commands.NAMES:
        module = command(name)
        words = subparsers.add_parser(name, help=module.HELP)
        module.add_to(words)
        _add_talk(words)
    return parser


def _add_talk(parser: argparse.ArgumentParser) -> None:
    """Add how every command talks."""
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="details on standard error: times, Krylov steps, .."
    )
    parser.add_argument(
        "--log-file", type=Path, metavar="FILE", help="append all that is said, with details and the time of day"
    )


class _ShowVersion(argparse.Action):
    """Reads the version of the installed package, only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        parser.exit(message=f"pnp-exclusion {version('pnp_exclusion')}\n")


def command(name: str) -> ModuleType:
    """Return the file of a command."""
    return importlib.import_module(f"pnp_exclusion.cli.commands.{name}")


@contextlib.contextmanager
def called_with(line: Sequence[str]) -> Iterator[None]:
    """Let manifests say what is run, where this process was started with other words."""
    own, sys.argv = sys.argv, [*sys.argv[:1], *line]
    try:
        yield
    finally:
        sys.argv = own


def _split_petsc_options(words: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in words:
        return words, []
    position = words.index("--")
    options = words[position + 1 :]
    if options and not options[0].startswith("-"):
        raise UsageError(f'"{options[0]}" after "--" is no PETSc option: these begin with a dash, e.g. -ksp_monitor')
    return words[:position], options


def _with_negative_values(words: Sequence[str]) -> list[str]:
    """Join negative quantities to the options before them: ``--from -0.5V``, whose unit makes argparse see options."""
    joined: list[str] = []
    for word in words:
        if re.match(r"-\.?\d", word) and joined and re.fullmatch(r"--\w[\w-]*", joined[-1]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
