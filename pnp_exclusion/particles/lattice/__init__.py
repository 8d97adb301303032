"""The lattice exchange process: simulated, solved exactly where small, and set beside a reference.

See `process` for the model, `stationary` and `relaxation` for the simulations, `small` for the
exact law, `heat` for the exact relaxation without fields, `comparison` for the statistics.
"""

from pnp_exclusion.particles.lattice.comparison import (
    ChiSquare,
    Comparison,
    Distance,
    Limit,
    Order,
    affordable_cells,
    batches_needed,
    chi_square,
    compare,
    compare_relaxation,
    distance,
    exact_limit,
    fitted_order,
    hydrodynamic_limit,
    whitened_residuals,
)
from pnp_exclusion.particles.lattice.counting import (
    CountingStatistics,
    counting_statistics,
    cumulants_of_one_number,
    reservoir_number,
)
from pnp_exclusion.particles.lattice.engine import Recording
from pnp_exclusion.particles.lattice.field_energy import FieldEnergy
from pnp_exclusion.particles.lattice.geometry import Lattice
from pnp_exclusion.particles.lattice.heat import heat_profile, lattice_heat_profile
from pnp_exclusion.particles.lattice.linear import LinearNoise, linear_noise
from pnp_exclusion.particles.lattice.noise import MeasuredNoise, measured_noise, recording_of
from pnp_exclusion.particles.lattice.process import ExchangeProcess, NegativeRateError
from pnp_exclusion.particles.lattice.relaxation import RelaxationResult, simulate_relaxation
from pnp_exclusion.particles.lattice.result import StationaryResult
from pnp_exclusion.particles.lattice.small import ExactLaw, exact_law
from pnp_exclusion.particles.lattice.stationary import simulate_stationary
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.particles.replicas import Progress
from pnp_exclusion.particles.stationary import NothingMeasuredError, TooShortError, time_needed
from pnp_exclusion.runtime.pool import WorkerDiedError

__all__ = [
    "ChiSquare",
    "Comparison",
    "CountingStatistics",
    "Distance",
    "Estimate",
    "ExactLaw",
    "ExchangeProcess",
    "FieldEnergy",
    "Lattice",
    "Limit",
    "LinearNoise",
    "MeasuredNoise",
    "NegativeRateError",
    "NothingMeasuredError",
    "Order",
    "Progress",
    "Recording",
    "RelaxationResult",
    "StationaryResult",
    "TooShortError",
    "WorkerDiedError",
    "affordable_cells",
    "batches_needed",
    "chi_square",
    "compare",
    "compare_relaxation",
    "counting_statistics",
    "cumulants_of_one_number",
    "distance",
    "exact_law",
    "exact_limit",
    "fitted_order",
    "heat_profile",
    "hydrodynamic_limit",
    "lattice_heat_profile",
    "linear_noise",
    "measured_noise",
    "recording_of",
    "reservoir_number",
    "simulate_relaxation",
    "simulate_stationary",
    "time_needed",
    "whitened_residuals",
]
