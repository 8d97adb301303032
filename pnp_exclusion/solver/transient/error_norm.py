"""How large an error is: of densities, potentials and charges, in units of a tolerance."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.integration import integral
from pnp_exclusion.discretisation.layout import POTENTIAL
from pnp_exclusion.discretisation.totals import boundary_integrals
from pnp_exclusion.runtime.parallel import largest_over_ranks
from pnp_exclusion.solver.transient.equations import Equations

LEAST_CONTENT = 1e-12
"""Of a site: against less no error is measured."""
SHORT = 1e-4
"""The largest unknown of a change along which a derivative is taken."""


class ErrorNorm:
    """Measures differences of states; all methods are collective.

    tolerance
        Of densities, relative to what they are and are on the whole, of potentials relative to the largest, and of the
        charges on boundaries relative to the largest.
    largest_potential, largest_charge
        That were met so far.
    mean_at_first
        ``(quantities,)``: how much there was per volume when the motion began.
    """

    def __init__(self, equations: Equations, tolerance: float) -> None:
        self.equations = equations
        self.tolerance = tolerance
        self._discrete = equations.discrete
        self._partition = self._discrete.partition_at_nodes()
        self._integrals = boundary_integrals(self._discrete)
        self._volume = self._volume_of_domain()
        self.mean_at_first = np.zeros(len(self._discrete.entropic))
        self.largest_potential, self.largest_charge = 0.0, self._charge_of_the_gap()

    def begin(self, stored: np.ndarray) -> None:
        """Take what is stored at the owned unknowns as the beginning of a motion."""
        layout, comm = self._discrete.layout, self._discrete.problem.domain.comm
        own = layout.at_nodes(stored)[:, layout.indices(self._discrete.entropic)].sum(axis=0)
        self.mean_at_first = np.asarray(comm.allreduce(own, op=MPI.SUM)) / self._volume

    def of_change(self, values: np.ndarray, change: np.ndarray, flowing: np.ndarray) -> float:
        """Return a change of a state that may be large, to first order, in units of the tolerance.

        flowing
            The equations of the state, owned.
        """
        largest = self.equations.largest(change)
        if largest == 0.0:
            return 0.0
        short = SHORT / largest
        return self.between(values, values + short * change, flowing) / short

    def between(self, values: np.ndarray, others: np.ndarray, flowing: np.ndarray | None = None) -> float:
        """Return how far two states are apart in units of the tolerance; NaN where one is no state.

        flowing
            The equations of the first, owned, where they are known.
        """
        discrete = self._discrete
        with np.errstate(over="ignore", invalid="ignore"):
            one, other = (discrete.contents(state, self._partition) for state in (values, others))
            scale = self._typical[:, None] + np.maximum(np.abs(one), np.abs(other))
            apart = float(np.max(np.abs(other - one) / scale, initial=0.0))
        if POTENTIAL in discrete.layout:
            position = discrete.layout.index(POTENTIAL)
            first, second = (discrete.layout.at_nodes(v)[:, position] for v in (values, others))
            comm = discrete.problem.domain.comm
            self.largest_potential = max(self.largest_potential, largest_over_ranks(comm, np.abs(first)))
            moved = float(np.max(np.abs(second - first), initial=0.0)) / (1.0 + self.largest_potential)
            charges = self._charges_apart(values, others, flowing)
            apart = np.nan if np.isnan(moved) else max(apart, moved, charges)
        return float(largest_over_ranks(discrete.problem.domain.comm, np.array([apart]))) / self.tolerance

    def _charges_apart(self, values: np.ndarray, others: np.ndarray, flowing: np.ndarray | None) -> float:
        """Return how far charges on boundaries, the integrals of currents, are apart, relative to the largest."""
        one, other = self._charges(values, flowing), self._charges(others, None)
        self.largest_charge = max(self.largest_charge, float(np.abs(one).max(initial=0.0)))
        return float(np.abs(other - one).max(initial=0.0)) / self.largest_charge

    def _charges(self, values: np.ndarray, flowing: np.ndarray | None) -> np.ndarray:
        self.equations.show(values)
        rows = self.equations.flowing() if flowing is None else flowing
        return (self._integrals.natural() + self._integrals.held(rows)).charges

    def _volume_of_domain(self) -> float:
        problem = self._discrete.problem
        section = problem.cross_section
        return integral(problem.domain, None if section is None else section.weight(problem.domain))

    def _charge_of_the_gap(self) -> float:
        """Return what the sides of the domain, without particles between them, hold at 1 kT/e."""
        low, high = self._discrete.problem.domain.bounding_box()
        debye = self._discrete.problem.debye_length or 0.0
        return float(debye**2 * self._volume / np.max(high - low) ** 2)

    @property
    def _typical(self) -> np.ndarray:
        """How much there is of everything that is conserved, on the whole: at boundaries, or in the mean at first."""
        problem = self._discrete.problem
        found = []
        for name, mean in zip(problem.quantities, self.mean_at_first, strict=True):
            given = [b.dirichlet_fractions.get(name, 0.0) for b in problem.boundaries]
            given += [b.exchanged_fractions.get(name, 0.0) for b in problem.boundaries]
            given += [s.mean_fraction or 0.0 for s in problem.species if s.name == name]
            found.append(max([LEAST_CONTENT, mean, *given]) if name in problem.names else 1.0)
        return np.array(found)
