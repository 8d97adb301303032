"""What is not installed is told in one sentence with what to do, by the command and from Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from argparse import ArgumentParser

from mpi4py import MPI

import pytest
from conftest import EXAMPLES, ROOT

import pnp_exclusion as pnp
from pnp_exclusion.cli.commands import run
from pnp_exclusion.mesh.make import gmsh_library
from pnp_exclusion.mesh.physical_names import MeshFileError
from pnp_exclusion.output.fields import require_formats
from pnp_exclusion.output.job import Job

SENTENCE = 'FEniCSx is not installed for .*: pip install "[.]\\[fenicsx,gmsh\\]" in the folder of this package'


def without_packages(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as where nothing is installed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-S", *words], capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.parametrize("words", [["run", str(EXAMPLES / "membrane.toml")], ["mesh", "none.py"], ["info"]])
def test_command_says_how_to_install_fenicsx(words: list[str]):
    ended = without_packages("-m", "pnp_exclusion", *words)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert re.search(SENTENCE, ended.stderr)


def test_python_raises_an_import_error_that_says_so():
    program = "import pnp_exclusion\ntry:\n    pnp_exclusion.solve\nexcept ImportError as error:\n    print(error)"
    ended = without_packages("-c", program)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("FEniCSx is not installed for ")


def test_gmsh_that_is_not_installed_is_told_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "gmsh", None)
    with pytest.raises(MeshFileError, match=r'which is not installed here: pip install "[.]\[fenicsx,gmsh\]"'):
        gmsh_library()


def test_h5py_that_is_not_installed_is_told_before_the_solve(monkeypatch, tmp_path):
    """Its advice is to install it: nothing was imported before DOLFINx."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    case = pnp.read_case(EXAMPLES / "membrane.toml")
    with pytest.raises(pnp.UsageError, match="install it") as told:
        require_formats(case, MPI.COMM_SELF)
    assert "before dolfinx" not in str(told.value)
    monkeypatch.setattr(Job, "solve", lambda *_: pytest.fail("it was solved"))
    parser = ArgumentParser()
    run.add_to(parser)
    words = [str(EXAMPLES / "membrane.toml"), "-o", str(tmp_path / "out")]
    with pytest.raises(pnp.UsageError, match="install it"):
        run.execute(parser.parse_args(words), [])
    assert not (tmp_path / "out").exists()


def test_fields_of_other_formats_need_no_h5py(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    tables = tomllib.loads((EXAMPLES / "membrane.toml").read_text())
    require_formats(pnp.Case(**{**tables, "output": {"fields": ["csv"]}}), MPI.COMM_SELF)
