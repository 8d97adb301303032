"""From what a motion begins: densities of one of the kinds that ``[initial]`` knows, written into the unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mpi4py import MPI

import basix
import numpy as np

from pnp_exclusion.case.beginning_table import BeginningError, BeginningTable, read_beginning
from pnp_exclusion.case.build import EMPTY_SHARE, Setup
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.contents import contents_at_first
from pnp_exclusion.case.drive import CaseDrive
from pnp_exclusion.case.moving import case_at
from pnp_exclusion.case.protocol import PieceDrive
from pnp_exclusion.case.time_tables import Initial
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import INVERSE_TEMPERATURE
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.locate import coordinate_element
from pnp_exclusion.observe.integrals import integrals_of
from pnp_exclusion.physics.boundaries import BoundaryCondition, GivenTotal
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.runtime.parallel import largest_over_ranks, on_rank_zero
from pnp_exclusion.solution.solution import load
from pnp_exclusion.solver.amounts import amount_ratios
from pnp_exclusion.solver.guess import FirstGuess
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SolverSettings, SteadySolver

FROM_SAVE = "takes a file that Solution.save has written"
"""What ``[initial]`` says of a result."""
SAME_PLACE = 1e-9
"""Of the domain: how far apart nodes of one mesh may be."""
AT_EDGE = 1e-9
"""Of a table's extent: how far beyond it a node of the domain's edge may be."""
KEPT = 1e-3
"""Relative: what a mesh may change of the amounts of a table without a word, and these of the means of the case."""
TABLE_DEGREE = 6
"""Of the rule by which a table is integrated over cells."""


def begin(
    setup: Setup,
    discrete: Discretisation,
    drive: CaseDrive | PieceDrive,
    database: OptionsDatabase,
    settings: SolverSettings,
) -> list[str]:
    """Write the densities at first, with some potential, into the unknown; `TransientSolver` makes it consistent.

    Returns what is to be said of them. Raises `CaseError` if they are none of the case, `ConvergenceError` if an
    equilibrium is not found; collective.
    """
    said: list[str] = []
    case = setup.case
    initial = case.initial or Initial()
    first = drive.at_rest() if isinstance(drive, PieceDrive) else drive.problem_at(0.0, before=True)
    discrete.take(_discharged(first))
    match initial.state:
        case "equilibrium":
            with SteadySolver(discrete, database, settings) as steady:
                steady.solve()
        case "result":
            _begin_with_result(case, initial, discrete)
        case "table":
            said += _begin_with_table(setup, initial, discrete)
        case "uniform":
            _begin_uniformly(setup, discrete)
    found, values, driven = discrete.problem, discrete.values.copy(), drive.problem_at(0.0)
    discrete.take(driven)
    # where they are to be looked for, behind a layer without ions where they are
    discrete.set_potentials([found.boundaries[tag].applied_potential or 0.0 for tag in driven.floating])
    discrete.values[:] = values
    return said


def require_result(case: Case) -> None:
    """Raise `CaseError` if there is no file with the result that a motion begins from, as without its table."""
    initial = case.initial
    if initial is None or initial.state != "result":
        return
    assert initial.file is not None
    path = case.path.parent / initial.file
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise CaseError(case.path, [f'[initial]: "{initial.file}" {what}; state = "result" {FROM_SAVE}'])


def _discharged(problem: Problem) -> Problem:
    """Return a problem whose boundaries that block all charge, and of which a current is given, are without charge."""

    def passes(boundary: BoundaryCondition) -> bool:
        held = {*boundary.dirichlet_fractions, *boundary.exchanged_fractions}
        reacts = any(reaction.boundary == boundary.where and reaction.electrons for reaction in problem.reactions)
        return reacts or any(species.charge and species.name in held for species in problem.species)

    def at_rest(boundary: BoundaryCondition) -> BoundaryCondition:
        given = boundary.given_total
        if given is None or given.quantity != "current" or passes(boundary):
            return boundary
        return replace(boundary, given_total=GivenTotal("charge", 0.0))

    return replace(problem, boundaries=[at_rest(boundary) for boundary in problem.boundaries])


def _begin_uniformly(setup: Setup, discrete: Discretisation) -> None:
    case, law, layout = setup.case, setup.problem.law, discrete.layout
    first = case_at(case, 0.0, before=True)
    rho = []
    scales = setup.scales.contents
    for species, dimensionless, scale in zip(case.species, setup.problem.species, scales, strict=True):
        content = contents_at_first(species, case.initial, first.boundaries, None)
        # an amount is a mean once the mesh is there; what is not known was refused as the case was read
        mean = dimensionless.mean_fraction or 0.0
        rho.append(mean if content is None else content / scale)
    packing = float(setup.problem.packing(rho))
    if law.crowded and packing >= 1.0:
        raise CaseError(case.path, [f"[initial]: the species fill {packing:.4g} of the space; it must be below 1"])
    nodes = layout.at_nodes(discrete.values)
    nodes[:] = 0.0
    if INVERSE_TEMPERATURE in layout:
        guess = FirstGuess(discrete)
        nodes[:, layout.index(INVERSE_TEMPERATURE)] = guess.inverse_temperature()
        guess.close()
    _, offsets, _ = discrete.potentials(discrete.values)
    eta = np.array(law.free_energy.chemical_potentials(rho))
    nodes[:, layout.indices(discrete.mu)] = (eta[:, None] - offsets).T


def _begin_with_result(case: Case, initial: Initial, discrete: Discretisation) -> None:
    assert initial.file is not None
    path = case.path.parent / initial.file
    problem = discrete.problem
    try:
        other = load(path, comm=problem.domain.comm).discretisation
    except CaseError as error:
        told = "; ".join(error.mistakes)
        raise CaseError(case.path, [f'[initial]: "{initial.file}" {told}; state = "result" {FROM_SAVE}']) from None
    here, there = (one.space.tabulate_dof_coordinates() for one in (discrete, other))
    fits = here.shape == there.shape and discrete.layout.names == other.layout.names
    extent = np.ptp(np.array(problem.domain.bounding_box()), axis=0).max()
    apart = np.abs(here - there).max(initial=0.0) / extent if fits else np.inf
    if not largest_over_ranks(problem.domain.comm, np.array([apart])) <= SAME_PLACE:
        raise CaseError(case.path, [f"[initial]: {initial.file} is of another mesh, or of other species"])
    discrete.values[:] = other.values
    # potentials there are relative to another one
    shift = other.problem.potential_reference - problem.potential_reference
    discrete.shift_potentials(shift)
    boundaries = other.problem.boundaries
    discrete.set_potentials([(boundaries[tag].applied_potential or 0.0) + shift for tag in problem.floating])


# ---- a table ----


def _begin_with_table(setup: Setup, initial: Initial, discrete: Discretisation) -> Iterator[str]:
    """Write the contents of a table at the nodes; yield what is to be said of their amounts."""
    case, problem, scales = setup.case, setup.problem, setup.scales
    domain, layout, names = problem.domain, discrete.layout, [species.name for species in problem.species]
    assert initial.file is not None
    path, where = case.path.parent / initial.file, f'[initial]: "{initial.file}"'
    si, thermal = scales.si, problem.law.thermal
    try:
        table = on_rank_zero(
            domain.comm, lambda: read_beginning(path, names, si=si, thermal=thermal, dimension=domain.dimension)
        )
    except BeginningError as error:
        raise CaseError(case.path, [f"{where} {error}"]) from None
    contents_at, temperature_at = _interpolation(case, table, where)
    places = discrete.space.tabulate_dof_coordinates()[:, : domain.dimension] * scales.length
    found = contents_at(places)
    _require_covered(case, domain.comm, where, places, found)
    most = np.array([column.max() for column in table.contents.values()])
    least = EMPTY_SHARE * np.where(most > 0.0, most, most.max())
    rho = np.maximum(found, least) / scales.contents
    nodes = layout.at_nodes(discrete.values)
    nodes[:] = 0.0
    if temperature_at is not None:
        nodes[:, layout.index(INVERSE_TEMPERATURE)] = 1.0 / temperature_at(places)[:, 0]
    _, offsets, _ = discrete.potentials(discrete.values)
    # of one state after the other, as laws have it
    eta = np.array([problem.law.free_energy.chemical_potentials(one) for one in rho.tolist()]).T
    partition = discrete.partition_at_nodes()
    if partition is not None:
        # it is what a content is here, not beside the region; where a species is kept out it has none
        eta += np.where(np.isfinite(partition), partition, 0.0)
    nodes[:, layout.indices(discrete.mu)] = (eta - offsets).T
    yield from _changed_amounts(setup, discrete, contents_at)


type Contents = Callable[[np.ndarray], np.ndarray]
"""From places ``(n, axes)`` to what is there, ``(n, columns)``; nan beyond the table."""


def _interpolation(case: Case, table: BeginningTable, where: str) -> tuple[Contents, Contents | None]:
    """Return what there is of every species, and the temperature, linear between the places of a table."""
    columns = np.column_stack([*table.contents.values()])
    low, high = table.places.min(axis=0), table.places.max(axis=0)
    middle, slack = 0.5 * (low + high), AT_EDGE * (high - low).max()
    axes = [np.unique(table.places[:, axis]) for axis in range(table.places.shape[1])]

    def linear(values: np.ndarray) -> Contents:
        if len(axes) == 1:
            x = table.places[:, 0]
            between = lambda at: np.column_stack([np.interp(at[:, 0], x, one) for one in values.T])  # noqa: E731
        elif np.prod([len(axis) for axis in axes]) == len(values):
            from scipy.interpolate import RegularGridInterpolator

            order = np.lexsort(table.places.T[::-1])
            on_grid = values[order].reshape(*(len(axis) for axis in axes), values.shape[1])
            between = RegularGridInterpolator(axes, on_grid, bounds_error=False)
        else:
            from scipy.interpolate import LinearNDInterpolator
            from scipy.spatial import QhullError

            try:
                between = LinearNDInterpolator(table.places, values)
            except (QhullError, ValueError):
                raise CaseError(case.path, [f"{where} has places that span no area or volume"]) from None

        def at(places: np.ndarray) -> np.ndarray:
            is_beyond = ((places < low - slack) | (places > high + slack)).any(axis=1)
            # what lies on the edge may be beyond it by rounding
            inside = np.clip(middle + (places - middle) * (1.0 - AT_EDGE), low, high)
            found: np.ndarray = np.asarray(between(inside))
            return np.where(is_beyond[:, None], np.nan, found)

        return at

    return linear(columns), None if table.temperature is None else linear(table.temperature[:, None])


def _require_covered(case: Case, comm: MPI.Comm, where: str, places: np.ndarray, found: np.ndarray) -> None:
    beyond = np.flatnonzero(np.isnan(found).any(axis=1))
    first = comm.allgather(tuple(places[beyond[0]].tolist()) if len(beyond) else None)
    place = next((one for one in first if one is not None), None)
    if place is not None:
        unit = " m" if case.model.si else ""
        told = ", ".join(f"{letter} = {value:.4g}{unit}" for letter, value in zip("xyz", place, strict=False))
        raise CaseError(case.path, [f"{where} does not cover the domain: there is nothing at {told}"])


def _changed_amounts(setup: Setup, discrete: Discretisation, contents_at: Contents) -> Iterator[str]:
    """Yield what is to be said of amounts: those that the mesh has are what moves, and are kept from here on."""
    scales, problem = setup.scales, discrete.problem
    points, weights = _quadrature(discrete)
    given = weights @ (contents_at(points[:, : problem.domain.dimension] * scales.length) / scales.contents)
    problem.domain.comm.Allreduce(MPI.IN_PLACE, given, op=MPI.SUM)
    found = integrals_of(discrete)
    for species, of_table in zip(problem.species, given.tolist(), strict=True):
        ratio = found.mean_densities[species.name] * found.volume / of_table - 1.0 if of_table > 0.0 else 0.0
        if not abs(ratio) <= KEPT:
            yield f"[initial]: of {species.name} the mesh has {ratio:+.1e} of what the table has more; refine it there"
    for name, ratio in amount_ratios(discrete).items():
        if not abs(ratio - 1.0) <= KEPT:
            yield f"[initial]: at first there is {ratio:.4g} times as much of {name} as its mean says; the table counts"


def _quadrature(discrete: Discretisation) -> tuple[np.ndarray, np.ndarray]:
    """Return points ``(n, 3)`` in this rank's cells and their weights, cross-section included."""
    problem = discrete.problem
    mesh, count = problem.domain.mesh, problem.domain.local_cells
    element, section = coordinate_element(mesh), problem.cross_section
    reference, weights = basix.make_quadrature(element.cell_type, TABLE_DEGREE)
    shapes = element.tabulate(1, reference)[..., 0]
    corners = mesh.geometry.x[mesh.geometry.dofmaps[0][:count]]
    points = np.einsum("qn,cnd->cqd", shapes[0], corners).reshape(-1, 3)
    jacobians = np.einsum("kqn,cnd->cqdk", shapes[1:], corners[:, :, : len(shapes) - 1])
    sizes = (np.abs(np.linalg.det(jacobians)) * weights).ravel()
    return points, sizes if section is None else sizes * section.at(points)
