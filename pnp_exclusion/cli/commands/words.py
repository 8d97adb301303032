"""Words that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pnp_exclusion.errors import UsageError


def add_case(parser: argparse.ArgumentParser) -> None:
    """Add the positional CASE."""
    parser.add_argument("case", type=Path, metavar="CASE", help="a TOML case file")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the folder for results and how to talk."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the results (default: the name of CASE without .toml, + .results, in the current folder)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that the folder holds")
    parser.add_argument("--quiet", action="store_true", help="no lines of progress (the log file has them)")


def add_restart(parser: argparse.ArgumentParser, command: str, of_case: str = "") -> None:
    """Add how a command whose case moves goes on and stops in time; ``of_case`` says which one does, if not all."""
    parser.add_argument(
        "--restart",
        type=Path,
        metavar="DIR",
        help=f"go on from the checkpoint in the results DIR of the same {command}, in that folder if there is no -o",
    )
    which = of_case and f"{of_case}: "
    parser.add_argument("--walltime", metavar="TIME", help=f'{which}stop in time, after a checkpoint, e.g. "2h"')


def refuse_petsc_options(command: str, petsc_options: Sequence[str]) -> None:
    """Refuse options of PETSc for a command that does not start it."""
    if petsc_options:
        raise UsageError(f"{command} takes no options of PETSc, as it solves nothing: {' '.join(petsc_options)}")


def numbers(text: str, kind: type[int] | type[float]) -> list[int] | list[float]:
    """Read numbers separated by commas; `ValueError` if one is none."""
    return [kind(word) for word in text.split(",") if word.strip()]


def laws(option: str, text: str) -> list[str]:
    """Read names of laws separated by commas, each once; `UsageError` with the option if there is none of a name."""
    from pnp_exclusion.case.sentences import nearest
    from pnp_exclusion.physics.laws import LAWS, find_law

    names = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for name in names:
        if find_law(name) is None:
            raise UsageError(f'{option}: there is no law "{name}"; {nearest(name, LAWS)}')
    if not names:
        raise UsageError(f"{option}: name at least one law, e.g. mpnp,shdl")
    return names
