"""Pictures of coupled transport. Each function writes one file."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.colors
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from pnp_exclusion.case.scales import Scales
from pnp_exclusion.solution.figures import length_label
from pnp_exclusion.solution.style import COLUMN, STYLE, entitle, save, with_unit
from pnp_exclusion.studies.coupled.conversion import Conversion, trade_off
from pnp_exclusion.studies.coupled.coupling import EnergyConversion
from pnp_exclusion.studies.coupled.entropy import EntropyProfile, EntropySlice
from pnp_exclusion.studies.coupled.units import Units

LINEAR, COMPUTED, HERE = "#0072b2", "#d55e00", "#009e73"
SHARES = 1.0 - np.linspace(0.0, 1.0, 201) ** 2
"""Of the maximum power: dense near one, where the branches meet."""
DECADES = 6.0
"""Of the dissipation that a picture shows."""


def draw_power_efficiency(path: Path, title: str, conversion: EnergyConversion, units: Units) -> None:
    """Efficiency over power on both branches: linear theory, and steady states at the case's own driving force."""
    strength = float(conversion.strengths[1])
    greatest = conversion.reference.best_power(strength) if strength else 1.0
    scale = units.power[0] if strength else 1.0
    load, driver = (direction.name for direction in conversion.pair)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN * 1.4, 3.8))
        axis = figure.subplots()
        label = "linear theory about equilibrium"
        draw_branches(axis, conversion.reference, greatest * scale, LINEAR, label)
        if conversion.curve:
            axis.plot(
                [point.power * scale for point in conversion.curve],
                [point.efficiency for point in conversion.curve],
                "o-",
                color=COMPUTED,
                markersize=4,
                linewidth=1.0,
                label=f"computed, {driver} at {strength:.3g} kT",
            )
            for best, marker in ((conversion.best_power, "s"), (conversion.best_efficiency, "^")):
                if best is not None:
                    axis.plot(best.power * scale, best.efficiency, marker, color=COMPUTED, markersize=6)
        here = conversion.point
        if here.lifts:
            axis.plot(here.power * scale, here.efficiency, "*", color=HERE, markersize=13, label="the case itself")
        unit = units.power[1] or "kT D/L"
        axis.set_xlabel(with_unit("power taken up by the load", unit) if strength else "power over the maximum power")
        axis.set_ylabel("efficiency")
        axis.set_xlim(left=0.0)
        axis.set_ylim(bottom=0.0)
        entitle(figure, f"{title}\nload: {load}, driver: {driver}".strip())
        figure.legend(loc="outside lower center", ncols=2)
        save(figure, path)


def draw_branches(
    axis: Axes,
    linear: Conversion,
    greatest: float,
    colour: str,
    label: str,
    carnot: float = 1.0,
    merit_name: str = "Z",
) -> None:
    """Draw both branches of the trade-off, and mark greatest efficiency and maximum power."""
    merit = linear.figure_of_merit
    if not merit > 0.0:
        return
    efficient, wasteful = (carnot * branch for branch in trade_off(merit, SHARES))
    best = carnot * linear.efficiency_at_best_power
    axis.plot(SHARES * greatest, efficient, color=colour, label=f"{label}, {merit_name} = {merit:.3g}")
    axis.plot(SHARES * greatest, wasteful, "--", color=colour, label="the same, loads below that of maximum power")
    axis.plot(greatest, best, "s", color=colour, markersize=5, label="maximum power")
    top = int(np.argmax(efficient))
    axis.plot(SHARES[top] * greatest, efficient[top], "^", color=colour, markersize=6, label="greatest efficiency")


def draw_entropy_profile(path: Path, title: str, scales: Scales, profile: EntropyProfile) -> None:
    """The density of the entropy production along an interval."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 2.5))
        axis = figure.subplots()
        axis.plot(profile.x * scales.length_in_unit, _density(profile.density, scales), color="black")
        axis.set_xlabel(length_label("x", scales))
        axis.set_ylabel(_density_label(scales))
        axis.set_xlim(profile.x[0] * scales.length_in_unit, profile.x[-1] * scales.length_in_unit)
        axis.set_ylim(bottom=0.0)
        entitle(figure, title)
        save(figure, path)


def draw_entropy_slice(path: Path, title: str, scales: Scales, cut: EntropySlice) -> None:
    """The density of the entropy production in a plane, by its logarithm."""
    across, up = (cut.points * scales.length_in_unit).T
    density = _density(cut.density, scales)
    top = float(density.max())
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        ratio = float(np.ptp(up) / np.ptp(across))
        figure = Figure(figsize=(COLUMN, 0.7 + min(3.4, (COLUMN - 1.1) * ratio)))
        axis = figure.subplots()
        floor = max(float(density.min()), top * 10.0**-DECADES)
        norm = matplotlib.colors.LogNorm(floor, top) if floor < top else None
        mesh = Triangulation(across, up, triangles=np.arange(len(across)).reshape(-1, 3))
        shown = axis.tripcolor(
            mesh, np.maximum(density, floor), shading="gouraud", cmap="magma", norm=norm, rasterized=True
        )
        figure.colorbar(shown, ax=axis, label=_density_label(scales))
        for letter, label in zip((cut.axes[0], cut.axes[1]), (axis.set_xlabel, axis.set_ylabel), strict=True):
            label(length_label("xyz"[letter], scales))
        axis.set_aspect("equal")
        axis.set_facecolor("0.85")
        entitle(figure, title)
        save(figure, path)


def _density(values: np.ndarray, scales: Scales) -> np.ndarray:
    return values * (scales.flux / scales.length)


def _density_label(scales: Scales) -> str:
    return with_unit("entropy production", "kT mol/m^3/s" if scales.si else "kT D/L^2")
