"""What is written and drawn of correlations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pnp_exclusion.output.text import columns, csv_of, word
from pnp_exclusion.solution.correlations import Correlations, Covariances
from pnp_exclusion.solution.style import PAGE, STYLE, entitle, plain, save, species_colour, with_unit

WIDTH = PAGE / 3.0
"""Of a panel, inches."""


def covariances_json(amounts: Covariances, correlations: Correlations | None) -> dict[str, Any]:
    """Return ``correlations.json``: means and covariances of the amounts, and in one dimension ``eps``."""
    names = amounts.names
    variances = dict(zip(names, np.diag(amounts.matrix).tolist(), strict=True))
    means = dict(zip(names, amounts.means.tolist(), strict=True))
    return {
        "species": list(names),
        "unit": amounts.unit,
        "mean": means,
        "covariance": amounts.matrix.tolist(),
        "variance_over_mean": {name: variances[name] / means[name] if means[name] > 0.0 else None for name in names},
        "correlation": {
            f"{one}, {other}": float(amounts.correlation(one, other))
            for a, one in enumerate(names)
            for other in names[a + 1 :]
        },
        "eps": None if correlations is None else correlations.eps,
    }


def covariances_table(amounts: Covariances) -> list[str]:
    """Return lines for the terminal: how amounts fluctuate."""
    unit = f" [{amounts.unit}]" if amounts.unit else ", over eps"
    rows = [["amounts in the domain", *amounts.names], [f"mean{unit}", *(f"{mean:.6g}" for mean in amounts.means)]]
    own = np.diag(amounts.matrix)
    rows.append([f"variance{unit}", *(f"{variance:.6g}" for variance in own)])
    rows.append(
        ["variance over mean", *(f"{v / m:.6g}" if m > 0.0 else "-" for v, m in zip(own, amounts.means, strict=True))]
    )
    for a, one in enumerate(amounts.names[:-1]):
        found = [amounts.correlation(one, other) if b > a else math.nan for b, other in enumerate(amounts.names)]
        rows.append([f"correlation with {one}", *(word(c) for c in found)])
    return columns(rows)


def structure_factors_csv(correlations: Correlations) -> str:
    """Return ``structure_factors.csv``: a row a wave number, pairs of species behind each other."""
    names = correlations.species
    unit = f" [{correlations.structure_unit}]" if correlations.structure_unit else ""
    per_length = f" [1/{correlations.length_unit}]" if correlations.length_unit else ""
    head, values = [f"wave_number{per_length}"], [correlations.wave_numbers]
    for a, one in enumerate(names):
        for b, other in enumerate(names[a:], start=a):
            factor = correlations.structure_factors[:, a, b]
            head.append(f"{one}_{other}{unit}")
            values.append(factor.real)
            if b > a:
                head.append(f"{one}_{other}_imaginary{unit}")
                values.append(factor.imag)
    return csv_of(head, values)


def draw_correlations(path: Path, title: str, correlations: Correlations) -> None:
    """Draw ``c_ab(x, y)`` of every pair of species, and structure factors over the wave number."""
    names, count = correlations.species, len(correlations.species)
    pairs = [(a, b) for a in range(count) for b in range(a, count)]
    panels = len(pairs) + 1
    across = min(panels, 4 if panels % 4 != 1 else 3)
    down = math.ceil(panels / across)
    x, unit = correlations.points, correlations.length_unit or "L"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH * across + 0.6, (WIDTH - 0.4) * down + 0.4))
        axes = np.atleast_1d(figure.subplots(down, across)).ravel()
        for axis, (a, b) in zip(axes, pairs, strict=False):
            values = correlations.values[a, b]
            most = np.nanmax(np.abs(values)) or 1.0
            # a row of the array is a first point
            drawn = axis.pcolormesh(x, x, values.T, cmap="RdBu_r", vmin=-most, vmax=most, shading="nearest")
            axis.set_aspect("equal")
            axis.grid(visible=False)
            axis.set_xlabel(f"x of {plain(names[a])} [{unit}]")
            axis.set_ylabel(f"y of {plain(names[b])} [{unit}]")
            words = with_unit("c(x, y)", correlations.unit) if correlations.unit else "c(x, y), over eps"
            figure.colorbar(drawn, ax=axis, label=words)
        axis = axes[len(pairs)]
        for a, b in pairs:
            factor = correlations.structure_factors[:, a, b].real
            line = {"color": species_colour(a)} if a == b else {"color": "0.3", "linestyle": "--"}
            name = plain(names[a]) if a == b else f"{plain(names[a])}, {plain(names[b])}"
            axis.plot(correlations.wave_numbers, factor, marker=".", label=name, **line)
        axis.set_xlabel(f"wave number [{unit}⁻¹]")
        unit = correlations.structure_unit
        axis.set_ylabel(with_unit("structure factor", unit) if unit else "structure factor, over eps")
        axis.legend()
        for empty in axes[panels:]:
            empty.set_visible(False)
        entitle(figure, title)
        save(figure, path)
