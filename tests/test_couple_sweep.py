"""Coupled transport at every point of a sweep: the numbers of single cases, as a table, a dataset and a picture."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import change, example, write_toml
from test_coupled import between, charged_membrane

import pnp_exclusion as pnp
from pnp_exclusion.cli.main import main
from pnp_exclusion.studies.sweeps.coupling import coupling_rows
from pnp_exclusion.studies.sweeps.pictures import sweep_figure

AXES = [
    {"key": "boundaries.left.potential", "from": "-60 mV", "to": "60 mV", "count": 3},
    {"key": "model.law", "values": ["mpnp", "shdl"]},
]


def couple_over(tables: dict, tmp_path: Path, *words: str, name: str = "out") -> Path:
    case = write_toml(tables, tmp_path / "case.toml")
    assert main(["couple", str(case), "-o", str(tmp_path / name), "--quiet", *words]) == 0
    return tmp_path / name


def rows_of(folder: Path) -> list[dict]:
    with (folder / "coupling.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_point_has_the_coupling_of_its_case_alone(tmp_path: Path):
    """Reference: `couple` of two of the cases by themselves, each on its own mesh."""
    membrane = example("membrane")
    folder = couple_over(membrane | {"sweep": {"axes": AXES}}, tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert {"coupling.csv", "coupling.json", "coupling.png", "sweep.nc", "sweep.png"} <= names
    assert (folder / "coupling.png").stat().st_size > 50_000
    rows, points = rows_of(folder), json.loads((folder / "coupling.json").read_text())["points"]
    assert len(rows) == len(points) == 6
    with xr.open_dataset(folder / "sweep.nc") as results:
        for voltage, law in ((-60.0, "shdl"), (60.0, "mpnp")):
            tables = change(membrane, "model", "law", to=law)
            tables["boundaries"][0]["potential"] = f"{voltage} mV"
            alone = pnp.couple(tables, "voltage", "salinity", points=0)
            found, linear = alone.electrolyte, alone.conversion.reference
            expected = {"transport_number Na": found.transport_numbers["Na"], "figure_of_merit": linear.figure_of_merit}
            unit = alone.solution.setup.scales
            expected["conductance [S/m^2]"] = found.conductance * unit.current / unit.potential
            row = next(r for r in rows if float(r["left_potential [mV]"]) == voltage and r["law"] == law)
            for name, value in expected.items():
                assert float(row[name]) == pytest.approx(value, rel=1e-5)
            at = results.sel(left_potential=voltage, law=law)
            assert float(at["conductance"]) == pytest.approx(expected["conductance [S/m^2]"], rel=1e-5)
            point = next(p for p in points if p["at"] == {"left_potential": voltage, "law": law})
            matrix = np.array(point["onsager"]["dimensionless"])
            np.testing.assert_allclose(matrix, alone.onsager, rtol=1e-5)
            assert results["onsager"].attrs["units"] == point["onsager"]["unit"] == "mol^2/J/m^2/s"
            np.testing.assert_allclose(at["onsager"].transpose("species", "force_on").values, point["onsager"]["value"])
        assert set(results["onsager"].dims) == {"left_potential", "law", "species", "force_on"}


def test_interrupted_sweep_goes_on_and_its_files_are_the_same(tmp_path: Path):
    """A folder that lost two of its lines against itself before."""
    tables = example("membrane") | {"sweep": {"axes": AXES[:1], "chunk": 1}}
    folder = couple_over(tables, tmp_path)
    kept = {name: (folder / name).read_bytes() for name in ("points.jsonl", "coupling.csv", "coupling.json")}
    (folder / "points.jsonl").write_bytes(kept["points.jsonl"].splitlines(keepends=True)[1])
    for name in ("manifest.json", "coupling.csv", "coupling.json"):
        (folder / name).unlink()
    couple_over(tables, tmp_path)
    assert {name: (folder / name).read_bytes() for name in kept} == kept


def test_onsager_holds_at_every_equilibrium_of_a_sweep_beside_closed_ions(tmp_path: Path):
    """Equal contents and potentials at both ends: reciprocity, for two amounts of the closed ions and two laws."""
    tables = charged_membrane(0.2, 0.2, 0.0, law="mpnp")
    tables["species"].append({"name": "C", "charge": -1, "mean_fraction": 0.1})
    for boundary in tables["boundaries"]:
        boundary["kind"] = "electrode"
    axes = [
        {"key": "species.C.mean_fraction", "values": [0.05, 0.1]},
        {"key": "model.law", "values": ["mpnp", "shdl"]},
    ]
    folder = couple_over(tables | {"sweep": {"axes": axes}}, tmp_path)
    with xr.open_dataset(folder / "sweep.nc") as results:
        assert float(results["asymmetry"].max()) < 1e-9
        assert results["transport_number"].sel(species="C").isnull().all()
    assert all(row["transport_number C"] == "" and float(row["conductance"]) > 0.0 for row in rows_of(folder))


def test_particles_in_fields_are_coupled_by_species(tmp_path: Path):
    """Uniform contents, no fields at one point: Z = rho_1 rho_2 / rho_0 (docs/theory.md#coupled)."""
    tables = between([0.3, 0.25], [0.3, 0.25])
    axes = [{"key": "species.A.field", "values": [0.0, 1.0, 2.0]}]
    folder = couple_over(tables | {"sweep": {"axes": axes}}, tmp_path)
    assert float(rows_of(folder)[0]["figure_of_merit"]) == pytest.approx(0.3 * 0.25 / 0.45, rel=1e-8)
    with xr.open_dataset(folder / "sweep.nc") as results:
        results = results.assign_coords({name: results[name].astype(str) for name in ("species", "force_on", "end")})
        panels = sweep_figure(results, coupling_rows(results)).axes
    assert [panel.get_title() for panel in panels] == ["dJ/dF of A", "dJ/dF of B", "figure of merit Z"]


def test_points_without_a_coupling_say_why_and_a_sweep_of_none_ends_with_the_reason(tmp_path: Path, capsys):
    """Electrodes hold nothing, so that nothing can pass."""
    tables = example("two_electrodes")
    tables["sweep"] = {"axes": [{"key": "boundaries.left.potential", "values": ["10 mV", "20 mV"]}]}
    case = write_toml(tables, tmp_path / "case.toml")
    assert main(["couple", str(case), "-o", str(tmp_path / "out")]) == 3
    told = capsys.readouterr().err
    assert "no point of the sweep has a coupling: " in told
    assert "no species can pass" in told


def test_words_that_go_with_a_sweep_only_and_forces_that_are_not_there(tmp_path: Path, capsys):
    case = write_toml(example("membrane"), tmp_path / "one.toml")
    assert main(["couple", str(case), "-o", str(tmp_path / "one"), "--workers", "2"]) == 2
    assert "go with a [sweep], and this case has none" in capsys.readouterr().err
    assert not (tmp_path / "one").exists()
    swept = write_toml(example("membrane") | {"sweep": {"axes": AXES}}, tmp_path / "swept.toml")
    assert main(["couple", str(swept), "-o", str(tmp_path / "out"), "--load", "K"]) == 2
    assert 'there is no force "K" in this case; there is Na, Cl, voltage, salinity' in capsys.readouterr().err
