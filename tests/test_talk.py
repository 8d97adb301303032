"""How every command talks: ``--verbose``, ``--log-file``, and what a shell completes."""

from __future__ import annotations

import logging
import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import BIN, EXAMPLES, ROOT

from pnp_exclusion.cli import commands
from pnp_exclusion.cli.line import parser_of
from pnp_exclusion.cli.main import main

MEMBRANE = str(EXAMPLES / "membrane.toml")


@pytest.mark.parametrize("name", commands.NAMES)
def test_every_command_has_the_words_to_talk(name: str):
    (subparsers,) = (action for action in parser_of([name])._actions if action.choices)
    words = {word for action in subparsers.choices[name]._actions for word in action.option_strings}
    assert {"--verbose", "--log-file"} <= words


def test_log_file_has_the_line_details_results_and_what_went_wrong(tmp_path: Path, capsys: pytest.CaptureFixture):
    log, line = tmp_path / "log.txt", ["run", MEMBRANE, "-o", str(tmp_path / "out"), "--quiet"]
    assert main([*line, "--log-file", str(log)]) == 0
    first = log.read_text().splitlines()
    assert capsys.readouterr().err == ""
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", entry) for entry in first)
    told = "\n".join(first)
    for part in (
        f"pnp-exclusion run {MEMBRANE}",
        "Newton   1",
        "Krylov steps: 1",
        "solve: 0.",
        "regime",
        "ended after",
    ):
        assert part in told, part
    assert main([*line, "--log-file", str(log)]) == 2
    second = log.read_text().splitlines()
    assert second[: len(first)] == first
    assert "holds other results" in second[-2]


def test_details_are_shown_where_they_are_wanted_and_python_hears_them(tmp_path: Path, capsys, caplog):
    with caplog.at_level(logging.DEBUG, logger="pnp_exclusion"):
        assert main(["run", MEMBRANE, "-o", str(tmp_path / "one"), "--quiet"]) == 0
    assert "Krylov steps: 1" in caplog.text
    assert "Krylov" not in capsys.readouterr().err
    assert main(["run", MEMBRANE, "-o", str(tmp_path / "two"), "--quiet", "-v"]) == 0
    told = capsys.readouterr().err
    assert "Krylov steps: 1" in told and "PETSc options in force" in told
    assert "Newton" not in told


@pytest.mark.parametrize(("file", "reason"), [("none/log.txt", "No such file"), ("/dev/full", "No space left")])
def test_log_file_that_cannot_be_written_is_a_matter_of_the_disk(file: str, reason: str, tmp_path: Path):
    """In a process of its own: a disk that fails on one rank ends the process."""
    command = [BIN / "pnp-exclusion", "ions", "Nat+", "--log-file", tmp_path / file]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 4
    assert finished.stderr.startswith("pnp-exclusion: cannot write") and reason in finished.stderr
    assert finished.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pnp-exclusion repr", {"reproduce"}),
        ("pnp-exclusion run --wall", {"--walltime"}),
        ("pnp-exclusion run --law va", {"vacancy"}),
        ("pnp-exclusion example meshes/sl", {"meshes/slit.py"}),
        ("pnp-exclusion check examples/two_", {"examples/two_electrodes.toml"}),
        ("pnp-exclusion ions Na", {"Na+"}),
    ],
)
def test_a_shell_is_told_what_completes_its_line(line: str, words: set[str], tmp_path: Path):
    """As bash, zsh and fish ask by what argcomplete registers: by variables, and a file for the answer."""
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer"),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run([BIN / "pnp-exclusion"], env=os.environ | asked, cwd=ROOT, check=True, capture_output=True)
    assert {word.strip() for word in (tmp_path / "answer").read_text().split("\n")} == words
