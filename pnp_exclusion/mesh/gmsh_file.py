"""gmsh files as arrays. A file is data: gmsh merges it as a mesh and reads nothing else, whatever lies beside it."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pnp_exclusion.mesh.flat import flat_coordinates
from pnp_exclusion.mesh.format2 import groups_of_elements
from pnp_exclusion.mesh.make import gmsh_library
from pnp_exclusion.mesh.physical_names import Group, MeshFileError, MeshGroups
from pnp_exclusion.mesh.simplices import bent_cells, simplices

FACET_KINDS = {1: 15, 2: 1, 3: 1, 4: 2, 5: 3, 8: 15, 9: 8, 10: 8, 11: 9, 12: 10}
"""By gmsh's number of the kind of cells that can be solved on (lines, triangles, quadrangles, tetrahedra and hexahedra
of order 1, then of order 2) that of their facets."""
SPLITTABLE = {2: "triangles", 3: "quadrangles", 4: "tetrahedra", 5: "hexahedra", 6: "prisms", 7: "pyramids"}
"""The kinds of cells of order 1 that can be cut into triangles and tetrahedra where they are mixed."""
BLOCKS = (3, 5)
"""Those of them that can be solved on as they are, quadrangles and hexahedra."""
LONGEST_LINE = 1_000
"""Bytes: names of groups are shorter."""
SIMPLEX = {2: 2, 3: 4}
"""gmsh's number of the simplex, by dimension."""


@dataclass(frozen=True)
class MeshFile:
    """A mesh file: nodes, cells of one kind, and the members of the physical groups.

    points
        ``(nodes, dimension)``; every one is a node of a cell.
    kind
        gmsh's number of the kind of all cells.
    cells
        ``(cells, nodes of a cell)``, in gmsh's order.
    regions
        By the name of a group of cells, which rows of ``cells`` it holds.
    facets
        By the name of a group of the dimension below, its elements ``(facets, nodes of a facet)``, each once.
    stray
        By the same names, how many elements were left out because their nodes are not those of cells.
    notes
        What was done to the file's mesh, one sentence each.
    """

    groups: MeshGroups
    points: np.ndarray
    kind: int
    cells: np.ndarray
    regions: dict[str, np.ndarray]
    facets: dict[str, np.ndarray]
    stray: dict[str, int]
    notes: tuple[str, ...]


def mesh_groups(path: Path) -> MeshGroups:
    """Return the groups of a ``.msh`` file (format 2 or 4, text or binary); raises `MeshFileError`."""
    with _merged(path) as gmsh:
        return _groups(gmsh, path, _members(gmsh, path))


def read_mesh_file(path: Path, in_simplices: bool = False) -> MeshFile:
    """Return the mesh in a ``.msh`` file; `MeshFileError` if it cannot be solved on.

    in_simplices
        Cut quadrangles and hexahedra into triangles and tetrahedra, also where all cells are of one kind.
    """
    with _merged(path) as gmsh:
        members = _members(gmsh, path)
        return _mesh(gmsh, path, _groups(gmsh, path, members), members, in_simplices)


@contextmanager
def _merged(path: Path) -> Iterator[Any]:
    """Yield gmsh with the file as its current model; whatever gmsh says against it becomes a `MeshFileError`.

    gmsh also runs a file of options that is named like the mesh, takes the ending of a name for its format, and what
    has no header of a mesh for a script. So it is given a link of a fixed name, alone in a new folder, after the header
    has been looked at; and it does not read the options in the home folder.
    """
    _require_header(path)
    gmsh = gmsh_library()
    # not that of somebody who uses gmsh in the same process
    ours = not gmsh.isInitialized()
    with _linked(path) as link:
        if ours:
            gmsh.initialize(["-noenv", "-nopopup"], readConfigFiles=False, interruptible=False)
        talks, before = gmsh.option.getNumber("General.Terminal"), gmsh.model.getCurrent()
        try:
            gmsh.option.setNumber("General.Terminal", 0)
            gmsh.model.add("mesh file")
            gmsh.merge(str(link))
            yield gmsh
        except Exception as error:
            if type(error) is not Exception:  # what gmsh raises is bare
                raise
            said = str(error).strip().replace(str(link), path.name)
            raise MeshFileError(f"mesh file {path} is broken: {said or 'gmsh cannot read it'}") from None
        finally:
            gmsh.model.remove()
            gmsh.option.setNumber("General.Terminal", talks)
            if ours:
                gmsh.finalize()
            else:
                gmsh.model.setCurrent(before)


def _how_to_make(path: Path) -> str:
    """Say how a mesh file is made: of the drawing beside it, of one that comes with the package, or of another."""
    drawing = path.with_suffix(".py")
    make = f"pnp-exclusion mesh {drawing}"
    ours = files("pnp_exclusion") / "meshes" / drawing.name
    if drawing.exists():
        return f"make it by: {make}"
    if ours.is_file():
        return f"make it by: pnp-exclusion example meshes/{drawing.name} > {drawing} && {make}"
    return "gmsh writes one, or pnp-exclusion mesh DRAWING.py (docs/case-file.md)"


def _require_header(path: Path) -> None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise MeshFileError(f"mesh file {path} is not a file")
        with path.open("rb") as stream:
            if not stream.readline(LONGEST_LINE).startswith(b"$MeshFormat"):
                raise MeshFileError(f"{path} is not a gmsh file: it does not begin with $MeshFormat")
            _require_names(stream, path)
    except FileNotFoundError:
        raise MeshFileError(f"there is no mesh file {path}; {_how_to_make(path)}") from None
    except OSError as error:
        raise MeshFileError(f"mesh file {path} cannot be read: {error.strerror}") from None
    except MeshFileError:
        raise
    except ValueError as error:
        raise MeshFileError(f"{str(path)!r} is not the path of a file: {error}") from None


def _require_names(stream: BinaryIO, path: Path) -> None:
    """Refuse names of groups of impossible dimensions, which gmsh does not survive."""
    lines = iter(lambda: stream.readline(LONGEST_LINE), b"")
    section = next((line for line in lines if line.startswith((b"$PhysicalNames", b"$Nodes", b"$Elements"))), b"")
    if not section.startswith(b"$PhysicalNames"):
        return
    next(lines, b"")
    for line in takewhile(lambda line: not line.startswith(b"$"), lines):
        if line.strip() and line.split(maxsplit=1)[0] not in (b"0", b"1", b"2", b"3"):
            raise MeshFileError(f"mesh file {path} is broken in $PhysicalNames")


@contextmanager
def _linked(path: Path) -> Iterator[Path]:
    """Yield a link of a fixed name to a file, with nothing beside it."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="pnp-exclusion-")
    except OSError as error:
        raise MeshFileError(f"mesh file {path} cannot be read: no temporary folder ({error.strerror})") from None
    with folder as name:
        link = Path(name) / "mesh.msh"
        link.symlink_to(path.resolve())
        yield link


Members = dict[tuple[int, int], np.ndarray]
"""The tags of the elements in every physical group, by its dimension and number."""


def _members(gmsh: Any, path: Path) -> Members:
    groups = gmsh.model.getPhysicalGroups()
    try:
        listed = groups_of_elements(path, lambda kind: gmsh.model.mesh.getElementProperties(kind)[3])
    except (OSError, ValueError) as error:
        raise MeshFileError(f"mesh file {path} is broken: {error}") from None
    if listed is None:
        return {(dimension, number): _tags_on_entities(gmsh, dimension, number) for dimension, number in groups}
    kinds = np.unique(listed[:, 1])
    dimensions = {int(kind): gmsh.model.mesh.getElementProperties(kind)[1] for kind in kinds}
    of_dimension = np.array([dimensions[kind] for kind in listed[:, 1].tolist()])
    return {
        (dimension, number): listed[(of_dimension == dimension) & (listed[:, 2] == number), 0]
        for dimension, number in groups
    }


def _tags_on_entities(gmsh: Any, dimension: int, number: int) -> np.ndarray:
    found = [np.empty(0, dtype=np.int64)]
    for entity in gmsh.model.getEntitiesForPhysicalGroup(dimension, number):
        found += gmsh.model.mesh.getElements(dimension, entity)[1]
    return np.concatenate(found)


def _groups(gmsh: Any, path: Path, members: Members) -> MeshGroups:
    sizes = [sum(len(tags) for tags in gmsh.model.mesh.getElements(dimension)[1]) for dimension in range(4)]
    dimension = max((dimension for dimension in (1, 2, 3) if sizes[dimension]), default=0)
    if not dimension:
        raise MeshFileError(f"mesh file {path} has no cells; mesh the drawing before it is saved")
    groups = [
        Group(of, number, gmsh.model.getPhysicalName(of, number) or str(number), len(tags))
        for (of, number), tags in members.items()
    ]
    return MeshGroups(dimension, tuple(groups))


def _mesh(gmsh: Any, path: Path, groups: MeshGroups, members: Members, in_simplices: bool) -> MeshFile:
    dimension = groups.dimension
    node_tags, coordinates, _ = gmsh.model.mesh.getNodes()
    order = np.argsort(node_tags)
    node_tags, coordinates = node_tags[order], coordinates.reshape(-1, 3)[order]
    elements = _elements(gmsh, dimension)
    kind, notes = _kind(gmsh, path, [kind for kind, _, _ in elements], dimension, in_simplices)
    split = [own_kind for own_kind, _, _ in elements] != [kind]
    cells, tags, cut = _joined(elements, split)
    nodes, cells = _numbered(cells)
    points, plane = _points(path, coordinates[np.searchsorted(node_tags, nodes)], dimension)
    if split and (bent := bent_cells(points, cells, cut)):
        raise MeshFileError(
            f"mesh file {path} has {bent} cells that are too bent to be cut into simplices, which is done where cells "
            "of several kinds meet, and for [solver] accuracy; make all cells triangles or tetrahedra"
        )
    once, same = _distinct(cells)
    facets, stray = _facets(gmsh, groups, members, FACET_KINDS[kind], nodes)
    return MeshFile(
        groups=groups,
        points=points,
        kind=kind,
        cells=cells[once],
        regions={
            name: np.unique(same[np.isin(tags, _members_of(groups, members, dimension, name))])
            for name in groups.cells()
        },
        facets=facets,
        stray=stray,
        notes=(*plane, *notes),
    )


def _kind(gmsh: Any, path: Path, kinds: Sequence[int], dimension: int, in_simplices: bool) -> tuple[int, list[str]]:
    """Return the kind that the cells will have, and what is to be said about it."""
    if len(kinds) == 1 and kinds[0] in FACET_KINDS and not (in_simplices and kinds[0] in BLOCKS):
        return kinds[0], []
    if all(kind in SPLITTABLE for kind in kinds):
        found = " and ".join(SPLITTABLE[kind] for kind in kinds)
        return SIMPLEX[dimension], [f"its {found} were cut into {SPLITTABLE[SIMPLEX[dimension]]}"]
    names = " and ".join(gmsh.model.mesh.getElementProperties(kind)[0] for kind in kinds)
    raise MeshFileError(
        f"mesh file {path} has cells of the kind {names}. Cells can be lines, triangles, quadrangles, tetrahedra or "
        "hexahedra, straight or of order 2, if all are of one kind; of order 1 the kinds may be mixed, with prisms and "
        "pyramids too. In gmsh: Mesh.ElementOrder = 1 (or 2), and no Recombine for triangles and tetrahedra alone"
    )


def _elements(gmsh: Any, dimension: int) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return the kind of all elements of a dimension, with their tags and their nodes' tags ``(elements, nodes)``."""
    return [
        (int(kind), tags, nodes.reshape(len(tags), -1).astype(np.int64))
        for kind, tags, nodes in zip(*gmsh.model.mesh.getElements(dimension), strict=True)
    ]


def _joined(
    elements: Sequence[tuple[int, np.ndarray, np.ndarray]], split: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all cells, the tag of the element that each is or was cut from, and the position of that element."""
    cells, tags_of, origins = [], [], []
    before = 0
    for kind, tags, nodes in elements:
        parts, origin = simplices(kind, nodes) if split else (nodes, np.arange(len(nodes)))
        cells.append(parts)
        tags_of.append(tags[origin])
        origins.append(origin + before)
        before += len(nodes)
    return np.concatenate(cells), np.concatenate(tags_of), np.concatenate(origins)


def _numbered(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the tags of the nodes in cells, ascending, and the cells by the positions among these."""
    nodes, numbers = np.unique(cells, return_inverse=True)
    return nodes, numbers.reshape(cells.shape)


def _points(path: Path, coordinates: np.ndarray, dimension: int) -> tuple[np.ndarray, list[str]]:
    if not np.isfinite(coordinates).all():
        raise MeshFileError(f"mesh file {path} is broken: a coordinate is not a finite number")
    found = flat_coordinates(coordinates, dimension)
    if found is None:
        raise MeshFileError(
            f"mesh file {path} is not flat: its cells are of dimension {dimension}, so it must lie in a "
            f"{'plane' if dimension == 2 else 'straight line'}"
        )
    points, meaning = found
    ours = ", ".join("xyz"[:dimension])
    return points, [] if meaning == ours else [f"its {meaning} are {ours} here, in results and in ranges of regions"]


def _distinct(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that hold other nodes than all before, and for every row which of these it is.

    Format 2 repeats an element for every group that has it.
    """
    if not len(cells):
        return np.arange(0), np.arange(0)
    # equal sets of nodes have equal sums of weights, and nearly never others do
    weights = np.random.default_rng(0).integers(0, 2**63, size=int(cells.max()) + 1, dtype=np.uint64)
    if len(np.unique(weights[cells].sum(axis=1))) == len(cells):
        return np.arange(len(cells)), np.arange(len(cells))
    _, first, same = np.unique(np.sort(cells, axis=1), axis=0, return_index=True, return_inverse=True)
    order = first.argsort()
    return first[order], order.argsort()[same.ravel()]


def _members_of(groups: MeshGroups, members: Members, dimension: int, name: str) -> np.ndarray:
    """Return the tags of the elements in all groups of a dimension that have a name."""
    return np.concatenate(
        [
            members[dimension, group.number]
            for group in groups.groups
            if group.dimension == dimension and group.name == name
        ]
    )


def _facets(
    gmsh: Any, groups: MeshGroups, members: Members, kind: int, nodes: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return the elements of every group of facets by positions in ``nodes``, and how many cannot be facets."""
    width = int(gmsh.model.mesh.getElementProperties(kind)[3])
    known, tags_of, stray_tags = [np.empty((0, width), dtype=np.int64)], [np.empty(0, dtype=np.int64)], []
    for own_kind, tags, elements in _elements(gmsh, groups.dimension - 1):
        if own_kind != kind and own_kind in SPLITTABLE:
            elements, origin = simplices(own_kind, elements)
            tags = tags[origin]
        positions = np.minimum(np.searchsorted(nodes, elements), len(nodes) - 1)
        usable = (nodes[positions] == elements).all(axis=1) & (elements.shape[1] == width)
        stray_tags.append(tags[~usable])
        if usable.any():
            known.append(positions[usable])
            tags_of.append(tags[usable])
    facets, stray = {}, {}
    for name in groups.facets():
        inside = _members_of(groups, members, groups.dimension - 1, name)
        found = np.concatenate(known)[np.isin(np.concatenate(tags_of), inside)]
        facets[name] = found[_distinct(found)[0]]
        stray[name] = sum(int(np.isin(tags, inside).sum()) for tags in stray_tags)
    return facets, stray
