"""Profiles in the course of a motion as an animated picture, which needs no program but pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.output.plots import panels_in_time
from pnp_exclusion.solution.figures import length_label, title_of
from pnp_exclusion.solution.style import COLUMN, STYLE, wrapped

PER_SECOND = 10
"""Frames."""
SHOWN_LAST = 15
"""Frames for which the end stays, before it begins anew."""
DOTS = 150
"""Per inch."""
MARGIN = 0.05
"""Of what there is between the least and the largest value ever."""


def draw_animation(path: Path, case: Case, scales: Scales, snapshots: Any) -> None:
    """Write a GIF with a frame for every time that was kept, on axes that hold all of them."""
    x, times, panels = panels_in_time(scales, snapshots)
    unit = "s" if scales.si else "L²/D"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 1.8 * len(panels) + 0.8))
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        lines = []
        for axis, (name, words, values) in zip(axes, panels, strict=True):
            axis.plot(x, values[0], color="0.75", linewidth=1.0)
            lines.append(axis.plot(x, values[0], color="C0")[0])
            low, high = float(values.min()), float(values.max())
            room = MARGIN * (high - low) or MARGIN * abs(high) or 1.0
            axis.set_ylim(low - room, high + room)
            axis.set_title(name)
            axis.set_ylabel(words)
        axes[-1].set_xlabel(length_label("x", scales))
        figure.align_ylabels(axes)
        title, heading = figure.suptitle(" "), wrapped(title_of(case), figure.get_figwidth())
        writer = PillowWriter(fps=PER_SECOND)
        with writer.saving(figure, str(path), DOTS):
            for frame in [*range(len(times)), *[len(times) - 1] * SHOWN_LAST]:
                for line, (*_, values) in zip(lines, panels, strict=True):
                    line.set_ydata(np.asarray(values[frame]))
                title.set_text(f"{heading}\nt = {times[frame]:.3g} {unit}")
                writer.grab_frame()
