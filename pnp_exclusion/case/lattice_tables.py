"""The case file of a lattice whose particles carry energy: ``[lattice]`` with its reservoirs, checked together.

It stands for itself: the lattice has no domain and no species. All numbers are dimensionless, with Boltzmann's constant
1 and one particle a site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pnp_exclusion.case.base import Positive, Table
from pnp_exclusion.case.output_tables import Files
from pnp_exclusion.case.reading import Draft, Reader, parsed, read_title, refuse_unknown
from pnp_exclusion.errors import CaseError

SIDES = ("left", "right")
Side = Literal["left", "right"]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]


class KineticTable(Table):
    """``kind = "kinetic exclusion"``: particles hop with their energies, and neighbours share theirs."""

    kind: Literal["kinetic exclusion"]


class BarrierTable(Table):
    """``kind = "barrier exchange"``: bullets and rods in mixed cells swap places where a rod has energy enough."""

    kind: Literal["barrier exchange"]
    sites_per_cell: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    barrier: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
    """Energy that a rod must exceed to change places with a bullet, at rate 1."""
    bullet_rate: Positive = 1.0
    """Of a bullet into a vacancy."""
    rod_rate: Positive = 1.0
    """Of a rod into a vacancy."""
    rods: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, strict=True)] | None = None
    """Fraction of all sites, of rods that cannot leave; without it they pass to and from the reservoirs."""
    contact: Positive = 1.0
    """Where rods cannot leave: rate of exchange of bullets and vacancies with the reservoirs."""


class KineticReservoir(Table):
    """``[[lattice.reservoirs]]`` of kinetic exclusion."""

    where: Side
    density: Fraction
    """Occupied fraction of the sites."""
    temperature: Positive
    """Mean energy of a particle."""


class BarrierReservoir(Table):
    """``[[lattice.reservoirs]]`` of barrier exchange."""

    where: Side
    bullets: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, strict=True)]
    """Fraction of the sites."""
    rods: Fraction = 0.0
    """Fraction of the sites, where rods pass."""
    temperature: Positive
    """Mean energy of a particle."""


AnyLattice = Annotated[KineticTable | BarrierTable, Field(discriminator="kind")]


class WholeKineticTable(KineticTable):
    """``[lattice]`` of kinetic exclusion with its reservoirs."""

    reservoirs: list[KineticReservoir]


class WholeBarrierTable(BarrierTable):
    """``[lattice]`` of barrier exchange with its reservoirs."""

    reservoirs: list[BarrierReservoir]


class LatticeCaseTables(Table):
    """The tables of a whole case file of a lattice whose particles carry energy."""

    title: str = ""
    lattice: Annotated[WholeKineticTable | WholeBarrierTable, Field(discriminator="kind")]
    output: Files = Field(default_factory=Files)


@dataclass(frozen=True)
class LatticeCase:
    """A whole case of a lattice whose particles carry energy, without mistakes.

    Reservoirs are `KineticReservoir` or `BarrierReservoir` as the lattice has it.
    """

    path: Path
    title: str
    lattice: KineticTable | BarrierTable
    left: Any
    right: Any
    output: Files

    def as_written(self) -> dict[str, Any]:
        """The case with defaults filled in: a case file again, once written as TOML."""

        def written(table: Table) -> dict[str, Any]:
            return table.model_dump(mode="json", exclude_none=True)

        lattice = written(self.lattice) | {"reservoirs": [written(self.left), written(self.right)]}
        return {"title": self.title, "lattice": lattice, "output": written(self.output)}


def read_lattice_case(path: str | Path) -> LatticeCase | None:
    """Read and check such a file, None if it is a case of another sort; `CaseError` says every mistake."""
    path = Path(path)
    raw = parsed(path)
    return checked_lattice_case(raw, path) if "lattice" in raw and "model" not in raw else None


def checked_lattice_case(raw: Mapping[str, Any], path: Path) -> LatticeCase:
    """Return the case of a parsed file, or raise `CaseError` with every mistake in it."""
    draft = Draft(path)
    refuse_unknown(raw, draft, ("title", "lattice", "output"), " in the case of a lattice")
    read_title(raw, draft)
    output = Reader(draft, "dimensionless").table(raw, "output", Files) or Files()
    given = raw["lattice"]
    if not isinstance(given, Mapping):
        draft.refuse("[lattice]", "must be a table")
        raise CaseError(path, draft.mistakes)
    own = {key: value for key, value in given.items() if key != "reservoirs"}
    lattice = Reader(draft, "dimensionless").table({"lattice": own}, "lattice", AnyLattice)
    kind = BarrierReservoir if given.get("kind") == "barrier exchange" else KineticReservoir
    sides: dict[str, Any] = {}
    if lattice is not None or given.get("kind") in ("barrier exchange", "kinetic exclusion"):
        sides = _read_sides(draft, given, kind)
    if isinstance(lattice, BarrierTable):
        _check_rods(draft, lattice, sides)
    elif len(sides) == len(SIDES) and all(getattr(side, "density", 1.0) == 0.0 for side in sides.values()):
        draft.refuse("[[lattice.reservoirs]]", "both are empty, so there is nothing to measure")
    if draft.mistakes:
        raise CaseError(path, draft.mistakes)
    return LatticeCase(path, draft.title, lattice, sides["left"], sides["right"], output)


def _read_sides(draft: Draft, given: Mapping[str, Any], kind: type[Table]) -> dict[str, Any]:
    """Return the reservoirs that could be read, by side."""
    found = list(Reader(draft, "dimensionless", within="lattice.").array(given, "reservoirs", kind, required=True))
    read = [one for one in found if one is not None]
    places = [one.where for one in read]
    for side in SIDES:
        if places.count(side) > 1:
            draft.refuse("[[lattice.reservoirs]]", f"the {side} one is given twice")
        elif found and side not in places and None not in found:
            draft.refuse("[[lattice.reservoirs]]", f"the {side} one is missing")
    return {one.where: one for one in read}


def _check_rods(draft: Draft, lattice: BarrierTable, sides: Mapping[str, BarrierReservoir]) -> None:
    if lattice.rods is None and "contact" in lattice.model_fields_set:
        draft.refuse("[lattice]", "contact is for rods that cannot leave: it goes with rods")
    for name, side in sides.items():
        where = f'[[lattice.reservoirs]] "{name}"'
        if lattice.rods is not None and side.rods > 0.0:
            draft.refuse(where, "rods must be left out: rods = .. of [lattice] cannot leave the channel")
        elif lattice.rods is None and side.rods == 0.0:
            draft.refuse(where, "rods must be greater than 0, or [lattice] say how many cannot leave the channel")
        elif side.bullets + side.rods >= 1.0:
            draft.refuse(where, f"bullets and rods fill {side.bullets + side.rods:g} of the sites: leave vacancies")
