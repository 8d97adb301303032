"""Noise of steady states: closed forms of fluctuating hydrodynamics, theorems that hold on any mesh, bad input."""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path

from petsc4py import PETSc

import numpy as np
import pytest
from conftest import EXAMPLES, dimensionless_case, run_command, write_toml
from test_transient import between_electrodes

import pnp_exclusion as pnp
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.solution.noise import Noise
from pnp_exclusion.solution.solve import solve_quietly
from pnp_exclusion.solver.linearised import LinearisedEquations
from pnp_exclusion.solver.noise import spectra, total_current_of

FREQUENCIES = np.geomspace(0.1, 1e3, 9)


def between(left: list[float], right: list[float], fields: list[float] | None = None, **others: object) -> dict:
    """Species A, B, .. between two reservoirs, in imposed fields."""
    tables = dimensionless_case(**others)
    names = "ABCD"[: len(left)]
    tables["species"] = [{"name": name, "field": f} for name, f in zip(names, fields or [0.0] * len(left), strict=True)]
    for boundary, contents in zip(tables["boundaries"], (left, right), strict=True):
        boundary["fraction"] = dict(zip(names, map(float, contents), strict=True))
    tables["domain"] = {"shape": "interval", "length": 1.0, "cells": 80}
    return tables


def charged(law: str, left: float, right: float, voltage: float) -> dict:
    """A salt across a fixed charge."""
    tables = between([left, left], [right, right], law=law, electrostatics="poisson", debye_length=0.1)
    tables["species"] = [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}]
    for boundary, potential in zip(tables["boundaries"], (voltage, 0.0), strict=True):
        boundary["potential"] = potential
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.15}]
    return tables


def noise(tables: dict, frequencies: object = FREQUENCIES) -> Noise:
    return pnp.solve(pnp.make_case(tables)).noise(frequencies)


def at_left(found: Noise) -> np.ndarray:
    """S(0) of the species' currents through the left end, which is that through the right end too."""
    np.testing.assert_allclose(found.at_zero[0, :, 0], found.at_zero[1, :, 1], rtol=1e-9)
    np.testing.assert_allclose(found.at_zero[0, :, 0], -found.at_zero[0, :, 1], rtol=1e-9)
    return found.at_zero[0, :, 0]


def test_noise_of_stirred_particles_without_fields_is_that_of_fluctuating_hydrodynamics():
    """docs/noise.md: S_ab = delta_ab (l_a + r_a) - l_a r_b - l_b r_a - (2/3) d_a d_b, exact."""
    left, right = np.array([0.5, 0.2]), np.array([0.1, 0.35])
    apart = right - left
    exact = np.diag(left + right) - np.outer(left, right) - np.outer(right, left) - 2.0 / 3.0 * np.outer(apart, apart)
    np.testing.assert_allclose(at_left(noise(between(list(left), list(right), law="shdl"))), exact, rtol=1e-8)


@pytest.mark.parametrize("field", [-6.0, 1.0, 4.0, 20.0])
def test_noise_of_point_particles_in_a_field_is_the_sum_of_both_one_way_currents(field: float):
    """Independent particles: S = k+ + k-, J = k+ - k-, k+ = l E/(1 - e^-E), k- = r E/(e^E - 1)."""
    left, right = 0.05, 0.02
    forth, back = left * field / -np.expm1(-field), right * field / np.expm1(field)
    found = noise(between([left], [right], [field], law="pnp"))
    assert at_left(found)[0, 0] == pytest.approx(forth + back, rel=1e-8)
    assert found.fano[0, 0] == pytest.approx((forth + back) / abs(forth - back), rel=1e-8)


def test_noise_of_all_species_in_equal_fields_is_that_of_one_with_the_whole_density():
    """Colours do not matter to the stirring process: the sum of the currents is that of one species."""
    several = at_left(noise(between([0.3, 0.2], [0.1, 0.15], [4.0, 4.0], law="shdl")))
    one = at_left(noise(between([0.5], [0.25], [4.0], law="shdl")))
    assert several.sum() == pytest.approx(one[0, 0], rel=1e-9)


def test_noise_in_a_field_between_equal_reservoirs_is_that_of_the_weakly_asymmetric_exclusion_process():
    """A flat state: S = 2 M int w'^2 of the adjoint w'' + c w' = 0, c = (1 - 2 rho) E; 2 M at half filling only."""
    for rho, field in ((0.2, 8.0), (0.5, 8.0)):
        speed = (1.0 - 2.0 * rho) * field
        exact = 2.0 * rho * (1.0 - rho) * (0.5 * speed / np.tanh(0.5 * speed) if speed else 1.0)
        assert at_left(noise(between([rho], [rho], [field], law="shdl")))[0, 0] == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_noise_at_equilibrium_is_thermal_at_every_frequency(law: str):
    """Johnson and Nyquist: S = 2 Re Y, to rounding on any mesh."""
    found = noise(charged(law, 0.1, 0.1, 0.0))
    np.testing.assert_allclose(found.thermal, 1.0, rtol=1e-10)


def in_two_dimensions(law: str, **domain: object) -> dict:
    """A slit, or a pore, of which one wall is charged, and which is at equilibrium."""
    tables = charged(law, 0.1, 0.1, 0.0)
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [8, 4], **domain}
    tables["boundaries"].append({"where": "top", "kind": "wall", "surface_charge": -0.01})
    return tables


def in_three_dimensions() -> dict:
    tables = in_two_dimensions("mpnp")
    tables["domain"] = {"shape": "box", "size": [1.0, 1.0, 1.0], "cells": [3, 2, 2]}
    return tables


def with_sizes() -> dict:
    tables = charged("mpnp", 0.1, 0.1, 0.0)
    tables["model"]["sizes"] = "volume-fractions"
    for species, volume in zip(tables["species"], (1.0, 3.0), strict=True):
        species["volume"] = volume
    return tables


def with_partition() -> dict:
    tables = charged("vacancy", 0.1, 0.1, 0.0)
    tables["regions"] += [{"name": "lipid", "x": [0.7, 0.8], "partition": {"A": 1.5}, "diffusivity": {"B": 0.5}}]
    return tables


AT_REST = {
    "surface charge": lambda: in_two_dimensions("vacancy"),
    "axisymmetric": lambda: in_two_dimensions("pnp", coordinates="axisymmetric", axis="x"),
    "three dimensions": in_three_dimensions,
    "sizes": with_sizes,
    "partition": with_partition,
}


@pytest.mark.parametrize("name", AT_REST)
def test_noise_at_equilibrium_is_thermal_whatever_is_in_the_way(name: str):
    """Johnson and Nyquist on coarse meshes of any dimension, with charged walls, regions, and particles of any size."""
    np.testing.assert_allclose(noise(AT_REST[name](), [0.1, 1.0, 10.0]).thermal, 1.0, rtol=1e-10)


@pytest.mark.parametrize("law", ["pnp", "mpnp"])
def test_noise_of_the_total_current_has_the_plateau_of_all_particles(law: str):
    """Fast enough, and driven: 2 int sum z_a^2 D_a rho_a psi'^2, psi straight, as nothing has time to answer."""
    solution = pnp.solve(pnp.make_case(charged(law, 0.25, 0.05, 3.0)))
    densities = solution.steady.integrals.mean_densities
    with LinearisedEquations(solution.discretisation) as equations:
        own = total_current_of(equations, 0)
        plateau = own @ spectra(equations, np.array([1e12])).noise[0] @ own
    assert plateau.real == pytest.approx(2.0 * sum(densities.values()), rel=1e-8)


def between_blocking_electrodes(bulk: float, debye_length: float, voltage: float) -> dict:
    """A closed salt between two electrodes that let none of it pass."""
    tables = charged("mpnp", bulk, bulk, 0.0)
    tables["model"]["debye_length"] = debye_length
    tables["boundaries"] = [
        {"where": where, "kind": "electrode", "potential": potential}
        for where, potential in (("left", voltage), ("right", 0.0))
    ]
    for species in tables["species"]:
        species["mean_fraction"] = bulk
    del tables["regions"]
    return tables


def test_admittance_between_blocking_electrodes_is_that_of_a_gap():
    """docs/noise.md: two blocking electrodes at no bias, a salt between them, closed; however slow, where next to
    nothing of the current is with the potential."""
    debye_length, bulk = 0.05, 0.1
    frequencies = np.array([1e-6, 1e-3, *FREQUENCIES])
    found = noise(between_blocking_electrodes(bulk, debye_length, 0.0), frequencies)
    assert found.admittance is not None and found.electric is not None and found.thermal is not None
    np.testing.assert_allclose(found.thermal, 1.0, rtol=1e-10)
    screening = 2.0 * bulk / debye_length**2
    k = np.sqrt(screening + 1j * frequencies)
    exact = (1.0 + 2.0 * screening * np.tanh(0.5 * k) / (1j * frequencies * k)) / (debye_length**2 * k**2)
    impedance = 1.0 / found.admittance[:, 0, 0]
    np.testing.assert_allclose(impedance, exact, rtol=1e-5)
    # at 1e-6 the formula itself has lost it
    np.testing.assert_allclose(impedance[1:].real, exact[1:].real, rtol=1e-5)
    assert impedance[0].real == pytest.approx(impedance[1].real, rel=1e-7)


def test_noise_between_blocking_electrodes_is_thermal_however_far_their_layers_are_depleted():
    """At 40 kT/e, where a species is exp(-40) of the other, and at rest for every frequency."""
    tables = between_blocking_electrodes(0.1, 0.05, 40.0)
    del tables["domain"]["cells"]
    found = noise(tables, [1e-6, 1.0, 1e3])
    assert not found.at_zero.any() and "no species passes" in found.warnings[0] and len(found.warnings) == 1
    np.testing.assert_allclose(found.thermal, 1.0, rtol=1e-8)


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_driven_noise_is_conserved_and_leaves_the_currents_no_more_certain_than_their_entropy_allows(law: str):
    """One electric spectrum at both ends at every frequency; J S^-1 J <= sigma/2 is one of the warnings."""
    found = noise(charged(law, 0.25, 0.05, 3.0))
    assert found.warnings == []
    assert found.electric is not None
    np.testing.assert_allclose(found.electric[:, 0, 0].real, found.electric[:, 1, 1].real, rtol=1e-8)
    np.testing.assert_allclose(found.electric[:, 0, 0], -found.electric[:, 0, 1], rtol=1e-7)
    # towards zero frequency the total current is that of the particles
    slow = noise(charged(law, 0.25, 0.05, 3.0), [0.01, 0.1])
    assert slow.electric is not None
    assert slow.electric[0, 0, 0].real == pytest.approx(slow.electric_at_zero[0, 0], rel=1e-5)


def test_noise_converges_with_the_fourth_power_of_the_cells():
    """Quadratic elements: a functional of the solution and of an adjoint. Against 160 cells."""

    def at(cells: int) -> float:
        tables = between([0.4, 0.1], [0.1, 0.5], [3.0, -2.0], law="mpnp")
        tables["domain"]["cells"] = cells
        return float(at_left(noise(tables))[0, 0])

    exact = at(160)
    errors = [abs(at(cells) - exact) for cells in (5, 10)]
    assert np.log2(errors[0] / errors[1]) > 3.5


def test_noise_in_two_dimensions_is_that_of_one_times_the_width():
    rows = between([0.4, 0.1], [0.1, 0.5], law="shdl")
    expected = at_left(noise(rows))
    rows["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [40, 2]}
    np.testing.assert_allclose(at_left(noise(rows)), 0.5 * expected, rtol=1e-7)


def test_noise_at_equilibrium_in_two_dimensions_is_thermal_on_two_ranks(tmp_path: Path):
    case = write_toml(in_two_dimensions("vacancy"), tmp_path / "case.toml")
    words = ("--from", "0.1", "--to", "100", "--count", "3", "--quiet")
    finished = run_command("noise", case, *words, "-o", tmp_path / "out", ranks=2)
    assert finished.returncode == 0, finished.stderr
    for row in csv.DictReader((tmp_path / "out" / "noise.csv").open()):
        assert float(row["over_thermal_noise_left"]) == pytest.approx(1.0, rel=1e-10)


def test_a_rank_without_any_of_a_closed_species_waits_for_the_others(tmp_path: Path):
    """Of 20 cells a rank has some ten, and from the sixth on there is no C; what one rank finds is found by two."""
    tables = charged("shdl", 0.2, 0.2, 1.0)
    tables["species"] += [{"name": "C", "mean_fraction": 0.05}]
    tables["regions"] = [{"name": "wall", "x": [0.3, 1.0], "excluded": ["C"]}]
    tables["domain"]["cells"] = 20
    case = write_toml(tables | {"output": {"pictures": False, "fields": False}}, tmp_path / "case.toml")
    words = ("--from", "0.1", "--to", "100", "--count", "2", "--quiet")
    for ranks in (1, 2):
        finished = run_command("noise", case, *words, "-o", tmp_path / str(ranks), ranks=ranks)
        assert finished.returncode == 0, finished.stderr
    one, two = (list(csv.reader((tmp_path / str(ranks) / "noise.csv").open()))[1:] for ranks in (1, 2))
    np.testing.assert_allclose(np.array(one, float), np.array(two, float), rtol=1e-7)


def test_options_of_the_command_line_stay_as_they_are_after_noise_and_impedance():
    """PETSc's database belongs to whoever started it: ours is put beside, not over what is there."""
    PETSc.Options().setValue("mat_mumps_icntl_14", 55)
    try:
        tables = charged("mpnp", 0.25, 0.05, 3.0)
        tables["domain"]["cells"] = 20
        solution = solve_quietly(tables, petsc_options=["-mat_mumps_icntl_14", "55"])
        readings = solution.noise, solution.noise_at_zero, solution.covariances, solution.correlations
        for reading in (*readings, solution.impedance):
            reading()
            assert PETSc.Options().getInt("mat_mumps_icntl_14", 0) == 55
    finally:
        PETSc.Options().delValue("mat_mumps_icntl_14")


def test_noise_of_si_cases_is_one_sided_in_the_units_of_instruments(tmp_path: Path):
    """Thermal noise of a membrane at equilibrium: 4 kT Re Y; two ranks agree with one."""
    case = EXAMPLES / "membrane_at_rest.toml"
    words = ("--from", "10 MHz", "--to", "1 GHz", "--count", "3", "--quiet")
    for ranks in (1, 2):
        finished = run_command("noise", str(case), *words, "-o", str(tmp_path / str(ranks)), ranks=ranks)
        assert finished.returncode == 0, finished.stderr
    one, two = (list(csv.DictReader((tmp_path / str(ranks) / "noise.csv").open())) for ranks in (1, 2))
    for row, other in zip(one, two, strict=True):
        thermal = 4 * 1.380649e-23 * 298.15 * float(row["admittance_real_left [S/m^2]"])
        assert float(row["noise_left [A^2/Hz/m^2]"]) == pytest.approx(thermal, rel=1e-9)
        assert float(other["noise_left [A^2/Hz/m^2]"]) == pytest.approx(thermal, rel=1e-6)
    assert [float(row["frequency [Hz]"]) for row in one] == pytest.approx([1e7, 1e8, 1e9])
    whole = json.loads((tmp_path / "1" / "noise.json").read_text())
    assert whole["sides"] == 1 and whole["warnings"] == []


def test_sweeps_and_comparisons_have_the_noise_of_every_point_and_law(tmp_path: Path):
    """At equal reservoirs and no field S = 2 M, of every law."""
    tables = between([0.2, 0.3], [0.2, 0.3], law="shdl")
    tables["sweep"] = {"noise": True, "axes": [{"key": "boundaries.left.fraction.A", "values": [0.2, 0.4]}]}
    results = pnp.sweep(pnp.make_case(tables), tmp_path / "sweep").isel(left_fraction_A=1)
    left, right = 0.4, 0.2
    stirred = left + right - 2.0 * left * right - 2.0 / 3.0 * (left - right) ** 2
    assert results.fano.sel(species="A").item() == pytest.approx(stirred / (left - right), rel=1e-7)
    assert -1.0 < results.noise_correlation.sel(species="A", other_species="B").item() < 0.0
    assert (tmp_path / "sweep" / "noise.png").exists()
    del tables["sweep"]
    case = write_toml(tables, tmp_path / "case.toml")
    finished = run_command("compare", case, "--laws", "shdl,mpnp", "-o", tmp_path / "laws", "--quiet")
    assert finished.returncode == 0, finished.stderr
    noise = json.loads((tmp_path / "laws" / "summary.json").read_text())["noise"]
    for law, mobility in (("shdl", 0.2 * 0.8), ("mpnp", 0.2)):
        assert noise[law]["particle_noise_at_zero"][0][0][0][0] == pytest.approx(2.0 * mobility, rel=1e-9)
    assert "Fano factor" in finished.stdout


def test_frequencies_beyond_the_mesh_have_no_spectrum_but_a_reason():
    found = noise(between([0.4], [0.1], law="shdl"), [1.0, 1e9])
    assert np.isfinite(found.particle[0]).all() and np.isnan(found.particle[1]).all()
    assert "1 of 2 frequencies lie beyond" in found.warnings[0]


@pytest.mark.parametrize("frequencies", [[0.0], [-1.0, 1.0], [np.nan], [np.inf], [[1.0, 2.0]], "1 kHz", [None]])
def test_frequencies_that_are_none_are_refused(frequencies: object):
    solution = pnp.solve(pnp.make_case(charged("mpnp", 0.1, 0.1, 0.0)))
    for spectrum in (solution.noise, solution.impedance):
        with pytest.raises(UsageError, match="frequencies are"):
            spectrum(frequencies)


def test_nothing_passes_a_terminal_that_has_no_other_and_what_is_left_of_it_is_not_called_noise():
    """Charge is conserved: of a double layer at rest S = 2 Re Y = 0, whose ratio is none."""
    tables = charged("mpnp", 0.1, 0.1, 0.0)
    tables["boundaries"][1] = {"where": "right", "kind": "wall", "surface_charge": 0.01}
    found = noise(tables)
    assert found.thermal is not None and np.isnan(found.thermal).all()
    assert "rounding" in found.warnings[1]


def test_currents_that_are_given_do_not_fluctuate_and_have_no_uncertainty():
    tables = between([0.4, 0.1], [0.1, 0.3], law="pnp")
    tables["boundaries"][0] = {"where": "left", "kind": "flux", "flux": {"A": 0.1, "B": 0.1}}
    found = noise(tables, [1.0])
    assert not found.at_zero.any() and np.isnan(found.uncertainty)


def test_small_parameter_of_a_channel_is_a_site_over_its_area_and_length():
    """docs/noise.md: eps = v/(A L), with a = 0.7 nm, A = 10 nm^2, L = 5 nm; S is that per area times the area."""
    tables = tomllib.loads((EXAMPLES / "membrane.toml").read_text())
    per_area = noise(tables, [])
    tables["domain"]["area"] = "10 nm^2"
    found = noise(tables, [])
    assert per_area.eps is None
    assert found.eps == pytest.approx(0.7**3 / 50.0, rel=1e-9)
    assert found.electric_at_zero[0, 0] == pytest.approx(1e-17 * per_area.electric_at_zero[0, 0], rel=1e-9)


def test_species_that_only_one_boundary_holds_have_no_noise_and_nothing_is_told_of_it():
    tables = charged("mpnp", 0.1, 0.1, 0.0)
    tables["regions"][0]["excluded"] = ["A"]
    found = noise(tables, [1.0])
    a, b = 0, 1
    assert found.warnings == []
    assert not found.at_zero[:, a].any() and (found.at_zero[[0, 1], b, [0, 1], b] > 0.0).all()
    assert np.isnan(found.correlation("left", "A", "B"))


def refusals() -> dict[str, dict]:
    """Cases without noise, by what they are told."""
    empty = between([0.4, 0.1], [0.0, 0.5], law="shdl")
    found, some = (charged("mpnp", 0.1, 0.2, 1.0) for _ in range(2))
    del found["boundaries"][0]["potential"]
    found["boundaries"][0]["total_current"] = 0.1
    some["boundaries"][0] |= {"kind": "electrode", "fraction": {"A": 0.1}}
    return {
        "holds no A": empty,
        "its potential is found": found,
        "holds A but not all species": some,
    }


@pytest.mark.parametrize("told", refusals())
def test_noise_that_the_theory_does_not_have_is_refused(told: str):
    solution = pnp.solve(pnp.make_case(refusals()[told]))
    with pytest.raises(CaseError, match=told):
        solution.noise()


@pytest.mark.parametrize(
    "words",
    [
        ["--from", "1 rad/s", "--to", "1 kHz"],
        ["--from", "1 kHz"],
        ["--from", "1", "--to", "0"],
        ["--from", "1", "--to", "inf"],
        ["--count", "3"],
    ],
)
def test_bands_that_are_none_are_refused_before_anything_runs(words: list[str], tmp_path: Path):
    finished = run_command("noise", str(EXAMPLES / "membrane.toml"), *words, "-o", str(tmp_path / "out"))
    assert finished.returncode == 2
    assert not (tmp_path / "out").exists()


def test_cases_that_move_have_the_noise_of_a_steady_state_alone_and_are_told_so(tmp_path: Path):
    tables = between_electrodes("mpnp", 1.0, 0.0, end=1e-4)
    moving = pnp.run(pnp.make_case(tables))
    for reading in (moving.noise, moving.impedance, moving.covariances, moving.correlations):
        with pytest.raises(CaseError, match=r"\[time\]: .* would be about a steady state, but this one moves"):
            reading()
    finished = run_command("noise", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    assert "this is about the steady state under the values at time 0" in finished.stderr
