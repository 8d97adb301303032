"""Fields as VTK reads them: cells of any degree whose nodes it takes to be evenly spaced, in its own order."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from conftest import dimensionless_case, read_fields

import pnp_exclusion as pnp
from pnp_exclusion.errors import OneRankDiskError
from pnp_exclusion.output.fields import write_fields

NODES = {
    (1, 3): "0 3 1 2",
    (1, 4): "0 4 1 2 3",
    (2, 3): "00 30 03 10 20 21 12 02 01 11",
    (2, 4): "00 40 04 10 20 30 31 22 13 03 02 01 11 21 12",
    (3, 3): "000 300 030 003 100 200 210 120 020 010 001 002 201 102 021 012 101 111 011 110",
    (3, 4): "000 400 040 004 100 200 300 310 220 130 030 020 010 001 002 003 301 202 103 031 022 013 101 201 102 121 "
    "112 211 011 012 021 110 120 210 111",
}  # fmt: skip
"""Where VTK has the nodes of its Lagrange curves, triangles and tetrahedra, in its order: parametric coordinates times
the degree, as ``GetParametricCoords`` of VTK 9.7 returns them."""
DOMAINS = {
    1: {"shape": "interval", "length": 1.0, "cells": 3},
    2: {"shape": "rectangle", "size": [1.0, 0.7], "cells": [3, 2]},
    3: {"shape": "box", "size": [1.0, 0.7, 0.6], "cells": [2, 1, 1]},
}


def known(x: np.ndarray, degree: int) -> np.ndarray:
    """A field that elements of a degree hold exactly, at points (.., 3)."""
    return (x @ [1.0, 0.3, -0.2]) ** degree


def shapes(nodes: np.ndarray, at: np.ndarray, degree: int) -> np.ndarray:
    """Values (points, nodes) of the Lagrange polynomials of a simplex with the given nodes, by the monomials."""
    powers = [p for p in product(range(degree + 1), repeat=nodes.shape[1]) if sum(p) <= degree]
    monomials = lambda x: np.stack([np.prod(x**p, axis=1) for p in powers], axis=1)  # noqa: E731
    return monomials(at) @ np.linalg.inv(monomials(nodes))


@pytest.mark.parametrize(("dimension", "degree"), NODES)
def test_fields_of_higher_degree_are_right_between_the_nodes(dimension: int, degree: int, tmp_path: Path):
    """Sampled at random points of every cell, with the shape functions of VTK: a polynomial, to rounding."""
    tables = dimensionless_case(law="pnp") | {"domain": DOMAINS[dimension], "solver": {"degree": degree}}
    solution = pnp.solve(tables)
    space, values = solution.discretisation.space, solution.discretisation.unknown.x.array
    values[::2] = known(space.tabulate_dof_coordinates(), degree)
    (tmp_path / "out").mkdir()
    write_fields(solution, [tmp_path / "out" / "fields.bp"])
    read = read_fields(tmp_path / "out", cells=True)
    nodes = np.array([[int(digit) for digit in node] for node in NODES[dimension, degree].split()]) / degree
    cells, points = read["connectivity"][:, 1:], read["geometry"]
    assert cells.shape[1] == len(nodes)
    shares = np.random.default_rng(1).dirichlet(np.ones(dimension + 1), size=20)
    # straight cells: points are where their corners say
    at = np.einsum("pk,cki->cpi", shares, points[cells[:, : dimension + 1]])
    shape = shapes(nodes, shares[:, 1:], degree)
    np.testing.assert_allclose(np.einsum("pn,cni->cpi", shape, points[cells]), at, atol=1e-12)
    sampled = np.einsum("pn,cn->cp", shape, read["electrochemical_potential_A [kT]"].ravel()[cells])
    np.testing.assert_allclose(sampled, known(at, degree), atol=1e-12)


def test_full_disk_is_told_in_words_of_the_system(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """ADIOS2 has colours of a terminal, a date and the names of its functions in what it says; HDF5 says nothing."""
    solution = pnp.solve(dimensionless_case())
    fields = tmp_path / "fields.bp"
    fields.mkdir()
    (fields / "data.0").symlink_to("/dev/full")
    with pytest.raises(OneRankDiskError, match=r"^cannot write fields\.bp: No space left on device$"):
        write_fields(solution, [fields])
    (tmp_path / "fields.vtkhdf").symlink_to("/dev/full")
    with pytest.raises(OneRankDiskError, match=r"^cannot write fields\.vtkhdf: No space left on device$"):
        write_fields(solution, [tmp_path / "fields.vtkhdf"])
    assert capfd.readouterr().err == ""
