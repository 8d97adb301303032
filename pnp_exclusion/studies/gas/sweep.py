"""A gas over the axes of its ``[sweep]``: currents, regimes and separation at every point, and their picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from pnp_exclusion.case.gas_case import GasCase
from pnp_exclusion.errors import CaseError, PnpExclusionError
from pnp_exclusion.output.text import columns
from pnp_exclusion.particles.gas.coefficients import part_of
from pnp_exclusion.particles.replicas import root_seed
from pnp_exclusion.particles.stationary import NothingMeasuredError
from pnp_exclusion.solution.style import COLUMN, STYLE, entitle, save, species_colour, with_unit
from pnp_exclusion.studies.gas.report import as_json
from pnp_exclusion.studies.gas.run import CLEAR, GasRun, Settings, run_gas
from pnp_exclusion.studies.gas.setup import GasUnits
from pnp_exclusion.studies.sweeps.design import Design, design_of

MOST_TICKS = 8
SEPARATED = 0.25
"""Separation in size from which two kinds are called phase separated, if it is clear of its error."""
KEPT = (
    "converged",
    "complaint",
    "force",
    "current",
    "regime",
    "separation",
    "pass_fraction",
    "entropy_production",
    "loss",
)
"""Of what ``gas.json`` says of one gas."""
MARKS = {
    "inverse": ("o", "inverse current"),
    "unresolved": ("x", "unresolved"),
    "driven": ("^", "driven by the other force"),
}


@dataclass(frozen=True, eq=False)
class GasPoint:
    """One gas of a sweep: where it is, and what was measured or why nothing was."""

    at: dict[str, Any]
    run: GasRun | None
    reason: str = ""

    @property
    def separated(self) -> bool:
        """Whether any two kinds are phase separated."""
        if self.run is None:
            return False
        found = self.run.result.separation
        return bool(np.any((np.abs(found.mean) > SEPARATED) & (np.abs(found.mean) > CLEAR * found.error)))


@dataclass(eq=False)
class GasSweep:
    """All points in the order of the design, fewer if it was interrupted."""

    case: GasCase
    design: Design
    points: list[GasPoint] = field(default_factory=list)
    interrupted: bool = False

    @property
    def measured(self) -> list[GasRun]:
        """Those that have a result."""
        return [point.run for point in self.points if point.run is not None]


def run_gas_sweep(case: GasCase, settings: Settings, say: Callable[[str], None]) -> GasSweep:
    """Run the gas at every point of its ``[sweep]``, one after the other; collective.

    A point whose gas cannot be measured has the reason instead. Raises `CaseError` for points that make no case, before
    anything runs.
    """
    if case.sweep is None:
        raise CaseError(case.path, ["[sweep]: this table is missing"])
    design = design_of(case.sweep, case.as_written())
    cases, mistakes = [], []
    for point in range(design.size):
        changes: dict[str, Any] = {}
        for driving, coordinate in zip(design.drivings, design.coordinates(point), strict=True):
            changes |= driving.settings(coordinate)
        try:
            cases.append(case.varied(changes))
        except CaseError as error:
            mistakes += [f"{design.describe(point)}: {mistake}" for mistake in error.mistakes]
    if mistakes:
        raise CaseError(case.path, mistakes[:10])
    sweep = GasSweep(case, design)
    for number, (one, seed) in enumerate(zip(cases, root_seed(settings.seed).spawn(design.size), strict=True)):
        say(f"{number + 1} of {design.size}: {design.describe(number)}")
        own = replace(settings, seed=seed, report=part_of(settings.report, number, design.size))
        at = dict(zip((d.name for d in design.drivings), design.coordinates(number), strict=True))
        try:
            run = run_gas(one, own)
        except NothingMeasuredError:
            sweep.interrupted = True
            break
        except PnpExclusionError as error:
            sweep.points.append(GasPoint(at, None, str(error).partition(": ")[2] or str(error)))
            continue
        if run.interrupted:
            sweep.interrupted = True
            break
        sweep.points.append(GasPoint(at, run))
    return sweep


def sweep_json(sweep: GasSweep) -> dict[str, Any]:
    """Return the contents of ``gas.json``: of every point where it is and what ``gas.json`` of one gas begins with."""
    points = []
    for point in sweep.points:
        record: dict[str, Any] = {"at": point.at}
        if point.run is None:
            record |= {"converged": False, "complaint": point.reason}
        else:
            content = as_json(point.run)
            record |= {key: content[key] for key in KEPT} | {"phase_separated": point.separated}
        points.append(record)
    axes = [{"name": d.name, "unit": d.unit, "keys": list(d.keys)} for d in sweep.design.drivings]
    return {"axes": axes, "interrupted": sweep.interrupted, "points": points}


def sweep_csv(sweep: GasSweep) -> str:
    """Return ``points.csv``: axes, currents with errors, regimes, separation; units in the header."""
    units = GasUnits(sweep.case.si)
    head = [f"{d.name} [{d.unit}]" if d.unit else d.name for d in sweep.design.drivings]
    if not sweep.measured:
        return ",".join([*head, "complaint"]) + "\n"
    first = sweep.measured[0]
    for name in first.names:
        unit = units.current(name)[1]
        word = f"current_{name} [{unit}]" if unit else f"current_{name}"
        head += [word, f"error_of_{word}", f"regime_{name}"]
    pairs = _pairs(first)
    head += [f"separation_{name}" for name in pairs] + ["phase_separated", "complaint"]
    rows = [",".join(head)]
    for point in sweep.points:
        row = [str(value) for value in point.at.values()]
        if point.run is None:
            row += [""] * (len(head) - len(row) - 1) + [_quoted(point.reason)]
        else:
            currents, run = point.run.result.currents, point.run
            for a, name in enumerate(run.names):
                factor = units.current(name)[0]
                row += [f"{currents.mean[a] * factor:.9g}", f"{currents.error[a] * factor:.3g}", run.regimes[name]]
            row += [f"{run.result.separation.mean[at]:.6g}" for at in pairs.values()]
            row += [str(point.separated).lower(), _quoted(run.result.complaint)]
        rows.append(",".join(row))
    return "\n".join(rows) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"' if text else ""


def _pairs(run: GasRun) -> dict[str, tuple[int, int]]:
    kinds = [kind.name for kind in run.gas.kinds]
    return {f"{kinds[a]}-{kinds[b]}": (a, b) for a in range(len(kinds)) for b in range(a + 1, len(kinds))}


def sweep_table(sweep: GasSweep) -> list[str]:
    """Return the lines that ``gas`` prints of a sweep: how many points there are of each regime."""
    runs = sweep.measured
    lines = [f"{len(sweep.points)} of {sweep.design.size} points, {len(runs)} measured"]
    if runs:
        rows = [["current", "inverse", "driven", "forward", "unresolved"]]
        for name in runs[0].names:
            found = [run.regimes[name] for run in runs]
            rows.append([name, *(str(found.count(word)) for word in rows[0][1:])])
        lines += columns(rows)
        lines.append(f"{sum(point.separated for point in sweep.points)} points are phase separated")
    for count, told in (
        (len(sweep.points) - len(runs), "could not be measured"),
        (sum(not run.result.steady for run in runs), "are not steady"),
    ):
        if count:
            lines.append(f"{count} points {told}; points.csv says why")
    return lines + (["interrupted: the points until then"] if sweep.interrupted else [])


def can_be_drawn(sweep: GasSweep) -> bool:
    """Whether the sweep is a whole grid over one or two axes of numbers."""
    shape = sweep.design.shape
    numbers = all(driving.words is None for driving in sweep.design.drivings)
    return shape is not None and len(shape) < 3 and numbers and bool(sweep.measured) and not sweep.interrupted


def draw_sweep(path: Path, sweep: GasSweep) -> None:
    """Over one axis currents and separation as lines; over two as colours, with marks for what is not forward."""
    with matplotlib.rc_context(STYLE):
        names, units = sweep.measured[0].names, GasUnits(sweep.case.si)
        over_two = len(sweep.design.drivings) == 2
        quantities: list[tuple[str, str, Callable[[GasRun], tuple[float, float]], str]] = []
        for a, name in enumerate(names):
            factor, unit = units.current(name)
            quantities.append((with_unit(f"current of {name}", unit), name, _current_of(a, factor), "RdBu_r"))
        for name, at in _pairs(sweep.measured[0]).items():
            quantities.append((f"separation of {name.replace('-', ' and ')}", "", _separation_of(at), "PuOr"))
        figure = Figure(figsize=(0.75 * COLUMN * len(quantities), 2.7))
        panels = figure.subplots(1, len(quantities), squeeze=False)[0]
        for position, (axis, (label, name, read, colours)) in enumerate(zip(panels, quantities, strict=True)):
            if over_two:
                _map(figure, axis, sweep, label, name, read, colours)
            else:
                _line(axis, sweep, label, read, species_colour(position))
        entitle(figure, sweep.case.title or "gas")
        save(figure, path)


def _current_of(a: int, factor: float) -> Callable[[GasRun], tuple[float, float]]:
    return lambda run: (run.result.currents.mean[a] * factor, run.result.currents.error[a] * factor)


def _separation_of(at: tuple[int, int]) -> Callable[[GasRun], tuple[float, float]]:
    return lambda run: (run.result.separation.mean[at], run.result.separation.error[at])


def _line(axis: Axes, sweep: GasSweep, label: str, read: Callable[[GasRun], tuple[float, float]], colour: str) -> None:
    driving = sweep.design.drivings[0]
    found = [(point.at[driving.name], *read(point.run)) for point in sweep.points if point.run is not None]
    x, values, errors = np.array(found, dtype=float).T
    axis.errorbar(x, values, 2.0 * errors, fmt="o-", markersize=3, linewidth=0.9, color=colour)
    axis.axhline(0.0, color="black", linewidth=0.8)
    axis.set_xscale("log" if driving.log else "linear")
    axis.set_xlabel(f"{driving.name} [{driving.unit}]" if driving.unit else driving.name)
    axis.set_ylabel(label)


def _map(
    figure: Figure,
    axis: Axes,
    sweep: GasSweep,
    label: str,
    name: str,
    read: Callable[[GasRun], tuple[float, float]],
    colours: str,
) -> None:
    shape = sweep.design.shape
    assert shape is not None
    values = np.array([np.nan if point.run is None else read(point.run)[0] for point in sweep.points]).reshape(shape)
    largest = float(np.nanmax(np.abs(values))) or 1.0
    # by position, whatever the spacing: every gas has the same room
    drawn = axis.imshow(
        values.T, origin="lower", aspect="auto", cmap=colours, norm=TwoSlopeNorm(0.0, -largest, largest)
    )
    figure.colorbar(drawn, ax=axis, label=label)
    steps = [np.unravel_index(number, shape) for number in range(len(sweep.points))]

    def mark(where: list[bool], marker: str, told: str) -> None:
        if any(where):
            at = np.array([step for step, wanted in zip(steps, where, strict=True) if wanted]).T
            inside = None if marker == "x" else "none"
            axis.scatter(*at, marker=marker, s=22, color="black", facecolor=inside, linewidth=0.9, label=told)

    if name:
        for word, (marker, told) in MARKS.items():
            mark([p.run is not None and p.run.regimes[name] == word for p in sweep.points], marker, told)
    else:
        mark([point.separated for point in sweep.points], "s", "phase separated")
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0.0, -0.14))
    axis.grid(visible=False)
    for driving, ticks, labelled in zip(
        sweep.design.drivings, (axis.set_xticks, axis.set_yticks), (axis.set_xlabel, axis.set_ylabel), strict=True
    ):
        every = -(-len(driving.values) // MOST_TICKS)
        ticks(range(0, len(driving.values), every), [f"{float(v):.3g}" for v in driving.values[::every]])
        labelled(f"{driving.name} [{driving.unit}]" if driving.unit else driving.name)
