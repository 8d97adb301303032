"""``[[reactions]]``: in the volume by mass action, at electrodes by Butler-Volmer, Marcus' or linear kinetics.

New kinetics are a class here, a key of `Reaction`, and their rate in `pnp_exclusion.physics.reactions`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Protocol, override

from pydantic import Field, GetCoreSchemaHandler, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError, core_schema

from pnp_exclusion.case.base import Flag, GroupName, Name, Table, refusal
from pnp_exclusion.case.quantities import Concentration, ConstantPotential, Dimension, Energy, Quantity
from pnp_exclusion.case.stoichiometry import ELECTRON, Equation, parsed_equation
from pnp_exclusion.physics import reactions

STANDARD = 1000.0
"""mol/m^3: the concentration to which ``k0`` and formal potentials refer; in a dimensionless case a full lattice."""
_MOLAR_POWERS = {-2: "mol^3/m^9", -1: "mol^2/m^6", 0: "mol/m^3", 1: "", 2: "m^3/mol", 3: "m^6/mol^2", 4: "m^9/mol^3"}


def _powers_of_concentration(order: int) -> str:
    """Return the unit of ``(mol/m^3)^(1 - order)``; empty for 1."""
    if order in _MOLAR_POWERS:
        return _MOLAR_POWERS[order]
    raise refusal("so many particles do not meet at once; write it as several reactions of fewer")


@dataclass(frozen=True)
class OfOrder(Dimension):
    """A quantity whose unit holds a power of a concentration that follows from the equation of its reaction.

    per_time
        Whether it is a rate constant, or else an equilibrium constant.
    """

    per_time: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        general = super().__get_pydantic_core_schema__(source, handler)

        def validate(raw: Any, info: ValidationInfo) -> Quantity:
            equation = info.data.get("equation")
            if isinstance(raw, Quantity):
                raw = raw.text if raw.unit else raw.value
            if not isinstance(equation, str):
                # refused already
                return Quantity(1.0, "", 1.0)
            context = info.context or {"units": "si" if isinstance(raw, str) else "dimensionless"}
            orders = orders_of(parsed_equation(equation))
            if self.per_time:
                own = rate_constant(orders[info.field_name != "forward"])
            else:
                own = equilibrium_constant(*orders)
            units = context["units"] if own.units[0] else "dimensionless"
            return own.parse(raw, units, context.get("plain", False))

        return core_schema.with_info_plain_validator_function(validate, serialization=general.get("serialization"))


def orders_of(equation: Equation) -> tuple[int, int]:
    """Return of how many particles the forward and the backward direction are."""
    return sum(equation.reactants.values()), sum(equation.products.values())


def rate_constant(order: int, at_boundary: bool | None = None) -> Dimension:
    """Return what a rate constant of an order is: per volume, per area, or either where that is not known."""
    molar = _powers_of_concentration(order)
    units = (f"{molar or '1'}/s", f"{molar}*m/s" if molar else "m/s")
    names = (f"a rate constant in the volume, of {units[0]}", f"a rate constant at a boundary, of {units[1]}")
    if at_boundary is None:
        return Dimension(f"a rate constant of order {order}", units, f"1e3 {units[0]}", (1.0, 1.0))
    return Dimension(names[at_boundary], (units[at_boundary],), f"1e3 {units[at_boundary]}")


def equilibrium_constant(forward: int, backward: int) -> Dimension:
    """Return what the equilibrium constant of a reaction of some orders is."""
    molar = _powers_of_concentration(1 - backward + forward)
    return Dimension("the equilibrium constant of this reaction", (molar,), f"1e-2 {molar}")


_OF_ANY_ORDER = ("1/s", "m^3/mol/s", "m^6/mol^2/s", "mol/m^3/s", "m/s", "m^4/mol/s", "mol/m^2/s")
RateConstant = Annotated[Quantity, OfOrder("a rate constant", _OF_ANY_ORDER, "1e3 1/s", (1.0,) * len(_OF_ANY_ORDER))]
EquilibriumConstant = Annotated[
    Quantity,
    OfOrder("an equilibrium constant", ("mol/m^3", "m^3/mol"), "1.8e-5 mol/L", (1.0, 1.0), per_time=False),
]
Velocity = Annotated[Quantity, Dimension("a standard rate constant", ("m/s",), "1e-5 m/s")]
CurrentDensity = Annotated[Quantity, Dimension("a current per area", ("A/m^2",), "10 A/m^2")]
Share = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]


class Surroundings(Protocol):
    """What a reaction must know of the rest of its case."""

    @property
    def scales(self) -> Any:
        """Units (`pnp_exclusion.case.scales.Scales`)."""
        ...

    def log_activities(self, amounts: Mapping[str, float]) -> Mapping[str, float]:
        """Return ``eta`` of the species of a solution of these amounts, SI concentrations or fractions."""
        ...

    def least(self, species: str) -> float:
        """Return the fraction of a species that counts as none."""
        ...


class Kinetics(Table):
    """How fast a reaction at an electrode is, by its standard rate constant or by its exchange current."""

    numbers: ClassVar[tuple[str, ...]] = (
        "k0",
        "formal_potential",
        "exchange_current",
        "equilibrium_potential",
        "reference",
        "alpha",
        "reorganisation_energy",
    )

    k0: Velocity | None = None
    """Standard rate constant: both directions are ``k0`` times 1 mol/L at the formal potential where all activities
    are 1 mol/L; dimensionless in D/L, activities of a full lattice."""
    formal_potential: ConstantPotential | None = None
    """With ``k0``: the metal's less the solution's potential where both directions are as fast at unit activities; 0 if
    absent."""
    exchange_current: CurrentDensity | None = None
    """Instead: the current either way at equilibrium with the ``reference``; dimensionless in fluxes."""
    equilibrium_potential: ConstantPotential | None = None
    """With it: the metal's less the solution's potential at equilibrium with the ``reference``; 0 if absent."""
    reference: dict[str, Concentration] = Field(default_factory=dict)
    """With it: concentrations for which it holds, of every species of the reaction."""

    @model_validator(mode="after")
    def _given_once(self) -> Kinetics:
        if (self.k0 is None) == (self.exchange_current is None):
            raise refusal("give either k0, or exchange_current and reference")
        of_other = ("exchange_current", "equilibrium_potential", "reference") if self.k0 else ("formal_potential",)
        for key in of_other:
            if getattr(self, key):
                raise refusal(f"{key} does not go with {'k0' if self.k0 else 'exchange_current'}; remove it")
        given = self.k0 or self.exchange_current
        assert given is not None
        if given.value <= 0.0:
            raise refusal(f"{'k0' if self.k0 else 'exchange_current'} must be positive, but it is {given.text}")
        for name, content in self.reference.items():
            if content.value <= 0.0:
                raise refusal(f"reference.{name} must be positive, but it is {content.text}")
        return self

    def dimensionless(self, equation: Equation, surroundings: Surroundings) -> reactions.Kinetics:
        """Return what the weak form takes."""
        scales = surroundings.scales
        if self.k0 is not None:
            standard = STANDARD / scales.concentration if scales.si else 1.0
            rate, eta = self.k0.value * standard / scales.velocity, dict.fromkeys(equation.species, math.log(standard))
            given = self.formal_potential
        else:
            assert self.exchange_current is not None
            rate = self.exchange_current.value / scales.current / abs(equation.electrons)
            held = surroundings.log_activities({name: content.value for name, content in self.reference.items()})
            eta, given = {name: held[name] for name in equation.species}, self.equilibrium_potential
        reactants, products = (
            sum(count * eta[name] for name, count in side.items()) for side in (equation.reactants, equation.products)
        )
        potential = 0.0 if given is None else given.value / scales.potential
        return self.of_reference(rate, reactants, products, potential, equation.electrons, scales)

    @abstractmethod
    def of_reference(
        self, rate: float, reactants: float, products: float, potential: float, electrons: int, scales: Any
    ) -> reactions.Kinetics:
        """Return what has a rate of either direction at a potential where the sides have these logarithms of
        activities."""


class ButlerVolmer(Kinetics):
    """``butler_volmer``: exponential in the drop of the potential."""

    alpha: Share = 0.5
    """Transfer coefficient of the reduction, for all its electrons; the oxidation has ``1 - alpha``."""

    @override
    def of_reference(
        self, rate: float, reactants: float, products: float, potential: float, electrons: int, scales: Any
    ) -> reactions.Kinetics:
        log_rate = math.log(rate)
        return reactions.ButlerVolmer(log_rate - reactants, log_rate - products, potential, self.alpha)


class Marcus(Kinetics):
    """``marcus``: by the reorganisation energy, with an inverted region."""

    reorganisation_energy: Energy
    """``l`` of ``exp(-(l + w)^2/(4 l kT))``; dimensionless in kT."""

    @model_validator(mode="after")
    def _reorganises(self) -> Marcus:
        if self.reorganisation_energy.value <= 0.0:
            raise refusal(f"reorganisation_energy must be positive, but it is {self.reorganisation_energy.text}")
        return self

    @override
    def of_reference(
        self, rate: float, reactants: float, products: float, potential: float, electrons: int, scales: Any
    ) -> reactions.Kinetics:
        reorganisation = self.reorganisation_energy.value / scales.thermal_energy
        if self.k0 is not None:
            log_rate = math.log(rate)
            return reactions.Marcus(log_rate - reactants, log_rate - products, potential, reorganisation)
        # the barrier is that of the formal potential, not of the equilibrium with the reference
        work = reactants - products
        log_rate = math.log(rate) + 0.25 * work**2 / reorganisation - 0.5 * (reactants + products)
        return reactions.Marcus(log_rate, log_rate, potential - work / electrons, reorganisation)


class LinearKinetics(Kinetics):
    """``linear``: the rate is proportional to the affinity, as all are near equilibrium."""

    @override
    def of_reference(
        self, rate: float, reactants: float, products: float, potential: float, electrons: int, scales: Any
    ) -> reactions.Kinetics:
        return reactions.Linear(rate, products - reactants, potential)


KINETICS = ("butler_volmer", "marcus", "linear")
MASS_ACTION = ("forward", "backward", "equilibrium_constant")


class Reaction(Table):
    """``[[reactions]]``: what turns into what, where, and how fast."""

    numbers: ClassVar[tuple[str, ...]] = (*KINETICS, *MASS_ACTION)

    equation: Name
    """``"A + 2 B <-> C"``; ``->`` for one that never goes back, ``e-`` for an electron of the metal, ``0`` for a side
    that the case does not follow."""
    name: Name | None = None
    """In results and keys; the equation if absent."""
    where: GroupName | None = None
    """A region, or a boundary; the whole volume if absent."""
    forward: RateConstant | None = None
    """Mass action: rate constant of the forward direction, per volume or per area; dimensionless in D/L^2 or D/L."""
    backward: RateConstant | None = None
    """Likewise."""
    equilibrium_constant: EquilibriumConstant | None = None
    """Instead of ``backward``: ``forward/backward``, products over reactants at equilibrium."""
    butler_volmer: ButlerVolmer | None = None
    """At an electrode, for a reaction with electrons."""
    marcus: Marcus | None = None
    """Instead."""
    linear: LinearKinetics | None = None
    """Instead."""
    activities: Flag = True
    """Whether rates follow activities, so that they vanish at equilibrium under every law; else concentrations."""

    @field_validator("equation")
    @classmethod
    def _is_equation(cls, equation: str) -> str:
        parsed_equation(equation)
        return equation

    @model_validator(mode="after")
    def _one_rate(self) -> Reaction:
        having = [key for key in KINETICS if getattr(self, key) is not None]
        mass_action = [key for key in MASS_ACTION if getattr(self, key) is not None]
        if self.stoichiometry.electrons:
            if mass_action or len(having) != 1:
                raise refusal("electrons pass at rates that follow the potential: give butler_volmer, marcus or linear")
            if not self.stoichiometry.reversible:
                raise refusal('a reaction of electrons goes both ways; write it with "<->"')
            return self
        if having:
            raise refusal(f"{having[0]} is for a reaction with electrons, {ELECTRON}; give forward and backward")
        if self.forward is None:
            raise refusal("the rate constant forward is missing")
        if self.stoichiometry.reversible and (self.backward is None) == (self.equilibrium_constant is None):
            raise refusal('a reaction with "<->" goes both ways: give either backward or equilibrium_constant')
        if not self.stoichiometry.reversible and mass_action != ["forward"]:
            raise refusal(f'{mass_action[1]} is for a reaction that goes both ways; write it with "<->"')
        for key in mass_action:
            if getattr(self, key).value <= 0.0:
                raise refusal(f"{key} must be positive, but it is {getattr(self, key).text}")
        return self

    @property
    def stoichiometry(self) -> Equation:
        """The equation, read."""
        return parsed_equation(self.equation)

    @property
    def title(self) -> str:
        """Name in results."""
        return self.name or self.equation

    @property
    def electrode_kinetics(self) -> Kinetics | None:
        """Of a reaction with electrons."""
        return self.butler_volmer or self.marcus or self.linear

    def kinetics(self, surroundings: Surroundings, at_boundary: bool) -> reactions.Kinetics:
        """Return the rate that the weak form takes."""
        if self.electrode_kinetics is not None:
            return self.electrode_kinetics.dimensionless(self.stoichiometry, surroundings)
        found = self.mass_action(surroundings.scales, at_boundary)
        reactants = self.stoichiometry.reactants.items()
        least = sum(count * math.log(surroundings.least(name)) for name, count in reactants)
        return found if self.stoichiometry.reversible or not reactants else replace(found, log_least=least)

    def mass_action(self, scales: Any, at_boundary: bool = False) -> reactions.MassAction:
        """Return the rate of a reaction without electrons."""
        assert self.forward is not None
        orders = orders_of(self.stoichiometry)
        unit = scales.velocity if at_boundary else 1.0 / scales.time
        full = math.log(scales.concentration)
        forward = math.log(self.forward.value / unit) + (orders[0] - 1) * full
        if self.backward is not None:
            return reactions.MassAction(forward, math.log(self.backward.value / unit) + (orders[1] - 1) * full)
        if self.equilibrium_constant is None:
            return reactions.MassAction(forward)
        constant = math.log(self.equilibrium_constant.value) + (orders[0] - orders[1]) * full
        return reactions.MassAction(forward, forward - constant)


def unit_mistake(reaction: Reaction, at_boundary: bool) -> str:
    """Return what is wrong with the units of rate constants, which are per volume or per area; empty if nothing."""
    for key, order in zip(("forward", "backward"), orders_of(reaction.stoichiometry), strict=True):
        given = getattr(reaction, key)
        if given is not None and given.unit:
            try:
                rate_constant(order, at_boundary).parse(given.text, "si")
            except PydanticCustomError as error:
                return f"{key}: {error.message()}"
    return ""
