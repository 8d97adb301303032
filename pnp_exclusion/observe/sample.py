"""Values of a solution at points: every node of an interval, or a regular grid in a plane. Gathered on rank 0."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.locate import cells_of_points
from pnp_exclusion.observe.flux_parts import flux_fields

GRID = 181
"""Points along the longer side of a slice."""


@dataclass(frozen=True)
class Profile:
    """A one-dimensional solution at its nodes, ascending in ``x``; arrays over species come first.

    rho, mu
        ``(N, nodes)``: fractions, and electrochemical potentials in kT (with imposed fields: chemical potentials).
    vacancy, potential, fixed_charge
        ``(nodes,)``; ``potential`` is None with imposed fields. ``fixed_charge`` is that of an adjacent cell.
    temperature, energy
        ``(nodes,)``, energy of a site; None under a law without.
    """

    x: np.ndarray
    rho: np.ndarray
    mu: np.ndarray
    vacancy: np.ndarray
    potential: np.ndarray | None
    fixed_charge: np.ndarray
    temperature: np.ndarray | None = None
    energy: np.ndarray | None = None


def profile(discrete: Discretisation) -> Profile | None:
    """Return the profile on rank 0, None on the others; collective. One dimension only."""
    problem, layout = discrete.problem, discrete.layout
    owned = discrete.space.dofmap.index_map.size_local
    positions = discrete.space.tabulate_dof_coordinates()[:owned, 0]
    values = layout.at_nodes(discrete.values)[:owned]
    charge = np.zeros(len(discrete.values) // layout.size)
    charge[discrete.space.dofmap.list] = problem.immobile_charge[:, None]
    gathered = problem.domain.comm.gather(np.column_stack([positions, charge[:owned], values]), root=0)
    if gathered is None:
        return None
    table = np.concatenate(gathered)
    table = table[np.argsort(table[:, 0])]
    vacancy, rho, mu, potential = _fields(discrete, table[:, 2:])
    beta = discrete.inverse_temperature(table[:, 2:])
    warm = () if beta is None else (1.0 / beta, discrete.contents(table[:, 2:])[-1])
    return Profile(table[:, 0], rho, mu, vacancy, potential, table[:, 1], *warm)


@dataclass(frozen=True)
class Slice:
    """A solution on a regular grid in a plane through the domain's centre, NaN outside the domain.

    axes
        The two axes that span the plane: across and up in a picture.
    offset
        Where the plane cuts the third axis; None in two dimensions.
    grid
        Coordinates along each.
    rho
        ``(N, up, across)``; ``vacancy``, ``potential`` and ``temperature`` (or None) ``(up, across)``.
    flux
        ``(N, 2, up, across)``: components of every flux density along the two axes; that of energy is the last.
    """

    axes: tuple[int, int]
    offset: float | None
    grid: tuple[np.ndarray, np.ndarray]
    rho: np.ndarray
    vacancy: np.ndarray
    potential: np.ndarray | None
    flux: np.ndarray
    temperature: np.ndarray | None = None


@dataclass(frozen=True)
class Plane:
    """A regular grid in a plane: ``axes``, ``offset`` and ``grid`` as of `Slice`; ``points`` ``(up * across, 3)``."""

    axes: tuple[int, int]
    offset: float | None
    grid: tuple[np.ndarray, np.ndarray]
    points: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Points up and across."""
        return len(self.grid[1]), len(self.grid[0])


def central_plane(domain: Domain, axis: int) -> Plane:
    """Return the plane through the centre of a domain that contains ``axis``; in two dimensions, the domain's own."""
    dimension = domain.dimension
    across, up = (axis, (axis + 1) % dimension) if dimension == 3 else (0, 1)
    low, high = domain.bounding_box()
    extent = high - low
    counts = np.maximum(21, np.round(GRID * extent / max(extent[across], extent[up]))).astype(int)
    grids = [np.linspace(low[i], high[i], counts[i]) for i in (across, up)]
    points = np.zeros((len(grids[1]) * len(grids[0]), 3))
    points[:, :dimension] = 0.5 * (low + high)
    points[:, up], points[:, across] = (g.ravel() for g in np.meshgrid(grids[1], grids[0], indexing="ij"))
    offset = 0.5 * float((low + high)[3 - across - up]) if dimension == 3 else None
    return Plane((across, up), offset, (grids[0], grids[1]), points)


def central_slice(discrete: Discretisation, axis: int) -> Slice | None:
    """Return the slice that contains ``axis`` on rank 0, None on the others; collective. Two or three dimensions."""
    problem, plane = discrete.problem, central_plane(discrete.problem.domain, axis)
    unknown, flux = values_at(plane.points, [discrete.unknown, flux_fields(discrete)])
    if problem.domain.comm.rank != 0:
        return None
    shape = plane.shape
    vacancy, rho, _, potential = _fields(discrete, unknown)
    count, beta = len(problem.quantities), discrete.inverse_temperature(unknown)
    components = flux.reshape(len(flux), count, problem.domain.dimension)[:, :, list(plane.axes)]
    return Slice(
        plane.axes,
        plane.offset,
        plane.grid,
        rho.reshape(-1, *shape),
        np.broadcast_to(vacancy, len(flux)).reshape(shape),
        None if potential is None else potential.reshape(shape),
        np.moveaxis(components, 0, -1).reshape(count, 2, *shape),
        None if beta is None else 1.0 / beta.reshape(shape),
    )


def values_at(points: np.ndarray, functions: list[fem.Function]) -> list[np.ndarray]:
    """Return the values of functions on one mesh at points ``(n, 3)``, each ``(n, components)``; collective."""
    mesh = functions[0].function_space.mesh
    cells = cells_of_points(mesh, points)
    here = np.flatnonzero(cells >= 0)
    cells = cells[here]
    found = np.zeros(len(points))
    found[here] = 1.0
    mesh.comm.Allreduce(MPI.IN_PLACE, found)
    result = []
    for function in functions:
        values = np.zeros((len(points), function.function_space.dofmap.index_map_bs))
        if len(here):
            values[here] = function.eval(points[here], cells).reshape(len(here), -1)
        mesh.comm.Allreduce(MPI.IN_PLACE, values)
        # a point on the border of two ranks is found by both
        with np.errstate(invalid="ignore", divide="ignore"):
            result.append(np.where(found[:, None] > 0, values / found[:, None], np.nan))
    return result


def _fields(
    discrete: Discretisation, nodes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Return vacancy, ``rho``, ``mu`` and ``phi`` of unknowns ``(n, size)``, potentials from the user's zero."""
    _, eta, _ = discrete.potentials(nodes)
    mu, potential = discrete.reported_potentials(nodes)
    vacancy, *rho = discrete.problem.law.free_energy.densities(list(eta))
    return np.broadcast_to(vacancy, nodes.shape[0]), np.array(rho), mu, potential
