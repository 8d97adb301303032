"""Closed forms of electrochemistry: Goldman, Donnan, limiting currents, lattice currents through slow ends, Stern."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from conftest import blocking_electrode
from scipy.optimize import brentq

import pnp_exclusion as pnp
from pnp_exclusion.exact.double_layer import CrowdedLayer, PointIonLayer
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solver.tangents import TangentSolver

DIFFUSIVITIES = {"Na": 1.33, "K": 1.96, "Cl": 2.03}
CHARGES = {"Na": 1, "K": 1, "Cl": -1}
SIDES = ({"Na": 0.03, "K": 0.01, "Cl": 0.04}, {"Na": 0.005, "K": 0.035, "Cl": 0.04})


@pytest.mark.parametrize("debye_length", [0.01, 1.0])
def test_two_salts_of_equal_total_concentration_carry_goldmans_currents(debye_length: float):
    """Goldman, J. Gen. Physiol. 27, 37 (1943); Hodgkin, Katz 1949. With the same anion content at both ends it is the
    same everywhere in a constant field, and so are both cations together: no charge, hence exact for every Debye
    length."""
    tables = {
        "model": {"units": "dimensionless", "law": "pnp", "debye_length": debye_length},
        "species": [{"name": name, "charge": z, "diffusivity": DIFFUSIVITIES[name]} for name, z in CHARGES.items()],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": where, "kind": "reservoir", "potential": 0.0, "fraction": held}
            for where, held in zip(("left", "right"), SIDES, strict=True)
        ],
    }
    curve = pnp.iv(tables, "left", -5.0, 5.0, points=21)

    def current(name: str, u: float) -> float:
        z, (left, right) = CHARGES[name], (side[name] for side in SIDES)
        work = z * u or 1e-12
        return z * DIFFUSIVITIES[name] * work * (left - right * math.exp(-work)) / -math.expm1(-work)

    for point in curve.points:
        exact = {name: current(name, point.potential) for name in CHARGES}
        assert point.currents == pytest.approx(exact, rel=1e-7, abs=1e-9)
    # a cubic between points half a kT/e apart
    left, right = (
        sum(DIFFUSIVITIES[name] * (here if CHARGES[name] > 0 else there)[name] for name in CHARGES)
        for here, there in (SIDES, SIDES[::-1])
    )
    assert curve.zero_current_potential == pytest.approx(math.log(right / left), abs=1e-6)


@pytest.mark.parametrize("law", ["pnp", "mpnp", "vacancy", "shdl"])
@pytest.mark.parametrize("fixed", [-0.4, 0.02])
@pytest.mark.parametrize("salt", [0.01, 0.3])
def test_potential_of_a_fixed_charge_membrane_is_donnans(law: str, fixed: float, salt: float):
    """Donnan, Z. Elektrochem. 17, 572 (1911): X = 2 c sinh phi. Crowded ions of one size, 2 c sinh phi =
    X (1 + 2 c (cosh phi - 1)), a quadratic in exp phi: they keep out of what their counter-ions fill."""
    tables = blocking_electrode(law, 0.0, 0.002, salt)
    tables["boundaries"][0] = {**tables["boundaries"][1], "where": "left"}
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": fixed}]
    if law == "pnp":
        exact = math.asinh(fixed / (2.0 * salt))
    else:
        # (1 - X) y^2 - X (1/c - 2) y - (1 + X) = 0 for y = exp phi
        half = 0.5 * fixed * (1.0 / salt - 2.0)
        exact = math.log((half + math.sqrt(half**2 + (1.0 - fixed) * (1.0 + fixed))) / (1.0 - fixed))
    middle = pnp.solve(tables).profile().sel(x=0.5, method="nearest")
    assert float(middle.potential) == pytest.approx(exact, rel=1e-7)


def selective_surface(potential: float, debye_length: float) -> dict:
    """A salt of 0.01 on the left; on the right a surface that holds cations, ten times as many, and blocks anions."""
    tables = blocking_electrode("pnp", 0.0, debye_length, SALT)
    salt = tables["boundaries"].pop()
    surface = {"where": "right", "kind": "electrode", "potential": potential, "fraction": {"cation": 10.0 * SALT}}
    tables["boundaries"] = [{**salt, "where": "left"}, surface]
    return tables


SALT = 0.01


def test_current_to_a_selective_surface_saturates_at_the_limiting_one():
    """Electroneutral: J = 2 D c/L (1 - exp((V + log(c_s/c))/2)), at most 2 D c/L (Levich 1962; Rubinstein, Shtilman,
    J. Chem. Soc. Faraday Trans. II 75, 231 (1979)); what charge adds goes with the Debye length to the power 2/3."""
    curve = pnp.iv(selective_surface(0.0, 1e-6), "right", -3.0, -12.0, points=10)
    limiting = 2.0 * SALT
    for point in curve.points:
        exact = limiting * (1.0 - math.exp(0.5 * (point.potential + math.log(10.0))))
        assert -point.current == pytest.approx(exact, rel=2e-4)
        assert point.currents["anion"] == 0.0
    assert -curve.limiting_current == pytest.approx(limiting, rel=1e-2)


def test_beyond_the_limiting_current_there_is_an_extended_space_charge():
    """Rubinstein, Shtilman 1979: salt is used up at x_0 = 2 D c/J; beyond it cations alone carry the current by the
    field sqrt(2 J (x - x_0))/lambda, whose slope is their charge; the next order is of some per cent."""
    debye_length = 1e-3
    solution = pnp.solve(selective_surface(-100.0, debye_length))
    current = solution.steady.currents["cation"]
    assert current > 2.0 * (2.0 * SALT)
    begins = 2.0 * SALT / current
    profile = solution.profile()
    x = profile.x.values
    within = (x > 0.5 * (begins + 1.0)) & (x < 0.3 * begins + 0.7)
    depth = x[within] - begins
    field = -np.gradient(profile.potential.values, x)[within]
    cation, anion = (profile.concentration.sel(species=name).values[within] for name in ("cation", "anion"))
    assert within.sum() > 10
    assert field == pytest.approx(np.sqrt(2.0 * current * depth) / debye_length, rel=0.015)
    assert cation == pytest.approx(debye_length * np.sqrt(0.5 * current / depth), rel=0.025)
    assert anion.max() < 1e-8


def lattice_current(a: float, b: float, rate: float, field: float) -> float:
    """J/E of J = -rho' + E rho (1 - rho) on 0..1, ends exchanged at a rate: a Riccati equation in closed form.

    With s = rho - 1/2 it is s' = -E (s^2 + J/E - 1/4), which takes an inverse tangent to go from end to end.
    """

    def misses(current: float) -> float:
        first, last = a - field * current / rate - 0.5, b + field * current / rate - 0.5
        root = math.sqrt(current - 0.25)
        return math.atan(first / root) - math.atan(last / root) - field * root

    return brentq(misses, 0.25 + 1e-12, 0.3, xtol=1e-15)


@pytest.mark.parametrize(("field", "tabulated"), [(100.0, 0.25087), (400.0, 0.25006)])
def test_most_current_of_the_lattice_is_a_quarter_and_what_diffusion_adds(field: float, tabulated: float):
    """Closed form above; with reservoirs it is the one tabulated (TIME_AND_SIZES), which goes to 1/4 as 1/E^2."""
    assert lattice_current(0.8, 0.2, 1e9 * field, field) == pytest.approx(tabulated, abs=6e-6)
    for rate in (2.0 * field, 1e7 * field):
        found = pnp.solve(exchanging(0.8, 0.2, rate, field)).steady.currents["A"]
        assert found / field == pytest.approx(lattice_current(0.8, 0.2, rate, field), rel=1e-6)


@pytest.mark.parametrize("rate_over_field", [0.5, 2.0])
@pytest.mark.parametrize("crowded", [False, True], ids=["entrance", "exit"])
def test_slow_ends_of_a_lattice_let_in_and_out_what_their_densities_carry(rate_over_field: float, crowded: bool):
    """Krug 1991 with finite rates: k (a - a') = E a'(1 - a') at the entrance of the dilute phase, and at the exit of
    the crowded one the same of holes, k (b' - b) = E b'(1 - b'); up to what is exponentially small in E."""
    field, a = 200.0, 0.2
    sum_of = 1.0 + rate_over_field
    inside = 0.5 * (sum_of - math.sqrt(sum_of**2 - 4.0 * rate_over_field * a))
    ends = (0.9, 1.0 - a) if crowded else (a, 0.1)
    found = pnp.solve(exchanging(*ends, rate_over_field * field, field)).steady.currents["A"]
    assert found / field == pytest.approx(inside * (1.0 - inside), rel=1e-6)


def exchanging(a: float, b: float, rate: float, field: float) -> dict:
    """Particles driven from one reservoir to another, with which the ends exchange at a rate."""
    return {
        "model": {"units": "dimensionless", "law": "shdl", "electrostatics": "imposed"},
        "species": [{"name": "A", "charge": 0, "field": field}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": where, "kind": "exchange", "rate": {"A": rate}, "fraction": {"A": content}}
            for where, content in (("left", a), ("right", b))
        ],
    }


BULK, DEBYE_LENGTH = 0.05, 0.02
LAYERS = {"pnp": PointIonLayer, "mpnp": CrowdedLayer}


def test_double_layers_from_a_cold_start_have_charge_capacitance_and_profile_to_1e_5_in_eight_newton_steps():
    """Gouy-Chapman and Bikerman, alone and behind Stern layers: sigma(psi) = C_S (V - psi), 1/C = 1/C_S + 1/C_D(psi),
    and the profile that begins at psi (Grahame, Chem. Rev. 41, 441 (1947); Kilic, Bazant, Ajdari, Phys. Rev. E 75,
    021502 (2007))."""
    steps = []
    for law, voltage, stern in itertools.product(LAYERS, VOLTAGES, (math.inf, 0.3, 0.03)):
        if law == "pnp" and voltage > 40.0:
            continue
        tables, layer = blocking_electrode(law, voltage, DEBYE_LENGTH, BULK), LAYERS[law](BULK, DEBYE_LENGTH)
        drop = voltage
        if stern < math.inf:
            tables["boundaries"][0]["stern"] = {"capacitance": stern}
            drop = drop_behind(stern, voltage, layer)
        solution = pnp.solve(tables)
        with TangentSolver(solution.discretisation, settings_of(solution.setup.case)) as tangents:
            capacitance = float(tangents.by_potential(0)[1][0])
        profile = solution.profile()
        right = layer.densities(profile.x.values, drop)
        found = np.stack([profile.concentration.sel(species=name) for name in ("cation", "anion")])
        misses = {
            "charge": solution.steady.totals.charge["left"] / float(layer.surface_charge(drop)) - 1.0,
            "capacitance": capacitance * (1.0 / stern + 1.0 / float(layer.capacitance(drop))) - 1.0,
            "potential": abs(profile.potential.values - layer.potential(profile.x.values, drop)).max() / drop,
            "densities": abs(found - right).max() / right.max(),
        }
        assert max(map(abs, misses.values())) < 1e-5, (law, voltage, stern, misses)
        steps.append(solution.report.newton_iterations)
    assert np.median(steps) <= 8


VOLTAGES = (1.0, 10.0, 40.0, 100.0)


def drop_behind(stern: float, voltage: float, layer: PointIonLayer | CrowdedLayer) -> float:
    """The potential at which the diffuse layer takes the charge that the Stern layer has at the rest of the voltage."""
    return brentq(lambda psi: float(layer.surface_charge(psi)) - stern * (voltage - psi), 0.0, voltage, xtol=1e-14)
