"""The critical barrier of the gas of a case at several lengths, beside the kinetic limit of small barriers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pnp_exclusion.case.gas_case import GasCase
from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.output.text import columns
from pnp_exclusion.particles.gas.coefficients import part_of
from pnp_exclusion.particles.gas.critical import CriticalBarrier, exponent_of, find_critical_barrier
from pnp_exclusion.particles.gas.kinetic_limit import KineticLimit
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.particles.replicas import root_seed
from pnp_exclusion.particles.stationary import NothingMeasuredError
from pnp_exclusion.solution.style import STYLE, entitle, save, species_colour, with_unit, zero_line
from pnp_exclusion.studies.gas.run import Settings, refusals
from pnp_exclusion.studies.gas.setup import GasUnits, gas_of, time_of

FIRST_GUESS = 0.5
"""Of the critical barrier in units of ``T``, where the kinetic limit has none."""
LEAST_PARTICLES = 4.0
"""Of a gas on average; shorter ones are refused."""


@dataclass(frozen=True, eq=False)
class CriticalRun:
    """What was found at the lengths of a case.

    threshold
        In units of the temperature.
    kinetic
        The critical ``h^2 L`` of the kinetic limit; None where it has none, which ``warnings`` explain.
    """

    case: GasCase
    settings: Settings
    threshold: float
    found: tuple[CriticalBarrier, ...]
    kinetic: float | None
    warnings: tuple[str, ...]
    interrupted: bool

    @property
    def exponent(self) -> Estimate | None:
        """Of the critical barrier over the length."""
        return exponent_of(self.found)


def run_critical(case: GasCase, lengths: Sequence[float], threshold: float, settings: Settings) -> CriticalRun:
    """Find the critical barrier at every length, in the case's unit.

    A length at which none is found is left out, and told among the warnings. Raises `CaseError` for a gas that has no
    barrier, `UsageError` for lengths or times that are too small, or if there is none at any length, `ConvergenceError`
    if it is not steady at any.
    """
    gas = gas_of(case)
    _require_barrier(case, gas)
    kinetic, warnings = _kinetic(gas, threshold)
    shortest = gas.stretched(min(lengths))
    if np.sum(shortest.mean_densities) * shortest.length < LEAST_PARTICLES:
        raise UsageError(f"--lengths: a gas of length {min(lengths):g} holds less than {LEAST_PARTICLES:g} particles")
    time = time_of(case, gas.stretched(max(lengths)), settings.time)
    seeds = root_seed(settings.seed).spawn(len(lengths))
    found: list[CriticalBarrier] = []
    failures: list[UsageError | ConvergenceError] = []
    interrupted = False
    for position, (length, seed) in enumerate(zip(lengths, seeds, strict=True)):
        try:
            with refusals(case):
                found.append(
                    find_critical_barrier(
                        gas.stretched(length),
                        threshold,
                        _start(found, length, kinetic, gas),
                        time,
                        seed,
                        settings.replicas,
                        workers=settings.workers,
                        communicator=settings.communicator,
                        report=part_of(settings.report, position, len(lengths)),
                    )
                )
        except NothingMeasuredError:
            interrupted = True
            break
        except (UsageError, ConvergenceError) as error:
            failures.append(type(error)(f"length {length:g}: {str(error).removeprefix(f'{case.path}: ')}"))
    if failures and not found and not interrupted:
        raise type(failures[0])(f"{case.path}: {failures[0]}")
    warnings += tuple(map(str, failures))
    return CriticalRun(case, settings, threshold, tuple(found), kinetic, warnings, interrupted)


def _require_barrier(case: GasCase, gas: Gas) -> None:
    if len(gas.open_kinds) != 1:
        raise CaseError(
            case.path,
            [
                f"[[gas.kinds]]: a critical barrier is one for the current of one open kind; there are "
                f"{len(gas.open_kinds)}"
            ],
        )
    if np.array_equal(
        gas.with_barrier(2 * gas.mean_temperature).barriers, gas.with_barrier(gas.mean_temperature).barriers
    ):
        raise CaseError(case.path, ["[[gas.pairs]]: no pair of unlike kinds has a barrier that could be varied"])


def _kinetic(gas: Gas, threshold: float) -> tuple[float | None, tuple[str, ...]]:
    """The critical ``h^2 L`` of the kinetic limit, or why there is none."""
    try:
        limit = KineticLimit.of(gas)
    except UsageError as error:
        return None, (f"there is nothing to compare with: {error}",)
    t = gas.mean_temperature
    if limit.reaches(threshold * t):
        return float(limit.critical(threshold * t).value), ()
    end = limit.onsager(np.inf).ratio / t
    return None, (
        f"the kinetic limit of small barriers does not reach the threshold {threshold:g}: its L_ru/L_rr goes from T to "
        f"{end:.4g} T, so that the exponent is not -1/2",
    )


def _start(found: Sequence[CriticalBarrier], length: float, kinetic: float | None, gas: Gas) -> float:
    """A barrier near the critical one: as the last one scaled, as in the kinetic limit, or a guess."""
    if found:
        exponent = exponent_of(found)
        power = -0.5 if exponent is None else float(exponent.mean)
        return float(found[-1].barrier.mean * (length / found[-1].length) ** power)
    return (kinetic / length) ** 0.5 if kinetic is not None else FIRST_GUESS * gas.mean_temperature


def as_json(run: CriticalRun) -> dict[str, Any]:
    """Return the contents of ``gas.json``, in the case's units."""
    units, exponent = GasUnits(run.case.si), run.exponent
    square = f"{units.energy[1]}^2 {units.length[1]}" if run.case.si else ""
    return {
        "units": run.case.gas.units,
        "threshold": run.threshold,
        "interrupted": run.interrupted,
        "warnings": list(run.warnings),
        "exponent": None if exponent is None else {"value": float(exponent.mean), "error": float(exponent.error)},
        "kinetic_limit": None if run.kinetic is None else {"h2L": {"value": run.kinetic, "unit": square}},
        "lengths": [
            {
                "length": {"value": one.length, "unit": units.length[1]},
                "barrier": {
                    "value": float(one.barrier.mean),
                    "error": float(one.barrier.error),
                    "unit": units.energy[1],
                },
                "h2L": {
                    "value": float(one.barrier.mean**2 * one.length),
                    "error": float(2 * one.barrier.mean * one.barrier.error * one.length),
                    "unit": square,
                },
                "kinetic_barrier": None if run.kinetic is None else (run.kinetic / one.length) ** 0.5,
                "points": [point._asdict() for point in one.points],
            }
            for one in run.found
        ],
        "seed": run.settings.seed,
        "replicas": run.settings.replicas,
    }


def table(run: CriticalRun) -> list[str]:
    """Return the lines that ``gas --critical-barrier`` prints."""
    units = GasUnits(run.case.si)
    rows = [["length", "critical barrier", "+-", "h^2 L", "+-", "kinetic limit of h^2 L"]]
    kinetic = "-" if run.kinetic is None else f"{run.kinetic:.5g}"
    for one in run.found:
        h, error = float(one.barrier.mean), float(one.barrier.error)
        square = h**2 * one.length
        rows.append(
            [f"{one.length:g}", f"{h:.4g}", f"{error:.2g}", f"{square:.4g}", f"{2 * square * error / h:.2g}", kinetic]
        )
    lines = [
        f"L_ru = {run.threshold:g} T L_rr" + (f"; lengths in {units.length[1]}, barriers in J" if run.case.si else "")
    ]
    lines += columns(rows)
    if run.exponent is not None:
        lines.append(f"barrier ~ length^({float(run.exponent.mean):.3f} +- {float(run.exponent.error):.3f})")
    return lines + (["interrupted: what was found until then"] if run.interrupted else [])


def draw_critical(path: Path, run: CriticalRun) -> None:
    """The critical barrier over the length with its fitted power, beside the kinetic limit; and what was measured."""
    lengths = np.array([one.length for one in run.found])
    barriers = np.array([float(one.barrier.mean) for one in run.found])
    errors = np.array([float(one.barrier.error) for one in run.found])
    unit = GasUnits(run.case.si)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.4, 4.4))
        left, right = figure.subplots(1, 2)
        left.errorbar(lengths, barriers, 2 * errors, fmt="o", color=species_colour(0), label="gas, 2 standard errors")
        line = np.geomspace(0.9 * lengths.min(), 1.1 * lengths.max(), 50)
        if run.exponent is not None:
            weights = (barriers / errors) ** 2
            power = float(run.exponent.mean)
            height = np.exp(weights @ np.log(barriers / lengths**power) / weights.sum())
            label = f"fit: exponent {power:.3f} ± {float(run.exponent.error):.3f}"
            left.plot(line, height * line**power, "--", color=species_colour(0), linewidth=1.0, label=label)
        if run.kinetic is not None:
            label = f"kinetic limit: h² L = {run.kinetic:.4g}"
            left.plot(line, np.sqrt(run.kinetic / line), color=species_colour(1), label=label)
        left.set(xscale="log", yscale="log")
        left.set_xticks(lengths, [f"{length:g}" for length in lengths])
        ticks = np.unique([float(f"{value:.1g}") for value in barriers])
        left.set_yticks(ticks, [f"{value:g}" for value in ticks])
        for axis in (left.xaxis, left.yaxis):
            axis.set_minor_formatter(NullFormatter())
        left.set_xlabel(with_unit("length", unit.length[1]))
        left.set_ylabel(with_unit("critical barrier", unit.energy[1]))
        left.legend()
        for position, one in enumerate(run.found):
            h, excess, error = np.array(one.points).T
            right.errorbar(
                h / float(one.barrier.mean),
                excess,
                error,
                fmt="o-",
                markersize=3,
                color=species_colour(position),
                label=f"length {one.length:g}",
            )
        zero_line(right)
        right.axvline(1.0, color="0.5", linewidth=0.6)
        right.set_xlabel("barrier / critical barrier")
        excess_of = "L_ru" if run.threshold == 0 else f"(L_ru − {run.threshold:g} T L_rr)"
        right.set_ylabel(f"{excess_of} / (T L_rr without barrier)")
        right.legend()
        entitle(figure, f"{run.case.title or 'gas'}: L_ru = {run.threshold:g} T L_rr")
        save(figure, path)
