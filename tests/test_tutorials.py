"""The documents do what they say: blocks of tutorials run in an empty folder and print what their pages promise, and
Python of other pages runs where the examples are.

The pages compare their numbers with closed forms themselves: Gouy and Chapman, Donnan, Butler and Volmer, flat layers.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs"))

import tutorials

from pnp_exclusion.physics import laws


@pytest.mark.parametrize("name", tutorials.names())
def test_a_tutorial_does_what_it_says(name: str, tmp_path: Path):
    tutorials.follow(name, tmp_path)
    made = tutorials.pictures(name)
    assert made
    for picture in made:
        assert (tmp_path / picture).stat().st_size > 5_000
        assert (tutorials.HERE / name / picture).exists()


PAGES = (
    "README",
    *(f"docs/{name}" for name in ("curves", "gradients", "impedance", "ions", "noise", "python", "results")),
)


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page_runs_from_its_first_block_to_its_last(page: str, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("pnp_exclusion.physics.laws.LAWS", dict(laws.LAWS))
    for folder in ("examples", "meshes"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    with warnings.catch_warnings():
        assert tutorials.run_python(ROOT / f"{page}.md", tmp_path)


def test_a_tutorial_that_promises_another_number_is_caught():
    with pytest.raises(AssertionError, match=r"page\.md promises\n *charge 0\.13"):
        tutorials.require("charge 0.13 C\n", "first\ncharge 0.1273 C\n", "page")
    tutorials.require("charge 0.127 C\n", "first\ncharge 0.1273 C\n", "page")
