"""A solution as one file of numbers and text, and back on any number of ranks: an archive of numpy, without code.

The file holds the case, the mesh, and the unknowns by node, with the nodes of every cell
(`pnp_exclusion.solution.places`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from mpi4py import MPI

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pnp_exclusion.case.build import Setup, setup_on
from pnp_exclusion.case.case import Case, checked_case
from pnp_exclusion.case.domain_tables import GivenMesh, Gmsh, periodic_axes
from pnp_exclusion.case.petsc_options import why_not
from pnp_exclusion.case.reading import Draft
from pnp_exclusion.case.scales import scales_of
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import follow_potentials
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.mesh.arrays import MeshArrays, arrays_of, domain_of
from pnp_exclusion.mesh.domain import Domain, Grid, tensor_domain, too_many_ranks
from pnp_exclusion.mesh.given_mesh import with_own_coordinates
from pnp_exclusion.mesh.physical_names import Group, MeshGroups
from pnp_exclusion.physics.laws import Law, find_law, register_law
from pnp_exclusion.runtime.parallel import on_rank_zero
from pnp_exclusion.solution.archive import read_archive, write_archive
from pnp_exclusion.solution.places import gathered, places_in
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solver.steady import SteadyReport

FORMAT: Literal["pnp_exclusion solution"] = "pnp_exclusion solution"
NODE_FOUND = 1e-6
"""Of a cell: how far a node may be from where the file has it. Rounding leaves 1e-10 in the thinnest cells."""


class Outcome(BaseModel):
    """What a solve was, beside its state; as in `pnp_exclusion.solution.solution.Solution`."""

    model_config = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="constants", defer_build=True)

    report: SteadyReport
    converged: bool
    seconds: dict[str, float]
    petsc_options: dict[str, str]
    unused_petsc_options: list[str]


class Heading(BaseModel):
    """What of a file is text."""

    model_config = ConfigDict(extra="forbid", strict=True, ser_json_inf_nan="constants", defer_build=True)

    format: Literal["pnp_exclusion solution"]
    version: Literal[1]
    case: dict[str, Any]
    path: str
    """Of the case file, for messages and what lies beside it."""
    own_law: str
    """Name of the law if it was written in Python; empty for one that the case names."""
    length: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """SI value of the unit of lengths."""
    breakpoints: list[list[float]]
    """Of a grid (`pnp_exclusion.mesh.domain.Grid`)."""
    shape: str
    """Of the cells of a mesh that is no grid; else empty."""
    order: int
    boundaries: list[str]
    regions: list[str]
    load_parameter: Annotated[float, Field(gt=0, le=1)]
    outcome: Outcome


# ---- writing ----


def write(path: Path, steady: SteadyState, outcome: Outcome) -> None:
    """Write a steady state into one file, complete or not at all; collective.

    Raises `DiskError` if it cannot be written.
    """
    discrete = steady.discretisation
    domain = discrete.problem.domain
    arrays = gathered(discrete, {"values": discrete.values}, {"is_steep": discrete.integration.is_steep})
    mesh = None
    if domain.grid:
        arrays |= {f"axis_{i}": np.asarray(axis) for i, axis in enumerate(domain.grid.nodes)}
    else:
        mesh = arrays_of(domain)
    if mesh is not None:
        arrays |= {"points": mesh.points, "cells": mesh.cells}
        arrays |= {f"boundary_{i}": facets for i, facets in enumerate(mesh.facets.values())}
        arrays |= {f"region_{i}": cells for i, cells in enumerate(mesh.regions.values())}
    arrays["heading"] = np.array(_heading(steady, mesh, outcome).model_dump_json())

    on_rank_zero(domain.comm, lambda: write_archive(path, arrays))


def _heading(steady: SteadyState, mesh: MeshArrays | None, outcome: Outcome) -> Heading:
    case, problem = steady.setup.case, steady.discretisation.problem
    written = case.as_written()
    # what only Python or the command line may give is not taken from a file
    given = written["solver"].get("petsc", {})
    written["solver"]["petsc"] = {name: value for name, value in given.items() if not why_not(name, value)}
    law, named, grid = problem.law, case.model.flux_law, problem.domain.grid
    return Heading(
        format=FORMAT,
        version=1,
        case=written,
        path=str(case.path),
        own_law="" if (law.name, law.exchange) == (named.name, named.exchange) else law.name,
        length=steady.setup.scales.length,
        breakpoints=[[float(x) for x in axis] for axis in grid.breakpoints] if grid else [],
        shape=mesh.shape if mesh else "",
        order=mesh.order if mesh else 1,
        boundaries=list(problem.domain.boundary_facets),
        regions=list(problem.domain.region_cells),
        load_parameter=steady.state.load_parameter,
        outcome=outcome,
    )


# ---- reading ----


def read(path: Path, law: Law | None, comm: MPI.Comm) -> tuple[Setup, Discretisation, Outcome]:
    """Return what `write` has written, the state in the unknown of the discretisation; collective.

    Raises as `pnp_exclusion.solution.solution.load` does.
    """
    arrays: dict[str, np.ndarray] = {}
    if law is not None and find_law(law.name) is None:
        # the case may know it by its name
        register_law(law)

    def begin() -> tuple[Heading, Case | None, list[np.ndarray], int]:
        nonlocal arrays
        heading, arrays = _read(path)
        if law is None and (own := heading.own_law or _unknown_law(heading)):
            raise CaseError(path, [f'was computed with a law of its own, "{own}": load(path, law=...)'])
        if excess := too_many_ranks(comm.size, len(arrays["cell_nodes"])):
            raise UsageError(excess)
        # a case whose mesh Python had made is one again once there is a mesh
        case = None if _has_given_mesh(heading) else _case(path, heading, arrays)
        axes = [arrays[f"axis_{i}"] for i in range(len(heading.breakpoints))]
        return heading, case, axes, arrays["values"].shape[1]

    heading, case, axes, components = on_rank_zero(comm, begin)
    if axes:
        domain = tensor_domain(comm, axes, heading.breakpoints)
    else:
        domain = domain_of(comm, _mesh(heading, arrays) if comm.rank == 0 else None)
    if case is None:
        case = _case_on(path, heading, domain)
    try:
        domain = domain.periodic_along(periodic_axes(case.domain))
    except ValueError as error:
        raise CaseError(path, [f"is damaged: {error}"]) from None
    _require_fit(path, case, domain, components)
    setup = setup_on(domain, scales_of(case, heading.length), case, law)
    discrete = Discretisation(setup.problem, case.solver.degree, case.solver.quadrature_degree)
    discrete.set_load_parameter(heading.load_parameter)
    _fill(path, discrete, arrays)
    follow_potentials(discrete)
    return setup, discrete, heading.outcome


def _read(path: Path) -> tuple[Heading, dict[str, np.ndarray]]:
    """Return the content of a file, as far as it can be known without its case; `CaseError` if it is none of ours."""
    try:
        arrays = read_archive(path)
        if "heading" not in arrays:
            raise CaseError(path, ["is not a saved solution"])
        heading = Heading.model_validate_json(str(arrays.pop("heading")))
        _require_consistent(heading, arrays)
    except FileNotFoundError:
        raise CaseError(path, ["there is no such file"]) from None
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise CaseError(path, [f"is not a saved solution, or one of another version ({place})"]) from None
    except (ValueError, KeyError) as error:
        raise CaseError(path, [f"is not a saved solution, or damaged: {str(error).splitlines()[0]}"]) from None
    return heading, arrays


def _require_consistent(heading: Heading, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `ValueError` or `KeyError` if arrays are missing or do not fit each other."""
    axes = [f"axis_{i}" for i in range(len(heading.breakpoints))]
    regions = [f"region_{i}" for i in range(len(heading.regions))]
    rows = {"cell_nodes": "nodes"}
    if not axes:
        rows |= {"cells": "points"} | {f"boundary_{i}": "points" for i in range(len(heading.boundaries))}
        rows |= dict.fromkeys(regions, "cells")
    for name in ("values", "nodes", *axes, *([] if axes else ["points"])):
        found = arrays[name]
        if found.dtype != np.float64 or found.ndim != 2 - (name in axes) or not np.isfinite(found).all():
            raise ValueError(f"{name} does not fit")
    for name, of in rows.items():
        found = arrays[name]
        if found.dtype.kind != "i" or found.ndim != 2 - (name in regions):
            raise ValueError(f"{name} does not fit")
        if found.min(initial=0) < 0 or found.max(initial=0) >= len(arrays[of]):
            raise ValueError(f"{name} does not fit")
    if any(len(arrays[axis]) < 2 or np.diff(arrays[axis]).min() <= 0.0 for axis in axes):
        raise ValueError("the nodes of the grid do not ascend")
    if len(arrays["values"]) != len(arrays["nodes"]):
        raise ValueError("values does not fit")
    if arrays["is_steep"].dtype != bool or arrays["is_steep"].shape != arrays["cell_nodes"].shape[:1]:
        raise ValueError("is_steep does not fit")
    cells = Grid([arrays[axis] for axis in axes], heading.breakpoints).cells if axes else len(arrays["cells"])
    if len(arrays["cell_nodes"]) != cells:
        raise ValueError("cell_nodes does not fit")


def _case(path: Path, heading: Heading, arrays: dict[str, np.ndarray]) -> Case:
    """Return the case of a file; a mesh file that it names is not opened: its mesh is here."""
    draft = Draft(Path(heading.path))
    if not heading.breakpoints:
        dimension = arrays["points"].shape[1]
        found = [(dimension - 1, name, f"boundary_{i}") for i, name in enumerate(heading.boundaries)]
        found += [(dimension, name, f"region_{i}") for i, name in enumerate(heading.regions)]
        groups = [Group(of, number, name, len(arrays[key])) for number, (of, name, key) in enumerate(found, start=1)]
        draft.groups = MeshGroups(dimension, tuple(groups))
    try:
        case = checked_case(heading.case, draft.path, draft)
    except CaseError as error:
        raise CaseError(path, error.mistakes) from None
    return case


def _unknown_law(heading: Heading) -> str:
    """Return the name of a law that the case names and this process does not know; empty if there is none."""
    model = heading.case.get("model")
    name = model.get("law") if isinstance(model, dict) else None
    return name if isinstance(name, str) and find_law(name) is None else ""


def _has_given_mesh(heading: Heading) -> bool:
    domain = heading.case.get("domain")
    return isinstance(domain, dict) and domain.get("shape") == "mesh" and not heading.breakpoints


def _case_on(path: Path, heading: Heading, domain: Domain) -> Case:
    """Return the case of a file on a mesh that Python had made: now a copy of the one in the file, in its own unit."""
    written = heading.case["domain"]
    try:
        given = GivenMesh(**(written | {"mesh": None}))
        factor = 1.0 if given.unit is None else heading.length / given.unit.value
        marks = {"boundaries": domain.boundary_facets, "regions": domain.region_cells}
        given = given.model_copy(update={"mesh": with_own_coordinates(domain.mesh, factor), **marks})
        return checked_case(heading.case | {"domain": given}, Path(heading.path))
    except (ValidationError, ZeroDivisionError):
        raise CaseError(path, ["is damaged: what it says of its mesh cannot be read"]) from None
    except CaseError as error:
        raise CaseError(path, error.mistakes) from None


def _require_fit(path: Path, case: Case, domain: Domain, components: int) -> None:
    """Raise `CaseError` if a case is not one of a domain and so many unknowns at a node."""
    on_grid = not isinstance(case.domain, Gmsh | GivenMesh)
    if (case.dimension, case.unknowns, on_grid) != (domain.dimension, components, domain.grid is not None):
        raise CaseError(path, ["is damaged: its case does not fit its mesh and unknowns"])


def _mesh(heading: Heading, arrays: dict[str, np.ndarray]) -> MeshArrays:
    return MeshArrays(
        heading.shape,
        heading.order,
        arrays["points"],
        arrays["cells"],
        {name: arrays[f"boundary_{i}"] for i, name in enumerate(heading.boundaries)},
        {name: arrays[f"region_{i}"] for i, name in enumerate(heading.regions)},
    )


def _fill(path: Path, discrete: Discretisation, arrays: dict[str, np.ndarray]) -> None:
    """Write the unknowns that rank 0 holds into a discretisation of the same mesh; collective."""
    places = places_in(discrete, arrays)
    if not places.apart <= NODE_FOUND:
        raise CaseError(path, ["is damaged, or of another version of DOLFINx: its nodes are not those of its mesh"])
    discrete.values[:] = places.nodal(arrays.get("values"))
    discrete.integration.mark(places.cellwise(arrays.get("is_steep")))
