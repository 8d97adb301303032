"""How far the solutions of one case under several laws are apart, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from pnp_exclusion.observe import sample
from pnp_exclusion.solution.solution import Solution

POINTS = 2001
"""Along an interval, evenly spaced; above one dimension those of a slice (`observe.sample.GRID`)."""


def distances(solutions: Mapping[str, Solution]) -> list[dict[str, Any]]:
    """Return for every two laws the differences of currents and of profiles, by species; collective.

    ``current``: of the second law less the first, from end to end, in the unit of the summary's fluxes; None without
    two ends. ``profile``: root of the mean square of the difference of concentrations (fractions in a dimensionless
    case) over the interval, or over the central slice.
    """
    axis = next(iter(solutions.values())).steady.axis
    sampled = {law: _sampled(solution, axis) for law, solution in solutions.items()}
    found = []
    for (first, one), (second, other) in combinations(solutions.items(), 2):
        scales, names = one.setup.scales, one.discretisation.problem.names
        unit = "mol/L" if scales.si else ""
        apart = np.sqrt(np.nanmean((sampled[second] - sampled[first]) ** 2, axis=1)) * scales.displayed_contents
        found.append(
            {
                "laws": [first, second],
                "current": _differences(one, other),
                "profile": {
                    name: {"value": float(value), "unit": unit} for name, value in zip(names, apart, strict=True)
                },
            }
        )
    return found


def _differences(one: Solution, other: Solution) -> dict[str, Any] | None:
    if one.currents is None or other.currents is None:
        return None
    return {
        name: {"value": other.currents[name] - current, "unit": one.current_unit}
        for name, current in one.currents.items()
    }


def _sampled(solution: Solution, axis: int) -> np.ndarray:
    """Return densities ``(N, points)`` at the same points for every law, NaN outside the domain; on every rank."""
    discrete = solution.discretisation
    domain = discrete.problem.domain
    if domain.dimension == 1:
        low, high = domain.bounding_box()
        points = np.zeros((POINTS, 3))
        points[:, 0] = np.linspace(low[0], high[0], POINTS)
    else:
        points = sample.central_plane(domain, axis).points
    values, *more = sample.values_at(points, [discrete.unknown, *sample.energies_of(discrete)])
    return np.array(discrete.densities(values, sample.at_points(more))[1:])
