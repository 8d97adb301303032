"""Protocols and cyclic voltammograms: what ends a piece, and the peaks of the textbooks."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from conftest import example, mistakes, run_command, summary_of, write_toml
from scipy.constants import physical_constants
from test_given_in_time import SCREENING
from test_restart import numbers, run_killed
from test_transient import BULK, between_electrodes

import pnp_exclusion as pnp
from pnp_exclusion.errors import StoppedError, UsageError

FARADAY, GAS = (physical_constants[name][0] for name in ("Faraday constant", "molar gas constant"))


def protocol(*pieces: dict, **time: object) -> dict:
    """A salt between two blocking electrodes, the left one under a protocol."""
    tables = between_electrodes("mpnp", 0.0, 0.0, SCREENING)
    tables["time"] = {"terminal": "left", "protocol": list(pieces), **time}
    return tables


CHARGE = {"name": "charge", "total_current": -0.05, "duration": 2.0, "until": {"potential": 1.0}}
HOLD = {"name": "hold", "potential": 1.0, "duration": 2.0, "until": {"current": 0.005}}


def test_constant_current_then_constant_voltage():
    """What a battery user charges by: each piece ends where it is told, and charge is current times time."""
    rest = {"total_current": 0.0, "duration": 0.1}
    discharge = {"total_current": 0.05, "duration": 2.0, "until": {"charge": 0.005}}
    solution = pnp.run(protocol(CHARGE, HOLD, rest, discharge))
    series = solution.series
    charged, held, rested, discharged = solution.pieces
    assert [piece["by"] for piece in solution.pieces] == ["until", "until", "duration", "until"]
    assert charged["potential"] == pytest.approx(1.0, rel=1e-6)
    assert charged["charge"] == pytest.approx(-0.05 * charged["ended"], rel=1e-9)
    last = (series.current_left + series.displacement_left).values[series.time.values == held["ended"]]
    assert np.abs(last) == pytest.approx(0.005, rel=1e-4)
    assert rested["ended"] - rested["began"] == pytest.approx(0.1, rel=1e-9)
    assert rested["charge"] == pytest.approx(0.0, abs=1e-12)
    assert discharged["ended"] - discharged["began"] == pytest.approx(0.1, rel=1e-6)
    whole = sum(piece["charge"] for piece in solution.pieces)
    assert series.charge_left.values[-1] == pytest.approx(-whole, rel=1e-9)
    assert np.abs(series.amount_cation.values - BULK).max() < 1e-13
    assert solution.imbalance < 1e-3
    assert solution.warnings == []
    # in between the potential is where it was left, and the charge too
    assert (np.diff(series.piece.values) >= 0).all()


def test_protocol_that_ends_before_its_times_writes_its_end(tmp_path):
    """The end of the piece is at its charge over its current; of a state that moves no balance is told."""
    charge = {"total_current": -0.05, "duration": 2.0, "until": {"charge": 0.001}}
    tables = protocol(charge, fields={"count": 2})
    tables["output"] = {"fields": ["csv"], "pictures": False, "points": [{"at": 0.25}]}
    tables["domain"]["cells"] = 20
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    assert "balance" not in finished.stdout
    assert "balance" not in summary_of(tmp_path / "out")
    for name, rows in (("probes.csv", 1), ("fields.csv", None)):
        with (tmp_path / "out" / name).open() as stream:
            times = [float(row["time"]) for row in csv.DictReader(stream)]
        assert rows is None or len(times) == rows
        assert times == pytest.approx([0.02] * len(times), rel=1e-6)


def test_jump_of_a_protocol_is_that_of_a_course_and_rest_ends_it():
    """Chronoamperometry: the same motion as by a step, and its end is the steady state."""
    held = {"potential": 2.0, "duration": 1e3, "until": {"steady": True}}
    solution = pnp.run(protocol(held))
    stepped = pnp.run(between_electrodes("mpnp", {"step": [0.0, 2.0]}, 0.0, SCREENING, end=1e3, stop="steady"))
    assert solution.series.charge_left.values[:10] == pytest.approx(stepped.series.charge_left.values[:10], rel=1e-6)
    still = pnp.solve(between_electrodes("mpnp", 2.0, 0.0, SCREENING))
    exact = still.summary()["charge"]["left"]["value"]
    assert solution.summary()["charge"]["left"]["value"] == pytest.approx(exact, rel=1e-7)
    assert solution.pieces[0]["ended"] < 1e3


def test_killed_protocol_goes_on_to_the_same_numbers(tmp_path):
    """At the end of a piece, and within two kinds of pieces: where it is in its protocol is in every checkpoint."""
    short = {**CHARGE, "until": {"potential": 0.1}}
    of_time = {"checkpoint": {"steps": 1}, "fields": {"steps": 3}}
    tables = protocol(short, {**HOLD, "potential": 0.1, "until": {"current": 0.005}}, **of_time)
    tables["domain"]["cells"] = 20
    undisturbed = pnp.run(tables)
    first = int((undisturbed.series.piece.values == 1).sum())
    for rows in (3, first, first + 1, first + 3):
        folder = tmp_path / str(rows)
        folder.mkdir()
        run_killed(tables, folder, rows)
        solution = pnp.run(tables, restart=folder)
        assert np.array_equal(numbers(solution.rows), numbers(undisturbed.rows))
        assert solution.pieces == undisturbed.pieces
        assert [t for t, _ in solution.moments] == undisturbed.series.time.values[2::3].tolist()
        found = [state.problem.boundaries[0].applied_potential for _, state in solution.moments]
        assert found == pytest.approx(undisturbed.series.potential_left.values[2::3], rel=1e-12)


def test_piece_that_begins_where_it_is_to_end_is_over_with_its_first_step():
    """From an equilibrium at 0.5, a current until 0.5: which side it comes from would be decided by rounding."""
    for current in (-0.05, 0.05):
        rest = {"total_current": 0.0, "duration": 0.01}
        tables = protocol({**CHARGE, "total_current": current, "until": {"potential": 0.5}}, rest)
        tables["boundaries"][0]["potential"] = 0.5
        tables["initial"] = {"state": "equilibrium"}
        solution = pnp.run(tables)
        assert solution.pieces[0]["by"] == "until"
        assert (solution.series.piece.values == 1).sum() == 1


def test_time_left_is_told_once_there_is_enough_to_tell_it_from():
    """Of the first steps, a millionth of the motion, it would be millions of times what they took."""
    told: list[float] = []
    piece = {"total_current": -0.05, "duration": 0.2}
    pnp.run(protocol(piece), progress=lambda progress: told.append(progress.remaining))
    assert np.isnan(told[0])
    assert np.isfinite(told[-1])


def test_killed_current_in_equal_steps_goes_on_to_the_same_numbers(tmp_path):
    """No step may use what only the steps before it in the same process have worked out."""
    piece = {"total_current": -0.05, "duration": 0.2}
    tables = protocol(piece, first_step=0.02, largest_step=0.02, checkpoint={"steps": 1})
    tables["domain"]["cells"] = 20
    undisturbed = numbers(pnp.run(tables).rows)
    run_killed(tables, tmp_path, 6)
    assert np.array_equal(numbers(pnp.run(tables, restart=tmp_path).rows), undisturbed)


def test_cycles_go_through_a_protocol_again():
    """A triangle of two ramps, twice."""
    up, down = ({"potential": {"ramp": ends, "rate": 20.0}, "duration": 0.05} for ends in ([0.0, 1.0], [1.0, 0.0]))
    solution = pnp.run(protocol(up, down, cycles=2))
    triangle = {"triangle": [0.0, 1.0], "rate": 20.0, "cycles": 2}
    other = pnp.run(between_electrodes("mpnp", triangle, 0.0, SCREENING, end=0.2))
    assert [(piece["cycle"], piece["piece"]) for piece in solution.pieces] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert solution.time == pytest.approx(0.2, rel=1e-9)
    ends = [float(one.series.charge_left.values[-1]) for one in (solution, other)]
    assert ends[0] == pytest.approx(ends[1], abs=2e-4 * np.abs(other.series.charge_left.values).max())


def test_example_charges_at_a_constant_current_and_gives_it_back():
    """In coarse steps: 1 MA/m^2 for about 0.51 us each way, as both layers together take 0.5 C/m^2 at 0.5 V."""
    tables = example("charge_and_hold")
    tables["time"] |= {"largest_step": "100 ns", "tolerance": 1e-2}
    charge, hold, rest, discharge = pnp.run(tables).pieces
    still = example("charge_and_hold")
    del still["time"]
    still["boundaries"][0]["potential"] = "0.5 V"
    full = pnp.solve(still).summary()["charge"]["left"]["value"]
    assert -(charge["charge"] + hold["charge"]) == pytest.approx(full, rel=2e-2)
    assert discharge["charge"] == pytest.approx(full, rel=3e-2)
    assert charge["potential"] == pytest.approx(0.5, rel=1e-5)
    assert rest["potential"] < 0.5


def test_protocol_that_cannot_go_on_says_so_and_keeps_what_was(tmp_path):
    """Exit code 3, with a sentence of what was reached, and the results up to there."""
    case = write_toml(protocol({**CHARGE, "duration": 0.1}, HOLD), tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 3
    assert 'piece 1 "charge" of the protocol did not end within 0.1: the potential reached 0.1' in finished.stderr
    summary = summary_of(tmp_path / "out")
    assert summary["time"]["value"] == pytest.approx(0.1)
    (piece,) = summary["protocol"]
    assert piece["by"] == "duration"
    assert piece["ended"] == {"value": pytest.approx(0.1), "unit": ""}
    assert (tmp_path / "out" / "series.csv").exists()


def in_fields(*pieces: dict, **time: object) -> dict:
    """Point particles between two equal reservoirs in a field that pieces change."""
    ends = [{"where": where, "kind": "reservoir", "fraction": {"A": 0.2}} for where in ("left", "right")]
    return {
        "model": {"units": "dimensionless", "law": "pnp", "electrostatics": "imposed"},
        "species": [{"name": "A", "field": 0.0}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": ends,
        "time": {"terminal": "right", "protocol": list(pieces), **time},
    }


PUSH = {"name": "push", "fields": {"A": 3.0}, "duration": 5.0, "until": {"passed": {"A": 0.3}}}
PULL = {"fields": {"A": {"ramp": [0.0, -2.0], "duration": 0.1}}, "duration": 5.0, "until": {"passed": {"A": 0.1}}}


def test_protocol_of_imposed_fields_ends_pieces_by_what_has_passed_and_goes_on_after_a_kill(tmp_path):
    """A uniform density stays one in any uniform field, so that ``rho E t`` passes: 0.3 within 0.5, and after a ramp
    that brings 0.02 the other 0.08 within 0.2."""
    still = {"fields": {"A": 0.0}, "duration": 5.0, "until": {"flux": {"A": 1e-3}}}
    tables = in_fields(PUSH, still, PULL, checkpoint={"steps": 1})
    solution = pnp.run(tables)
    push, rest, pull = solution.pieces
    assert push["ended"] == pytest.approx(0.5, rel=1e-6)
    assert push["passed_A"] == pytest.approx(0.3, rel=1e-6)
    assert rest["ended"] - rest["began"] < 1e-5
    assert pull["ended"] - pull["began"] == pytest.approx(0.3, rel=1e-6)
    assert pull["passed_A"] == pytest.approx(-0.1, rel=1e-6)
    assert solution.warnings == []
    run_killed(tables, tmp_path, len(solution.rows) - 3)
    assert (numbers(pnp.run(tables, restart=tmp_path).rows) == numbers(solution.rows)).all()


def test_mistakes_in_protocols_of_fields_are_told():
    """Every sentence."""
    for pieces, words in (
        ([{**PUSH, "until": {"passed": {"B": 1.0}}}], 'names an unknown species "B"'),
        ([{**PUSH, "until": {"passed": {"A": -1.0}}}], "passed.A must be positive"),
        ([{**PUSH, "until": {"current": 1.0}}], "needs a potential that is solved for"),
        ([{**PUSH, "fields": {"A": [1.0, 2.0]}}], "field has 2 components"),
        ([{**PUSH, "fields": {"A": {"x": [0.0, 1.0], "values": [0.0, 1.0]}}}], "is a table over x before or here"),
        ([{"potential": 1.0, "duration": 1.0}], "give fields here"),
    ):
        assert any(words in one for one in mistakes(in_fields(*pieces))), words
    assert any("fields go with" in one for one in mistakes(protocol({"fields": {"cation": 1.0}, "duration": 1.0})))
    ramp = {"total_current": {"ramp": [0.0, 0.1], "duration": 1.0}, "duration": 1.0, "until": {"charge": 0.2}}
    assert any("the current brings 0.1 at most" in one for one in mistakes(protocol(ramp)))
    alone = in_fields(PUSH)
    del alone["time"]["terminal"]
    assert any("the boundary through which species pass" in one for one in mistakes(alone))
    without = in_fields(PUSH)
    del without["species"][0]["field"]
    assert any("give what it is before, field = 0.0" in one for one in mistakes(without))


def test_mistakes_in_protocols_are_told():
    """Every sentence."""
    for pieces, time, words in (
        ([{"duration": 1.0}], {}, "either a potential, or a total_current"),
        ([{"potential": 1.0}], {}, "duration"),
        ([{"potential": 1.0, "duration": 0.0}], {}, "duration must be positive"),
        ([{"potential": 1.0, "duration": 1.0, "until": {}}], {}, "give a potential, a current, a charge"),
        ([{"potential": 1.0, "duration": 1.0, "until": {"potential": 2.0}}], {}, "the potential of this one is"),
        ([{**CHARGE, "until": {"current": 0.1}}], {}, "the current of this one is"),
        ([{**CHARGE, "until": {"current": -0.1}}], {}, "current must be positive"),
        ([{**CHARGE, "until": {"charge": 0.2}}], {}, "until.charge = 0.2 cannot be met"),
        ([{"total_current": 0.0, "duration": 1.0, "until": {"charge": 0.2}}], {}, "cannot be met"),
        ([CHARGE], {"end": 1.0}, "remove end"),
        ([CHARGE], {"stop": "steady"}, "a protocol ends with its last piece"),
        ([CHARGE], {"terminal": "top"}, 'unknown boundary "top"'),
        ([{"potential": {"expression": "1/(t-1)"}, "duration": 2.0}], {}, "has no value at t = 1"),
        ([], {"end": 1.0}, "terminal goes with a protocol"),
    ):
        assert any(words in one for one in mistakes(protocol(*pieces, **time))), words
    wall = protocol(CHARGE)
    wall["boundaries"][0] = {"where": "left", "kind": "wall"}
    assert any("the terminal of a protocol has a potential" in one for one in mistakes(wall))
    twice = protocol(CHARGE)
    twice["boundaries"][0]["potential"] = {"step": [0.0, 1.0]}
    assert any("by a protocol too" in one for one in mistakes(twice))
    alone = protocol(CHARGE)
    alone["boundaries"][1] = {"where": "right", "kind": "wall"}
    assert any("another boundary must hold a potential" in one for one in mistakes(alone))


def reversible(cells: int) -> dict:
    """The example: one electron of a fast couple in diffusion alone, the cell five diffusion lengths long."""
    tables = example("voltammogram")
    tables["domain"]["cells"] = cells
    return tables


def test_voltammogram_of_a_fast_couple_has_the_peak_of_randles_and_sevcik():
    """Nicholson and Shain, Anal. Chem. 36, 706 (1964): 0.4463 n F c sqrt(n F v D/(R T)), 28.5 mV/n beyond the formal
    potential, the peaks 57 to 59 mV apart."""
    rate, diffusivity = 0.05, 1e-9
    peak = 0.4463 * FARADAY * np.sqrt(FARADAY * rate * diffusivity / (GAS * 298.15))
    found = pnp.cv(reversible(60), "left", "0.25 V", "-0.3 V", "50 mV/s", points=100)
    down, up = found.peak(1, "down"), found.peak(1, "up")
    assert down.current == pytest.approx(-peak, rel=5e-3)
    assert down.potential == pytest.approx(-0.0285, abs=5e-4)
    assert found.separation(1) == pytest.approx(0.058, abs=1e-3)
    assert found.midpoint(1) == pytest.approx(0.0, abs=1e-3)
    assert up.current > 0.0
    assert (found.capacitive == 0.0).all()
    table = found.to_xarray()
    assert table.current.attrs["units"] == "A/m^2"
    assert set(table.cycle.values) == {1}


def test_voltammogram_of_blocking_electrodes_is_capacitive_alone(tmp_path):
    """Slowly cycled, the current is C dV/dt with the steady capacitance, up and down alike."""
    tables = between_electrodes("mpnp", 0.0, 0.0, SCREENING)
    tables["time"] = {"end": 1.0, "fields": {"count": 2}}
    tables["output"] = {"points": [{"at": 0.5}]}
    case = write_toml(tables, tmp_path / "case.toml")
    words = ["--boundary", "left", "--from", "0", "--to", "1", "--rate", "0.5", "--cycles", "2", "--points", "40"]
    finished = run_command("cv", case, *words, "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    assert "so fields of [time], points of [output] do not count" in finished.stderr
    assert {"cv.csv", "cv.json", "cv.png", "series.csv", "manifest.json"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }
    with (tmp_path / "out" / "cv.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["cycle"] for row in rows} == {"1", "2"}
    last = {d: [row for row in rows if row["cycle"] == "2" and row["direction"] == d] for d in ("up", "down")}
    middle = {d: min(one, key=lambda row: abs(float(row["potential"]) - 0.5)) for d, one in last.items()}
    del tables["time"]
    capacitance = pnp.capacitance(tables, "left", 0.4, 0.6, points=3).points[1].capacitance
    for direction, sign in (("up", 1.0), ("down", -1.0)):
        assert float(middle[direction]["current"]) == pytest.approx(sign * 0.5 * capacitance, rel=2e-2)
        assert float(middle[direction]["faradaic"]) == pytest.approx(0.0, abs=1e-12)
    assert json.loads((tmp_path / "out" / "cv.json").read_text())["cycles"][1]["peaks"] == {}


def test_voltammogram_that_was_stopped_goes_on_to_the_same_tables(tmp_path):
    """After its first step: no row lost or doubled, and another rate is another voltammogram."""
    tables = between_electrodes("mpnp", 0.0, 0.0, SCREENING, checkpoint={"steps": 3})
    case = write_toml(tables, tmp_path / "case.toml")
    whole = pnp.cv(case, "left", 0.0, 1.0, 20.0, points=20)
    with pytest.raises(StoppedError):
        pnp.cv(case, "left", 0.0, 1.0, 20.0, points=20, checkpoints=tmp_path, walltime="1 ms")
    with pytest.raises(UsageError, match=r"boundaries\.left\.potential\.rate is 20\.0 there and 10\.0 here"):
        pnp.cv(case, "left", 0.0, 1.0, 10.0, points=20, restart=tmp_path)
    words = ["--boundary", "left", "--from", "0", "--to", "1", "--points", "20", "--rate", "20"]
    finished = run_command("cv", case, *words, "--restart", tmp_path)
    assert finished.returncode == 0, finished.stderr
    with (tmp_path / "series.csv").open() as stream:
        rows = [[float(cell) for cell in row] for row in list(csv.reader(stream))[1:]]
    assert np.array(rows) == pytest.approx(numbers(whole.solution.rows), rel=1e-14)
    with (tmp_path / "cv.csv").open() as stream:
        assert [float(row["current"]) for row in csv.DictReader(stream)] == pytest.approx(whole.current, rel=1e-9)


def test_mistakes_of_a_voltammogram_are_told():
    """A boundary without a potential, and what is no rate."""
    tables = reversible(60)
    with pytest.raises(UsageError, match='"right" has no potential'):
        pnp.cv(tables, "right", 0.2, -0.2, 0.05)
    for arguments, words in (
        (("0.2 V", "-0.2 V", "0 V/s"), "rate must be positive"),
        (("0.2 V", "0.2 V", "1 V/s"), "differs from the next"),
        (("0.2 V", "-0.2 V", "1 V"), "a potential per time"),
    ):
        with pytest.raises(pnp.CaseError, match=words):
            pnp.cv(tables, "left", *arguments)
