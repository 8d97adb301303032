"""Fluxes of a solution split into diffusion, drift and crowding, and as fields."""

from __future__ import annotations

from dataclasses import dataclass

import basix.ufl
import ufl
from dolfinx import fem, la

from pnp_exclusion.discretisation.discretisation import Discretisation


@dataclass(frozen=True)
class FluxParts:
    """Contributions to the flux density of a species along an axis, averaged over the domain.

    diffusion
        ``-D_a grad rho_a``, as if the particles were points.
    drift
        ``-z_a D_a rho_a grad phi`` or ``D_a rho_a E_a``, likewise.
    crowding
        The rest: what the other particles' volume does.
    """

    diffusion: float
    drift: float
    crowding: float


def flux_part_densities(discrete: Discretisation, axis: int) -> list[ufl.core.expr.Expr]:
    """Return diffusion, drift and flux of every species along an axis at a point, as UFL expressions.

    Under a law at one temperature.
    """
    problem, parameters, fields = discrete.problem, discrete.parameters, discrete.fields
    found = []
    for a, species in enumerate(problem.species):
        diffusivity = parameters.local_diffusivities[a]
        rho = fields.rho[species.name]
        diffusion = -diffusivity * fields.gradients[species.name]
        drift = 0.0 * diffusion
        if fields.potential is not None:
            drift = -parameters.charges[a] * diffusivity * rho * ufl.grad(fields.potential)
        if species.name in parameters.fields:
            drift += diffusivity * rho * parameters.load_parameter * parameters.fields[species.name]
        found += [diffusion[axis], drift[axis], fields.fluxes[species.name][axis]]
    return found


def flux_fields(discrete: Discretisation) -> fem.Function:
    """Return all flux densities averaged at the vertices, ``(N * dimension,)`` at each: for pictures and ParaView.

    That of energy is the last one.
    """
    mesh = discrete.problem.domain.mesh
    dimension = mesh.topology.dim
    # the last one is what the others are divided by
    densities = [*(flux[i] for flux in discrete.fields.fluxes.values() for i in range(dimension)), 1.0]
    space, spread = (
        fem.functionspace(mesh, basix.ufl.element("Lagrange", mesh.basix_cell(), 1, shape=(size,)))
        for size in (len(densities) - 1, len(densities))
    )
    test = ufl.TestFunction(spread)
    form = discrete.integration.form(ufl.inner(ufl.as_vector(densities), test) * discrete.integration.dx)
    sums = la.vector(spread.dofmap.index_map, spread.dofmap.index_map_bs)
    form.add_to(sums.array)
    sums.scatter_reverse(la.InsertMode.add)
    sums.scatter_forward()
    of_vertices = sums.array.reshape(-1, len(densities))
    averaged = fem.Function(space, name="flux")
    averaged.x.array[:] = (of_vertices[:, :-1] / of_vertices[:, -1:]).ravel()
    return averaged
