"""Curves over a potential: exact slopes, closed forms, signs, where they end, the commands and their files."""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, blocking_electrode, run_command, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.exact.double_layer import CrowdedLayer, PointIonLayer
from pnp_exclusion.studies.curve_files import between, curve_csv, curve_json, draw_capacitance

BULK, DEBYE_LENGTH = 0.05, 0.02
LAYERS = {"pnp": PointIonLayer, "mpnp": CrowdedLayer}


@pytest.mark.parametrize(("law", "reach"), [("pnp", 8.0), ("mpnp", 40.0)])
def test_capacitance_is_that_of_gouy_chapman_and_bikerman(law: str, reach: float):
    """Closed forms: `PointIonLayer`, `CrowdedLayer` (Kilic, Bazant, Ajdari 2007)."""
    curve = pnp.capacitance(blocking_electrode(law, 0.0, DEBYE_LENGTH, BULK), "left", -reach, reach)
    layer = LAYERS[law](BULK, DEBYE_LENGTH)
    assert [point.charge for point in curve.points] == pytest.approx(
        list(layer.surface_charge(curve.potentials)), rel=1e-5, abs=1e-9
    )
    assert [point.capacitance for point in curve.points] == pytest.approx(
        list(layer.capacitance(curve.potentials)), rel=1e-5
    )
    assert np.all(np.diff(curve.potentials) > 0.0)
    if law == "mpnp":
        # two humps of equal height, symmetric about zero (Kornyshev 2007)
        assert abs(curve.peak.potential) > 1.0


def test_capacitance_behind_a_stern_layer_is_that_of_both_in_series():
    """1/C = 1/C_S + 1/C_D at the potential drop that the diffuse layer has; C_D in closed form."""
    stern = 0.05
    tables = blocking_electrode("mpnp", 0.0, DEBYE_LENGTH, BULK)
    tables["boundaries"][0]["stern"] = {"capacitance": stern}
    layer = CrowdedLayer(BULK, DEBYE_LENGTH)
    for point in pnp.capacitance(tables, "left", -10.0, 10.0, points=5).points:
        drop = point.potential - point.charge / stern
        assert point.capacitance == pytest.approx(1.0 / (1.0 / stern + 1.0 / float(layer.capacitance(drop))), rel=1e-5)


def test_current_of_point_ions_without_field_is_goldmans():
    """Goldman 1943: one salt, no charges felt (a long Debye length): I = D c z u (1 - r e^-u)/(1 - e^-u)."""
    tables = {
        "model": {"units": "dimensionless", "law": "pnp", "debye_length": 1e3},
        "species": [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "potential": 0.0, "fraction": {"cation": 0.02, "anion": 0.02}},
            {"where": "right", "kind": "reservoir", "potential": 0.0, "fraction": {"cation": 0.005, "anion": 0.005}},
        ],
    }
    curve = pnp.iv(tables, "left", -6.0, 6.0, points=13)
    for point in curve.points:
        u = point.potential or 1e-9
        cation = u * (0.02 - 0.005 * np.exp(-u)) / (1.0 - np.exp(-u))
        anion = u * (0.005 - 0.02 * np.exp(-u)) / (1.0 - np.exp(-u))
        assert point.currents == pytest.approx({"cation": cation, "anion": anion}, rel=1e-5, abs=1e-8)
    # equal diffusivities: no current where nothing is applied, by Goldman's equation
    assert curve.zero_current_potential == pytest.approx(0.0, abs=1e-6)
    # I(V) + I(-V) = 0 for equal diffusivities
    assert curve.rectification == pytest.approx(1.0, rel=1e-5)


def test_conductance_is_the_slope_of_the_current():
    """A cubic with these slopes goes through points that it was not made of: of half the points, the others."""
    curve = pnp.iv(EXAMPLES / "membrane.toml", "left", "-0.2 V", "0.2 V", points=17)
    every_other = pnp.iv(EXAMPLES / "membrane.toml", "left", "-0.2 V", "0.2 V", points=9)
    span = np.ptp([point.current for point in curve.points])
    assert [every_other.at(v) for v in curve.potentials] == pytest.approx(
        [point.current for point in curve.points], abs=1e-5 * span
    )
    assert min(point.conductance for point in curve.points) > 0.0
    assert [sum(point.currents.values()) for point in curve.points] == [point.current for point in curve.points]


def test_lines_of_a_picture_are_the_cubic_of_the_curve_and_its_derivative():
    """The cube of x by values and slopes at 0, 1 and 3: between them it is x^3 itself, and its slope is 3 x^2."""
    at, (values, slopes) = between([0.0, 1.0, 3.0], [0.0, 1.0, 27.0], [0.0, 3.0, 27.0])
    assert len(at) == 41 and {0.0, 1.0, 3.0} <= set(at)
    np.testing.assert_allclose(values, at**3, atol=1e-12)
    np.testing.assert_allclose(slopes, 3.0 * at**2, atol=1e-12)
    assert [list(one) for one in between([2.0], [5.0], [1.0])[1]] == [[5.0], [1.0]]


def test_adaptive_steps_are_as_accurate_as_asked():
    """Reference: points of their own solves, between those of the curve."""
    curve = pnp.capacitance(blocking_electrode("mpnp", 0.0, DEBYE_LENGTH, BULK), "left", -20.0, 20.0, accuracy=1e-4)
    from scipy.interpolate import CubicHermiteSpline

    spline = CubicHermiteSpline(
        curve.potentials, [p.charge for p in curve.points], [p.capacitance for p in curve.points]
    )
    at = np.linspace(-20.0, 20.0, 97)
    right = CrowdedLayer(BULK, DEBYE_LENGTH).surface_charge(at)
    assert np.abs(spline(at) - right).max() < 1e-4 * np.ptp(right)
    assert len(curve.points) < 97


def test_curve_that_cannot_go_on_is_told_with_the_points_before():
    """More point ions than there is space for are beyond any number: 800 kT/e overflow, and no state is made up."""
    curve = pnp.capacitance(blocking_electrode("pnp", 0.0, DEBYE_LENGTH, BULK), "left", 0.0, 3000.0, accuracy=0.5)
    assert curve.ended
    assert curve.points[-1].potential < 3000.0


def gap(monkeypatch: pytest.MonkeyPatch, low: float, high: float) -> None:
    """Let no state be found between two potentials of "left"."""
    solve = pnp.Workbench.solve

    def with_gap(self, case, start=None):
        if low < case.boundaries[0].potential.value < high:
            raise ConvergenceError("there is a gap")
        return solve(self, case, start)

    monkeypatch.setattr(pnp.Workbench, "solve", with_gap)


@pytest.mark.parametrize("points", [None, 11])
def test_curve_that_gets_stuck_is_followed_from_its_other_end_too(
    points: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Both branches are of the curve that has no gap (`CrowdedLayer`), and reach up to it from both sides."""
    gap(monkeypatch, 2.2, 8.3)
    tables = blocking_electrode("mpnp", 0.0, DEBYE_LENGTH, BULK)
    curve = pnp.capacitance(tables, "left", 0.0, 10.0, points=points)
    forward, backward = (np.array([p.potential for p in curve.branch(one)]) for one in ("forward", "backward"))
    assert (forward[0], backward[-1]) == (0.0, 10.0)
    assert (forward[-1], backward[0]) == pytest.approx((2.2, 8.3) if points is None else (2.0, 9.0), abs=1e-3)
    assert "there is a gap" in curve.ended
    assert "there is a gap" in curve.ended_backward
    layer = CrowdedLayer(BULK, DEBYE_LENGTH)
    assert [p.charge for p in curve.points] == pytest.approx(list(layer.surface_charge(curve.potentials)), rel=1e-5)
    assert list(curve.to_xarray().direction.values) == ["forward"] * len(forward) + ["backward"] * len(backward)
    summary = curve_json(curve)
    assert summary["directions"] == {"forward": len(forward), "backward": len(backward)}
    draw_capacitance(tmp_path / "curve.png", curve)
    assert len(list(csv.DictReader(curve_csv(curve).splitlines()))) == len(curve.points)


@pytest.mark.parametrize("stuck", [False, True])
def test_curve_that_was_killed_goes_on_where_it_stopped(stuck: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Reference: the curve that nothing stops. Points before are not solved again, but for the last one."""
    if stuck:
        gap(monkeypatch, 2.2, 8.3)
    tables, kept = blocking_electrode("mpnp", 0.0, DEBYE_LENGTH, BULK), tmp_path / "points"
    whole = pnp.capacitance(tables, "left", 0.0, 10.0, resume=kept)
    lines = kept.read_bytes().splitlines(keepends=True)
    for left in (4, len(lines) - 4, len(lines)):
        # a kill tears the line that is being written
        kept.write_bytes(b"".join(lines[:left]) + lines[1][:20])
        solved: list[str] = []
        again = pnp.capacitance(tables, "left", 0.0, 10.0, resume=kept, progress=solved.append)
        for name in ("potential", "charge", "capacitance"):
            before, after = ([getattr(p, name) for p in curve.points] for curve in (whole, again))
            assert after == pytest.approx(before, rel=1e-6, abs=1e-12)
        assert again.ended == whole.ended
        assert sum("Newton steps" in line for line in solved) == sum(b'"point"' in line for line in lines[left:])
    with pytest.raises(UsageError, match="points of another curve"):
        pnp.capacitance(tables, "left", 0.0, 11.0, resume=kept)
    with pytest.raises(UsageError, match="points of another curve"):
        pnp.iv(tables, "left", 0.0, 10.0, resume=kept)


@pytest.mark.parametrize("last", ["another number", "{}", "[1]", "3"])
def test_points_that_were_changed_by_hand_are_not_gone_on_with(last: str, tmp_path: Path):
    tables, kept = blocking_electrode("mpnp", 0.0, DEBYE_LENGTH, BULK), tmp_path / "points"
    pnp.capacitance(tables, "left", 0.0, 1.0, points=2, resume=kept)
    *lines, end = kept.read_bytes().splitlines(keepends=True)
    assert b'"at": 1.0' in end
    changed = end.replace(b'"at": 1.0', b'"at": 0.5') if last == "another number" else last.encode() + b"\n"
    kept.write_bytes(b"".join([*lines, changed]))
    with pytest.raises(UsageError, match="was changed and cannot be gone on with"):
        pnp.capacitance(tables, "left", 0.0, 1.0, points=2, resume=kept)


def test_boundary_without_a_potential_is_refused():
    tables = blocking_electrode("mpnp", 0.0, DEBYE_LENGTH, BULK)
    for name in ("middle", "right "):
        with pytest.raises(UsageError, match='those with one: "left", "right"'):
            pnp.iv(tables, name, 0.0, 1.0)
    with pytest.raises(UsageError, match="two different potentials"):
        pnp.iv(tables, "left", 1.0, 1.0)
    with pytest.raises(UsageError, match="2 points or more"):
        pnp.iv(tables, "left", 0.0, 1.0, points=1)


@pytest.mark.parametrize("command", ["iv", "capacitance"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_command_writes_table_summary_and_picture(command: str, ranks: int, tmp_path: Path):
    words = [EXAMPLES / "membrane.toml", "--boundary", "left", "--from", "-50mV", "--to", "50 mV", "--points", "3"]
    finished = run_command(command, *words, "-o", tmp_path / "out", ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    rows = list(csv.DictReader((tmp_path / "out" / "curve.csv").open()))
    assert list(rows[0])[0] == "potential [V]"
    assert [float(row["potential [V]"]) for row in rows] == pytest.approx([-0.05, 0.0, 0.05], abs=1e-15)
    summary = json.loads((tmp_path / "out" / "curve.json").read_text())
    assert summary["points"] == 3
    assert (tmp_path / "out" / "curve.png").stat().st_size > 5000


def test_command_given_again_after_a_kill_goes_on_and_refuses_points_of_another_curve(tmp_path: Path):
    """What a kill leaves is a folder with the points so far and a log."""
    case, folder = EXAMPLES / "membrane.toml", tmp_path / "out"
    folder.mkdir()
    kept = folder / "curve.jsonl"
    whole = pnp.iv(case, "left", "-50 mV", "50 mV", points=5, resume=kept)
    kept.write_bytes(b"".join(kept.read_bytes().splitlines(keepends=True)[:4]))
    words = ["iv", case, "--boundary", "left", "--from", "-50mV", "--to", "50 mV", "-o", folder, "--points"]
    finished = run_command(*words, "4")
    assert finished.returncode == 2
    assert "points of another curve" in finished.stderr
    finished = run_command(*words, "5")
    assert finished.returncode == 0, finished.stderr
    assert "3 points of an earlier run" in (folder / "log.txt").read_text()
    assert not kept.exists()
    currents = [float(row["current [A/m^2]"]) for row in csv.DictReader((folder / "curve.csv").open())]
    assert currents == pytest.approx([point.current for point in whole.points], rel=1e-6)


def test_command_refuses_what_it_cannot_follow(tmp_path: Path):
    case = write_toml(blocking_electrode("mpnp", 0.0, DEBYE_LENGTH, BULK), tmp_path / "case.toml")
    for words, told in [(["--from", "1 V", "--to", "2"], '"1 V"'), (["--from", "0", "--to", "x"], '"x"')]:
        finished = run_command("iv", case, "--boundary", "left", *words, "-o", tmp_path / "out")
        assert finished.returncode == 2
        assert told in finished.stderr


def between_electrodes(stern: tuple[float | None, float | None], linear: str = "auto", **domain: object) -> dict:
    """A closed salt between two electrodes, each behind a Stern layer or not."""
    sides = ("bottom", "top") if domain else ("left", "right")
    tables = blocking_electrode("mpnp", 0.0, 0.05, BULK)
    tables["domain"] = domain or tables["domain"]
    tables["solver"] = {"linear": linear}
    for species in tables["species"]:
        species["mean_fraction"] = BULK
    tables["boundaries"] = [
        {"where": side, "kind": "electrode", "potential": potential}
        | ({} if capacitance is None else {"stern": {"capacitance": capacitance}})
        for side, potential, capacitance in zip(sides, (2.0, -1.0), stern, strict=True)
    ]
    return tables


def exchanged_on_the_left() -> dict:
    """A salt whose ions pass an electrode at finite rates."""
    tables = blocking_electrode("mpnp", 2.0, 0.05, BULK)
    exchange = {"kind": "exchange", "rate": {"cation": 1.0, "anion": 3.0}, "fraction": {"cation": 0.1, "anion": 0.1}}
    tables["boundaries"][0] |= exchange
    return tables


AXISYMMETRIC = {"shape": "rectangle", "size": [0.4, 1.0], "cells": [3, 20], "coordinates": "axisymmetric"}


@pytest.mark.parametrize(
    ("tables", "boundary"),
    [
        (between_electrodes((0.1, 0.05)), "left"),
        (between_electrodes((0.1, None)), "right"),
        (between_electrodes((0.1, None), "fieldsplit", **AXISYMMETRIC), "bottom"),
        (exchanged_on_the_left(), "left"),
    ],
    ids=["Stern on both sides", "Stern opposite", "closed species by an iterative solver", "exchange"],
)
def test_slopes_are_those_of_neighbouring_states(tables: dict, boundary: str):
    """Reference: central differences, whose error is of the order of their step squared, 1e-6."""
    at = next(one["potential"] for one in tables["boundaries"] if one["where"] == boundary)
    before, middle, after = pnp.capacitance(tables, boundary, at - 1e-3, at + 1e-3, points=3).points
    for value, slope in (("charge", "capacitance"), ("current", "conductance")):
        difference = (getattr(after, value) - getattr(before, value)) / 2e-3
        assert getattr(middle, slope) == pytest.approx(difference, rel=1e-5, abs=1e-12)


def test_capacitance_of_the_first_tutorial_goes_to_half_a_volt():
    """Closed point ions, nearly all of them in the layers. Reference: a central difference."""
    case = EXAMPLES / "two_electrodes.toml"
    before, middle, after = pnp.capacitance(case, "left", "0.499 V", "0.501 V", points=3).points
    assert middle.capacitance == pytest.approx((after.charge - before.charge) / 2e-3, rel=1e-4)


def donnan_calcium(sodium: float, calcium: float, fixed: float) -> float:
    """Calcium in a membrane in equilibrium with a solution of both chlorides: r Na + 2 r^2 Ca + X = Cl/r."""
    chloride = sodium + 2.0 * calcium
    r = max(root.real for root in np.roots([2.0 * calcium, sodium, fixed, -chloride]) if abs(root.imag) < 1e-9)
    return float(r**2 * calcium)


@pytest.mark.parametrize(
    ("layers", "left", "right", "forward"),
    [
        ((-0.2,), 0.002, 0.001, False),
        ((0.2, -0.2), 0.002, 0.001, False),
        ((-0.2, 0.2), 0.001, 0.002, True),
    ],
    ids=["negative", "positive then negative", "negative then positive"],
)
def test_calcium_runs_uphill_forward_or_backward_by_the_order_of_the_layers(
    layers: tuple[float, ...], left: float, right: float, forward: bool
):
    """Higa and others, J. Phys. Chem. B 104, 11674 (2000): counter-transport goes with the gradient of sodium chloride
    where the negative layer faces its concentrated side, else against it."""
    tables = tomllib.loads((EXAMPLES / "uphill_calcium.toml").read_text())
    width = 40.0 / len(layers)
    tables["regions"] = [
        {
            "name": f"layer {number}",
            "x": [f"{10.0 + number * width} nm", f"{10.0 + (number + 1) * width} nm"],
            "fixed_charge": f"{charge} mol/L",
            "diffusivity": 0.1,
        }
        for number, charge in enumerate(layers)
    ]
    for boundary, calcium, sodium in zip(tables["boundaries"], (left, right), (0.2, 0.002), strict=True):
        contents = {"Na": sodium, "Ca": calcium, "Cl": sodium + 2.0 * calcium}
        boundary["concentration"] = {name: f"{amount} mol/L" for name, amount in contents.items()}
    solution = pnp.solve(tables)
    currents = solution.currents
    electric = [charge * currents[name] for name, charge in (("Na", 1), ("Ca", 2), ("Cl", -1))]
    assert abs(sum(electric)) < 1e-9 * sum(map(abs, electric))
    assert currents["Na"] > 0.0
    assert (currents["Ca"] > 0.0) is forward
    # from less of it to more
    assert currents["Ca"] * (left - right) < 0.0
    # Donnan's equilibria at the two faces have it so where the membrane is of one sign
    if len(layers) == 1:
        assert donnan_calcium(0.002, right, layers[0]) > donnan_calcium(0.2, left, layers[0])
