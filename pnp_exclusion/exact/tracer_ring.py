"""A tracer with two drives among others on a ring: linear response, exact from the master equation.

A ring of `L` sites holds a tracer and `M` others. The others hop to empty neighbours at rate 1. The tracer moves into
an empty neighbour at rate `1 + e` to the right, `1 - e` to the left, and changes places with a neighbour at
`k (1 + e')` and `k (1 - e')`. To first order its velocity is `R_v e + R_x e'`. With `x = M/(L - 1)`,

    R_v = 2 [(1 - x) - (1 - k) g],   R_x = 2 k [x + (1 - k) g],   so   R_v + R_x/k = 2   for every L, M and k.

Why: the state at rest is uniform, the velocity is the difference of the rates to the right and to the left, and vacant
is what is not occupied; so the occupations right and left of the tracer, `n` and `n'`, give it
`2 (1 - x) e + 2 k x e' - (1 - k) <n - n'>`. Both drives press on the uniform state through the same `n - n'`, by `2 e`
and `-2 k e'`: hence `<n - n'> = 2 g (e - k e')`, with one `g >= 0`. As Onsager's matrix is positive, `g` is at most
`1 - x` and `x/k`: near equilibrium the mobility of this tracer is never negative. At `k = 1` a move looks the same
whatever is beside the tracer: `2 (1 - x)` and `2 x`.

Seen from the tracer a move of its own turns the sequence of the `L - 1` other sites by one, whether into a vacancy or
by exchange; so a state is which of these sites are occupied.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg

type Array = NDArray[np.float64]

MOST_STATES = 200_000
"""Beyond it the master equation takes more memory than a laptop has to spare."""
RESIDUAL = 1e-13
"""Of the master equation, against the source."""


class TracerResponse(NamedTuple):
    """``vacancies`` is `R_v`, ``exchanges`` is `R_x`; ``exchanges_per_rate`` is `R_x/k`, also where `k` is 0."""

    vacancies: float
    exchanges: float
    exchanges_per_rate: float

    @property
    def total(self) -> float:
        """`R_v + R_x/k`, which is 2."""
        return self.vacancies + self.exchanges_per_rate


def count_states(sites: int, others: int) -> int:
    """Return the number of configurations seen from the tracer."""
    return comb(sites - 1, others)


def tracer_response(sites: int, others: int, exchange: float) -> TracerResponse:
    """Solve for the responses of the tracer to both drives, each by itself.

    Raises `ValueError` for a ring of less than 3 sites, others that do not fit, a negative rate, more than
    `MOST_STATES` configurations, or ``exchange`` 0 where there are no vacancies to move into.
    """
    check_ring(sites, others, exchange)
    if count_states(sites, others) > MOST_STATES:
        raise ValueError(
            f"{others} others on {sites} sites have {count_states(sites, others)} configurations: the exact response "
            f"takes at most {MOST_STATES}"
        )
    occupied = _configurations(sites - 1, others)
    right, left = occupied[:, 0], occupied[:, -1]
    generator, turned_left, turned_right = _generator(occupied, exchange)
    # of the velocity: direct part, then what the displaced state makes of the undriven rates; the drive on exchanges,
    # which acts through their rate, is taken over it
    mean = others / (sites - 1)
    undriven = np.where(right, exchange, 1.0) - np.where(left, exchange, 1.0)
    found = []
    for source_right, source_left, direct in (
        (~right * 1.0, ~left * 1.0, 2.0 * (1.0 - mean)),
        (right * 1.0, left * 1.0, 2.0 * mean),
    ):
        # change of the master equation by the drive, at the uniform law: gain less loss of every state
        gain = source_right[turned_right] - source_left[turned_left]
        loss = source_right - source_left
        displaced = _solve(generator, gain - loss)
        found.append(direct + float(undriven @ displaced) / len(occupied))
    vacancies, per_rate = found
    return TracerResponse(vacancies, exchange * per_rate, per_rate)


def check_ring(sites: int, others: int, exchange: float) -> None:
    """Raise `ValueError` for a ring that cannot be."""
    if sites < 3:
        raise ValueError(f"sites = {sites} must be at least 3")
    if not 0 <= others <= sites - 1:
        raise ValueError(f"others = {others} must be from 0 to {sites - 1}, one site being the tracer's")
    if not (np.isfinite(exchange) and exchange >= 0.0):
        raise ValueError(f"exchange = {exchange:g} must be finite and 0 or greater")
    if exchange == 0.0 and others == sites - 1:
        raise ValueError(
            "exchange = 0 leaves a tracer without vacancies where it is: take a rate above 0 or less others"
        )


def _configurations(places: int, others: int) -> NDArray[np.bool_]:
    """All of them in rising order of their codes, ``(states, places)``; the first place is right of the tracer."""
    chosen = np.array(list(combinations(range(places), others)), dtype=np.int64).reshape(comb(places, others), others)
    occupied = np.zeros((len(chosen), places), dtype=np.bool_)
    np.put_along_axis(occupied, chosen, True, axis=1)
    return np.asarray(occupied[np.argsort(_codes(occupied))])


def _codes(occupied: NDArray[np.bool_]) -> NDArray[np.int64]:
    return occupied @ (1 << np.arange(occupied.shape[1], dtype=np.int64))


def _generator(
    occupied: NDArray[np.bool_], exchange: float
) -> tuple[sparse.csc_array, NDArray[np.int64], NDArray[np.int64]]:
    """Rates at rest from column to row, and for every state the one that a move left, and right, has made it from."""
    codes = _codes(occupied)
    index = np.arange(len(codes))
    after_right = np.searchsorted(codes, _codes(np.roll(occupied, -1, axis=1)))
    after_left = np.searchsorted(codes, _codes(np.roll(occupied, 1, axis=1)))
    moves = [
        (index, after_right, np.where(occupied[:, 0], exchange, 1.0)),
        (index, after_left, np.where(occupied[:, -1], exchange, 1.0)),
    ]
    for place in range(occupied.shape[1] - 1):
        differ = np.flatnonzero(occupied[:, place] != occupied[:, place + 1])
        hopped = occupied[differ].copy()
        hopped[:, [place, place + 1]] = hopped[:, [place + 1, place]]
        moves.append((differ, np.searchsorted(codes, _codes(hopped)), np.ones(len(differ))))
    origin, target, rate = (np.concatenate(parts) for parts in zip(*moves, strict=True))
    size = (len(codes), len(codes))
    jumps = sparse.csc_array((rate, (target, origin)), shape=size)
    exits = sparse.csc_array((np.bincount(origin, rate, len(codes)), (index, index)), shape=size)
    # a state came by a move to the right from the one that a move to the left makes of it
    return sparse.csc_array(jumps - exits), after_right, after_left


def _solve(generator: sparse.csc_array, source: Array) -> Array:
    """Return the displaced law, of sum 0, that balances a source of sum 0.

    The law at rest is uniform and reversible, so the generator is symmetric: conjugate gradients need no factors, which
    would fill up, and as many steps as the slowest relaxation has it.
    """
    found, failure = cg(-generator, source, rtol=RESIDUAL, atol=0.0)
    if failure:
        raise ArithmeticError(f"the master equation of {len(source)} configurations is not solved to {RESIDUAL:g}")
    return np.asarray(found - found.mean())
