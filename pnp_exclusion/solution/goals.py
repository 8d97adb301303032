"""What is to be accurate: the quantities that ``[solver] goal`` names, and what their errors are measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pnp_exclusion.case.goals import CURRENTS
from pnp_exclusion.discretisation.functionals import Functional
from pnp_exclusion.errors import CaseError
from pnp_exclusion.observe.forces import End
from pnp_exclusion.solution.steady_state import SteadyState

LEAST_CURRENT = 1e-3
"""Of what one kT would drive of a species: errors of smaller fluxes are relative to this."""
LEAST_CHARGE = 1e-3
"""Of the largest charge of any boundary: likewise."""


@dataclass(frozen=True)
class Goal:
    """A quantity that is to be accurate.

    name
        As in ``[solver] goal``; "currents.NAME" for what flows of a species from end to end.
    functional
        What it is of a state.
    least
        Dimensionless: errors of smaller values are relative to this.
    scale, unit
        Of its value in the units of the case.
    """

    name: str
    functional: Functional
    least: float
    scale: float
    unit: str


def goals_of(steady: SteadyState) -> list[Goal]:
    """Return the goals of a case, those that it names or its currents, or where nothing flows the charges of its
    electrodes.

    Collective. Raises `CaseError` if it names none and has none of these.
    """
    given = steady.setup.case.solver.goal
    named = [given] if isinstance(given, str) else given or []
    goals = _Goals(steady)
    found = [goal for name in named for goal in (goals.currents() if name == CURRENTS else [goals.named(name)])]
    if not named:
        flows = any(steady.totals.passes(name) for name in steady.discretisation.problem.quantities)
        found = (goals.currents() if flows else []) or goals.charges() or goals.currents()
    if not found:
        raise CaseError(
            steady.setup.case.path,
            ["[solver]: accuracy is of currents or of charges of electrodes, and this case has none; name a goal"],
        )
    return found


class _Goals:
    """Makes the goals of a steady state."""

    def __init__(self, steady: SteadyState) -> None:
        self._steady = steady
        self._problem = steady.discretisation.problem
        self._wheres = [boundary.where for boundary in self._problem.boundaries]
        scales, self._si = steady.setup.scales, steady.setup.scales.si
        self._flux, self._charge = scales.flux * steady.extent, scales.surface_charge * steady.extent
        self._current = scales.current * steady.extent

    def currents(self) -> list[Goal]:
        """Return what flows of all species, and with a temperature of energy, from end to end; nothing without ends."""
        ends = self._steady.ends
        return [] if ends is None else [self._through(name, ends) for name in self._problem.quantities]

    def charges(self) -> list[Goal]:
        """Return the charges of all boundaries at given potentials."""
        if not self._problem.coupled:
            return []
        held = [one.where for one in self._problem.boundaries if one.applied_potential is not None]
        return [self._charge_of(where) for where in held]

    def named(self, name: str) -> Goal:
        """Return the goal of a name, which was checked when the case was read."""
        kind, _, rest = name.partition(".")
        match kind:
            case "flux":
                where, _, species = rest.rpartition(".")
                weights = {(where, species): 1.0}
                return self._of_fluxes(name, weights, self._least([species]), self._flux, f"mol{self._per}/s")
            case "current":
                charges = dict(zip(self._problem.names, self._problem.charges.tolist(), strict=True))
                weights = {(rest, species): z for species, z in charges.items()}
                least = sum(abs(z) * self._least([species]) for species, z in charges.items())
                return self._of_fluxes(name, weights, least, self._current, f"A{self._per}")
            case "charge":
                return self._charge_of(rest)
        return self._amount_of(rest)

    @property
    def _per(self) -> str:
        return self._steady.per_extent

    def _least(self, species: Sequence[str]) -> float:
        return LEAST_CURRENT * sum(self._steady.one_way[name] for name in species)

    def _through(self, species: str, ends: tuple[End, End]) -> Goal:
        weights = {(ends[0].name, species): -0.5, (ends[1].name, species): 0.5}
        unit = f"mol{self._per}/s"
        return self._of_fluxes(f"{CURRENTS}.{species}", weights, self._least([species]), self._flux, unit)

    def _of_fluxes(
        self, name: str, weights: dict[tuple[str, str], float], least: float, scale: float, unit: str
    ) -> Goal:
        functional = Functional.none(self._steady.discretisation)
        for (where, species), weight in weights.items():
            functional.fluxes[self._wheres.index(where), self._problem.quantities.index(species)] = weight
        return Goal(name, functional, least, scale, unit if self._si else "")

    def _charge_of(self, where: str) -> Goal:
        functional = Functional.none(self._steady.discretisation)
        functional.charges[self._wheres.index(where)] = 1.0
        largest = max(map(abs, self._steady.totals.charge.values()), default=0.0)
        unit = f"C{self._per}" if self._si else ""
        return Goal(f"charge.{where}", functional, LEAST_CHARGE * largest, self._charge, unit)

    def _amount_of(self, species: str) -> Goal:
        functional, number = Functional.none(self._steady.discretisation), self._problem.names.index(species)
        functional.amounts[number] = 1.0
        setup = self._steady.setup
        scale = float(setup.scales.contents[number]) * setup.scales.length**setup.case.dimension_of_totals
        lacking = 3 - setup.case.dimension_of_totals
        return Goal(
            f"amount.{species}", functional, 0.0, scale, f"mol{('', '/m', '/m^2')[lacking]}" if self._si else ""
        )
