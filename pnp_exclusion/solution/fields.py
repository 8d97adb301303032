"""Fields of a solution as labelled arrays (xarray) and as a grid for pictures (pyvista), in the units of its case.

Both libraries are imported only when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dolfinx.plot import vtk_mesh

import pnp_exclusion
from pnp_exclusion.errors import MissingLibraryError
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.observe.nodes import NodalFields, fields_at_nodes
from pnp_exclusion.observe.sample import fields_at_points
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solution.unit_attributes import unit_attributes

if TYPE_CHECKING:
    import xarray

LETTERS = "xyz"
_Variable = tuple[tuple[str, ...], np.ndarray, str, str]
"""Dimensions (the last one is that of the points), values, unit, name in words."""


def _variables(steady: SteadyState, fields: NodalFields) -> dict[str, _Variable]:
    """Return every quantity in SI units for an SI case, by its name."""
    scales, problem = steady.setup.scales, steady.discretisation.problem
    found: dict[str, _Variable] = {}
    if fields.potential is not None:
        unit = "V" if scales.si else "kT/e"
        found["potential"] = ("node",), fields.potential * scales.potential, unit, "electric potential"
    found["concentration"] = (
        ("species", "node"),
        fields.rho * scales.contents[:, None],
        "mol/m^3" if scales.si else "1",
        "concentration" if scales.si else "volume fraction",
    )
    kind = "electrochemical potential" if problem.coupled else "chemical potential"
    found["electrochemical_potential"] = ("species", "node"), fields.mu, "kT", kind
    found["packing"] = ("node",), problem.packing(fields.rho), "1", "volume fraction of all species"
    unit = "mol/m^2/s" if scales.si else "D/L"
    count = len(problem.species)
    found["flux"] = ("species", "axis", "node"), fields.flux[:count] * scales.flux, unit, "flux density"
    if fields.temperature is not None and fields.energy is not None:
        found["temperature"] = ("node",), fields.temperature, "1", "temperature"
        found["energy"] = ("node",), fields.energy, "1", "energy a site"
        found["energy_flux"] = ("axis", "node"), fields.flux[-1], "D/L", "energy flux density"
    return found


def dataset_of(steady: SteadyState) -> xarray.Dataset | None:
    """Return the fields at all nodes as an xarray Dataset on rank 0, None on the others; collective.

    Along ``x`` in one dimension, else along ``node``, with the coordinates of the nodes beside it.
    """
    fields = fields_at_nodes(steady.discretisation)
    if fields is None:
        return None
    along = "x" if fields.points.shape[1] == 1 else "node"
    return _dataset(steady, fields, (along,), _positions(steady, fields.points, along))


def dataset_at(steady: SteadyState, points: np.ndarray, along: str = "point") -> xarray.Dataset | None:
    """Return the fields at points ``(n, 3)``, NaN outside the domain, as `dataset_of` does; collective.

    along
        The name of their dimension; that of "distance" has coordinates, from the first one.
    """
    fields = fields_at_points(steady.discretisation, points)
    if fields is None:
        return None
    places = _positions(steady, fields.points, along)
    if along == "distance":
        distances = np.linalg.norm(points - points[0], axis=1) * steady.setup.scales.length
        places[along] = (
            along,
            distances,
            {**unit_attributes(_length_unit(steady)), "long_name": "distance from the first point"},
        )
    return _dataset(steady, fields, (along,), places)


def dataset_on_grid(steady: SteadyState, count: int) -> xarray.Dataset | None:
    """Return the fields on a regular grid over the domain, NaN outside, as `dataset_of` does; collective.

    Along ``x``, ``(y, x)`` or ``(z, y, x)``, with ``count`` points along the longest side and at least two along every
    other.
    """
    domain = steady.discretisation.problem.domain
    low, high = domain.bounding_box()
    counts = np.maximum(2, np.round(1 + (count - 1) * (high - low) / (high - low).max()).astype(int))
    axes = [np.linspace(*ends) for ends in zip(low, high, counts, strict=True)]
    grid = np.stack([one.ravel() for one in np.meshgrid(*axes[::-1], indexing="ij")][::-1], axis=1)
    fields = fields_at_points(steady.discretisation, np.pad(grid, ((0, 0), (0, 3 - domain.dimension))))
    if fields is None:
        return None
    letters = LETTERS[: domain.dimension]
    places: dict[str, Any] = {}
    for letter, along in zip(letters, axes, strict=True):
        places |= _positions(steady, along[:, None], letter, letter)
    return _dataset(steady, fields, tuple(letters[::-1]), places, tuple(counts[::-1]))


def _positions(steady: SteadyState, points: np.ndarray, along: str, letters: str = LETTERS) -> dict[str, Any]:
    """Return the coordinates of points ``(n, dimension)`` as those of a dataset."""
    return {
        letter: (
            along,
            values * steady.setup.scales.length,
            {**unit_attributes(_length_unit(steady)), "long_name": f"position along {letter}"},
        )
        for letter, values in zip(letters, points.T, strict=False)
    }


def _length_unit(steady: SteadyState) -> str:
    return "m" if steady.setup.scales.si else "L"


def _dataset(
    steady: SteadyState,
    fields: NodalFields,
    along: tuple[str, ...],
    places: dict[str, Any],
    shape: tuple[int, ...] = (-1,),
) -> xarray.Dataset:
    """Return fields as a dataset whose points are along some dimensions, with their places as coordinates."""
    import xarray

    problem = steady.discretisation.problem
    variables = {}
    for name, (dims, values, unit, words) in _variables(steady, fields).items():
        attributes = {**unit_attributes(unit), "long_name": words}
        variables[name] = ((*dims[:-1], *along), values.reshape(*values.shape[:-1], *shape), attributes)
    dataset = xarray.Dataset(
        variables,
        coords={"species": problem.names, "axis": list(LETTERS[: problem.domain.dimension])} | places,
        attrs={"title": steady.setup.case.title, "law": problem.law.name, "version": pnp_exclusion.__version__},
    )
    dataset["species"].attrs["long_name"] = "species"
    dataset["axis"].attrs["long_name"] = "component of a vector"
    return dataset


def pyvista_grid_of(steady: SteadyState) -> Any:
    """Return the fields on their cells as a pyvista UnstructuredGrid on rank 0, None on the others; collective.

    One array at the points for every field and species, e.g. ``concentration_Na``, in the units of `dataset_of`; fluxes
    are vectors of three components. Coordinates are in the length unit of tables and pictures, which is in
    ``field_data["length_unit"]`` with the units of all arrays: in metres the scene would be too small to be drawn.
    Cells have the degree of the elements; VTK spaces their nodes evenly, so that from degree 3 on values are exact at
    nodes and nearly so between them.
    """
    discrete, scales = steady.discretisation, steady.setup.scales
    comm = discrete.problem.domain.comm
    pyvista = _pyvista()
    space, _ = unfolded(discrete.space, discrete.problem.domain.drawn)
    topology, kinds, _ = vtk_mesh(space)
    cells = topology.reshape(len(kinds), -1)[:, 1:]
    numbers = space.dofmap.index_map.local_to_global(cells.astype(np.int32).ravel()).reshape(cells.shape)
    gathered = comm.gather((numbers, kinds), root=0)
    fields = fields_at_nodes(discrete)
    if gathered is None or fields is None:
        return None
    place = np.argsort(fields.order)
    corners = place[np.concatenate([numbers for numbers, _ in gathered])]
    table = np.column_stack([np.full(len(corners), corners.shape[1]), corners])
    points = np.zeros((len(fields.points), 3))
    points[:, : fields.points.shape[1]] = fields.points * scales.length_in_unit
    grid = pyvista.UnstructuredGrid(table.ravel(), np.concatenate([kinds for _, kinds in gathered]), points)
    units = {}
    for name, (dims, values, unit, _) in _variables(steady, fields).items():
        parts = {name: values}
        if "species" in dims:
            parts = {f"{name}_{s}": part for s, part in zip(discrete.problem.names, values, strict=True)}
        for key, part in parts.items():
            vectors = np.pad(part.T, ((0, 0), (0, 3 - len(part)))) if "axis" in dims else part
            grid.point_data[key] = vectors
            units[key] = unit
    grid.field_data["length_unit"] = [scales.length_unit or "L"]
    grid.field_data["units"] = [f"{key}: {unit}" for key, unit in units.items()]
    return grid


def _pyvista() -> Any:
    try:
        import pyvista
    except ImportError:
        raise MissingLibraryError('to_pyvista() needs pyvista: pip install "pnp-exclusion[pyvista]"') from None
    return pyvista
