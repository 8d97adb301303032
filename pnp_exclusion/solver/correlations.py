"""Correlations of densities about a steady state, at one time, in one dimension (docs/theory.md#correlations).

To leading order in ``eps`` densities are correlated as

    <d rho_a(x) d rho_b(y)> = eps [ chi_ab(x) delta(x - y) + c_ab(x, y) ] ,    chi_ab = d rho_a / d eta_b ,

and with the storage ``S = dq/d mu``, ``q_i = int rho v_i``, the covariance of ``d mu`` is ``S^-1 + Y``. The equation of
Lyapunov for both becomes one for the regular part alone,

    A Y S + S Y A^T = N - A - A^T ,

``N`` being the covariance of the noise. The right-hand side vanishes at equilibrium and is else free of the ``1/h`` of
white noise. With Poisson's equation potentials follow at once; what they correlate at equilibrium is in ``c`` too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from pnp_exclusion.discretisation.layout import POTENTIAL
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.solver.linearised import LinearisedEquations

type Real = NDArray[np.float64]

KEPT_RATE = 40.0
"""D/L^2, about that of the slowest mode: at which amounts that no disturbance changes would come back if one did."""


@dataclass(frozen=True)
class Correlations:
    """Of one interval, nodes from left to right.

    points
        ``(nodes,)``.
    values
        ``(N, N, nodes, nodes)``: ``c_ab(x_i, x_j)``. On the diagonal they mean nothing.
    local, regular
        ``(N, N, nodes, nodes)``: ``int chi_ab v_i v_j`` and ``int int v_i c_ab v_j``; the covariance of ``int rho_a g``
        and ``int rho_b g'`` is both between the nodal values of ``g`` and ``g'``.
    """

    points: Real
    values: Real
    local: Real
    regular: Real

    def covariances(self, functions: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return those of ``int rho_a g`` for functions at the nodes ``(functions, nodes)``: ``(functions, N, N)``."""
        found: NDArray[np.complex128] = np.einsum(
            "ki,abij,kj->kab", functions.conj(), self.local + self.regular, functions, optimize=True
        )
        return found


def correlations(equations: LinearisedEquations) -> Correlations:
    """Return the correlations of the species' densities; collective, the same on every rank.

    Raises `ConvergenceError` if a species is so scarce that its storage is lost in rounding.
    """
    dense = equations.dense()
    layout, problem = equations.discrete.layout, equations.discrete.problem
    size, nodes = layout.size, len(dense.points)
    order = np.argsort(dense.points, kind="stable")
    # species after species, nodes from left to right
    rows = np.concatenate([size * order + layout.index(name) for name in equations.discrete.mu])
    answer, storage, noise = (matrix[np.ix_(rows, rows)] for matrix in (dense.answer, dense.storage, dense.noise))
    local: Real = storage.copy()
    gibbs = np.zeros(storage.shape)
    # what potentials are at all nodes, per electrochemical potential
    followed = np.zeros((nodes, len(rows)))
    if POTENTIAL in layout:
        charged = size * order + layout.index(POTENTIAL)
        held = ~dense.is_free[charged]
        charged = charged[~held]
        green = np.zeros((nodes, nodes))
        green[np.ix_(~held, ~held)] = np.linalg.inv(dense.answer[np.ix_(charged, charged)])
        followed[~held] = -green[np.ix_(~held, ~held)] @ dense.answer[np.ix_(charged, rows)]
        answer = answer + dense.answer[np.ix_(rows, charged)] @ followed[~held]
        storage = storage + dense.storage[np.ix_(rows, charged)] @ followed[~held]
        gibbs -= np.kron(np.outer(problem.charges, problem.charges), green)
    free = dense.is_free[rows]
    constants = dense.constants[:, rows][:, free]
    excess = np.zeros_like(storage)
    inner = np.ix_(free, free)
    excess[inner] = _excess(answer[inner], storage[inner], noise[inner], constants)
    # of eta at every node, and of what is stored
    of_eta = np.eye(len(rows)) - np.kron(problem.charges[:, None], followed)
    between = of_eta @ excess @ of_eta.T + gibbs
    species = len(problem.species)
    shape = (species, nodes, species, nodes)
    chi = problem.law.free_energy.susceptibilities(dense.eta[:, order])
    values = np.einsum("aci,cidj,bdj->aibj", chi, between.reshape(shape), chi, optimize=True)
    regular = storage @ excess @ storage.T + (storage - local)
    in_order = (0, 2, 1, 3)
    return Correlations(
        dense.points[order],
        values.transpose(in_order),
        local.reshape(shape).transpose(in_order),
        regular.reshape(shape).transpose(in_order),
    )


def _excess(answer: Real, storage: Real, noise: Real, constants: Real) -> Real:
    """Return ``Y``.

    constants
        What no disturbance moves, ``(combinations, free)``: their amounts do not fluctuate at all.
    """
    source = noise - answer - answer.T
    if len(constants):
        amounts = constants @ storage
        projected = amounts.T @ np.linalg.solve(amounts @ constants.T, amounts)
        answer = answer + KEPT_RATE * projected
        source = source - 2.0 * KEPT_RATE * projected
    try:
        factor = np.linalg.cholesky(0.5 * (storage + storage.T))
    except np.linalg.LinAlgError:
        raise ConvergenceError(
            "the correlations of a species that is so scarce somewhere are lost in rounding; exclude it there"
        ) from None

    def scaled(matrix: Real) -> Real:
        half = linalg.solve_triangular(factor, matrix, lower=True)
        return np.asarray(linalg.solve_triangular(factor, half.T, lower=True).T)

    found = linalg.solve_continuous_lyapunov(scaled(answer), scaled(source))
    half = linalg.solve_triangular(factor, found, lower=True, trans="T")
    return np.asarray(linalg.solve_triangular(factor, half.T, lower=True, trans="T").T)
