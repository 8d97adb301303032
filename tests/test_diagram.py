"""Phase diagrams by the finite elements against exact borders, found independently of how diagrams are made."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import contourpy
import numpy as np
import pytest
from conftest import BIN, EXAMPLES, run_command, write_toml
from scipy.integrate import quad
from scipy.interpolate import CubicSpline

import pnp_exclusion as pnp
from pnp_exclusion.exact import border_field, equilibrium_fields, inverse_interval, stationary_state
from pnp_exclusion.runtime.pool import ProcessPool, WorkerDiedError
from pnp_exclusion.studies.diagram import arrangement, job, noise_plots
from pnp_exclusion.studies.diagram.compute import Diagram, diagrams_of, make_diagram
from pnp_exclusion.studies.diagram.exact import exact_excess, exact_lines
from pnp_exclusion.studies.diagram.plane import planes_of
from pnp_exclusion.studies.diagram.readings import Reading, reader_of
from pnp_exclusion.studies.diagram.report import as_json, points_csv, shares
from pnp_exclusion.studies.diagram.trace import trace

LEFT, RIGHT = (0.6, 0.2), (0.2, 0.6)
SIDE = 20.0
"""Of the square of the fields, [-10, 10]."""
ACCURACY = 1e-4 / SIDE
"""So that borders are located to 1e-4 kT/L."""


def fields_case(law: str, name: str = "fields") -> pnp.Case:
    """The first variant of an example: (0.6, 0.2) | (0.2, 0.6)."""
    case = pnp.read_case(EXAMPLES / "diagrams" / f"{name}.toml", law)
    return case.model_copy(update={"diagram": case.diagram.model_copy(update={"variants": []})})


@functools.cache
def fields_diagram(law: str) -> Diagram:
    (diagram,) = diagrams_of(fields_case(law), accuracy=ACCURACY)
    return diagram


def borders_in_kt(diagram: Diagram, kind: str = "current"):
    return [(b.species, diagram.plane.coordinates(b.points)) for b in diagram.borders if b.kind == kind]


def uphill_shares_from_border_field() -> dict[str, float]:
    """Species A is uphill, J_A < 0, left of its border; B above its own: integrals of the exact borders."""
    edges = [-10.0, *equilibrium_fields(LEFT, RIGHT), 10.0]
    own = [np.linspace(-10.0, 10.0, 81)] * 2
    border_a, border_b = (
        CubicSpline(own[a], [border_field(LEFT, RIGHT, a, other) for other in own[a]]) for a in (0, 1)
    )
    share_a = quad(lambda e: np.clip(border_a(e) + 10.0, 0.0, SIDE), -10.0, 10.0, points=edges[1:-1])[0] / SIDE**2
    share_b = quad(lambda e: np.clip(10.0 - border_b(e), 0.0, SIDE), -10.0, 10.0, points=edges[1:-1])[0] / SIDE**2

    def both(field_b: float) -> float:
        """The length along E_A that lies left of A's border and where B's border is below."""
        fields = np.linspace(-10.0, 10.0, 4001)
        reach = np.interp(field_b, border_b(fields), fields)
        return np.clip(min(border_a(field_b), reach) + 10.0, 0.0, SIDE) if field_b > border_b(-10.0) else 0.0

    share = quad(both, -10.0, 10.0, points=[float(border_b(-10.0)), edges[2]], limit=200)[0] / SIDE**2
    return {"A": share_a, "B": share_b, "both": share}


# ---- the stirring law: borders, shares, common point ----


def test_shdl_borders_shares_and_common_point_are_the_exact_ones():
    diagram = fields_diagram("shdl")
    for species, points in borders_in_kt(diagram):
        chosen = points[np.linspace(0, len(points) - 1, 60).astype(int)]
        apart = [abs(border_field(LEFT, RIGHT, species, p[1 - species]) - p[species]) for p in chosen]
        assert max(apart) < 1e-4
    found, exact = shares(diagram), uphill_shares_from_border_field()
    assert found["uphill"]["A"] == pytest.approx(exact["A"], abs=1e-5)
    assert found["uphill"]["B"] == pytest.approx(exact["B"], abs=1e-5)
    assert found["uphill_all"] == pytest.approx(exact["both"], abs=1e-5)
    (common,) = diagram.common_points
    assert common.equilibrium
    place = diagram.plane.coordinates(common.point)
    np.testing.assert_allclose(place, equilibrium_fields(LEFT, RIGHT), atol=1e-5)
    assert sum(region.share for region in diagram.regions) == pytest.approx(1.0, abs=1e-9)
    assert diagram.contradictions == 0
    assert max(border.from_exact for border in diagram.borders if border.kind == "current") < ACCURACY


def test_the_same_diagram_is_drawn_from_the_exact_solutions_alone():
    (plane,) = planes_of(fields_case("shdl"), accuracy=ACCURACY)
    exact = make_diagram(plane, lambda points: [_exact_reading(plane, point) for point in points])
    found, expected = shares(fields_diagram("shdl")), shares(exact)
    for what in ("uphill", "inverse"):
        assert found[what] == pytest.approx(expected[what], abs=1e-5)
    assert found["uphill_all"] == pytest.approx(expected["uphill_all"], abs=1e-5)
    gap = exact.common_points[0].point - fields_diagram("shdl").common_points[0].point
    assert np.linalg.norm(gap) * SIDE < 1e-5


def _exact_reading(plane, point: np.ndarray) -> Reading:
    state = stationary_state(LEFT, RIGHT, plane.coordinates(point))
    regime = tuple(
        "inverse" if j * f < 0 else "uphill-field" if j * rise > 0 else "fickian"
        for j, f, rise in zip(state.currents, state.forces, np.subtract(RIGHT, LEFT), strict=True)
    )
    excess = exact_excess(plane, point[None])[0]
    return Reading(tuple(excess), tuple(state.currents), tuple(state.forces), regime)


@pytest.mark.parametrize("law", ["mpnp", "vacancy"])
def test_laws_of_diagonal_mobility_have_straight_borders(law: str):
    """``E_a = log[rho_a^R rho_0^L/(rho_a^L rho_0^R)]`` = -log 3 and log 3, whatever the other field."""
    diagram = fields_diagram(law)
    for species, points in borders_in_kt(diagram):
        np.testing.assert_allclose(points[:, species], [-np.log(3.0), np.log(3.0)][species], atol=1e-6)
    found, width = shares(diagram), (10.0 - np.log(3.0)) / SIDE
    assert found["uphill"] == pytest.approx({"A": width, "B": width}, abs=1e-6)
    assert found["uphill_all"] == pytest.approx(width**2, abs=1e-6)
    np.testing.assert_allclose(
        diagram.plane.coordinates(diagram.common_points[0].point), [-np.log(3.0), np.log(3.0)], atol=1e-6
    )


# ---- inverse currents ----


@pytest.mark.parametrize("law", ["mpnp", "vacancy"])
def test_no_current_is_inverse_where_the_mobility_is_diagonal(law: str):
    diagram = fields_diagram(law)
    assert not any("inverse" in region.regimes for region in diagram.regions)
    lines = [border.points for border in diagram.borders]
    clear = arrangement.distance(diagram.points, lines) > 1e-6
    assert clear.sum() > 40
    assert not any("inverse" in r.regime for r, far in zip(diagram.readings, clear, strict=True) if far)
    assert diagram.unresolved < 1e-6


@pytest.mark.parametrize("species", [0, 1])
def test_shdl_is_inverse_in_the_exact_wedge_and_nowhere_else(species: int):
    diagram = fields_diagram("shdl")
    own, other = np.random.default_rng(5).uniform(0.0, 1.0, (2, 150))
    points = np.column_stack([own, other] if species == 0 else [other, own])
    drawn = np.zeros(len(points), dtype=bool)
    for region in diagram.regions:
        if region.regimes[species] == "inverse":
            drawn |= arrangement.inside(region.area, points, 0.0)
    fields = diagram.plane.coordinates(points)
    wedges = np.array([inverse_interval(LEFT, RIGHT, species, field) for field in fields[:, 1 - species]])
    gap = fields[:, species, None] - wedges
    clear = np.abs(gap).min(axis=1) > 1e-4
    assert clear.mean() > 0.98
    np.testing.assert_array_equal(drawn[clear], (np.sign(gap).prod(axis=1) < 0)[clear])
    assert 0.1 < drawn.mean() < 0.25


# ---- number of solves ----


def test_adaptive_border_needs_a_tenth_of_the_points_of_an_equally_accurate_grid():
    """Beside a grid of currents contoured between its points, which is far better than one of regime labels."""
    diagram = fields_diagram("shdl")
    attained = SIDE * max(border.from_exact for border in diagram.borders if border.kind == "current")
    coarse = 25
    side = np.linspace(-10.0, 10.0, coarse)
    currents = np.array([[stationary_state(LEFT, RIGHT, (x, y)).currents for x in side] for y in side])
    worst = 0.0
    for species in (0, 1):
        for line in contourpy.contour_generator(side, side, currents[..., species]).lines(0.0):
            middle = 0.5 * (line[1:] + line[:-1])
            apart = [abs(border_field(LEFT, RIGHT, species, p[1 - species]) - p[species]) for p in middle]
            worst = max(worst, *apart)
    needed = ((coarse - 1) * np.sqrt(worst / max(attained, 1e-4)) + 1) ** 2
    assert diagram.solves < 0.1 * needed
    assert needed < diagram.grid_of_currents < 4 * needed
    assert diagram.solves < 250


# ---- with Poisson ----


def test_with_poisson_the_forces_and_the_common_point_are_those_of_the_imposed_fields():
    """The work z_a V is the same, so F_a is; and so is the border of mpnp (docs/theory.md#master-identity)."""
    (plain,) = diagrams_of(fields_case("mpnp", "poisson"))
    for species, points in borders_in_kt(plain):
        np.testing.assert_allclose(points[:, species], [-np.log(3.0), np.log(3.0)][species], atol=1e-6)
    (dragged,) = diagrams_of(fields_case("shdl", "poisson"))
    (common,) = dragged.common_points
    assert common.equilibrium
    np.testing.assert_allclose(dragged.plane.coordinates(common.point), [-np.log(3.0), np.log(3.0)], atol=1e-4)
    assert max(reading.identity_residual for reading in dragged.readings) < 1e-5
    narrower, wider = shares(dragged)["inverse_any"], shares(fields_diagram("shdl"))["inverse_any"]
    assert 0.1 < narrower < wider


def test_on_the_border_of_a_membrane_a_single_solve_finds_no_current():
    """In SI units, by `pnp.solve`, which shares neither mesh nor start with the diagram."""
    case = pnp.read_case(EXAMPLES / "diagrams" / "membrane_charge.toml")
    (diagram,) = diagrams_of(case)
    assert diagram.plane.x.unit == "mV"
    (sodium,) = (border for border in diagram.borders if border.kind == "current" and border.species == 0)
    solution = pnp.solve(diagram.plane.case_at(sodium.points[len(sodium.points) // 2]))
    assert abs(solution.steady.currents["Na"]) < 1e-3 * abs(solution.steady.currents["Cl"])
    slope = solution.forces["Na"]
    assert slope > 0.5  # though its own force is more than half a kT
    (force,) = (points for species, points in borders_in_kt(diagram, "force") if species == 0)
    full, thermal = 1.0 / (6.02214076e23 * 0.7e-9**3), 25.6926
    drop = np.log((2000.0 / (1.0 - 4000.0 / full)) / (500.0 / (1.0 - 1000.0 / full)))
    np.testing.assert_allclose(force[:, 0], -thermal * drop, rtol=1e-5)


# ---- failures, workers, the command ----


def test_points_without_a_case_are_recorded_and_left_out():
    """Contents up to 0.69 and 0.69 overfill the lattice in a corner of the plane."""
    tables = pnp.read_case(EXAMPLES / "diagrams" / "contents.toml").as_written()
    tables["model"]["law"] = "mpnp"
    tables["diagram"]["x"]["to"] = tables["diagram"]["y"]["to"] = 0.69
    (diagram,) = diagrams_of(pnp.make_case(tables), accuracy=1e-3)
    failures = [reading.failure for reading in diagram.readings if reading.failure]
    assert failures
    assert all("fill" in failure for failure in failures)
    overfull = 0.5 * (0.38 / 0.68) ** 2
    assert diagram.unknown == pytest.approx(overfull, abs=0.04)
    assert sum(region.share for region in diagram.regions) + diagram.unknown == pytest.approx(1.0, abs=1e-6)
    uphill = shares(diagram)["uphill"]
    assert uphill["A"] == pytest.approx(uphill["B"], abs=0.01)
    assert {r.regimes[0] for r in diagram.regions if r.uphill[0]} == {"uphill-steric"}


EXECUTORS = {
    "workers": lambda: ProcessPool(2),
    "processes of the user's": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn")),
    "threads of the user's": lambda: ThreadPoolExecutor(2),
}


@pytest.mark.parametrize("kind", EXECUTORS)
def test_shared_out_over_an_executor_the_diagram_is_the_same(kind: str):
    case = fields_case("mpnp")
    (one,) = diagrams_of(case, accuracy=1e-3)
    with EXECUTORS[kind]() as executor:
        (two,) = diagrams_of(case, accuracy=1e-3, executor=executor)
    assert one.solves == two.solves
    assert shares(one)["uphill"] == pytest.approx(shares(two)["uphill"], abs=1e-8)
    np.testing.assert_allclose(one.borders[0].points, two.borders[0].points, atol=1e-7)


def test_three_species_are_drawn_too():
    tables = fields_case("shdl").as_written()
    tables["species"].append({"name": "C", "field": 2.0})
    for boundary, fraction in zip(tables["boundaries"], [(0.5, 0.2, 0.1), (0.2, 0.4, 0.1)], strict=True):
        boundary["fraction"] = dict(zip("ABC", fraction, strict=True))
    (diagram,) = diagrams_of(pnp.make_case(tables), accuracy=1e-3)
    assert max(border.from_exact for border in diagram.borders if border.kind == "current") < 1e-3
    assert len(diagram.common_points) == 3
    assert not any(common.equilibrium for common in diagram.common_points)
    assert all(len(common.species) == 2 for common in diagram.common_points)
    assert {region.regimes[2] for region in diagram.regions} == {"drift", "inverse"}


def test_command_draws_cases_and_variants_side_by_side(tmp_path):
    finished = run_command(
        "diagram",
        EXAMPLES / "diagrams" / "contents.toml",
        "--law",
        "shdl,mpnp",
        "--accuracy",
        "1e-2",
        "-o",
        tmp_path / "out",
    )
    assert finished.returncode == 0, finished.stderr
    content = json.loads((tmp_path / "out" / "diagram.json").read_text())
    assert [one["law"] for one in content["diagrams"]] == ["shdl", "mpnp"]
    stirred, steric = content["diagrams"]
    assert stirred["shares"]["uphill_any"] == 0.0  # without a field shdl is never uphill
    assert steric["shares"]["regimes"]["A"]["uphill-steric"] == pytest.approx(0.1118, abs=0.01)
    assert steric["common_points"][0]["x"] == pytest.approx(0.3, abs=1e-3)
    assert (tmp_path / "out" / "diagram.png").stat().st_size > 20_000
    rows = (tmp_path / "out" / "points.csv").read_text().splitlines()
    assert len(rows) == 1 + stirred["solves"] + steric["solves"]
    assert rows[0].startswith("case,law,variant,x,y,current_A,force_A,regime_A,")
    assert Counter(row.split(",")[1] for row in rows[1:]) == {"shdl": stirred["solves"], "mpnp": steric["solves"]}
    assert "2 of 2" in finished.stderr
    again = run_command("diagram", EXAMPLES / "diagrams" / "contents.toml", "-o", tmp_path / "out")
    assert again.returncode == 2
    assert "holds other results" in again.stderr


def test_plane_without_a_single_case_is_refused_before_anything_runs(tmp_path):
    text = (EXAMPLES / "diagrams" / "contents.toml").read_text()
    case = tmp_path / "full.toml"
    case.write_text(text.replace("from = 0.01", "from = 0.65").replace("to = 0.49", "to = 0.9"))
    finished = run_command("diagram", case, "-o", tmp_path / "out")
    assert finished.returncode == 2
    assert "no point of the plane is a case; in its middle" in finished.stderr
    assert "fill 1.55 of the space" in finished.stderr
    assert not (tmp_path / "out").exists()


def test_plane_without_a_single_solution_ends_with_3_and_says_why(tmp_path):
    case = tmp_path / "hopeless.toml"
    text = (EXAMPLES / "diagrams" / "poisson.toml").read_text()
    case.write_text(text + "\n[solver]\nmax_newton_steps = 1\ntolerance = 1e-300\n")
    finished = run_command("diagram", case, "--resolution", "3", "-o", tmp_path / "out")
    assert finished.returncode == 3
    assert "no point has a solution" in finished.stderr
    rows = (tmp_path / "out" / "points.csv").read_text().splitlines()
    assert rows[1].endswith("no solution found; not even at a small part of the driving forces")


def _case_with(**diagram: object) -> dict:
    tables = fields_case("shdl").as_written()
    tables["diagram"] |= diagram
    return tables


@pytest.mark.parametrize(
    ("diagram", "message"),
    [
        ({"x": {"key": "species.Q.field", "from": -1.0, "to": 1.0}}, 'no entry "Q"'),
        ({"x": {"key": "species.A.field", "from": 1.0, "to": 1.0}}, "from and to must differ"),
        ({"x": {"key": "species.B.field", "from": -1.0, "to": 1.0}}, "both vary"),
        ({"resolution": 2}, "resolution"),
    ],
)
def test_mistakes_in_the_table_are_told(tmp_path, diagram: dict, message: str):
    path = write_toml({}, tmp_path / "case.toml")
    tables = _case_with(**diagram)
    with pytest.raises(pnp.errors.CaseError, match=message):
        pnp.make_case(tables, path.parent)


def test_cases_without_a_diagram_or_without_two_reservoirs_are_refused():
    with pytest.raises(pnp.errors.CaseError, match=r"there is no \[diagram\]"):
        diagrams_of(EXAMPLES / "membrane.toml")
    tables = fields_case("shdl").as_written()
    tables["boundaries"][1] = {"where": "right", "kind": "wall"}
    with pytest.raises(pnp.errors.CaseError, match="two boundaries that hold all"):
        diagrams_of(pnp.make_case(tables))


def test_species_that_pass_a_third_boundary_are_refused():
    """There would be no two ends between which currents and regimes are meant."""
    tables = fields_case("shdl", "poisson").as_written()
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [8, 4]}
    for third in (
        {"kind": "electrode", "potential": 0.0, "fraction": {"A": 0.2}},
        {"kind": "flux", "flux": {"A": 0.1}},
    ):
        tables["boundaries"] = [*tables["boundaries"][:2], {"where": "top", **third}]
        with pytest.raises(pnp.errors.CaseError, match='must not pass a third boundary, but "top"'):
            planes_of(pnp.make_case(tables))


def test_variants_are_reported_with_their_own_electrostatics():
    tables = fields_case("shdl", "poisson").as_written()
    tables["diagram"]["variants"] = [{"name": "mpnp", "set": {"model.law": "mpnp"}}]
    (diagram,) = diagrams_of(pnp.make_case(tables), resolution=3, accuracy=1e-2)
    (one,) = as_json([diagram])["diagrams"]
    assert (one["law"], one["electrostatics"]) == ("mpnp", "poisson")
    assert points_csv([diagram]).splitlines()[1].split(",")[1:3] == ["mpnp", "mpnp"]


# ---- processes that die, interruptions ----


def test_points_of_a_worker_that_is_killed_are_solved_again_once():
    """By a new one, which is killed too where the points are to be given up."""
    (plane,) = planes_of(fields_case("shdl"), accuracy=1e-3)
    points = np.random.default_rng(3).uniform(size=(32, 2))
    expected = [reading.excess for reading in reader_of(plane)(points)]
    others = set(multiprocessing.active_children())
    with ProcessPool(2) as pool:
        killed = threading.Event()

        def kill(count: int) -> None:
            if not killed.is_set():
                killed.set()
                min(set(multiprocessing.active_children()) - others, key=lambda child: child.pid).kill()

        found = [reading.excess for reading in reader_of(plane, pool, tell=kill)(points)]
        assert killed.is_set()
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    with ProcessPool(2) as pool, pytest.raises(WorkerDiedError, match="ended 2 times at the same task"):
        pool.submit(_die).result()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_interruption_that_a_callback_drops_ends_a_diagram_all_the_same(monkeypatch):
    """C code drops what a handler raises in its callbacks: pydantic's type checks, and PETSc's on their first line."""

    def drop_it(plane, read):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1.0)
        read(np.array([[0.5, 0.5]]))
        pytest.fail("went on")

    monkeypatch.setattr(job, "make_diagram", drop_it)
    planes = planes_of(fields_case("mpnp"))
    progress = job._Progress(lambda line: None, 1)
    with pytest.raises(KeyboardInterrupt):
        job._found(progress, planes, 1, ())


@pytest.mark.parametrize("seconds", [3.5, 6.0])
def test_interrupted_command_with_workers_ends_at_once_in_one_sentence(tmp_path, seconds: float):
    """As the workers start, and as they solve: a Ctrl-C goes to all of them."""
    case = EXAMPLES / "diagrams" / "membrane_salt.toml"
    command = [BIN / "pnp-exclusion", "diagram", case, "--workers", "2", "--quiet", "-o", tmp_path / "out"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told == "pnp-exclusion: interrupted; no results were written\n"
    assert not (tmp_path / "out" / "points.csv").exists()


def test_command_refuses_ranks_and_bad_words():
    case = EXAMPLES / "diagrams" / "contents.toml"
    on_ranks = run_command("diagram", case, ranks=2, timeout=60)
    assert on_ranks.returncode == 2
    assert on_ranks.stderr.count("without mpiexec") == 1
    for words, message in (
        (("--law", "foo"), "there is no law"),
        (("--accuracy", "2"), "between 0 and 1"),
        (("--workers", "0"), "at least 1"),
        ((case,), "named twice"),
    ):
        finished = run_command("diagram", case, *words)
        assert finished.returncode == 2
        assert message in finished.stderr


def test_exact_lines_are_of_even_channels_without_reactions_only():
    """They would be those of another case."""
    case = fields_case("shdl")
    region = pnp.Region(name="m", x=[0.3, 0.6], excluded=["A"])
    reaction = pnp.Reaction(equation="A <-> B", forward=1.0, backward=2.0)
    found = {"plain": {}, "excluded": {"regions": [region]}, "reaction": {"reactions": [reaction]}}
    planes = {name: planes_of(case.model_copy(update=changes))[0] for name, changes in found.items()}
    assert {name for name, plane in planes.items() if exact_lines(plane)} == {"plain"}


def test_exact_lines_are_traced_to_a_tenth_of_the_accuracy():
    (plane,) = planes_of(fields_case("shdl"))
    tracing = trace(lambda points: exact_excess(plane, points), accuracy=1e-5)
    for line in tracing.lines:
        places = plane.coordinates(line.points[::20])
        apart = [abs(border_field(LEFT, RIGHT, line.function, p[1 - line.function]) - p[line.function]) for p in places]
        assert max(apart) < 2e-4


def test_currents_of_a_diagonal_mobility_are_uncorrelated_where_one_has_no_force_and_stirred_ones_nowhere(
    tmp_path: Path,
):
    """Without a force on it a species answers to its own potential alone, on whose line dM/d eta has no effect."""
    diagrams = []
    for law in ("mpnp", "shdl"):
        case = fields_case(law)
        noisy = case.diagram.model_copy(update={"noise": True})
        diagrams += diagrams_of(case.model_copy(update={"diagram": noisy}), resolution=5, accuracy=1e-2)
    mixed, stirred = diagrams
    assert not stirred.uncorrelated and max(r.correlation[0] for r in stirred.readings) < -0.01
    (equilibrium,) = [common.point for common in mixed.common_points if common.equilibrium]
    apart = np.concatenate([line.points for line in mixed.uncorrelated]) - equilibrium
    # the two lines cross there, which is drawn as two that turn away from each other
    off = np.abs(apart).min(axis=1)[np.linalg.norm(apart, axis=1) > 0.15]
    assert len(off) > 20 and off.max() < 1e-2
    correlations = [reading.correlation[0] for reading in mixed.readings]
    assert min(correlations) < -0.1 and max(correlations) > 0.1
    rows = list(csv.DictReader(points_csv(diagrams).splitlines()))
    assert float(rows[0]["correlation_A_B"]) == pytest.approx(correlations[0], rel=1e-8)
    assert as_json(diagrams)["diagrams"][0]["uncorrelated"][0]["species"] == ("A", "B")
    noise_plots.draw(tmp_path / "noise.png", diagrams)
    assert (tmp_path / "noise.png").stat().st_size > 10_000
