"""What is allowed in a case but deserves a word, without solving it: charges that do not balance, layers that the mesh
does not resolve, boundaries that meet, fields beyond reason."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mpi4py import MPI

import numpy as np
from dolfinx import mesh as dmesh

from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.domain_tables import GivenMesh, Gmsh
from pnp_exclusion.case.ions import LIQUID, REFERENCE_TEMPERATURE, ion
from pnp_exclusion.case.layers import CELLS_IN_LAYER, field_jumps, thinnest_layers
from pnp_exclusion.case.meeting import meeting_with_a_jump
from pnp_exclusion.case.mesh_advice import mesh_advice
from pnp_exclusion.case.places import lines_outside
from pnp_exclusion.case.strong_fields import strong_fields
from pnp_exclusion.case.tables import Region
from pnp_exclusion.discretisation.parameters import EXCLUDED
from pnp_exclusion.mesh.sizes import cells_at, extents_across, facets_of_cells, heights, interfaces

NEUTRAL = 1e-6
"""Of the ions' own charge."""
NEARLY_FULL = 0.95
NEARLY_SAME_TEMPERATURE = 0.5
"""K: a per cent of a diffusivity."""


def advice(setup: Setup) -> list[str]:
    """Return one sentence for everything that the user should know before trusting the numbers; collective."""
    return [
        *filter(None, [setup.memory]),
        *_ions_at_another_temperature(setup.case),
        *strong_fields(setup),
        *meeting_with_a_jump(setup),
        *_charged_reservoirs(setup),
        *_packing(setup),
        *_unscreened_charge(setup),
        # cells that are refined for an accuracy are judged by what is reported, not by their sizes
        *(_unresolved(setup) if setup.case.solver.accuracy is None else ()),
        *mesh_advice(setup),
        *lines_outside(setup),
    ]


def _ions_at_another_temperature(case: Case) -> Iterator[str]:
    """Of species whose diffusivities are those of the library of ions, which are at 25 °C."""
    if not case.model.si or abs(case.model.temperature.value - REFERENCE_TEMPERATURE) <= NEARLY_SAME_TEMPERATURE:
        return
    temperature = case.model.temperature.value
    for species in case.species:
        known = ion(species.ion) if species.ion is not None else None
        if known is None or not math.isclose(species.diffusivity or 0.0, known.diffusivity, rel_tol=1e-9):
            continue
        scaled = ""
        if LIQUID[0] <= temperature <= LIQUID[1]:
            scaled = f"; by Stokes and Einstein it would be {known.diffusivity_at(temperature):.3e} m^2/s there"
        yield (
            f'species "{species.name}": its diffusivity, {known.diffusivity:.4g} m^2/s, is that of {known.symbol} at '
            f"25 °C, and the case is at {temperature:g} K{scaled}"
        )


def _charged_reservoirs(setup: Setup) -> Iterator[str]:
    for where, (mobile, fixed) in _reservoir_charges(setup).items():
        if not _balanced(setup, where, mobile, fixed):
            yield (
                f'boundary "{where}": the charge of its ions ({_concentration(setup, mobile)}) does not balance '
                f"the fixed charge beside it ({_concentration(setup, fixed)}); a diffuse layer will form there"
            )


def _unscreened_charge(setup: Setup) -> Iterator[str]:
    """A wall's charge for which there is no room in the domain for counter-ions, even close-packed ones."""
    problem = setup.problem
    if not problem.coupled or not problem.law.crowded or problem.cross_section is not None or problem.excludes_any:
        return
    low, high = problem.domain.bounding_box()
    volume = float(np.prod((high - low)[: problem.domain.dimension]))
    for boundary in problem.boundaries:
        charge = getattr(boundary, "charge", None)
        if not charge:
            continue
        facets, _ = cells_at(problem.domain, problem.domain.boundary_facets[boundary.where])
        area = problem.domain.comm.allreduce(float(problem.facet_areas(facets).sum()), op=MPI.SUM)
        packed = max((-np.sign(charge) * one.charge / one.volume for one in problem.species), default=0.0)
        needed = abs(charge) * area / packed if packed > 0.0 else np.inf
        if needed > volume:
            counter = "there are no counter-ions" if packed <= 0.0 else f"{needed / volume:.3g} times the domain"
            what = counter if packed <= 0.0 else f"close-packed counter-ions would fill {counter}"
            yield f'boundary "{boundary.where}": its surface charge cannot be screened in the domain: {what}'


def _reservoir_charges(setup: Setup) -> dict[str, tuple[float, float]]:
    """Charge of the ions and of the medium beside every boundary that holds all species."""
    problem = setup.problem
    if not problem.coupled:
        return {}
    return {
        boundary.where: (
            sum(species.charge * boundary.dirichlet_fractions[species.name] for species in problem.species),
            _mean_beside(setup, boundary.where, problem.immobile_charge),
        )
        for boundary in problem.boundaries
        if len(boundary.dirichlet_fractions) == len(problem.species)
    }


def _balanced(setup: Setup, where: str, mobile: float, fixed: float) -> bool:
    held = next(boundary for boundary in setup.problem.boundaries if boundary.where == where).dirichlet_fractions
    scale = sum(abs(species.charge) * held[species.name] for species in setup.problem.species) + abs(fixed)
    return abs(mobile + fixed) <= NEUTRAL * scale


def _is_neutral_reservoir(setup: Setup, where: str) -> bool:
    """Whether no diffuse layer is expected at a boundary because its ions balance the charge beside it."""
    charges = _reservoir_charges(setup).get(where)
    return charges is not None and _balanced(setup, where, *charges)


def _concentration(setup: Setup, fraction: float) -> str:
    if not setup.scales.si:
        return f"{fraction:+.4g}"
    return f"{fraction * setup.scales.displayed_concentration:+.4g} mol/L"


def _packing(setup: Setup) -> Iterator[str]:
    problem = setup.problem
    if not problem.law.crowded:
        return
    for boundary in problem.boundaries:
        held = boundary.dirichlet_fractions
        packing = problem.packing([held.get(name, 0.0) for name in problem.names])
        if packing > NEARLY_FULL:
            yield f'boundary "{boundary.where}": the species fill {packing:.4g} of the space'
    if not problem.coupled:
        return
    among_ions, comm = problem.immobile_charge[~problem.is_ion_free], problem.domain.comm
    what = "the fixed charge and that of the wall, together" if problem.wall_charge else "a fixed charge of"
    for sign in (1.0, -1.0):
        fixed = comm.allreduce(float((sign * among_ions).max(initial=0.0)), op=MPI.MAX)
        # only ions of the other sign compensate it
        limit = problem.densest_charge(-sign)
        if fixed > NEARLY_FULL * limit:
            yield (
                f"{what} {sign * fixed:.4g} elementary charges a site is more than the ions can comfortably "
                f"compensate: where those of the other sign fill all space they have {limit:.4g}"
            )


def _unresolved(setup: Setup) -> Iterator[str]:
    domain = setup.problem.domain
    for name, thickness in sorted(thinnest_layers(setup.case, setup.scales).items()):
        if not _is_neutral_reservoir(setup, name):
            facets, cells = cells_at(domain, domain.boundary_facets[name])
            among_ions = ~setup.problem.is_ion_free[cells]
            sizes = heights(domain, facets[among_ions], cells[among_ions])
            yield from _too_coarse(setup, f'boundary "{name}"', thickness, sizes)
    if setup.problem.coupled:
        yield from _unresolved_edges(setup)
    for name, position, thickness in field_jumps(setup.case, setup.scales):
        where = f'field of species "{name}" at x = {length_in_words(setup, position)}'
        yield from _too_coarse(setup, where, thickness, extents_across(domain, position))


def _too_coarse(setup: Setup, where: str, thickness: np.ndarray | float, sizes: np.ndarray) -> Iterator[str]:
    """Say where the cells of all ranks are too large for layers that are as thick as given for each cell."""
    ratios = sizes / thickness
    worst = int(ratios.argmax()) if len(ratios) else -1
    found = (float(ratios[worst]), float(sizes[worst])) if len(ratios) else (0.0, 0.0)
    ratio, size = max(setup.problem.domain.comm.allgather(found))
    if ratio * CELLS_IN_LAYER[setup.case.solver.degree] > 1.0 + 1e-9:
        layer, cell = length_in_words(setup, size / ratio), length_in_words(setup, size)
        yield f"{where}: the layer there is about {layer} thick, but the cells measure {cell}; {cure(setup.case)}"


def cure(case: Case) -> str:
    """Return how to get smaller cells where a case needs them."""
    if isinstance(case.domain, Gmsh | GivenMesh):
        return "refine the mesh there" if isinstance(case.domain, GivenMesh) else "refine the mesh file there"
    return "leave out domain.cells" if case.domain.cells is not None else "give more domain.cells"


def length_in_words(setup: Setup, value: float) -> str:
    """Return a length in units of L as results show it."""
    unit = f" {setup.scales.length_unit}" if setup.scales.si else ""
    return f"{value * setup.scales.length_in_unit:.3g}{unit}"


def _unresolved_edges(setup: Setup) -> Iterator[str]:
    """Diffuse layers at the edges of regions, where fixed charge, permittivity or the energies of species jump."""
    domain, problem = setup.problem.domain, setup.problem
    energies = [np.minimum(energy, EXCLUDED) for energy in problem.partition.values()]
    facets, cells = interfaces(domain, [problem.fixed_charge, problem.permittivity, *energies])
    facets, cells = (found[~problem.is_ion_free[cells]] for found in (facets, cells))
    sizes, layers = heights(domain, facets, cells), _debye_lengths(setup, cells)
    middles = dmesh.compute_midpoints(domain.mesh, domain.dimension - 1, facets)
    told = np.zeros(len(facets), dtype=bool)
    for region in setup.case.regions:
        if region.tag is not None or isinstance(setup.case.domain, Gmsh | GivenMesh):
            at = np.isin(facets, _facets_of(setup, region)) & ~told
            yield from _too_coarse(setup, f'region "{region.name}"', layers[at], sizes[at])
            told |= at
            continue
        for axis, letter in enumerate("xyz"):
            for limit in region.ranges[axis] or []:
                position = limit.value / setup.scales.length
                at = (np.abs(middles[:, axis] - position) < 1e-9) & ~told
                where = f'region "{region.name}", edge {letter} = {length_in_words(setup, position)}'
                yield from _too_coarse(setup, where, layers[at], sizes[at])
                told |= at


def _debye_lengths(setup: Setup, cells: np.ndarray) -> np.ndarray:
    """Debye length in every cell, if it were in equilibrium with the saltiest boundary (or the mean contents)."""
    problem = setup.problem
    squares = {species.name: species.charge**2 for species in problem.species}
    contents = [{**boundary.exchanged_fractions, **boundary.dirichlet_fractions} for boundary in problem.boundaries]
    contents.append({species.name: species.mean_fraction or 0.0 for species in problem.species})
    salt = max(sum(squares[name] * rho for name, rho in held.items()) for held in contents)
    largest = max(squares.values())
    densest = max(species.charge**2 / species.volume for species in problem.species)
    # Donnan: in a salt of two species of valence z, sum z^2 rho = sqrt((z q)^2 + salt^2)
    strength = np.hypot(salt, largest**0.5 * problem.immobile_charge[cells])
    if problem.law.crowded:
        strength = np.minimum(strength, densest)
    with np.errstate(divide="ignore"):
        return (problem.debye_length or 0.0) * np.sqrt(problem.permittivity[cells] / strength)


def _facets_of(setup: Setup, region: Region) -> np.ndarray:
    """Facets of the local cells of a region."""
    domain, length = setup.problem.domain, setup.scales.length
    if region.tag is not None:
        cells = domain.region_cells[region.tag]
    else:
        ranges = [(r[0].value / length, r[1].value / length) if r else None for r in region.ranges]
        cells = domain.cells_in_box(ranges)
    return np.unique(facets_of_cells(domain)[cells])


def _mean_beside(setup: Setup, where: str, values: np.ndarray) -> float:
    """Mean over a boundary, where there are ions, of what is constant in every cell."""
    domain = setup.problem.domain
    facets, cells = cells_at(domain, domain.boundary_facets[where])
    area = setup.problem.facet_areas(facets) * ~setup.problem.is_ion_free[cells]
    return domain.comm.allreduce(float(values[cells] @ area)) / domain.comm.allreduce(float(area.sum()))
