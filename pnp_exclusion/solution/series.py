"""The series of a motion: one row a step, in the units of the case, as columns with units and as an xarray Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import pnp_exclusion
from pnp_exclusion.case.build import Setup
from pnp_exclusion.observe.motion import Reading
from pnp_exclusion.solution.unit_attributes import unit_attributes

if TYPE_CHECKING:
    import xarray

type Row = dict[str, tuple[float, str]]
"""Value and unit of every column, by its name."""


def row_of(setup: Setup, reading: Reading) -> Row:
    """Return the columns of one reading.

    ``time``; for every boundary ``current_*``, the electric current that ions carry out of the domain, and with Poisson
    ``displacement_*``, what leaves it beside as a displacement current, and ``charge_*``; ``potential_*`` where there
    is one; ``flux_*_*`` by boundary and quantity, outward; ``amount_*``; ``free_energy``, ``dissipation`` per time, and
    from the beginning on ``dissipated`` and ``work``, done by the system; ``step``, the length of the step;
    ``piece``, the number of the piece of a protocol.
    """
    scales, problem = setup.scales, setup.problem
    si, dimension = scales.si, problem.boundary_dimension
    extent, per = scales.length**dimension, ("/m^2", "/m", "")[dimension]
    charges = {species.name: species.charge for species in problem.species}
    current = (scales.current * extent, f"A{per}")
    charge = (scales.surface_charge * extent, f"C{per}")
    flux = (scales.flux * extent, f"mol{per}/s")
    amount = (scales.concentration * scales.length * extent, f"mol{per}")
    energy = (scales.surface_charge * scales.potential * extent, f"J{per}")
    power = (energy[0] / scales.time, f"W{per}")
    time = (scales.time, "s")
    row: Row = {}

    def add(name: str, value: float, scale: tuple[float, str]) -> None:
        row[name] = value * scale[0], scale[1] if si else ""

    add("time", reading.time, time)
    for where, fluxes in reading.flux.items():
        add(f"current_{where}", sum(z * fluxes[name] for name, z in charges.items()), current)
        if where in reading.charge:
            add(f"displacement_{where}", reading.displacement[where], current)
            add(f"charge_{where}", reading.charge[where], charge)
        if where in reading.potential:
            add(f"potential_{where}", reading.potential[where], (scales.potential, "V"))
    for where, fluxes in reading.flux.items():
        for name, value in fluxes.items():
            add(f"flux_{where}_{name}", value, flux)
    for name, value in reading.amounts.items():
        add(f"amount_{name}", value, amount)
    for name in ("free_energy", "dissipated", "work"):
        value = getattr(reading, name)
        if value is not None:
            add(name, value, energy)
    if reading.dissipation is not None:
        add("dissipation", reading.dissipation, power)
    if reading.piece:
        row["piece"] = reading.piece, ""
    add("step", reading.length, time)
    return row


def dataset_of_rows(setup: Setup, rows: Sequence[Row]) -> xarray.Dataset:
    """Return a series as a Dataset along ``time``."""
    import xarray

    columns = {name: np.array([row[name][0] for row in rows]) for name in (rows[0] if rows else ())}
    units = {name: unit for name, (_, unit) in (rows[0] if rows else {}).items()}
    times = columns.pop("time", np.zeros(0))
    return xarray.Dataset(
        {name: ("time", values, unit_attributes(units[name])) for name, values in columns.items()},
        coords={"time": ("time", times, unit_attributes(units.get("time") or "L^2/D"))},
        attrs={
            "title": setup.case.title,
            "law": setup.problem.law.name,
            "version": pnp_exclusion.__version__,
        },
    )
