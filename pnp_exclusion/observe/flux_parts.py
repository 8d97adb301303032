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


def flux_parts(discrete: Discretisation, axis: int, volume: float) -> dict[str, FluxParts]:
    """Split the mean flux density of every species along an axis; collective.

    volume
        Of the domain.
    """
    problem, parameters, fields = discrete.problem, discrete.parameters, discrete.fields

    def terms() -> list[ufl.core.expr.Expr]:
        found = []
        for a, species in enumerate(problem.species):
            diffusivity = parameters.diffusivities[a] * parameters.diffusivity_factor
            rho = fields.rho[species.name]
            diffusion = -diffusivity * ufl.grad(rho)
            drift = 0.0 * diffusion
            if fields.potential is not None:
                drift = -parameters.charges[a] * diffusivity * rho * ufl.grad(fields.potential)
            elif species.name in parameters.fields:
                drift = diffusivity * rho * parameters.load_parameter * parameters.fields[species.name]
            found += [diffusion[axis], drift[axis], fields.fluxes[species.name][axis]]
        return found

    means = (discrete.forms.integrals(f"flux parts along {axis}", terms) / volume).reshape(-1, 3)
    return {
        name: FluxParts(diffusion, drift, total - diffusion - drift)
        for name, (diffusion, drift, total) in zip(problem.names, means.tolist(), strict=True)
    }


def flux_fields(discrete: Discretisation) -> fem.Function:
    """Return all flux densities averaged at the vertices, ``(N * dimension,)`` at each: for pictures and ParaView."""
    mesh = discrete.problem.domain.mesh
    dimension = mesh.topology.dim
    densities = [flux[i] for flux in discrete.fields.fluxes.values() for i in range(dimension)]
    element = basix.ufl.element("Lagrange", mesh.basix_cell(), 1, shape=(len(densities),))
    space = fem.functionspace(mesh, element)
    test = ufl.TestFunction(space)
    averaged = fem.Function(space, name="flux")
    form = discrete.integration.form(ufl.inner(ufl.as_vector(densities), test) * discrete.integration.dx)
    lumped = la.vector(space.dofmap.index_map, space.dofmap.index_map_bs)
    ones = discrete.integration.form(ufl.inner(ufl.as_vector([1.0] * len(densities)), test) * discrete.integration.dx)
    form.add_to(averaged.x.array)
    ones.add_to(lumped.array)
    for vector in (averaged.x, lumped):
        vector.scatter_reverse(la.InsertMode.add)
        vector.scatter_forward()
    averaged.x.array[:] /= lumped.array
    return averaged
