"""Currents and charges at the boundaries, from the residual of the discrete equations.

The residual of the species' equation, summed over the nodes that a boundary holds, is what must flow in there to keep
them; this is exact to the order of the solution in the energy norm squared, and the sum over all boundaries vanishes to
round-off (PHYSICS, section 5). Differentiating the solution at the wall instead is wrong by percents.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

import numpy as np
from dolfinx import fem, la

from pnp_exclusion.weakform import JIT_OPTIONS, WeakForm


@dataclass(frozen=True)
class BoundaryTotals:
    """Integrals over every boundary, by its name.

    flux
        Per species, ``int J_a . n``, positive out of the domain.
    charge
        ``int lambda^2 eps dphi/dn``: the charge that sits on the boundary; empty with imposed fields.
    """

    flux: dict[str, dict[str, float]]
    charge: dict[str, float]

    def through(self, species: str, first: str, second: str) -> float:
        """Return the flux of a species from one boundary to the other, averaged over both."""
        return 0.5 * (self.flux[second][species] - self.flux[first][species])


def boundary_totals(weak_form: WeakForm) -> BoundaryTotals:
    """Evaluate fluxes and charges of the solution in the unknown of a weak form; collective."""
    problem = weak_form.problem
    at_nodes = _balance(weak_form)
    weakly_held = {(tag, a) for tag, a, _ in weak_form.weakly_held}
    flux: dict[str, dict[str, float]] = {}
    charge: dict[str, float] = {}
    for tag, boundary in enumerate(problem.boundaries):
        flux[boundary.where] = {}
        for a, name in enumerate(problem.names):
            inflow = _sum_over_held(weak_form, at_nodes, boundary.where, a)
            if (tag, a) in weakly_held:
                inflow += _sum(weak_form, at_nodes, weak_form.boundary_dofs(boundary.where, a))
            outward = boundary.outward_flux(name, weak_form.state)
            flux[boundary.where][name] = _integral(weak_form, outward, tag) - inflow
        if problem.coupled:
            held = _sum_over_held(weak_form, at_nodes, boundary.where, weak_form.components - 1)
            natural = boundary.surface_charge(weak_form.state)
            charge[boundary.where] = _integral(weak_form, natural, tag) + held
    return BoundaryTotals(flux, charge)


def balance(totals: BoundaryTotals, one_way: dict[str, float]) -> float:
    """Return the largest net flux of a species out of the domain over its gross flux.

    The gross flux is the sum of what passes the boundaries either way, or the species' one-way flux where almost
    nothing passes (see `one_way_fluxes`).
    """
    worst = 0.0
    for name, unit in one_way.items():
        passed = [flux[name] for flux in totals.flux.values()]
        worst = max(worst, abs(sum(passed)) / max(sum(map(abs, passed)), unit))
    return worst


def one_way_fluxes(weak_form: WeakForm) -> dict[str, float]:
    """Return ``D_a <rho_a> V / L^2``: what would pass one way if the species' mean density were not opposed."""
    problem = weak_form.problem
    low, high = problem.domain.bounding_box()
    extent = float((high - low).max())
    contents = {
        name: weak_form.total(fem.form(rho * weak_form.dx, jit_options=JIT_OPTIONS))
        for name, rho in weak_form.state.rho.items()
    }
    return {s.name: s.diffusivity * contents[s.name] / extent**2 for s in problem.species}


def _balance(weak_form: WeakForm) -> np.ndarray:
    residual = la.vector(weak_form.space.dofmap.index_map, weak_form.space.dofmap.index_map_bs)
    fem.assemble_vector(residual.array, weak_form.balance_form)
    residual.scatter_reverse(la.InsertMode.add)
    return residual.array


def _sum_over_held(weak_form: WeakForm, at_nodes: np.ndarray, where: str, component: int) -> float:
    dofs = [h.dofs for h in weak_form.held if h.boundary.where == where and h.component == component]
    return sum((_sum(weak_form, at_nodes, d) for d in dofs), start=0.0)


def _sum(weak_form: WeakForm, at_nodes: np.ndarray, dofs: np.ndarray) -> float:
    owned = dofs[dofs < weak_form.space.dofmap.index_map.size_local * weak_form.components]
    return float(weak_form.problem.domain.comm.allreduce(at_nodes[owned].sum(), op=MPI.SUM))


def _integral(weak_form: WeakForm, density: object, tag: int) -> float:
    if density is None:
        return 0.0
    return weak_form.total(fem.form(density * weak_form.ds(tag), jit_options=JIT_OPTIONS))
