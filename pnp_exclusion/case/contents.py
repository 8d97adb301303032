"""What a boundary of a case holds of every species, however it is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pnp_exclusion.case.boundary_tables import Boundary, Contents
from pnp_exclusion.case.domain_tables import Box, Interval, Rectangle
from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.tables import Species
from pnp_exclusion.case.time_tables import Initial


def amounts_of(boundary: Boundary, model: Model, species: Sequence[str]) -> Mapping[str, float]:
    """Return amounts as of `Boundary.amounts`, also where chemical potentials and a temperature stand for them.

    species
        Names of all species of the case; those that the boundary does not hold are not in it.
    """
    if not isinstance(boundary, Contents) or not boundary.chemical_potential:
        return boundary.amounts
    law, given, temperature = model.flux_law, boundary.chemical_potential, boundary.held_temperature
    mu = [given.get(name, -math.inf) for name in species]
    eta = law.eta(mu, [0.0] * len(mu), None, None if temperature is None else 1.0 / temperature)
    rho = law.free_energy.densities(eta)[1:]
    return {name: float(x) for name, x in zip(species, rho, strict=True) if name in given}


def contents_at_first(
    species: Species, initial: Initial | None, boundaries: Sequence[Boundary], volume: float | None
) -> float | None:
    """Return what there is of a species everywhere as a motion begins, in the units of the case: what is said, its
    mean, or what all boundaries hold; None if these are silent, or differ."""
    if initial is not None:
        if species.name in initial.fraction:
            return initial.fraction[species.name]
        if species.name in initial.concentration:
            return initial.concentration[species.name].value
    mean = mean_of(species, volume)
    if mean is not None:
        return mean
    held = {float(boundary.amounts[species.name]) for boundary in boundaries if species.name in boundary.amounts}
    return held.pop() if len(held) == 1 else None


def mean_of(species: Species, volume: float | None) -> float | None:
    """Return the mean content of a closed species, in mol/m^3 or as an occupied fraction.

    volume
        Of the domain, over which an amount is spread.

    None for a species that is not closed, or if the volume that is needed is not known.
    """
    if species.mean_concentration is not None:
        return species.mean_concentration.value
    if species.amount is not None:
        return species.amount.value / volume if volume else None
    return species.mean_fraction


def volume_of(domain: object) -> float | None:
    """Return the volume of a domain, area of a rectangle or length of an interval; None where a mesh says it."""
    match domain:
        case Interval(length=length, area=None):
            return length.value
        case Rectangle(size=size) if domain.coordinates == "axisymmetric":
            radius, height = size[domain.radial].value, size[1 - domain.radial].value
            return math.pi * radius**2 * height
        case Rectangle(size=size) | Box(size=size):
            return math.prod(side.value for side in size)
    return None
