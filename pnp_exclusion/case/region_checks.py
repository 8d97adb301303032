"""What a case asks of regions that some species do not enter, or have another energy in: that what boundaries give
reaches the particles, and that nothing is left to itself."""

from __future__ import annotations

from collections.abc import Iterator

from mpi4py import MPI

import numpy as np

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.mesh_checks import MOST_SHOWN, listed_conditions, part_in_words
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.parts import connected_parts
from pnp_exclusion.mesh.sizes import cells_at
from pnp_exclusion.physics.boundaries import BoundaryCondition, PrescribedFlux, RegulatedWall
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.physics.reactions import Reaction

_APART = "put solution between, or give that part of the boundary a name of its own"


def require_usable_regions(case: Case, scales: Scales, problem: Problem) -> None:
    """Raise `CaseError` on every rank if the regions do not go with the rest of a case; collective."""
    mistakes = list(_reactions_out_of_reach(case, problem))
    for species in problem.partition:
        excluded = problem.excludes(species)
        if problem.domain.comm.allreduce(bool(excluded.all()), op=MPI.LAND):
            mistakes.append(f'[[regions]]: "{species}" is kept out of the whole domain; leave it out of the case')
            continue
        found = list(_boundaries_out_of_reach(case, problem, species))
        mistakes += found or _parts_left_to_themselves(problem, scales, species)
    if mistakes:
        raise CaseError(case.path, mistakes)


def _boundaries_out_of_reach(case: Case, problem: Problem, species: str) -> Iterator[str]:
    """Boundaries that give a species where it does not enter, or what only those outside of a region can be given."""
    comm = problem.domain.comm
    for condition in listed_conditions(case, problem):
        _, cells = cells_at(problem.domain, problem.domain.boundary_facets[condition.where])
        energies = problem.partition[species][cells]
        shut = comm.allreduce(bool(np.isposinf(energies).all()), op=MPI.LAND)
        barred, changed = (
            comm.allreduce(bool(flags.any()), op=MPI.LOR) for flags in (np.isposinf(energies), energies != 0.0)
        )
        where = f'[[boundaries]] "{condition.where}"'
        if shut and species in {**condition.dirichlet_fractions, **condition.exchanged_fractions}:
            yield (
                f'{where}: it lies at a region that "{species}" does not enter, so that it supplies none; let solution '
                "reach it, or make it an electrode without a concentration"
            )
        elif barred and isinstance(condition, PrescribedFlux) and condition.fluxes.get(species):
            yield f'{where}: it gives a flux of "{species}" also beside a region that it does not enter; {_APART}'
        elif changed and (what := _given_by_density(condition, problem, species)):
            yield (
                f'{where}: {what} "{species}" is for a solution beside it, but there is a region that it does not '
                f"enter, or where it has a partition energy; {_APART}"
            )


def _reactions_out_of_reach(case: Case, problem: Problem) -> Iterator[str]:
    """Reactions in regions, and at boundaries, that some species of theirs does not reach."""
    domain = problem.domain
    for table, reaction in zip(case.reactions, problem.reactions, strict=True):
        if table.where is None:
            continue
        happens = _where(problem, reaction)
        for species in reaction.species:
            if domain.comm.allreduce(bool((happens & problem.excludes(species)).any()), op=MPI.LOR):
                yield (
                    f'[[reactions]] "{table.title}": "{table.where}" lies at or in a region that "{species}" does not '
                    "enter, so that it cannot react there; name another place"
                )
                break


def _given_by_density(condition: BoundaryCondition, problem: Problem, species: str) -> str:
    """Return what a condition makes of the density of a species beside it, not of its electrochemical potential."""
    if species in condition.exchanged_fractions:
        return "the rate of exchange of"
    if isinstance(condition, RegulatedWall) and condition.protons == species:
        return "the regulation by"
    weakly = [(problem.boundaries[tag].where, name) for tag, name, _ in weakly_imposed(problem)]
    return "the concentration of" if (condition.where, species) in weakly else ""


def _where(problem: Problem, reaction: Reaction) -> np.ndarray:
    """Return in which local cells ``(cells,)``, or at which, a reaction happens."""
    domain = problem.domain
    found = np.ones(domain.local_cells, dtype=bool)
    if reaction.boundary is not None:
        found[:] = False
        found[cells_at(domain, domain.boundary_facets[reaction.boundary])[1]] = True
    elif reaction.cells is not None:
        found = reaction.cells > 0.0
    return found


def _parts_left_to_themselves(problem: Problem, scales: Scales, species: str) -> Iterator[str]:
    """Parts of the domain between which a species cannot pass, and that nothing supplies."""
    domain = problem.domain
    inside = ~problem.excludes(species)
    parts = connected_parts(domain.mesh, inside)
    cut = f'the regions that "{species}" does not enter leave it {parts.count} parts of the domain'
    if any(species in combination for combination in problem.combinations):
        if parts.count > 1:
            yield f"{cut}, and its mean does not say how much is in each; let a reservoir hold it in every part"
        return
    supplied = np.zeros(parts.count, dtype=np.int32)
    for boundary in problem.boundaries:
        if boundary.supplies(species):
            _, cells = cells_at(domain, domain.boundary_facets[boundary.where])
            supplied[parts.of_cells[cells[inside[cells]]]] = 1
    for reaction in problem.reactions:
        if reaction.change(species):
            supplied[parts.of_cells[_where(problem, reaction) & inside]] = 1
    domain.comm.Allreduce(MPI.IN_PLACE, supplied, op=MPI.MAX)
    wanting = np.flatnonzero(supplied == 0)
    for number in wanting[:MOST_SHOWN]:
        yield (
            f"{cut}, and {part_in_words(domain, scales, int(number), parts)} touches no boundary that holds "
            f'"{species}" or exchanges it, so that nothing says how much of it is there: let one reach it, or keep '
            f'"{species}" out of that part too'
        )
    if len(wanting) > MOST_SHOWN:
        yield f"{len(wanting) - MOST_SHOWN} more parts are like this"
