"""Groups on a wall behind a layer without ions: their charge determines the potential across it, which changes them.

With ``v`` the logarithm of the protons at the groups, ``V`` of those beside the layer, both from where the groups
balance, and ``a`` the potential across the layer if all were charged, ``v + a S(v) = V``. ``S`` is convex up to an
inflection and concave from there on. Newton's method goes one way and cannot miss: from the right to a root among the
former, from the left to one among the latter. It is written out in UFL, so that its derivative is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import ufl

STEPS = 8
"""Of Newton's method: they leave 4e-13 of the charge for ``a`` up to 1000 and ``V`` to 60 beyond either end."""


class Numbers(Protocol):
    """What makes symbols for numbers."""

    def number(self, value: float) -> Any:
        """Return a symbol for a number, so that another value compiles nothing anew."""
        ...


def protonated(bare: Any, most: Any) -> Any:
    """Return the share of groups of one kind that have a proton.

    bare, most
        ``V`` and ``a``.
    """

    def share(v: Any) -> tuple[Any, Any]:
        taken = 1.0 / (1.0 + ufl.exp(-v))
        return taken, taken * (1.0 - taken)

    return share(_root(bare, most, share, 0.0))[0]


def amphoteric(bare: Any, most: Any, spread: float, numbers: Numbers) -> Any:
    """Return the mean charge of groups that have two, one or no protons more than the negative form.

    bare, most
        ``V`` and ``a``.
    spread
        Half of the logarithm of the first constant over the second.
    """
    neutral = numbers.number(math.exp(spread))

    def share(v: Any) -> tuple[Any, Any]:
        e = ufl.exp(-v)
        forms = 1.0 + neutral * e + e * e
        return (1.0 - e * e) / forms, (4.0 * e * e + neutral * (e + e**3)) / forms**2

    # S'' = 0 of 2 sinh v/(2 cosh v + m)
    m = math.exp(spread)
    inflection = math.acosh(max(1.0, 0.5 * m - 4.0 / m))
    # S is odd
    return ufl.sign(bare) * share(_root(abs(bare), most, share, numbers.number(inflection)))[0]


def _root(bare: Any, most: Any, share: Callable[[Any], tuple[Any, Any]], inflection: Any) -> Any:
    """Return ``v`` with ``v + a S(v) = V``; ``share`` gives ``S`` and its slope."""
    is_below = inflection + most * share(inflection)[0] >= bare
    v = ufl.conditional(is_below, ufl.min_value(inflection, bare), ufl.max_value(inflection, bare - most))
    for _ in range(STEPS):
        charge, slope = share(v)
        v = v - (v + most * charge - bare) / (1.0 + most * slope)
    return v
