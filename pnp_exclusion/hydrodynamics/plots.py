"""Pictures of the lattice process beside its continuum. Each function writes one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pnp_exclusion.hydrodynamics.compare import HydrodynamicComparison, LatticeRun
from pnp_exclusion.lattice import Distance, Order, RelaxationResult
from pnp_exclusion.plots import STYLE, plain, save, species_colour

MOST_ERROR_BARS = 64
"""Sites drawn with an error bar; more would be a band."""
ERROR_BARS_DRAWN = 2.0
"""Standard errors."""


def draw_profiles(path: Path, title: str, species: Sequence[str], comparison: HydrodynamicComparison) -> None:
    """Measured densities with error bars over the continuum lines, at the smallest and the largest size."""
    runs = comparison.runs if len(comparison.runs) < 2 else [comparison.runs[0], comparison.runs[-1]]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2 * len(runs), 4.2))
        panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
        for axis, run in zip(panels, runs, strict=True):
            _draw_run(axis, species, run)
        panels[0].set_ylabel("occupied fraction")
        panels[-1].legend(fontsize=8)
        label = "continuum" if comparison.is_limit else "mean field"
        figure.suptitle(f"{plain(title)}\nlattice (points, {ERROR_BARS_DRAWN:.0f} standard errors) and {label} (lines)")
        save(figure, path)


def _draw_run(axis: Axes, species: Sequence[str], run: LatticeRun) -> None:
    x = run.result.process.lattice.positions
    every = max(1, len(x) // MOST_ERROR_BARS)
    densities = run.result.densities
    for a, name in enumerate(species):
        axis.plot(x, run.densities[a], color=species_colour(a), linewidth=1.2)
        axis.errorbar(
            x[::every],
            densities.mean[a][::every],
            ERROR_BARS_DRAWN * densities.error[a][::every],
            fmt=".",
            markersize=4,
            linewidth=0.9,
            color=species_colour(a),
            label=name,
        )
    axis.set_xlabel("x [channel length]")
    axis.set_title(f"n = {run.sites} sites", fontsize=10)


def draw_convergence(path: Path, title: str, comparison: HydrodynamicComparison) -> None:
    """Distances of densities and currents from the continuum against 1/n, with the fitted order."""
    kinds = {
        "currents": ([run.comparison.current_distance for run in comparison.runs], comparison.order_of_currents, "o"),
        "densities": ([run.comparison.density_distance for run in comparison.runs], comparison.order_of_densities, "s"),
    }
    inverse = np.array([1.0 / run.sites for run in comparison.runs])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.0, 4.4))
        axis = figure.subplots()
        for position, (name, (distances, order, marker)) in enumerate(kinds.items()):
            _draw_distances(axis, inverse, name, distances, order, marker, species_colour(position))
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks(inverse, [f"1/{run.sites}" for run in comparison.runs])
        axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axis.yaxis.set_minor_formatter(matplotlib.ticker.LogFormatter(minor_thresholds=(1.5, 0.5)))
        axis.set_xlabel("1/n")
        axis.set_ylabel("rms distance from the continuum\n(currents in D/L, densities as fractions)")
        axis.set_title(plain(title))
        axis.legend(fontsize=9)
        save(figure, path)


def _draw_distances(
    axis: Axes,
    inverse: np.ndarray,
    name: str,
    distances: Sequence[Distance],
    order: Order | None,
    marker: str,
    colour: str,
) -> None:
    values, errors = (np.array([getattr(d, key) for d in distances]) for key in ("value", "error"))
    clear = values > errors
    fitted = order is not None and np.isfinite(order.order)
    label = f"{name}: order {order.order:.2f} ± {order.error:.2f}" if fitted and order else name
    axis.errorbar(inverse[clear], values[clear], errors[clear], fmt=marker, color=colour, label=label)
    if (~clear).any():
        # lost in its noise: an upper bound of two standard errors
        bound = values[~clear] + 2.0 * errors[~clear]
        axis.plot(inverse[~clear], bound, "v", color=colour, fillstyle="none", label=f"{name}: at most")
    if fitted and order:
        axis.plot(inverse, order.amplitude * inverse**order.order, "--", color=colour, linewidth=1.0)


def draw_relaxation(
    path: Path, title: str, species: Sequence[str], result: RelaxationResult, exact: np.ndarray
) -> None:
    """Mean densities at several times after a step, with error bars, over the heat kernels (lines)."""
    x = result.process.lattice.positions
    every = max(1, len(x) // MOST_ERROR_BARS)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(species) + 0.6, 4.2))
        panels = figure.subplots(1, len(species), sharey=True, squeeze=False)[0]
        for a, (axis, name) in enumerate(zip(panels, species, strict=True)):
            for moment, time in enumerate(result.times):
                colour = matplotlib.colormaps["viridis"](0.9 * moment / max(1, len(result.times) - 1))
                axis.plot(x, exact[moment, a], color=colour, linewidth=1.2)
                axis.errorbar(
                    x[::every],
                    result.densities.mean[moment, a][::every],
                    ERROR_BARS_DRAWN * result.densities.error[moment, a][::every],
                    fmt=".",
                    markersize=4,
                    linewidth=0.9,
                    color=colour,
                    label=f"t = {time:g} L²/D",
                )
            axis.set_title(name, fontsize=10)
            axis.set_xlabel("x [channel length]")
        panels[0].set_ylabel("occupied fraction")
        panels[-1].legend(fontsize=8)
        figure.suptitle(f"{plain(title)}\nlattice (points, 2 standard errors) and heat equation (lines)")
        save(figure, path)
