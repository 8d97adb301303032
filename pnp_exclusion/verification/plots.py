"""Pictures of the lattice process beside its continuum: figures, and `draw_...` to write each as one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pnp_exclusion.particles.lattice import Distance, Order
from pnp_exclusion.solution.style import COLUMN, STYLE, entitle, save, species_colour
from pnp_exclusion.verification.compare import HydrodynamicComparison, LatticeRun
from pnp_exclusion.verification.continuum import Continuum
from pnp_exclusion.verification.relax import Relaxation

MOST_ERROR_BARS = 64
"""Sites drawn with an error bar; more would be a band."""
ERROR_BARS_DRAWN = 2.0
"""Standard errors."""


def draw_profiles(path: Path, title: str, comparison: HydrodynamicComparison) -> None:
    """Write `profiles`."""
    _draw(path, profiles, title, comparison)


def draw_convergence(path: Path, title: str, comparison: HydrodynamicComparison) -> None:
    """Write `convergence`."""
    _draw(path, convergence, title, comparison)


def draw_relaxation(path: Path, title: str, relaxation: Relaxation) -> None:
    """Write `relaxing_profiles`."""
    _draw(path, relaxing_profiles, title, relaxation)


def _draw[Content](path: Path, figure_of: Callable[[str, Content], Figure], title: str, content: Content) -> None:
    with matplotlib.rc_context(STYLE):
        save(figure_of(title, content), path)


def profiles(title: str, comparison: HydrodynamicComparison) -> Figure:
    """Measured densities with error bars over the continuum lines, at the smallest and the largest size."""
    continuum = comparison.continuum
    runs = comparison.runs if len(comparison.runs) < 2 else [comparison.runs[0], comparison.runs[-1]]
    figure = Figure(figsize=(COLUMN * len(runs), 2.8))
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for axis, run in zip(panels, runs, strict=True):
        _draw_run(axis, continuum, run)
    panels[0].set_ylabel("volume fraction")
    panels[-1].legend()
    label = "continuum" if continuum.is_limit else "mean field"
    entitle(figure, f"{title}\nlattice (points, {ERROR_BARS_DRAWN:.0f} standard errors) and {label} (lines)")
    return figure


def _draw_run(axis: Axes, continuum: Continuum, run: LatticeRun) -> None:
    x, densities = run.result.process.lattice.positions, run.result.densities
    for a, name in enumerate(continuum.names):
        axis.plot(continuum.curve_x, continuum.curve[a], color=species_colour(a))
        _draw_points(axis, x, densities.mean[a], densities.error[a], species_colour(a), name)
    axis.set_xlabel("x [channel length]")
    axis.set_title(f"n = {run.sites} sites")


def _draw_points(axis: Axes, x: np.ndarray, mean: np.ndarray, error: np.ndarray, colour: object, label: str) -> None:
    every = max(1, len(x) // MOST_ERROR_BARS)
    axis.errorbar(
        x[::every],
        mean[::every],
        ERROR_BARS_DRAWN * error[::every],
        fmt=".",
        markersize=3,
        linewidth=0.7,
        color=colour,
        label=label,
    )


def convergence(title: str, comparison: HydrodynamicComparison) -> Figure:
    """Distances of densities and currents from the continuum against 1/n, with the fitted order."""
    runs, current = comparison.runs, comparison.continuum.units.current
    found = [run.comparison.current_distance for run in runs]
    of_currents = [Distance(distance.value * current, distance.error * current) for distance in found]
    of_densities = [run.comparison.density_distance for run in runs]
    order = comparison.order_of_currents
    figure = Figure(figsize=(COLUMN, 3.0))
    axis = figure.subplots()
    inverse = np.array([1.0 / run.sites for run in runs])
    in_units = order._replace(amplitude=order.amplitude * current) if order else None
    _draw_distances(axis, inverse, "currents", of_currents, in_units, "o", species_colour(0))
    _draw_distances(axis, inverse, "densities", of_densities, comparison.order_of_densities, "s", species_colour(1))
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(inverse, [f"1/{run.sites}" for run in runs])
    axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    _label_round_numbers(axis)
    axis.set_xlabel("1/n")
    axis.set_ylabel("rms distance from the continuum\n(currents in D/L, densities as fractions)")
    entitle(figure, title)
    axis.legend()
    return figure


def _label_round_numbers(axis: Axes) -> None:
    """Label a logarithmic axis at round numbers, enough of them even if it spans less than a decade."""
    low, high = axis.get_ylim()
    short = high < 10.0 * low
    axis.yaxis.set_major_locator(
        matplotlib.ticker.AutoLocator() if short else matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0))
    )
    axis.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:.4g}"))
    axis.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())


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
    clear = np.array([d.clear for d in distances])
    fitted = order is not None and np.isfinite(order.order)
    if clear.any():
        label = f"{name}: order {order.order:.2f} ± {order.error:.2f}" if fitted and order else name
        axis.errorbar(inverse[clear], values[clear], errors[clear], fmt=marker, color=colour, label=label)
    if not clear.all():
        # lost in its noise: an upper bound of two standard errors
        bound = values[~clear] + 2.0 * errors[~clear]
        axis.plot(inverse[~clear], bound, "v", color=colour, fillstyle="none", label=f"{name}: at most")
    if fitted and order:
        axis.plot(inverse, order.amplitude * inverse**order.order, "--", color=colour)


def relaxing_profiles(title: str, relaxation: Relaxation) -> Figure:
    """Mean densities at several times, with error bars, over those of the reference (lines)."""
    result, course = relaxation.result, relaxation.course
    continuum = course.continuum
    x, densities = result.process.lattice.positions, result.densities
    figure = Figure(figsize=(COLUMN * len(continuum.names), 2.8))
    panels = figure.subplots(1, len(continuum.names), sharey=True, squeeze=False)[0]
    for a, (axis, name) in enumerate(zip(panels, continuum.names, strict=True)):
        for moment, time in enumerate(relaxation.times):
            colour = matplotlib.colormaps["viridis"](0.9 * moment / max(1, len(relaxation.times) - 1))
            axis.plot(continuum.curve_x, course.curves[moment, a], color=colour)
            mean, error = densities.mean[moment, a], densities.error[moment, a]
            _draw_points(axis, x, mean, error, colour, f"t = {time:g} L²/D")
        axis.set_title(name)
        axis.set_xlabel("x [channel length]")
    panels[0].set_ylabel("volume fraction")
    panels[-1].legend()
    entitle(figure, f"{title}\nlattice (points, 2 standard errors) and {course.reference} (lines)")
    return figure
