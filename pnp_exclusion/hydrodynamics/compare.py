"""The lattice process beside its hydrodynamic limit: the same case as particles and as a continuum.

The process runs in the field of the continuum solution (imposed, or self-consistent with Poisson) between the same
reservoirs, at several sizes. Its densities and currents must come to those of `shdl` as 1/n falls (PHYSICS, section 2;
Casini, Giardina, Nicolini, Selmi, Vernia, arXiv 2602.08583 (2026)). For other exchange rates than stirring the
comparison is with a mean-field law, and what is measured is its departure from the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pnp_exclusion.boundaries import Reservoir
from pnp_exclusion.errors import UsageError
from pnp_exclusion.lattice import (
    Comparison,
    ExchangeProcess,
    Lattice,
    Limit,
    NothingMeasuredError,
    Order,
    Progress,
    StationaryResult,
    compare,
    fitted_order,
    hydrodynamic_limit,
    simulate_stationary,
)
from pnp_exclusion.observe.sample import values_at
from pnp_exclusion.solution import Solution

SIGNIFICANT = 3.0
"""Standard errors: a measured current nearer to zero than this has no direction."""


@dataclass(frozen=True)
class LatticeSettings:
    """What to run.

    sizes
        Numbers of sites.
    time
        Measured time of one replica at the largest size, in L^2/D; a smaller size n runs ``(largest/n)^2`` times
        longer, because its distance from the continuum is worth more error bars at less cost.
    form
        Of the rates: "linear" or "exponential" in the field.
    workers
        Processes that share the replicas when not under MPI.
    """

    sizes: Sequence[int]
    replicas: int = 4
    time: float = 50.0
    seed: int = 1
    form: str = "linear"
    workers: int = 1


@dataclass(frozen=True)
class LatticeRun:
    """One size: what was measured, what the continuum says on the same sites, and how they compare."""

    sites: int
    result: StationaryResult
    densities: np.ndarray
    comparison: Comparison


@dataclass(frozen=True)
class HydrodynamicComparison:
    """All sizes, with the order at which densities and currents approach the continuum.

    Currents are dimensionless, in D/L, from left to right, in the order of the species. ``order_...`` and
    ``current_limit`` are None for a single size; `Order` holds nan where every distance is lost in its error.
    """

    solution: Solution
    settings: LatticeSettings
    runs: Sequence[LatticeRun]
    interrupted: bool
    order_of_currents: Order | None
    order_of_densities: Order | None
    current_limit: Limit | None

    @property
    def currents(self) -> np.ndarray:
        """Currents of the continuum, ``(N,)``."""
        return np.array(list((self.solution.currents or {}).values()))

    @property
    def is_limit(self) -> bool:
        """Whether the continuum law is the limit of the process, and not a mean-field approximation of it."""
        law = self.solution.weak_form.problem.law
        return law.name == "shdl" or len(self.solution.weak_form.problem.species) == 1 or kappa_of(self.solution) == 1.0

    def regimes(self, run: LatticeRun) -> dict[str, str]:
        """Whether each species flows with or against its own force on the lattice, or neither significantly."""
        measured = run.result.channel_currents
        found = {}
        for a, (name, force) in enumerate((self.solution.forces or {}).items()):
            current, error = float(measured.mean[a]), float(measured.error[a])
            if abs(current) <= SIGNIFICANT * error:
                found[name] = "none"
            else:
                found[name] = "inverse" if current * force < 0.0 else "with its force"
        return found


def kappa_of(solution: Solution) -> float:
    """Return the exchange rate of unlike particles that belongs to the law; `UsageError` for laws of no lattice."""
    law, model = solution.weak_form.problem.law, solution.setup.case.model
    if law.name == "shdl":
        return 1.0
    if law.name == "vacancy":
        return model.kappa
    raise UsageError(
        f'law "{law.name}" is not the limit of a lattice process; use "shdl" (stirring), or "vacancy" to measure how '
        "far hopping is from its mean-field law"
    )


def require_channel(solution: Solution) -> None:
    """Raise `UsageError` unless the case is an interval between two reservoirs with one diffusivity."""
    problem, case = solution.weak_form.problem, solution.setup.case
    if problem.domain.dimension != 1 or case.domain.shape != "interval":
        raise UsageError('the lattice channel is one-dimensional: the case needs a domain of shape "interval"')
    kinds = [type(boundary) for boundary in problem.boundaries]
    if kinds != [Reservoir, Reservoir]:
        raise UsageError("the lattice channel lies between two reservoirs: both ends of the case must be reservoirs")
    uneven = any(region.diffusivity is not None for region in case.regions)
    if uneven or len({species.diffusivity for species in problem.species}) > 1:
        raise UsageError("the lattice has one diffusivity: all species and regions must have the same")
    kappa_of(solution)


def process_on_lattice(solution: Solution, sites: int, form: str) -> ExchangeProcess:
    """Return the process of a case at a size, in the field of its continuum solution; collective.

    The field on a bond is the work done along it, so that its sum over the channel is exact. Raises `UsageError` with
    the smallest admissible size where a linear rate would be negative.
    """
    problem = solution.weak_form.problem
    lattice = Lattice("reservoirs", sites)
    low, high = (float(corner[0]) for corner in problem.domain.bounding_box())
    ends = np.zeros((sites + 2, 3))
    ends[:, 0] = low + (high - low) * np.arange(sites + 2) / (sites + 1)
    work = np.zeros((len(problem.species), sites + 2))
    for a, species in enumerate(problem.species):
        if species.name in problem.fields:
            work[a] = problem.fields[species.name].work(ends.T)
    if problem.coupled:
        potential = values_at(ends, [solution.weak_form.unknown])[0][:, -1]
        work -= np.outer([species.charge for species in problem.species], potential)
    held = {boundary.where: boundary.held_fractions for boundary in problem.boundaries}
    left, right = ([held[side][name] for name in problem.names] for side in ("left", "right"))
    fields = np.diff(work, axis=1) * lattice.scale
    try:
        return ExchangeProcess(lattice, fields, left, right, kappa=kappa_of(solution), form=form)  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"--sizes {sites}: {error}") from None


def densities_on_lattice(solution: Solution, lattice: Lattice) -> np.ndarray:
    """Return the continuum densities at the sites, ``(N, sites)``; collective."""
    weak_form = solution.weak_form
    low, high = (float(corner[0]) for corner in weak_form.problem.domain.bounding_box())
    points = np.zeros((lattice.length, 3))
    points[:, 0] = low + (high - low) * lattice.positions
    eta, _ = weak_form.nodal_potentials(values_at(points, [weak_form.unknown])[0])
    return np.array(weak_form.problem.law.free_energy.densities(list(eta))[1:])


def compare_with_lattice(
    solution: Solution,
    settings: LatticeSettings,
    report: Callable[[int, Progress], None] = lambda sites, progress: None,
) -> HydrodynamicComparison:
    """Run the process at every size and compare; collective. ``report`` is called with the size and how far it is.

    Raises `UsageError` for a case that is no lattice channel, a size at which a rate would be negative or a time too
    short for decorrelated samples (the sentence says what would do). Interrupted, it returns what was measured.
    """
    require_channel(solution)
    runs: list[LatticeRun] = []
    interrupted = False
    for sites in sorted(settings.sizes):
        process = process_on_lattice(solution, sites, settings.form)
        result = _simulate(solution, process, settings, report)
        interrupted = result is None or result.interrupted
        if result is not None:
            expected = densities_on_lattice(solution, process.lattice)
            # on an interval of another length than L the lattice's own unit of current is D/length
            currents = np.array(list((solution.currents or {}).values())) * channel_length(solution)
            runs.append(LatticeRun(sites, result, expected, _compare(result, expected, currents)))
        if interrupted:
            break
    return _conclude(solution, settings, runs, interrupted)


def channel_length(solution: Solution) -> float:
    """Return the length of the channel in L."""
    low, high = solution.weak_form.problem.domain.bounding_box()
    return float(high[0] - low[0])


def _compare(result: StationaryResult, densities: np.ndarray, currents: np.ndarray) -> Comparison:
    """Compare in as many cells as the batches allow, eight at most."""
    batches = result.batches.densities.shape[0] * result.batches.densities.shape[1]
    cells = max(1, min(8, (batches - 2) // (2 * len(currents))))
    try:
        return compare(result, densities, currents, cells)
    except ValueError as error:
        raise UsageError(f"n = {result.process.lattice.length}: {error}") from None


def _simulate(
    solution: Solution,
    process: ExchangeProcess,
    settings: LatticeSettings,
    report: Callable[[int, Progress], None],
) -> StationaryResult | None:
    comm = solution.weak_form.problem.domain.comm
    sites = process.lattice.length
    time = settings.time * (max(settings.sizes) / sites) ** 2
    try:
        return simulate_stationary(
            process,
            time,
            np.random.SeedSequence([settings.seed, sites]),
            settings.replicas,
            workers=settings.workers,
            communicator=comm if comm.size > 1 else None,
            report=lambda progress: report(sites, progress),
        )
    except NothingMeasuredError:
        return None
    except ValueError as error:
        raise UsageError(f"--time {settings.time:g} at n = {sites}: {error}") from None


def _conclude(
    solution: Solution, settings: LatticeSettings, runs: Sequence[LatticeRun], interrupted: bool
) -> HydrodynamicComparison:
    sizes = [run.sites for run in runs]

    def order(kind: str) -> Order | None:
        distances = [getattr(run.comparison, kind) for run in runs]
        if len(runs) < 2 or any(d.error <= 0.0 for d in distances):
            return None
        return fitted_order(sizes, [d.value for d in distances], [d.error for d in distances])

    limit = None
    if len(runs) > 1:
        measured = [run.result.channel_currents for run in runs]
        errors = np.array([m.error for m in measured])
        if (errors > 0.0).all():
            limit = hydrodynamic_limit(sizes, np.array([m.mean for m in measured]), errors)
    return HydrodynamicComparison(
        solution, settings, runs, interrupted, order("current_distance"), order("density_distance"), limit
    )
