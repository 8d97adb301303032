"""A mesh file is data: whatever it holds, is called and lies beside, nothing runs and nothing else is read.

The only things that such files try here is to make an empty file in the folder of the test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msh import LINE, TRIANGLE, Square, write_msh

from pnp_exclusion.mesh.gmsh_file import mesh_groups, read_mesh_file
from pnp_exclusion.mesh.physical_names import MeshFileError


def square(path: Path) -> Path:
    s = Square(2, 2)
    return write_msh(path, s.points, [(LINE, 1, 1, s.side("left")), (TRIANGLE, 2, 2, s.triangles)], [(1, 1, "left")])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder to work in, in which nothing may appear."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not list(tmp_path.glob("**/marker*"))


def test_options_beside_a_mesh_are_not_read(folder: Path):
    mesh = square(folder / "mesh.msh")
    for name in ("mesh.msh.opt", "mesh.opt", "mesh.geo", "mesh.geo.opt"):
        (folder / name).write_text(f'System "touch {folder}/marker";\n')
    assert len(read_mesh_file(mesh).cells) == 8


@pytest.mark.parametrize(
    "name",
    ["mesh.geo", "mesh.opt", "mesh.py", "mesh.exe", "mesh.gz", "mesh.pos", "a;touch marker;.gz", "$(touch marker).gz"],
)
def test_name_of_a_mesh_means_nothing(folder: Path, name: str):
    assert len(read_mesh_file(square(folder / name)).cells) == 8


@pytest.mark.parametrize("name", ["mesh.msh", "mesh.geo", "mesh.pos"])
def test_script_that_is_called_a_mesh_is_refused(folder: Path, name: str):
    (folder / name).write_text(f'System "touch {folder}/marker";\nPoint(1) = {{0, 0, 0}};\n')
    with pytest.raises(MeshFileError, match="does not begin with \\$MeshFormat"):
        mesh_groups(folder / name)


@pytest.mark.parametrize("place", ["$Nodes", "$Elements", "$EndElements"])
def test_script_inside_a_mesh_does_not_run(folder: Path, place: str):
    mesh = square(folder / "mesh.msh")
    mesh.write_text(mesh.read_text().replace(place, f'System "touch {folder}/marker";\n{place}', 1))
    read_mesh_file(mesh)


def test_options_in_the_home_folder_are_not_read(folder: Path):
    mesh = square(folder / "mesh.msh")
    for name in (".gmshrc", ".gmsh-options"):
        (folder / name).write_text(f'System "touch {folder}/marker";\n')
    script = "import sys, pathlib, pnp_exclusion.mesh.gmsh_file as g; g.mesh_groups(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", script, mesh], check=True, env={**os.environ, "HOME": str(folder)})


def test_what_is_no_file_is_refused(folder: Path):
    """A pipe would be waited for, a device without end be read."""
    os.mkfifo(folder / "pipe.msh")
    for path in (folder / "pipe.msh", folder, Path("/dev/zero")):
        with pytest.raises(MeshFileError, match="is not a file"):
            mesh_groups(path)


def test_gmsh_in_use_by_the_same_process_is_left_as_it_is(folder: Path):
    import gmsh

    mesh = square(folder / "mesh.msh")
    gmsh.initialize(["-noenv"], interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.add("own")
        gmsh.model.occ.addRectangle(0.0, 0.0, 0.0, 1.0, 1.0)
        gmsh.model.occ.synchronize()
        assert mesh_groups(mesh).facets() == ["left"]
        assert gmsh.isInitialized()
        assert gmsh.model.getCurrent() == "own"
        assert len(gmsh.model.getEntities(2)) == 1
    finally:
        gmsh.finalize()
