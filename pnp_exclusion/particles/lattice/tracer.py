"""A tracer with two drives on a ring, as an exchange process: others are species 1, the tracer is species 2.

The model, its responses and why `R_v + R_x/k = 2` are in `pnp_exclusion.exact.tracer_ring`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.exact.tracer_ring import check_ring
from pnp_exclusion.particles.lattice.geometry import Lattice
from pnp_exclusion.particles.lattice.process import ExchangeProcess
from pnp_exclusion.particles.lattice.result import StationaryResult
from pnp_exclusion.particles.measure import Estimate, batch_estimate

TRACER = 2


@dataclass(frozen=True, eq=False)
class TracerRing(ExchangeProcess):
    """A ring with one tracer, driven into vacancies by ``drives[0]`` and through others by ``drives[1]``.

    Made by `of`; ``kappa`` is the rate `k` of exchanges of the tracer.
    """

    drives: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, sites: int, others: int, exchange: float, drives: tuple[float, float] = (0.0, 0.0)) -> Self:
        """Return the ring; `ValueError` for one that cannot be, or drives beyond 1, which make a rate negative."""
        check_ring(sites, others, exchange)
        if not all(abs(drive) <= 1.0 for drive in drives):
            raise ValueError(f"drives = {drives} must be from -1 to 1: beyond, a rate is negative")
        return cls(Lattice("ring", sites), (0.0, 0.0), content=(others, 1), kappa=exchange, drives=drives)

    @cached_property
    def rates(self) -> NDArray[np.float64]:
        """Swap rates, ``(1, 3, 3)``: the drives act on the tracer alone."""
        rates = self.exchange_factors[None].copy()
        for other, drive in enumerate(self.drives):
            rates[0, TRACER, other] *= 1.0 + drive
            rates[0, other, TRACER] *= 1.0 - drive
        return rates

    @property
    def has_linear_averages(self) -> bool:
        """Whether mean densities obey the discrete heat equation; a drive is a field that acts on the tracer."""
        return super().has_linear_averages and not any(self.drives)

    @property
    def keeps_order(self) -> bool:
        """Others are all alike and there is one tracer: no order to keep."""
        return False


def tracer_velocity(result: StationaryResult) -> Estimate:
    """Velocity of the tracer in sites per lattice unit of time, by expected rates given the sampled configurations."""
    lattice = result.process.lattice
    # the sum over the bonds of the crossings of one particle; currents are the mean over them, times the scale
    factor = lattice.along_count / lattice.scale
    velocity = batch_estimate(result.batches.channel_currents[..., TRACER - 1] * factor)
    return Estimate(velocity.mean, velocity.error)
