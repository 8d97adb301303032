"""How the densities of a solution fluctuate together, in the units of its case (docs/noise.md#correlations)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.scales import AVOGADRO
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.solution.noise import small_parameter, why_not
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solution.unit_attributes import unit_attributes
from pnp_exclusion.solver.correlations import correlations
from pnp_exclusion.solver.covariances import covariances
from pnp_exclusion.solver.linearised import LinearisedEquations
from pnp_exclusion.solver.steady import SolverSettings

if TYPE_CHECKING:
    import xarray

type Real = NDArray[np.float64]
type Observable = Mapping[str, float | Callable[[Real], Real]]
"""By species: a number, or a function of points ``(3, points)``, in the lengths of the case's results."""

LARGEST = 2500
"""Electrochemical potentials in matrices without zeros: a minute, which grows with the cube."""
CELLS_APART = 4
"""Nearer to each other values are those of the cells, not of the limit: of the jump at ``x = y`` a share of 5 to the
power of minus the cells is left as a ripple."""
SIDES = (5, 8, 11)
"""Cells away from the diagonal, from which limits there are found."""
MOST_WAVES = 40
CELLS_PER_WAVE = 8
"""Of structure factors, at least."""


@dataclass(frozen=True)
class Covariances:
    """Of amounts, or other sums over densities.

    names
        Of the observables.
    matrix
        ``(observables, observables)``: particles squared, over ``eps`` without units.
    means
        ``(observables,)``: particles, over the volume of a site without units, so that the variance of independent ones
        is their mean.
    unit
        Of both; per area or per length where the case is.
    """

    names: tuple[str, ...]
    matrix: Real
    means: Real
    unit: str

    def correlation(self, one: str, other: str) -> float:
        """Return a correlation coefficient; NaN where one of the two does not fluctuate."""
        i, j = self.names.index(one), self.names.index(other)
        own = self.matrix[i, i] * self.matrix[j, j]
        return float(self.matrix[i, j] / np.sqrt(own)) if own > 0.0 else np.nan

    def to_xarray(self) -> xarray.Dataset:
        """Return covariances and means with their unit."""
        import xarray as xr

        both = ("observable", "observable_2")
        return xr.Dataset(
            {
                "covariance": (both, self.matrix, {"units": self.unit}),
                "mean": (("observable",), self.means, {"units": self.unit}),
            },
            {axis: list(self.names) for axis in both},
        )


@dataclass(frozen=True)
class Correlations:
    """``<d rho_a(x) d rho_b(y)> = chi_ab delta(x - y) + c_ab(x, y)`` of a steady state in one dimension.

    With units of number densities, times the area where the case is per area; without ones over ``eps``, the volume of
    a site over the unit of volume.

    species
        Names.
    points
        ``(nodes,)``.
    values
        ``(species, species, nodes, nodes)``: ``c_ab(x, y)``; NaN where ``x`` and ``y`` are less than four cells apart.
    sides
        ``(species, species, nodes, 2)``: ``c_ab(x, y)`` as ``y`` comes to ``x`` from above (``x < y``) and from below.
        They differ where unlike species do not change places as they do with vacancies. NaN beside the ends.
    wave_numbers
        ``(waves,)``: ``2 pi m/L``, from 0.
    structure_factors
        ``(waves, species, species)``: ``int int exp(ik(x - y)) <d rho_a d rho_b> dx dy / L``, of which ``int chi_ab/L``
        is left for independent sites.
    local
        ``(species, species)``: ``int chi_ab/L``.
    amounts
        Of the species in the domain.
    eps
        Volume of a site over that of the domain: the theory is its leading order. None without a lattice spacing, or
        where the case is per area.
    """

    species: tuple[str, ...]
    points: Real
    values: Real
    sides: Real
    wave_numbers: Real
    structure_factors: NDArray[np.complex128]
    local: Real
    amounts: Covariances
    eps: float | None
    length_unit: str
    unit: str
    structure_unit: str

    def to_xarray(self) -> xarray.Dataset:
        """Return everything with its units; a second axis of points or species has the name of the first with ``_2``,
        and structure factors are split into ``real`` and ``imaginary``."""
        import xarray as xr

        both = ("species", "species_2")
        factors, units = self.structure_factors, {"units": self.structure_unit}
        variables: dict[str, Any] = {
            "correlation": ((*both, "x", "x_2"), self.values, {"units": self.unit}),
            "correlation_beside": ((*both, "x", "side"), self.sides, {"units": self.unit}),
            "structure_factor_real": (("wave_number", *both), factors.real, units),
            "structure_factor_imaginary": (("wave_number", *both), factors.imag, units),
            "local_structure_factor": (both, self.local, units),
            "covariance_of_amounts": (both, self.amounts.matrix, {"units": self.amounts.unit}),
            "mean_amount": (("species",), self.amounts.means, {"units": self.amounts.unit}),
        }
        coordinates: dict[str, Any] = {name: list(self.species) for name in both}
        coordinates |= {name: (name, self.points, unit_attributes(self.length_unit or "L")) for name in ("x", "x_2")}
        per_length = f"1/{self.length_unit}" if self.length_unit else ""
        coordinates["wave_number"] = ("wave_number", self.wave_numbers, unit_attributes(per_length))
        coordinates["side"] = ["x < x_2", "x > x_2"]
        return xr.Dataset(variables, coordinates, {} if self.eps is None else {"eps": self.eps})


def covariances_of(
    steady: SteadyState,
    observables: Mapping[str, Observable] | None,
    settings: SolverSettings,
    petsc_options: Sequence[str] = (),
) -> Covariances:
    """Return the covariances of observables ``int sum_a g_a rho_a``; collective.

    observables
        ``g_a`` by their names; the amounts of all species if None.

    Raises `CaseError` for a case whose noise the theory does not have, `UsageError` for a species that there is not or
    a function that has no numbers, `ConvergenceError` if the linear systems cannot be solved.
    """
    _require(steady)
    discrete = steady.discretisation
    names = discrete.problem.names
    wanted = {name: {name: 1.0} for name in names} if observables is None else observables
    for observable, parts in wanted.items():
        for name in parts:
            if name not in names:
                raise UsageError(f'"{observable}" counts "{name}", but there is no such species')
    size = discrete.layout.size
    owned = discrete.space.dofmap.index_map.size_local
    points = discrete.space.tabulate_dof_coordinates()[:owned].T * steady.setup.scales.length_in_unit
    functions = np.zeros((len(wanted), size * owned))
    for row, (observable, parts) in zip(functions, wanted.items(), strict=True):
        for name, part in parts.items():
            values = _at_points(part(points) if callable(part) else part, owned)
            if discrete.problem.domain.comm.allreduce(not np.isfinite(values).all(), op=MPI.LOR):
                raise UsageError(
                    f'"{observable}" counts "{name}" by what is no finite number, or not one at each of the points'
                )
            row[discrete.layout.index(discrete.mu[names.index(name)]) :: size] = values
    with LinearisedEquations(discrete, settings, petsc_options) as equations:
        matrix = covariances(equations, functions)
        means = equations.means(functions)
    return _in_particles(steady, tuple(wanted), matrix, means)


def _at_points(values: object, count: int) -> Real:
    """Return a number or an array as one at every point; NaN if it is none."""
    try:
        return np.broadcast_to(np.asarray(values, dtype=float), count)
    except (TypeError, ValueError):
        return np.full(count, np.nan)


def correlations_of(steady: SteadyState, settings: SolverSettings, petsc_options: Sequence[str] = ()) -> Correlations:
    """Return the correlations of a steady state in one dimension; collective.

    Raises `CaseError` for a case whose noise the theory does not have, in more dimensions, and with more nodes than
    matrices without zeros can have; `ConvergenceError` if they are lost in rounding.
    """
    _require(steady)
    setup, discrete = steady.setup, steady.discretisation
    problem, scales = discrete.problem, setup.scales
    refused = _why_no_correlations(steady)
    if refused:
        raise CaseError(setup.case.path, [refused])
    with LinearisedEquations(discrete, settings, petsc_options) as equations:
        found = correlations(equations)
    integrals = steady.integrals
    means = np.array([integrals.mean_densities[name] for name in problem.names]) * integrals.volume
    length = found.points[-1] - found.points[0]
    cells = (len(found.points) - 1) // discrete.degree
    waves = 2.0 * np.pi / length * np.arange(1 + min(MOST_WAVES, cells // CELLS_PER_WAVE))
    spectrum = found.covariances(np.exp(1j * np.outer(waves, found.points)))
    density = scales.concentration * AVOGADRO if scales.si else 1.0
    squared, along = density / (scales.length * steady.extent), density * steady.extent
    unit, structure_unit = {"/m^2": ("1/m^4", "1/m^3"), "": ("1/m^6", "1/m")}[steady.per_extent]
    near = CELLS_APART * discrete.degree
    apart = np.abs(np.subtract.outer(np.arange(len(found.points)), np.arange(len(found.points))))
    return Correlations(
        species=tuple(problem.names),
        points=found.points * scales.length_in_unit,
        values=np.where(apart >= near, found.values, np.nan) * squared,
        sides=_sides(found.points, found.values, discrete.degree) * squared,
        wave_numbers=waves / scales.length_in_unit,
        structure_factors=spectrum / length * along,
        local=found.local.sum(axis=(2, 3)) / length * along,
        amounts=_in_particles(steady, tuple(problem.names), spectrum[0].real, means),
        eps=small_parameter(steady),
        length_unit=scales.length_unit,
        unit=unit if scales.si else "",
        structure_unit=structure_unit if scales.si else "",
    )


def _require(steady: SteadyState) -> None:
    # a closed cell has no terminal, and correlations all the same
    reason = why_not(steady.setup, steady.discretisation, terminals=False)
    if steady.discretisation.problem.law.thermal:
        reason = "[model]: correlations are those of a law without a temperature"
    if reason:
        raise CaseError(steady.setup.case.path, [reason])


def _why_no_correlations(steady: SteadyState) -> str:
    discrete = steady.discretisation
    if steady.axes > 1:
        return (
            f"[domain]: correlations of two points are computed in one dimension, and this case has {steady.axes}; "
            "covariances of amounts are in any"
        )
    if discrete.problem.domain.periodic:
        return (
            "[domain]: correlations of two points are computed between two ends, and this case is a ring; covariances "
            "of amounts are in any"
        )
    unknowns = discrete.space.dofmap.index_map.size_global * len(discrete.mu)
    if unknowns > LARGEST:
        return (
            f"[domain]: correlations have matrices without zeros, of {unknowns} unknowns here and {LARGEST} at most; "
            "give fewer cells, or ask for covariances of amounts"
        )
    return ""


def _in_particles(steady: SteadyState, names: tuple[str, ...], matrix: Real, means: Real) -> Covariances:
    scales = steady.setup.scales
    particles = scales.concentration * AVOGADRO * scales.length * steady.extent if scales.si else 1.0
    return Covariances(names, matrix * particles, means * particles, f"1{steady.per_extent}" if scales.si else "")


def _sides(points: Real, values: Real, degree: int) -> Real:
    """Return the limits at the diagonal, from either side, of parabolas through values that are away from it."""
    nodes = len(points)
    found = np.full((*values.shape[:3], 2), np.nan)
    for side, sign in enumerate((1, -1)):
        for i in range(nodes):
            places = i + sign * degree * np.array(SIDES)
            if places.min() < 0 or places.max() >= nodes:
                continue
            at, x = points[places], points[i]
            weights = [np.prod((x - np.delete(at, k)) / (at[k] - np.delete(at, k))) for k in range(len(SIDES))]
            found[:, :, i, side] = values[:, :, i, places] @ np.array(weights)
    return found
