"""Species whose electrochemical potential is the same everywhere: at which constant, with Poisson's equation.

Closed ones have their amounts, and those that one boundary holds beside others that it blocks their contents there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import electrochemical_potential
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.runtime.parallel import largest_over_ranks
from pnp_exclusion.solver.amounts import amount_ratios
from pnp_exclusion.solver.nonlinear_poisson import NonlinearPoisson

ROUNDS = 60
"""Of shifting constant ``mu``."""
PROGRESS, IDLE_ROUNDS = 0.7, 5
"""Slopes are taken anew after so many rounds without an excess that is so many times the least before."""
DIFFERENCE = 0.05
"""kT, by which slopes are taken, with Poisson's equation to `FINE_TOLERANCE`."""
FINE_TOLERANCE = 1e-6
TOLERANCE = 1e-2
"""Relative, of amounts and contents: what is left is Newton's work."""
LARGEST_SHIFT = 3.0
"""kT, in one round."""
FULL = 1e-4
"""Vacancies that are none."""
FIRST_RISE, LEAST_RISE = 1.0, 1e-3
"""kT, of the constant of a held species on its way from dilute to a full lattice; `LARGEST_SHIFT` at most."""
RISES = 120
ALONE = 1e-12
"""Of a content: as much of another species is none."""
SECTIONS = 8
"""Golden ones, of where the content at the boundary is largest."""
GOLDEN = 0.5 * (5.0**0.5 - 1.0)


def passing(discrete: Discretisation) -> list[int]:
    """Return the species that boundaries hold at different electrochemical potentials, or contents: they may flow."""
    weakly = weakly_imposed(discrete.problem)

    def levels(name: str, unknown: str) -> set[float]:
        held = {float(h.constant.value) for h in discrete.constraints.values_of(unknown)}
        return held | {rho for _, species, rho in weakly if species == name}

    pairs = zip(discrete.problem.names, discrete.mu, strict=False)
    return [a for a, pair in enumerate(pairs) if len(levels(*pair)) > 1]


@dataclass(frozen=True)
class Shortfall:
    """A content that a boundary cannot have.

    most
        The largest that there is at the boundary, however much of the species the domain holds.
    """

    species: str
    where: str
    most: float
    given: float


class ConstantPotentials:
    """The constants among the electrochemical potentials of a discretisation; all methods are collective.

    shortfall
        What the last `restore` has found that the case cannot have, if anything.
    """

    def __init__(self, discrete: Discretisation, poisson: NonlinearPoisson | None) -> None:
        self._discrete, self._poisson = discrete, poisson
        self.shortfall: Shortfall | None = None
        self._sought_in_vain = False

    @property
    def _problem(self) -> Problem:
        return self._discrete.problem

    def begin(self) -> None:
        """Forget what was found of an earlier case."""
        self.shortfall, self._sought_in_vain = None, False

    def restore(self) -> None:
        """Shift constant ``mu`` until closed species have their amounts, and others their contents at the one boundary
        that holds them; the potential follows.

        Closed ones together with Poisson's equation; then the others with them by Broyden's method, from a state in
        which each amount follows its own ``mu`` alone, and where that makes no progress, with slopes taken by
        differences. If that does not lead there, the constant of a single held species rises from where it is dilute.
        """
        self.shortfall = None
        if self._problem.conserved and self._poisson is not None and not self._poisson.solve(with_amounts=True):
            return
        if not self._shift_all():
            self._raise_content()

    def _shift_all(self) -> bool:
        """Shift all constants by Broyden's method; return whether amounts and contents are right."""
        excesses = self._excesses()
        answers, least, idle = -np.eye(len(excesses)), np.inf, 0
        for _ in range(ROUNDS):
            now = np.array(list(excesses.values()))
            largest = np.abs(now).max(initial=0.0)
            if largest < TOLERANCE:
                return True
            least, idle = (largest, 0) if largest < PROGRESS * least else (least, idle + 1)
            if idle == IDLE_ROUNDS:
                answers, idle = -np.linalg.pinv(self._slopes(list(excesses), now), rcond=1e-8), 0
            shifts = np.clip(answers @ now, -LARGEST_SHIFT, LARGEST_SHIFT)
            self._shift(dict(zip(excesses, shifts, strict=True)))
            excesses = self._excesses()
            answered = answers @ (np.array(list(excesses.values())) - now)
            along = shifts @ answered
            if abs(along) > 1e-3 * (shifts @ shifts):
                answers += np.outer(-shifts - answered, shifts @ answers) / along
        return False

    def _slopes(self, names: Sequence[str], now: np.ndarray) -> np.ndarray:
        """Return the slopes of excesses by constant ``mu``, by differences: a solution of Poisson's equation each."""
        values = self._discrete.values.copy()
        slopes = np.zeros((len(names), len(names)))
        for column, name in enumerate(names):
            self._shift({name: DIFFERENCE})
            slopes[:, column] = (np.array(list(self._excesses().values())) - now) / DIFFERENCE
            self._discrete.values[:] = values
        return slopes

    def _shift(self, shifts: Mapping[str, float]) -> None:
        unknowns = self._discrete.layout.split(self._discrete.values)
        for name, shift in shifts.items():
            unknowns[electrochemical_potential(name)] += shift
        if self._poisson is not None:
            self._poisson.solve(tolerance=FINE_TOLERANCE)

    def _excesses(self) -> dict[str, float]:
        """Return the logarithm of what there is of every species with a constant ``mu`` over what there must be."""
        excesses = {name: float(np.log(ratio)) for name, ratio in amount_ratios(self._discrete).items()}
        for tag, name, held in self._held():
            excesses[name] = self._log_content(tag, name, held)
        return excesses

    def _held(self) -> list[tuple[int, str, float]]:
        """Return boundary, species and content of every species that it alone holds, without holding its ``mu``."""
        weakly = weakly_imposed(self._problem)
        flowing = [self._problem.names[a] for a in passing(self._discrete)]
        return [
            (tag, name, held)
            for tag, name, held in weakly
            if name not in flowing and sum(other == name for _, other, _ in weakly) == 1
        ]

    def _log_content(self, tag: int, name: str, held: float) -> float:
        """Return the logarithm of the content of a species at a boundary over what is held there."""
        there = self._discrete.contents(self._at_boundary(tag))[self._problem.names.index(name)]
        return self._mean(np.log(np.maximum(there, 1e-300) / held))

    def _at_boundary(self, tag: int) -> np.ndarray:
        """Return the unknowns of the nodes of a boundary that this rank owns, ``(nodes, size)``."""
        discrete = self._discrete
        nodes = discrete.constraints.nodes_on(self._problem.boundaries[tag].where)
        own = nodes[nodes < discrete.space.dofmap.index_map.size_local]
        return discrete.layout.at_nodes(discrete.values)[own]

    def _mean(self, values: np.ndarray) -> float:
        comm = self._problem.domain.comm
        return float(comm.allreduce(float(values.sum()), op=MPI.SUM) / comm.allreduce(len(values), op=MPI.SUM))

    # ---- one held species beside closed ones ----

    def _raise_content(self) -> None:
        """Raise the constant of a held species from where it is dilute until its content is right.

        With it and the amounts of the others there is one state, the maximum of a concave functional of potential and
        constants. The content at the boundary need not rise all the way: a species that brings others there, or charge,
        makes less room for itself; and a full lattice is the end.
        """
        problem, held = self._problem, self._held()
        others = set(problem.names) - {name for _, name, _ in held}
        if (
            self._sought_in_vain
            or len(held) != 1
            or others != set(problem.conserved)
            or self._poisson is None
            or problem.floating
        ):
            return
        ((tag, name, given),) = held
        before = self._discrete.values.copy()
        states = self._rising(tag, name, given)
        if not states:
            # the search is long, and will not do better at another share of the driving forces
            self._sought_in_vain = True
            self._discrete.values[:] = before
        elif states[-1].excess < -TOLERANCE:
            most = self._largest_content(tag, name, given, states)
            if most < -TOLERANCE:
                where = problem.boundaries[tag].where
                self.shortfall = Shortfall(name, where, given * float(np.exp(most)), given)

    def _rising(self, tag: int, name: str, given: float) -> list[_State]:
        """Return states from a dilute one to one with the content that is given, or to a full lattice; none if there
        is no way."""
        at, states = self._alone(tag, name, given), list[_State]()
        size = FIRST_RISE
        for _ in range(RISES):
            excess = self._log_content(tag, name, given) if self._rise(name, at) else np.nan
            if excess <= TOLERANCE:
                states.append(_State(at, excess, self._discrete.values.copy()))
                if excess >= -TOLERANCE or self._is_full():
                    return states
                size = min(1.5 * size, LARGEST_SHIFT)
            else:
                # it has not converged, or is beyond
                size *= 0.5
                if size < LEAST_RISE or not states:
                    return []
                self._discrete.values[:] = states[-1].values
            at = states[-1].constant + size
        return []

    def _alone(self, tag: int, name: str, given: float) -> float:
        """Return the constant at which a species would have its content at a boundary without all others."""
        problem, a = self._problem, self._problem.names.index(name)
        alone = [given if other == name else given * ALONE for other in problem.names]
        eta = problem.law.free_energy.chemical_potentials(alone)[a]
        mu, eta_now, _ = self._discrete.potentials(self._at_boundary(tag))
        return self._mean(mu[a] - eta_now[a]) + float(eta)

    def _rise(self, name: str, constant: float) -> bool:
        """Give a species a constant and solve for the potential, with the amounts of closed ones."""
        assert self._poisson is not None
        self._discrete.layout.split(self._discrete.values)[electrochemical_potential(name)][:] = constant
        return self._poisson.solve(with_amounts=bool(self._problem.conserved), tolerance=FINE_TOLERANCE)

    def _is_full(self) -> bool:
        vacancies = 1.0 - self._problem.packing(self._discrete.nodal_values().rho)
        return largest_over_ranks(self._problem.domain.comm, vacancies) < FULL

    def _largest_content(self, tag: int, name: str, given: float, states: Sequence[_State]) -> float:
        """Return the largest excess of the content at a boundary, between the states next to the one that has most."""
        best = max(range(len(states)), key=lambda k: states[k].excess)
        low, high = states[max(best - 1, 0)], states[min(best + 1, len(states) - 1)]
        found = states[best].excess
        left, right = low.constant, high.constant

        def excess(at: float) -> float:
            nonlocal found
            self._discrete.values[:] = low.values
            value = self._log_content(tag, name, given) if self._rise(name, at) else -np.inf
            found = max(found, value)
            return value

        near, far = (left + share * (right - left) for share in (1.0 - GOLDEN, GOLDEN))
        at_near, at_far = excess(near), excess(far)
        for _ in range(SECTIONS - 1):
            # of the two points within, one is within the part that is left too
            if at_near > at_far:
                right, far, at_far = far, near, at_near
                near = right - GOLDEN * (right - left)
                at_near = excess(near)
            else:
                left, near, at_near = near, far, at_far
                far = left + GOLDEN * (right - left)
                at_far = excess(far)
        return found


@dataclass(frozen=True)
class _State:
    """The unknown with a constant of a held species, and the logarithm of its content over what is given."""

    constant: float
    excess: float
    values: np.ndarray
