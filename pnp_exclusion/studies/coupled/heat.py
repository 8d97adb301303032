"""What thermoelectrics reads off the response of a channel to forces on particles and on energy.

With ``L`` the matrix of currents of particles and energy by the forces ``F_a``, differences of ``mu_a/T``, and
``F_energy``, that of ``1/T``, all from the first end to the second; closed species are at rest:

transported energy
    ``r_a = L_energy,a / L_aa``: what one particle of ``a`` carries if the force on it is the only one. It counts from
    the zero of energy: particles of the energy ``e_0`` at rest carry ``e_0`` more, and only where it is negative can a
    difference of temperatures drive them to the hot side against no other force.
Seebeck coefficient
    ``S_a = (r_a - mu_a)/T``, ``mu_a`` and ``T`` at the first end: by what ``mu_a`` is higher at the cold end, per
    difference of temperatures, if ``a`` does not flow and no other force acts. No zero of energy matters.
heat conductance
    ``(L_ee - L_ea (L_ab)^-1 L_be)/T^2``: the energy that flows per difference of temperatures while no particles do.

About equilibrium ``L`` is Onsager's; about a driven state it is of tangents. Wang, Casati, Benenti, Phys. Rev. Lett.
124, 110607 (2020); Benenti, Casati, Saito, Whitney, Phys. Rep. 694, 1 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnp_exclusion.observe.forces import End
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.studies.coupled.response import Response


@dataclass(frozen=True)
class HeatTransport:
    """Response to temperatures about a steady state, dimensionless; by species that pass."""

    transported_energy: dict[str, float]
    seebeck: dict[str, float]
    heat_conductance: float


def heat_transport(response: Response, first: End) -> HeatTransport:
    """Return what a response that includes energy means, between a first end and a second."""
    assert first.temperature is not None
    matrix, species = response.to_contents, [name for name in response.species if name != ENERGY]
    carried = {name: float(matrix[-1, a] / matrix[a, a]) for a, name in enumerate(species)}
    seebeck = {name: carried[name] / first.temperature - first.mu[name] for name in species}
    at_rest = matrix[-1, -1] - matrix[-1, :-1] @ np.linalg.solve(matrix[:-1, :-1], matrix[:-1, -1])
    return HeatTransport(carried, seebeck, float(at_rest) / first.temperature**2)
