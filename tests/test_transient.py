"""Motions: orders in time, exact relaxations and currents, amounts and free energy, and what a run writes."""

from __future__ import annotations

import csv
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import example, mistakes, run_command, summary_of, write_toml
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

import pnp_exclusion as pnp
from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.observe.motion import MotionReader
from pnp_exclusion.solution.transient import _why_not
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.transient.attempt import Attempts, Moment
from pnp_exclusion.solver.transient.drive import Constant
from pnp_exclusion.solver.transient.schemes import EULER, GALERKIN, RADAU, RADAU5
from pnp_exclusion.solver.transient.solver import NoStepError, TimeSettings, TransientSolver

BULK = 0.1
ORDERS = [(EULER, 1), (RADAU, 3), (GALERKIN, 3), (RADAU5, 5)]


def between_electrodes(law: str, left: object, right: object, debye_length: float = 0.05, **time: object) -> dict:
    """A symmetric salt between two blocking electrodes, from a uniform state."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": debye_length},
        "species": [
            {"name": "cation", "charge": 1, "mean_fraction": BULK},
            {"name": "anion", "charge": -1, "mean_fraction": BULK},
        ],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "electrode", "potential": left},
            {"where": "right", "kind": "electrode", "potential": right},
        ],
        "time": {"end": 10.0, **time},
    }


def neutral(law: str, left: object, right: object, first: float, **time: object) -> dict:
    """One neutral species between two reservoirs."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "imposed"},
        "species": [{"name": "A"}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"A": left}},
            {"where": "right", "kind": "reservoir", "fraction": {"A": right}},
        ],
        "initial": {"fraction": {"A": first}},
        "time": {"end": 0.1, **time},
    }


def fixed_steps(
    tables: dict, scheme: object, step: float, end: float, stops: tuple[float, ...] = ()
) -> tuple[np.ndarray, list]:
    """The state after steps of one length, shorter before stops, and what was read of each."""
    setup = build(make_case(tables))
    discrete = Discretisation(setup.problem)
    eta = setup.problem.law.free_energy.chemical_potentials([BULK, BULK])
    discrete.layout.at_nodes(discrete.values)[:] = [*eta, 0.0]
    settings = TimeSettings(fixed_step=step, scheme=scheme)
    with (
        OptionsDatabase() as database,
        TransientSolver(discrete, Constant(setup.problem), database, time_settings=settings) as solver,
    ):
        reader = MotionReader(solver)
        readings = [reader.read(taken) for taken in solver.run(0.0, end, stops)]
        assert solver.report.rejected == 0
        return discrete.contents(discrete.values).copy(), [reader.sums.first_free_energy, *readings]


@pytest.mark.parametrize(("scheme", "order"), ORDERS, ids=lambda one: getattr(one, "name", str(one)))
def test_error_falls_with_the_order_of_the_scheme(scheme, order):
    """Hairer and Wanner, Solving ODEs II, IV.5: Radau IIA of s stages has order 2 s - 1, implicit Euler is s = 1."""
    tables = between_electrodes("mpnp", 1.0, -1.0)
    exact, _ = fixed_steps(tables, RADAU5, 0.1 / 64, 0.1)
    # of the order 5 more steps leave what Newton's method does
    fewest = 4 if order == 5 else 8
    errors = [np.abs(fixed_steps(tables, scheme, 0.1 / n, 0.1)[0] - exact).max() for n in (fewest, 2 * fewest)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


@pytest.mark.parametrize(("scheme", "order"), ORDERS, ids=lambda one: getattr(one, "name", str(one)))
def test_order_is_kept_by_steps_of_unlike_lengths(scheme, order):
    """The same, every other step being half as long as the one before."""
    tables = between_electrodes("mpnp", 1.0, -1.0)
    exact, _ = fixed_steps(tables, RADAU5, 0.1 / 64, 0.1)
    errors = []
    fewest = 3 if order == 5 else 6
    for n in (fewest, 2 * fewest):
        step = 0.1 / (0.75 * 2 * n)
        pairs = 1.5 * step * np.arange(1, n + 1)
        state, readings = fixed_steps(tables, scheme, step, 0.1, tuple(pairs[:-1]))
        assert len(readings) == 1 + 2 * n
        errors.append(np.abs(state - exact).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


def test_a_thousand_steps_keep_amounts():
    """To 1e-12, Newton's method leaving 1e-7 of what a step changes: what has flowed is carried on."""
    tables = between_electrodes("mpnp", 4.0, -4.0)
    tables["domain"]["cells"] = 10
    _, readings = fixed_steps(tables, EULER, 1e-3, 1.0)
    amounts = np.array([list(reading.amounts.values()) for reading in readings[1:]])
    assert len(amounts) == 1000
    assert np.abs(amounts / BULK - 1.0).max() < 1e-12


def test_charges_are_as_accurate_as_asked_for_and_rejected_steps_leave_no_trace():
    """Against a tolerance of 1e-5. A first step of 0.05, half of the time in which the cell charges, is rejected; what
    was found of it must not show."""
    tables = between_electrodes("mpnp", 4.0, -4.0, end=1.0)
    exact = pnp.run(tables | {"time": {"end": 1.0, "tolerance": 1e-5}}).series
    largest = np.abs(exact.charge_left).max().item()
    for given in ({"tolerance": 1e-2}, {"tolerance": 1e-3}, {"tolerance": 1e-3, "first_step": 0.05}):
        moved = pnp.run(tables | {"time": {"end": 1.0, **given}})
        late = moved.series.time.values > 1e-3
        expected = CubicSpline(np.log(exact.time.values), exact.charge_left.values)(
            np.log(moved.series.time.values[late])
        )
        assert np.abs(moved.series.charge_left.values[late] - expected).max() < given["tolerance"] * largest
        assert np.abs(moved.series.amount_anion.values - BULK).max() < 1e-14
        assert moved.transient_report.rejected > 0 or "first_step" not in given


@pytest.mark.parametrize(("debye_length", "share"), [(0.05, 0.86), (0.01, 0.977)])
def test_slowest_relaxation_is_that_of_the_linear_cell(debye_length, share):
    """Bazant, Thornton, Ajdari, Phys. Rev. E 70, 021506 (2004), exactly: 1 = 2 t tanh(a/2)/(lambda_D^2 a), with
    a^2 = 1/lambda_D^2 - 1/t; ``share`` of lambda_D/2, to which the thin double layer tends."""
    screening = debye_length / np.sqrt(2.0 * BULK)

    def root(t: float) -> float:
        a = np.sqrt(screening**-2 - 1.0 / t)
        return 1.0 - 2.0 * t * np.tanh(a / 2.0) / (screening**2 * a)

    exact = brentq(root, 1.05 * screening**2, screening)
    assert exact == pytest.approx(share * screening / 2.0, rel=0.01)
    tables = between_electrodes("mpnp", 1e-3, -1e-3, debye_length)
    _, (_, *readings) = fixed_steps(tables, RADAU, exact / 10.0, 7.0 * exact)
    late = [reading for reading in readings if reading.time > 4.0 * exact]
    current = np.log([abs(reading.displacement["left"]) for reading in late])
    slope = np.polyfit([reading.time for reading in late], current, 1)[0]
    assert -1.0 / slope == pytest.approx(exact, rel=1e-4)


def test_diffusion_is_the_fourier_series():
    """Crank, The Mathematics of Diffusion (1975), 2.4: a plane sheet whose faces are held from t = 0 on."""
    end, low, high = 0.03, 0.1, 0.4
    solution = pnp.run(neutral("shdl", high, high, low, end=end, tolerance=1e-4))
    profile = solution.profile()
    n = np.arange(1, 200, 2)
    modes = (
        np.sin(np.pi * n[:, None] * profile.x.values) * (4.0 / (np.pi * n) * np.exp(-((np.pi * n) ** 2) * end))[:, None]
    )
    exact = high + (low - high) * modes.sum(axis=0)
    assert np.abs(profile.concentration.values[0] - exact).max() < 1e-4


def test_flux_into_a_sink_is_cottrells():
    """Cottrell, Z. Phys. Chem. 42, 385 (1903): J = c sqrt(D/(pi t)) while the layer is thin."""
    content = 0.2
    tables = neutral("shdl", 0.02, content, content, end=2e-3)
    # the layer is sqrt(pi t) thick, 0.025 as the comparison begins
    tables["domain"]["cells"] = 400
    series = pnp.run(tables).series
    late = series.time.values > 2e-4
    exact = (content - 0.02) / np.sqrt(np.pi * series.time.values[late])
    assert np.abs(series.flux_left_A.values[late] / exact - 1.0).max() < 1e-3


@pytest.mark.parametrize("law", ["mpnp", "shdl", "vacancy"])
def test_closed_cell_keeps_amounts_and_charge_and_ends_in_the_steady_state(law):
    """Amounts are carried on by what flows, to rounding; the steady solver knows nothing of the way."""
    tables = between_electrodes(law, 4.0, -4.0, stop="steady", end=1e4)
    moved = pnp.run(tables)
    assert moved.steady_at_end
    series = moved.series
    for name in ("amount_cation", "amount_anion"):
        assert np.abs(series[name].values - BULK).max() < 1e-14
    currents = series.displacement_left + series.displacement_right
    assert np.abs(currents).max() < 1e-9 * np.abs(series.displacement_left).max()
    balance = (series.free_energy + series.dissipated + series.work).values
    assert np.ptp(balance) < 1e-3 * series.dissipated.values[-1]
    assert (np.diff(series.free_energy.values) <= 1e-12).all()
    del tables["time"]
    still = pnp.solve(tables)
    assert moved.summary()["charge"]["left"]["value"] == pytest.approx(
        still.summary()["charge"]["left"]["value"], rel=1e-8
    )
    assert np.abs(moved.profile().concentration.values - still.profile().concentration.values).max() < 1e-8


@pytest.mark.parametrize(("law", "voltage"), [("pnp", 10.0), ("mpnp", 40.0), ("vacancy", 40.0)])
def test_a_strong_jump_is_followed_to_the_steady_charge(law, voltage):
    """Chosen as the hard ones of the field; the end is the steady solver's."""
    tables = between_electrodes(law, voltage, -voltage, tolerance=1e-2)
    moved = pnp.run(tables)
    series = moved.series
    assert np.abs(series.amount_anion.values - BULK).max() < 1e-14
    # what one electrode takes up the other gives: from what moves between them, not from differences of charges
    currents = series.displacement_left + series.displacement_right
    assert np.abs(currents).max() < 1e-12 * np.abs(series.displacement_left).max()
    del tables["time"]
    exact = pnp.solve(tables).summary()["charge"]["left"]["value"]
    assert moved.summary()["charge"]["left"]["value"] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("scheme", [GALERKIN, EULER], ids=lambda one: one.name)
def test_free_energy_never_rises_at_held_potentials(scheme):
    """Free energy is convex in densities: any step of implicit Euler lets it fall, and of Galerkin's method too. Steps
    of 1 and 1000 are far too long for Newton's method from the state before (benchmarks/free_energy.py has more)."""
    random = np.random.default_rng(7)
    for step in (1e-6, 1e-3, 1.0, 1e3):
        law = random.choice(["mpnp", "shdl", "vacancy", "pnp"])
        left, right = random.uniform(-10.0, 10.0, 2)
        tables = between_electrodes(str(law), float(left), float(right))
        _, (first, *readings) = fixed_steps(tables, scheme, step, 4.0 * step)
        energies = np.array([first, *(reading.free_energy for reading in readings)])
        assert (np.diff(energies) <= 1e-13 * np.abs(energies[0])).all()
        assert readings[-1].dissipated > 0.0


@pytest.mark.parametrize(
    "potential",
    [
        {"sine": 2.0, "frequency": 4.0},
        {"triangle": [0.0, 2.0, -1.0], "rate": 20.0, "cycles": 2},
        {"pulses": [0.0, 2.0], "period": 0.2, "width": 0.1},
    ],
    ids=lambda one: next(iter(one)),
)
def test_driven_cells_balance_work_free_energy_and_dissipation(potential):
    """dG/dt = -dissipation - work, and what the sources put in is what they would by ``int Q dV``."""
    tables = between_electrodes("mpnp", potential, 0.0, 0.2, end=0.25)
    solution = pnp.run(tables)
    series = solution.series
    assert solution.imbalance < 5e-3
    assert solution.warnings == []
    assert np.abs(series.amount_cation.values - BULK).max() < 1e-14
    # kinks are landed on
    for kink in {"triangle": [0.1], "pulses": [0.1, 0.2]}.get(next(iter(potential)), []):
        assert np.abs(series.time.values - kink).min() < 1e-12


def test_three_dimensions_move_as_one_does():
    """A slab is an interval, but for the quadrature of cells of another shape: by the iterative solvers and by
    elimination."""
    # of equal steps, so that nothing but the linear solvers differs
    flat = between_electrodes("mpnp", 1.0, -1.0, 0.2, end=0.01, first_step=1e-3, largest_step=1e-3, tolerance=0.1)
    flat["domain"]["cells"] = 8
    reference = pnp.run(flat).series
    # along an interval both stages are eliminated at once; "direct" iterates over them with MUMPS
    iterated = pnp.run(flat | {"solver": {"linear": "direct"}}).series
    assert np.abs(iterated.charge_left - reference.charge_left).max() < 1e-8 * np.abs(reference.charge_left).max()
    charges = []
    for linear in ("direct", "fieldsplit"):
        box = {
            **flat,
            "domain": {"shape": "box", "size": [1.0, 0.5, 0.5], "cells": [8, 1, 1]},
            "solver": {"linear": linear},
        }
        series = pnp.run(box).series
        charges.append(series.charge_left.values[-1])
        assert np.abs(series.amount_anion.values - 0.25 * BULK).max() < 1e-13
    assert charges[1] == pytest.approx(charges[0], rel=1e-8)
    assert charges[0] == pytest.approx(0.25 * reference.charge_left.values[-1], rel=2e-5)


def test_run_writes_a_series_and_two_ranks_write_the_same(tmp_path):
    """The contract: ``time`` first, currents, charges and amounts by name, a row a step, fields in time. Of one linear
    solver: the choice of "auto" depends on the ranks, and with it, by less than the tolerance, the lengths of steps."""
    tables = between_electrodes("shdl", 1.0, -1.0, 0.2, end=0.01, fields={"count": 2})
    tables["solver"] = {"linear": "direct"}
    tables["domain"]["cells"] = 20
    case = write_toml(tables, tmp_path / "case.toml")
    rows = {}
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        finished = run_command("run", case, "-o", folder, ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        with (folder / "series.csv").open() as stream:
            rows[ranks] = list(csv.DictReader(stream))
        assert {"series.png", "strip.png", "profiles.png", "fields.bp"} <= {entry.name for entry in folder.iterdir()}
        summary = summary_of(folder)
        assert summary["time"] == {"value": 0.01, "unit": ""}
        assert summary["steps"] == len(rows[ranks])
    assert list(rows[1][0])[:2] == ["time", "current_left"]
    assert {"displacement_left", "charge_left", "amount_anion", "free_energy"} <= rows[1][0].keys()
    assert len(rows[1]) == len(rows[2])
    for one, other in zip(rows[1], rows[2], strict=True):
        assert float(one["charge_left"]) == pytest.approx(float(other["charge_left"]), rel=1e-7)


def test_mistakes_in_time_are_told(tmp_path):
    """Every sentence, and all of them together."""
    tables = between_electrodes("mpnp", {"sine": 1.0}, {"step": [0.0]})
    assert any("frequency is missing" in mistake for mistake in mistakes(tables))
    assert any("step must be a list of 2 numbers or more" in mistake for mistake in mistakes(tables))
    tables = between_electrodes("mpnp", {"ramp": [0.0, 1.0], "duration": 1.0}, 0.0)
    del tables["time"]
    assert any("this table is missing" in mistake for mistake in mistakes(tables))
    tables = between_electrodes("mpnp", 0.0, 0.0, end=-1.0)
    assert any("end must be positive" in mistake for mistake in mistakes(tables))
    tables = between_electrodes("mpnp", 0.0, 0.0, first_step=100.0)
    assert any("beyond the end" in mistake for mistake in mistakes(tables))
    tables = neutral("shdl", {"ramp": [0.2, 1.2], "duration": 0.1}, 0.2, 0.2)
    assert any("packing" in mistake for mistake in mistakes(tables))
    tables = neutral("shdl", 0.2, 0.3, 0.2)
    del tables["initial"]
    assert any("what there is of A at first is not known" in mistake for mistake in mistakes(tables))
    tables = {**between_electrodes("mpnp", 0.0, 0.0), "initial": {"fraction": {"anion": 0.3}}}
    assert any("anion has a mean" in mistake for mistake in mistakes(tables))
    (tmp_path / "drive.csv").write_text("time,potential\n1,0\n0,1\n")
    tables = between_electrodes("mpnp", {"table": "drive.csv"}, 0.0)
    assert any("ascend" in mistake for mistake in mistakes(tables, tmp_path))


def test_table_of_potentials_with_units_is_followed(tmp_path):
    """A table says the same as a ramp in other units."""
    (tmp_path / "drive.csv").write_text("time [us],potential [mV]\n0,0\n0.1,50\n")
    ways = {"table": {"table": "drive.csv"}, "ramp": {"ramp": ["0 V", "0.05 V"], "duration": "100 ns"}}
    charges = []
    for potential in ways.values():
        tables = {
            "model": {"law": "mpnp", "lattice_spacing": "0.5 nm"},
            "species": [
                {"name": "Na", "charge": 1, "diffusivity": "1.33e-9 m^2/s", "mean_concentration": "0.5 mol/L"},
                {"name": "Cl", "charge": -1, "diffusivity": "2.03e-9 m^2/s", "mean_concentration": "0.5 mol/L"},
            ],
            "domain": {"shape": "interval", "length": "10 nm"},
            "boundaries": [
                {"where": "left", "kind": "electrode", "potential": potential},
                {"where": "right", "kind": "electrode", "potential": "0 V"},
            ],
            "time": {"end": "0.15 us"},
        }
        solution = pnp.run(make_case(tables, tmp_path))
        assert solution.time == pytest.approx(1.5e-7)
        charges.append(solution.series.charge_left.values[-1])
    assert charges[0] == pytest.approx(charges[1], rel=1e-9)
    assert charges[0] > 0.0


def test_example_charges_as_the_steady_state_does():
    """At 1e6 V/s the layers lag by the RC time, lambda_D L/(2 D) = 3 ns, so 3 mV of 300 mV behind equilibrium."""
    tables = example("cycled_electrodes")
    tables["time"] = {"end": "0.3 us"}
    charge = pnp.run(tables).series.charge_left.values[-1]
    del tables["time"]
    tables["boundaries"][0]["potential"] = "0.3 V"
    still = pnp.solve(tables).summary()["charge"]["left"]["value"]
    assert 0.97 * still < charge < still


def test_particles_that_carry_heat_and_half_held_electrodes_end_in_their_steady_states():
    """What is stored is energy too; what is held weakly supplies what flows."""
    hot = example("bullets_and_rods")
    salt = between_electrodes("mpnp", 1.0, 0.0)
    salt["boundaries"][0]["fraction"] = {"cation": 0.2}
    salt["boundaries"][1] |= {"kind": "reservoir", "fraction": {"cation": BULK, "anion": BULK}}
    salt["species"] = [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}]
    for tables, first in ((hot, {"bullets": 0.3}), (salt, {"cation": BULK, "anion": BULK})):
        tables["domain"]["cells"] = 40
        still = pnp.solve({key: value for key, value in tables.items() if key != "time"}).summary()["flux"]["left"]
        moved = pnp.run({**tables, "initial": {"fraction": first}, "time": {"end": 1e3, "stop": "steady"}})
        for name, flux in moved.summary()["flux"]["left"].items():
            assert flux["value"] == pytest.approx(still[name]["value"], rel=1e-5, abs=1e-9)


def test_a_step_that_is_followed_as_it_grows_arrives_where_its_length_cuts_what_is_tried():
    """Stages that are found from those of a step at least half as long: 0.1 follows 0.04 by 0.075 and no other way."""
    tried, last = [], [1e-5]

    def solve(scheme, time, at, *_):
        tried.append(at)
        assert len(tried) < 200
        if at > 1.9 * last[0]:
            return None
        last[0] = at
        return SimpleNamespace(states=np.zeros((2, 1)), potentials=np.zeros((2, 0)))

    attempts = object.__new__(Attempts)
    attempts._stages = SimpleNamespace(solve=solve, effort=SimpleNamespace(jacobians=0))
    attempts._left, attempts._impose = 1e-7, lambda *_: None
    here = Moment(0.0, np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(0), np.zeros(0))
    assert attempts._lengthen(GALERKIN, here, 0.1) is not None
    assert tried[-1] == 0.1


def test_animation_has_a_frame_for_every_time_that_was_kept(tmp_path):
    from PIL import Image

    from pnp_exclusion.output.animation import draw_animation

    motion = pnp.run(between_electrodes("mpnp", 1.0, 0.0, end=0.01, fields={"count": 3}))
    draw_animation(tmp_path / "animation.gif", motion.case, motion.setup.scales, motion.snapshots())
    with Image.open(tmp_path / "animation.gif") as animation:
        assert animation.n_frames == 3
    tables = between_electrodes("mpnp", 1.0, 0.0) | {"output": {"animation": True}}
    assert any("animation needs the times of its frames" in mistake for mistake in mistakes(tables))
    del tables["time"]
    assert any("animation is of a motion" in mistake for mistake in mistakes(tables))


def test_flux_for_which_there_is_no_room_is_told():
    """Particles driven into a lattice, more than leave it at its other end: less than all of 1e-12 is free by then."""
    tables = neutral("mpnp", 0.2, 0.2, 0.2, end=0.05)
    tables["boundaries"][0] = {"where": "left", "kind": "flux", "flux": {"A": -30.0}}
    (sentence,) = [one for one in pnp.run(tables).warnings if "of the space is free at x = 0" in one]
    assert "drives more in than there is room for" in sentence
    tables["boundaries"][0]["flux"]["A"] = -0.3
    assert pnp.run(tables).warnings == []
    # where no step is found that is a reason: a chemical potential of 10 kT leaves exp(-10)
    setup = build(make_case(tables))
    discrete = Discretisation(setup.problem)
    discrete.values[:] = 10.0
    assert _why_not(setup, discrete).startswith(": only 4.5e-05 of the space is free at x = 0; a flux or a current")


def test_schedules_that_no_step_can_keep_are_refused():
    for time, words in (
        ({"fields": {"times": [1e-18, 0.1]}}, "closer to each other, or to 0, than any step"),
        ({"fields": {"count": 3, "first": 1e-30}}, "shorter than any step"),
        ({"checkpoint": {"time": 20.0}}, "checkpoint.time = 20.0 must be between"),
        ({"tolerance": 1e-20}, "below what steps can hold"),
    ):
        assert any(words in mistake for mistake in mistakes(between_electrodes("mpnp", 1.0, 0.0, **time)))


def test_step_that_cannot_be_taken_is_told_in_the_unit_of_the_case():
    """0.5 of ``L^2/D`` = 4 us are 2 us; the error is rebuilt in another process as it was."""
    error = pickle.loads(pickle.dumps(NoStepError(0.5, 1e-6)))
    assert error.in_unit(4e-6, "s") == "no step could be taken at the time 2e-06 s, not even one of 4.0e-12 s"
    assert str(error) == "no step could be taken at the time 0.5, not even one of 1.0e-06"
