"""``pnp-exclusion example``: what comes with the package, also where there is no repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
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


def test_wheel_holds_every_example_drawing_and_module(tmp_path: Path):
    """It is made without a network, by the setuptools of this environment, from a copy of the sources."""
    source = tmp_path / "source"
    for folder in ("pnp_exclusion", "examples", "meshes"):
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"pnp_exclusion/{name}" for name in in_repository()} <= names
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pnp_exclusion").rglob("*.py")}
    assert modules | {"pnp_exclusion/py.typed", "pnp_exclusion/solver/assembly/cells.c"} <= names
