"""Mesh files from gmsh scripts: a script holds ``build(gmsh)``, which makes a geometry with named physical groups."""

from __future__ import annotations

import ast
import contextlib
import os
import runpy
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pnp_exclusion.errors import DiskError, UsageError
from pnp_exclusion.mesh.physical_names import MeshFileError
from pnp_exclusion.runtime.fenicsx import INSTALL
from pnp_exclusion.runtime.signals import held_back

GMSH_FILES = (".geo", ".geo_unrolled")


def gmsh_library() -> Any:
    """Return the module gmsh; `MeshFileError` that says what to do where it does not load."""
    try:
        with held_back():
            import gmsh
    except ModuleNotFoundError:
        raise MeshFileError(f"meshes of gmsh need gmsh, which is not installed here: {INSTALL}") from None
    except (ImportError, OSError) as error:
        raise MeshFileError(
            f"meshes of gmsh need its library, which does not load here ({error}); on Debian its system libraries come "
            "with: apt-get install libglu1-mesa libxcursor1 libxft2 libxinerama1 libxrender1"
        ) from None
    return gmsh


def write_mesh(script: Path, target: Path, changes: Sequence[str] = ()) -> int:
    """Run a script and write its mesh (complete or not at all); return the number of cells.

    changes
        ``NAME=VALUE``: other values of numbers, or of true and false, that the script has at its top.
    """
    if not script.is_file():
        raise UsageError(f"there is no mesh script {script}")
    if target.suffix != ".msh":
        raise UsageError(f"the file to write must end in .msh, but it is {target}")
    try:
        gmsh = gmsh_library()
    except MeshFileError as error:
        raise UsageError(str(error)) from None
    unfinished = target.with_name(f".{target.stem}.unfinished.msh")
    gmsh.initialize(["-noenv"], interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        cells = _make(gmsh, script, changes)
        _write(gmsh, unfinished, target)
    finally:
        if gmsh.isInitialized():
            gmsh.finalize()
        with contextlib.suppress(OSError):
            unfinished.unlink()
    return cells


def _make(gmsh: Any, script: Path, changes: Sequence[str]) -> int:
    """Build and mesh; whatever a script raises is told with the line where it did."""
    try:
        _require_build(script)
        names = runpy.run_path(str(script), run_name=script.stem)
        for change in changes:
            _set(names["build"].__globals__, change, script)
        names["build"](gmsh)
        if not gmsh.isInitialized():
            raise UsageError(f"{script}: build(gmsh) is given gmsh as it must leave it; take gmsh.finalize() out")
        dimension = gmsh.model.getDimension()
        gmsh.model.mesh.generate(dimension)
        return sum(len(tags) for tags in gmsh.model.mesh.getElements(dimension)[1])
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a script is the user's, and gmsh raises bare Exception
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == script.resolve()]
        where = f", line {lines[-1]}" if lines else ""
        raise UsageError(f"{script}{where}: {type(error).__name__}: {error}") from None


def _set(names: dict[str, Any], change: str, script: Path) -> None:
    """Give a name of a script another value of its kind."""
    name, _, text = (part.strip() for part in change.partition("="))
    old = names.get(name)
    if name not in names or not isinstance(old, bool | int | float):
        known = [key for key, value in names.items() if isinstance(value, bool | int | float)]
        raise UsageError(f'{script} has no number "{name}" at its top; there is {", ".join(known)}')
    if isinstance(old, bool):
        values = {"true": True, "false": False}
        if text.lower() not in values:
            raise UsageError(f'{name} is true or false, but not "{text}"')
        names[name] = values[text.lower()]
        return
    try:
        names[name] = type(old)(text)
    except ValueError:
        raise UsageError(f'{name} is a number like {old}, but not "{text}"') from None


def _require_build(script: Path) -> None:
    """Refuse what is no script of ours before any of it is run."""
    if script.suffix in GMSH_FILES:
        raise UsageError(
            f"{script} is not Python but gmsh's own language; gmsh makes its mesh: gmsh -3 {script.name} -o "
            f"{script.stem}.msh (-2 in two dimensions), which [domain] of a case names by file"
        )
    tree = ast.parse(script.read_bytes(), filename=str(script))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    names |= {name.asname or name.name for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names}
    names |= {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if "build" not in names:
        raise UsageError(
            f"{script} has no function build(gmsh), which makes the geometry, as in meshes/sphere.py; a script that "
            "writes its mesh itself is run by Python, and [domain] of a case names what it writes by file"
        )


def _write(gmsh: Any, unfinished: Path, target: Path) -> None:
    try:
        unfinished.write_bytes(b"")  # gmsh does not say why it cannot write
        gmsh.write(str(unfinished))
        if not unfinished.stat().st_size:
            raise OSError(None, "gmsh wrote nothing")
        os.replace(unfinished, target)
    except OSError as error:
        raise DiskError(f"cannot write {target}: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - gmsh raises bare Exception
        raise DiskError(f"cannot write {target}: {error}") from None
