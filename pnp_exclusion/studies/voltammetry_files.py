"""What is written and drawn of a cyclic voltammogram."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pnp_exclusion.case.sentences import counted
from pnp_exclusion.output.text import columns, header
from pnp_exclusion.solution.style import COLUMN, STYLE, entitle, plain, save, unit_in_picture, with_unit, zero_line
from pnp_exclusion.studies.voltammetry import Voltammogram

PARTS = ("current", "faradaic", "capacitive")
MARGIN = 0.1
"""Of the range of currents after the first instants: how far the axis goes beyond it."""


def cv_csv(found: Voltammogram) -> str:
    """Return ``cv.csv``: a row a point, units in the header."""
    units = found.units
    head = [header("time", units["time"]), "cycle", "direction", header("potential", units["potential"])]
    lines = [",".join([*head, *(header(name, units["current"]) for name in PARTS)])]
    for k, cycle in enumerate(found.cycle):
        values = [found.potential[k], *(getattr(found, name)[k] for name in PARTS)]
        direction = "up" if found.is_rising[k] else "down"
        lines.append(",".join([f"{found.time[k]:.12g}", str(cycle), direction, *(f"{value:.12g}" for value in values)]))
    return "\n".join(lines) + "\n"


def cv_json(found: Voltammogram) -> dict[str, Any]:
    """Return ``cv.json``: peaks, and what they say of every cycle."""
    return {
        "boundary": found.boundary,
        "convention": "currents are into the domain through the boundary: positive where something is oxidised there",
        "units": found.units,
        "points": len(found.time),
        "cycles": [
            {
                "cycle": cycle,
                "peaks": {
                    one.direction: {"potential": one.potential, "current": one.current}
                    for one in found.peaks
                    if one.cycle == cycle
                },
                "separation": found.separation(cycle),
                "midpoint": found.midpoint(cycle),
            }
            for cycle in range(1, found.cycles + 1)
        ],
        "steps": found.solution.transient_report.steps,
        "warnings": list(found.solution.warnings),
    }


def cv_table(found: Voltammogram) -> list[str]:
    """Return lines for the terminal: the peaks of every cycle, and how far they are apart."""
    units = found.units
    head = ["cycle", "direction", f"peak {units['potential']}".strip(), f"current {units['current']}".strip()]
    rows = [[str(one.cycle), one.direction, f"{one.potential:.6g}", f"{one.current:.6g}"] for one in found.peaks]
    if not rows:
        largest = f"{np.abs(found.current).max():.6g} {units['current']}".rstrip()
        return [f"no peak in {counted(found.cycles, 'cycle')}; at most {largest}"]
    apart = [
        f"cycle {cycle}: {separation:.6g} {units['potential']}".rstrip() + " apart"
        for cycle in range(1, found.cycles + 1)
        if (separation := found.separation(cycle)) is not None
    ]
    return [*columns([head, *rows]), *apart]


def draw_cv(path: Path, found: Voltammogram) -> None:
    """Draw the current over the potential, later cycles darker, with the parts of the last one, and peaks."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 2.8))
        axis = figure.subplots()
        begun = found.has_begun
        shades = matplotlib.colormaps["Blues"](np.linspace(1.0, 0.4, found.cycles)[::-1])
        for cycle, shade in enumerate(shades, start=1):
            own = (found.cycle == cycle) & begun
            axis.plot(found.potential[own], found.current[own], color=shade, label=f"cycle {cycle}")
        last = found.cycle == found.cycles
        parts = {name: getattr(found, name)[last & begun] for name in ("faradaic", "capacitive")}
        # where there is only one of them it is the whole
        if all(np.ptp(values) > 1e-3 * np.ptp(found.current[last & begun]) for values in parts.values()):
            for (name, values), style in zip(parts.items(), ("--", ":"), strict=True):
                axis.plot(found.potential[last & begun], values, style, color="0.4", linewidth=1.0, label=name)
        low, high = found.current[begun].min(), found.current[begun].max()
        axis.set_ylim(low - MARGIN * (high - low), high + MARGIN * (high - low))
        for peak in found.peaks:
            axis.plot(peak.potential, peak.current, "o", color="black", markersize=3)
        start = found.current[~begun]
        if start.max(initial=high) > high + MARGIN * (high - low) or start.min(initial=low) < low - MARGIN * (
            high - low
        ):
            highest = max(start, key=abs)
            unit = unit_in_picture(found.units["current"])
            axis.set_title(f"without the first instants, up to {highest:.3g} {unit}".rstrip())
        zero_line(axis)
        axis.set_ylabel(with_unit("current", found.units["current"]))
        axis.set_xlabel(f'potential of "{plain(found.boundary)}" [{found.units["potential"] or "kT/e"}]')
        if found.cycles <= 10:
            axis.legend()
        entitle(figure, found.case.title)
        save(figure, path)
