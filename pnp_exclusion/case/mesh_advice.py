"""What the user should know about a mesh file that can be solved on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from dolfinx import mesh as dmesh

from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.mesh_checks import (
    JOIN,
    MOST_SHOWN,
    facets_in_words,
    inner_facets,
    listed_conditions,
    part_in_words,
    place_in_words,
    shared_facets,
)


def mesh_advice(setup: Setup) -> Iterator[str]:
    """Yield a sentence for everything in a mesh file that may be other than it seems; collective."""
    if setup.problem.domain.grid is None:
        yield from _parts(setup)
        yield from _seams(setup)
        yield from _inside(setup)
        yield from _shared(setup)


def _parts(setup: Setup) -> Iterator[str]:
    domain = setup.problem.domain
    count = domain.parts.count
    if count > 1:
        shown = ", ".join(part_in_words(domain, setup.scales, number) for number in range(min(count, MOST_SHOWN)))
        more = f" and {count - MOST_SHOWN} more" if count > MOST_SHOWN else ""
        yield (
            f"the mesh is in {count} parts that share no facets, so nothing flows from one to another: {shown}{more}. "
            f"If they are meant to be joined, {JOIN}"
        )


def _seams(setup: Setup) -> Iterator[str]:
    """Borders at which cells touch without sharing facets, but for those on which the case gives a condition."""
    domain, seams = setup.problem.domain, setup.problem.domain.seams
    given = [domain.boundary_facets[condition.where] for condition in listed_conditions(setup.case, setup.problem)]
    open_ = ~np.isin(seams.facets, np.concatenate([*given, np.empty(0, dtype=np.int32)]))
    sides = np.sort(np.column_stack([seams.own, seams.beyond]), axis=1)
    middles = dmesh.compute_midpoints(domain.mesh, domain.dimension - 1, seams.facets)[:, : domain.dimension]
    names = [*(f'"{name}"' for name in domain.region_cells), "cells of no group"]
    for pair in sorted({tuple(pair) for found in domain.comm.allgather(sides[open_].tolist()) for pair in found}):
        at = open_ & (sides == pair).all(axis=1)
        count = facets_in_words(domain.comm.allreduce(int(at.sum())))
        where = place_in_words(domain.comm, setup.scales, middles[at])
        first, second = (names[number] for number in pair)
        between = f"within {first}" if first == second else f"between {first} and {second}"
        yield (
            f"{between} {count} belong to one cell only although another touches there, {where} (a border that is "
            "there twice, or nodes that one side lacks): nothing flows across, as through a wall. If that is not "
            f"meant, {JOIN}; if it is, list the groups of both sides among the boundaries"
        )


def _inside(setup: Setup) -> Iterator[str]:
    for condition in listed_conditions(setup.case, setup.problem):
        if not condition.inside and (inside := inner_facets(setup.problem.domain, condition.where)):
            yield (
                f'boundary "{condition.where}": {facets_in_words(inside)} of it have cells on both sides; what it '
                "gives is held there, but it blocks nothing: species pass through, and its flux and charge are those "
                "of both sides together"
            )


def _shared(setup: Setup) -> Iterator[str]:
    for first, second, count in shared_facets(setup.problem.domain, listed_conditions(setup.case, setup.problem)):
        yield (
            f'boundaries "{first.where}" and "{second.where}" share {facets_in_words(count)} and give the same there; '
            f'the currents and charges on these are counted with "{first.where}"'
        )
