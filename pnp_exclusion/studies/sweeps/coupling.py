"""Coupled transport over a sweep: what is kept of every point, its variables, its table and the rows of its picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pnp_exclusion.studies.coupled.directions import SALINITY, VOLTAGE, Drive, independent
from pnp_exclusion.studies.sweeps.pictures import Row, labelled
from pnp_exclusion.studies.sweeps.plan import CouplingChoice, Plan
from pnp_exclusion.studies.sweeps.record import Record

if TYPE_CHECKING:
    from pnp_exclusion.solution.solution import Solution

LONG_NAMES = {
    "onsager": "flux of a species that answers to a force on one",
    "asymmetry": "distance of the response from Onsager's reciprocity",
    "conductance": "electric current by voltage at fixed composition",
    "transport_number": "share of the electric current that answers to the voltage",
    "zero_current_voltage": "voltage at which a salinity of one kT drives no electric current",
    "permeability": "flux of salt by difference of concentrations, without electric current",
    "figure_of_merit": "Z of load and driver, about equilibrium",
    "degree_of_coupling": "q of load and driver, about equilibrium",
    "best_efficiency": "greatest efficiency of load and driver, about equilibrium",
}
DIMENSIONS: dict[str, tuple[str, ...]] = {"onsager": ("species", "force_on"), "transport_number": ("species",)}
"""Beyond those of the points."""
ELECTROLYTE = ("conductance", "zero_current_voltage", "permeability")
CONVERSION = {"figure_of_merit": "Z", "degree_of_coupling": "q", "best_efficiency": "eta_max"}
LEFT_OUT = ("title", "units")
"""Of ``coupling.json``: what is the same at every point."""
TABLE = ("force", "current", "regime", "entropy_production", *LONG_NAMES)
"""Variables of ``coupling.csv``, in this order."""


def analysed(solution: Solution, choice: CouplingChoice, petsc_options: Sequence[str]) -> dict[str, Any]:
    """Return what is kept of a solution's coupled transport, as ``coupling.json`` has it; collective.

    Load and driver are the same two at every point: those that are named, else voltage and salinity, else the first
    two species. Raises as `pnp_exclusion.couple` does.
    """
    from pnp_exclusion.studies.coupled.channel import drive_of
    from pnp_exclusion.studies.coupled.coupling import couple
    from pnp_exclusion.studies.coupled.report import as_json

    load, driver = choice.load, choice.driver
    if load is None and driver is None and solution.steady.ends is not None:
        load, driver = _usual_pair(drive_of(solution))
    content = as_json(couple(solution, load, driver, choice.points, petsc_options))
    return {key: value for key, value in content.items() if key not in LEFT_OUT}


def _usual_pair(drive: Drive) -> tuple[str, str] | tuple[None, None]:
    known = drive.directions
    for pair in ((VOLTAGE, SALINITY), drive.species[:2]):
        if len(pair) == 2 and pair[0] in known and independent((known[pair[0]], known[pair[1]])):
            return pair[0], pair[1]
    return None, None


def variables_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return the variables that a point has, by species where `DIMENSIONS` says so."""
    names, onsager = content["onsager"]["species"], content["onsager"]
    found: dict[str, Any] = {
        "onsager": {a: dict(zip(names, row, strict=True)) for a, row in zip(names, onsager["value"], strict=True)},
        "asymmetry": onsager["asymmetry"],
    }
    if "electrolyte" in content:
        found["transport_number"] = content["electrolyte"]["transport_number"]
        found |= {name: content["electrolyte"].get(name, {}).get("value") for name in ELECTROLYTE}
    if "conversion" in content:
        found |= {name: content["conversion"]["linear"][key] for name, key in CONVERSION.items()}
    return found


def units_of(content: dict[str, Any]) -> dict[str, str]:
    """Return the units of these variables, empty where they have none."""
    electrolyte = content.get("electrolyte", {})
    units = {name: electrolyte[name]["unit"] for name in ELECTROLYTE if name in electrolyte}
    return units | {"onsager": content["onsager"]["unit"]}


def coupling_rows(results: xr.Dataset) -> list[Row]:
    """Return what the picture shows: of an electrolyte what is measured of it, else the response of each species."""
    rows = []

    def add(name: str, words: str, values: xr.DataArray, signed: bool = False) -> None:
        rows.append(Row(words, labelled(results[name], words), values, signed))

    if "conductance" in results:
        add("conductance", "conductance", results["conductance"])
        for name in results["species"].values:
            shares = results["transport_number"].sel(species=name)
            if shares.notnull().any():
                add("transport_number", f"transport number {name}", shares)
        add("zero_current_voltage", "reversal potential per kT", results["zero_current_voltage"], signed=True)
        if "permeability" in results:
            add("permeability", "permeability", results["permeability"])
    elif "onsager" in results:
        for name in results["species"].values:
            own = results["onsager"].sel(species=name, force_on=name)
            if own.notnull().any():
                add("onsager", f"dJ/dF of {name}", own)
    if "figure_of_merit" in results:
        add("figure_of_merit", "figure of merit Z", results["figure_of_merit"])
    return rows


def coupling_json(plan: Plan, records: Iterable[Record]) -> dict[str, Any]:
    """Return ``coupling.json`` of a sweep: its axes, and for every point where it is and what one case has there."""
    points = [
        {"at": record["at"]} | (record["coupling"] if record["converged"] else {"reason": record["reason"]})
        for record in records
    ]
    axes = {driving.name: driving.unit for driving in plan.design.drivings}
    return {"title": plan.case.title, "units": plan.case.model.units, "axes": axes, "points": points}


def coupling_csv(results: xr.Dataset) -> str:
    """Return ``coupling.csv``: a row for every point in turn, units in the header, empty where there is no value."""
    along = results["converged"].dims
    points = [name for name, axis in results.coords.items() if axis.dims and set(axis.dims) <= set(along)]
    table = [(results[name], labelled_column(results[name], str(name))) for name in points]
    for name in TABLE:
        if name in results:
            table += _columns(results[name], name, along)
    values = [_cells(array.broadcast_like(results["converged"]).transpose(*along)) for array, _ in table]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([header for _, header in table])
    writer.writerows(zip(*values, strict=True))
    return stream.getvalue()


def labelled_column(array: xr.DataArray, name: str) -> str:
    """Return the header of a column, with its unit as it is written in files."""
    unit = array.attrs.get("units", "")
    return f"{name} [{unit}]" if unit else name


def _columns(array: xr.DataArray, name: str, along: Sequence[Any]) -> list[tuple[xr.DataArray, str]]:
    """A column for every species, or pair of them, that a variable goes by."""
    extra = [dimension for dimension in array.dims if dimension not in along]
    columns = []
    for place in np.ndindex(*(array.sizes[dimension] for dimension in extra)):
        at = dict(zip(extra, place, strict=True))
        words = [str(array[dimension].values[i]) for dimension, i in at.items()]
        columns.append((array.isel(at), labelled_column(array, " ".join([name, *words]))))
    return columns


def _cells(array: xr.DataArray) -> list[str]:
    flat = array.values.ravel().tolist()
    return ["" if value != value else f"{value:.12g}" if isinstance(value, float) else str(value) for value in flat]
