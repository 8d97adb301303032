"""A start from a coarser discretisation: one or two Newton steps are left for the fine one, and no first guess.

Quadratic elements start from linear ones on the same mesh, linear elements on an interval, rectangle or box of ours
from a mesh of every second node along each axis, and so on down to a size at which a cold start costs nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

from petsc4py import PETSc

import numpy as np

from pnp_exclusion.build import Setup, setup_on
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.mesh.domain import Grid, tensor_domain
from pnp_exclusion.solver.linear import OptionsLedger
from pnp_exclusion.solver.steady import SolverSettings, SteadySolver
from pnp_exclusion.weakform import WeakForm

LEAST_UNKNOWNS = 40_000
"""Smaller problems start cold."""
COARSE_TOLERANCE = 1e-4
"""Of the Newton step: less than what the coarse mesh itself leaves to correct."""


def start_from_coarser(
    setup: Setup,
    weak_form: WeakForm,
    settings: SolverSettings,
    petsc_options: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Write the solution of a coarser discretisation into the unknown; return whether there is one. Collective."""
    dofmap = weak_form.space.dofmap
    unknowns = dofmap.index_map.size_global * dofmap.index_map_bs
    if settings.always_ramp or unknowns < LEAST_UNKNOWNS or setup.problem.domain.dimension == 1:
        return False
    coarser = _coarser(setup, weak_form)
    if coarser is None:
        return False
    coarse_setup, coarse = coarser
    # in 3D an elimination costs ten times the multigrid's solve even at 1e4 unknowns, and two ranks hardly share it
    iterative = settings.linear == "auto" and setup.problem.domain.dimension == 3 and weak_form.components > 1
    linear = "fieldsplit" if iterative else settings.linear
    settings = replace(settings, tolerance=max(settings.tolerance, COARSE_TOLERANCE), linear=linear)
    near = start_from_coarser(coarse_setup, coarse, settings, petsc_options, say)
    say(f"  {coarse_setup.problem.domain.cells} cells of degree {_degree(coarse)}")
    with OptionsLedger(petsc_options) as ledger, SteadySolver(coarse, ledger, settings, say) as solver:
        try:
            solver.solve(near)
        except ConvergenceError:
            say("  no solution on the coarser mesh; a cold start then")
            return False
    if coarse_setup is setup:
        weak_form.unknown.interpolate(coarse.unknown)
        weak_form.unknown.x.scatter_forward()
    else:
        _prolong(coarse, weak_form)
    weak_form.impose_held_values()
    return True


def _coarser(setup: Setup, weak_form: WeakForm) -> tuple[Setup, WeakForm] | None:
    """Return the next coarser discretisation of the same case, if there is one."""
    domain = setup.problem.domain
    if _degree(weak_form) > 1:
        return setup, WeakForm(setup.problem, 1)
    grid = domain.grid.coarsened() if domain.grid else None
    if grid is None:
        return None
    coarse = setup_on(
        tensor_domain(domain.comm, grid.nodes, grid.breakpoints), setup.scales, setup.case, setup.problem.law
    )
    return coarse, WeakForm(coarse.problem, 1)


def _degree(weak_form: WeakForm) -> int:
    return weak_form.space.ufl_element().embedded_superdegree


def _prolong(coarse: WeakForm, fine: WeakForm) -> None:
    """Interpolate linearly along every axis from the nodes of a coarse grid to those of a fine one.

    Every rank gets the coarse values that it needs, and no others, through a vector in the grid's own order.
    """
    grid = coarse.problem.domain.grid
    components, owned = coarse.components, coarse.space.dofmap.index_map.size_local
    assert grid is not None
    natural = PETSc.Vec().createMPI(components * grid.size, bsize=components, comm=coarse.problem.domain.comm)
    numbers, weights = _corners(grid, coarse.space.tabulate_dof_coordinates()[:owned])
    at_node = np.take_along_axis(numbers, weights.argmax(axis=0)[None], axis=0)[0]
    natural.setValuesBlocked(at_node.astype(PETSc.IntType), coarse.unknown.x.array[: components * owned])
    natural.assemble()
    numbers, weights = _corners(grid, fine.space.tabulate_dof_coordinates())
    needed, place = np.unique(numbers, return_inverse=True)
    chosen = PETSc.IS().createBlock(components, needed.astype(PETSc.IntType), comm=PETSc.COMM_SELF)
    here = PETSc.Vec().createSeq(components * len(needed))
    scatter = PETSc.Scatter().create(natural, chosen, here, None)
    scatter.scatter(natural, here)
    values = here.array_r.reshape(-1, components)
    interpolated = sum(w[:, None] * values[p] for w, p in zip(weights, place.reshape(numbers.shape), strict=True))
    fine.unknown.x.array[:] = np.asarray(interpolated).ravel()
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
    strides = np.cumprod([1, *(len(nodes) for nodes in grid.nodes[:-1])])
    corners = list(product(*along))
    numbers = [sum(stride * index for stride, (index, _) in zip(strides, c, strict=True)) for c in corners]
    weights = [functools.reduce(np.multiply, [share for _, share in corner]) for corner in corners]
    return np.array(numbers), np.array(weights)
