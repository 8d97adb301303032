"""Pictures of sweeps over one or two axes: currents along the axis, or maps of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from pnp_exclusion.plots import LAWSTYLES, STYLE, plain, save, species_colour

MOST_LINES = 8
"""Of one species in a picture: values of a second axis that is drawn as lines."""


def draw_sweep(path: Path, results: xr.Dataset) -> bool:
    """Draw the currents of a grid over one or two axes; return whether there was anything to draw.

    An axis of words, or of few values beside one of many, is drawn as lines; two axes of numbers as maps.
    """
    axes = [str(name) for name in results["converged"].dims]
    if "point" in axes or "current" not in results or len(axes) > 2 or not results["converged"].any():
        return False
    numbers = [name for name in axes if results[name].dtype.kind == "f" and results.sizes[name] > 1]
    with matplotlib.rc_context(STYLE):
        if len(numbers) == 2:
            figure = _maps(results, numbers)
        elif len(numbers) == 1 and all(results.sizes[name] <= MOST_LINES for name in axes if name not in numbers):
            figure = _lines(results, numbers[0], [name for name in axes if name not in numbers])
        else:
            return False
        figure.suptitle(plain(str(results.attrs.get("title", ""))))
        save(figure, path)
    return True


def _lines(results: xr.Dataset, along: str, others: Sequence[str]) -> Figure:
    """Currents over one axis, in a panel of their own for every species if they are drawn for several words."""
    species = [str(name) for name in results["species"].values]
    words = [str(word) for word in results[others[0]].values] if others else [""]
    panels = len(species) if others else 1
    figure = Figure(figsize=(6.4, 2.6 * panels + 1.0))
    drawn = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    x = results[along].values
    for position, name in enumerate(species):
        axis = drawn[position if others else 0]
        for number, word in enumerate(words):
            current = results["current"].sel(species=name)
            values = (current.isel({others[0]: number}) if others else current).values
            style = LAWSTYLES[number % len(LAWSTYLES)]
            axis.plot(x, values, style, color=species_colour(number if others else position), label=word or name)
        if others:
            axis.set_title(name)
    for axis in drawn:
        axis.axhline(0.0, color="0.5", linewidth=0.8)
        axis.set_ylabel(_label(results, "current", _current_in_words(results)))
        axis.legend(loc="best")
    drawn[-1].set_xlabel(_label(results, along, along))
    if _is_logarithmic(x):
        drawn[-1].set_xscale("log")
    return figure


def _maps(results: xr.Dataset, axes: Sequence[str]) -> Figure:
    """The current of every species over two axes; white is none, the black line where it turns."""
    species = [str(name) for name in results["species"].values]
    columns = min(2, len(species))
    rows = -(-len(species) // columns)
    figure = Figure(figsize=(5.2 * columns, 4.3 * rows + 0.4))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    across, up = (results[name].values for name in axes)
    for panel, name in zip(panels.ravel(), species, strict=False):
        values = results["current"].sel(species=name).transpose(*axes[::-1]).values
        largest = float(np.nanmax(np.abs(values))) or 1.0
        shades = panel.pcolormesh(across, up, values, cmap="RdBu_r", vmin=-largest, vmax=largest, shading="nearest")
        if min(values.shape) > 1 and np.nanmin(values) < 0.0 < np.nanmax(values):
            panel.contour(across, up, values, levels=[0.0], colors="black", linewidths=1.0)
        figure.colorbar(shades, ax=panel, label=_label(results, "current", _current_in_words(results)))
        panel.set_title(name)
        panel.grid(False)
        for grid, setter in ((across, panel.set_xscale), (up, panel.set_yscale)):
            if _is_logarithmic(grid):
                setter("log")
    for panel in panels.ravel()[len(species) :]:
        panel.set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel(_label(results, axes[0], axes[0]))
    for panel in panels[:, 0]:
        panel.set_ylabel(_label(results, axes[1], axes[1]))
    return figure


def _current_in_words(results: xr.Dataset) -> str:
    first, second = results["end"].values
    return f"current {first} → {second}"


def _label(results: xr.Dataset, name: str, words: str) -> str:
    unit = results[name].attrs.get("units", "").replace("^2", "²")
    return plain(f"{words} [{unit}]" if unit else words)


def _is_logarithmic(values: np.ndarray) -> bool:
    """Whether values are spaced evenly in their logarithm."""
    if len(values) < 3 or values.min() <= 0.0:
        return False
    steps = np.diff(np.log(values))
    return bool(np.ptp(steps) < 1e-6 * np.abs(steps).max() and np.ptp(np.diff(values)) > 1e-6 * np.ptp(values))
