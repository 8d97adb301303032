"""Displacement currents by the theorem of Ramo and Shockley: what charges that move in the domain induce on boundaries.

The charge on a boundary is linear to charges in the domain, each of which weighs what the potential would be there if
the boundary had 1 kT/e and nothing else were charged (Shockley, J. Appl. Phys. 9, 635 (1938); Ramo, Proc. IRE 27, 584
(1939)); so it is of the finite elements, whose matrix is symmetric. Differences of charges over short steps, the other
way, are rounding.
"""

from __future__ import annotations

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.layout import POTENTIAL
from pnp_exclusion.discretisation.totals import boundary_integrals
from pnp_exclusion.physics.boundaries import RegulatedWall
from pnp_exclusion.solver.transient.solver import TransientSolver
from pnp_exclusion.solver.transient.step import Step


class InducedCharges:
    """How the charges on all boundaries change at the end of a step; all methods are collective."""

    def __init__(self, solver: TransientSolver) -> None:
        self._solver, self._discrete = solver, solver.discrete
        self._integrals = boundary_integrals(solver.discrete)
        self._weights, self._capacitances = solver.answers_to_potentials()

    @staticmethod
    def are_of(solver: TransientSolver) -> bool:
        """Return whether charges are so: there is Poisson's equation, no wall answers to what is there, and no
        potential is found, which is by what the equations of a step make of given currents and charges."""
        problem = solver.discrete.problem
        regulated = any(isinstance(boundary, RegulatedWall) for boundary in problem.boundaries)
        return problem.coupled and not regulated and not problem.floating

    def rates(self, step: Step) -> np.ndarray:
        """Return ``dQ/dt`` of every boundary, ``(boundaries,)``."""
        discrete, scheme, solved = self._discrete, step.scheme, step.solved
        layout, problem = discrete.layout, discrete.problem
        # what is stored changes by what flows, and where densities are held by what they are
        stored = -(scheme.flowing @ solved.flowing)[-1]
        held = self._solver.equations.held
        stored[held] = ((scheme.stored @ solved.stored)[-1] - scheme.start[-1] * step.begin)[held] / step.length
        charged = layout.at_nodes(stored)[:, : len(problem.species)] @ problem.charges
        rates = -self._weighed(charged)
        if not self._solver.drive.moves:
            return rates
        moments = np.append(0.0, scheme.points)
        beside = np.array([self._beside_densities(step, moment) for moment in moments])
        changes = np.append(-scheme.start[-1], scheme.stored[-1]) / step.length
        found: np.ndarray = rates + changes @ beside
        return found

    def _weighed(self, at_nodes: np.ndarray) -> np.ndarray:
        summed = self._weights[:, : len(at_nodes)] @ at_nodes
        self._discrete.problem.domain.comm.Allreduce(MPI.IN_PLACE, summed, op=MPI.SUM)
        return summed

    def _beside_densities(self, step: Step, moment: float) -> np.ndarray:
        """Return the charges at the densities of the end, but for a constant, with the numbers of a moment."""
        discrete, integrals = self._discrete, self._integrals
        step.show(len(step.scheme.points) - 1)
        values = discrete.values.copy()
        step.take_numbers(moment)
        self._solver.equations.show(values)
        rows = discrete.layout.at_nodes(integrals.balance())[:, discrete.layout.index(POTENTIAL)]
        held = discrete.constraints.values_of(POTENTIAL)
        potentials = np.zeros(len(discrete.problem.boundaries))
        for value in held:
            potentials[value.tag] = float(value.constant.value)
        found: np.ndarray = self._weighed(rows) + integrals.natural().charges + self._capacitances @ potentials
        return found
