"""Cases under systematic mutation: whatever stands in them, they are read or refused in sentences."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import pytest
from conftest import EXAMPLES, change, dimensionless_case, example

from pnp_exclusion.case.case import make_case
from pnp_exclusion.errors import CaseError


def whole_case() -> dict:
    """A dimensionless case with every table and most keys."""
    tables = dimensionless_case(law="vacancy", kappa=0.5)
    tables["title"] = "all keys"
    tables["species"][0]["field"] = {"x": [0.0, 0.5, 1.0], "values": [1.0, 2.0, 1.0]}
    tables["species"][1] |= {"field": [1.0], "charge": 1, "diffusivity": 1.0}
    tables["domain"]["cells"] = 20
    tables["regions"] = [{"name": "half", "x": [0.0, 0.5], "diffusivity": 0.5}]
    tables["solver"] = {
        "degree": 2,
        "quadrature_degree": 4,
        "tolerance": 1e-8,
        "max_newton_steps": 20,
        "strategy": "ramp",
        "linear": "direct",
        "petsc": {"ksp_type": "gmres"},
    }
    tables["output"] = {"fields": False, "pictures": True}
    return tables


def box() -> dict:
    tables = example("membrane")
    tables["domain"] = {"shape": "rectangle", "size": ["5 nm", "2 nm"], "cells": [3, 4]}
    return tables


ODD_CASES = {
    "membrane": lambda: example("membrane"),
    "two electrodes": lambda: example("two_electrodes"),
    "rectangle": box,
    "all keys": whole_case,
    "gmsh": lambda: change(example("slit"), "domain", "dimension", to=2),
}
ODD_VALUES = [
    *(
        [],
        {},
        "",
        "x",
        "5 nm",
        "ünïcödé",
        "a\nb",
        "\x00",
        "x" * 5000,
        "5 (nm",
        "1e400 m",
        "5 m^9^9^9^9",
        True,
        0,
        -1,
        3,
    ),
    *(1.5, math.nan, math.inf, -1e300, 10**400, [1, 2], ["a"], [[]], [{}], {"a": 1}, {"a": []}, {"name": {}}),
]


def entries(node: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of every table, array and value of a case."""
    if path:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from entries(child, (*path, key))


@pytest.mark.parametrize("name", ODD_CASES)
def test_odd_value_anywhere_is_a_case_or_a_sentence(name: str):
    """Every entry, table and array of a case in turn is replaced by values of other types, and by none."""
    tables = ODD_CASES[name]()
    assert make_case(tables, EXAMPLES)
    for path in entries(tables):
        for value in ODD_VALUES:
            _is_case_or_sentences(change(tables, *path, to=value))
        without = copy.deepcopy(tables)
        parent = without
        for key in path[:-1]:
            parent = parent[key]
        del parent[path[-1]]
        _is_case_or_sentences(without)


def _is_case_or_sentences(tables: dict) -> None:
    told: list[str] = []
    try:
        make_case(tables, EXAMPLES)
    except CaseError as error:
        told = error.mistakes or [""]
    for mistake in told:
        assert mistake.startswith(("[", "title"))
        assert mistake.isprintable()
        assert len(mistake) < 400 or "x" * 300 in mistake
