"""What the contents of closed species must satisfy, once the domain over which they are spread is known."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np
from dolfinx import fem

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.discretisation.integration import integral
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.sizes import facets_of_cells
from pnp_exclusion.physics.boundaries import Interface, PrescribedFlux, Wall
from pnp_exclusion.physics.problem import Problem

NEUTRAL = 1e-9
"""Of all charges of one sign: a net charge below it is rounding."""


def require_contents(case: Case, scales: Scales, problem: Problem) -> None:
    """Raise `CaseError` if amounts overfill the domain, or leave it charged where nothing can answer; collective."""
    means = [species.mean_fraction or 0.0 for species in problem.species]
    packing = problem.packing(means)
    if problem.law.crowded and packing >= 1.0:
        raise CaseError(
            case.path,
            [f"[[species]]: the amounts fill {packing:.4g} of the space (packing; it must be below 1)"],
        )
    if problem.is_adrift:
        _require_neutral(case, scales, problem)


def _require_neutral(case: Case, scales: Scales, problem: Problem) -> None:
    domain, section = problem.domain, problem.cross_section
    weight = None if section is None else section.weight(domain)
    volume = integral(domain, weight)
    fixed = fem.Function(domain.cellwise_space)
    fixed.x.array[:] = problem.fixed_charge
    charges = {
        "the ions": volume * sum(s.charge * (s.mean_fraction or 0.0) for s in problem.species),
        "fixed charge": integral(domain, weight, fixed),
        "boundaries": sum(
            (boundary.charge or 0.0) * _area(problem, domain.owned_facets(boundary.where))
            for boundary in problem.boundaries
            if isinstance(boundary, Wall | PrescribedFlux | Interface)
        ),
        "the channel's wall": 0.0
        if section is None or problem.wall_charge is None
        else problem.wall_charge * integral(domain, weight, section.wall(domain)),
        "surfaces of regions": sum(
            sheet.charge * _area(problem, facets_of_cells(domain)[sheet.sides[:, 0], sheet.sides[:, 1]])
            for sheet in problem.sheets
        ),
    }
    net, gross = sum(charges.values()), sum(abs(charge) for charge in charges.values())
    gross += volume * sum(abs(s.charge) * (s.mean_fraction or 0.0) for s in problem.species)
    if abs(net) <= NEUTRAL * gross:
        return
    total = scales.surface_charge * scales.length ** (case.dimension_of_totals - 1)
    unit = f" C{('/m^2', '/m', '')[case.dimension_of_totals - 1]}" if scales.si else ""
    parts = ", ".join(f"{charge * total:.4g}{unit} of {name}" for name, charge in charges.items() if charge)
    raise CaseError(
        case.path,
        [
            f"[[boundaries]]: the closed cell has a net charge of {net * total:.4g}{unit} ({parts}) and no "
            "electrode to answer it, so there is no solution; change an amount, or let an electrode hold a potential"
        ],
    )


def _area(problem: Problem, facets: np.ndarray) -> float:
    return float(problem.domain.comm.allreduce(float(problem.facet_areas(facets).sum()), op=MPI.SUM))
