"""Barrier exchange of bullets and rods: the first law with a temperature, against the same physics written apart."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, dimensionless_case, example, mistakes, run_command, summary_of, write_toml
from scipy.integrate import solve_bvp

import pnp_exclusion as pnp
from pnp_exclusion.errors import LawError
from pnp_exclusion.observe.integrals import integrals_of
from pnp_exclusion.physics import laws
from pnp_exclusion.physics.energy import Energy, Warmth
from pnp_exclusion.studies.diagram.compute import diagrams_of

H, W_B, W_R = 3.0, 0.4, 0.7


def bullets_and_rods(left: dict, right: dict, rods: float | None = None, **model: float) -> dict:
    """A channel between two reservoirs; with a mean content of rods, these are closed."""
    return {
        "model": {"units": "dimensionless", "law": "barrier_exchange", "h": H, "w_b": W_B, "w_r": W_R, **model},
        "species": [{"name": "b"}, {"name": "r"} | ({} if rods is None else {"mean_fraction": rods})],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": where, "kind": "reservoir", **end} for where, end in (("left", left), ("right", right))
        ],
    }


OPEN = bullets_and_rods(
    {"fraction": {"b": 0.35, "r": 0.2}, "temperature": 1.6}, {"fraction": {"b": 0.2, "r": 0.4}, "temperature": 1.0}
)
CLOSED = bullets_and_rods(
    {"fraction": {"b": 0.4}, "temperature": 1.5}, {"fraction": {"b": 0.3}, "temperature": 0.9}, rods=0.45
)
AT_REST = bullets_and_rods(
    {"fraction": {"b": 0.3}, "temperature": 0.8}, {"fraction": {"b": 0.3}, "temperature": 0.8}, rods=0.5
)


# ---- the same, written apart ----


def mobility(b, r, temperature, h=H, w_b=W_B, w_r=W_R):
    """``M`` as docs/theory.md#barrier-exchange writes it out, (3, 3)."""
    v, k = 1.0 - b - r, np.exp(-h / temperature)
    bb, rr, br = b * (v * w_b + r * k), r * (v * w_r + b * k), -b * r * k
    bu, ru = b * v * w_b * temperature - b * r * k * h, r * v * w_r * temperature + b * r * k * h
    uu = 2.0 * temperature**2 * v * (b * w_b + r * w_r) + b * r * k * (2.0 * temperature**2 + h**2)
    return np.array([[bb, br, bu], [br, rr, ru], [bu, ru, uu]])


def contents(lambda_b, lambda_r, beta):
    """``b``, ``r`` and the temperature of ``mu_b/T``, ``mu_r/T`` and ``1/T``."""
    weights = np.exp(lambda_b) / beta, np.exp(lambda_r) / beta
    total = 1.0 + sum(weights)
    return weights[0] / total, weights[1] / total, 1.0 / beta


def shot(tables: dict) -> np.ndarray:
    """Currents of bullets, rods and energy by collocation of the ordinary differential equations (SciPy)."""
    ends = [(end["fraction"]["b"], end["fraction"].get("r", 0.0), end["temperature"]) for end in tables["boundaries"]]
    rods = tables["species"][1].get("mean_fraction")
    held = [
        np.array([np.log(b / ((1.0 - b - r) * t)), np.log((r or 1.0) / ((1.0 - b - r) * t)), 1.0 / t])
        for b, r, t in ends
    ]
    free = [0, 2] if rods is not None else [0, 1, 2]

    def slope(x, y, currents):
        flux = np.zeros(3)
        flux[free] = currents
        rows = np.empty_like(y)
        for i, (lambda_b, lambda_r, beta) in enumerate(y[:3].T):
            b, r, temperature = contents(lambda_b, lambda_r, beta)
            # J = -M (mu_b', mu_r', -beta')
            rows[:3, i] = -np.linalg.solve(mobility(b, r, temperature), flux) * (1.0, 1.0, -1.0)
            rows[3:, i] = r
        return rows

    def ends_met(left, right, currents):
        known = [*(left[:3] - held[0])[free], *(right[:3] - held[1])[free]]
        return np.array(known if rods is None else [*known, left[3], right[3] - rods])

    x = np.linspace(0.0, 1.0, 41)
    start = np.outer(held[0], 1.0 - x) + np.outer(held[1], x)
    if rods is not None:
        start[1] = 0.0
        start = np.vstack([start, rods * x])
    found = solve_bvp(slope, ends_met, x, start, p=np.zeros(len(free)), tol=1e-10, max_nodes=100_000)
    assert found.success
    currents = np.zeros(3)
    currents[free] = found.p
    return currents


# ---- the law ----


def test_mobility_is_half_the_mean_square_of_what_swaps_carry():
    """<w df df^T>/2 over all contents of two sites, energies by a Gauss-Laguerre rule (the part above h by one of its
    own): neither the moments nor the pairs of the law are used. Positive semidefinite with it."""
    law = laws.barrier_exchange(H, W_B, W_R)
    x, weight = np.polynomial.laguerre.laggauss(20)
    rng = np.random.default_rng(3)
    for v, b, r in rng.dirichlet([1.0, 1.0, 1.0], size=6):
        temperature = float(rng.uniform(0.3, 2.0))
        expected = np.zeros((3, 3))
        kinds = {"v": v, "b": b, "r": r}
        for left, right in [(one, other) for one in kinds for other in kinds if one != other]:
            rate = {"bv": W_B, "rv": W_R, "br": 1.0}["".join(sorted(left + right))]
            for (e1, w1), (e2, w2) in [
                (p, q) for p in zip(x, weight, strict=True) for q in zip(x, weight, strict=True)
            ]:
                energy, chance = {left: temperature * e1, right: temperature * e2}, w1 * w2
                if left + right in ("br", "rb"):
                    energy["r"] += H
                    chance *= np.exp(-H / temperature)
                moved = np.array(
                    [
                        (left == "b") - (right == "b"),
                        (left == "r") - (right == "r"),
                        (left != "v") * energy[left] - (right != "v") * energy[right],
                    ]
                )
                expected += 0.5 * rate * kinds[left] * kinds[right] * chance * np.outer(moved, moved)
        rho, warmth = [np.array([part]) for part in (v, b, r)], Warmth(np.array([1.0 / temperature]))
        found = law.mobility(rho, [1.0, 1.0], warmth)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(found, mobility(b, r, temperature), rtol=1e-10, atol=1e-13)
        assert np.linalg.eigvalsh(found).min() > 0.0


def test_law_whose_energies_contradict_its_weights_is_refused():
    energy = Energy(lambda a, beta: -np.log(beta), lambda a, beta: 2.0 / beta, lambda a, b, beta: (0.0, 1.0))
    law = pnp.Law("warm", lambda a, b, rho, diffusivity, beta: rho[a] * rho[b], energy=energy)
    with pytest.raises(LawError, match=r"mean energy of species 1 is .* but its weights make it"):
        law.require_fit([1.0])


# ---- steady states ----


@pytest.mark.parametrize("tables", [OPEN, CLOSED], ids=["open", "closed"])
def test_currents_are_those_of_the_equations_solved_apart(tables: dict):
    """Against SciPy's collocation of the ordinary differential equations with ``M`` written out, at forces of 0.6/T."""
    solution = pnp.solve(tables)
    expected = shot(tables)
    currents = np.array(list(solution.currents.values()))
    np.testing.assert_allclose(currents, expected, rtol=1e-7, atol=1e-12)
    dissipated = sum(current * solution.forces[name] for name, current in solution.currents.items())
    assert solution.steady.entropy_production == pytest.approx(dissipated, rel=1e-8)
    assert solution.identity_residual < 1e-8
    assert solution.summary()["balance"] < 1e-9
    assert solution.warnings == []


def test_closed_rods_stand_still():
    solution = pnp.solve(CLOSED)
    assert abs(solution.currents["r"]) < 1e-12
    assert solution.regimes["r"] == "none"
    assert integrals_of(solution.discretisation).mean_densities["r"] == pytest.approx(0.45, rel=1e-7)


def test_response_at_rest_is_the_mobility_with_rods_at_rest_and_symmetric():
    """About a uniform state ``L = M`` exactly; of closed rods ``M_ab - M_ar M_rb/M_rr`` is left."""
    coupling = pnp.couple(AT_REST, points=0)
    rods = 0.5
    full = mobility(0.3 * (1.0 - rods), rods, 0.8)
    expected = (full - np.outer(full[:, 1], full[1]) / full[1, 1])[np.ix_([0, 2], [0, 2])]
    np.testing.assert_allclose(coupling.onsager, expected, rtol=1e-9)
    assert coupling.asymmetry < 1e-9
    mu = np.log(0.3 / 0.7 / 0.8)
    carried = expected[0, 1] / expected[0, 0]
    assert coupling.heat.transported_energy["b"] == pytest.approx(carried, rel=1e-9)
    assert coupling.heat.seebeck["b"] == pytest.approx(carried / 0.8 - mu, rel=1e-9)
    conducted = (expected[1, 1] - expected[0, 1] ** 2 / expected[0, 0]) / 0.8**2
    assert coupling.heat.heat_conductance == pytest.approx(conducted, rel=1e-9)


def test_zero_of_energy_moves_the_energy_current_and_no_other():
    """Bullets of energy ``e_b`` at rest carry it along: ``J_u`` grows by ``e_b J_b``; the Seebeck coefficient stays."""
    shifted = copy.deepcopy(CLOSED)
    shifted["model"] |= {"e_b": -1.5, "e_r": 0.4}
    here, there = pnp.solve(CLOSED), pnp.solve(shifted)
    assert there.currents["b"] == pytest.approx(here.currents["b"], rel=1e-9)
    assert there.currents["energy"] == pytest.approx(here.currents["energy"] - 1.5 * here.currents["b"], rel=1e-9)
    seebeck = [pnp.couple(solution, points=0).heat.seebeck["b"] for solution in (here, there)]
    assert seebeck[1] == pytest.approx(seebeck[0], rel=1e-7)


def test_rectangle_on_two_ranks_has_the_currents_of_the_interval(tmp_path: Path):
    """Of height 0.5: half the currents of the interval, on one rank as on two."""
    flat = CLOSED | {"domain": {"shape": "rectangle", "size": [1.0, 0.5], "cells": [24, 4]}}
    flat["output"] = {"fields": False, "pictures": False}
    finished = run_command("run", write_toml(flat, tmp_path / "flat.toml"), "-o", tmp_path / "two", ranks=2)
    assert finished.returncode == 0, finished.stderr
    two, one = summary_of(tmp_path / "two")["flux"]["right"], pnp.solve(flat)
    for name, current in pnp.solve(CLOSED).currents.items():
        assert one.currents[name] == pytest.approx(two[name]["value"], rel=1e-9, abs=1e-12)
        assert one.currents[name] == pytest.approx(0.5 * current, rel=1e-6, abs=1e-9)


# ---- inverse currents ----


def test_example_runs_against_both_forces():
    solution = pnp.solve(example("bullets_and_rods"))
    assert solution.forces["bullets"] > 0.0 and solution.forces["energy"] > 0.0
    assert solution.currents["bullets"] < 0.0 < solution.currents["energy"]
    assert solution.regimes["bullets"] == "inverse"


def test_diagram_finds_the_region_of_inverse_current_where_the_mobility_says():
    """Near equilibrium bullets stand still at ``F_b = -(M'_bu/M'_bb) F_u``: compared between ``F_u`` = +-0.02.

    The axes of the example are the forces themselves, but for the zero of that on energy.
    """
    diagram = diagrams_of(EXAMPLES / "diagrams" / "bullets_and_rods.toml")[0]
    assert diagram.species == ["bullets", "energy"]
    assert diagram.contradictions == 0
    against = [region for region in diagram.regions if region.regimes[0] == "inverse"]
    assert sum(region.share for region in against) > 0.05
    full = mobility(0.5 * 0.4, 0.6, 1.0, 4.0, 0.1, 0.1)
    kept = (full - np.outer(full[:, 1], full[1]) / full[1, 1])[np.ix_([0, 2], [0, 2])]
    border = next(border for border in diagram.borders if border.kind == "current" and border.species == 0)
    force, beta = diagram.plane.coordinates(border.points).T
    order = np.argsort(beta)
    hot, cold = np.interp([0.98, 1.02], beta[order], force[order])
    assert cold - hot == pytest.approx(-kept[0, 1] / kept[0, 0] * 0.04, rel=0.05)


def test_reservoir_by_its_forces_is_that_by_its_contents():
    """``mu_b/T = log(b/(v T))`` of contents and temperature, in the place of both."""
    tables = copy.deepcopy(OPEN)
    for end in tables["boundaries"]:
        held, beta = end.pop("fraction"), 1.0 / end.pop("temperature")
        vacant = 1.0 - sum(held.values())
        end["chemical_potential"] = {name: float(np.log(x / vacant * beta)) for name, x in held.items()}
        end["inverse_temperature"] = beta
    assert pnp.solve(tables).currents == pytest.approx(pnp.solve(OPEN).currents, rel=1e-9)


# ---- one more law ----


def test_heat_of_an_electric_current_is_that_of_a_wire():
    """A salt whose solvent conducts heat, ions carrying nothing but their charge: ``I V/(8 kappa)`` in the middle.

    A law of the test's own with a temperature and Poisson's equation: a thermal electrolyte is one more law. To second
    order in a voltage of 0.1 kT/e.
    """
    kappa, voltage = 0.7, 0.1
    energy = Energy(
        lambda a, beta: 0.0,
        lambda a, beta: 0.0,
        lambda a, b, beta: (0.0, 0.0),
        lambda rho, beta, diffusivity: kappa / beta**2,
    )
    law = pnp.Law("warm salt", lambda a, b, rho, D, beta: D[a] * rho[a] * rho[0] if b == 0 else 0, energy=energy)
    salt = {"A": 0.1, "B": 0.1}
    tables = dimensionless_case(law="mpnp", electrostatics="poisson", debye_length=0.3)
    tables["species"] = [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}]
    tables["boundaries"] = [
        {"where": where, "kind": "reservoir", "fraction": salt, "potential": potential, "temperature": 1.0}
        for where, potential in (("left", voltage), ("right", 0.0))
    ]
    tables["model"]["law"] = law.name
    pnp.register_law(law)
    solution = pnp.solve(tables)
    current = solution.currents["A"] - solution.currents["B"]
    assert current == pytest.approx(2.0 * 0.1 * 0.8 * voltage, rel=1e-3)
    profile = solution.profile()
    warmest = float(profile["temperature"].max()) - 1.0
    assert warmest == pytest.approx(current * voltage / (8.0 * kappa), rel=5e-3)
    # what leaves by both ends beside the particles' potential energy is the heat of the current
    assert abs(sum(flux["energy"] for flux in solution.steady.totals.flux.values())) < 1e-12
    dissipated = sum(one * solution.forces[name] for name, one in solution.currents.items())
    assert solution.steady.entropy_production == pytest.approx(dissipated, rel=1e-8)
    at_rest = copy.deepcopy(tables)
    at_rest["boundaries"][0]["potential"] = 0.0
    coupling = pnp.couple(at_rest, points=0)
    assert coupling.asymmetry < 1e-9
    assert coupling.heat.heat_conductance == pytest.approx(kappa, rel=1e-6)


# ---- bad input ----


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("boundaries", 0, "temperature"), None, '"left": the temperature of this reservoir is missing'),
        (("boundaries", 0, "temperature"), 0.0, "temperature must be positive, but it is 0.0"),
        (("boundaries", 0, "temperature"), -1.0, "temperature must be positive, but it is -1.0"),
        (("model", "law"), "shdl", 'temperature has no effect with law "shdl"; laws with one: "barrier_exchange"'),
        (("model", "units"), "si", 'law "barrier_exchange" has a temperature, and its cases are in units'),
        (("model", "electrostatics"), "poisson", "electrostatics: \"poisson\" is not one of 'imposed'"),
        (("model", "w_b"), -0.1, "w_b: input should be greater than or equal to 0"),
        (("species", 0, "field"), 1.0, 'field does not go with law "barrier_exchange"'),
        (("species", 2), {"name": "c"}, 'law "barrier_exchange" is of 2 species, bullets and rods in this order'),
        (("boundaries", 1, "fraction"), {"r": 0.1}, 'lacks "b"'),
        (("boundaries", 1, "chemical_potential"), {"b": 0.1}, "has both fraction and chemical_potential"),
        (("boundaries", 1, "inverse_temperature"), 1.0, "has both temperature and inverse_temperature"),
    ],
)
def test_bad_input_is_told_in_a_sentence(path: tuple, value: object, told: str):
    tables = copy.deepcopy(OPEN)
    if path == ("model", "law"):
        tables["model"] = {"units": "dimensionless", "law": value, "electrostatics": "imposed"}
    elif path == ("species", 2):
        tables["species"].append(value)
    else:
        target = tables
        for step in path[:-1]:
            target = target[step]
        if value is None:
            del target[path[-1]]
        else:
            target[path[-1]] = value
    assert any(told in sentence for sentence in mistakes(tables)), mistakes(tables)
