"""Pictures of sweeps over up to three axes: a quantity in every row, over numbers as lines or as maps.

A row for every quantity; if there are several laws (or another axis of few values) a column for each. Within a panel
the longest axis of numbers runs across. A second axis of few values makes lines, of many a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pnp_exclusion.solution.style import (
    COLUMN,
    LINESTYLES,
    STYLE,
    entitle,
    plain,
    save,
    species_colour,
    unit_in_picture,
    with_unit,
    zero_line,
)

MOST_LINES, MOST_CURVES = 8, 12
"""In a panel: values of an axis that is drawn as lines; of one that makes a family of curves over a potential."""
LEAST_OF_CURVE = 5
"""Values of a potential that run across even where another axis has more."""
MOST_COLUMNS = 4
"""Values of an axis that has a column of panels for each."""


@dataclass(frozen=True)
class Row:
    """One quantity along the axes of a sweep.

    title
        Of its panels.
    label
        Of its values, with their unit.
    signed
        Whether zero is a border worth showing, as for a current that turns.
    """

    title: str
    label: str
    values: xr.DataArray
    signed: bool = True


@dataclass(frozen=True)
class Layout:
    """Which axis of a sweep is drawn how: across every panel, up it (maps) or as lines in it, as columns of panels."""

    across: str
    up: str | None = None
    lines: str | None = None
    columns: str | None = None


def draw_sweep(path: Path, results: xr.Dataset, rows: Sequence[Row]) -> bool:
    """Draw quantities of a grid; return whether there was anything to draw, and few enough axes to draw it over."""
    figure = sweep_figure(results, rows)
    if figure is None:
        return False
    save(figure, path)
    return True


def current_rows(results: xr.Dataset) -> list[Row]:
    """Return the currents of all species, none where there are no two ends."""
    if "current" not in results:
        return []
    first, second = results["end"].values
    label = labelled(results["current"], f"flux {first} → {second}")
    return [Row(str(name), label, results["current"].sel(species=name)) for name in results["species"].values]


def sweep_figure(results: xr.Dataset, rows: Sequence[Row]) -> Figure | None:
    """Return the picture of some quantities of a grid; None where `draw_sweep` draws nothing."""
    axes = [str(name) for name in results["converged"].dims]
    single = {name: 0 for name in axes if results.sizes[name] == 1}
    layout = layout_of(results, [name for name in axes if name not in single])
    if layout is None or "point" in axes or not rows or not results["converged"].any():
        return None
    rows = [Row(row.title, row.label, row.values.isel(single), row.signed) for row in rows]
    with matplotlib.rc_context(STYLE):
        figure = _maps(results, rows, layout) if layout.up else _lines(results, rows, layout)
        entitle(figure, str(results.attrs.get("title", "")))
    return figure


def layout_of(results: xr.Dataset, axes: Sequence[str]) -> Layout | None:
    """Choose how the axes of a grid are drawn; None if there are too many of them, or too many values of one."""

    def is_potential(name: str) -> bool:
        return results.sizes[name] >= LEAST_OF_CURVE and ".potential" in results[name].attrs.get("key", "")

    numbers = [name for name in axes if results[name].dtype.kind in "fi"]
    numbers.sort(key=lambda name: (not is_potential(name), -results.sizes[name]))
    words = [name for name in axes if name not in numbers]
    if not numbers:
        return None
    across, *rest = numbers
    most = MOST_CURVES if is_potential(across) else MOST_LINES
    up = rest.pop(0) if rest and results.sizes[rest[0]] > most else None
    rest += words
    lines = rest.pop(0) if rest and up is None else None
    columns = rest.pop(0) if rest else None
    few = [(lines, most), (columns, MOST_COLUMNS)]
    if rest or any(name is not None and results.sizes[name] > most for name, most in few):
        return None
    return Layout(across, up, lines, columns)


def labelled(array: xr.DataArray, words: str) -> str:
    """Return words for an axis with the unit of what is drawn along it."""
    return plain(with_unit(words, array.attrs.get("units", "")))


def _lines(results: xr.Dataset, rows: Sequence[Row], layout: Layout) -> Figure:
    """Quantities over one axis. Those of one label share a panel where no other axis has the colours."""
    together = layout.lines is None and len({row.label for row in rows}) == 1
    columns = _columns(results, layout)
    shape = (1 if together else len(rows), len(columns))
    figure = Figure(figsize=(1.2 + (COLUMN if len(columns) == 1 else 2.0) * len(columns), 1.7 * shape[0] + 0.7))
    panels = figure.subplots(*shape, sharex=True, sharey="row", squeeze=False)
    x = results[layout.across].values
    for i, row in enumerate(rows):
        beside = panels[0 if together else i]
        for panel, (column, at) in zip(beside, columns, strict=True):
            for name, values, style in _curves(results, row, row.values.isel(at), layout, i):
                panel.plot(x, values, label=name, **style)
            if not together:
                panel.set_title(_title(row, column))
            if row.signed and (i == 0 or not together):
                zero_line(panel)
        beside[0].set_ylabel(row.label)
    figure.align_ylabels(panels[:, 0])
    for panel in panels[-1]:
        panel.set_xlabel(_label(results, layout.across))
        if _is_logarithmic(x):
            panel.set_xscale("log")
    if together or layout.lines:
        title = _label(results, layout.lines) if layout.lines else None
        figure.legend(*panels[0, 0].get_legend_handles_labels(), title=title, loc="outside right upper")
    return figure


def _curves(
    results: xr.Dataset, row: Row, values: xr.DataArray, layout: Layout, position: int
) -> list[tuple[str, np.ndarray, dict[str, Any]]]:
    """Name, values and style of the curves of one panel: by species, by word, or by a number, dark to light."""
    if layout.lines is None:
        return [(row.title, values.values, {"color": species_colour(position)})]
    names = results[layout.lines].values
    found = []
    for number, name in enumerate(names):
        curve = values.isel({layout.lines: number}).values
        if results[layout.lines].dtype.kind in "fi":
            shade = matplotlib.colormaps["viridis"](0.9 * number / max(1, len(names) - 1))
            found.append((f"{name:.4g}", curve, {"color": shade}))
        else:
            style = {"color": species_colour(number), "linestyle": LINESTYLES[number % len(LINESTYLES)]}
            found.append((plain(str(name)), curve, style))
    return found


def _maps(results: xr.Dataset, rows: Sequence[Row], layout: Layout) -> Figure:
    """Quantities over two axes, those of one row in the same shades; the black line is where one turns."""
    assert layout.up is not None
    columns = _columns(results, layout)
    # without columns of their own, rows stand side by side
    across = len(columns) if layout.columns else min(2, len(rows))
    shape = (-(-len(rows) * len(columns) // across), across)
    figure = Figure(figsize=(0.4 + 0.9 * COLUMN * shape[1], 2.5 * shape[0] + 0.4))
    panels = figure.subplots(*shape, squeeze=False, sharex=True, sharey=True)
    for i, row in enumerate(rows):
        beside = panels.ravel()[i * len(columns) : (i + 1) * len(columns)]
        for panel, (column, at) in zip(beside, columns, strict=True):
            values = row.values.isel(at).transpose(layout.up, layout.across).values
            shades = _map(panel, results[layout.across].values, results[layout.up].values, values, row)
            panel.set_title(_title(row, column))
        figure.colorbar(shades, ax=list(beside), label=row.label)
    for panel in panels.ravel()[len(rows) * len(columns) :]:
        panel.set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel(_label(results, layout.across))
    for panel in panels[:, 0]:
        panel.set_ylabel(_label(results, layout.up))
    return figure


def _map(panel: Axes, across: np.ndarray, up: np.ndarray, values: np.ndarray, row: Row) -> Any:
    known = row.values.values[np.isfinite(row.values.values)]
    limits: dict[str, Any] = {"cmap": "viridis", "vmin": known.min(initial=np.inf), "vmax": known.max(initial=-np.inf)}
    if row.signed:
        largest = np.abs(known).max(initial=0.0) or 1.0
        limits = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    shades = panel.pcolormesh(across, up, values, shading="nearest", **limits)
    if row.signed and min(values.shape) > 1 and np.nanmin(values) < 0.0 < np.nanmax(values):
        panel.contour(across, up, values, levels=[0.0], colors="black", linewidths=0.8)
    panel.grid(False)
    for grid, setter in ((across, panel.set_xscale), (up, panel.set_yscale)):
        if _is_logarithmic(grid):
            setter("log")
    return shades


def _columns(results: xr.Dataset, layout: Layout) -> list[tuple[str, dict[str, int]]]:
    """What every column of panels is called, and where along the axes of the sweep it lies."""
    if layout.columns is None:
        return [("", {})]
    axis = results[layout.columns]
    if axis.dtype.kind not in "fi":
        return [(plain(str(word)), {layout.columns: i}) for i, word in enumerate(axis.values)]
    unit, words = unit_in_picture(axis.attrs.get("units", "")), axis.attrs.get("long_name", layout.columns)
    return [(plain(f"{words} {v:.4g} {unit}".rstrip()), {layout.columns: i}) for i, v in enumerate(axis.values)]


def _label(results: xr.Dataset, axis: str) -> str:
    return labelled(results[axis], str(results[axis].attrs.get("long_name", axis)))


def _title(row: Row, column: str) -> str:
    return ", ".join(part for part in (plain(row.title), column) if part)


def _is_logarithmic(values: np.ndarray) -> bool:
    """Whether values are spaced evenly in their logarithm."""
    if len(values) < 3 or values.min() <= 0.0:
        return False
    steps = np.diff(np.log(values))
    return bool(np.ptp(steps) < 1e-6 * np.abs(steps).max() and np.ptp(np.diff(values)) > 1e-6 * np.ptp(values))
