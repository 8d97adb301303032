"""Schemes for one step in time, as numbers (docs/numerics.md#time).

The unknowns of a step are states ``U_j`` at a few moments ``t + c_j dt``, between which potentials are polynomials of
time; the equations ask for the conserved densities themselves, never for the chain rule:

    sum_q [ a_iq S(U_q) + dt b_iq F(U_q) ] - d_i S_n = 0 ,    sum_q p_iq P(U_q) = 0 ,    U_q = U(s_q) = sum_j l_qj U_j

with ``S`` what is stored, ``F`` what flows out, ``P`` Poisson's equation and ``S_n`` what was stored when the step
began. Implicit Euler, the Radau IIA methods of two and three stages and the discontinuous Galerkin method of degree 1
are sets of these numbers. The last of them is that of two stages with Gauss points instead of Radau's own, so that free
energy never rises, however long the step (entropy variables, Galerkin in time: Fu and Xu, arXiv 2105.01163 (2022)).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Scheme:
    """The numbers of a scheme.

    name
        In the words of a report.
    nodes
        ``(stages,)``: where in the step its unknowns are; the last is 1.
    points
        ``(points,)``: where in the step the equations are evaluated; the last is 1.
    interpolation
        ``l``, ``(points, stages)``.
    stored, flowing, poisson
        ``a``, ``b`` and ``p``, ``(stages, points)``.
    start
        ``d``, ``(stages,)``.
    weights
        ``(stages,)``: what the equations are multiplied by so that their sum is the balance of the whole step.
    nodal
        ``(stages, stages)``: ``a`` as it would be if the points were the nodes.
    order
        Power of ``dt`` in the estimate of the error of a step.
    embedded
        ``(points,)``: by what ``F`` at the points is multiplied, beside ``F`` at the beginning, to make ``1/(g dt)`` of
        the difference from a method of the order of the stages; None where there is none.
    """

    name: str
    nodes: np.ndarray
    points: np.ndarray
    interpolation: np.ndarray
    stored: np.ndarray
    flowing: np.ndarray
    poisson: np.ndarray
    start: np.ndarray
    weights: np.ndarray
    nodal: np.ndarray
    order: int
    embedded: np.ndarray | None = None

    @property
    def stages(self) -> int:
        """How many states are unknown."""
        return len(self.nodes)

    @cached_property
    def time_weights(self) -> np.ndarray:
        """``(points,)``: of an integral over the step, in units of ``dt``."""
        weights: np.ndarray = self.weights @ self.flowing
        return weights

    @cached_property
    def implicitness(self) -> float:
        """``g``: every stage is close to a step of implicit Euler of length ``g dt``."""
        return float(abs(np.linalg.det(self.nodal)) ** (-1.0 / self.stages))

    def extrapolation(self, times: np.ndarray) -> np.ndarray:
        """Return what the states of the stages are multiplied by to continue them to other times, in steps from the
        beginning of the step; ``(times, stages)``."""
        return lagrange(self.nodes, times)


def lagrange(nodes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return what values at nodes are multiplied by to give those of their polynomial at times; ``(times, nodes)``."""
    values = np.ones((len(times), len(nodes)))
    for j, node in enumerate(nodes):
        for k, other in enumerate(nodes):
            if k != j:
                values[:, j] *= (times - other) / (node - other)
    return values


def _collocation(name: str, nodes: np.ndarray) -> Scheme:
    """Return the method that collocates at nodes of which the last is 1."""
    count = len(nodes)
    # the integrals of Lagrange's polynomials up to the nodes, through those of monomials
    powers = np.arange(count)
    monomials = nodes[:, None] ** (powers + 1) / (powers + 1)
    runge_kutta = monomials @ np.linalg.inv(nodes[:, None] ** powers)
    inverse, one = np.linalg.inv(runge_kutta), np.eye(count)
    # with the beginning a rule of the degree of the stages, which vanishes for all that the nodes integrate
    beginning = np.append(-1.0, np.zeros(count - 1))
    embedded = np.linalg.solve(nodes ** powers[:, None], beginning) if count > 1 else None
    weights = runge_kutta[-1].copy()
    return Scheme(
        name, nodes, nodes, one, inverse, one, one, inverse.sum(axis=1), weights, inverse, count + 1, embedded
    )


def _discontinuous_galerkin(points: int) -> Scheme:
    """Return the discontinuous Galerkin method of degree 1 with so many Gauss points in time.

    The potential is as potentials are, linear, and Poisson's equation holds in the mean and at the end.
    """
    radau = RADAU
    found, weights = np.polynomial.legendre.leggauss(points)
    at, weights = np.append(0.5 * (found + 1.0), 1.0), np.append(0.5 * weights, 0.0)
    end = np.append(np.zeros(points), 1.0)
    # tested with 1 - s and s, and combined so that with Radau's points they would be Radau's stages
    combined = np.array([[2.0, 0.0], [-2.0, 4.0]])
    stored = combined @ np.array([weights, end - weights])
    flowing = combined @ np.array([weights * (1.0 - at), weights * at])
    poisson = np.array([(4.0 * weights - end) / 3.0, end])
    interpolation = lagrange(radau.nodes, at)
    start = combined @ np.array([1.0, 0.0])
    return Scheme(
        "discontinuous Galerkin",
        radau.nodes,
        at,
        interpolation,
        stored,
        flowing,
        poisson,
        start,
        radau.weights,
        radau.nodal,
        2,
    )


EULER = _collocation("implicit Euler", np.array([1.0]))
"""Order 1; free energy falls in every step."""
RADAU = _collocation("Radau IIA", np.array([1.0 / 3.0, 1.0]))
"""Order 3, stable however stiff the problem is."""
RADAU5 = _collocation("Radau IIA of three stages", np.array([(4.0 - 6.0**0.5) / 10.0, (4.0 + 6.0**0.5) / 10.0, 1.0]))
"""Order 5, likewise."""
GALERKIN = _discontinuous_galerkin(4)
"""Order 3 too; free energy falls in every step. With two Gauss points it would as well, but some steps have no
solution."""
ROBUST = (GALERKIN, EULER)
"""What is tried where another scheme has failed, the more robust one last."""


def scheme_named(name: str) -> Scheme:
    """Return the scheme of a name; `KeyError` for one that there is not."""
    return {scheme.name: scheme for scheme in (RADAU, RADAU5, *ROBUST)}[name]
