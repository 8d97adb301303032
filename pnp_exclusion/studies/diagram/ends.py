"""What is known of a case between two reservoirs without solving it: forces and the ratio of contents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnp_exclusion.case.boundary_tables import Boundary
from pnp_exclusion.case.build import fractions_of
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.scales import Scales, domain_length, scales_of
from pnp_exclusion.case.tables import FieldTable, Interval
from pnp_exclusion.studies.diagram.samples import Array


def reservoirs(case: Case) -> list[Boundary]:
    """The boundaries that hold every species, in the order in which currents are counted from one to the other."""
    species = set(case.species_names)
    found: list[Boundary] = [b for b in case.boundaries if set(b.amounts) == species]
    return sorted(found, key=lambda b: b.where != "left") if case.dimension == 1 else found


@dataclass(frozen=True)
class Ends:
    """What the reservoirs of a case say of every species a, from the first to the second.

    force
        ``F_a = int E_a dx - [mu_a(second) - mu_a(first)]`` (N,), kT.
    rise
        ``log(rho_a(second) / rho_a(first))`` (N,).
    """

    force: Array
    rise: Array


def ends_of(case: Case) -> Ends:
    """Forces and contents between the two reservoirs of a case (docs/theory.md#master-identity)."""
    scales = _scales(case)
    energy = case.model.flux_law.free_energy
    charges = np.array([species.charge for species in case.species])
    first, second = contents_of(case)
    potential = [np.array(energy.chemical_potentials(list(rho))) for rho in (first, second)]
    voltages = [reservoir.dirichlet_potential for reservoir in reservoirs(case)]
    phi = [0.0 if voltage is None else voltage.value / scales.potential for voltage in voltages]
    force = works_of(case) - (potential[1] - potential[0]) - charges * (phi[1] - phi[0])
    return Ends(force, np.log(second / first))


def contents_of(case: Case) -> tuple[Array, Array]:
    """Occupied fractions (N,) of the two reservoirs."""
    held = fractions_of(case, _scales(case))
    first, second = (
        np.array([held[reservoir.where][name] for name in case.species_names]) for reservoir in reservoirs(case)
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
