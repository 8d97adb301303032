"""What the lattice is set beside: a continuum solution as plain numbers, in the lattice's own units.

These are the length of the channel and ``length^2/D``, whatever the units of the case. Read once and shared, so that
the process has the same fields to the last bit on any number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pnp_exclusion.case.scales import Scales
from pnp_exclusion.errors import UsageError
from pnp_exclusion.observe.sample import values_at
from pnp_exclusion.particles.lattice import ExchangeProcess, Lattice, NegativeRateError
from pnp_exclusion.physics.boundaries import Reservoir
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.verification import LARGEST_SIZE

CURVE_POINTS = 401
"""Of the lines in pictures, from reservoir to reservoir."""
PILOT_SIZE = 32
"""Sites of the short lattice that tells, within milliseconds, how long the densities stay correlated."""


@dataclass(frozen=True)
class Units:
    """The lattice's own units in those of the case, and these in SI.

    time
        ``length^2/D`` of the channel and its diffusivity, in L^2/D of the case.
    current
        ``D/length`` of the same, in D/L.
    """

    time: float
    current: float
    scales: Scales


@dataclass(frozen=True, eq=False)
class Continuum:
    """A continuum solution between two reservoirs, and the process at every size that is to be run in its field.

    left, right
        Fractions of the reservoirs, ``(N,)``.
    currents
        From left to right in D/length, ``(N,)``.
    forces
        In kT by species.
    driven
        Whether any field acts.
    is_limit
        Whether the law is the limit of the process, and not a mean-field approximation of it.
    curve_x, curve
        Positions from 0 to 1, ``(points,)``, and the densities there, ``(N, points)``.
    processes, densities
        By size: the process, and the densities at its sites, ``(N, sites)``.
    pilot
        A process of the same correlation time that is not longer than any of these.
    """

    names: Sequence[str]
    law: str
    kappa: float
    is_limit: bool
    driven: bool
    left: np.ndarray
    right: np.ndarray
    currents: np.ndarray
    forces: Mapping[str, float]
    curve_x: np.ndarray
    curve: np.ndarray
    processes: Mapping[int, ExchangeProcess]
    densities: Mapping[int, np.ndarray]
    pilot: ExchangeProcess
    units: Units


def read_continuum(solution: Solution, sizes: Sequence[int], form: str) -> Continuum:
    """Read off a solution what lattices of these sizes need; collective over the ranks of the solution.

    Raises `UsageError` for a case that is no lattice channel, or with the smallest admissible size where a linear rate
    would be negative.
    """
    require_channel(solution)
    problem = solution.discretisation.problem
    held = {boundary.where: boundary.dirichlet_fractions for boundary in problem.boundaries}
    left, right = (np.array([held[side][name] for name in problem.names]) for side in ("left", "right"))
    kappa = kappa_of(solution)

    def process_of(sites: int, form: str = form) -> ExchangeProcess:
        return ExchangeProcess(
            Lattice("reservoirs", sites),
            _bond_fields(solution, sites),
            left.tolist(),
            right.tolist(),
            kappa=kappa,
            form=form,  # type: ignore[arg-type]
        )

    processes = {sites: _admitted(process_of, sites) for sites in sizes}
    units = _units(solution)
    x = np.linspace(0.0, 1.0, CURVE_POINTS)
    return Continuum(
        names=problem.names,
        law=problem.law.name,
        kappa=kappa,
        is_limit=problem.law.name == "shdl" or len(left) == 1 or kappa == 1.0,
        driven=problem.coupled or any(field.largest > 0.0 for field in problem.fields.values()),
        left=left,
        right=right,
        currents=np.array(list((solution.steady.currents or {}).values())) / units.current,
        forces=solution.forces or {},
        curve_x=x,
        curve=_densities(solution, x),
        processes=processes,
        densities={sites: _densities(solution, process.lattice.positions) for sites, process in processes.items()},
        pilot=_pilot(process_of, processes[min(sizes)]),
        units=units,
    )


def require_channel(solution: Solution) -> None:
    """Raise `UsageError` unless the case is an even interval between two reservoirs with one diffusivity."""
    problem, case = solution.discretisation.problem, solution.setup.case
    if problem.domain.dimension != 1 or case.domain.shape != "interval":
        raise UsageError('the lattice channel is one-dimensional: the case needs a domain of shape "interval"')
    kinds = [type(boundary) for boundary in problem.boundaries]
    if kinds != [Reservoir, Reservoir]:
        raise UsageError("the lattice channel lies between two reservoirs: both ends of the case must be reservoirs")
    uneven = any(region.diffusivity is not None for region in case.regions)
    if uneven or len({species.diffusivity for species in problem.species}) > 1:
        raise UsageError("the lattice has one diffusivity: all species and regions must have the same")
    if problem.cross_section is not None:
        raise UsageError("the lattice channel has the same section everywhere: remove area")
    if problem.partition:
        raise UsageError("all species are in the whole lattice alike: remove ions, excluded and partition of regions")
    if case.model.sizes is not None:
        raise UsageError("the particles of the lattice fill one site each: remove sizes")
    if problem.reactions:
        raise UsageError("the lattice keeps its particles: remove [[reactions]]")
    kappa_of(solution)


def kappa_of(solution: Solution) -> float:
    """Return the exchange rate of unlike particles that belongs to the law; `UsageError` for laws of no lattice."""
    law = solution.discretisation.problem.law
    if law.lattice_exchange is not None:
        return law.lattice_exchange
    raise UsageError(
        f'law "{law.name}" is not the limit of a lattice process; use "shdl" (stirring), or "vacancy" to measure how '
        "far hopping is from its mean-field law"
    )


def _units(solution: Solution) -> Units:
    _, length = _extent(solution)
    diffusivity = solution.discretisation.problem.species[0].diffusivity
    return Units(length**2 / diffusivity, diffusivity / length, solution.setup.scales)


def _extent(solution: Solution) -> tuple[float, float]:
    """Left end and length of the channel in L."""
    low, high = solution.discretisation.problem.domain.bounding_box()
    return float(low[0]), float(high[0] - low[0])


def _points(solution: Solution, x: np.ndarray) -> np.ndarray:
    low, length = _extent(solution)
    points = np.zeros((len(x), 3))
    points[:, 0] = low + length * x
    return points


def _densities(solution: Solution, x: np.ndarray) -> np.ndarray:
    """Densities at positions from 0 to 1 along the channel, ``(N, len(x))``."""
    discrete = solution.discretisation
    _, eta, _ = discrete.potentials(values_at(_points(solution, x), [discrete.unknown])[0])
    return np.array(discrete.problem.law.free_energy.densities(list(eta))[1:])


def _bond_fields(solution: Solution, sites: int) -> np.ndarray:
    """Field on every bond, ``(N, sites + 1)``: the work done along it, so that the sum over the channel is exact."""
    problem = solution.discretisation.problem
    points = _points(solution, np.arange(sites + 2) / (sites + 1))
    work = np.zeros((len(problem.species), sites + 2))
    for a, species in enumerate(problem.species):
        if species.name in problem.fields:
            work[a] = problem.fields[species.name].work(points.T)
    if problem.coupled:
        potential = values_at(points, [solution.discretisation.unknown])[0][:, -1]
        work -= np.outer([species.charge for species in problem.species], potential)
    return np.diff(work, axis=1) * (sites + 1)


def _admitted(process_of: Callable[[int], ExchangeProcess], sites: int) -> ExchangeProcess:
    try:
        return process_of(sites)
    except NegativeRateError as error:
        smallest = _smallest_size(process_of, error.smallest)
        advice = f"take at least --sizes {smallest}, or" if smallest else f"no size up to {LARGEST_SIZE} will do: take"
        raise UsageError(
            f"--sizes {sites}: the field is too strong for linear rates, one of which would be negative; "
            f"{advice} --form exponential"
        ) from None
    except ValueError as error:
        raise UsageError(f"--sizes {sites}: {error}") from None


def _smallest_size(process_of: Callable[[int], ExchangeProcess], guess: int) -> int | None:
    """Smallest size without a negative rate, None beyond `LARGEST_SIZE`. ``guess``: what a coarser lattice suggests.

    On finer lattices the bonds see more of the peaks of the field, so that what a coarse one suggests can be too small.
    """
    while guess <= LARGEST_SIZE:
        try:
            process_of(guess)
        except NegativeRateError as error:
            guess = max(guess + 1, error.smallest)
        else:
            return guess
    return None


def _pilot(process_of: Callable[[int, str], ExchangeProcess], smallest: ExchangeProcess) -> ExchangeProcess:
    # linear rates, because exponential ones of a strong field on few sites would hardly ever be accepted
    try:
        return process_of(min(PILOT_SIZE, smallest.lattice.length), "linear")
    except NegativeRateError:
        return smallest
