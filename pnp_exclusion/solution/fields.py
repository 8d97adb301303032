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
from pnp_exclusion.solution.steady_state import SteadyState

if TYPE_CHECKING:
    import xarray

LETTERS = "xyz"
_Variable = tuple[tuple[str, ...], np.ndarray, str, str]
"""Dimensions (``"node"`` for that of the nodes), values, unit, name in words."""


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
        "concentration" if scales.si else "occupied fraction",
    )
    kind = "electrochemical potential" if problem.coupled else "chemical potential"
    found["electrochemical_potential"] = ("species", "node"), fields.mu, "kT", kind
    found["packing"] = ("node",), problem.packing(fields.rho), "1", "occupied fraction of all species"
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
    import xarray

    scales, problem = steady.setup.scales, steady.discretisation.problem
    letters = LETTERS[: problem.domain.dimension]
    along = "x" if len(letters) == 1 else "node"
    unit = "m" if scales.si else "L"
    dataset = xarray.Dataset(
        {
            name: (tuple(along if d == "node" else d for d in dims), values, {"units": unit, "long_name": words})
            for name, (dims, values, unit, words) in _variables(steady, fields).items()
        },
        coords={"species": problem.names, "axis": list(letters)}
        | {
            letter: (
                along,
                fields.points[:, i] * scales.length,
                {"units": unit, "long_name": f"position along {letter}"},
            )
            for i, letter in enumerate(letters)
        },
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
