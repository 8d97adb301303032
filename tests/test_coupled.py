"""Coupled transport: tangents, reciprocity, dissipation, energy conversion, thresholds, each against what is known."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np
import pytest
from conftest import EXAMPLES, dimensionless_case

import pnp_exclusion as pnp
from pnp_exclusion import exact
from pnp_exclusion.observe.sample import profile
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.coupled.channel import Channel, parameter_of, steady_of
from pnp_exclusion.studies.coupled.conversion import Conversion, trade_off
from pnp_exclusion.studies.coupled.coupling import couple
from pnp_exclusion.studies.coupled.directions import asymmetry
from pnp_exclusion.studies.coupled.entropy import entropy_profile
from pnp_exclusion.studies.coupled.finite_drive import stirring_conductances
from pnp_exclusion.studies.coupled.response import response as response_of
from pnp_exclusion.studies.threshold import threshold
from pnp_exclusion.studies.workbench import Workbench

LAWS = [("pnp", 0.0), ("mpnp", 0.0), ("shdl", 0.0), ("vacancy", 0.0), ("vacancy", 0.5)]


def solve(tables: dict) -> pnp.Solution:
    return pnp.solve(pnp.make_case(tables))


def model(law: str, kappa: float = 0.0, **others: object) -> dict:
    """Keys of ``[model]`` for a law; unequal diffusivities go with `diffusivities`."""
    return {"law": law, **({"kappa": kappa} if law == "vacancy" else {}), **others}


def between(left: list[float], right: list[float], **others: object) -> dict:
    """Species A, B, .. between two reservoirs, without fields."""
    tables = dimensionless_case(**others)
    names = "ABCD"[: len(left)]
    tables["species"] = [{"name": name} for name in names]
    for boundary, contents in zip(tables["boundaries"], (left, right), strict=True):
        boundary["fraction"] = dict(zip(names, map(float, contents), strict=True))
    return tables


def charged_membrane(left: float, right: float, voltage: float, **others: object) -> dict:
    """A salt of fractions ``left`` and ``right`` across a fixed charge, the first end at a voltage."""
    tables = between([left, left], [right, right], electrostatics="poisson", debye_length=0.1, **others)
    for species, charge in zip(tables["species"], (1, -1), strict=True):
        species["charge"] = charge
    for boundary, potential in zip(tables["boundaries"], (voltage, 0.0), strict=True):
        boundary["potential"] = potential
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.15}]
    return tables


def tangents(solution: pnp.Solution):
    with TangentSolver(solution.discretisation) as solver:
        return response_of(solver)


# ---- linear response ----


@pytest.mark.parametrize("rho", [(0.3, 0.25), (0.05, 0.9), (1e-3, 0.2), (0.49, 0.49)])
def test_figure_of_merit_about_a_uniform_state_is_the_product_of_densities_over_the_vacancies(rho):
    """docs/theory.md#coupled: Z = rho_1 rho_2 / rho_0 from L = diag(rho) - rho rho^T; zero for diagonal mobilities."""
    tables = between(list(rho), list(rho))
    conversion = couple(solve(tables)).conversion
    vacancy = 1.0 - sum(rho)
    assert conversion.reference.figure_of_merit == pytest.approx(rho[0] * rho[1] / vacancy, rel=1e-8)
    assert conversion.here.figure_of_merit == pytest.approx(rho[0] * rho[1] / vacancy, rel=1e-8)
    onsager = np.diag(rho) - np.outer(rho, rho)
    np.testing.assert_allclose(tangents(solve(tables)).to_contents, onsager, rtol=1e-9, atol=1e-13)
    for law in ("mpnp", "vacancy"):
        tables["model"]["law"] = law
        assert couple(solve(tables)).conversion.reference.figure_of_merit < 1e-20


@pytest.mark.parametrize(("law", "kappa"), LAWS)
def test_onsager_matrices_are_symmetric_at_equilibrium(law: str, kappa: float):
    """Onsager; with Poisson, with fields that balance unlike reservoirs, and in two dimensions.

    At equilibrium nothing but the forces counts: fields do what contents do, and the potential alone does nothing.
    """
    unequal = law in ("pnp", "mpnp") or (law == "vacancy" and kappa == 0.0)
    membrane = charged_membrane(0.2, 0.2, 0.0, **model(law, kappa))
    if unequal:
        membrane["species"][1]["diffusivity"] = 0.3
    square = dict(membrane, domain={"shape": "rectangle", "size": [1.0, 0.6], "cells": [10, 6]})
    square["regions"] = [membrane["regions"][0] | {"y": [0.2, 0.6]}]
    for tables in (membrane, square):
        response = tangents(solve(tables))
        assert asymmetry(response.to_contents) < 1e-9
        assert np.abs(response.to_potential).max() < 1e-12
    imposed = between([0.2, 0.5, 0.05], [0.6, 0.1, 0.1], **model(law, kappa))
    fields = exact.equilibrium_fields([0.2, 0.5, 0.05], [0.6, 0.1, 0.1], law)
    for species, field in zip(imposed["species"], fields, strict=True):
        species["field"] = float(field)
    response = tangents(solve(imposed))
    assert asymmetry(response.to_contents) < 1e-9
    np.testing.assert_allclose(response.to_fields, response.to_contents, atol=1e-9)


def test_onsager_matrix_of_the_balanced_channel_is_that_of_its_exact_profile():
    """Reference: `exact.equilibrium_resistances`, logarithmic means in closed form."""
    left, right = [0.2, 0.5], [0.6, 0.1]
    tables = between(left, right)
    for species, field in zip(tables["species"], exact.equilibrium_fields(left, right), strict=True):
        species["field"] = float(field)
    vacancy, *own = 1.0 / exact.equilibrium_resistances(left, right)
    expected = np.diag(own) - np.outer(own, own) / (vacancy + sum(own))
    np.testing.assert_allclose(tangents(solve(tables)).to_contents, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["contents", "potential", "field"])
def test_tangents_are_what_central_differences_converge_to(kind: str):
    """Differences of whole solutions, error of second order in the step; far from equilibrium."""
    if kind == "field":
        tables = between([0.2, 0.5, 0.1], [0.6, 0.1, 0.05])
        for species, field in zip(tables["species"], (3.0, -2.0, 1.0), strict=True):
            species["field"] = field
    else:
        tables = charged_membrane(0.3, 0.1, 2.0)
    tables["domain"]["cells"] = 20
    case = pnp.make_case(tables)
    with Workbench(case) as workbench:
        found = workbench.solve(case)
        with TangentSolver(found.discretisation) as solver:
            response = response_of(solver)
        expected = {
            "contents": response.to_contents[:, 0],
            "potential": response.to_potential,
            "field": None if response.to_fields is None else response.to_fields[:, 1],
        }[kind]
        assert expected is not None

        def currents(step: float) -> np.ndarray:
            changed = pnp.make_case(tables).as_written()
            if kind == "field":
                changed["species"][1]["field"] += step
            else:
                left = changed["boundaries"][0]
                eta = np.log(np.array([0.3, 0.3]) / 0.4)
                # mu_A up at a fixed potential; or the potential up at fixed mu, so that contents follow
                eta += [step, 0.0] if kind == "contents" else [-step, step]
                weights = np.exp(eta)
                left["fraction"] = dict(zip("AB", (weights / (1.0 + weights.sum())).tolist(), strict=True))
                left["potential"] += step if kind == "potential" else 0.0
            return np.array(list(workbench.solve(pnp.make_case(changed)).steady.currents.values()))

        errors = [
            np.abs((currents(step) - currents(-step)) / (2.0 * step) - expected).max() for step in (0.2, 0.1, 0.05)
        ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 1e-2 * np.abs(expected).max()
    assert np.all((orders > 1.9) & (orders < 2.1))


def test_tangents_keep_the_amount_of_closed_ions():
    """A divalent anion that cannot leave: central differences of whole solutions."""
    tables = charged_membrane(0.3, 0.1, 1.0, law="pnp")
    tables["species"].append({"name": "C", "charge": -2, "mean_fraction": 0.05})
    for boundary in tables["boundaries"]:
        boundary["kind"] = "electrode"
    found = solve(tables)
    response = tangents(found)
    assert response.species == ("A", "B")
    currents = []
    for sign in (1.0, -1.0):
        tables["boundaries"][0]["fraction"]["A"] = float(0.3 * np.exp(sign * 0.01))
        currents.append(np.array([solve(tables).steady.currents[name] for name in "AB"]))
    np.testing.assert_allclose((currents[0] - currents[1]) / 0.02, response.to_contents[:, 0], rtol=1e-4)


def test_dilute_salt_has_the_conductance_transport_numbers_and_permeability_of_the_textbook():
    """Nernst-Planck: c (D+ + D-)/L, D+/(D+ + D-), Nernst-Hartley's 2 D+ D-/((D+ + D-) L), liquid-junction potential."""
    tables = between([0.1, 0.1], [0.1, 0.1], law="pnp", electrostatics="poisson", debye_length=0.05)
    for species, charge, diffusivity in zip(tables["species"], (1, -1), (1.0, 0.25), strict=True):
        species |= {"charge": charge, "diffusivity": diffusivity}
    for boundary in tables["boundaries"]:
        boundary["potential"] = 0.0
    found = couple(solve(tables)).electrolyte
    assert found.conductance == pytest.approx(0.1 * 1.25, rel=1e-9)
    assert found.transport_numbers == pytest.approx({"A": 0.8, "B": 0.2}, rel=1e-9)
    assert found.permeability == pytest.approx(2.0 * 0.25 / 1.25, rel=1e-9)
    assert found.zero_current_voltage == pytest.approx(-0.6, rel=1e-9)


# ---- entropy production and inverse currents ----

GROUPS = [
    (law, kappa, electrostatics, species)
    for law, kappa in LAWS
    for electrostatics in ("imposed", "poisson")
    for species in (2, 3)
]


def random_case(rng: np.random.Generator, law: str, kappa: float, electrostatics: str, species: int):
    reservoirs = [0.95 * rng.dirichlet(np.ones(species + 1))[:species] + 1e-3 for _ in range(2)]
    tables = between(*(list(r) for r in reservoirs), **model(law, kappa and rng.uniform(0.1, 2.0)))
    tables["domain"]["cells"] = 20
    if electrostatics == "imposed":
        for one in tables["species"]:
            one["field"] = rng.uniform(-8.0, 8.0)
        return pnp.make_case(tables)
    tables["model"] |= {"electrostatics": "poisson", "debye_length": rng.uniform(0.1, 0.5)}
    for one, charge in zip(tables["species"], (1, -1, 2), strict=False):
        one["charge"] = charge
    for boundary, potential in zip(tables["boundaries"], (rng.uniform(-8.0, 8.0), 0.0), strict=True):
        boundary["potential"] = potential
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": rng.uniform(-0.3, 0.3)}]
    return pnp.make_case(tables)


@pytest.mark.parametrize(("law", "kappa", "electrostatics", "species"), GROUPS)
def test_dissipation_is_positive_and_the_sum_of_currents_times_forces(law, kappa, electrostatics, species):
    """500 random cases in all: an integral over the volume against boundary values; Galerkin's method keeps it exactly.

    A law of diagonal mobility never has an inverse current; `shdl` has one exactly where its force is below Fbar.
    """
    rng = np.random.default_rng([ord(letter) for letter in f"{law}{kappa}{electrostatics}{species}"])
    cases = [random_case(rng, law, kappa, electrostatics, species) for _ in range(25)]
    with Workbench(cases[0]) as workbench:
        for case in cases:
            solution = workbench.solve(case)
            steady = steady_of(solution)
            by_forces = float(steady.currents @ steady.forces)
            assert steady.entropy_production > 0.0
            assert steady.entropy_production == pytest.approx(by_forces, rel=1e-8)
            inverse = steady.currents * steady.forces < 0.0
            if law in ("mpnp", "pnp") or (law == "vacancy" and kappa == 0.0):
                assert not inverse.any()
            if law == "shdl" and electrostatics == "imposed":
                # a coarse mesh misses the border by its own error
                drag = stirring_conductances(steady.resistance)
                total = drag.vacancy + drag.species.sum()
                mean = drag.species @ steady.forces / total
                clear = np.abs(steady.forces - mean) > 1e-2
                expected = (steady.forces > 0.0) == (steady.forces < mean)
                np.testing.assert_array_equal(inverse[clear], expected[clear])


def test_dissipation_as_a_field_is_nowhere_negative_and_adds_up():
    solution = solve(charged_membrane(0.3, 0.1, 2.0))
    density = entropy_profile(solution.discretisation)
    assert density.density.min() > -1e-14 * density.density.max()
    total = float(np.trapezoid(density.density, density.x))
    assert total == pytest.approx(solution.steady.entropy_production, rel=1e-3)


@pytest.mark.parametrize("other", [-6.0, 4.0])
def test_inverse_wedge_of_stirring_begins_and_ends_where_it_must(other: float):
    """From F_1 = 0 to the uphill border of `exact.border_field` (multiple shooting), and nowhere beside it."""
    left, right = [0.6, 0.2], [0.2, 0.6]
    tables = between(left, right)
    tables["species"][0]["field"], tables["species"][1]["field"] = 0.0, other
    found = threshold(pnp.make_case(tables), "A")
    line, curve = exact.equilibrium_fields(left, right)[0], exact.border_field(left, right, 0, other)
    assert found.value == pytest.approx(curve - line, abs=1e-5)
    low, high = exact.inverse_interval(left, right, 0, other)
    width = high - low
    for field, regime in (
        (low - 0.01 * width, 1),
        (low + 0.01 * width, -1),
        (high - 0.01 * width, -1),
        (high + 0.01 * width, 1),
    ):
        tables["species"][0]["field"] = float(field)
        solution = solve(tables)
        assert np.sign(solution.steady.currents["A"] * solution.forces["A"]) == regime
        assert (solution.regimes["A"] == "inverse") == (regime < 0)


def test_mutual_drag_at_any_drive_is_the_exact_formula():
    """Z = G_1 G_2/(G_0 (G_0 + G_1 + G_2)) (docs/theory.md#coupled), the G from shooting; unlike equilibrium's."""
    tables = between([0.2, 0.5], [0.6, 0.1])
    tables["species"][0]["field"], tables["species"][1]["field"] = 8.0, -5.0
    coupling = couple(solve(tables), points=0)
    state = exact.stationary_state([0.2, 0.5], [0.6, 0.1], [8.0, -5.0])
    one, two, vacancy = *(1.0 / state.resistances), 1.0 / state.vacancy_resistance
    expected = one * two / (vacancy * (vacancy + one + two))
    assert coupling.conversion.here.figure_of_merit == pytest.approx(expected, rel=1e-6)
    assert coupling.stirring.figure_of_merit == pytest.approx(expected, rel=1e-6)
    assert coupling.conversion.reference.figure_of_merit != pytest.approx(expected, rel=0.1)
    assert coupling.asymmetry > 1e-3


# ---- energy conversion ----


def test_formulas_of_energy_conversion_are_what_a_scan_over_all_loads_finds():
    rng = np.random.default_rng(3)
    for _ in range(20):
        root = rng.normal(size=(2, 2))
        conversion = Conversion(root @ root.T)
        driver = rng.uniform(0.5, 2.0)
        loads = conversion.stopping_load(driver) * np.linspace(0.0, 1.0, 20_001)[1:-1]
        power, efficiency = conversion.power(loads, driver), conversion.efficiency(loads, driver)
        assert conversion.best_power(driver) == pytest.approx(power.max(), rel=1e-6)
        assert conversion.best_efficiency == pytest.approx(efficiency.max(), rel=1e-4)
        assert conversion.efficiency_at_best_power == pytest.approx(efficiency[power.argmax()], rel=1e-3)
        assert np.all(efficiency < 1.0)
        share = power / conversion.best_power(driver)
        efficient, wasteful = trade_off(conversion.figure_of_merit, np.clip(share, 0.0, 1.0))
        beyond = np.arange(len(loads)) > len(loads) // 2
        np.testing.assert_allclose(np.where(beyond, efficient, wasteful), efficiency, rtol=1e-4)
        q = conversion.degree_of_coupling
        assert conversion.figure_of_merit == pytest.approx(q**2 / (1.0 - q**2))


def test_conversion_refuses_what_would_destroy_entropy():
    with pytest.raises(ValueError, match="entropy would be destroyed"):
        Conversion(np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(ValueError, match="P / P_max"):
        trade_off(1.0, 1.5)


def test_curve_of_the_membrane_passes_through_the_membrane_itself():
    """Na lifted by Cl (shdl): the curve is of other cases on another mesh, the case itself lies on it."""
    solution = pnp.solve(pnp.read_case(EXAMPLES / "membrane.toml"))
    coupling = couple(solution)
    conversion = coupling.conversion
    assert [direction.name for direction in conversion.pair] == ["Na", "Cl"]
    loads, powers = ([getattr(point, key) for point in conversion.curve] for key in ("load", "power"))
    # P = -J X is smooth in the load: a spline through the computed points meets the case to its own error
    from scipy.interpolate import CubicSpline

    assert float(CubicSpline(loads, powers)(conversion.strengths[0])) == pytest.approx(conversion.point.power, rel=1e-4)
    assert conversion.point.efficiency < conversion.here.best_efficiency
    assert abs(powers[-1]) < 1e-9
    assert max(powers) > 0.0


def test_best_loads_are_found_between_the_points_of_the_curve():
    """An ideal membrane is best just short of its stopping load, where linear theory has it; three loads miss it."""
    tables = charged_membrane(1.05e-3, 1e-3, 0.0)
    tables["regions"] = [{"name": "membrane", "x": [0.1, 0.9], "fixed_charge": -0.3}]
    tables["model"]["debye_length"] = 0.02
    found = couple(solve(tables), "voltage", "salinity", points=3).conversion
    assert found.reference.figure_of_merit > 1000.0
    assert found.best_efficiency.efficiency == pytest.approx(found.reference.best_efficiency, rel=1e-2)
    assert found.best_power.power == pytest.approx(found.reference.best_power(found.strengths[1]), rel=1e-2)
    assert max(point.efficiency for point in found.curve) < 0.6


def test_neutral_species_under_poisson_drive_each_other_without_a_curve():
    """Uniform: L = diag(rho) - rho rho^T whatever the potential; there is no voltage and no salinity to turn."""
    tables = between([0.2, 0.3], [0.2, 0.1], electrostatics="poisson", debye_length=0.1)
    for species, boundary, potential in zip(tables["species"], tables["boundaries"], (2.0, 0.0), strict=True):
        species["charge"], boundary["potential"] = 0, potential
    coupling = couple(solve(tables))
    assert set(coupling.drive.directions) == {"A", "B"}
    assert coupling.conversion.curve == ()
    np.testing.assert_allclose(coupling.steady.currents, [0.0, 0.2], atol=1e-10)
    assert not coupling.conversion.point.lifts  # the current of A is rounding


def test_driver_of_an_inverse_species_is_one_that_gives():
    """A drags B and C against their forces: neither of these can be what works."""
    tables = between([0.2, 0.3, 0.1], [0.3, 0.1, 0.1])
    for species, field in zip(tables["species"], (3.0, -1.0, 0.0), strict=True):
        species["field"] = field
    coupling = couple(solve(tables))
    assert coupling.inverse == ["B", "C"]
    assert [direction.name for direction in coupling.conversion.pair] == ["B", "A"]
    assert coupling.conversion.point.lifts


def test_rounding_is_no_coupling():
    """A uniform salt of equal mobilities: voltage and salinity do not know of each other (Z = 0)."""
    tables = charged_membrane(0.2, 0.1, 0.0)
    del tables["regions"]
    conversion = couple(solve(tables)).conversion
    assert not conversion.reference.couples
    assert conversion.curve == ()
    assert conversion.best_efficiency is None


# ---- thresholds ----


@pytest.mark.parametrize("species", ["Na", "Cl"])
def test_threshold_voltages_of_the_membrane_are_the_closed_forms(species: str):
    """mpnp: F_a = 0, which the reservoirs fix. shdl: F_a = Fbar, the G from a fresh solve's profile.

    See docs/theory.md#master-identity.
    """
    tables = pnp.read_case(EXAMPLES / "membrane.toml").as_written()
    full = 1.0 / (6.02214076e23 * 0.7e-9**3)
    drop = float(np.log(2000.0 / (1.0 - 4000.0 / full)) - np.log(500.0 / (1.0 - 1000.0 / full)))
    charges = {"Na": 1.0, "Cl": -1.0}
    mpnp = threshold(pnp.read_case(EXAMPLES / "membrane.toml", "mpnp"), species)
    assert mpnp.value == pytest.approx(-drop / charges[species], rel=1e-9)

    shdl = threshold(pnp.make_case(tables), species)
    assert shdl.potential == pytest.approx(shdl.value * 0.025692579, rel=1e-6)
    tables["boundaries"][0]["potential"] = f"{shdl.potential!r} V"
    fresh = solve(tables)
    sampled = profile(fresh.discretisation)
    resistance = exact.sampled_resistances("shdl", sampled.x, sampled.rho)
    own, vacancy = dict(zip(charges, 1.0 / resistance.species, strict=True)), 1.0 / resistance.vacancy
    # F_a = drop + z_a V in F_a sum_b G_b = sum_b>=1 G_b F_b, solved for V
    total = vacancy + sum(own.values())
    ions = sum(own.values())
    charge = sum(own[name] * z for name, z in charges.items())
    closed_form = drop * (ions - total) / (total * charges[species] - charge)
    assert shdl.value == pytest.approx(closed_form, rel=1e-4)
    assert abs(fresh.steady.currents[species]) < 1e-6 * max(map(abs, fresh.steady.currents.values()))
    assert shdl.identity_force == pytest.approx(shdl.state.forces[shdl.position], rel=1e-6)


def test_channel_remembers_what_it_solved():
    solution = solve(charged_membrane(0.3, 0.1, 2.0))
    parameter, now = parameter_of(solution, "A")
    assert now == pytest.approx(2.0)
    with Channel(parameter, (0.0, 2.0), MPI.COMM_WORLD) as channel:
        first = channel.at(1.0)
        assert channel.at(1.0) is first
        np.testing.assert_allclose(channel.at(2.0).currents, list(solution.steady.currents.values()), rtol=1e-5)
