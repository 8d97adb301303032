"""Graded partitions keep the promises in their docstrings."""

from __future__ import annotations

import numpy as np
import pytest

import pnp_exclusion as pnp
from pnp_exclusion.mesh.grading import Layer, Resolution, graded_nodes, uniform_nodes

RESOLUTION = Resolution(cells_per_layer=10.0, growth=0.2, largest=1 / 20)


@pytest.mark.parametrize("first_cell", [1e-2, 1e-4, 1e-9])
def test_cells_beside_a_layer_are_as_small_as_asked_and_grow_slowly(first_cell: float):
    nodes = graded_nodes(1.0, [], [Layer(0.0, first_cell)], RESOLUTION)
    cells = np.diff(nodes)
    assert cells[0] <= first_cell * (1.0 + RESOLUTION.growth)
    assert cells[0] >= 0.7 * first_cell
    assert cells.max() <= 1.01 / 20
    assert (cells[1:] / cells[:-1]).max() < 1.25


def test_breakpoints_are_nodes():
    nodes = graded_nodes(2.0, [0.3, 1.7, 0.3], [Layer(0.3, 1e-3), Layer(1.7, 1e-3)], RESOLUTION)
    assert {0.0, 0.3, 1.7, 2.0} <= set(nodes)
    assert (np.diff(nodes) > 0.0).all()


@pytest.mark.parametrize("cells", [1, 3, 7, 100])
def test_uniform_mesh_has_the_cells_asked_for_or_one_for_every_part(cells: int):
    nodes = uniform_nodes(1.0, [0.2, 0.55], cells)
    assert len(nodes) - 1 == max(cells, 3)
    assert {0.2, 0.55} <= set(nodes)


JAMMED_FRONTS = {
    "a salt at 100 kT/e": (
        0.07011846222958432,
        -0.018481236663161815,
        100.0,
        {"a": 0.45, "b": 0.45},
        {"a": 0.45, "b": 0.45},
    ),
    "three species at 40 kT/e": (
        0.009417728288809536,
        -0.23771324923367543,
        40.0,
        {"a": 0.5426474369432136, "b": 0.17205768917035927, "c": 0.18529487388642715},
        {"a": 0.5743547514054506, "b": 0.07693574578364851, "c": 0.248709502810901},
    ),
}


@pytest.mark.parametrize("front", [*JAMMED_FRONTS.values()], ids=[*JAMMED_FRONTS])
def test_fronts_inside_the_domain_get_cells_once_they_are_known(front: tuple):
    """Reference: uniform meshes of 20,000 cells. Without finer cells the currents are 2.8e-3 and 1.6e-4 off."""
    debye_length, fixed_charge, voltage, left, right = front
    charges = {"a": 1, "b": -1, "c": -2}
    tables = {
        "model": {
            "units": "dimensionless",
            "law": "vacancy",
            "electrostatics": "poisson",
            "debye_length": debye_length,
        },
        "species": [{"name": name, "charge": charges[name]} for name in left],
        "domain": {"shape": "interval", "length": 1.0},
        "regions": [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": fixed_charge}],
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": left, "potential": voltage},
            {"where": "right", "kind": "reservoir", "fraction": right, "potential": 0.0},
        ],
    }
    found = np.array(list(pnp.solve(tables).steady.currents.values()))
    tables["domain"]["cells"] = 20_000
    right_ones = np.array(list(pnp.solve(tables).steady.currents.values()))
    assert np.abs(found - right_ones).max() < 2e-5 * np.abs(right_ones).max()
