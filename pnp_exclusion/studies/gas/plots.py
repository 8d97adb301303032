"""Pictures of a gas. Each function writes one file."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.solution.style import COLUMN, STYLE, entitle, save, species_colour, with_unit
from pnp_exclusion.studies.gas.run import GasRun
from pnp_exclusion.studies.gas.setup import GasUnits, Unit

LARGEST = 1e3
"""Of the numbers of an axis in SI: from it on, the axis takes the next larger unit."""
_PREFIXES = (("", 1.0), ("m", 1e3), ("u", 1e6), ("n", 1e9), ("p", 1e12))


def draw_profiles(path: Path, run: GasRun) -> None:
    """Density and temperature of every kind over the position, bands of two standard errors."""
    result, units = run.result, GasUnits(run.case.si)
    length, unit = _length(run)
    x = result.positions * length
    density = (1.0 / length, f"1/{unit}" if unit else "")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 3.8))
        above, below = figure.subplots(2, 1, sharex=True)
        for a, kind in enumerate(run.gas.kinds):
            _band(above, x, result.densities, a, density, kind.name)
            _band(below, x, result.temperatures, a, units.temperature, kind.name)
        ends = run.gas.temperatures * units.temperature[0]
        below.plot([0.0, run.gas.length * length], ends, "ks", markersize=4, clip_on=False, label="reservoirs")
        above.set_ylabel(with_unit("density", density[1]))
        below.set_ylabel(with_unit("temperature", units.temperature[1]))
        below.set_xlabel(with_unit("x", unit))
        below.set_xlim(0.0, run.gas.length * length)
        above.set_ylim(bottom=0.0)
        for axis in (above, below):
            axis.legend()
        figure.align_ylabels()
        entitle(figure, f"{run.case.title or 'gas'}\n{_currents(run)}")
        save(figure, path)


def _length(run: GasRun) -> Unit:
    """The unit of positions, in which the length is a number that can be read."""
    if not run.case.si:
        return 1.0, ""
    prefix, factor = next(one for one in reversed(_PREFIXES) if one[1] * run.gas.length < LARGEST)
    return factor, f"{prefix}m"


def _band(axis: Axes, x: np.ndarray, found: Estimate, a: int, unit: Unit, label: str) -> None:
    mean, error = found.mean[a] * unit[0], 2.0 * found.error[a] * unit[0]
    axis.plot(x, mean, color=species_colour(a), label=label)
    axis.fill_between(x, mean - error, mean + error, color=species_colour(a), alpha=0.25, linewidth=0.0)


def _currents(run: GasRun) -> str:
    units, words = GasUnits(run.case.si), []
    for a, name in enumerate(run.names):
        factor, unit = units.current(name)
        value, error = run.result.currents.mean[a] * factor, run.result.currents.error[a] * factor
        words.append(f"{name} {value:.3g} ± {error:.1g} {unit}".rstrip() + f" ({run.regimes[name]})")
    return "current: " + ", ".join(words)
