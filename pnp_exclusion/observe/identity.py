"""The master identity of one-dimensional steady states, ``F = <M^-1> J`` (PHYSICS, section 3).

It checks a computed profile against its computed currents without any reference solution, for every law.
"""

from __future__ import annotations

from mpi4py import MPI

import basix
import numpy as np

from pnp_exclusion.compilation import compiled_expression
from pnp_exclusion.weakform import WeakForm

LEAST_SHARE = 1e-6
POINTS_DEGREE = 15
"""Of the Gauss rule for ``<M^-1>``: densities vary exponentially within a cell."""


def identity_residual(
    resistance: np.ndarray, currents: dict[str, float], forces: dict[str, float], least: dict[str, float]
) -> float:
    """Return the largest difference between a species' current and ``<M^-1>^-1 F``, over its gross flux.

    resistance
        `mean_resistance` of the profile.
    currents, forces
        From left to right, in the order of the species.
    least
        The gross flux that a species is credited with at least, see `one_way_fluxes`.
    """
    computed = np.array(list(currents.values()))
    # blocked or expelled species make entries of very unlike size: solve in units of each one's own resistance
    unit = np.sqrt(np.diagonal(resistance))
    predicted = np.linalg.solve(resistance / np.outer(unit, unit), np.array(list(forces.values())) / unit) / unit
    gross = np.maximum(np.abs(computed), np.array(list(least.values())))
    return float(np.max(np.abs(computed - predicted) / gross))


def one_way_fluxes(resistance: np.ndarray, mean_fluxes: dict[str, float]) -> dict[str, float]:
    """Return what one kT drives of every species through its resistances in series.

    A millionth of its mean flux at least: the rounding of the currents, some 1e-13 of that, is then no error.
    """
    series = 1.0 / np.diagonal(resistance)
    return {
        name: max(float(own), LEAST_SHARE * mean) for own, (name, mean) in zip(series, mean_fluxes.items(), strict=True)
    }


def mean_resistance(weak_form: WeakForm) -> np.ndarray:
    """Return ``int M^-1 dx`` over the interval, shape ``(N, N)``; collective."""
    problem = weak_form.problem
    mesh = problem.domain.mesh
    cells = np.arange(mesh.topology.index_map(1).size_local, dtype=np.int32)
    points, weights = basix.make_quadrature(basix.CellType.interval, POINTS_DEGREE)
    expression = weak_form.kept("unknown at Gauss points", lambda: compiled_expression(weak_form.unknown, points))
    unknown = expression.eval(mesh, cells).reshape(-1, weak_form.components)
    eta, _ = weak_form.nodal_potentials(unknown)
    rho = problem.law.free_energy.densities(list(eta))
    factor = np.repeat(problem.diffusivity_factor.x.array[cells], len(weights))
    mobility = problem.law.mobility(rho, [species.diffusivity * factor for species in problem.species])
    lengths = mesh.h(1, cells)
    measure = (lengths[:, None] * weights[None, :]).ravel()
    return problem.domain.comm.allreduce(np.einsum("p,pab->ab", measure, _inverse(mobility)), op=MPI.SUM)


def _inverse(mobility: np.ndarray) -> np.ndarray:
    unit = np.sqrt(np.einsum("paa->pa", mobility))
    scale = unit[:, :, None] * unit[:, None, :]
    return np.linalg.inv(mobility / scale) / scale
