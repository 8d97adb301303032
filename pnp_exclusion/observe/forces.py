"""Thermodynamic forces between two ends of the domain, and the regime of every species (docs/theory.md#regimes)."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation, NodalValues
from pnp_exclusion.discretisation.layout import INVERSE_TEMPERATURE, POTENTIAL
from pnp_exclusion.physics.energy import ENERGY

NO_CURRENT = 1e-9
"""Of the one-way flux: a current below it is none."""
SAME = 1e-12
"""Relative: two reservoirs hold the same density, or the same potential, within this."""
REGIMES = {
    "none": "no flux that can be told from rounding",
    "inverse": "against its own driving force, which that of another species overcomes",
    "drift": "between equal concentrations, by the field",
    "fickian": "down its own concentration gradient",
    "uphill-steric": "up its own concentration gradient, by crowding: there is no field",
    "uphill-field": "up its own concentration gradient, in a field",
    "uphill-thermal": "up its own concentration gradient, between unlike temperatures",
}
"""What the label of a species' flux says; docs/theory.md#regimes has the order in which they are tried."""


@dataclass(frozen=True)
class End:
    """Averages over the nodes of one boundary.

    rho
        Densities of everything that is conserved.
    mu
        ``mu_a`` minus the work of imposed fields (kT), and ``-1/T`` for energy: what falls along a force. NaN for a
        species of which there can be none at the end.
    temperature
        None under a law without one.
    """

    name: str
    rho: dict[str, float]
    mu: dict[str, float]
    potential: float
    temperature: float | None = None

    def level(self, quantity: str) -> float:
        """Return what a current of a quantity runs down if nothing else drives it: its density, or the temperature."""
        return self.temperature if quantity == ENERGY and self.temperature is not None else self.rho[quantity]


def ends_of(discrete: Discretisation, nodal: NodalValues) -> tuple[End, End] | None:
    """Return the two ends between which the species flow, or None if there are not just two; collective.

    nodal
        Of the solution in the unknown.
    """
    tags = end_tags(discrete)
    return None if tags is None else (_end(discrete, nodal, tags[0]), _end(discrete, nodal, tags[1]))


def end_tags(discrete: Discretisation) -> tuple[int, int] | None:
    """Return the numbers of the two boundaries between which the species flow, or None; collective.

    In one dimension the two ends of the interval, from left to right; otherwise the two boundaries that supply species,
    in the case's order.
    """
    problem = discrete.problem
    if problem.domain.dimension == 1:
        tags = discrete.forms.kept(
            "boundaries from left to right",
            lambda: sorted(
                (tag for tag, boundary in enumerate(problem.boundaries) if not boundary.inside),
                key=lambda tag: _position(discrete, tag),
            ),
        )
    else:
        tags = [tag for tag, b in enumerate(problem.boundaries) if any(b.supplies(name) for name in problem.names)]
    return (tags[0], tags[1]) if len(tags) == 2 else None


def _position(discrete: Discretisation, tag: int) -> float:
    nodes = discrete.constraints.own_nodes(tag, discrete.layout.names[0])
    x = discrete.space.tabulate_dof_coordinates()[nodes, 0]
    return float(discrete.problem.domain.comm.allreduce(x.max(initial=-np.inf), op=MPI.MAX))


def forces(ends: tuple[End, End]) -> dict[str, float]:
    """Return ``F_a = int E_a dx - [mu_a(second) - mu_a(first)]`` in kT; on energy ``1/T(second) - 1/T(first)``."""
    first, second = ends
    return {name: first.mu[name] - second.mu[name] for name in first.mu}


def regimes(ends: tuple[End, End], currents: dict[str, float], none: dict[str, float], driven: str) -> dict[str, str]:
    """Label every species by the first regime that fits.

    currents
        From the first end to the second.
    none
        The current of every species up to which it counts as none.
    driven
        The label of what runs uphill because it is driven, see `driven_uphill`; empty if nothing but crowding does.
    """
    first, second = ends
    force = forces(ends)
    return {
        name: _regime(current, force[name], first.level(name), second.level(name), none[name], driven)
        for name, current in currents.items()
    }


def _regime(current: float, force: float, first: float, second: float, none: float, driven: str) -> str:
    rise = second - first
    if abs(current) <= none:
        return "none"
    if current * force < 0.0:
        return "inverse"
    if abs(rise) <= SAME * max(first, second):
        return "drift"
    if current * rise < 0.0:
        return "fickian"
    return driven or "uphill-steric"


def driven_uphill(discrete: Discretisation, ends: tuple[End, End]) -> str:
    """Return the label of uphill transport where an imposed field acts or the ends differ in potential or temperature.

    Empty where neither is so.
    """
    problem = discrete.problem
    if problem.coupled and abs(ends[0].potential - ends[1].potential) > SAME:
        return "uphill-field"
    if not problem.coupled and any(field.largest > 0.0 for field in problem.fields.values()):
        return "uphill-field"
    first, second = (end.temperature for end in ends)
    if first is not None and second is not None and abs(first - second) > SAME * first:
        return "uphill-thermal"
    return ""


def _end(discrete: Discretisation, nodal: NodalValues, tag: int) -> End:
    problem = discrete.problem
    load_parameter = float(discrete.parameters.load_parameter.value)
    values = discrete.layout.at_nodes(discrete.values)
    positions = discrete.forms.kept("positions of nodes", discrete.space.tabulate_dof_coordinates)
    # work along a periodic axis depends on the way, not on the end
    positions[:, list(problem.domain.periodic)] = 0.0
    # sums of density, mu without the work of fields and phi, each with the number of nodes that it is over
    sums = np.zeros((2 * len(problem.quantities) + 1, 2))
    for a, (name, unknown) in enumerate(zip(problem.quantities, discrete.entropic, strict=True)):
        nodes = discrete.constraints.own_nodes(tag, unknown)
        if unknown in discrete.constraints.absent:
            nodes = nodes[~discrete.is_absent[nodes, a]]
        field = problem.fields.get(name)
        work = load_parameter * field.work(positions[nodes].T) if field else 0.0
        level = -values[nodes, discrete.layout.index(unknown)] if name == ENERGY else nodal.mu[a, nodes] - work
        sums[2 * a] = nodal.contents[a, nodes].sum(), len(nodes)
        sums[2 * a + 1] = level.sum(), len(nodes)
    if nodal.potential is not None:
        nodes = discrete.constraints.own_nodes(tag, POTENTIAL)
        sums[-1] = nodal.potential[nodes].sum(), len(nodes)
    problem.domain.comm.Allreduce(MPI.IN_PLACE, sums, op=MPI.SUM)
    means = sums[:, 0] / np.maximum(sums[:, 1], 1.0)
    # a species of which there can be none at an end has no potential there
    levels = means[1:-1:2]
    levels[sums[1:-1:2, 1] == 0.0] = np.nan
    means = means.tolist()
    held = problem.boundaries[tag].dirichlet_fractions
    densities = {name: held.get(name, mean) for name, mean in zip(problem.quantities, means[:-1:2], strict=True)}
    mu = dict(zip(problem.quantities, means[1:-1:2], strict=True))
    temperature = -1.0 / mu[ENERGY] if INVERSE_TEMPERATURE in discrete.layout else None
    return End(problem.boundaries[tag].where, densities, mu, means[-1], temperature)
