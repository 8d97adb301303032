"""The transient solver: from a state on, step by step, with the error of every step under control."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Self

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SolverSettings
from pnp_exclusion.solver.transient.attempt import AFTER_FAILURE, Attempt, Attempts, Moment, Past
from pnp_exclusion.solver.transient.carried import Carried
from pnp_exclusion.solver.transient.consistent import ConsistentPotential
from pnp_exclusion.solver.transient.drive import Drive
from pnp_exclusion.solver.transient.equations import Equations
from pnp_exclusion.solver.transient.error_norm import ErrorNorm
from pnp_exclusion.solver.transient.schemes import RADAU, Scheme, lagrange, scheme_named
from pnp_exclusion.solver.transient.stages import Effort, Linearised, Solved, StageSolver
from pnp_exclusion.solver.transient.step import LOCATED, Events, Step

SAFETY, MOST_SHRINKING, MOST_GROWTH = 0.9, 0.2, 4.0
"""Of the next step's length, against the last one's."""
SMALLEST_STEP = 1e-13
"""Of the time to go, or of the first step if that is less: below it the solver gives up."""
FIRST_STEP = 1e-6
"""L^2/D, where nothing says more."""
OF_DEBYE_TIME = 0.01
"""The first step in ``lambda^2``."""
TRIES = 8
"""Where something happens in a step is found after so many steps to there, at the latest."""


@dataclass(frozen=True)
class TimeSettings:
    """How to step.

    tolerance
        Of the error of a step: of densities, relative to what they are and are on the whole, of potentials relative to
        the largest, and of the charges on boundaries relative to the largest.
    first_step, largest_step
        ``L^2/D``; the first is chosen if None.
    fixed_step
        Every step is of this length, whatever its error.
    scheme
        With which to begin; what fails is tried with the next more robust ones.
    """

    tolerance: float = 1e-3
    first_step: float | None = None
    largest_step: float = math.inf
    fixed_step: float | None = None
    scheme: Scheme = RADAU


@dataclass
class TransientReport:
    """What it took."""

    steps: int = 0
    rejected: int = 0
    failed: int = 0
    effort: Effort = field(default_factory=Effort)


class NoStepError(ConvergenceError):
    """No step could be taken, however short.

    time, tried
        Where the motion stands, and the length of the shortest step that was tried; dimensionless.
    """

    def __init__(self, time: float, tried: float) -> None:
        self.time, self.tried = time, tried
        super().__init__(self.in_unit(1.0, ""))

    def in_unit(self, unit: float, name: str) -> str:
        """Return the sentence with times in a unit, which is so much of the dimensionless one."""
        named = f" {name}" if name else ""
        time, tried = f"{self.time * unit:.6g}{named}", f"{self.tried * unit:.1e}{named}"
        return f"no step could be taken at the time {time}, not even one of {tried}"

    def __reduce__(self) -> tuple[type[NoStepError], tuple[float, float]]:
        """Let it travel between processes, which rebuild exceptions from their arguments."""
        return NoStepError, (self.time, self.tried)


class TransientSolver:
    """Steps from the state in the unknown of a discretisation; a context that frees PETSc's objects.

    ``database`` must be entered as long as it lives. After every step the unknown holds the state at its end.
    """

    def __init__(
        self,
        discrete: Discretisation,
        drive: Drive,
        database: OptionsDatabase,
        settings: SolverSettings | None = None,
        time_settings: TimeSettings | None = None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.discrete = discrete
        self.drive = drive
        self.settings = time_settings or TimeSettings()
        self.report = TransientReport()
        self.equations = Equations(discrete)
        self.stages = StageSolver(self.equations, database, settings or SolverSettings(), self._numbers_at)
        self.report.effort = self.stages.effort
        self._consistent = ConsistentPotential(discrete)
        self._norm = ErrorNorm(self.equations, self.settings.tolerance)
        self._attempts = Attempts(
            self.equations,
            self.stages,
            self._norm,
            self._numbers_at,
            self.settings.scheme,
            fixed=self.settings.fixed_step is not None,
        )
        self._progress = progress
        self._before_jump_at = -math.inf
        self.potentials = np.zeros(0)
        """Of the boundaries of `Problem.floating` now; before the first step where to look for them."""
        self.charges: np.ndarray | None = None
        """On them now; before the first step None for those of the state in the unknown."""
        self._jumped = np.zeros(0)
        self._carry_on: Callable[[], Carried] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self.discrete.problem.domain.comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects."""
        self._carry_on = None
        self._attempts.close()
        self.stages.close()
        self._consistent.close()
        self.equations.close()

    # ---- numbers ----

    def _numbers_at(self, time: float, potentials: np.ndarray | None = None) -> None:
        """Give the discretisation the numbers of a time; before a jump at the end of the step that leads to it.

        potentials
            Those that are found, unless there are none.
        """
        found = [] if potentials is None else potentials.tolist()
        if self.drive.moves:
            before = time >= self._before_jump_at
            problem = self.drive.problem_at(self._before_jump_at if before else time, before=before)
            self.discrete.take(problem.at_potentials(found) if found else problem)
        elif found:
            self.discrete.set_potentials(found)

    def make_consistent(self, time: float) -> None:
        """Take the numbers of a time, after a jump if there is one, and the potential that belongs to the densities."""
        self._before_jump_at = math.inf
        values = self.discrete.values.copy()
        self._numbers_at(time)
        # taking numbers writes held potentials, which would change the densities there
        self.equations.show(values)
        self.discrete.unknown_changes()
        self._restore(values)
        # its storage term counts from there, at the rate 0: any state will do that is one
        self.discrete.reference.x.array[:] = self.discrete.values

    def _restore(self, values: np.ndarray) -> None:
        """Make the potential that of the densities, and the potentials that are found those at which boundaries have
        the charge that is given, or kept theirs if that is a current."""
        terminals = self.stages.terminals
        if not terminals.tags:
            self._consistent.restore()
            return

        def charges_at(potentials: np.ndarray) -> np.ndarray:
            self.discrete.set_potentials(potentials.tolist())
            self.equations.show(values)
            self._consistent.restore()
            return terminals.charges()

        assert self.charges is not None
        unknown, totals = terminals.unknown, terminals.totals
        wanted = np.array([t.total if t.quantity == "charge" else q for t, q in zip(totals, self.charges, strict=True)])
        potentials = terminals.known_potentials(self.potentials)
        now = charges_at(potentials)
        if unknown:
            # of frozen densities charges are linear in potentials
            raised = potentials + np.eye(len(totals))[unknown]
            slopes = np.array([charges_at(row) - now for row in raised]).T[unknown]
            potentials[unknown] += np.linalg.solve(slopes, (wanted - now)[unknown])
            now = charges_at(potentials)
        self._jumped = self.charges - now
        self.potentials, self.charges = potentials, now

    def answers_to_potentials(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what `ConsistentPotential.answers` does, of the numbers at the time 0. Collective."""
        return self._consistent.answers(self.drive.problem_at(0.0))

    # ---- steps ----

    def run(
        self,
        begin: float,
        end: float,
        stops: Sequence[float] = (),
        carried: Carried | None = None,
        events: Events | None = None,
    ) -> Iterator[Step]:
        """Step from the state in the unknown, made consistent first, to a time; yield every accepted step.

        stops
            Times to land on, beside those at which the drive is not smooth.
        carried
            What another run from ``begin`` on carried at the end of a step, from which this one goes on.
        events
            What happens on the way, with which a step ends.

        Raises `ConvergenceError` if a step has no solution however short it is.
        """
        discrete = self.discrete

        def landings_from(time: float) -> tuple[set[float], list[float]]:
            kinks = set(self.drive.kinks(time, end))
            return kinks, sorted({*kinks, *(t for t in stops if time < t < end), end})

        kinks, landings = landings_from(begin)
        if carried is None:
            here, length = self._begin(begin, end)
            least = SMALLEST_STEP * min(end - begin, length)
        else:
            here, length, least = self._take_up(carried), carried.length, carried.least
        is_first, has_arrived = carried is None, carried is not None
        located, tries, rejected_at = 0.0, 0, math.nan
        while here.time < end:
            time = here.time
            changes = has_arrived and events is not None and events.changes_at(time)
            if has_arrived and (time in kinks or changes):
                jumps = changes or self.drive.jumps_at(time)
                if changes:
                    kinks, landings = landings_from(time)
                here, is_first = self._after_kink(here), True
                if jumps and self.settings.fixed_step is None:
                    length = min(length, self._first_step(end - begin))
            has_arrived = False
            target = next(t for t in landings if t > time)
            tried = located or self._length(time, length, target)
            lands = time + tried >= target
            self._before_jump_at = target if lands and self.drive.jumps_at(target) else math.inf
            located, found = 0.0, self._attempts.at_step(here, tried)
            # an error that is not a number is none that could be accepted
            if found is None or (not found.error <= 1.0 and self.settings.fixed_step is None):
                # what was rejected twice does not have the order of the scheme yet: a front that has just begun
                order = None if rejected_at != time else 1
                length = tried * (AFTER_FAILURE if found is None else self._factor(found.error, 1.0, order))
                rejected_at = time
                self.report.failed += found is None
                self.report.rejected += found is not None
                if length < least or self.settings.fixed_step is not None:
                    discrete.values[:] = here.values
                    raise NoStepError(time, tried)
                continue
            step = self._step(here, found, tried, target if lands else time + tried, is_first)
            share = math.inf if events is None else events.share(step)
            if abs(share - 1.0) > LOCATED and time + share * tried <= target and tries < TRIES:
                # shorter, or a little longer: to where something happens, and no further
                located, tries = max(share * tried, least), tries + 1
                continue
            is_first, tries = False, 0
            here = self._accept(found, step)
            longer = tried * self._factor(found.error, MOST_GROWTH)
            length = max(longer, length) if tried < length and found.error <= 1.0 else longer
            if self.settings.fixed_step is not None:
                length = self.settings.fixed_step
            step.show(len(found.scheme.points) - 1)
            self._carry_on = partial(self._carried, here, length, least)
            yield step
            discrete.unknown_changes()
            has_arrived = True

    def _begin(self, time: float, end: float) -> tuple[Moment, float]:
        """Make the state in the unknown that at the beginning; return it, and how long the first step is."""
        discrete, equations = self.discrete, self.equations
        discrete.mark_steep_cells()
        floating = [discrete.problem.boundaries[tag] for tag in discrete.problem.floating]
        self.potentials = np.array([boundary.applied_potential or 0.0 for boundary in floating])
        if self.charges is None:
            self.charges = self.stages.terminals.charges() if floating else np.zeros(0)
        before = equations.stored()
        self._norm.begin(before)
        return self._consistent_from(time, before), self.settings.fixed_step or self._first_step(end - time)

    def _after_kink(self, here: Moment) -> Moment:
        self.equations.show(here.values)
        self.stages.forget()
        return self._consistent_from(here.time, here.stored)

    def _consistent_from(self, time: float, stored: np.ndarray) -> Moment:
        """Return the moment of the state in the unknown, made consistent; nothing is predicted from what was before."""
        self.make_consistent(time)
        self._attempts.past = None
        # what is stored changes where densities are held only
        stored = np.where(self._is_held(), self.equations.stored(), stored)
        return self._moment(time, self.discrete.values.copy(), stored, self.equations.flowing())

    def _moment(self, time: float, values: np.ndarray, stored: np.ndarray, flowing: np.ndarray) -> Moment:
        assert self.charges is not None
        return Moment(time, values, stored, flowing, self.potentials, self.charges)

    def _step(self, here: Moment, found: Attempt, length: float, arrived: float, is_first: bool) -> Step:
        scheme, solved = found.scheme, found.solved
        return Step(
            arrived,
            length,
            scheme,
            solved,
            here.stored,
            self._carry(scheme, length, solved, here.stored),
            found.error,
            self._relative_change(here.values, solved.states[-1]),
            is_first,
            np.vstack([here.potentials, solved.potentials]),
            self._passed(scheme, length, solved, here),
            self._jumped,
            *self._shows(here, length, solved, scheme),
        )

    def _accept(self, found: Attempt, step: Step) -> Moment:
        """Return the moment at the end of a step, from which the next one is predicted."""
        solved = found.solved
        self._attempts.accept(found, step.length)
        self.potentials, self._jumped = solved.potentials[-1].copy(), np.zeros_like(self._jumped)
        if solved.terminals is not None:
            self.charges = solved.terminals.charges[-1].copy()
        self.report.steps += 1
        return self._moment(step.time, solved.states[-1].copy(), step.end, solved.flowing[-1])

    # ---- what goes on ----

    def carried(self) -> Carried:
        """Return what is carried on from the step that was yielded last."""
        if self._carry_on is None:
            raise ValueError("there was no step yet")
        return self._carry_on()

    def _carried(self, here: Moment, length: float, least: float) -> Carried:
        report, past, kept = self.report, self._attempts.past, self.stages.kept
        taken, preconditioned = kept or (None, 0.0)
        return Carried(
            time=here.time,
            length=length,
            least=least,
            scheme=self._attempts.scheme.name,
            largest_potential=self._norm.largest_potential,
            largest_charge=self._norm.largest_charge,
            mean_at_first=self._norm.mean_at_first.tolist(),
            steps=report.steps,
            rejected=report.rejected,
            failed=report.failed,
            effort=asdict(report.effort),
            values=here.values,
            stored=here.stored,
            flowing=here.flowing,
            past_scheme=None if past is None else past.scheme.name,
            past_length=0.0 if past is None else past.length,
            past_states=None if past is None else past.states,
            jacobian_scheme=None if taken is None else taken.scheme.name,
            jacobian_time=0.0 if taken is None else taken.time,
            jacobian_length=0.0 if taken is None else taken.length,
            preconditioned_length=preconditioned,
            jacobian_points=None if taken is None else taken.points,
            jacobian_is_steep=None if taken is None else taken.is_steep,
            is_steep=self.discrete.integration.is_steep,
            potentials=here.potentials.tolist(),
            charges=here.charges.tolist(),
            past_potentials=[] if past is None else past.potentials.tolist(),
            jacobian_potentials=[] if taken is None else taken.potentials.tolist(),
        )

    def _take_up(self, carried: Carried) -> Moment:
        """Become what the solver was that carried this; return where it was."""
        discrete, report = self.discrete, self.report
        time = carried.time
        self._before_jump_at = time if self.drive.jumps_at(time) else math.inf
        attempts, norm = self._attempts, self._norm
        attempts.scheme = scheme_named(carried.scheme)
        norm.largest_potential, norm.largest_charge = carried.largest_potential, carried.largest_charge
        norm.mean_at_first = np.array(carried.mean_at_first)
        attempts.past = None
        if carried.past_scheme is not None and carried.past_states is not None:
            potentials = np.array(carried.past_potentials)
            attempts.past = Past(
                scheme_named(carried.past_scheme), carried.past_states, potentials, carried.past_length
            )
        discrete.reference.x.array[:] = carried.values
        self.potentials, self.charges = np.array(carried.potentials), np.array(carried.charges)
        self._jumped = np.zeros_like(self.potentials)
        if carried.jacobian_scheme is not None and carried.jacobian_points is not None:
            assert carried.jacobian_is_steep is not None
            where = Linearised(
                scheme_named(carried.jacobian_scheme),
                carried.jacobian_time,
                carried.jacobian_length,
                carried.jacobian_points,
                np.array(carried.jacobian_potentials),
                carried.jacobian_is_steep,
            )
            self.stages.recall(where, carried.preconditioned_length)
        discrete.integration.mark(carried.is_steep)
        self._numbers_at(time, self.potentials)
        self.equations.show(carried.values)
        discrete.unknown_changes()
        report.steps, report.rejected, report.failed = carried.steps, carried.rejected, carried.failed
        for name, count in carried.effort.items():
            setattr(report.effort, name, count)
        owned = slice(self.equations.owned)
        return self._moment(time, carried.values, carried.stored[owned], carried.flowing[owned])

    def _length(self, time: float, length: float, target: float) -> float:
        """Return how long a step to take: to the target, or half of the way there rather than to leave a crumb."""
        length = min(length, self.settings.largest_step)
        left = target - time
        if left <= length * (1.0 + 1e-9):
            return left
        if self.settings.fixed_step is None and left < 2.0 * length:
            return 0.5 * left
        return length

    def _first_step(self, whole: float) -> float:
        if self.settings.first_step is not None:
            return min(self.settings.first_step, whole)
        debye = self.discrete.problem.debye_length
        if debye is None:
            return min(FIRST_STEP, 0.01 * whole)
        # the field that a jump leaves moves ions across a cell the sooner the stronger it is
        given = [b.applied_potential for b in self.discrete.problem.boundaries if b.applied_potential is not None]
        apart = max(given) - min(given) if given else 0.0
        return min(OF_DEBYE_TIME * debye**2 / (1.0 + apart) ** 1.5, 0.01 * whole)

    def _carry(self, scheme: Scheme, length: float, solved: Solved, stored: np.ndarray) -> np.ndarray:
        """Return what is stored at the end: what was at the beginning, less what has flowed; what is, where held."""
        flown = stored - length * (scheme.time_weights @ solved.flowing)
        flown[self.equations.is_potential] = 0.0
        return np.where(self._is_held(), solved.stored[-1], flown)

    def _passed(self, scheme: Scheme, length: float, solved: Solved, here: Moment) -> np.ndarray:
        """Return `Step.passed`."""
        if solved.terminals is None:
            return np.zeros((scheme.stages, 0))
        own = (scheme, length, here.stored, solved.stored, solved.terminals, here.charges)
        return self.stages.terminals.passed(*own)

    def _is_held(self) -> np.ndarray:
        held = np.zeros(self.equations.owned, dtype=bool)
        held[self.equations.held] = True
        return held

    def _shows(
        self, here: Moment, length: float, solved: Solved, scheme: Scheme
    ) -> tuple[Callable[[int], None], Callable[[], None], Callable[[float], None]]:
        before = self._before_jump_at
        # with what they were at the beginning: they do not stay while a step of one stage lasts
        nodes, potentials = np.append(0.0, scheme.nodes), np.vstack([here.potentials, solved.potentials])
        at_points = scheme.interpolation @ solved.potentials

        def take_numbers_with(share: float, own: np.ndarray) -> None:
            self._before_jump_at = before
            self._numbers_at(here.time + share * length, own)

        def take_numbers(share: float) -> None:
            take_numbers_with(share, (lagrange(nodes, np.array([share])) @ potentials)[0])

        def show(point: int) -> None:
            take_numbers_with(scheme.points[point], at_points[point])
            self.equations.show(solved.points[point])

        def show_begin() -> None:
            take_numbers(0.0)
            self.equations.show(here.values)

        return show, show_begin, take_numbers

    # ---- errors ----

    def _factor(self, error: float, most: float, order: int | None = None) -> float:
        exponent = 1.0 / (order or self._attempts.scheme.order)
        if math.isnan(error):
            return MOST_SHRINKING
        best = SAFETY * error**-exponent if error > 0.0 else most
        return min(most, max(MOST_SHRINKING, best))

    def _relative_change(self, values: np.ndarray, others: np.ndarray) -> float:
        return self.equations.largest((others - values) / (1.0 + np.abs(others)))
