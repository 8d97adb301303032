"""Noise of the currents through the terminals of a steady state, and its admittance (docs/theory.md#noise).

To leading order in ``eps``, the volume of a site over the unit of volume, fluctuations about a steady state obey the
linearised equations, driven by white noise of intensity ``2 eps M``, ``M`` the mobility at the state. With the adjoints
``w_i`` of `pnp_exclusion.solver.linearised` the two-sided spectrum of what flows in at terminals is

    S_ij(omega) = 2 w_i^H K w_j ,    K = int grad v . M grad v'        (in units of eps) ,

for particle currents at any frequency and for total electric currents, conduction and displacement together.

Written with the rows of Poisson's equation times ``i omega``, the equations are a pencil ``A + i omega B`` that is
symmetric at equilibrium, and the total current weighs the rows of a terminal by ``z_a`` and 1. Its adjoints on the
imaginary axis are sought in the span of those at real frequencies, by Galerkin's condition (rational Krylov space:
Antoulas, Approximation of Large-Scale Dynamical Systems, SIAM 2005, ch. 11). At equilibrium the span keeps the
fluctuation-dissipation theorem to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.discretisation.layout import POTENTIAL, unknown_of
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.solver.linearised import LinearisedEquations, Vectors

type Real = NDArray[np.float64]
type Complex = NDArray[np.complex128]

ACCURACY = 1e-8
"""Of spectra, relative, as their residuals have it: what is left goes with the square of the adjoints' error."""
ACCEPTABLE = 1e-3
"""Of spectra: what depleted species leave of it, whose digits are lost in the linear systems."""
MOST_SHIFTS = 40
"""Real frequencies in a span."""
LOOKED_AT = 8
"""Frequencies, as a span grows."""
SHIFTS_PER_DECADE = 6
"""To choose from."""
INDEPENDENT = 1e-13
"""Square of a length: what is shorter of a vector of length 1 that joins a span is its rounding."""


@dataclass(frozen=True)
class Spectra:
    """At every frequency, over terminals ``i, j``: `LinearisedEquations.terminals`.

    frequencies
        Angular, in D/L^2.
    noise
        ``(frequencies, terminals, terminals)``: ``S_ij``, two-sided, over ``eps``; Hermitian.
    admittance
        Likewise: what flows in at ``i`` per rise of the unknown that is held at ``j``.
    rounding
        Likewise: what of the noise, and of the real part of the admittance twice, may be rounding.
    accuracy
        Relative, of the worst of them: what residuals have it.
    shifts
        How many real frequencies the span needed.
    """

    frequencies: Real
    noise: Complex
    admittance: Complex
    rounding: Complex
    accuracy: float
    shifts: int


def noise_at_zero(equations: LinearisedEquations) -> Real:
    """Return ``S_ij`` of currents at frequency zero, ``(terminals, terminals)``; 0 for potentials. Collective.

    Raises `ConvergenceError` if the linear systems cannot be solved.
    """
    adjoints = equations.adjoints(0.0)
    found = equations.noise(adjoints)
    # a species that no other terminal lets pass has an adjoint without a gradient, and no noise but what rounding
    # leaves of the terms that cancel
    is_silent = found.diagonal() <= np.finfo(float).eps * equations.noise_of_nodes(adjoints).diagonal()
    found[is_silent] = found[:, is_silent] = 0.0
    return found


def spectra(equations: LinearisedEquations, frequencies: Real) -> Spectra:
    """Return noise and admittance at angular frequencies greater than zero; collective.

    Raises `ConvergenceError` if the linear systems cannot be solved or the span does not hold the spectra.
    """
    pencil = _Pencil(equations)
    shifts = _shifts(float(frequencies.min()), float(frequencies.max()))
    # where the span is looked at as it grows; at the end everywhere
    few = frequencies[np.unique(np.linspace(0, len(frequencies) - 1, LOOKED_AT).round().astype(int))]
    places = [0, len(shifts) - 1]
    while True:
        for shift in shifts[places]:
            pencil.extend(float(shift))
        shifts = np.delete(shifts, places)
        is_last = not len(shifts) or pencil.shifts >= MOST_SHIFTS
        looked_at = few
        found, errors = pencil.spectra(few)
        if is_last or found.accuracy < ACCURACY:
            looked_at = frequencies
            found, errors = pencil.spectra(frequencies)
        if is_last or found.accuracy < ACCURACY:
            break
        places = [int(np.abs(np.log(shifts / looked_at[errors.argmax()])).argmin())]
    if not found.accuracy < ACCEPTABLE:
        raise ConvergenceError(f"spectra are still off by {found.accuracy:.1g} with {pencil.shifts} real frequencies")
    return found


def _shifts(low: float, high: float) -> Real:
    """Return the real frequencies to choose from, over a band and a little beyond."""
    first, last = np.log10(low) - 0.5, np.log10(high) + 0.5
    return np.logspace(first, last, 1 + int(np.ceil(SHIFTS_PER_DECADE * (last - first))))


def joined(equations: LinearisedEquations, span: Real, new: Real) -> Real:
    """Return a span, of orthonormal rows, that others have joined; collective."""
    sizes = np.sqrt(np.einsum("ii->i", equations.products(new, new)))
    new = new / np.where(sizes > 0.0, sizes, 1.0)[:, None]
    for _ in range(2):
        # twice, for the digits
        new = new - equations.products(new, span) @ span
        values, vectors = np.linalg.eigh(equations.products(new, new))
        kept = values > INDEPENDENT
        new = (vectors[:, kept] / np.sqrt(values[kept])).T @ new
    return np.vstack([span, new])


class _Pencil:
    """``(A + i omega B)^T`` on the span of adjoints at real frequencies, with Poisson's rows times ``i omega``."""

    def __init__(self, equations: LinearisedEquations) -> None:
        self._equations = equations
        self._potentials = equations.is_potential
        self.shifts = 0
        weights = equations.weights
        self._span = np.zeros((0, len(self._potentials)))
        self._flow, self._store = self._transposed(weights)

    def extend(self, shift: float) -> None:
        """Let the adjoints at a real frequency join the span."""
        equations = self._equations
        self.shifts += 1
        new = equations.adjoints(shift).nodes
        new[:, ~equations.is_free] = 0.0
        new[:, self._potentials] /= shift
        before = len(self._span)
        self._span = joined(equations, self._span, new)
        flow, store = self._transposed(equations.inside(self._span[before:]))
        self._flow, self._store = np.vstack([self._flow, flow]), np.vstack([self._store, store])

    def _transposed(self, vectors: Vectors) -> tuple[Real, Real]:
        """Return ``A^T v`` and ``B^T v`` of the pencil."""
        equations = self._equations
        particles, charges = equations.of_particles(vectors), equations.of_charge(vectors)
        return equations.answered(particles), equations.stored(particles) + equations.answered(charges)

    def spectra(self, frequencies: Real) -> tuple[Spectra, Real]:
        """Return what the span has, and how far off it is, relative, at every frequency."""
        equations, weights = self._equations, self._equations.weights
        count = len(weights.nodes)
        every = weights.above(equations.inside(self._span))
        flow = equations.answers(every, equations.of_particles(every), self._flow)
        store = equations.answers(every, equations.of_charge(every), self._store)
        mobility = equations.noise(every)
        cancelling = np.finfo(float).eps * equations.noise_of_nodes(every)
        noise = np.zeros((len(frequencies), count, count), dtype=complex)
        admittance, rounding, errors = noise.copy(), noise.copy(), np.zeros(len(frequencies))
        for position, omega in enumerate(frequencies):
            pencil = flow + 1j * omega * store
            inner = np.linalg.solve(pencil[count:, count:], -pencil[count:, :count])
            adjoint = np.vstack([np.eye(count), inner])
            noise[position] = adjoint.conj().T @ mobility @ adjoint
            rounding[position] = adjoint.conj().T @ cancelling @ adjoint
            admittance[position] = (pencil[:count] @ adjoint).T
            # real products, which are faster
            parts = np.vstack([adjoint.real.T, adjoint.imag.T])
            of_flow, of_store = parts @ self._flow, parts @ self._store
            real, imaginary = of_flow[:count] - omega * of_store[count:], of_flow[count:] + omega * of_store[:count]
            size = equations.size_at(omega)
            inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)
            energy = (real**2 + imaginary**2) @ inverse
            errors[position] = np.max(equations.sum(energy) / np.abs(admittance[position].diagonal()))
        return Spectra(frequencies, noise, admittance, rounding, float(errors.max()), self.shifts), errors


def total_current_of(equations: LinearisedEquations, tag: int) -> Real:
    """Return how the terminals make up the total electric current through a boundary, ``(terminals,)``."""
    problem = equations.discrete.problem
    weights = {POTENTIAL: 1.0} | {
        unknown_of(name): z for name, z in zip(problem.names, problem.charges.tolist(), strict=True)
    }
    return np.array([weights.get(unknown, 0.0) if own == tag else 0.0 for own, unknown in equations.terminals])
