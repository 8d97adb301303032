"""Pictures of an engine: power and efficiency against the load and each other; how it runs down."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pnp_exclusion.solution.figures import density_label
from pnp_exclusion.solution.style import PAGE, STYLE, entitle, save, species_colour, with_unit
from pnp_exclusion.studies.coupled.plots import COMPUTED, LINEAR, draw_branches
from pnp_exclusion.studies.coupled.units import Units
from pnp_exclusion.studies.engine.discharge import Discharge
from pnp_exclusion.studies.engine.engine import Engine


def draw_engine(path: Path, engine: Engine) -> None:
    """Computed states (points) beside linear theory (lines)."""
    units, linear, salinity = engine.units, engine.linear, engine.salinity
    conversion = linear.conversion
    volts = (_in_picture(units), "mV" if units.scales.si else "kT/e")
    power_unit = units.power[1] or "kT D/L"
    top = linear.stopping_load(salinity)
    loads = np.linspace(0.0, top, 201)
    points = engine.curve
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 3.2))
        power, efficiency, both = figure.subplots(1, 3)
        power.plot(
            loads * volts[0], conversion.power(-loads, salinity) * units.power[0], color=LINEAR, label="linear theory"
        )
        efficiency.plot(loads * volts[0], conversion.efficiency(-loads, salinity), color=LINEAR, label="linear theory")
        load = [point.load * volts[0] for point in points]
        _dots(power, load, [point.power * units.power[0] for point in points])
        _dots(efficiency, load, [point.efficiency for point in points])
        draw_branches(both, conversion, linear.best_power(salinity) * units.power[0], LINEAR, "linear theory")
        _dots(both, [point.power * units.power[0] for point in points], [point.efficiency for point in points])
        for axis in (power, efficiency):
            axis.set_xlabel(f"voltage of the load [{volts[1]}]")
        power.set_ylabel(with_unit("power", power_unit))
        efficiency.set_ylabel("efficiency")
        both.set_xlabel(with_unit("power", power_unit))
        both.set_ylabel("efficiency")
        figure.legend(*both.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        for axis in (power, efficiency, both):
            axis.set_ylim(bottom=0.0)
            axis.margins(x=0.02)
        titles = [
            solution.setup.case.title or f"leg {name}" for name, solution in zip("AB", engine.solutions, strict=True)
        ]
        entitle(figure, f"{titles[0]}  and  {titles[1]}: salinity {salinity:.3g} kT, Z = {linear.figure_of_merit:.3g}")
        save(figure, path)


def draw_discharge(path: Path, run: Discharge) -> None:
    """Contents, voltage, power and energy over the time."""
    units = run.engine.units
    time = run.times * units.time[0]
    panels = (
        (f"voltage of the load [{'mV' if units.scales.si else 'kT/e'}]", run.voltage * _in_picture(units)),
        (with_unit("power", units.power[1] or "kT D/L"), run.power * units.power[0]),
        (with_unit("energy delivered", units.energy[1] or "kT L"), run.energy * units.energy[0]),
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(PAGE, 4.8))
        axes = figure.subplots(2, 2).ravel()
        for side, style in enumerate(("o-", "s--")):
            for i, name in enumerate(run.species):
                held = run.contents[:, side, i] * units.scales.displayed_concentration
                label = f"{name}, {('first', 'second')[side]} reservoir"
                # the ions of one salt lie on each other: the first shines through
                size = 3 + 2 * (i == 0)
                axes[0].plot(time, held, style, color=species_colour(i), markersize=size, label=label)
        axes[0].set_ylabel(density_label(units.scales))
        axes[0].legend()
        for axis, (label, values) in zip(axes[1:], panels, strict=True):
            axis.plot(time, values, "o-", color=COMPUTED, markersize=3)
            axis.set_ylabel(label)
        axes[3].axhline(run.available * units.energy[0], color=LINEAR, label="free energy of mixing")
        axes[3].legend()
        for axis in axes:
            axis.set_xlabel(with_unit("time", units.time[1] or "L^2/D"))
            axis.set_ylim(bottom=0.0)
        entitle(figure, f"discharge: {run.efficiency:.3g} of the free energy of mixing delivered")
        save(figure, path)


def _in_picture(units: Units) -> float:
    return 1e3 * units.potential[0] if units.scales.si else 1.0


def _dots(axis: Axes, x: list[float], y: list[float]) -> None:
    axis.plot(x, y, "o-", color=COMPUTED, markersize=3, label="computed")
