"""What the lattice is set beside: a continuum solution as plain numbers, in the lattice's own units.

These are the length of the channel and ``length^2/D``, whatever the units of the case. Read once and shared, so that
the process has the same fields to the last bit on any number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pnp_exclusion.case.scales import AVOGADRO, ELEMENTARY_CHARGE, Scales
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.observe.sample import values_at
from pnp_exclusion.particles.lattice import ExchangeProcess, FieldEnergy, Lattice, NegativeRateError
from pnp_exclusion.particles.lattice.kernel import build_tables
from pnp_exclusion.physics.boundaries import Reservoir
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.verification import LARGEST_SIZE

CURVE_POINTS = 401
"""Of the lines in pictures, from reservoir to reservoir."""
Field = Literal["mean", "configuration"]
"""In what field the particles move: that of the continuum solution, or that of their own charges."""
FREQUENCIES = np.array([3.0, 10.0, 30.0])
"""At which spectra are compared, angular in D/length^2: about the slowest relaxation, whose rate is 10 or so."""
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

    @property
    def noise(self) -> float:
        """The lattice's unit of spectra in that of the case: two-sided over ``eps``, in SI one-sided in particles."""
        return self.current * (2.0 * self.scales.flux * AVOGADRO if self.scales.si else 1.0)

    @property
    def electric_noise(self) -> float:
        """The same of the electric current, over ``e^2``; in SI one-sided in A^2/Hz/m^2."""
        return self.current * (2.0 * self.scales.current * ELEMENTARY_CHARGE if self.scales.si else 1.0)


@dataclass(frozen=True, eq=False)
class ContinuumNoise:
    """The noise of the continuum in the lattice's own units, two-sided.

    at_zero
        ``S_ab(0)`` of the species' currents, ``(N, N)``; None where the lattice moves in a field that does not
        fluctuate, while that of the solution does.
    electric
        Spectra of the total electric current over ``e^2``, ``(frequencies,)``; None with imposed fields.
    frequencies
        Angular, in D/length^2, ``(frequencies,)``.
    per_frequency
        These over those of the case.
    """

    at_zero: np.ndarray | None
    electric: np.ndarray | None
    frequencies: np.ndarray
    per_frequency: float


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
    charges
        Valences of the species, ``(N,)``.
    field
        In which the particles move.
    noise
        None if it was not asked for.
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
    charges: np.ndarray
    field: Field
    noise: ContinuumNoise | None


def read_continuum(
    solution: Solution,
    sizes: Sequence[int],
    form: str,
    field: Field = "mean",
    frequencies: Sequence[float] | None = None,
) -> Continuum:
    """Read off a solution what lattices of these sizes need; collective over the ranks of the solution.

    ``frequencies``: of the noise, in Hz or angular in D/L^2 of the case, `FREQUENCIES` if there are none; no noise if
    None. Raises `UsageError` for a case that
    is no lattice channel, has no noise, or with the smallest admissible size where a linear rate would be negative.
    """
    require_channel(solution)
    if field == "configuration":
        _require_charges(solution)
        form = "exponential"
    problem = solution.discretisation.problem
    left, right = _contents(solution)
    kappa = kappa_of(solution)

    def process_of(sites: int, form: str = form) -> ExchangeProcess:
        return process_on(solution, sites, form, field)

    processes = {sites: admitted(process_of, sites) for sites in sizes}
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
        curve=densities_at(solution, x),
        processes=processes,
        densities={sites: densities_at(solution, process.lattice.positions) for sites, process in processes.items()},
        pilot=_pilot(process_of, processes[min(sizes)], field),
        units=units,
        charges=problem.charges,
        field=field,
        noise=None if frequencies is None else _noise(solution, units, field, frequencies),
    )


def process_on(solution: Solution, sites: int, form: str, field: Field) -> ExchangeProcess:
    """Return the process on so many sites between the reservoirs and in the field of a state.

    Raises `ValueError` where it has none, see `ExchangeProcess`.
    """
    left, right = _contents(solution)
    own = field == "configuration"
    process = ExchangeProcess(
        Lattice("reservoirs", sites),
        np.zeros(len(left)) if own else _bond_fields(solution, sites),
        left.tolist(),
        right.tolist(),
        kappa=kappa_of(solution),
        form=form,  # type: ignore[arg-type]
        energy=_field_energy(solution, sites) if own else None,
    )
    # refuses a field that would make almost all attempts fail
    build_tables(process)
    return process


def _contents(solution: Solution) -> tuple[np.ndarray, np.ndarray]:
    """Fractions of the reservoirs, ``(N,)`` each."""
    problem = solution.discretisation.problem
    held = {boundary.where: boundary.dirichlet_fractions for boundary in problem.boundaries}
    left, right = (np.array([held[side][name] for name in problem.names]) for side in ("left", "right"))
    return left, right


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


def densities_at(solution: Solution, x: np.ndarray) -> np.ndarray:
    """Return the densities at positions from 0 to 1 along the channel, ``(N, len(x))``."""
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


def admitted(process_of: Callable[[int], ExchangeProcess], sites: int) -> ExchangeProcess:
    """Return the process of a size; `UsageError` with the smallest admissible one where it has none."""
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


def _require_charges(solution: Solution) -> None:
    problem = solution.discretisation.problem
    if not problem.coupled:
        raise UsageError('--field configuration is for cases with electrostatics = "poisson"')
    if problem.sheets:
        raise UsageError("--field configuration: charged interfaces have no place on the lattice; use --field mean")


def _field_energy(solution: Solution, sites: int) -> FieldEnergy:
    """The field energy of charges on so many sites, between the electrodes of the case and with its fixed charge."""
    problem, (_, length) = solution.discretisation.problem, _extent(solution)
    ends = values_at(_points(solution, np.array([0.0, 1.0])), [solution.discretisation.unknown])[0][:, -1]
    between = (np.arange(sites + 1) + 0.5) / (sites + 1)
    at_sites = np.arange(sites + 2) / (sites + 1)
    fixed = np.diff(_integral(solution, problem.fixed_charge, between)) * (sites + 1)
    resistance = np.diff(_integral(solution, 1.0 / problem.permittivity, at_sites)) * (sites + 1)
    assert problem.debye_length is not None
    charges = problem.charges.tolist()
    return FieldEnergy(charges, problem.debye_length / length, (ends[0], ends[1]), fixed, 1.0 / resistance)


def _integral(solution: Solution, values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Integrals of a cellwise function from the left end to positions from 0 to 1, over the length; on one rank."""
    mesh, (low, length) = solution.discretisation.problem.domain.mesh, _extent(solution)
    ends = np.sort((mesh.geometry.x[mesh.geometry.dofmaps[0], 0] - low) / length, axis=1)
    order = np.argsort(ends[:, 0])
    widths = (ends[:, 1] - ends[:, 0])[order]
    return np.interp(x, [0.0, *ends[order, 1]], np.concatenate([[0.0], np.cumsum(widths * values[order])]))


def _noise(solution: Solution, units: Units, field: Field, frequencies: Sequence[float]) -> ContinuumNoise:
    scales, problem = units.scales, solution.discretisation.problem
    per_frequency = units.time * (2.0 * np.pi * scales.time if scales.si else 1.0)
    wanted = np.asarray(frequencies, dtype=float) if len(frequencies) else FREQUENCIES / per_frequency
    try:
        found = solution.noise(wanted)
    except CaseError as error:
        raise UsageError(f"--noise: {'; '.join(error.mistakes)}") from None
    left = found.terminals.index("left")
    frozen = problem.coupled and field == "mean"
    electric = found.electric
    return ContinuumNoise(
        at_zero=None if frozen else found.at_zero[left, :, left] / units.noise,
        electric=None if electric is None or frozen else electric[:, left, left].real / units.electric_noise,
        frequencies=wanted * per_frequency,
        per_frequency=per_frequency,
    )


def _pilot(
    process_of: Callable[[int, str], ExchangeProcess], smallest: ExchangeProcess, field: Field
) -> ExchangeProcess:
    if field == "configuration":
        return smallest
    # linear rates, because exponential ones of a strong field on few sites would hardly ever be accepted
    try:
        return process_of(min(PILOT_SIZE, smallest.lattice.length), "linear")
    except NegativeRateError:
        return smallest
