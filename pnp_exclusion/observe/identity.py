"""The master identity of one-dimensional steady states, ``F = <1/(A M)> J`` (docs/theory.md#master-identity).

It checks a computed profile against its computed currents without any reference solution, for every law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from mpi4py import MPI

import basix
import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation, NodalValues
from pnp_exclusion.discretisation.integration import STEEP
from pnp_exclusion.physics.energy import Warmth

LEAST_SHARE = 1e-6
FLAT_DEGREE, SLOPING_DEGREE = 7, 15
"""Of the Gauss rules for ``<M^-1>`` where potentials change by less than `FLAT`, and elsewhere: densities vary
exponentially within a cell."""
FLAT = 0.2
"""kT: within cells over which potentials change by less they are polynomials, to the accuracy of the currents."""
PROFILE_ROUNDS = 4
"""In which the profile within a steep cell settles to 1e-6."""
LEAST_ACTIVITY = 1e-100
"""Of the larger one at the ends of a cell: less is no profile but the mark of a mesh that is far too coarse."""
SMALLEST_PANEL = 1e-30
"""Of a cell: contents may fall by as much within it."""
PANELS = 40
"""In each half of a cell."""


def identity_residual(
    resistance: np.ndarray, currents: dict[str, float], forces: dict[str, float], least: dict[str, float]
) -> float:
    """Return the largest difference between a species' current and ``<M^-1>^-1 F``, over its gross flux.

    resistance
        `mean_resistance` of the profile.
    currents, forces
        From left to right, in the order of the species.
    least
        The gross flux that a species is credited with at least, see `one_way_fluxes`.
    """
    computed, predicted = np.array(list(currents.values())), predicted_currents(resistance, list(forces.values()))
    gross = np.maximum(np.abs(computed), np.array(list(least.values())))
    return float(np.max(np.abs(computed - predicted) / gross))


def predicted_currents(resistance: np.ndarray, forces: Sequence[float]) -> np.ndarray:
    """Return ``<M^-1>^-1 F``, which has no differences of large numbers, for forces in the order of the species."""
    # blocked or expelled species make entries of very unlike size: solve in units of each one's own resistance
    unit = np.sqrt(np.diagonal(resistance))
    predicted: np.ndarray = np.linalg.solve(resistance / np.outer(unit, unit), np.asarray(forces) / unit) / unit
    return predicted


def one_way_fluxes(resistance: np.ndarray, mean_fluxes: dict[str, float]) -> dict[str, float]:
    """Return what one kT drives of every species through its resistances in series.

    A millionth of its mean flux at least: the rounding of the currents, some 1e-13 of that, is then no error.
    """
    series = 1.0 / np.diagonal(resistance)
    return {
        name: max(float(own), LEAST_SHARE * mean) for own, (name, mean) in zip(series, mean_fluxes.items(), strict=True)
    }


def mean_resistance(discrete: Discretisation, nodal: NodalValues, currents: Sequence[float]) -> np.ndarray:
    """Return ``int (A M)^-1 dx`` over the interval, shape ``(N, N)``, A the section of a channel; collective.

    nodal
        Of the solution in the unknown.
    currents
        Of every species, by which profiles are told within cells in which a potential changes.
    """
    changes, of_all = discrete.changes_within_cells().max(axis=0), np.asarray(currents)
    # with a temperature there is no Slotboom variable: the unknown itself has to do
    is_sloping, is_steep = ((changes >= least) & (not discrete.problem.law.thermal) for least in (FLAT, STEEP))
    flat, sloping, steep = map(np.flatnonzero, (~is_sloping, is_sloping & ~is_steep, is_steep))
    mean = _by_unknown(discrete, nodal, flat)
    mean += _by_steady_profile(discrete, sloping, of_all, _rule_on_panels(1.0))
    mean += _by_steady_profile(discrete, steep, of_all, _rule_on_panels(*_graded_panels()))
    discrete.problem.domain.comm.Allreduce(MPI.IN_PLACE, mean, op=MPI.SUM)
    return mean


def _by_unknown(discrete: Discretisation, nodal: NodalValues, cells: np.ndarray) -> np.ndarray:
    """Return ``int M^-1 dx`` over some cells, by the densities of the unknown itself."""
    points, weights = _quadrature(FLAT_DEGREE)
    basis = discrete.forms.kept("basis at Gauss points", lambda: _basis(discrete, points))
    nodes = discrete.space.dofmap.list[cells]
    measure, warmth = np.outer(_lengths(discrete)[cells], weights).ravel(), None
    if discrete.problem.law.thermal:
        at_points = np.matmul(basis, discrete.layout.at_nodes(discrete.values)[nodes])
        _, eta, _ = discrete.potentials(at_points)
        warmth = discrete.warmth(at_points)
    else:
        eta = nodal.eta[:, nodes] @ basis.T
        energies = discrete.partition_of_cells
        eta = (eta if energies is None else eta - energies[:, cells, None]).reshape(len(nodal.eta), -1)
    return np.tensordot(measure, _inverse(_mobility(discrete, cells, points.ravel(), eta, warmth)), 1)


def _by_steady_profile(discrete: Discretisation, cells: np.ndarray, currents: np.ndarray, rule: _Rule) -> np.ndarray:
    """Return ``int M^-1 dx`` over some cells, by the steady profile between the values at their ends.

    Where ``mu`` is steep it is a polynomial that has the right values at the ends and carries the right flux, but
    between them ``1/rho`` may be wrong by any factor. The steady profile between the same values is ``exp(mu_a)``
    linear in ``int exp(mu_a) (M^-1 J)_a dx`` (Slotboom's variable for a law with any mobility), an integral of what is
    smooth; it is found by iteration, from ``M`` of point particles.
    """
    count = len(discrete.problem.quantities)
    if not len(cells):
        return np.zeros((count, count))
    mu, energy = _ends_and_energies(discrete, cells, rule.points)
    highest = mu.max(axis=2)[:, :, None]
    first, last = np.exp(mu[:, :, :1] - highest), np.exp(mu[:, :, 1:] - highest)
    slope = np.exp(energy - energy.max(axis=2)[:, :, None])
    for _ in range(PROFILE_ROUNDS):
        before, behind = rule.cumulated(slope)
        # what is left at an end may be rounded to less than nothing
        activity = np.maximum((first * behind + last * before) / (before + behind), LEAST_ACTIVITY)
        eta = highest + np.log(activity) - energy
        inverse = _inverse(_mobility(discrete, cells, rule.points, eta.reshape(count, -1))).reshape(
            len(cells), -1, count, count
        )
        drops = np.einsum("cpab,b->acp", inverse, currents)
        new = activity * drops
        # a species without a current of its own has none of the others' signs everywhere
        one_sign = ((new > 0.0).all(axis=2) | (new < 0.0).all(axis=2)) & (
            np.abs(new).max(axis=2) < 1.0 / LEAST_ACTIVITY
        )
        slope = np.where(one_sign[:, :, None], np.abs(new), slope)
    return np.einsum("c,p,cpab->ab", _lengths(discrete)[cells], rule.weights, inverse)


def _lengths(discrete: Discretisation) -> np.ndarray:
    """Return the lengths of this rank's cells."""

    def measured() -> np.ndarray:
        cells = np.arange(len(discrete.integration.is_steep), dtype=np.int32)
        lengths: np.ndarray = discrete.problem.domain.mesh.h(1, cells)
        return lengths

    kept: np.ndarray = discrete.forms.kept("lengths of cells", measured)
    return kept


def _ends_and_energies(
    discrete: Discretisation, cells: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``mu`` at both ends of cells, with the work of imposed fields, and the potential energy at points.

    ``(N, cells, 2)`` and ``(N, cells, points)``; their difference is ``eta``.
    """
    problem, count = discrete.problem, len(discrete.problem.species)
    nodes = discrete.space.dofmap.list[cells]
    at_nodes, _, phi = discrete.potentials(discrete.values)
    mu = at_nodes[:, nodes[:, :2]]
    energies = discrete.partition_of_cells
    own = np.zeros((count, len(cells), 1)) if energies is None else energies[:, cells, None]
    if phi is not None:
        potential = phi[nodes] @ _basis(discrete, points[:, None]).T
        return mu, own + np.array([species.charge * potential for species in problem.species])
    shares = np.concatenate([[0.0, 1.0], points])
    positions = np.zeros((3, len(cells) * len(shares)))
    positions[0] = _positions(discrete, cells, shares).ravel()
    works = [
        problem.fields[name].work(positions) if name in problem.fields else np.zeros(positions.shape[1])
        for name in problem.names
    ]
    energy = -float(discrete.parameters.load_parameter.value) * np.array(works).reshape(count, len(cells), -1)
    return mu + energy[:, :, :2], own + energy[:, :, 2:]


def _basis(discrete: Discretisation, points: np.ndarray) -> np.ndarray:
    """Return the values of the elements' basis at points of the reference cell, ``(points, nodes of a cell)``."""
    values: np.ndarray = discrete.space.element.basix_element.tabulate(0, points)[0, :, :, 0]
    return values


@dataclass(frozen=True)
class _Rule:
    """Gauss rules on panels of an interval of length 1.

    cumulating
        Weights of the integral from the beginning of a panel to each of its points.
    """

    lengths: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    cumulating: np.ndarray

    def cumulated(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the integral of values at the points (the last axis) up to every point, and from there on."""
        panels = values.reshape(*values.shape[:-1], len(self.lengths), -1)
        inside = np.einsum("...jk,ik->...ji", panels, self.cumulating) * self.lengths[:, None]
        whole = (panels * self.weights.reshape(len(self.lengths), -1)).sum(axis=-1)
        before = np.cumsum(whole, axis=-1) - whole
        behind = np.cumsum(whole[..., ::-1], axis=-1)[..., ::-1]
        rest = (whole[..., None] - inside) + (behind - whole)[..., None]
        return (before[..., None] + inside).reshape(values.shape), rest.reshape(values.shape)


@cache
def _graded_panels() -> tuple[float, ...]:
    """Return lengths of panels for functions that are steep at every distance from either end."""
    halves = np.diff(np.concatenate([[0.0], np.geomspace(SMALLEST_PANEL, 0.5, PANELS)])).tolist()
    return (*halves, *halves[::-1])


@cache
def _quadrature(degree: int) -> tuple[np.ndarray, np.ndarray]:
    points, weights = basix.make_quadrature(basix.CellType.interval, degree)
    return points, weights


@cache
def _rule_on_panels(*panels: float) -> _Rule:
    lengths = np.array(panels)
    points, weights = _quadrature(SLOPING_DEGREE)
    share = points.ravel()
    powers = np.arange(len(share))
    # the integral of the polynomial through the values at the points
    cumulating = (share[:, None] ** (powers + 1) / (powers + 1)) @ np.linalg.inv(share[:, None] ** powers)
    begins = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    return _Rule(
        lengths, (begins[:, None] + lengths[:, None] * share).ravel(), np.outer(lengths, weights).ravel(), cumulating
    )


def _mobility(
    discrete: Discretisation, cells: np.ndarray, shares: np.ndarray, eta: np.ndarray, warmth: Warmth | None = None
) -> np.ndarray:
    """Return ``M`` at points of cells, times the section of a channel there, ``(cells * points, N, N)``.

    eta
        ``(N, cells * points)``.
    shares
        Of a cell at the points, from its first end, ``(points,)``.
    """
    problem = discrete.problem
    rho = problem.law.free_energy.densities(list(eta))
    factors = np.repeat(problem.diffusivity_factors[:, cells], len(shares), axis=1)
    diffusivities = [species.diffusivity * factor for species, factor in zip(problem.species, factors, strict=True)]
    mobility = problem.law.mobility(rho, diffusivities, warmth)
    if problem.cross_section is not None:
        along = _positions(discrete, cells, shares).ravel()
        mobility *= problem.cross_section.at(np.column_stack([along, 0.0 * along, 0.0 * along]))[:, None, None]
    return mobility


def _positions(discrete: Discretisation, cells: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return where points are that have gone a share of every cell from its first end, ``(cells, points)``."""
    x = discrete.space.mesh.geometry.x[discrete.space.mesh.geometry.dofmaps[0][cells], 0]
    positions: np.ndarray = x[:, :1] + (x[:, 1:] - x[:, :1]) * shares
    return positions


def _inverse(mobility: np.ndarray) -> np.ndarray:
    unit = np.sqrt(np.diagonal(mobility, axis1=1, axis2=2))
    scale = unit[:, :, None] * unit[:, None, :]
    # all points at once; without pivots, of which positive definite matrices have no need
    scaled = np.ascontiguousarray(np.moveaxis(mobility / scale, 0, -1))
    for k in range(len(scaled)):
        pivot, column = 1.0 / scaled[k, k], scaled[:, k].copy()
        scaled[:, k] = 0.0
        scaled[k, k] = 1.0
        scaled[k] *= pivot
        column[k] = 0.0
        scaled -= column[:, None] * scaled[k]
    return np.moveaxis(scaled, -1, 0) / scale
