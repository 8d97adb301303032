"""The library of ions, and species that are taken from it."""

from __future__ import annotations

import re
from math import pi

import pytest
from conftest import change, mistakes

import pnp_exclusion as pnp
from pnp_exclusion.case.advice import advice
from pnp_exclusion.case.build import build
from pnp_exclusion.case.ions import ions, water_viscosity
from pnp_exclusion.case.quantities import FARADAY
from pnp_exclusion.cli.main import main

ROBINSON_STOKES = {
    "H+": 349.8,
    "Li+": 38.68,
    "Na+": 50.10,
    "K+": 73.50,
    "NH4+": 73.55,
    "Ag+": 61.90,
    "Mg2+": 53.05,
    "Ca2+": 59.50,
    "Ba2+": 63.63,
    "OH-": 198.3,
    "F-": 55.4,
    "Cl-": 76.35,
    "Br-": 78.14,
    "I-": 76.84,
    "NO3-": 71.46,
    "ClO4-": 67.36,
    "HCO3-": 44.50,
    "SO4^2-": 80.02,
}
"""Conductivities per charge at 25 °C in S cm^2/mol: Robinson and Stokes, Electrolyte Solutions, appendix 6.2."""
BOLTZMANN = 1.380649e-23


def salt(**sodium: object) -> dict:
    """Two ions of the library between two reservoirs."""
    contents = {"Na+": "0.1 mol/L", "Cl-": "0.1 mol/L"}
    return {
        "model": {"law": "mpnp", "lattice_spacing": "0.7 nm"},
        "species": [{"ion": "Na+", **sodium}, {"ion": "chloride"}],
        "domain": {"shape": "interval", "length": "10 nm"},
        "boundaries": [
            {"where": side, "kind": "reservoir", "concentration": contents, "potential": "0 V"}
            for side in ("left", "right")
        ],
    }


@pytest.mark.parametrize("one", ions().values(), ids=lambda one: one.symbol)
def test_conductivity_and_diffusivity_of_an_ion_are_those_of_one_mobility(one: pnp.Ion):
    """Nernst and Einstein, ``D = R T lambda/(F^2 |z|)``, to the last digit of the handbook."""
    expected = 8.314462618 * 298.15 * one.conductivity / FARADAY**2 / abs(one.charge)
    assert one.diffusivity == pytest.approx(expected, rel=1.5e-3)


@pytest.mark.parametrize(("symbol", "conductivity"), ROBINSON_STOKES.items())
def test_conductivities_are_those_of_another_book(symbol: str, conductivity: float):
    assert 1e4 * pnp.ion(symbol).conductivity == pytest.approx(conductivity, rel=2e-3)


def test_salt_diffuses_as_was_measured():
    """NaCl at infinite dilution: 1.610e-9 m^2/s (Harned and Hildreth, 1951)."""
    cation, anion = pnp.ion("Na+").diffusivity, pnp.ion("Cl-").diffusivity
    assert 2.0 * cation * anion / (cation + anion) == pytest.approx(1.610e-9, rel=2e-3)


def test_hydrated_ions_are_larger_than_spheres_that_diffuse_as_fast():
    """Nightingale corrects Stokes' radii upward, the less the larger they are."""
    for one in ions().values():
        stokes = BOLTZMANN * 298.15 / (3.0 * pi * water_viscosity(298.15) * one.diffusivity)
        if one.hydrated_diameter is not None:
            assert 1.0 < one.hydrated_diameter / stokes < (3.0 if one.diffusivity < 3e-9 else 12.0), one.symbol


@pytest.mark.parametrize(
    ("temperature", "viscosity"), [(273.16, 1.7916e-3), (293.15, 1.0016e-3), (298.15, 0.8900e-3), (373.15, 0.2818e-3)]
)
def test_viscosity_of_water_is_that_of_its_tables(temperature: float, viscosity: float):
    """IAPWS 2008 at 0.1 MPa."""
    assert water_viscosity(temperature) == pytest.approx(viscosity, rel=2e-3)


@pytest.mark.parametrize(
    ("written", "symbol"),
    [("Ca+2", "Ca2+"), ("Ca++", "Ca2+"), ("Ca^2+", "Ca2+"), ("Ca²⁺", "Ca2+"), ("calcium", "Ca2+"), ("SO4-2", "SO4^2-")],
)
def test_charge_of_an_ion_is_written_as_one_likes(written: str, symbol: str):
    assert pnp.ion(written).symbol == symbol


def test_spellings_of_ions_are_of_one_each():
    spellings = [one.species_name for one in ions().values()]
    assert len(set(spellings)) == len(spellings)


def test_species_of_an_ion_has_its_data_unless_others_are_given():
    case = pnp.make_case(salt())
    assert [(s.name, s.charge, float(s.diffusivity)) for s in case.species] == [
        ("Na+", 1.0, 1.334e-9),
        ("Cl-", -1.0, 2.032e-9),
    ]
    assert pnp.make_case(case.as_written()) == case
    given = pnp.make_case(salt(diffusivity="1 um^2/ms", charge=1)).species[0]
    assert (given.name, float(given.diffusivity)) == ("Na+", pytest.approx(1e-9))
    assert pnp.Species(ion="Mg++").charge == 2.0
    assert float(case.varied({"species.Na+.diffusivity": 1e-9}).species[0].diffusivity) == 1e-9


def test_hydrated_volume_is_that_of_the_sphere():
    species = pnp.make_case(
        change(
            salt(volume="hydrated"),
            "model",
            to={"law": "mpnp", "sizes": "volume-fractions", "solvent_volume": "0.03 nm^3"},
        )
    ).species[0]
    assert float(species.volume) == pytest.approx(pi / 6.0 * 0.716e-9**3, rel=1e-4)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"ion": "Nat+"},
            '[[species]] 1: there is no ion "Nat+" among those whose data are known; did you mean "Na+"?',
        ),
        ({"ion": 1}, "[[species]] 1: ion: must be a text, but it is 1"),
        (
            {"ion": "SCN-", "volume": "hydrated"},
            '[[species]] "SCN-": no hydrated diameter of SCN- is known; give its volume',
        ),
    ],
)
def test_what_is_no_ion_is_told_with_the_nearest(keys: dict, sentence: str):
    assert sentence in mistakes(salt(**keys))


def test_ions_of_a_dimensionless_case_have_their_charges_alone():
    tables = change(salt(), "model", to={"units": "dimensionless", "law": "mpnp", "debye_length": 0.1})
    tables["domain"]["length"] = 1.0
    for boundary in tables["boundaries"]:
        boundary |= {"fraction": {"Na+": 0.1, "Cl-": 0.1}, "potential": 0.0}
        del boundary["concentration"]
    assert [(s.charge, s.diffusivity) for s in pnp.make_case(tables).species] == [(1.0, None), (-1.0, None)]


def test_diffusivities_at_another_temperature_are_warned_of_with_those_of_stokes_and_einstein():
    """At 37 °C water has 0.6913 mPa s (IAPWS): ``D`` grows by 310.15/298.15 * 0.8900/0.6913."""
    tables = salt()
    tables["model"]["temperature"] = "37 °C"
    told = [sentence for sentence in advice(build(pnp.make_case(tables))) if "25 °C" in sentence]
    assert len(told) == 2
    scaled = re.search(r"it would be (\S+) m", told[0])
    assert scaled and float(scaled[1]) == pytest.approx(1.334e-9 * 310.15 / 298.15 * 0.8900 / 0.6913, rel=2e-3)
    assert not [sentence for sentence in advice(build(pnp.make_case(salt()))) if "25 °C" in sentence]


def test_list_names_every_ion_with_its_sources(capsys: pytest.CaptureFixture):
    assert main(["ions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(ions())]] == list(ions())
    assert all("CRC" in line for line in lines[1 : 1 + len(ions())])
    assert main(["ions", "Na+", "--temperature", "500 K"]) == 2
    assert "water is liquid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "sentence"),
    [("Xx+", '"K+"'), ("na", 'did you mean "Na+"?'), ("Sodum", 'did you mean "sodium"?')],
)
def test_an_unknown_ion_is_told_with_the_nearest_only(word: str, sentence: str, capsys: pytest.CaptureFixture):
    assert main(["ions", word]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert len(told) < 200


@pytest.mark.parametrize("words", [["ions", "Na+"], ["example", "membrane"], ["schema"], ["mesh", "slit.py"]])
def test_commands_that_solve_nothing_refuse_options_of_petsc(words: list[str], capsys: pytest.CaptureFixture):
    assert main([*words, "--", "-ksp_x"]) == 2
    assert f"{words[0]} takes no options of PETSc, as it solves nothing: -ksp_x" in capsys.readouterr().err
