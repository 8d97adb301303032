"""Results that others open: VTKHDF in pyvista and plain h5py, tables of lines and points, grids in xarray."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest
import pyvista
from conftest import EXAMPLES, ROOT, dimensionless_case, example, run_command, summary_of, write_toml
from test_fields_on_disk import DOMAINS
from test_transient import between_electrodes

import pnp_exclusion as pnp
from pnp_exclusion.output.fields import write_fields
from pnp_exclusion.output.impedance import impedance_csv
from pnp_exclusion.output.noise import noise_csv
from pnp_exclusion.output.read_off import probes_csv
from pnp_exclusion.studies.curve_files import curve_csv

ON_LINES = {
    "lines": [
        {"name": "axis", "start": ["0 nm", "1.5 nm"], "end": ["12 nm", "1.5 nm"], "count": 25},
        {"start": ["6 nm", "-1 nm"], "end": ["6 nm", "5 nm"], "count": 7},
    ],
    "points": [{"name": "mouth", "at": ["3.5 nm", "1 nm"]}, {"at": ["12 nm", "5 nm"]}],
}


@pytest.fixture(scope="module", params=["slit", "sphere"])
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A quadratic solution on a mesh of triangles or tetrahedra, its file, and what was said of its error."""
    solution = pnp.solve(EXAMPLES / f"{request.param}.toml")
    path = tmp_path_factory.mktemp(request.param) / "fields.vtkhdf"
    return solution, path, write_fields(solution, [path])


def test_values_at_three_nodes_are_the_solvers_in_pyvista_and_plain_h5py(drawn: tuple):
    """By DOLFINx' own evaluation at the coordinates that the file has; mol/m^3 for mol/L, m for nm."""
    solution, path, _ = drawn
    grid, cation = pyvista.read(path), solution.case.species_names[0]
    with h5py.File(path) as file:
        root = file["VTKHDF"]
        points, units = root["Points"][:], {name: array.attrs["units"] for name, array in root["PointData"].items()}
        rows = [len(points) // 5, len(points) // 2, len(points) - 7]
        plain = {name: array[:][rows] for name, array in root["PointData"].items()}
        assert root["Points"].attrs["units"] == "nm"
    assert (units["potential"], units[f"concentration_{cation}"], units["flux_Cl"]) == ("V", "mol/L", "mol/m^2/s")
    assert list(grid.field_data["length_unit"]) == ["nm"]
    assert f"concentration_{cation}: mol/L" in list(grid.field_data["units"])
    dimension = solution.discretisation.problem.domain.dimension
    found = solution.at(points[rows][:, :dimension] * 1e-9)
    for read in (plain, {name: np.asarray(grid.point_data[name])[rows] for name in grid.point_data}):
        np.testing.assert_allclose(read["potential"], found["potential"], rtol=1e-9, atol=1e-14)
        for name in (cation, "Cl"):
            here = found.sel(species=name)
            np.testing.assert_allclose(read[f"concentration_{name}"], here["concentration"] / 1e3, rtol=1e-9)
            mu = here["electrochemical_potential"]
            np.testing.assert_allclose(read[f"electrochemical_potential_{name}"], mu, rtol=1e-9, atol=1e-11)
            flux = here["flux"].T
            np.testing.assert_allclose(
                read[f"flux_{name}"][:, :dimension], flux, rtol=1e-9, atol=1e-9 * abs(flux).max()
            )


def test_straight_cells_fill_the_mesh_and_are_as_near_to_the_solution_as_the_file_says(drawn: tuple):
    """Nothing overlaps or is turned over: the signed volumes of the pieces add up to that of the mesh. At the middles
    of cells, which are not where the error is largest, the solver's own values are within what is said, and near it."""
    solution, path, errors = drawn
    grid, mesh = pyvista.read(path), solution.discretisation.problem.domain.mesh
    dimension = mesh.topology.dim
    corners = grid.points[grid.cells.reshape(-1, dimension + 2)[:, 1:]]
    assert np.linalg.det((corners[:, 1:] - corners[:, :1])[:, :, :dimension]).min() > 0.0
    own = mesh.geometry.x[mesh.geometry.dofmaps[0]]
    volume = np.abs(np.linalg.det((own[:, 1:] - own[:, :1])[:, :, :dimension])).sum()
    stretch = solution.setup.scales.length_in_unit**dimension
    sizes = np.linalg.det((corners[:, 1:] - corners[:, :1])[:, :, :dimension]).sum()
    assert sizes == pytest.approx(volume * stretch, rel=1e-9)
    found = solution.at(corners.mean(axis=1)[:, :dimension] * 1e-9)
    for name, values, factor in [
        ("potential", found["potential"], 1.0),
        *((f"concentration_{a}", found["concentration"].sel(species=a), 1e-3) for a in solution.case.species_names),
    ]:
        straight = np.asarray(grid.point_data[name])[grid.cells.reshape(-1, dimension + 2)[:, 1:]].mean(axis=1)
        largest = float(abs(straight - values * factor).max())
        assert 0.3 * errors[name]["value"] <= largest <= errors[name]["value"] * (1.0 + 1e-9)
        with h5py.File(path) as file:
            assert file[f"VTKHDF/PointData/{name}"].attrs["sampling_error"] == errors[name]["value"]
    # what pyvista makes of it between the nodes
    middle = pyvista.PolyData(corners.mean(axis=1)[::97]).sample(grid)
    apart = np.asarray(middle["potential"]) - found["potential"].values[::97]
    assert np.abs(apart).max() <= errors["potential"]["value"] * (1.0 + 1e-9)


@pytest.mark.parametrize(("dimension", "degree"), [(1, 3), (2, 4), (3, 3)])
def test_pieces_of_cells_of_any_degree_fill_them(dimension: int, degree: int, tmp_path: Path):
    """Lines, triangles and tetrahedra of a box of known size; k^d pieces a cell."""
    solution = pnp.solve(dimensionless_case(law="pnp") | {"domain": DOMAINS[dimension], "solver": {"degree": degree}})
    write_fields(solution, [tmp_path / "fields.vtkhdf"])
    grid = pyvista.read(tmp_path / "fields.vtkhdf")
    assert grid.n_cells == degree**dimension * solution.discretisation.problem.domain.cells
    corners = grid.points[grid.cells.reshape(-1, dimension + 2)[:, 1:]]
    volumes = np.linalg.det((corners[:, 1:] - corners[:, :1])[:, :, :dimension])
    size = float(np.prod(DOMAINS[dimension].get("size", [1.0])))
    factorial = (1.0, 2.0, 6.0)[dimension - 1]
    assert (np.abs(volumes).sum() / factorial, volumes.sum() / factorial) == pytest.approx((size, size), rel=1e-12)


def test_states_in_time_are_steps_of_one_file(tmp_path: Path):
    """Two states of the smallest motion there is: as VTK and h5py have them, and in tables a row a state."""
    tables = between_electrodes("shdl", 1.0, -1.0, 0.2, end=0.01, fields={"count": 2})
    tables |= {"solver": {"linear": "direct"}, "output": {"points": [{"at": 0.0}]}}
    tables["domain"]["cells"] = 20
    path, end = tmp_path / "fields.vtkhdf", pnp.run(tables)
    write_fields(end, [path], end.moments)
    with h5py.File(path) as file:
        times, count = file["VTKHDF/Steps/Values"][:], int(file["VTKHDF/NumberOfPoints"][0])
        cations = file["VTKHDF/PointData/fraction_cation"][:].reshape(len(times), count)
        x = file["VTKHDF/Points"][:, 0]
    assert times.tolist() == pytest.approx([time for time, _ in end.moments])
    snapshots = end.snapshots()["concentration"].sel(species="cation")
    np.testing.assert_allclose(cations[:, np.argsort(x)], snapshots, rtol=1e-9)
    reader = pyvista.get_reader(path).reader
    assert reader.GetNumberOfSteps() == len(times)
    for step in range(len(times)):
        reader.SetStep(step)
        reader.Update()
        read = pyvista.wrap(reader.GetOutput())
        np.testing.assert_array_equal(read["fraction_cation"], cations[step])
        assert read.field_data["length_unit"][0] == "L"
    probes = pandas.read_csv(io.StringIO(probes_csv(end, end.moments)))
    np.testing.assert_allclose(probes["time"], times)
    np.testing.assert_allclose(probes["fraction_cation"], snapshots[:, 0], rtol=1e-9)
    at_wall = end.snapshots([0.0])["concentration"].sel(species="cation", point=0)
    np.testing.assert_allclose(at_wall, snapshots[:, 0], rtol=1e-12)


def test_lines_points_and_nodes_are_tables_and_two_ranks_write_the_same(tmp_path: Path):
    """Values are those of `Solution.at`; nothing is there twice on two ranks, and nodes are in the same order; what
    lies outside is empty and told."""
    (tmp_path / "meshes").mkdir()
    shutil.copy(ROOT / "meshes" / "slit.msh", tmp_path / "meshes")
    tables = example("slit") | {"output": ON_LINES | {"fields": ["vtkhdf", "csv"], "pictures": False}}
    tables["domain"]["file"] = "meshes/slit.msh"
    case = write_toml(tables, tmp_path / "case.toml")
    read = {}
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        finished = run_command("run", case, "-o", folder, ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        assert 'line "2": 1 of its 7 points are outside the domain and have no values' in finished.stderr
        read[ranks] = {name: pandas.read_csv(folder / f"{name}.csv") for name in ("lines", "probes", "fields")}
        with h5py.File(folder / "fields.vtkhdf") as file:
            points = file["VTKHDF/Points"][:]
            read[ranks]["file"] = pandas.DataFrame(points).assign(c=file["VTKHDF/PointData/concentration_Na"][:])
            cells = file["VTKHDF/Connectivity"][:].reshape(-1, 3)
            said = {name: array.attrs.get("sampling_error") for name, array in file["VTKHDF/PointData"].items()}
        errors = summary_of(folder)["sampling_error"]
        assert errors["potential"]["unit"] == "V" and len(errors) == 6
        assert all(said[name] == error["value"] > 0.0 for name, error in errors.items())
        assert len(np.unique(points.round(9), axis=0)) == len(points) == len(read[ranks]["fields"])
        assert set(cells.ravel()) == set(range(len(points)))
    lines = read[1]["lines"]
    assert lines["line"].astype(str).tolist() == 25 * ["axis"] + 7 * ["2"]
    assert lines["potential [V]"].isna().tolist() == 25 * [False] + [True] + 6 * [False]
    with pytest.warns(pnp.SolutionWarning, match="1 of its 7 points"):
        solution = pnp.solve(case)
    along = solution.along(["0 nm", "1.5 nm"], ["12 nm", "1.5 nm"], 25)
    np.testing.assert_allclose(lines["distance [nm]"][:25], along["distance"] * 1e9, atol=1e-9)
    na = along.sel(species="Na")
    np.testing.assert_allclose(lines["concentration_Na [mol/L]"][:25], na["concentration"] / 1e3, rtol=1e-9)
    np.testing.assert_allclose(lines["flux_x_Na [mol/m^2/s]"][:25], na["flux"].sel(axis="x"), rtol=1e-9)
    assert read[1]["probes"]["point"].tolist() == ["mouth", "2"]
    # held there
    assert read[1]["probes"]["concentration_Cl [mol/L]"][1] == pytest.approx(0.5, rel=1e-9)
    for name, one in read[1].items():
        by = [column for column in one.columns if str(column)[0] in "xy012"]
        one, other = (
            table.select_dtypes("number").round(dict.fromkeys(by, 7)).sort_values(by).reset_index(drop=True)
            if name == "file"
            else table.select_dtypes("number")
            for table in (one, read[2][name])
        )
        apart = (one - other).abs().max() / one.abs().max()
        assert apart[one.any()].max() < 1e-7, name


def test_lines_and_points_outside_are_refused_once_the_mesh_is_known():
    """In one sentence each, which says how far the domain reaches."""
    tables = example("slit") | {
        "output": {
            "lines": [{"start": ["0 nm", "6 nm"], "end": ["12 nm", "6 nm"]}],
            "points": [{"name": "lost", "at": ["13 nm", "1 nm"]}, {"at": ["1 nm", "1 nm"]}],
        }
    }
    tables["domain"]["file"] = str(ROOT / "meshes" / "slit.msh")
    with pytest.raises(pnp.CaseError) as caught:
        pnp.solve(tables)
    reach = "which reaches in x from 0 to 12, y from 0 to 5 nm"
    assert caught.value.mistakes == [
        f'[[output.points]] "lost": it is outside the domain, {reach}',
        f'[[output.lines]] "1": none of its points is inside the domain, {reach}',
    ]


def test_what_regions_hold_adds_up_to_the_whole(drawn: tuple):
    """Of the slit's membrane the volume is known, 4 nm x 4 nm; of the three parts of an interval the sum of what they
    hold is the integral of the profile by Simpson's rule on every cell."""
    solution = drawn[0]
    if "membrane" in (regions := solution.summary()["regions"]):
        assert regions["membrane"]["volume"] == {"value": pytest.approx(16e-18, rel=1e-9, abs=0.0), "unit": "m^2"}
    tables = example("membrane")
    tables["regions"] += [{"name": "in", "x": ["0 nm", "1.25 nm"]}, {"name": "out", "x": ["3.75 nm", "5 nm"]}]
    solution = pnp.solve(tables)
    held, profile = solution.summary()["regions"], solution.profile()
    x, chloride = profile["x"].values, profile["concentration"].sel(species="Cl").values
    whole = ((x[2::2] - x[:-2:2]) / 6.0 * (chloride[:-2:2] + 4.0 * chloride[1::2] + chloride[2::2])).sum()
    amounts = [one["amount"]["Cl"] for one in held.values()]
    assert {amount["unit"] for amount in amounts} == {"mol/m^2"}
    assert sum(amount["value"] for amount in amounts) == pytest.approx(whole, rel=1e-7)
    mean = held["membrane"]["mean"]["Cl"]
    assert mean["value"] * 2.5e-9 == pytest.approx(held["membrane"]["amount"]["Cl"]["value"], rel=1e-12)
    total = solution.summary()["entropy_production"]["value"]
    assert sum(one["entropy_production"]["value"] for one in held.values()) == pytest.approx(total, rel=1e-12)


def test_tables_of_curves_impedances_and_noise_are_opened_in_one_line():
    """Every column is numbers, with its unit in the header, but for words."""
    solution = pnp.solve(EXAMPLES / "membrane.toml")
    tables = [
        curve_csv(pnp.iv(solution.case, "left", "-0.1 V", "0.1 V", points=3)),
        impedance_csv(solution.impedance([1e6, 1e7])),
        noise_csv(solution.noise([1e6, 1e7])),
    ]
    without = {"direction", "over_thermal_noise_left", "over_thermal_noise_right"}
    for table in tables:
        read = pandas.read_csv(io.StringIO(table))
        assert len(read) >= 2
        assert {name for name in read.columns if not re.fullmatch(r".+ \[.+\]", name)} <= without
        numbers = read.drop(columns="direction", errors="ignore")
        assert numbers.notna().to_numpy().all() and len(numbers.select_dtypes("number").columns) == numbers.shape[1]


def test_grid_is_an_array_with_nothing_outside_the_domain():
    """From a result in two dimensions to an array in one line; the values are those at its points."""
    solution = pnp.solve(dimensionless_case(law="pnp") | {"domain": DOMAINS[2], "solver": {"degree": 3}})
    array = solution.to_grid(11)["concentration"].sel(species="A").values
    assert array.shape == (8, 11)
    grid = solution.to_grid(11)
    points = [[x, y] for y in grid["y"].values for x in grid["x"].values]
    np.testing.assert_allclose(array.ravel(), solution.at(points)["concentration"].sel(species="A"), rtol=1e-12)
    assert np.isnan(solution.at([[0.5, 0.5], [0.5, 0.8]])["packing"].values).tolist() == [False, True]
    for asked, sentence in {
        (0.5,): "a point of this domain has 2 coordinates",
        (0.5, 0.8): "the point is outside the domain, which reaches in x from 0 to 1, y from 0 to 0.7",
        (0.5, "0.8 nm"): 'points: "0.8 nm"',
    }.items():
        with pytest.raises(pnp.UsageError, match=sentence):
            solution.at(list(asked))
    with pytest.raises(pnp.UsageError, match="a count of 2 points or more"):
        solution.along([0.0, 0.0], [1.0, 0.0], 1)
