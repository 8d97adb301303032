"""Pictures of one solution as figures of matplotlib: profiles along an interval, a slice above one dimension."""

from __future__ import annotations

import math
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.observe.sample import Profile, Slice
from pnp_exclusion.solution.style import (
    COLUMN,
    PAGE,
    STYLE,
    Picture,
    entitle,
    species_colour,
    ticks,
    unit_in_picture,
    with_unit,
    wrapped,
)

ROW = 1.6
"""Inches: the height of a row of profiles."""
BAR = 0.1
"""Inches: the width of a bar of colours."""
TALL = 1.8
"""Times its width: the height of a slice from which on its panels stand side by side."""
FLATTEST = 5.0
"""Length over width of a slice up to which both are drawn to one scale."""
ROUNDING_OF_POTENTIALS = 1e-9
"""kT/e; no picture of a potential that stays below it can show anything else than errors of the solver."""
THIN, IN_LAYER = 0.1, 0.9
"""Of an interval, and of what a field varies in one half of it: if so much of that is in a layer so thin at the end the
layer has a panel of its own."""
MOSTLY, SEEN = 0.5, 0.02
"""Of what a field varies on the whole, and of what all densities vary: less in a half of an interval does not count."""
DWARFED = 0.02
"""Of the largest density: if half of the interval has less of every species the axis is logarithmic."""
DECADES = 6.0
"""That it then has at most."""
LAYERED = 6.0
"""Times the median over the area of a slice: from this maximum of a density on colours go by its logarithm."""


def density_label(scales: Scales) -> str:
    """Return what densities are called in pictures, with their unit."""
    return with_unit("concentration", "mol/L") if scales.si else "volume fraction"


def length_label(letter: str, scales: Scales) -> str:
    """Return what an axis of space is called, with its unit."""
    return f"{letter} [{scales.length_unit}]" if scales.si else f"{letter} [L]"


def potential_in_display(scales: Scales) -> tuple[float, str]:
    """Return kT/e in the unit of pictures, and what the potential is called."""
    return (scales.potential * 1e3, "potential [mV]") if scales.si else (1.0, "potential [kT/e]")


def potential_label(case: Case, scales: Scales) -> str:
    """Return what the potential is called, which has no part of the fields that the case imposes on its ions."""
    words = potential_in_display(scales)[1]
    imposed = any(one.charge and one.field is not None for one in case.species)
    return words.replace("potential", "potential without the imposed field") if imposed else words


@dataclass(frozen=True)
class Stretch:
    """A part of an interval with a column of panels: its ends, and what it is called."""

    low: float
    high: float
    name: str = ""


def profiles_picture(case: Case, scales: Scales, profile: Profile) -> Picture:
    """Return densities over x, with Poisson the potential and under a law with one the temperature below them.

    Regions with fixed charge are shaded. Thin layers at the ends have columns of their own beside the whole.
    """
    with matplotlib.rc_context(STYLE):
        x = profile.x * scales.length_in_unit
        rho = profile.rho * scales.displayed_contents[:, None]
        of_species = np.abs(np.diff(profile.rho * np.array(scales.sizes)[:, None]))
        potential = [] if profile.potential is None else [np.abs(np.diff(profile.potential))]
        # of what there is little of nothing can be seen
        stretches = stretches_of(x, [one for one in of_species if one.sum() > SEEN * of_species.sum()] + potential)
        rows = 1 + (profile.potential is not None) + (profile.temperature is not None)
        width = COLUMN if len(stretches) == 1 else PAGE * (0.75 if len(stretches) == 2 else 1.0)
        figure = Picture(figsize=(width, ROW * rows + 0.8))
        ratios = [1.0 if stretch.name else 1.6 for stretch in stretches]
        grid = figure.subplots(rows, len(stretches), sharey="row", squeeze=False, width_ratios=ratios)
        for axes, stretch in zip(grid.T, stretches, strict=True):
            densities = axes[0]
            for position, (name, values) in enumerate(zip(case.species_names, rho, strict=True)):
                densities.plot(x, values, color=species_colour(position), label=name)
            if profile.potential is not None:
                factor, _ = potential_in_display(scales)
                axes[1].plot(x, _without_rounding(profile.potential) * factor, color="black")
            if profile.temperature is not None:
                axes[-1].plot(x, profile.temperature, color="black")
            for axis in axes:
                shade_fixed_charge(axis, x, profile.fixed_charge)
                axis.set_xlim(stretch.low, stretch.high)
                axis.xaxis.set_major_locator(ticks(4 if stretch.name else 6))
                axis.tick_params(labelbottom=axis is axes[-1])
            densities.set_title(stretch.name)
            axes[-1].set_xlabel(length_label("x", scales))
        _densities_axis(grid[0, 0], rho, x)
        grid[0, 0].set_ylabel(density_label(scales))
        if case.model.flux_law.crowded and scales.is_one_size:
            _packing_axis(grid[0, -1], scales)
        if profile.potential is not None:
            grid[1, 0].set_ylabel(wrapped(potential_label(case, scales), ROW))
        if profile.temperature is not None:
            grid[-1, 0].set_ylabel("temperature")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside lower center", ncols=min(len(names), 3 if len(stretches) == 1 else 6)
        )
        figure.align_ylabels(grid[:, 0])
        entitle(figure, title_of(case))
        return figure


def stretches_of(x: np.ndarray, variations: list[np.ndarray]) -> list[Stretch]:
    """Return which parts of an interval have a column of their own: thin layers at its ends, and the whole.

    variations
        Of every field how much it changes from each node to the next.
    """
    low, high = float(x[0]), float(x[-1])
    extent, found = high - low, {}
    for end in (low, high):
        depth = np.abs(x - end)
        far = np.maximum(depth[1:], depth[:-1])
        near = far <= 0.5 * extent
        order = np.argsort(far[near])
        widths = []
        for steps in variations:
            share = np.cumsum(steps[near][order])
            if share[-1] > MOSTLY * steps.sum() / 2.0 and steps.sum() > ROUNDING_OF_POTENTIALS:
                widths.append(float(far[near][order][np.searchsorted(share, IN_LAYER * share[-1])]))
        widths = [width for width in widths if width < THIN * extent]
        if widths:
            found[end] = min(THIN * extent, 2.0 * max(widths))
    stretches = [Stretch(low, high)]
    if low in found:
        stretches.insert(0, Stretch(low, low + found[low], "left end"))
    if high in found:
        stretches.append(Stretch(high - found[high], high, "right end"))
    return stretches


def _densities_axis(axis: Axes, rho: np.ndarray, x: np.ndarray) -> None:
    """Make an axis of densities logarithmic where most of them would lie on its bottom."""
    top = float(rho.max())
    half = np.interp(np.linspace(x[0], x[-1], 201), x, rho.max(axis=0))
    if top > 0.0 and np.median(half) < DWARFED * top:
        axis.set_yscale("log")
        axis.set_ylim(bottom=max(0.5 * float(rho[rho > 0.0].min()), top * 10.0**-DECADES), top=2.0 * top)


def _without_rounding(potential: np.ndarray) -> np.ndarray:
    """Return a potential in kT/e as it is drawn: exactly zero where nothing but rounding makes it differ from that."""
    return potential if np.nanmax(np.abs(potential)) > ROUNDING_OF_POTENTIALS else np.zeros_like(potential)


def _packing_axis(axis: Axes, scales: Scales) -> None:
    if not scales.si:
        return
    full = scales.displayed_concentration
    twin = axis.secondary_yaxis("right", functions=(lambda c: c / full, lambda rho: rho * full))
    twin.set_ylabel("volume fraction")


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
    parameters = ", ".join(f"{name}\u00a0=\u00a0{value:g}" for name, value in case.model.flux_law.parameters.items())
    law = case.model.law + (f" ({parameters})" if parameters else "")
    return f"{case.title} — {law}" if case.title else law


@dataclass(frozen=True)
class _Panel:
    """A field of a slice at the corners of its triangles, and the vectors whose lines are drawn over it."""

    title: str
    values: np.ndarray
    lines: np.ndarray | None = None
    is_density: bool = False


def slice_picture(case: Case, scales: Scales, cut: Slice) -> Picture:
    """Return every field in a plane, triangle by triangle, and lines of its flux, over the potential of the current.

    A plane that is many times as long as wide is stretched, and says so.
    """
    panels = _panels(case, scales, cut)
    across, up = (drawn_grid(grid * scales.length_in_unit) for grid in cut.grid)
    ratio = float(np.ptp(up) / np.ptp(across))
    box = float(np.clip(ratio, 1.0 / FLATTEST, FLATTEST))
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        if box > TALL:
            columns = min(len(panels), 4)
            width = PAGE / max(columns, 3)
            height = min(4.2, box * (width - 0.8))
        else:
            columns = min(len(panels), 2)
            width = PAGE / 2.0
            height = box * (width - 0.9)
        rows = -(-len(panels) // columns)
        figure = Picture(figsize=(width * columns, (height + 0.45) * rows + 0.5))
        figure.get_layout_engine().set(h_pad=0.08)
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        corners = cut.cut.points * scales.length_in_unit
        mesh = Triangulation(*corners.T, triangles=np.arange(len(corners)).reshape(-1, 3))
        for axis, panel in zip(axes.ravel(), panels, strict=False):
            _draw_panel(figure, axis, mesh, (across, up), panel, BAR * box / height)
            axis.set_title(wrapped(panel.title, width))
            if box == ratio:
                axis.set_aspect("equal")
            else:
                axis.set_box_aspect(box)
        for axis in axes.ravel()[len(panels) :]:
            axis.set_visible(False)
        letters = axis_letters(case)
        for axis in axes[:, 0]:
            axis.set_ylabel(length_label(letters[cut.axes[1]], scales))
        for column in range(columns):
            last = [axis for axis in axes[:, column] if axis.get_visible()][-1]
            last.set_xlabel(length_label(letters[cut.axes[0]], scales))
            last.tick_params(labelbottom=True)
        plane = "" if cut.offset is None else f"\nplane {_plane(cut, scales)}"
        stretched = ""
        if box != ratio:
            wide, times = (0, ratio / box) if ratio > box else (1, box / ratio)
            stretched = f"\n{letters[cut.axes[wide]]} is drawn {times:.2g} times as large"
        entitle(figure, title_of(case) + plane + stretched)
        return figure


def _panels(case: Case, scales: Scales, cut: Slice) -> list[_Panel]:
    """Return what is drawn of a slice: potential, temperature, every species, packing."""
    fields, panels = cut.cut.fields, []

    def with_lines(words: str, of: str, values: np.ndarray, vectors: np.ndarray, is_density: bool = False) -> _Panel:
        flows = bool(np.nanmax(np.abs(vectors), initial=0.0) > 0.0)
        title = f"{words}; lines: {of}" if flows else f"{words}; no {of}"
        return _Panel(title, values, vectors if flows else None, is_density)

    if fields.potential is not None:
        factor, words = potential_in_display(scales)[0], potential_label(case, scales)
        charges = np.array([species.charge for species in case.species])
        current = np.einsum("a,aiuv->iuv", charges, cut.flux[: len(charges)])
        panels.append(with_lines(words, "current", _without_rounding(fields.potential) * factor, current))
    if fields.temperature is not None:
        panels.append(with_lines("temperature", "energy flux", fields.temperature, cut.flux[-1]))
    shown = fields.rho * scales.displayed_contents[:, None]
    unit = f"[{unit_in_picture('mol/L')}]" if scales.si else "(volume fraction)"
    for name, rho, flux in zip(case.species_names, shown, cut.flux, strict=False):
        panels.append(with_lines(f"{name} {unit}", "flux", rho, flux, is_density=True))
    if case.model.flux_law.crowded:
        packing = np.tensordot(np.array(scales.sizes), fields.rho, 1)
        panels.append(_Panel("packing (volume fraction)", packing, is_density=True))
    return panels


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


def _norm(mesh: Triangulation, triangles: np.ndarray, values: np.ndarray, is_density: bool) -> Normalize:
    """Return how values become colours: by their logarithm where thin layers hold many times of what is elsewhere."""
    here = values[triangles]
    low, high = float(here.min(initial=np.inf)), float(here.max(initial=-np.inf))
    if is_density and low > 0.0:
        x, y = mesh.x[triangles], mesh.y[triangles]
        areas = np.abs((x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0]))
        means = here.mean(axis=1)
        order = np.argsort(means)
        share = np.cumsum(areas[order])
        if high > LAYERED * float(means[order][np.searchsorted(share, 0.5 * share[-1])]):
            return LogNorm(max(low, high * 10.0**-DECADES), high)
    # where a field is the same everywhere its rounding is nothing to see
    least = 1e-9 * max(abs(low), abs(high)) or 1.0
    return Normalize(low, high) if high - low > least else Normalize(low - least, high + least)


def _draw_panel(
    figure: Figure,
    axis: Axes,
    mesh: Triangulation,
    grid: tuple[np.ndarray, np.ndarray],
    panel: _Panel,
    bar_width: float,
) -> None:
    """Draw a field and the lines over it, beside it a bar of its colours, whose width is in units of the panel's."""
    values, triangles = panel.values, mesh.triangles
    if panel.is_density:
        # what does not enter a region is not there in a picture either
        triangles = triangles[(values[triangles] > 0.0).all(axis=1)]
    norm = _norm(mesh, triangles, values, panel.is_density)
    mesh = Triangulation(mesh.x, mesh.y, triangles=triangles)
    shown = axis.tripcolor(mesh, values, shading="gouraud", cmap="viridis", rasterized=True, norm=norm)
    bar = figure.colorbar(shown, cax=axis.inset_axes((1.0 + 0.6 * bar_width, 0.0, bar_width, 1.0)))
    if not isinstance(norm, LogNorm):
        bar.ax.yaxis.set_major_locator(ticks(6))
    axis.set_facecolor("0.85")
    axis.xaxis.set_major_locator(ticks(5))
    axis.yaxis.set_major_locator(ticks(6))
    across, up = grid
    if panel.lines is not None:
        # streamplot wants grids that are even to round-off
        even = [np.linspace(one[0], one[-1], len(one)) for one in grid]
        axis.streamplot(
            even[0],
            even[1],
            np.ma.masked_invalid(panel.lines[0]),
            np.ma.masked_invalid(panel.lines[1]),
            color="white",
            linewidth=0.5,
            density=0.8,
            arrowsize=0.6,
        )
    axis.set_xlim(across[0], across[-1])
    axis.set_ylim(up[0], up[-1])
