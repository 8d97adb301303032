"""Fields that are read off a solution as tables: at its nodes, along lines, at points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pnp_exclusion.case.places import points_along, points_at
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.discretisation.discretisation import Discretisation, State
from pnp_exclusion.observe.nodes import NodalFields, fields_at_nodes
from pnp_exclusion.observe.sample import fields_at_points
from pnp_exclusion.output.displayed import displayed
from pnp_exclusion.output.fields import Moments
from pnp_exclusion.output.text import header
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.solution.solution import Solution

ROUNDING = 1e-14
"""Of the extent of a domain, which is about 1."""
Column = tuple[str, Sequence[str]]
"""Its head and its words."""


def fields_csv(solution: Solution, moments: Moments) -> str:
    """Return ``fields.csv``: a row a node, on rank 0; an empty text on the others; collective."""
    return _over_time(solution, moments, [], fields_at_nodes)


def lines_csv(solution: Solution, moments: Moments) -> str:
    """Return ``lines.csv``: a row a point of every line of the case, as `fields_csv`."""
    lines = {name: points_along(solution.setup, line) for name, line in solution.case.output.named_lines.items()}
    points = np.concatenate(list(lines.values()))
    names: Sequence[str] = [name for name, of_line in lines.items() for _ in of_line]
    distances = np.concatenate([np.linalg.norm(of_line - of_line[0], axis=1) for of_line in lines.values()])
    scales = solution.setup.scales
    along = _numbers(header("distance", scales.length_unit), distances * scales.length_in_unit)
    return _over_time(solution, moments, [("line", names), along], lambda here: fields_at_points(here, points))


def probes_csv(solution: Solution, moments: Moments) -> str:
    """Return ``probes.csv``: a row a point of the case, as `fields_csv`."""
    output = solution.case.output
    points, names = points_at(solution.setup, output.points), list(output.named_points)
    return _over_time(solution, moments, [("point", names)], lambda here: fields_at_points(here, points))


def _over_time(
    solution: Solution,
    moments: Moments,
    first: list[Column],
    read: Callable[[Discretisation], NodalFields | None],
) -> str:
    """Return a table of the solution, or of the states of a motion one below the other with their times.

    first
        Columns that stand before those of the fields.
    """
    lines: list[str] = []
    head, discrete = header("time", "s" if solution.setup.scales.si else ""), solution.discretisation
    states: Sequence[tuple[float | None, State]] = moments or [(None, solution.state)]
    for time, state in states:
        discrete.show(state)
        fields = read(discrete)
        if fields is None:
            continue
        columns = [*first, *_columns(fields, solution.setup.scales, discrete.problem)]
        if time is not None:
            columns = [(head, [f"{time:.12g}"] * len(fields.points)), *columns]
        if not lines:
            lines.append(",".join(name for name, _ in columns))
        lines += map(",".join, zip(*(words for _, words in columns), strict=True))
    return "\n".join([*lines, ""]) if lines else ""


def _columns(fields: NodalFields, scales: Scales, problem: Problem) -> Iterator[Column]:
    for letter, along in zip("xyz", fields.points.T, strict=False):
        # of a mesh file there may be hairs of its extent beside zero
        placed = np.where(np.abs(along) > ROUNDING, along, 0.0)
        yield _numbers(header(letter, scales.length_unit), placed * scales.length_in_unit)
    for name, unit, values in displayed(fields, scales, problem):
        if values.ndim == 1:
            yield _numbers(header(name, unit), values)
        else:
            kind, _, species = name.partition("_")
            for letter, component in zip("xyz", values, strict=False):
                yield _numbers(header(f"{kind}_{letter}_{species}", unit), component)


def _numbers(head: str, values: np.ndarray) -> Column:
    return head, ["" if np.isnan(value) else f"{value:.12g}" for value in values.tolist()]
