"""Relaxation in time: mean density profiles at given times, averaged over many short replicas."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnp_exclusion.particles.lattice.engine import (
    SLICE_ATTEMPTS,
    Apparatus,
    Engine,
    draw_product_measure,
)
from pnp_exclusion.particles.lattice.process import ExchangeProcess, check_fractions
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.particles.replicas import Monitor, Report, root_seed, spread
from pnp_exclusion.particles.stationary import NothingMeasuredError

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.float64]
Seeds = Sequence[np.random.SeedSequence]

GROUPS = 64
SHARES = 256
"""Into which the replicas are divided: an interrupted run keeps the finished ones, and makes its groups of them."""


@dataclass(frozen=True, eq=False)
class RelaxationResult:
    """Mean densities at ``times`` (macroscopic).

    ``densities``: `measure.Estimate` of shape ``(times, N) + lattice.site_shape``; replicas are
    independent, so the error is that of a fraction of ``replicas`` draws. It is 0 where every
    replica agrees. ``groups``: means of up to 64 groups of replicas of about the same size,
    ``(groups, times, N, sites)``. ``replicas`` counts those completed.
    """

    process: ExchangeProcess
    times: Array
    densities: Estimate
    groups: Array
    replicas: int
    interrupted: bool

    def at(self, moments: Sequence[int]) -> "RelaxationResult":
        """Return the result at some of its times, by their numbers."""
        chosen = np.asarray(moments)
        densities = Estimate(*(one[chosen] for one in self.densities))
        return replace(self, times=self.times[chosen], densities=densities, groups=self.groups[:, chosen])


class Counts(NamedTuple):
    """How many replicas found a species on a site, ``(times, N, sites)``, out of how many."""

    occupied: NDArray[np.int64]
    replicas: int


@dataclass(frozen=True, eq=False)
class Course:
    """What each replica is to do: from ``initial``, ``(N, sites)``, to the lattice times, by one apparatus for each."""

    apparatus: Sequence[Apparatus]
    initial: Array
    lapses: Array

    @property
    def process(self) -> ExchangeProcess:
        """The process of the last time, of whose lattice and species all are."""
        return self.apparatus[-1].process


def simulate_relaxation(
    process: ExchangeProcess | Sequence[ExchangeProcess],
    initial: ArrayLike,
    times: ArrayLike,
    seed: int | np.random.SeedSequence,
    replicas: int,
    workers: int = 1,
    communicator: "MPI.Comm | None" = None,
    report: Report | None = None,
    executor: Executor | None = None,
) -> RelaxationResult:
    """Follow the mean densities from a product measure.

    ``process``: one, or one for every time: the process up to it, all on one lattice and with as many species.
    ``initial``: fractions at time 0, ``(N,) + lattice.site_shape``, each site drawn independently
    (in a closed channel or ring the content of the process is not used). ``times``: macroscopic,
    from 0, not falling, ``(times,)``. The number of attempts up to each time is Poisson, so the law
    at each time is exact. The other arguments are as in `simulate_stationary`.

    Raises `ValueError` for bad input and `NothingMeasuredError` when interrupted before one replica
    was complete; interrupted later, it averages the completed ones.
    """
    if replicas < 2:
        raise ValueError(f"replicas = {replicas} must be at least 2, or there is no error bar")
    moments = np.asarray(times, dtype=np.float64)
    rising = moments.ndim == 1 and moments.size > 0 and np.all(np.diff(moments, prepend=0.0) >= 0)
    if not rising or not np.isfinite(moments).all():
        raise ValueError("times must be finite, begin at 0 or later and not fall")
    if isinstance(process, ExchangeProcess):
        apparatus: Sequence[Apparatus] = [Apparatus(process)] * moments.size
    else:
        apparatus = [Apparatus(one) for one in process]
    if len(apparatus) != moments.size or len({(one.process.lattice, one.process.species) for one in apparatus}) > 1:
        raise ValueError("there must be one process for every time, all on one lattice and with as many species")
    last = apparatus[-1].process
    start = np.asarray(initial, dtype=np.float64)
    check_fractions("initial", start, (last.species, *last.lattice.site_shape))
    lapses = np.diff(moments, prepend=0.0) * last.lattice.scale**2
    course = Course(apparatus, start.reshape(last.species, -1), lapses)
    seeds = root_seed(seed).spawn(replicas)
    bounds = np.linspace(0, replicas, 1 + min(SHARES, replicas)).astype(int)
    shares = [seeds[first:last] for first, last in pairwise(bounds)]
    outcome = spread(partial(run_share, course), shares, workers, communicator, report, executor)
    return _collect(last, moments, outcome.results, outcome.interrupted)


def run_share(course: Course, seeds: Seeds, monitor: Monitor) -> Counts:
    """Run one replica after the other; a replica that is stopped on the way is not counted."""
    process = course.process
    shape = (course.lapses.size, process.species, process.lattice.sites)
    occupied, done = np.zeros(shape, dtype=np.int64), 0
    for seed in seeds:
        monitor.say(done / len(seeds))
        found = _run_replica(course, seed, monitor)
        if found is None:
            break
        occupied += found
        done += 1
    return Counts(occupied, done)


def _run_replica(course: Course, seed: np.random.SeedSequence, monitor: Monitor) -> NDArray[np.bool_] | None:
    preparation, dynamics = seed.spawn(2)
    generator = np.random.default_rng(preparation)
    engine = Engine(course.apparatus[0], draw_product_measure(course.initial, generator), dynamics)
    sites, species = course.process.lattice.sites, course.process.species
    types = np.arange(1, species + 1)[:, None]
    found = np.empty((course.lapses.size, species, sites), dtype=np.bool_)
    for moment, lapse in enumerate(course.lapses):
        engine.apparatus = apparatus = course.apparatus[moment]
        rings = apparatus.tables.bonds.shape[0] * apparatus.tables.largest_rate * lapse
        left = int(generator.poisson(rings))
        while left > 0:
            if monitor.stopped():
                return None
            engine.advance(min(left, SLICE_ATTEMPTS))
            left -= SLICE_ATTEMPTS
        found[moment] = engine.state[:sites] == types
    return found


def _collect(process: ExchangeProcess, times: Array, counts: list[Counts], interrupted: bool) -> RelaxationResult:
    whole = [one for one in counts if one.replicas > 0]
    replicas = sum(one.replicas for one in whole)
    if not whole:
        raise NothingMeasuredError("interrupted before the first replica was complete: nothing is measured")
    mean = _mean(whole)
    # An interruption may leave a single replica, which says nothing of its own error.
    freedom = replicas - 1 if replicas > 1 else np.nan
    error = np.sqrt(mean * (1 - mean) / freedom)
    shape = (times.size, process.species, *process.lattice.site_shape)
    bounds = np.linspace(0, len(whole), 1 + min(GROUPS, len(whole))).astype(int)
    groups = [whole[first:last] for first, last in pairwise(bounds)]
    return RelaxationResult(
        process=process,
        times=times,
        densities=Estimate(mean.reshape(shape), error.reshape(shape)),
        groups=np.stack([_mean(group) for group in groups]),
        replicas=replicas,
        interrupted=interrupted,
    )


def _mean(counts: list[Counts]) -> Array:
    occupied: NDArray[np.int64] = np.sum([one.occupied for one in counts], axis=0)
    return occupied / sum(one.replicas for one in counts)
