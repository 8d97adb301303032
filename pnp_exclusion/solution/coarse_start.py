"""A start from a coarser discretisation: one or two Newton steps are left for the fine one, and no first guess.

Elements of higher degree start from those of half the degree on the same mesh, linear elements on a rectangle or box of
ours from a mesh of every second node along each axis, and so on down to a size at which a cold start costs nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Self

from petsc4py import PETSc

import numpy as np

from pnp_exclusion.case.build import Setup, setup_on
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import follow_potentials
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.mesh.domain import Domain, Grid, tensor_domain
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solver.linear.fields import size_of
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SolverSettings, SteadySolver

LEAST_UNKNOWNS = 4_000
"""Smaller problems start cold."""
LEAST_REPEATED_UNKNOWNS = 2_000
"""The same where a coarser discretisation, once made, serves many cases."""
COARSE_STEEP = 8.0
"""kT: on a coarse mesh layers of charge are steep too, and for a start they may be integrated by the usual rule; beside
sinks potentials fall by more within a cell."""
COARSE_TOLERANCE = 1e-3
"""Of the Newton step: less than what the coarse mesh itself leaves to correct."""


def coarser_start(
    setup: Setup,
    discrete: Discretisation,
    settings: SolverSettings,
    petsc_options: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> CoarserStart | None:
    """Return the way to start a weak form from a coarser discretisation, if there is one that is worth it; collective.

    say
        Called with one line per Newton or ramp step.
    """
    domain = setup.problem.domain
    least = LEAST_REPEATED_UNKNOWNS if settings.repeated else LEAST_UNKNOWNS
    if settings.always_ramp or size_of(discrete).unknowns < least or domain.dimension == 1:
        return None
    if discrete.degree > 1:
        coarse = Discretisation(setup.problem, discrete.degree // 2)
    else:
        grid = domain.grid.coarsened() if domain.grid else None
        if grid is None:
            return None
        setup = _on(tensor_domain(domain.comm, grid.nodes, grid.breakpoints, grid.periodic), setup)
        coarse = Discretisation(setup.problem, 1)
    # in 3D an elimination costs twice the multigrid's solve at 6e3 unknowns already, and two ranks hardly share it
    iterative = settings.linear == "auto" and domain.dimension == 3 and discrete.layout.size > 1
    linear = "fieldsplit" if iterative else settings.linear
    settings = replace(settings, tolerance=max(settings.tolerance, COARSE_TOLERANCE), linear=linear)
    return CoarserStart(discrete, setup, coarse, settings, petsc_options, say)


class CoarserStart:
    """A coarser discretisation with its solver, and in turn its own coarser one; a context that frees PETSc's objects.

    Made by `coarser_start`.
    """

    def __init__(
        self,
        fine: Discretisation,
        setup: Setup,
        coarse: Discretisation,
        settings: SolverSettings,
        petsc_options: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        self._fine, self._coarse, self._say = fine, coarse, say
        coarse.steep = COARSE_STEEP
        self._database = OptionsDatabase(petsc_options)
        self._below = coarser_start(setup, coarse, settings, petsc_options, say)
        with self._database:
            self._solver = SteadySolver(coarse, self._database, settings, say)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self._coarse.problem.domain.comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects."""
        if self._below is not None:
            self._below.close()
        self._solver.close()

    def forget(self) -> None:
        """Drop factorisations, so that the next start leaves no trace of the former ones, not even in rounding."""
        if self._below is not None:
            self._below.forget()
        with self._database:
            self._solver.forget()

    def fill(self, setup: Setup) -> bool:
        """Write the coarse solution of a case into the fine unknown; return whether there is one. Collective.

        setup
            Of the fine discretisation; differs from that at the beginning in numbers only.
        """
        fine, coarse = self._fine, self._coarse
        same_mesh = coarse.problem.domain is fine.problem.domain
        setup = setup if same_mesh else _on(coarse.problem.domain, setup)
        coarse.take(setup.problem)
        near = self._below is not None and self._below.fill(setup)
        self._say(f"  {coarse.problem.domain.cells} cells of degree {coarse.degree}")
        with self._database:
            try:
                self._solver.solve(near)
            except ConvergenceError:
                self._say("  no solution on the coarser mesh; a cold start then")
                return False
        if same_mesh:
            fine.unknown.interpolate(coarse.unknown)
            fine.unknown.x.scatter_forward()
        else:
            _prolong(coarse, fine)
        follow_potentials(fine)
        fine.impose_dirichlet_values()
        return True


def _on(domain: Domain, setup: Setup) -> Setup:
    """Return the setup of the same case on another mesh."""
    return setup_on(domain, setup.scales, setup.case, setup.problem.law)


def _prolong(coarse: Discretisation, fine: Discretisation) -> None:
    """Interpolate linearly along every axis from the nodes of a coarse grid to those of a fine one.

    Every rank gets the coarse values that it needs, and no others, through a vector in the grid's own order.
    """
    grid = coarse.problem.domain.grid
    components, owned = coarse.layout.size, coarse.space.dofmap.index_map.size_local
    assert grid is not None
    natural = PETSc.Vec().createMPI(components * grid.size, bsize=components, comm=coarse.problem.domain.comm)
    at_node = grid.numbers(coarse.space.tabulate_dof_coordinates()[:owned])
    natural.setValuesBlocked(at_node.astype(PETSc.IntType), coarse.values[: components * owned])
    natural.assemble()
    numbers, weights = _corners(grid, fine.space.tabulate_dof_coordinates())
    needed, place = np.unique(numbers, return_inverse=True)
    chosen = PETSc.IS().createBlock(components, needed.astype(PETSc.IntType), comm=PETSc.COMM_SELF)
    here = PETSc.Vec().createSeq(components * len(needed))
    scatter = PETSc.Scatter().create(natural, chosen, here, None)
    scatter.scatter(natural, here)
    values = here.array_r.reshape(-1, components)
    interpolated = sum(w[:, None] * values[p] for w, p in zip(weights, place.reshape(numbers.shape), strict=True))
    fine.values[:] = np.asarray(interpolated).ravel()
    for thing in (natural, here, chosen, scatter):
        thing.destroy()


def _corners(grid: Grid, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers and weights of the grid nodes at the corners of the box around every point.

    Both are ``(corners, points)``; nodes are numbered with the first axis running fastest.
    """
    along = []
    for axis, nodes in enumerate(grid.nodes):
        low = np.clip(np.searchsorted(nodes, points[:, axis], side="right") - 1, 0, len(nodes) - 2)
        share = np.clip((points[:, axis] - nodes[low]) / (nodes[low + 1] - nodes[low]), 0.0, 1.0)
        along.append(((low, 1.0 - share), (low + 1, share)))
    corners = list(product(*along))
    numbers = [grid.numbered([index for index, _ in corner]) for corner in corners]
    weights = [functools.reduce(np.multiply, [share for _, share in corner]) for corner in corners]
    return np.array(numbers), np.array(weights)
