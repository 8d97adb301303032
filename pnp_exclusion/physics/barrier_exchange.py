"""Barrier exchange: bullets and rods that carry energy (docs/theory.md#barrier-exchange).

A site is empty or holds a bullet (species 1) or a rod (species 2) with an energy, exponentially distributed at a
temperature. Contents of sites change places with their energies: with a vacancy at the rate ``w_b`` or ``w_r``, a
bullet and a rod at rate 1 if the energy of the rod exceeds ``h``. ``e_b`` and ``e_r`` are energies at rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from pnp_exclusion.physics.energy import Energy
from pnp_exclusion.physics.expressions import Value, exp, log


def over_a_barrier(
    a: int,
    b: int,
    rho: Sequence[Value],
    diffusivity: Sequence[Value],
    beta: Value,
    h: Value,
    w_b: Value,
    w_r: Value,
    **others: Value,
) -> Value:
    """Return the exchange coefficient of a pair, see `pnp_exclusion.physics.laws.Exchange`."""
    rate = exp(-h * beta) if b > 0 else (w_b, w_r)[a - 1]
    return diffusivity[a] * rate * rho[a] * rho[b]


def _log_weight(a: int, beta: Value, e_b: Value, e_r: Value, **others: Value) -> Value:
    return -log(beta) - beta * (e_b, e_r)[a - 1]


def _mean(a: int, beta: Value, e_b: Value, e_r: Value, **others: Value) -> Value:
    return 1.0 / beta + (e_b, e_r)[a - 1]


def _carried(a: int, b: int, beta: Value, h: Value, e_b: Value, e_r: Value, **others: Value) -> tuple[Value, Value]:
    """Above ``h`` the energy of a rod has the mean ``h + T`` and the variance ``T^2`` of any of its energies."""
    temperature, at_rest = 1.0 / beta, (e_b, e_r)[a - 1]
    if b == 0:
        return temperature + at_rest, temperature**2
    with_rod = h + e_r - e_b
    return (with_rod if a == 2 else -with_rod), 2.0 * temperature**2


EXPONENTIAL = Energy(_log_weight, _mean, _carried)
"""Of bullets and rods."""
