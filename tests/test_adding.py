"""The pages on how something is added: each is followed, in a copy of the package, and its own test passes.

A block of code is preceded by a line that says where it goes: into a new file, or into one that is there, above, below
or in place of some text.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PAGES = sorted((ROOT / "docs").glob("adding-*.md"))
STEP = re.compile(
    r"^(?:A new file|In) `(?P<file>[^`]+)`(?:, (?P<how>above|below|in place of) `(?P<text>[^`]+)`)?:\n\n"
    r"```(?:python|text)\n(?P<code>.*?)^```",
    flags=re.MULTILINE | re.DOTALL,
)


def follow(page: Path, copy: Path) -> list[Path]:
    """Do what a page says; return the tests that it adds."""
    steps = list(STEP.finditer(page.read_text()))
    assert len(steps) == page.read_text().count("```\n\n"), "a block without a place for it"
    for step in steps:
        path, code, text = copy / step["file"], step["code"], (step["text"] or "").replace(r"\n", "\n")
        if step["how"] is None:
            assert not path.exists()
            path.write_text(code)
            continue
        content = path.read_text()
        assert content.count(text) == 1, f"{text} in {path}"
        apart = "\n\n" if code.startswith(("def ", "class ", "@")) else ""
        new = {"above": code + apart + text, "below": text + "\n" + code.rstrip("\n"), "in place of": code.rstrip("\n")}
        path.write_text(content.replace(text, new[step["how"]]))
    return [copy / step["file"] for step in steps if step["file"].startswith("tests/")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_adds_passes_its_own_test(page: Path, tmp_path: Path):
    shutil.copytree(ROOT / "pnp_exclusion", tmp_path / "pnp_exclusion", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "tests").mkdir()
    for name in ("tests/conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    tests = follow(page, tmp_path)
    assert tests
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    where = "import pnp_exclusion; print(pnp_exclusion.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()).is_relative_to(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, tests)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
