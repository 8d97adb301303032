"""Cells of several kinds in one mesh are cut into simplices that fit; drawings may lie in any plane."""

from __future__ import annotations

from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import mistakes, run_command, summary_of, write_toml
from msh import (
    HEXAHEDRON,
    LINE,
    PRISM,
    PYRAMID,
    QUADRANGLE,
    TETRAHEDRON,
    TRIANGLE,
    Square,
    diffusion,
    holds,
    write_msh,
)

from pnp_exclusion.case.case import make_case
from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.gmsh_domain import gmsh_domain
from pnp_exclusion.mesh.physical_names import MeshFileError
from pnp_exclusion.mesh.simplices import FACES, simplices
from pnp_exclusion.solution.solve import solve

UNIT_CELLS = {
    TRIANGLE: ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], 1 / 2),
    QUADRANGLE: ([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], 1.0),
    TETRAHEDRON: ([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], 1 / 6),
    HEXAHEDRON: ([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], 1.0),
    PRISM: ([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]], 1 / 2),
    PYRAMID: ([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 1]], 1 / 3),
}
"""gmsh's reference cells, up to their place, with their area or volume."""


@pytest.mark.parametrize("kind", UNIT_CELLS)
def test_parts_of_a_cell_fill_it_without_overlap_whatever_its_numbers(kind: int):
    """Volumes of one sign that add up to the cell's cannot overlap; the same faces are cut for every numbering."""
    corners, volume = UNIT_CELLS[kind]
    points, random = np.array(corners, dtype=float), np.random.default_rng(1)
    dimension = 2 if kind in (TRIANGLE, QUADRANGLE) else 3
    for _ in range(50):
        numbers = random.permutation(len(points))
        parts, origins = simplices(kind, numbers[None, :])
        places = np.empty_like(points)
        places[numbers] = points
        edges = (places[parts][:, 1:] - places[parts][:, :1])[..., :dimension]
        volumes = np.linalg.det(edges) / (2.0 if dimension == 2 else 6.0)
        assert (volumes > 0.0).all()
        assert volumes.sum() == pytest.approx(volume, rel=1e-12)
        assert (origins == 0).all()


def test_faces_of_cells_are_those_of_a_closed_surface():
    for kind, faces in FACES.items():
        if kind not in (TRIANGLE, QUADRANGLE):
            edges = [(a, b) for face in faces for a, b in zip(face, [*face[1:], face[0]], strict=True)]
            assert sorted(edges) == sorted((b, a) for a, b in edges), kind


def _mixed_box(path: Path, size: int = 3) -> Path:
    """A unit cube with hexahedra, columns of prisms, and cells of six pyramids, its nodes numbered at random.

    Groups "low" and "high" are its faces in x, "inside" its cells of pyramids.
    """
    random = np.random.default_rng(7)
    grid = np.linspace(0.0, 1.0, size + 1)
    points = [np.array(p) for p in np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)]

    def node(i, j, k):
        return (i * (size + 1) + j) * (size + 1) + k

    cells = {HEXAHEDRON: [], PRISM: [], PYRAMID: []}
    faces = {"low": [], "high": []}
    for i, j, k in np.ndindex(size, size, size):
        c = [node(i + a, j + b, k + d) for d in (0, 1) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
        if i == 0:
            faces["low"].append([c[0], c[3], c[7], c[4]])
        if i == size - 1:
            faces["high"].append([c[1], c[2], c[6], c[5]])
        if (i + j) % 3 == 0:
            cells[PRISM] += [[c[0], c[1], c[2], c[4], c[5], c[6]], [c[0], c[2], c[3], c[4], c[6], c[7]]]
        elif (i + j + k) % 2:
            points.append(np.mean([points[n] for n in c], axis=0))
            inward = [[c[n] for n in face[::-1]] for face in FACES[HEXAHEDRON]]
            cells[PYRAMID] += [[*face, len(points) - 1] for face in inward]
        else:
            cells[HEXAHEDRON].append(c)
    new = random.permutation(len(points))
    shuffled = np.empty((len(points), 3))
    shuffled[new] = points
    groups = {HEXAHEDRON: 3, PRISM: 3, PYRAMID: 4}
    blocks = [(QUADRANGLE, number, number, new[faces[name]]) for number, name in ((1, "low"), (2, "high"))]
    blocks += [(kind, groups[kind], groups[kind], new[all_]) for kind, all_ in cells.items()]
    names = [(2, 1, "low"), (2, 2, "high"), (3, 3, "rest"), (3, 4, "inside")]
    return write_msh(path, shuffled, blocks, names)


def _surface(domain: Domain, facets: np.ndarray) -> float:
    from dolfinx import mesh as dmesh

    corners = domain.mesh.geometry.x[dmesh.entities_to_geometry(domain.mesh, 2, facets)]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(0.5 * np.linalg.norm(normals, axis=1).sum())


def test_hexahedra_prisms_and_pyramids_become_tetrahedra_that_share_all_facets(tmp_path: Path):
    """Were a face cut in two ways, its triangles would belong to one cell each, and the outer area exceed 6."""
    domain = gmsh_domain(MPI.COMM_SELF, _mixed_box(tmp_path / "mixed.msh"))
    assert domain.mesh.topology.cell_name() == "tetrahedron"
    assert _surface(domain, domain.exterior_facets) == pytest.approx(6.0, rel=1e-12)
    assert _surface(domain, domain.boundary_facets["low"]) == pytest.approx(1.0, rel=1e-12)
    assert domain.parts.count == 1
    assert len(domain.seams.facets) == 0
    assert not domain.stray_facets
    assert domain.notes == ("its hexahedra and prisms and pyramids were cut into tetrahedra",)


def test_flux_through_mixed_cells_of_three_dimensions(tmp_path: Path):
    """D dc / L through a unit cube; the unknown, log c, is not linear, so that the mesh leaves some 1e-3."""
    mesh = _mixed_box(tmp_path / "mixed.msh")
    solution = solve(make_case(diffusion(mesh, [holds("low", 0.3), holds("high", 0.2)])))
    assert solution.summary()["flux"]["high"]["A"]["value"] == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("ranks", [1, 2])
def test_triangles_beside_quadrangles_carry_a_salt_into_a_gel(tmp_path: Path, ranks: int):
    """50 against 20 mmol/L and 10 mV across 5 nm of solution and 5 nm of gel with -20 mmol/L of fixed charge.

    Right values from finite volumes in one dimension, written for this purpose; they hold for any height of 4 nm.
    """
    left = Square(10, 8, high=(5.0, 4.0))
    # the first nodes of the right half are the last ones of the left half
    right = Square(10, 8, low=(5.0, 0.0), high=(10.0, 4.0), first=int(left.numbers[-1, 0]))
    points = np.concatenate([left.points, right.points[9:]])
    blocks = [
        (LINE, 1, 1, left.side("left")),
        (LINE, 2, 2, right.side("right")),
        (QUADRANGLE, 3, 3, left.quadrangles),
        (TRIANGLE, 4, 4, right.triangles),
    ]
    names = [(1, 1, "inlet"), (1, 2, "outlet"), (2, 3, "solution"), (2, 4, "gel")]
    mesh = write_msh(tmp_path / "mixed.msh", points, blocks, names)
    salt = lambda amount: {"K": f"{amount} mmol/L", "Cl": f"{amount} mmol/L"}  # noqa: E731
    tables = {
        "model": {"law": "pnp"},
        "species": [
            {"name": "K", "charge": 1, "diffusivity": "1.96e-9 m^2/s"},
            {"name": "Cl", "charge": -1, "diffusivity": "2.03e-9 m^2/s"},
        ],
        "domain": {"shape": "gmsh", "file": str(mesh), "unit": "1 nm"},
        "regions": [{"name": "gel", "tag": "gel", "fixed_charge": "-20 mmol/L"}],
        "boundaries": [
            {"where": "inlet", "kind": "reservoir", "concentration": salt(50), "potential": "10 mV"},
            {"where": "outlet", "kind": "reservoir", "concentration": salt(20), "potential": "0 V"},
        ],
    }
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out", ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    flux = summary_of(tmp_path / "out")["flux"]["outlet"]
    assert flux["K"]["value"] == pytest.approx(3.75958e-8, rel=1e-4)
    assert flux["Cl"]["value"] == pytest.approx(1.2255e-8, rel=1e-4)


@pytest.mark.parametrize("first", [0, 1])
def test_cells_too_bent_to_be_cut_from_their_lowest_corner_are_refused(tmp_path: Path, first: int):
    """A quadrangle with an inward corner can be cut through this corner and the one across, not the other way."""
    corners = [[0, 0], [1, 0], [0.2, 0.2], [0, 1]]
    points = [*corners[first:], *corners[:first], [-1, 0]]
    numbers = [(corner - first) % 4 for corner in (0, 3)]
    blocks = [(QUADRANGLE, 0, 1, [[0, 1, 2, 3]]), (TRIANGLE, 0, 1, [[*numbers, 4]])]
    mesh = write_msh(tmp_path / "bent.msh", points, blocks)
    if first == 0:
        assert gmsh_domain(MPI.COMM_SELF, mesh).cells == 3
    else:
        with pytest.raises(MeshFileError, match="1 cells that are too bent"):
            gmsh_domain(MPI.COMM_SELF, mesh)


# ---- planes ----


@pytest.mark.parametrize(
    ("along", "expected"),
    [
        (([1, 0, 0], [0, 0, 1]), ([1, 0], [0, 1])),
        (([0, 1, 0], [0, 0, 1]), ([1, 0], [0, 1])),
        (([0, 0, 1], [0, 1, 0]), ([0, 1], [1, 0])),
        (([0.8, 0, 0.6], [0, 1, 0]), ([1, 0], [0, 1])),
    ],
)
def test_drawing_in_any_plane_keeps_its_shape(tmp_path: Path, along, expected):
    """In a plane of two axes these are x and y in their order; in an oblique one distances stay."""
    s = Square(4, 2, high=(3.0, 1.0))
    blocks = [(LINE, 1, 1, s.side("left")), (TRIANGLE, 2, 2, s.triangles)]
    domain = gmsh_domain(
        MPI.COMM_SELF, write_msh(tmp_path / "tilted.msh", s.points @ np.array(along, dtype=float), blocks)
    )
    found = domain.mesh.geometry.x[:, :2]
    right = s.points @ np.array(expected, dtype=float)
    order, other = (np.lexsort(np.round(p, 9).T) for p in (found, right))
    np.testing.assert_allclose(found[order], right[other], atol=1e-12)
    assert len(domain.boundary_facets["1"]) == 2
    assert "are x, y here" in domain.notes[0]


def test_line_along_any_direction_is_an_interval(tmp_path: Path):
    points = np.linspace(0.0, 2.0, 5)[:, None] * np.array([0.0, 0.6, 0.8])
    domain = gmsh_domain(
        MPI.COMM_SELF, write_msh(tmp_path / "line.msh", points, [(LINE, 1, 1, [[i, i + 1] for i in range(4)])])
    )
    np.testing.assert_allclose(np.sort(domain.mesh.geometry.x[:, 0]), np.linspace(0.0, 2.0, 5), atol=1e-12)


def test_curved_surface_is_refused(tmp_path: Path):
    s = Square(4, 4)
    points = np.column_stack([s.points, s.points[:, 0] ** 2])
    mesh = write_msh(tmp_path / "curved.msh", points, [(LINE, 1, 1, s.side("left")), (TRIANGLE, 2, 2, s.triangles)])
    with pytest.raises(MeshFileError, match="is not flat: its cells are of dimension 2, so it must lie in a plane"):
        gmsh_domain(MPI.COMM_SELF, mesh)


def test_dimension_of_the_case_must_be_that_of_the_cells(tmp_path: Path):
    s = Square(2, 2)
    mesh = write_msh(tmp_path / "flat.msh", s.points, [(LINE, 1, 1, s.side("left")), (TRIANGLE, 2, 2, s.triangles)])
    tables = diffusion(mesh, [holds(1, 0.4)])
    tables["domain"]["dimension"] = 3
    assert any("dimension = 3, but the cells of" in mistake for mistake in mistakes(tables))
