"""``[domain]``: the shapes that a case can have, and what can be read off them without a mesh."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from pnp_exclusion.case.base import Count, Table, refusal
from pnp_exclusion.case.boundary_tables import SurfaceCharge
from pnp_exclusion.case.formulas import Formula, FormulaError
from pnp_exclusion.case.quantities import Area, Length, Quantity, shown
from pnp_exclusion.mesh.physical_names import Group, MeshGroups

LETTERS = "xyz"
"""Names of the axes."""
DIMENSIONS = {"interval": 1, "rectangle": 2, "box": 3}
"""Of the shapes that are made here; a mesh file says its own."""
AREA_OF_X = re.compile(r"\bx\b|\(|[^eE]\+")
"""What a text has in it that is a formula and not a number with a unit."""


def list_or_value(written: Any) -> str:
    """Which member of a union is meant, so that a mistake in it is told once."""
    return "<list>" if isinstance(written, list | tuple) or np.ndim(written) else "<value>"


def dimension_of(shape: str, groups: MeshGroups | None) -> int | None:
    """Return the dimension of a domain, where it can be known: from its shape or from its mesh file."""
    return DIMENSIONS.get(shape) or (groups.dimension if groups else None)


def unseen_dimensions(domain: Any) -> int:
    """Return how many directions a body has that its domain lacks and totals are integrals over."""
    if getattr(domain, "area", None) is not None:
        return 2
    return int(getattr(domain, "coordinates", "cartesian") == "axisymmetric")


def periodic_letters(domain: Any) -> list[str]:
    """Return the names of the axes along which a domain is periodic, as given."""
    return getattr(domain, "periodic", None) or []


def periodic_axes(domain: Any) -> list[int]:
    """Return the numbers of the axes along which a domain is periodic."""
    return sorted(LETTERS.index(letter) for letter in periodic_letters(domain))


def require_matching_knots(x: list[Quantity], values: list[Quantity]) -> None:
    """Refuse knots of a table that do not ascend, or have not one value each."""
    if len(x) != len(values):
        raise refusal(f"has {len(x)} positions x but {len(values)} values; give one value for each x")
    if any(right.value < left.value for left, right in pairwise(x)):
        raise refusal("x must be in ascending order")


class Periodic(Table):
    """A domain that may go on through opposite sides."""

    periodic: list[Literal["x", "y", "z"]] | None = None
    """Axes along which the domain goes on at its other end, ``["y"]``: densities, potentials and fluxes continue."""


class Planar(Table):
    """A domain that may be the half-plane of a body around an axis."""

    coordinates: Literal["cartesian", "axisymmetric"] = "cartesian"
    """"axisymmetric": the drawing is turned around the axis r = 0; fluxes and currents are those of the whole body."""
    axis: Literal["x", "y", "z"] = "y"
    """Direction of the axis in the drawing; r is across it: x, or y of an axis along x."""

    @property
    def radial(self) -> int:
        """Which coordinate is r, the distance from the axis."""
        return 1 if self.axis == "x" else 0


class AreaTable(Table):
    """A cross-section that depends on x: linear between the knots; a knot given twice is a jump."""

    x: Annotated[list[Length], Field(min_length=2)]
    """Positions of the knots, in ascending order, covering the domain."""
    values: Annotated[list[Area], Field(min_length=2)]
    """The section at the knots."""

    @model_validator(mode="after")
    def _matching_ascending_knots(self) -> AreaTable:
        require_matching_knots(self.x, self.values)
        return self


class Cone(Table):
    """A round cross-section whose radius grows evenly from one end to the other."""

    left: Length
    """The radius at the left end; right is that at the other."""
    right: Length


def _formula(text: str) -> str:
    try:
        Formula(text, ("x",))
    except FormulaError as error:
        raise refusal(f"{shown(text)} is no section as a function of x: {error}") from None
    return text


def _form_of_area(written: Any) -> str:
    if isinstance(written, dict | Table):
        return "<table>" if isinstance(written, AreaTable) or "x" in dict(written) else "<cone>"
    return "<formula>" if isinstance(written, str) and AREA_OF_X.search(written) else "<value>"


class Interval(Periodic):
    """``[domain]`` with ``shape = "interval"``."""

    numbers: ClassVar[tuple[str, ...]] = ("wall_charge",)

    shape: Literal["interval"] = "interval"
    length: Length
    cells: Count | None = None
    """Chosen and graded toward the layers of the case if absent."""
    area: (
        Annotated[
            Annotated[AreaTable, Tag("<table>")]
            | Annotated[Cone, Tag("<cone>")]
            | Annotated[str, AfterValidator(_formula), Tag("<formula>")]
            | Annotated[Area, Tag("<value>")],
            Discriminator(_form_of_area),
        ]
        | None
    ) = None
    """The cross-section of a channel: a number, a table over x, the radii of a cone, or a formula in x, in which x and
    the result are in the unit of ``length``. Fluxes and currents are then those of the whole channel."""
    wall_charge: SurfaceCharge | None = None
    """Charge per area of the wall of a channel, which is round; needs ``area``."""


class Rectangle(Planar, Periodic):
    """``[domain]`` with ``shape = "rectangle"``, from the origin."""

    shape: Literal["rectangle"] = "rectangle"
    size: Annotated[list[Length], Field(min_length=2, max_length=2)]
    cells: (
        Annotated[
            Annotated[list[Count], Field(min_length=2, max_length=2), Tag("<list>")] | Annotated[Count, Tag("<value>")],
            Discriminator(list_or_value),
        ]
        | None
    ) = None
    """Per side, or one number for both; chosen and graded if absent."""


class Box(Periodic):
    """``[domain]`` with ``shape = "box"``, from the origin."""

    shape: Literal["box"] = "box"
    size: Annotated[list[Length], Field(min_length=3, max_length=3)]
    cells: (
        Annotated[
            Annotated[list[Count], Field(min_length=3, max_length=3), Tag("<list>")] | Annotated[Count, Tag("<value>")],
            Discriminator(list_or_value),
        ]
        | None
    ) = None
    """Per side, or one number for all; chosen and graded if absent."""


class Gmsh(Planar, Periodic):
    """``[domain]`` with ``shape = "gmsh"``: a mesh file with physical groups."""

    shape: Literal["gmsh"] = "gmsh"
    file: str
    """Path of a ``.msh`` file, relative to the case file."""
    unit: Length | None = None
    """SI: the length of one unit of the file's coordinates, e.g. "1 nm"."""
    dimension: Literal[1, 2, 3] | None = None
    """Dimension of the cells; the highest in the file if absent."""


class GivenMesh(Planar, Periodic):
    """A mesh that Python has made, for `pnp_exclusion.Case`; a case file cannot hold one.

    mesh
        A dolfinx mesh; solved on its own ranks.
    boundaries, regions
        By name: local numbers of facets, or of cells; or a pair of dolfinx MeshTags and a value; or a function that
        says of coordinates ``(3, n)`` which are there (boundaries: of exterior facets alone).
    unit
        SI: the length of one unit of its coordinates.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    shape: Literal["mesh"] = "mesh"
    mesh: Any = Field(exclude=True)
    boundaries: dict[str, Any] = Field(default_factory=dict, exclude=True)
    regions: dict[str, Any] = Field(default_factory=dict, exclude=True)
    unit: Length | None = None

    @field_validator("mesh")
    @classmethod
    def _is_mesh(cls, mesh: Any) -> Any:
        if mesh is not None and not hasattr(mesh, "topology"):
            raise refusal(f"must be a mesh of dolfinx, but it is {shown(mesh)}")
        return mesh

    @property
    def groups(self) -> MeshGroups:
        """Names of boundaries and regions, as of a mesh file."""
        dimension = self.mesh.topology.dim
        named = ((dimension - 1, self.boundaries), (dimension, self.regions))
        groups = [Group(d, number, name, 0) for d, names in named for number, name in enumerate(names, start=1)]
        return MeshGroups(dimension, tuple(groups), of_file=False)


Domain = Annotated[Interval | Rectangle | Box | Gmsh, Field(discriminator="shape")]
