"""Two membranes in a loop: against linear theory, balances, and limits that are known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import BIN, EXAMPLES, run_command, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.studies.engine.discharge import discharge
from pnp_exclusion.studies.engine.engine import Engine, run_engine
from pnp_exclusion.studies.engine.linear import LinearEngine, LinearLeg
from pnp_exclusion.studies.engine.loop import Loop
from pnp_exclusion.studies.engine.membrane import Membrane
from pnp_exclusion.studies.engine.report import as_json


def membrane(charge: float, high: float, low: float, law: str = "shdl") -> dict:
    """A salt of fractions ``high`` and ``low`` across a fixed charge, dimensionless."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": 0.02},
        "species": [{"name": "Na", "charge": 1}, {"name": "Cl", "charge": -1}],
        "domain": {"shape": "interval", "length": 1.0, "cells": 60},
        "regions": [{"name": "membrane", "x": [0.1, 0.9], "fixed_charge": charge}],
        "boundaries": [
            {"where": where, "kind": "reservoir", "fraction": {"Na": c, "Cl": c}, "potential": 0.0}
            for where, c in (("left", high), ("right", low))
        ],
    }


def engine(first: dict, second: dict, **others: float) -> Engine:
    return run_engine(*(pnp.solve(pnp.make_case(tables)) for tables in (first, second)), **others)


def test_linear_formulas_are_what_the_two_legs_do_in_a_circuit():
    """Kirchhoff: for random symmetric legs, the floating potential eliminated by hand, against K, S, kappa and Z."""
    rng = np.random.default_rng(5)
    for _ in range(10):
        roots = rng.normal(size=(2, 2, 2))
        legs = [LinearLeg(root @ root.T) for root in roots]
        linear = LinearEngine(*legs)
        salinity = rng.uniform(0.2, 3.0)
        top = linear.stopping_load(salinity)
        powers, efficiencies = [], []
        for load in top * np.linspace(0.0, 1.0, 2001)[1:-1]:
            # V_B = V_A + U, I_A + I_B = 0
            a, b = (leg.matrix for leg in legs)
            voltage = -((a[0, 1] + b[0, 1]) * salinity + b[0, 0] * load) / (a[0, 0] + b[0, 0])
            current_a = a @ [voltage, salinity]
            current_b = b @ [voltage + load, salinity]
            powers.append(current_a[0] * load)
            efficiencies.append(current_a[0] * load / ((current_a[1] + current_b[1]) * salinity))
        conversion = linear.conversion
        assert linear.best_power(salinity) == pytest.approx(max(powers), rel=1e-5)
        assert conversion.best_power(salinity) == pytest.approx(max(powers), rel=1e-5)
        assert conversion.best_efficiency == pytest.approx(max(efficiencies), rel=1e-3)
        assert conversion.efficiency_at_best_power == pytest.approx(efficiencies[int(np.argmax(powers))], rel=1e-2)
        assert linear.figure_of_merit == pytest.approx(conversion.figure_of_merit, rel=1e-9)


def test_computed_engine_goes_over_into_the_linear_one_at_small_salinities():
    """Reference: the formulas from the legs' Onsager matrices. About their middle the departure is of second order."""
    departures = []
    for drop in (0.4, 0.2, 0.1):
        high, low = 0.05 * np.exp(0.5 * drop), 0.05 * np.exp(-0.5 * drop)
        found = engine(membrane(-0.15, high, low), membrane(0.05, high, low), points=3)
        linear, conversion = found.linear, found.linear.conversion
        departures.append(
            [
                found.open_circuit_voltage / linear.stopping_load(found.salinity) - 1.0,
                found.best_power.power / linear.best_power(found.salinity) - 1.0,
                found.best_power.efficiency / conversion.efficiency_at_best_power - 1.0,
                found.best_efficiency.efficiency / conversion.best_efficiency - 1.0,
            ]
        )
    errors = np.abs(departures)
    assert errors[-1].max() < 1e-2
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), 2.0, atol=0.1)


@pytest.mark.parametrize("law", ["mpnp", "shdl"])
def test_free_energy_lost_is_power_and_dissipation_at_every_load(law: str):
    """Boundary values (currents, chemical potentials) against the integral of the dissipation over both legs."""
    found = engine(membrane(-0.3, 0.06, 0.002, law), membrane(0.2, 0.06, 0.002, law), points=7)
    for point in found.curve:
        assert point.consumption == pytest.approx(point.power + point.entropy_production, rel=1e-8)
        assert point.consumption > 0.0
        charges = np.array([1.0, -1.0])
        net = charges @ (point.legs[0].currents + point.legs[1].currents)
        assert abs(net) < 1e-9 * np.abs(point.legs[0].currents).max()
    assert found.best_power.power > 0.0
    assert found.best_power.power >= max(point.power for point in found.curve)
    assert found.best_efficiency.efficiency >= max(point.efficiency for point in found.curve)
    assert found.best_efficiency.efficiency < found.linear.conversion.best_efficiency < 1.0


def test_perfectly_selective_legs_give_twice_the_nernst_potential():
    """Donnan: a fixed charge of hundred times the salt lets one sign through; each leg has its Nernst potential."""
    found = engine(membrane(-0.4, 2e-3, 5e-4), membrane(0.4, 2e-3, 5e-4), points=3)
    assert found.open_circuit_voltage == pytest.approx(2.0 * found.salinity, rel=1e-3)
    assert found.zero_current_voltages[0] == pytest.approx(-found.salinity, rel=1e-3)


def test_changing_legs_turns_the_load_round_and_a_thicker_leg_of_more_area_is_the_same():
    """Symmetries: of the circuit; and of Nernst-Planck, where a resistance is length over area."""
    legs = membrane(-0.3, 0.06, 0.002), membrane(0.2, 0.06, 0.002)
    one, other = engine(*legs, points=3), engine(*legs[::-1], points=3)
    assert other.open_circuit_voltage == pytest.approx(-one.open_circuit_voltage, rel=1e-9)
    assert other.best_power.power == pytest.approx(one.best_power.power, rel=1e-8)
    slow = legs[1] | {"species": [species | {"diffusivity": 0.5} for species in legs[1]["species"]]}
    halved = engine(legs[0], slow, area_ratio=2.0, points=3)
    assert halved.best_power.power == pytest.approx(one.best_power.power, rel=1e-8)


def test_si_engine_of_legs_with_unlike_scales_is_that_of_its_areas():
    """Half the diffusivity on twice the area: the same in SI units, though the scale of its fluxes is halved."""
    tables = pnp.read_case(EXAMPLES / "engine_anion.toml").as_written()
    first = pnp.solve(pnp.read_case(EXAMPLES / "engine_cation.toml"))
    one = run_engine(first, pnp.solve(pnp.make_case(tables)), points=3)
    for species in tables["species"]:
        species["diffusivity"] = "0.8e-9 m^2/s"
    other = run_engine(first, pnp.solve(pnp.make_case(tables)), area_ratio=2.0, points=3)
    assert other.best_power.power == pytest.approx(one.best_power.power, rel=1e-8)
    assert one.best_power.power * one.units.power[0] > 1e5  # W/m^2, of a membrane of 16 nm


def test_loop_refuses_what_is_no_engine():
    legs = [membrane(-0.3, 0.06, 0.002), membrane(0.2, 0.06, 0.002)]
    with pytest.raises(UsageError, match="legs must select unlike ions"):
        engine(legs[0], legs[0], points=3)
    with pytest.raises(UsageError, match="second reservoir does not hold what that of"):
        engine(legs[0], membrane(0.2, 0.06, 0.004), points=3)
    with pytest.raises(UsageError, match=r"reservoirs differ by .* kT, but by"):
        engine(legs[0], membrane(0.2, 0.06, 0.002, "pnp"), points=3)
    with pytest.raises(CaseError, match="hold the same, so that nothing drives"):
        engine(membrane(-0.3, 0.06, 0.06), membrane(0.3, 0.06, 0.06), points=3)
    renamed = membrane(0.2, 0.06, 0.002)
    renamed["species"][0]["name"] = "K"
    for boundary in renamed["boundaries"]:
        boundary["fraction"]["K"] = boundary["fraction"].pop("Na")
    with pytest.raises(UsageError, match=r"its species are K \(\+1\), Cl \(-1\)"):
        engine(legs[0], renamed, points=3)


def test_floating_potential_lies_between_those_of_the_legs():
    legs = [pnp.solve(pnp.make_case(membrane(charge, 0.06, 0.002))) for charge in (-0.3, 0.2)]
    with Membrane(legs[0], 1.0) as first, Membrane(legs[1], 1.0) as second:
        loop = Loop((first, second))
        point = loop.at(0.0)
        voltages = sorted((first.zero_current_force, second.zero_current_force))
        assert voltages[0] < point.legs[0].force < voltages[1]
        assert point.legs[0].force == point.legs[1].force
        assert abs(loop.at(loop.stopping_load).current) < 1e-9 * abs(point.current)


def test_command_writes_numbers_and_a_picture(tmp_path: Path):
    """The balance once more, from the file, in SI units."""
    words = [EXAMPLES / "engine_cation.toml", EXAMPLES / "engine_anion.toml", "--points", "5", "-o", tmp_path / "out"]
    finished = run_command("engine", *words)
    assert finished.returncode == 0, finished.stderr
    found = json.loads((tmp_path / "out" / "engine.json").read_text())
    assert (tmp_path / "out" / "engine.png").stat().st_size > 20_000
    assert (tmp_path / "out" / "leg_b" / "manifest.json").is_file()
    for point in found["curve"]:
        chemical = 8.314462618 * 298.15 * found["salinity"]["value"]
        assert point["consumption"] == pytest.approx(chemical * np.sum(point["leg_currents"]), rel=1e-9)
        assert point["power"] == pytest.approx(point["current"] * point["load_voltage"], rel=1e-9, abs=1e-9)


def test_currents_of_legs_are_named_by_the_species_that_pass():
    """A closed ion (pnp) is no part of what flows."""
    legs = []
    for charge in (-0.3, 0.2):
        tables = membrane(charge, 0.06, 0.002, "pnp")
        tables["species"].insert(0, {"name": "X", "charge": -1, "mean_fraction": 0.01})
        for boundary in tables["boundaries"]:
            boundary["kind"] = "electrode"
        legs.append(tables)
    content = as_json(engine(*legs, points=3))
    assert content["species"] == ["Na", "Cl"]
    assert all(len(leg) == 2 for leg in content["curve"][0]["leg_currents"])


_ONE_LOAD = """
import sys
from pnp_exclusion.runtime import fenicsx
fenicsx.initialise_petsc()
from mpi4py import MPI
import pnp_exclusion as pnp
from pnp_exclusion.studies.engine.loop import Loop
from pnp_exclusion.studies.engine.membrane import Membrane
solutions = [pnp.solve(pnp.read_case(path)) for path in sys.argv[1:]]
with Membrane(solutions[0], 1.0) as first, Membrane(solutions[1], 1.0) as second:
    point = Loop((first, second)).at(1.0)
if MPI.COMM_WORLD.rank == 0:
    print(repr(float(point.current)), repr(float(point.consumption)), repr(float(first.linear.ratio)))
"""


def test_loop_is_the_same_on_two_ranks(tmp_path: Path):
    charges = {"a": -0.3, "b": 0.2}
    legs = [write_toml(membrane(q, 0.06, 0.002), tmp_path / f"{name}.toml") for name, q in charges.items()]
    script = tmp_path / "one_load.py"
    script.write_text(_ONE_LOAD)
    found = []
    for ranks in (1, 2):
        command = [BIN / "mpiexec", "-n", str(ranks), sys.executable, script, *legs]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert finished.returncode == 0, finished.stderr
        found.append([float(word) for word in finished.stdout.split()])
    assert found[1] == pytest.approx(found[0], rel=1e-9)


def test_command_refuses_legs_without_poisson_and_areas_that_are_none(tmp_path: Path):
    case = EXAMPLES / "imposed_fields.toml"
    finished = run_command("engine", case, case, "-o", tmp_path / "out")
    assert finished.returncode == 2
    assert 'electrostatics must be "poisson"' in finished.stderr
    finished = run_command("engine", case, case, "--area-ratio", "-1", "-o", tmp_path / "out")
    assert finished.returncode == 2
    assert "--area-ratio must be greater than 0" in finished.stderr
    still = write_toml(membrane(0.1, 0.05, 0.05), tmp_path / "still.toml")
    finished = run_command("engine", still, still, "-o", tmp_path / "out")
    assert finished.returncode == 2
    assert "nothing drives an engine" in finished.stderr


def test_discharge_delivers_no_more_than_the_free_energy_of_mixing_and_loses_no_ion():
    """Closed form of ideal ions (pnp): Gibbs. The rest is dissipated in the legs, as computed independently."""
    high, low = 0.06, 0.002
    found = engine(membrane(-0.3, high, low, "pnp"), membrane(0.2, high, low, "pnp"), points=3)
    run = discharge(found, (100.0, 100.0))
    assert run.power[0] == pytest.approx(found.best_power.power, rel=1e-9)
    assert run.current[0] == pytest.approx(found.best_power.current, rel=1e-9)
    mean = 0.5 * (high + low)
    ideal = 2.0 * 100.0 * (high * np.log(high) + low * np.log(low) - 2.0 * mean * np.log(mean))
    assert run.available == pytest.approx(ideal, rel=1e-10)
    assert 0.3 * ideal < run.energy[-1] < ideal
    assert run.energy[-1] + run.dissipation[-1] == pytest.approx(run.available - run.left, rel=2e-5)
    # a salinity of 1 % of the first one is left: log(30) / 100 about the mean
    left = mean * np.tanh(0.005 * np.log(high / low))
    np.testing.assert_allclose(run.contents[-1] - mean, [[left] * 2, [-left] * 2], rtol=1e-6)
    np.testing.assert_allclose(run.amounts.sum(axis=1), 100.0 * (high + low), rtol=1e-12)
    np.testing.assert_allclose(run.contents[:, :, 0], run.contents[:, :, 1], rtol=1e-12)


def test_discharge_at_small_salinity_is_exponential_at_the_rate_of_the_linear_engine():
    """Rate ``(K S^2/(1 + R K) + kappa)/2 (1/V_1 + 1/V_2) d mu/d rho`` from Onsager's matrices about equilibrium."""
    middle, drop, resistance, volumes = 0.05, 0.02, 3.0, (50.0, 150.0)
    high, low = middle * np.exp(0.5 * drop), middle * np.exp(-0.5 * drop)
    found = engine(membrane(-0.15, high, low), membrane(0.05, high, low), points=3)
    run = discharge(found, volumes, resistance, until=0.2)
    linear = found.linear
    salt = 0.5 * (linear.conductance * linear.ratio**2 / (1.0 + resistance * linear.conductance) + linear.leakage)
    rate = salt * (1.0 / volumes[0] + 1.0 / volumes[1]) * (1.0 / middle + 2.0 / (1.0 - 2.0 * middle))
    apart = run.contents[:, 0, 0] - run.contents[:, 1, 0]
    measured = -np.log(apart[1:] / apart[0]) / run.times[1:]
    np.testing.assert_allclose(measured, rate, rtol=1e-3)
    assert run.voltage[-1] == pytest.approx(0.2 * run.voltage[0], rel=1e-2)


def test_command_runs_an_engine_down_and_says_what_is_no_reservoir(tmp_path: Path):
    legs = [write_toml(membrane(q, 0.06, 0.002), tmp_path / f"{q}.toml") for q in (-0.3, 0.2)]
    words = ["engine", *legs, "--points", "3", "-o", tmp_path / "out"]
    finished = run_command(*words, "--load", "2")
    assert finished.returncode == 2
    assert "--load is that of a discharge" in finished.stderr
    finished = run_command(*words, "--reservoir-volume", "1 mm")
    assert finished.returncode == 2
    assert '"1 mm" must be a plain number in a dimensionless case' in finished.stderr
    finished = run_command(*words, "--reservoir-volume", "100", "--overwrite")
    assert finished.returncode == 0, finished.stderr
    found = json.loads((tmp_path / "out" / "engine.json").read_text())
    header, *rows = (tmp_path / "out" / "discharge.csv").read_text().splitlines()
    assert header == "time,voltage,current,power,energy,Na first,Cl first,Na second,Cl second"
    values = np.array([[float(value) for value in row.split(",")] for row in rows])
    assert values[0, 3] == pytest.approx(found["best_power"]["power"], rel=1e-9)
    assert values[-1, 4] == found["discharge"]["energy"]["value"]
    assert (tmp_path / "out" / "discharge.png").stat().st_size > 20_000
