"""Reactions in the volume and at electrodes, whose rates vanish at equilibrium (docs/theory.md#reactions).

Dimensionless. A reaction turns reactants into products at the rate ``r``, per volume and time or per area and time:

    r = exp(x_f) - exp(x_b) ,    x_f = log k_f + sum_reactants n_a eta_a ,    x_b = log k_b + sum_products n_a eta_a

with the activities ``exp(eta_a)``, which are densities for point particles and ``rho_a/rho_0`` in a lattice gas. Since
``x_f - x_b`` is the affinity, the rate vanishes where the chemical potentials balance, under every law. At an electrode
``k_f`` and ``k_b`` depend on the drop of the potential from the metal to where the electrolyte begins (Frumkin); their
ratio is ``exp(-n (drop - E))``, ``n`` the electrons that the forward direction takes up, whatever the kinetics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pnp_exclusion.physics.expressions import Value, exp, log, maximum

LARGEST_EXPONENT = 300.0
"""Beyond it exponentials go on as straight lines, so that no iterate on the way to a solution overflows; no state has
such a rate."""
LEAST_DENSITY = 1e-300
"""Of which a logarithm is taken, with concentrations in the place of activities."""


class ReactingState(Protocol):
    """What a rate depends on: UFL expressions or arrays, at a point of the volume or of an electrode."""

    @property
    def rho(self) -> Mapping[str, Any]:
        """Density of every species."""
        ...

    @property
    def eta(self) -> Mapping[str, Any]:
        """Logarithm of the activity of every species."""
        ...

    @property
    def load_parameter(self) -> Any:
        """0..1 while the solver ramps driving forces up, 1 in the solution."""
        ...

    def number(self, value: float) -> Any:
        """Return a symbol for a number, so that another value compiles nothing anew."""
        ...


class Kinetics(Protocol):
    """How the two directions of a reaction depend on the drop of the potential at an electrode."""

    def directions(
        self, reactants: Value, products: Value, electrons: int, drop: Value, state: ReactingState
    ) -> tuple[Value, Value]:
        """Return the rates of the forward and of the backward direction.

        reactants, products
            ``sum n_a log a_a`` of either side.
        electrons
            That the forward direction takes from the metal, negative for those that it gives.
        drop
            Potential of the metal less that where the electrolyte begins, kT/e; None in the volume.
        """
        ...


@dataclass(frozen=True)
class MassAction(Kinetics):
    """Rates that do not depend on a potential.

    log_forward, log_backward
        Of ``k_f`` and ``k_b``; None for a backward direction that there is not.
    log_least
        Of the product of activities at which a reaction without one stops, far below what counts: logarithms of
        densities, which the unknowns are, would fall without an end where it takes all.
    """

    log_forward: float
    log_backward: float | None = None
    log_least: float = -LARGEST_EXPONENT

    def directions(
        self, reactants: Value, products: Value, electrons: int, drop: Value, state: ReactingState
    ) -> tuple[Value, Value]:
        """Return the rates of the forward and of the backward direction."""
        log_forward = state.number(self.log_forward)
        forth = bounded_exp(log_forward + reactants)
        if self.log_backward is None:
            return forth, exp(log_forward + state.number(self.log_least))
        return forth, bounded_exp(state.number(self.log_backward) + products)


@dataclass(frozen=True)
class ButlerVolmer(Kinetics):
    """``k_f = k exp(-alpha n (drop - E))``, ``k_b = k' exp((1 - alpha) n (drop - E))`` for a reduction.

    log_forward, log_backward
        Of the two where the drop is ``potential``.
    potential
        ``E``, kT/e.
    alpha
        Transfer coefficient of the reduction, whichever direction that is.
    """

    log_forward: float
    log_backward: float
    potential: float
    alpha: float = 0.5

    def directions(
        self, reactants: Value, products: Value, electrons: int, drop: Value, state: ReactingState
    ) -> tuple[Value, Value]:
        """Return the rates of the forward and of the backward direction."""
        work = electrons * (drop - state.load_parameter * state.number(self.potential))
        alpha = state.number(self.alpha)
        share = alpha if electrons > 0 else 1.0 - alpha
        forth = bounded_exp(state.number(self.log_forward) + reactants - share * work)
        return forth, bounded_exp(state.number(self.log_backward) + products + (1.0 - share) * work)


@dataclass(frozen=True)
class Marcus(Kinetics):
    """``k_f = k exp(-(w^2/(4 l) + w/2))``, ``k_b = k exp(-(w^2/(4 l) - w/2))``, ``w = n (drop - E)``.

    The exponential form of Marcus' rates, ``exp(-(l + w)^2/(4 l))`` and ``exp(-(l - w)^2/(4 l))`` but for a constant
    (Marcus, J. Chem. Phys. 43, 679 (1965)), with an inverted region beyond ``|w| = l``.

    log_forward, log_backward
        Of the two where the drop is ``potential``.
    potential
        The formal potential, kT/e.
    reorganisation
        ``l``, kT.
    """

    log_forward: float
    log_backward: float
    potential: float
    reorganisation: float

    def directions(
        self, reactants: Value, products: Value, electrons: int, drop: Value, state: ReactingState
    ) -> tuple[Value, Value]:
        """Return the rates of the forward and of the backward direction."""
        work = electrons * (drop - state.load_parameter * state.number(self.potential))
        barrier = work * work / (4.0 * state.number(self.reorganisation))
        forth = bounded_exp(state.number(self.log_forward) + reactants - barrier - 0.5 * work)
        return forth, bounded_exp(state.number(self.log_backward) + products - barrier + 0.5 * work)


@dataclass(frozen=True)
class Linear(Kinetics):
    """The rate is proportional to the affinity, as near equilibrium.

    exchange
        The rate of either direction at equilibrium.
    log_ratio
        ``log(k_f/k_b)`` where the drop is ``potential``.
    potential
        kT/e.
    """

    exchange: float
    log_ratio: float
    potential: float

    def directions(
        self, reactants: Value, products: Value, electrons: int, drop: Value, state: ReactingState
    ) -> tuple[Value, Value]:
        """Return the rates of the forward and of the backward direction."""
        work = electrons * (drop - state.load_parameter * state.number(self.potential))
        return state.number(self.exchange) * (state.number(self.log_ratio) + reactants - products - work), 0.0


@dataclass(frozen=True)
class Reaction:
    """A reaction.

    name
        In results.
    reactants, products
        How many particles of each species.
    kinetics
        Its rate.
    electrons
        That the forward direction takes from the metal, negative for those that it gives.
    boundary
        At which it happens; None for the volume.
    cells
        ``(cells,)`` of this rank, ghosts included: 1 where it happens, 0 elsewhere; None for the whole volume.
    activities
        Whether rates follow activities, or concentrations, which agree for point particles only.
    """

    name: str
    reactants: Mapping[str, int]
    products: Mapping[str, int]
    kinetics: Kinetics
    electrons: int = 0
    boundary: str | None = None
    cells: np.ndarray | None = None
    activities: bool = True

    @property
    def species(self) -> list[str]:
        """Names of what takes part, each once."""
        return list(dict.fromkeys([*self.reactants, *self.products]))

    def change(self, species: str) -> int:
        """Return how many particles of a species one event makes."""
        return self.products.get(species, 0) - self.reactants.get(species, 0)

    def rate(self, state: ReactingState, drop: Value = None) -> Value:
        """Return the rate, forward less backward."""
        forth, back = self.directions(state, drop)
        return forth - back

    def directions(self, state: ReactingState, drop: Value = None) -> tuple[Value, Value]:
        """Return the rates of the two directions; of linear kinetics their difference, and 0."""
        reactants, products = (self._log_activity(side, state) for side in (self.reactants, self.products))
        return self.kinetics.directions(reactants, products, self.electrons, drop, state)

    def affinity(self, mu: Mapping[str, Value]) -> Value:
        """Return ``-sum nu_a mu_a``: what the free energy of the species falls by in one event."""
        return -sum(self.change(name) * mu[name] for name in self.species)

    def _log_activity(self, side: Mapping[str, int], state: ReactingState) -> Value:
        if self.activities:
            return sum(count * state.eta[name] for name, count in side.items())
        return sum(count * log(maximum(state.rho[name], LEAST_DENSITY)) for name, count in side.items())


def bounded_exp(exponent: Value) -> Value:
    """Return the exponential, which goes on as a straight line beyond `LARGEST_EXPONENT`."""
    excess = maximum(exponent - LARGEST_EXPONENT, 0.0)
    return exp(exponent - excess) * (1.0 + excess)
