"""Multigrid over the degrees of the elements, for every field: of the degree at hand, of half of it, .. of degree one.

Algebraic multigrid, made for linear elements, needs ever more Krylov steps for matrices of higher degree; below linear
elements it goes on from here as ever. The matrices of the lower degrees are Galerkin's, ``P^T A P``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from petsc4py import PETSc

import numpy as np
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.weakform import WeakForm


def degrees_below(degree: int) -> list[int]:
    """Return the degrees of the levels, the coarsest first."""
    return [*degrees_below(degree // 2), degree] if degree > 1 else [1]


class DegreeLevels:
    """The interpolation between the levels for every field, made when it is first needed and kept until `close`.

    Fields that the same boundaries hold share one.

    A correction vanishes where a component is held, so nothing is interpolated to or from there, but between held nodes
    themselves, whose rows of the matrix are those of the unit matrix.
    """

    def __init__(self, weak_form: WeakForm) -> None:
        self.weak_form = weak_form
        self._interpolations: dict[tuple[int, ...], list[PETSc.Mat]] = {}

    @cached_property
    def spaces(self) -> list[fem.FunctionSpace]:
        """Of the levels, the coarsest first."""
        mesh = self.weak_form.problem.domain.mesh
        return [fem.functionspace(mesh, ("Lagrange", lower)) for lower in degrees_below(self.weak_form.degree)]

    def attach(self, multigrid: PETSc.PC, component: int) -> None:
        """Give the levels to the multigrid of one component."""
        tags = tuple(held.tag for held in self.weak_form.held if held.component == component)
        if tags not in self._interpolations:
            self._interpolations[tags] = [self._interpolation(*pair, tags) for pair in pairwise(self.spaces)]
        multigrid.setMGLevels(len(self.spaces))
        for level, interpolation in enumerate(self._interpolations[tags], start=1):
            multigrid.setMGInterpolation(level, interpolation)

    def close(self) -> None:
        """Free PETSc's objects."""
        for interpolations in self._interpolations.values():
            for interpolation in interpolations:
                interpolation.destroy()
        self._interpolations.clear()

    def _interpolation(self, coarse: fem.FunctionSpace, fine: fem.FunctionSpace, tags: Sequence[int]) -> PETSc.Mat:
        whole = fem_petsc.interpolation_matrix(coarse, fine)
        whole.assemble()
        held = whole.copy()
        of_coarse, of_fine = whole.createVecs()
        of_coarse.array_w[:], of_fine.array_w[:] = self._is_held(coarse, tags), self._is_held(fine, tags)
        held.diagonalScale(of_fine, of_coarse)
        for mask in (of_coarse, of_fine):
            mask.array_w[:] = 1.0 - mask.array_r
        whole.diagonalScale(of_fine, of_coarse)
        whole.axpy(1.0, held, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        for thing in (held, of_coarse, of_fine):
            thing.destroy()
        return whole

    def _is_held(self, space: fem.FunctionSpace, tags: Sequence[int]) -> np.ndarray:
        """Return 1 for every owned node on the boundaries of these numbers, else 0."""
        domain = self.weak_form.problem.domain
        flags = np.zeros(space.dofmap.index_map.size_local)
        for tag in tags:
            facets = domain.boundary_facets[self.weak_form.problem.boundaries[tag].where]
            nodes = fem.locate_dofs_topological(space, domain.dimension - 1, facets)
            flags[nodes[nodes < len(flags)]] = 1.0
        return flags
