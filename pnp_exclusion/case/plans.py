"""The tables of plans over many cases: ``[sweep]`` and ``[diagram]``. Single solves leave them aside."""

from __future__ import annotations

import re
from math import prod
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pnp_exclusion.case.base import Count, Number, Table, refusal
from pnp_exclusion.case.quantities import as_python, shown

MOST_POINTS = 1_000_000
"""Of a plan, which is held in memory."""
RESERVED = (
    *("point", "species", "end", "boundary", "variant"),
    *(
        "converged",
        "reason",
        "current",
        "force",
        "regime",
        "electric_current",
        "density",
        "flux",
        "charge",
        "found_potential",
    ),
    *("entropy_production", "balance", "identity_residual", "newton_iterations"),
    *("force_on", "onsager", "asymmetry", "conductance", "transport_number", "zero_current_voltage", "permeability"),
    *("figure_of_merit", "degree_of_coupling", "best_efficiency"),
    *("fano", "electric_fano", "electric_noise", "noise_correlation", "other_species", "uncertainty"),
)
"""Dimensions and variables of the results; no axis can have such a name."""

Key = Annotated[str, Field(min_length=1, max_length=300)]


def _text_or_number(written: Any) -> Any:
    written = as_python(written)
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        raise refusal(f"must be a number or a text with a unit, but it is {shown(written)}")
    if not isinstance(written, str) and not abs(written) < 1e300:
        raise refusal(f"must be a finite number, but it is {shown(written)}")
    return written


Limit = Annotated[str | int | float, BeforeValidator(_text_or_number)]


def name_of_key(key: str) -> str:
    """Return what an axis is called that has no name of its own: the key without its table, ``Na_field``."""
    words = key.replace('"', "").split(".")
    return re.sub(r"\W", "_", "_".join(words[1:] or words), flags=re.ASCII)


class Axis(Table):
    """One driving that is varied: ``[diagram.x]``, and what every ``[[sweep.axes]]`` has."""

    key: Key | None = None
    """What is varied, tables and entries joined by dots: ``species.Na.field``, ``boundaries.left.potential``."""
    keys: Annotated[list[Key], Field(min_length=1)] | None = None
    """Several keys that go together, instead of ``key``."""
    factors: Annotated[list[Number], Field(min_length=1)] | None = None
    """One for each of ``keys``: it is set to the value of the axis times its factor; 1 if absent."""
    name: Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")] | None = None
    """Of the axis in results and pictures; made of the first key if absent."""
    from_: Annotated[Limit | None, Field(alias="from")] = None
    """First value: a number, or a text with a unit, in which the axis is then given."""
    to: Limit | None = None
    """Last value."""

    @model_validator(mode="after")
    def _key_or_keys(self) -> Axis:
        if (self.key is None) == (self.keys is None):
            raise refusal('needs either key = "..." or keys = [...]')
        if len(set(self.all_keys)) < len(self.all_keys):
            raise refusal("names a key twice")
        if self.factors is not None and len(self.factors) != len(self.all_keys):
            raise refusal(
                f"has {len(self.all_keys)} keys but {len(self.factors)} factors; give one factor for each key"
            )
        if self.title in RESERVED:
            raise refusal(f'the name "{self.title}" is taken by the results; give another, e.g. name = "drive"')
        return self

    @model_validator(mode="after")
    def _both_limits(self) -> Axis:
        if (self.from_ is None) != (self.to is None):
            raise refusal("from and to go together")
        return self

    @property
    def all_keys(self) -> list[str]:
        """The keys that the axis sets, one or several."""
        return self.keys or [self.key or ""]

    @property
    def all_factors(self) -> list[float]:
        """A factor for every key."""
        return self.factors or [1.0] * len(self.all_keys)

    @property
    def title(self) -> str:
        """The name of the axis: as given, or the first key without its table, ``Na_field``."""
        return self.name or name_of_key(self.all_keys[0])


class SweepAxis(Axis):
    """``[[sweep.axes]]``: a driving and its values."""

    values: (
        Annotated[list[Annotated[Any, BeforeValidator(as_python)]], Field(min_length=1, max_length=MOST_POINTS)] | None
    ) = None
    """The values themselves: numbers, texts with units, or words such as laws."""
    count: Count | None = None
    """With ``from`` and ``to``: how many values, both ends included."""
    spacing: Literal["linear", "log"] = "linear"
    """Of the values between ``from`` and ``to``."""

    @model_validator(mode="after")
    def _values_or_limits(self) -> SweepAxis:
        if (self.values is None) == (self.from_ is None):
            raise refusal("needs either values = [...] or from, to and count")
        if self.values is not None and (self.count is not None or self.spacing == "log"):
            raise refusal("count and spacing go with from and to, not with values")
        return self


class DiagramAxis(Axis):
    """``[diagram.x]`` and ``[diagram.y]``: a driving and the limits within which it is varied."""

    @model_validator(mode="after")
    def _limits(self) -> DiagramAxis:
        if self.from_ is None:
            raise refusal("needs from and to")
        return self


class Sweep(Table):
    """``[sweep]``: many cases that differ from this one along some axes."""

    design: Literal["grid", "list", "random", "latin-hypercube"] = "grid"
    """Every combination of the values; the axes together, row by row; or points drawn between the limits."""
    axes: Annotated[list[SweepAxis], Field(min_length=1, max_length=20)]
    """What is varied, ``[[sweep.axes]]``."""
    points: Annotated[int, Field(ge=1, le=MOST_POINTS, strict=True)] | None = None
    """How many, with ``random`` and ``latin-hypercube``."""
    seed: Annotated[int, Field(ge=0, le=2**63, strict=True)] | None = None
    """Of the points that are drawn; 1 if absent."""
    chunk: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    """How many neighbouring points are solved one from another; 25, 4, 1 in one, two, three dimensions if absent."""
    noise: bool | None = None
    """Whether Fano factors and correlations of the currents are kept too, see docs/noise.md."""

    @property
    def drawn(self) -> bool:
        """Whether the points are drawn at random."""
        return self.design in ("random", "latin-hypercube")

    @property
    def size(self) -> int:
        """How many points there are."""
        if self.drawn:
            return self.points or 0
        counts = [len(axis.values) if axis.values is not None else axis.count or 0 for axis in self.axes]
        return prod(counts) if self.design == "grid" else counts[0]

    @field_validator("axes")
    @classmethod
    def _different_axes(cls, axes: list[SweepAxis]) -> list[SweepAxis]:
        for what, words in (("name", [a.title for a in axes]), ("key", [key for a in axes for key in a.all_keys])):
            twice = [word for position, word in enumerate(words) if word in words[:position]]
            if twice:
                raise refusal(f'two axes have the {what} "{twice[0]}"')
        return axes

    @model_validator(mode="after")
    def _right_for_the_design(self) -> Sweep:
        if self.drawn:
            if self.points is None:
                raise refusal(f'points is missing: design = "{self.design}" needs to know how many')
            if any(axis.count is not None for axis in self.axes):
                raise refusal(f'count goes with design = "grid" or "list"; with "{self.design}" it is points')
            return self
        if self.points is not None or self.seed is not None:
            raise refusal(f'points and seed go with design = "random" or "latin-hypercube", not with "{self.design}"')
        without = [axis.title for axis in self.axes if axis.values is None and axis.count is None]
        if without:
            raise refusal(f'axis "{without[0]}": count is missing, the number of its values')
        counts = {axis.title: len(axis.values) if axis.values is not None else axis.count for axis in self.axes}
        if self.design == "list" and len(set(counts.values())) > 1:
            lengths = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise refusal(f'design = "list" takes the axes together, so they must be equally long, but are: {lengths}')
        if self.size > MOST_POINTS:
            raise refusal(f"has {self.size} points; the most is {MOST_POINTS}")
        return self


class Variant(Table):
    """``[[diagram.variants]]``: the same diagram for a case that differs in some keys."""

    name: Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
    """Of its folder and in pictures."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Key and value, e.g. ``{ "boundaries.left.fraction" = { A = 0.06, B = 0.02 }, "model.law" = "mpnp" }``."""


class Diagram(Table):
    """``[diagram]``: the regimes of the species over two drivings, with their borders."""

    x: DiagramAxis
    y: DiagramAxis
    resolution: Annotated[int, Field(ge=3, le=1000, strict=True)] = 25
    """Points along each axis of the coarse grid in which borders are looked for."""
    accuracy: Annotated[float, Field(gt=0, lt=1, strict=True)] = 1e-4
    """To which a border is located, relative to the range of the axes."""
    variants: list[Variant] = Field(default_factory=list)
    """Diagrams that are drawn side by side; one of the case as it is if absent."""
    noise: bool | None = None
    """Whether Fano factors and correlations of the currents are told and drawn too, see docs/noise.md."""

    @model_validator(mode="after")
    def _two_axes(self) -> Diagram:
        common = {*self.x.all_keys} & {*self.y.all_keys}
        if common or self.x.title == self.y.title:
            raise refusal(f'x and y both vary "{min(common, default=self.x.title)}"')
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise refusal("two variants have the same name")
        return self
