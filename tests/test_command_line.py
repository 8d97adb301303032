"""The commands as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import EXAMPLES, blocking_electrode, dimensionless_case, run_command, write_toml


def test_help_imports_nothing_heavy():
    """`--help` must not wait for DOLFINx, numpy or pydantic."""
    code = (
        "import sys; from pnp_exclusion.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('dolfinx', 'numpy', 'pydantic', 'pint', 'matplotlib') if m in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[]"
    assert "run" in finished.stdout
    assert "exit codes" in finished.stdout


def test_check_prints_scales_layers_and_size():
    finished = run_command("check", EXAMPLES / "membrane.toml")
    assert finished.returncode == 0, finished.stderr
    lines = dict(line.split("  ", 1) for line in finished.stdout.splitlines())
    assert lines["thermal voltage kT/e"].strip() == "25.6926 mV"
    # 0.304 nm / sqrt(2 mol/L)
    assert lines["Debye length at left"].strip() == "0.2151 nm"
    assert float(lines["packing at left"]) == pytest.approx(4.0 / 4.84122, rel=1e-4)
    assert {"cells", "unknowns", "lambda / L"} <= set(lines)


def test_check_warns_of_layers_that_the_mesh_does_not_resolve(tmp_path: Path):
    tables = blocking_electrode("mpnp", 10.0, 1e-3)
    tables["domain"]["cells"] = 50
    finished = run_command("check", write_toml(tables, tmp_path / "case.toml"))
    assert finished.returncode == 0
    assert 'boundary "left": the layer there is about 0.001 thick, but the cells measure 0.02' in finished.stderr
    del tables["domain"]["cells"]
    assert "warning" not in run_command("check", write_toml(tables, tmp_path / "case.toml")).stderr


def test_check_tells_of_a_reservoir_whose_charge_does_not_balance(tmp_path: Path, membrane: dict):
    membrane["boundaries"][0]["concentration"]["Na"] = "1 mol/L"
    finished = run_command("check", write_toml(membrane, tmp_path / "case.toml"))
    assert finished.returncode == 0
    assert "-1 mol/L) does not balance the fixed charge beside it (+0 mol/L)" in finished.stderr


def test_schema_is_json_schema_that_names_every_table():
    schema = json.loads(run_command("schema").stdout)
    assert {"model", "species", "domain", "regions", "boundaries", "solver", "output"} <= set(schema["properties"])
    assert schema["$defs"]["Species"]["properties"]["charge"]["description"] == "Valence z."


def test_info_prints_versions():
    finished = run_command("info")
    assert finished.returncode == 0
    assert {"petsc", "python", "numpy"} <= {line.split()[0] for line in finished.stdout.splitlines()}


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["run"], ["compare", "x.toml", "--lwas", "pnp"]])
def test_command_line_that_cannot_be_followed_ends_with_exit_code_2(words: list[str]):
    assert run_command(*words).returncode == 2


def test_compare_names_the_nearest_law():
    finished = run_command("compare", EXAMPLES / "membrane.toml", "--laws", "pnp,shld")
    assert finished.returncode == 2
    assert 'did you mean "shdl"?' in finished.stderr


def test_petsc_options_reach_the_solver_command_line_over_case_over_defaults(tmp_path: Path):
    tables = dimensionless_case()
    tables["solver"] = {"petsc": {"ksp_type": "gmres", "pc_type": "jacobi", "ksp_rtol": 1e-12}}
    case = write_toml(tables, tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", "--", "-pc_type", "ilu", "-snes_monitor")
    assert finished.returncode == 0, finished.stderr
    assert "SNES Function norm" in finished.stdout
    options = json.loads((tmp_path / "out" / "manifest.json").read_text())["petsc_options"]
    assert (options["ksp_type"], options["pc_type"], options["ksp_rtol"]) == ("gmres", "ilu", "1e-12")
    assert "pc_factor_mat_solver_type" not in options


def test_petsc_option_that_nothing_reads_is_reported(tmp_path: Path):
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", "--", "-ksp_tpye", "gmres")
    assert finished.returncode == 0
    assert "PETSc's option -ksp_tpye had no effect" in finished.stderr
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["petsc_options_unused"] == ["ksp_tpye"]


def test_petsc_option_with_a_value_that_does_not_exist_ends_with_exit_code_2(tmp_path: Path):
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", "--", "-ksp_type", "gmrs")
    assert finished.returncode == 2
    assert "PETSc refuses an option: Unable to find requested KSP type gmrs" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_quiet_is_quiet_and_the_log_has_the_lines(tmp_path: Path):
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", "--quiet")
    assert finished.stderr == ""
    assert "Newton" in (tmp_path / "out" / "log.txt").read_text()


def test_law_of_the_command_line_stands_in_for_one_that_does_not_fit(tmp_path: Path, membrane: dict):
    """shdl refuses unequal diffusivities and advises mpnp; the advice must be possible to follow."""
    membrane["species"][0]["diffusivity"] = "1.3e-9 m^2/s"
    case = write_toml(membrane, tmp_path / "case.toml")
    assert run_command("run", case, "-o", tmp_path / "out").returncode == 2
    assert run_command("run", case, "-o", tmp_path / "out", "--law", "mpnp").returncode == 0


def test_word_after_the_dashes_that_is_no_option_is_refused():
    finished = run_command("run", EXAMPLES / "membrane.toml", "--", "garbage")
    assert finished.returncode == 2
    assert '"garbage" after "--" is no PETSc option' in finished.stderr
