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
ACCURACY_OF_FEW = 1e-6
"""The same of some currents only, which goes with the error itself."""
ACCEPTABLE = 1e-3
"""Of spectra: what depleted species leave of it, whose digits are lost in the linear systems."""
MOST_SHIFTS = 40
"""Real frequencies in a span."""
LOOKED_AT = 8
"""Frequencies at a time, as a span grows."""
DERIVATIVES = 2
"""By the real frequency, of the adjoints in a span: they share an elimination, which costs more than their solves."""
SHIFTS_PER_DECADE = 6
"""To choose from."""
INDEPENDENT = 1e-11
"""What is shorter of a vector of length 1 that joins a span is its rounding."""


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
        Relative, of the worst of up to `LOOKED_AT` frequencies: what residuals have it.
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
    adjoints = equations.adjoints()
    found = equations.noise(adjoints)
    # a species that no other terminal lets pass has an adjoint without a gradient, and no noise but what rounding
    # leaves of the terms that cancel
    is_silent = found.diagonal() <= np.finfo(float).eps * equations.noise_of_nodes(adjoints).diagonal()
    found[is_silent] = found[:, is_silent] = 0.0
    return found


def spectra(equations: LinearisedEquations, frequencies: Real, currents: Real | None = None) -> Spectra:
    """Return noise and admittance at angular frequencies greater than zero; collective.

    currents
        ``(currents, terminals)``: the sums over terminals that are asked for, each of them if None. The adjoints of few
        do not span those of the reversed process, and driven admittances are then off by more, the square root.

    Raises `ConvergenceError` if the linear systems cannot be solved or the span does not hold the spectra.
    """
    pencil = _Pencil(equations, np.eye(len(equations.terminals)) if currents is None else currents)
    limit = ACCURACY if currents is None else ACCURACY_OF_FEW**2
    shifts = _shifts(float(frequencies.min()), float(frequencies.max()))
    looked_at = frequencies[np.unique(np.linspace(0, len(frequencies) - 1, 2 * LOOKED_AT).round().astype(int))]
    # in turns, so that the span is never judged where it was mended last
    turns = [looked_at[::2], looked_at[1::2] if len(looked_at) > 1 else looked_at]
    places = [0, len(shifts) - 1]
    while True:
        for shift in shifts[places]:
            pencil.extend(float(shift))
        shifts = np.delete(shifts, places)
        errors = pencil.errors(turns[0])
        accuracy = float(errors.max())
        if accuracy < limit or not len(shifts) or pencil.shifts >= MOST_SHIFTS:
            break
        places = [int(np.abs(np.log(shifts / turns[0][errors.argmax()])).argmin())]
        turns.reverse()
    if not accuracy < ACCEPTABLE:
        raise ConvergenceError(f"spectra are still off by {accuracy:.1g} with {pencil.shifts} real frequencies")
    accuracy = accuracy if currents is None else float(np.sqrt(accuracy))
    return Spectra(frequencies, *pencil.spectra(frequencies), accuracy, pencil.shifts)


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
        new = _orthonormal(equations, new - equations.products(new, span) @ span)
    return np.vstack([span, new])


def _orthonormal(equations: LinearisedEquations, vectors: Real) -> Real:
    """Return orthonormal rows, fewer where vectors depend on those before them."""
    found = np.zeros_like(vectors[:0])
    for vector in vectors[:, None]:
        for _ in range(2):
            vector = vector - equations.products(vector, found) @ found
        size = float(np.sqrt(equations.products(vector, vector)[0, 0]))
        if size > INDEPENDENT:
            found = np.vstack([found, vector / size])
    return found


class _Pencil:
    """``(A + i omega B)^T`` on the span of adjoints at real frequencies, with Poisson's rows times ``i omega``."""

    def __init__(self, equations: LinearisedEquations, currents: Real) -> None:
        self._equations = equations
        self._potentials = equations.is_potential
        self.shifts = 0
        weights = equations.weights
        self._count = len(currents)
        self._every = Vectors(currents @ weights.nodes, currents @ weights.beyond)
        self._flow, self._store = self._transposed(self._every)
        self._flow_on_span = equations.answers(self._every, equations.of_particles(self._every), self._flow)
        self._store_on_span = equations.answers(self._every, equations.of_charge(self._every), self._store)
        self._is_still = np.zeros(self._count, dtype=bool)
        constants = joined(equations, self._every.nodes[:0], equations.constants())
        self._is_split = len(constants) > 0
        self._join(equations.inside(constants), np.ones(len(constants), dtype=bool))

    def extend(self, shift: float) -> None:
        """Let the adjoints at a real frequency join the span, and their derivatives by it."""
        equations, count = self._equations, self._count
        self.shifts += 1
        equations.set_frequency(shift)
        found: list[Real] = []
        columns = -self._flow[:count] - shift * self._store[:count]
        for _ in range(1 + DERIVATIVES):
            new = equations.solved_roughly(columns)
            new[:, self._potentials] /= shift
            columns = -equations.pencil_store(equations.inside(new))
            if not found:
                columns -= self._store[:count]
            found.append(new)
        if self._is_split:
            found = [np.where(part, one, 0.0) for one in found for part in (~self._potentials, self._potentials)]
        span = self._every.nodes[count:]
        new = joined(equations, span, np.vstack(found))[len(span) :]
        self._join(equations.inside(new), equations.sum(np.count_nonzero(new[:, ~self._potentials], axis=1)) == 0)

    def _join(self, new: Vectors, is_still: NDArray[np.bool_]) -> None:
        """Extend the matrices on the span by their new rows and columns alone.

        is_still
            Of the new ones, whether nothing flows by them: potentials alone, and constants of closed species.
        """
        equations, old, every = self._equations, self._every, self._every.above(new)
        flow, store = self._transposed(new)
        flow[is_still] = 0.0
        self._is_still = np.concatenate([self._is_still, is_still])
        self._flow_on_span = _bordered(
            self._flow_on_span,
            equations.answers(new, equations.of_particles(old), self._flow),
            equations.answers(every, equations.of_particles(new), flow),
        )
        self._store_on_span = _bordered(
            self._store_on_span,
            equations.answers(new, equations.of_charge(old), self._store),
            equations.answers(every, equations.of_charge(new), store),
        )
        self._flow, self._store = np.vstack([self._flow, flow]), np.vstack([self._store, store])
        self._every = every

    def _transposed(self, vectors: Vectors) -> tuple[Real, Real]:
        """Return ``A^T v`` and ``B^T v`` of the pencil."""
        return self._equations.pencil_flow(vectors), self._equations.pencil_store(vectors)

    def _at(self, omega: float) -> tuple[Complex, Complex]:
        """Return the adjoints in the span, ``(vectors, currents)``, and the admittance."""
        count = self._count
        pencil = self._flow_on_span + 1j * omega * self._store_on_span
        # what is still is stored alone: divided by the frequency it has no small numbers, however slow
        pencil[:, self._is_still] = self._store_on_span[:, self._is_still]
        inner = np.linalg.solve(pencil[count:, count:], -pencil[count:, :count])
        admittance = pencil[:count] @ np.vstack([np.eye(count), inner])
        slow = np.where(self._is_still[count:], 1j * omega, 1.0)
        inner = inner / slow[:, None]
        return np.vstack([np.eye(count), inner]), admittance.T

    def errors(self, frequencies: Real) -> Real:
        """Return how far off the spectra in the span are at every frequency, relative, by their residuals."""
        equations, count = self._equations, self._count
        found = np.zeros(len(frequencies))
        for position, omega in enumerate(frequencies):
            adjoints, admittance = self._at(omega)
            # real products, which are faster
            parts = np.vstack([adjoints.real.T, adjoints.imag.T])
            of_flow, of_store = parts @ self._flow, parts @ self._store
            real, imaginary = of_flow[:count] - omega * of_store[count:], of_flow[count:] + omega * of_store[:count]
            size = equations.size_at(omega)
            inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)
            energy = (real**2 + imaginary**2) @ inverse
            found[position] = np.max(equations.sum(energy) / np.abs(admittance.diagonal()))
        return found

    def spectra(self, frequencies: Real) -> tuple[Complex, Complex, Complex]:
        """Return noise and admittance in the span, and the rounding of the noise."""
        equations, every = self._equations, self._every
        found = [self._at(omega) for omega in frequencies]
        matrices = equations.noise(every), np.finfo(float).eps * equations.noise_of_nodes(every)
        for matrix in matrices:
            matrix[self._is_still] = matrix[:, self._is_still] = 0.0
        noise, rounding = (
            np.array([adjoints.conj().T @ matrix @ adjoints for adjoints, _ in found]) for matrix in matrices
        )
        return noise, np.array([admittance for _, admittance in found]), rounding


def _bordered(matrix: Real, below: Real, right: Real) -> Real:
    return np.hstack([np.vstack([matrix, below]), right])


def total_current_of(equations: LinearisedEquations, tag: int) -> Real:
    """Return how the terminals make up the total electric current through a boundary, ``(terminals,)``."""
    problem = equations.discrete.problem
    weights = {POTENTIAL: 1.0} | {
        unknown_of(name): z for name, z in zip(problem.names, problem.charges.tolist(), strict=True)
    }
    return np.array([weights.get(unknown, 0.0) if own == tag else 0.0 for own, unknown in equations.terminals])
