"""What is written and printed of an engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from pnp_exclusion.output.text import columns
from pnp_exclusion.studies.coupled.channel import drive_of
from pnp_exclusion.studies.coupled.units import in_units, shown
from pnp_exclusion.studies.engine.discharge import Discharge
from pnp_exclusion.studies.engine.engine import Engine
from pnp_exclusion.studies.engine.linear import LinearLeg
from pnp_exclusion.studies.engine.loop import EnginePoint


def as_json(engine: Engine) -> dict[str, Any]:
    """Return the contents of ``engine.json``; currents run from the first reservoir to the second, for leg A's area."""
    units, linear, salinity = engine.units, engine.linear, engine.salinity
    names = [solution.setup.case.title for solution in engine.solutions]
    conversion = linear.conversion

    def point(one: EnginePoint) -> dict[str, Any]:
        return {
            "load_voltage": one.load * units.potential[0],
            "current": one.current * units.current[0],
            "power": one.power * units.power[0],
            "consumption": one.consumption * units.power[0],
            "efficiency": one.efficiency,
            "leg_voltages": [leg.force * units.potential[0] for leg in one.legs],
            "leg_currents": [(leg.currents * units.flux[0]).tolist() for leg in one.legs],
        }

    def leg(one: LinearLeg, title: str, zero_current_voltage: float) -> dict[str, Any]:
        return {
            "title": title,
            "zero_current_voltage": in_units(zero_current_voltage, units.potential),
            "conductance": in_units(one.conductance, units.conductance),
            "voltage_by_salinity": in_units(one.ratio, units.potential),
            "permeance": in_units(one.leakage, units.flux),
        }

    legs = zip((linear.first, linear.second), names, engine.zero_current_voltages, strict=True)
    return {
        "units": engine.solutions[0].setup.case.model.units,
        "salinity": {"value": salinity, "unit": "kT"},
        "area_ratio": engine.area_ratio,
        "unit": {
            "load_voltage": units.potential[1],
            "leg_voltages": units.potential[1],
            "current": units.current[1],
            "leg_currents": units.flux[1],
            "power": units.power[1],
            "consumption": units.power[1],
        },
        "species": list(drive_of(engine.solutions[0]).species),
        "legs": [leg(*one) for one in legs],
        "linear": {
            "Z": linear.figure_of_merit,
            "conductance": in_units(linear.conductance, units.conductance),
            "voltage_by_salinity": in_units(linear.ratio, units.potential),
            "permeance": in_units(linear.leakage, units.flux),
            "open_circuit_voltage": linear.stopping_load(salinity) * units.potential[0],
            "P_max": linear.best_power(salinity) * units.power[0],
            "eta_at_P_max": conversion.efficiency_at_best_power,
            "eta_max": conversion.best_efficiency,
        },
        "open_circuit_voltage": engine.open_circuit_voltage * units.potential[0],
        "short_circuit_current": engine.curve[0].current * units.current[0],
        "best_power": point(engine.best_power),
        "best_efficiency": point(engine.best_efficiency),
        "curve": [point(one) for one in engine.curve],
    }


def table(engine: Engine) -> list[str]:
    """Return the lines that ``engine`` prints."""
    units, linear, salinity = engine.units, engine.linear, engine.salinity
    conversion = linear.conversion
    rows = [["leg", "reversal potential", "linear: conductance", "voltage by salinity", "permeance to salt"]]
    for name, one, voltage in zip("AB", (linear.first, linear.second), engine.zero_current_voltages, strict=True):
        rows.append(
            [
                name,
                shown(voltage, units.potential),
                shown(one.conductance, units.conductance),
                f"{shown(one.ratio, units.potential)} per kT",
                f"{shown(one.leakage, units.flux)} per kT",
            ]
        )
    power, best = engine.best_power, engine.best_efficiency
    figures = [
        ["", "linear, about equilibrium", "computed"],
        ["Z", f"{linear.figure_of_merit:.5g}", "-"],
        [
            "open-circuit voltage",
            shown(linear.stopping_load(salinity), units.potential),
            shown(engine.open_circuit_voltage, units.potential),
        ],
        [
            "short-circuit current",
            shown(linear.conductance * linear.stopping_load(salinity), units.current),
            shown(engine.curve[0].current, units.current),
        ],
        ["P_max", shown(linear.best_power(salinity), units.power), shown(power.power, units.power)],
        [
            "  at the load",
            shown(0.5 * linear.stopping_load(salinity), units.potential),
            shown(power.load, units.potential),
        ],
        ["eta(P_max)", f"{conversion.efficiency_at_best_power:.5g}", f"{power.efficiency:.5g}"],
        ["eta_max", f"{conversion.best_efficiency:.5g}", f"{best.efficiency:.5g}"],
        ["  at the load", "-", shown(best.load, units.potential)],
    ]
    lines = [f"salinity {salinity:.6g} kT, area B/A {engine.area_ratio:g}", "", *columns(rows), "", *columns(figures)]
    worst = max(abs(p.consumption - p.power - p.entropy_production) / p.consumption for p in engine.curve)
    lines += ["", f"free energy lost = power + dissipation to {worst:.1e}"]
    return lines


def discharge_json(run: Discharge) -> dict[str, Any]:
    """Return what ``engine.json`` has of a discharge; everything is for leg A's area."""
    units = run.engine.units
    return {
        "reservoir_volumes": [in_units(volume, units.volume) for volume in run.volumes],
        "resistance": in_units(run.resistance, units.resistance),
        "duration": in_units(float(run.times[-1]), units.time),
        "energy": in_units(float(run.energy[-1]), units.energy),
        "dissipated": in_units(float(run.dissipation[-1]), units.energy),
        "free_energy_of_mixing": in_units(run.available, units.energy),
        "free_energy_left": in_units(run.left, units.energy),
        "efficiency": run.efficiency,
    }


def discharge_csv(run: Discharge) -> str:
    """Return ``discharge.csv``: a row for every time, units in the header."""
    units, displayed = run.engine.units, run.engine.units.scales.displayed_concentration
    scales = [units.time, units.potential, units.current, units.power, units.energy]
    names = ["time", "voltage", "current", "power", "energy"]
    held = [f"{name} {side}" for side in ("first", "second") for name in run.species]
    scales += [(displayed, "mol/L" if units.scales.si else "")] * len(held)
    header = [f"{name} [{unit}]" if unit else name for name, (_, unit) in zip([*names, *held], scales, strict=True)]
    curves = [run.times, run.voltage, run.current, run.power, run.energy, run.contents.reshape(len(run.times), -1)]
    rows = np.column_stack(curves) * [factor for factor, _ in scales]
    lines = [",".join(map(repr, row)) for row in rows.tolist()]
    return "\n".join([",".join(header), *lines]) + "\n"


def discharge_table(run: Discharge) -> list[str]:
    """Return the lines that ``engine`` prints of a discharge."""
    units = run.engine.units
    rows = [
        ["discharge", ""],
        ["resistance of the load", shown(run.resistance, units.resistance)],
        ["time", shown(run.times[-1], units.time)],
        ["free energy of mixing", shown(run.available, units.energy)],
        ["energy delivered", shown(run.energy[-1], units.energy)],
        ["dissipated", shown(run.dissipation[-1], units.energy)],
        ["left in the reservoirs", shown(run.left, units.energy)],
        ["efficiency", f"{run.efficiency:.5g}"],
    ]
    return ["", *columns(rows)]
