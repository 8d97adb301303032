"""What is written and drawn of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pnp_exclusion.output.text import columns, word
from pnp_exclusion.solution.style import PAGE, STYLE, entitle, plain, save
from pnp_exclusion.studies.fits.data import Measurement
from pnp_exclusion.studies.fits.fit import Fit, Profile

GOOD_LOOKING = 2.0
"""Inches: the height of a row of the picture."""


def fit_csv(fit: Fit) -> str:
    """Return ``fit.csv``: a row a measurement, with what the fitted case gives for it."""
    rows = [["row", "observable", "at", "measured", "fitted", "unit", "residual"]]
    for one, fitted, residual in zip(fit.measurements, fit.model.tolist(), fit.residuals.tolist(), strict=True):
        at = "; ".join(f"{key} = {value}" for key, value in one.settings)
        rows.append([str(one.row), one.observable, at, repr(one.value), repr(fitted), one.unit, repr(residual)])
    return "".join(",".join(row) + "\n" for row in rows)


def fit_json(fit: Fit, profiles: Sequence[Profile] = ()) -> dict[str, Any]:
    """Return ``fit.json``: parameters with what is known of them, and what is not."""
    by_likelihood = {one.parameter: one for one in profiles}
    parameters = {}
    for n, name in enumerate(fit.parameters):
        parameters[name] = {
            "value": float(fit.values[n]),
            "unit": fit.units[n],
            "standard_deviation": float(fit.errors[n]),
            "interval_95": fit.intervals[n].tolist(),
            "begin": float(fit.begin[n]),
        }
        if name in by_likelihood:
            profile = by_likelihood[name]
            parameters[name]["profile"] = {
                "values": profile.values.tolist(),
                "excess": profile.excess.tolist(),
                "limit_95": profile.limit,
                "interval_95": list(profile.interval),
            }
    return {
        "parameters": parameters,
        "covariance": fit.covariance.tolist(),
        "correlation": fit.correlation.tolist(),
        "chi_squared": fit.chi_squared,
        "degrees_of_freedom": fit.degrees_of_freedom,
        "has_uncertainties": fit.has_uncertainties,
        "measurements": len(fit.measurements),
        "evaluations": fit.steps,
        "unidentified": list(fit.unidentified),
        "warnings": list(fit.warnings),
    }


def fit_table(fit: Fit) -> list[str]:
    """Return lines for the terminal."""
    rows = [["parameter", "value", "standard deviation", "95 % from", "to", "unit"]]
    for n, name in enumerate(fit.parameters):
        numbers = [fit.values[n], fit.errors[n], *fit.intervals[n]]
        rows.append([name, *(word(float(number)) for number in numbers), fit.units[n]])
    of = f"sum of squares {fit.chi_squared:.4g} for {fit.degrees_of_freedom} degrees of freedom"
    return [*columns(rows), of]


def draw_fit(path: Path, title: str, fit: Fit) -> None:
    """Draw data and fit of every observable, and the residuals below."""
    observables = list(dict.fromkeys(one.observable for one in fit.measurements))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(min(PAGE, 3.4 * len(observables)), 2.0 * GOOD_LOOKING))
        panels = figure.subplots(2, len(observables), squeeze=False, sharex="col", height_ratios=[2, 1])
        for (upper, lower), observable in zip(panels.T, observables, strict=True):
            chosen = [n for n, one in enumerate(fit.measurements) if one.observable == observable]
            data = [fit.measurements[n] for n in chosen]
            x, label = _along(data)
            order = np.argsort(x)
            values, model = np.array([one.value for one in data]), fit.model[chosen]
            bars = [one.uncertainty for one in data] if fit.has_uncertainties else None
            upper.errorbar(x, values, yerr=bars, fmt="o", label="measured")
            upper.plot(x[order], model[order], "-", label="fitted")
            upper.set_ylabel(plain(f"{observable} [{data[0].unit}]" if data[0].unit else observable))
            upper.legend()
            lower.axhline(0.0, linewidth=0.6, color="0.3")
            lower.plot(x, fit.residuals[chosen], "o")
            lower.set_xlabel(plain(label))
            lower.set_ylabel("residual" if fit.has_uncertainties else "weighted residual")
        entitle(figure, title)
        save(figure, path)


def _along(data: Sequence[Measurement]) -> tuple[np.ndarray, str]:
    """Return what varies from one measurement to the next, and its name; their number if that is no single key."""
    found: dict[str, set[Any]] = {}
    for one in data:
        for key, value in one.settings:
            found.setdefault(key, set()).add(value)
    varying = [key for key, values in found.items() if len(values) > 1]
    tables = [dict(one.settings) for one in data]
    if not varying or not all(varying[0] in table for table in tables):
        return np.arange(1.0, len(data) + 1.0), "measurement"
    texts = [str(table[varying[0]]).partition(" ") for table in tables]
    unit = f" [{texts[0][2]}]" if texts[0][2] else ""
    return np.array([float(number) for number, _, _ in texts]), varying[0] + unit
