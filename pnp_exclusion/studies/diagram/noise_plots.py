"""The picture of the noise over diagrams: a row for each, a column for every Fano factor and every correlation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from pnp_exclusion.solution.style import SMALL, STYLE, plain, save
from pnp_exclusion.studies.diagram.compute import Diagram
from pnp_exclusion.studies.diagram.plots import axis_label

PANEL = 2.9
"""Inches."""
FANO: dict[str, Any] = {"norm": LogNorm(0.1, 10.0), "cmap": "viridis"}
"""A current that vanishes has an infinite one; colours end at ten."""
CORRELATION: dict[str, Any] = {"vmin": -1.0, "vmax": 1.0, "cmap": "RdBu_r"}


def draw(path: Path, diagrams: Sequence[Diagram]) -> None:
    """Draw Fano factors and correlations of all diagrams that have noise, with the lines on which one vanishes."""
    diagrams = [diagram for diagram in diagrams if diagram.plane.noise]
    most = max(len(diagram.species) + len(diagram.pairs) for diagram in diagrams)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(PANEL * most + 0.5, PANEL * len(diagrams) + 0.3))
        axes = figure.subplots(len(diagrams), most, squeeze=False)
        for row, diagram in zip(axes, diagrams, strict=True):
            fano = np.array([r.fano or (np.nan,) * len(diagram.species) for r in diagram.readings])
            correlation = np.array([r.correlation or (np.nan,) * len(diagram.pairs) for r in diagram.readings])
            looks = [(f"Fano factor of {name}", FANO) for name in diagram.species]
            looks += [(f"correlation of {one} and {other}", CORRELATION) for one, other in diagram.pairs]
            for axis in row[len(looks) :]:
                axis.set_visible(False)
            for k, (axis, (title, look)) in enumerate(zip(row, looks, strict=False)):
                values = np.hstack([fano, correlation.reshape(len(fano), -1)])[:, k]
                _draw_panel(axis, diagram, values, look)
                lines = [border for border in diagram.uncorrelated if border.species + len(diagram.species) == k]
                for border in lines:
                    axis.plot(*diagram.plane.coordinates(border.points).T, color="black", linewidth=1.5)
                name = " ".join(part for part in (diagram.plane.changed.model.law, diagram.plane.variant) if part)
                axis.set_title(plain(f"{name}: {title}"), fontsize=SMALL)
        save(figure, path)


def _draw_panel(axis: Axes, diagram: Diagram, values: np.ndarray, look: dict[str, Any]) -> None:
    plane = diagram.plane
    axis.set_xlim(plane.x.low, plane.x.high)
    axis.set_ylim(plane.y.low, plane.y.high)
    axis.set_box_aspect(1.0)
    axis.set_facecolor("0.8")
    axis.set_xlabel(axis_label(plane.x, plane.cases.tables))
    axis.set_ylabel(axis_label(plane.y, plane.cases.tables))
    told = np.isfinite(values)
    places, first = np.unique(diagram.points[told].round(9), axis=0, return_index=True)
    if len(places) < 3:
        return
    triangles = Triangulation(*plane.coordinates(places).T)
    image = axis.tripcolor(triangles, values[told][first], shading="gouraud", rasterized=True, **look)
    axis.figure.colorbar(image, ax=axis, shrink=0.8)
