"""Compares the two ways of assembly for every law on any number of ranks; run by ``test_linear_solvers.py``."""

from __future__ import annotations

from pnp_exclusion.runtime import fenicsx

fenicsx.initialise_petsc()

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx import la

import pnp_exclusion as pnp
from pnp_exclusion.case.build import build
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.physics.laws import LAWS
from pnp_exclusion.solver.assembly.assembly import Assembly, BatchedAssembly


def case(law: str, dimension: int) -> dict:
    """Return a case with a held boundary, one with a prescribed flux (an integral over facets) and fixed charge."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": 0.1},
        "species": [{"name": "a", "charge": 1}, {"name": "b", "charge": -1}],
        "domain": {"shape": ("rectangle", "box")[dimension - 2], "size": [1.0] * dimension, "cells": 6},
        "regions": [{"name": "m", "x": [0.5, 1.0], "fixed_charge": -0.5}],
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"a": 0.3, "b": 0.3}, "potential": 2.0},
            {"where": "right", "kind": "flux", "flux": {"a": 0.1, "b": -0.2}, "potential": 0.0},
        ],
    }


def with_temperature(law: str, dimension: int) -> dict:
    """Return a case of a law with a temperature, with one boundary that gives and takes heat alone."""
    tables = case(law, dimension)
    tables["model"] = {"units": "dimensionless", "law": law, "electrostatics": "imposed", "h": 2.0}
    tables["species"] = [{"name": "a"}, {"name": "b"}]
    del tables["regions"]
    tables["boundaries"] = [
        {"where": "left", "kind": "reservoir", "fraction": {"a": 0.3, "b": 0.3}, "temperature": 1.5},
        {"where": "right", "kind": "flux", "flux": {"a": 0.1, "b": -0.2}, "temperature": 1.0},
    ]
    return tables


def difference(law: str, dimension: int, degree: int) -> float:
    """Return the largest relative difference of residuals and Jacobians at a random state."""
    thermal = LAWS[law].make().thermal
    tables = (with_temperature if thermal else case)(law, dimension)
    discrete = Discretisation(build(pnp.make_case(tables)).problem, degree)
    unknown, levels = discrete.unknown, (-2.0, -2.0, 1.2 if thermal else -2.0)
    unknown.interpolate(lambda x: [levels[k] + 0.5 * np.sin(3.0 * (k + 1) * x[0] + x[1]) for k in range(3)])
    discrete.set_load_parameter(1.0)
    index_map, block = discrete.space.dofmap.index_map, discrete.space.dofmap.index_map_bs
    residuals, matrices = [], []
    for way in (Assembly, BatchedAssembly):
        assembly = way(discrete)
        vector = la.vector(index_map, block)
        assembly.add_residual(vector.array)
        vector.scatter_reverse(la.InsertMode.add)
        residuals.append(vector.array[: block * index_map.size_local])
        assembly.fill_jacobian()
        assembly.fill_jacobian()
        matrices.append(assembly.matrix)
    plain, batched = matrices
    size = plain.norm(PETSc.NormType.INFINITY)
    plain.axpy(-1.0, batched, structure=PETSc.Mat.Structure.DIFFERENT_NONZERO_PATTERN)
    comm = index_map.comm
    largest = comm.allreduce(float(np.abs(residuals[0]).max(initial=0.0)), op=MPI.MAX)
    apart = comm.allreduce(float(np.abs(residuals[0] - residuals[1]).max(initial=0.0)), op=MPI.MAX)
    return max(plain.norm(PETSc.NormType.INFINITY) / size, apart / largest)


BEYOND = {"shdl": ((2, 2), (3, 1)), "mpnp": ((2, 4), (3, 3))}
"""Dimensions and degrees beyond linear elements in a plane: they take long to compile, and are alike for all laws."""


def check() -> None:
    """Compare for every law with linear elements in two dimensions, and for some with others."""
    for name in LAWS:
        for dimension, degree in ((2, 1), *BEYOND.get(name, ())):
            found = difference(name, dimension, degree)
            assert found < 1e-12, f"{name}, {dimension}D, degree {degree}: {found}"


if __name__ == "__main__":
    check()
    print("equal", flush=True)
