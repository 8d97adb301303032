"""Elimination of all stages of a step at once, along an interval: a band of a few dozen unknowns.

Iterations over the stages, which are the better way above one dimension, would cost ten times as much here. Rows are
scaled before they are eliminated with pivots: those of a depleted species are 1e-30 of the others.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from pnp_exclusion.solver.transient.equations import Equations, Slopes
from pnp_exclusion.solver.transient.schemes import Scheme


class Elimination:
    """Solves with the Jacobian of the stages, and with the matrix of implicit Euler, by LAPACK; on one rank."""

    serves_beside = 0.0
    """Another elimination costs no more than an iteration of Newton's method."""

    def __init__(self, equations: Equations) -> None:
        self._equations = equations
        self._rows, self._columns, _ = equations.matrix.getValuesCSR()
        count = equations.owned
        self._row_of = np.repeat(np.arange(count), np.diff(self._rows))
        self._is_of_potential = equations.is_potential[self._row_of]
        size = equations.discrete.layout.size
        nodes = np.unique(np.column_stack([self._row_of // size, self._columns // size]), axis=0)
        pattern = csr_array((np.ones(len(nodes)), tuple(nodes.T)), shape=(count // size, count // size))
        place = np.empty(count // size, dtype=np.int64)
        place[reverse_cuthill_mckee(pattern, symmetric_mode=True)] = np.arange(count // size)
        self._apart = int(np.abs(place[nodes[:, 0]] - place[nodes[:, 1]]).max())
        self._places = place[np.arange(count) // size], np.arange(count) % size
        self._bands: dict[int, _Band] = {}
        self._stages: _Band | None = None
        # made when it is asked for, which is once a step
        self._euler: _Band | None = None
        self._at_end = np.zeros((2, 0)), 0.0

    def close(self) -> None:
        """Free nothing: there is nothing of PETSc's."""

    def renew(self, scheme: Scheme, step: float, slopes: list[Slopes]) -> bool:
        """Take the derivatives at the points of a step; return whether the Jacobian can be eliminated."""
        slopes = slopes[: len(scheme.points)]
        of_stages = np.array([one.getValuesCSR()[2] for pair in slopes for one in (pair.stored, pair.flowing)])
        # what the slopes at every point weigh for equation i and the state of stage j
        weights = np.array([scheme.stored, step * scheme.flowing, 0.0 * scheme.poisson, scheme.poisson])
        weights = np.einsum("kiq,qj->kijq", weights, scheme.interpolation)
        for_others, for_potential = (
            np.stack(pair, axis=-1).reshape(scheme.stages**2, -1) for pair in (weights[:2], weights[2:])
        )
        values = np.where(self._is_of_potential, for_potential @ of_stages, for_others @ of_stages)
        self._stages = self._band(scheme.stages)
        self._at_end = of_stages[-2:], scheme.implicitness * step
        self._euler = None
        return self._stages.factor(values.reshape(scheme.stages, scheme.stages, -1))

    def moved_to(self, step: float) -> None:
        """Do nothing: the step is the same."""

    def solve(self, right: np.ndarray, tolerance: float) -> tuple[np.ndarray | None, int]:
        """Return the solution for ``(stages, owned)``, and that it took no iterations."""
        assert self._stages is not None
        return self._stages.solve(right), 0

    def solve_euler(self, right: np.ndarray) -> np.ndarray:
        """Return what the matrix of implicit Euler makes of a right-hand side, owned."""
        if self._euler is None:
            (stored, flowing), step = self._at_end
            values = np.where(self._is_of_potential, flowing, stored + step * flowing)
            self._euler = self._band(1)
            if not self._euler.factor(values[None, None]):
                return np.full_like(right, np.nan)
        return self._euler.solve(right[None])[0]

    def _band(self, stages: int) -> _Band:
        if stages not in self._bands:
            node, component = self._places
            size = self._equations.discrete.layout.size
            numbers = (node * stages + np.arange(stages)[:, None]) * size + component
            half_width = (self._apart + 1) * stages * size - 1
            self._bands[stages] = _Band(numbers, half_width, self._rows, self._row_of, self._columns)
        return self._bands[stages]


class _Band:
    """A banded matrix with a block of the pattern of one matrix for every pair of stages.

    numbers
        ``(stages, owned)``: where every unknown of every stage stands.
    """

    def __init__(
        self, numbers: np.ndarray, half_width: int, rows: np.ndarray, row_of: np.ndarray, columns: np.ndarray
    ) -> None:
        self._numbers, self._half_width, self._rows = numbers, half_width, rows
        row, column = numbers[:, None, row_of], numbers[None, :, columns]
        height = 3 * half_width + 1
        # in LAPACK's storage, by columns
        self._at = (column * height + 2 * half_width + row - column).ravel()
        self._matrix = np.zeros((numbers.size, height))
        self._factors = self._matrix.T
        self._pivots = np.zeros(0, dtype=np.int32)
        self._scale = np.ones(numbers.shape)

    def factor(self, values: np.ndarray) -> bool:
        """Eliminate the matrix with blocks of values ``(stages, stages, entries)``; return whether it can be."""
        largest = np.maximum.reduceat(np.abs(values).max(axis=1), self._rows[:-1], axis=1)
        self._scale = 1.0 / np.where(largest > 0.0, largest, 1.0)
        scale_of_row = np.repeat(self._scale, np.diff(self._rows), axis=1)[:, None]
        self._matrix.fill(0.0)
        self._matrix.ravel()[self._at] = (values * scale_of_row).ravel()
        width = self._half_width
        self._factors, self._pivots, info = lapack.dgbtrf(self._matrix.T, width, width, overwrite_ab=True)
        return bool(info == 0)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Return the solution for right-hand sides of the stages, ``(stages, owned)``."""
        ordered = np.empty(right.size)
        ordered[self._numbers] = right * self._scale
        width = self._half_width
        found, _ = lapack.dgbtrs(self._factors, width, width, ordered, self._pivots)
        return np.asarray(found[self._numbers])
