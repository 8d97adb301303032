"""What is drawn of a solution whose cells were refined for an accuracy."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pnp_exclusion.solution.adaptive import Refinement
from pnp_exclusion.solution.style import COLUMN, STYLE, entitle, plain, save, species_colour


def draw_accuracy(path: Path, title: str, refinement: Refinement) -> None:
    """Draw the estimated errors of all goals over the unknowns of the meshes, beside what was wanted and what the last
    mesh shows of the others."""
    levels = refinement.levels
    unknowns, last = np.array([level.unknowns for level in levels]), levels[-1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 2.8))
        axis = figure.subplots()
        for number, goal in enumerate(refinement.goals):
            size = max(abs(last.values[goal.name]), goal.least)
            if size == 0.0:
                continue
            limit = last.values[goal.name] + last.errors[goal.name]
            estimated = np.array([abs(level.errors[goal.name]) for level in levels]) / size
            found = np.array([abs(limit - level.values[goal.name]) for level in levels[:-1]]) / size
            colour = species_colour(number)
            axis.loglog(unknowns, estimated, "o-", color=colour, label=f"{plain(goal.name)}, estimated")
            axis.loglog(unknowns[:-1], found, "x:", color=colour, label="by the last mesh")
        axis.axhline(refinement.wanted, color="black", linewidth=0.8, linestyle="--", label="wanted")
        axis.set_xlabel("unknowns")
        axis.set_ylabel("relative error")
        axis.legend()
        entitle(figure, title)
        save(figure, path)
