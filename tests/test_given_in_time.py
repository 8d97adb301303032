"""What is given in time beside potentials: currents and charges, whose potentials are found, and expressions."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from conftest import example, mistakes
from test_transient import BULK, between_electrodes

import pnp_exclusion as pnp

SCREENING = 0.2


def driven(left: dict, **time: object) -> dict:
    """A salt between an electrode of which something else than the potential is given and one at zero."""
    tables = between_electrodes("mpnp", 0.0, 0.0, SCREENING, **{"end": 0.2, **time})
    tables["boundaries"][0] = {"where": "left", **left}
    return tables


def inverse_laplace(transform, times: np.ndarray, terms: int = 24) -> np.ndarray:
    """Talbot's sum, with the parameters of Abate and Whitt, INFORMS J. Comput. 18, 408 (2006)."""
    angles = np.arange(1, terms) * np.pi / terms
    cotangents = 1.0 / np.tan(angles)
    nodes = np.append(0.4 * terms, 0.4 * terms * angles * (cotangents + 1j))
    weights = np.append(0.5, 1.0 + 1j * angles * (1.0 + cotangents**2) - 1j * cotangents) * np.exp(nodes)
    return np.array([0.4 / t * np.sum((weights * transform(nodes / t)).real) for t in times])


def test_constant_current_charges_the_linear_cell_as_its_impedance_says():
    """V(s) = I Z(s)/s, Z of two blocking electrodes in a gap 1 (as in tests/test_impedance.py), of small currents."""
    current, screening = 1e-3, SCREENING / np.sqrt(2.0 * BULK)

    def potential(s: np.ndarray) -> np.ndarray:
        k = np.sqrt(screening**-2 + s)
        return current * (1.0 + 2.0 / screening**2 * np.tanh(k / 2.0) / (s * k)) / (SCREENING * k) ** 2 / s

    series = pnp.run(driven({"kind": "electrode", "total_current": -current}, largest_step=0.02)).series
    exact = inverse_laplace(potential, series.time.values)
    assert series.potential_left.values == pytest.approx(exact, rel=2e-3)
    assert series.potential_left.values[-1] == pytest.approx(exact[-1], rel=2e-5)
    # what enters at one terminal leaves at the other, and stays on them
    for side, sign in (("left", -1.0), ("right", 1.0)):
        wire = series[f"current_{side}"] + series[f"displacement_{side}"]
        assert wire.values == pytest.approx(sign * current, rel=1e-9)
    assert series.charge_left.values == pytest.approx(current * series.time.values, rel=1e-9)


@pytest.mark.parametrize(
    "course", [{"ramp": [0.0, 0.02], "duration": 0.1}, {"step": [0.0, 0.02, -0.01], "at": [0.0, 0.1]}]
)
def test_floating_electrode_of_a_charge_moves_as_a_wall_of_it(course: dict):
    """In one dimension there is no difference but in what is found, its potential."""
    floating = pnp.run(driven({"kind": "floating", "total_charge": course}, tolerance=1e-4))
    wall = pnp.run(driven({"kind": "wall", "surface_charge": course}, tolerance=1e-4))
    assert floating.series.charge_left.values[-1] == pytest.approx(course.get("ramp", [-0.01])[-1], rel=1e-12)
    at_end = [float(one.to_xarray()["potential"].values[0]) for one in (floating, wall)]
    assert at_end[0] == pytest.approx(at_end[1], rel=1e-4)
    assert at_end[0] == pytest.approx(float(floating.series.potential_left.values[-1]), rel=1e-12)
    assert floating.imbalance < 1e-3


def test_layer_without_ions_adds_its_drop_to_a_current():
    """A plate capacitor in series: q/C_S more, at the same current."""
    current = {"sine": 0.05, "frequency": 5.0}
    bare = pnp.run(driven({"kind": "electrode", "total_current": current}, largest_step=0.005))
    behind = {"kind": "electrode", "total_current": current, "stern": {"capacitance": 0.05}}
    layer = pnp.run(driven(behind, largest_step=0.005))
    times = bare.series.time.values
    assert layer.series.time.values == pytest.approx(times)
    added = (layer.series.potential_left - bare.series.potential_left).values
    assert added == pytest.approx(bare.series.charge_left.values / 0.05, abs=1e-6)
    assert layer.imbalance < 1e-3


def test_galvanostatic_plating_keeps_its_current_and_begins_at_rest():
    """The steady state of no current stays; after a step the whole current is what is given, then the ions'."""
    tables = copy.deepcopy(example("plating"))
    tables["boundaries"][0] = {
        "where": "left",
        "kind": "electrode",
        "total_current": {"step": ["0 A/m^2", "-20 A/m^2"], "at": ["10 us"]},
        "stern": {"capacitance": "0.2 F/m^2"},
    }
    tables |= {"initial": {"state": "equilibrium"}, "time": {"end": "3 ms", "tolerance": 1e-2}}
    series = pnp.run(tables).series
    resting = series.time.values <= 1e-5
    # of no current both electrodes are at one potential
    assert series.potential_left.values[resting] == pytest.approx(-0.02, abs=1e-9)
    whole = (series.current_left + series.displacement_left).values
    assert whole[~resting] == pytest.approx(-20.0, rel=1e-7)
    assert series.current_left.values[-1] == pytest.approx(-20.0, rel=1e-3)
    still = copy.deepcopy(tables)
    still["boundaries"][0]["total_current"] = "-20 A/m^2"
    del still["time"], still["initial"]
    at_rest = pnp.solve(still).summary()["found_potential"]["left"]["value"]
    assert series.potential_left.values[-1] == pytest.approx(at_rest, rel=1e-3)


def test_expressions_say_the_same_as_other_courses():
    """sin(2 pi f t) is the sine of the frequency f, in units too."""
    ends = []
    for potential in (
        {"sine": "20 mV", "frequency": "4 MHz"},
        {"expression": "20*sin(8*pi*t)", "unit": "mV", "time_unit": "us"},
    ):
        tables = example("cycled_electrodes")
        tables["boundaries"][0]["potential"] = potential
        tables["time"] = {"end": "0.1 us", "first_step": "10 ns", "largest_step": "10 ns"}
        ends.append(pnp.run(tables).series.charge_left.values[-1])
    assert ends[1] == pytest.approx(ends[0], rel=1e-12)


def test_table_with_three_numbers_at_one_time_is_refused(tmp_path):
    """A jump has two; the one between them would be lost."""
    (tmp_path / "drive.csv").write_text("time,potential\n0,0\n0.1,0\n0.1,5\n0.1,1\n")
    held = {"kind": "electrode", "potential": {"table": str(tmp_path / "drive.csv")}}
    assert any("has a time more than twice" in one for one in mistakes(driven(held)))


def test_mistakes_in_what_is_given_are_told():
    """Every sentence."""
    for course, words in (
        ({"expression": "2*x"}, 'no function of t: it has no variable "x"'),
        ({"expression": "1/(t-0.1)"}, "has no value at t = 0.1"),
        ({"expression": 2.0}, "must be a formula of t"),
        ({"ramp": [0.0, 1.0]}, "either duration, or rate"),
        ({"ramp": [0.0, 0.0], "rate": 1.0}, "two different numbers"),
        ({"sine": 1.0, "frequency": 1e9}, "sine has 2e+08 periods up to the end, 1e+06 at most"),
        ({"pulses": [0.0, 1.0], "period": 1e-9, "width": 1e-10}, "pulses has 2e+08 periods up to the end"),
    ):
        assert any(words in one for one in mistakes(driven({"kind": "electrode", "potential": course})))
    held = {"kind": "electrode", "potential": 0.0}
    assert any("largest_step = 1e-30 takes 2e+29 steps" in one for one in mistakes(driven(held, largest_step=1e-30)))
    longer = driven(held, first_step=0.02, largest_step=0.01)
    assert any("first_step = 0.02 is longer than largest_step = 0.01" in one for one in mistakes(longer))
    late = driven(held, fields={"count": 3, "first": 1e3})
    assert any("fields.first = 1000.0 is beyond the end" in one for one in mistakes(late))
    si = example("cycled_electrodes")
    si["boundaries"][0]["potential"] = {"expression": "sin(t)"}
    assert any("whose unit is missing" in one for one in mistakes(si))
    del si["boundaries"][0]["potential"]
    si["boundaries"][0]["total_current"] = {"ramp": ["0 A", "1 A"], "duration": "1 us"}
    assert any("is no total of this domain" in one for one in mistakes(si))
    si["boundaries"][0]["total_current"] = {"ramp": ["0 A/m^2", "1 A"], "duration": "1 us"}
    assert any("units of several kinds" in one for one in mistakes(si))
    plating = example("plating")
    plating["reactions"][1]["butler_volmer"]["equilibrium_potential"] = {"step": ["0 V", "1 V"]}
    assert any("equilibrium_potential" in one for one in mistakes(plating))
    with pytest.raises(pnp.CaseError, match="passes no current"):
        pnp.solve(driven({"kind": "electrode", "total_current": -0.05}))
