"""Cells that are refined for an accuracy: estimated errors beside known ones, marks that are kept, refusals."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import ROOT, change, mistakes, run_command, summary_of, write_toml
from dolfinx import mesh as dmesh

import pnp_exclusion as pnp
from pnp_exclusion.cli.main import main
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.functionals import values
from pnp_exclusion.discretisation.integration import integral
from pnp_exclusion.mesh.domain import tensor_domain
from pnp_exclusion.mesh.gmsh_domain import gmsh_domain
from pnp_exclusion.mesh.refine import refined, refined_interval
from pnp_exclusion.mesh.sizes import areas
from pnp_exclusion.solution.goals import goals_of
from pnp_exclusion.solver.error_estimate import Estimate
from pnp_exclusion.studies.fits.data import measurements
from pnp_exclusion.studies.fits.model import Model

DEBYE, BULK = 0.1, 0.1


def reservoir(where: str, amount: float, potential: float = 0.0) -> dict:
    return {"where": where, "kind": "reservoir", "fraction": {"p": amount, "m": amount}, "potential": potential}


def salt(law: str = "pnp", left: dict | None = None, **others) -> dict:
    """A salt between two reservoirs, 12 cells."""
    return {
        "model": {"units": "dimensionless", "law": law, "debye_length": DEBYE},
        "species": [{"name": "p", "charge": 1}, {"name": "m", "charge": -1}],
        "domain": {"shape": "interval", "length": 1.0, "cells": 12},
        "boundaries": [left or reservoir("left", 0.2, 2.0), reservoir("right", BULK)],
        **others,
    }


def patch(**solver) -> dict:
    """A salt that passes a square of fixed charge, on 50 triangles."""
    return salt(
        domain={"shape": "rectangle", "size": [1.0, 1.0], "cells": 5},
        regions=[{"name": "gel", "x": [0.4, 0.8], "y": [0.0, 0.4], "fixed_charge": -0.5}],
        solver=solver,
    )


ELECTRODE = {"where": "left", "kind": "electrode", "potential": 3.0}
STERN = {**ELECTRODE, "stern": {"capacitance": 0.1}}
GIVEN_CURRENT = {key: value for key, value in reservoir("left", 0.2).items() if key != "potential"}
FIELDS = {"units": "dimensionless", "law": "pnp", "electrostatics": "imposed"}
CLOSED = [{"name": "p", "charge": 1, "mean_fraction": 0.1}, {"name": "m", "charge": -1, "mean_fraction": 0.1}]
RING = {
    "model": FIELDS,
    "species": [{"name": "p", "mean_fraction": 0.1, "field": 1.0}],
    "domain": {"shape": "interval", "length": 1.0, "cells": 12, "periodic": ["x"]},
}


@pytest.mark.parametrize(
    ("case", "goals"),
    [
        (salt(), ["currents", "charge.left", "amount.p"]),
        (salt("mpnp"), ["currents", "amount.m"]),
        (salt(left=ELECTRODE), ["charge.left", "amount.p"]),
        (salt(left=STERN), ["charge.left", "amount.p"]),
        (salt(left=STERN, species=CLOSED) | {"boundaries": [STERN, {**ELECTRODE, "where": "right", "potential": 0.0}]},
         ["charge.left"]),
        (salt(left={**GIVEN_CURRENT, "total_current": 0.3}), ["currents", "charge.left", "amount.p"]),
        (salt(left={"where": "left", "kind": "exchange", "fraction": {"p": 0.2, "m": 0.2}, "rate": {"p": 3, "m": 2},
                    "potential": 1.0}),
         ["currents", "charge.left"]),
    ],
    ids=["reservoirs", "crowded", "electrode", "stern", "closed", "given current", "exchange"],
)  # fmt: skip
def test_estimates_are_the_errors_that_a_fine_mesh_shows(case: dict, goals: list[str]):
    fine = pnp.solve(change(case, "domain", "cells", to=192))
    found = pnp.solve(case | {"solver": {"accuracy": 3e-6, "goal": goals}})
    refinement = found.refinement
    exact = values([goal.functional for goal in refinement.goals], fine.discretisation)
    for level in refinement.levels:
        for goal, value in zip(refinement.goals, exact, strict=True):
            error = value - level.values[goal.name]
            assert level.errors[goal.name] == pytest.approx(error, rel=0.3, abs=1e-9)
    assert refinement.estimated <= 3e-6
    assert not refinement.warnings


def test_charge_of_a_crowded_layer_is_as_accurate_as_wanted():
    # Kilic, Bazant and Ajdari, Phys. Rev. E 75, 021502 (2007), the bulk being ten Debye lengths away
    case = salt("mpnp", ELECTRODE) | {"solver": {"accuracy": 1e-6}}
    case["model"]["debye_length"] = 0.02
    found = pnp.solve(case)
    exact = 0.02 * math.sqrt(2.0 * math.log(1.0 + 2.0 * BULK * (math.cosh(3.0) - 1.0)))
    error = found.steady.totals.charge["left"] / exact - 1.0
    assert abs(error) < 1e-6
    assert 0.5 < found.refinement.estimated / abs(error) < 3.0
    assert found.summary()["accuracy"]["goals"]["charge.left"]["value"] == pytest.approx(exact, rel=1e-6)


def test_meshes_in_the_plane_are_refined_until_the_estimate_is_small_enough():
    fine = pnp.solve(patch(degree=4) | {"domain": {"shape": "rectangle", "size": [1.0, 1.0], "cells": 40}})
    found = pnp.solve(patch(accuracy=1e-5))
    for name, current in fine.currents.items():
        assert found.currents[name] == pytest.approx(current, rel=1e-5)
    levels = found.refinement.levels
    assert levels[0].relative > 1e-4
    for level, effectivity in zip(levels[:-1], found.refinement.effectivities(), strict=False):
        assert effectivity is None or 0.5 < effectivity < 2.0, level


def test_what_cannot_be_reached_is_a_warning_with_the_error_that_is_left():
    with pytest.warns(pnp.SolutionWarning, match="accuracy"):
        found = pnp.solve(salt(solver={"accuracy": 1e-9, "most_unknowns": 100}))
    assert found.converged
    (sentence,) = found.refinement.warnings
    assert "accuracy = 1e-09 was not reached" in sentence
    assert "most_unknowns is 100" in sentence
    assert sentence in found.warnings
    assert found.summary()["accuracy"]["reached"] is False


def test_closed_species_beside_a_temperature_have_an_estimate():
    tables = tomllib.loads((ROOT / "examples" / "bullets_and_rods.toml").read_text())
    found = pnp.solve(tables | {"solver": {"accuracy": 1e-5}})
    assert found.refinement.estimated <= 1e-5
    fine = pnp.solve(change(tables, "domain", "cells", to=80))
    assert found.currents == pytest.approx(fine.currents, rel=1e-5)


def test_an_estimate_that_is_no_number_ends_refinement_at_once(monkeypatch: pytest.MonkeyPatch):
    def broken(discrete: Discretisation, functionals: list, *_: object) -> Estimate:
        cells = discrete.problem.domain.local_cells
        return Estimate(np.ones(len(functionals)), np.full(len(functionals), np.nan), np.ones((1, cells)))

    monkeypatch.setattr("pnp_exclusion.solution.adaptive.estimate", broken)
    with pytest.warns(pnp.SolutionWarning, match="the estimate is not a finite number$"):
        found = pnp.solve(salt(solver={"accuracy": 1e-5}))
    assert len(found.refinement.levels) == 1


@pytest.mark.parametrize(
    ("left", "goals"),
    [
        (reservoir("left", BULK), ["charge.left", "amount.p", "entropy_production", "currents", "currents"]),
        (ELECTRODE | {"potential": 0.0}, ["charge.left", "charge.left", "amount.p"]),
    ],
    ids=["equal reservoirs", "no voltage"],
)
def test_goals_that_are_zero_are_accurate_on_the_first_mesh(left: dict, goals: list[str]):
    found = pnp.solve(salt(left=left, solver={"accuracy": 1e-6, "goal": goals}))
    # the state is uniform, which any elements have, and errors are rounding
    assert len(found.refinement.levels) == 1
    assert found.refinement.estimated < 1e-9
    assert not found.refinement.warnings
    assert len({goal.name for goal in found.refinement.goals}) == len(found.refinement.goals)


def test_goals_of_what_does_not_flow_are_told_of():
    with pytest.raises(pnp.CaseError, match=r'goal "currents\.p" is from end to end, and this case has no'):
        pnp.solve(RING | {"solver": {"accuracy": 1e-6, "goal": "currents.p"}})
    with pytest.warns(pnp.SolutionWarning, match=r"accuracy is of flux\.right\.p, and nothing flows"):
        pnp.solve(salt(left=ELECTRODE, solver={"accuracy": 1e-6, "goal": "flux.right.p"}))


def test_cells_of_a_periodic_interval_are_cut_into_parts():
    coarse = tensor_domain(MPI.COMM_SELF, [np.array([0.0, 0.25, 0.5, 1.0])], [[0.0, 1.0]], [0])
    finer = refined_interval(coarse, np.array([2, 1, 4]))
    assert finer.periodic == coarse.periodic
    assert finer.grid.nodes[0] == pytest.approx([0.0, 0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 1.0])


@pytest.mark.parametrize("file", ["slit", "nanopore_3d"])
def test_boundaries_and_regions_of_a_file_stay_where_they_are(file: str):
    domain = gmsh_domain(MPI.COMM_SELF, ROOT / "meshes" / f"{file}.msh")
    rounds = np.zeros(domain.local_cells, dtype=int)
    rounds[::20] = 1
    finer, children = refined(domain, rounds)
    assert finer.cells > 1.1 * domain.cells
    assert integral(finer) == pytest.approx(integral(domain), rel=1e-12)
    for name, cells in domain.region_cells.items():
        assert np.array_equal(finer.region_cells[name], np.flatnonzero(np.isin(children.parents, cells)))
    assert finer.region_cells.keys() == domain.region_cells.keys()
    for name, facets in domain.boundary_facets.items():
        before, after = areas(domain, facets).sum(), areas(finer, finer.boundary_facets[name]).sum()
        # of bent facets the areas are those of straight ones, which come nearer to the curve
        assert after == pytest.approx(before, rel=1e-12 if "3d" not in file else 2e-2)
        assert len(finer.boundary_facets[name]) >= len(facets)


def test_quadrangles_of_a_file_are_refined_as_triangles(tmp_path: Path):
    square = unit_square(tmp_path / "square.msh")
    case = patch(accuracy=1e-3)
    whole = pnp.solve(case)
    case["domain"] = {"shape": "gmsh", "file": str(square)}
    found = pnp.solve(case)
    assert found.discretisation.problem.domain.mesh.topology.cell_name() == "triangle"
    assert found.currents == pytest.approx(whole.currents, rel=2e-3)
    given = case | {"domain": pnp.Mesh(mesh=dmesh.create_rectangle(
        MPI.COMM_SELF, [[0.0, 0.0], [1.0, 1.0]], [5, 5], dmesh.CellType.quadrilateral),
        boundaries={"left": lambda x: x[0] == 0.0, "right": lambda x: x[0] == 1.0})}  # fmt: skip
    with pytest.raises(pnp.CaseError, match="quadrilateral, cannot be"):
        pnp.solve(pnp.Case(**given))


def test_studies_tell_of_a_mesh_that_is_not_as_accurate_as_wanted(tmp_path: Path):
    case = pnp.make_case(salt(solver={"accuracy": 1e-9, "most_unknowns": 100}))
    key = "boundaries.left.potential"
    with pnp.Workbench(case, also=[case.varied({key: 1.0})]) as bench:
        first, last = bench.warnings
    assert first.startswith("at the first point: [solver] accuracy = 1e-09 was not reached")
    assert last.startswith("at the last point: [solver] accuracy = 1e-09 was not reached")
    data = measurements([{"observable": "charge.left", "value": 0.1, key: potential} for potential in (2.0, 1.0)], case)
    with Model(case, data, ["boundaries.left.fraction.p"], MPI.COMM_SELF, ()) as model:
        assert model.warnings == (first, last)
    tables = case.as_written() | {"sweep": {"axes": [{"key": key, "values": [2.0, 1.0]}]}}
    assert main(["sweep", str(write_toml(tables, tmp_path / "case.toml")), "-o", str(tmp_path / "out")]) == 0
    log = (tmp_path / "out" / "log.txt").read_text()
    assert log.count(f"warning: {first}") == log.count(f"warning: {last}") == 1


@pytest.mark.parametrize(
    "case",
    [
        salt(reactions=[{"equation": "p + m <-> 0", "forward": 1.0, "backward": 0.01}]),
        RING,
    ],
    ids=["reaction", "periodic"],
)
def test_everything_of_the_summary_but_found_potentials_can_be_asked_for(case: dict):
    # names are in two rooms, one of which has the tables only
    first = pnp.solve(case | {"solver": {}})
    summed = {goal.name for goal in goals_of(first.steady) if not goal.name.startswith("found_potential.")}
    (sentence,) = mistakes(case | {"solver": {"accuracy": 0.5, "goal": "?"}})
    assert "there is" in sentence
    listed = set(re.findall(r'"([^"]*)"', sentence.partition(";")[2])) - {"currents"}
    found = pnp.solve(case | {"solver": {"accuracy": 0.5, "goal": sorted(summed)}})
    assert {goal.name for goal in found.refinement.goals} == summed
    assert listed <= summed | {"electric_current", "currents.p"}


def unit_square(path: Path) -> Path:
    """A square of 5 by 5 quadrangles."""
    import gmsh

    gmsh.initialize(["-noenv"], interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        corners = [gmsh.model.geo.addPoint(*xy, 0.0) for xy in ((0, 0), (1, 0), (1, 1), (0, 1))]
        sides = [gmsh.model.geo.addLine(a, b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)]
        face = gmsh.model.geo.addPlaneSurface([gmsh.model.geo.addCurveLoop(sides)])
        for side in sides:
            gmsh.model.geo.mesh.setTransfiniteCurve(side, 6)
        gmsh.model.geo.mesh.setTransfiniteSurface(face)
        gmsh.model.geo.mesh.setRecombine(2, face)
        gmsh.model.geo.synchronize()
        gmsh.model.addPhysicalGroup(1, [sides[3]], name="left")
        gmsh.model.addPhysicalGroup(1, [sides[1]], name="right")
        gmsh.model.addPhysicalGroup(2, [face], name="inside")
        gmsh.model.mesh.generate(2)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()
    return path


def test_two_ranks_find_what_one_does(tmp_path: Path):
    write_toml(patch(accuracy=1e-4, goal=["currents", "charge.left"]), tmp_path / "case.toml")
    found = []
    for ranks in (1, 2):
        done = run_command("run", tmp_path / "case.toml", "-o", tmp_path / str(ranks), ranks=ranks)
        assert done.returncode == 0, done.stderr
        found.append(summary_of(tmp_path / str(ranks))["accuracy"])
        assert (tmp_path / str(ranks) / "accuracy.png").exists()
    one, two = found
    assert one["reached"] and two["reached"]
    for goal, value in one["goals"].items():
        assert two["goals"][goal]["value"] == pytest.approx(value["value"], rel=2e-4)
    assert abs(len(one["history"]) - len(two["history"])) <= 1


def test_a_curve_keeps_the_mesh_that_its_ends_need():
    case = pnp.make_case(patch(accuracy=1e-4))
    other = case.varied({"boundaries.left.potential": -2.0})
    with pnp.Workbench(case, also=[case, other]) as bench:
        for one in (case, other):
            kept = bench.solve(one)
            alone = pnp.solve(one)
            assert kept.discretisation.problem.domain.cells >= alone.refinement.levels[-1].cells
            assert kept.currents == pytest.approx(alone.currents, rel=3e-4)


def test_bad_accuracies_and_goals_are_refused_with_what_there_is():
    for accuracy in (0.0, -1e-3, 1.0):
        (sentence,) = mistakes(salt(solver={"accuracy": accuracy}))
        assert "[solver]: accuracy" in sentence
    (sentence,) = mistakes(salt(solver={"accuracy": 1e-3, "goal": "flux.left.q"}))
    assert 'goal "flux.left.q" is nothing that this case has; did you mean "flux.left.' in sentence
    (sentence,) = mistakes(salt(solver={"goal": "currents"}))
    assert "goal goes with accuracy" in sentence
    moving = salt(solver={"accuracy": 1e-3}) | {"time": {"end": 1.0}}
    assert any("accuracy is of steady states" in sentence for sentence in mistakes(moving))
    sides = patch(accuracy=1e-3)
    sides["domain"] |= {"periodic": ["y"]}
    assert any("accuracy goes with periodic sides in one dimension only" in sentence for sentence in mistakes(sides))
