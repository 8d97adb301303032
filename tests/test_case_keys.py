"""Keys of a case by name, and the axes that vary them."""

from __future__ import annotations

import copy
import math

import pytest
from conftest import EXAMPLES, dimensionless_case, example

from pnp_exclusion.case.axes import Driving, axis_values, read_axis
from pnp_exclusion.case.case import make_case, read_case
from pnp_exclusion.case.keys import CaseKeyError, dimension_of_key, set_key
from pnp_exclusion.case.plans import Axis, SweepAxis
from pnp_exclusion.errors import CaseError

SETTABLE = {
    "species.Na.charge": (2, lambda case: case.species[0].charge == 2.0),
    "boundaries.left.potential": ("37.5 mV", lambda case: case.boundaries[0].potential.value == pytest.approx(0.0375)),
    "boundaries.left.concentration.Na": (
        "1 mol/L",
        lambda case: case.boundaries[0].amounts["Na"] == pytest.approx(1e3),
    ),
    "regions.membrane.fixed_charge": (
        "-1 mol/L",
        lambda case: case.regions[0].fixed_charge.value == pytest.approx(-1e3),
    ),
    "regions.membrane.x.2": ("4 nm", lambda case: case.regions[0].x[1].text == "4 nm"),
    "regions.membrane.permittivity": (40.0, lambda case: case.regions[0].permittivity == 40.0),
    "domain.length": ("6 nm", lambda case: case.domain.length.text == "6 nm"),
    "domain.cells": (50, lambda case: case.domain.cells == 50),
    "model.law": ("mpnp", lambda case: case.model.law == "mpnp"),
    "model.temperature": ("310 K", lambda case: case.model.temperature.value == 310.0),
    "solver.degree": (1, lambda case: case.solver.degree == 1),
    "solver.petsc.ksp_type": ("gmres", lambda case: case.solver.petsc == {"ksp_type": "gmres"}),
}


@pytest.mark.parametrize("key", SETTABLE)
def test_key_is_set_in_the_file_and_in_the_case_with_its_defaults(key: str, membrane: dict):
    value, is_set = SETTABLE[key]
    for tables in (membrane, make_case(membrane).as_written()):
        assert not is_set(make_case(tables))
        set_key(tables, key, value)
        assert is_set(make_case(tables))


REFUSED = {
    "spcies.Na.charge": 'did you mean "species"?',
    "species.Na.chrge": '"species.Na" has no key "chrge"; did you mean "charge"?',
    "species.K.charge": 'the case has no entry "K" in [[species]]; there is "Na", "Cl"',
    "boundaries.lfet.potential": 'did you mean "left"?',
    "boundaries.left.concentration.K": 'the case has no species "K"; there is "Na", "Cl"',
    "boundaries.left.concentration": None,
    "domain.size": '"domain" has no key "size"; there is "periodic", "shape", "length", "cells"',
    "domain.length.1": '"domain.length" is a single value in this case',
    "regions.membrane.x.3": "its entries go by position, 1 to 2",
    "regions.membrane.x.0": "its entries go by position, 1 to 2",
    "regions.pore.x": 'the case has no entry "pore" in [[regions]]; there is "membrane"',
    "species": 'name one of its entries, there is "Na", "Cl"',
    "output.fields": "the case has no table that can be varied",
    "sweep.chunk": "the case has no table that can be varied",
    "species..charge": "words are joined by dots",
    "": "words are joined by dots",
}


@pytest.mark.parametrize("key", REFUSED)
def test_key_that_the_case_cannot_have_names_the_nearest(key: str, membrane: dict):
    sentence = REFUSED[key]
    before = copy.deepcopy(membrane)
    if sentence is None:
        set_key(membrane, key, {"Na": "1 mol/L", "Cl": "1 mol/L"})
        assert make_case(membrane).boundaries[0].amounts == pytest.approx({"Na": 1e3, "Cl": 1e3})
        return
    with pytest.raises(CaseKeyError) as caught:
        set_key(membrane, key, "1 mol/L")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f'key "{key}": ')
    assert caught.value.exit_code == 2
    assert membrane == before


def test_name_with_a_dot_goes_in_quotation_marks(membrane: dict):
    membrane["regions"][0]["name"] = "layer 1.5"
    set_key(membrane, 'regions."layer 1.5".fixed_charge', "2 mol/L")
    assert membrane["regions"][0]["fixed_charge"] == "2 mol/L"


def test_field_is_set_as_a_number_a_vector_and_a_table():
    tables = dimensionless_case()
    set_key(tables, "species.A.field", 3.0)
    assert tables["species"][0]["field"] == 3.0
    tables["species"][0]["field"] = [1.0]
    set_key(tables, "species.A.field.1", 2.0)
    assert tables["species"][0]["field"] == [2.0]
    tables["species"][0]["field"] = {"x": [0.0, 1.0], "values": [1.0, 2.0]}
    set_key(tables, "species.A.field.values.2", 5.0)
    assert tables["species"][0]["field"]["values"] == [1.0, 5.0]
    with pytest.raises(CaseKeyError, match='did you mean "values"'):
        set_key(tables, "species.A.field.value.2", 5.0)


def test_law_that_is_set_takes_its_exchange_rate_along():
    tables = dimensionless_case(law="vacancy", kappa=0.5)
    set_key(tables, "model.law", "shdl")
    assert make_case(tables).model.law == "shdl"


def test_regions_that_a_case_lacks_are_told_so():
    with pytest.raises(CaseKeyError, match=r"the case has no \[\[regions\]\]"):
        set_key(dimensionless_case(), "regions.membrane.fixed_charge", 1.0)


def test_quantity_of_a_key_is_known(membrane: dict):
    assert dimension_of_key(membrane, "boundaries.left.concentration.Na").name == "a concentration"
    assert dimension_of_key(membrane, "regions.membrane.x.1").name == "a length"
    assert dimension_of_key(membrane, "species.Na.charge") is None


# ---- axes ----


def test_values_in_units_are_told_in_the_first_ones_unit(membrane: dict):
    axis = SweepAxis(key="boundaries.left.potential", values=["-40 mV", "0.1 V", "0 mV"])
    assert axis_values(axis, membrane) == ((-40.0, 100.0, 0.0), "mV")
    assert read_axis(axis, membrane).settings(37.5) == {"boundaries.left.potential": "37.5 mV"}
    assert axis.title == "left_potential"


def test_axis_without_a_name_has_one_that_files_can_hold():
    names = {
        'boundaries."ion side/1".potential': "ion_side_1_potential",
        "model.law": "law",
        "species.Na+.field": "Na__field",
    }
    assert {key: Axis(key=key).title for key in names} == names


def apply(driving: Driving, tables: dict, coordinate: float | str) -> None:
    for key, value in driving.settings(coordinate).items():
        set_key(tables, key, value)


def test_degrees_celsius_keep_their_own_zero(membrane: dict):
    axis = SweepAxis(key="model.temperature", values=["25 °C", "300 K"])
    values, unit = axis_values(axis, membrane)
    assert unit == "°C"
    assert values == pytest.approx((25.0, 26.85))
    driving = read_axis(axis, membrane)
    for value in values:
        apply(driving, membrane, value)
        assert make_case(membrane).model.temperature.value == pytest.approx(273.15 + value)


def test_linear_and_log_spacing_end_where_they_are_told(membrane: dict):
    linear = SweepAxis.model_validate({"key": "species.Na.charge", "from": 0.1, "to": 0.5, "count": 5})
    assert axis_values(linear, membrane) == ((0.1, 0.2, 0.3, 0.4, 0.5), "")
    spaced = {"key": "boundaries.left.concentration.Na", "from": "1 mmol/L", "to": "1 mol/L", "count": 4}
    log = SweepAxis.model_validate(spaced | {"spacing": "log"})
    values, unit = axis_values(log, membrane)
    assert unit == "mmol/L"
    assert values == pytest.approx((1.0, 10.0, 100.0, 1000.0), rel=1e-14)
    assert values[0] == 1.0 and values[-1] == 1000.0
    assert [read_axis(log, membrane).share_of(value) for value in values] == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])


def test_one_axis_drives_several_keys_by_factors(membrane: dict):
    axis = SweepAxis(
        keys=["boundaries.left.potential", "boundaries.right.potential"],
        factors=[0.5, -0.5],
        name="voltage",
        values=["100 mV", "37 mV"],
    )
    driving = read_axis(axis, membrane)
    apply(driving, membrane, driving.values[1])
    assert [boundary["potential"] for boundary in membrane["boundaries"]] == ["18.5 mV", "-18.5 mV"]


def test_words_and_whole_numbers_stay_what_they_are(membrane: dict):
    laws = read_axis(SweepAxis(key="model.law", values=["mpnp", "shdl"]), membrane)
    assert laws.values == ("mpnp", "shdl")
    assert laws.settings("shdl") == {"model.law": "shdl"}
    degrees = read_axis(SweepAxis(key="solver.degree", values=[1, 2]), membrane)
    for degree in degrees.values:
        apply(degrees, membrane, degree)
        assert make_case(membrane).solver.degree == degree
    cells = read_axis(SweepAxis.model_validate({"key": "domain.cells", "from": 10, "to": 40, "count": 4}), membrane)
    assert [cells.settings(value)["domain.cells"] for value in cells.values] == [10, 20, 30, 40]
    ranges = [["1 nm", "2 nm"], ["1 nm", "3 nm"]]
    region = read_axis(SweepAxis(key="regions.membrane.x", values=ranges), membrane)
    assert [region.settings(label)["regions.membrane.x"] for label in region.values] == ranges


def test_axis_of_a_diagram_runs_between_its_limits():
    axis = Axis.model_validate({"key": "species.A.field", "from": -10.0, "to": 10.0})
    driving = read_axis(axis, dimensionless_case())
    assert [driving.at(share) for share in (0.0, 0.25, 1.0)] == [-10.0, -5.0, 10.0]
    assert driving.values == ()
    assert math.isclose(driving.share_of(-5.0), 0.25)


AXIS_MISTAKES = {
    "unit of another kind": ({"key": "boundaries.left.potential", "values": ["1 nm"]}, "of another kind"),
    "no unit": ({"key": "boundaries.left.potential", "from": 0, "to": 1, "count": 3}, "has no unit"),
    "unlike quantities": (
        {"keys": ["boundaries.left.potential", "domain.length"], "values": ["1 nm"]},
        "hold unlike quantities",
    ),
    "words between limits": ({"key": "model.law", "from": "shdl", "to": "mpnp", "count": 3}, "there are no numbers"),
    "factor of words": ({"keys": ["model.law"], "factors": [2.0], "values": ["shdl"]}, "factors go with numbers"),
    "log through zero": (
        {"key": "species.Na.charge", "from": -1.0, "to": 1.0, "count": 3, "spacing": "log"},
        "of the same sign",
    ),
    "nothing between": ({"key": "species.Na.charge", "from": 1.0, "to": 1.0, "count": 3}, "must differ"),
    "one value": ({"key": "species.Na.charge", "from": 1.0, "to": 2.0, "count": 1}, "leaves no room"),
    "not finite": ({"key": "species.Na.charge", "values": [math.nan]}, "must be a finite number"),
}


@pytest.mark.parametrize("name", AXIS_MISTAKES)
def test_axis_that_does_not_fit_its_case_is_told_in_the_case(name: str, membrane: dict):
    axis, sentence = AXIS_MISTAKES[name]
    membrane["sweep"] = {"axes": [axis]}
    with pytest.raises(CaseError) as caught:
        make_case(membrane)
    (told,) = caught.value.mistakes
    assert sentence in told
    assert told.startswith("[[sweep.axes]]")


# ---- the tables ----

CHARGE = {"key": "species.Na.charge", "values": [1.0, 2.0]}
LIMITS = {"key": "species.Na.charge", "from": 1.0, "to": 2.0}
SWEEP_MISTAKES = {
    "no axis": ({"axes": []}, "axes: "),
    "no key": ({"axes": [{"values": [1.0]}]}, 'needs either key = "..." or keys'),
    "both": ({"axes": [CHARGE | {"keys": ["species.Cl.charge"]}]}, 'needs either key = "..." or keys'),
    "factors": ({"axes": [CHARGE | {"factors": [1.0, 2.0]}]}, "has 1 keys but 2 factors"),
    "no values": ({"axes": [{"key": "species.Na.charge"}]}, "needs either values"),
    "values and limits": ({"axes": [CHARGE | {"from": 1.0, "to": 2.0}]}, "needs either values"),
    "one limit": ({"axes": [{"key": "species.Na.charge", "from": 1.0}]}, "from and to go together"),
    "no count": ({"axes": [LIMITS]}, "count is missing"),
    "switch as a limit": ({"axes": [LIMITS | {"from": True}]}, "must be a number or a text with a unit"),
    "unknown key": ({"axes": [CHARGE | {"kye": 1}]}, 'did you mean "key"?'),
    "unknown key of the plan": ({"axes": [CHARGE], "desing": "grid"}, 'did you mean "design"?'),
    "unlike lengths": (
        {"design": "list", "axes": [CHARGE, {"key": "species.Cl.charge", "values": [1.0]}]},
        "must be equally long, but are: Na_charge 2, Cl_charge 1",
    ),
    "no points": ({"design": "random", "axes": [LIMITS]}, "points is missing"),
    "points of a grid": ({"points": 3, "axes": [CHARGE]}, "points and seed go with"),
    "count of a random design": ({"design": "random", "points": 3, "axes": [LIMITS | {"count": 3}]}, "count goes with"),
    "one key twice": ({"axes": [CHARGE, CHARGE | {"name": "other"}]}, 'two axes have the key "species.Na.charge"'),
    "one name twice": ({"axes": [CHARGE, LIMITS | {"key": "model.permittivity", "name": "Na_charge"}]}, "two axes"),
    "name of a dimension": ({"axes": [CHARGE | {"name": "species"}]}, 'the name "species" is taken'),
    "too many": ({"axes": [LIMITS | {"count": 9_000_000}]}, "the most is 1000000"),
    "value twice": ({"axes": [CHARGE | {"values": [1.0, 2.0, 1]}]}, "is given twice"),
    "key that is not there": ({"axes": [CHARGE | {"key": "species.Na.chrge"}]}, 'did you mean "charge"?'),
}


@pytest.mark.parametrize("name", SWEEP_MISTAKES)
def test_mistake_in_a_sweep_is_told_in_one_sentence(name: str, membrane: dict):
    membrane["sweep"], sentence = SWEEP_MISTAKES[name]
    with pytest.raises(CaseError) as caught:
        make_case(membrane)
    (told,) = caught.value.mistakes
    assert sentence in told
    assert told.startswith(("[sweep]", "[[sweep.axes]]"))


FIELDS = {
    "x": {"key": "species.A.field", "from": -10.0, "to": 10.0},
    "y": {"key": "species.B.field", "from": -10.0, "to": 10.0},
}
DIAGRAM_MISTAKES = {
    "no axis": ({"x": FIELDS["x"]}, 'the key "y" is missing'),
    "no limits": (FIELDS | {"x": {"key": "species.A.field"}}, "needs from and to"),
    "the same twice": (FIELDS | {"y": FIELDS["x"]}, 'x and y both vary "species.A.field"'),
    "key that is not there": (FIELDS | {"x": FIELDS["x"] | {"key": "species.C.field"}}, 'there is "A", "B"'),
    "key of a variant": (FIELDS | {"variants": [{"name": "v", "set": {"model.lwa": "mpnp"}}]}, 'did you mean "law"?'),
    "variant that is no case": (
        FIELDS | {"variants": [{"name": "full", "set": {"boundaries.left.fraction": {"A": 0.6, "B": 0.6}}}]},
        "the species fill 1.2 of the space",
    ),
    "two of a name": (FIELDS | {"variants": [{"name": "v"}, {"name": "v"}]}, "two variants have the same name"),
}


@pytest.mark.parametrize("name", DIAGRAM_MISTAKES)
def test_mistake_in_a_diagram_is_told_in_one_sentence(name: str):
    diagram, sentence = DIAGRAM_MISTAKES[name]
    with pytest.raises(CaseError) as caught:
        make_case(dimensionless_case() | {"diagram": diagram})
    (told,) = caught.value.mistakes
    assert sentence in told
    assert "diagram" in told


def test_plans_are_part_of_the_case_as_written(membrane: dict):
    sweep = {
        "axes": [
            {"key": "species.Na.charge", "from": 1.0, "to": 2.0, "count": 3},
            {"key": "model.law", "values": ["shdl"]},
        ]
    }
    diagram = {
        "x": LIMITS,
        "y": LIMITS | {"key": "species.Cl.charge"},
        "variants": [{"name": "a", "set": {"model.law": "mpnp"}}],
    }
    case = make_case(membrane | {"sweep": sweep, "diagram": diagram})
    assert case.sweep.size == 3
    assert case.diagram.resolution == 25
    assert make_case(case.as_written()) == case
    assert case.as_written()["sweep"]["axes"][0]["from"] == 1.0
    assert read_case(EXAMPLES / "membrane.toml").sweep is None


ODD_VALUES = [
    [],
    {},
    "",
    "x",
    "5 mV",
    "\x00",
    "x" * 5000,
    True,
    0,
    -1,
    1.5,
    math.nan,
    1e300,
    10**400,
    [1, 2],
    [[]],
    [{}],
]


def test_odd_value_anywhere_in_a_plan_is_a_case_or_a_sentence():
    tables = example("imposed_fields")
    tables["sweep"] = {
        "design": "grid",
        "chunk": 3,
        "axes": [FIELDS["x"] | {"count": 3, "name": "drive", "spacing": "linear"}],
    }
    tables["sweep"]["axes"].append({"keys": ["species.B.field"], "factors": [2.0], "values": [1.0, 2.0]})
    tables["diagram"] = copy.deepcopy(FIELDS) | {
        "resolution": 5,
        "accuracy": 0.1,
        "variants": [{"name": "v", "set": {"model.law": "mpnp"}}],
    }
    make_case(tables)
    for plan in ("sweep", "diagram"):
        for path in _entries(tables[plan], (plan,)):
            for value in ODD_VALUES:
                changed = copy.deepcopy(tables)
                node = changed
                for step in path[:-1]:
                    node = node[step]
                node[path[-1]] = value
                for mistake in _told(changed):
                    assert mistake.startswith("[") and mistake.isprintable()


def _told(tables: dict) -> list[str]:
    """The mistakes of tables, none if they are a case."""
    try:
        make_case(tables)
    except CaseError as error:
        return error.mistakes or [""]
    return []


def _entries(node: object, path: tuple) -> list[tuple]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(deeper for key, child in children for deeper in _entries(child, (*path, key)))]
