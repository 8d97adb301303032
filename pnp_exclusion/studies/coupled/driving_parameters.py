"""Changing one driving force of a case by a number, all else being as written.

Forces run from the first end to the second (`pnp_exclusion.observe.forces`): a positive one drives its species from the
first to the second. Values are in kT. The cases differ from the one they are made of in numbers only, so that one
`pnp_exclusion.studies.workbench.Workbench` solves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.field_tables import FieldTable
from pnp_exclusion.case.quantities import Quantity
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.physics.free_energies import FreeEnergy

type Array = NDArray[np.float64]
type DrivingParameter = Callable[[float], Case]
"""A case for every value of one driving force, kT."""


def voltage_parameter(case: Case, scales: Scales, ends: tuple[str, str]) -> DrivingParameter:
    """Return the case with ``potential(first) - potential(second)`` at a value in kT/e, the second's as it is.

    Both ends must be boundaries of the case with a potential.
    """
    first, second = ends
    zero = _boundary(case, second).potential.value

    def at(voltage: float) -> Case:
        return _with_boundaries(case, {first: {"potential": _potential(scales, zero + voltage * scales.potential)}})

    return at


def force_parameter(case: Case, scales: Scales, species: str, now: float, apart: Array) -> DrivingParameter:
    """Return the case with the force on one species at a value in kT, by a uniform field added to its own.

    now
        The force in the case as it is.
    apart
        Vector ``(dimension,)`` from the first end to the second in units of ``scales.length``; the field is along it,
        or along x where the species' own field is a table over x.
    """

    def at(force: float) -> Case:
        changed = [
            one if one.name != species else one.model_copy(update={"field": _with_added(one.field, force - now)})
            for one in case.species
        ]
        return case.model_copy(update={"species": changed})

    def _with_added(field: Any, force: float) -> Any:
        if isinstance(field, FieldTable):
            return field.model_copy(update={"values": [raised(value, force / apart[0]) for value in field.values]})
        along = force * apart / (apart @ apart)
        own = field if isinstance(field, list) else [field]
        own = [*own, *[None] * (len(along) - len(own))]
        vector = [raised(one, more) for one, more in zip(own, along, strict=True)]
        return vector if len(vector) > 1 else vector[0]

    def raised(quantity: Quantity | None, added: float) -> Quantity:
        value = (quantity.value if quantity else 0.0) + float(added) * scales.force
        return _in_units(value, "N") if scales.si else _plain(value)

    return at


def contents_parameter(
    case: Case,
    scales: Scales,
    ends: tuple[str, str],
    energy: FreeEnergy,
    middle: Mapping[str, float],
    direction: Mapping[str, float],
) -> DrivingParameter:
    """Return the case with the drop of the chemical potentials at a value times a direction, about a middle.

    energy
        Of the law, which ties the fractions to the chemical potentials.
    middle
        Chemical potentials ``eta_a`` half-way between the ends, kT, of all species.
    direction
        The drop of each species that the ends hold for a value of one kT. Electric potentials stay.
    """
    names = list(middle)

    def at(drop: float) -> Case:
        changes = {}
        for end, sign in zip(ends, (0.5, -0.5), strict=True):
            eta = [middle[name] + sign * drop * direction.get(name, 0.0) for name in names]
            rho = dict(zip(names, map(float, energy.densities(eta)[1:]), strict=True))
            changes[end] = {name: rho[name] for name in direction}
        return with_contents(case, scales, changes)

    return at


def with_contents(case: Case, scales: Scales, contents: Mapping[str, Mapping[str, float]]) -> Case:
    """Return the case with other fractions of species at some of its boundaries, which are named."""
    return _with_boundaries(case, {end: _contents(case, scales, held) for end, held in contents.items()})


def with_state(
    case: Case, ends: tuple[str, str], fractions: Mapping[str, float], temperature: float, potential: float | None
) -> Case:
    """Return a dimensionless case whose two ends hold the same contents at one temperature, and potential if any."""
    held = {"fraction": dict(fractions), "temperature": _plain(temperature)}
    held |= {"chemical_potential": {}, "inverse_temperature": None}
    if potential is not None:
        held["potential"] = _plain(potential)
    return _with_boundaries(case, dict.fromkeys(ends, held))


def _contents(case: Case, scales: Scales, fractions: Mapping[str, float]) -> dict[str, Any]:
    units = dict(zip(case.species_names, scales.contents.tolist(), strict=True))
    if not case.model.si:
        return {"fraction": {name: rho * units[name] for name, rho in fractions.items()}}
    return {"concentration": {name: _in_units(rho * units[name], "mol/m^3") for name, rho in fractions.items()}}


def _boundary(case: Case, name: str) -> Any:
    return next(boundary for boundary in case.boundaries if boundary.where == name)


def _with_boundaries(case: Case, changes: Mapping[str, Mapping[str, Any]]) -> Case:
    boundaries = [
        boundary.model_copy(update=changes[boundary.where]) if boundary.where in changes else boundary
        for boundary in case.boundaries
    ]
    return case.model_copy(update={"boundaries": boundaries})


def _potential(scales: Scales, value: float) -> Quantity:
    return _in_units(value, "V") if scales.si else _plain(value)


def _in_units(value: float, unit: str) -> Quantity:
    return Quantity(value, f"{value!r} {unit}", value, unit)


def _plain(value: float) -> Quantity:
    return Quantity(value, repr(value), value)
