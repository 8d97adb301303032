"""The rooms of the package, and in which direction they may import from each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from conftest import ROOT

PACKAGE = ROOT / "pnp_exclusion"
ROOMS = (
    "errors",
    "runtime",
    "mesh",
    "physics",
    "discretisation",
    "solver",
    "observe",
    "case",
    "solution",
    "output",
    "exact",
    "particles",
    "studies",
    "verification",
    "cli",
)
"""From the ground up: a room imports from itself and from those before it."""


def module_of(path: Path) -> str:
    """The dotted name of a file, without that of the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in ROOMS}


def imports_of(path: Path) -> Iterator[str]:
    """The modules of this package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE.name:
            source = (node.module or "").partition(".")[2]
            for name in node.names:
                inner = f"{source}.{name.name}".lstrip(".")
                yield inner if inner in MODULES else source


def test_every_module_is_in_a_room():
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found == {*ROOMS, "__init__", "__main__"}


def test_rooms_import_from_those_below_them_only():
    upwards = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        for imported in imports_of(path)
        if ROOMS.index(imported.partition(".")[0]) > ROOMS.index(module.partition(".")[0])
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: {found for found in imports_of(path) if found != module} for module, path in MODULES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
