"""Pictures of a solution, drawn without a display. Each function writes one file."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.observe.flux_parts import FluxParts
from pnp_exclusion.observe.sample import Profile, Slice

SPECIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
PART_COLOURS = {"diffusion": "#56b4e9", "drift": "#e69f00", "crowding": "#cc79a7", "total": "#333333"}
TITLE_WIDTH = 70
"""Characters to a line: what the narrowest picture holds."""
LAWSTYLES = ("-", "--", "-.", ":")
STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.dpi": 130,
    "figure.constrained_layout.use": True,
}


def species_colour(position: int) -> str:
    """Return the colour of a species by its position in the case."""
    return SPECIES_COLOURS[position % len(SPECIES_COLOURS)]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    FigureCanvasAgg(figure).print_png(path)


def _density_label(scales: Scales) -> str:
    return "concentration [mol/L]" if scales.si else "occupied fraction"


def _length_label(letter: str, scales: Scales) -> str:
    return f"{letter} [{scales.length_unit}]" if scales.si else f"{letter} [L]"


def _potential_in_display(scales: Scales) -> tuple[float, str]:
    return (scales.potential * 1e3, "potential [mV]") if scales.si else (1.0, "potential [kT/e]")


def _flux_label(scales: Scales) -> str:
    return "flux [mol/m²/s]" if scales.si else "flux [D/L]"


def draw_profiles(path: Path, case: Case, scales: Scales, profile: Profile) -> None:
    """Densities and, with Poisson, the potential over x; regions with fixed charge are shaded."""
    with matplotlib.rc_context(STYLE):
        rows = 2 if profile.potential is not None else 1
        figure = Figure(figsize=(6.4, 2.9 * rows + 0.5))
        axes = figure.subplots(rows, 1, sharex=True, squeeze=False)
        densities = axes[0, 0]
        x = profile.x * scales.length_in_unit
        for position, (name, rho) in enumerate(zip(case.species_names, profile.rho, strict=True)):
            densities.plot(x, rho * scales.displayed_concentration, color=species_colour(position), label=name)
        densities.set_ylabel(_density_label(scales))
        if case.model.flux_law.crowded:
            _packing_axis(densities, scales)
        if profile.potential is not None:
            factor, label = _potential_in_display(scales)
            axes[1, 0].plot(x, profile.potential * factor, color="black")
            axes[1, 0].set_ylabel(label)
        for axis in axes[:, 0]:
            _shade_fixed_charge(axis, x, profile.fixed_charge)
        densities.legend(loc="best")
        axes[-1, 0].set_xlabel(_length_label("x", scales))
        axes[-1, 0].set_xlim(x[0], x[-1])
        densities.set_title(_title(case))
        save(figure, path)


def _packing_axis(axis: Axes, scales: Scales) -> None:
    if not scales.si:
        return
    full = scales.displayed_concentration
    twin = axis.secondary_yaxis("right", functions=(lambda c: c / full, lambda rho: rho * full))
    twin.set_ylabel("occupied fraction")


def _shade_fixed_charge(axis: Axes, x: np.ndarray, fixed_charge: np.ndarray) -> None:
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


def _title(case: Case) -> str:
    parameters = ", ".join(f"{name} = {value:g}" for name, value in case.model.flux_law.parameters.items())
    law = case.model.law + (f" ({parameters})" if parameters else "")
    return textwrap.fill(f"{plain(case.title)} — {law}", TITLE_WIDTH) if case.title else law


def plain(text: str) -> str:
    """Return a text that matplotlib shows as it is written: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def draw_slice(path: Path, case: Case, scales: Scales, cut: Slice) -> None:
    """Every field in a plane; streamlines of each species' flux over its density, of the current over the potential."""
    panels: list[tuple[str, np.ndarray, np.ndarray | None]] = []
    if cut.potential is not None:
        factor, label = _potential_in_display(scales)
        charges = np.array([species.charge for species in case.species])
        current = np.einsum("a,aiuv->iuv", charges, cut.flux)
        panels.append((f"{label}; lines: electric current", cut.potential * factor, current))
    for name, rho, flux in zip(case.species_names, cut.rho, cut.flux, strict=True):
        unit = "[mol/L]" if scales.si else "(occupied fraction)"
        panels.append((f"{name} {unit}; lines: flux", rho * scales.displayed_concentration, flux))
    if case.model.flux_law.crowded:
        panels.append(("packing (occupied fraction)", cut.rho.sum(axis=0), None))
    across, up = (drawn_grid(grid * scales.length_in_unit) for grid in cut.grid)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        height, width = np.ptp(up), np.ptp(across)
        columns = 2 if height > 0.45 * width else 1
        rows = -(-len(panels) // columns)
        panel_width = 4.6 if columns == 2 else 7.0
        figure = Figure(
            figsize=(panel_width * columns + 0.8, ((panel_width - 1.0) * min(1.1, height / width) + 0.7) * rows + 0.5)
        )
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axis, (label, values, flux) in zip(axes.ravel(), panels, strict=False):
            _draw_panel(figure, axis, across, up, label, values, flux)
        for axis in axes.ravel()[len(panels) :]:
            axis.set_visible(False)
        letters = "xyz"
        for axis in axes[:, 0]:
            axis.set_ylabel(_length_label(letters[cut.axes[1]], scales))
        for axis in axes[-1, :]:
            axis.set_xlabel(_length_label(letters[cut.axes[0]], scales))
        plane = "" if cut.offset is None else f"\nplane {_plane(cut, scales)}"
        figure.suptitle(_title(case) + plane)
        save(figure, path)


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


def draw_flux_parts(path: Path, case: Case, scales: Scales, parts: Mapping[str, FluxParts], letter: str) -> None:
    """The mean flux density of every species, split into diffusion, drift and crowding."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.4 + 2.0 * len(parts), 3.6))
        axis = figure.subplots()
        for position, part in enumerate(parts.values()):
            heights = {"diffusion": part.diffusion, "drift": part.drift, "crowding": part.crowding}
            heights["total"] = sum(heights.values())
            for slot, (name, height) in enumerate(heights.items()):
                axis.bar(
                    position + 0.2 * (slot - 1.5),
                    height * scales.flux,
                    0.18,
                    color=PART_COLOURS[name],
                    label=name if position == 0 else None,
                )
        axis.axhline(0.0, color="black", linewidth=0.8)
        axis.set_xticks(range(len(parts)), list(parts))
        axis.set_ylabel(f"mean {_flux_label(scales)} along {letter}")
        axis.set_title(_title(case))
        axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        save(figure, path)


def draw_comparison(
    path: Path,
    title: str,
    scales: Scales,
    species: Sequence[str],
    currents: Mapping[str, Mapping[str, float]],
    regimes: Mapping[str, Mapping[str, str | None]],
    profiles: Mapping[str, Profile],
    ends: tuple[str, str],
    flux_unit: str,
) -> None:
    """Currents of every species by law, inverse ones hatched; in one dimension the densities above them.

    currents, regimes
        By law, then species; currents from ``ends[0]`` to ``ends[1]`` in ``flux_unit``.
    profiles
        By law; empty above one dimension.
    """
    with matplotlib.rc_context(STYLE):
        columns = len(species) if profiles else 1
        rows = 2 if profiles else 1
        figure = Figure(figsize=(max(7.2, 4.0 * columns), 3.4 * rows + 0.3))
        grid = figure.add_gridspec(rows, columns)
        for a, name in enumerate(species if profiles else []):
            _draw_densities(figure.add_subplot(grid[0, a]), a, name, scales, profiles)
        _draw_currents(figure.add_subplot(grid[-1, :]), species, currents, regimes, ends, flux_unit)
        figure.suptitle(plain(title))
        save(figure, path)


def _draw_densities(axis: Axes, a: int, name: str, scales: Scales, profiles: Mapping[str, Profile]) -> None:
    for style, (law, profile) in zip(LAWSTYLES * len(profiles), profiles.items(), strict=False):
        x = profile.x * scales.length_in_unit
        axis.plot(x, profile.rho[a] * scales.displayed_concentration, style, color=species_colour(a), label=law)
    first = next(iter(profiles.values()))
    _shade_fixed_charge(axis, first.x * scales.length_in_unit, first.fixed_charge)
    axis.set_title(name)
    axis.set_xlabel(_length_label("x", scales))
    axis.set_ylabel(_density_label(scales))
    axis.set_xlim(first.x[0] * scales.length_in_unit, first.x[-1] * scales.length_in_unit)
    axis.legend(fontsize=8)


def _draw_currents(
    axis: Axes,
    species: Sequence[str],
    currents: Mapping[str, Mapping[str, float]],
    regimes: Mapping[str, Mapping[str, str | None]],
    ends: tuple[str, str],
    flux_unit: str,
) -> None:
    width = 0.8 / len(species)
    for a, name in enumerate(species):
        for position, law in enumerate(currents):
            value, regime = currents[law][name], regimes[law][name] or ""
            hatch = "////" if regime == "inverse" else None
            x = position + (a - 0.5 * (len(species) - 1)) * width
            axis.bar(
                x,
                value,
                0.92 * width,
                color=species_colour(a),
                hatch=hatch,
                edgecolor="white",
                label=name if position == 0 else None,
            )
            axis.annotate(
                f"{value:.4g}\n{regime}",
                (x, value),
                xytext=(0, 3 if value >= 0 else -3),
                fontsize=8,
                textcoords="offset points",
                ha="center",
                va="bottom" if value >= 0 else "top",
                fontweight="bold" if regime == "inverse" else None,
            )
    axis.axhline(0.0, color="black", linewidth=0.8)
    axis.margins(y=0.25)
    axis.set_xticks(range(len(currents)), list(currents))
    unit = f" [{flux_unit}]" if flux_unit else " [D/L]"
    axis.set_ylabel(f"current {ends[0]} → {ends[1]}{unit}")
    axis.set_title("hatched: against the species' own thermodynamic force", fontsize=9)
    axis.legend(fontsize=8)
