"""From a laptop to a cluster: what will not fit is refused, failing solvers are replaced, jobs compile nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from mpi4py import MPI

import pytest
from conftest import EXAMPLES, ROOT, change, dimensionless_case, run_command, write_toml

from pnp_exclusion.case.advice import advice
from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.cli.line import parser_of
from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime import memory
from pnp_exclusion.solution.solve import solve

SLURM = ROOT / "docs" / "slurm"


def square(cells: int, **solver: object) -> dict:
    """Two species in a unit square with Poisson's equation."""
    tables = dimensionless_case(electrostatics="poisson", debye_length=0.3)
    tables["species"] = [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}]
    for boundary, rho in zip(tables["boundaries"], (0.3, 0.1), strict=True):
        boundary |= {"fraction": {"A": rho, "B": rho}, "potential": 10 * rho}
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 1.0], "cells": cells}
    return tables | {"solver": {"degree": 1, **solver}}


# ---- what will not fit ----


def test_more_ranks_than_cells_are_refused_in_a_sentence(tmp_path: Path):
    tables = change(dimensionless_case(), "domain", "cells", to=2)
    finished = run_command("run", write_toml(tables, tmp_path / "two.toml"), "-o", tmp_path / "out", ranks=3)
    assert finished.returncode == 2
    assert finished.stderr.count("3 ranks cannot share 2 cells: start at most 2") == 1
    assert "Traceback" not in finished.stderr


KEEPER = """
from pathlib import Path
from pnp_exclusion.runtime import fenicsx
fenicsx.initialise_petsc()
from mpi4py import MPI
import numpy as np
from pnp_exclusion.runtime.memory import available_per_rank
resident = lambda: 4096e-6 * int(Path("/proc/self/statm").read_text().split()[1])
np.ones(50_000_000)
held = [resident()]
for wanted in {wanted}:
    available_per_rank(MPI.COMM_WORLD, wanted)
    held.append(resident())
print(*held)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep what is freed")
@pytest.mark.parametrize("other", ['float("inf")', "1e6"])
def test_what_a_process_keeps_is_given_back_when_memory_is_short_or_others_may_need_it(other: str):
    # an array of 400 MB was made and dropped; the next step needs as much, then more than there is or far less
    program = KEEPER.format(wanted=f"3e8, {other}")
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, as_much, then = map(float, finished.stdout.splitlines()[0].split())
    assert as_much == pytest.approx(before, abs=20.0)
    assert then < before - 350.0


@pytest.mark.parametrize("ranks", [1, 2])
def test_memory_that_is_several_times_too_little_is_refused_before_the_mesh_is_made(ranks: int, tmp_path: Path):
    case = write_toml(square(100_000, linear="direct"), tmp_path / "huge.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", ranks=ranks, timeout=60.0)
    assert finished.returncode == 2
    assert finished.stderr.count("3e+10 unknowns would take about") == 1
    for word in ("GB are available", "`cells`", '`linear = "fieldsplit"`', "more nodes"):
        assert word in finished.stderr


def test_what_is_said_of_memory_follows_what_is_available_and_the_preset(monkeypatch: pytest.MonkeyPatch):
    direct, iterative = (memory.estimate(101**2, 2, 1, 3, linear) for linear in ("direct", "fieldsplit"))
    assert iterative < direct < memory.HOPELESS * iterative
    between = 0.5 * (direct + iterative)
    said = lambda **solver: "would take" in " ".join(advice(build(make_case(square(100, **solver)))))  # noqa: E731
    monkeypatch.setattr(memory, "available", lambda: between)
    assert said(linear="direct")
    assert not said(linear="fieldsplit")
    assert not said(linear="direct", petsc={"pc_type": "ilu"})
    monkeypatch.setattr(memory, "available", lambda: between / memory.HOPELESS)
    with pytest.raises(UsageError, match="fieldsplit"):
        build(make_case(square(100, linear="direct")))
    assert said(linear="fieldsplit")


SHORT_OF_MEMORY = """
import sys
from pnp_exclusion.runtime import memory
memory.available = lambda: 2e5
from pnp_exclusion.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_case_that_may_not_fit_is_warned_of_by_check_and_run_and_solved(tmp_path: Path):
    # 9 x 9 nodes with three unknowns take 340 kB by the estimate for an elimination
    case = write_toml(square(8), tmp_path / "tight.toml")
    sentence = "243 unknowns would take about 0.000339 GB, but 0.0002 GB are available there"
    for command, words in {"check": [], "run": ["-o", tmp_path / "out"]}.items():
        program = [sys.executable, "-c", SHORT_OF_MEMORY, command, case, *words]
        finished = subprocess.run([str(word) for word in program], capture_output=True, text=True, check=True)
        assert f"warning: {sentence}" in finished.stderr
    # before the solve too, which may not live to tell its warnings
    assert finished.stderr.index(sentence) < finished.stderr.index("Newton")
    assert sentence in json.loads((tmp_path / "out" / "summary.json").read_text())["warnings"][0]


def test_estimates_are_those_of_the_page():
    page = (ROOT / "docs" / "clusters.md").read_text()
    rows = [
        [c.strip() for c in line.strip("|\n").split("|")] for line in page.splitlines() if re.match(r"\| [123]D ", line)
    ]
    assert len(rows) > 3
    for dimension, degree, preset, unknowns, measured, estimate in rows:
        nodes = float(unknowns.replace(" ", "")) / 3
        found = memory.estimate(nodes, int(dimension[0]), int(degree), 3, preset) / memory.GB
        assert found == pytest.approx(float(estimate.split()[0]), abs=0.01)
        assert found == pytest.approx(float(measured.split()[0]), rel=0.3)


def test_limits_of_control_groups_count(tmp_path: Path):
    group = tmp_path / "slurm" / "job"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    for name, text in {
        "max": "4000",
        "current": "1000",
        "stat": "anon 5\nactive_file 200\ninactive_file 300\n",
    }.items():
        (group.parent / f"memory.{name}").write_text(text)
    own = tmp_path / "own"
    own.write_text("0::/slurm/job\n")
    assert list(memory._left_in_groups(tmp_path, own)) == [3500.0]
    assert list(memory._left_in_groups(tmp_path, tmp_path / "none")) == []


# ---- solvers ----


def test_a_single_species_solves_with_fieldsplit():
    tables = square(12, linear="fieldsplit")
    tables["model"] = dimensionless_case()["model"]
    tables["species"] = [{"name": "A", "field": 1.0}]
    for boundary in tables["boundaries"]:
        boundary["fraction"].pop("B")
        boundary.pop("potential")
    iterative = solve(make_case(tables))
    direct = solve(make_case(change(tables, "solver", "linear", to="direct")))
    assert iterative.petsc_options["pc_type"] == "mg"
    assert iterative.steady.currents == pytest.approx(direct.steady.currents, rel=1e-8)


def test_the_direct_solver_takes_over_from_a_failing_one():
    lines: list[str] = []
    tables = square(8, linear="fieldsplit", petsc={"ksp_max_it": 1, "ksp_rtol": 1e-12})
    solution = solve(make_case(tables), progress=lines.append)
    assert solution.converged
    assert solution.report.linear == "direct"
    (told,) = solution.report.tried
    assert "fieldsplit" in told and any(told in line for line in lines)
    assert solution.steady.currents == pytest.approx(solve(make_case(square(8))).steady.currents, rel=1e-8)


def test_the_direct_solver_does_not_take_over_without_the_memory_or_against_the_user(monkeypatch: pytest.MonkeyPatch):
    chosen = square(8, linear="fieldsplit", petsc={"ksp_type": "gmres", "ksp_max_it": 1, "ksp_rtol": 1e-12})
    solution = solve(make_case(chosen), keep_failure=True)
    assert not solution.converged and solution.report.linear == "fieldsplit"
    small = square(8, linear="fieldsplit", petsc={"ksp_max_it": 1, "ksp_rtol": 1e-12})
    needed = [memory.estimate(81, 2, 1, 3, linear) for linear in ("direct", "fieldsplit")]
    monkeypatch.setattr(memory, "available", lambda: sum(needed) / 2)
    solution = solve(make_case(small), keep_failure=True)
    assert not solution.converged and solution.report.linear == "fieldsplit"


def test_memory_is_reported_for_every_rank(tmp_path: Path):
    finished = run_command("run", EXAMPLES / "membrane.toml", "-o", tmp_path / "out", ranks=2)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert len(manifest["peak_memory_mb"]) == 2
    assert all(50 < used < 2000 for used in manifest["peak_memory_mb"])
    assert manifest["linear"] == "direct" and manifest["tried"] == []
    assert "MB on a rank" in finished.stdout.splitlines()[-1]
    assert len(memory.peak_per_rank(MPI.COMM_SELF)) == 1


# ---- clusters ----


@pytest.mark.parametrize(
    ("domain", "solver"),
    [
        ({"shape": "interval", "length": 1.0}, {"degree": 1}),
        # large enough for a coarser start, which has its own rule, and for kernels for many cells
        ({"shape": "rectangle", "size": [1.0, 1.0], "cells": 24}, {"degree": 2, "quadrature_degree": 6}),
    ],
)
def test_after_warm_a_run_compiles_nothing(domain: dict, solver: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tables = change(dimensionless_case(), "species", to=[{"name": "A"}])
    for boundary in tables["boundaries"]:
        boundary["fraction"].pop("B")
    tables |= {"domain": domain, "solver": solver, "output": {"pictures": False}}
    case = write_toml(tables, tmp_path / "case.toml")
    warmed = run_command("warm", case)
    assert warmed.returncode == 0, warmed.stderr
    assert str(tmp_path / "cache" / "fenics") in warmed.stdout
    files = sorted((tmp_path / "cache" / "fenics").rglob("*"))
    assert any(file.suffix == ".so" for file in files)
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    assert sorted((tmp_path / "cache" / "fenics").rglob("*")) == files


def dry_run(tmp_path: Path, template: str, *words: str, **environment: str) -> list[list[str]]:
    """Run a template with stubs for ``srun`` and the command; return the words that the command was given."""
    stubs = tmp_path / "bin"
    stubs.mkdir()
    (stubs / "srun").write_text('#!/bin/bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n')
    (stubs / "pnp-exclusion").write_text(
        f'#!/bin/bash\n[ -d "$XDG_CACHE_HOME" ] || exit 1\nprintf "%s\\n" "$*" >> {tmp_path}/calls\n'
    )
    for stub in stubs.iterdir():
        stub.chmod(0o755)
    variables = {"PATH": f"{stubs}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), **environment}
    command = ["bash", str(SLURM / template), *words]
    finished = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    return [line.split() for line in (tmp_path / "calls").read_text().splitlines()]


@pytest.mark.parametrize("template", ["job.sh", "array.sh"])
def test_templates_are_bash_and_ask_for_their_words(template: str):
    subprocess.run(["bash", "-n", SLURM / template], check=True)
    finished = subprocess.run(["bash", SLURM / template], capture_output=True, text=True)
    assert finished.returncode != 0 and "usage: sbatch" in finished.stderr


def test_the_single_job_warms_runs_and_clears(tmp_path: Path):
    calls = dry_run(tmp_path, "job.sh", "case.toml", "out", SLURM_JOB_ID="7", SLURM_JOB_NUM_NODES="1")
    assert [call[0] for call in calls] == ["warm", "run"]
    assert not list(tmp_path.glob("pnp-exclusion-*"))
    for call in calls:
        parser_of(call).parse_args(call)


def test_the_single_job_is_stopped_in_time_and_goes_on_from_its_checkpoint(tmp_path: Path):
    """SLURM signals the shell of the job alone; what it calls is written down by stubs, in this order."""
    stubs, calls = tmp_path / "bin", tmp_path / "calls"
    stubs.mkdir()
    of_each = {
        "srun": 'while [[ $1 == --* ]]; do shift; done\nexec "$@"',
        "scancel": f'kill -TERM "$(cat {tmp_path}/running)"',
        "scontrol": "",
        "pnp-exclusion": f'[ "$1" = run ] || exit 0\ntrap "kill %1; exit 5" TERM\necho $$ > {tmp_path}/running\n'
        f"mkdir -p {tmp_path}/out/checkpoints\n"
        f'[[ "$*" == *--restart* ]] || {{ kill -TERM "$(cat {tmp_path}/shell)"; sleep 30 > /dev/null 2>&1 & wait; }}',
    }
    for name, program in of_each.items():
        (stubs / name).write_text(f'#!/bin/bash\necho "{name} $*" >> {calls}\n{program}\n')
        (stubs / name).chmod(0o755)
    variables = {"PATH": f"{stubs}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "SLURM_JOB_ID": "7"}
    command = f"echo $$ > {tmp_path}/shell; exec bash {SLURM / 'job.sh'} case.toml out"
    for code in (5, 0):
        ended = subprocess.run(
            ["bash", "-c", command], env={**variables, "SLURM_JOB_NUM_NODES": "1"}, cwd=tmp_path, capture_output=True
        )
        assert ended.returncode == code, ended.stderr
    lines = [line for line in calls.read_text().splitlines() if not line.startswith(("srun", "pnp-exclusion warm"))]
    assert lines == [
        "pnp-exclusion run case.toml -o out --overwrite",
        "scancel --signal=TERM 7",
        "scontrol requeue 7",
        "pnp-exclusion run case.toml -o out --restart out",
    ]
    for line in (lines[0], lines[3]):
        parser_of(line.split()[1:]).parse_args(line.split()[1:])


@pytest.mark.parametrize(("parts", "expected"), [("16", {"part": 3, "parts": 16}), ("gather", {"gather": True})])
def test_the_array_solves_its_part_or_gathers(parts: str, expected: dict, tmp_path: Path):
    (call,) = dry_run(tmp_path, "array.sh", "sweep.toml", "out", parts, SLURM_ARRAY_TASK_ID="3")
    read = vars(parser_of(call).parse_args(call))
    assert {key: read[key] for key in expected} == expected
