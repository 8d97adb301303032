"""The tables of a case file: one class a table, every key with its unit and meaning where it is defined.

How tables are read is in ``reading.py``, their consistency with each other in ``checks.py``, a whole case in
``case.py``; nothing here knows DOLFINx.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    SerializeAsAny,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pnp_exclusion.case.base import Count, Flag, GroupName, Name, Number, Positive, Table, plain, refusal
from pnp_exclusion.case.boundary_tables import AnyBoundary, SurfaceCharge
from pnp_exclusion.case.domain_tables import (
    Domain,
    Gmsh,
    dimension_of,
    unseen_dimensions,
)
from pnp_exclusion.case.field_tables import GivenField, form_of
from pnp_exclusion.case.ions import ion
from pnp_exclusion.case.law_tables import AnyModel
from pnp_exclusion.case.output_tables import Output
from pnp_exclusion.case.petsc_options import why_not
from pnp_exclusion.case.plans import Diagram, Sweep
from pnp_exclusion.case.quantities import (
    TOTAL_AMOUNT,
    Concentration,
    Diffusivity,
    FixedCharge,
    Length,
    PartitionEnergy,
    Quantity,
    Volume,
    shown,
)
from pnp_exclusion.case.reaction_tables import Reaction
from pnp_exclusion.case.stoichiometry import atoms_of
from pnp_exclusion.case.time_tables import Initial, Time
from pnp_exclusion.errors import UsageError
from pnp_exclusion.mesh.physical_names import MeshGroups


def _table_or_value(written: Any) -> str:
    """As `form_of`, where no list can be meant."""
    return "<table>" if isinstance(written, dict) else "<value>"


def _word_or_quantity(written: Any) -> str:
    return "<word>" if written == "born" else "<value>"


def _single(written: Any) -> Any:
    if not isinstance(written, str | bool | int | float):
        raise refusal(f"{shown(written)} is neither a text nor a number nor true or false")
    return written


def _named_by_ion(schema: dict[str, Any]) -> None:
    """Say that a species has a name, or an ion that has one."""
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["ion"]}]


class Species(Table):
    """``[[species]]``: a kind of particle."""

    model_config = ConfigDict(json_schema_extra=_named_by_ion)

    numbers: ClassVar[tuple[str, ...]] = (
        "charge",
        "diffusivity",
        "mean_concentration",
        "mean_fraction",
        "amount",
        "born_radius",
    )

    name: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*$")]
    """Used in results and in the other tables; that of ``ion`` if absent."""
    ion: str | None = None
    """One whose data are known, ``"Na+"`` (``pnp-exclusion ions``): its charge and, in SI, its diffusivity at 25 °C are
    taken unless they are given."""
    charge: Annotated[float, Field(ge=-10_000, le=10_000, strict=True)] = 0.0
    """Valence z."""
    formula: str | None = None
    """What it is made of, ``"Fe(CN)6"``: reactions among species with formulas must keep their atoms."""
    diffusivity: Diffusivity | None = None
    """D. In SI it must be given; 1 in a dimensionless case."""
    field: GivenField | None = None
    """Imposed force E_a on a particle (with ``electrostatics = "imposed"``): a value along x, a vector, or a table."""
    mean_concentration: Concentration | None = None
    """SI: for a species that no boundary supplies, its mean concentration over the domain, which is conserved."""
    mean_fraction: Number | None = None
    """Dimensionless: the same as an volume fraction."""
    amount: Annotated[Quantity, TOTAL_AMOUNT] | None = None
    """Instead of a mean: how much of it there is in the domain, mol/m^2 in 1D, mol/m in 2D, mol in 3D and around an
    axis; dimensionless: the integral of the volume fraction."""
    born_radius: Length | None = None
    """SI: of the sphere that carries the charge, for Born's partition energy in regions of another permittivity."""
    volume: Volume | None = None
    """With ``sizes``: of a particle, or a mole; dimensionless in that of the solvent, which it is if absent. SI:
    "hydrated" for the sphere of the hydrated diameter of ``ion``."""
    solvation: Annotated[float, Field(ge=0.0, le=1000.0, allow_inf_nan=False, strict=True)] = 0.0
    """With ``sizes``: how many solvent molecules a particle carries with it; their volume adds to its own."""

    @property
    def closing(self) -> dict[str, Quantity | float]:
        """What is given of one that no boundary supplies, how much of it there is in the domain, by its key."""
        given = {key: getattr(self, key) for key in ("mean_concentration", "mean_fraction", "amount")}
        return {key: value for key, value in given.items() if value is not None}

    @property
    def is_closed(self) -> bool:
        """Whether it is given how much of it there is in the domain."""
        return bool(self.closing)

    @model_validator(mode="before")
    @classmethod
    def _of_ion(cls, written: Any, info: ValidationInfo) -> Any:
        if not isinstance(written, dict) or not isinstance(written.get("ion"), str):
            return written
        try:
            one = ion(written["ion"])
        except UsageError as error:
            raise refusal(str(error)) from None
        # an object of Python belongs to no case yet, which says in which units it is
        units = (info.context or {}).get("units")
        known: dict[str, Any] = {"name": one.species_name, "charge": float(one.charge)}
        if units == "si":
            known["diffusivity"] = f"{one.diffusivity:.4g} m^2/s"
        found = known | written
        if found.get("volume") == "hydrated" and units == "si":
            if one.hydrated_volume is None:
                raise refusal(f"no hydrated diameter of {one.symbol} is known; give its volume")
            found["volume"] = f"{1e27 * one.hydrated_volume:.4g} nm^3"
        return found

    @field_validator("formula")
    @classmethod
    def _is_formula(cls, formula: str | None) -> str | None:
        if formula is not None:
            atoms_of(formula)
        return formula


Range = Annotated[list[Length], Field(min_length=2, max_length=2)]
BornOr = Annotated[
    Annotated[Literal["born"], Tag("<word>")] | Annotated[PartitionEnergy, Tag("<value>")],
    Discriminator(_word_or_quantity),
]
"""An energy, or the word for that of Born."""


class Region(Table):
    """``[[regions]]``: a part of the domain with its own material, a box or a physical group of the mesh file."""

    numbers: ClassVar[tuple[str, ...]] = (
        "fixed_charge",
        "permittivity",
        "diffusivity",
        "partition",
        "surface_charge",
    )

    name: Name
    x: Range | None = None
    """From, to; the whole domain if absent. Likewise y and z."""
    y: Range | None = None
    z: Range | None = None
    tag: GroupName | None = None
    """A physical group of cells of the gmsh file, instead of ranges: its name, or its number if it has none."""
    fixed_charge: FixedCharge | None = None
    """Charge density that does not move, with its sign; dimensionless: q, elementary charges a site."""
    permittivity: Positive | None = None
    """Relative permittivity in SI; relative to the reference medium in a dimensionless case."""
    ions: Flag | None = None
    """false: no species enters, a membrane, glass or lipid; the field goes on through it. true: all do, also where an
    earlier region keeps them out."""
    excluded: list[str] | None = None
    """Instead: the species that do not enter, as within their closest approach to a wall; the others do."""
    diffusivity: (
        Annotated[
            Annotated[dict[str, Positive], Tag("<table>")] | Annotated[Positive, Tag("<value>")],
            Discriminator(_table_or_value),
        ]
        | None
    ) = None
    """Factor on the diffusivity of every species, or of some: ``{ Na = 0.5 }``."""
    partition: (
        Annotated[
            Annotated[dict[str, BornOr], Tag("<table>")] | Annotated[Literal["born"], Tag("<value>")],
            Discriminator(_table_or_value),
        ]
        | None
    ) = None
    """Energy of a particle of some species above that outside, ``{ Na = "2 kT" }``; "born" for that of Born, which
    follows from the permittivity of the region and the ``born_radius`` of the species: ``{ Na = "born" }``, or "born"
    for all that have one."""
    surface_charge: SurfaceCharge | None = None
    """Charge per area on its border with the rest of the domain; dimensionless as that of a wall."""

    @model_validator(mode="after")
    def _one_word_on_ions(self) -> Region:
        if self.ions is not None and self.excluded is not None:
            raise refusal("has both ions and excluded; give one of the two")
        return self

    @property
    def ranges(self) -> list[Range | None]:
        """The ranges along x, y and z."""
        return [self.x, self.y, self.z]

    def keeps_out(self, species: str) -> bool | None:
        """Whether a species does not enter; None if the region does not say."""
        if self.excluded is not None:
            return species in self.excluded
        return None if self.ions is None else not self.ions

    def partition_of(self, species: Species) -> Quantity | Literal["born"] | None:
        """The energy of a species, as given."""
        if isinstance(self.partition, dict):
            return self.partition.get(species.name)
        return self.partition if species.born_radius is not None else None

    def diffusivity_of(self, species: str) -> float | None:
        """The factor on the diffusivity of a species, if one is given."""
        return self.diffusivity.get(species) if isinstance(self.diffusivity, dict) else self.diffusivity


class Solver(Table):
    """``[solver]``: all optional."""

    degree: Literal[1, 2, 3, 4] = 2
    """Degree of the finite elements."""
    quadrature_degree: Annotated[int, Field(ge=1, le=30, strict=True)] | None = None
    """Twice the degree of the elements if absent."""
    tolerance: Annotated[float, Field(gt=0, le=1e-3, strict=True)] = 1e-7
    """A solution is accepted when the full Newton step, relative to 1 and the size of the unknowns, is below this."""
    max_newton_steps: Count = 40
    """For one attempt."""
    strategy: Literal["auto", "ramp"] = "auto"
    """"ramp": skip the direct attempts and raise potentials, fields and fixed charge from small values."""
    linear: Literal["auto", "banded", "direct", "fieldsplit"] = "auto"
    """Preset of linear solver; by dimension and size if absent."""
    accuracy: Annotated[float, Field(gt=0, lt=1, strict=True)] | None = None
    """Relative error of the goals: cells are refined until it is estimated to be less. As the cells are, if absent."""
    goal: (
        Annotated[
            Annotated[list[str], Field(min_length=1), Tag("<list>")] | Annotated[str, Tag("<value>")],
            Discriminator(form_of),
        ]
        | None
    ) = None
    """What is to be accurate, one or a list: "currents", "flux.right.Na", "current.right", "charge.left", "amount.Na".
    The currents if absent, or where nothing flows from end to end the charges of electrodes."""
    most_unknowns: Count | None = None
    """How many unknowns a mesh may have that is refined for an accuracy; two millions if absent."""
    unresolved: Literal["refuse", "warn"] = "refuse"
    """Whether a layer of charge that the cells at a boundary cannot hold is an error, or a warning only."""
    petsc: dict[str, Annotated[str | float | int | bool, BeforeValidator(_single)]] = Field(default_factory=dict)
    """PETSc options without the leading dash, e.g. ``{ ksp_monitor = true }``; the command line wins over these.

    Those of solvers and preconditioners, without files or code (`pnp_exclusion.case.petsc_options`)."""

    @field_validator("petsc")
    @classmethod
    def _names_without_dash(cls, petsc: dict[str, Any]) -> dict[str, Any]:
        for name in petsc:
            if name.startswith("-") or not name.strip():
                raise refusal(f'"{name}" is not the name of an option; write it without a dash, e.g. "ksp_type"')
        return petsc

    @field_validator("petsc")
    @classmethod
    def _harmless(cls, petsc: dict[str, Any]) -> dict[str, Any]:
        for name, value in petsc.items():
            if reason := why_not(name, value):
                raise refusal(f'the option "{name}" is not for a case: {reason}; the command line may give it')
        return petsc


class CaseTables(Table):
    """The tables of a whole case file; `pnp_exclusion.case.case.Case` once they are checked together."""

    can_vary: ClassVar[tuple[str, ...]] = ("model", "species", "domain", "regions", "boundaries", "reactions", "solver")

    title: str = ""
    model: AnyModel
    species: Annotated[list[Species], Field(min_length=1)]
    domain: SerializeAsAny[Domain]
    regions: list[Region] = Field(default_factory=list)
    boundaries: list[AnyBoundary]
    reactions: list[Reaction] = Field(default_factory=list)
    solver: Solver = Field(default_factory=Solver)
    output: Output = Field(default_factory=Output)
    sweep: Sweep | None = None
    diagram: Diagram | None = None
    time: Time | None = None
    initial: Initial | None = None
    _path: Path = PrivateAttr(default_factory=lambda: Path("case"))
    _groups: MeshGroups | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path:
        """The case file; a file that does not exist in the folder of a case that a script made."""
        return self._path

    @property
    def dimension(self) -> int:
        """Dimension of the domain: known since the case was read, so that the mesh file is not opened again."""
        dimension = dimension_of(self.domain.shape, self._groups)
        if dimension is None:
            raise TypeError("a case is made by read_case or make_case, which look into its mesh file")
        return dimension

    @property
    def dimension_of_totals(self) -> int:
        """Dimension of what totals over the domain are integrals over; over a boundary it is one less."""
        return self.dimension + unseen_dimensions(self.domain)

    @property
    def mesh_path(self) -> Path:
        """Where the gmsh file of the domain is; `TypeError` for other domains."""
        if not isinstance(self.domain, Gmsh):
            raise TypeError(f'a domain of shape "{self.domain.shape}" has no mesh file')
        return self._path.parent / self.domain.file

    @property
    def species_names(self) -> list[str]:
        """Names in the order of the file, which is the order of every array over species."""
        return [species.name for species in self.species]

    @property
    def unknowns(self) -> int:
        """How many unknowns a node has."""
        return len(self.species) + int(self.model.electrostatics == "poisson") + int(self.model.thermal)

    def as_written(self) -> dict[str, Any]:
        """The case with defaults filled in, quantities as texts: a case file again, once written as TOML."""
        given = {key: getattr(self, key) for key in type(self).model_fields}
        # table by table: a case as a whole is never read by pydantic, which would take a while to prepare for it
        written = {key: plain(value) for key, value in given.items() if value is not None}
        if not self.model.si:
            for key in ("temperature", "permittivity"):
                del written["model"][key]
        return written
