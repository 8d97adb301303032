"""Why a case that was not solved has no solution, or none that numbers can hold: sentences with the number.

They are told after a failure, not before: limits are taken from below, and what is solved needs no reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pnp_exclusion.case.boundary_tables import Contents
from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.layers import FINEST_LAYER, thinnest_layers
from pnp_exclusion.case.quantities import Quantity
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.solver.constant_potentials import Shortfall
from pnp_exclusion.solver.steady import SteadyReport

LARGEST_VOLTAGE = 100.0
"""kT/e across a layer of what walls are taken to hold: there is no path to more from the states that are solved."""
BEGINNING = "no solution: "


def limits(setup: Setup, report: SteadyReport) -> list[str]:
    """Return a sentence for every limit that a case is beyond, if its solve has failed."""
    sentences = [*_closed_charge(setup), *_layers_of_points(setup), *_shortfall(report.shortfall)]
    return [BEGINNING + sentence for sentence in sentences] + [*_carried_fluxes(setup, report)]


def _closed_charge(setup: Setup) -> Iterator[str]:
    """Charge that cannot leave an interval: packed at both ends, as near to its image charges as it gets, the least
    voltage that it makes is ``Q^2/(8 z lambda^2)``.

    A species that one boundary holds brings as much of its own charge as there is room for, and no more.
    """
    problem = setup.problem
    if problem.domain.dimension > 1 or problem.debye_length is None or not problem.law.crowded:
        return
    if not problem.conserved or any(species.volume != 1.0 for species in problem.species):
        return
    means = {species.name: species.mean_fraction or 0.0 for species in problem.species}
    charge = sum(species.charge * means[species.name] for species in problem.species) + _mean_fixed(problem)
    brought = [species.charge for species in problem.species if species.name not in problem.conserved]
    room = 1.0 - sum(means.values())
    most = max([0.0, *(-z * math.copysign(room, charge) for z in brought)])
    charge -= math.copysign(min(most, abs(charge)), charge)
    of_sign = [abs(species.charge) for species in problem.species if species.charge * charge > 0.0]
    if not of_sign:
        return
    voltage = charge**2 / (8.0 * max(of_sign) * problem.debye_length**2)
    if voltage > LARGEST_VOLTAGE:
        least = "at least " if brought else ""
        yield (
            f"closed species and fixed charge leave a mean charge of {least}{charge:.3g} e a site, which even if it is "
            f"packed at the two ends makes {voltage:.3g} kT/e, more than can be computed with; balance it"
        )


def _mean_fixed(problem: Problem) -> float:
    lengths = problem.domain.mesh.h(1, np.arange(problem.domain.local_cells, dtype=np.int32))
    owned = problem.domain.mesh.topology.index_map(1).size_local
    total = problem.domain.comm.allreduce(float(problem.fixed_charge[:owned] @ lengths[:owned]))
    low, high = problem.domain.bounding_box()
    return total / float(high[0] - low[0])


def _layers_of_points(setup: Setup) -> Iterator[str]:
    """Point ions at a blocking boundary, in a layer that is thinner than differences of coordinates."""
    problem = setup.problem
    if not problem.coupled or problem.law.crowded:
        return
    low, high = problem.domain.bounding_box()
    extent = float((high - low).max())
    for where, thickness in thinnest_layers(setup.case, setup.scales).items():
        if thickness < FINEST_LAYER * extent:
            yield (
                f'point ions at "{where}" would pile up in a layer of {thickness / extent:.2g} of the domain, less '
                f"than the {FINEST_LAYER:g} that a mesh can hold; use a crowded law, or a lower potential"
            )


def _shortfall(found: Shortfall | None) -> Iterator[str]:
    if found is not None:
        yield (
            f'at "{found.where}" there is at most {found.most:.3g} of {found.species}, however much of it the domain '
            f"holds beside these potentials and amounts; {found.given:.3g} is given"
        )


def _carried_fluxes(setup: Setup, report: SteadyReport) -> Iterator[str]:
    """Return a sentence for every flux and current that a case gives, if its solve has failed: its limits.

    Fluxes have been raised with everything else as it is given, currents together with all other driving forces.
    """
    boundaries = setup.case.boundaries
    if report.not_carried <= 1.0:
        fluxes = [(name, b.where, flux) for b in boundaries for name, flux in b.fluxes.items()]
        for name, where, flux in fluxes:
            yield from _carried(f"flux of {name}", where, flux, report.carried, report.not_carried)
    if 0.0 < report.load_parameter < report.failed_load_parameter <= 1.0:
        currents = [(b.where, b.total_current) for b in boundaries if isinstance(b, Contents)]
        for where, current in currents:
            if current is not None:
                reached, failed = report.load_parameter, report.failed_load_parameter
                yield from _carried("electric current", where, current, reached, failed)


def _carried(what: str, where: str, given: Quantity, reached: float, failed: float) -> Iterator[str]:
    if given.number:
        most, beyond = (f"{share * given.number:.5g}" for share in (reached, failed))
        none = "beyond that" if beyond == most else f"at {beyond}"
        yield (
            f'the {what} through "{where}" can be carried up to {most} of the {given.text} given; '
            f"{none} no steady state was found"
        )
