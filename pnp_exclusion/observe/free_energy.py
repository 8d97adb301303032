"""The free energy of a state, and what is dissipated: what must balance in every motion (docs/theory.md#time).

    G = int [ sum_a rho_a mu_a - Pi(eta) + q phi - (lambda^2/2) eps |grad phi|^2 ] + int_Gamma w_s ,

with ``w_s = sigma phi`` where a charge is given and ``-C_S (V - phi)^2/2`` behind a Stern layer: the energy of the
particles and of the field, less the work ``sum_k V_k Q_k`` that sources at held potentials have done. With these held
and all else closed it falls; the energy of the field alone does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import ufl

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.observe.integrals import entropy_production_density
from pnp_exclusion.physics.boundaries import RegulatedWall
from pnp_exclusion.physics.free_energies import FreeEnergy


def has_free_energy(discrete: Discretisation) -> bool:
    """Return whether the free energy of a problem is known.

    That of a law with a temperature is an entropy; groups on a wall hold protons that are not counted.
    """
    problem = discrete.problem
    # what integrates a pressure numerically is for numbers, not for forms
    if problem.law.thermal or type(problem.law.free_energy).pressure is FreeEnergy.pressure:
        return False
    return not any(isinstance(boundary, RegulatedWall) for boundary in problem.boundaries)


def free_energy(discrete: Discretisation) -> float:
    """Return ``G`` of the state in the unknown, by the quadrature of the equations; collective."""
    forms = discrete.forms.kept("free energy", lambda: discrete.integration.form(_functional(discrete)))
    return discrete.forms.total(forms)


def _functional(discrete: Discretisation) -> ufl.Form:
    problem, fields, parameters = discrete.problem, discrete.fields, discrete.parameters
    mu = list(fields.mu.values())
    eta = problem.law.eta(mu, parameters.charges, fields.potential, None, parameters.law, parameters.partition)
    density = sum(rho * mu_a for rho, mu_a in zip(fields.rho.values(), mu, strict=True))
    density -= parameters.free_energy.pressure(eta)
    form = ufl.Form([])
    if fields.potential is not None:
        field = ufl.grad(fields.potential)
        density += discrete.weak_form.immobile_charge() * fields.potential
        density -= 0.5 * parameters.debye_squared * parameters.permittivity * ufl.inner(field, field)
        for tag in range(len(problem.boundaries)):
            energy = discrete.weak_form.surface_energy(tag)
            if energy is not None:
                form += energy * discrete.integration.ds(tag)
        for number in range(len(problem.sheets)):
            charge = discrete.weak_form.sheet_charge(number)
            form += charge * fields.potential * discrete.integration.ds(len(problem.boundaries) + number)
    return form + density * discrete.integration.dx


def powers(discrete: Discretisation) -> tuple[float, float]:
    """Return what is dissipated and what imposed fields do, per time, in the state in the unknown; collective."""

    def integrands() -> list[Any]:
        fields, parameters = discrete.fields, discrete.parameters
        zero = 0.0 * next(iter(fields.rho.values()))
        driven = [
            parameters.load_parameter * ufl.inner(parameters.fields[name], flux)
            for name, flux in fields.fluxes.items()
            if name in parameters.fields
        ]
        reacting = [
            -reaction.change(name) * mu * discrete.weak_form.volume_rate(number)
            for number, reaction in enumerate(discrete.problem.reactions)
            if reaction.boundary is None
            for name, mu in fields.mu.items()
            if reaction.change(name)
        ]
        return [entropy_production_density(discrete) + sum(reacting, start=zero), sum(driven, start=zero)]

    dissipated, driven = discrete.forms.integrals("powers", integrands)
    return float(dissipated), float(driven)


def work_through(discrete: Discretisation, tag: int) -> float:
    """Return ``int sum_a mu_a g_a`` over a boundary, the free energy that given fluxes take with them; collective."""

    def form() -> CellwiseForm | None:
        fluxes = {name: discrete.weak_form.outward_flux(tag, name) for name in discrete.problem.names}
        terms = [discrete.fields.mu[name] * flux for name, flux in fluxes.items() if flux is not None]
        if not terms:
            return None
        return discrete.integration.form(sum(terms[1:], start=terms[0]) * discrete.integration.ds(tag))

    compiled = discrete.forms.kept(f"work through boundary {tag}", form)
    return 0.0 if compiled is None else discrete.forms.total(compiled)


def work_of_held(discrete: Discretisation, values: np.ndarray, rows: np.ndarray) -> float:
    """Return ``sum mu_a r_a`` over the places where boundaries hold species, on this rank.

    values
        Of the unknowns, owned and ghost.
    rows
        Of the equations, owned.
    """
    owned, total = len(rows), 0.0
    for (_, name), dofs in discrete.constraints.claimed.items():
        if name in discrete.mu:
            own = dofs[dofs < owned]
            total += float(values[own] @ rows[own])
    return total
