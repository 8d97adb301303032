"""``[time]`` and ``[initial]``: a case that moves, from what state, for how long, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pnp_exclusion.case.base import Count, Flag, GroupName, Name, Number, Table, refusal
from pnp_exclusion.case.boundary_tables import TOTAL_CHARGE, TOTAL_CURRENT
from pnp_exclusion.case.field_tables import GivenField
from pnp_exclusion.case.quantities import (
    TOTAL_AMOUNT,
    TOTAL_FLUX,
    ClockTime,
    Concentration,
    ConstantPotential,
    Potential,
    Quantity,
)
from pnp_exclusion.case.quantities import Time as Duration

MOST_STEPS = 1_000_000_000
"""Of a motion: more end at no time that anybody waits for, and the shortest do not move its clock."""


FINEST = 1e-12
"""Of a motion: two times that are no further apart are one."""
LEAST_TOLERANCE = 1e-10
"""Of the error of a step, which rounding and Newton's method leave."""


class Records(Table):
    """``fields`` of ``[time]``: when fields are kept."""

    count: Count | None = None
    """So many times, evenly from the beginning to the end, or with ``first`` at equal ratios from that time on."""
    first: Duration | None = None
    times: list[Duration] = Field(default_factory=list)
    """These times."""
    steps: Count | None = None
    """The ends of all steps whose number is a multiple of it."""

    @model_validator(mode="after")
    def _given_once(self) -> Records:
        if (self.count is not None) + bool(self.times) + (self.steps is not None) != 1:
            raise refusal("give either count, or times, or steps")
        if self.first is not None and (self.count is None or self.first.value <= 0.0):
            raise refusal("first goes with count, and must be positive")
        return self

    def moments(self, end: float) -> list[float]:
        """Return the times up to an end; none for steps, which have their own."""
        if self.steps is not None:
            return []
        if self.times:
            return sorted(time.value for time in self.times if 0.0 < time.value <= end)
        count = self.count or 1
        if self.first is None:
            return [end * k / count for k in range(1, count + 1)]
        first = min(self.first.value, end)
        return [first * (end / first) ** (k / max(count - 1, 1)) for k in range(count)]


class Until(Table):
    """``until`` of a piece of a protocol: what ends it, whichever comes first."""

    potential: ConstantPotential | None = None
    """The terminal reaches this potential, from the side on which it was as the piece began."""
    current: Annotated[Quantity, replace(TOTAL_CURRENT, in_time=False)] | None = None
    """The whole current through the terminal is no more than this, in either direction."""
    charge: Annotated[Quantity, replace(TOTAL_CHARGE, in_time=False)] | None = None
    """So much has passed the terminal since the piece began, in either direction."""
    flux: dict[str, Annotated[Quantity, TOTAL_FLUX]] = Field(default_factory=dict)
    """In imposed fields: what flows of a species through the terminal is no more than this, in either direction."""
    passed: dict[str, Annotated[Quantity, TOTAL_AMOUNT]] = Field(default_factory=dict)
    """In imposed fields: so much of a species has passed the terminal since the piece began, in either direction."""
    steady: Flag = False
    """Nothing moves any more."""

    @property
    def of_terminal(self) -> list[str]:
        """The keys that say something of a terminal with a potential."""
        return [key for key in ("potential", "current", "charge") if getattr(self, key) is not None]

    @property
    def by_species(self) -> dict[str, Quantity]:
        """What is said of species, by the keys of messages."""
        return {f"{key}.{name}": given for key in ("flux", "passed") for name, given in getattr(self, key).items()}

    @model_validator(mode="after")
    def _says_something(self) -> Until:
        for key, given in {"current": self.current, "charge": self.charge, **self.by_species}.items():
            if given is not None and not given.value > 0.0:
                raise refusal(f"{key} must be positive, but it is {given.text}")
        if not (self.steady or self.by_species) and not self.of_terminal:
            raise refusal("give a potential, a current, a charge, or steady = true")
        return self


class Piece(Table):
    """``[[time.protocol]]``: what is given of the terminal for a while; times count from where the piece begins."""

    name: Name | None = None
    """In results; its number if absent."""
    potential: Potential | None = None
    """Of the terminal."""
    total_current: Annotated[Quantity, TOTAL_CURRENT] | None = None
    """Instead: the whole current out of the domain through it, as of a boundary; 0 is an open circuit."""
    fields: dict[str, GivenField] = Field(default_factory=dict)
    """With ``electrostatics = "imposed"``, instead of both: the field of each species; those that are not named keep
    theirs."""
    duration: Duration
    """How long, or with ``until`` how long at most."""
    until: Until | None = None
    """What ends it before."""

    @model_validator(mode="after")
    def _can_end(self) -> Piece:
        if (self.potential is not None) + (self.total_current is not None) + bool(self.fields) != 1:
            raise refusal('give either a potential, or a total_current, or with electrostatics = "imposed" fields')
        if self.fields and self.until is not None and self.until.of_terminal:
            key = self.until.of_terminal[0]
            raise refusal(f"until.{key} needs a potential that is solved for; with fields give flux or passed")
        if not self.fields and self.until is not None and self.until.by_species:
            raise refusal(f"until.{next(iter(self.until.by_species))} goes with fields; give a current or a charge")
        if not self.duration.value > 0.0:
            raise refusal(f"duration must be positive, but it is {self.duration.text}")
        until, current = self.until or Until(steady=True), self.total_current
        if self.potential is not None and until.potential is not None:
            raise refusal("until.potential is for a piece whose current is given; the potential of this one is")
        if current is not None and until.current is not None:
            raise refusal("until.current is for a piece whose potential is given; the current of this one is")
        if current is not None and current.course is None and until.charge is not None:
            most = abs(current.value) * self.duration.value
            # of a dimensionless case, or in SI: A s = C
            if most < until.charge.value:
                raise refusal(
                    f"until.charge = {until.charge.text} cannot be met: {current.text} bring {most:.4g} of it within "
                    f"{self.duration.text}"
                )
        return self


class Checkpoints(Table):
    """``checkpoint`` of ``[time]``: when `run` writes down where it is, so that it can go on from there."""

    every: ClockTime | None = None
    """By the clock, "10 min", whatever the units of the case."""
    time: Duration | None = None
    """By the time of the motion: at the first step at or after each multiple."""
    steps: Count | None = None
    """So many steps after the last one."""

    @model_validator(mode="after")
    def _given(self) -> Checkpoints:
        if self.every is None and self.time is None and self.steps is None:
            raise refusal("give every, time or steps")
        for key in ("every", "time"):
            given: Quantity | None = getattr(self, key)
            if given is not None and not given.value > 0.0:
                raise refusal(f"{key} must be positive, but it is {given.text}")
        return self


class Time(Table):
    """``[time]``: the case moves."""

    end: Duration | None = None
    """Dimensionless: in ``L^2/D``, as all times. Needed without a protocol, which itself has an end."""
    terminal: GroupName | None = None
    """With a protocol: the boundary that it drives, one with a potential, at which it is before."""
    protocol: list[Piece] = Field(default_factory=list)
    """What is given of the terminal, piece by piece."""
    cycles: Count = 1
    """How often the protocol is gone through."""
    first_step: Duration | None = None
    """Chosen by the Debye time if absent."""
    largest_step: Duration | None = None
    tolerance: Annotated[float, Field(gt=0, le=0.1, strict=True)] = 1e-3
    """Of the error of a step: of densities, relative to their size and to what there is on the whole, and of
    potentials."""
    scheme: Literal["radau", "radau5", "galerkin", "euler"] = "radau"
    """With which to begin; "galerkin" and "euler" never let the free energy rise, "euler" is of order 1."""
    stop: Literal["steady"] | None = None
    """Whether to end as soon as nothing moves any more."""
    fields: Records | None = None
    """When fields are kept beside those of the end."""
    checkpoint: Checkpoints | None = None
    """Every 10 min by the clock if absent."""

    @property
    def last(self) -> float:
        """The end, or the latest one that a protocol may have."""
        if self.end is not None:
            return self.end.value
        return self.cycles * sum(piece.duration.value for piece in self.protocol)

    @model_validator(mode="after")
    def _ends(self) -> Time:
        if not self.protocol:
            if self.end is None:
                raise refusal("end is missing, the time at which the motion ends")
            for key in ("terminal", "cycles"):
                # a case with its defaults filled in has them too
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise refusal(f"{key} goes with a protocol; remove it")
            return self
        if self.end is not None:
            raise refusal("a protocol ends with its last piece; remove end")
        if self.terminal is None and any(not piece.fields for piece in self.protocol):
            raise refusal("terminal is missing, the boundary that the protocol drives")
        if self.terminal is None and any(piece.until and piece.until.by_species for piece in self.protocol):
            raise refusal("terminal is missing, the boundary through which species pass")
        if self.stop is not None:
            raise refusal("a protocol ends with its last piece; give that until = { steady = true } instead of stop")
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Time:
        end = "the end" if self.end is None else f"the end, {self.end.text}"
        for key in ("end", "first_step", "largest_step"):
            given: Quantity | None = getattr(self, key)
            if given is not None and not given.value > 0.0:
                raise refusal(f"{key} must be positive, but it is {given.text}")
            if given is not None and key != "end" and given.value > self.last:
                raise refusal(f"{key} = {given.text} is beyond {end}")
        least = self.last / MOST_STEPS
        if self.largest_step is not None and self.largest_step.value < least:
            raise refusal(
                f"largest_step = {self.largest_step.text} takes {self.last / self.largest_step.value:.0e} steps to "
                f"{end}; it must be {least:.1e} or more"
            )
        if self.first_step is not None and self.largest_step is not None:
            first, largest = self.first_step, self.largest_step
            if first.value > largest.value:
                raise refusal(f"first_step = {first.text} is longer than largest_step = {largest.text}")
        finest = FINEST * self.last
        if self.tolerance < LEAST_TOLERANCE:
            raise refusal(f"tolerance = {self.tolerance:g} is below what steps can hold, {LEAST_TOLERANCE:g}")
        if self.fields is not None and self.fields.first is not None and self.fields.first.value > self.last:
            raise refusal(f"fields.first = {self.fields.first.text} is beyond {end}")
        if self.fields is not None and self.fields.first is not None and self.fields.first.value < finest:
            raise refusal(f"fields.first = {self.fields.first.text} is shorter than any step, {finest:.1e}")
        given_times = [0.0] if self.fields is None else sorted([0.0, *(time.value for time in self.fields.times)])
        if any(later - earlier < finest for earlier, later in pairwise(given_times)):
            raise refusal(f"fields.times are closer to each other, or to 0, than any step is long, {finest:.1e}")
        interval = None if self.checkpoint is None else self.checkpoint.time
        if interval is not None and not least <= interval.value <= self.last:
            raise refusal(f"checkpoint.time = {interval.text} must be between {least:.1e} and {end}")
        if self.fields is not None and any(not 0.0 < time.value <= self.last for time in self.fields.times):
            raise refusal(f"fields.times must be after 0 and not beyond {end}")
        return self


class Initial(Table):
    """``[initial]``: from what a motion begins; the potential follows from the densities."""

    state: Literal["uniform", "equilibrium", "result", "table"] = "uniform"
    """"uniform": concentrations are the same everywhere; "equilibrium": the steady state of the data before they move;
    "result": a solution that was saved; "table": concentrations at places."""
    concentration: dict[str, Concentration] = Field(default_factory=dict)
    """SI: per species, with "uniform". Those of a species' mean, or of all boundaries if they agree, if absent."""
    fraction: dict[str, Number] = Field(default_factory=dict)
    """Dimensionless: the same as volume fractions."""
    file: str | None = None
    """Relative to the case file; with "result" what `Solution.save` has written on the same mesh, with "table" a CSV
    file of places and concentrations."""

    @model_validator(mode="after")
    def _fitting(self) -> Initial:
        if self.state != "uniform" and (self.concentration or self.fraction):
            raise refusal(f'concentrations go with state = "uniform", not with "{self.state}"')
        if (self.state in ("result", "table")) != (self.file is not None):
            raise refusal('file goes with state = "result" and state = "table", which need it')
        return self
