"""What reactions turn over in a solution, and the free energy that they take. Dimensionless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl

from pnp_exclusion.discretisation.discretisation import Discretisation


@dataclass(frozen=True)
class Turnover:
    """Of one reaction.

    rate
        Events per time over the volume or the boundary where it happens, forward less backward.
    current
        Electric current out of the electrolyte, into the metal, that its events carry; 0 without electrons.
    """

    rate: float
    current: float


@dataclass(frozen=True)
class Production:
    """Of one species, by all reactions in the volume.

    net
        Made less taken.
    gross
        Made and taken, each place and reaction for itself.
    one_way
        The same of the forward and backward directions, each for itself: what rounding is a share of.
    """

    net: float
    gross: float
    one_way: float


NO_PRODUCTION = Production(0.0, 0.0, 0.0)


def turnovers(discrete: Discretisation) -> dict[str, Turnover]:
    """Return the turnover of every reaction, by its name; collective."""
    problem = discrete.problem
    in_volume = iter(_volume_integrals(discrete)[0].tolist())
    found = {}
    for number, reaction in enumerate(problem.reactions):
        rate = next(in_volume) if reaction.boundary is None else _at_boundary(discrete, number)
        found[reaction.name] = Turnover(rate, reaction.electrons * rate)
    return found


def production_of(discrete: Discretisation) -> dict[str, Production]:
    """Return what reactions in the volume make of every species that they change; collective."""
    reactions = [one for one in discrete.problem.reactions if one.boundary is None]
    changes = {name: np.array([one.change(name) for one in reactions]) for name in discrete.problem.names}
    integrals = _volume_integrals(discrete)
    return {
        name: Production(float(integrals[0] @ change), *(float(sizes @ np.abs(change)) for sizes in integrals[1:]))
        for name, change in changes.items()
        if change.any()
    }


def _volume_integrals(discrete: Discretisation) -> np.ndarray:
    """Return the integrals of the rates of all reactions in the volume, of their sizes, and of both directions'."""
    numbers = [number for number, one in enumerate(discrete.problem.reactions) if one.boundary is None]
    if not numbers:
        return np.zeros((3, 0))

    def integrands() -> list[Any]:
        directions = [discrete.weak_form.volume_directions(number) for number in numbers]
        rates = [forth - back for forth, back in directions]
        return [*rates, *(abs(rate) for rate in rates), *(forth + back for forth, back in directions)]

    return discrete.forms.integrals("turnover of reactions", integrands).reshape(3, -1)


def _at_boundary(discrete: Discretisation, number: int) -> float:
    where = discrete.problem.reactions[number].boundary
    tag = next(tag for tag, one in enumerate(discrete.problem.boundaries) if one.where == where)
    form = discrete.forms.kept(
        f"turnover of reaction {number}",
        lambda: discrete.integration.form(discrete.weak_form.electrode_rate(number) * discrete.integration.ds(tag)),
    )
    return discrete.forms.total(form)


def released_free_energy(discrete: Discretisation) -> float:
    """Return ``int sum r (-sum nu_a mu_a)`` over the volume: what reactions take of the species' free energy, but for
    that at unit activities; collective."""
    numbers = [number for number, one in enumerate(discrete.problem.reactions) if one.boundary is None]
    if not numbers:
        return 0.0
    mu = discrete.fields.mu

    def integrands() -> list[Any]:
        reactions = discrete.problem.reactions
        # one more, as a vector of one component is no vector to UFL's forms
        taken = [discrete.weak_form.volume_rate(number) * reactions[number].affinity(mu) for number in numbers]
        return [sum(taken), ufl.as_ufl(0.0)]

    return float(discrete.forms.integrals("free energy that reactions release", integrands)[0])
