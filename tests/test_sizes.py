"""Particles of unlike size: free energies, double layers, Donnan potentials, and limits that are laws of one size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, run_command, summary_of, write_toml
from scipy.integrate import quad
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

import pnp_exclusion as pnp
from pnp_exclusion.physics.free_energies import FreeEnergy, LatticeGas
from pnp_exclusion.physics.hard_spheres import HardSpheres
from pnp_exclusion.physics.laws import SIZES
from pnp_exclusion.physics.unequal_sizes import MoleFractions, VolumeFractions

FREE_ENERGIES = [
    VolumeFractions((3.0, 1.0)),
    VolumeFractions((0.2, 20.0, 4.0)),
    MoleFractions((11.0, 2.0)),
    MoleFractions((30.0, 1.0)),
    HardSpheres((2.0, 2.0)),
    HardSpheres((1.0, 3.0)),
    HardSpheres((8.0, 2.0, 1.0)),
]


# ---- free energies ----


def free_energy_of(kind: FreeEnergy, c: np.ndarray) -> float:
    """Written from the papers, and for spheres in their own variables: xi_k = pi/6 sum c d^k (Mansoori et al. 1971)."""
    n = np.array(kind.sizes)
    solvent = 1.0 - n @ c
    if isinstance(kind, VolumeFractions):
        return float(c @ (np.log(c) - 1.0) + solvent * (np.log(solvent) - 1.0))
    if isinstance(kind, MoleFractions):
        total = solvent + c.sum()
        return float(c @ np.log(c / total) + solvent * np.log(solvent / total))
    d = (6.0 * n / np.pi) ** (1.0 / 3.0)
    x0, x1, x2, x3 = (np.pi / 6.0 * c @ d**k for k in range(4))
    excess = (x2**3 / x3**2 - x0) * np.log(1.0 - x3) + 3.0 * x1 * x2 / (1.0 - x3) + x2**3 / (x3 * (1.0 - x3) ** 2)
    return float(c @ (np.log(c) - 1.0) + 6.0 / np.pi * excess)


@pytest.mark.parametrize("kind", FREE_ENERGIES, ids=repr)
def test_potentials_are_derivatives_of_the_published_free_energy(kind: FreeEnergy):
    """Central differences of f, and the pressure by f = sum c mu - Pi; 1 is the pressure that is left out of f_0."""
    shares = np.random.default_rng(2).dirichlet(np.ones(len(kind.sizes) + 1), 6)[:, 1:]
    for share in shares:
        c = 0.6 * share / np.array(kind.sizes)
        eta = np.array(kind.chemical_potentials(c.tolist()))
        steps = 1e-5 * np.diag(c)
        slopes = [(free_energy_of(kind, c + s) - free_energy_of(kind, c - s)) / (2.0 * s.sum()) for s in steps]
        np.testing.assert_allclose(eta, slopes, atol=1e-6)
        offset = 1.0 if isinstance(kind, VolumeFractions) else 0.0
        pressure = c @ eta - free_energy_of(kind, c) - offset
        assert float(kind.pressure(eta.tolist())) == pytest.approx(pressure, rel=1e-9)
        # what a free energy has that does not say its pressure
        assert float(FreeEnergy.pressure(kind, eta.tolist())) == pytest.approx(pressure, rel=1e-8)


def test_spheres_have_the_published_excess_potential():
    """Mansoori et al. 1971 as density functionals write it (White Bear), and Carnahan-Starling for equal spheres."""
    c, n = np.array([0.1, 0.04]), np.array([1.0, 3.0])
    d = (6.0 * n / np.pi) ** (1.0 / 3.0)
    n0, n1, n2, n3 = (c.sum(), c @ d / 2.0, np.pi * c @ d**2, np.pi / 6.0 * c @ d**3)
    q = 1.0 - n3
    pressure = n0 / q + n1 * n2 / q**2 + n2**3 / (12.0 * np.pi * q**3) - n3 * n2**3 / (36.0 * np.pi * q**3)
    by_n2 = n1 / q + n2**2 * (n3 + q**2 * math.log(q)) / (12.0 * np.pi * n3**2 * q**2)
    by_n3 = n0 / q + n1 * n2 / q**2
    by_n3 -= n2**3 * (2.0 * math.log(q) / n3**3 + (2.0 - 5.0 * n3 + n3**2) / (n3**2 * q**3)) / (36.0 * np.pi)
    excess = -math.log(q) + n2 / q * d / 2.0 + by_n2 * np.pi * d**2 + by_n3 * n
    found = HardSpheres((1.0, 3.0)).chemical_potentials(c.tolist()) - np.log(c)
    np.testing.assert_allclose(found, excess, rtol=1e-12)
    eta = HardSpheres((1.0, 3.0)).chemical_potentials(c.tolist())
    assert float(HardSpheres((1.0, 3.0)).pressure(eta)) == pytest.approx(pressure, rel=1e-12)
    p = 0.4
    alike = HardSpheres((2.0, 2.0)).chemical_potentials([0.15, 0.05]) - np.log([0.15, 0.05])
    np.testing.assert_allclose(alike, (8 * p - 9 * p**2 + 3 * p**3) / (1 - p) ** 3, rtol=1e-12)


@pytest.mark.parametrize("kind", [*FREE_ENERGIES, MoleFractions((100.0, 1.0))], ids=repr)
def test_densities_invert_potentials_everywhere_and_leave_space(kind: FreeEnergy):
    reach = 100.0 if isinstance(kind, HardSpheres) else 400.0
    eta = np.random.default_rng(3).uniform(-1.0, 1.0, (len(kind.sizes), 2000))
    eta *= np.random.default_rng(4).choice([1.0, 10.0, reach], 2000)
    free, *rho = kind.densities(list(eta))
    assert free.min() >= 0.0
    assert np.min(rho) >= 0.0
    np.testing.assert_allclose(free + np.array(kind.sizes) @ np.array(rho), 1.0, rtol=1e-12)
    # where all digits are there: neither the free space nor a species is a difference of others
    held = (np.min(rho, axis=0) > 1e-250) & (free > 1e-3)
    back = np.array([kind.chemical_potentials(list(state)) for state in np.array(rho)[:, held].T])
    np.testing.assert_allclose(back.T, eta[:, held], atol=1e-8)


def test_equal_sizes_are_the_lattice_gas_and_dilution_the_ideal_one_to_rounding():
    eta = list(np.random.default_rng(5).uniform(-50.0, 50.0, (2, 500)))
    for kind in (VolumeFractions, MoleFractions):
        for found, lattice in zip(kind((1.0, 1.0)).densities(eta), LatticeGas().densities(eta), strict=True):
            np.testing.assert_allclose(found, lattice, rtol=1e-13)
    for kind in FREE_ENERGIES:
        dilute = [-40.0] * len(kind.sizes)
        np.testing.assert_allclose(kind.densities(dilute)[1:], np.exp(dilute), rtol=1e-13)


# ---- double layers ----


def layer(voltage: float, n: tuple[float, float], kind: str, length: float, packing: float = 0.1) -> pnp.Case:
    """A blocking electrode against a salt of the ions + and - that is neutral: equal numbers, packing of the larger."""
    c = packing / max(n)
    return pnp.make_case(
        {
            "model": {"units": "dimensionless", "law": "mpnp", "sizes": kind, "debye_length": length},
            "species": [{"name": "A", "charge": 1, "volume": n[0]}, {"name": "B", "charge": -1, "volume": n[1]}],
            "domain": {"shape": "interval", "length": 1.0},
            "boundaries": [
                {"where": "left", "kind": "electrode", "potential": voltage},
                {"where": "right", "kind": "reservoir", "potential": 0.0, "fraction": {"A": n[0] * c, "B": n[1] * c}},
            ],
        }
    )


LAYERS = [
    ("volume-fractions", (3.0, 1.0), 0.005),
    ("volume-fractions", (1.0, 10.0), 0.002),
    ("volume-fractions", (10.0, 1.0), 0.002),
    ("mole-fractions", (11.0, 11.0), 0.002),
    ("carnahan-starling", (2.0, 1.0), 0.005),
]
VOLTAGES = (1.0, 10.0, 40.0, 100.0)


def test_double_layers_of_unequal_ions_to_1e_5_on_automatic_meshes_in_eight_newton_steps():
    """sigma^2 = -2 lambda^2 int_0^V sum z c dpsi with potentials that follow the field: quadrature of the densities."""
    steps = []
    for kind, n, length in LAYERS:
        energy, z, c = SIZES[kind](n), np.array([1.0, -1.0]), 0.1 / max(n)
        bulk = np.array(energy.chemical_potentials([c, c]))

        def charge(psi: float, energy=energy, bulk=bulk, z=z) -> float:
            return float(z @ np.array(energy.densities((bulk - z * psi).tolist())[1:]))

        for voltage in VOLTAGES:
            points = np.linspace(0.0, voltage, 20)[1:-1]
            work, _ = quad(charge, 0.0, voltage, epsabs=0.0, epsrel=1e-10, limit=400, points=points)
            solution = pnp.solve(layer(voltage, n, kind, length))
            sigma = length * math.sqrt(-2.0 * work)
            found = solution.summary()["charge"]["left"]["value"]
            assert found == pytest.approx(sigma, rel=1e-5), (kind, n, voltage)
            steps.append(solution.report.newton_iterations)
    assert np.median(steps) <= 8


def test_capacitance_of_unequal_ions_is_the_charge_at_the_wall_over_that_of_the_layer():
    """C = -lambda^2 sum z c(V)/sigma, on a curve whose slopes are exact tangents."""
    energy, z, bulk = VolumeFractions((3.0, 1.0)), np.array([1.0, -1.0]), [0.1 / 3.0] * 2
    eta = np.array(energy.chemical_potentials(bulk))
    curve = pnp.capacitance(layer(1.0, (3.0, 1.0), "volume-fractions", 0.005), "left", -40.0, 40.0, points=9)
    for point in curve.points:
        at_wall = (eta - z * point.potential).tolist()
        if point.potential:
            sigma = np.sign(point.potential) * math.sqrt(2.0 * (energy.pressure(at_wall) - energy.pressure(eta)))
            exact = -0.005 * (z @ np.array(energy.densities(at_wall)[1:])) / sigma
            assert point.capacitance == pytest.approx(exact, rel=1e-5)


def solvated(molarity: float) -> pnp.Case:
    held = dict.fromkeys(("cation", "anion"), f"{molarity} mol/L")
    return pnp.read_case(EXAMPLES / "solvated_ions.toml").varied({"boundaries.right.concentration": held})


def test_capacitances_of_the_example_of_fxdgm():
    """Dreyer, Guhlke, Mueller without solvation, 0.01 M in 55 M, eps_r 81, 293.15 K: the closed form of its authors,
    with the constants of CODATA."""
    changes = {
        "model.solvent_volume": f"{1000.0 / 55.0!r} cm^3/mol",
        "model.permittivity": 81.0,
        "model.temperature": "293.15 K",
        "species.cation.solvation": 0.0,
        "species.anion.solvation": 0.0,
        "domain.length": "200 nm",
    }
    curve = pnp.capacitance(solvated(0.01).varied(changes), "left", "0.1 V", "1 V", points=19)
    found = {round(point.potential, 3): point.capacitance for point in curve.points}
    for voltage, capacitance in {0.1: 0.8573019, 0.25: 5.4984077, 0.5: 2.5956702, 1.0: 1.5595172}.items():
        assert found[voltage] == pytest.approx(capacitance, rel=1e-5)


def test_capacitances_of_solvated_ions_add_up_as_in_liquid_electrolytes():
    """Its Example101 adds those from -2 to 2 V in steps of 0.01 V, with 0 twice, at four molarities: 889.0148903 F/m^2
    on its own mesh, of 0.1 nm at the electrode."""
    total = 0.0
    for molarity in (0.001, 0.01, 0.1, 1.0):
        points = pnp.capacitance(solvated(molarity), "left", "0 V", "2 V", accuracy=1e-4).points
        potentials, charges, slopes = np.array([(p.potential, p.charge, p.capacitance) for p in points]).T
        slope = CubicHermiteSpline(potentials, charges, slopes).derivative()
        # cation and anion are alike: the curve is even
        total += 2.0 * slope(np.linspace(0.0, 2.0, 201)).sum()
    assert total == pytest.approx(889.0148902982739, rel=1e-3)


# ---- between reservoirs ----


def membrane(kind: str, n: tuple[float, float], packing: float, law: str = "mpnp", length: float = 0.02) -> dict:
    """A charged membrane between two reservoirs of a neutral salt, whose larger ions fill ``packing``."""
    held = {"A": n[0] * packing / max(n), "B": n[1] * packing / max(n)}
    return {
        "model": {"units": "dimensionless", "law": law, "debye_length": length, "sizes": kind},
        "species": [{"name": "A", "charge": 1, "volume": n[0]}, {"name": "B", "charge": -1, "volume": n[1]}],
        "domain": {"shape": "interval", "length": 1.0},
        "regions": [{"name": "membrane", "x": [0.25, 0.75], "fixed_charge": -0.1}],
        "boundaries": [
            {"where": "left", "kind": "reservoir", "potential": 0.0, "fraction": held},
            {"where": "right", "kind": "reservoir", "potential": 0.0, "fraction": held},
        ],
    }


@pytest.mark.parametrize("kind", list(SIZES))
def test_donnan_potential_of_unequal_ions_is_the_root_of_neutrality(kind: str):
    n = (3.0, 1.0)
    solution = pnp.solve(pnp.make_case(membrane(kind, n, 0.2, length=0.001)))
    energy, z, c = SIZES[kind](n), np.array([1.0, -1.0]), 0.2 / 3.0
    eta = np.array(energy.chemical_potentials([c, c]))
    root = brentq(lambda phi: z @ np.array(energy.densities((eta - z * phi).tolist())[1:]) - 0.1, -50.0, 50.0)
    profile = solution.profile()
    assert float(profile["potential"].interp(x=0.5)) == pytest.approx(root, rel=1e-6)


@pytest.mark.parametrize("law", ["mpnp", "vacancy"])
def test_equal_volumes_are_the_law_without_sizes_to_1e_10(law: str):
    tables = membrane("volume-fractions", (1.0, 1.0), 0.3, law)
    tables["boundaries"][1] |= {"potential": 1.0, "fraction": {"A": 0.1, "B": 0.1}}
    plain = {**tables, "model": {**tables["model"]}, "species": [dict(one) for one in tables["species"]]}
    del plain["model"]["sizes"]
    for one in plain["species"]:
        del one["volume"]
    without = pnp.solve(pnp.make_case(plain))
    for kind in ("volume-fractions", "mole-fractions"):
        sized = pnp.solve(pnp.make_case({**tables, "model": {**tables["model"], "sizes": kind}}))
        for name, current in without.currents.items():
            assert sized.currents[name] == pytest.approx(current, rel=1e-10)


def test_dilute_particles_of_any_size_are_point_ions_to_1e_10():
    """In SI units a concentration is the same number for every size; 1e-13 of the space is filled."""
    tables = {
        "model": {"law": "pnp", "lattice_spacing": "0.3 nm"},
        "species": [
            {"name": "A", "charge": 1, "diffusivity": "1e-9 m^2/s"},
            {"name": "B", "charge": -1, "diffusivity": "2e-9 m^2/s"},
        ],
        "domain": {"shape": "interval", "length": "20 um", "cells": 100},
        "boundaries": [
            {
                "where": "left",
                "kind": "reservoir",
                "potential": "40 mV",
                "concentration": dict.fromkeys("AB", "3 nmol/L"),
            },
            {
                "where": "right",
                "kind": "reservoir",
                "potential": "0 V",
                "concentration": dict.fromkeys("AB", "1 nmol/L"),
            },
        ],
    }
    points = pnp.solve(pnp.make_case(tables))
    for kind in SIZES:
        model = {"law": "mpnp", "sizes": kind, "solvent_volume": "0.027 nm^3"}
        species = [
            one | {"volume": volume, "solvation": 1.0}
            for one, volume in zip(tables["species"], ("0.08 nm^3", "12 cm^3/mol"), strict=True)
        ]
        sized = pnp.solve(pnp.make_case({**tables, "model": model, "species": species}))
        for name, current in points.currents.items():
            assert sized.currents[name] == pytest.approx(current, rel=1e-10)


@pytest.mark.parametrize("kind", list(SIZES))
def test_currents_of_unequal_particles_satisfy_the_master_identity(kind: str):
    tables = membrane(kind, (3.0, 1.0), 0.4)
    tables["boundaries"][1] |= {"potential": 2.0, "fraction": {"A": 0.15, "B": 0.05}}
    solution = pnp.solve(pnp.make_case(tables))
    assert solution.identity_residual < 1e-7
    summary = solution.summary()
    assert summary["balance"] < 1e-10
    dissipated = sum(solution.currents[name] * force for name, force in solution.forces.items())
    assert summary["entropy_production"]["value"] == pytest.approx(dissipated, rel=1e-7)
    assert not solution.warnings


# ---- results, ranks, input ----


def test_results_have_fractions_as_volumes_and_concentrations_as_numbers(tmp_path: Path):
    """At the reservoir what the case says: 0.4 and 0.4/3 of the space; 0.01 mol/L of ions that fill 11/55.4 L/mol."""
    case = pnp.make_case(membrane("volume-fractions", (3.0, 1.0), 0.4))
    profile = pnp.solve(case).profile().isel(x=0)
    np.testing.assert_allclose(profile["concentration"], [0.4, 0.4 / 3.0], rtol=1e-9)
    assert float(profile["packing"]) == pytest.approx(0.4 + 0.4 / 3.0, rel=1e-9)
    finished = run_command("run", EXAMPLES / "solvated_ions.toml", "-o", tmp_path)
    assert finished.returncode == 0, finished.stderr
    table = np.genfromtxt(tmp_path / "profile.csv", delimiter=",", names=True, deletechars="")
    assert table["cation_[mol/L]"][-1] == pytest.approx(0.01, rel=1e-6)
    assert table["packing"][-1] == pytest.approx(2.0 * 0.01 * 11.0 / 55.4, rel=1e-6)
    # all of the wall is full of anions: 55.4/11 mol/L at most
    assert 0.9 < table["anion_[mol/L]"][0] * 11.0 / 55.4 < 1.0


def test_two_ranks_and_a_second_dimension_give_the_same_currents(tmp_path: Path):
    tables = membrane("mole-fractions", (3.0, 1.0), 0.4, length=0.1)
    tables["boundaries"][1] |= {"potential": 1.0, "fraction": {"A": 0.15, "B": 0.05}}
    one = pnp.solve(pnp.make_case({**tables, "domain": {"shape": "interval", "length": 1.0, "cells": 24}}))
    flat = {**tables, "domain": {"shape": "rectangle", "size": [1.0, 0.5], "cells": [24, 2]}}
    finished = run_command("run", write_toml(flat, tmp_path / "case.toml"), "-o", tmp_path / "out", ranks=2)
    assert finished.returncode == 0, finished.stderr
    for name, flux in summary_of(tmp_path / "out")["flux"]["right"].items():
        assert flux["value"] / 0.5 == pytest.approx(one.currents[name], rel=1e-7)


def test_sizes_that_cannot_be_are_told_in_a_sentence():
    def mistakes(model: dict, volumes: tuple = (3.0, 1.0), **of_species: float) -> str:
        tables = membrane("volume-fractions", (3.0, 1.0), 0.2)
        tables["model"] |= model
        tables["model"] = {key: value for key, value in tables["model"].items() if value is not None}
        for one, volume in zip(tables["species"], volumes, strict=True):
            one |= {"volume": volume} | of_species
        with pytest.raises(pnp.CaseError) as refused:
            pnp.make_case(tables)
        return str(refused.value)

    assert 'law "pnp" is of point particles, which have no sizes' in mistakes({"law": "pnp"})
    assert 'law "shdl" lets unlike particles change places one for one' in mistakes({"law": "shdl"})
    assert "Onsager's symmetry" in mistakes({"law": "vacancy", "kappa": 0.5})
    assert "hard spheres do not have" in mistakes({"law": "vacancy", "sizes": "carnahan-starling"})
    assert "volume has no effect without sizes in [model]" in mistakes({"sizes": None})
    assert "volume must be positive, but it is -1" in mistakes({}, (-1.0, 1.0))
    assert "differ by a factor of 500; 100 is the most" in mistakes({}, (500.0, 1.0))
    assert "of the spheres differ by a factor of 20; 8 is the most" in mistakes(
        {"sizes": "carnahan-starling"}, (20.0, 1.0)
    )
    assert "solvent_volume is the unit of volume in a dimensionless case" in mistakes({"solvent_volume": 1.0})
    with pytest.raises(
        pnp.CaseError, match=r"the species fill 1\.191 of the space .* lower the concentrations or the volumes"
    ):
        solvated(3.0)
    tables = solvated(0.1).as_written()
    del tables["model"]["solvent_volume"]
    with pytest.raises(pnp.CaseError, match='solvent_volume is missing: sizes = "mole-fractions" need it'):
        pnp.make_case(tables)
    tables["model"]["lattice_spacing"] = "0.3 nm"
    with pytest.raises(pnp.CaseError, match="lattice_spacing is one size for all"):
        pnp.make_case(tables)


def test_what_a_reaction_makes_of_a_crowd_begins_as_a_trace():
    """``A <-> B`` with constant 2: activities differ by log 2, and as many are there as were of A. From a guess that
    counts B beside all of A the spheres are jammed; a solution then takes three times as many steps, if it is found."""
    tables = {
        "model": {"units": "dimensionless", "law": "mpnp", "electrostatics": "imposed", "sizes": "carnahan-starling"},
        "species": [{"name": "A", "volume": 3.0, "mean_fraction": 0.3}, {"name": "B", "volume": 1.5}],
        "reactions": [{"equation": "A <-> B", "forward": 2.0, "backward": 1.0}],
        "domain": {"shape": "interval", "length": 1.0, "cells": 4},
        "boundaries": [{"where": "left", "kind": "wall"}, {"where": "right", "kind": "wall"}],
    }
    solution = pnp.solve(tables)
    assert solution.report.newton_iterations <= 15
    eta = solution.steady.nodal.eta
    assert np.abs(eta[1] - eta[0] - np.log(2.0)).max() < 1e-9
    means = solution.steady.integrals.mean_densities
    # fractions are of volume, densities of numbers
    assert means["A"] + means["B"] == pytest.approx(0.3 / 3.0, rel=1e-9)
