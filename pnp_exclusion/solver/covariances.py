"""Covariances of amounts about a steady state, in any dimension, by an integral over frequencies.

Of observables ``o = int sum_a g_a rho_a``, to leading order in ``eps``. With ``S`` the storage, potentials following,
they have ``g^T S g'`` at equilibrium, and driven also

    1/(2 pi) int ( y^H N y' - y^H S g' - g^T S y' ) d omega ,    (A + i omega S)^T y = S g ,

``N`` the covariance of the noise: what is not thermal of it, which falls off fast. The integral is a sum over ``u`` in
``omega = sinh u``, and ``y`` is sought in the span of solutions at real frequencies, as spectra are.
"""

from __future__ import annotations

import numpy as np

from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.solver.linearised import LinearisedEquations, Real
from pnp_exclusion.solver.noise import joined

ACCURACY = 1e-9
"""Of covariances, relative to variances: by so much they may change as the span doubles."""
SLOWEST = 0.1
"""D/L^2: the lowest real frequency."""
LEVELS = 6
"""Doublings of the real frequencies, at most."""
STEP, REACH = 0.1, 12.0
"""Of the sum over ``u``, and how far it goes beyond the highest real frequency."""


def covariances(equations: LinearisedEquations, functions: Real) -> Real:
    """Return the covariances of observables, ``(observables, observables)``; collective.

    functions
        ``g_a`` at the owned unknowns of the species, ``(observables, owned)``, and 0 at others.

    Raises `ConvergenceError` if the linear systems cannot be solved or the spans do not settle.
    """
    right = _stored(equations, functions)
    if equations.discrete.problem.combinations:
        _, shares = equations.solved(0.0, right)
        functions = functions - shares @ equations.constants()
        right = _stored(equations, functions)
    thermal = equations.products(functions, right)
    scale = np.sqrt(np.outer(thermal.diagonal(), thermal.diagonal()))
    span, last = np.zeros((0, functions.shape[1])), np.full_like(thermal, np.nan)
    logarithms = np.log(SLOWEST), np.log(equations.fastest)
    for level in range(LEVELS):
        count = 2 ** (level + 1)
        places = range(count + 1) if level == 0 else range(1, count, 2)
        for place in places:
            shift = float(np.exp(logarithms[0] + place / count * (logarithms[1] - logarithms[0])))
            found, _ = equations.solved(shift, right)
            found[:, equations.is_potential] /= shift
            span = joined(equations, span, found)
        driven = _integral(equations, span, right)
        if np.all(np.abs(driven - last) <= ACCURACY * scale):
            return thermal + driven
        last = driven
    raise ConvergenceError(f"covariances have not settled with {2**LEVELS + 1} real frequencies")


def _stored(equations: LinearisedEquations, functions: Real) -> Real:
    """Return ``S g`` in the columns of particles, potentials having followed."""
    stored = equations.stored(equations.inside(functions))
    if equations.is_potential.any():
        followed = equations.at_fixed_densities(stored)
        stored = stored - equations.answered(equations.inside(followed))
    return np.where(equations.is_potential, 0.0, stored)


def _integral(equations: LinearisedEquations, span: Real, right: Real) -> Real:
    every = equations.inside(span)
    flow = equations.products(span, equations.pencil_flow(every))
    store = equations.products(span, equations.pencil_store(every))
    noise, right = equations.noise(every), equations.products(span, right)
    total = np.zeros((right.shape[1], right.shape[1]))
    # half a step from zero, where Poisson's rows vanish
    u = np.arange(0.5 * STEP, np.arcsinh(equations.fastest) + REACH, STEP)
    for omega, weight in zip(np.sinh(u), np.cosh(u), strict=True):
        y = np.linalg.solve(flow + 1j * omega * store, right)
        common = y.conj().T @ right
        total += weight * (y.conj().T @ noise @ y - common - common.conj().T).real
    return STEP / np.pi * total
