"""``[time]`` and ``[initial]``: a case that moves, from what state, for how long, and what is kept of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pnp_exclusion.case.base import Count, Number, Table, refusal
from pnp_exclusion.case.quantities import ClockTime, Concentration, Quantity
from pnp_exclusion.case.quantities import Time as Duration


class Records(Table):
    """``fields`` of ``[time]``: when fields are kept."""

    count: Count | None = None
    """So many times, evenly from the beginning to the end, or with ``first`` at equal ratios from that time on."""
    first: Duration | None = None
    times: list[Duration] = Field(default_factory=list)
    """These times."""

    @model_validator(mode="after")
    def _given_once(self) -> Records:
        if (self.count is None) == (not self.times):
            raise refusal("give either count, or times")
        if self.first is not None and (self.count is None or self.first.value <= 0.0):
            raise refusal("first goes with count, and must be positive")
        return self

    def moments(self, end: float) -> list[float]:
        """Return the times up to an end."""
        if self.times:
            return sorted(time.value for time in self.times if 0.0 < time.value <= end)
        count = self.count or 1
        if self.first is None:
            return [end * k / count for k in range(1, count + 1)]
        first = min(self.first.value, end)
        return [first * (end / first) ** (k / max(count - 1, 1)) for k in range(count)]


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

    end: Duration
    """Dimensionless: in ``L^2/D``, as all times."""
    first_step: Duration | None = None
    """Chosen by the Debye time if absent."""
    largest_step: Duration | None = None
    tolerance: Annotated[float, Field(gt=0, le=0.1, strict=True)] = 1e-3
    """Of the error of a step: of densities, relative to their size and to what there is on the whole, and of
    potentials."""
    scheme: Literal["radau", "galerkin", "euler"] = "radau"
    """With which to begin; "galerkin" and "euler" never let the free energy rise, "euler" is of order 1."""
    stop: Literal["steady"] | None = None
    """Whether to end as soon as nothing moves any more."""
    fields: Records | None = None
    """When fields are kept beside those of the end."""
    checkpoint: Checkpoints | None = None
    """Every 10 min by the clock if absent."""

    @model_validator(mode="after")
    def _in_order(self) -> Time:
        for key in ("end", "first_step", "largest_step"):
            given: Quantity | None = getattr(self, key)
            if given is not None and not given.value > 0.0:
                raise refusal(f"{key} must be positive, but it is {given.text}")
            if given is not None and key != "end" and given.value > self.end.value:
                raise refusal(f"{key} = {given.text} is beyond the end, {self.end.text}")
        if self.fields is not None and any(not 0.0 < time.value <= self.end.value for time in self.fields.times):
            raise refusal(f"fields.times must be after 0 and not beyond the end, {self.end.text}")
        return self


class Initial(Table):
    """``[initial]``: from what a motion begins; the potential follows from the densities."""

    state: Literal["uniform", "equilibrium", "result"] = "uniform"
    """"uniform": contents are the same everywhere; "equilibrium": the steady state of the data before they move;
    "result": a solution that was saved."""
    concentration: dict[str, Concentration] = Field(default_factory=dict)
    """SI: per species, with "uniform". Those of a species' mean, or of all boundaries if they agree, if absent."""
    fraction: dict[str, Number] = Field(default_factory=dict)
    """Dimensionless: the same as occupied fractions."""
    file: str | None = None
    """With "result": what `Solution.save` has written on the same mesh, relative to the case file."""

    @model_validator(mode="after")
    def _fitting(self) -> Initial:
        if self.state != "uniform" and (self.concentration or self.fraction):
            raise refusal(f'contents go with state = "uniform", not with "{self.state}"')
        if (self.state == "result") != (self.file is not None):
            raise refusal('file goes with state = "result", which needs it')
        return self
