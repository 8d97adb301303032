"""A solution as an object for Python: units, tables, pictures, a file, warnings, options of PETSc."""

from __future__ import annotations

import gc
import json
import math
import os
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import BIN, EXAMPLES, dimensionless_case, example, run_command, summary_of, write_toml
from dolfinx import mesh as dmesh

import pnp_exclusion as pnp
from pnp_exclusion.errors import CaseError, ConvergenceError, DiskError
from pnp_exclusion.physics.laws import LAWS
from pnp_exclusion.studies.workbench import Workbench

EXAMPLE_OF_DIMENSION = {1: "membrane", 2: "slit", 3: "sphere"}


def box() -> dict:
    """Diffusion alone along a box of 4 nm x 2 nm x 2 nm: J = D (c_left - c_right) / length, times the area."""
    return {
        "model": {"law": "pnp", "electrostatics": "imposed"},
        "species": [{"name": "A", "diffusivity": "1e-9 m^2/s"}],
        "domain": {"shape": "box", "size": ["4 nm", "2 nm", "2 nm"], "cells": [4, 2, 2]},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "concentration": {"A": "0.3 mol/L"}},
            {"where": "right", "kind": "reservoir", "concentration": {"A": "0.1 mol/L"}},
        ],
        "solver": {"degree": 2},
    }


def run_on_ranks(script: str, ranks: int, *words: str | Path) -> str:
    """Run a script on ranks; return what it prints."""
    command = [str(BIN / "mpiexec"), "-n", str(ranks), sys.executable, "-c", script, *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


# ---- units ----


@pytest.mark.parametrize("name", EXAMPLE_OF_DIMENSION.values())
def test_currents_are_the_fluxes_of_the_summary(name: str):
    """Between two ends alone: in at the first, out at the second."""
    solution = pnp.solve(example(name) if name == "membrane" else EXAMPLES / f"{name}.toml")
    for species, out in solution.summary()["flux"]["right"].items():
        assert out["unit"] == solution.current_unit
        assert out["value"] == pytest.approx(solution.currents[species], rel=1e-6, abs=0.0)


def test_current_through_a_box_is_in_moles_a_second():
    """Fick: 1e-9 m^2/s times 200 mol/m^3 over 4 nm, through 4 nm^2; degree 2 in log c leaves 1e-4."""
    solution = pnp.solve(box())
    assert solution.current_unit == "mol/s"
    assert solution.currents["A"] == pytest.approx(1e-9 * 200.0 / 4e-9 * 4e-18, rel=1e-4, abs=0.0)
    assert solution.forces["A"] == pytest.approx(math.log(3.0), rel=1e-12)


def test_currents_of_a_dimensionless_case_have_no_unit():
    """Without fields shdl is plain diffusion: 0.2 - 0.6."""
    solution = pnp.solve(dimensionless_case())
    assert solution.current_unit == ""
    assert solution.currents["A"] == pytest.approx(-0.4, rel=1e-8)


# ---- xarray ----


def test_profile_is_the_table_that_the_command_writes(tmp_path: Path):
    assert run_command("run", EXAMPLES / "membrane.toml", "-o", tmp_path / "out").returncode == 0
    path = tmp_path / "out" / "profile.csv"
    columns = path.read_text().splitlines()[0].split(",")
    table = dict(zip(columns, np.loadtxt(path, delimiter=",", skiprows=1).T, strict=True))
    profile = pnp.solve(EXAMPLES / "membrane.toml").profile()
    labels = ("axis", "species")
    units = {name: values.attrs["units"] for name, values in profile.variables.items() if name not in labels}
    assert units == {
        "x": "m",
        "potential": "V",
        "concentration": "mol/m^3",
        "electrochemical_potential": "1",
        "packing": "1",
        "flux": "mol/m^2/s",
    }
    # a library of units takes kT for kilotesla
    assert profile["electrochemical_potential"].attrs["in_units_of"] == "kT"
    np.testing.assert_allclose(profile["x"], table["x [nm]"] * 1e-9, rtol=1e-11)
    np.testing.assert_allclose(profile["potential"], table["phi [V]"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(profile["packing"], table["packing"], rtol=1e-9)
    for name in ("Na", "Cl"):
        here = profile.sel(species=name)
        np.testing.assert_allclose(here["concentration"], table[f"{name} [mol/L]"] * 1e3, rtol=1e-9)
        np.testing.assert_allclose(here["electrochemical_potential"], table[f"mu_{name} [kT]"], rtol=1e-9, atol=1e-9)
    assert (profile.attrs["law"], profile.attrs["version"]) == ("shdl", pnp.__version__)
    assert profile.attrs["title"] == example("membrane")["title"]
    assert all(variable.attrs["long_name"] for variable in profile.variables.values())


def test_flux_along_an_interval_is_the_current_at_every_node():
    """Nothing is made or lost within; the averages at vertices miss it by what cells leave."""
    solution = pnp.solve(EXAMPLES / "membrane.toml")
    for name, current in solution.currents.items():
        flux = solution.profile()["flux"].sel(species=name, axis="x")
        np.testing.assert_allclose(flux, current, rtol=1e-2)


def test_fields_of_a_box_are_on_its_nodes_in_metres():
    """A straight line from 300 to 100 mol/m^3; (2*4+1)(2*2+1)^2 nodes at degree 2."""
    solution = pnp.solve(box())
    dataset = solution.to_xarray()
    assert dataset.sizes == {"species": 1, "axis": 3, "node": 225}
    assert "potential" not in dataset
    np.testing.assert_allclose(dataset["concentration"][0], 300.0 - 200.0 * dataset["x"] / 4e-9, rtol=2e-3)
    assert [float(dataset[letter].max()) for letter in "xyz"] == pytest.approx([4e-9, 2e-9, 2e-9], rel=1e-12, abs=0.0)
    assert float(dataset["flux"].sel(axis="x").mean()) == pytest.approx(50.0, rel=1e-3)
    assert float(abs(dataset["flux"].sel(axis=["y", "z"])).max()) < 1.0


def test_profile_above_one_dimension_is_refused():
    with pytest.raises(ValueError, match="of one dimension, and this case has 3"):
        pnp.solve(box()).profile()


# ---- pictures ----


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_pyvista_holds_the_values_of_xarray_on_all_cells(degree: int):
    tables = box() | {"solver": {"degree": degree}}
    solution = pnp.solve(tables)
    grid, dataset = solution.to_pyvista(), solution.to_xarray()
    assert (grid.n_cells, grid.n_points) == (4 * 2 * 2 * 6, dataset.sizes["node"])
    np.testing.assert_array_equal(grid.point_data["concentration_A"], dataset["concentration"].sel(species="A"))
    np.testing.assert_array_equal(grid.point_data["flux_A"], dataset["flux"].sel(species="A").T)
    np.testing.assert_allclose(grid.points[:, 0], dataset["x"] * 1e9, rtol=1e-12)
    assert list(grid.field_data["length_unit"]) == ["nm"]
    # cells in VTK's order of nodes fill the box exactly: 4 x 2 x 2
    assert grid.compute_cell_sizes()["Volume"].sum() == pytest.approx(16.0, rel=1e-9)


def test_missing_pyvista_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(ImportError, match=r'^to_pyvista\(\) needs pyvista: pip install "pnp-exclusion\[pyvista\]"$'):
        pnp.solve(dimensionless_case()).to_pyvista()


def test_plot_is_a_figure_with_the_profiles_in_it():
    solution = pnp.solve(EXAMPLES / "membrane.toml")
    figure, profile = solution.plot(), solution.profile()
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["Na"].get_ydata(), profile["concentration"].sel(species="Na") * 1e-3)
    np.testing.assert_allclose(lines["Na"].get_xdata(), profile["x"] * 1e9, atol=1e-12)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert [axis.get_title() for axis in pnp.solve(box()).plot().axes][0].startswith("A [mol L⁻¹]; lines: flux")


def test_import_of_the_package_and_a_solve_leave_picture_libraries_alone():
    script = (
        "import sys, pnp_exclusion as pnp\n"
        f"pnp.solve({dimensionless_case()!r}).summary()\n"
        "print(*({'xarray', 'matplotlib', 'pyvista', 'h5py'} & set(sys.modules)))\n"
        # which fails beside the HDF5 of DOLFINx where numba has made that everybody's
        "import h5py"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (finished.returncode, finished.stdout.strip()) == (0, ""), finished.stderr


# ---- in words ----


def test_representation_says_currents_with_units_and_warnings():
    solution = pnp.solve(EXAMPLES / "membrane.toml")
    text, table = repr(solution), solution._repr_html_()
    for shown in (text, table):
        for name, current in solution.currents.items():
            assert name in shown and f"{current:.6g} mol/m^2/s" in shown and solution.regimes[name] in shown
    assert "law shdl" in text and "not converged" not in text
    assert "left → right" in table


def test_titles_and_warnings_are_text_in_html():
    with pytest.warns(pnp.SolutionWarning):
        solution = pnp.solve(dimensionless_case() | {"title": "<script>"}, petsc={"a_<b>": 1})
    assert "&lt;script&gt;" in solution._repr_html_() and "a_&lt;b&gt;" in solution._repr_html_()
    assert "<script>" not in solution._repr_html_()


# ---- a file ----

_READINGS = """
import json, sys
import pnp_exclusion as pnp
solution = {how}
summary, dataset = solution.summary(), solution.to_xarray()
if dataset is not None:
    means = {{name: float(values.mean()) for name, values in dataset.data_vars.items()}}
    print(json.dumps([summary, means, repr(solution)]))
"""
_SAVE = _READINGS.format(how="pnp.solve(sys.argv[1])") + "solution.save(sys.argv[2])"
_LOAD = _READINGS.format(how="pnp.load(sys.argv[2])")


@pytest.mark.parametrize("name", ["slit", "crossed"])
def test_saved_on_two_ranks_a_solution_loads_on_one_and_three_with_the_same_readings(name: str, tmp_path: Path):
    case = EXAMPLES / f"{name}.toml"
    if name == "crossed":
        tables = box() | {"solver": {"degree": 4}}
        tables["domain"]["cells"] = [5, 4, 3]
        case = write_toml(tables, tmp_path / "case.toml")
    file = tmp_path / "solution.npz"
    saved, means, shown = json.loads(run_on_ranks(_SAVE, 2, case, file))
    assert [entry.name for entry in tmp_path.iterdir() if entry.suffix != ".toml"] == ["solution.npz"]
    for ranks in (1, 3):
        loaded, again, words = json.loads(run_on_ranks(_LOAD, ranks, case, file))
        assert words == shown
        assert again == pytest.approx(means, rel=1e-9, abs=1e-9 * max(map(abs, means.values())))
        for key in ("force", "regime", "cells", "unknowns", "newton_iterations", "wall_seconds", "warnings", "law"):
            assert loaded[key] == pytest.approx(saved[key], rel=1e-12) if key == "force" else loaded[key] == saved[key]
        for where, fluxes in saved["flux"].items():
            for species, flux in fluxes.items():
                largest = max(abs(f["value"]) for of in saved["flux"].values() for f in of.values())
                assert loaded["flux"][where][species]["value"] == pytest.approx(flux["value"], abs=1e-9 * largest)
        assert loaded["entropy_production"]["value"] == pytest.approx(
            saved["entropy_production"]["value"], rel=1e-9, abs=0.0
        )


def test_loaded_solution_needs_neither_its_case_nor_its_mesh_file(tmp_path: Path):
    """It is a case again too: solved anew, it gives the same currents."""
    tables = example("slit")
    mesh = tmp_path / "mesh.msh"
    mesh.write_bytes((EXAMPLES / tables["domain"]["file"]).read_bytes())
    tables["domain"]["file"] = "mesh.msh"
    case = write_toml(tables, tmp_path / "case.toml")
    solution = pnp.solve(case)
    solution.save(tmp_path / "solution.npz")
    mesh.unlink()
    case.unlink()
    loaded = pnp.load(str(tmp_path / "solution.npz"))
    assert loaded.steady.currents == pytest.approx(solution.steady.currents, rel=1e-12)
    assert loaded.state.load_parameter == 1.0 and loaded.converged


def test_solution_on_a_mesh_of_ones_own_is_loaded_and_is_a_case_again(tmp_path: Path):
    """4 by 1 um, D = 1e-9 m^2/s and half of it in the second half, 2 | 1 mol/m^3: two resistances in series."""
    mesh = dmesh.create_rectangle(MPI.COMM_SELF, [[0.0, 0.0], [4.0, 1.0]], [16, 4], dmesh.CellType.triangle)
    ends = {"inlet": lambda x: np.isclose(x[0], 0.0), "outlet": lambda x: np.isclose(x[0], 4.0)}
    case = pnp.Case(
        model=pnp.Model("pnp", electrostatics="imposed"),
        species=[pnp.Species(name="A", diffusivity=1e-9)],
        domain=pnp.Mesh(mesh=mesh, boundaries=ends, regions={"second half": lambda x: x[0] > 2.0 - 1e-9}, unit="1 um"),
        regions=[pnp.Region(name="slow", tag="second half", diffusivity=0.5)],
        boundaries=[
            pnp.Reservoir(where="inlet", concentration={"A": 2.0}),
            pnp.Reservoir(where="outlet", concentration={"A": 1.0}),
        ],
    )
    pnp.solve(case, comm=MPI.COMM_SELF).save(tmp_path / "solution.npz")
    loaded = pnp.load(tmp_path / "solution.npz", comm=MPI.COMM_SELF)
    right = 1e-9 / (2.0 + 2.0 * 2.0) * 1.0
    assert loaded.summary()["flux"]["outlet"]["A"]["value"] == pytest.approx(right, rel=1e-9)
    doubled = loaded.setup.case.varied({"boundaries.inlet.concentration.A": 3.0})
    again = pnp.solve(doubled, comm=MPI.COMM_SELF)
    assert again.summary()["flux"]["outlet"]["A"]["value"] == pytest.approx(2.0 * right, rel=1e-9)


def test_mesh_that_a_solve_has_refined_is_saved_with_it(tmp_path: Path):
    """A workbench's mesh, made fine for another case, and the start that its state is for others."""
    weak, strong = (dimensionless_case() for _ in range(2))
    for tables, field in ((weak, 1.0), (strong, 60.0)):
        tables["species"][0]["field"] = field
    with Workbench(pnp.make_case(weak), also=[pnp.make_case(strong)]) as workbench:
        solution = workbench.solve(pnp.make_case(weak))
    solution.save(tmp_path / "solution.npz")
    loaded = pnp.load(tmp_path / "solution.npz")
    assert loaded.discretisation.problem.domain.cells > pnp.solve(weak).discretisation.problem.domain.cells
    np.testing.assert_array_equal(loaded.state.values, solution.state.values)
    assert loaded.steady.currents == pytest.approx(solution.steady.currents, rel=1e-12)


def test_failed_solve_is_saved_with_its_share_of_the_driving_forces(tmp_path: Path):
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
    solution = pnp.solve(tables, keep_failure=True)
    assert 0.4 < solution.report.load_parameter < 0.5
    solution.save(tmp_path / "part.npz")
    loaded = pnp.load(tmp_path / "part.npz")
    assert loaded.report == solution.report and not loaded.converged
    assert loaded.steady.totals.flux["right"]["A"] == pytest.approx(solution.report.load_parameter, rel=1e-12)
    assert "not converged" in repr(loaded)


def test_law_of_ones_own_is_asked_for_on_loading(tmp_path: Path):
    own = pnp.Law("half", lambda a, b, rho, diffusivity: (1.0 if b == 0 else 0.5) * diffusivity[a] * rho[a] * rho[b])
    solution = pnp.solve(dimensionless_case(), own)
    solution.save(tmp_path / "own.npz")
    with pytest.raises(CaseError, match=r'computed with a law of its own, "half": load\(path, law=\.\.\.\)'):
        pnp.load(tmp_path / "own.npz")
    loaded = pnp.load(tmp_path / "own.npz", law=own)
    assert loaded.steady.currents == pytest.approx(solution.steady.currents, rel=1e-12)


def test_solution_of_a_registered_law_is_loaded_where_nobody_has_registered_it(tmp_path, monkeypatch):
    """As in another process, where its case names a law that is not known."""
    law = pnp.Law("registered", lambda a, b, rho, d: d[a] * rho[a] * rho[b], equal_diffusivities=True)
    pnp.register_law(law)
    solution = pnp.solve(pnp.read_case(EXAMPLES / "membrane.toml").varied({"model.law": "registered"}))
    solution.save(tmp_path / "solution.npz")
    monkeypatch.delitem(LAWS, "registered")
    with pytest.raises(CaseError, match=r'computed with a law of its own, "registered": load\(path, law=\.\.\.\)'):
        pnp.load(tmp_path / "solution.npz")
    loaded = pnp.load(tmp_path / "solution.npz", law=law)
    assert loaded.currents == pytest.approx(solution.currents, rel=1e-12)


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_laws_of_the_package_are_in_the_file_by_name(law: str, tmp_path: Path):
    kappa = {"kappa": 0.5} if law == "vacancy" else {}
    solution = pnp.solve(dimensionless_case(law=law, **kappa))
    solution.save(tmp_path / "solution.npz")
    assert pnp.load(tmp_path / "solution.npz").steady.currents == pytest.approx(solution.steady.currents, rel=1e-12)


class Payload:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


def test_file_that_is_none_of_ours_is_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    good = tmp_path / "good.npz"
    pnp.solve(dimensionless_case()).save(good)
    whole = good.read_bytes()
    files = {
        "absent.npz": None,
        "empty.npz": b"",
        "text.npz": b"not an archive",
        "cut.npz": whole[: len(whole) // 2],
        "flipped.npz": whole[:400] + bytes([whole[400] ^ 255]) + whole[401:],
    }
    for name, content in files.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    np.save(tmp_path / "array.npz.npy", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", heading=np.array([Payload()], dtype=object))
    with np.load(good) as archive:
        arrays = dict(archive)
    arrays["cell_nodes"] = arrays["cell_nodes"] + 1
    np.savez(tmp_path / "shifted.npz", **arrays)
    arrays["cell_nodes"] = arrays["cell_nodes"] - 1
    arrays["nodes"] = arrays["nodes"] ** 2
    np.savez(tmp_path / "moved.npz", **arrays)
    names = [*files, "foreign.npz", "array.npz.npy", "pickled.npz", "shifted.npz", "moved.npz"]
    for name in names:
        with pytest.raises(CaseError) as caught:
            pnp.load(tmp_path / name)
        assert len(caught.value.mistakes) == 1 and "\n" not in str(caught.value), name
        assert name in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_every_flipped_byte_of_a_file_is_either_noticed_or_harmless(tmp_path: Path):
    """A hundred places; what is read all the same has the same numbers."""
    solution = pnp.solve(dimensionless_case() | {"domain": {"shape": "interval", "length": 1.0, "cells": 8}})
    solution.save(tmp_path / "good.npz")
    whole, random = (tmp_path / "good.npz").read_bytes(), np.random.default_rng(1)
    noticed = 0
    for place in random.integers(0, len(whole), 100):
        damaged = bytearray(whole)
        damaged[place] ^= int(random.integers(1, 256))
        (tmp_path / "bad.npz").write_bytes(damaged)
        try:
            loaded = pnp.load(tmp_path / "bad.npz")
        except CaseError:
            noticed += 1
        else:
            assert loaded.steady.currents == pytest.approx(solution.steady.currents, rel=1e-12)
    assert noticed > 50


def test_disk_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path):
    solution = pnp.solve(dimensionless_case())
    with pytest.raises(DiskError, match="cannot write"):
        solution.save(tmp_path / "absent" / "solution.npz")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(DiskError, match="cannot write"):
        solution.save(tmp_path / "folder.npz")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.npz"]


def test_without_a_state_there_is_nothing_to_read_or_to_save(tmp_path: Path):
    tables = example("membrane") | {"solver": {"max_newton_steps": 1}}
    solution = pnp.solve(tables, keep_failure=True)
    assert not solution.has_state
    for reading in ("currents", "forces", "regimes", "identity_residual"):
        with pytest.raises(ConvergenceError, match="found no state"):
            getattr(solution, reading)
    for ask in (solution.profile, solution.to_pyvista, solution.plot, lambda: solution.save(tmp_path / "a.npz")):
        with pytest.raises(ConvergenceError, match="found no state to read"):
            ask()
    assert "not converged" in repr(solution)


# ---- warnings ----


def test_what_the_user_should_know_is_a_warning_and_an_attribute(tmp_path: Path):
    """A coarse mesh beside a layer; commands tell of it once, on the terminal, as before."""
    tables = example("two_electrodes")
    tables["domain"]["cells"] = 12
    tables["solver"] = {"unresolved": "warn"}
    with pytest.warns(pnp.SolutionWarning) as told:
        solution = pnp.solve(tables)
    assert [str(warning.message) for warning in told] == solution.warnings == solution.summary()["warnings"]
    assert solution.warnings
    # they are about the line that has called, not one in this package
    assert {warning.filename for warning in told} == {__file__}
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out")
    assert "SolutionWarning" not in finished.stderr
    assert finished.stderr.count(solution.warnings[0]) == 1
    assert summary_of(tmp_path / "out")["warnings"] == solution.warnings


def test_nothing_to_tell_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pnp.solve(EXAMPLES / "membrane.toml").warnings == []


def test_on_several_ranks_one_of_them_warns_and_a_filter_ends_all(tmp_path: Path):
    script = """
import sys, warnings
from mpi4py import MPI
import pnp_exclusion as pnp
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    pnp.solve(sys.argv[1], petsc={"no_such_option": 1})
counts = MPI.COMM_WORLD.gather(len(told))
warnings.simplefilter("error", pnp.SolutionWarning)
try:
    pnp.solve(sys.argv[1], petsc={"no_such_option": 1})
except (pnp.SolutionWarning, RuntimeError) as error:
    errors = MPI.COMM_WORLD.gather("no_such_option" in str(error))
    if counts:
        print(counts, errors)
"""
    printed = run_on_ranks(script, 2, write_toml(dimensionless_case(), tmp_path / "case.toml"))
    assert printed.strip() == "[1, 0] [True, True]"


# ---- options of PETSc ----


def test_options_of_petsc_given_from_python_win_over_those_of_the_case():
    tables = dimensionless_case() | {"solver": {"petsc": {"ksp_type": "gmres", "snes_max_it": 20}}}
    reference = pnp.solve(dimensionless_case())
    solution = pnp.solve(tables, petsc={"pc_type": "lu", "-ksp_type": "fgmres"})
    assert solution.petsc_options.items() >= {"pc_type": "lu", "ksp_type": "fgmres", "snes_max_it": "20"}.items()
    assert solution.unused_petsc_options == [] and solution.report.tried == []
    assert solution.steady.currents == pytest.approx(reference.steady.currents, rel=1e-9)
    assert pnp.solve(dimensionless_case()).petsc_options == reference.petsc_options


def test_options_of_petsc_reach_a_workbench():
    case = pnp.make_case(dimensionless_case())
    with Workbench(case, petsc={"pc_type": "lu", "ksp_type": "gmres"}) as workbench:
        assert workbench.fits(case)
        solution = workbench.solve(case)
    assert solution.petsc_options.items() >= {"pc_type": "lu", "ksp_type": "gmres"}.items()
    assert solution.steady.currents["A"] == pytest.approx(-0.4, rel=1e-8)


def test_solution_that_is_let_go_frees_its_mesh_at_once():
    """A mesh holds communicators, of which MPI has two thousand: they must not wait for Python to look for circles."""
    gc.collect()
    gc.disable()
    try:
        solution = pnp.solve(example("membrane"))
        solution.summary()
        mesh = weakref.ref(solution.discretisation.problem.domain.mesh)
        del solution
        assert mesh() is None
    finally:
        gc.enable()
