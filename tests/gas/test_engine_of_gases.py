"""Two gases in a loop: linear theory from the loop that floats, and the loop that is run against linear theory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, run_command

from pnp_exclusion.case.gas_case import checked_gas_case
from pnp_exclusion.cli.main import main
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.studies.engine.gas_engine import KINETIC, MEASURED, run_gas_engine
from pnp_exclusion.studies.gas.run import Settings


def leg(rods: int = 0, barrier: float = 0.5, length: float = 10.0, hot: float = 1.1, cold: float = 0.9, **gas):
    """Bullets of twice the mass of the rods among which they are."""
    kinds = [{"name": "bullet", "mass": 2.0}] + [{"name": "rod", "mass": 1.0, "number": rods}] * bool(rods)
    pairs = [{"kinds": ["bullet", "rod"], "barrier": barrier}] * bool(rods)
    ends = [
        {"where": where, "temperature": t, "density": {"bullet": 1.0}} for where, t in (("left", hot), ("right", cold))
    ]
    tables = {"units": "dimensionless", "length": length, "kinds": kinds, "pairs": pairs, "reservoirs": ends} | gas
    return checked_gas_case({"gas": tables}, Path("gas.toml"))


def test_floating_potentials_reproduce_the_linear_formulas_for_legs_in_the_kinetic_limit():
    """The loop finds the float by bisection on both legs' currents; the formulas have eliminated it by hand."""
    found = run_gas_engine(leg(), leg(rods=40, length=40.0), area_ratio=3.0, points=9)
    linear = found.linear[KINETIC].engine
    top = linear.stopping_load(found.driver) * found.temperature
    assert [point.load for point in found.points] == pytest.approx(np.linspace(0.0, top, 9), rel=1e-9)
    powers = [float(point.power.mean) for point in found.points]
    assert max(powers) == powers[4] == pytest.approx(linear.best_power(found.driver) * found.temperature, rel=1e-9)
    best = found.points[4]
    assert best.efficiency.mean == pytest.approx(linear.conversion.efficiency_at_best_power * found.carnot, rel=1e-9)
    short = linear.conductance * linear.stopping_load(found.driver)
    assert found.points[0].current.mean == pytest.approx(short, rel=1e-9)
    assert found.points[-1].current.mean == pytest.approx(0.0, abs=1e-9 * short)
    for point in found.points:
        assert abs(point.net.mean) < 1e-9 * short
        assert point.currents.mean[:, 1].sum() == pytest.approx(point.heat.mean, rel=1e-12)
    # both legs at their share of the bias: F - U_X/T drives each
    forces = float(best.force.mean) + np.array([-0.5, 0.5]) * best.load / found.temperature
    legs = [one.onsager.matrix for one in found.linear[KINETIC].coefficients]
    currents = [n * matrix @ [force, found.driver] for n, matrix, force in zip((1, 3), legs, forces, strict=True)]
    assert best.currents.mean == pytest.approx(np.array(currents), rel=1e-9)


def test_loop_that_is_run_stops_and_delivers_as_the_measured_coefficients_say():
    """Linear response of a leg of its own, measured by itself, against the loop between finite reservoirs."""
    ends = {"hot": 1.2, "cold": 0.8}
    legs = leg(length=4.0, **ends), leg(rods=12, barrier=1.0, length=12.0, **ends)
    found = run_gas_engine(*legs, points=3, settings=Settings(time=10000.0, replicas=2, seed=2), number=120)
    assert not found.interrupted and not any(point.complaint for point in found.points)
    stop, power = found.line
    linear, driver, cold = found.linear[MEASURED], found.driver, found.temperature
    half = -0.5 * linear.engine.stopping_load(driver)
    for measured, theory in (
        (stop, linear.of(lambda one: one.stopping_load(driver) * cold)),
        (power, linear.of(lambda one: one.best_power(driver) * cold)),
        (
            found.points[1].efficiency,
            linear.of(lambda one: float(one.conversion.efficiency(half, driver)) * found.carnot),
        ),
    ):
        assert abs(measured.mean - theory.mean) < 4 * np.hypot(measured.error, theory.error) < theory.mean
    assert all(abs(point.net.mean) < 4 * point.net.error for point in found.points)
    assert found.points[1].power.mean > 5 * found.points[1].power.error


def test_equal_legs_give_no_power_and_others_are_refused_by_what_is_wrong():
    with pytest.raises(UsageError, match="carries is the same in this gas"):
        run_gas_engine(leg(), leg(length=20.0))
    with pytest.raises(UsageError, match="carries is the same in this gas"):
        run_gas_engine(leg(rods=10), leg(rods=10))
    with pytest.raises(CaseError, match="the left one must be the hotter"):
        run_gas_engine(leg(hot=0.9, cold=1.1), leg(rods=10, hot=0.9, cold=1.1))
    with pytest.raises(UsageError, match="do not hold what those"):
        run_gas_engine(leg(), leg(rods=10, hot=1.2))
    with pytest.raises(UsageError, match="a whole number, or one over"):
        run_gas_engine(leg(), leg(rods=10), area_ratio=1.5)
    never = leg(rods=10, pairs=[{"kinds": ["bullet", "rod"], "passes": False}])
    with pytest.raises(UsageError, match="one that nothing passes"):
        run_gas_engine(leg(), never)


def test_command_writes_what_linear_theory_says_and_tells_legs_apart(tmp_path: Path, capsys):
    legs = EXAMPLES / "engine_free_gas.toml", EXAMPLES / "engine_rods.toml"
    finished = run_command("engine", *legs, "--kinetic-limit", "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    found = json.loads((tmp_path / "out" / "engine.json").read_text())
    assert (tmp_path / "out" / "engine.png").stat().st_size > 20_000
    assert (tmp_path / "out" / "leg_b" / "manifest.json").is_file()
    linear = found["linear"]["kinetic_limit"]
    ratio = linear["legs"][0]["energy_per_particle"]["value"] - linear["legs"][1]["energy_per_particle"]["value"]
    bias = ratio * found["force_on_energy"]["value"] * found["temperature"]["cold"]
    assert linear["stopping_bias"]["value"] == pytest.approx(bias, rel=1e-9)
    assert max(p["power"]["value"] for p in found["curve"]) == pytest.approx(linear["P_max"]["value"], rel=1e-9)
    for words, complaint in (
        ([legs[0], EXAMPLES / "engine_cation.toml"], "two membranes or two gases, not one of each"),
        ([EXAMPLES / "engine_cation.toml", EXAMPLES / "engine_anion.toml", "--time", "5"], "--time is for legs of gas"),
        ([*legs, "--kinetic-limit", "--seed", "2"], "--kinetic-limit runs none"),
    ):
        assert main(["engine", *map(str, words), "-o", str(tmp_path / "none")]) == 2
        assert complaint in capsys.readouterr().err
