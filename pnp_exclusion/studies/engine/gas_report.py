"""What is written, printed and drawn of an engine of gases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pnp_exclusion.output.text import columns
from pnp_exclusion.particles.gas.onsager import Onsager
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.solution.style import STYLE, entitle, save, with_unit
from pnp_exclusion.studies.coupled.plots import COMPUTED, LINEAR, draw_branches
from pnp_exclusion.studies.engine.gas_engine import KINETIC, MEASURED, GasEngine, GasPoint
from pnp_exclusion.studies.engine.linear import LinearEngine
from pnp_exclusion.studies.gas.report import PURE, quantity
from pnp_exclusion.studies.gas.setup import GasUnits, Unit

COLOURS = {KINETIC: "0.5", MEASURED: LINEAR}


def estimate(found: Estimate, unit: Unit = PURE) -> dict[str, Any]:
    """Return an estimate as results hold it; without an error if it has none."""
    mean, error = float(found.mean), float(found.error)
    return quantity(mean, unit, error if error else None)


def figures(engine: GasEngine) -> dict[str, tuple[Unit, Callable[[LinearEngine], float]]]:
    """What linear theory says of an engine, by name: its unit, and the number from the engine."""
    units, driver, cold, carnot = GasUnits(engine.cases[0].si), engine.driver, engine.temperature, engine.carnot
    power = units.current("energy")
    return {
        "YT": (PURE, lambda one: one.figure_of_merit),
        "stopping_bias": (units.energy, lambda one: one.stopping_load(driver) * cold),
        "short_circuit_current": (
            units.current("particles"),
            lambda one: one.conductance * one.stopping_load(driver),
        ),
        "P_max": (power, lambda one: one.best_power(driver) * cold),
        "eta_at_P_max": (PURE, lambda one: one.conversion.efficiency_at_best_power * carnot),
        "eta_max": (PURE, lambda one: one.conversion.best_efficiency * carnot),
    }


def leg_figures(engine: GasEngine) -> dict[str, tuple[Unit, Callable[[Onsager], float]]]:
    """Of one copy of a leg, by name."""
    units, temperature = GasUnits(engine.cases[0].si), engine.gases[0].mean_temperature
    conductance = (units.conductivity[0], units.conductivity[1].replace(" m", ""))
    return {
        "conductance": (units.current("particles"), lambda one: one.conductance),
        "energy_per_particle": (units.energy, lambda one: one.ratio),
        "heat_conductance": (conductance, lambda one: one.heat_conductance / temperature**2),
    }


def as_json(engine: GasEngine) -> dict[str, Any]:
    """Return the contents of ``engine.json``; currents run left to right, of all copies together."""
    units = GasUnits(engine.cases[0].si)
    particles, power = units.current("particles"), units.current("energy")
    temperatures = engine.gases[0].temperatures * units.temperature[0]
    line = engine.line

    def point(one: GasPoint) -> dict[str, Any]:
        return {
            "bias": quantity(one.load, units.energy),
            "force": estimate(one.force),
            "current": estimate(one.current, particles),
            "net_current": estimate(one.net, particles),
            "power": estimate(one.power, power),
            "heat": estimate(one.heat, power),
            "efficiency": estimate(one.efficiency),
            "leg_currents": [
                {
                    name: estimate(Estimate(one.currents.mean[leg, entry], one.currents.error[leg, entry]), unit)
                    for entry, (name, unit) in enumerate((("particles", particles), ("energy", power)))
                }
                for leg in range(2)
            ],
            "complaint": one.complaint,
        }

    linear: dict[str, Any] = {}
    for way, legs in engine.linear.items():
        of_legs = [
            {name: estimate(leg.of(number), unit) for name, (unit, number) in leg_figures(engine).items()}
            for leg in legs.coefficients
        ]
        of_engine = {name: estimate(legs.of(number), unit) for name, (unit, number) in figures(engine).items()}
        linear[way.replace(" ", "_")] = {"legs": of_legs} | of_engine
    return {
        "units": engine.cases[0].gas.units,
        "legs": [case.title for case in engine.cases],
        "temperature": {"hot": temperatures[0], "cold": temperatures[1], "unit": units.temperature[1]},
        "force_on_energy": quantity(engine.driver, units.force("energy")),
        "carnot_efficiency": engine.carnot,
        "copies": list(engine.copies),
        "reservoir_particles": engine.number or None,
        "interrupted": engine.interrupted,
        "linear": linear,
        "measured": None
        if line is None
        else {"stopping_bias": estimate(line[0], units.energy), "P_max": estimate(line[1], power)},
        "curve": [point(one) for one in engine.points],
        "events": sum(point.events for point in engine.points),
    }


def table(engine: GasEngine) -> list[str]:
    """Return the lines that ``engine`` prints."""
    units = GasUnits(engine.cases[0].si)
    ways = list(engine.linear)
    rows = [["leg", *(f"{name.replace('_', ' ')}, {way}" for way in ways for name in leg_figures(engine))]]
    for leg, name in enumerate("AB"):
        found = [
            _shown(engine.linear[way].coefficients[leg].of(number), unit)
            for way in ways
            for unit, number in leg_figures(engine).values()
        ]
        rows.append([name, *found])
    line = engine.line
    measured = {"stopping_bias": line[0], "P_max": line[1]} if line else {}
    listed = [["", *(f"linear, {way}" for way in ways), *(["loop"] if line else [])]]
    for name, (unit, number) in figures(engine).items():
        words = [_shown(engine.linear[way].of(number), unit) for way in ways]
        own = [_shown(measured[name], unit) if name in measured else "-"] if line else []
        listed.append([name.replace("_", " "), *words, *own])
    power, particles = units.current("energy"), units.current("particles")
    curve = [["bias", "current", "net current", "power", "heat", "efficiency"]]
    for point in engine.points:
        curve.append(
            [
                f"{point.load * units.energy[0]:.4g} {units.energy[1]}".rstrip(),
                _shown(point.current, particles),
                _shown(point.net, particles),
                _shown(point.power, power),
                _shown(point.heat, power),
                _shown(point.efficiency, PURE),
            ]
        )
    hot, cold = engine.gases[0].temperatures * units.temperature[0]
    kelvin = f" {units.temperature[1]}".rstrip()
    reservoirs = f", reservoirs of {engine.number} particles" if engine.number else ""
    return [
        f"between {hot:.6g}{kelvin} and {cold:.6g}{kelvin}: Carnot's efficiency {engine.carnot:.4g}; "
        f"copies of A and B: {engine.copies[0]} and {engine.copies[1]}{reservoirs}",
        "",
        *columns(rows),
        "",
        *columns(listed),
        "",
        *columns(curve),
    ]


def _shown(found: Estimate, unit: Unit) -> str:
    factor, name = unit
    error = f" +- {float(found.error) * factor:.1g}" if found.error else ""
    return f"{float(found.mean) * factor:.4g}{error} {name}".rstrip()


def draw_engine(path: Path, engine: GasEngine) -> None:
    """Power and efficiency over the bias and against each other: linear theory (lines) and the loop (points)."""
    units, cold, carnot, driver = GasUnits(engine.cases[0].si), engine.temperature, engine.carnot, engine.driver
    energy, power_unit = units.energy, units.current("energy")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(13.5, 4.4))
        power, efficiency, both = figure.subplots(1, 3)
        for way, legs in engine.linear.items():
            linear = legs.engine
            loads = np.linspace(0.0, linear.stopping_load(driver), 201)
            label, colour = f"linear theory, {way}", COLOURS[way]
            scale = cold * power_unit[0]
            x = loads * cold * energy[0]
            power.plot(x, linear.conversion.power(-loads, driver) * scale, color=colour, label=label)
            efficiency.plot(x, linear.conversion.efficiency(-loads, driver) * carnot, color=colour, label=label)
            draw_branches(both, linear.conversion, linear.best_power(driver) * scale, colour, label, carnot, "YT")
        if engine.simulated:
            loads = np.array([point.load for point in engine.points]) * energy[0]
            powers = _values([point.power for point in engine.points], power_unit[0])
            found = _values([point.efficiency for point in engine.points])
            style: dict[str, Any] = {"fmt": "o", "color": COMPUTED, "markersize": 3, "capsize": 2, "label": "loop"}
            power.errorbar(loads, powers[0], powers[1], **style)
            efficiency.errorbar(loads, found[0], found[1], **style)
            both.errorbar(powers[0], found[0], found[1], powers[1], **style)
        for axis in (power, efficiency):
            axis.set_xlabel(with_unit("bias", energy[1]))
        for axis in (power, both):
            (axis.set_ylabel if axis is power else axis.set_xlabel)(with_unit("power", power_unit[1]))
        efficiency.set_ylabel("efficiency")
        both.set_ylabel("efficiency")
        figure.legend(*both.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        titles = [case.title or f"leg {name}" for name, case in zip("AB", engine.cases, strict=True)]
        entitle(figure, f"{titles[0]}  and  {titles[1]}: Carnot's efficiency {carnot:.3g}")
        save(figure, path)


def _values(found: list[Estimate], factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    means, errors = (np.array([float(getattr(one, part)) for one in found]) * factor for part in ("mean", "error"))
    return means, errors
