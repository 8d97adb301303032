"""The profile between the shooting nodes: values, proof of positivity, integrals of 1/rho.

Positions are kept as a distance from the nearest node, so that a reservoir fraction of 1e-14 is
approached without cancellation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shooting import Array, Channel, Iterate, Nodes

type Indices = NDArray[np.intp]

GAUSS_POINTS = 10
LARGEST_RATIO = 2.0


@dataclass(frozen=True)
class Profile:
    """Densities solved at the nodes, extended by the exact flow `y' = A y` from the nearest."""

    channel: Channel
    nodes: Nodes
    solution: Iterate

    def at(self, x: Array) -> Array:
        """All components (n, len(x)), vacancy first, at positions inside the channel."""
        position = self.nodes.position
        segment = np.clip(np.searchsorted(position, x, side="right") - 1, 0, len(position) - 2)
        from_left, from_right = x - position[segment], position[segment + 1] - x
        backward = from_right < from_left
        return self._near(segment, backward, np.where(backward, from_right, from_left))

    def gradient(self, x: Array) -> Array:
        """`rho_a'` (n, len(x)) from the stationary equation; at an edge, on its right side."""
        last = len(self.channel.diffusivity) - 1
        piece = np.clip(np.searchsorted(self.channel.edges, x, side="right") - 1, 0, last)
        density = self.at(x)
        fields = self.channel.centred_fields()[piece].T
        drift = density * (fields - (fields * density).sum(axis=0))
        return drift - self.solution.current[:, None] / self.channel.diffusivity[piece]

    def resistances(self) -> Array:
        """`int dx / (D rho_a)` of every component (n,), to about 1e-13.

        Half segments are bisected until no density changes by more than a factor 2 on any of the
        parts, on which Gauss-Legendre quadrature then converges like 6^(-20).
        """
        segment, backward, start, end = self._parts()
        points, weights = np.polynomial.legendre.leggauss(GAUSS_POINTS)
        total = np.zeros(len(self.solution.current))
        width = end - start
        diffusivity = self.channel.diffusivity[self.nodes.piece[segment]]
        for point, weight in zip(points, weights, strict=True):
            density = self._near(segment, backward, start + 0.5 * (1.0 + point) * width)
            total += (0.5 * weight * width / diffusivity / density).sum(axis=1)
        return total

    def is_positive(self) -> bool:
        """Prove that every component is positive at every point, not only at the nodes.

        As long as `s = sum(y) > 0`, `y_a exp(-E_a x)` is monotone (its slope is
        `-J_a/D exp(-E_a x) s`): on a segment it then lies between its two end values, so that
        positive nodes make a positive segment. And `s` cannot vanish on a step of length `h` from
        a positive state when `max|E| (exp(|A| h) - 1)/|A| < 1`, since `s' = E.y` and
        `|y|_1 <= s(0) exp(|A| x)` in the column-sum norm (fields centred). Where the nodes are too
        far apart for this bound, as many points as it asks for are inserted and checked. Roots of
        the matching conditions at which `s` changes sign, which solve nothing, are thus found out.
        """
        if not np.all(self.solution.density > 0.0):
            return False
        splits = self._certified_splits()
        for piece in np.flatnonzero(splits > 1):
            segment = np.flatnonzero(self.nodes.piece == piece)
            step = self.nodes.step[piece] / splits[piece]
            for i in range(1, splits[piece]):
                distance = np.full(len(segment), i * step)
                inner = self._near(segment, np.zeros(len(segment), dtype=bool), distance)
                if not np.all(inner > 0.0):
                    return False
        return True

    def _certified_splits(self) -> Indices:
        """Parts (S,) into which a segment must be cut for the bound of `is_positive` to hold."""
        drive = np.abs(self.channel.centred_fields()).max(axis=1)
        norm = self._norms()
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            reach = np.where(drive > 0.0, np.log1p(norm / drive) / norm, np.inf)
        return np.floor(self.nodes.step / reach).astype(np.intp) + 1

    def _norms(self) -> Array:
        """A bound (S,) of the column-sum norm of `A` in each piece."""
        drive = np.abs(self.channel.centred_fields()).max(axis=1)
        norm: Array = drive + np.abs(self.solution.current).sum() / self.channel.diffusivity
        return norm

    def _near(self, segment: Indices, backward: NDArray[np.bool_], distance: Array) -> Array:
        """Densities (n, m) at a distance from the left node of a segment, or back from the right.

        The exponential acts through its Taylor series: `|A| h` is below about 2, and each term of
        component `a` scales with `y_a` and `J_a`, which keeps small components relatively exact.
        """
        piece = self.nodes.piece[segment]
        fields = self.channel.centred_fields()[piece].T
        current = self.solution.current[:, None] / self.channel.diffusivity[piece]
        signed = np.where(backward, -distance, distance)
        reach = float((self._norms()[piece] * distance).max(initial=0.0))
        term = self.solution.density[segment + backward].T
        result = term.copy()
        order, size = 0, 1.0
        while size > 1e-18:
            order += 1
            size *= reach / order
            term = (fields * term - current * term.sum(axis=0)) * (signed / order)
            result += term
        return result / result.sum(axis=0)

    def _parts(self) -> tuple[Indices, NDArray[np.bool_], Array, Array]:
        """Half segments, bisected until no density more than doubles: segment, side, start, end."""
        count = len(self.nodes.piece)
        segment = np.tile(np.arange(count), 2)
        backward = np.repeat([False, True], count)
        start = np.zeros(2 * count)
        end = 0.5 * self.nodes.step[self.nodes.piece[segment]]
        done: list[tuple[Indices, NDArray[np.bool_], Array, Array]] = []
        while len(segment):
            ratio = self._near(segment, backward, start) / self._near(segment, backward, end)
            steep = np.any(np.abs(np.log(ratio)) > math.log(LARGEST_RATIO), axis=0)
            flat = ~steep
            done.append((segment[flat], backward[flat], start[flat], end[flat]))
            middle = 0.5 * (start[steep] + end[steep])
            start = np.concatenate([start[steep], middle])
            end = np.concatenate([middle, end[steep]])
            segment, backward = np.tile(segment[steep], 2), np.tile(backward[steep], 2)
        segments, sides, starts, ends = zip(*done, strict=True)
        return (
            np.concatenate(segments),
            np.concatenate(sides),
            np.concatenate(starts),
            np.concatenate(ends),
        )
