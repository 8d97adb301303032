"""The tables of the case file of a gas: ``[gas]`` with its kinds, pairs and reservoirs. How they are read is in
``gas_case.py``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pnp_exclusion.case.base import Flag, Number, Positive, Table
from pnp_exclusion.case.output_tables import Files
from pnp_exclusion.case.plans import Sweep
from pnp_exclusion.case.quantities import Energy, Length, LinearDensity, Mass, Temperature, Time

ENERGY = "energy"
"""What the current and the force of energy are called beside those of the kinds."""
SIDES = ("left", "right")
KindName = Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*$")]


class GasTable(Table):
    """``[gas]``: point particles on a line between two reservoirs."""

    units: Literal["si", "dimensionless"] = "si"
    """Texts with units, or plain numbers: any consistent units with Boltzmann's constant 1."""
    length: Length
    """From reservoir to reservoir."""
    time: Time | None = None
    """Measured by each replica, beyond its burn-in; a thousand times what the slowest kind takes to cross the gas if
    absent."""
    planck: Positive | None = None
    """Dimensionless only: Planck's constant, which sets where potentials are counted from; 1 if absent."""
    bins: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 40
    """Of the profiles."""
    forces: dict[str, Number] = Field(default_factory=dict)
    """By open kind and ``energy``: the gas is driven about the state midway between its reservoirs by ``F_a`` and, in
    units of ``1/T``, ``F_u``, instead of by their difference."""


class KindTable(Table):
    """``[[gas.kinds]]``: a kind of particle."""

    name: KindName
    mass: Mass
    number: Annotated[int, Field(ge=0, le=10_000_000, strict=True)] | None = None
    """How many there are of a closed kind, which thermal walls keep; an open one is exchanged with the reservoirs."""
    density: LinearDensity | None = None
    """Of a closed kind, instead of ``number``: its mean, to the next whole number of particles."""
    bias: Energy | None = None
    """Work of a particle of an open kind that crosses from left to right."""

    @property
    def is_open(self) -> bool:
        """Whether it is exchanged with the reservoirs."""
        return self.number is None and self.density is None


class PairTable(Table):
    """``[[gas.pairs]]``: what happens when particles of two kinds meet; others pass freely."""

    kinds: Annotated[list[KindName], Field(min_length=2, max_length=2)]
    barrier: Energy | None = None
    """They pass if the kinetic energy of their relative motion exceeds it, and bounce else."""
    passes: Flag = True
    """False: they always bounce."""
    loss: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    """Fraction of that energy which passing costs, at constant momentum."""


class ReservoirTable(Table):
    """``[[gas.reservoirs]]``: what is behind an end."""

    where: Literal["left", "right"]
    temperature: Temperature
    density: dict[KindName, LinearDensity] = Field(default_factory=dict)
    """Of every open kind, particles by length; or its ``potential``."""
    potential: dict[KindName, Energy] = Field(default_factory=dict)
    """Chemical potential of an open kind."""


class WholeGasTable(GasTable):
    """``[gas]`` with its arrays of tables."""

    kinds: list[KindTable]
    pairs: list[PairTable] = Field(default_factory=list)
    reservoirs: list[ReservoirTable]


class GasCaseTables(Table):
    """The tables of a whole case file of a gas."""

    can_vary: ClassVar[tuple[str, ...]] = ("gas",)

    title: str = ""
    gas: WholeGasTable
    output: Files = Field(default_factory=Files)
    sweep: Sweep | None = None
