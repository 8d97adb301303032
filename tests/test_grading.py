"""Graded partitions keep the promises in their docstrings."""

from __future__ import annotations

import numpy as np
import pytest

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
