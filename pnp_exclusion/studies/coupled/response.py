"""How the currents between two ends answer to small forces: the tangents of `pnp_exclusion.solver.tangents`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnp_exclusion.discretisation.layout import POTENTIAL, unknown_of
from pnp_exclusion.observe.forces import end_tags
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.coupled.ends import from_end_to_end, passing, why_not


@dataclass(frozen=True)
class Response:
    """Derivatives of the currents ``J_a`` from the first end to the second, dimensionless (D/L per kT).

    species
        Names of the ``N`` species that can pass, in the order of the arrays; closed ones cannot. With a temperature
        energy is the last.
    to_contents
        ``(N, N)``: ``dJ_a / dmu_b``, ``mu_b`` the electrochemical potential of ``b`` at the first end with the
        electric potential there as it is. One kT of it is one kT of the force ``F_b``; by energy it is ``dJ_a /
        d(-1/T)``, at ``mu_b`` over kT as they are.
    to_potential
        ``(N,)``: ``dJ_a / dphi`` at the first end, with all ``mu_b`` there as they are; zero at equilibrium, where
        forces alone drive currents. None with imposed fields.
    to_fields
        ``(N, N)``: ``dJ_a / dF_b`` where the force is exerted by a uniform field on ``b`` along the line between the
        ends, instead of at the end. None with Poisson, or a temperature.
    """

    species: tuple[str, ...]
    to_contents: np.ndarray
    to_potential: np.ndarray | None
    to_fields: np.ndarray | None


def response(tangents: TangentSolver) -> Response:
    """Return the derivatives at the state that is in the unknown; one linear solve for each. Collective.

    Raises `ValueError` for a problem without two reservoirs (`pnp_exclusion.studies.coupled.ends.why_not`),
    `ConvergenceError` if the linear systems cannot be solved.
    """
    discrete = tangents.discrete
    reason = why_not(discrete)
    if reason:
        raise ValueError(reason)
    species, tags = passing(discrete), end_tags(discrete)
    assert tags is not None
    tangents.renew()

    def currents(fluxes: np.ndarray) -> np.ndarray:
        out_of_first, out_of_second = fluxes[list(tags)][
            :, [discrete.problem.quantities.index(name) for name in species]
        ]
        between: np.ndarray = 0.5 * (out_of_second - out_of_first)
        return between

    # the unknown of energy is 1/T, what falls along its force is -1/T
    by_contents = [
        (-1.0 if name == ENERGY else 1.0) * currents(tangents.by_held(tags[0], unknown_of(name))) for name in species
    ]
    to_potential = currents(tangents.by_held(tags[0], POTENTIAL)) if discrete.problem.coupled else None
    to_fields = None
    if not (discrete.problem.coupled or discrete.problem.law.thermal):
        apart = from_end_to_end(discrete)
        direction = apart / float(apart @ apart)  # a uniform field that exerts one kT between the ends
        to_fields = np.column_stack([currents(tangents.by_field(name, direction)) for name in species])
    return Response(species, np.column_stack(by_contents), to_potential, to_fields)
