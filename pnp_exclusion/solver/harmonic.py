"""Harmonic functions between sets of nodes, of which the first guess is made."""

from __future__ import annotations

from collections.abc import Sequence

from petsc4py import PETSc

import numpy as np
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.solver.linear.presets import refusals_as_usage_errors
from pnp_exclusion.solver.linear.scalar import scalar_solver


class HarmonicExtension:
    """The harmonic function that takes one value on each of some sets of nodes; its matrix never changes."""

    def __init__(self, laplacian: fem.Form, space: fem.FunctionSpace, nodes: Sequence[np.ndarray]) -> None:
        self.laplacian = laplacian
        self.values = [fem.Constant(space.mesh, 0.0) for _ in nodes]
        self.conditions = [
            fem.dirichletbc(value, own.astype(np.int32), space) for value, own in zip(self.values, nodes, strict=True)
        ]
        self.matrix = fem_petsc.assemble_matrix(laplacian, bcs=self.conditions)
        self.matrix.assemble()
        self.right = fem_petsc.create_vector(space)
        self.solution = fem.Function(space)
        self.solver = scalar_solver(self.matrix, "guess_")

    def of(self, levels: Sequence[float]) -> np.ndarray:
        """Return its values at all nodes, owned and ghost, for the level of every set."""
        for value, level in zip(self.values, levels, strict=True):
            value.value = level
        with self.right.localForm() as local:
            local.set(0.0)
        fem_petsc.apply_lifting(self.right, [self.laplacian], bcs=[self.conditions])
        self.right.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
        fem_petsc.set_bc(self.right, self.conditions)
        with refusals_as_usage_errors():
            self.solver.solve(self.right, self.solution.x.petsc_vec)
        self.solution.x.scatter_forward()
        return self.solution.x.array.copy()

    def forget(self) -> None:
        """Start with a new factorisation."""
        self.solver.destroy()
        self.solver = scalar_solver(self.matrix, "guess_")

    def close(self) -> None:
        """Free PETSc's objects."""
        for thing in (self.solver, self.matrix, self.right):
            thing.destroy()
