"""The picture of an engine: power and efficiency against the load, and against each other."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pnp_exclusion.solution.figures import STYLE, plain, save, unit_in_picture
from pnp_exclusion.studies.coupled.plots import COMPUTED, LINEAR, draw_branches
from pnp_exclusion.studies.engine.engine import Engine


def draw_engine(path: Path, engine: Engine) -> None:
    """Computed states (points) beside linear theory (lines)."""
    units, linear, salinity = engine.units, engine.linear, engine.salinity
    conversion = linear.conversion
    volts = (1e3 * units.potential[0], "mV") if units.scales.si else (1.0, "kT/e")
    power_unit = unit_in_picture(units.power[1]) or "kT D/L"
    top = linear.stopping_load(salinity)
    loads = np.linspace(0.0, top, 201)
    points = engine.curve
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(13.5, 4.4))
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
            axis.legend(fontsize=8)
        power.set_ylabel(f"power [{power_unit}]")
        efficiency.set_ylabel("efficiency")
        both.set_xlabel(f"power [{power_unit}]")
        both.set_ylabel("efficiency")
        both.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1.0))
        for axis in (power, efficiency, both):
            axis.set_ylim(bottom=0.0)
            axis.margins(x=0.02)
        titles = [
            plain(solution.setup.case.title or f"leg {name}")
            for name, solution in zip("AB", engine.solutions, strict=True)
        ]
        figure.suptitle(f"{titles[0]}  and  {titles[1]}: salinity {salinity:.3g} kT, Z = {linear.figure_of_merit:.3g}")
        save(figure, path)


def _dots(axis: Axes, x: list[float], y: list[float]) -> None:
    axis.plot(x, y, "o-", color=COMPUTED, markersize=4, linewidth=1.0, label="computed")
