"""Sweeps end to end: the same states as single solves, read as one dataset; how they are told and refused."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import EXAMPLES, ROOT, dimensionless_case, example, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.case.case import checked_case, read_case
from pnp_exclusion.case.plans import RESERVED
from pnp_exclusion.cli.main import main
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.exact import stationary_state
from pnp_exclusion.studies.sweeps.dataset import LONG_NAMES
from pnp_exclusion.studies.sweeps.pictures import Layout, current_rows, layout_of, sweep_figure
from pnp_exclusion.studies.sweeps.plan import plan_of
from pnp_exclusion.studies.sweeps.record import line_of


def two_fields(first: int, second: int) -> dict:
    """The reservoirs of docs/numerics.md#reference-table, over both fields."""
    axes = [
        {"key": "species.A.field", "from": -10.0, "to": 10.0, "count": first},
        {"key": "species.B.field", "from": -6.0, "to": 6.0, "count": second},
    ]
    return dimensionless_case() | {"title": "Two fields", "sweep": {"axes": axes}}


def membrane_over(*axes: dict, **sweep: object) -> dict:
    return example("membrane") | {"sweep": {"axes": list(axes), **sweep}}


VOLTAGE = {"key": "boundaries.left.potential", "from": "-60 mV", "to": "60 mV", "count": 4}
LAWS = {"key": "model.law", "values": ["mpnp", "shdl"]}


def test_currents_and_regimes_are_those_of_the_exact_solution(tmp_path: Path):
    """Reference: multiple shooting on the matrix exponential, to 1e-7 of the drive, and the labels of its currents."""
    results = pnp.sweep(two_fields(9, 5), tmp_path)
    assert results.sizes == {"A_field": 9, "B_field": 5, "species": 2, "end": 2, "boundary": 2}
    for a in results["A_field"].values:
        for b in results["B_field"].values:
            exact = stationary_state([0.2, 0.5], [0.6, 0.1], [a, b])
            point = results.sel(A_field=a, B_field=b)
            assert point["current"].values == pytest.approx(exact.currents, abs=1e-6 * max(1.0, abs(a), abs(b)))
            assert point["force"].values == pytest.approx(exact.forces, abs=1e-9)
            assert float(point["entropy_production"]) == pytest.approx(exact.entropy_production, rel=1e-6)
            for species, rise in (("A", 0.4), ("B", -0.4)):
                current, force = (float(point[name].sel(species=species)) for name in ("current", "force"))
                against = "uphill-field" if current * rise > 0.0 else "fickian"
                expected = "inverse" if current * force < 0.0 else against
                assert point["regime"].sel(species=species) == expected
    assert {"fickian", "inverse", "uphill-field"} == set(results["regime"].values.ravel())
    assert float(results["identity_residual"].max()) < 1e-6


def test_results_of_a_membrane_are_those_of_single_solves_in_its_units():
    """Reference: `solve` of every case alone, on its own mesh; laws and voltages, so two workbenches."""
    results = pnp.sweep(membrane_over(LAWS, VOLTAGE))
    assert results["left_potential"].attrs["units"] == "mV"
    assert results["law"].values.tolist() == ["mpnp", "shdl"]
    units = {name: results[name].attrs.get("units") for name in ("current", "electric_current", "density", "charge")}
    assert units == {"current": "mol/m^2/s", "electric_current": "A/m^2", "density": "mol/L", "charge": "C/m^2"}
    for law in ("mpnp", "shdl"):
        for voltage in (-60.0, -20.0):
            tables = example("membrane")
            tables["model"]["law"] = law
            tables["boundaries"][0]["potential"] = f"{voltage} mV"
            summary = pnp.solve(tables).summary()
            point = results.sel(law=law, left_potential=voltage)
            for name in ("Na", "Cl"):
                outward = summary["flux"]["right"][name]["value"]
                assert float(point["current"].sel(species=name)) == pytest.approx(outward, rel=1e-5)
                assert float(point["flux"].sel(species=name, boundary="right")) == pytest.approx(outward, rel=1e-5)
                assert float(point["force"].sel(species=name)) == pytest.approx(summary["force"][name], abs=1e-9)
                assert point["regime"].sel(species=name) == summary["regime"][name]
            electric = summary["current"]["right"]["value"]
            assert float(point["electric_current"]) == pytest.approx(electric, rel=1e-5)
            charge = summary["charge"]["left"]["value"]
            assert float(point["charge"].sel(boundary="left")) == pytest.approx(charge, rel=1e-4)
    assert results["density"].isel(law=0, left_potential=0).values == pytest.approx(np.array([[2, 2], [0.5, 0.5]]))


def test_geometry_degree_and_several_keys_at_a_time_can_be_varied():
    """Reference: `solve` of one case alone."""
    both = ["boundaries.left.potential", "boundaries.right.potential"]
    rows = [
        {"keys": both, "factors": [0.5, -0.5], "name": "voltage", "values": ["50 mV", "50 mV", "0.08 V"]},
        {"key": "domain.length", "values": ["5 nm", "6 nm", "6 nm"]},
        {"key": "solver.degree", "values": [2, 1, 2]},
    ]
    results = pnp.sweep(membrane_over(*rows, design="list"))
    assert results["voltage"].values == pytest.approx([50.0, 50.0, 80.0])
    assert results["voltage"].attrs["units"] == "mV"
    tables = example("membrane")
    tables["boundaries"][0]["potential"], tables["boundaries"][1]["potential"] = "40 mV", "-40 mV"
    tables["domain"]["length"] = "6 nm"
    alone = pnp.solve(tables).summary()["flux"]["right"]["Na"]["value"]
    assert float(results["current"].sel(species="Na")[2]) == pytest.approx(alone, rel=1e-5)


def test_two_dimensions(tmp_path: Path):
    """Reference: the same channel in one dimension; per length of the other side, which is 0.5."""
    tables = two_fields(2, 2)
    one = pnp.sweep(tables)
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [40, 1]}
    two = pnp.sweep(tables)
    assert two["current"].values == pytest.approx(0.5 * one["current"].values, rel=1e-4)
    assert (two["regime"] == one["regime"]).all()
    assert "identity_residual" not in two


def test_netcdf_file_holds_what_was_returned_and_a_second_call_reads_it(tmp_path: Path):
    results = pnp.sweep(membrane_over(VOLTAGE), tmp_path)
    with xr.open_dataset(tmp_path / "sweep.nc") as read:
        assert read["regime"].astype(str).equals(results["regime"])
        for name in ("current", "converged", "left_potential", "charge"):
            assert read[name].equals(results[name])
            assert read[name].attrs == results[name].attrs
        assert json.loads(read.attrs["case"])["sweep"]["axes"][0]["count"] == 4
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "log.txt"}
    assert pnp.sweep(membrane_over(VOLTAGE), tmp_path).identical(results)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "log.txt"} == before
    assert {"plan.json", "points.jsonl", "sweep.nc", "manifest.json", "sweep.png"} <= set(before)


def test_points_do_not_depend_on_the_way_the_chunk_was_reached(tmp_path: Path):
    """Every second line is taken away; what is solved again is the same to the last bit."""
    tables = membrane_over(LAWS, VOLTAGE | {"count": 6}, chunk=3)
    pnp.sweep(tables, tmp_path)
    whole = (tmp_path / "points.jsonl").read_bytes()
    (tmp_path / "points.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[::2]))
    pnp.sweep(tables, tmp_path)
    assert (tmp_path / "points.jsonl").read_bytes() == whole


def test_no_axis_can_be_named_like_a_variable_of_the_results():
    assert set(LONG_NAMES) <= set(RESERVED)


def test_what_the_document_shows_runs(tmp_path: Path):
    """Its sweep, with fewer values, and its lines that read the results."""
    document = (ROOT / "docs" / "sweeps.md").read_text()
    sweep, reading = (re.search(rf"```{kind}\n(.*?)```", document, re.S)[1] for kind in ("toml", "python"))
    case = tmp_path / "membrane.toml"
    case.write_text((EXAMPLES / "membrane.toml").read_text() + sweep.replace("count = 41", "count = 3"))
    assert read_case(case).sweep.size == 60
    pnp.sweep(case, tmp_path / "salt")
    found: dict = {}
    exec(reading.replace('"salt/', f'"{tmp_path}/salt/'), found)
    assert 0.0 < found["backwards"].mean() < 0.2
    found["results"].close()


# ---- points without a solution ----


def unsolvable_from(steps: list[int]) -> dict:
    """With a single Newton step allowed nothing converges."""
    axes = [{"key": "solver.max_newton_steps", "values": steps}, VOLTAGE | {"count": 2}]
    return membrane_over(*axes)


def test_failed_points_are_recorded_with_the_reason_and_do_not_stop_the_rest(tmp_path: Path, capsys):
    case = write_toml(unsolvable_from([1, 40]), tmp_path / "case.toml")
    assert main(["sweep", str(case), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "4 points, 2 with a solution" in printed.out
    assert "warning: 2 of 4 points have no solution" in printed.err
    with xr.open_dataset(tmp_path / "out" / "sweep.nc") as results:
        assert results["converged"].values.tolist() == [[False, False], [True, True]]
        assert np.isnan(results["current"][0]).all()
        assert np.isfinite(results["current"][1]).all()
        assert results["regime"][0].values.astype(str).tolist() == [["", ""], ["", ""]]
        reasons = results["reason"].values.astype(str)
    assert reasons[0, 0].startswith("no solution found;")
    assert reasons[1, 0] == ""
    assert "max_newton_steps = 1, left_potential = -60 mV: no solution found" in (tmp_path / "out/log.txt").read_text()


def test_sweep_without_any_solution_ends_with_exit_code_3(tmp_path: Path, capsys):
    case = write_toml(unsolvable_from([1]), tmp_path / "case.toml")
    assert main(["sweep", str(case), "-o", str(tmp_path / "out"), "--quiet"]) == 3
    assert "no point of the sweep has a solution" in capsys.readouterr().err
    assert (tmp_path / "out" / "sweep.nc").exists()


def test_failed_points_are_solved_again_on_demand(tmp_path: Path):
    """A record of a failure is put in the place of a good one, as after a worker that died."""
    tables = membrane_over(VOLTAGE)
    results = pnp.sweep(tables, tmp_path)
    points = tmp_path / "points.jsonl"
    whole = points.read_bytes()
    lines = whole.splitlines(keepends=True)
    failed = {"index": 2, "at": {}, "converged": False, "reason": "worker died"}
    lines[2] = line_of(failed, results.attrs["fingerprint"]).encode()
    points.write_bytes(b"".join(lines))
    assert not pnp.sweep(tables, tmp_path)["converged"].values.all()
    assert pnp.sweep(tables, tmp_path, retry=True).identical(results)
    assert points.read_bytes() == whole


def test_results_that_are_missing_are_written_again(tmp_path: Path, capsys):
    case = write_toml(membrane_over(VOLTAGE), tmp_path / "case.toml")
    words = ["sweep", str(case), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    results = (tmp_path / "out" / "sweep.nc").read_bytes()
    (tmp_path / "out" / "sweep.nc").unlink()
    assert main(words) == 0
    assert (tmp_path / "out" / "sweep.nc").read_bytes() == results
    capsys.readouterr()
    assert main(words) == 0
    assert "nothing was left to do" in capsys.readouterr().err


def test_point_whose_line_was_changed_is_solved_again(tmp_path: Path, capsys):
    case = write_toml(membrane_over(VOLTAGE), tmp_path / "case.toml")
    words = ["sweep", str(case), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    points = tmp_path / "out" / "points.jsonl"
    whole = points.read_bytes()
    points.write_bytes(whole.replace(b'"converged":true', b'"converged":false', 1))
    capsys.readouterr()
    assert main(words) == 0
    assert "1 lines in" in capsys.readouterr().err
    assert points.read_bytes() == whole


# ---- bad input ----


def test_other_sweeps_and_mistakes_are_told_before_anything_runs(tmp_path: Path, capsys):
    out = tmp_path / "out"
    case = write_toml(membrane_over(VOLTAGE), tmp_path / "case.toml")
    other = write_toml(membrane_over(VOLTAGE | {"count": 5}), tmp_path / "other.toml")
    wrong = write_toml(membrane_over(VOLTAGE | {"key": "boundaries.left.potentail"}), tmp_path / "wrong.toml")
    assert main(["sweep", str(case), "-o", str(out), "--plan-only"]) == 0
    capsys.readouterr()
    assert main(["sweep", str(other), "-o", str(out)]) == 2
    told = capsys.readouterr().err
    assert "holds another sweep (Salt across a charged membrane)" in told
    assert len(told.splitlines()) == 1
    assert main(["sweep", str(wrong), "-o", str(tmp_path / "none")]) == 2
    assert 'did you mean "potential"?' in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["sweep", str(tmp_path / "case.toml"), "-o", str(case)]) == 2
    assert main(["sweep", str(case), "-o", "/proc/none"]) == 4


WORDS = {
    "part without parts": (["--part", "1"], "--part and --parts go together"),
    "no parts": (["--part", "0", "--parts", "0"], "--parts must be 1 or more, but it is 0"),
    "part beyond": (["--part", "3", "--parts", "3"], "--part must be one of 0 to 2, but it is 3"),
    "two steps": (["--plan-only", "--gather"], "exclude each other"),
    "no workers": (["--workers", "0"], "--workers must be 1 or more, but it is 0"),
    "workers and Dask": (["--workers", "2", "--dask", "x:1"], "exclude each other; take one of them"),
    "groups without ranks": (["--ranks-per-point", "2"], "--ranks-per-point 2 does not fit 1 ranks"),
    "retry of a part": (["--part", "0", "--parts", "2", "--retry"], "for the whole sweep"),
    "gather of nothing": (["--gather"], "4 of 4 points are missing"),
    "no scheduler": (["--dask", "tcp://127.0.0.1:9"], 'no Dask scheduler answers at "tcp://127.0.0.1:9"'),
}


@pytest.mark.parametrize("name", WORDS)
def test_command_lines_that_cannot_be_followed(name: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pnp_exclusion.studies.sweeps.executors.DASK_PATIENCE", "1s")
    words, sentence = WORDS[name]
    case = write_toml(membrane_over(VOLTAGE), tmp_path / "case.toml")
    assert main(["sweep", str(case), "-o", str(tmp_path / "out"), "--quiet", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_python_raises_what_the_command_line_tells(tmp_path: Path):
    with pytest.raises(CaseError, match=r"\[sweep\]: this table is missing"):
        pnp.sweep(dimensionless_case(), tmp_path / "none")
    (tmp_path / "summary.json").write_text("")
    with pytest.raises(UsageError, match="holds other results"):
        pnp.sweep(two_fields(2, 2), tmp_path)


# ---- tasks of an array ----


def test_plan_of_many_points_looks_at_some_and_a_part_at_its_own(tmp_path: Path, capsys, monkeypatch):
    """Numbers of points: a look at each of a million would take minutes before an array of jobs can begin."""
    looked: list[object] = []
    usual = checked_case
    counted = lambda tables, *others: looked.append(tables["boundaries"][0]["potential"]) or usual(tables, *others)  # noqa: E731
    monkeypatch.setattr("pnp_exclusion.case.varied.checked_case", counted)
    most = VOLTAGE | {"from": "-40 mV", "to": "40 mV", "count": 20_001}
    case = str(write_toml(membrane_over(most), tmp_path / "case.toml"))
    assert main(["sweep", case, "-o", str(tmp_path / "out"), "--plan-only"]) == 0
    assert "1000 of them looked at, every part looks at its own" in capsys.readouterr().out
    assert 1000 <= len(looked) < 1010
    assert {"-40.0 mV", "40.0 mV"} <= set(looked)
    plan = plan_of(read_case(Path(case)), check=False)
    looked.clear()
    plan.require_cases(plan.part(3, 800))
    # chunks of 25 points, of which the last has one
    assert len(looked) == 25


def test_part_tells_of_its_own_points_that_make_no_case(tmp_path: Path, capsys):
    """Of 8 contents in chunks of 2 the last two, 1.2 times what the lattice holds, fill it: the last part."""
    salt = {"keys": [f"boundaries.left.concentration.{ion}" for ion in ("Na", "Cl")], "name": "salt"}
    salt |= {"values": [f"{c} mol/L" for c in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 3.0, 3.1)]}
    case = str(write_toml(membrane_over(salt, chunk=2), tmp_path / "case.toml"))
    words = ["sweep", case, "-o", str(tmp_path / "out"), "--parts", "4", "--quiet", "--part"]
    assert main([*words, "0"]) == 0
    assert main([*words, "3"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert all("the species fill 1." in line for line in told)


def test_printed_commands_are_for_a_shell(tmp_path: Path, capsys):
    case = write_toml(membrane_over(VOLTAGE), tmp_path / "my case; echo.toml")
    words = ["sweep", str(case), "-o", str(tmp_path / "my results"), "--plan-only", "--", "-ksp_rtol", "1e-9"]
    assert main(words) == 0
    commands = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    for command, task in zip(commands, (["--part", "$SLURM_ARRAY_TASK_ID", "--parts", "1"], ["--gather"]), strict=True):
        assert shlex.split(command) == ["pnp-exclusion", *words[:4], *task, *words[5:]]


def test_parts_of_an_array_gathered_are_the_whole(tmp_path: Path, capsys):
    case = write_toml(membrane_over(LAWS, VOLTAGE | {"count": 7}, chunk=2), tmp_path / "case.toml")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["sweep", str(case), "-o", str(whole), "--quiet"]) == 0
    assert main(["sweep", str(case), "-o", str(parts), "--plan-only"]) == 0
    assert "--part $SLURM_ARRAY_TASK_ID --parts 8" in capsys.readouterr().out
    for part in (2, 0, 1):
        assert not (parts / "sweep.nc").exists()
        assert main(["sweep", str(case), "-o", str(parts), "--part", str(part), "--parts", "3", "--quiet"]) == 0
    assert len(list(parts.glob("points-?.jsonl"))) == 3
    assert main(["sweep", str(case), "-o", str(parts), "--gather"]) == 0
    for name in ("points.jsonl", "sweep.nc", "plan.json"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()


def test_part_for_which_no_chunk_is_left_is_done(tmp_path: Path, capsys):
    """As in an array of more tasks than chunks, whose gathering waits for all of them to end well."""
    case = write_toml(membrane_over(VOLTAGE, chunk=2), tmp_path / "case.toml")
    for part, line in ((1, "2 points in 1 chunks"), (2, "0 points in 0 chunks")):
        assert main(["sweep", str(case), "-o", str(tmp_path / "out"), "--part", str(part), "--parts", "4"]) == 0
        assert line in capsys.readouterr().err


# ---- pictures ----


@pytest.mark.parametrize(
    ("axes", "drawn"),
    [
        ([VOLTAGE], True),
        ([VOLTAGE, LAWS], True),
        ([VOLTAGE, {"key": "boundaries.right.potential", "values": ["0 V", "50 mV", "60 mV"]}], True),
        ([VOLTAGE, LAWS, {"key": "boundaries.right.potential", "values": ["0 V"]}], True),
        ([LAWS], False),
    ],
)
def test_axes_of_numbers_are_drawn(axes: list[dict], drawn: bool, tmp_path: Path, capsys):
    case = write_toml(membrane_over(*axes), tmp_path / "case.toml")
    assert main(["sweep", str(case), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "sweep.png").exists() == drawn
    assert ("no picture" in capsys.readouterr().err) != drawn
    if drawn:
        assert (tmp_path / "out" / "sweep.png").read_bytes()[:4] == b"\x89PNG"


def grid(**axes: list) -> xr.Dataset:
    """A sweep without results over some axes, of numbers or words."""
    coordinates = {name: np.array(values) for name, values in axes.items()}
    shape = [len(values) for values in axes.values()]
    return xr.Dataset({"converged": (list(axes), np.ones(shape, dtype=bool))}, coordinates)


LONG, SHORT = np.linspace(0.0, 1.0, 11), [1.0, 2.0, 5.0]


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({"voltage": LONG}, Layout("voltage")),
        ({"law": ["mpnp", "shdl"], "voltage": LONG}, Layout("voltage", lines="law")),
        ({"salt": SHORT, "voltage": LONG}, Layout("voltage", lines="salt")),
        ({"voltage": LONG, "salt": LONG}, Layout("voltage", up="salt")),
        ({"voltage": LONG, "salt": SHORT, "law": ["mpnp", "shdl"]}, Layout("voltage", lines="salt", columns="law")),
        ({"voltage": LONG, "salt": LONG, "law": ["mpnp", "shdl"]}, Layout("voltage", up="salt", columns="law")),
        ({"length": SHORT, "voltage": LONG, "salt": LONG}, Layout("voltage", up="salt", columns="length")),
        ({"voltage": LONG, "salt": LONG, "length": LONG}, None),
        ({"law": ["mpnp", "shdl"]}, None),
    ],
)
def test_longest_axis_runs_across_and_laws_stand_side_by_side(axes: dict, expected: Layout | None):
    assert layout_of(grid(**axes), list(axes)) == expected


def test_axes_have_their_key_and_are_told_in_words_and_lists_of_one_stay_lists(tmp_path: Path):
    """Read back from the file: one value, one species."""
    tables = dimensionless_case() | {"sweep": {"axes": [{"key": "species.A.field", "values": [1.0]}]}}
    tables["species"] = [{"name": "A"}]
    for boundary in tables["boundaries"]:
        del boundary["fraction"]["B"]
    pnp.sweep(tables, tmp_path / "out")
    with xr.open_dataset(tmp_path / "out" / "sweep.nc") as results:
        assert results["A_field"].attrs == {"long_name": "field of A", "key": "species.A.field"}
        assert dict(results["current"].sizes) == {"A_field": 1, "species": 1}
        assert results["species"].values.tolist() == ["A"]


def test_family_of_curves_over_a_potential_is_drawn_as_curves():
    """Eleven salts over seven voltages: the potential runs across, as its key says, and each salt is a line."""
    results = grid(salt=LONG, voltage=LONG[:7])
    results["voltage"].attrs["key"] = "boundaries.left.potential"
    assert layout_of(results, ["salt", "voltage"]) == Layout("voltage", lines="salt")


def test_example_of_a_sweep_draws_currents_over_voltage_for_every_salt_species_and_law():
    """As the case file says: 11 voltages, 5 salts as lines, two ions by three laws."""
    results = pnp.sweep(EXAMPLES / "voltage_and_salt.toml")
    assert layout_of(results, ["voltage", "salt", "law"]) == Layout("voltage", lines="salt", columns="law")
    panels = sweep_figure(results, current_rows(results)).axes
    assert [panel.get_title() for panel in panels] == [f"{a}, {b}" for a in ("Na", "Cl") for b in results["law"].values]
    assert panels[0].get_ylabel() == "flux left → right [mol m⁻² s⁻¹]"
    assert panels[-1].get_xlabel() == "voltage [mV]"
    for panel in panels:
        name, law = panel.get_title().split(", ")
        curves = [line.get_ydata() for line in panel.lines if len(line.get_xdata()) == 11]
        np.testing.assert_array_equal(
            curves, results["current"].sel(species=name, law=law).transpose("salt", "voltage")
        )
