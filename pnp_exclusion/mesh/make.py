"""Mesh files from gmsh scripts: a script holds ``build(gmsh)``, which makes a geometry with named physical groups."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from pnp_exclusion.errors import DiskError, UsageError


def write_mesh(script: Path, target: Path) -> int:
    """Run a script and write its mesh (complete or not at all); return the number of cells."""
    if not script.is_file():
        raise UsageError(f"there is no mesh script {script}")
    specification = importlib.util.spec_from_file_location(script.stem, script)
    if specification is None or specification.loader is None:
        raise UsageError(f"{script} is not a Python script")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    if not hasattr(module, "build"):
        raise UsageError(f"{script} has no function build(gmsh)")
    import gmsh

    gmsh.initialize(["-noenv"], interruptible=False)
    unfinished = target.with_name(f".{target.stem}.unfinished.msh")
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        module.build(gmsh)
        dimension = gmsh.model.getDimension()
        gmsh.model.mesh.generate(dimension)
        gmsh.write(str(unfinished))
        cells = sum(len(tags) for tags in gmsh.model.mesh.getElements(dimension)[1])
    finally:
        gmsh.finalize()
    try:
        os.replace(unfinished, target)
    except OSError as error:
        raise DiskError(f"cannot write {target}: {error.strerror}") from None
    return cells
