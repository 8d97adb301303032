"""A command done by the process on standby is what it would have been on its own; references are commands that were."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BIN, EXAMPLES, ROOT
from standby_process import MEMBRANE, PATIENCE, Standby, address_in, alone, on_standby

from pnp_exclusion import commands

LEGS = [str(EXAMPLES / f"engine_{ion}.toml") for ion in ("cation", "anion")]
ONE_OF_EACH: list[tuple[str, ...]] = [
    ("run", MEMBRANE, "--quiet"),
    ("compare", MEMBRANE, "--laws", "pnp,shdl", "--quiet"),
    ("sweep", str(EXAMPLES / "voltage_and_salt.toml"), "--plan-only", "--quiet"),
    ("lattice", str(EXAMPLES / "no_field.toml"), "--sizes", "8", "--time", "5", "--quiet"),
    ("couple", MEMBRANE, "--points", "3", "--quiet"),
    ("engine", *LEGS, "--points", "3", "--quiet"),
    ("diagram", str(EXAMPLES / "diagrams" / "contents.toml"), "--resolution", "3", "--quiet"),
    ("check", MEMBRANE),
    ("mesh", str(ROOT / "meshes" / "slit.py"), "-o", "slit.msh"),
    ("warm", MEMBRANE, "--quiet"),
    ("schema",),
    ("info",),
]


def without_measurements(text: str) -> str:
    return re.sub(r"(at most|in) \d+ (MB|s)", r"\1 .. \2", text)


def test_results_and_words_are_those_of_a_process_of_its_own(standby: Standby, tmp_path: Path):
    done = standby.do("run", MEMBRANE, "-o", "taken", "--", "-snes_rtol", "1e-11", cwd=tmp_path)
    reference = alone("run", MEMBRANE, "-o", "alone", "--", "-snes_rtol", "1e-11", cwd=tmp_path)
    standby.until(lambda: "taken -- -snes_rtol 1e-11: exit code 0" in standby.said)
    assert without_measurements(done.stdout) == without_measurements(reference.stdout)
    assert done.stderr == reference.stderr
    assert done.returncode == reference.returncode == 0
    taken, own = tmp_path / "taken", tmp_path / "alone"
    assert sorted(p.name for p in taken.iterdir()) == sorted(p.name for p in own.iterdir())
    assert (taken / "profile.csv").read_text() == (own / "profile.csv").read_text()
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (taken, own)]
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (taken, own)]
    for summary in summaries:
        del summary["wall_seconds"]
    for manifest in manifests:
        del manifest["seconds"], manifest["peak_memory_mb"]
        manifest["command_line"].remove("taken" if "taken" in manifest["command_line"] else "alone")
    assert summaries[0] == summaries[1]
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "missing.toml"), 2),
        (("run", MEMBRANE, "-o", "/proc/nowhere"), 4),
        (("run",), 2),
        (("run", MEMBRANE, "-o", "stuck", "--", "-snes_max_it", "1"), 3),
        (("--version",), 0),
        *((command, 0) for command in ONE_OF_EACH),
    ],
)
def test_sentences_and_exit_codes_are_those_of_a_process_of_its_own(
    standby: Standby, words: tuple[str, ...], code: int, tmp_path: Path
):
    for name in ("taken", "alone"):
        (tmp_path / name).mkdir()
    before = standby.said.count("exit code")
    done = standby.do(*words, cwd=tmp_path / "taken")
    reference = alone(*words, cwd=tmp_path / "alone")
    assert done.returncode == reference.returncode == code
    assert without_measurements(done.stdout) == without_measurements(reference.stdout)
    assert done.stderr == reference.stderr
    standby.until(lambda: standby.said.count("exit code") == before + 1)


def test_every_command_is_tried_on_standby():
    assert {command for command, *_ in ONE_OF_EACH} == {*commands.NAMES} - {"standby"}


def test_commands_run_side_by_side_and_a_sweep_has_its_workers(standby: Standby, tmp_path: Path):
    sweep = standby.begin("sweep", EXAMPLES / "voltage_and_salt.toml", "-o", "sweep", "--workers", "2", cwd=tmp_path)
    runs = [standby.begin("run", MEMBRANE, "-o", f"run{n}", cwd=tmp_path) for n in range(2)]
    assert [command.wait(PATIENCE) for command in (sweep, *runs)] == [0, 0, 0]
    assert (tmp_path / "sweep" / "sweep.nc").stat().st_size > 0
    assert (tmp_path / "run0" / "profile.csv").read_text() == (tmp_path / "run1" / "profile.csv").read_text()


@pytest.mark.parametrize(
    ("options", "name"),
    [({"umask": 0o077}, "umask"), ({"env": {"OMP_NUM_THREADS": "2"}}, "$OMP_NUM_THREADS")],
)
def test_command_in_other_circumstances_runs_on_its_own(standby: Standby, options: dict, name: str, tmp_path: Path):
    options = {key: {**standby.environment, **value} if key == "env" else value for key, value in options.items()}
    done = standby.do("check", MEMBRANE, cwd=tmp_path, **options)
    assert done.returncode == 0
    assert done.stdout == alone("check", MEMBRANE).stdout
    assert f"check {MEMBRANE}: not taken, because of a different {name}" in standby.said


def test_ranks_run_on_their_own(standby: Standby, tmp_path: Path):
    command = [BIN / "mpiexec", "-n", "2", BIN / "pnp-exclusion", "run", MEMBRANE, "-o", tmp_path / "results"]
    subprocess.run(command, env=standby.environment, check=True, capture_output=True, timeout=PATIENCE)
    assert json.loads((tmp_path / "results" / "manifest.json").read_text())["ranks"] == 2


def test_command_whose_output_is_closed_runs_on_its_own(standby: Standby):
    lines = standby.said
    script = f"exec {BIN / 'pnp-exclusion'} check {MEMBRANE} >&-"
    assert subprocess.run(["sh", "-c", script], env=standby.environment, timeout=PATIENCE).returncode == 0
    assert standby.said == lines


def test_script_without_the_prompt_of_its_shell_is_taken(standby: Standby):
    environment = {name: value for name, value in standby.environment.items() if name != "PS1"}
    before = standby.said.count("--version: exit code 0")
    assert standby.do("--version", env=environment).returncode == 0
    standby.until(lambda: standby.said.count("--version: exit code 0") == before + 1)


def test_file_that_only_the_shell_has_is_read(standby: Standby):
    before = standby.said
    script = f"{BIN / 'pnp-exclusion'} check <(cat {MEMBRANE})"
    done = subprocess.run(["bash", "-c", script], env=standby.environment, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0
    assert standby.said == before


def test_it_leaves_when_installed_files_change(tmp_path: Path):
    package = tmp_path / "site" / "pnp_exclusion"
    shutil.copytree(ROOT / "pnp_exclusion", package, ignore=shutil.ignore_patterns("__pycache__"))
    # the lock of an editor
    (package / ".#cli.py").symlink_to("nobody@nowhere")
    # not from the current folder, which may be the repository's
    module = [sys.executable, "-P", "-m", "pnp_exclusion"]
    with on_standby(tmp_path / "run", module, PYTHONPATH=str(package.parent)) as standby:
        assert standby.do("check", MEMBRANE).returncode == 0
        standby.until(lambda: "exit code 0" in standby.said)
        (package / "cli.py").touch()
        assert standby.do("check", MEMBRANE).returncode == 0
        assert standby.process.wait(PATIENCE) == 0
        standby.until(lambda: "not taken, because installed files have changed" in standby.said)
        assert standby.said.count("exit code 0") == 1


def test_folder_that_others_can_write_to_is_not_trusted(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        address_in(standby.folder).parent.chmod(0o777)
        assert standby.do("check", MEMBRANE).returncode == 0
        assert "check" not in standby.said
        standby.process.terminate()
        standby.process.wait(PATIENCE)
        again = standby.do("standby")
    assert again.returncode == 2
    assert "must be a folder that is yours alone" in again.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--", "-log_view"], "standby takes no options for PETSc; give them to the commands"),
        ([], "standby is one process without an MPI launcher"),
    ],
)
def test_what_it_cannot_do_is_refused(words: list[str], sentence: str, tmp_path: Path):
    launcher = [] if words else [BIN / "mpiexec", "-n", "2"]
    command = [*launcher, BIN / "pnp-exclusion", "standby", *words]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert refused.returncode == 2
    assert refused.stderr.count(sentence) == 1
