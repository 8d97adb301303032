"""The noise of a solution: spectra of its currents, in the units of its case (docs/noise.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpi4py import MPI

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic_core import PydanticCustomError

from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.quantities import FREQUENCY
from pnp_exclusion.case.scales import AVOGADRO, ELEMENTARY_CHARGE
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import unknown_of
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.mesh.sizes import cells_at, heights
from pnp_exclusion.observe.events import dissipation_of_events
from pnp_exclusion.physics.boundaries import Exchange, RegulatedWall
from pnp_exclusion.physics.free_energies import LatticeGas
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.physics.reactions import Linear
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solution.unit_attributes import unit_attributes
from pnp_exclusion.solver.linearised import LinearisedEquations
from pnp_exclusion.solver.linearised_forms import terminals_of
from pnp_exclusion.solver.noise import Spectra, noise_at_zero, spectra, total_current_of
from pnp_exclusion.solver.steady import SolverSettings

if TYPE_CHECKING:
    import xarray

type Real = NDArray[np.float64]
type Complex = NDArray[np.complex128]

CONSERVED = 1e-7
"""Of the noise of a current: what enters at one terminal leaves at others, but for the digits of the linear systems."""
SILENT = 1e-20
"""kT D/L^2: what rounding leaves of the entropy production where nothing flows."""
UNCERTAINTY = 1e-6
"""Of the entropy production: by so much the bound may be passed, since both sides are equal in linear response."""
ACCURACY = 1e-5
"""Of spectra."""
LOST = 0.1
"""Of the electric noise: where rounding may be more of it, it is not told."""
FREQUENCIES = (0.1, 1e5, 41)
"""From, to (D/L^2, or what the mesh resolves if that is less) and how many, if none are given."""


@dataclass(frozen=True)
class Noise:
    """Spectra of the currents of a steady state.

    Of a case in SI units they are one-sided, as instruments show them, and frequencies are in Hz; of a dimensionless
    one two-sided and over ``eps``, the volume of a site over the unit of volume, and frequencies are angular, in
    D/L^2. Terminals are the boundaries that hold a species or the potential; quantities are the species, and with a
    temperature energy behind them.

    at_zero
        ``(terminals, quantities, terminals, quantities)``: spectra of the particle currents at frequency zero, in
        particles^2/s.
    electric_at_zero
        ``(terminals, terminals)``: of the electric current, in A^2/Hz.
    fano
        ``(terminals, quantities)``: of the particle currents, 1 if they were independent events one way; NaN where none
        flows.
    electric_fano
        ``(terminals,)``: of the electric current, ``S/(2 e |I|)``.
    frequencies
        ``(frequencies,)``.
    particle
        ``(frequencies, terminals, quantities, terminals, quantities)``: as ``at_zero``. NaN beyond ``band``.
    electric
        ``(frequencies, terminals, terminals)``: of the total electric current, conduction and displacement, in A^2/Hz;
        NaN beyond ``band``, None with imposed fields.
    admittance
        Likewise: current into the domain at one terminal per potential at another, in S.
    thermal
        ``(frequencies, terminals)``: the spectrum over that of thermal noise, ``S/(4 kT Re Y)``; 1 at equilibrium, NaN
        where no current can pass.
    uncertainty
        ``J S^-1 J`` of all currents over half their entropy production: at most 1, as near equilibrium; NaN where
        nothing flows, or nothing that fluctuates.
    band
        The highest frequency that the mesh resolves: there particles diffuse through the cells at the terminals.
    accuracy
        Of the spectra, relative, as their residuals have it.
    eps
        Volume of a site over that of the domain: the theory is its leading order. None without a lattice spacing, or
        where the case is per area or length.
    unit, particle_unit, admittance_unit
        Of what is above; per area or per length where the case is.
    warnings
        One sentence for each check that failed.
    """

    terminals: tuple[str, ...]
    quantities: tuple[str, ...]
    at_zero: Real
    electric_at_zero: Real
    fano: Real
    electric_fano: Real
    frequencies: Real
    particle: Complex
    electric: Complex | None
    admittance: Complex | None
    thermal: Real | None
    uncertainty: float
    band: float
    accuracy: float
    eps: float | None
    unit: str
    particle_unit: str
    admittance_unit: str
    frequency_unit: str
    warnings: list[str] = field(default_factory=list)

    def correlation(self, terminal: str, one: str, other: str) -> float:
        """Return the correlation coefficient of two particle currents through a terminal at frequency zero.

        NaN where one of them has no noise.
        """
        t, a, b = self.terminals.index(terminal), self.quantities.index(one), self.quantities.index(other)
        block = self.at_zero[t, :, t, :]
        own = block[a, a] * block[b, b]
        return float(block[a, b] / np.sqrt(own)) if own > 0.0 else np.nan

    def to_xarray(self) -> xarray.Dataset:
        """Return the spectra with their units; a second axis of terminals or quantities has the name of the first with
        ``_2``."""
        import xarray as xr

        particles = ("terminal", "species", "terminal_2", "species_2")
        variables: dict[str, Any] = {
            "particle_noise_at_zero": (particles, self.at_zero, {"units": self.particle_unit}),
            "electric_noise_at_zero": (("terminal", "terminal_2"), self.electric_at_zero, {"units": self.unit}),
            "fano": (("terminal", "species"), self.fano),
            "electric_fano": (("terminal",), self.electric_fano),
            "particle_noise": (("frequency", *particles), self.particle, {"units": self.particle_unit}),
        }
        if self.electric is not None and self.admittance is not None:
            both = ("frequency", "terminal", "terminal_2")
            variables |= {
                "electric_noise": (both, self.electric, {"units": self.unit}),
                "admittance": (both, self.admittance, {"units": self.admittance_unit}),
                "thermal_ratio": (("frequency", "terminal"), self.thermal),
            }
        names = {"terminal": self.terminals, "species": self.quantities}
        coordinates: dict[str, Any] = {name + end: list(values) for name, values in names.items() for end in ("", "_2")}
        coordinates["frequency"] = ("frequency", self.frequencies, unit_attributes(self.frequency_unit))
        return xr.Dataset(variables, coordinates, {"band": self.band, "accuracy": self.accuracy})


def noise_of(
    steady: SteadyState,
    frequencies: ArrayLike | None,
    settings: SolverSettings,
    petsc_options: Sequence[str] = (),
) -> Noise:
    """Return the noise of a steady state at frequencies in the units of its case; collective.

    Raises `CaseError` for a case whose noise the theory does not have (`why_not`), `UsageError` for frequencies that
    are none, `ConvergenceError` if the linear systems cannot be solved.
    """
    setup, discrete = steady.setup, steady.discretisation
    if reason := why_not(setup, discrete):
        raise CaseError(setup.case.path, [reason])
    scales = setup.scales
    per_frequency = 2.0 * np.pi * scales.time if scales.si else 1.0
    band = _band(discrete)
    if frequencies is None:
        low, high, count = FREQUENCIES
        wanted: Real = np.geomspace(low, min(high, band), count)
    else:
        wanted = above_zero(frequencies) * per_frequency
    # the last one may be a rounding above
    resolved = wanted[wanted <= band * (1.0 + 1e-9)]
    with LinearisedEquations(discrete, settings, petsc_options) as equations:
        zero = noise_at_zero(equations)
        found = spectra(equations, resolved) if len(resolved) else None
        tags = sorted({tag for tag, _ in equations.terminals})
        electric = np.array([total_current_of(equations, tag) for tag in tags])
        # of the terminals' unknowns, those of particles
        places = [[_place(equations, tag, name) for name in discrete.problem.quantities] for tag in tags]
    return _in_units(steady, tags, places, electric, zero, found, wanted, band, per_frequency)


def above_zero(frequencies: ArrayLike) -> Real:
    """Return frequencies as an array, ``(frequencies,)``; `UsageError` unless they are numbers greater than zero."""
    try:
        found = np.atleast_1d(np.asarray(frequencies, dtype=float))
    except (TypeError, ValueError):
        raise UsageError(f"frequencies are numbers, but {frequencies!r} are none") from None
    if found.ndim > 1 or not np.all(np.isfinite(found) & (found > 0.0)):
        raise UsageError(f"frequencies are a list of finite numbers greater than zero, but are {found.tolist()}")
    return found


def frequency_band(low: float | str, high: float | str, count: int, *, si: bool) -> Real:
    """Return frequencies spread over a band evenly in their logarithms, ``(count,)``.

    low, high
        Numbers, or texts of them; of a case in SI units also with a unit, as ``"1 kHz"``.

    Raises `UsageError` if they are none, or do not make a band.
    """
    ends = [_frequency(given, si) for given in (low, high)]
    if not 0.0 < ends[0] < ends[1] < np.inf:
        raise UsageError(f"a band of frequencies lies above zero and rises, but is given from {low} to {high}")
    if count < 2:
        raise UsageError(f"a band has 2 frequencies or more, not {count}")
    return np.geomspace(ends[0], ends[1], count)


def _frequency(given: float | str, si: bool) -> float:
    try:
        return float(given)
    except ValueError:
        pass
    # units of angles are compatible with Hz, and would be taken as if a turn were a radian
    if si and not str(given).strip().endswith("Hz"):
        raise UsageError(f'"{given}" is not a frequency; right would be "{FREQUENCY.example}"')
    try:
        return FREQUENCY.parse(given, "si" if si else "dimensionless").value
    except PydanticCustomError as error:
        raise UsageError(error.message()) from None


def why_not(setup: Setup, discrete: Discretisation, terminals: bool = True) -> str:
    """Return why there is no noise of a case, in one sentence; empty if there is.

    terminals
        Whether there must be some.
    """
    problem, boundaries = discrete.problem, setup.case.boundaries
    for reaction in problem.reactions:
        if isinstance(reaction.kinetics, Linear):
            return (
                f'[[reactions]] "{reaction.name}": shot noise is that of forward and backward rates, and linear '
                "kinetics have their difference only; give others"
            )
    for condition in problem.boundaries:
        if isinstance(condition, Exchange) and (reason := _why_no_swaps(problem, condition)):
            return f'[[boundaries]] "{condition.where}": {reason}'
        if isinstance(condition, RegulatedWall):
            return (
                f'[[boundaries]] "{condition.where}": the noise of a wall whose groups take up protons is not '
                "computed; give it a surface_charge"
            )
        if condition.given_total is not None:
            return (
                f'[[boundaries]] "{condition.where}": its potential is found, and fluctuates; noise is that of '
                "currents between potentials that are held: give it the one that was found"
            )
    for tag, name, _ in weakly_imposed(problem):
        return (
            f'[[boundaries]] "{problem.boundaries[tag].where}": holds {name} but not all species of a crowded law; '
            "noise is that of boundaries that hold all or none"
        )
    for boundary in boundaries:
        for name, amount in boundary.amounts.items():
            if amount == 0.0:
                return (
                    f'[[boundaries]] "{boundary.where}": holds no {name}, and the noise about an empty state is not '
                    "Gaussian; give it a small concentration"
                )
    if terminals and not terminals_of(discrete):
        return "no boundary holds a species or the potential, so that there is no current whose noise could be told"
    return ""


def _why_no_swaps(problem: Problem, condition: Exchange) -> str:
    charged = [s.name for s in problem.species if s.name in condition.rates and s.charge != 0.0]
    if problem.coupled and charged and condition.potential is None:
        return (
            f"exchanges {charged[0]}, whose charge depends on the potential, but holds none: its rates have no "
            "equilibrium about which they could fluctuate; give it a potential"
        )
    if not problem.law.crowded or (
        condition.is_swapping(problem.names) and type(problem.law.free_energy) is LatticeGas
    ):
        return ""
    return (
        "the noise of exchange in a crowded law is that of sites which swap whatever they hold; give all species, of "
        "one size, the same rate"
    )


def _place(equations: LinearisedEquations, tag: int, name: str) -> int | None:
    terminal = (tag, unknown_of(name))
    return equations.terminals.index(terminal) if terminal in equations.terminals else None


def _band(discrete: Discretisation) -> float:
    """Return the angular frequency at which particles diffuse through the cells at the boundaries that hold any."""
    problem, domain = discrete.problem, discrete.problem.domain
    least = np.inf
    for tag in {tag for tag, _ in terminals_of(discrete)}:
        facets, cells = cells_at(domain, domain.boundary_facets[problem.boundaries[tag].where])
        if len(cells):
            rates = (
                problem.diffusivity_factors[:, cells].min(axis=0)
                * (discrete.degree / heights(domain, facets, cells)) ** 2
            )
            least = min(least, float(rates.min()))
    slowest = min(species.diffusivity for species in problem.species)
    return float(domain.comm.allreduce(least, op=MPI.MIN)) * slowest


def _in_units(
    steady: SteadyState,
    tags: Sequence[int],
    places: Sequence[Sequence[int | None]],
    electric: Real,
    zero: Real,
    found: Spectra | None,
    wanted: Real,
    band: float,
    per_frequency: float,
) -> Noise:
    scales, problem = steady.setup.scales, steady.discretisation.problem
    terminals = [problem.boundaries[tag].where for tag in tags]
    shape = (len(tags), len(problem.quantities))
    flat = [place for row in places for place in row]
    missing = np.array([place is None for place in flat])
    picked = np.array([0 if place is None else place for place in flat])

    def of_particles(matrix: NDArray[Any]) -> NDArray[Any]:
        chosen = matrix[..., picked[:, None], picked]
        chosen = np.where(missing[:, None] | missing, 0.0, chosen)
        return chosen.reshape(*matrix.shape[:-2], *shape, *shape)

    # what one event is of a current: one-sided is twice two-sided
    rate = 2.0 * scales.flux * AVOGADRO * steady.extent if scales.si else 1.0
    square = 2.0 * ELEMENTARY_CHARGE * scales.current * steady.extent if scales.si else 1.0
    siemens = scales.current * steady.extent / scales.potential if scales.si else 1.0
    at_zero = of_particles(zero)
    z = np.array([*problem.charges, *([0.0] if problem.law.thermal else [])])
    electric_zero = np.einsum("a,iajb,b->ij", z, at_zero, z)
    currents = np.array([[steady.totals.flux[where][name] for name in problem.quantities] for where in terminals])
    flows = np.array([[steady.totals.passes(name) for name in problem.quantities]] * len(terminals)) & (currents != 0.0)
    own = np.einsum("iaia->ia", at_zero)
    fano = np.where(flows, own / np.abs(np.where(flows, currents, 1.0)), np.nan)
    whole = currents @ z
    electric_flows = flows[:, z != 0.0].any(axis=1) & (whole != 0.0)
    electric_fano = np.where(
        electric_flows, np.einsum("ii->i", electric_zero) / np.abs(np.where(electric_flows, whole, 1.0)), np.nan
    )
    count = 0 if found is None else len(found.frequencies)
    is_resolved = wanted <= band * (1.0 + 1e-9)

    def spread(values: NDArray[Any]) -> Any:
        every = np.full((len(wanted), *values.shape[1:]), np.nan, dtype=values.dtype)
        every[is_resolved] = values
        return every

    nothing = np.zeros((count, len(zero), len(zero)), dtype=complex)
    noise = nothing if found is None else found.noise
    particle: Complex = spread(of_particles(noise)) * rate
    total: Complex | None = None
    admittance: Complex | None = None
    thermal: Real | None = None
    rounded = 0
    if problem.coupled:
        answers, rounding = (nothing, nothing) if found is None else (found.admittance, found.rounding)
        total_noise, total_answer = (np.asarray(electric @ one @ electric.T, dtype=complex) for one in (noise, answers))
        total, admittance = spread(total_noise) * square, spread(total_answer) * siemens
        of_heat = 2.0 * np.einsum("fii->fi", total_answer).real
        # of blocking electrodes at low frequencies, and of a terminal that has no other, both are rounding
        lost = np.einsum("ti,fij,tj->ft", electric, rounding, electric).real
        passes = lost <= LOST * np.abs(of_heat)
        rounded = int(np.count_nonzero(~passes.all(axis=1)))
        own_noise = np.einsum("fii->fi", total_noise).real
        thermal = spread(np.where(passes, own_noise / np.where(passes, of_heat, 1.0), np.nan))
    uncertainty = _uncertainty(steady, at_zero, currents)
    per = steady.per_extent if scales.si else ""
    accuracy = 0.0 if found is None else found.accuracy
    return Noise(
        terminals=tuple(terminals),
        quantities=tuple(problem.quantities),
        at_zero=at_zero * rate,
        electric_at_zero=electric_zero * square,
        fano=fano,
        electric_fano=electric_fano,
        frequencies=wanted / per_frequency,
        particle=particle,
        electric=total,
        admittance=admittance,
        thermal=thermal,
        uncertainty=uncertainty,
        band=band / per_frequency,
        accuracy=accuracy,
        eps=small_parameter(steady),
        unit=f"A^2/Hz{per}" if scales.si else "",
        particle_unit=f"1/s{per}" if scales.si else "",
        admittance_unit=f"S{per}" if scales.si else "",
        frequency_unit="Hz" if scales.si else "D/L^2",
        warnings=[
            *_checks(steady, at_zero, uncertainty, accuracy),
            *_rounded(rounded, len(wanted)),
            *_beyond(wanted, band, per_frequency, scales.si),
        ],
    )


def small_parameter(steady: SteadyState) -> float | None:
    """Return ``eps``: the volume of a site over that of the domain, a channel's being its area times its length; None
    without a lattice spacing, and per area or length."""
    spacing = steady.setup.case.model.lattice_spacing
    if spacing is None or steady.per_extent:
        return None
    return float((spacing.value / steady.setup.scales.length) ** 3 / steady.integrals.volume)


def _checks(steady: SteadyState, at_zero: Real, uncertainty: float, accuracy: float) -> Iterator[str]:
    """What must hold of the noise of every steady state."""
    discrete = steady.discretisation
    names = discrete.problem.quantities
    in_volume = [reaction for reaction in discrete.problem.reactions if reaction.boundary is None]
    own = np.einsum("iaia->ia", at_zero)
    if not own.any():
        yield (
            "no species passes from terminal to terminal, so that none has noise at frequency zero or a Fano "
            "factor; spectra tell of the electric current"
        )
    for a, name in enumerate(names):
        left = np.abs(at_zero[:, a, :, a].sum(axis=0)).max() / max(own[:, a].max(), np.finfo(float).tiny)
        if not left <= CONSERVED and not any(reaction.change(name) for reaction in in_volume):
            yield (
                f"the noise of {name} is not conserved: {left:.1e} of it enters and does not leave (limit "
                f"{CONSERVED:g}); its spectrum has no more digits than that"
            )
    if uncertainty > 1.0 + UNCERTAINTY:
        yield (
            f"the currents are more certain than their entropy production allows: J S^-1 J is {uncertainty:.9g} of "
            "half of it; the noise is wrong"
        )
    if not accuracy <= ACCURACY:
        yield f"the spectra are off by {accuracy:.1e} (limit {ACCURACY:g}); a direct solver may leave less"


def _uncertainty(steady: SteadyState, at_zero: Real, currents: Real) -> float:
    """Return ``J S^-1 J`` over half the entropy production."""
    discrete = steady.discretisation
    # the currents of all terminals but one say all, if nothing reacts on the way
    told = len(currents) - (not steady.reacts_in_volume)
    size = told * currents.shape[1]
    covariance, flow = at_zero[:told, :, :told, :].reshape(size, size), currents[:told].reshape(size)
    kept = np.diag(covariance) > 0.0
    scale = np.sqrt(np.diag(covariance)[kept])
    correlation = covariance[np.ix_(kept, kept)] / np.outer(scale, scale)
    if not kept.any():
        return np.nan
    reduced = flow[kept] / scale
    precision = float(reduced @ np.linalg.lstsq(correlation, reduced, rcond=1e-12)[0])
    bound = 0.5 * (steady.entropy_production + dissipation_of_events(discrete))
    return precision / bound if bound > SILENT else np.nan


def _rounded(count: int, frequencies: int) -> Iterator[str]:
    if count:
        yield (
            f"at {count} of {frequencies} frequencies the noise of an electric current and the real part of its "
            "admittance are so small that they are rounding, and their ratio is not told: next to nothing passes there"
        )


def _beyond(wanted: Real, band: float, per_frequency: float, si: bool) -> Iterator[str]:
    beyond = int(np.count_nonzero(wanted > band * (1.0 + 1e-9)))
    if beyond:
        unit = " Hz" if si else " D/L^2"
        yield (
            f"{beyond} of {len(wanted)} frequencies lie beyond {band / per_frequency:.3g}{unit}, the highest that the "
            "mesh resolves, and have no spectrum; more cells at the terminals reach farther"
        )
