"""States that are known at some points, and what they suggest at another one: a start for its solve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pnp_exclusion.discretisation.discretisation import State

Position = Sequence[float]

MOST_ON_A_LINE = 8
"""States that are continued along a line."""
FARTHEST = 2.0
"""Times the distance of two points on a line, to which their states are continued."""
ON_A_LINE = 1e-6
"""Of the distance to the nearest point."""
SHRINKING = 0.5
"""A term of a continuation is this much smaller than the one before it, or what follows is noise."""
GROWTH = 8.0
"""Sum of the sizes of weights, by which what is not linear grows; with more there is no plane through the states."""
EXACT = 1e-6
"""To which the weights of a plane follow what is linear."""


class Neighbours:
    """Keeps the states of points; those nearest to the next one make its start."""

    def __init__(self) -> None:
        self._positions: list[Position] = []
        self._states: list[State] = []

    def add(self, position: Position, state: State) -> None:
        """Keep a state."""
        self._positions.append(position)
        self._states.append(state)

    def start(self, position: Position) -> State | None:
        """Return the state that those nearby suggest at a position, None if there are none.

        The polynomial through the last ones, where they lead there along a line; else the plane nearest to those
        nearby; where there is none, the state of the nearest, of equally near ones of the last.
        """
        if not self._states:
            return None
        distances = np.array([math.dist(other, position) for other in reversed(self._positions)])
        order = len(distances) - 1 - np.argsort(distances, kind="stable")[: 2 * (len(position) + 1)]
        numbers, places = self._line(int(order[0]), position)
        if len(numbers) > 1:
            states = [self._states[number] for number in numbers]
            return State.combined(states, _continuation(places, [state.values for state in states]))
        weights = _plane(np.array([self._positions[number] for number in order]) - position)
        return State.combined([self._states[number] for number in order[: len(weights)]], weights)

    def _line(self, nearest: int, position: Position) -> tuple[list[int], list[float]]:
        """Return the points from the nearest one back that are on a line to a position, and how far along it they are.

        The nearest one is at 0, the position at 1.
        """
        origin = self._positions[nearest]
        ahead = [x - o for x, o in zip(position, origin, strict=True)]
        squared = math.sumprod(ahead, ahead)
        numbers, places = [nearest], [0.0]
        for number in range(nearest - 1, max(-1, nearest - MOST_ON_A_LINE), -1):
            step = [x - o for x, o in zip(self._positions[number], origin, strict=True)]
            place = math.sumprod(step, ahead) / squared if squared else 0.0
            aside = max(abs(s - place * a) for s, a in zip(step, ahead, strict=True))
            if aside > ON_A_LINE * squared**0.5 or place > places[-1] - 1.0 / FARTHEST:
                break
            numbers.append(number)
            places.append(place)
        return numbers, places


def _continuation(places: list[float], values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the weights of values along a line in the polynomial through them at 1, as far as its terms shrink.

    places
        Of the values, from 0 down.
    """
    at = np.array(places)
    # weights of Newton's divided differences, each times what it is multiplied by at 1
    factors = np.cumprod(np.concatenate([[1.0], 1.0 - at[:-1]]))
    products = np.cumprod(at[:, None] - at + np.eye(len(at)), axis=1).T
    terms = np.tril(factors[:, None] / products)
    sizes = np.abs(terms @ values).max(axis=1)
    grows = np.flatnonzero(sizes[2:] > SHRINKING * sizes[1:-1])
    return terms[: 2 + int(grows[0]) if len(grows) else None].sum(axis=0)


def _plane(steps: np.ndarray) -> np.ndarray:
    """Return weights of states that follow what is linear, smaller the farther away they are; of the first alone if
    there is no plane through them.

    steps
        From where the states are wanted to where they are, ``(points, axes)``, ascending.
    """
    alone = np.ones(1)
    distances = np.sqrt((steps * steps).sum(axis=1))
    if len(steps) == 1 or distances[0] == 0.0:
        return alone
    linear = np.vstack([np.ones(len(steps)), steps.T / distances[-1]])
    wanted = np.eye(1, len(linear))[0]
    near = (distances[0] / distances) ** 4
    # there are fewer independent conditions where the points lie in a plane or on a line
    weights = near * np.linalg.lstsq(near * linear, wanted, rcond=EXACT)[0]
    follows = np.abs(linear @ weights - wanted).max() < EXACT and np.abs(weights).sum() < GROWTH
    return weights if follows else alone
