"""What is known of a case between two reservoirs without solving it: forces and the ratio of contents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnp_exclusion.case.boundary_tables import Boundary
from pnp_exclusion.case.build import fractions_of
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.domain_tables import Interval
from pnp_exclusion.case.field_tables import FieldTable
from pnp_exclusion.case.scales import Scales, domain_length, scales_of
from pnp_exclusion.case.sizes import law_of
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.studies.diagram.samples import Array


def reservoirs(case: Case) -> list[Boundary]:
    """The boundaries that hold every species that passes, in the order in which currents are counted between them."""
    species = set(passing(case))
    closed = len(species) < len(case.species)
    # beside closed species only a reservoir's forces are known
    found: list[Boundary] = [b for b in case.boundaries if b.held == species and (b.kind == "reservoir" or not closed)]
    return sorted(found, key=lambda b: b.where != "left") if case.dimension == 1 else found


def passing(case: Case) -> list[str]:
    """The species that some boundary supplies, in their order: all but closed ones."""
    return [name for name in case.species_names if any(name in b.held for b in case.boundaries)]


def flowing(case: Case) -> list[str]:
    """The species that pass, and with a temperature energy: what there are forces and currents of."""
    return [*passing(case), *[ENERGY] * case.model.thermal]


@dataclass(frozen=True)
class Ends:
    """What the reservoirs of a case say of everything that flows, from the first to the second.

    force
        ``F_a = int E_a dx - [mu_a(second) - mu_a(first)]`` (N,), kT; that on energy ``1/T(second) - 1/T(first)``.
    rise
        ``log(rho_a(second) / rho_a(first))`` (N,), for energy that of the temperatures.
    """

    force: Array
    rise: Array


def ends_of(case: Case) -> Ends:
    """Forces and contents between the two reservoirs of a case (docs/theory.md#master-identity)."""
    scales, law = _scales(case), law_of(case.model, case.species)
    charges = np.array([species.charge for species in case.species])
    rows = [case.species_names.index(name) for name in passing(case)]
    contents, levels, betas = contents_of(case), [], []
    for reservoir, rho in zip(reservoirs(case), contents, strict=True):
        voltage = 0.0 if reservoir.dirichlet_potential is None else reservoir.dirichlet_potential.value
        beta = None if reservoir.held_temperature is None else 1.0 / reservoir.held_temperature
        betas.append(beta or 0.0)
        # closed species are in no reservoir
        with np.errstate(divide="ignore"):
            eta = law.free_energy.chemical_potentials(list(rho))
        zero = law.eta(np.zeros(len(rho)), charges, voltage / scales.potential, beta)
        levels.append(np.array(eta)[rows] - np.array(zero)[rows])
    (first, second), (before, behind) = contents, levels
    force, rise = works_of(case)[rows] - (behind - before), np.log(second[rows] / first[rows])
    if not law.thermal:
        return Ends(force, rise)
    return Ends(np.append(force, betas[1] - betas[0]), np.append(rise, np.log(betas[0] / betas[1])))


def contents_of(case: Case) -> tuple[Array, Array]:
    """Densities (N,) of the two reservoirs, 0 of closed species."""
    held = fractions_of(case, _scales(case))
    first, second = (
        np.array([held[reservoir.where].get(name, 0.0) for name in case.species_names])
        for reservoir in reservoirs(case)
    )
    return first, second


def works_of(case: Case) -> Array:
    """``int E_a dx`` of the imposed fields over the interval (N,), kT."""
    scales = _scales(case)
    length = case.domain.length.value / scales.length if isinstance(case.domain, Interval) else 1.0
    return np.array([_work(species.field, scales, length) for species in case.species])


def _scales(case: Case) -> Scales:
    return scales_of(case, domain_length(case) or 1.0)


def _work(field: object, scales: Scales, length: float) -> float:
    """``int E dx`` of an imposed field over an interval of a length, kT."""
    if isinstance(field, FieldTable):
        at = np.array([knot.value for knot in field.x]) / scales.length
        values = np.array([value.value for value in field.values]) / scales.force
        inside = (at > 0.0) & (at < length)
        ends = np.interp([0.0, length], at, values)
        return float(np.trapezoid([ends[0], *values[inside], ends[1]], [0.0, *at[inside], length]))
    component = field[0].value if isinstance(field, list) else float(field or 0.0)  # type: ignore[arg-type]
    return component / scales.force * length
