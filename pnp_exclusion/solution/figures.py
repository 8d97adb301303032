"""Pictures of one solution as figures of matplotlib: profiles along an interval, a slice above one dimension."""

from __future__ import annotations

import io
import math
import re
import textwrap
from pathlib import Path
from typing import IO, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.observe.sample import Profile, Slice

SPECIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
TITLE_WIDTH = 70
"""Characters to a line: what the narrowest picture holds."""
TALL = 1.8
"""Times its width: the height of a slice from which on its panels stand side by side."""
ROUNDING_OF_POTENTIALS = 1e-9
"""kT/e; no picture of a potential that stays below it can show anything else than errors of the solver."""
STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.dpi": 130,
    "figure.constrained_layout.use": True,
}


class Picture(Figure):
    """A figure that draws itself: no window, and shown by a notebook without pyplot."""

    def _repr_png_(self) -> bytes:
        drawn = io.BytesIO()
        save(self, drawn)
        return drawn.getvalue()


def save(figure: Figure, target: Path | IO[bytes]) -> None:
    """Write a figure as PNG into a file, by its path or open."""
    # ticks are made, and take their style, as they are drawn
    with matplotlib.rc_context(STYLE):
        FigureCanvasAgg(figure).print_png(target)


def species_colour(position: int) -> str:
    """Return the colour of a species by its position in the case."""
    return SPECIES_COLOURS[position % len(SPECIES_COLOURS)]


def density_label(scales: Scales) -> str:
    """Return what densities are called in pictures, with their unit."""
    return "concentration [mol/L]" if scales.si else "occupied fraction"


def length_label(letter: str, scales: Scales) -> str:
    """Return what an axis of space is called, with its unit."""
    return f"{letter} [{scales.length_unit}]" if scales.si else f"{letter} [L]"


def unit_in_picture(unit: str) -> str:
    """Return a unit with its powers raised."""
    return re.sub(r"\^([2346])", lambda power: "²³⁴⁶"["2346".index(power[1])], unit)


def potential_in_display(scales: Scales) -> tuple[float, str]:
    """Return kT/e in the unit of pictures, and what the potential is called."""
    return (scales.potential * 1e3, "potential [mV]") if scales.si else (1.0, "potential [kT/e]")


def profiles_picture(case: Case, scales: Scales, profile: Profile) -> Picture:
    """Return densities over x, with Poisson the potential and under a law with one the temperature below them.

    Regions with fixed charge are shaded.
    """
    with matplotlib.rc_context(STYLE):
        below = [profile.potential is not None, profile.temperature is not None]
        rows = 1 + sum(below)
        figure = Picture(figsize=(6.4, 2.9 * rows + 0.5))
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False)
        densities = axes[0, 0]
        x = profile.x * scales.length_in_unit
        shown = profile.rho * scales.displayed_contents[:, None]
        for position, (name, rho) in enumerate(zip(case.species_names, shown, strict=True)):
            densities.plot(x, rho, color=species_colour(position), label=name)
        densities.set_ylabel(density_label(scales))
        if case.model.flux_law.crowded and scales.is_one_size:
            _packing_axis(densities, scales)
        if profile.potential is not None:
            factor, label = potential_in_display(scales)
            axes[1, 0].plot(x, _without_rounding(profile.potential) * factor, color="black")
            axes[1, 0].set_ylabel(label)
        if profile.temperature is not None:
            axes[-1, 0].plot(x, profile.temperature, color="black")
            axes[-1, 0].set_ylabel("temperature")
        for axis in axes[:, 0]:
            shade_fixed_charge(axis, x, profile.fixed_charge)
        densities.legend(loc="best")
        axes[-1, 0].set_xlabel(length_label("x", scales))
        axes[-1, 0].set_xlim(x[0], x[-1])
        densities.set_title(title_of(case))
        return figure


def _without_rounding(potential: np.ndarray) -> np.ndarray:
    """Return a potential in kT/e as it is drawn: exactly zero where nothing but rounding makes it differ from that."""
    return potential if np.nanmax(np.abs(potential)) > ROUNDING_OF_POTENTIALS else np.zeros_like(potential)


def _packing_axis(axis: Axes, scales: Scales) -> None:
    if not scales.si:
        return
    full = scales.displayed_concentration
    twin = axis.secondary_yaxis("right", functions=(lambda c: c / full, lambda rho: rho * full))
    twin.set_ylabel("occupied fraction")


def shade_fixed_charge(axis: Axes, x: np.ndarray, fixed_charge: np.ndarray) -> None:
    """Shade the regions with fixed charge."""
    axis.fill_between(
        x,
        0.0,
        1.0,
        where=fixed_charge != 0.0,
        transform=axis.get_xaxis_transform(),
        color="0.5",
        alpha=0.15,
        linewidth=0.0,
        label="fixed charge" if fixed_charge.any() else None,
    )


def title_of(case: Case) -> str:
    """Return the title of a case with its law."""
    parameters = ", ".join(f"{name} = {value:g}" for name, value in case.model.flux_law.parameters.items())
    law = case.model.law + (f" ({parameters})" if parameters else "")
    return textwrap.fill(f"{plain(case.title)} — {law}", TITLE_WIDTH) if case.title else law


def plain(text: str) -> str:
    """Return a text that matplotlib shows as it is written: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def slice_picture(case: Case, scales: Scales, cut: Slice) -> Picture:
    """Return every field in a plane; streamlines of each flux over its density, of the current over the potential."""
    panels: list[tuple[str, np.ndarray, np.ndarray | None]] = []
    if cut.potential is not None:
        factor, label = potential_in_display(scales)
        charges = np.array([species.charge for species in case.species])
        current = np.einsum("a,aiuv->iuv", charges, cut.flux[: len(charges)])
        panels.append((f"{label}; lines: electric current", _without_rounding(cut.potential) * factor, current))
    if cut.temperature is not None:
        panels.append(("temperature; lines: energy flux", cut.temperature, cut.flux[-1]))
    shown = cut.rho * scales.displayed_contents[:, None, None]
    for name, rho, flux in zip(case.species_names, shown, cut.flux[: len(cut.rho)], strict=True):
        unit = "[mol/L]" if scales.si else "(occupied fraction)"
        panels.append((f"{name} {unit}; lines: flux", rho, flux))
    if case.model.flux_law.crowded:
        packing = np.tensordot(np.array(scales.sizes), cut.rho, 1)
        panels.append(("packing (occupied fraction)", packing, None))
    across, up = (drawn_grid(grid * scales.length_in_unit) for grid in cut.grid)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        height, width = np.ptp(up), np.ptp(across)
        if height > TALL * width:
            columns, panel_width, panel_height = len(panels), 3.4, 5.5
        else:
            columns = 2 if height > 0.45 * width else 1
            panel_width = 4.6 if columns == 2 else 7.0
            panel_height = (panel_width - 1.0) * min(1.1, height / width)
        rows = -(-len(panels) // columns)
        figure = Picture(figsize=(panel_width * columns + 0.8, (panel_height + 0.7) * rows + 0.5))
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axis, (label, values, flux) in zip(axes.ravel(), panels, strict=False):
            _draw_panel(figure, axis, across, up, label, values, flux)
        for axis in axes.ravel()[len(panels) :]:
            axis.set_visible(False)
        letters = axis_letters(case)
        for axis in axes[:, 0]:
            axis.set_ylabel(length_label(letters[cut.axes[1]], scales))
        for axis in axes[-1, :]:
            axis.set_xlabel(length_label(letters[cut.axes[0]], scales))
        plane = "" if cut.offset is None else f"\nplane {_plane(cut, scales)}"
        figure.suptitle(title_of(case) + plane)
        return figure


def axis_letters(case: Case) -> str:
    """What the axes of space are called in pictures."""
    if getattr(case.domain, "coordinates", "cartesian") == "cartesian":
        return "xyz"
    return "rz" if case.domain.radial == 0 else "zr"  # type: ignore[union-attr]


def drawn_grid(grid: np.ndarray) -> np.ndarray:
    """Return the positions of a slice without the hair by which it begins inside the domain: zero has its tick."""
    return np.round(grid, 6 - math.ceil(math.log10(np.ptp(grid))))


def _plane(cut: Slice, scales: Scales) -> str:
    """Name the plane of a cut through three dimensions, e.g. "z = 5 nm"."""
    normal = "xyz"[3 - sum(cut.axes)]
    return f"{normal} = {(cut.offset or 0.0) * scales.length_in_unit:.4g} {scales.length_unit}".rstrip()


def _draw_panel(
    figure: Figure,
    axis: Axes,
    across: np.ndarray,
    up: np.ndarray,
    label: str,
    values: np.ndarray,
    flux: np.ndarray | None,
) -> None:
    shown = axis.pcolormesh(
        across,
        up,
        np.ma.masked_invalid(values),
        shading="gouraud" if np.isfinite(values).all() else "auto",
        cmap="viridis",
        rasterized=True,
    )
    figure.colorbar(shown, ax=axis, shrink=0.9)
    axis.set_title(label, fontsize=10)
    axis.set_aspect("equal")
    axis.set_facecolor("0.85")
    if flux is not None and np.nanmax(np.abs(flux)) > 0.0:
        # streamplot wants grids that are even to round-off
        even = [np.linspace(grid[0], grid[-1], len(grid)) for grid in (across, up)]
        axis.streamplot(
            even[0],
            even[1],
            np.ma.masked_invalid(flux[0]),
            np.ma.masked_invalid(flux[1]),
            color="white",
            linewidth=0.7,
            density=0.8,
            arrowsize=0.8,
        )
    axis.set_xlim(across[0], across[-1])
    axis.set_ylim(up[0], up[-1])
