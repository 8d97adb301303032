"""Whatever is beyond a limit is said: on the terminal, in the summary and from Python; what is wrong is refused."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import blocking_electrode, dimensionless_case, example, run_command, summary_of, write_toml
from dolfinx import mesh as dmesh
from scipy.optimize import brentq

import pnp_exclusion as pnp
from pnp_exclusion.case.advice import advice
from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.exact.double_layer import CrowdedLayer, PointIonLayer
from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.sizes import areas
from pnp_exclusion.studies.workbench import Workbench

DEBYE = 0.01


def electrode(law: str, voltage: float, cells: int, degree: int = 2, unresolved: str = "refuse") -> dict:
    tables = blocking_electrode(law, voltage, DEBYE)
    tables["domain"]["cells"] = cells
    tables["solver"] = {"degree": degree, "unresolved": unresolved}
    return tables


def exact_charge(law: str, voltage: float) -> float:
    """Gouy and Chapman, or Bikerman."""
    return float((PointIonLayer if law == "pnp" else CrowdedLayer)(0.05, DEBYE).surface_charge(voltage))


# ---- layers of charge ----


@pytest.mark.parametrize(
    ("law", "voltage", "cells", "degree"),
    [("pnp", 20.0, 400, 2), ("pnp", 20.0, 4, 1), ("pnp", 40.0, 400, 4), ("mpnp", 4.0, 4, 2), ("shdl", 1.0, 1, 2)],
)
def test_charge_that_the_mesh_cannot_hold_is_refused(law: str, voltage: float, cells: int, degree: int):
    """Where it is off by 40 % or more against the closed forms."""
    with pytest.raises(
        ConvergenceError, match=r'boundary "left": cells of [\d.]+ cannot hold the layer there'
    ) as caught:
        pnp.solve(electrode(law, voltage, cells, degree))
    assert "leave out domain.cells" in str(caught.value)
    accepted = pnp.solve(electrode(law, voltage, cells, degree, "warn"))
    assert abs(accepted.steady.totals.charge["left"] / exact_charge(law, voltage) - 1.0) > 0.4
    assert any("cannot hold the layer" in warning for warning in accepted.warnings)


@pytest.mark.parametrize(
    ("law", "voltage", "cells", "degree"),
    [("pnp", 1.0, 15, 2), ("pnp", 10.0, 800, 2), ("mpnp", 20.0, 12, 2), ("vacancy", 40.0, 12, 4)],
)
def test_charge_that_is_somewhat_off_is_told_of_only(law: str, voltage: float, cells: int, degree: int):
    """Cells several times too large, charges within 5 % of the closed forms: a warning that the layer is thin."""
    solution = pnp.solve(electrode(law, voltage, cells, degree))
    assert abs(solution.steady.totals.charge["left"] / exact_charge(law, voltage) - 1.0) < 0.05
    assert any('boundary "left": the layer there is about' in warning for warning in solution.warnings)
    assert not any("cannot hold" in warning for warning in solution.warnings)


def test_neutral_reservoirs_need_no_cells_for_layers(membrane: dict):
    """Cells of 0.8 nm beside Debye lengths of 0.2 nm, where no charge is: no layer, nothing to refuse."""
    membrane["domain"]["cells"] = 6
    assert not any("cannot hold" in warning for warning in pnp.solve(membrane).warnings)


def test_refused_layer_ends_with_exit_code_3_and_keeps_the_state(tmp_path: Path):
    tables = electrode("pnp", 30.0, 10)
    case = write_toml(tables, tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 3
    assert 'boundary "left": cells of 0.1 cannot hold the layer there' in finished.stderr
    assert 'unresolved = "warn" in [solver]' in finished.stderr
    summary = summary_of(tmp_path / "out")
    assert (summary["converged"], summary["load_parameter"]) == (False, 1.0)
    assert (tmp_path / "out" / "profile.csv").exists()
    tables["solver"]["unresolved"] = "warn"
    finished = run_command("run", write_toml(tables, case), "-o", tmp_path / "out", "--overwrite")
    assert finished.returncode == 0
    assert summary_of(tmp_path / "out")["converged"] is True


def test_layer_is_refused_on_every_rank_and_in_sweeps(tmp_path: Path):
    tables = electrode("pnp", 30.0, 10)
    case = make_case(tables)
    with Workbench(case) as workbench, pytest.raises(ConvergenceError, match="cannot hold the layer"):
        workbench.solve(case)
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out", ranks=2)
    assert finished.returncode == 3
    assert finished.stderr.count("cannot hold the layer") == 2, "once as a warning, once as the reason"


# ---- one source of warnings ----


def test_terminal_summary_and_python_say_the_same(tmp_path: Path, membrane: dict):
    """Advice and checks together: a reservoir that is not neutral, edges of regions on coarse cells, the identity."""
    membrane["domain"]["cells"] = 6
    membrane["boundaries"][0]["concentration"]["Na"] = "1.9 mol/L"
    finished = run_command("run", write_toml(membrane, tmp_path / "case.toml"), "-o", tmp_path / "out")
    assert finished.returncode == 0
    told = [line.removeprefix("warning: ") for line in finished.stderr.splitlines() if line.startswith("warning: ")]
    solution = pnp.solve(membrane)
    assert told == solution.warnings == summary_of(tmp_path / "out")["warnings"] == solution.summary()["warnings"]
    for part in ("does not balance the fixed charge", "edge x = 1.25 nm", "identity_residual; limit 1e-05"):
        assert sum(part in warning for warning in told) == 1, part
    assert told[: len(advice(solution.setup))] == advice(solution.setup)


@pytest.mark.parametrize("name", ["membrane", "imposed_fields", "no_field", "two_electrodes", "membrane_at_rest"])
def test_examples_give_no_warning(name: str):
    assert pnp.solve(example(name)).warnings == []


# ---- the checks one by one ----


def test_state_that_is_not_steady_breaks_every_check(membrane: dict):
    """A thousandth of a kT, now up, now down, between the ends: currents no longer agree along the membrane."""
    solution = pnp.solve(membrane)
    assert solution.warnings == []
    disturbed = pnp.Solution(solution.setup, solution.discretisation, solution.report, True)
    values, layout = solution.state.values.copy(), solution.discretisation.layout
    x = solution.discretisation.space.tabulate_dof_coordinates()[:, 0]
    for name in ("mu_Na", "mu_Cl"):
        layout.split(values)[name][:] += 1e-3 * np.sin(7.0 * np.pi * x)
    disturbed.steady.state = replace(solution.state, values=values)
    told = disturbed.warnings
    for part in ("the fluxes of Na do not balance", "the fluxes differ from those", "differs from sum J F"):
        assert any(part in warning for warning in told), part


def test_currents_on_a_mesh_that_is_too_coarse_are_told_of():
    """Drift-diffusion in a field of 100 on four linear elements: 71 % less than E rho_L, and balanced to rounding."""
    tables = dimensionless_case(law="pnp")
    tables["species"][0]["field"] = 100.0
    tables["domain"]["cells"] = 4
    tables["solver"] = {"degree": 1}
    solution = pnp.solve(tables)
    assert abs(solution.steady.currents["A"] / (100.0 * 0.2) - 1.0) > 0.5
    told = [warning for warning in solution.warnings if "identity_residual; limit 0.1 at degree 1" in warning]
    assert len(told) == 1


def test_entropy_production_is_compared_only_where_forces_are_all_there_is():
    """A flux given on one side of a rectangle: what it dissipates is not the mean force times the current."""
    tables = dimensionless_case(law="pnp")
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [6, 4]}
    tables["boundaries"].append({"where": "top", "kind": "flux", "flux": {"A": 0.1}})
    solution = pnp.solve(tables)
    powers = sum(solution.steady.currents[name] * solution.forces[name] for name in ("A", "B"))
    assert abs(solution.steady.entropy_production / powers - 1.0) > 1e-3
    assert not any("sum J F" in warning for warning in solution.warnings)


def test_point_ions_beyond_the_lattice_are_told_of(membrane: dict):
    membrane["model"]["law"] = "pnp"
    membrane["regions"][0]["fixed_charge"] = "6 mol/L"
    assert any("point ions overlap" in warning for warning in pnp.solve(membrane).warnings)


# ---- what is asked about before ----


def test_volts_for_millivolts_are_asked_about(membrane: dict):
    """40 V over 5 nm are 8 V/nm."""
    assert advice(build(make_case(membrane))) == []
    membrane["boundaries"][0]["potential"] = "-40 V"
    told = advice(build(make_case(membrane)))
    assert told == [
        'the potentials of "left" (-40 V) and "right" (0 V) make a mean field of 8 V/nm between them; '
        "above 1 V/nm neither water nor this theory holds: are the units right?"
    ]


def test_field_in_the_layer_of_an_electrode_is_asked_about(membrane: dict):
    """Bikerman's layer, the field from its closed form: the mean field over a micrometre is small."""
    membrane |= {"domain": {"shape": "interval", "length": "1 um"}, "regions": []}
    membrane["boundaries"][0] = {"where": "left", "kind": "electrode", "potential": "10 V"}
    case = make_case(membrane)
    setup = build(case)
    lattice = 0.5 / setup.scales.displayed_concentration
    layer = CrowdedLayer(lattice, setup.scales.debye_length)
    volts = 10.0 / setup.scales.potential
    field = float(layer.surface_charge(volts)) / setup.scales.debye_length**2 * setup.scales.potential / 1e-6
    assert field > 1e9
    assert f"makes a field of {field * 1e-9:.3g} V/nm in the layer beside it" in advice(setup)[0]
    weaker = copy.deepcopy(membrane)
    weaker["boundaries"][0]["potential"] = "0.5 V"
    assert advice(build(make_case(weaker))) == []


def test_field_behind_a_stern_layer_is_that_of_what_it_leaves_to_the_diffuse_layer(membrane: dict):
    """Bikerman's closed form in series with the layer: C_S (V - V_D) = sigma(V_D), solved by scipy's brentq."""
    membrane |= {"domain": {"shape": "interval", "length": "1 um"}, "regions": []}
    stern = {"capacitance": "0.5 F/m^2"}
    membrane["boundaries"][0] = {"where": "left", "kind": "electrode", "potential": "15 V", "stern": stern}
    setup = build(make_case(membrane))
    scales = setup.scales
    layer = CrowdedLayer(0.5 / scales.displayed_concentration, scales.debye_length)
    total, capacitance = 15.0 / scales.potential, 0.5 / scales.capacitance
    diffuse = brentq(lambda v: float(layer.surface_charge(v)) - capacitance * (total - v), 1.0, total)
    field = float(layer.surface_charge(diffuse)) / scales.debye_length**2 * scales.potential / 1e-6
    assert f"makes a field of {field * 1e-9:.3g} V/nm in the layer beside it" in advice(setup)[0]


def test_surface_charge_beyond_what_close_packing_can_screen_is_told_with_the_number(membrane: dict):
    """A full lattice of 0.7 nm over 5 nm holds 5/0.343 elementary charges a square nanometre, 2.335 C/m^2."""
    membrane["boundaries"][0] = {"where": "left", "kind": "wall", "surface_charge": "-4.67 C/m^2"}
    told = advice(build(make_case(membrane)))
    assert any("close-packed counter-ions would fill 2 times the domain" in sentence for sentence in told)
    membrane["boundaries"][0]["surface_charge"] = "-2.3 C/m^2"
    assert not any("counter-ions" in sentence for sentence in advice(build(make_case(membrane))))


def test_imposed_field_is_asked_about(membrane: dict):
    membrane["model"] |= {"electrostatics": "imposed"}
    membrane["regions"] = []
    for boundary in membrane["boundaries"]:
        del boundary["potential"]
    for field, asked in (("2e9 eV/m", True), ("2e7 eV/m", False)):
        membrane["species"][0]["field"] = field
        told = [warning for warning in advice(build(make_case(membrane))) if "its field is 2 eV/nm" in warning]
        assert bool(told) is asked


def test_charge_beside_a_reservoir_is_averaged_over_its_area():
    """A fixed charge of 0.2 beside a quarter of the height, on cells that are graded toward its edge: 0.05."""
    tables = blocking_electrode("mpnp", 1.0, 0.05)
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 1.0]}
    tables["regions"] = [{"name": "strip", "y": [0.0, 0.25], "fixed_charge": 0.2}]
    told = [warning for warning in advice(build(make_case(tables))) if '"right": the charge' in warning]
    assert len(told) == 1
    assert "fixed charge beside it (+0.05)" in told[0]


@pytest.mark.parametrize("cells", ["tetrahedron", "hexahedron"])
def test_areas_of_faces_add_up_to_the_surface(cells: str):
    """A box of 1 by 2 by 3: 22."""
    kind = dmesh.CellType[cells]
    mesh = dmesh.create_box(MPI.COMM_SELF, [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], [2, 3, 1], kind)
    mesh.topology.create_connectivity(2, 3)
    outside = dmesh.exterior_facet_indices(mesh.topology)
    assert areas(Domain(mesh, {}, {}), outside).sum() == pytest.approx(22.0, rel=1e-14)


def test_report_on_point_ions_speaks_of_no_lattice(tmp_path: Path, membrane: dict):
    membrane["model"]["law"] = "pnp"
    finished = run_command("check", write_toml(membrane, tmp_path / "case.toml"))
    assert finished.returncode == 0
    for word in ("packing", "full lattice"):
        assert word not in finished.stdout + finished.stderr
    membrane["model"]["law"] = "mpnp"
    crowded = run_command("check", write_toml(membrane, tmp_path / "case.toml")).stdout
    assert "packing at left" in crowded
    assert "full lattice" in crowded


# ---- fluxes that nobody can carry ----


def plating(flux: str) -> dict:
    """Copper onto a cathode whose potential is free; D c/L times 2 is the limit, 1.8e-3 mol/m^2/s."""
    ions = [("Cu", 2, "7.2e-10 m^2/s"), ("SO4", -2, "1.065e-9 m^2/s")]
    return {
        "model": {"law": "pnp", "permittivity": 78.5},
        "species": [{"name": name, "charge": charge, "diffusivity": d} for name, charge, d in ions],
        "domain": {"shape": "interval", "length": "8 um"},
        "boundaries": [
            {
                "where": "left",
                "kind": "reservoir",
                "concentration": {"Cu": "10 mmol/L", "SO4": "10 mmol/L"},
                "potential": "0.25 V",
            },
            {"where": "right", "kind": "flux", "flux": {"Cu": flux}},
        ],
    }


def test_flux_beyond_the_limiting_current_is_told_with_what_can_be_carried():
    """Electroneutral theory: a binary salt of equal valences carries 2 D c/L of its cation, and not more."""
    with pytest.raises(ConvergenceError) as caught:
        pnp.solve(plating("2.16e-3 mol/m^2/s"))
    told = str(caught.value).splitlines()[-1]
    assert told.startswith('the flux of Cu through "right" can be carried up to 0.00')
    assert told.endswith("of the 2.16e-3 mol/m^2/s given; beyond that no steady state was found")
    carried = float(told.split("up to ")[1].split()[0])
    assert carried == pytest.approx(2.0 * 7.2e-10 * 10.0 / 8e-6, rel=5e-3)
    assert math.isclose(pnp.solve(plating("1.7e-3 mol/m^2/s")).report.load_parameter, 1.0)
