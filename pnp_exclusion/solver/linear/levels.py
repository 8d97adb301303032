"""The levels of every field's multigrid: elements of lower degrees, then coarser grids.

Algebraic multigrid needs ever more Krylov steps for matrices of higher degree, so it is given linear elements only. On
grids of ours it is not asked: their coarser grids (`pnp_exclusion.solver.linear.coarser_grids`) are known, those of
quadratic elements too, whose nodes are a grid with twice the nodes along each axis.
The matrices of all levels are Galerkin's, ``P^T A P``.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from petsc4py import PETSc

import numpy as np
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.around_nodes import surrounded
from pnp_exclusion.discretisation.constraints import NOWHERE
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.solver.linear.coarser_grids import grid_interpolations


def degrees_below(degree: int) -> list[int]:
    """Return the degrees of the levels, the coarsest first."""
    return [*degrees_below(degree // 2), degree] if degree > 1 else [1]


class Levels:
    """The interpolation between the levels for every field, made when it is first needed and kept until `close`.

    Fields that the same boundaries hold share one.

    A correction vanishes where an unknown is held, so nothing is interpolated to or from there, but between held nodes
    themselves, whose rows of the matrix are those of the unit matrix.
    """

    def __init__(self, discrete: Discretisation) -> None:
        self.discrete = discrete
        self._interpolations: dict[_Holding, list[PETSc.Mat]] = {}

    @property
    def any(self) -> bool:
        """Whether there is more than algebraic multigrid could find out by itself."""
        return self.discrete.degree > 1 or self.discrete.problem.domain.grid is not None

    def attach(self, multigrid: PETSc.PC, unknown: str) -> None:
        """Give the levels to the multigrid of one unknown; collective."""
        constraints = self.discrete.constraints
        tags = tuple(held.tag for held in constraints.values_of(unknown) if held.tag != NOWHERE)
        holding = _Holding(tags, unknown if unknown in constraints.absent else "")
        if holding not in self._interpolations:
            self._interpolations[holding] = [
                *self._between_grids(holding),
                *(self._between_degrees(*pair, holding) for pair in pairwise(self._spaces)),
            ]
        interpolations = self._interpolations[holding]
        most = PETSc.Options(multigrid.getOptionsPrefix()).getInt("pc_mg_levels", len(interpolations) + 1)
        interpolations = interpolations[max(0, len(interpolations) + 1 - most) :]
        multigrid.setMGLevels(len(interpolations) + 1)
        for level, interpolation in enumerate(interpolations, start=1):
            multigrid.setMGInterpolation(level, interpolation)

    def close(self) -> None:
        """Free PETSc's objects."""
        for interpolations in self._interpolations.values():
            for interpolation in interpolations:
                interpolation.destroy()
        self._interpolations.clear()

    @cached_property
    def _spaces(self) -> list[fem.FunctionSpace]:
        """Of the degrees, the lowest first."""
        domain, degrees = self.discrete.problem.domain, degrees_below(self.discrete.degree)
        if domain.grid is not None and 2 in degrees:
            degrees.remove(1)
        return [fem.functionspace(domain.mesh, ("Lagrange", degree)) for degree in degrees]

    def _between_grids(self, holding: _Holding) -> list[PETSc.Mat]:
        """Interpolation from every coarser grid to the next finer one, the coarsest first."""
        domain, finest = self.discrete.problem.domain, self._spaces[0]
        if domain.grid is None:
            return []
        grid = domain.grid if finest.ufl_element().degree == 1 else domain.grid.halved()
        own = grid.numbers(finest.tabulate_dof_coordinates()[: finest.dofmap.index_map.size_local])
        return grid_interpolations(domain.comm, grid, own, self._is_held(finest, holding))

    def _between_degrees(self, coarse: fem.FunctionSpace, fine: fem.FunctionSpace, holding: _Holding) -> PETSc.Mat:
        whole = fem_petsc.interpolation_matrix(coarse, fine)
        whole.assemble()
        held = whole.copy()
        of_coarse, of_fine = whole.createVecs()
        of_coarse.array_w[:], of_fine.array_w[:] = self._is_held(coarse, holding), self._is_held(fine, holding)
        held.diagonalScale(of_fine, of_coarse)
        for mask in (of_coarse, of_fine):
            mask.array_w[:] = 1.0 - mask.array_r
        whole.diagonalScale(of_fine, of_coarse)
        whole.axpy(1.0, held, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        for thing in (held, of_coarse, of_fine):
            thing.destroy()
        return whole

    def _is_held(self, space: fem.FunctionSpace, holding: _Holding) -> np.ndarray:
        """Return whether an unknown is held at each owned node."""
        problem = self.discrete.problem
        flags = np.zeros(space.dofmap.index_map.size_local, dtype=bool)
        held = [
            fem.locate_dofs_topological(
                space, problem.domain.dimension - 1, problem.domain.boundary_facets[problem.boundaries[tag].where]
            )
            for tag in holding.tags
        ]
        if holding.absent:
            species = problem.names[self.discrete.mu.index(holding.absent)]
            held.append(surrounded(problem.excludes(species), space))
        for nodes in held:
            flags[nodes[nodes < len(flags)]] = True
        return flags


class _Holding(NamedTuple):
    """What says at which nodes an unknown is held."""

    tags: tuple[int, ...]
    """Numbers of the boundaries that hold it."""
    absent: str
    """The unknown, if its species is excluded anywhere; else empty."""
