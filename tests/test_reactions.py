"""Reactions in the volume and at electrodes: closed forms, equilibrium under every law, amounts that are conserved."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import change, mistakes, run_command, summary_of, write_toml
from scipy.optimize import brentq

import pnp_exclusion as pnp
from pnp_exclusion.physics.reactions import ButlerVolmer, Linear, Marcus, Reaction
from pnp_exclusion.physics.stoichiometry import conserved_combinations

LAWS = ("pnp", "mpnp", "shdl", "vacancy")


@pytest.fixture(autouse=True)
def no_warnings():
    """A reacting case that is right warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pnp.SolutionWarning)
        yield


def interval(law: str, species: list, boundaries: list, reactions: list, **model) -> dict:
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "imposed", **model},
        "species": species,
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": boundaries,
        "reactions": reactions,
    }


def redox(kinetics: dict, voltage: float, means: tuple = (0.1, 0.05), where: tuple = ("left", "right")) -> dict:
    """O + e- <-> R between two electrodes in a supporting electrolyte, whose potential is zero."""
    return interval(
        "pnp",
        [{"name": "O", "charge": 1, "mean_fraction": means[0]}, {"name": "R", "mean_fraction": means[1]}],
        [
            {"where": "left", "kind": "electrode", "potential": voltage},
            {"where": "right", "kind": "electrode", "potential": 0.0},
        ],
        [{"name": side, "where": side, "equation": "O + e- <-> R", **copy.deepcopy(kinetics)} for side in where],
    )


def plating(law: str, voltage: float, kinetics: dict, stern: float = 0.05) -> dict:
    """A metal that dissolves at the left and is deposited at the right, or the other way round, in its salt."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": 0.05},
        "species": [{"name": "M+", "charge": 1}, {"name": "X-", "charge": -1, "mean_fraction": 0.1}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "electrode", "potential": voltage, "stern": {"capacitance": stern}},
            {"where": "right", "kind": "electrode", "potential": 0.0, "stern": {"capacitance": stern}},
        ],
        "reactions": [
            {"name": side, "where": side, "equation": "M+ + e- <-> 0", **copy.deepcopy(kinetics)}
            for side in ("left", "right")
        ],
    }


# ---- in the volume ----


def isomers_in_regions(**region: object) -> dict:
    """A <-> B, K = 2, at equilibrium with a reservoir, beside a region that is not like the rest."""
    left = {"where": "left", "kind": "reservoir", "fraction": {"A": 0.1, "B": 0.2}}
    reaction = {"equation": "A <-> B", "forward": 5.0, "equilibrium_constant": 2.0}
    tables = interval("pnp", [{"name": "A"}, {"name": "B"}], [left], [reaction])
    tables["regions"] = [{"name": "other", "x": [0.5, 1.0], **region}]
    return tables


def test_reaction_at_equilibrium_rests_where_partition_energies_differ():
    """Affinities have the energies in them: every density is exp(-u) times that outside, and nothing flows."""
    solution = pnp.solve(isomers_in_regions(partition={"A": 1.5}))
    concentration = solution.profile().concentration.sel(x=1.0).values
    assert concentration == pytest.approx([0.1 * np.exp(-1.5), 0.2], rel=1e-9)
    flux = solution.summary()["flux"]["left"]
    assert max(abs(flux[name]["value"]) for name in "AB") < 1e-10


def test_reaction_happens_only_where_all_its_species_are():
    """What does not enter a region does not react there; a reaction that is put there is refused."""
    tables = isomers_in_regions(excluded=["A"])
    assert abs(pnp.solve(tables).summary()["flux"]["left"]["A"]["value"]) < 1e-10
    tables["reactions"][0]["where"] = "other"
    with pytest.raises(pnp.CaseError, match="does not enter, so that it cannot react there"):
        pnp.solve(tables)


def test_first_order_decay_has_the_profile_of_thiele():
    """c'' = k c, c(0) given and a wall: c = c_0 cosh(m (1 - x))/cosh m, flux c_0 m tanh m, m^2 = k (Thiele 1939)."""
    left = {"where": "left", "kind": "reservoir", "fraction": {"A": 0.3}}
    tables = interval("pnp", [{"name": "A"}], [left], [{"equation": "A -> 0", "forward": 9.0}])
    solution = pnp.solve(tables)
    profile, summary = solution.profile(), solution.summary()
    exact = 0.3 * np.cosh(3.0 * (1.0 - profile.x.values)) / np.cosh(3.0)
    assert np.abs(profile.concentration.values[0] - exact).max() < 1e-8
    consumed = 0.3 * 3.0 * np.tanh(3.0)
    assert summary["flux"]["left"]["A"]["value"] == pytest.approx(-consumed, rel=1e-8)
    assert summary["reactions"]["A -> 0"]["rate"]["value"] == pytest.approx(consumed, rel=1e-8)
    assert summary["balance"] < 1e-12


def test_reaction_in_a_region_consumes_there_only():
    """On the left half the profile is straight: the flux is (c_0 - c_m)/(1/2) = c_m m tanh(m/2)."""
    left = {"where": "left", "kind": "reservoir", "fraction": {"A": 0.3}}
    reaction = {"where": "catalyst", "equation": "A -> 0", "forward": 9.0}
    tables = interval("pnp", [{"name": "A"}], [left], [reaction])
    tables["regions"] = [{"name": "catalyst", "x": [0.5, 1.0]}]
    turned = 3.0 * np.tanh(1.5)
    consumed = 0.3 * turned / (1.0 + 0.5 * turned)
    assert pnp.solve(tables).summary()["reactions"]["A -> 0"]["rate"]["value"] == pytest.approx(consumed, rel=1e-7)


@pytest.mark.parametrize("where", [None, "catalyst"])
def test_automatic_mesh_resolves_how_far_a_species_gets(where: str | None):
    """k = 1e8: the layer is 1e-4 thick, at the reservoir or at the edge of the region that takes it all."""
    left = {"where": "left", "kind": "reservoir", "fraction": {"A": 0.3}}
    reaction = {"equation": "A -> 0", "forward": 1e8} | ({} if where is None else {"where": where})
    tables = interval("pnp", [{"name": "A"}], [left], [reaction])
    tables["regions"] = [{"name": "catalyst", "x": [0.5, 1.0]}]
    consumed = 0.3 * 1e4 if where is None else 0.3 * 1e4 / (1.0 + 0.5 * 1e4)
    found = pnp.solve(tables).summary()["reactions"]["A -> 0"]["rate"]["value"]
    assert found == pytest.approx(consumed, rel=1e-5)


def acid(law: str, left: float, right: float, constant: float = 1e-3) -> dict:
    """An acid between unlike reservoirs, each in equilibrium and neutral with its salt of sodium."""

    def contents(salt: float) -> dict:
        # h a = K ha and h + na = a, under a crowded law of activities
        def lack(h: float) -> float:
            vacancy = 1.0 - (0.05 + 2.0 * h + 2.0 * salt) if law != "pnp" else 1.0
            return h * (h + salt) - constant * 0.05 * vacancy

        h = brentq(lack, 1e-12, 0.1, xtol=1e-15)
        return {"HA": 0.05, "H": h, "A": h + salt, "Na": salt}

    return interval(
        law,
        [{"name": "HA"}, {"name": "H", "charge": 1}, {"name": "A", "charge": -1}, {"name": "Na", "charge": 1}],
        [
            {"where": "left", "kind": "reservoir", "fraction": contents(left), "potential": 1.0},
            {"where": "right", "kind": "reservoir", "fraction": contents(right), "potential": 0.0},
        ],
        [{"equation": "HA <-> H + A", "forward": 1e5, "equilibrium_constant": constant}],
        electrostatics="poisson",
        debye_length=0.05,
    )


@pytest.mark.parametrize("law", LAWS)
def test_fast_acid_is_in_equilibrium_everywhere_with_currents(law: str):
    """a_H a_A / a_HA = K, activities being rho for point ions and rho/rho_0 in a lattice gas."""
    solution = pnp.solve(acid(law, 0.01, 0.1))
    profile, summary = solution.profile(), solution.summary()
    rho = dict(zip(profile.species.values.tolist(), profile.concentration.values, strict=True))
    vacancy = 1.0 if law == "pnp" else 1.0 - profile.packing.values
    quotient = rho["H"] * rho["A"] / rho["HA"] / vacancy
    assert quotient == pytest.approx(np.full(len(quotient), 1e-3), rel=1e-3)
    assert abs(summary["current"]["right"]["value"]) > 1e-2
    assert summary["balance"] < 1e-6
    assert summary["identity_residual"] is None


@pytest.mark.parametrize("law", LAWS)
def test_nothing_reacts_or_flows_at_equilibrium_under_every_law(law: str):
    """Detailed balance between reservoirs alike, with fixed charge between them."""
    tables = acid(law, 0.1, 0.1)
    tables["boundaries"][0]["potential"] = 0.0
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.2}]
    summary = pnp.solve(tables).summary()
    rates = [summary["reactions"]["HA <-> H + A"]["rate"]["value"]]
    rates += [flux["value"] for fluxes in summary["flux"].values() for flux in fluxes.values()]
    assert max(map(abs, rates)) < 1e-11
    assert set(summary["regime"].values()) == {"none"}


def test_concentrations_in_the_place_of_activities_break_detailed_balance():
    """What `activities = false` is for, and why it is not the default: a crowded equilibrium is none for it."""
    tables = acid("mpnp", 0.1, 0.1)
    tables["boundaries"][0]["potential"] = 0.0
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.2}]
    tables["reactions"][0] |= {"activities": False, "forward": 1.0}
    solution = pnp.solve(tables)
    assert max(abs(flux["H"]["value"]) for flux in solution.summary()["flux"].values()) > 1e-8
    profile = solution.profile()
    rate = profile.concentration.values[0] - 1e3 * profile.concentration.values[1] * profile.concentration.values[2]
    assert np.trapezoid(rate, profile.x.values) == pytest.approx(
        solution.summary()["reactions"]["HA <-> H + A"]["rate"]["value"], rel=1e-3
    )


@pytest.mark.parametrize("law", LAWS)
def test_closed_cell_keeps_what_reactions_conserve(law: str):
    """HA + A and Na are conserved to 1e-12, HA alone is not; H has the law of mass action."""
    tables = acid(law, 0.1, 0.1)
    for species, mean in zip(tables["species"], (0.1, None, 0.1, 0.1), strict=True):
        species |= {} if mean is None else {"mean_fraction": mean}
    tables["boundaries"] = [
        {"where": "left", "kind": "electrode", "potential": 2.0},
        {"where": "right", "kind": "electrode", "potential": -2.0},
    ]
    solution = pnp.solve(tables)
    mean = solution.steady.integrals.mean_densities
    assert mean["HA"] + mean["A"] == pytest.approx(0.2, rel=1e-12)
    assert mean["Na"] == pytest.approx(0.1, rel=1e-12)
    assert abs(mean["HA"] - 0.1) > 1e-4
    assert abs(solution.summary()["reactions"]["HA <-> H + A"]["rate"]["value"]) < 1e-9


def test_conserved_combinations_are_the_left_null_space_of_the_stoichiometry():
    """By hand: A + B -> 2 C conserves A - B and 2 A + C, or with B supplied 2 A + C alone."""
    change = {"A": -1, "B": -1, "C": 2}
    found = conserved_combinations(["A", "B", "C"], [lambda name: change.get(name, 0)])
    assert [dict(one) for one in found] == [{"B": 1.0, "A": -1.0}, {"C": 1.0, "A": 2.0}]
    assert conserved_combinations(["A", "C"], [lambda name: change.get(name, 0)]) == [{"C": 1.0, "A": 2.0}]
    assert conserved_combinations(["A"], [lambda name: change.get(name, 0)]) == []


# ---- at electrodes ----


def current_of(tables: dict, where: str = "left") -> float:
    return pnp.solve(tables).summary()["reactions"][where]["current"]["value"]


def butler_volmer(oxidised: float, reduced: float, drop: float, k0: float, alpha: float) -> float:
    return k0 * (oxidised * np.exp(-alpha * drop) - reduced * np.exp((1.0 - alpha) * drop))


def marcus(oxidised: float, reduced: float, drop: float, k0: float, reorganisation: float) -> float:
    """k0 (O exp(-(l + w)^2/4l) - R exp(-(l - w)^2/4l)) exp(l/4)."""
    forth, back = (np.exp((reorganisation - (reorganisation + s * drop) ** 2 / reorganisation) / 4.0) for s in (1, -1))
    return k0 * (oxidised * forth - reduced * back)


def linear(oxidised: float, reduced: float, drop: float, exchange: float) -> float:
    return exchange * (np.log(oxidised / reduced) - drop)


KINETICS = [
    ("butler_volmer", {"k0": 0.5, "alpha": 0.3}, butler_volmer, (0.5, 0.3)),
    ("butler_volmer", {"k0": 100.0}, butler_volmer, (100.0, 0.5)),
    ("marcus", {"k0": 0.5, "reorganisation_energy": 20.0}, marcus, (0.5, 20.0)),
    ("linear", {"k0": 0.02}, linear, (0.02,)),
]


@pytest.mark.parametrize(("key", "given", "rate", "numbers"), KINETICS)
@pytest.mark.parametrize("voltage", [0.5, 6.0])
def test_current_between_two_electrodes_is_that_of_reactions_and_diffusion_in_series(
    key: str, given: dict, rate, numbers: tuple, voltage: float
):
    """Straight profiles of O and R, whose sum is the same everywhere: two equations for the contents at the ends."""
    total = 0.15

    def oxidised_at_left(at_right: float) -> float:
        return at_right + rate(at_right, total - at_right, -0.2, *numbers)

    # which contents at the right leave some of both at the left
    low, high = (
        brentq(lambda o, end=end: oxidised_at_left(o) - end, 1e-14, total - 1e-14, xtol=1e-17)
        for end in (1e-13, total - 1e-13)
    )

    def excess(at_right: float) -> float:
        at_left = oxidised_at_left(at_right)
        return rate(at_left, total - at_left, voltage - 0.2, *numbers) + at_left - at_right

    at_right = brentq(excess, low, high, xtol=1e-17, rtol=1e-14)
    tables = redox({key: {**given, "formal_potential": 0.2}}, voltage)
    assert current_of(tables) == pytest.approx(at_right - oxidised_at_left(at_right), rel=1e-6)


@dataclass(frozen=True)
class Beside:
    """A solution beside an electrode, in numbers."""

    eta: dict
    rho: dict
    load_parameter: float = 1.0

    def number(self, value: float) -> float:
        return value


@pytest.mark.parametrize(
    "kinetics",
    [ButlerVolmer(-1.0, -1.0, 2.0, 0.3), Marcus(-1.0, -1.0, 2.0, 15.0), Linear(0.4, 0.0, 2.0)],
    ids=["butler-volmer", "marcus", "linear"],
)
def test_reaction_written_backwards_is_the_same_and_rests_at_the_potential_of_nernst(kinetics):
    """O + 2 e- <-> 2 R: D = E + (eta_O - 2 eta_R)/2; alpha is that of the reduction either way."""
    eta = {"O": -1.5, "R": -2.2}
    beside = Beside(eta, {name: float(np.exp(value)) for name, value in eta.items()})
    reduction = Reaction("r", {"O": 1}, {"R": 2}, kinetics, electrons=2)
    oxidation = Reaction("o", {"R": 2}, {"O": 1}, kinetics, electrons=-2)
    nernst = 2.0 + (eta["O"] - 2.0 * eta["R"]) / 2.0
    assert reduction.rate(beside, nernst) == pytest.approx(0.0, abs=1e-15)
    for drop in (nernst - 3.0, nernst + 3.0):
        assert (nernst - drop) * reduction.rate(beside, drop) > 0.0
        assert oxidation.rate(beside, drop) == pytest.approx(-reduction.rate(beside, drop), rel=1e-14)
    with np.errstate(over="raise", invalid="raise"):
        assert all(np.isfinite(reduction.rate(beside, drop)) for drop in (-1e6, 1e6))


@pytest.mark.parametrize("key", ["butler_volmer", "marcus", "linear"])
def test_small_current_meets_the_resistances_of_charge_transfer_and_diffusion(key: str):
    """V = (RT/F) [2/i_0 + (L/(F D)) (1/c_O + 1/c_R)] i: RT/(F i_0) at each electrode, with i_0 of the contents."""
    extra = {"reorganisation_energy": "0.8 eV"} if key == "marcus" else {}
    kinetics = {
        "exchange_current": "10 A/m^2",
        "equilibrium_potential": "0.3 V",
        "reference": {"O": "20 mmol/L", "R": "50 mmol/L"},
        **extra,
    }
    means = ("20 mmol/L", "50 mmol/L")
    tables = {
        "model": {"law": "pnp", "electrostatics": "imposed"},
        "species": [
            {"name": name, "charge": charge, "diffusivity": "1e-9 m^2/s", "mean_concentration": mean}
            for name, charge, mean in zip(("O", "R"), (3, 2), means, strict=True)
        ],
        "domain": {"shape": "interval", "length": "20 um"},
        "boundaries": [
            {"where": "left", "kind": "electrode", "potential": "0.300001 V"},
            {"where": "right", "kind": "electrode", "potential": "0.3 V"},
        ],
        "reactions": [
            {"name": side, "where": side, "equation": "O + e- <-> R", key: kinetics} for side in ("left", "right")
        ],
    }
    thermal, faraday = 1.380649e-23 * 298.15 / 1.602176634e-19, 96485.33212
    resistance = thermal * (2.0 / 10.0 + 20e-6 / (faraday * 1e-9) * (1.0 / 20.0 + 1.0 / 50.0))
    # an oxidation at the left sets positive charge free, which is a negative current out of the electrolyte
    assert current_of(tables) == pytest.approx(-1e-6 / resistance, rel=1e-5)


@pytest.mark.parametrize(
    ("law", "key"), [*((law, "butler_volmer") for law in LAWS), ("mpnp", "marcus"), ("mpnp", "linear")]
)
def test_no_current_at_the_potential_of_nernst_behind_a_charged_double_layer(law: str, key: str):
    """V = E + log a_M against the solution, whatever the Stern and the diffuse layer take of it (Frumkin)."""
    kinetics = {"k0": 2.0, "formal_potential": 5.0} | ({"reorganisation_energy": 30.0} if key == "marcus" else {})
    activity = 0.1 if law == "pnp" else 0.1 / 0.8
    tables = plating(law, 5.0 + np.log(activity), {key: kinetics})
    tables["boundaries"][1] = {
        "where": "right",
        "kind": "reservoir",
        "fraction": {"M+": 0.1, "X-": 0.1},
        "potential": 0.0,
    }
    del tables["species"][1]["mean_fraction"], tables["reactions"][1]
    summary = pnp.solve(tables).summary()
    assert abs(summary["reactions"]["left"]["current"]["value"]) < 1e-13
    assert summary["charge"]["left"]["value"] > 1e-2
    tables["boundaries"][0]["potential"] += 0.1
    assert pnp.solve(tables).summary()["reactions"]["left"]["current"]["value"] < -1e-4


def test_rate_follows_the_drop_over_the_stern_layer_and_the_contents_beside_it():
    """Frumkin's correction by hand, from potential and activity where the electrolyte begins."""
    solution = pnp.solve(plating("mpnp", 8.0, {"butler_volmer": {"k0": 0.3, "alpha": 0.4, "formal_potential": 2.0}}))
    profile = solution.profile().isel(node=0) if "node" in solution.profile().dims else solution.profile().isel(x=0)
    activity = float(profile.concentration[0]) / (1.0 - float(profile.packing))
    drop = 8.0 - float(profile.potential) - 2.0
    expected = butler_volmer(activity, 1.0, drop, 0.3, 0.4)
    summary = solution.summary()
    assert summary["reactions"]["left"]["current"]["value"] == pytest.approx(expected, rel=1e-9)
    assert summary["current"]["left"]["value"] == pytest.approx(expected, rel=1e-9)
    assert abs(drop + 2.0) > 1.0


@pytest.mark.parametrize("coupled", [False, True])
def test_conductance_of_an_electrode_that_reacts_is_the_slope_of_its_current(coupled: bool):
    """Reference: the difference of two curves' points, of the order of its step squared."""
    kinetics = {"butler_volmer": {"k0": 0.5, "alpha": 0.3, "formal_potential": 1.0}}
    case = plating("mpnp", 4.0, kinetics) if coupled else redox(kinetics, 4.0)
    curve = pnp.iv(case, "left", 3.99, 4.01, points=3)
    currents = [point.current for point in curve.points]
    assert curve.points[1].conductance == pytest.approx((currents[2] - currents[0]) / 0.02, rel=1e-5)
    assert curve.points[1].current > 0.0
    charges = [point.charge for point in curve.points]
    if coupled:
        assert curve.points[1].capacitance == pytest.approx((charges[2] - charges[0]) / 0.02, rel=1e-5)


def test_kinetics_are_numbers_that_a_workbench_changes():
    """Reference: each case on a mesh of its own."""
    cases = [
        pnp.make_case(redox({"butler_volmer": {"k0": k0, "alpha": alpha, "formal_potential": e}}, 3.0))
        for k0, alpha, e in ((0.1, 0.5, 0.0), (2.0, 0.3, 1.0))
    ]
    with pnp.Workbench(cases[0], also=cases[1:]) as workbench:
        for case in cases:
            found, right = (
                s.summary()["reactions"]["left"]["rate"]["value"] for s in (workbench.solve(case), pnp.solve(case))
            )
            assert found == pytest.approx(right, rel=1e-7)


@pytest.mark.parametrize("voltage", [1.0, 10.0, 40.0])
@pytest.mark.parametrize("k0", [1e-3, 1.0, 1e3])
def test_slow_and_fast_electrodes_are_solved_at_high_voltages(voltage: float, k0: float):
    """k0 = 1e-3..1e3 up to 40 kT/e, where exponentials of the drop reach e^40; charge in is charge out."""
    summary = pnp.solve(plating("pnp", voltage, {"butler_volmer": {"k0": k0}})).summary()
    left, right = (summary["reactions"][side]["current"]["value"] for side in ("left", "right"))
    assert left == pytest.approx(-right, rel=1e-8)
    assert left < 0.0
    assert summary["newton_iterations"] <= 45


def test_rate_constants_in_units_are_those_of_the_dimensionless_twin():
    """c = rho/v: k of order three is in (mol/m^3)^-2/s, times c_full^2 L^2/D without a unit; K likewise."""
    full, length, diffusivity = 1.0 / (6.02214076e23 * 0.5e-9**3), 1e-6, 1e-9
    equation = "A + 2 B <-> C"
    fractions = [{"A": 0.1, "B": 0.2, "C": 0.05}, {"A": 0.2, "B": 0.1, "C": 0.1}]
    names = ["A", "B", "C"]
    bare = interval(
        "mpnp",
        [{"name": name} for name in names],
        [
            {"where": side, "kind": "reservoir", "fraction": held}
            for side, held in zip(("left", "right"), fractions, strict=True)
        ],
        [{"equation": equation, "forward": 50.0, "equilibrium_constant": 4.0}],
    )
    forward, constant = 50.0 / full**2 * diffusivity / length**2, 4.0 / full**2
    tables = {
        "model": {"law": "mpnp", "electrostatics": "imposed", "lattice_spacing": "0.5 nm"},
        "species": [{"name": name, "diffusivity": f"{diffusivity} m^2/s"} for name in names],
        "domain": {"shape": "interval", "length": f"{length} m"},
        "boundaries": [
            {
                "where": side,
                "kind": "reservoir",
                "concentration": {name: f"{x * full} mol/m^3" for name, x in held.items()},
            }
            for side, held in zip(("left", "right"), fractions, strict=True)
        ],
        "reactions": [
            {
                "equation": equation,
                "forward": f"{forward * 1e6} L^2/mol^2/s",
                "equilibrium_constant": f"{constant * 1e6} L^2/mol^2",
            }
        ],
    }
    with_units, without = (pnp.solve(one).summary()["reactions"][equation]["rate"] for one in (tables, bare))
    assert with_units["unit"] == "mol/m^2/s"
    assert with_units["value"] == pytest.approx(without["value"] * diffusivity * full / length, rel=1e-7)


def test_reaction_on_a_wall_takes_up_what_diffuses_to_it():
    """Resistances in series: J = c/(1/D + 1/k) over a unit length."""
    tables = interval(
        "pnp",
        [{"name": "A"}],
        [{"where": "left", "kind": "reservoir", "fraction": {"A": 0.3}}],
        [{"where": "right", "equation": "A -> 0", "forward": 4.0}],
    )
    summary = pnp.solve(tables).summary()
    assert summary["flux"]["right"]["A"]["value"] == pytest.approx(0.3 / (1.0 + 1.0 / 4.0), rel=1e-9)
    assert summary["reactions"]["A -> 0"]["rate"]["value"] == pytest.approx(0.3 / (1.0 + 1.0 / 4.0), rel=1e-9)


def test_rectangle_reacts_as_the_interval_across_it():
    """A pair of electrodes in two dimensions, of which one direction is idle: the same current per area."""
    kinetics = {"butler_volmer": {"k0": 0.5, "formal_potential": 0.2}}
    flat = redox(kinetics, 2.0)
    wide = copy.deepcopy(flat) | {"domain": {"shape": "rectangle", "size": [1.0, 0.5], "cells": [40, 2]}}
    found = [pnp.solve(tables).summary()["reactions"] for tables in (flat, wide)]
    for name in ("left", "right"):
        assert found[1][name]["rate"]["value"] == pytest.approx(0.5 * found[0][name]["rate"]["value"], rel=1e-5)


@pytest.mark.parametrize(
    "tables",
    [acid("mpnp", 0.01, 0.1), plating("mpnp", 8.0, {"butler_volmer": {"k0": 0.3}})],
    ids=["volume", "electrodes"],
)
def test_two_ranks_give_the_same_rates(tables: dict, tmp_path: Path):
    """To 1e-7; production and fluxes balance, without a warning."""
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "two", ranks=2)
    assert finished.returncode == 0, finished.stderr
    assert "warning" not in finished.stderr
    two, one = summary_of(tmp_path / "two"), pnp.solve(tables).summary()
    for name, reaction in one["reactions"].items():
        assert two["reactions"][name]["rate"]["value"] == pytest.approx(reaction["rate"]["value"], rel=1e-7)
        assert name in finished.stdout
    assert two["balance"] < 1e-6


# ---- what is refused ----

VOLUME = interval(
    "pnp",
    [
        {"name": "A", "charge": 1, "formula": "FeCl2"},
        {"name": "B", "charge": -1, "formula": "Cl"},
        {"name": "C", "formula": "FeCl3"},
    ],
    [{"where": "left", "kind": "reservoir", "fraction": {"A": 0.1, "B": 0.1, "C": 0.1}}],
    [{"equation": "A + B <-> C", "forward": 1.0, "backward": 2.0}],
)
VOLUME["regions"] = [{"name": "pore", "x": [0.0, 0.5]}]
ELECTRODES = redox({"butler_volmer": {"k0": 1.0}}, 1.0)
WRONG = {
    "no equation": (VOLUME, {"equation": "A + B"}, "is not a reaction; right would be"),
    "no spaces": (VOLUME, {"equation": "A+B <-> C"}, 'there is no species "A+B"'),
    "unknown species": (VOLUME, {"equation": "A + B <-> D"}, 'there is no species "D"'),
    "same sides": (VOLUME, {"equation": "A + B <-> B + A"}, "changes nothing"),
    "charge": (VOLUME, {"equation": "A <-> C"}, "charge is not kept: the products have -1 more than the reactants"),
    "atoms": (VOLUME, {"equation": "A + B <-> 2 C"}, "atoms are not kept: the products have +3 Cl more"),
    "no backward": (VOLUME, {"backward": None}, "give either backward or equilibrium_constant"),
    "two backward": (VOLUME, {"equilibrium_constant": 2.0}, "give either backward or equilibrium_constant"),
    "backward of one way": (VOLUME, {"equation": "A + B -> C"}, "backward is for a reaction that goes both ways"),
    "negative": (VOLUME, {"forward": -1.0}, "forward must be positive"),
    "no rate": (VOLUME, {"forward": None}, "the rate constant forward is missing"),
    "nowhere": (VOLUME, {"where": "pose"}, '"pose" is neither a region nor a boundary; did you mean "pore"?'),
    "nowhere near": (VOLUME, {"where": "zzz"}, 'nor a boundary; there is "pore", "left", "right"'),
    "kinetics without electrons": (VOLUME, {"butler_volmer": {"k0": 1.0}}, "butler_volmer is for a reaction with"),
    "mass action of electrons": (ELECTRODES, {"forward": 1.0}, "electrons pass at rates that follow the potential"),
    "two kinetics": (ELECTRODES, {"linear": {"k0": 1.0}}, "give butler_volmer, marcus or linear"),
    "electrons one way": (ELECTRODES, {"equation": "O + e- -> R"}, "a reaction of electrons goes both ways"),
    "electrons anywhere": (ELECTRODES, {"where": None}, "electrons react at an electrode; say at which"),
    "two rates": (ELECTRODES, {"butler_volmer": {"k0": 1.0, "exchange_current": 1.0}}, "give either k0, or exchange"),
    "potential of the other": (
        ELECTRODES,
        {"butler_volmer": {"k0": 1.0, "equilibrium_potential": 1.0}},
        "equilibrium_potential does not go with k0",
    ),
    "reference": (
        ELECTRODES,
        {"butler_volmer": {"exchange_current": 1.0, "reference": {"O": 0.1}}},
        'exchange_current is that of one composition: reference lacks "R"',
    ),
    "alpha": (ELECTRODES, {"butler_volmer": {"k0": 1.0, "alpha": 1.5}}, "alpha"),
    "reorganisation": (
        ELECTRODES,
        {"butler_volmer": None, "marcus": {"k0": 1.0, "reorganisation_energy": -1.0}},
        "reorganisation_energy must be positive",
    ),
    "name twice": (ELECTRODES, {"name": "right"}, "two reactions have this name"),
}


@pytest.mark.parametrize("name", WRONG)
def test_reaction_that_cannot_be_is_refused_in_one_sentence(name: str):
    tables, changes, told = WRONG[name]
    tables = copy.deepcopy(tables)
    reaction = tables["reactions"][0] | changes
    tables["reactions"][0] = {key: value for key, value in reaction.items() if value is not None}
    found = mistakes(tables)
    assert any(told in mistake for mistake in found), found
    assert all(mistake.startswith("[[reactions]] ") for mistake in found), found


def test_amounts_that_nothing_fixes_are_refused():
    """O + R is conserved and not given; M+ follows from X- and the electrodes' charge."""
    tables = redox({"butler_volmer": {"k0": 1.0}}, 1.0)
    for species in tables["species"]:
        del species["mean_fraction"]
    told = (
        "no boundary supplies R + O and no reaction changes it, so its amount is not fixed; give mean_fraction to R or"
    )
    assert any(told in mistake for mistake in mistakes(tables))
    followed = change(plating("pnp", 1.0, {"linear": {"k0": 1.0}}), "species", 0, "mean_fraction", to=0.1)
    assert any("its amount follows from reactions and boundaries; remove" in mistake for mistake in mistakes(followed))


def test_flux_of_what_nothing_supplies_is_refused():
    """O flows in, the electrode makes R of it, and nothing takes R out."""
    flux = {"where": "right", "kind": "flux", "flux": {"O": -0.02}}
    tables = change(redox({"butler_volmer": {"k0": 1.0}}, 1.0, where=("left",)), "boundaries", 1, to=flux)
    told = mistakes(tables)
    assert any("R + O flows through a boundary" in mistake and "no steady state" in mistake for mistake in told), told
    flux["flux"]["R"] = 0.02
    assert abs(pnp.solve(tables).summary()["reactions"]["left"]["rate"]["value"] - 0.02) < 1e-9


def test_electrode_that_reacts_needs_a_potential_also_without_poisson():
    tables = redox({"butler_volmer": {"k0": 1.0}}, 1.0)
    del tables["boundaries"][0]["potential"]
    assert any("electrons react here, at a rate that depends on its potential" in one for one in mistakes(tables))
    walls = change(tables, "boundaries", 0, to={"where": "left", "kind": "wall"})
    assert any('make [[boundaries]] "left" a kind = "electrode"' in mistake for mistake in mistakes(walls))


def test_units_of_rate_constants_follow_the_order_and_the_place():
    """By hand: of order two L/mol/s in the volume, of order one m/s at a wall."""
    tables = {
        "model": {"law": "pnp", "electrostatics": "imposed"},
        "species": [{"name": name, "diffusivity": "1e-9 m^2/s"} for name in ("A", "B")],
        "domain": {"shape": "interval", "length": "1 um"},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "concentration": {"A": "1 mol/L", "B": "1 mol/L"}},
        ],
        "reactions": [{"equation": "2 A -> B", "forward": "3 1/s"}],
    }
    assert any('right would be "1e3 m^3/mol/s"' in mistake for mistake in mistakes(tables))
    tables["reactions"] = [{"equation": "A -> B", "where": "right", "forward": "3 1/s"}]
    assert any("is not a rate constant at a boundary, of m/s" in mistake for mistake in mistakes(tables))
    tables["reactions"] = [{"equation": "A -> B", "forward": "3 m/s"}]
    assert any("is not a rate constant in the volume, of 1/s" in mistake for mistake in mistakes(tables))


def test_objects_of_python_mirror_the_tables():
    """The same case, and numbers are in SI units."""
    kinetics = pnp.ButlerVolmer(exchange_current=10.0, equilibrium_potential=0.3, reference={"O": 20.0, "R": 50.0})
    case = pnp.Case(
        model=pnp.Model("pnp", electrostatics="imposed"),
        species=[
            pnp.Species(name="O", charge=3, diffusivity=1e-9, mean_concentration=20.0),
            pnp.Species(name="R", charge=2, diffusivity=1e-9, mean_concentration=50.0),
        ],
        domain=pnp.Interval(length=20e-6),
        boundaries=[pnp.Electrode(where=side, potential=0.3) for side in ("left", "right")],
        reactions=[
            pnp.Reaction(name=side, where=side, equation="O + e- <-> R", butler_volmer=kinetics)
            for side in ("left", "right")
        ],
    )
    assert case.reactions[0].butler_volmer.reference["R"].text == "50.0 mol/m^3"
    varied = case.varied({"reactions.left.butler_volmer.alpha": 0.3})
    assert varied.reactions[0].butler_volmer.alpha == 0.3
    volume = pnp.Reaction(equation="O -> R", forward=2.0)
    assert volume.title == "O -> R"


def test_coupled_transport_with_reactions_is_refused():
    with pytest.raises(pnp.CaseError, match="reactions that make and take it"):
        pnp.couple(VOLUME)


@pytest.mark.parametrize("voltage", [-1.0, 2.0, 6.0])
def test_current_given_of_a_reaction_behind_a_stern_layer_finds_the_potential_that_drives_it(voltage: float):
    """The inverse of a given potential, under a crowded law."""
    tables = plating("mpnp", voltage, {"butler_volmer": {"k0": 1.0}})
    left = tables["boundaries"][0]
    current = pnp.solve(tables).summary()["current"]["left"]["value"]
    del left["potential"]
    left["total_current"] = current
    found = pnp.solve(tables).summary()["found_potential"]["left"]["value"]
    assert found == pytest.approx(voltage, rel=1e-8)
