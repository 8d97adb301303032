"""Lattices whose particles carry energy: kinetic exclusion, and barrier exchange with inverse currents.

See `kinetic` and `barrier` for the processes, `stationary` for the simulation; what is exact of them is in
`pnp_exclusion.exact.kinetic_exclusion` and `pnp_exclusion.exact.barrier_exchange`.
"""

from pnp_exclusion.particles.energy.barrier import BarrierExchange
from pnp_exclusion.particles.energy.channel import EnergyChannel, Reference
from pnp_exclusion.particles.energy.kinetic import KineticExclusion
from pnp_exclusion.particles.energy.stationary import EnergyResult, simulate_energy

__all__ = [
    "BarrierExchange",
    "EnergyChannel",
    "EnergyResult",
    "KineticExclusion",
    "Reference",
    "simulate_energy",
]
