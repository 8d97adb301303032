"""What is written and printed of a gas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from pnp_exclusion.case.gas_tables import SIDES
from pnp_exclusion.output.text import columns
from pnp_exclusion.particles.gas.coefficients import Coefficients, free_matrix
from pnp_exclusion.particles.gas.onsager import Onsager
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.studies.gas.run import GasRun
from pnp_exclusion.studies.gas.setup import GasUnits, Unit

PURE: Unit = (1.0, "")


def quantity(value: float, unit: Unit, error: float | None = None) -> dict[str, Any]:
    """Return a number, its error and its unit."""
    factor, name = unit
    errors = {} if error is None else {"error": float(error) * factor}
    return {"value": float(value) * factor} | errors | {"unit": name}


def estimate(found: Estimate, unit: Unit = PURE) -> dict[str, Any]:
    """Return a single estimate in a unit."""
    return quantity(float(found.mean), unit, float(found.error))


def as_json(run: GasRun) -> dict[str, Any]:
    """Return the contents of ``gas.json``, in the case's units; currents run left to right, energies are kinetic."""
    result, units, gas = run.result, GasUnits(run.case.si), run.gas
    kinds = [kind.name for kind in gas.kinds]
    pairs = list(combinations_with_replacement(range(len(kinds)), 2))
    return {
        "converged": result.steady,
        "complaint": result.complaint,
        "interrupted": run.interrupted,
        "units": run.case.gas.units,
        "kinds": kinds,
        "force": {n: quantity(f, units.force(n)) for n, f in zip(run.names, gas.forces, strict=True)},
        "current": {
            side: _currents(run, Estimate(result.end_currents.mean[at], result.end_currents.error[at]))
            for at, side in enumerate(SIDES)
        }
        | {"mean": _currents(run, result.currents)},
        "regime": run.regimes,
        "loss": estimate(result.loss, units.current("energy")),
        "entropy_production": estimate(result.entropy_production, units.entropy_production),
        "pass_fraction": {f"{kinds[a]}-{kinds[b]}": _entry(result.pass_fractions, (a, b)) for a, b in pairs},
        "separation": {f"{kinds[a]}-{kinds[b]}": _entry(result.separation, (a, b)) for a, b in pairs if a != b},
        "coefficients": {way: _coefficients(run, found) for way, found in run.coefficients.items()},
        "linear_current": _currents(run, run.linear) if run.linear is not None else None,
        "current_over_linear": _over_linear(run),
        "profile": {
            "position": (result.positions * units.length[0]).tolist(),
            "unit": {"position": units.length[1], "density": units.density[1], "temperature": units.temperature[1]},
            "density": _profiles(kinds, result.densities, units.density),
            "temperature": _profiles(kinds, result.temperatures, units.temperature),
        },
        "checks": {"energy_imbalance": result.imbalance, "drift": float(np.abs(result.verdict.drift).max())},
        "correlation_time": quantity(result.verdict.correlation_time, units.time),
        "burn_in": quantity(result.burn_in, units.time),
        "time": quantity(result.time, units.time),
        "replicas": result.replicas,
        "seed": run.settings.seed,
        "events": result.events,
        "seconds": result.seconds,
    }


def summary(content: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of ``summary.json``: the numbers that ``gas.json`` begins with."""
    kept = (
        "converged",
        "complaint",
        "interrupted",
        "units",
        "force",
        "current",
        "regime",
        "loss",
        "entropy_production",
    )
    return {key: content[key] for key in (*kept, "pass_fraction", "separation", "checks")}


def profile_csv(run: GasRun) -> str:
    """Return ``profile.csv``: position, density and temperature of every kind with errors; units in the header."""
    result, units = run.result, GasUnits(run.case.si)
    head, rows = [_header("x", units.length)], [result.positions * units.length[0]]
    for word, found, unit in (
        ("density", result.densities, units.density),
        ("temperature", result.temperatures, units.temperature),
    ):
        for a, kind in enumerate(run.gas.kinds):
            head += [_header(f"{word}_{kind.name}", unit), _header(f"error_of_{word}_{kind.name}", unit)]
            rows += [found.mean[a] * unit[0], found.error[a] * unit[0]]
    lines = [",".join(head), *(",".join(f"{value:.9g}" for value in row) for row in np.column_stack(rows))]
    return "\n".join(lines) + "\n"


def _header(name: str, unit: Unit) -> str:
    return f"{name} [{unit[1]}]" if unit[1] else name


def _currents(run: GasRun, found: Estimate) -> dict[str, Any]:
    units = GasUnits(run.case.si)
    rows = zip(run.names, found.mean, found.error, strict=True)
    return {name: quantity(mean, units.current(name), error) for name, mean, error in rows}


def _entry(found: Estimate, at: tuple[int, int]) -> dict[str, Any]:
    return quantity(found.mean[at], PURE, found.error[at])


def _profiles(kinds: Iterable[str], found: Estimate, unit: Unit) -> dict[str, Any]:
    return {
        name: {"mean": (mean * unit[0]).tolist(), "error": (error * unit[0]).tolist()}
        for name, mean, error in zip(kinds, found.mean, found.error, strict=True)
    }


def _over_linear(run: GasRun) -> dict[str, Any] | None:
    """Currents over those of linear response; errors of both, as independent."""
    if run.linear is None or not np.any(run.gas.forces):
        return None
    measured, linear = run.result.currents, run.linear
    ratio = measured.mean / linear.mean
    error = np.abs(ratio) * np.hypot(measured.error / measured.mean, linear.error / linear.mean)
    return {n: quantity(r, PURE, e) for n, r, e in zip(run.names, ratio, error, strict=True)}


def _coefficients(run: GasRun, found: Coefficients) -> dict[str, Any]:
    units, names = GasUnits(run.case.si), run.names
    return {
        "L": [
            [
                quantity(found.matrix.mean[a, b], units.coefficient(names[a], names[b]), found.matrix.error[a, b])
                for b in range(2)
            ]
            for a in range(2)
        ],
        "asymmetry_in_errors": found.asymmetry,
        "energy_per_particle": estimate(found.energy_per_particle, units.energy),
        "seebeck": estimate(found.seebeck, units.seebeck),
        "conductivity": estimate(found.conductivity, units.conductivity),
        "figure_of_merit": estimate(found.figure_of_merit),
        "YT_with_free_leg": estimate(found.loop_figure_of_merit(free_leg(run))),
    }


def free_leg(run: GasRun) -> Onsager:
    """Return the open kind alone, which nothing hinders, in a leg of the same length."""
    (opened,), gas = run.gas.open_kinds, run.gas
    alone = replace(gas, kinds=(gas.kinds[opened],), barriers=np.zeros((1, 1)), losses=np.zeros((1, 1)))
    return Onsager(free_matrix(alone) / gas.length)


# ---- the terminal ----


def table(run: GasRun) -> list[str]:
    """Return the lines that ``gas`` prints."""
    result, units = run.result, GasUnits(run.case.si)
    rows = [["current", "force", "left", "right", "+-", "", "regime"]]
    for a, name in enumerate(run.names):
        factor, unit = units.current(name)
        ends = [f"{result.end_currents.mean[at, a] * factor:.5g}" for at in range(2)]
        error = f"{result.currents.error[a] * factor:.2g}"
        rows.append([name, f"{run.gas.forces[a] * units.force(name)[0]:.5g}", *ends, error, unit, run.regimes[name]])
    lines = columns(rows)
    kinds = [kind.name for kind in run.gas.kinds]
    for a, b in combinations_with_replacement(range(len(kinds)), 2):
        if a != b:
            passed, apart = result.pass_fractions, result.separation
            lines.append(
                f"{kinds[a]} and {kinds[b]}: {passed.mean[a, b]:.4g} of their meetings pass; separation "
                f"{apart.mean[a, b]:.4f} +- {apart.error[a, b]:.1g}"
            )
    production = estimate(result.entropy_production, units.entropy_production)
    lines.append(
        f"entropy production {production['value']:.5g} +- {production['error']:.2g} {production['unit']}".rstrip()
    )
    if run.gas.loses_energy:
        lost = estimate(result.loss, units.current("energy"))
        lines.append(f"energy lost by passings {lost['value']:.5g} +- {lost['error']:.2g} {lost['unit']}".rstrip())
    lines += _coefficient_lines(run)
    lines.append(
        f"energy balance {result.imbalance:.1e}; {result.events} events in {result.seconds:.1f} s, "
        f"correlation time {result.verdict.correlation_time * units.time[0]:.3g} {units.time[1]}".rstrip()
    )
    if run.interrupted:
        lines.append("interrupted: what was measured until then")
    return lines


def _coefficient_lines(run: GasRun) -> list[str]:
    if not run.coefficients:
        return []
    content = {way: _coefficients(run, found) for way, found in run.coefficients.items()}
    rows = [["about the equilibrium midway", *content, "unit"]]

    def add(name: str, words: list[dict[str, Any]]) -> None:
        rows.append([name, *(f"{one['value']:.5g} +- {one['error']:.2g}" for one in words), words[0]["unit"]])

    for a, first in enumerate(run.names):
        for b, second in enumerate(run.names):
            add(f"L {first}, {second}", [one["L"][a][b] for one in content.values()])
    for key in ("energy_per_particle", "seebeck", "conductivity", "figure_of_merit", "YT_with_free_leg"):
        add(key.replace("_", " "), [one[key] for one in content.values()])
    lines = ["", *columns(rows)]
    ratios = _over_linear(run)
    if ratios is not None:
        words = [f"{name} {one['value']:.4g} +- {one['error']:.2g}" for name, one in ratios.items()]
        lines.append(f"current over linear response: {', '.join(words)}")
    return lines
