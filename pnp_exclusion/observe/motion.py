"""What is read off every step of a motion: currents, charges, amounts, and the balance of the free energy.

Currents are read, as in a steady state, from the equations of the stages where boundaries hold unknowns; what is stored
there counts. Over a step with the weights of its stages they sum up to what amounts have changed by, to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.layout import POTENTIAL
from pnp_exclusion.discretisation.totals import boundary_integrals
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.observe.displacement import InducedCharges
from pnp_exclusion.observe.free_energy import free_energy, has_free_energy, powers, work_of_held, work_through
from pnp_exclusion.observe.free_space import is_driven_in, least_free_space
from pnp_exclusion.solver.transient.carried import OF_NODES
from pnp_exclusion.solver.transient.solver import TransientSolver
from pnp_exclusion.solver.transient.step import Step

NO_SPACE = 1e-12
"""Of the space: what is free has then no digits beside what is filled."""
SHORT = 1e-4
"""Of a step: over which numbers that change in time are differentiated."""


@dataclass(frozen=True)
class Reading:
    """A state of a motion, dimensionless, at the end of a step.

    time, length
        Of the end of the step, and how long it was.
    flux
        By boundary and quantity, out of the domain, at the time.
    outflow
        The same integrated from the beginning of the motion on.
    charge, displacement
        By boundary: the charge that sits on it, and what leaves the domain there as a displacement, ``-dQ/dt``.
    potential
        Of every boundary that has one, from the user's zero.
    amounts
        By quantity: in the whole domain.
    free_energy
        ``G``; None if it is not known, and with it what follows.
    dissipation
        What is dissipated per time.
    dissipated, work
        What was dissipated, and what the system did at its boundaries, both from the beginning of the motion on: with
        them ``G`` keeps what it was.
    stored
        ``dS/dt``, owned: what is stored per time at every unknown.
    piece
        Number of the piece of a protocol, from 1 on; 0 without one.
    """

    time: float
    length: float
    flux: dict[str, dict[str, float]]
    outflow: dict[str, dict[str, float]]
    charge: dict[str, float]
    displacement: dict[str, float]
    potential: dict[str, float]
    amounts: dict[str, float]
    free_energy: float | None
    dissipation: float | None
    dissipated: float | None
    work: float | None
    stored: np.ndarray = field(metadata=OF_NODES)
    piece: int = 0

    @property
    def balance(self) -> float | None:
        """What does not change: ``G`` with all that was dissipated and done."""
        if self.free_energy is None or self.dissipated is None or self.work is None:
            return None
        return self.free_energy + self.dissipated + self.work


@dataclass
class Sums:
    """What is summed up from the beginning of a motion on; plain numbers, which a checkpoint writes as they are.

    outflow, dissipated, work
        As of `Reading`.
    charge, free_energy
        At the end of the last step.
    first_free_energy
        At the beginning; None before it, and if it is not known.
    full_from, full_at
        Since when a flux or a current that is given has left no space at some place (`NO_SPACE`), and where; None and
        empty before.
    """

    outflow: dict[str, dict[str, float]]
    dissipated: float = 0.0
    work: float = 0.0
    charge: dict[str, float] = field(default_factory=dict)
    free_energy: float = 0.0
    first_free_energy: float | None = None
    full_from: float | None = None
    full_at: list[float] = field(default_factory=list)


class MotionReader:
    """Reads the steps of a solver one after the other; all ranks together.

    sums
        Up to the first step that it reads, where that is not the first one of the motion.
    """

    def __init__(self, solver: TransientSolver, sums: Sums | None = None) -> None:
        self._solver = solver
        self._discrete = solver.discrete
        self._boundaries = boundary_integrals(solver.discrete)
        problem = self._discrete.problem
        self._names = [boundary.where for boundary in problem.boundaries]
        self.sums = sums or Sums({where: dict.fromkeys(problem.quantities, 0.0) for where in self._names})
        self._has_energy = has_free_energy(self._discrete)
        self._is_weak = bool(weakly_imposed(problem))
        self._is_linear = InducedCharges.are_of(solver)
        self._induced: InducedCharges | None = None

    def read(self, step: Step) -> Reading:
        """Return what is read at the end of a step, which must be the next one; collective."""
        discrete, scheme, solved = self._discrete, step.scheme, step.solved
        if step.is_first:
            self._begin(step)
        balance, natural, charges = [], [], []
        dissipated = works = explicit = 0.0
        moves = self._solver.drive.moves or bool(discrete.problem.floating)
        end_dissipation = 0.0
        for point, weight in enumerate(scheme.time_weights):
            step.show(point)
            rows = self._boundaries.balance() if self._is_weak else solved.flowing[point]
            balance.append(rows)
            let_through = self._boundaries.natural()
            natural.append(let_through.fluxes)
            charges.append((let_through + self._boundaries.held(rows)).charges)
            if self._has_energy and (weight != 0.0 or point == len(scheme.points) - 1):
                end_dissipation, driven = powers(discrete)
                through = sum(work_through(discrete, tag) for tag in range(len(self._names)))
                dissipated += step.length * weight * end_dissipation
                works += step.length * weight * (through - driven)
                if moves and weight != 0.0:
                    explicit += step.length * weight * self._work_of_numbers(step, point, rows)
        flowing = np.array(balance)
        stages, fluxes = self._at_stages(step, flowing, np.array(natural))
        mean = sum(w * f for w, f in zip(scheme.weights, fluxes, strict=True))
        self._add_outflow(step.length * np.asarray(mean))
        at_points = np.array(charges)
        if self._induced is None and self._is_linear:
            self._induced = InducedCharges(self._solver)
        if self._induced is not None:
            charging = self._induced.rates(step)
        else:
            before = np.array([self.sums.charge.get(where, 0.0) for where in self._names])
            charging = ((scheme.stored @ at_points)[-1] - scheme.start[-1] * before) / step.length
        self.sums.charge = dict(zip(self._names, at_points[-1].tolist(), strict=True))
        held = sum(
            w * work_of_held(discrete, states, -rows)
            for w, states, rows in zip(scheme.weights, solved.states, stages, strict=True)
        )
        held = discrete.problem.domain.comm.allreduce(held, op=MPI.SUM)
        step.show(len(scheme.points) - 1)
        energy = None
        if self._has_energy:
            energy = self.sums.free_energy = free_energy(discrete)
            self.sums.dissipated += dissipated
            self.sums.work += works + explicit + held
        coupled = discrete.problem.coupled
        if self.sums.full_from is None and discrete.problem.law.crowded and is_driven_in(discrete.problem):
            free, place = least_free_space(discrete)
            if free < NO_SPACE:
                self.sums.full_from, self.sums.full_at = step.time, place
        return Reading(
            step.time,
            step.length,
            self._by_name(fluxes[-1]),
            {where: dict(outflow) for where, outflow in self.sums.outflow.items()},
            dict(self.sums.charge) if coupled else {},
            dict(zip(self._names, (-charging).tolist(), strict=True)) if coupled else {},
            {
                boundary.where: boundary.applied_potential + discrete.problem.potential_reference
                for boundary in discrete.problem.boundaries
                if boundary.applied_potential is not None
            },
            self._amounts(step.end),
            energy,
            end_dissipation if self._has_energy else None,
            self.sums.dissipated if self._has_energy else None,
            self.sums.work if self._has_energy else None,
            (scheme.stored[-1] @ solved.stored - scheme.start[-1] * step.begin) / step.length,
        )

    def fluxes(self, step: Step) -> np.ndarray:
        """Return what leaves through every boundary at the stages of any step, ``(stages, boundaries, quantities)``;
        collective."""
        balance, natural = [], []
        for point in range(len(step.scheme.points)):
            step.show(point)
            balance.append(self._boundaries.balance() if self._is_weak else step.solved.flowing[point])
            natural.append(self._boundaries.natural().fluxes)
        return np.array(self._at_stages(step, np.array(balance), np.array(natural))[1])

    def _at_stages(self, step: Step, flowing: np.ndarray, natural: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return what the equations of the stages leave where unknowns are held, which flows out there, and with what
        terms of boundaries let out all fluxes."""
        scheme = step.scheme
        stages: np.ndarray = (
            scheme.stored @ step.solved.stored
            + step.length * (scheme.flowing @ flowing)
            - scheme.start[:, None] * step.begin
        )
        let_out = np.einsum("iq,qkb->ikb", scheme.flowing, natural)
        return stages, [let_out[i] + self._boundaries.held(rows / step.length).fluxes for i, rows in enumerate(stages)]

    def _begin(self, step: Step) -> None:
        """Read the state at the beginning of a step that follows a jump, or nothing."""
        step.show_begin()
        charges = self._boundaries.now().charges
        self.sums.charge = dict(zip(self._names, charges.tolist(), strict=True))
        if not self._has_energy:
            return
        energy = free_energy(self._discrete)
        if self.sums.first_free_energy is None:
            self.sums.first_free_energy = energy
        else:
            # what the jump has changed at once is work
            self.sums.work += self.sums.free_energy - energy
        self.sums.free_energy = energy

    def _by_name(self, fluxes: np.ndarray) -> dict[str, dict[str, float]]:
        quantities = self._discrete.problem.quantities
        return {
            where: dict(zip(quantities, row.tolist(), strict=True))
            for where, row in zip(self._names, fluxes, strict=True)
        }

    def _add_outflow(self, out: np.ndarray) -> None:
        for where, row in self._by_name(out).items():
            for name, amount in row.items():
                self.sums.outflow[where][name] += amount

    def _amounts(self, stored: np.ndarray) -> dict[str, float]:
        discrete = self._discrete
        nodes = discrete.layout.at_nodes(stored)
        totals = nodes[:, discrete.layout.indices(discrete.entropic)].sum(axis=0)
        discrete.problem.domain.comm.Allreduce(MPI.IN_PLACE, totals, op=MPI.SUM)
        return dict(zip(discrete.problem.quantities, totals.tolist(), strict=True))

    def _work_of_numbers(self, step: Step, point: int, rows: np.ndarray) -> float:
        """Return what the system does per time as the numbers of the problem change: ``Q dV/dt`` at held potentials,
        and what the free energy of the same state falls by elsewhere."""
        discrete = self._discrete
        energies, potentials = [], []
        at = step.scheme.points[point]
        early, late = max(at - SHORT, 0.0), min(at + SHORT, 1.0)
        for moment in (early, late):
            step.take_numbers(moment)
            self._solver.equations.show(step.solved.points[point])
            energies.append(free_energy(discrete))
            held = discrete.constraints.values_of(POTENTIAL)
            potentials.append({value.tag: float(value.constant.value) for value in held})
        charges = self._boundaries.held(rows).charges
        moved = sum(float(charges[tag]) * (potentials[1][tag] - potentials[0][tag]) for tag in potentials[0])
        return (moved - (energies[1] - energies[0])) / ((late - early) * step.length)
