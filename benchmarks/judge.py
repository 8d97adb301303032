"""Is a computed steady state one? A judge that shares nothing with the solver: finite volumes instead of finite
elements, fluxes of exponential fitting, laws written anew, Newton's method on complex-step derivatives.

It starts from the solution on twice as many cells as its elements have nodes, and on eight times as many where these
are too few. A true one is hardly changed; from a false one, in which a cell has emptied, finite volumes go elsewhere or
nowhere. One dimension, units of the equations, ions on a lattice or points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

import pnp_exclusion as pnp

type Array = NDArray[np.float64]

STEPS = 40
STEP = 1e-7
"""kT, of the last step, relative to one plus the largest electric potential; of a species times its density."""
LEAST_MOBILITY = 1e-14
PARTS = (2, 8)
"""Into which what is between two nodes is cut: more where fewer do not agree, since volumes are of the first order."""


@dataclass(frozen=True)
class Verdict:
    """What finite volumes say.

    converged
        Whether they have a solution near the one that is judged.
    densities
        Largest change of a density at a node, in the largest density of that species.
    currents
        Largest change of a current, in the gross flux of that species.
    """

    converged: bool
    densities: float = np.inf
    currents: float = np.inf

    @property
    def agrees(self) -> bool:
        """Within what finite volumes of this fineness can tell."""
        return self.converged and self.densities < 0.05 and self.currents < 0.05


def judge(solution: pnp.Solution) -> Verdict:
    """Return what finite volumes say of a solution of a dimensionless one-dimensional case of ions."""
    for parts in PARTS:
        verdict = _judged(solution, _Volumes(solution, parts))
        if verdict.agrees:
            break
    return verdict


def _judged(solution: pnp.Solution, volumes: _Volumes) -> Verdict:
    start = volumes.start
    found = volumes.solve(start)
    if found is None:
        return Verdict(False)
    before, after = (volumes.densities(values)[1:] for values in (start, found))
    densities = np.max(np.abs(after - before) / before.max(axis=1, keepdims=True))
    currents = 0.0
    if solution.steady.currents is not None:
        # in the middle, where nothing is steep
        computed = np.array(list(solution.steady.currents.values()))
        gross = np.array([solution.steady.one_way[name] for name in solution.steady.currents])
        flux = volumes.fluxes(found)[:, len(volumes.x) // 2]
        currents = float(np.max(np.abs(flux - computed) / np.maximum(np.abs(computed), gross)))
    return Verdict(True, float(densities), currents)


class _Volumes:
    """Around the nodes ``(n,)``; unknowns ``(N + 1, n)`` are the electrochemical potentials and the potential."""

    def __init__(self, solution: pnp.Solution, parts: int) -> None:
        steady, discrete = solution.steady, solution.steady.discretisation
        self.problem = discrete.problem
        self.charges = self.problem.charges
        x = discrete.space.tabulate_dof_coordinates()[:, 0]
        order = np.argsort(x)
        nodal = steady.nodal
        coarse = np.vstack([nodal.mu, nodal.potential[None]])[:, order]
        x = x[order]
        self.x = np.sort(np.concatenate([x, *(x[:-1] + np.diff(x) * k / parts for k in range(1, parts))]))
        self.start = np.array([np.interp(self.x, x, values) for values in coarse])
        self.h = np.diff(self.x)
        self.volume = 0.5 * (np.append(self.h, 0.0) + np.insert(self.h, 0, 0.0))
        middles = self.problem.domain.cell_midpoints()[:, 0]
        at = np.abs(0.5 * (self.x[1:] + self.x[:-1])[:, None] - middles[None]).argmin(axis=1)
        fixed = self.problem.fixed_charge[at] * self.h
        self.fixed = 0.5 * (np.append(fixed, 0.0) + np.insert(fixed, 0, 0.0))

    def densities(self, values: Array) -> Array:
        """Return vacancies and densities, ``(N + 1, n)``."""
        return np.exp(self.log_densities(values))

    def log_densities(self, values: Array) -> Array:
        """Return their logarithms: there may be less of something than any number."""
        eta = values[:-1] - self.charges[:, None] * values[-1]
        logs = np.vstack([np.zeros_like(eta[:1]), eta])
        if self.problem.law.name == "pnp":
            return logs
        largest = logs.real.max(axis=0)
        return logs - largest - np.log(np.exp(logs - largest).sum(axis=0))

    def fluxes(self, values: Array) -> Array:
        """Return the flux of every species between neighbouring nodes, ``(N, n - 1)``."""
        logs, mu = self.log_densities(values), np.vstack([np.zeros_like(values[:1]), values[:-1]])
        name, count = self.problem.law.name, len(self.charges)
        vacancies = np.log(np.exp(logs[0]) + LEAST_MOBILITY) if name in ("vacancy", "shdl") else 0.0
        flux = np.zeros((count, len(self.h)), dtype=values.dtype)
        for a in range(1, count + 1):
            mobile = np.log(self.problem.species[a - 1].diffusivity) + logs[a]
            flux[a - 1] += self._exchanged(mobile + vacancies, mu[a])
            for b in range(1, a) if name == "shdl" else ():
                moved = self._exchanged(mobile + logs[b], mu[a] - mu[b])
                flux[a - 1] += moved
                flux[b - 1] -= moved
        return flux

    def _exchanged(self, log_coefficient: Array, drive: Array) -> Array:
        """Return ``-w du/dx`` with ``w exp(-u)`` exponential between nodes: exact if it is, for any ``u``."""
        log = log_coefficient - drive
        left, right = log[:-1], log[1:]
        highest = np.maximum(drive[:-1].real, drive[1:].real)
        difference = np.exp(drive[1:] - highest) - np.exp(drive[:-1] - highest)
        half = 0.5 * (right - left)
        # of exp(log) the harmonic mean: the geometric one times half/sinh(half)
        small = np.abs(half) < 1e-4
        upward = np.where(small, 1.0, np.where(half.real < 0.0, -half, half))
        log_ratio = np.where(
            small, -half * half / 6.0, np.log(2.0 * upward) - upward - np.log1p(-np.exp(-2.0 * upward))
        )
        moved = -np.exp(0.5 * (left + right) + highest + log_ratio) * difference / self.h
        return moved if np.iscomplexobj(drive) else moved.real

    def residual(self, values: Array) -> Array:
        """Return the balance of every volume, ``(N + 1, n)``."""
        rho, flux = self.densities(values), self.fluxes(values)
        nothing = np.zeros((len(self.charges), 1), dtype=values.dtype)
        balance = np.diff(np.hstack([nothing, flux, nothing]), axis=1)
        displacement = -(self.problem.debye_length**2) * np.diff(values[-1]) / self.h
        charge = (self.charges[:, None] * rho[1:]).sum(axis=0) * self.volume + self.fixed
        gauss = np.diff(np.concatenate([[0.0], displacement, [0.0]])) - charge
        for boundary in self.problem.boundaries:
            node = 0 if boundary.where == "left" else -1
            if boundary.dirichlet_potential is not None:
                gauss[node] = values[-1, node] - boundary.dirichlet_potential
            for name, held in boundary.dirichlet_fractions.items():
                a = self.problem.names.index(name)
                balance[a, node] = np.log(rho[a + 1, node] / held)
            for name, out in getattr(boundary, "fluxes", {}).items():
                balance[self.problem.names.index(name), node] += out
        for a, species in enumerate(self.problem.species):
            if species.name in self.problem.conserved:
                balance[a, 0] = (rho[a + 1] * self.volume).sum() / species.mean_fraction - 1.0
        return np.vstack([balance, gauss[None]])

    def jacobian(self, values: Array) -> coo_matrix:
        """Return the derivatives of the residual by complex steps, of every third node at once."""
        components, n = values.shape
        rows, columns, entries = [], [], []
        closed = [a for a, s in enumerate(self.problem.species) if s.name in self.problem.conserved]
        for unknown in range(components):
            for colour in range(3):
                moved = values.astype(complex)
                moved[unknown, colour::3] += 1e-30j
                slopes = self.residual(moved).imag / 1e-30
                slopes[closed, 0] = 0.0
                for node in range(n):
                    source = node + (colour - node + 1) % 3 - 1
                    if 0 <= source < n:
                        rows += [row * n + node for row in range(components)]
                        columns += [unknown * n + source] * components
                        entries += slopes[:, node].tolist()
        for a in closed:
            # an amount depends on all nodes
            for unknown in range(components):
                moved = values.astype(complex)
                moved[unknown] += 1e-30j
                slopes = self.densities(moved)[a + 1].imag / 1e-30 * self.volume / self.problem.species[a].mean_fraction
                rows += [a * n] * n
                columns += list(range(unknown * n, unknown * n + n))
                entries += slopes.tolist()
        size = components * n
        return coo_matrix((entries, (rows, columns)), shape=(size, size))

    def solve(self, start: Array) -> Array | None:
        """Return the solution near ``start``, or None."""
        values = start.copy()
        for _ in range(STEPS):
            matrix = self.jacobian(values).tocsr()
            scale = np.asarray(abs(matrix).max(axis=1).todense()).ravel()
            if not np.isfinite(scale).all() or (scale == 0.0).any():
                return None
            matrix = matrix.multiply(1.0 / scale[:, None]).tocsc()
            try:
                step = splu(matrix).solve(-self.residual(values).ravel() / scale).reshape(values.shape)
            except RuntimeError:
                return None
            if not np.isfinite(step).all():
                return None
            # what the potential of a species is where there is nothing of it is rounding, and says nothing
            rho = self.densities(values)[1:]
            step = np.clip(step, -2.0, 2.0)
            values += step
            moved = np.max(rho * np.abs(step[:-1]) / rho.max(axis=1, keepdims=True))
            if max(moved, np.abs(step[-1]).max()) < STEP * (1.0 + np.abs(values[-1]).max()):
                return values
        return None
