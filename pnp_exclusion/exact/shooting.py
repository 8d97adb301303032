"""Multiple shooting for the stationary SHDL: the discrete equations and one Newton step.

With the vacancy as component 0 (`E_0 = 0`, `J_0 = -sum J_a`) the stationary equation

    rho' = E*rho - rho (E.rho) - J/D

is a projective Riccati equation. It is linear in homogeneous coordinates: `rho = y / sum(y)` with
`y' = A y`, `A = diag(E) - (J/D) 1^T`. Between two nodes the transition is therefore exact, whatever
their distance; nodes are only there to keep the exponentials well conditioned.

Every array here carries all `n = N + 1` components, vacancy first. All updates and residuals are
relative, component by component: a density of 1e-100 behind a barrier is as well resolved as one
of 0.5, because row `a` of `exp(A h)` leaves the diagonal only through `J_a`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm, solve_banded

type Array = NDArray[np.float64]

SEGMENTS_PER_KT = 4.0
MINIMAL_SEGMENTS = 4


@dataclass(frozen=True)
class Channel:
    """Reservoirs and drivings of a one-dimensional channel, vacancy included.

    `left`, `right`: (n,) fractions that add up to 1; `edges`: (S+1,) ends of the S pieces;
    `fields`: (S, n) with a zero column for the vacancy; `diffusivity`: (S,) factor of each piece.
    """

    left: Array
    right: Array
    edges: Array
    fields: Array
    diffusivity: Array

    @property
    def lengths(self) -> Array:
        """Lengths of the pieces."""
        return np.diff(self.edges)

    def scaled(self, factor: float) -> Channel:
        """The same channel with every field multiplied by `factor`."""
        return Channel(self.left, self.right, self.edges, factor * self.fields, self.diffusivity)

    def centred_fields(self) -> Array:
        """Fields shifted by a common constant in each piece, which changes `y` only by a factor."""
        middle = 0.5 * (self.fields.max(axis=1) + self.fields.min(axis=1))
        return self.fields - middle[:, None]


@dataclass(frozen=True)
class Nodes:
    """Shooting nodes: `position` (K+1,), `piece` (K,) of a segment, `step` (S,) in a piece."""

    position: Array
    piece: NDArray[np.intp]
    step: Array

    @classmethod
    def of(cls, channel: Channel) -> Nodes:
        """Equal segments in each piece, over none of which the fields do more than 1/4 kT."""
        drive = np.abs(channel.centred_fields()).max(axis=1) * channel.lengths
        count = np.maximum(MINIMAL_SEGMENTS, np.ceil(SEGMENTS_PER_KT * drive)).astype(np.intp)
        pieces = [
            np.linspace(a, b, k, endpoint=False)
            for a, b, k in zip(channel.edges[:-1], channel.edges[1:], count, strict=True)
        ]
        position = np.concatenate([*pieces, channel.edges[-1:]])
        return cls(position, np.repeat(np.arange(len(count)), count), channel.lengths / count)


@dataclass(frozen=True)
class Iterate:
    """Densities at the nodes (K+1, n), reservoirs first and last, and currents (n,)."""

    density: Array
    current: Array

    def conductance(self, channel: Channel, nodes: Nodes) -> Array:
        """`G_a = 1 / int dx/(D rho_a)` (n,), by the trapezoidal rule: the natural size of `J_a`."""
        inverse = 1.0 / self.density
        weight = (nodes.step / channel.diffusivity)[nodes.piece]
        return 2.0 / (weight @ (inverse[1:] + inverse[:-1]))


@dataclass(frozen=True)
class NewtonStep:
    """Relative correction of the densities (K+1, n), correction of the currents (n,).

    `residual` is the largest relative mismatch at a node before the step, `current_size` the
    largest correction of a current in units of its conductance or of itself, `size` the largest
    relative correction of all.
    """

    density: Array
    current: Array
    residual: float
    current_size: float
    size: float


def linear_profile(channel: Channel, nodes: Nodes) -> Iterate:
    """The exact state without fields: densities linear in `int dx/D`, `J` their fall in it."""
    resistance = np.concatenate([[0.0], np.cumsum((nodes.step / channel.diffusivity)[nodes.piece])])
    share = (resistance / resistance[-1])[:, None]
    density = (1.0 - share) * channel.left + share * channel.right
    return Iterate(density, (channel.left - channel.right) / resistance[-1])


def generator(channel: Channel, current: Array) -> Array:
    """`A = diag(E) - (J/D) 1^T` of every piece, shape (S, n, n), fields centred."""
    fields = channel.centred_fields()
    n = fields.shape[1]
    drift = np.eye(n) * fields[:, None, :]
    return drift - (current / channel.diffusivity[:, None])[:, :, None] * np.ones(n)


def newton_step(channel: Channel, nodes: Nodes, iterate: Iterate) -> NewtonStep:
    """One Newton step of `rho_{k+1} = y/sum(y)`, `y = exp(A h) rho_k`, over all segments.

    Raises `numpy.linalg.LinAlgError` when the linear system is singular.
    """
    unit = np.maximum(iterate.conductance(channel, nodes), np.abs(iterate.current))
    directions = _current_directions(unit)
    current = _closed(iterate.current, unit)
    transition, derivative = _transitions(channel, nodes, current, directions)
    start, end = iterate.density[:-1], iterate.density[1:]
    transition, derivative = transition[nodes.piece], derivative[nodes.piece]

    image = np.einsum("kab,kb->ka", transition, start)
    total = image.sum(axis=1)
    image /= total[:, None]
    by_density = transition * start[:, None, :] / total[:, None, None]
    by_density -= image[:, :, None] * by_density.sum(axis=1)[:, None, :]
    by_current = np.einsum("kdab,kb->kad", derivative, start) / total[:, None, None]
    by_current -= image[:, :, None] * by_current.sum(axis=1)[:, None, :]

    scale = np.maximum(start, end)
    mismatch = (image - end) / scale
    relative, amplitude = _solve_matching(
        by_density / scale[:, :, None],
        by_current / scale[:, :, None],
        end / scale,
        -mismatch,
        dropped_row=int(np.argmax(channel.right)),
    )
    correction = np.zeros_like(iterate.density)
    correction[1:-1] = relative
    change = directions.T @ amplitude + (current - iterate.current)
    current_size = float(np.abs(change / unit).max())
    size = max(float(np.abs(relative).max()), current_size)
    return NewtonStep(correction, change, float(np.abs(mismatch).max()), current_size, size)


def _closed(current: Array, unit: Array) -> Array:
    """The currents, made to sum to zero by the component that conducts best."""
    closing = int(np.argmax(unit))
    closed = current.copy()
    closed[closing] = -math.fsum(np.delete(current, closing))
    return closed


def _current_directions(unit: Array) -> Array:
    """Basis (N, n) of the currents that add up to zero, each vector of the size of its component.

    The component that conducts best closes the sum: it alone can do so without losing digits.
    """
    n = len(unit)
    closing = int(np.argmax(unit))
    free = np.delete(np.arange(n), closing)
    directions = np.zeros((n - 1, n))
    directions[np.arange(n - 1), free] = unit[free]
    directions[:, closing] = -unit[free]
    return directions


def _transitions(channel: Channel, nodes: Nodes, current: Array, directions: Array) -> tuple[Array, Array]:
    """`exp(A h)` (S, n, n) and its derivatives (S, N, n, n) along the current directions.

    Van Loan's block matrix [[A, dA], [0, A]] gives both at once.
    """
    step = nodes.step[:, None, None]
    matrix = step * generator(channel, current)
    pieces, n = matrix.shape[:2]
    change = -(directions / channel.diffusivity[:, None, None])[..., None] * np.ones(n)
    block = np.zeros((pieces, n - 1, 2 * n, 2 * n))
    block[..., :n, :n] = matrix[:, None]
    block[..., n:, n:] = matrix[:, None]
    block[..., :n, n:] = step[:, None] * change
    exponential = expm(block)
    return exponential[:, 0, :n, :n], exponential[..., :n, n:]


def _solve_matching(
    by_density: Array, by_current: Array, identity: Array, rhs: Array, dropped_row: int
) -> tuple[Array, Array]:
    """Solve `P_k e_k + Q_k g - I_k e_{k+1} = r_k`, `e_0 = e_K = 0`; returns `e` (K-1, n), `g` (N,).

    Each segment carries its own copy of `g`, equal to the last one, so that the matrix is banded
    and Gaussian elimination with pivoting separates growing from decaying modes. The rows of a
    segment add up to nothing new, hence one row of the last segment is redundant.
    """
    segments, n = rhs.shape
    species = n - 1
    block = n + species
    lower, upper = 2 * n - 1, block - 1
    unknowns = (segments - 1) * block + species
    k = np.arange(segments)[:, None, None]
    a, b, d = np.arange(n), np.arange(n), np.arange(species)

    row = np.broadcast_to(k * block + a[:, None], (segments, n, 1)).copy()
    keep = np.delete(a, dropped_row)
    row[-1, keep, 0] = (segments - 1) * block + np.arange(species)
    row[-1, dropped_row, 0] = unknowns

    # One spare row and some spare columns take what is dropped; LAPACK never sees them.
    band = np.zeros((lower + upper + 1, unknowns + block))
    vector = np.zeros(unknowns + 1)

    def place(rows: NDArray[np.intp], columns: NDArray[np.intp], values: Array) -> None:
        rows, columns, values = np.broadcast_arrays(rows, columns, values)
        kept = rows < unknowns
        band[upper + rows[kept] - columns[kept], columns[kept]] = values[kept]

    place(row, k * block + d, by_current)
    place(row[1:], k[1:] * block - n + b, by_density[1:])
    diagonal = k[:-1, :, 0] * block + species + a
    place(row[:-1, :, 0], diagonal, -identity[:-1])
    link = k[:-1, :, 0] * block + n + d
    place(link, k[:-1, :, 0] * block + d, -np.ones(1))
    place(link, k[1:, :, 0] * block + d, np.ones(1))
    vector[row[:, :, 0]] = rhs

    solution = solve_banded(
        (lower, upper), band[:, :unknowns], vector[:unknowns], overwrite_ab=True, check_finite=False
    )
    relative = solution[species:].reshape(segments - 1, block)[:, :n]
    return relative, solution[:species]
