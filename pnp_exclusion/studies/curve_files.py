"""What is written and drawn of a curve over a potential."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy.interpolate import CubicHermiteSpline

from pnp_exclusion.output.text import columns
from pnp_exclusion.solution.style import (
    COLUMN,
    STYLE,
    entitle,
    plain,
    save,
    species_colour,
    ticks,
    with_unit,
    zero_line,
)
from pnp_exclusion.studies.curve import Array, Curve, Direction

DIRECTIONS: tuple[Direction, ...] = ("forward", "backward")
DRAWN = 20
"""Pieces of the line from each point to the next."""


def curve_csv(curve: Curve) -> str:
    """Return ``curve.csv``: a row a point, units in the header."""

    def header(name: str, quantity: str) -> str:
        return f"{name} [{curve.units[quantity]}]" if curve.units[quantity] else name

    names = curve.case.species_names
    shares = [header(f"current_{name}", "current") for name in names]
    whole = [header(name, name) for name in ("potential", "current", "conductance", "charge", "capacitance")]
    lines = [",".join([*whole, *shares, "direction"])]
    for point in curve.points:
        values = [point.potential, point.current, point.conductance, point.charge, point.capacitance]
        lines.append(",".join([*(f"{value!r}" for value in [*values, *point.currents.values()]), point.direction]))
    return "\n".join(lines) + "\n"


def curve_json(curve: Curve) -> dict[str, Any]:
    """Return ``curve.json``: what the curve says as a whole."""
    peak = curve.peak
    return {
        "boundary": curve.boundary,
        "points": len(curve.points),
        "ended": curve.ended,
        "ended_backward": curve.ended_backward,
        "directions": {one: len(curve.branch(one)) for one in DIRECTIONS if curve.branch(one)},
        "units": curve.units,
        "rectification": curve.rectification,
        "limiting_current": curve.limiting_current,
        "zero_current_potential": curve.zero_current_potential,
        "peak_capacitance": {"potential": peak.potential, "value": peak.capacitance},
        "newton_iterations": sum(point.newton_iterations for point in curve.points),
        "warnings": list(curve.warnings),
    }


def curve_table(curve: Curve) -> list[str]:
    """Return lines for the terminal: a dozen points at most, and what the curve says as a whole."""
    shown = sorted({round(k) for k in np.linspace(0, len(curve.points) - 1, 12).tolist()})
    names = ("potential", "current", "conductance", "charge", "capacitance")
    head = [f"{name} {curve.units[name]}".strip() for name in names]
    rows = [[f"{getattr(point, name):.6g}" for name in names] for point in (curve.points[k] for k in shown)]
    whole = (
        ("rectification", curve.rectification, ""),
        ("limiting current", curve.limiting_current, curve.units["current"]),
        ("reversal potential", curve.zero_current_potential, curve.units["potential"]),
    )
    found = [f"{name}  {value:.6g} {unit}".rstrip() for name, value, unit in whole if value is not None]
    back = f"; from its other end it {curve.ended_backward or 'gets back to the first'}" if curve.ended else ""
    return [*columns([head, *rows]), *found, *([f"the curve {curve.ended}{back}"] if curve.ended else [])]


def draw_iv(path: Path, curve: Curve) -> None:
    """Draw the current with each ion's share, and the conductance below."""
    _draw(path, curve, "current", "conductance", shares=True)


def draw_capacitance(path: Path, curve: Curve) -> None:
    """Draw the charge, and the differential capacitance below."""
    _draw(path, curve, "charge", "capacitance", shares=False)


def _draw(path: Path, curve: Curve, value: str, slope: str, *, shares: bool) -> None:
    """Draw points as marks, and between them the cubic that has their values and slopes, and its derivative."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 3.8))
        above, below = figure.subplots(2, 1, sharex=True)
        for direction in DIRECTIONS:
            points = curve.branch(direction)
            if not points:
                continue
            x = [point.potential for point in points]
            first = direction == "forward"
            style = "-" if first else "--"
            if shares:
                for position, name in enumerate(curve.case.species_names):
                    own = [one.currents[name] for one in points]
                    at, (drawn, _) = between(x, own, [one.conductances[name] for one in points])
                    above.plot(at, drawn, style, color=species_colour(position), label=name if first else None)
            ys, slopes = ([getattr(point, name) for point in points] for name in (value, slope))
            at, lines = between(x, ys, slopes)
            for axis, marks, line in zip((above, below), (ys, slopes), lines, strict=True):
                whole = "all" if shares and first and axis is above else None
                axis.plot(at, line, style, color="black", label=whole)
                axis.plot(x, marks, ".", color="black", markersize=3)
        for axis, name in ((above, value), (below, slope)):
            axis.set_ylabel(with_unit(name, curve.units[name]))
        figure.align_ylabels()
        zero_line(above)
        if shares:
            above.legend()
        unit = curve.units["potential"] or "kT/e"
        below.xaxis.set_major_locator(ticks(6))
        below.set_xlabel(f'potential of "{plain(curve.boundary)}" [{unit}]')
        entitle(figure, curve.case.title)
        save(figure, path)


def between(x: Sequence[float], values: Sequence[float], slopes: Sequence[float]) -> tuple[Array, tuple[Array, Array]]:
    """Return positions from the first point to the last, and there the cubic of `Curve.at` and its derivative."""
    if len(x) < 2:
        return np.array(x), (np.array(values), np.array(slopes))
    cubic = CubicHermiteSpline(x, values, slopes)
    shares = np.arange(DRAWN) / DRAWN
    at = np.append((np.array(x[:-1])[:, None] + np.diff(x)[:, None] * shares).ravel(), x[-1])
    return at, (cubic(at), cubic.derivative()(at))
