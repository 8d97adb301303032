"""Charge on the border of a region inside the domain: two layers of Grahame, in any dimension and on any ranks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import mistakes, run_command, write_toml
from msh import LINE, TRIANGLE, Square, write_msh

import pnp_exclusion as pnp

DEBYE_LENGTH, BULK = 0.02, 0.05


def sheet(charge: float, shape: str = "interval", law: str = "pnp") -> dict:
    """A charged sheet in the middle of a salt, 8 screening lengths from both its ends."""
    walls = [] if shape == "interval" else ["bottom", "top"]
    domain = {"length": 1.0} if shape == "interval" else {"size": [1.0, 0.2]}
    reservoir = {"kind": "reservoir", "potential": 0.0, "fraction": {"cation": BULK, "anion": BULK}}
    return {
        "model": {"units": "dimensionless", "law": law, "debye_length": DEBYE_LENGTH},
        "species": [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}],
        "domain": {"shape": shape, **domain},
        "regions": [{"name": "half", "x": [0.0, 0.5], "surface_charge": charge}],
        "boundaries": [{"where": side, **reservoir} for side in ("left", "right")]
        + [{"where": wall, "kind": "wall"} for wall in walls],
    }


def highest_potential(tables: dict) -> float:
    potential = pnp.solve(tables).to_xarray().potential.values
    return float(potential[np.abs(potential).argmax()])


@pytest.mark.parametrize(("shape", "tolerance"), [("interval", 1e-5), ("rectangle", 1e-4)])
@pytest.mark.parametrize("charge", [-0.002, 0.1])
def test_sheet_has_half_its_charge_on_either_side(shape: str, tolerance: float, charge: float):
    """Grahame, Chem. Rev. 41, 441 (1947), for sigma/2: psi = 2 arsinh(sigma / 2 lambda sqrt(8 rho_b))."""
    right = 2.0 * np.arcsinh(0.5 * charge / (DEBYE_LENGTH * np.sqrt(8.0 * BULK)))
    # the ends, 8 screening lengths away, take exp(-8)^2 of it; automatic meshes are coarser in two dimensions
    assert highest_potential(sheet(charge, shape)) == pytest.approx(right, rel=tolerance)


def test_sheet_is_the_same_on_two_ranks(tmp_path):
    """Its facets may lie between ranks: whichever has the cell on the one side integrates over it."""
    charges = []
    for ranks in (1, 2):
        folder = tmp_path / f"out{ranks}"
        run_command("run", write_toml(sheet(0.1, "rectangle"), tmp_path / "case.toml"), "-o", folder, ranks=ranks)
        charges.append(json.loads((folder / "summary.json").read_text())["charge"]["left"]["value"])
    assert charges[1] == pytest.approx(charges[0], rel=1e-9)


def test_sheets_of_a_workbench_take_other_charges():
    """Reference: each case on a mesh of its own."""
    cases = [pnp.make_case(sheet(charge)) for charge in (0.1, -0.05)]
    with pnp.Workbench(cases[0], also=cases[1:]) as workbench:
        for case in cases:
            found = workbench.solve(case).summary()["charge"]["left"]["value"]
            assert found == pytest.approx(pnp.solve(case).summary()["charge"]["left"]["value"], rel=1e-4)


def test_sheet_needs_poisson():
    tables = sheet(0.1)
    tables["model"] = {"units": "dimensionless", "law": "pnp", "electrostatics": "imposed"}
    assert any("surface_charge has no effect" in mistake for mistake in mistakes(tables))


def test_region_without_a_border_inside_carries_no_charge():
    tables = sheet(0.1)
    tables["regions"][0]["x"] = [0.0, 1.0]
    with pytest.raises(pnp.CaseError, match="no border within the domain"):
        pnp.solve(tables)


def drawn(path: Path, charge: float, kind: str) -> dict:
    """The sheet as a line of a mesh file: as a group of its own, or as the border of the half on its left."""
    s = Square(80, 4, high=(1.0, 0.2))
    middle = s.numbers[40]
    left = s.points[s.triangles].mean(axis=1)[:, 0] < 0.5
    blocks = [
        (LINE, 1, 1, s.side("left")),
        (LINE, 2, 2, s.side("right")),
        (LINE, 3, 3, np.column_stack([middle[:-1], middle[1:]])),
        (TRIANGLE, 4, 4, s.triangles[left]),
        (TRIANGLE, 5, 5, s.triangles[~left]),
    ]
    names = [(1, 1, "left"), (1, 2, "right"), (1, 3, "sheet"), (2, 4, "half"), (2, 5, "rest")]
    tables = sheet(charge, "rectangle")
    tables["domain"] = {"shape": "gmsh", "file": str(write_msh(path, s.points, blocks, names))}
    tables["boundaries"] = tables["boundaries"][:2]
    tables["boundaries"][1]["potential"] = 2.0
    tables["regions"] = [{"name": "half", "tag": "half", "surface_charge": charge}] if kind == "border" else []
    if kind == "group":
        tables["boundaries"].append({"where": "sheet", "kind": "interface", "surface_charge": charge})
    return tables


def test_group_inside_carries_its_charge_once_on_any_ranks(tmp_path):
    """Reference: the same charge as that of a region's border. The current through it shows that it blocks nothing."""
    readings = []
    for kind, ranks in (("border", 1), ("group", 1), ("group", 2)):
        case = write_toml(drawn(tmp_path / "sheet.msh", 0.02, kind), tmp_path / "case.toml")
        finished = run_command("run", case, "-o", tmp_path / f"{kind}{ranks}", ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        summary = json.loads((tmp_path / f"{kind}{ranks}" / "summary.json").read_text())
        readings.append([summary["flux"]["right"]["cation"]["value"], summary["charge"]["left"]["value"]])
    assert readings[1] == pytest.approx(readings[0], rel=1e-9)
    assert readings[2] == pytest.approx(readings[0], rel=1e-9)
    assert summary["charge"]["sheet"]["value"] == pytest.approx(0.2 * 0.02, rel=1e-12)


def test_interface_is_inside_a_mesh_file(tmp_path):
    tables = drawn(tmp_path / "sheet.msh", 0.02, "group")
    tables["boundaries"][1] = {"where": "right", "kind": "interface", "surface_charge": 0.1}
    with pytest.raises(pnp.CaseError, match='"right": an interface is inside the domain, but 4 facets'):
        pnp.solve(tables)
    tables = sheet(0.1)
    tables["boundaries"][1] = {"where": "right", "kind": "interface", "surface_charge": 0.1}
    assert any("an interface is a group inside a mesh file" in mistake for mistake in mistakes(tables))
