"""Pictures of a solution, drawn without a display. Each function writes one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.moving import courses_in
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.observe.flux_parts import FluxParts
from pnp_exclusion.observe.sample import Profile, Slice
from pnp_exclusion.solution.figures import (
    axis_letters,
    density_label,
    length_label,
    potential_in_display,
    profiles_picture,
    shade_fixed_charge,
    slice_picture,
    stretches_of,
    title_of,
)
from pnp_exclusion.solution.series import Row
from pnp_exclusion.solution.style import (
    COLUMN,
    LINESTYLES,
    PAGE,
    SMALL,
    STYLE,
    entitle,
    plain,
    save,
    species_colour,
    ticks,
    time_in_picture,
    with_unit,
    zero_line,
)

PART_COLOURS = {"diffusion": "#56b4e9", "drift": "#e69f00", "crowding": "#cc79a7", "total": "#333333"}
ROUNDING_OF_FLUXES = 1e-9
"""Of the largest part of a flux; a total below it is none."""


def draw_profiles(path: Path, case: Case, scales: Scales, profile: Profile) -> None:
    """Densities and, with Poisson, the potential over x; regions with fixed charge are shaded."""
    save(profiles_picture(case, scales, profile), path)


def draw_slice(path: Path, case: Case, scales: Scales, cut: Slice) -> None:
    """Every field in a plane; streamlines of each species' flux over its density, of the current over the potential."""
    save(slice_picture(case, scales, cut), path)


def draw_flux_parts(path: Path, case: Case, scales: Scales, parts: Mapping[str, FluxParts], along: int) -> None:
    """The mean flux density of every species, split into diffusion, drift and crowding; ``along`` an axis of space."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(min(PAGE, COLUMN + 0.9 * (len(parts) - 1)), 2.6))
        axis = figure.subplots()
        largest = max(max(abs(part.diffusion), abs(part.drift), abs(part.crowding)) for part in parts.values())
        names = [plain(name) for name in parts]
        for position, part in enumerate(parts.values()):
            heights = {"diffusion": part.diffusion, "drift": part.drift}
            if case.model.flux_law.crowded:
                heights["crowding"] = part.crowding
            total = part.diffusion + part.drift + part.crowding
            heights["total"] = total
            for slot, (name, height) in enumerate(heights.items()):
                axis.bar(
                    position + 0.2 * (slot - 0.5 * (len(heights) - 1)),
                    height * scales.flux,
                    0.18,
                    color=PART_COLOURS[name],
                    label=name if position == 0 else None,
                )
            if abs(total) <= ROUNDING_OF_FLUXES * largest:
                names[position] += "\nno flux"
        zero_line(axis)
        axis.set_xticks(range(len(parts)), names)
        axis.set_ylabel(with_unit(f"mean flux along {axis_letters(case)[along]}", "mol/m^2/s" if scales.si else "D/L"))
        entitle(figure, title_of(case))
        figure.legend(loc="outside lower center", ncols=4)
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
        figure = Figure(figsize=(PAGE, 2.3 * rows + 0.3))
        grid = figure.add_gridspec(rows, columns)
        for a, name in enumerate(species if profiles else []):
            _draw_densities(figure.add_subplot(grid[0, a]), a, name, scales, profiles)
        _draw_currents(figure.add_subplot(grid[-1, :]), species, currents, regimes, ends, flux_unit)
        entitle(figure, title)
        save(figure, path)


def _draw_densities(axis: Axes, a: int, name: str, scales: Scales, profiles: Mapping[str, Profile]) -> None:
    for style, (law, profile) in zip(LINESTYLES * len(profiles), profiles.items(), strict=False):
        x = profile.x * scales.length_in_unit
        axis.plot(x, profile.rho[a] * scales.displayed_contents[a], style, color=species_colour(a), label=law)
    first = next(iter(profiles.values()))
    shade_fixed_charge(axis, first.x * scales.length_in_unit, first.fixed_charge)
    axis.set_title(name)
    axis.set_xlabel(length_label("x", scales))
    axis.set_ylabel(density_label(scales))
    axis.set_xlim(first.x[0] * scales.length_in_unit, first.x[-1] * scales.length_in_unit)
    axis.legend()


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
                f"{value:.4g}\n{regime}" if regime != "none" else "no flux",
                (x, value),
                xytext=(0, 3 if value >= 0 else -3),
                fontsize=SMALL,
                textcoords="offset points",
                ha="center",
                va="bottom" if value >= 0 else "top",
                fontweight="bold" if regime == "inverse" else None,
            )
    zero_line(axis)
    axis.margins(y=0.25)
    axis.set_xticks(range(len(currents)), list(currents))
    axis.set_ylabel(with_unit(f"flux {ends[0]} → {ends[1]}", flux_unit or "D/L"))
    if any(regime == "inverse" for of_law in regimes.values() for regime in of_law.values()):
        axis.set_title("hatched: against the species' own driving force")
    axis.legend()


def draw_series(path: Path, case: Case, scales: Scales, rows: Sequence[Row]) -> None:
    """Total currents and charges over time, and with them the free energy; time on a logarithmic scale if a motion
    that nothing drives spans decades."""
    columns = {name: np.array([row[name][0] for row in rows]) for name in rows[0]}
    units = {name: unit for name, (_, unit) in rows[0].items()}
    factor, unit_of_time = time_in_picture(float(columns["time"][-1]), units["time"] or "L²/D")
    time = columns["time"] * factor
    names = [boundary.where for boundary in case.boundaries]
    charged = [name for name in names if f"charge_{name}" in columns]
    driven = [name for name in names if f"potential_{name}" in columns and np.ptp(columns[f"potential_{name}"]) > 0.0]
    kinds = [
        *(["potential"] if driven else []),
        "current",
        *(["charge"] if charged else []),
        *(["free_energy"] if "free_energy" in columns else []),
    ]
    protocol = case.time is not None and bool(case.time.protocol)
    moves = protocol or next(courses_in([case.boundaries, case.regions, case.species]), None) is not None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 1.5 * len(kinds) + 0.6))
        axes = figure.subplots(len(kinds), 1, sharex=True, squeeze=False)[:, 0]
        for axis, kind in zip(axes, kinds, strict=True):
            if kind == "free_energy":
                axis.plot(time, columns[kind], color="black")
                axis.set_ylabel(with_unit("free energy", units[kind]))
                continue
            shown = {"charge": charged, "potential": driven}.get(kind, names)
            for position, name in enumerate(names):
                if name not in shown:
                    continue
                values = columns[f"{kind}_{name}"]
                if kind == "current" and name in charged:
                    values = values + columns[f"displacement_{name}"]
                axis.plot(time, values, color=species_colour(position), label=name)
            words = "current, total" if kind == "current" else kind
            axis.set_ylabel(with_unit(words, units[f"{kind}_{shown[0]}"]))
            axis.legend(loc="best")
        if not moves and time[-1] > 100.0 * time[0]:
            axes[-1].set_xscale("log")
        axes[-1].set_xlabel(with_unit("time", unit_of_time))
        figure.align_ylabels(axes)
        entitle(figure, title_of(case))
        save(figure, path)


def panels_in_time(scales: Scales, snapshots: Any) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str, np.ndarray]]]:
    """Return positions, times, and what is drawn of a motion in the units of pictures.

    Of every species its name, words for the axis and values ``(times, nodes)``; of the potential with an empty name.
    """
    x = snapshots["x"].values / scales.length * scales.length_in_unit
    panels: list[tuple[str, str, np.ndarray]] = []
    for name in map(str, snapshots["species"].values):
        of_species = snapshots["concentration"].sel(species=name).values
        panels.append((name, density_label(scales), of_species / scales.concentration * scales.displayed_concentration))
    if "potential" in snapshots:
        factor, words = potential_in_display(scales)
        panels.append(("", words, snapshots["potential"].values / scales.potential * factor))
    return x, snapshots["time"].values, panels


def draw_strip(path: Path, case: Case, scales: Scales, snapshots: Any) -> None:
    """Profiles at the times that were kept, one row a species and one for the potential; later ones are darker.

    Thin layers at the ends have columns of their own beside the whole, as in profiles.
    """
    x, times, rows = panels_in_time(scales, snapshots)
    factor, unit = time_in_picture(float(times[-1]), "s" if scales.si else "L²/D")
    stretches = stretches_of(x, [np.abs(np.diff(of_times)).sum(axis=0) for _, _, of_times in rows])
    width = COLUMN if len(stretches) == 1 else PAGE
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, 1.6 * len(rows) + 0.8))
        ratios = [1.0 if stretch.name else 1.6 for stretch in stretches]
        grid = figure.subplots(len(rows), len(stretches), sharey="row", squeeze=False, width_ratios=ratios)
        colours = matplotlib.colormaps["viridis_r"](np.linspace(0.1, 1.0, len(times)))
        for row, (axes, (name, words, of_times)) in enumerate(zip(grid, rows, strict=True), start=1):
            for axis, stretch in zip(axes, stretches, strict=True):
                for k, (values, colour) in enumerate(zip(of_times, colours, strict=True)):
                    shown = k in (0, len(times) - 1)
                    axis.plot(x, values, color=colour, label=f"{times[k] * factor:.3g} {unit}" if shown else None)
                axis.set_xlim(stretch.low, stretch.high)
                axis.xaxis.set_major_locator(ticks(4 if stretch.name else 6))
                axis.tick_params(labelbottom=row == len(rows))
                axis.set_title(", ".join(filter(None, (name, stretch.name))))
            axes[0].set_ylabel(words)
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        for axis in grid[-1]:
            axis.set_xlabel(length_label("x", scales))
        figure.align_ylabels(grid[:, 0])
        entitle(figure, title_of(case))
        save(figure, path)
