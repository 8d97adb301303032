"""The pore and the patch of P6, P7 and P9: equal squares or cubes cut into triangles or tetrahedra, for DOLFINx.

P6: a slit between two baths, walls charged; half of it, y = 0 is its middle. P9: the same in space, a square pore, a
quarter. P7: an electrode that takes up one of the ions on half of the bottom, beside a wall, under a bath.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

from mpi4py import MPI

import basix.ufl
import numpy as np
import ufl
from common import BATH, HALF_WIDTH, PATCH, PORE_SALT, PORE_VOLTAGE, WALL_CHARGE
from dolfinx import mesh as dmesh

import pnp_exclusion as pnp

type Marker = Callable[[np.ndarray], np.ndarray]


def simplices(counts: list[int], size: float, keep: Callable[[np.ndarray], np.ndarray]) -> dmesh.Mesh:
    """Return those squares or cubes of a grid whose midpoints are to be kept, in triangles or tetrahedra."""
    dimension = len(counts)
    low = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, dimension)
    low = low[keep((low + 0.5) * size)]
    strides = np.cumprod([1, *(n + 1 for n in counts[:-1])])
    cells = []
    for order in permutations(range(dimension)):
        steps = np.cumsum([0, *strides[list(order)]])
        cells.append((low @ strides)[:, None] + steps)
    used, numbered = np.unique(np.concatenate(cells), return_inverse=True)
    points = np.stack([used // stride % (n + 1) for stride, n in zip(strides, counts, strict=True)], 1) * size
    shape = {2: "triangle", 3: "tetrahedron"}[dimension]
    element = basix.ufl.element("Lagrange", shape, 1, shape=(dimension,))
    return dmesh.create_mesh(MPI.COMM_SELF, numbered.reshape(-1, dimension + 1), ufl.Mesh(element), points)


def pore(cells: int, dimension: int) -> tuple[dmesh.Mesh, dict[str, Marker]]:
    """Return P6 or P9 with so many squares or cubes along a bath, a multiple of 5."""

    def keep(middles: np.ndarray) -> np.ndarray:
        beside = (middles[:, 1:] > HALF_WIDTH).any(axis=1)
        return ~(beside & (middles[:, 0] > BATH) & (middles[:, 0] < 2.0 * BATH))

    def wall(x: np.ndarray) -> np.ndarray:
        along = (x[0] > BATH - 1e-9) & (x[0] < 2.0 * BATH + 1e-9)
        faces = np.isclose(x[0], BATH) | np.isclose(x[0], 2.0 * BATH)
        return along & (faces | np.isclose(x[1:dimension], HALF_WIDTH).any(axis=0))

    mesh = simplices([3 * cells] + [cells] * (dimension - 1), BATH / cells, keep)
    ends: dict[str, Marker] = {
        "left": lambda x: np.isclose(x[0], 0.0),
        "right": lambda x: np.isclose(x[0], 3.0 * BATH),
    }
    return mesh, {**ends, "wall": wall}


def patch(cells: int) -> tuple[dmesh.Mesh, dict[str, Marker]]:
    """Return P7 with so many squares along its height, an even number."""
    mesh = simplices([2 * cells, cells], 1.0 / cells, lambda middles: np.ones(len(middles), dtype=bool))
    return mesh, {
        "patch": lambda x: np.isclose(x[1], 0.0) & (x[0] < PATCH + 1e-9),
        "bath": lambda x: np.isclose(x[1], 1.0),
    }


def case_of(problem: str, cells: int, **solver: Any) -> pnp.Case:
    """Return the case of P6, P7 or P9."""
    salt = {"plus": PORE_SALT, "minus": PORE_SALT}
    bath = {"kind": "reservoir", "fraction": salt, "potential": 0.0}
    if problem == "P7":
        mesh, boundaries = patch(cells)
        electrode = {"where": "patch", "kind": "electrode", "potential": -PORE_VOLTAGE}
        given = [electrode | {"fraction": {"plus": 0.5 * PORE_SALT}}, bath | {"where": "bath"}]
    else:
        mesh, boundaries = pore(cells, 3 if problem == "P9" else 2)
        given = [
            bath | {"where": "left", "potential": PORE_VOLTAGE},
            bath | {"where": "right"},
            {"where": "wall", "kind": "wall", "surface_charge": WALL_CHARGE},
        ]
    return pnp.Case(
        model={"units": "dimensionless", "law": "pnp", "debye_length": 0.05},
        species=[{"name": "plus", "charge": 1}, {"name": "minus", "charge": -1}],
        domain=pnp.Mesh(mesh=mesh, boundaries=boundaries),
        boundaries=given,
        solver=solver,
    )
