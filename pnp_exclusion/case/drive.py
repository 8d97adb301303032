"""A case in the course of time: the problem that it is at a moment."""

from __future__ import annotations

from collections.abc import Sequence

from pnp_exclusion.case.build import Setup, problem_with
from pnp_exclusion.case.courses import Course, CourseError
from pnp_exclusion.case.moving import MOVING, case_at, courses_in
from pnp_exclusion.errors import CaseError
from pnp_exclusion.physics.problem import Problem


class CaseDrive:
    """The numbers of a case in the course of time, for `pnp_exclusion.solver.transient.solver.TransientSolver`.

    Times are dimensionless here.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._courses = {key: list(courses_in(getattr(setup.case, key))) for key in MOVING}
        self._kept: dict[tuple[float, bool], Problem] = {}

    @property
    def moves(self) -> bool:
        """Whether any number changes at all."""
        return any(self._courses.values())

    @property
    def _all(self) -> list[Course]:
        return [course for courses in self._courses.values() for course in courses]

    def problem_at(self, time: float, *, before: bool = False) -> Problem:
        """Return the problem at a time; at one of a jump the one after it, or with ``before`` the one before."""
        if not self.moves:
            return self._setup.problem
        key = (time, before)
        if key not in self._kept:
            # the stages of a step are asked for several times
            if len(self._kept) > 8:
                self._kept.clear()
            try:
                case = case_at(self._setup.case, time * self._setup.scales.time, before=before)
            except CourseError as error:
                raise CaseError(self._setup.case.path, [f"[time]: {error}"]) from None
            others = {key for key, courses in self._courses.items() if courses}
            self._kept[key] = problem_with(self._setup, case, others)
        return self._kept[key]

    def kinks(self, begin: float, end: float) -> Sequence[float]:
        """Return the times between two at which some number is not smooth, in ascending order."""
        unit = self._setup.scales.time
        found = {time / unit for course in self._all for time in course.kinks(end * unit)}
        return sorted(time for time in found if begin < time < end)

    def jumps_at(self, time: float) -> bool:
        """Return whether some number jumps at a time."""
        return any(course.jumps_at(time * self._setup.scales.time) for course in self._all)
