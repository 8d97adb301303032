"""Regions that species do not enter, or have another energy or diffusivity in: closed forms, cut-out meshes, ranks."""

from __future__ import annotations

import csv
import json
import math

from mpi4py import MPI

import numpy as np
import pytest
from conftest import blocking_electrode, mistakes, read_fields, run_command, write_toml
from dolfinx import mesh as dmesh
from scipy.optimize import brentq

import pnp_exclusion as pnp
from pnp_exclusion.case.axes import read_axis
from pnp_exclusion.case.build import build
from pnp_exclusion.case.keys import CaseKeyError
from pnp_exclusion.case.plans import SweepAxis
from pnp_exclusion.exact.double_layer import CrowdedLayer, PointIonLayer

BULK, DEBYE_LENGTH = 0.05, 0.02
LAYERS = {"pnp": PointIonLayer, "mpnp": CrowdedLayer}
WIDTH, PERMITTIVITY = 0.01, 0.1
CAPACITANCE = DEBYE_LENGTH**2 * PERMITTIVITY / WIDTH


def behind_a_region(law: str, voltage: float) -> dict:
    """A blocking electrode with a layer of dielectric on it."""
    tables = blocking_electrode(law, voltage, DEBYE_LENGTH, BULK)
    tables["regions"] = [{"name": "oxide", "x": [0.0, WIDTH], "ions": False, "permittivity": PERMITTIVITY}]
    return tables


@pytest.mark.parametrize(("law", "voltage"), [("pnp", 0.1), ("pnp", 40.0), ("mpnp", 40.0)])
def test_layer_without_ions_on_an_electrode_is_a_stern_layer(law: str, voltage: float):
    """sigma(psi) = C (V - psi) with C = lambda^2 eps/d, sigma of Gouy and Chapman or Bikerman in closed form."""
    solution = pnp.solve(behind_a_region(law, voltage))
    diffuse = LAYERS[law](BULK, DEBYE_LENGTH).surface_charge
    drop = brentq(lambda psi: float(diffuse(psi)) - CAPACITANCE * (voltage - psi), 0.0, voltage, xtol=1e-14, rtol=1e-14)
    assert solution.summary()["charge"]["left"]["value"] == pytest.approx(float(diffuse(drop)), rel=1e-6)
    assert solution.warnings == []
    assert solution.report.newton_iterations <= 8


def test_capacitance_of_a_layer_without_ions_is_in_series():
    """1/C = 1/C_S + 1/C_D at the drop that the diffuse layer has, C_D in closed form, by the exact tangent."""
    layer = CrowdedLayer(BULK, DEBYE_LENGTH)
    for point in pnp.capacitance(behind_a_region("mpnp", 0.0), "left", -10.0, 10.0, points=3).points:
        drop = point.potential - point.charge / CAPACITANCE
        right = 1.0 / (1.0 / CAPACITANCE + 1.0 / float(layer.capacitance(drop)))
        assert point.capacitance == pytest.approx(right, rel=1e-5)


CHARGES, SALTS, ENDS, BORDERS = (2e-5, -1e-5), (0.05, 0.02), (5e-4, -5e-4), (0.45, 0.55)


def charged_membrane(shape: str = "interval") -> dict:
    """A dielectric between two solutions, with a charge on each face and a small voltage across."""
    domain = {"length": 1.0} if shape == "interval" else {"size": [1.0, 0.1]}
    return {
        "model": {"units": "dimensionless", "law": "pnp", "debye_length": DEBYE_LENGTH / 4},
        "species": [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}],
        "domain": {"shape": shape, **domain},
        "regions": [
            {"name": "membrane", "x": list(BORDERS), "ions": False, "permittivity": PERMITTIVITY},
            {"name": "left bath", "x": [0.0, BORDERS[0]], "surface_charge": CHARGES[0]},
            {"name": "right bath", "x": [BORDERS[1], 1.0], "surface_charge": CHARGES[1]},
        ],
        "boundaries": [
            {"where": where, "kind": "reservoir", "potential": end, "fraction": {"cation": salt, "anion": salt}}
            for where, end, salt in zip(("left", "right"), ENDS, SALTS, strict=True)
        ],
    }


def test_membrane_with_two_charged_faces_is_three_capacitors_in_series():
    """By hand, to first order in the charges: exp(-x/l) on both sides, a uniform field within (theory.md#regions)."""
    lam = DEBYE_LENGTH / 4
    lengths = [lam / math.sqrt(2.0 * salt) for salt in SALTS]
    first, second = (lam**2 / length for length in lengths)
    between = lam**2 * PERMITTIVITY / (BORDERS[1] - BORDERS[0])
    matrix = [[first + between, -between], [-between, second + between]]
    faces = np.linalg.solve(matrix, np.array(CHARGES) + np.array([first, second]) * ENDS)

    def right(x: np.ndarray) -> np.ndarray:
        left = ENDS[0] + (faces[0] - ENDS[0]) * np.exp((x - BORDERS[0]) / lengths[0])
        beyond = ENDS[1] + (faces[1] - ENDS[1]) * np.exp((BORDERS[1] - x) / lengths[1])
        return np.where(x < BORDERS[0], left, np.where(x > BORDERS[1], beyond, np.interp(x, BORDERS, faces)))

    fields = pnp.solve(charged_membrane()).to_xarray()
    assert np.abs(faces).min() > 5e-5
    # what is left out is of third order, 1e-6 of it; automatic meshes are right to 1e-5 and better
    assert fields.potential.values == pytest.approx(right(fields.x.values), abs=1e-5 * np.abs(faces).max())


def test_charged_membrane_on_two_ranks_is_that_on_one(tmp_path):
    """In two dimensions: charges of both ends and currents through a pore, read from the files of the command."""
    tables = charged_membrane("rectangle")
    tables["model"]["debye_length"], tables["solver"] = DEBYE_LENGTH, {"degree": 1}
    tables["regions"].append({"name": "pore", "x": list(BORDERS), "y": [0.0, 0.05], "ions": True})
    case = write_toml(tables, tmp_path / "pore.toml")
    found = []
    for ranks in (1, 2):
        done = run_command("run", case, "-o", tmp_path / str(ranks), ranks=ranks)
        assert done.returncode == 0, done.stderr
        summary = json.loads((tmp_path / str(ranks) / "summary.json").read_text())
        found.append([summary[key]["right"] for key in ("charge", "flux")])
        fields = read_fields(tmp_path / str(ranks), ranks)
        inside = np.concatenate([fields["fraction_cation"]])
        assert inside.min() == 0.0
    (charge, flux), (charge_of_two, flux_of_two) = found
    assert charge_of_two["value"] == pytest.approx(charge["value"], rel=1e-8)
    for name in ("cation", "anion"):
        assert abs(flux["cation"]["value"]) > 1e-8
        assert flux_of_two[name]["value"] == pytest.approx(flux[name]["value"], rel=1e-8)


def test_closed_salt_between_two_layers_without_ions_is_that_between_stern_layers():
    """Amounts are means over the whole domain; reference: electrodes with C = lambda^2 eps/d, 0.98 apart."""
    tables = behind_a_region("mpnp", 10.0)
    tables["regions"].append(tables["regions"][0] | {"name": "other", "x": [1.0 - WIDTH, 1.0]})
    tables["boundaries"][1] = {"where": "right", "kind": "electrode", "potential": -10.0}
    between = blocking_electrode("mpnp", 10.0, DEBYE_LENGTH, BULK)
    between["boundaries"] = [boundary | {"stern": {"capacitance": CAPACITANCE}} for boundary in tables["boundaries"]]
    between["domain"]["length"] = 1.0 - 2.0 * WIDTH
    for species, same in zip(tables["species"], between["species"], strict=True):
        species["mean_fraction"], same["mean_fraction"] = BULK, BULK / (1.0 - 2.0 * WIDTH)
    found, right = (pnp.solve(each).summary() for each in (tables, between))
    assert found["charge"]["left"]["value"] == pytest.approx(right["charge"]["left"]["value"], rel=1e-9)
    assert found["charge"]["left"]["value"] > 0.01
    assert found["identity_residual"] is None
    assert found["warnings"] == []


# ---- without charges: everything in closed form ----

LAYER = (0.25, 0.6)


def between_reservoirs(law: str = "pnp", **region: object) -> dict:
    """Two neutral species between reservoirs that hold (0.2, 0.3) and (0.1, 0.3), with a layer between."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "imposed"},
        "species": [{"name": "A", "charge": 1}, {"name": "B", "charge": -1, "diffusivity": 0.5}],
        "domain": {"shape": "interval", "length": 1.0},
        "regions": [{"name": "layer", "x": list(LAYER), **region}],
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"A": 0.2, "B": 0.3}},
            {"where": "right", "kind": "reservoir", "fraction": {"A": 0.1, "B": 0.25}},
        ],
    }


def test_energies_and_diffusivities_of_each_species_are_resistances_in_series():
    """J = (c_left - c_right)/sum of L exp(u)/D over the pieces, for each species with its own u and D."""
    own = {"A": (2.0, 0.3), "B": (-1.0, 4.0)}
    energies, factors = ({name: pair[i] for name, pair in own.items()} for i in (0, 1))
    solution = pnp.solve(between_reservoirs(partition=energies, diffusivity=factors))
    width = LAYER[1] - LAYER[0]
    for name, diffusivity, drop in (("A", 1.0, 0.1), ("B", 0.5, 0.05)):
        energy, factor = own[name]
        right = diffusivity * drop / (1.0 - width + width * math.exp(energy) / factor)
        assert solution.currents[name] == pytest.approx(right, rel=1e-9)
    assert solution.warnings == []
    assert solution.summary()["identity_residual"] < 1e-7


def test_a_species_that_is_kept_out_is_blocked_and_the_other_is_not(tmp_path):
    """Its density is zero in the layer, in the profile, where the borders come twice, and in the fields on disk."""
    tables = between_reservoirs("mpnp", excluded=["A"]) | {"model": between_reservoirs("pnp")["model"]}
    done = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    flux = json.loads((tmp_path / "out" / "summary.json").read_text())["flux"]["right"]
    assert flux["A"]["value"] == pytest.approx(0.0, abs=1e-12)
    assert flux["B"]["value"] == pytest.approx(0.5 * 0.05, rel=1e-9)
    with (tmp_path / "out" / "profile.csv").open() as stream:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    border = [row["A"] for row in rows if row["x"] == LAYER[0]]
    assert border == pytest.approx([0.2, 0.0])
    assert all((row["A"] == 0.0) == (LAYER[0] < row["x"] < LAYER[1]) for row in rows if row["x"] not in LAYER)
    fields = read_fields(tmp_path / "out")
    x, density = fields["geometry"].reshape(-1, 3)[:, 0], fields["fraction_A"].ravel()
    inside = (x > LAYER[0]) & (x < LAYER[1])
    assert (density[inside] == 0.0).all()
    assert density[x < LAYER[0]] == pytest.approx(0.2)


@pytest.mark.parametrize("law", ["pnp", "mpnp", "vacancy"])
def test_contents_at_equilibrium_jump_by_the_energies(law: str):
    """Point ions by exp(-u); on a lattice r exp(-u)/(r_0 + sum r exp(-u)), the softmax with those energies."""
    held, energies = {"A": 0.2, "B": 0.3}, {"A": 1.5, "B": -0.5}
    tables = between_reservoirs(law, partition=energies)
    for boundary in tables["boundaries"]:
        boundary["fraction"] = held
    fields = pnp.solve(tables).to_xarray().sel(x=slice(LAYER[0] + 1e-6, LAYER[1] - 1e-6))
    weights = {name: held[name] * math.exp(-energies[name]) for name in held}
    whole = 1.0 if law == "pnp" else 1.0 - sum(held.values()) + sum(weights.values())
    for name, weight in weights.items():
        assert fields.concentration.sel(species=name).values == pytest.approx(weight / whole, rel=1e-9)


def test_unlike_energies_of_ions_make_a_donnan_potential():
    """Within, many screening lengths from its border: phi = (u_- - u_+)/2 and c exp(-(u_+ + u_-)/2), electroneutral."""
    tables = between_reservoirs(partition={"A": 2.0, "B": 0.5})
    tables["model"] = {"units": "dimensionless", "law": "pnp", "debye_length": 0.002}
    for boundary in tables["boundaries"]:
        boundary |= {"fraction": {"A": 0.2, "B": 0.2}, "potential": 0.0}
    middle = pnp.solve(tables).to_xarray().sel(x=0.5 * sum(LAYER), method="nearest")
    assert float(middle.potential) == pytest.approx(-0.75, rel=1e-7)
    assert middle.concentration.values == pytest.approx(0.2 * math.exp(-1.25), rel=1e-7)


def salt_in_lipid(**region: object) -> dict:
    """Sodium and a divalent ion between reservoirs of a salt, with lipid between."""
    return {
        "model": {"law": "pnp"},
        "species": [
            {"name": "Na", "charge": 1, "diffusivity": "1.33e-9 m^2/s", "born_radius": "0.2 nm"},
            {"name": "SO4", "charge": -2, "diffusivity": "1.07e-9 m^2/s", "born_radius": "0.4 nm"},
        ],
        "domain": {"shape": "interval", "length": "20 nm"},
        "regions": [{"name": "lipid", "x": ["8 nm", "12 nm"], "permittivity": 20.0, **region}],
        "boundaries": [
            {
                "where": where,
                "kind": "reservoir",
                "potential": "0 V",
                "concentration": {"Na": "1 mol/L", "SO4": "0.5 mol/L"},
            }
            for where in ("left", "right")
        ],
    }


@pytest.mark.parametrize("partition", ["born", {"Na": "born", "SO4": "born"}])
def test_born_energies_are_those_by_hand(partition: object):
    """z^2 l/(2 r) (1/20 - 1/78.5), l = e^2/(4 pi eps0 kT) = 56.0454 nm at 298.15 K: 5.2208 and 10.4417 kT."""
    energies = build(pnp.make_case(salt_in_lipid(partition=partition)), MPI.COMM_SELF).problem.partition
    for name, by_hand in (("Na", 5.2208), ("SO4", 10.4417)):
        assert energies[name].max() == pytest.approx(by_hand, rel=2e-5)
        assert energies[name].min() == 0.0


@pytest.mark.parametrize(
    ("written", "in_kt"), [("2 kT", 2.0), ("25.6926 meV", 1.0), ("2.47896 kJ/mol", 1.0), ("-3 kT", -3.0)]
)
def test_energies_have_units(written: str, in_kt: float):
    """kT at 298.15 K is 25.6926 meV, RT 2.47896 kJ/mol."""
    energies = build(pnp.make_case(salt_in_lipid(partition={"Na": written})), MPI.COMM_SELF).problem.partition
    assert energies["Na"][np.abs(energies["Na"]).argmax()] == pytest.approx(in_kt, rel=1e-5)


def test_axes_take_energies_in_one_unit():
    tables = salt_in_lipid(partition={"Na": "2 kT"})
    for values, right in ((["0 kT", "3 kT"], (0.0, 3.0)), (["0.1 eV", "20 kJ/mol"], (0.1, 0.20728))):
        driving = read_axis(SweepAxis(key="regions.lipid.partition.Na", values=values), tables)
        assert driving.values == pytest.approx(right, rel=1e-4)
    with pytest.raises(CaseKeyError, match="give all values in kT, or none of them"):
        read_axis(SweepAxis(key="regions.lipid.partition.Na", values=["1 kT", "0.1 eV"]), tables)


# ---- against a mesh from which the region is cut out ----


@pytest.mark.parametrize("dimension", [2, 3])
def test_region_without_ions_is_as_good_as_cut_out(dimension: int):
    """A membrane with a pore: the flux of a neutral species, and of one that is dragged by it, on the same cells."""
    counts = [6, 4, 2][:dimension]
    corners = [np.zeros(dimension), np.array([1.0, 1.0, 0.5])[:dimension]]
    make = dmesh.create_rectangle if dimension == 2 else dmesh.create_box
    whole = make(MPI.COMM_SELF, corners, counts)
    middles = dmesh.compute_midpoints(whole, dimension, np.arange(whole.topology.index_map(dimension).size_local))
    in_membrane = (np.abs(middles[:, 0] - 0.5) < 1 / 6) & (middles[:, 1] > 0.5)
    cut_out = dmesh.create_submesh(whole, dimension, np.flatnonzero(~in_membrane).astype(np.int32))[0]
    sides = {side: (lambda x, at=at: np.isclose(x[0], at)) for side, at in (("left", 0.0), ("right", 1.0))}
    currents = []
    for mesh, regions in ((whole, {"membrane": np.flatnonzero(in_membrane)}), (cut_out, {})):
        tables = between_reservoirs("shdl")
        tables["species"][1]["diffusivity"] = 1.0
        case = pnp.Case(
            model=pnp.Model("shdl", electrostatics="imposed", units="dimensionless"),
            species=tables["species"],
            domain=pnp.Mesh(mesh=mesh, boundaries=sides, regions=regions),
            regions=[pnp.Region(name=name, tag=name, ions=False) for name in regions],
            boundaries=tables["boundaries"],
            solver={"degree": 1, "linear": "direct"},
        )
        currents.append(pnp.solve(case, comm=MPI.COMM_SELF).currents)
    assert abs(currents[0]["A"]) > 0.01
    for name, current in currents[0].items():
        assert current == pytest.approx(currents[1][name], rel=1e-10)


# ---- numbers that change, and what is refused ----


def test_energies_and_diffusivities_are_numbers_that_a_workbench_changes():
    """Reference: each case on a mesh of its own."""
    first = pnp.make_case(between_reservoirs(partition={"A": 2.0}, diffusivity={"B": 0.5}))
    keys = {"regions.layer.partition.A": -1.0, "regions.layer.diffusivity.B": 3.0}
    cases = [first, first.varied(keys)]
    with pnp.Workbench(first) as workbench:
        for case in cases:
            found, right = workbench.solve(case).currents, pnp.solve(case).currents
            assert found == pytest.approx(right, rel=1e-9)


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ({"ions": False, "excluded": ["A"]}, "has both ions and excluded"),
        ({"excluded": ["C"]}, 'excluded names an unknown species "C"'),
        ({"diffusivity": {"C": 1.0}}, 'diffusivity names an unknown species "C"'),
        ({"partition": {"C": 1.0}}, 'partition names an unknown species "C"'),
        ({"ions": False, "diffusivity": 0.5}, "diffusivity has no effect where there are no ions"),
        ({"ions": False, "partition": {"A": 1.0}}, "partition has no effect where there are no ions"),
        ({"excluded": ["A"], "partition": {"A": 1.0}}, 'partition of "A" has no effect where it is excluded'),
        ({"partition": "born"}, 'partition = "born" needs lengths and charges in SI units'),
        ({"partition": {"A": "high"}}, 'partition.A: "high" must be a plain number in a dimensionless case'),
        ({"partition": 2.0}, "partition: 2.0 is not one of 'born'"),
        ({"diffusivity": [1.0]}, "diffusivity: must be a number, but it is [1.0]"),
        ({"diffusivity": {"A": 0.0}}, "diffusivity.A"),
        ({"ions": "none"}, 'ions: must be true or false, but it is "none"'),
    ],
)
def test_region_that_makes_no_sense_is_refused(region: dict, told: str):
    assert any(told in mistake for mistake in mistakes(between_reservoirs(**region)))


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ({"partition": {"Na": "5 T"}}, "of another kind"),
        ({"partition": {"Na": 2.0}}, "2.0 has no unit"),
        ({"partition": "born", "permittivity": None}, "follows from the permittivity of the region, which is missing"),
        ({"partition": {"Cl": "born"}}, 'unknown species "Cl"'),
    ],
)
def test_energy_in_si_that_makes_no_sense_is_refused(region: dict, told: str):
    tables = salt_in_lipid(**region)
    tables["regions"][0] = {key: value for key, value in tables["regions"][0].items() if value is not None}
    assert any(told in mistake for mistake in mistakes(tables))


def test_reaction_supplies_a_part_that_regions_leave():
    """Left of the layer a reservoir holds A alone; B is what A turns into: rho_B = 2 rho_A at equilibrium."""
    tables = between_reservoirs(ions=False)
    tables["regions"][0]["x"] = [0.8, 1.0]
    tables["boundaries"] = [{"where": "left", "kind": "electrode", "fraction": {"A": 0.2}}]
    tables["reactions"] = [{"equation": "A <-> B", "forward": 2.0, "backward": 1.0}]
    for species in tables["species"]:
        species["charge"] = 0
    fields = pnp.solve(tables).to_xarray()
    for name, right in (("A", 0.2), ("B", 0.4)):
        inside = fields.concentration.sel(species=name)
        assert inside.sel(x=slice(0.0, 0.8)).values == pytest.approx(right, rel=1e-7)
        assert (inside.sel(x=slice(0.8001, 1.0)) == 0.0).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x": [0.0, 1.0]}, '"A" is kept out of the whole domain'),
        ({"x": [0.0, 0.3]}, '"left": it lies at a region that "A" does not enter, so that it supplies none'),
        ({"x": [0.2, 0.4], "closed": True}, "its mean does not say how much is in each"),
        ({"x": [0.2, 0.4], "hole": [0.6, 0.8]}, "touches no boundary that holds"),
        ({"x": [0.0, 0.4], "exchange": True}, "it lies at a region"),
        ({"x": [0.0, 0.4], "partition": {"A": 1.0}, "exchange": True}, "where it has a partition energy"),
        ({"x": [0.0, 0.4], "flux": True}, 'it gives a flux of "A" also beside a region that it does not enter'),
    ],
)
def test_particles_that_nothing_reaches_are_told(changes: dict, told: str):
    """Found on the mesh, whichever it is."""
    given = {"partition": changes["partition"]} if "partition" in changes else {"ions": False}
    tables = between_reservoirs(**given)
    tables["regions"][0]["x"] = changes["x"]
    if "hole" in changes:
        tables["regions"].append({"name": "second", "x": changes["hole"], "ions": False})
    if "closed" in changes:
        tables["boundaries"] = [{"where": side, "kind": "wall"} for side in ("left", "right")]
        for species in tables["species"]:
            species["mean_fraction"] = 0.1
    if "exchange" in changes:
        tables["boundaries"][0] |= {"kind": "exchange", "rate": {"A": 1.0, "B": 1.0}}
    if "flux" in changes:
        tables["boundaries"][0] = {"where": "left", "kind": "flux", "flux": {"A": 0.1}}
    with pytest.raises(pnp.CaseError) as caught:
        pnp.solve(tables)
    assert any(told in mistake for mistake in caught.value.mistakes), caught.value.mistakes
