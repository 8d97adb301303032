"""Every size of a lattice that carries energy, measured and compared; the sizes of a barrier exchange are its cells.

Kinetic exclusion is compared with what is exact at its size, barrier exchange with the limit of large cells at its
number of cells, which measurements with small ones need not meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pnp_exclusion.case.lattice_tables import BarrierTable, LatticeCase
from pnp_exclusion.errors import ConvergenceError, PnpExclusionError, UsageError
from pnp_exclusion.exact import barrier_exchange, kinetic_exclusion
from pnp_exclusion.particles.energy import (
    BarrierExchange,
    EnergyChannel,
    EnergyResult,
    KineticExclusion,
    Reference,
    simulate_energy,
)
from pnp_exclusion.particles.lattice import (
    ChiSquare,
    Estimate,
    NothingMeasuredError,
    Progress,
    TooShortError,
    WorkerDiedError,
    affordable_cells,
    batches_needed,
    chi_square,
)
from pnp_exclusion.particles.lattice.comparison import SIGNIFICANCE, coarse
from pnp_exclusion.particles.measure import batch_estimate

if TYPE_CHECKING:
    from mpi4py import MPI

DEFAULT_REPLICAS = 4
DEFAULT_TIME = 50.0
"""Of one copy, in what the slowest diffusion takes along the channel."""
FEWEST_BATCHES = 16
SIGNIFICANT = 3.0
"""Standard errors: a measured current nearer to zero than this has no direction."""

Array = np.ndarray
Report = Callable[[int, Progress], None]


@dataclass(frozen=True)
class EnergySettings:
    """What to run.

    sizes
        Numbers of sites, or of cells.
    time
        Measured time of one replica of every size, in `(n + 1)^2` lattice units; `DEFAULT_TIME` diffusion times if
        None.
    workers
        Processes that share the replicas when not under MPI.
    """

    sizes: Sequence[int]
    replicas: int = DEFAULT_REPLICAS
    time: float | None = None
    seed: int = 1
    workers: int = 1


@dataclass(frozen=True)
class EnergyRun:
    """One size: what was measured, and how it compares with the reference.

    currents, profiles
        None where an interruption has left too few batches.
    """

    result: EnergyResult
    reference: Reference
    currents: ChiSquare | None
    profiles: ChiSquare | None

    @property
    def agrees(self) -> bool | None:
        """Whether neither chi-square is less probable than one in a thousand."""
        if self.currents is None or self.profiles is None:
            return None
        return min(self.currents.probability, self.profiles.probability) >= SIGNIFICANCE

    @property
    def forces(self) -> Array:
        """On what can flow."""
        return self.result.process.forces

    @property
    def entropy_production(self) -> Estimate:
        """Sum of currents times forces; infinite or nan beside a reservoir that is full or empty."""
        with np.errstate(invalid="ignore"):
            return batch_estimate(self.result.batches.currents @ self.forces)

    @property
    def entropy_production_of_theory(self) -> float:
        """The same of the reference."""
        with np.errstate(invalid="ignore"):
            return float(self.reference.currents @ self.forces)

    @property
    def directions(self) -> dict[str, str]:
        """Whether each current runs with or against its own force, or against all forces: "inverse"."""
        process, measured = self.result.process, self.result.currents
        found = {}
        for row, field in enumerate(process.flowing):
            current = float(measured.mean[row])
            if not abs(current) > SIGNIFICANT * float(measured.error[row]):
                word = "none"
            elif np.all(current * self.forces < 0.0):
                word = "inverse"
            else:
                word = "against its force" if current * self.forces[row] < 0.0 else "with its force"
            found[process.names[field]] = word
        return found


@dataclass(frozen=True)
class EnergyCampaign:
    """All sizes that were measured.

    continuum
        Currents of the limit of many cells, large ones in a barrier exchange, ``(flowing,)``.
    interrupted, failure
        Why sizes may be missing: it was asked to stop, or a later size failed.
    """

    case: LatticeCase
    settings: EnergySettings
    continuum: Array
    runs: Sequence[EnergyRun]
    interrupted: bool = False
    failure: PnpExclusionError | None = None

    @property
    def process(self) -> EnergyChannel:
        """Of the largest size."""
        return process_of(self.case, max(self.settings.sizes))

    @property
    def missing(self) -> list[int]:
        """Sizes that were not measured."""
        return sorted(set(self.settings.sizes) - {run.result.process.cells for run in self.runs})


def process_of(case: LatticeCase, size: int) -> EnergyChannel:
    """Return the process of a case at one size; `ValueError` for one that cannot be."""
    lattice, ends = case.lattice, (case.left, case.right)
    if not isinstance(lattice, BarrierTable):
        left, right = (kinetic_exclusion.Contents(side.density, side.temperature) for side in ends)
        return KineticExclusion(size, left, right)
    rates = barrier_exchange.Rates(lattice.barrier, lattice.bullet_rate, lattice.rod_rate)
    first, last = (barrier_exchange.Mixture(side.bullets, side.rods, side.temperature) for side in ends)
    return BarrierExchange(size, lattice.sites_per_cell, rates, first, last, rods=lattice.rods, contact=lattice.contact)


def measure_energy(
    case: LatticeCase,
    settings: EnergySettings,
    communicator: MPI.Comm | None = None,
    report: Report = lambda size, progress: None,
) -> EnergyCampaign:
    """Measure every size; collective. ``report`` is called with the size and how far it is.

    Raises `UsageError` for sizes that cannot be and a time too short for decorrelated samples (the sentence says what
    would do), `ConvergenceError` where theory finds no steady state, and `PnpExclusionError` if worker processes die.
    Interrupted, or failing at a later size, it returns what was measured.
    """
    processes = [_process_or_refusal(case, size) for size in sorted(settings.sizes)]
    try:
        references = [process.reference() for process in processes]
        continuum = processes[-1].continuum_currents()
    except ValueError as error:
        raise ConvergenceError(f"{case.path}: {error}") from None
    runs: list[EnergyRun] = []
    interrupted, failure = False, None
    try:
        for process, reference in zip(processes, references, strict=True):
            result = _simulate(process, settings, communicator, report)
            runs.append(_compared(result, reference))
            if result.interrupted:
                interrupted = True
                break
    except NothingMeasuredError:
        interrupted = True
    except KeyboardInterrupt:
        # impatience: a second one in a run, or one between two; other ranks would not know of it
        if communicator is not None:
            raise
        interrupted = True
    except PnpExclusionError as error:
        if not runs:
            raise
        failure = error
    return EnergyCampaign(case, settings, continuum, runs, interrupted, failure)


def _process_or_refusal(case: LatticeCase, size: int) -> EnergyChannel:
    try:
        return process_of(case, size)
    except ValueError as error:
        raise UsageError(f"n = {size}: {error}") from None


def _simulate(
    process: EnergyChannel, settings: EnergySettings, communicator: MPI.Comm | None, report: Report
) -> EnergyResult:
    size = process.cells
    time = settings.time or DEFAULT_TIME / process.slowest_diffusion
    try:
        return simulate_energy(
            process,
            time,
            np.random.SeedSequence([settings.seed, size]),
            settings.replicas,
            fewest_batches=FEWEST_BATCHES,
            workers=settings.workers,
            communicator=communicator,
            report=lambda progress: report(size, progress),
        )
    except TooShortError as error:
        raise UsageError(
            f"--time {time:.4g} is too short for n = {size}: {settings.replicas} copies need at least "
            f"--time {error.needed:.2g} (in (n + 1)^2 lattice units) to tell error bars"
        ) from None
    except ValueError as error:
        raise UsageError(f"n = {size}: {error}") from None
    except WorkerDiedError as error:
        raise PnpExclusionError(f"n = {size}: {error}") from None


def _compared(result: EnergyResult, reference: Reference) -> EnergyRun:
    """Compare in as many stretches of the channel as the batches allow."""
    currents, fields = (one.reshape(-1, *one.shape[2:]) for one in (result.batches.currents, result.batches.fields))
    stretches = affordable_cells(len(fields), fields.shape[1])
    if stretches == 0 or len(currents) < batches_needed(currents.shape[1]):
        return EnergyRun(result, reference, None, None)
    profiles, expected = (coarse(one, 1, stretches) for one in (fields, reference.fields))
    return EnergyRun(
        result,
        reference,
        chi_square(currents, reference.currents),
        chi_square(profiles.reshape(len(profiles), -1), expected.ravel()),
    )
