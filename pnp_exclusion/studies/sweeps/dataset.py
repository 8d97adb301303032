"""The results of a sweep as an `xarray.Dataset` with named coordinates and units, and as a NetCDF file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from pnp_exclusion.case.axes import Driving
from pnp_exclusion.case.case import Case
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.studies.sweeps import coupling, noise
from pnp_exclusion.studies.sweeps.plan import Plan
from pnp_exclusion.studies.sweeps.record import Record

LONG_NAMES = {
    "converged": "whether a solution was found",
    "reason": "why none was found",
    "current": "flux from the first end to the second",
    "force": "drop of the electrochemical potential from the first end to the second",
    "regime": "regime of transport",
    "electric_current": "electric current from the first end to the second",
    "density": "density at the ends",
    "flux": "outward particle flux through the boundary",
    "charge": "charge on the boundary",
    "found_potential": "potential of the boundary, found from a charge or a current",
    "entropy_production": "free energy dissipated per time",
    "balance": "largest net flux of a species over its gross flux",
    "identity_residual": "distance of the currents from the master identity, relative",
    "newton_iterations": "Newton steps",
}
LONG_NAMES |= coupling.LONG_NAMES | noise.LONG_NAMES
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "current": ("species",),
    "force": ("species",),
    "regime": ("species",),
    "density": ("end", "species"),
    "flux": ("boundary", "species"),
    "charge": ("boundary",),
    "found_potential": ("boundary",),
}
DIMENSIONS |= coupling.DIMENSIONS | noise.DIMENSIONS
"""Beyond those of the points."""
REGIME_LENGTH = 16
"""Letters that the longest regime may have."""


def units_of(case: Case) -> dict[str, str]:
    """Return the unit of every variable of a sweep's results; empty strings in a dimensionless case."""
    per = ["/m^2", "/m", ""][case.dimension_of_totals - 1]
    flux = f"mol{per}/s"
    units = {
        "current": flux,
        "flux": flux,
        "force": "kT",
        "electric_current": f"A{per}",
        "density": "mol/L",
        "charge": f"C{per}",
        "found_potential": "V",
        "entropy_production": f"kT {flux}",
    } | noise.units_of(case)
    return units if case.model.si else dict.fromkeys(units, "")


class Table:
    """Collects records into arrays, one at a time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.species = [*plan.case.species_names, *[ENERGY] * plan.case.model.thermal]
        self.ends: list[str] = []
        self.boundaries: list[str] = []
        self.regimes = np.full((plan.size, len(self.species)), "", f"<U{REGIME_LENGTH}")
        self.reasons: dict[int, str] = {}
        self.converged = np.zeros(plan.size, dtype=bool)
        self.numbers: dict[str, np.ndarray] = {}
        self.units = units_of(plan.case)

    def add(self, record: Record) -> None:
        """Put a record in its place."""
        index = record["index"]
        self.converged[index] = record["converged"]
        if not record["converged"]:
            self.reasons[index] = record["reason"]
            return
        if "ends" in record and not self.ends:
            self.ends = record["ends"]
        for where in record["flux"]:
            if where not in self.boundaries:
                self.boundaries.append(where)
        if "coupling" in record:
            self.units |= coupling.units_of(record["coupling"])
            record = record | coupling.variables_of(record["coupling"])
        for name, value in record.items():
            if name == "regime":
                self.regimes[index] = [value[species] or "" for species in self.species]
            elif name in LONG_NAMES and name != "converged":
                self._put(name, index, value)

    def _put(self, name: str, index: int, value: Any) -> None:
        match DIMENSIONS.get(name, ()):
            case ():
                row: Any = value
            case ("species",):
                row = [value.get(species) for species in self.species]
            case ("species", _):
                row = [[value.get(a, {}).get(b) for b in self.species] for a in self.species]
            case ("end", _):
                # by their order, because ends may have other names in other meshes
                row = [[densities[species] for species in self.species] for densities in value.values()]
            case ("boundary", _):
                row = [[value[w][species] if w in value else None for species in self.species] for w in self.boundaries]
            case _:
                row = [value.get(where) for where in self.boundaries]
        row = np.array(row, dtype=float)
        if name not in self.numbers:
            self.numbers[name] = np.full((self.plan.size, *row.shape), np.nan)
        known = self.numbers[name]
        if row.ndim and known.shape[1] < len(row):
            # a boundary that no point had before
            grown = np.full((self.plan.size, *row.shape), np.nan)
            grown[:, : known.shape[1]] = known
            self.numbers[name] = known = grown
        known[index] = row


def dataset_of(plan: Plan, records: Iterable[Record]) -> xr.Dataset:
    """Return the results: a grid along its axes, any other design along "point" with the axes as coordinates.

    Where there is no solution numbers are nan, regimes empty, ``converged`` is False and ``reason`` says why.
    """
    table = Table(plan)
    for record in records:
        table.add(record)
    design = plan.design
    along = tuple(d.name for d in design.drivings) if design.shape else ("point",)
    shape = design.shape or (plan.size,)
    variables: dict[str, Any] = {"converged": (along, table.converged.reshape(shape), {})}
    for name in LONG_NAMES:
        extra = DIMENSIONS.get(name, ())
        if name in table.numbers and _present(name, table):
            values = table.numbers[name]
            variables[name] = (
                (*along, *extra),
                values.reshape(shape + values.shape[1:]),
                _attributes(name, table.units),
            )
        elif name == "regime" and table.ends:
            variables[name] = ((*along, *extra), table.regimes.reshape(*shape, -1), {})
    if table.reasons:
        longest = max(map(len, table.reasons.values()))
        reasons = np.full(plan.size, "", dtype=f"<U{longest}")
        reasons[list(table.reasons)] = list(table.reasons.values())
        variables["reason"] = (along, reasons.reshape(shape), {})
    for name, (_, _, attributes) in variables.items():
        attributes["long_name"] = LONG_NAMES[name]
    coordinates = _coordinates(plan, along) | {"species": table.species}
    if table.ends:
        coordinates["end"] = table.ends
    if table.boundaries:
        coordinates["boundary"] = table.boundaries
    if "onsager" in variables:
        coordinates["force_on"] = table.species
    if "noise_correlation" in variables:
        coordinates["other_species"] = table.species
    title = {"title": plan.case.title} if plan.case.title else {}
    case = json.dumps(plan.case.as_written(), ensure_ascii=False)
    attributes = title | {"design": design.kind, "fingerprint": plan.fingerprint, "case": case}
    return xr.Dataset(variables, coordinates, attributes)


def _present(name: str, table: Table) -> bool:
    """Whether any point has this variable: charges go with Poisson, the identity with one dimension."""
    values = table.numbers[name]
    return values.size > 0 and not np.isnan(values[table.converged]).all()


def _attributes(name: str, units: dict[str, str]) -> dict[str, Any]:
    return {"units": units[name]} if units.get(name) else {}


def _coordinates(plan: Plan, along: tuple[str, ...]) -> dict[str, Any]:
    design = plan.design
    if design.shape:
        return {d.name: ((d.name,), _array(d.values), _about(d)) for d in design.drivings}
    rows = [design.coordinates(point) for point in range(plan.size)]
    columns = zip(*rows, strict=True)
    return {d.name: (along, _array(column), _about(d)) for d, column in zip(design.drivings, columns, strict=True)}


def _array(values: Any) -> np.ndarray:
    return np.array(values, dtype=str if isinstance(values[0], str) else float)


def _about(driving: Driving) -> dict[str, Any]:
    keys = ", ".join(
        key if factor == 1.0 else f"{key} times {factor:g}"
        for key, factor in zip(driving.keys, driving.factors, strict=True)
    )
    return {"long_name": driving.in_words, "key": keys} | ({"units": driving.unit} if driving.unit else {})
