"""The tutorials do what they say: their blocks run in an empty folder and print what their pages promise.

The pages compare their numbers with closed forms themselves: Gouy and Chapman, Donnan, Butler and Volmer, flat layers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs"))

import tutorials


@pytest.mark.parametrize("name", tutorials.names())
def test_a_tutorial_does_what_it_says(name: str, tmp_path: Path):
    tutorials.follow(name, tmp_path)
    made = tutorials.pictures(name)
    assert made
    for picture in made:
        assert (tmp_path / picture).stat().st_size > 5_000
        assert (tutorials.HERE / name / picture).exists()


def test_a_tutorial_that_promises_another_number_is_caught():
    with pytest.raises(AssertionError, match=r"page\.md promises\n *charge 0\.13"):
        tutorials.require("charge 0.13 C\n", "first\ncharge 0.1273 C\n", "page")
    tutorials.require("charge 0.127 C\n", "first\ncharge 0.1273 C\n", "page")
