"""Values of a solution at points: every node of an interval, or a regular grid in a plane. Gathered on rank 0."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.locate import cells_of_points
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.observe.cut import Cut, cut_in_plane
from pnp_exclusion.observe.flux_parts import flux_fields
from pnp_exclusion.observe.forces import NO_CURRENT
from pnp_exclusion.observe.nodes import NodalFields, nodal_fields

GRID = 181
"""Points along the longer side of a slice."""


@dataclass(frozen=True)
class Profile:
    """A one-dimensional solution at its nodes, ascending in ``x``; arrays over species come first.

    A node between cells of unlike partition energy, where densities jump, comes twice.

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
    problem, layout, size = discrete.problem, discrete.layout, discrete.layout.size
    space, numbers = unfolded(discrete.space, problem.domain.drawn)
    nodes, cells = _at_nodes(discrete, space)
    columns = [
        space.tabulate_dof_coordinates()[nodes, 0],
        problem.immobile_charge[cells],
        layout.at_nodes(discrete.values)[numbers[nodes]],
    ]
    energies = discrete.partition_of_cells
    if energies is not None:
        columns += [energies[:, cells].T, problem.domain.cell_midpoints()[cells, 0]]
    gathered = problem.domain.comm.gather(np.column_stack(columns), root=0)
    if gathered is None:
        return None
    table = np.concatenate(gathered)
    partition = None
    if energies is None:
        table = table[np.argsort(table[:, 0])]
    else:
        table = table[np.lexsort((table[:, -1], table[:, 0]))]
        # the same node of two cells is one row, unless they differ
        told_apart = np.delete(table, np.s_[1 : 2 + size], axis=1)[:, :-1]
        table = table[np.append((np.diff(told_apart, axis=0) != 0.0).any(axis=1), True)]
        partition = table[:, 2 + size : -1].T
    values = table[:, 2 : 2 + size]
    vacancy, rho, mu, potential = _fields(discrete, values, partition)
    beta = discrete.inverse_temperature(values)
    warm = () if beta is None else (1.0 / beta, discrete.contents(values)[-1])
    return Profile(table[:, 0], rho, mu, vacancy, potential, table[:, 1], *warm)


def _at_nodes(discrete: Discretisation, space: fem.FunctionSpace) -> tuple[np.ndarray, np.ndarray]:
    """Return the owned nodes of a space, each with a cell beside it; with partition energies all nodes of all owned
    cells."""
    cell_nodes = space.dofmap.list
    if discrete.problem.partition:
        owned = len(discrete.integration.is_steep)
        return cell_nodes[:owned].ravel(), np.repeat(np.arange(owned), cell_nodes.shape[1])
    owned = space.dofmap.index_map.size_local
    cells = np.zeros(owned + space.dofmap.index_map.num_ghosts, dtype=int)
    cells[cell_nodes] = np.arange(len(cell_nodes))[:, None]
    return np.arange(owned), cells[:owned]


@dataclass(frozen=True)
class Slice:
    """A solution in a plane through the domain's centre: fields on triangles, fluxes on a regular grid.

    axes
        The two axes that span the plane: across and up in a picture.
    offset
        Where the plane cuts the third axis; None in two dimensions.
    cut
        The fields, on the triangles of the mesh or of a cut through its cells.
    grid
        Coordinates along each axis.
    flux
        ``(quantities, 2, up, across)``: components of every flux density along the two axes, that of energy the last;
        NaN outside the domain, and zero all over where there is nothing but rounding.
    """

    axes: tuple[int, int]
    offset: float | None
    cut: Cut
    grid: tuple[np.ndarray, np.ndarray]
    flux: np.ndarray


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
    flux = values_at(plane.points, [flux_fields(discrete)])[0]
    cut = cut_in_plane(discrete, plane.axes, plane.offset)
    if cut is None:
        return None
    count = len(problem.quantities)
    along = flux.reshape(len(flux), count, problem.domain.dimension)[:, :, list(plane.axes)]
    components = np.moveaxis(along, 0, -1).reshape(count, 2, *plane.shape)
    for a, species in enumerate(problem.species):
        one_way = species.diffusivity * float(cut.fields.rho[a].mean())
        if np.nanmax(np.abs(components[a]), initial=0.0) < NO_CURRENT * one_way:
            components[a][np.isfinite(components[a])] = 0.0
    return Slice(plane.axes, plane.offset, cut, plane.grid, components)


def fields_at_points(discrete: Discretisation, points: np.ndarray) -> NodalFields | None:
    """Return the fields at points ``(n, 3)``, NaN outside the domain, on rank 0; None on the others; collective."""
    unknown, flux, *more = values_at(points, [discrete.unknown, flux_fields(discrete), *energies_of(discrete)])
    domain = discrete.problem.domain
    if domain.comm.rank != 0:
        return None
    return nodal_fields(discrete, points[:, : domain.dimension], unknown, flux, at_points(more))


def values_at(points: np.ndarray, functions: list[fem.Function]) -> list[np.ndarray]:
    """Return the values of functions on one mesh at points ``(n, 3)``, each ``(n, components)``; collective.

    NaN outside the mesh. A point on the border of two ranks has the values that the first of them finds.
    """
    mesh = functions[0].function_space.mesh
    cells = cells_of_points(mesh, points)
    finder = np.where(cells >= 0, mesh.comm.rank, mesh.comm.size)
    mesh.comm.Allreduce(MPI.IN_PLACE, finder, op=MPI.MIN)
    here = np.flatnonzero(finder == mesh.comm.rank)
    cells = cells[here]
    result = []
    for function in functions:
        values = np.zeros((len(points), function.function_space.dofmap.index_map_bs))
        if len(here):
            values[here] = function.eval(points[here], cells).reshape(len(here), -1)
        mesh.comm.Allreduce(MPI.IN_PLACE, values)
        result.append(np.where(finder[:, None] < mesh.comm.size, values, np.nan))
    return result


def energies_of(discrete: Discretisation) -> list[fem.Function]:
    """Return the partition energies as one function for `values_at`, or nothing if there are none."""
    energies, domain = discrete.partition_of_cells, discrete.problem.domain
    if energies is None:
        return []
    function = fem.Function(fem.functionspace(domain.mesh, ("Discontinuous Lagrange", 0, (len(energies),))))
    function.x.array[:] = energies.T.ravel()
    return [function]


def at_points(energies: list[np.ndarray]) -> np.ndarray | None:
    """Return what `values_at` has found of `energies_of` as `Discretisation.contents` takes it."""
    return energies[0].T if energies else None


def _fields(
    discrete: Discretisation, nodes: np.ndarray, partition: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Return vacancy, ``rho``, ``mu`` and ``phi`` of unknowns ``(n, size)``, potentials from the user's zero."""
    mu, potential = discrete.reported_potentials(nodes, partition)
    vacancy, *rho = discrete.densities(nodes, partition)
    return np.broadcast_to(vacancy, nodes.shape[0]), np.array(rho), mu, potential
