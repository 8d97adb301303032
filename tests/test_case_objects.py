"""Cases made of objects, without a file: the same cases as files make, with the same sentences for mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

from mpi4py import MPI

import numpy as np
import pytest
from conftest import EXAMPLES, write_toml
from dolfinx import mesh as dmesh

import pnp_exclusion as pnp
from pnp_exclusion.case.keys import CaseKeyError
from pnp_exclusion.case.plans import Sweep


def membrane(**changes) -> pnp.Case:
    """Salt between two reservoirs, as a file would have it."""
    parts = {
        "model": pnp.Model("mpnp", lattice_spacing="0.7 nm"),
        "species": [
            pnp.Species(name="Na", charge=1, diffusivity=1.33e-9),
            pnp.Species(name="Cl", charge=-1, diffusivity="2.03e-9 m^2/s"),
        ],
        "domain": pnp.Interval(length=5e-9),
        "regions": [pnp.Region(name="membrane", x=["1 nm", 4e-9], fixed_charge="-1.45 mol/L")],
        "boundaries": [
            pnp.Reservoir(where="left", concentration={"Na": "2 mol/L", "Cl": 2000}, potential=0.05),
            pnp.Reservoir(where="right", concentration={"Na": "0.5 mol/L", "Cl": "0.5 mol/L"}, potential="0 V"),
        ],
    }
    return pnp.Case(**(parts | changes))


WRITTEN = """
[model]
law = "mpnp"
lattice_spacing = "0.7 nm"
[[species]]
name = "Na"
charge = 1
diffusivity = "1.33e-9 m^2/s"
[[species]]
name = "Cl"
charge = -1
diffusivity = "2.03e-9 m^2/s"
[domain]
shape = "interval"
length = "5 nm"
[[regions]]
name = "membrane"
x = ["1 nm", "4 nm"]
fixed_charge = "-1.45 mol/L"
[[boundaries]]
where = "left"
kind = "reservoir"
concentration = { Na = "2 mol/L", Cl = "2 mol/L" }
potential = "50 mV"
[[boundaries]]
where = "right"
kind = "reservoir"
concentration = { Na = "0.5 mol/L", Cl = "0.5 mol/L" }
potential = "0 V"
"""


def test_case_of_objects_gives_the_numbers_of_the_file():
    of_objects = pnp.solve(membrane()).summary()["flux"]["right"]
    of_file = pnp.solve(pnp.make_case(tomllib.loads(WRITTEN))).summary()["flux"]["right"]
    for name in ("Na", "Cl"):
        assert of_objects[name]["value"] == pytest.approx(of_file[name]["value"], rel=1e-9)


def test_case_of_objects_is_written_as_a_file_that_reads_the_same(tmp_path):
    case = membrane()
    again = pnp.read_case(write_toml(case.as_written(), tmp_path / "case.toml"))
    assert again.as_written() == case.as_written()


def test_numbers_of_a_dimensionless_case_are_just_numbers():
    """Diffusion of one species from 0.4 to 0.1 over a length of 1."""
    case = pnp.Case(
        model=pnp.Model("pnp", units="dimensionless", electrostatics="imposed"),
        species=[pnp.Species(name="A")],
        domain=pnp.Interval(length=1),
        boundaries=[
            pnp.Reservoir(where="left", fraction={"A": 0.4}),
            pnp.Reservoir(where="right", fraction={"A": 0.1}),
        ],
    )
    assert pnp.solve(case).summary()["flux"]["right"]["A"]["value"] == pytest.approx(0.3, rel=1e-10)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"domain": {"shape": "interval", "length": "5 V"}}, '"5 V" is not a length'),
        ({"boundaries": []}, "[[boundaries]]"),
        ({"model": {"law": "shld", "lattice_spacing": "0.7 nm"}}, '"shld" is not one of'),
        ({"model": pnp.Model("vacancy")}, "lattice_spacing is missing"),
        ({"modle": 1}, 'did you mean "model"?'),
        ({"species": [pnp.Species(name="Na", charge=1)]}, 'the key "diffusivity" is missing'),
    ],
)
def test_mistakes_are_told_as_those_of_files(changes: dict, told: str):
    with pytest.raises(pnp.CaseError) as caught:
        membrane(**changes)
    assert any(told in mistake for mistake in caught.value.mistakes), caught.value.mistakes


@pytest.mark.parametrize(
    ("table", "keys", "told"),
    [
        (pnp.Interval, {"length": "5 V"}, 'Interval: length: "5 V" is not a length'),
        (pnp.Interval, {"length": 1.0, "lenght": 1.0}, 'Interval: unknown key "lenght"; did you mean "length"?'),
        (pnp.Species, {"name": "Na", "charge": "+"}, 'Species: charge: must be a number, but it is "+"'),
        (Sweep, {"axes": [{"key": "domain.length", "form": 0, "to": 1, "points": 2}]}, "axes, entry 1.form"),
    ],
)
def test_mistake_in_one_table_is_told_where_it_is_made(table: type, keys: dict, told: str):
    with pytest.raises(pnp.CaseError) as caught:
        table(**keys)
    assert any(told in mistake for mistake in str(caught.value).splitlines()), str(caught.value)


def test_varied_case_is_the_one_whose_file_has_the_other_values():
    case = pnp.read_case(EXAMPLES / "membrane.toml")
    varied = case.varied({"boundaries.left.potential": "-80 mV", "model.law": "vacancy", "model.kappa": 0.0})
    tables = case.as_written()
    tables["boundaries"][0]["potential"] = "-80 mV"
    tables["model"]["law"] = "vacancy"
    tables["model"]["kappa"] = 0.0
    for species in tables["species"]:
        assert species["name"] in varied.species_names
    assert varied.as_written() == pnp.make_case(tables).as_written()
    assert case.boundaries[0].potential.text != "-80 mV"
    with pytest.raises(CaseKeyError, match="boundaries"):
        case.varied({"boundaries.lefft.potential": 0.0})


def test_law_of_ones_own_is_named_varied_and_refused_as_code():
    """Of all pairs only ions and vacancies change places: the built-in law `vacancy`, written again."""

    def exchange(a, b, rho, diffusivity):
        return diffusivity[a] * rho[a] * rho[0] if b == 0 else 0

    law = pnp.Law("into vacancies", exchange)
    case = membrane(model=pnp.Model(law, lattice_spacing="0.7 nm"))
    assert case.model.law == "into vacancies"
    own = pnp.solve(case.varied({"boundaries.left.potential": 0.02})).summary()["flux"]["right"]
    built_in = membrane(model=pnp.Model("vacancy", lattice_spacing="0.7 nm")).varied(
        {"boundaries.left.potential": 0.02}
    )
    right = pnp.solve(built_in).summary()["flux"]["right"]
    for name in ("Na", "Cl"):
        assert own[name]["value"] == pytest.approx(right[name]["value"], rel=1e-9)
    swept = {"axes": [{"key": "model.law", "values": ["into vacancies", "mpnp"]}]}
    currents = pnp.sweep(membrane(model=case.model, sweep=swept))["current"].sel(species="Na").values
    assert currents[0] == pytest.approx(pnp.solve(case).currents["Na"], rel=1e-6)
    assert currents[1] == pytest.approx(pnp.solve(case.varied({"model.law": "mpnp"})).currents["Na"], rel=1e-6)
    with pytest.raises(pnp.CaseError, match="data and names no code"):
        membrane(model={"law": "my_module:my_law", "lattice_spacing": "0.7 nm"})


@pytest.mark.parametrize("how", ["facets", "tags", "functions"])
def test_mesh_of_ones_own_is_solved_as_a_file_of_it_and_stays_as_it_is(how: str):
    """Diffusion of an uncharged species along a channel of 4 by 1 um between 2 and 1 mol/m^3: J = D dc w/l."""
    mesh = dmesh.create_rectangle(MPI.COMM_SELF, [[0.0, 0.0], [4.0, 1.0]], [16, 4], dmesh.CellType.triangle)
    ends = {"inlet": lambda x: np.isclose(x[0], 0.0), "outlet": lambda x: np.isclose(x[0], 4.0)}
    facets = {name: dmesh.locate_entities_boundary(mesh, 1, mark) for name, mark in ends.items()}
    tags = dmesh.meshtags(
        mesh,
        1,
        *(
            column[np.argsort(np.concatenate([*facets.values()]))]
            for column in (
                np.concatenate([*facets.values()]),
                np.repeat(np.array([1, 2], dtype=np.int32), [len(found) for found in facets.values()]),
            )
        ),
    )
    boundaries = {"facets": facets, "tags": {"inlet": (tags, 1), "outlet": (tags, 2)}, "functions": ends}[how]
    before = mesh.geometry.x.copy()
    case = pnp.Case(
        model=pnp.Model("pnp", electrostatics="imposed"),
        species=[pnp.Species(name="A", diffusivity=1e-9)],
        domain=pnp.Mesh(mesh=mesh, boundaries=boundaries, regions={"all": lambda x: x[0] > -1.0}, unit="1 um"),
        regions=[pnp.Region(name="slow", tag="all", diffusivity=0.5)],
        boundaries=[
            pnp.Reservoir(where="inlet", concentration={"A": 2.0}),
            pnp.Reservoir(where="outlet", concentration={"A": 1.0}),
        ],
    )
    flux = pnp.solve(case, comm=MPI.COMM_SELF).summary()["flux"]
    right = 0.5e-9 * 1.0 / 4e-6 * 1e-6
    assert flux["outlet"]["A"]["value"] == pytest.approx(right, rel=1e-9)
    doubled = case.varied({"boundaries.inlet.concentration.A": 3.0})
    assert pnp.solve(doubled, comm=MPI.COMM_SELF).summary()["flux"]["outlet"]["A"]["value"] == pytest.approx(2 * right)
    assert (mesh.geometry.x == before).all()


def square(domain: pnp.Mesh, **changes) -> pnp.Case:
    """Salt on a mesh of one's own with a single reservoir."""
    left = pnp.Reservoir(where="left", concentration={"Na": 1.0, "Cl": 1.0}, potential=0.0)
    return membrane(domain=domain, regions=[], boundaries=[left], **changes)


def test_mark_that_marks_nothing_is_named():
    mesh = dmesh.create_unit_square(MPI.COMM_SELF, 2, 2)
    case = square(pnp.Mesh(mesh=mesh, boundaries={"left": lambda x: x[0] > 2.0}, unit="1 nm"))
    with pytest.raises(pnp.CaseError, match='"left" marks nothing'):
        pnp.solve(case, comm=MPI.COMM_SELF)


@pytest.mark.parametrize("mark", [[-1], [10**6], [0.5], "left", None])
def test_mark_that_is_no_entity_of_the_mesh_is_told(mark: object):
    """A facet of number -1 ended the process."""
    mesh = dmesh.create_unit_square(MPI.COMM_SELF, 2, 2)
    case = square(pnp.Mesh(mesh=mesh, boundaries={"left": mark}, unit="1 nm"))
    with pytest.raises(pnp.CaseError, match='"left": '):
        pnp.solve(case, comm=MPI.COMM_SELF)


def test_mesh_that_cannot_be_used_is_told_and_a_submesh_can(tmp_path):
    """A submesh does not know where its cells came from; reference: the mesh itself, of which it has every cell."""
    sides = {"left": lambda x: np.isclose(x[0], 0.0), "right": lambda x: np.isclose(x[0], 1.0)}

    def on(mesh):
        case = membrane(
            domain=pnp.Mesh(mesh=mesh, boundaries=sides, unit="1 nm"),
            regions=[],
            boundaries=[
                pnp.Reservoir(where="left", concentration={"Na": 100.0, "Cl": 100.0}, potential=0.0),
                pnp.Wall(where="right", surface_charge=0.02),
            ],
            solver={"degree": 1},
        )
        return pnp.solve(case, comm=MPI.COMM_SELF)

    whole = dmesh.create_unit_square(MPI.COMM_SELF, 4, 4)
    submesh = on(dmesh.create_submesh(whole, 2, np.arange(32, dtype=np.int32))[0])
    submesh.save(tmp_path / "submesh.npz")
    loaded = pnp.load(tmp_path / "submesh.npz", comm=MPI.COMM_SELF)
    expected = on(whole).to_xarray()["concentration"].sortby(["x", "y"]).values
    assert np.ptp(expected[0]) > 10.0
    for solution in (submesh, loaded):
        found = solution.to_xarray()["concentration"].sortby(["x", "y"]).values
        assert found == pytest.approx(expected, rel=1e-9)
    with pytest.raises(pnp.CaseError, match="the mesh has prism cells"):
        on(dmesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1, dmesh.CellType.prism))
    with pytest.raises(pnp.CaseError, match="are float32 and must be float64"):
        on(dmesh.create_unit_square(MPI.COMM_SELF, 1, 1, dtype=np.float32))


def test_tags_have_values_of_numpy_and_the_dimension_of_what_they_mark():
    mesh = dmesh.create_unit_square(MPI.COMM_SELF, 2, 2)
    facets = dmesh.locate_entities_boundary(mesh, 1, lambda x: np.isclose(x[0], 0.0))
    tags = dmesh.meshtags(mesh, 1, np.sort(facets), np.full(len(facets), 3, dtype=np.int32))
    left = {"left": (tags, np.int32(3))}
    assert pnp.solve(square(pnp.Mesh(mesh=mesh, boundaries=left, unit="1 nm")), comm=MPI.COMM_SELF).converged
    wrong = pnp.Mesh(mesh=mesh, boundaries=left, regions={"all": (tags, 3)}, unit="1 nm")
    with pytest.raises(pnp.CaseError, match="MeshTags are of entities of dimension 1, not 2"):
        pnp.solve(square(wrong), comm=MPI.COMM_SELF)


def test_workbench_takes_no_case_on_another_mesh_of_the_same_names():
    left = {"left": lambda x: np.isclose(x[0], 0.0)}
    first, other = (
        square(pnp.Mesh(mesh=dmesh.create_unit_square(MPI.COMM_SELF, n, n), boundaries=left, unit="1 nm"))
        for n in (2, 4)
    )
    with pnp.Workbench(first) as workbench:
        assert workbench.fits(first.varied({"boundaries.left.potential": 0.01}))
        assert not workbench.fits(other)


def test_numbers_of_numpy_are_numbers():
    """Also once the case has been written down, to be varied again, saved or swept."""
    case = membrane(domain=pnp.Interval(length=np.float64(5e-9), cells=np.int64(200)))
    for number in (np.float64(0.02), np.array(0.02), 0.02):
        varied = case.varied({"boundaries.left.potential": number}).varied({"boundaries.right.potential": np.int64(0)})
        assert varied.boundaries[0].potential.text == "0.02 V"
        assert varied.boundaries[1].potential.value == 0.0
        assert varied.domain.cells == 200
    with pytest.raises(pnp.CaseError, match="is not a potential"):
        case.varied({"boundaries.left.potential": np.array([0.02])})


def test_case_of_objects_is_swept_over_numbers_in_si_units():
    """Reference: the sweep of the same case with texts."""
    for values in ([0, 0.01], np.array([0.0, 0.01]), ["0 V", "10 mV"]):
        axis = {"key": "boundaries.left.potential", "values": values}
        found = pnp.sweep(membrane(sweep={"axes": [axis]}))
        assert found["left_potential"].attrs["units"] == "V"
        assert found["left_potential"].values.tolist() == [0.0, 0.01]
        assert found["converged"].all()
    mesh = pnp.Mesh(mesh=dmesh.create_unit_square(MPI.COMM_SELF, 2, 2), boundaries={"left": [0]}, unit="1 nm")
    with pytest.raises(pnp.CaseError, match="a plan is written down"):
        square(mesh, sweep={"axes": [axis]})


def test_solutions_of_one_workbench_keep_their_states():
    """Reference: each case solved by itself."""
    cases = [membrane().varied({"boundaries.left.potential": volts}) for volts in (0.0, 0.03, -0.05)]
    with pnp.Workbench(cases[0], also=cases[1:]) as workbench:
        solutions = [workbench.solve(case) for case in cases]
        for case, solution in zip(cases, solutions, strict=True):
            alone = pnp.solve(case).summary()["flux"]["right"]
            for name, flux in solution.summary()["flux"]["right"].items():
                assert flux["value"] == pytest.approx(alone[name]["value"], rel=1e-6)


def test_every_public_name_is_there():
    program = "import json, pnp_exclusion as p; print(json.dumps([name for name in dir(p) if getattr(p, name)]))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(pnp.__all__) <= set(json.loads(found.stdout))
