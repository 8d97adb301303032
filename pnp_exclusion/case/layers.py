"""Where a case will have steep layers, and the mesh that resolves them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pnp_exclusion.case.areas import SAMPLES, area_of, fast_changes
from pnp_exclusion.case.boundary_tables import Charged, Electrode
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.contents import mean_of, volume_of
from pnp_exclusion.case.domain_tables import AreaTable, Box, GivenMesh, Gmsh, Interval, Rectangle, periodic_axes
from pnp_exclusion.case.field_tables import FieldTable
from pnp_exclusion.case.quantities import Quantity
from pnp_exclusion.case.reaction_tables import Reaction
from pnp_exclusion.case.scales import Scales, scales_of
from pnp_exclusion.case.tables import Region, Species
from pnp_exclusion.mesh.domain import Grid
from pnp_exclusion.mesh.grading import RESOLUTION, Layer, Resolution, graded_nodes, uniform_nodes
from pnp_exclusion.mesh.physical_names import SIDES

FIELD_LAYERS = 4.0
"""A field E makes layers of thickness 1/E; the densities in them settle within this many."""
CELLS_IN_LAYER = {1: 2.0, 2: 2.0, 3: 4 / 3, 4: 1.0}
"""By the degree of the elements: a layer with fewer cells than this across it is not resolved."""
FINEST_LAYER = 1e-11
"""Of the domain: below it coordinates have too few digits. Point ions at 40 kT/e are in a layer of 1e-10."""
FINEST_OF_CLOSED = 1e-9
"""The same where the amount of some species is given, which bounds the charge of its layers: in thinner cells digits
of its amount are lost."""


def grid_of(case: Case, scales: Scales, also: Sequence[Case] = ()) -> Grid:
    """Return the nodes of an interval, rectangle or box of a case, in units of L.

    They resolve the layers of the cases ``also`` on the same domain too.
    """
    domain, lengths = case.domain, _lengths(case)
    given = domain.cells  # type: ignore[union-attr]
    cells: Sequence[int | None] = given if isinstance(given, list) else [given] * len(lengths)
    nodes, kept = [], []
    finest = FINEST_OF_CLOSED if any(species.is_closed for species in case.species) else FINEST_LAYER
    for axis, (length, count) in enumerate(zip(lengths, cells, strict=True)):
        extent = length.value / scales.length
        breakpoints = list(_breakpoints(case, scales, axis))
        kept.append(breakpoints)
        if count is not None:
            nodes.append(uniform_nodes(extent, breakpoints, count))
        else:
            resolution = RESOLUTION[len(lengths), case.solver.degree]
            thinnest: dict[float, float] = {}
            for one in (case, *also):
                for position, thickness in _layers(one, scales_of(one, scales.length), axis, extent):
                    thinnest[position] = min(thickness, thinnest.get(position, math.inf))
            if axis in periodic_axes(domain):
                # what is steep beyond one side is so at the other, too
                thinnest |= {at + turn * extent: one for at, one in thinnest.items() for turn in (-1.0, 1.0)}
            per_layer = _cells_per_layer(resolution, case.solver.degree)
            layers = [
                Layer(position, max(thickness / per_layer, finest * extent))
                for position, thickness in sorted(thinnest.items())
            ]
            nodes.append(graded_nodes(extent, breakpoints, layers, resolution))
    return Grid(nodes, kept)


def _cells_per_layer(resolution: Resolution, degree: int) -> float:
    """Those of the resolution, but enough for `CELLS_IN_LAYER`, although cells grow away from the layer at once."""
    growth_in_first_cell = math.expm1(resolution.growth) / resolution.growth
    return max(resolution.cells_per_layer, 1.05 * CELLS_IN_LAYER[degree] * growth_in_first_cell)


def thinnest_layers(case: Case, scales: Scales) -> dict[str, float]:
    """Thickness of the thinnest layer that each boundary of the case makes, in units of L."""
    names = {boundary.where for boundary in case.boundaries}
    return {name: thickness for name in names if (thickness := _side_thickness(case, scales, name)) < math.inf}


def kept_nodes(case: Case, scales: Scales) -> list[list[float]]:
    """Return where an interval, rectangle or box begins and ends along each axis, and what else must be a node."""
    return [
        [0.0, length.value / scales.length, *_breakpoints(case, scales, axis)]
        for axis, length in enumerate(_lengths(case))
    ]


def _lengths(case: Case) -> list[Quantity]:
    match case.domain:
        case Interval(length=length):
            return [length]
        case Rectangle(size=size) | Box(size=size):
            return size
    raise TypeError("a gmsh domain is read, not made")


def _breakpoints(case: Case, scales: Scales, axis: int) -> Iterator[float]:
    """Positions that must be nodes: edges of regions and knots of fields."""
    for region in case.regions:
        limits = region.ranges[axis]
        if limits is not None:
            yield from (limit.value / scales.length for limit in limits)
    if axis == 0:
        for species in case.species:
            if isinstance(species.field, FieldTable):
                yield from (knot.value / scales.length for knot in species.field.x)
        if isinstance(case.domain, Interval) and isinstance(case.domain.area, AreaTable):
            yield from (knot.value / scales.length for knot in case.domain.area.x)


def _layers(case: Case, scales: Scales, axis: int, extent: float) -> Iterator[tuple[float, float]]:
    """Yield position and thickness of every layer along an axis."""
    ends = () if axis in periodic_axes(case.domain) else (0.0, extent)
    for name, position in zip(SIDES[2 * axis : 2 * axis + 2], ends, strict=bool(ends)):
        spacer = _spacer(case, scales, axis, position)
        thickness = _side_thickness(case, scales, name, spacer.capacitance if spacer else None)
        if thickness < math.inf:
            yield spacer.end if spacer else position, thickness
    for region in case.regions:
        limits = region.ranges[axis]
        if (
            limits is not None
            and scales.debye_length
            and (region.fixed_charge or region.permittivity or region.surface_charge or _parts_ions(region))
        ):
            low, high = (limit.value / scales.length for limit in limits)
            thickness = (
                _layer_beside_no_ions(case, scales, region, high - low)
                if region.ions is False
                else _edge_layer(case, scales, region)
            )
            yield from ((position, thickness) for position in (low, high))
        within = [_reaction_layer(case, scales, one) for one in case.reactions if one.where == region.name]
        for limit in limits or [] if within else []:
            yield limit.value / scales.length, min(within)
    if axis == 0:
        for position, strength in _field_knots(case, scales):
            yield position, FIELD_LAYERS / strength
        if isinstance(case.domain, Interval) and case.domain.area is not None:
            for share, size in fast_changes(case.domain):
                yield share * extent, size * extent


@dataclass(frozen=True)
class _Spacer:
    """A region without ions that lies on a whole side of the domain: where it ends, and its capacitance per area."""

    end: float
    capacitance: float


def _spacer(case: Case, scales: Scales, axis: int, side: float) -> _Spacer | None:
    for region in case.regions:
        limits = region.ranges[axis]
        others = [other for number, other in enumerate(region.ranges) if number != axis]
        if region.ions is not False or limits is None or any(other is not None for other in others):
            continue
        ends = [limit.value / scales.length for limit in limits]
        if side in ends:
            return _Spacer(ends[1 - ends.index(side)], _capacitance(case, scales, region, ends[1] - ends[0]))
    return None


def _capacitance(case: Case, scales: Scales, region: Region, width: float) -> float:
    """Per area, of a region as thick as given."""
    reference = case.model.permittivity if case.model.si else 1.0
    return (scales.debye_length or 0.0) ** 2 * (region.permittivity or reference) / (reference * width)


def _layer_beside_no_ions(case: Case, scales: Scales, region: Region, width: float) -> float:
    """The thinnest diffuse layer on either side of a region without ions, with its charges and what it leaves of the
    voltage."""
    sizes = _LayerSizes(case, scales)
    given = (region.fixed_charge, width / scales.concentration), (region.surface_charge, 1.0 / scales.surface_charge)
    # it may all be screened on one side
    charge = sum(abs(quantity.value) * unit for quantity, unit in given if quantity is not None)
    thickness = debye_layer(case, scales)
    if not case.model.flux_law.crowded:
        potentials = [b.dirichlet_potential.value for b in case.boundaries if b.dirichlet_potential is not None]
        half = 0.5 * (max(potentials) - min(potentials)) / scales.potential
        # half of the region beside each of two layers has twice its capacitance
        thickness *= sizes.contraction(half, 2.0 * _capacitance(case, scales, region, width))
    return min(thickness, Charged.layer_of(charge, sizes)) if charge > 0.0 else thickness


def _parts_ions(region: Region) -> bool:
    """Whether a region keeps species out, or gives them another energy."""
    return region.ions is not None or bool(region.excluded) or region.partition is not None


def debye_layer(case: Case, scales: Scales) -> float:
    """The thinnest diffuse layer in the reference medium, in units of L.

    That of space full of the ions that have most charge in it, or for point ions that of the strongest solution in the
    case.
    """
    sizes = zip(case.species, scales.sizes, strict=True)
    strength = max((max(1.0, abs(species.charge)) ** 2 / size for species, size in sizes), default=1.0)
    if not case.model.flux_law.crowded:
        # the lattice is only a unit of concentration here
        valence = max((abs(species.charge) for species in case.species), default=0.0)
        strength = math.hypot(_ionic_strength(case, scales), valence * _wall_strength(case, scales)) or strength
    return (scales.debye_length or math.inf) / math.sqrt(strength)


def _edge_layer(case: Case, scales: Scales, region: Region) -> float:
    """The thinnest diffuse layer on either side of a region's edges, with its charge and its permittivity."""
    strength = ((scales.debye_length or 0.0) / debye_layer(case, scales)) ** 2
    if not case.model.flux_law.crowded and region.fixed_charge is not None:
        valence = max(abs(species.charge) for species in case.species)
        strength = math.hypot(strength, valence * region.fixed_charge.value / scales.concentration)
    reference = case.model.permittivity if case.model.si else 1.0
    permittivity = min(1.0, (region.permittivity or reference) / reference)
    thickness = (scales.debye_length or math.inf) * math.sqrt(permittivity / strength)
    if region.surface_charge is None:
        return thickness
    # it may all be screened on one side
    sizes = _LayerSizes(case, scales)
    return min(thickness, Charged.layer_of(abs(region.surface_charge.value) / scales.surface_charge, sizes))


def _wall_strength(case: Case, scales: Scales) -> float:
    """Largest charge of a channel's wall over its section."""
    if not isinstance(case.domain, Interval) or case.domain.area is None or case.domain.wall_charge is None:
        return 0.0
    x = np.linspace(0.0, case.domain.length.value, SAMPLES)
    narrowest = float(area_of(case.domain)(x).min()) ** 0.5 / scales.length
    return 2.0 * math.sqrt(math.pi) * abs(case.domain.wall_charge.value) / scales.surface_charge / narrowest


def _ionic_strength(case: Case, scales: Scales) -> float:
    """Largest ``sum z^2 rho`` of the boundaries' contents and of the mean contents."""
    squares = {species.name: species.charge**2 for species in case.species}
    units = dict(zip(case.species_names, scales.contents.tolist(), strict=True))
    return max(sum(squares[name] * amount / units[name] for name, amount in held.items()) for held in _contents(case))


def _contents(case: Case) -> list[Mapping[str, float]]:
    """Return the mean contents of a case and those of its boundaries, SI concentrations or fractions."""
    volume = volume_of(case.domain)
    means = {species.name: mean_of(species, volume) or 0.0 for species in case.species}
    return [means, *(boundary.amounts for boundary in case.boundaries)]


@dataclass(frozen=True)
class _LayerSizes:
    """See `pnp_exclusion.case.boundary_tables.LayerSizes`.

    spacer
        Capacitance per area of a region without ions between the boundary and the solution, if there is one.
    """

    case: Case
    scales: Scales
    spacer: float | None = None

    @property
    def debye_length(self) -> float:
        return self.scales.debye_length or math.inf

    @property
    def largest_valence(self) -> float:
        return max([1.0, *(abs(species.charge) for species in self.case.species)])

    @property
    def total(self) -> float:
        return self.scales.length ** (self.case.dimension_of_totals - 1)

    def at_potential(self) -> float:
        return debye_layer(self.case, self.scales)

    def permittivity(self, given: float) -> float:
        return given / (self.case.model.permittivity if self.case.model.si else 1.0)

    def at_blocking(
        self, potential: Quantity, held: Collection[str] = (), stern_capacitance: float | None = None
    ) -> float:
        layer = debye_layer(self.case, self.scales)
        if self.case.model.flux_law.crowded:
            return layer
        in_series = [capacitance for capacitance in (stern_capacitance, self.spacer) if capacitance is not None]
        capacitance = 1.0 / sum(1.0 / c for c in in_series) if in_series else None
        # point ions pile up without limit; what is held does not
        blocked = [species for species in self.case.species if species.name not in held and species.charge]
        return min([layer, *(self._of_piled(species, potential, capacitance) for species in blocked)])

    def _of_piled(self, species: Species, potential: Quantity, capacitance: float | None) -> float:
        """Thickness of the layer of one species that a boundary blocks, at its potential."""
        layer, valence = debye_layer(self.case, self.scales), abs(species.charge)
        supplying = [b for b in self.case.boundaries if species.name in b.held]
        others = [b.dirichlet_potential for b in supplying or self.case.boundaries if b.dirichlet_potential is not None]
        attracting = [-math.copysign(1.0, species.charge) * (potential.value - other.value) for other in others]
        voltage = max([0.0, *attracting]) / self.scales.potential
        if supplying:
            return layer * self.contraction(voltage, capacitance, valence)
        if len({b.where for b in self.case.boundaries if isinstance(b, Electrode)}) > 1:
            voltage /= 2.0
        thinner = layer * self.contraction(voltage, capacitance, valence)
        # no more charge can be there than that of all of its particles, spread over the longest way to the boundary
        if isinstance(self.case.domain, Gmsh | GivenMesh):
            return thinner
        lengths = [self.case.domain.length] if isinstance(self.case.domain, Interval) else self.case.domain.size
        longest = max(length.value for length in lengths) / self.scales.length
        charge = valence * (mean_of(species, volume_of(self.case.domain)) or 0.0) / self._unit_of(species) * longest
        return max(thinner, min(layer, 2.0 * self.debye_length**2 / (valence * charge))) if charge > 0.0 else thinner

    def _unit_of(self, species: Species) -> float:
        return dict(zip(self.case.species_names, self.scales.contents.tolist(), strict=True))[species.name]

    def contraction(self, voltage: float, capacitance: float | None, valence: float | None = None) -> float:
        """Return by what a layer is thinner that takes a voltage (kT/e), less what falls off at a capacitance.

        valence
            Of the ions in it; the largest of the case if absent.
        """
        valence = valence or max(abs(species.charge) for species in self.case.species)
        if capacitance is not None and valence * voltage > 0.0:
            voltage = self._in_series(voltage, valence, capacitance)
        return 3.0 * math.exp(-min(0.5 * valence * voltage, 40.0)) if valence * voltage > 2.2 else 1.0

    def _in_series(self, voltage: float, valence: float, capacitance: float) -> float:
        """What a Stern layer leaves of a voltage to the layer of Gouy and Chapman: the charge is the same in both."""
        scale = 2.0 * self.debye_length**2 / (valence * debye_layer(self.case, self.scales))
        low, high = 0.0, voltage
        for _ in range(60):
            middle = 0.5 * (low + high)
            # logarithms, since the charge of point ions at a high voltage is beyond any number
            diffuse = 0.5 * valence * middle + math.log(-0.5 * scale * math.expm1(-valence * middle) or 1e-300)
            if diffuse > math.log(capacitance * (voltage - middle) or 1e-300):
                high = middle
            else:
                low = middle
        return high


def _side_thickness(case: Case, scales: Scales, name: str, spacer: float | None = None) -> float:
    """Thickness of the layer at a boundary, or behind a spacer there; infinite where none is expected."""
    return min(
        _diffuse_layer(case, scales, name, spacer),
        *(_reaction_layer(case, scales, one) for one in case.reactions),
        math.inf,
    )


def _reaction_layer(case: Case, scales: Scales, reaction: Reaction) -> float:
    """How far a species gets before a reaction in the volume takes it: ``sqrt(D_a/k)``, ``k`` per particle of it.

    By the largest contents that the case gives; of a species without any, by the largest of the others.
    """
    if reaction.forward is None:
        return math.inf
    units = dict(zip(case.species_names, scales.contents.tolist(), strict=True))
    given = {
        name: max([held.get(name, 0.0) for held in _contents(case)]) / units[name]
        for name in reaction.stoichiometry.species
    }
    most = max(given.values()) or 1.0
    diffusivities = {s.name: s.diffusivity.value / scales.diffusivity if s.diffusivity else 1.0 for s in case.species}
    kinetics, thinnest = reaction.mass_action(scales), math.inf
    sides = (reaction.stoichiometry.reactants, reaction.stoichiometry.products)
    for side, log_rate in zip(sides, (kinetics.log_forward, kinetics.log_backward), strict=True):
        if log_rate is not None:
            log_one_way = log_rate + sum(count * math.log(given[name] or most) for name, count in side.items())
            for name in side:
                taken = log_one_way - math.log(given[name] or most)
                thinnest = min(thinnest, math.exp(0.5 * (math.log(diffusivities[name]) - taken)))
    return thinnest


def _diffuse_layer(case: Case, scales: Scales, name: str, spacer: float | None) -> float:
    """Thickness of the layer that potential or fields make at a boundary."""
    if scales.debye_length is not None:
        boundary = next((b for b in case.boundaries if b.where == name), None)
        return math.inf if boundary is None else boundary.layer(_LayerSizes(case, scales, spacer))
    largest = max((largest_field(species.field, scales) for species in case.species), default=0.0)
    return FIELD_LAYERS / largest if largest > 0.0 else math.inf


def largest_field(imposed: object, scales: Scales) -> float:
    """Largest imposed force on a species, kT/L."""
    match imposed:
        case None:
            return 0.0
        case FieldTable():
            return max(abs(value.value) for value in imposed.values) / scales.force
        case list():
            return float(np.linalg.norm([component.value for component in imposed])) / scales.force
        case quantity:
            return abs(float(quantity)) / scales.force  # type: ignore[arg-type]


def field_jumps(case: Case, scales: Scales) -> list[tuple[str, float, float]]:
    """Return species, position and thickness of the layer (in L) of every jump of a tabulated field."""
    jumps = []
    for species in case.species:
        if isinstance(species.field, FieldTable):
            knots = list(zip(species.field.x, species.field.values, strict=True))
            for (x, left), (next_x, right) in pairwise(knots):
                strength = max(abs(left.value), abs(right.value)) / scales.force
                if x.value == next_x.value and left.value != right.value:
                    jumps.append((species.name, x.value / scales.length, FIELD_LAYERS / strength))
    return jumps


def _field_knots(case: Case, scales: Scales) -> Iterator[tuple[float, float]]:
    """Yield position and strength of the inner knots of field tables: densities bend or have a layer there."""
    for species in case.species:
        if isinstance(species.field, FieldTable):
            strength = largest_field(species.field, scales)
            for knot in species.field.x[1:-1]:
                if strength > 0.0:
                    yield knot.value / scales.length, strength
