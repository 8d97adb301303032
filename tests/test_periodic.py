"""Periodic sides: what is solved on them must not know where they are."""

from __future__ import annotations

import copy
from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import mistakes, read_fields, run_command, summary_of, write_toml
from dolfinx import fem
from msh import LINE, TRIANGLE, Square, write_msh

import pnp_exclusion as pnp
from pnp_exclusion.case.case import make_case
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.domain import tensor_domain
from pnp_exclusion.observe.sample import values_at

HEIGHT = 0.5


def between_reservoirs(domain: dict, degree: int = 2, regions: tuple = ()) -> dict:
    """Two salt solutions, with 4 kT/e between them, and what regions there are."""
    held = [("left", 0.2, 0.0), ("right", 0.1, 4.0)]
    return {
        "model": {"law": "mpnp", "units": "dimensionless", "debye_length": 0.1},
        "species": [{"name": "Na", "charge": 1}, {"name": "Cl", "charge": -1}],
        "domain": domain,
        "regions": [{"name": f"region {i}", "fixed_charge": -0.3, **one} for i, one in enumerate(regions)],
        "boundaries": [
            {"where": where, "kind": "reservoir", "fraction": {"Na": salt, "Cl": salt}, "potential": potential}
            for where, salt, potential in held
        ],
        "solver": {"degree": degree},
    }


def rectangle(height: float = HEIGHT, rows: int = 10) -> dict:
    return {"shape": "rectangle", "size": [1.0, height], "cells": [20, rows], "periodic": ["y"]}


def fluxes(solution: pnp.Solution) -> np.ndarray:
    """Out of the domain, by boundary and species."""
    return np.array([[one["value"] for one in of.values()] for of in solution.readings()["flux"].values()])


def by_place(solution: pnp.Solution, shift: float = 0.0) -> np.ndarray:
    """Contents and potential at every node but those of the upper side, in the order of their places after a shift."""
    data = solution.to_xarray()
    x, y = data["x"].values, (data["y"].values + shift) % HEIGHT
    y[y > HEIGHT - 1e-9] = 0.0
    values = np.vstack([data["concentration"].values, data["potential"].values])
    places = np.round(np.column_stack([x, y]), 9)
    _, first = np.unique(places, axis=0, return_index=True)
    return values[:, first]


@pytest.mark.parametrize("degree", [1, 2])
def test_data_along_x_alone_give_the_solution_of_the_interval(degree: int):
    """Nothing is left of the sides, beside which the diagonals of a mesh between walls leave an error of 1e-6."""
    regions = ({"x": [0.4, 0.6]},)
    periodic = pnp.solve(make_case(between_reservoirs(rectangle(), degree, regions)))
    interval = {"shape": "interval", "length": 1.0, "cells": 20}
    straight = pnp.solve(make_case(between_reservoirs(interval, degree, regions)))
    np.testing.assert_allclose(fluxes(periodic), HEIGHT * fluxes(straight), rtol=1e-7)
    assert set(periodic.readings()["flux"]) == {"left", "right"}
    nodes = (20 * degree + 1, 10 * degree)
    assert periodic.readings()["unknowns"] == 3 * nodes[0] * nodes[1]


@pytest.mark.parametrize("degree", [1, 2])
def test_a_pattern_that_is_shifted_shifts_its_solution(degree: int):
    """Translation invariance, also of a patch that goes on through the sides; the mesh is the same after the shift."""
    whole = ({"x": [0.4, 0.6], "y": [0.1, 0.25]},)
    parted = ({"x": [0.4, 0.6], "y": [0.4, 0.5]}, {"x": [0.4, 0.6], "y": [0.0, 0.05]})
    first, second = (pnp.solve(make_case(between_reservoirs(rectangle(), degree, one))) for one in (whole, parted))
    np.testing.assert_allclose(fluxes(second), fluxes(first), rtol=1e-9)
    np.testing.assert_allclose(by_place(second), by_place(first, shift=0.3), atol=1e-9)
    # and the pattern is felt
    assert np.ptp(by_place(first) - by_place(first, shift=0.3)) > 1e-2


def test_two_periods_carry_twice_the_flux_of_one():
    patches = [{"x": [0.4, 0.6], "y": [low, low + 0.15]} for low in (0.1, 0.1 + HEIGHT)]
    one = pnp.solve(make_case(between_reservoirs(rectangle(), 2, tuple(patches[:1]))))
    two = pnp.solve(make_case(between_reservoirs(rectangle(2 * HEIGHT, 20), 2, tuple(patches))))
    np.testing.assert_allclose(fluxes(two), 2.0 * fluxes(one), rtol=1e-9)


def test_multigrid_over_periodic_grids_needs_no_more_steps():
    """Ten Krylov steps over three of Newton, as between walls."""
    patch = ({"x": [0.4, 0.6], "y": [0.0, 0.15]},)
    found = {}
    for preset in ("direct", "fieldsplit"):
        tables = between_reservoirs(rectangle(), 2, patch)
        tables["domain"]["cells"] = [40, 20]
        tables["solver"]["linear"] = preset
        found[preset] = pnp.solve(make_case(tables))
    direct, multigrid = (fluxes(one) for one in found.values())
    np.testing.assert_allclose(multigrid, direct, rtol=1e-8)
    report = found["fieldsplit"].report
    assert report.linear_iterations <= 5 * report.newton_iterations


# ---- round a ring ----


def ring(law: str, **species: dict) -> dict:
    return {
        "model": {"law": law, "units": "dimensionless", "electrostatics": "imposed"},
        "species": [{"name": name, **one} for name, one in species.items()],
        "domain": {"shape": "interval", "length": 1.0, "cells": 20, "periodic": ["x"]},
    }


def round_flux(solution: pnp.Solution, axis: str) -> list[float]:
    return [one["value"] for one in solution.readings()["flux_along"][axis].values()]


def test_a_field_drives_a_steady_current_round_a_ring():
    """Flat states: point particles ``rho E``; shdl ``rho_a (rho_0 E_a + sum_b rho_b (E_a - E_b))``."""
    driven = {"A": {"field": 3.0, "mean_fraction": 0.2}, "B": {"field": -1.0, "mean_fraction": 0.3}}
    for law, expected in {"pnp": [0.6, -0.3], "shdl": [0.54, -0.39]}.items():
        solution = pnp.solve(make_case(ring(law, **driven)))
        assert round_flux(solution, "x") == pytest.approx(expected, rel=1e-9)
        power = 3.0 * expected[0] - expected[1]
        assert solution.readings()["entropy_production"]["value"] == pytest.approx(power, rel=1e-9)
        profile = solution.to_xarray()
        np.testing.assert_allclose(profile["concentration"][0], 0.2, rtol=1e-9)
        assert profile["x"].values[[0, -1]].tolist() == [0.0, 1.0]
        assert solution.warnings == []


def test_a_tilted_potential_drives_what_stratonovich_says():
    """``J = N (1 - e^-F) / int_0^1 int_x^{x+1} e^{U(y) - U(x)} dy dx`` for point particles in ``U(x) = -int E``.

    R. L. Stratonovich, Radiotekh. Elektron. 3, 497 (1958); here by the trapezoidal rule.
    """
    knots, values = [0.0, 0.5, 1.0], [9.0, -3.0, 9.0]
    tables = ring("pnp", A={"field": {"x": knots, "values": values}, "mean_fraction": 0.2})
    del tables["domain"]["cells"]
    x = np.linspace(0.0, 2.0, 4001)
    field = np.interp(x % 1.0, knots, values)
    downhill = np.concatenate([[0.0], np.cumsum(0.5 * (field[1:] + field[:-1]) * np.diff(x))])
    cumulated = np.concatenate([[0.0], np.cumsum(0.5 * (np.exp(-downhill[1:]) + np.exp(-downhill[:-1])) * np.diff(x))])
    of_round = (cumulated[2000:] - cumulated[:2001]) * np.exp(downhill[:2001])
    expected = 0.2 * (1.0 - np.exp(-downhill[2000])) / np.trapezoid(of_round, x[:2001])
    # less than the mean field alone would: the hill holds them back
    assert expected < 0.8 * 0.2 * 3.0
    assert round_flux(pnp.solve(make_case(tables)), "x") == pytest.approx([expected], rel=1e-5)


def test_a_ring_with_poisson_needs_no_boundary_and_knows_no_beginning():
    """Without fixed charge ``J = z rho E``; a charged piece holds the same current back wherever it is on the ring."""
    salt = {name: {"charge": z, "field": 3.0 * z, "mean_fraction": 0.1} for name, z in (("Na", 1), ("Cl", -1))}
    tables = ring("mpnp", **salt)
    tables["model"] = {"law": "mpnp", "units": "dimensionless", "debye_length": 0.1}
    assert round_flux(pnp.solve(make_case(copy.deepcopy(tables))), "x") == pytest.approx([0.3, -0.3], rel=1e-9)
    tables["species"][1]["mean_fraction"] = 0.16
    found = []
    for low in (0.0, 0.5):
        tables["regions"] = [{"name": "charged", "x": [low, low + 0.2], "fixed_charge": 0.3}]
        found.append(round_flux(pnp.solve(make_case(copy.deepcopy(tables))), "x"))
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert found[0][0] < 0.299


def charged_slit() -> dict:
    """Ions between two walls with charged layers, driven along these by a field."""
    layers = {"lower": [0.0, 0.1], "upper": [0.9, 1.0]}
    return {
        "model": {"law": "mpnp", "units": "dimensionless", "debye_length": 0.1},
        "species": [
            {"name": "Na", "charge": 1, "field": [0.0, 2.0], "mean_fraction": 0.2, "diffusivity": 0.7},
            {"name": "Cl", "charge": -1, "field": [0.0, -2.0], "mean_fraction": 0.1},
        ],
        "domain": {"shape": "rectangle", "size": [1.0, 0.5], "cells": [20, 4], "periodic": ["y"]},
        "regions": [{"name": name, "x": x, "fixed_charge": -0.5} for name, x in layers.items()],
        "boundaries": [{"where": "left", "kind": "wall"}],
    }


def test_all_ions_of_a_charged_slit_carry_current_along_it():
    """Where nothing changes along the field, every ion drifts by itself: ``J = D z E`` times all there are."""
    solution = pnp.solve(make_case(charged_slit()))
    assert round_flux(solution, "y") == pytest.approx([0.7 * 0.2 * 2.0, -0.1 * 2.0], rel=1e-8)
    assert solution.readings()["current_along"]["y"]["value"] == pytest.approx(0.48, rel=1e-8)
    assert solution.warnings == []


# ---- ranks, files ----


def test_two_ranks_find_the_same_and_both_sides_have_the_same_fields(tmp_path: Path):
    patch = ({"x": [0.4, 0.6], "y": [0.0, 0.15]},)
    tables = between_reservoirs(rectangle(), 2, patch) | {"output": {"pictures": False}}
    case = write_toml(tables, tmp_path / "case.toml")
    for ranks in (1, 2):
        finished = run_command("run", case, "-o", tmp_path / str(ranks), ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        fields = read_fields(tmp_path / str(ranks), ranks, cells=True)
        x, y, _ = fields["geometry"].T
        sides = [np.flatnonzero(np.abs(y - at) < 1e-9) for at in (0.0, HEIGHT)]
        lower, upper = (side[np.argsort(x[side], kind="stable")] for side in sides)
        assert len(x[lower]) >= 41
        for name in ("potential [kT/e]", "fraction_Na", "flux_Cl"):
            np.testing.assert_allclose(fields[name][upper], fields[name][lower], atol=1e-13)
        # no cell is drawn across the domain
        corners = fields["connectivity"][:, 1:].astype(int)
        if ranks == 1:
            assert np.ptp(y[corners], axis=1).max() < HEIGHT / 5
    one, two = (summary_of(tmp_path / str(ranks)) for ranks in (1, 2))
    for where in ("left", "right"):
        for name, flux in one["flux"][where].items():
            assert two["flux"][where][name]["value"] == pytest.approx(flux["value"], rel=1e-9)
    assert one["unknowns"] == two["unknowns"]


def test_a_solution_is_the_same_when_it_is_loaded(tmp_path: Path):
    patch = ({"x": [0.4, 0.6], "y": [0.0, 0.15]},)
    solution = pnp.solve(make_case(between_reservoirs(rectangle(), 2, patch)))
    solution.save(tmp_path / "solution")
    loaded = pnp.load(tmp_path / "solution")
    np.testing.assert_allclose(fluxes(loaded), fluxes(solution), rtol=1e-12)
    np.testing.assert_array_equal(by_place(loaded), by_place(solution))


def test_motion_on_a_periodic_domain_goes_on_from_its_checkpoint(tmp_path: Path):
    """Reference: the motion that nothing stops."""
    hill = {"x": [0.0, 0.5, 1.0], "values": [90.0, -30.0, 90.0]}
    tables = ring("pnp", A={"field": hill, "mean_fraction": 0.2}) | {"time": {"end": 1e-3, "checkpoint": {"steps": 2}}}
    whole = pnp.run(copy.deepcopy(tables))
    tables["time"]["end"] = 5e-4
    pnp.run(copy.deepcopy(tables), checkpoints=tmp_path)
    tables["time"]["end"] = 1e-3
    rest = pnp.run(copy.deepcopy(tables), restart=tmp_path)
    assert rest.time == whole.time
    profiles = [one.to_xarray()["concentration"].values for one in (rest, whole)]
    assert np.ptp(profiles[1]) > 0.05
    # both within the tolerance of a step
    np.testing.assert_allclose(*profiles, rtol=1e-3)


# ---- meshes ----


@pytest.mark.parametrize("axes", [(1,), (0, 1), (0, 1, 2)])
def test_vertices_of_a_box_on_two_sides_are_one(axes: tuple[int, ...]):
    counts = (5, 4, 3)
    domain = tensor_domain(MPI.COMM_SELF, [np.linspace(0.0, 1.0, n + 1) for n in counts], periodic=axes)
    topology = domain.mesh.topology
    topology.create_entities(1)
    expected = np.prod([n if axis in axes else n + 1 for axis, n in enumerate(counts)])
    assert topology.index_map(0).size_global == expected
    sides = ("left", "right", "bottom", "top", "back", "front")
    assert set(domain.boundary_facets) == {side for i, side in enumerate(sides) if i // 2 not in axes}
    # Euler's characteristic of anything times a circle
    assert sum((-1) ** d * topology.index_map(d).size_global for d in range(4)) == 0
    assert len(domain.exterior_facets) == sum(map(len, domain.boundary_facets.values()))


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("dimension", [2, 3])
def test_elements_fit_together_across_the_sides(dimension: int, degree: int):
    """A function without a seam is interpolated as on the mesh that ends at the sides."""
    along = [np.linspace(0.0, 1.0, 5)] * dimension
    points = np.zeros((60, 3))
    points[:, :dimension] = np.random.default_rng(1).random((60, dimension))
    points[:20, 1] *= 0.2
    points[20:40, 1] = 1.0 - 0.2 * points[20:40, 1]
    errors = []
    for axes in ((), (1,)):
        domain = tensor_domain(MPI.COMM_SELF, along, periodic=axes)
        function = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", degree)))
        function.interpolate(lambda x: x[0] * np.sin(2.0 * np.pi * (x[1] + 0.13)))
        exact = points[:, 0] * np.sin(2.0 * np.pi * (points[:, 1] + 0.13))
        errors.append(values_at(points, [function])[0][:, 0] - exact)
    np.testing.assert_allclose(errors[1], errors[0], atol=1e-12)


def mesh_file(path: Path, tapering: float = 0.0) -> Path:
    """The triangles of `rectangle`, the nodes of the upper side moved along it a little; its four sides are groups."""
    square = Square(20, 10, high=(1.0, HEIGHT))
    x, y = square.points.T
    square.points[:, 0] += tapering * x * (1.0 - x) * (y == HEIGHT)
    sides = ["left", "right", "bottom", "top"]
    lines = [(LINE, number, number, square.side(name)) for number, name in enumerate(sides, start=1)]
    names = [(1, number, name) for number, name in enumerate(sides, start=1)]
    return write_msh(path, square.points, [*lines, (TRIANGLE, 5, 1, square.triangles)], names)


def test_sides_of_a_mesh_file_are_periodic_too(tmp_path: Path):
    """The same triangles as of the rectangle."""
    patch = ({"x": [0.4, 0.6], "y": [0.0, 0.15]},)
    drawing = {"shape": "gmsh", "file": str(mesh_file(tmp_path / "mesh.msh")), "periodic": ["y"]}
    of_file = pnp.solve(make_case(between_reservoirs(drawing, 2, patch)))
    np.testing.assert_allclose(
        fluxes(of_file), fluxes(pnp.solve(make_case(between_reservoirs(rectangle(), 2, patch)))), rtol=1e-9
    )


def test_sides_of_a_mesh_file_must_match_and_carry_nothing(tmp_path: Path):
    drawing = {"shape": "gmsh", "file": str(mesh_file(tmp_path / "mesh.msh", tapering=0.1)), "periodic": ["y"]}
    with pytest.raises(CaseError, match="38 of their 42 nodes have no counterpart"):
        pnp.solve(make_case(between_reservoirs(drawing)))
    drawing["file"] = str(mesh_file(tmp_path / "even.msh"))
    tables = between_reservoirs(drawing)
    tables["boundaries"].append({"where": "top", "kind": "wall", "surface_charge": 0.1})
    with pytest.raises(CaseError, match='"top": it lies on a side along a periodic axis'):
        pnp.solve(make_case(tables))
    tables = between_reservoirs(drawing)
    drawing["periodic"] = ["x"]
    with pytest.raises(CaseError, match='"left": it lies on a side along a periodic axis'):
        pnp.solve(make_case(tables))


# ---- bad input ----


def test_what_periodic_sides_cannot_have_is_told():
    tables = between_reservoirs({"shape": "rectangle", "size": [1.0, 0.5], "cells": [8, 2]})
    tables["domain"]["periodic"] = ["y", "y", "z"]
    tables["boundaries"].append({"where": "top", "kind": "wall"})
    assert mistakes(tables) == [
        '[domain]: periodic names "y" more than once',
        '[domain]: periodic names "z", but the domain has 2 dimensions',
        "[domain]: cells = 2 along y, which is periodic: at least three",
        '[[boundaries]] "top": the domain is periodic along y and has no end there; remove this boundary, or take "y" '
        "out of periodic",
    ]


def test_the_distance_from_an_axis_is_not_periodic():
    tables = between_reservoirs({"shape": "rectangle", "size": [1.0, 0.5], "coordinates": "axisymmetric"})
    tables["domain"]["periodic"] = ["x"]
    assert '[domain]: periodic names "x", which is the distance from the axis; remove it' in mistakes(tables)


def test_a_torus_must_say_what_is_in_it():
    tables = between_reservoirs(rectangle() | {"periodic": ["x", "y"]})
    tables["boundaries"] = []
    told = mistakes(tables)
    assert any("where all axes are periodic there can be none, so give the amounts" in one for one in told)
    assert sum("its amount is not fixed" in one for one in told) == 2


def test_fields_beside_poisson_run_along_periodic_axes_only():
    tables = charged_slit()
    assert make_case(copy.deepcopy(tables)).species[0].field is not None
    tables["species"][0]["field"] = [1.0, 2.0]
    (told,) = mistakes(tables)
    assert "but for a uniform one along periodic axes" in told
    tables["species"][0]["field"] = [0.0, 2.0]
    tables["domain"]["periodic"] = []
    assert len(mistakes(tables)) == 2
