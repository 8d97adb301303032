"""What a shell is told as it completes a line (docs/installing.md#completion); imported for that alone."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

import argcomplete
from argcomplete.completers import FilesCompleter

from pnp_exclusion.cli.line import parser_of


def complete() -> None:
    """Answer the shell that asks, and end the process."""
    words = os.environ.get("COMP_LINE", "").split()[1:]
    parser = parser_of(words)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, of_command in action.choices.items():
                _add_completers(name, of_command)
    argcomplete.autocomplete(parser)


def _add_completers(command: str, parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        completer = COMPLETERS.get(f"{command} {action.dest}") or COMPLETERS.get(action.dest)
        if completer is not None:
            action.completer = completer  # type: ignore[attr-defined]


def _laws(**_: object) -> list[str]:
    from pnp_exclusion.physics.laws import LAWS

    return list(LAWS)


def _examples(**_: object) -> list[str]:
    from pnp_exclusion.cli.commands.example import examples

    return list(examples())


def _ions(**_: object) -> list[str]:
    from pnp_exclusion.case.ions import ions

    return list(ions())


_CASES = FilesCompleter(("toml",))
COMPLETERS: dict[str, Callable] = {
    **dict.fromkeys(("case", "cases", "other"), _CASES),
    **dict.fromkeys(("law", "laws"), _laws),
    "mesh script": FilesCompleter(("py",)),
    "example name": _examples,
    "ions ions": _ions,
}
"""By the destination of a word, with its command before it where others have one of the same name. Other words are
completed by files, and by their choices where there are some."""
