"""The commands as a user types them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import BIN, EXAMPLES, ROOT, blocking_electrode, dimensionless_case, example, run_command, write_toml

from pnp_exclusion.case.advice import advice
from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import Case, make_case, read_case
from pnp_exclusion.case.law_tables import TABLES
from pnp_exclusion.physics.laws import BUILT_IN


def test_help_imports_nothing_heavy():
    """`--help` must not wait for MPI, DOLFINx, numpy or pydantic."""
    code = (
        "import sys; from pnp_exclusion.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('dolfinx', 'dolfinx_solver', 'mpi4py.MPI', 'numpy', 'pydantic', 'pint', 'matplotlib')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "[]"
    assert "run" in finished.stdout
    assert "exit codes" in finished.stdout


def test_import_of_the_package_imports_nothing_heavy():
    """A notebook that imports it among others pays for what it uses, when it does."""
    code = "import json, sys, pnp_exclusion; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"dolfinx", "mpi4py", "numpy", "pydantic", "pint", "matplotlib"} & set(json.loads(finished.stdout))


def test_run_without_pictures_imports_no_library_that_it_has_no_use_for(tmp_path: Path):
    case = tomllib.loads((EXAMPLES / "membrane.toml").read_text()) | {"output": {"pictures": False, "fields": False}}
    path = write_toml(case, tmp_path / "case.toml")
    command = [sys.executable, "-X", "importtime", "-m", "pnp_exclusion", "run", path, "-o", tmp_path / "out"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    assert "dolfinx.fem" in names
    of_no_use = {"pint", "matplotlib", "pandas", "xarray", "pyvista", "numba.core", "meshio", "gmsh"}
    assert not of_no_use & names
    # of cases that move
    assert "pnp_exclusion.solver.transient.solver" not in names


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


@pytest.mark.parametrize("name", ["membrane", "slit", "sphere", "two_electrodes", "imposed_fields"])
def test_meshes_of_the_examples_resolve_every_layer(name: str):
    assert advice(build(read_case(EXAMPLES / f"{name}.toml"))) == []


@pytest.mark.parametrize("law", ["shdl", "pnp"])
@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("shape", ["rectangle", "box"])
def test_automatic_meshes_resolve_the_edges_of_regions(shape: str, degree: int, law: str, membrane: dict):
    """A membrane with a step, of low permittivity: edges along two axes."""
    membrane["model"]["law"] = law
    membrane["domain"] = {"shape": shape, "size": ["5 nm", "2 nm", "2 nm"][: 2 if shape == "rectangle" else 3]}
    membrane["regions"][0] |= {"y": ["0.5 nm", "2 nm"], "permittivity": 10.0}
    membrane["solver"] = {"degree": degree}
    assert advice(build(make_case(membrane))) == []


def test_check_warns_of_edges_of_regions_that_the_mesh_does_not_resolve(tmp_path: Path, membrane: dict):
    """Donnan: sqrt(1.45^2 + 4^2) = 4.26 mol/L of ions in the membrane, so 0.304 nm / sqrt(2.13) = 0.208 nm thick."""
    membrane["domain"]["cells"] = 6
    finished = run_command("check", write_toml(membrane, tmp_path / "case.toml"))
    assert finished.returncode == 0
    warnings = finished.stderr.splitlines()
    assert len(warnings) == 2
    assert 'region "membrane", edge x = 1.25 nm: the layer there is about 0.2' in warnings[0]
    assert "but the cells measure 0.833 nm; leave out domain.cells" in warnings[0]
    assert 'region "membrane", edge x = 3.75 nm' in warnings[1]


def test_two_cells_in_a_layer_resolve_it(membrane: dict):
    for cells, warnings in ((47, 2), (49, 0)):
        membrane["domain"]["cells"] = cells
        assert len(advice(build(make_case(membrane)))) == warnings, cells


def test_region_that_changes_nothing_has_no_layers(membrane: dict):
    membrane["domain"]["cells"] = 6
    membrane["regions"][0] |= {"permittivity": 78.5, "diffusivity": 0.5}
    del membrane["regions"][0]["fixed_charge"]
    assert advice(build(make_case(membrane))) == []


def test_check_warns_of_the_surface_of_a_tagged_region_on_any_number_of_ranks(tmp_path: Path):
    """The slit's membrane without a lattice to limit it, at ten times the salt: layers of a third of the thickness."""
    tables = example("slit")
    tables["model"] |= {"law": "pnp"}
    tables["domain"]["file"] = str(ROOT / "meshes" / "slit.msh")
    for boundary in tables["boundaries"]:
        boundary["concentration"] = {"Na": "20 mol/L", "Cl": "20 mol/L"}
    case = write_toml(tables, tmp_path / "case.toml")
    told = [run_command("check", case, ranks=ranks).stderr for ranks in (1, 2, 3)]
    assert 'region "membrane": the layer there is about' in told[0]
    assert "refine the mesh file there" in told[0]
    assert told[1] == told[0]
    assert told[2] == told[0]


def test_check_warns_of_jumps_of_a_field_that_the_mesh_does_not_resolve():
    """Densities settle within 4/E = 0.04 of the jump; cells of 0.02 are two to a layer."""
    tables = dimensionless_case()
    tables["species"][0]["field"] = {"x": [0.0, 0.5, 0.5, 1.0], "values": [0.0, 0.0, 100.0, 100.0]}
    tables["domain"]["cells"] = 40
    told = [warning for warning in advice(build(make_case(tables))) if warning.startswith("field")]
    assert told == [
        'field of species "A" at x = 0.5: the layer there is about 0.04 thick, but the cells measure 0.025; '
        "leave out domain.cells"
    ]
    del tables["domain"]["cells"]
    assert advice(build(make_case(tables))) == []


def test_check_tells_of_a_reservoir_whose_charge_does_not_balance(tmp_path: Path, membrane: dict):
    membrane["boundaries"][0]["concentration"]["Na"] = "1 mol/L"
    finished = run_command("check", write_toml(membrane, tmp_path / "case.toml"))
    assert finished.returncode == 0
    assert "-1 mol/L) does not balance the fixed charge beside it (+0 mol/L)" in finished.stderr


def test_schema_is_json_schema_that_names_every_table():
    schema = json.loads(run_command("schema").stdout)
    assert {"model", "species", "domain", "regions", "boundaries", "solver", "output"} <= set(schema["properties"])
    assert schema["$defs"]["Species"]["properties"]["charge"]["description"] == "Valence z."


@pytest.mark.parametrize(
    ("sort", "documents"),
    [
        ("electrolyte", ["case-file.md"]),
        ("gas", ["gas.md", "case-file.md", "sweeps.md"]),
        ("lattice", ["lattice.md", "case-file.md"]),
    ],
)
def test_documents_of_case_files_list_every_key(sort: str, documents: list[str]):
    schema = json.loads(run_command("schema", sort).stdout)
    text = "".join((ROOT / "docs" / name).read_text() for name in documents)
    keys = set(schema["properties"]) | {
        key for table in schema["$defs"].values() for key in table.get("properties", {})
    }
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()


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


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("-ksp_type gmrs", "Unable to find requested KSP type gmrs"),
        ("-snes_lag_jacobian 0", "Lag cannot be 0"),
        ("-ksp_type gmres -ksp_pc_side blue", 'Unknown option "blue" for -ksp_pc_side'),
    ],
)
def test_petsc_option_with_a_value_that_cannot_be_ends_with_exit_code_2(options: str, sentence: str, tmp_path: Path):
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", "--", *options.split())
    assert finished.returncode == 2
    assert f"PETSc refuses an option: {sentence}" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_unlimited_newton_steps_are_petscs_to_give(tmp_path: Path):
    """PETSc reads -3 as "no limit"."""
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    assert run_command("run", case, "-o", tmp_path / "out", "--", "-snes_max_it", "-3").returncode == 0


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


def test_default_folder_is_in_the_current_one(tmp_path: Path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "here").mkdir()
    write_toml(dimensionless_case(), tmp_path / "cases" / "channel.toml")
    finished = run_command("run", tmp_path / "cases" / "channel.toml", cwd=tmp_path / "here")
    assert finished.returncode == 0
    assert (tmp_path / "here" / "channel.results" / "summary.json").exists()
    assert "in the current folder" in " ".join(run_command("run", "--help").stdout.split())


def test_laws_are_the_same_wherever_they_are_listed():
    written = json.dumps(Case.model_json_schema())
    assert set(BUILT_IN) == set(TABLES) == {law for law in BUILT_IN if f'"const": "{law}"' in written}


@pytest.mark.parametrize(
    ("words", "text"), [(["info"], "petsc "), (["schema"], '"title": "Case"'), (["--help"], "exit codes")]
)
def test_ranks_print_once(words: list[str], text: str):
    finished = run_command(*words, ranks=3)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count(text) == 1


def test_ranks_complain_of_the_command_line_once():
    finished = run_command("run", ranks=3)
    assert finished.returncode == 2
    assert finished.stderr.count("the following arguments are required: CASE") == 1


# ---- mesh ----

SQUARE = """\
def build(gmsh):
    square = gmsh.model.occ.addRectangle(0, 0, 0, 1, 1)
    gmsh.model.occ.synchronize()
    gmsh.model.addPhysicalGroup(2, [square], name="all")
"""


@pytest.mark.parametrize("ranks", [1, 3])
def test_mesh_is_made_once(ranks: int, tmp_path: Path):
    (tmp_path / "square.py").write_text(SQUARE)
    finished = run_command("mesh", tmp_path / "square.py", ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("cells") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"square.py", "square.msh"}


@pytest.mark.parametrize(
    ("target", "code", "sentence"),
    [
        ("nowhere/x.msh", 4, "cannot write"),
        ("/proc/x.msh", 4, "cannot write"),
        (".", 2, "must end in .msh"),
        ("x.vtk", 2, "must end in .msh"),
    ],
)
def test_mesh_that_cannot_be_written_is_told_so(target: str, code: int, sentence: str, tmp_path: Path):
    (tmp_path / "square.py").write_text(SQUARE)
    finished = run_command("mesh", "square.py", "-o", target, cwd=tmp_path)
    assert (finished.returncode, sentence in finished.stderr) == (code, True)
    assert "Traceback" not in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["square.py"]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (SQUARE.replace("[square]", "[1 / 0]"), "square.py, line 4: ZeroDivisionError"),
        (SQUARE.replace("[square]", "["), "SyntaxError"),
        (SQUARE.replace("build", "make"), "has no function build(gmsh)"),
        (
            "import gmsh\ngmsh.initialize()\ngmsh.write('marker.msh')\n",
            "is run by Python, and [domain] of a case",
        ),
        (f"{SQUARE}    gmsh.finalize()\n", "take gmsh.finalize() out"),
        (f"{SQUARE}\nraise SystemExit(3)\n", "square.py, line 6: SystemExit: 3"),
        ("def build(gmsh):\n    gmsh.model.geo.addLine(1, 2)\n", "line 2: Exception: Unknown control point"),
    ],
)
def test_mesh_script_that_fails_is_named_with_its_line(script: str, sentence: str, tmp_path: Path):
    (tmp_path / "square.py").write_text(script)
    finished = run_command("mesh", tmp_path / "square.py", ranks=2, cwd=tmp_path)
    assert finished.returncode == 2
    assert finished.stderr.count(sentence) == 1
    assert "Traceback" not in finished.stderr
    # what is no script of ours is not run
    assert [path.name for path in tmp_path.iterdir()] == ["square.py"]


def test_file_in_the_language_of_gmsh_is_told_how_it_is_meshed(tmp_path: Path):
    (tmp_path / "square.geo").write_text("Point(1) = {0, 0, 0};\n")
    finished = run_command("mesh", "square.geo", cwd=tmp_path)
    assert finished.returncode == 2
    assert "gmsh -3 square.geo -o square.msh (-2 in two dimensions)" in finished.stderr


def run_on_ranks(ranks: int, script: Path, content: str) -> subprocess.CompletedProcess[str]:
    script.write_text(content)
    command = [str(BIN / "mpiexec"), "-n", str(ranks), sys.executable, str(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_only_the_first_rank_needs_gmsh(tmp_path: Path):
    content = (
        "import sys\n"
        "from pnp_exclusion.cli import main as cli\n"
        "from pnp_exclusion.runtime import fenicsx\n"
        "fenicsx.initialise_petsc()\n"
        "from mpi4py import MPI\n"
        "if MPI.COMM_WORLD.rank > 0: sys.modules['gmsh'] = None\n"
        f"sys.exit(cli.main(['check', {str(EXAMPLES / 'slit.toml')!r}]))\n"
    )
    finished = run_on_ranks(2, tmp_path / "check.py", content)
    assert finished.returncode == 0, finished.stderr
    finished = run_on_ranks(2, tmp_path / "check.py", content.replace("rank > 0", "rank == 0"))
    assert finished.returncode == 2
    assert finished.stderr.count("meshes of gmsh need gmsh, which is not installed here") == 1


def test_error_of_one_rank_alone_ends_them_all_with_its_exit_code(tmp_path: Path):
    """The others would wait at the barrier for ever."""
    content = (
        "import sys\n"
        "from mpi4py import MPI\n"
        "from pnp_exclusion.cli import main as cli\n"
        "from pnp_exclusion.cli.commands import info\n"
        "from pnp_exclusion.errors import DiskError\n"
        "def execute(arguments, options):\n"
        "    if MPI.COMM_WORLD.rank == 1:\n"
        "        error = DiskError('the disk of one')\n"
        "        error.everywhere = False\n"
        "        raise error\n"
        "    MPI.COMM_WORLD.Barrier()\n"
        "info.execute = execute\n"
        "sys.exit(cli.main(['info']))\n"
    )
    finished = run_on_ranks(3, tmp_path / "fail.py", content)
    assert finished.returncode == 4, finished.stderr
    assert finished.stderr.count("pnp-exclusion: rank 1: the disk of one") == 1


# ---- set-up ----


@pytest.mark.parametrize(("python", "code"), [(sys.executable, 0), ("false", 1)])
def test_set_up_fails_with_a_sentence_where_gmsh_does_not_load(python: str, code: int, tmp_path: Path):
    """With an apt-get that installs nothing."""
    for name, lines in (("apt-get", "exit 1"), ("python-false", "echo libGLU is missing >&2\nexit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    python = str(tmp_path / "python-false") if python == "false" else python
    finished = subprocess.run(
        ["sh", str(ROOT / "scripts" / "system_libraries.sh"), python],
        capture_output=True,
        text=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert finished.returncode == code
    assert ("apt-get install libglu1-mesa" in finished.stderr) == (code == 1)
    assert ("libGLU is missing" in finished.stderr) == (code == 1)
