"""From the case of a gas to the gas, and the units of its results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnp_exclusion.case.gas_case import GasCase
from pnp_exclusion.case.gas_tables import ENERGY, SIDES, KindTable, ReservoirTable
from pnp_exclusion.case.quantities import BOLTZMANN
from pnp_exclusion.errors import CaseError
from pnp_exclusion.particles.gas.model import Gas, Kind, Reservoir, potential_of

PLANCK = 6.62607015e-34
"""J s, exact (SI 2019)."""
DEFAULT_CROSSINGS = 1000.0
"""Time that a replica measures, in times that the slowest kind takes to cross the gas."""
MOST_PARTICLES = 10_000_000

Unit = tuple[float, str]
"""What a number of a gas is multiplied by, and the name of the unit that it then has."""


@dataclass(frozen=True)
class GasUnits:
    """Of results: SI, in which a gas is computed but for temperatures in energies, or none."""

    si: bool

    def _unit(self, name: str, factor: float = 1.0) -> Unit:
        return (factor, name) if self.si else (1.0, "")

    @property
    def length(self) -> Unit:
        """Of positions."""
        return self._unit("m")

    @property
    def time(self) -> Unit:
        """Of times."""
        return self._unit("s")

    @property
    def density(self) -> Unit:
        """Particles by length."""
        return self._unit("1/m")

    @property
    def temperature(self) -> Unit:
        """Of temperatures."""
        return self._unit("K", 1.0 / BOLTZMANN)

    @property
    def energy(self) -> Unit:
        """Of barriers and potentials."""
        return self._unit("J")

    @property
    def entropy_production(self) -> Unit:
        """Entropy by time."""
        return self._unit("W/K", BOLTZMANN)

    @property
    def seebeck(self) -> Unit:
        """Of a particle, not of a charge."""
        return self._unit("J/K", BOLTZMANN)

    @property
    def conductivity(self) -> Unit:
        """On a line."""
        return self._unit("W m/K", BOLTZMANN)

    def current(self, name: str) -> Unit:
        """Of particles of a kind, or of energy."""
        return self._unit("W" if name == ENERGY else "1/s")

    def force(self, name: str) -> Unit:
        """On particles of a kind, or on energy."""
        return self._unit("1/J" if name == ENERGY else "")

    def coefficient(self, current: str, force: str) -> Unit:
        """Of an entry of Onsager's matrix."""
        return self._unit("m" + " J" * ((current == ENERGY) + (force == ENERGY)) + "/s")


def gas_of(case: GasCase) -> Gas:
    """Return the gas of a case; `CaseError` if it has no particles, or more than can be held."""
    boltzmann, planck = (BOLTZMANN, PLANCK) if case.si else (1.0, case.gas.planck or 1.0)
    names = [kind.name for kind in case.kinds]
    barriers, losses = (np.zeros((len(names), len(names))) for _ in range(2))
    for pair in case.pairs:
        a, b = (names.index(name) for name in pair.kinds)
        height = (pair.barrier.value if pair.barrier else 0.0) if pair.passes else np.inf
        barriers[a, b] = barriers[b, a] = height
        losses[a, b] = losses[b, a] = pair.loss

    def reservoir(table: ReservoirTable) -> Reservoir:
        temperature = boltzmann * table.temperature.value
        return Reservoir(
            temperature,
            tuple(
                table.potential[kind.name].value / temperature
                if kind.name in table.potential
                else potential_of(table.density[kind.name].value, kind.mass.value, temperature, planck)
                for kind in case.kinds
                if kind.is_open
            ),
        )

    kinds = tuple(Kind(k.name, k.mass.value, _number(case, k), k.bias.value if k.bias else 0.0) for k in case.kinds)
    left, right = (reservoir(case.reservoirs[side]) for side in SIDES)
    try:
        gas = Gas(case.gas.length.value, kinds, left, right, barriers, losses, planck)
    except ValueError as error:
        raise CaseError(case.path, [f"[gas]: {error}"]) from None
    if case.gas.forces:
        order = [*(kind.name for kind in case.kinds if kind.is_open), ENERGY]
        units = [1.0] * (len(order) - 1) + [1.0 / gas.mean_temperature]
        gas = gas.under([case.gas.forces.get(name, 0.0) * unit for name, unit in zip(order, units, strict=True)])
    with np.errstate(over="ignore"):
        particles = float(np.sum(gas.mean_densities) * gas.length)
    if not particles < MOST_PARTICLES:
        raise CaseError(case.path, [f"[gas]: it would hold {particles:.3g} particles; the most is {MOST_PARTICLES}"])
    if particles < 1.0:
        raise CaseError(
            case.path, [f"[gas]: it holds {particles:.3g} particles on average, too few for a gas; make it longer"]
        )
    return gas


def _number(case: GasCase, kind: KindTable) -> int | None:
    """Of the particles of a closed kind; no more than a little beyond the most that can be held."""
    if kind.density is not None:
        return round(min(kind.density.value * case.gas.length.value, 2.0 * MOST_PARTICLES))
    return kind.number


def time_of(case: GasCase, gas: Gas, given: float | None = None) -> float:
    """Return the time that a replica measures: as given in the case's unit, as written in the case, or enough."""
    if given is not None:
        return given
    return case.gas.time.value if case.gas.time else DEFAULT_CROSSINGS * gas.crossing_time
