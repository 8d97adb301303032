"""``[model]``: the physics of a case. Every law has a table of its own, with its parameters as keys."""

from __future__ import annotations

import functools
import math
import operator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, create_model, field_validator

from pnp_exclusion.case.base import Positive, Table, refusal
from pnp_exclusion.case.quantities import Length, Quantity, Temperature, Volume
from pnp_exclusion.physics.laws import BUILT_IN, LAWS, Law, Parameter, find_law, register_law


class Model(Table):
    """``[model]``: the physics."""

    numbers: ClassVar[tuple[str, ...]] = ("temperature", "permittivity", "lattice_spacing", "debye_length")
    parameters: ClassVar[tuple[str, ...]] = ()
    """Keys that the law takes."""

    units: Literal["si", "dimensionless"] = "si"
    """Texts with units, or plain numbers: lengths in L, energies in kT, times in L^2/D."""
    law: str
    """The flux law: point ions, Bikerman's steric law, stirring, hopping into vacancies, or barrier exchange."""
    electrostatics: Literal["poisson", "imposed"] = "poisson"
    """"poisson": the potential is solved for. "imposed": every species has a given ``field``."""
    temperature: Temperature = Quantity(298.15, "298.15 K", 298.15, "K")
    """SI only."""
    permittivity: Positive = 78.5
    """Relative permittivity of the reference medium. SI only."""
    lattice_spacing: Length | None = None
    """SI only: a; one particle blocks the volume a^3. Needed by every law but ``pnp``, unless there are sizes."""
    sizes: Literal["volume-fractions", "mole-fractions", "carnahan-starling"] | None = None
    """Species of unlike ``volume``: which free energy they have. With "mpnp", the lattice gases with "vacancy" too."""
    solvent_volume: Volume | None = None
    """SI, with sizes: of a solvent molecule, e.g. "0.03 nm^3", or of a mole of them. It is the unit of volume."""
    debye_length: Positive | None = None
    """Dimensionless with ``poisson`` only: lambda, with lambda^2 = eps kT v/(e^2 L^2)."""

    @property
    def si(self) -> bool:
        """Whether the case is written in units."""
        return self.units == "si"

    @property
    def thermal(self) -> bool:
        """Whether the law has a temperature."""
        return self.flux_law.thermal

    @property
    def flux_law(self) -> Law:
        """The law, with its parameters."""
        named = find_law(self.law)
        assert named is not None, "was there when the case was read"
        return named.make(**{name: getattr(self, name) for name in self.parameters})


class RegisteredLaw(Model):
    """``[model]`` of a law that Python or an installed package has registered, under its name."""

    law: Annotated[str, Field(strict=True)]

    @field_validator("law")
    @classmethod
    def _known(cls, name: str) -> str:
        if ":" in name:
            raise refusal(
                f'"{name}": a case is data and names no code; let Python (pnp_exclusion.register_law) or an entry '
                "point of an installed package register the law, and write its name"
            )
        if find_law(name) is None:
            known = ", ".join(f"'{law}'" for law in [*LAWS][:-1])
            raise refusal(f"\"{name}\" is not one of {known} or '{[*LAWS][-1]}'")
        return name


def _key(parameter: Parameter) -> Any:
    least = parameter.least if math.isfinite(parameter.least) else None
    number = Annotated[float, Field(ge=least, allow_inf_nan=False, strict=True, description=parameter.meaning)]
    return number, parameter.default


def _table_of(name: str) -> type[Model]:
    """Return the table of a law of `pnp_exclusion.physics.laws`."""
    parameters = LAWS[name].parameters
    keys: dict[str, Any] = {key: _key(parameter) for key, parameter in parameters.items()}
    keys["law"] = (Literal[name], ...)
    if not LAWS[name].charged:
        keys["electrostatics"] = (Literal["imposed"], "imposed")
    table: type[Model] = create_model(f"Model_{name}", __base__=Model, __module__=__name__, **keys)
    # by its name a pickled case finds the class of its model
    globals()[table.__name__] = table
    table.parameters = tuple(parameters)
    table.numbers = (*Model.numbers, *parameters)
    return table


TABLES: dict[str, type[Model]] = {name: _table_of(name) for name in BUILT_IN}
"""By the law."""


def _form(written: Any) -> str:
    law = written.law if isinstance(written, Model) else written.get("law") if isinstance(written, dict) else None
    return f"<{law}>" if isinstance(law, str) and law in BUILT_IN else "<registered>"


if TYPE_CHECKING:
    AnyModel = Model
else:
    _members = [Annotated[table, Tag(f"<{name}>")] for name, table in {**TABLES, "registered": RegisteredLaw}.items()]
    AnyModel = Annotated[functools.reduce(operator.or_, _members), Discriminator(_form)]


def without_parameters_of_others(model: dict[str, Any]) -> None:
    """Remove from a ``[model]`` as written the parameters of other laws than the one it names, in place."""
    law = model.get("law")
    table = TABLES.get(law, RegisteredLaw) if isinstance(law, str) else RegisteredLaw
    for key in {key for other in TABLES.values() for key in other.parameters} - set(table.parameters):
        model.pop(key, None)


def model(law: str | Law, **keys: Any) -> Model:
    """Return the ``[model]`` of a case.

    law
        Its name, or a law written in Python, which is registered under its own name (`register_law`).
    keys
        As in a case file: ``electrostatics``, ``lattice_spacing``, parameters of the law. Numbers are in SI units.
    """
    if isinstance(law, Law):
        register_law(law)
        law = law.name
    return TABLES.get(law, RegisteredLaw)(law=law, **keys)
