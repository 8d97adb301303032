"""Where the regions of a case are on its mesh, and of what material their cells are."""

from __future__ import annotations

import math

import numpy as np

from pnp_exclusion.case import tables
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.quantities import ELEMENTARY_CHARGE, VACUUM_PERMITTIVITY, Quantity
from pnp_exclusion.case.scales import Scales
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.sizes import border_of
from pnp_exclusion.physics.problem import ChargedSheet


def reference_permittivity_of(case: Case) -> float:
    """The permittivity to which others are relative in the equations."""
    return case.model.permittivity if case.model.si else 1.0


class RegionCells:
    """Where the regions of a case are.

    domain
        On which they are.
    cells
        Numbers of their cells on this rank, ghosts included, in the order of the case.
    """

    def __init__(self, case: Case, scales: Scales, domain: Domain) -> None:
        self.domain = domain
        self.cells = [_cells_of(region, case, scales, domain) for region in case.regions]
        self._borders: dict[int, np.ndarray] = {}

    def border(self, region: int) -> np.ndarray:
        """Return the border of a region, by its number, as `ChargedSheet.sides`; collective the first time."""
        if region not in self._borders:
            self._borders[region] = border_of(self.domain, self.cells[region])
        return self._borders[region]


def materials_of(case: Case, scales: Scales, regions: RegionCells) -> tuple[np.ndarray, np.ndarray]:
    """Return permittivity and fixed charge of the cells."""
    permittivity, fixed_charge = np.ones(regions.domain.local_cells), np.zeros(regions.domain.local_cells)
    for region, cells in zip(case.regions, regions.cells, strict=True):
        if region.permittivity is not None:
            permittivity[cells] = region.permittivity / reference_permittivity_of(case)
        if region.fixed_charge is not None:
            fixed_charge[cells] = region.fixed_charge.value / scales.concentration
    return permittivity, fixed_charge


def diffusivity_factor_of(case: Case, regions: RegionCells) -> np.ndarray:
    """Return the factor on the diffusivity of every cell, or if some region has a table, of every species there."""
    tabulated = any(isinstance(region.diffusivity, dict) for region in case.regions)
    factors = np.ones((len(case.species), regions.domain.local_cells))
    for region, cells in zip(case.regions, regions.cells, strict=True):
        for factor, species in zip(factors, case.species, strict=True):
            given = region.diffusivity_of(species.name)
            if given is not None:
                factor[cells] = given
    return factors if tabulated else factors[0]


def partition_of(case: Case, scales: Scales, regions: RegionCells) -> dict[str, np.ndarray]:
    """Return the partition energies of every species that some region gives one, or keeps out."""
    found = {}
    for species in case.species:
        count, mentioned = regions.domain.local_cells, False
        energies, is_kept_out = np.zeros(count), np.zeros(count, dtype=bool)
        for region, cells in zip(case.regions, regions.cells, strict=True):
            given, keeps_out = region.partition_of(species), region.keeps_out(species.name)
            if keeps_out is not None:
                is_kept_out[cells] = keeps_out
            if given is not None:
                energies[cells] = _partition_energy(given, species, region, case, scales)
            mentioned |= given is not None or bool(keeps_out)
        if mentioned:
            found[species.name] = np.where(is_kept_out, np.inf, energies)
    return found


def _partition_energy(
    given: Quantity | str, species: tables.Species, region: tables.Region, case: Case, scales: Scales
) -> float:
    """Return a partition energy in kT."""
    if isinstance(given, Quantity):
        return scales.in_thermal_energies(given)
    # Born, Z. Phys. 1, 45 (1920): what it takes to charge a sphere here, less what it takes in the reference medium
    assert species.born_radius is not None
    assert region.permittivity is not None
    field_energy = (species.charge * ELEMENTARY_CHARGE) ** 2 / (
        8.0 * math.pi * VACUUM_PERMITTIVITY * species.born_radius.value
    )
    return field_energy * (1.0 / region.permittivity - 1.0 / case.model.permittivity) / scales.thermal_energy


def sheets_of(case: Case, scales: Scales, regions: RegionCells) -> list[ChargedSheet]:
    """Return the charged borders of regions."""
    sheets = []
    for number, region in enumerate(case.regions):
        if region.surface_charge is None:
            continue
        sides = regions.border(number)
        if regions.domain.comm.allreduce(len(sides)) == 0:
            nowhere = "surface_charge has no effect, the region has no border within the domain; give it to a wall"
            raise CaseError(case.path, [f'[[regions]] "{region.name}": {nowhere}'])
        sheets.append(ChargedSheet(sides, region.surface_charge.value / scales.surface_charge))
    return sheets


def _cells_of(region: tables.Region, case: Case, scales: Scales, domain: Domain) -> np.ndarray:
    if region.tag is not None:
        cells = domain.region_cells.get(region.tag, np.empty(0, dtype=np.int32))
    else:
        ranges = [None if r is None else tuple(limit.value / scales.length for limit in r) for r in region.ranges]
        _require_inside(region, ranges, case, domain)  # type: ignore[arg-type]
        cells = domain.cells_in_box(ranges)  # type: ignore[arg-type]
    if domain.comm.allreduce(len(cells)) == 0:
        raise CaseError(case.path, [f'[[regions]] "{region.name}": no cell of the mesh lies in it'])
    return cells


def _require_inside(
    region: tables.Region, ranges: list[tuple[float, float] | None], case: Case, domain: Domain
) -> None:
    """Refuse a box that reaches outside a mesh file's domain, whose extent the case itself does not say."""
    low, high = domain.bounding_box()
    for axis, limits in enumerate(ranges[: domain.dimension]):
        slack = 1e-6 * (high[axis] - low[axis])
        if limits is not None and (limits[0] < low[axis] - slack or limits[1] > high[axis] + slack):
            raise CaseError(case.path, [f'[[regions]] "{region.name}": {"xyz"[axis]} reaches outside the mesh'])
