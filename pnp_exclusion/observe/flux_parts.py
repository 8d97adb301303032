"""Volume integrals of a solution: entropy production, and fluxes split into diffusion, drift and crowding."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

import basix.ufl
import numpy as np
import ufl
from dolfinx import fem, la

from pnp_exclusion.discretisation.discretisation import Discretisation


def entropy_production(discrete: Discretisation) -> float:
    """Return ``-int sum_a J_a . G_a``: free energy dissipated per time, never negative; equals ``sum J_a F_a``."""
    return discrete.forms.integral("entropy production", lambda: entropy_production_density(discrete))


def entropy_production_density(discrete: Discretisation) -> ufl.core.expr.Expr:
    """Return ``-sum_a J_a . G_a`` at a point, as a UFL expression."""
    fields = discrete.fields
    return sum(-ufl.inner(fields.fluxes[name], fields.forces[name]) for name in fields.fluxes)


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


def flux_parts(discrete: Discretisation, axis: int) -> dict[str, FluxParts]:
    """Split the mean flux density of every species along an axis, under a law at one temperature; collective."""
    problem, parameters, fields = discrete.problem, discrete.parameters, discrete.fields
    terms = []
    for a, species in enumerate(problem.species):
        diffusivity = parameters.diffusivities[a] * parameters.diffusivity_factor
        rho = fields.rho[species.name]
        diffusion = -diffusivity * ufl.grad(rho)
        drift = 0.0 * diffusion
        if fields.potential is not None:
            drift = -parameters.charges[a] * diffusivity * rho * ufl.grad(fields.potential)
        elif species.name in parameters.fields:
            drift = diffusivity * rho * parameters.load_parameter * parameters.fields[species.name]
        terms += [diffusion[axis], drift[axis], fields.fluxes[species.name][axis]]
    volume = discrete.forms.integral("volume", lambda: fem.Constant(problem.domain.mesh, 1.0))
    means = (_integrals(discrete, terms) / volume).reshape(-1, 3)
    return {
        name: FluxParts(diffusion, drift, total - diffusion - drift)
        for name, (diffusion, drift, total) in zip(problem.names, means.tolist(), strict=True)
    }


def _integrals(discrete: Discretisation, densities: list[ufl.core.expr.Expr]) -> np.ndarray:
    """Integrate many expressions in one assembly: against the constants of every cell, then summed."""
    mesh = discrete.problem.domain.mesh
    element = basix.ufl.element("Discontinuous Lagrange", mesh.basix_cell(), 0, shape=(len(densities),))
    space = fem.functionspace(mesh, element)
    form = discrete.integration.form(
        ufl.inner(ufl.as_vector(densities), ufl.TestFunction(space)) * discrete.integration.dx
    )
    values = la.vector(space.dofmap.index_map, space.dofmap.index_map_bs)
    fem.assemble_vector(values.array, form.now)
    owned = values.array[: space.dofmap.index_map.size_local * len(densities)].reshape(-1, len(densities))
    return mesh.comm.allreduce(owned.sum(axis=0), op=MPI.SUM)


def flux_fields(discrete: Discretisation) -> fem.Function:
    """Return all flux densities averaged at the vertices, ``(N * dimension,)`` at each: for pictures and ParaView.

    That of energy is the last one.
    """
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
    fem.assemble_vector(averaged.x.array, form.now)
    fem.assemble_vector(lumped.array, ones.now)
    for vector in (averaged.x, lumped):
        vector.scatter_reverse(la.InsertMode.add)
        vector.scatter_forward()
    averaged.x.array[:] /= lumped.array
    return averaged
