"""What is not installed is told in one sentence with what to do, by the command and from Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from conftest import EXAMPLES, ROOT

from pnp_exclusion.mesh.make import gmsh_library
from pnp_exclusion.mesh.physical_names import MeshFileError

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
