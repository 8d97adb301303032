"""Which combinations of species reactions conserve: the left null space of the stoichiometry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction


def conserved_combinations(names: Sequence[str], changes: Sequence[Callable[[str], int]]) -> list[Mapping[str, float]]:
    """Return combinations of species that no reaction changes, of those that some reaction changes.

    names
        Species of which only reactions make or take any.
    changes
        Of every reaction: how many particles of a species one event makes.

    By the coefficients of their species; the first one of each is in no other, with the coefficient 1.
    """
    linked = [name for name in names if any(change(name) for change in changes)]
    rows = [[Fraction(change(name)) for name in linked] for change in changes]
    pivots: list[int] = []
    for column in range(len(linked)):
        found = next((row for row in range(len(pivots), len(rows)) if rows[row][column]), None)
        if found is None:
            continue
        place = len(pivots)
        rows[place], rows[found] = rows[found], rows[place]
        rows[place] = [entry / rows[place][column] for entry in rows[place]]
        for other in range(len(rows)):
            if other != place and rows[other][column]:
                factor = rows[other][column]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[place], strict=True)]
        pivots.append(column)
    return [
        {linked[free]: 1.0}
        | {linked[pivot]: float(-rows[row][free]) for row, pivot in enumerate(pivots) if rows[row][free]}
        for free in range(len(linked))
        if free not in pivots
    ]
