"""Where free energy is dissipated: the density of the entropy production, ``-sum_a J_a . G_a``.

It is ``sum w_ab |G_a - G_b|^2`` over all pairs of a law (`pnp_exclusion.physics.laws`): never negative at any point,
whatever the currents do. Dimensionless: kT times flux over length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.observe.cut import triangles_in_plane
from pnp_exclusion.observe.integrals import entropy_production_density
from pnp_exclusion.observe.sample import central_plane
from pnp_exclusion.runtime.compilation import compiled_expression


@dataclass(frozen=True)
class EntropyProfile:
    """The density ``(points,)`` along an interval, twice where two cells meet."""

    x: np.ndarray
    density: np.ndarray


@dataclass(frozen=True)
class EntropySlice:
    """The density ``(points,)`` in a plane through the domain's centre, at the corners of triangles, three points each.

    points
        ``(points, 2)``: across and up.
    """

    axes: tuple[int, int]
    points: np.ndarray
    density: np.ndarray


def entropy_field(discrete: Discretisation) -> fem.Function:
    """Return the density as a function of discontinuous elements; collective."""
    mesh = discrete.problem.domain.mesh

    def make() -> tuple[fem.Function, fem.Expression]:
        space = fem.functionspace(mesh, ("Discontinuous Lagrange", max(2, discrete.degree)))
        points = space.element.interpolation_points
        density = compiled_expression(entropy_production_density(discrete), points)
        return fem.Function(space, name="entropy_production"), density

    function, expression = discrete.forms.kept("entropy production as a field", make)
    function.interpolate(expression)
    return function


def entropy_profile(discrete: Discretisation) -> EntropyProfile | None:
    """Return the density along an interval on rank 0, None on the others; collective."""
    function = entropy_field(discrete)
    space, comm = function.function_space, discrete.problem.domain.comm
    owned = space.mesh.topology.index_map(1).size_local
    dofs = space.dofmap.list[:owned]
    x = space.tabulate_dof_coordinates()[dofs, 0]
    middles = np.broadcast_to(x.mean(axis=1, keepdims=True), x.shape)
    gathered = comm.gather(np.stack([x.ravel(), middles.ravel(), function.x.array[dofs].ravel()]), root=0)
    if gathered is None:
        return None
    positions, cells, density = np.concatenate(gathered, axis=1)
    order = np.lexsort((positions, cells))
    return EntropyProfile(positions[order], density[order])


def entropy_slice(discrete: Discretisation, axis: int) -> EntropySlice | None:
    """Return the density in the plane of `observe.sample.central_slice` on rank 0, None on the others; collective."""
    domain, function = discrete.problem.domain, entropy_field(discrete)
    plane, owned = central_plane(domain, axis), len(discrete.integration.is_steep)
    triangles, points = triangles_in_plane(function.function_space, owned, plane.axes, plane.offset)
    density = triangles.at_corners(function.x.array[:, None])
    gathered = domain.comm.gather((points, density), root=0)
    if gathered is None:
        return None
    places, values = (np.concatenate(part) for part in zip(*gathered, strict=True))
    return EntropySlice(plane.axes, places, values[:, 0])
