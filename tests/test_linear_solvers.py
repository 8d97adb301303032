"""Assembly in batches, presets of linear solvers, starts from coarser meshes, and what happens without these."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from assembly_check import case as flux_case
from conftest import BIN, EXAMPLES, blocking_electrode, run_command, summary_of, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.case.build import build
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.runtime import fenicsx
from pnp_exclusion.solution import coarse_start
from pnp_exclusion.solution.solve import settings_of
from pnp_exclusion.solver.assembly import assembly
from pnp_exclusion.studies.sweeps.run import Workers


def box(dimension: int, cells: int, **solver) -> dict:
    """Two reservoirs with a voltage and a charged region between them."""
    tables = flux_case("mpnp", dimension)
    tables["domain"]["cells"] = cells
    tables["boundaries"][1] = {
        "where": "right",
        "kind": "reservoir",
        "fraction": {"a": 0.1, "b": 0.1},
        "potential": 0.0,
    }
    tables["solver"] = {"degree": 1, **solver}
    return tables


FIELDS = ("mu_a", "mu_b", "phi")


def coarse_matrices_made(tables: dict) -> tuple[int, int]:
    """Solve; return how many matrices of coarser levels were computed, and Newton steps."""
    fenicsx.initialise_petsc()
    from petsc4py import PETSc

    PETSc.Log.begin()
    before = PETSc.Log.Event("MatPtAPNumeric").getPerfInfo()["count"]
    solution = pnp.solve(tables)
    assert solution.unused_petsc_options == []
    return PETSc.Log.Event("MatPtAPNumeric").getPerfInfo()["count"] - before, solution.report.newton_iterations


def is_equal(script: str, ranks: int) -> None:
    """Check that a script beside this one finds all equal on every rank."""
    finished = subprocess.run(
        [str(BIN / "mpiexec"), "-n", str(ranks), sys.executable, str(Path(__file__).with_name(script))],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("equal") == ranks


@pytest.mark.parametrize("ranks", [1, 3])
def test_assembly_in_batches_equals_that_of_dolfinx_to_rounding(ranks: int):
    is_equal("assembly_check.py", ranks)


@pytest.mark.parametrize("ranks", [1, 3])
def test_matrices_of_fields_are_what_petsc_cuts_out(ranks: int):
    is_equal("split_check.py", ranks)


@pytest.mark.parametrize("ranks", [1, 3])
def test_interpolation_between_grids_is_exact_for_multilinear_functions(ranks: int):
    is_equal("levels_check.py", ranks)


@pytest.mark.parametrize(
    ("size", "degree", "ranks"),
    [
        ((50.0, 1.0, 1.0), 1, 1),
        ((50.0, 1.0, 0.02), 1, 1),
        ((50.0, 1.0, 0.02), 2, 1),
        ((1.0, 1.0, 0.02), 1, 2),
    ],
)
def test_cells_fifty_times_as_long_as_wide_cost_hardly_any_krylov_steps(
    size: tuple[float, float, float], degree: int, ranks: int, tmp_path: Path
):
    counts = []
    for name, shape in (("long", size), ("cube", (1.0, 1.0, 1.0))):
        tables = box(3, 12 // degree, degree=degree, linear="fieldsplit", petsc={"ksp_rtol": 1e-6})
        tables["domain"]["size"] = list(shape)
        tables["output"] = {"fields": False, "pictures": False}
        case = write_toml(tables, tmp_path / f"{name}.toml")
        finished = run_command("run", case, "-o", tmp_path / name, ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        assert "the linear solver failed" not in finished.stderr
        summary = summary_of(tmp_path / name)
        counts.append(summary["linear_iterations"] / summary["newton_iterations"])
    assert counts[0] <= 1.5 * counts[1] + 1.0


def test_a_type_of_matrix_that_cannot_be_worked_with_is_refused_in_one_sentence():
    with pytest.raises(UsageError, match=r"^mat_type baij: only aij"):
        pnp.solve(box(2, 4, linear="fieldsplit", petsc={"mat_type": "baij"}))


def test_levels_of_the_multigrid_are_as_many_as_the_user_says():
    petsc = {"snes_lag_preconditioner": 100}
    two = {f"fieldsplit_{name}_pc_mg_levels": 2 for name in FIELDS}
    with_two, _ = coarse_matrices_made(box(2, 48, linear="fieldsplit", petsc=petsc | two))
    with_all, _ = coarse_matrices_made(box(2, 48, linear="fieldsplit", petsc=petsc))
    assert 0 < with_two < with_all


@pytest.mark.parametrize("key", ["diffusivity", "permittivity"])
@pytest.mark.parametrize("factor", [1e-5, 1e5])
def test_plates_one_cell_thick_cost_hardly_any_krylov_steps(key: str, factor: float):
    counts = []
    for value in (factor, 1.0):
        tables = box(2, 96, linear="fieldsplit")
        plates = [(k / 12.0, (k % 3) / 4.0) for k in range(1, 12)]
        tables["regions"] = [
            {"name": f"plate{k}", "x": [x, x + 1.0 / 96.0], "y": [y, y + 0.5], key: value}
            for k, (x, y) in enumerate(plates)
        ]
        report = pnp.solve(tables).report
        assert report.tried == []
        counts.append(report.linear_iterations / report.newton_iterations)
    assert counts[0] <= 2.0 * counts[1]


@pytest.mark.parametrize(("degree", "meshes"), [(1, (10, 20)), (2, (5, 10)), (3, (4, 8)), (4, (3, 6))])
def test_krylov_steps_do_not_grow_with_the_mesh(degree: int, meshes: tuple[int, int]):
    options = {"ksp_rtol": 1e-6, "snes_lag_preconditioner": 1}
    counts = []
    for cells in meshes:
        report = pnp.solve(box(3, cells, degree=degree, linear="fieldsplit", petsc=options)).report
        counts.append(report.linear_iterations / report.newton_iterations)
    assert max(counts) <= 16.0
    assert counts[1] <= 1.3 * counts[0]


def test_a_lagged_preconditioner_is_left_alone():
    every, once = (
        coarse_matrices_made(box(3, 5, linear="fieldsplit", petsc={"snes_lag_preconditioner": lag})) for lag in (1, 100)
    )
    assert once[0] > 0
    assert every[1] > 2
    assert every[0] == every[1] * once[0], "all levels of all fields, for every step or for the first"


def test_a_fieldsplit_of_a_single_field_is_that_field():
    tables = box(3, 5, linear="fieldsplit", petsc={"pc_type": "fieldsplit"})
    tables["model"] = {"units": "dimensionless", "law": "mpnp", "electrostatics": "imposed"}
    tables["species"] = [{"name": "a"}]
    tables["regions"] = []
    for end, amount in zip(tables["boundaries"], (0.3, 0.1), strict=True):
        del end["potential"]
        end["fraction"] = {"a": amount}
    direct = {**tables, "solver": {"degree": 1, "linear": "direct"}}
    currents = [pnp.solve(case).steady.totals.through("a", "left", "right") for case in (tables, direct)]
    assert currents[0] == pytest.approx(currents[1], rel=1e-9)


@pytest.mark.parametrize(("dimension", "cells", "degree"), [(2, 24, 1), (2, 12, 2), (2, 6, 4), (3, 8, 1), (3, 5, 2)])
def test_a_start_from_coarser_meshes_leads_to_the_same_currents(
    dimension: int, cells: int, degree: int, monkeypatch: pytest.MonkeyPatch
):
    found, coarse, jacobians = [], [], []
    for least in (10**9, 300):
        monkeypatch.setattr(coarse_start, "LEAST_UNKNOWNS", least)
        lines: list[str] = []
        tables = box(dimension, cells, degree=degree, linear="direct")
        found.append(pnp.solve(tables, progress=lines.append))
        levels = [number for number, line in enumerate(lines) if "cells of degree" in line]
        coarse.append(len(levels))
        newton = [line for line in lines[levels[-1] if levels else 0 :] if "Newton" in line]
        jacobians.append(sum("kept" not in line for line in newton[-found[-1].report.newton_iterations :]))
    assert coarse[0] == 0
    assert coarse[1] >= 1
    cold, warm = found
    assert warm.steady.currents == pytest.approx(cold.steady.currents, rel=1e-8)
    assert jacobians[1] <= min(2, jacobians[0])


def test_a_mesh_from_a_file_starts_cold(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coarse_start, "LEAST_UNKNOWNS", 1)
    case = pnp.read_case(EXAMPLES / "slit.toml")
    setup = build(case)
    discrete = Discretisation(setup.problem, 1)
    before = discrete.unknown.x.array.copy()
    assert coarse_start.coarser_start(setup, discrete, settings_of(case)) is None
    assert (discrete.unknown.x.array == before).all()


def test_without_a_compiler_cells_are_assembled_one_by_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(assembly, "LEAST_WORK", 1)
    tables, lines = box(2, 8), []
    batched = pnp.solve(tables)
    monkeypatch.setenv("CC", "/nonexistent")
    plain = pnp.solve(tables, progress=lines.append)
    assert any("assembly cell by cell: /nonexistent could not run" in line for line in lines)
    assert plain.steady.currents == pytest.approx(batched.steady.currents, rel=1e-9)


def test_kept_eliminations_save_jacobians_and_leave_as_little():
    lines: list[str] = []
    kept = pnp.solve(box(2, 16, linear="direct"), progress=lines.append)
    renewed = pnp.solve(box(2, 16, linear="direct", petsc={"snes_lag_jacobian": 1}))
    assert sum("Jacobian kept" in line for line in lines) >= 2
    assert kept.report.newton_iterations - sum("Jacobian kept" in line for line in lines) < (
        renewed.report.newton_iterations
    )
    for solution in (kept, renewed):
        # the law of conservation, which holds to rounding for a converged state
        assert solution.summary()["balance"] < 1e-10
    assert kept.steady.currents == pytest.approx(renewed.steady.currents, rel=1e-10)


def test_steps_with_a_kept_jacobian_do_not_count_against_the_limit():
    lines: list[str] = []
    unlimited = pnp.solve(box(2, 16, linear="direct"), progress=lines.append)
    own = unlimited.report.newton_iterations - sum("Jacobian kept" in line for line in lines)
    assert own < unlimited.report.newton_iterations
    limited = pnp.solve(box(2, 16, linear="direct", max_newton_steps=own))
    assert limited.report.tried == []
    assert limited.report.newton_iterations == unlimited.report.newton_iterations


def test_a_preconditioner_of_the_users_takes_none_of_the_options_of_ours():
    eliminated = pnp.solve(box(2, 8, degree=2, linear="fieldsplit", petsc={"pc_type": "lu"})).petsc_options
    assert eliminated["pc_factor_mat_solver_type"] == "mumps"
    assert not [key for key in eliminated if key.startswith(("fieldsplit", "pc_fieldsplit"))]
    petsc = {"fieldsplit_phi_pc_type": "gamg"}
    algebraic = pnp.solve(box(2, 8, degree=2, linear="fieldsplit", petsc=petsc)).petsc_options
    assert not [key for key in algebraic if key.startswith(("fieldsplit_phi_mg_coarse", "fieldsplit_phi_pc_mg"))]
    assert algebraic["fieldsplit_mu_a_pc_mg_galerkin"] == "both"


@pytest.mark.parametrize("degree", [3, 4])
@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_few_cells_of_a_high_degree_give_the_currents_of_many_of_a_low_one(law: str, degree: int):
    tables = box(2, 24, degree=2)
    tables["model"]["law"] = law
    fine = pnp.solve(tables)
    coarse = pnp.solve(tables | {"domain": tables["domain"] | {"cells": 10}, "solver": {"degree": degree}})
    assert coarse.steady.currents == pytest.approx(fine.steady.currents, rel=1e-4)


@pytest.mark.parametrize(("linear", "degree", "cells"), [("direct", 2, 3), ("fieldsplit", 3, 3)])
def test_every_preset_gives_the_same_currents_on_any_ranks(linear: str, degree: int, cells: int, tmp_path: Path):
    case = write_toml(box(3, cells, degree=degree, linear=linear), tmp_path / "case.toml")
    fluxes = []
    for ranks in (1, 3):
        folder = tmp_path / str(ranks)
        finished = run_command("run", case, "-o", folder, ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        fluxes.append({name: flux["value"] for name, flux in summary_of(folder)["flux"]["left"].items()})
    one, three = fluxes
    assert three == pytest.approx(one, rel=1e-8)


# ---- elimination along an interval ----


def with_solver(tables: dict, **solver) -> dict:
    return tables | {"solver": tables.get("solver", {}) | solver}


def membrane(law: str, voltage: float) -> dict:
    """Currents and layers on a thousandth of the length, beside a charged region that excludes one species."""
    tables = box(2, 4)
    tables["model"] |= {"law": law, "debye_length": 1e-3}
    tables["domain"] = {"shape": "interval", "length": 1.0}
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": -0.6}]
    tables["boundaries"][0]["potential"] = voltage
    return tables | {"solver": {}}


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
@pytest.mark.parametrize("degree", [1, 2, 4])
def test_banded_elimination_needs_no_pivots_where_densities_vanish(law: str, degree: int):
    """At 40 kT/e rows of a blocked species are e^-40 times the others; MUMPS, which seeks pivots, is the reference."""
    tables = with_solver(blocking_electrode(law, 40.0 if law != "pnp" else 10.0, 1e-2), degree=degree)
    banded, direct = (pnp.solve(with_solver(tables, linear=linear)) for linear in ("auto", "direct"))
    assert (banded.report.linear, banded.report.tried) == ("banded", [])
    assert banded.steady.totals.charge == pytest.approx(direct.steady.totals.charge, rel=1e-9)
    assert banded.report.linear_iterations == banded.report.newton_iterations


@pytest.mark.parametrize("law", ["mpnp", "shdl", "vacancy"])
@pytest.mark.parametrize("voltage", [-40.0, 10.0])
def test_banded_elimination_finds_the_currents_of_the_direct_solver(law: str, voltage: float):
    banded, direct = (pnp.solve(with_solver(membrane(law, voltage), linear=linear)) for linear in ("banded", "direct"))
    assert (banded.report.linear, banded.report.tried) == ("banded", [])
    assert banded.steady.currents == pytest.approx(direct.steady.currents, rel=1e-8)


def test_the_direct_solver_takes_over_from_a_banded_elimination_that_fails():
    lines: list[str] = []
    failing = with_solver(membrane("mpnp", 10.0), petsc={"pc_factor_zeropivot": 1e30})
    solution = pnp.solve(failing, progress=lines.append)
    (told,) = solution.report.tried
    assert solution.report.linear == "direct" and "banded" in told and any(told in line for line in lines)
    assert solution.steady.currents == pytest.approx(pnp.solve(membrane("mpnp", 10.0)).steady.currents, rel=1e-8)


@pytest.mark.parametrize("petsc", [{"pc_factor_mat_solver_type": "mumps"}, {"ksp_type": "preonly"}])
def test_what_the_user_wants_instead_of_the_banded_elimination_is_done(petsc: dict):
    solution = pnp.solve(with_solver(membrane("mpnp", 1.0), petsc=petsc))
    assert solution.report.tried == [] and solution.unused_petsc_options == []
    assert solution.petsc_options.items() >= petsc.items()
    assert solution.steady.currents == pytest.approx(pnp.solve(membrane("mpnp", 1.0)).steady.currents, rel=1e-8)


def test_banded_is_refused_where_it_does_not_serve(tmp_path: Path):
    with pytest.raises(CaseError, match=r'\[solver\]: linear = "banded" is for one dimension'):
        pnp.make_case(box(2, 4, linear="banded"))
    case = write_toml(with_solver(membrane("mpnp", 10.0), linear="banded"), tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", ranks=2)
    assert finished.returncode == 2 and not (tmp_path / "out" / "summary.json").exists()
    assert finished.stderr.count('"banded" is for one rank, not 2') == 1 and "Traceback" not in finished.stderr
    # a sweep asks this before it touches earlier results
    with pytest.raises(UsageError, match="for one rank, not 2"):
        Workers(ranks_per_point=2).require_fit(3, "banded")
