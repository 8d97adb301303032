"""``pnp-exclusion example``: what comes with the package, also where there is no repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from pnp_exclusion.cli.commands.example import examples
from pnp_exclusion.cli.main import main


def in_repository() -> set[str]:
    """Return the files of cases, scripts and drawings, from the root of the repository."""
    found = [path for folder in ("examples", "meshes") for path in (ROOT / folder).rglob("*")]
    return {path.relative_to(ROOT).as_posix() for path in found if path.suffix in (".toml", ".py")}


def printed(name: str, capsys: pytest.CaptureFixture) -> str:
    assert main(["example", name]) == 0
    return capsys.readouterr().out


def test_list_names_every_file_with_what_it_is(capsys: pytest.CaptureFixture):
    assert main(["example", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(examples())
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines), "one without a title"
    assert len(lines) == len(in_repository())


@pytest.mark.parametrize("words", [["example", "membrane"], ["ions"], ["schema"]])
def test_what_is_printed_into_a_file_is_printed_without_mpi(words: list[str]):
    """Libraries of MPI print warnings of their own into the same stream, where a machine is not as they like it."""
    script = "import sys; from pnp_exclusion.cli.main import main; main(); print('mpi4py.MPI' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script, *words], check=True, capture_output=True, text=True)
    assert shown.stdout.splitlines()[-1] == "False"


def test_case_and_its_drawing_in_one_folder_are_a_case(
    capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("slit.py").write_text(printed("meshes/slit.py", capsys))
    Path("slit.toml").write_text(printed("slit", capsys))
    assert main(["mesh", "slit.py"]) == 0
    assert main(["check", "slit.toml"]) == 0


@pytest.mark.parametrize(("words", "sentence"), [(["slot"], 'did you mean "slit"?'), ([], "--list")])
def test_a_name_that_is_none_is_told_with_the_nearest(words: list[str], sentence: str, capsys: pytest.CaptureFixture):
    assert main(["example", *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A copy of the sources, the sdist made of it, and the wheel made of the sdist; without a network."""
    base = tmp_path_factory.mktemp("packages")
    unneeded = shutil.ignore_patterns(".*", "__pycache__", "*.msh", "*.egg-info", "_build", "build", "dist")

    def not_of_the_sources(folder: str, names: list[str]) -> set[str]:
        return unneeded(folder, names) | ({"results"} if Path(folder) == ROOT else set())

    source = Path(shutil.copytree(ROOT, base / "source", symlinks=True, ignore=not_of_the_sources))
    build = "import sys, setuptools.build_meta as backend; getattr(backend, sys.argv[1])(sys.argv[2])"
    subprocess.run([sys.executable, "-c", build, "build_sdist", str(base)], cwd=source, check=True, capture_output=True)
    (sdist,) = base.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(base / "unpacked", filter="data")
    (unpacked,) = (base / "unpacked").iterdir()
    subprocess.run(
        [sys.executable, "-c", build, "build_wheel", str(base)], cwd=unpacked, check=True, capture_output=True
    )
    (wheel,) = base.glob("*.whl")
    return source, sdist, wheel


def test_sdist_holds_every_source_document_and_test(packages: tuple[Path, Path, Path]):
    source, sdist, _ = packages
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    made = {name for name in files if ".egg-info" in name}
    assert files - made <= names
    assert {"docs/theory.md", "examples/membrane.toml", "tests/conftest.py", "packaging/recipe.yaml"} <= names


def test_wheel_of_the_sdist_holds_every_example_drawing_module_and_datum(packages: tuple[Path, Path, Path]):
    names = set(zipfile.ZipFile(packages[2]).namelist())
    assert {f"pnp_exclusion/{name}" for name in in_repository()} <= names
    data = {path for path in (ROOT / "pnp_exclusion").rglob("*") if path.suffix in (".py", ".c", ".csv", ".typed")}
    assert {path.relative_to(ROOT).as_posix() for path in data} <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"pnp_exclusion"}
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    text = zipfile.ZipFile(packages[2]).read(metadata).decode()
    for extra in ("fenicsx", "gmsh", "dask", "pyvista", "notebook", "completion"):
        assert f"Provides-Extra: {extra}\n" in text
