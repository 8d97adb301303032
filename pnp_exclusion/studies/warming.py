"""Compiling the forms of cases into DOLFINx's cache before they are needed: a cluster job then compiles nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from mpi4py import MPI

from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import Case, make_case
from pnp_exclusion.case.domain_tables import GivenMesh, Gmsh
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.observe import flux_parts, sample
from pnp_exclusion.physics.laws import OF_IONS
from pnp_exclusion.runtime.compilation import cache_folder
from pnp_exclusion.runtime.parallel import on_rank_zero
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solver.assembly.assembly import BatchedAssembly
from pnp_exclusion.solver.assembly.vectorise import NoKernel
from pnp_exclusion.solver.linear.levels import degrees_below
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SteadySolver

SHAPES: dict[int, dict[str, Any]] = {
    1: {"shape": "interval", "length": 1.0},
    2: {"shape": "rectangle", "size": [1.0, 1.0]},
    3: {"shape": "box", "size": [1.0, 1.0, 1.0]},
}
"""By dimension."""
DEGREES = (1, 2)


def libraries() -> set[str]:
    """Return the names of the compiled forms in the cache."""
    return {path.name for path in cache_folder().rglob("*.so")}


def standard_case(law: str, dimension: int, degree: int) -> Case:
    """Return a case of two species between reservoirs with Poisson's equation."""
    ends = (("left", 0.3, 1.0), ("right", 0.1, 0.0))
    return make_case(
        {
            "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": 1.0},
            "species": [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}],
            "domain": SHAPES[dimension],
            "boundaries": [
                {"where": where, "kind": "reservoir", "fraction": {"A": rho, "B": rho}, "potential": potential}
                for where, rho, potential in ends
            ],
            "solver": {"degree": degree},
        }
    )


def standard_cases() -> Iterator[Case]:
    """Yield the standard case for every law of ions, dimension and degree."""
    for dimension, law, degree in product(SHAPES, OF_IONS, DEGREES):
        yield standard_case(law, dimension, degree)


def warm(cases: Sequence[Case], comm: MPI.Comm, say: Callable[[str], None] = lambda line: None) -> int:
    """Compile what solving and reading these cases takes; return how many libraries are new. Collective.

    The first rank of every node works, so that caches on the nodes' own disks are filled too.
    """

    def work() -> int:
        before = libraries()
        for number, case in enumerate(cases, 1):
            degree = case.solver.degree
            say(
                f"  {number} of {len(cases)}: {case.model.law}, {case.dimension}D, degree {degree}, {case.title or '-'}"
            )
            # above one dimension elements of higher degree start from lower ones
            for lower in degrees_below(degree) if case.dimension > 1 else [degree]:
                # the rule that a case gives is for its own degree
                _compile(case, lower, case.solver.quadrature_degree if lower == degree else None)
        return len(libraries() - before)

    assert isinstance(comm, MPI.Intracomm)
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    try:
        return on_rank_zero(node, work)
    finally:
        node.Free()


def _compile(case: Case, degree: int, quadrature_degree: int | None) -> None:
    """Make every form and expression of a case on as coarse a mesh as it has, and solve nothing but the first guess."""
    setup = build(_coarsest(case), MPI.COMM_SELF)
    discrete = Discretisation(setup.problem, degree, quadrature_degree)
    with OptionsDatabase() as database, SteadySolver(discrete, database, settings_of(case)) as solver:
        solver.guess.fill("densities")
        solution = Solution(setup, discrete, solver.report, True)
        solution.summary()
        _ = solution.steady.flux_parts
    flux_parts.flux_fields(discrete)
    if case.dimension == 1:
        sample.profile(discrete)
        return
    with contextlib.suppress(NoKernel):
        BatchedAssembly(discrete).close()


def _coarsest(case: Case) -> Case:
    if isinstance(case.domain, Gmsh | GivenMesh):
        return case
    return case.model_copy(update={"domain": case.domain.model_copy(update={"cells": 1})})
