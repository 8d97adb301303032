"""``example``: the cases, scripts and drawings that come with the package."""

from __future__ import annotations

import argparse
import ast
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from pnp_exclusion.cli.commands.words import refuse_petsc_options
from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime.launcher import launched_rank

HELP = "print a case, a script or a drawing that comes with the package, to start from"
FOLDERS = ("examples", "meshes")
"""Within the package: links to those of the repository."""
DRAWINGS = "../meshes/"
"""Where cases of the repository look for their meshes; what is printed looks beside itself."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help='as in the list, e.g. membrane: "... membrane > case.toml"'
    )
    parser.add_argument("--list", action="store_true", help="list what there is")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Print the list, or what is named."""
    refuse_petsc_options("example", petsc_options)
    there = examples()
    if not arguments.list and arguments.name not in there:
        raise UsageError(_what_there_is(arguments.name, there))
    # MPI is not started for this: its libraries may print into what is printed here
    if not launched_rank():
        if arguments.list:
            width = max(map(len, there))
            print("\n".join(f"{name:{width}}  {_title(path)}" for name, path in there.items()))
        else:
            print(there[arguments.name].read_text().replace(DRAWINGS, ""), end="")
    return 0


def examples() -> dict[str, Path]:
    """Return the files by their names: cases without their ending."""
    root = Path(str(files("pnp_exclusion")))
    found = {}
    for folder in (root / name for name in FOLDERS):
        # by `resolve`, because links to folders are not followed
        for path in sorted(folder.resolve().rglob("*")):
            if path.suffix in (".toml", ".py"):
                name = path.relative_to(folder.resolve()).as_posix().removesuffix(".toml")
                found[name if folder.name == FOLDERS[0] else f"{folder.name}/{name}"] = path
    return found


def _what_there_is(name: str | None, there: dict[str, Path]) -> str:
    from pnp_exclusion.case.sentences import nearest

    if name is None:
        return "example: name one, or ask for the list with --list"
    return f'example: there is no "{name}"; {nearest(name, there)}'


def _title(path: Path) -> str:
    """Return what a case calls itself, or the first line of what a script says of itself."""
    text = path.read_text()
    if path.suffix == ".toml":
        title: str = tomllib.loads(text).get("title", "")
        return title
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
