"""The cross-section of a channel along x, as its case gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pnp_exclusion.case.domain_tables import AreaTable, Cone, Interval
from pnp_exclusion.case.formulas import Formula

Section = Callable[[np.ndarray], np.ndarray]
"""Its area at positions, both in SI units, or dimensionless."""

SAMPLES = 4001
"""Positions at which a section is looked at before anything is solved."""
STRETCHES = 32
"""Of a channel: within each its section counts as changing as fast as where it does so fastest."""
CHANGE = 3.0
"""Times the length over which a section changes by a factor e: it is resolved like a layer as thick as that."""


def area_of(domain: Interval) -> Section:
    """Return the section of an interval that gives one."""
    match domain.area:
        case None:
            raise TypeError("the interval has no area")
        case AreaTable() as table:
            knots, values = (np.array([entry.value for entry in entries]) for entries in (table.x, table.values))
            return lambda x: np.interp(x, knots, values)
        case Cone() as cone:
            slope = (cone.right.value - cone.left.value) / domain.length.value
            return lambda x: np.pi * (cone.left.value + slope * x) ** 2
        case str() as text:
            formula, unit = Formula(text, ("x",)), domain.length.value / domain.length.number
            return lambda x: np.broadcast_to(formula(x=x / unit) * unit**2, np.shape(x))
        case number:
            return lambda x: np.full(np.shape(x), number.value)


def mistakes_of(domain: Interval) -> Iterator[str]:
    """Yield what is wrong with the section of an interval that gives one."""
    length = domain.length.value
    if isinstance(domain.area, AreaTable):
        first, last = domain.area.x[0], domain.area.x[-1]
        if first.value > 1e-12 * length or last.value < length * (1 - 1e-12):
            yield f"area.x runs from {first.text} to {last.text}; it must cover the domain, 0 to {domain.length.text}"
            return
    x = np.linspace(0.0, length, SAMPLES)
    if isinstance(domain.area, AreaTable):
        x = np.union1d(x, np.clip([knot.value for knot in domain.area.x], 0.0, length))
    area = area_of(domain)(x)
    if isinstance(domain.area, Cone) and min(domain.area.left.value, domain.area.right.value) < 0.0:
        yield "area has a negative radius"
    elif not np.isfinite(area).all():
        where = x[np.flatnonzero(~np.isfinite(area))[0]]
        yield f"area has no value at {where / length:.4g} of the length"
    elif area.min() <= 0.0:
        what = "vanishes" if area.min() == 0.0 else "is negative"
        yield f"area {what} at {x[area.argmin()] / length:.4g} of the length; a channel must be open everywhere"


def fast_changes(domain: Interval) -> Iterator[tuple[float, float]]:
    """Yield where the section of an interval changes fastest, and what must be resolved there; both over its length."""
    edges = np.linspace(0.0, 1.0, SAMPLES)
    area = area_of(domain)(edges * domain.length.value)
    slopes = np.abs(np.diff(np.log(area))) * (SAMPLES - 1)
    for first, last in zip(*_ends_of_stretches(), strict=True):
        steepest = first + int(slopes[first:last].argmax())
        if slopes[steepest] > 1.0:
            yield 0.5 * float(edges[steepest] + edges[steepest + 1]), CHANGE / float(slopes[steepest])


def _ends_of_stretches() -> tuple[np.ndarray, np.ndarray]:
    ends = np.linspace(0, SAMPLES - 1, STRETCHES + 1).astype(int)
    return ends[:-1], ends[1:]
