"""The solver as a tool: many solves in one process, presets, and whose word PETSc hears."""

from __future__ import annotations

import gc

import pytest
from conftest import EXAMPLES, dimensionless_case

import pnp_exclusion as pnp
from pnp_exclusion.errors import UsageError


def test_hundreds_of_solves_in_one_process_do_not_exhaust_communicators():
    """MPICH has some 2000; a solve that kept its own would end this at about 125."""
    case = pnp.make_case(dimensionless_case())
    for count in range(300):
        assert pnp.solve(case).converged
        if count % 20 == 0:
            gc.collect()


def test_options_of_one_case_do_not_reach_the_next():
    tables = dimensionless_case()
    plain = pnp.solve(pnp.make_case(tables)).petsc_options
    special = pnp.make_case(tables | {"solver": {"petsc": {"ksp_type": "gmres", "pc_type": "ilu", "snes_max_it": 33}}})
    assert pnp.solve(special).petsc_options["snes_max_it"] == "33"
    assert pnp.solve(pnp.make_case(tables)).petsc_options == plain


def test_option_that_petsc_reads_but_the_acceptance_test_overrules_is_reported():
    tables = dimensionless_case() | {"solver": {"petsc": {"snes_rtol": 0.5, "snes_max_it": 30}}}
    assert pnp.solve(pnp.make_case(tables)).unused_petsc_options == ["snes_rtol"]


def test_newton_step_limit_given_to_petsc_is_the_one_in_force():
    tables = dimensionless_case() | {"solver": {"petsc": {"snes_max_it": 1}}}
    tables["species"][0]["field"] = 50.0
    with pytest.raises(pnp.errors.ConvergenceError, match="no convergence in 1 steps"):
        pnp.solve(pnp.make_case(tables))


@pytest.mark.parametrize("option", [{"fieldsplit_phi_pc_type": "gmag"}, {"poisson_ksp_type": "foo"}])
def test_unknown_type_of_any_inner_solver_is_the_users_mistake(option: dict):
    tables = pnp.read_case(EXAMPLES / "membrane.toml").as_written()
    tables["solver"] = {"linear": "fieldsplit", "petsc": option}
    with pytest.raises(UsageError, match="PETSc refuses an option"):
        pnp.solve(pnp.make_case(tables))


@pytest.mark.parametrize(("name", "degree"), [("membrane", 2), ("slit", 2), ("sphere", 1), ("sphere", 2)])
def test_fieldsplit_finds_the_currents_of_the_direct_solver(name: str, degree: int):
    """The linear solver must not show in the answer: both end at the same full Newton step."""
    tables = pnp.read_case(EXAMPLES / f"{name}.toml").as_written()
    tables["solver"]["degree"] = degree
    currents = {}
    for linear in ("direct", "fieldsplit"):
        tables["solver"]["linear"] = linear
        solution = pnp.solve(pnp.make_case(tables, EXAMPLES))
        currents[linear] = solution.steady.currents
    assert solution.report.linear_iterations > solution.report.newton_iterations
    assert currents["fieldsplit"] == pytest.approx(currents["direct"], rel=1e-8)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_interrupts_a_solve_ends_it(interruption: BaseException | type[BaseException]):
    """PETSc turns what its callbacks raise into errors of its own; a ramp would then go on after Ctrl-C."""

    def interrupt(line: str) -> None:
        raise interruption

    with pytest.raises(KeyboardInterrupt if interruption is KeyboardInterrupt else OSError):
        pnp.solve(pnp.make_case(dimensionless_case()), progress=interrupt)
    assert pnp.solve(pnp.make_case(dimensionless_case())).converged


def test_case_may_be_given_as_a_file_or_as_tables():
    """A case read by hand gives the same currents."""
    path = EXAMPLES / "membrane.toml"
    currents = pnp.solve(pnp.read_case(path)).steady.currents
    assert pnp.solve(path).steady.currents == currents
    assert pnp.solve(pnp.read_case(path).as_written()).steady.currents == currents
