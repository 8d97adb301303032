"""Finer cells for an interval where its solution turned out to be steep, in places that nobody could expect.

Layers at boundaries, edges of regions and knots of fields are resolved from the start. Fronts inside the domain, such
as those of jammed particles under the law ``vacancy``, are known only once there is a solution; the master identity,
which the currents then miss (docs/theory.md#master-identity), says that there is one.
"""

from __future__ import annotations

import numpy as np

from pnp_exclusion.case.build import Setup, setup_on
from pnp_exclusion.case.domain_tables import Interval
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import follow_potentials
from pnp_exclusion.mesh.refine import refined_interval
from pnp_exclusion.solution.steady_state import SteadyState

INACCURATE = {1: 1e-3, 2: 3e-6, 3: 3e-6, 4: 3e-6}
"""By degree, of a gross flux, by which the currents miss the identity. Automatic meshes leave a tenth of it at most."""
WITHIN_CELL = 0.5
"""kT that a potential may change within a cell of the finer mesh."""
WITHIN_WARM_CELL = 0.05
"""The same with a temperature, where resistances in a cell are those of the unknown, polynomials, not of a steady
profile."""
MOST_PARTS = 8
"""Into which a cell is cut."""
ROUNDS = 2
"""The second one cuts what the first one has found to be steeper than its coarse cells said."""


def is_too_coarse(steady: SteadyState) -> bool:
    """Return whether a solution on an automatic mesh of an interval misses the identity; collective."""
    domain = steady.setup.case.domain
    if not isinstance(domain, Interval) or domain.cells is not None:
        return False
    residual = steady.identity_residual
    return residual is not None and residual > INACCURATE[steady.setup.case.solver.degree]


def refined(steady: SteadyState) -> Setup:
    """Return the case on a finer mesh; collective."""
    discrete, setup = steady.discretisation, steady.setup
    changes = discrete.changes_within_cells().max(axis=0)
    within = WITHIN_WARM_CELL if setup.problem.law.thermal else WITHIN_CELL
    parts = np.clip(np.ceil(changes / within), 1, MOST_PARTS).astype(int)
    finer = refined_interval(discrete.problem.domain, parts)
    return setup_on(finer, setup.scales, setup.case, setup.problem.law)


def transfer(coarse: Discretisation, fine: Discretisation) -> None:
    """Interpolate the unknown of one interval to another, linearly between nodes; collective."""
    owned = coarse.space.dofmap.index_map.size_local
    table = np.column_stack(
        [coarse.space.tabulate_dof_coordinates()[:owned, 0], coarse.layout.at_nodes(coarse.values)[:owned]]
    )
    table = np.concatenate(coarse.problem.domain.comm.allgather(table))
    table = table[np.argsort(table[:, 0])]
    x = fine.space.tabulate_dof_coordinates()[:, 0]
    nodes = fine.layout.at_nodes(fine.values)
    for position in range(fine.layout.size):
        nodes[:, position] = np.interp(x, table[:, 0], table[:, 1 + position])
    follow_potentials(fine)
    fine.impose_dirichlet_values()
