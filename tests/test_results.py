"""What lands on disk: complete or absent, never in the way of other results, readable by others."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, ROOT, dimensionless_case, read_fields, run_command, summary_of, write_toml

CONTRACT = {
    "converged", "law", "units", "flux", "current", "charge", "regime", "force", "balance", "identity_residual",
    "entropy_production", "newton_iterations", "ramp_steps", "cells", "unknowns", "wall_seconds", "warnings",
}  # fmt: skip


@pytest.fixture(scope="module")
def membrane_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "out"
    finished = run_command("run", EXAMPLES / "membrane.toml", "-o", folder)
    assert finished.returncode == 0, finished.stderr
    return folder


def test_summary_has_every_key_of_the_contract(membrane_results: Path):
    summary = summary_of(membrane_results)
    assert set(summary) >= CONTRACT
    assert summary["flux"]["left"]["Na"]["unit"] == "mol/m^2/s"
    assert summary["current"]["left"]["unit"] == "A/m^2"
    assert summary["charge"]["left"]["unit"] == "C/m^2"


def test_dimensionless_summary_has_plain_numbers(tmp_path: Path):
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    assert run_command("run", case, "-o", tmp_path / "out").returncode == 0
    summary = summary_of(tmp_path / "out")
    assert summary["units"] == "dimensionless"
    assert summary["flux"]["left"]["A"]["unit"] == ""
    assert (tmp_path / "out" / "profile.csv").read_text().startswith("x,A,B,packing,")


def test_profile_states_units_and_holds_the_boundary_values(membrane_results: Path):
    """The reservoirs' concentrations and potentials, as the case gives them."""
    lines = (membrane_results / "profile.csv").read_text().splitlines()
    assert lines[0] == "x [nm],phi [V],Na [mol/L],Cl [mol/L],packing,mu_Na [kT],mu_Cl [kT]"
    first, last = ([float(word) for word in line.split(",")] for line in (lines[1], lines[-1]))
    np.testing.assert_allclose(first[:4], [0.0, -0.04, 2.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(last[:4], [5.0, 0.0, 0.5, 0.5], atol=1e-12)


def test_fields_hold_one_named_quantity_with_its_unit_each(membrane_results: Path):
    """Read back by ADIOS2, and the markup that ParaView's VTX reader looks for."""
    fields = read_fields(membrane_results)
    markup = str(fields["markup"])
    expected = {
        "potential [V]", "concentration_Na [mol/L]", "concentration_Cl [mol/L]", "packing", "flux_Na [mol/m^2/s]",
        "flux_Cl [mol/m^2/s]", "electrochemical_potential_Na [kT]", "electrochemical_potential_Cl [kT]",
        "fixed_charge [mol/L]",
    }  # fmt: skip
    assert expected <= set(fields)
    assert all(f'Name="{name}"' in markup for name in expected)
    assert fields["geometry"][:, 0].max() == pytest.approx(5.0)
    assert fields["concentration_Na [mol/L]"].max() == pytest.approx(2.0, rel=1e-9)


def test_folder_with_other_results_is_kept_unless_overwritten(membrane_results: Path, tmp_path: Path):
    folder = tmp_path / "kept"
    shutil.copytree(membrane_results, folder)
    (folder / "notes.txt").write_text("mine")
    before = (folder / "summary.json").read_bytes()
    refused = run_command("run", EXAMPLES / "imposed_fields.toml", "-o", folder)
    assert refused.returncode == 2
    assert "holds other results" in refused.stderr
    assert (folder / "summary.json").read_bytes() == before
    assert run_command("run", EXAMPLES / "imposed_fields.toml", "-o", folder, "--overwrite").returncode == 0
    assert summary_of(folder)["units"] == "dimensionless"
    assert (folder / "notes.txt").read_text() == "mine"


def test_overwriting_removes_earlier_results_and_nothing_else(membrane_results: Path, tmp_path: Path):
    folder = tmp_path / "kept"
    shutil.copytree(membrane_results, folder)
    (folder / "pnp").mkdir()
    for name in ("photo.png", "pnp/thesis.tex"):
        (folder / name).write_text("mine")
    case = write_toml(dimensionless_case() | {"output": {"pictures": False}}, tmp_path / "case.toml")
    assert run_command("run", case, "-o", folder, "--overwrite").returncode == 0
    assert (folder / "photo.png").read_text() == "mine"
    assert (folder / "pnp" / "thesis.tex").read_text() == "mine"
    assert not (folder / "profiles.png").exists()


def test_whatever_a_command_writes_is_among_what_overwriting_removes():
    """Names as they stand in the code; sweeps have a list of their own."""
    from pnp_exclusion.output.results import OUR_FILES

    texts = [path.read_text() for path in (ROOT / "pnp_exclusion").rglob("*.py") if "sweeps" not in path.parts]
    written = r'folder\.(?:write|write_json|write_netcdf)\(\s*f?"(?:\{prefix\})?([\w.]+)"'
    drawn = r'folder\.draw\(\s*[\w.\[\]]+,\s*f?"(?:\{prefix\})?(\w+)"(?:[^)]*ending="(\w+)")?'
    names = {name for text in texts for name in re.findall(written, text)}
    pictures = {picture for text in texts for picture in re.findall(drawn, text)}
    assert len(pictures) > 15
    names |= {f"{name}.{own or ending}" for name, own in pictures for ending in ("png", "svg", "pdf")}
    assert len(names) > 30
    assert names <= OUR_FILES


def test_title_is_drawn_as_it_is_written(tmp_path: Path):
    """A dollar sign begins no formula, and no title costs the results."""
    case = write_toml({"title": "50 % of $x_{$ salt"} | dimensionless_case(), tmp_path / "case.toml")
    assert run_command("run", case, "-o", tmp_path / "out").returncode == 0


def test_failed_run_with_overwrite_leaves_the_earlier_results(membrane_results: Path, tmp_path: Path):
    folder = tmp_path / "kept"
    shutil.copytree(membrane_results, folder)
    tables = dimensionless_case()
    tables["domain"]["length"] = -1.0
    case = write_toml(tables, tmp_path / "bad.toml")
    assert run_command("run", case, "-o", folder, "--overwrite").returncode == 2
    assert summary_of(folder) == summary_of(membrane_results)


def test_disk_that_cannot_be_written_ends_with_exit_code_4(tmp_path: Path):
    """/proc takes no folders, even from root; its refusal must come before any solving."""
    finished = run_command("run", EXAMPLES / "membrane.toml", "-o", "/proc/results")
    assert finished.returncode == 4
    assert "cannot write to /proc/results" in finished.stderr
    assert "Newton" not in finished.stderr


def test_full_disk_while_writing_loses_nothing(membrane_results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A text file whose device is full: exit code 4's error, and the earlier results are all there."""
    from mpi4py import MPI

    from pnp_exclusion.errors import DiskError
    from pnp_exclusion.output.results import ResultFolder

    folder = tmp_path / "kept"
    shutil.copytree(membrane_results, folder)
    results = ResultFolder(folder, MPI.COMM_SELF, overwrite=True)
    results.open()
    os.symlink("/dev/full", results.staging / "profile.csv")
    with pytest.raises(DiskError, match="No space left"):
        results.write("profile.csv", lambda: "x\n" * 10000)
    assert not results.staging.exists()
    assert summary_of(folder) == summary_of(membrane_results)


def test_failed_solve_leaves_the_last_good_state_and_says_what_was_tried(tmp_path: Path):
    """A flux of twice the limiting current rho_L D/L: steady states end at half of it."""
    tables = {
        "model": {"units": "dimensionless", "law": "pnp", "electrostatics": "imposed"},
        "species": [{"name": "A"}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"A": 0.5}},
            {"where": "right", "kind": "flux", "flux": {"A": 1.0}},
        ],
    }
    case = write_toml(tables, tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 3
    summary = summary_of(tmp_path / "out")
    assert summary["converged"] is False
    assert 0.4 < summary["load_parameter"] < 0.5
    assert summary["flux"]["right"]["A"]["value"] == pytest.approx(summary["load_parameter"], rel=1e-12)
    assert summary["balance"] < 1e-8
    assert f"at {summary['load_parameter']:.4g} of the driving forces" in finished.stderr
    assert len(summary["tried"]) >= 3
    assert 'the flux of A through "right" can be carried up to 0.5 of the 1.0 given; beyond' in finished.stderr
    assert "ramp to" in (tmp_path / "out" / "log.txt").read_text()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["case"]["model"]["law"] == "pnp"
    assert (tmp_path / "out" / "profile.csv").exists()


def test_solve_that_finds_no_state_at_all_writes_none(tmp_path: Path):
    """One Newton step a try is never enough."""
    tables = dimensionless_case(electrostatics="poisson", debye_length=0.05, law="mpnp")
    for species, charge in zip(tables["species"], (1, -1), strict=True):
        species["charge"] = charge
    for boundary, potential in zip(tables["boundaries"], (30.0, 0.0), strict=True):
        boundary["potential"] = potential
    tables["solver"] = {"max_newton_steps": 1}
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out")
    assert finished.returncode == 3
    assert "no state was found" in finished.stderr
    summary = summary_of(tmp_path / "out")
    assert (summary["converged"], summary["load_parameter"]) == (False, 0.0)
    assert "flux" not in summary
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {"summary.json", "manifest.json", "log.txt"}


# ---- pictures ----


class Drawn:
    """Stands for ``plots.draw_profiles``, begun and not ended."""

    def __call__(self, path: Path, *content: object) -> None:
        path.write_bytes(b"half a picture")
        raise ValueError("'x' must be strictly\nincreasing")


def test_picture_that_fails_is_a_warning_and_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On the terminal, in the log and in the summary beside it; everything else is there, the other picture too."""
    import argparse

    from pnp_exclusion.output import plots
    from pnp_exclusion.output.job import Job, read

    monkeypatch.setattr(plots, "draw_profiles", Drawn())
    arguments = argparse.Namespace(
        case=EXAMPLES / "imposed_fields.toml", output=tmp_path / "out", overwrite=False, quiet=True
    )
    with Job(arguments, []) as job:
        job.write(job.solve(read(arguments.case)))
        job.folder.complete()
    sentence = "profiles.png could not be drawn ('x' must be strictly increasing); everything else is complete"
    assert capsys.readouterr().err.splitlines() == [f"warning: {sentence}"]
    summary = summary_of(tmp_path / "out")
    assert (summary["converged"], summary["warnings"]) == (True, [sentence])
    assert sentence in (tmp_path / "out" / "log.txt").read_text()
    names = {entry.name for entry in (tmp_path / "out").iterdir()}
    assert names == {
        "summary.json",
        "manifest.json",
        "profile.csv",
        "fields.bp",
        "fields.vtkhdf",
        "fluxes.png",
        "log.txt",
    }


def test_picture_of_a_sweep_that_fails_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from pnp_exclusion.studies.sweeps import run

    monkeypatch.setattr(run, "draw_sweep", Drawn())
    tables = dimensionless_case() | {"sweep": {"axes": [{"key": "species.A.field", "values": [0.0, 1.0]}]}}
    results = run.sweep(tables, tmp_path / "out")
    assert results["converged"].all()
    kept = {entry.name for entry in (tmp_path / "out").iterdir()}
    assert kept >= {"sweep.nc", "manifest.json"}
    assert not any("sweep.png" in name for name in kept)
    assert "sweep.png could not be drawn" in (tmp_path / "out" / "log.txt").read_text()


# ---- units of lengths ----


def test_drawing_in_metres_is_shown_in_nanometres(tmp_path: Path):
    """A strip of 10 nm by 4 nm whose mesh file is in metres: pictures are drawn, fields and axes are in nm."""
    columns, rows = 8, 4
    points = [(1e-8 * i / columns, 4e-9 * j / rows) for j in range(rows + 1) for i in range(columns + 1)]
    number = lambda i, j: 1 + i + (columns + 1) * j  # noqa: E731
    squares = [
        (number(i, j), number(i + 1, j), number(i + 1, j + 1), number(i, j + 1))
        for j in range(rows)
        for i in range(columns)
    ]
    triangles = [(a, b, c) for a, b, c, _ in squares] + [(a, c, d) for a, _, c, d in squares]
    ends = [(tag, number(i, j), number(i, j + 1)) for tag, i in ((1, 0), (2, columns)) for j in range(rows)]
    elements = [f"1 2 {tag} {tag} {a} {b}" for tag, a, b in ends]
    elements += [f"2 2 3 3 {a} {b} {c}" for a, b, c in triangles]
    (tmp_path / "strip.msh").write_text(
        "$MeshFormat\n2.2 0 8\n$EndMeshFormat\n"
        '$PhysicalNames\n3\n1 1 "left"\n1 2 "right"\n2 3 "water"\n$EndPhysicalNames\n'
        f"$Nodes\n{len(points)}\n"
        + "".join(f"{n} {x:.17g} {y:.17g} 0\n" for n, (x, y) in enumerate(points, start=1))
        + f"$EndNodes\n$Elements\n{len(elements)}\n"
        + "".join(f"{n} {element}\n" for n, element in enumerate(elements, start=1))
        + "$EndElements\n"
    )
    salt = [{"Na": f"{c} mol/L", "Cl": f"{c} mol/L"} for c in (0.1, 0.01)]
    tables = {
        "model": {"law": "pnp"},
        "species": [{"name": n, "charge": z, "diffusivity": "2e-9 m^2/s"} for n, z in (("Na", 1), ("Cl", -1))],
        "domain": {"shape": "gmsh", "file": "strip.msh", "unit": "1 m"},
        "boundaries": [
            {"where": side, "kind": "reservoir", "concentration": held, "potential": "0 V"}
            for side, held in zip(("left", "right"), salt, strict=True)
        ],
    }
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    assert "warning" not in finished.stderr
    # D dc/L times the height, electroneutral, alike in both directions of the salt
    flux = summary_of(tmp_path / "out")["flux"]["right"]["Na"]["value"]
    assert flux == pytest.approx(2e-9 * 90.0 / 1e-8 * 4e-9, rel=1e-6)
    assert (tmp_path / "out" / "slice.png").stat().st_size > 10_000
    assert read_fields(tmp_path / "out")["geometry"].max() == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("length", "unit", "in_unit"),
    [
        ("5 nm", "nm", 5.0),
        ("0.05 um", "um", 0.05),
        ("5e-9 m", "nm", 5.0),
        ("8e-6 m", "um", 8.0),
        ("0.0002 m", "um", 200.0),
        ("20000 nm", "um", 20.0),
        ("3 m", "m", 3.0),
    ],
)
def test_lengths_are_shown_in_a_unit_that_can_be_read(length: str, unit: str, in_unit: float, membrane: dict):
    """The unit of the case where the domain is between 0.001 and 10000 of it."""
    from pnp_exclusion.case.case import make_case
    from pnp_exclusion.case.scales import domain_length, scales_of

    membrane |= {"domain": {"shape": "interval", "length": length}, "regions": []}
    case = make_case(membrane)
    scales = scales_of(case, domain_length(case))
    assert scales.length_unit == unit
    assert scales.length_in_unit == pytest.approx(in_unit)
