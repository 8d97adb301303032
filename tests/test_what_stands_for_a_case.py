"""What scripts may hand over where a case is meant, and what is said of anything else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import EXAMPLES, ROOT, example, write_toml
from test_coupled import charged_membrane
from test_engine import membrane

import pnp_exclusion as pnp
from pnp_exclusion.cli.main import main
from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.output.job import failure
from pnp_exclusion.physics.laws import Law, mpnp
from pnp_exclusion.solver.steady import SteadyReport
from pnp_exclusion.studies.threshold import threshold


def through_workbench(case: Any) -> float:
    with pnp.Workbench(case) as workbench:
        return workbench.solve(case).steady.currents["A"]


USES: dict[str, Callable[[Any], float]] = {
    "solve": lambda case: pnp.solve(case).steady.currents["A"],
    "couple": lambda case: pnp.couple(case, points=0).steady.currents[0],
    "workbench": through_workbench,
    "threshold": lambda case: threshold(case, "A").value,
}


@pytest.mark.parametrize("use", USES)
def test_case_path_tables_and_solution_stand_for_the_same(use: str, tmp_path: Path):
    """One answer whatever is handed over; the file is read as text and as a path."""
    tables = charged_membrane(0.3, 0.1, 1.0)
    path = write_toml(tables, tmp_path / "case.toml")
    given = [pnp.make_case(tables), path, str(path), tables, pnp.solve(tables)]
    found = [USES[use](one) for one in given]
    assert found == pytest.approx([found[0]] * len(given), rel=1e-9)


def test_engine_takes_legs_of_any_kind(tmp_path: Path):
    legs = membrane(-0.3, 0.06, 0.002), membrane(0.2, 0.06, 0.002)
    path = write_toml(legs[0], tmp_path / "leg.toml")
    voltages = [
        pnp.run_engine(first, second, points=3).open_circuit_voltage
        for first, second in [(path, legs[1]), (pnp.solve(legs[0]), pnp.make_case(legs[1]))]
    ]
    assert voltages[1] == pytest.approx(voltages[0], rel=1e-9)


def test_converged_solution_is_analysed_as_it_is():
    solution = pnp.solve(charged_membrane(0.3, 0.1, 1.0))
    assert pnp.couple(solution, points=0).solution is solution


def test_solution_stands_for_its_law_too():
    """`own` moves twice as fast as mpnp, and no case file names it."""
    base = mpnp()
    own = Law("own", lambda a, b, rho, d: 2.0 * base.exchange(a, b, rho, d), free_energy=base.free_energy)
    tables = charged_membrane(0.3, 0.1, 1.0)
    once = pnp.solve(tables, own)
    assert pnp.solve(once).steady.currents == pytest.approx(once.steady.currents, rel=1e-9)
    assert once.steady.currents["A"] == pytest.approx(2.0 * pnp.solve(tables, base).steady.currents["A"], rel=1e-6)


@pytest.mark.parametrize("use", [*USES, "sweep"])
@pytest.mark.parametrize("given", [3.0, None, ["membrane.toml"]])
def test_what_stands_for_no_case_is_named(use: str, given: object):
    call = USES.get(use, pnp.sweep)
    with pytest.raises(TypeError, match=f"a Solution of it, not as {type(given).__name__}$"):
        call(given)


def test_solution_that_did_not_converge_is_no_start():
    """Three Newton steps from the first guess are too few."""
    tables = charged_membrane(0.3, 0.1, 8.0) | {"solver": {"max_newton_steps": 1}}
    failed = pnp.solve(tables, keep_failure=True)
    assert not failed.converged
    for use in (pnp.couple, lambda case: pnp.run_engine(case, case)):
        with pytest.raises(ConvergenceError, match="did not converge"):
            use(failed)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda case: pnp.couple(case, points=2), "points is 0 or a whole number from 3 on, but it is 2"),
        (lambda case: pnp.run_engine(case, case, area_ratio=-1.0), "area_ratio must be greater than 0, but it is -1"),
        (lambda case: pnp.run_engine(case, case, points=1), "points is a whole number from 3 on, but it is 1"),
    ],
)
def test_numbers_out_of_range_are_refused_in_scripts_as_on_the_command_line(call: Callable, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        call(EXAMPLES / "membrane.toml")


def test_a_gas_is_given_as_its_file_or_its_tables():
    """Reference: the same case of each kind; a free gas has the same linear engine whichever way it is given."""
    a, b = EXAMPLES / "engine_free_gas.toml", EXAMPLES / "engine_rods.toml"
    by_file, by_tables = pnp.run_gas_engine(str(a), b), pnp.run_gas_engine(example(a.stem), example(b.stem))
    assert [float(point.power.mean) for point in by_file.points] == [
        float(point.power.mean) for point in by_tables.points
    ]
    with pytest.raises(TypeError, match=r"path of its file or its tables \(a dict\), not as float"):
        pnp.run_gas(0.5)
    with pytest.raises(CaseError, match=r"the table \[gas\] is missing"):
        pnp.run_gas(EXAMPLES / "membrane.toml")


def test_missing_file_and_mistakes_are_told_as_ever():
    with pytest.raises(CaseError, match="there is no such file"):
        pnp.couple("nowhere.toml")
    with pytest.raises(CaseError, match=r"\[\[species\]\]"):
        pnp.run_engine(example("membrane") | {"species": []}, EXAMPLES / "membrane.toml")


@pytest.mark.parametrize("command", ["couple", "engine", "lattice"])
def test_commands_that_need_a_solution_do_not_claim_to_keep_part_of_one(command: str, tmp_path: Path, capsys):
    """One Newton step is too few for any state; nothing but the log is left, and the case is named."""
    tables = membrane(-0.3, 0.06, 0.002) | {"solver": {"max_newton_steps": 1}}
    case = write_toml(tables, tmp_path / "case.toml")
    words = [str(case)] * (2 if command == "engine" else 1)
    assert main([command, *words, "-o", str(tmp_path / "out"), "--quiet"]) == 3
    assert f"{case}: law shdl did not converge; no state was found" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["log.txt"]


def test_last_good_state_is_said_to_be_kept_only_where_it_is(tmp_path: Path):
    solution = pnp.solve(charged_membrane(0.3, 0.1, 1.0))
    part = pnp.Solution(solution.setup, solution.discretisation, SteadyReport(load_parameter=0.5), converged=False)
    assert f"{tmp_path} holds the last good state, at 0.5 of the driving forces" in failure(part, tmp_path)
    assert "the last good state (which run would keep) was at 0.5 of the driving forces" in failure(part)


def test_what_the_document_shows_runs(monkeypatch: pytest.MonkeyPatch):
    """The script of docs/coupled.md, whose names of files are those of the project."""
    monkeypatch.chdir(ROOT)
    script = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "coupled.md").read_text(), re.S)
    assert script is not None
    found: dict = {}
    exec(script[1], found)
    assert sum(found["coupling"].electrolyte.transport_numbers.values()) == pytest.approx(1.0)
    assert found["engine"].open_circuit_voltage != 0.0
