"""Mesh files: what cannot be used is refused in a sentence, what can be is read on any number of ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import EXAMPLES, blocking_electrode, example, mistakes, run_command, write_toml

from pnp_exclusion.mesh.gmsh_file import mesh_groups
from pnp_exclusion.mesh.physical_names import MeshFileError


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no mesh file"),
        ("hello", "is not a gmsh file"),
        ("$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$Nodes\n", "is broken"),
        ('$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$PhysicalNames\n2\n1 1 "left"\nx\n', "is broken"),
    ],
)
def test_mesh_file_that_cannot_be_used_is_named(tmp_path: Path, membrane: dict, content: str | None, sentence: str):
    if content is not None:
        (tmp_path / "bad.msh").write_text(content)
    membrane["domain"] = {"shape": "gmsh", "file": "bad.msh", "unit": "1 nm"}
    membrane["regions"] = []
    told = mistakes(membrane, tmp_path)
    assert any(sentence in mistake for mistake in told)


def test_mesh_of_another_dimension_is_refused(membrane: dict):
    tables = example("slit")
    tables["domain"]["dimension"] = 3
    assert any("dimension = 3" in mistake for mistake in mistakes(tables, EXAMPLES))


def test_broken_mesh_behind_a_good_header_ends_with_exit_code_2(tmp_path: Path, membrane: dict):
    names = "".join(
        f'{dim} {tag} "{name}"\n' for tag, (dim, name) in enumerate([(1, "left"), (1, "right"), (2, "all")])
    )
    (tmp_path / "cut.msh").write_text(
        f"$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$PhysicalNames\n3\n{names}$EndPhysicalNames\n$Nodes\n1 9 1 9\n2 1"
    )
    membrane["domain"] = {"shape": "gmsh", "file": "cut.msh", "unit": "1 nm"}
    membrane["regions"] = []
    case = write_toml(membrane, tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 2, finished.stderr
    assert "cut.msh" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.fixture(scope="module")
def meshes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Meshes with a fault each, and two without, made by gmsh."""
    gmsh = pytest.importorskip("gmsh")
    folder = tmp_path_factory.mktemp("meshes")
    gmsh.initialize(["-noenv"], interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("Mesh.MeshSizeMax", 0.2)
        _square(gmsh, "binary")
        gmsh.model.mesh.generate(2)
        gmsh.option.setNumber("Mesh.Binary", 1)
        gmsh.write(str(folder / "binary.msh"))
        gmsh.option.setNumber("Mesh.Binary", 0)
        gmsh.model.mesh.setOrder(3)
        gmsh.write(str(folder / "order3.msh"))
        for name, middle in (("line", (0.5, 0.0)), ("bent", (0.5, 0.2))):
            _line(gmsh, name, middle)
            gmsh.model.mesh.generate(1)
            gmsh.write(str(folder / f"{name}.msh"))
    finally:
        gmsh.finalize()
    whole = (folder / "binary.msh").read_bytes()
    for share in (3, 6, 9):
        (folder / f"cut{share}.msh").write_bytes(whole[: len(whole) * share // 10])
    return folder


def _square(gmsh, name: str) -> None:
    gmsh.model.add(name)
    square = gmsh.model.occ.addRectangle(0.0, 0.0, 0.0, 1.0, 1.0)
    gmsh.model.occ.synchronize()
    curves = gmsh.model.getBoundary([(2, square)], oriented=False)
    for side, (_, curve) in zip(("bottom", "right", "top", "left"), curves, strict=True):
        gmsh.model.addPhysicalGroup(1, [curve], name=side)
    gmsh.model.addPhysicalGroup(2, [square], name="all")


def _line(gmsh, name: str, middle: tuple[float, float]) -> None:
    gmsh.model.add(name)
    first, between, last = (gmsh.model.geo.addPoint(*p, 0.0) for p in ((0.0, 0.0), middle, (1.0, 0.0)))
    lines = [gmsh.model.geo.addLine(first, between), gmsh.model.geo.addLine(between, last)]
    gmsh.model.geo.synchronize()
    for side, point in (("left", first), ("right", last)):
        gmsh.model.addPhysicalGroup(0, [point], name=side)
    gmsh.model.addPhysicalGroup(1, lines, name="all")


MESH_FAULTS = {
    "order3": "cells of the kind Triangle 10",
    "bent": "is not flat",
    "cut3": "is broken: Could not read nodes",
    "cut6": "is broken: Could not read elements",
    "cut9": "is broken: Could not read elements",
}


@pytest.mark.parametrize("name", MESH_FAULTS)
def test_mesh_that_cannot_be_used_ends_in_a_sentence(name: str, meshes: Path):
    from mpi4py import MPI

    from pnp_exclusion.mesh.gmsh_domain import gmsh_domain

    path = meshes / f"{name}.msh"
    with pytest.raises(MeshFileError) as caught:
        gmsh_domain(MPI.COMM_SELF, path)
    assert MESH_FAULTS[name] in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["line", "binary", "cut6"])
def test_gmsh_meshes_on_several_ranks(name: str, ranks: int, meshes: Path, tmp_path: Path):
    """A mesh of lines, one in binary format, and a broken one, which every rank must give up with exit code 2."""
    tables = blocking_electrode("mpnp", 1.0, 0.3)
    tables["domain"] = {"shape": "gmsh", "file": str(meshes / f"{name}.msh")}
    case = write_toml(tables, tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", ranks=ranks, timeout=60)
    assert finished.returncode == (2 if name == "cut6" else 0), finished.stderr
    assert finished.stderr.count("is broken") == (1 if name == "cut6" else 0)
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ('$PhysicalNames\n1\n7 1 "left"\n', "is broken in $PhysicalNames"),
        ('$PhysicalNames\n1\n0 1 "left"\n', "has no cells"),
        ("$PhysicalNames\nmany\n", "is broken"),
    ],
)
def test_header_without_groups_that_make_sense_is_refused(tmp_path: Path, header: str, sentence: str):
    (tmp_path / "bad.msh").write_text(f"$MeshFormat\n4.1 0 8\n$EndMeshFormat\n{header}$EndPhysicalNames\n")
    with pytest.raises(MeshFileError, match=sentence.replace("$", r"\$")):
        mesh_groups(tmp_path / "bad.msh")
