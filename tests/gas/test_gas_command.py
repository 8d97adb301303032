"""``pnp-exclusion gas``: its case files, what it refuses, what it writes, and the same numbers on two ranks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, change, example, mistakes, run_command

from pnp_exclusion.case.case import read_case
from pnp_exclusion.case.gas_case import checked_gas_case
from pnp_exclusion.case.quantities import BOLTZMANN
from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.studies.gas.critical import run_critical
from pnp_exclusion.studies.gas.report import as_json, table
from pnp_exclusion.studies.gas.run import Settings, run_gas
from pnp_exclusion.studies.gas.setup import gas_of
from pnp_exclusion.studies.gas.sweep import draw_sweep, run_gas_sweep, sweep_csv, sweep_json


def gas_tables(**changes: object) -> dict:
    """The example, shorter, with other values in ``[gas]``."""
    tables = example("gas")
    tables["gas"] |= {"length": 6.0, "time": 4000.0, **changes}
    tables["gas"]["kinds"][1]["number"] = 6
    return tables


def refused(tables: dict) -> list[str]:
    with pytest.raises(CaseError) as caught:
        gas_of(checked_gas_case(tables, Path("case")))
    return caught.value.mistakes


def test_example_gives_inverse_currents_the_same_on_two_ranks_and_its_files(tmp_path: Path):
    """Bullets of the heavier kind run against the force on them and against that of energy."""
    texts = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        words = ("gas", EXAMPLES / "gas.toml", "-o", folder, "--time", "10000", "--replicas", "2", "--quiet")
        finished = run_command(*words, ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        texts.append((folder / "profile.csv").read_text())
    assert texts[0] == texts[1]
    assert {path.name for path in folder.iterdir()} == {
        *("summary.json", "gas.json", "profile.csv", "gas_profiles.png", "manifest.json", "log.txt")
    }
    content = json.loads((folder / "gas.json").read_text())
    assert content["regime"] == {"bullet": "inverse", "energy": "forward"}
    left, right = (content["current"][side]["bullet"]["value"] for side in ("left", "right"))
    assert left == pytest.approx(right, abs=3e-3) and left < -0.008
    assert content["checks"]["energy_imbalance"] < 1e-12
    assert json.loads((folder / "manifest.json").read_text())["case"]["gas"]["pairs"][0]["barrier"] == 1.5
    assert "inverse" in finished.stdout


def test_every_mistake_is_told_in_one_sentence():
    tables = gas_tables(length=-1.0, planck=0.0)
    tables["gas"]["kinds"][0]["mass"] = -2.0
    tables["gas"]["reservoirs"][0]["temperature"] = 0.0
    assert refused(tables) == [
        "[gas]: planck: input should be greater than 0, but it is 0.0",
        '[[gas.kinds]] "bullet": mass must be positive, but it is -2.0',
    ]
    tables["gas"]["planck"] = 1.0
    assert refused(tables) == [
        "[gas]: length must be positive, but it is -1.0",
        '[[gas.kinds]] "bullet": mass must be positive, but it is -2.0',
        '[[gas.reservoirs]] "left": temperature must be positive, but it is 0.0',
    ]
    closed = change(gas_tables(), "gas", "kinds", 0, "number", to=6)
    assert (
        '[[gas.reservoirs]] "left": "bullet" is a closed kind, of which [[gas.kinds]] says how many'
        in refused(closed)[0]
    )
    assert refused(change(gas_tables(), "gas", "pairs", 0, "kinds", to=["bullet", "rood"])) == [
        '[[gas.pairs]] 1: there is no kind "rood"; did you mean "rod"?'
    ]
    assert refused(gas_tables(forces={"energy": 2.0})) == [
        "[gas]: forces: that on energy must be less than 2 in size, but it is 2"
    ]
    assert refused(change(gas_tables(), "gas", "reservoirs", to=gas_tables()["gas"]["reservoirs"][:1])) == [
        "[[gas.reservoirs]]: the right one is missing"
    ]
    assert (
        "it would hold 6e+08 particles; the most is 10000000"
        in refused(change(gas_tables(forces={}), "gas", "reservoirs", 0, "density", to={"bullet": 2e8}))[0]
    )
    assert mistakes(gas_tables())[0].startswith("[gas]: unknown table")


def test_cases_of_gases_and_others_are_told_apart():
    with pytest.raises(CaseError, match="is the case of a gas, which the commands gas and engine run"):
        read_case(EXAMPLES / "gas.toml")
    assert refused(example("membrane")) == ["is not the case of a gas: the table [gas] is missing"]


def test_what_needs_a_current_of_particles_is_refused_without_an_open_kind():
    tables = change(gas_tables(forces={}), "gas", "kinds", 0, "number", to=6)
    for reservoir in tables["gas"]["reservoirs"]:
        del reservoir["density"]
    case = checked_gas_case(tables, Path("case"))
    assert run_gas(case, Settings()).names == ["energy"]
    with pytest.raises(CaseError, match="needs one open kind, and there are 0"):
        run_gas(case, Settings(), with_coefficients=True)
    with pytest.raises(CaseError, match="a critical barrier is one for the current of one open kind; there are 0"):
        run_critical(case, [6.0], 0.0, Settings())
    unhindered = change(gas_tables(), "gas", "pairs", to=[])
    with pytest.raises(CaseError, match="no pair of unlike kinds has a barrier that could be varied"):
        run_critical(checked_gas_case(unhindered, Path("case")), [6.0], 0.0, Settings())


def test_times_and_lengths_that_are_too_small_are_refused():
    case = checked_gas_case(gas_tables(), Path("case"))
    with pytest.raises(UsageError, match=r"case: time = 30 is too short: .* need a time of at least"):
        run_gas(case, Settings(time=30.0))
    with pytest.raises(UsageError, match="a gas of length 1 holds less than 4 particles"):
        run_critical(case, [1.0, 20.0], 0.0, Settings())


def test_a_threshold_that_the_kinetic_limit_does_not_reach_is_warned_of():
    """Masses 4:1: its ratio ends at 0.168 T; what was asked for is then still looked for."""
    case = checked_gas_case(change(gas_tables(), "gas", "kinds", 0, "mass", to=4.0), Path("case"))
    with pytest.raises(UsageError, match=r"within the error bars|does not pass the threshold|too short"):
        run_critical(case, [6.0], -5.0, Settings(time=400.0, replicas=2))
    from pnp_exclusion.studies.gas.critical import _kinetic

    (warning,) = _kinetic(gas_of(case), 0.0)[1]
    assert "does not reach the threshold 0: its L_ru/L_rr goes from T to 0.1" in warning
    assert "the exponent is not -1/2" in warning


def test_a_drifting_gas_ends_with_code_3_and_keeps_its_results(tmp_path: Path):
    text = (EXAMPLES / "gas.toml").read_text().replace("barrier = 1.5", "loss = 0.3 #").replace("60000.0", "1500.0")
    (tmp_path / "loss.toml").write_text(text)
    finished = run_command("gas", "loss.toml", "--quiet", "--replicas", "1", cwd=tmp_path)
    assert finished.returncode == 3
    assert "with the energy that passings lose" in finished.stderr
    if "clots" not in finished.stderr:
        content = json.loads((tmp_path / "loss.results" / "gas.json").read_text())
        assert content["converged"] is False and content["loss"]["value"] > 0


def test_si_and_dimensionless_cases_are_the_same_gas():
    """Lengths in nm, masses in the lighter one, energies in kT at 300 K: every current has its unit's factor."""
    plain = gas_tables()
    si = gas_tables(
        units="si", length="6 nm", time=f"{4000 * np.sqrt(2 * 1.66053906892e-27 / BOLTZMANN / 300):.12g} nm*s/m"
    )
    for kind, mass in zip(si["gas"]["kinds"], ("4 u", "2 u"), strict=True):
        kind["mass"] = mass
    si["gas"]["pairs"][0]["barrier"] = f"{1.5 * BOLTZMANN * 300:.12g} J"
    for reservoir in si["gas"]["reservoirs"]:
        reservoir |= {"temperature": "300 K", "density": {"bullet": "1 1/nm"}}
    ours, theirs = (
        as_json(run_gas(checked_gas_case(tables, Path("case")), Settings(replicas=1))) for tables in (plain, si)
    )
    second = 1e-9 * np.sqrt(2 * 1.66053906892e-27 / BOLTZMANN / 300)
    assert ours["events"] == pytest.approx(theirs["events"], rel=0.05)
    assert theirs["time"]["value"] == pytest.approx(ours["time"]["value"] * second, rel=1e-6)
    for side in ("left", "right"):
        for name, unit in (("bullet", 1.0), ("energy", BOLTZMANN * 300)):
            one, other = ours["current"][side][name], theirs["current"][side][name]
            error = np.hypot(one["error"], other["error"] * second / unit)
            assert abs(one["value"] - other["value"] * second / unit) < 4.5 * error
    assert theirs["current"]["left"]["energy"]["unit"] == "W"
    assert theirs["profile"]["temperature"]["rod"]["mean"][20] == pytest.approx(300, rel=0.1)


def test_coefficients_are_told_with_the_departure_from_linear_response():
    run = run_gas(
        checked_gas_case(gas_tables(), Path("case")), Settings(replicas=1, time=8000.0), with_coefficients=True
    )
    content = as_json(run)
    assert set(content["coefficients"]) == {"response", "covariance"}
    assert content["current_over_linear"]["energy"]["value"] == pytest.approx(1.0, abs=0.3)
    assert any("YT with free leg" in line for line in table(run))


def test_nothing_measured_is_an_error_of_convergence():
    tables = gas_tables(forces={})
    tables["gas"]["pairs"] = [{"kinds": ["rod", "rod"], "loss": 0.9}]
    tables["gas"]["kinds"][1]["number"] = 60
    with pytest.raises(ConvergenceError, match="the gas clots and has no steady state"):
        run_gas(checked_gas_case(tables, Path("case")), Settings(replicas=1))


def test_a_sweep_finds_the_regimes_over_its_axes_and_draws_them(tmp_path: Path):
    """Inverse above the critical barrier and not without one; a key that the case has not is told with the nearest."""
    tables = gas_tables(length=10.0, time=15000.0, forces={"energy": 0.5})
    tables["gas"]["kinds"][1] = {"name": "rod", "mass": 1.0, "density": 1.0}
    barriers = {"key": "gas.pairs.bullet-rod.barrier", "values": [0.0, 2.0], "name": "barrier"}
    lengths = {"key": "gas.length", "values": [10, 12]}
    sweep = run_gas_sweep(
        checked_gas_case(tables | {"sweep": {"axes": [barriers, lengths]}}, Path("case")), Settings(replicas=1), print
    )
    assert [point.at for point in sweep.points] == [{"barrier": h, "length": n} for h in (0.0, 2.0) for n in (10, 12)]
    assert [run.gas.kinds[1].number for run in sweep.measured] == [10, 12, 10, 12]
    assert [run.regimes["bullet"] for run in sweep.measured] == ["driven", "driven", "inverse", "inverse"]
    header, *rows = sweep_csv(sweep).splitlines()
    assert header.startswith("barrier,length,current_bullet,error_of_current_bullet,regime_bullet,current_energy")
    assert len(rows) == 4 and ",inverse," in rows[-1]
    assert sweep_json(sweep)["points"][3]["regime"]["bullet"] == "inverse"
    draw_sweep(tmp_path / "gas_sweep.png", sweep)
    assert (tmp_path / "gas_sweep.png").stat().st_size > 10_000
    wrong = tables | {"sweep": {"axes": [barriers | {"key": "gas.pairs.bullet-rood.barrier"}]}}
    assert refused(wrong) == [
        '[[sweep.axes]] "barrier": key "gas.pairs.bullet-rood.barrier": the case has no entry "bullet-rood" in '
        '[[pairs]]; did you mean "bullet-rod"?'
    ]
    beyond = tables | {"sweep": {"axes": [lengths | {"values": [10, -1]}]}}
    with pytest.raises(CaseError, match=r"length = -1: \[gas\]: length must be positive"):
        run_gas_sweep(checked_gas_case(beyond, Path("case")), Settings(), print)
