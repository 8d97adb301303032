"""The picture of diagrams side by side: a column for every case and law, a row for every variant.

More than two variants of a single case and law fill a grid, each below its name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D

from pnp_exclusion.case.axes import Driving
from pnp_exclusion.case.keys import dimension_of_key
from pnp_exclusion.solution.style import SMALL, STYLE, entitle, plain, save, species_colour, with_unit, wrapped
from pnp_exclusion.studies.diagram import arrangement
from pnp_exclusion.studies.diagram.compute import Diagram, Region
from pnp_exclusion.studies.diagram.report import failed, shares

PANEL = 2.3
"""Inches."""
ACROSS = 3
"""Panels in a row of a grid, at most."""
UPHILL = 0.4
"""Opacity of a species' colour where it runs uphill."""
BOTH = "#7a4fa3"
"""Colour where two species run uphill; that of all, if there are more."""
HATCHES = ("////", "\\\\\\\\", "||||", "----", "xxxx")
"""Of inverse currents, by species, so that two of them can be told apart where they overlap."""
DIMENSIONLESS_UNITS = {
    "a potential": "kT/e",
    "a force on a particle": "kT/L",
    "a length": "L",
    "a fixed charge density": "e/site",
}
STILL: dict[str, Any] = {"facecolor": "0.5", "alpha": 0.25}
EXACT: dict[str, Any] = {"color": "black", "linestyle": (0, (1.2, 3.0)), "linewidth": 1.2, "dash_capstyle": "round"}
COMMON: dict[str, Any] = {
    "marker": "o",
    "markersize": 5,
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "linestyle": "",
    "zorder": 5,
}
CROSSING: dict[str, Any] = COMMON | {"marker": "s", "markersize": 4}
FAILED: dict[str, Any] = {"marker": "x", "markersize": 4, "color": "0.3", "linestyle": "", "zorder": 4}


def draw(path: Path, diagrams: Sequence[Diagram]) -> None:
    """Regions by regime, borders, exact borders and common points of every diagram, with one legend."""
    columns = list(dict.fromkeys(map(_column, diagrams)))
    variants = list(dict.fromkeys(diagram.plane.variant for diagram in diagrams))
    is_grid = len(columns) == 1 and len(variants) > 2
    across = min(math.ceil(math.sqrt(len(variants))), ACROSS) if is_grid else len(columns)
    down = -(-len(variants) // across) if is_grid else len(variants)
    names = list(dict.fromkeys(name for diagram in diagrams for name in diagram.species))
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        legend, legend_columns = _legend(diagrams, names), 2 if across == 1 else min(4, 1 + across)
        height = (PANEL - 0.25) * down + 0.9 + 0.2 * -(-len(legend) // legend_columns)
        figure = Figure(figsize=(max(PANEL * across + 0.9, 4.8), height))
        figure.get_layout_engine().set(rect=(0.012, 0.0, 0.976, 0.995))
        axes = figure.subplots(down, across, squeeze=False)
        for axis in axes.flat:
            axis.set_visible(False)
        for diagram in diagrams:
            variant = variants.index(diagram.plane.variant)
            row, column = divmod(variant, across) if is_grid else (variant, columns.index(_column(diagram)))
            axis = axes[row, column]
            _draw_panel(axis, diagram, names)
            plane = diagram.plane
            heading = [wrapped(plane.variant, PANEL)] if is_grid else []
            if row == 0 and not is_grid:
                heading = [wrapped(_heading([d for d in diagrams if _column(d) == columns[column]]), PANEL)]
            axis.set_title("\n".join([*heading, _in_words(diagram)]), fontsize=SMALL)
            axis.set_xlabel(
                axis_label(plane.x, plane.cases.tables)
                if row == down - 1 or (is_grid and variant + across >= len(variants))
                else ""
            )
            axis.set_ylabel(axis_label(plane.y, plane.cases.tables) if column == 0 or not is_grid else "")
            if column == 0 and not is_grid:
                _name_row(axis, plane.variant)
        if is_grid:
            entitle(figure, _heading(diagrams))
        figure.legend(handles=legend, loc="outside lower center", ncols=legend_columns)
        save(figure, path)


def _column(diagram: Diagram) -> tuple[Path, str]:
    return diagram.plane.case.path, diagram.plane.case.model.law


def _heading(column: Sequence[Diagram]) -> str:
    """The title of a column; its law too, unless the variants have different ones."""
    laws = {diagram.plane.changed.model.law for diagram in column}
    case = column[0].plane.case
    title = case.title or case.path.stem
    return f"{title}: {laws.pop()}" if len(laws) == 1 else title


def _name_row(axis: Axes, variant: str) -> None:
    axis.annotate(
        variant,
        (0.0, 0.5),
        (-6, 0),
        axis.yaxis.label,
        "offset points",
        rotation=90,
        ha="right",
        va="center",
        fontweight="bold",
        annotation_clip=False,
    )


# ---- one panel ----


def _draw_panel(axis: Axes, diagram: Diagram, names: list[str]) -> None:
    plane = diagram.plane
    axis.set_visible(True)
    axis.set_xlim(plane.x.low, plane.x.high)
    axis.set_ylim(plane.y.low, plane.y.high)
    axis.set_box_aspect(1.0)
    axis.set_facecolor("0.8")
    width, height = plane.x.high - plane.x.low, plane.y.high - plane.y.low
    in_units = Affine2D().scale(width, height).translate(plane.x.low, plane.y.low) + axis.transData
    positions = [names.index(name) for name in diagram.species]
    for region in diagram.regions:
        outline = Outline.make_compound_path(*(Outline(ring, closed=True) for ring in arrangement.rings(region.area)))
        for look in [{"facecolor": "white", "zorder": 0.5}, *_looks(region, positions)]:
            axis.add_patch(PathPatch(outline, **({"zorder": 1.0, "linewidth": 0.0, "transform": in_units} | look)))
    for border in diagram.borders:
        colour = species_colour(positions[border.species])
        axis.plot(*plane.coordinates(border.points).T, **_stroke(border.kind, colour))
    for border in diagram.exact:
        axis.plot(*plane.coordinates(border.points).T, zorder=3, **EXACT)
    for common in diagram.common_points:
        axis.plot(*plane.coordinates(common.point), **(COMMON if common.equilibrium else CROSSING))
    lost = np.array([reading.failure != "" for reading in diagram.readings])
    axis.plot(*plane.coordinates(diagram.points[lost]).T, **FAILED)


def _looks(region: Region, positions: list[int]) -> list[dict[str, Any]]:
    """How a region is filled: coloured where species run uphill, hatched where against their own force."""
    looks: list[dict[str, Any]] = []
    both = len(positions) == 2 and all(region.uphill)
    if both:
        looks.append({"facecolor": BOTH, "alpha": UPHILL})
    for position, regime, uphill in zip(positions, region.regimes, region.uphill, strict=True):
        if uphill and not both:
            looks.append({"facecolor": species_colour(position), "alpha": UPHILL})
        if regime == "uphill-steric":
            looks.append(_steric(position))
        if regime == "inverse":
            looks.append(_inverse(position))
        if regime in ("drift", "none"):
            looks.append(STILL)
    return looks


def _steric(position: int) -> dict[str, Any]:
    return {"facecolor": "none", "edgecolor": species_colour(position), "hatch": "..."}


def _inverse(position: int) -> dict[str, Any]:
    return {"facecolor": "none", "edgecolor": species_colour(position), "hatch": HATCHES[position % len(HATCHES)]}


def _stroke(kind: str, colour: str) -> dict[str, Any]:
    return {
        "current": {"color": colour, "linewidth": 1.6, "zorder": 2.0},
        "force": {"color": colour, "linewidth": 1.0, "linestyle": (0, (5, 2)), "zorder": 2.1},
        "contents": {"color": "0.35", "linewidth": 0.8, "linestyle": "-.", "zorder": 2.2},
    }[kind]


# ---- words ----


def _legend(diagrams: Sequence[Diagram], names: list[str]) -> list[Any]:
    """What is in the picture, and nothing else."""
    regions = [(name, d, r, a) for d in diagrams for r in d.regions for a, name in enumerate(d.species)]
    uphill = {name for name, _, region, a in regions if region.uphill[a]}
    regimes = {(name, region.regimes[a]) for name, _, region, a in regions}
    kinds = {(diagram.species[border.species], border.kind) for diagram in diagrams for border in diagram.borders}
    handles: list[Any] = []
    for position, name in enumerate(names):
        colour = species_colour(position)
        patches = [
            (name in uphill, {"facecolor": colour, "alpha": UPHILL}, f"{name} uphill"),
            ((name, "uphill-steric") in regimes, _steric(position), f"{name} uphill without a field"),
            ((name, "inverse") in regimes, _inverse(position), f"{name} against its own driving force"),
        ]
        handles += [Patch(label=label, **look) for there, look, label in patches if there]
        lines = [("current", f"no flux of {name}: solver"), ("force", f"no force on {name}")]
        handles += [Line2D([], [], label=words, **_stroke(k, colour)) for k, words in lines if (name, k) in kinds]
    common = [point.equilibrium for diagram in diagrams for point in diagram.common_points]
    others: list[tuple[bool, Any]] = [
        (
            any(len(d.species) == 2 and all(r.uphill) for _, d, r, _ in regions),
            Patch(facecolor=BOTH, alpha=UPHILL, label="both uphill"),
        ),
        (any(regime in ("drift", "none") for _, regime in regimes), Patch(label="no gradient, or no flux", **STILL)),
        (any(d.exact for d in diagrams), Line2D([], [], label="no flux: exact", **EXACT)),
        (
            any(kind == "contents" for _, kind in kinds),
            Line2D([], [], label="equal concentrations", **_stroke("contents", "")),
        ),
        (any(common), Line2D([], [], label="equilibrium: nothing flows", **COMMON)),
        (not all(common), Line2D([], [], label="two fluxes vanish", **CROSSING)),
        (any(failed(diagram) for diagram in diagrams), Line2D([], [], label="no solution", **FAILED)),
    ]
    return handles + [handle for there, handle in others if there]


def _in_words(diagram: Diagram) -> str:
    found = shares(diagram)
    uphill = ", ".join(f"{name} {share:.0%}" for name, share in found["uphill"].items())
    both = (
        f", {'both' if len(diagram.species) == 2 else 'all'} {found['uphill_all']:.0%}"
        if len(found["uphill"]) > 1
        else ""
    )
    return plain(f"uphill {uphill}{both}; inverse {found['inverse_any']:.0%}")


def axis_label(driving: Driving, tables: dict[str, Any]) -> str:
    """Return what stands at an axis, with its unit."""
    kind = dimension_of_key(tables, driving.keys[0])
    unit = driving.unit or (DIMENSIONLESS_UNITS.get(kind.name, "") if kind else "")
    return plain(with_unit(driving.in_words, unit))
