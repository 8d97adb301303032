"""Noise over a sweep: what is kept of every point, its variables and the rows of its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pnp_exclusion.case.case import Case
from pnp_exclusion.studies.sweeps.pictures import Row, labelled

if TYPE_CHECKING:
    from pnp_exclusion.solution.solution import Solution

LONG_NAMES = {
    "fano": "noise of a flux over that of independent events one way",
    "electric_fano": "noise of the electric current over that of elementary charges one way",
    "electric_noise": "noise of the electric current at frequency zero",
    "noise_correlation": "correlation coefficient of two fluxes at frequency zero",
    "uncertainty": "precision of all currents over the most that their entropy production allows",
}
DIMENSIONS: dict[str, tuple[str, ...]] = {"fano": ("species",), "noise_correlation": ("species", "other_species")}
"""Beyond those of the points."""


def noise_of_point(solution: Solution) -> dict[str, Any]:
    """Return what is kept of the noise of a solution, at its first terminal; collective.

    Raises as `Solution.noise` does.
    """
    noise = solution.noise([])
    first, names = noise.terminals[0], noise.quantities
    return {
        "fano": dict(zip(names, noise.fano[0].tolist(), strict=True)),
        "electric_fano": float(noise.electric_fano[0]),
        "electric_noise": float(noise.electric_at_zero[0, 0]),
        "noise_correlation": {a: {b: noise.correlation(first, a, b) for b in names if b != a} for a in names},
        "uncertainty": noise.uncertainty,
    }


def units_of(case: Case) -> dict[str, str]:
    """Return the units of these variables, where they have any."""
    per = ["/m^2", "/m", ""][case.dimension_of_totals - 1]
    return {"electric_noise": f"A^2/Hz{per}"}


def noise_rows(results: xr.Dataset) -> list[Row]:
    """Return what the picture shows: Fano factors, which tell of crowding, and correlations of unlike species."""
    if "fano" not in results:
        return []
    names = results["species"].values
    rows = [Row(f"Fano factor of {name}", "Fano factor", results["fano"].sel(species=name), False) for name in names]
    rows = [row for row in rows if np.isfinite(row.values).any()]
    for a, one in enumerate(names):
        for other in names[a + 1 :]:
            values = results["noise_correlation"].sel(species=one, other_species=other)
            rows.append(Row(f"{one}, {other}", labelled(values, "correlation of currents"), values))
    return rows
