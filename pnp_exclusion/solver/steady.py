"""The steady solver: first guess, Newton under several limits, and a ramp of the driving forces if these fail."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import follow_potentials
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.physics.boundaries import Exchange, PrescribedFlux
from pnp_exclusion.physics.laws import LEAST_MOBILITY
from pnp_exclusion.runtime.memory import available_per_rank, estimate
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solver.amounts import amount_ratios, linked_lacks
from pnp_exclusion.solver.constant_potentials import Shortfall
from pnp_exclusion.solver.guess import FirstGuess, Start
from pnp_exclusion.solver.linear.fields import size_of
from pnp_exclusion.solver.linear.presets import PACKAGE, OptionsDatabase, preset, resolved, with_pivots
from pnp_exclusion.solver.newton import Limiter, NewtonReport, NewtonSolver
from pnp_exclusion.solver.relaxation import relaxing
from pnp_exclusion.solver.watch import Watch

FIRST_RAMP_STEP = 3.0
"""kT/e: what the first ramp step drives."""
SMALLEST_RAMP_STEP = 1e-4
"""Of the load parameter: below it the ramp gives up."""
FIRST_FLUX_STEP, SMALLEST_FLUX_STEP = 0.3, 1e-9
"""Of given fluxes: through a layer without particles hardly anything passes."""
QUICK_STEPS = 6
"""A ramp step of so many Jacobians or fewer lets the next one be twice as large."""
CONSERVED_STORAGE_RATE = 1e-4
"""D/L^2: one implicit Euler step of this rate, repeated, ties closed species to their amounts."""
SLOWER, LEAST_STORAGE_RATE = 0.1, 1e-9
"""From round to round: layers without vacancies take long to let particles through."""
STORAGE_RATE_AT_REST = 1e-2
"""The same where nothing flows: the first guess has the amounts already, and depleted species need not be resolved."""
CONSERVED_ROUNDS = 12
AMOUNTS_KEPT, LOSS_PROGRESS = 1e-13, 0.5
"""Relative: amounts that are off by more, because a linear solver has lost digits, ask for one more round, as long as
that leaves less than this share of it."""
LONG_DEBYE_LENGTH = 0.3
"""Of the domain: with a lambda like this nothing is steep."""
FAR = 0.5
"""kT: held values that change by more than this ask for Poisson's equation to be solved before Newton starts."""


@dataclass(frozen=True)
class SolverSettings:
    """How to solve; as in ``[solver]`` of a case file."""

    tolerance: float = 1e-7
    max_newton_steps: int = 40
    always_ramp: bool = False
    linear: str = "auto"
    petsc: dict[str, str | float | int | bool] = field(default_factory=dict)
    repeated: bool = False
    """Whether many solves are to come, for which it pays to prepare more."""
    watch: Watch | None = None
    """What is told how far the solve is."""


_Known = list[tuple[float, np.ndarray]]
"""The last two solutions along a path, by where they are."""


@dataclass(frozen=True)
class _Path:
    """Problems from an easy one, at 0, to the one to be solved, at 1.

    Driving forces are 0 at the beginning of their path, which has nothing to solve; others are solved there too.
    """

    name: str
    apply: Callable[[float], None]
    first_step: float
    smallest_step: float
    is_load_parameter: bool = False
    is_of_fluxes: bool = False


@dataclass
class SteadyReport:
    """What it took."""

    newton_iterations: int = 0
    linear_iterations: int = 0
    ramp_steps: int = 0
    tried: list[str] = field(default_factory=list)
    """One phrase for every attempt that failed."""
    linear: str = ""
    """The preset of the linear solver in force at the end."""
    load_parameter: float = 1.0
    """Share of the driving forces at which the unknown is a solution; below 1 only after a failure."""
    failed_load_parameter: float = math.inf
    """After a failure, the share next to it at which the ramp has found no solution."""
    carried: float = 0.0
    """After a failure, the largest share of all given fluxes, everything else being as it is given, with which a
    steady state was found, and the next one with which none was; the second is infinite if there was no such search."""
    not_carried: float = math.inf
    shortfall: Shortfall | None = None
    """After a failure, a content that the case cannot have."""

    def add(self, earlier: SteadyReport) -> None:
        """Count what an earlier solve took, from which this one started."""
        self.newton_iterations += earlier.newton_iterations
        self.linear_iterations += earlier.linear_iterations
        self.ramp_steps += earlier.ramp_steps
        self.tried = [*earlier.tried, *self.tried]


class SteadySolver:
    """Solves a weak form for its steady state and leaves it in the unknown; a context that frees PETSc's objects."""

    def __init__(
        self,
        discrete: Discretisation,
        database: OptionsDatabase,
        settings: SolverSettings | None = None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        settings = settings or SolverSettings()
        self._size = size_of(discrete)
        self.discrete = discrete
        self.settings = settings
        self._database = database
        self._first_choice = resolved(settings.linear, self._size)
        if settings.linear == "auto" and database.speaks_of((PACKAGE, "mat_mumps"), settings.petsc):
            self._first_choice = with_pivots(settings.linear, self._size)
        self._take_preset(self._first_choice)
        self.progress = progress
        level = settings.watch.level(self._size.unknowns, settings.tolerance) if settings.watch else None
        self.newton = NewtonSolver(
            discrete, database, settings.tolerance, settings.max_newton_steps, progress, settings.repeated, level
        )
        self.report = SteadyReport(linear=self._linear)

    @cached_property
    def guess(self) -> FirstGuess:
        """The first guess, built when it is needed: a start from a state nearby does without."""
        return FirstGuess(self.discrete)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self.discrete.problem.domain.comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects; the weak form and its unknown stay usable."""
        self.newton.close()
        if "guess" in self.__dict__:
            self.guess.close()

    def solve(self, near: bool = False) -> SteadyReport:
        """Find the steady state; raise `ConvergenceError` that says what was tried if there is none to be found.

        near
            The unknown holds a state of a similar problem, from which to start.

        After a failure the unknown holds the last good state of the ramp, at
        ``report.load_parameter``, which is 0 if there is none.
        """
        try:
            return self._solve(near)
        finally:
            self.discrete.parameters.storage_rate.value = 0.0

    def _solve(self, near: bool) -> SteadyReport:
        self.discrete.unknown_changes()
        if self._linear != self._first_choice:
            # an earlier solve fell back, which must not show in this one
            self._take_preset(self._first_choice)
            self.newton.forget()
        self.report = SteadyReport(linear=self._linear)
        if "guess" in self.__dict__:
            self.guess.constants.begin()
        if near and self._continue():
            return self.report
        if self.settings.always_ramp or not self._solve_directly():
            if self.guess.constants.shortfall is None:
                self._follow_paths()
            else:
                self._give_up([])
        return self.report

    def forget(self) -> None:
        """Drop factorisations, so that the next solve leaves no trace of the former ones, not even in rounding."""
        self.newton.forget()
        if "guess" in self.__dict__:
            self.guess.forget()

    def _continue(self) -> bool:
        discrete, unknown = self.discrete, self.discrete.values
        before = unknown.copy()
        follow_potentials(discrete)
        discrete.impose_dirichlet_values()
        if discrete.problem.coupled and self.newton.largest(unknown - before) > FAR:
            self.guess.solve_poisson()
        return self._attempt("damp", "from a state nearby")

    def _solve_directly(self) -> bool:
        starts = self._starts()
        attempts: list[tuple[Limiter, Start]] = [("damp", start) for start in starts]
        attempts += [("line search", "potentials")] if not self.discrete.problem.coupled else []
        attempts += [("clip", starts[0])]
        for limiter, start in attempts:
            self.discrete.set_load_parameter(1.0)
            self.guess.fill(start)
            if self.guess.constants.shortfall is not None:
                return False
            if self._attempt(limiter, f"from harmonic {start}, {_IN_WORDS[limiter]}"):
                return True
        return False

    def _starts(self) -> list[Start]:
        """Return the first guesses, the nearest to a solution first.

        With Poisson straight densities are the nearer ones as a rule, but not across fixed charge, where densities
        jump; to compare would cost one more potential.
        """
        if not self.guess.passing:
            return ["potentials"]
        if self.discrete.problem.coupled:
            return ["potentials", "densities"] if self.guess.has_fixed_charge else ["densities", "potentials"]
        imbalances = {}
        starts: list[Start] = ["densities", "potentials"]
        for start in starts:
            self.discrete.set_load_parameter(1.0)
            self.guess.fill(start)
            imbalances[start] = np.log(self.newton.imbalances() + np.finfo(float).tiny).mean()
        return sorted(starts, key=lambda start: imbalances[start])

    def _attempt(self, limiter: Limiter, description: str) -> bool:
        result = self._solve_at_load(limiter)
        if not result.converged:
            self.report.tried.append(f"{description}: {result.reason}")
            self.progress(f"  {self.report.tried[-1]}")
        return result.converged

    def _solve_at_load(self, limiter: Limiter) -> NewtonReport:
        """Newton at the load parameter in force; repeated until storage terms have no effect left."""
        discrete = self.discrete
        start = discrete.values.copy()
        closed = bool(discrete.problem.combinations)
        slower, lost_before = 1.0, np.inf
        for rounds_left in reversed(range(CONSERVED_ROUNDS if closed else 1)):
            before = discrete.values.copy()
            self._store_amounts(slower)
            result = self._newton_with_fallback(limiter)
            self.report.newton_iterations += result.iterations
            self.report.linear_iterations += result.linear_iterations
            if not result.converged:
                discrete.values[:] = start
                return result
            has_settled = not closed or self._change(before) < self.settings.tolerance
            lost = self._lost_of_amounts() if has_settled else np.inf
            # where rounding in what flows leaves more, another round leaves as much
            if has_settled and (rounds_left == 0 or lost < AMOUNTS_KEPT or lost > LOSS_PROGRESS * lost_before):
                return result
            lost_before = lost
            # the first round has moved the guess
            slower *= 1.0 if has_settled or rounds_left == CONSERVED_ROUNDS - 1 else SLOWER
        discrete.values[:] = start
        return NewtonReport(False, 0, 0, f"the closed species have not settled after {CONSERVED_ROUNDS} rounds")

    def _newton_with_fallback(self, limiter: Limiter) -> NewtonReport:
        """Newton; again with the direct solver, from now on, if the iterative one fails and the memory suffices."""
        result = self.newton.solve(limiter)
        if not result.linear_failure or self._linear == "direct" or not self._direct_is_possible():
            return result
        self.report.tried.append(f"preset {self._linear}: {result.reason}; from there on direct")
        self.progress(f"  {self.report.tried[-1]}")
        self._take_preset("direct")
        self.newton.forget()
        self.report.linear = self._linear
        self.report.newton_iterations += result.iterations
        self.report.linear_iterations += result.linear_iterations
        return self.newton.solve(limiter)

    def _take_preset(self, name: str) -> None:
        self._linear = name
        options = preset(name, self._size, self.discrete.layout.names)
        self._database.merge(options, self.settings.petsc)

    def _direct_is_possible(self) -> bool:
        """Whether the user has left the choice to us and there is the memory for it; collective."""
        if any(self._database.gives(key) for key in ("ksp_type", "pc_type", PACKAGE)):
            return False
        size, components, comm = self._size, self.discrete.layout.size, self.discrete.problem.domain.comm
        needed = estimate(size.unknowns / components, size.dimension, size.degree, components, "direct")
        share = needed / comm.size
        return share <= available_per_rank(comm, share)

    def _store_amounts(self, slower: float) -> None:
        """Make the present densities, scaled to the right amounts, the reference of the storage term."""
        discrete = self.discrete
        if not discrete.problem.combinations:
            return
        usual = STORAGE_RATE_AT_REST if self._is_at_rest() else CONSERVED_STORAGE_RATE
        rate = max(slower * usual, LEAST_STORAGE_RATE)
        discrete.parameters.storage_rate.value = rate
        discrete.reference.x.array[:] = discrete.values
        for name, ratio in amount_ratios(discrete).items():
            discrete.parameters.reference_share[name].value = 1.0 / ratio
        for shift, lack in zip(discrete.parameters.reference_shift, linked_lacks(discrete), strict=True):
            shift.value = lack

    def _lost_of_amounts(self) -> float:
        """Return the largest share by which the amount of a closed species is off; collective."""
        return max((abs(ratio - 1.0) for ratio in amount_ratios(self.discrete).values()), default=0.0)

    def _is_at_rest(self) -> bool:
        """Whether no boundary lets anything flow, and no field or temperature drives it; what fields drive round along
        periodic axes has no end at which it could pile up.
        """
        problem = self.discrete.problem
        currents = any(b.given_total is not None and b.given_total.quantity == "current" for b in problem.boundaries)
        fluxes = any(isinstance(boundary, PrescribedFlux | Exchange) for boundary in problem.boundaries)
        fields = bool(problem.fields) and not problem.domain.periodic
        driven = currents or fluxes or fields or problem.law.thermal or problem.reactions
        return not (driven or self.guess.passing)

    def _change(self, before: np.ndarray) -> float:
        now = self.discrete.values
        return self.newton.largest(now - before) / (1.0 + self.newton.largest(now))

    # ---- continuation ----

    def _follow_paths(self) -> None:
        """Follow solutions along one path after the other until one leads to the problem itself; else give up.

        After a failure the unknown holds the last good state of the first path.
        """
        drive_reached: _Known = []
        for path in self._paths():
            known = self._follow(path)
            if known and known[-1][0] == 1.0:
                return
            if path.is_load_parameter:
                drive_reached = known
            if path.is_of_fluxes:
                self.report.carried = known[-1][0] if known else 0.0
        if not self._relax():
            self.discrete.set_load_parameter(1.0)
            self.guess.fill("potentials")
            self._give_up(drive_reached)

    def _relax(self) -> bool:
        """Go towards the steady state in time, from one first guess after the other."""
        problem = self.discrete.problem
        if problem.domain.dimension > 1 or problem.reactions or any(b.given_total for b in problem.boundaries):
            # many steps, each of them dear above one dimension; what reacts, or is found as a scalar, has other storage
            return False
        self.discrete.set_load_parameter(1.0)
        for start in self._starts():
            steps = relaxing(self.discrete, self._database, self.settings.max_newton_steps, start, self.progress)
            with contextlib.closing(steps):
                for step, may_be_near in steps:
                    self.report.newton_iterations += step.iterations
                    self.report.linear_iterations += step.linear_iterations
                    self.report.ramp_steps += step.converged
                    if may_be_near and self._attempt("damp", "from where time has led"):
                        return True
            self.report.tried.append(f"in time, from harmonic {start}: no steady state")
        return False

    def _paths(self) -> Iterator[_Path]:
        """Yield the ways from an easy problem, at 0, to the problem itself, at 1."""
        discrete, problem = self.discrete, self.discrete.problem
        yield _Path(
            "the driving forces",
            discrete.set_load_parameter,
            self._first_load_parameter(),
            SMALLEST_RAMP_STEP,
            is_load_parameter=True,
        )
        if any(isinstance(boundary, PrescribedFlux) for boundary in problem.boundaries):

            def carry(share: float) -> None:
                now = discrete.problem
                boundaries = [
                    replace(one, fluxes={name: share * flux for name, flux in given.fluxes.items()})
                    if isinstance(one, PrescribedFlux) and isinstance(given, PrescribedFlux)
                    else one
                    for one, given in zip(now.boundaries, problem.boundaries, strict=True)
                ]
                discrete.take(replace(now, boundaries=boundaries))

            # without them everything else is near equilibrium; and they may have a limit
            yield _Path("the given fluxes", carry, FIRST_FLUX_STEP, SMALLEST_FLUX_STEP, is_of_fluxes=True)
        if problem.law.crowded:

            def lower_mobility(share: float) -> None:
                discrete.parameters.least_mobility.value = LEAST_MOBILITY**share

            # layers through which particles hardly get move and sharpen on the way
            yield _Path("the way to the least mobility", lower_mobility, 1 / 14, 1 / 1000)
        own = problem.debye_length
        if own is not None and own < LONG_DEBYE_LENGTH:
            ratio = own / LONG_DEBYE_LENGTH

            def shorten(share: float) -> None:
                discrete.set_debye_length(LONG_DEBYE_LENGTH * ratio**share if share < 1.0 else own)

            yield _Path("the way to the Debye length", shorten, 1 / 4, 1 / 100)

    def _follow(self, path: _Path) -> _Known:
        """Return the last two solutions along a path; it led to the end if the last is at 1."""
        report = self.report
        at, step = 0.0, path.first_step
        known: _Known = []
        self.discrete.set_load_parameter(1.0)
        try:
            while at < 1.0:
                target = min(1.0, at + step) if known or path.is_load_parameter else 0.0
                path.apply(target)
                self._predict(target, known)
                result = self._solve_at_load("damp")
                if not result.converged:
                    if path.is_load_parameter:
                        report.failed_load_parameter = target
                    if path.is_of_fluxes and known:
                        report.not_carried = target
                    report.tried.append(f"ramp to {target:.4g} of {path.name}: {result.reason}")
                    self.progress(f"  {report.tried[-1]}")
                    step /= 3.0
                    if step < path.smallest_step or target == 0.0:
                        break
                    continue
                report.ramp_steps += 1
                self.progress(f"  ramp: {target:.4g} of {path.name} in {result.iterations} Newton steps")
                at = target
                known = [*known[-1:], (at, self.discrete.values.copy())]
                if result.jacobians <= QUICK_STEPS and target > 0.0:
                    step *= 2.0
        finally:
            if not path.is_load_parameter:
                path.apply(1.0)
        return known

    def _first_load_parameter(self) -> float:
        problem = self.discrete.problem
        low, high = problem.domain.bounding_box()
        extent = float((high - low).max())
        imposed = max((field.largest for field in problem.fields.values()), default=0.0) * extent
        given = max(
            (abs(b.applied_potential) for b in problem.boundaries if b.applied_potential is not None), default=0.0
        )
        return min(0.3, FIRST_RAMP_STEP / max(given, imposed, FIRST_RAMP_STEP))

    def _predict(self, target: float, known: _Known) -> None:
        """Continue the two last solutions along their secant and re-solve Poisson: never the one without the other."""
        if not known:
            self.guess.fill("potentials")
            return
        unknown = self.discrete.values
        at, solution = known[-1]
        unknown[:] = solution
        if len(known) == 2:
            earlier, previous = known[0]
            unknown[:] += (solution - previous) * (target - at) / (at - earlier)
        follow_potentials(self.discrete)
        self.discrete.impose_dirichlet_values()
        if self.discrete.problem.coupled:
            self.guess.solve_poisson()

    def _give_up(self, known: _Known) -> None:
        """Say what was tried, from a first guess at all driving forces."""
        self.report.shortfall = self.guess.constants.shortfall
        self.report.load_parameter = 0.0
        if known:
            self.report.load_parameter, state = known[-1]
            self.discrete.values[:] = state
            self.discrete.set_load_parameter(self.report.load_parameter)
            follow_potentials(self.discrete)
            found = f"the last good state is at {self.report.load_parameter:.4g} of the driving forces"
        else:
            found = "not even at a small part of the driving forces"
        attempts = "\n".join(f"  - {attempt}" for attempt in self.report.tried)
        raise ConvergenceError(f"no solution found; {found}. Tried:\n{attempts}")


_IN_WORDS: dict[Limiter, str] = {
    "damp": "steps damped logarithmically",
    "clip": "steps clipped to 2 kT",
    "line search": "line search",
}
