"""The lattice process beside its hydrodynamic limit: the same case as particles and as a continuum.

The process runs in the field of the continuum solution (imposed, or self-consistent with Poisson) between the same
reservoirs, at several sizes. Its densities and currents must come to those of `shdl` as 1/n falls
(docs/theory.md#hydrodynamic-limit; Casini, Giardina, Nicolini, Selmi, Vernia, arXiv 2602.08583 (2026)). For other
exchange rates than stirring the comparison is with a mean-field law, and what is measured is its departure from the
process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.particles.lattice import (
    Comparison,
    Distance,
    Limit,
    LinearNoise,
    MeasuredNoise,
    NothingMeasuredError,
    Order,
    Progress,
    Recording,
    StationaryResult,
    TooShortError,
    WorkerDiedError,
    affordable_cells,
    batches_needed,
    compare,
    fitted_order,
    hydrodynamic_limit,
    measured_noise,
    recording_of,
    simulate_stationary,
    time_needed,
)
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.verification.continuum import Continuum

if TYPE_CHECKING:
    from mpi4py import MPI

SIGNIFICANT = 3.0
"""Standard errors: a measured current nearer to zero than this has no direction."""
DEFAULT_TIME = 50.0
"""Of one copy of the largest size, in length^2/D of the channel."""
DEFAULT_REPLICAS = 4
FEWEST_BATCHES = 8
PILOT_REPLICAS, PILOT_TIME = 8, 4.0
SURELY_TOO_SHORT = 0.25
"""Of the time that is surely enough: half of what may just do, as the pilot knows the correlation time to a quarter."""

Report = Callable[[int, Progress], None]


@dataclass(frozen=True)
class LatticeSettings:
    """What to run.

    sizes
        Numbers of sites.
    replicas
        Independent copies; `DEFAULT_REPLICAS`, or `relax.DEFAULT_REPLICAS`, if None.
    time
        Measured time of one replica at the largest size, in L^2/D of the case, `DEFAULT_TIME` if None; a smaller size n
        runs ``(largest/n)^2`` times longer, because its distance from the continuum is worth more error bars at less
        cost.
    form
        Of the rates: "linear" or "exponential" in the field.
    workers
        Processes that share the replicas when not under MPI.
    bonds
        Places from 0 to 1 of bonds through which currents are counted one by one for their noise.
    """

    sizes: Sequence[int]
    replicas: int | None = None
    time: float | None = None
    seed: int = 1
    form: str = "linear"
    workers: int = 1
    bonds: Sequence[float] = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class LatticeRun:
    """One size: what was measured, and how it compares with the continuum; ``noise`` if it was asked for."""

    sites: int
    result: StationaryResult
    comparison: Comparison
    noise: MeasuredNoise | None

    def directions(self, continuum: Continuum) -> dict[str, str]:
        """Whether each species flows with or against its own force on the lattice, or neither significantly."""
        measured = self.result.channel_currents
        found = {}
        for a, (name, force) in enumerate(continuum.forces.items()):
            current, error = float(measured.mean[a]), float(measured.error[a])
            if abs(current) <= SIGNIFICANT * error:
                found[name] = "none"
            else:
                found[name] = "inverse" if current * force < 0.0 else "with its force"
        return found


@dataclass(frozen=True)
class HydrodynamicComparison:
    """All sizes that were measured, with the order at which densities and currents approach the continuum.

    replicas, time
        Those of every size, and the time of one replica of the largest in length^2/D.
    interrupted, failure
        Why sizes may be missing: it was asked to stop, or a later size failed.
    order_of_currents, order_of_densities, current_limit
        None for a single size and where the averages are exactly those of the continuum; `Order` holds nan where the
        distances are lost in their errors.
    """

    continuum: Continuum
    settings: LatticeSettings
    replicas: int
    time: float
    runs: Sequence[LatticeRun]
    interrupted: bool = False
    failure: PnpExclusionError | None = None

    @property
    def missing(self) -> list[int]:
        """Sizes that were not measured."""
        return sorted(set(self.continuum.processes) - {run.sites for run in self.runs})

    @property
    def order_of_currents(self) -> Order | None:
        """The fit to the distances of the currents."""
        return self._order([run.comparison.current_distance for run in self.runs])

    @property
    def order_of_densities(self) -> Order | None:
        """The fit to the distances of the densities."""
        return self._order([run.comparison.density_distance for run in self.runs])

    @property
    def current_limit(self) -> Limit | None:
        """The currents extrapolated to 1/n = 0."""
        return None if self.is_exact else self._limit({run.sites: run.result.channel_currents for run in self.runs})

    @property
    def noise_limit(self) -> Limit | None:
        """``S_ab(0)``, the upper triangle in rows, extrapolated to 1/n = 0."""
        upper = np.triu_indices(len(self.continuum.names))
        found = {run.sites: run.noise.at_zero for run in self.runs if run.noise is not None}
        return self._limit({sites: Estimate(one.mean[upper], one.error[upper]) for sites, one in found.items()})

    def _limit(self, measured: Mapping[int, Estimate]) -> Limit | None:
        """Extrapolate what was measured at some sizes; None for a single one, and without errors to weigh them by."""
        errors = np.array([one.error for one in measured.values()])
        if len(measured) < 2 or not (errors > 0.0).all():
            return None
        return hydrodynamic_limit(list(measured), np.array([one.mean for one in measured.values()]), errors)

    @property
    def is_exact(self) -> bool:
        """Whether the averages are those of the continuum at every size."""
        return any(process.has_linear_averages for process in self.continuum.processes.values())

    def _order(self, distances: Sequence[Distance]) -> Order | None:
        if len(distances) < 2 or self.is_exact or any(d.error <= 0.0 for d in distances):
            return None
        sizes = [run.sites for run in self.runs]
        return fitted_order(sizes, [d.value for d in distances], [d.error for d in distances])


def compare_with_lattice(
    continuum: Continuum,
    settings: LatticeSettings,
    communicator: MPI.Comm | None = None,
    report: Report = lambda sites, progress: None,
) -> HydrodynamicComparison:
    """Run the process at every size and compare; collective. ``report`` is called with the size and how far it is.

    Raises `UsageError` for a time too short for decorrelated samples (the sentence says what would do), of any size if
    that can be foreseen, and `PnpExclusionError` if worker processes die. Interrupted, or failing at a later size, it
    returns what was measured.
    """
    return _Campaign(continuum, settings, communicator, report).run()


class _Campaign:
    def __init__(
        self, continuum: Continuum, settings: LatticeSettings, communicator: MPI.Comm | None, report: Report
    ) -> None:
        self.continuum, self.settings, self.communicator, self.report = continuum, settings, communicator, report
        self.sizes = sorted(continuum.processes)
        self.replicas = settings.replicas or DEFAULT_REPLICAS
        self.time = settings.time / continuum.units.time if settings.time else DEFAULT_TIME
        self.fewest_batches = max(FEWEST_BATCHES, batches_needed(len(continuum.names)))

    def run(self) -> HydrodynamicComparison:
        runs: list[LatticeRun] = []
        interrupted, failure = False, None
        try:
            self._require_time()
            for sites in self.sizes:
                recording, theory = self._recording(sites)
                result = self._simulate(sites, recording)
                run = self._compared(sites, result, theory)
                if run is not None:
                    runs.append(run)
                if result.interrupted:
                    interrupted = True
                    break
        except NothingMeasuredError:
            interrupted = True
        except KeyboardInterrupt:
            # impatience: a second one in a run, or one between two; other ranks would not know of it
            if self.communicator is not None:
                raise
            interrupted = True
        except PnpExclusionError as error:
            if not runs:
                raise
            failure = error
        return HydrodynamicComparison(
            self.continuum, self.settings, self.replicas, self.time, runs, interrupted, failure
        )

    def _require_time(self) -> None:
        try:
            pilot = simulate_stationary(
                self.continuum.pilot,
                PILOT_TIME,
                np.random.SeedSequence([self.settings.seed, 0]),
                PILOT_REPLICAS,
                communicator=self.communicator,
            )
        except TooShortError:
            # correlated over so long that the run itself must tell
            return
        except ValueError as error:
            raise UsageError(str(error)) from None
        if pilot.interrupted:
            raise NothingMeasuredError
        needed = time_needed(pilot.correlation_time, self.replicas, self.fewest_batches)
        for sites in self.sizes:
            if self._time_of(sites) < SURELY_TOO_SHORT * needed:
                raise self._too_short(sites, needed)

    def _recording(self, sites: int) -> tuple[Recording | None, LinearNoise | None]:
        if self.continuum.noise is None:
            return None, None
        return recording_of(self.continuum.processes[sites], self._bonds(sites))

    def _bonds(self, sites: int) -> list[int]:
        return sorted({min(sites, int(place * (sites + 1))) for place in self.settings.bonds})

    def _simulate(self, sites: int, recording: Recording | None) -> StationaryResult:
        settings = self.settings
        try:
            return simulate_stationary(
                self.continuum.processes[sites],
                self._time_of(sites),
                np.random.SeedSequence([settings.seed, sites]),
                self.replicas,
                fewest_batches=self.fewest_batches,
                workers=settings.workers,
                communicator=self.communicator,
                report=lambda progress: self.report(sites, progress),
                recording=recording,
            )
        except TooShortError as error:
            raise self._too_short(sites, error.needed) from None
        except ValueError as error:
            raise UsageError(f"n = {sites}: {error}") from None
        except WorkerDiedError as error:
            raise PnpExclusionError(f"n = {sites}: {error}") from None

    def _compared(self, sites: int, result: StationaryResult, theory: LinearNoise | None) -> LatticeRun | None:
        """Compare in as many cells as the batches allow; None if an interruption left too few for any."""
        continuum = self.continuum
        batches = result.batches.densities.shape[0] * result.batches.densities.shape[1]
        cells = affordable_cells(batches, len(continuum.names))
        if cells == 0:
            return None
        comparison = compare(result, continuum.densities[sites], continuum.currents, cells)
        return LatticeRun(sites, result, comparison, self._noise(sites, result, theory))

    def _noise(self, sites: int, result: StationaryResult, theory: LinearNoise | None) -> MeasuredNoise | None:
        continuum = self.continuum
        if continuum.noise is None:
            return None
        try:
            return measured_noise(result, theory, self._bonds(sites), continuum.noise.frequencies.tolist())
        except ValueError as error:
            if result.interrupted:
                return None
            raise UsageError(f"--noise, n = {sites}: {error}; give a longer --time") from None

    def _time_of(self, sites: int) -> float:
        return self.time * (max(self.sizes) / sites) ** 2

    def _too_short(self, sites: int, needed: float) -> UsageError:
        unit = self.continuum.units.time
        enough = needed * (sites / max(self.sizes)) ** 2 * unit
        return UsageError(
            f"--time {self.time * unit:g} is too short for n = {sites}: {self.replicas} copies need at least "
            f"--time {enough:.2g} (in L^2/D) to tell error bars"
        )
