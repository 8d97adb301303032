"""Meshes that fall apart: parts that share no facets, borders that are there twice, nodes that one side lacks."""

from __future__ import annotations

from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import run_command, write_toml
from msh import HEXAHEDRON, LINE, QUADRANGLE, TRIANGLE, Square, diffusion, holds, write_msh

from pnp_exclusion.case.advice import advice
from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.gmsh_domain import gmsh_domain

ENDS = [holds("inlet", 0.4), holds("outlet", 0.1)]
NAMES = [(1, 1, "inlet"), (1, 2, "outlet"), (1, 5, "left border"), (1, 6, "right border")]
NAMES += [(2, 3, "solution"), (2, 4, "gel")]


def two_squares(path: Path, outlet: str = "right", right_size: int = 4, gap: float = 0.0) -> Path:
    """Two squares side by side; their 4 lines at x = 1 are there twice, or twice as fine on the right."""
    left = Square(4, 4)
    right = Square(right_size, right_size, low=(1.0 + gap, 0.0), high=(2.0, 1.0), first=len(left.points))
    ends = {"left": left.side("bottom"), "right": right.side("right")}
    blocks = [
        (LINE, 1, 1, left.side("left")),
        (LINE, 2, 2, ends[outlet]),
        (LINE, 5, 5, left.side("right")),
        (LINE, 6, 6, right.side("left")),
        (TRIANGLE, 3, 3, left.triangles),
        (TRIANGLE, 4, 4, right.triangles),
    ]
    return write_msh(path, np.concatenate([left.points, right.points]), blocks, NAMES)


def told(tables: dict) -> list[str]:
    return list(advice(build(make_case(tables))))


@pytest.mark.parametrize("ranks", [1, 2])
def test_two_squares_that_share_no_nodes_are_told_with_their_regions(tmp_path: Path, ranks: int):
    tables = diffusion(two_squares(tmp_path / "two.msh"), ENDS)
    finished = run_command("check", write_toml(tables, tmp_path / "case.toml"), ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    warnings = finished.stderr.splitlines()
    assert sum("the mesh is in 2 parts that share no facets" in line for line in warnings) == 1
    assert 'part 1 ("solution", 32 cells, from (0, 0) to (1, 1)), part 2 ("gel", 32 cells' in finished.stderr
    assert 'between "solution" and "gel" 8 facets belong to one cell only' in finished.stderr
    assert "from (1, 0.125) to (1, 0.875)" in finished.stderr


@pytest.mark.parametrize("ranks", [1, 2])
def test_part_that_nothing_determines_is_refused(tmp_path: Path, ranks: int):
    tables = diffusion(two_squares(tmp_path / "two.msh", outlet="left"), ENDS)
    finished = run_command(
        "run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out", ranks=ranks, timeout=120
    )
    assert finished.returncode == 2
    assert finished.stderr.count('part 2 ("gel", 32 cells, from (1, 0) to (2, 1)) touches no boundary') == 1
    assert "Traceback" not in finished.stderr


def test_part_must_have_the_potential_and_every_species(tmp_path: Path):
    """The gel holds a potential and A, not B; B is held in the solution, so that the case as such is complete."""
    tables = diffusion(two_squares(tmp_path / "two.msh"), [], electrostatics="poisson", debye_length=0.3)
    tables["species"] = [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}]
    tables["boundaries"] = [
        {"where": "inlet", "kind": "reservoir", "fraction": {"A": 0.1, "B": 0.1}, "potential": 0.0},
        {"where": "outlet", "kind": "electrode", "fraction": {"A": 0.1}, "potential": 1.0},
    ]
    with pytest.raises(CaseError, match=r'part 2 .* touches no boundary that holds "B", so') as caught:
        build(make_case(tables))
    assert len(caught.value.mistakes) == 1


def test_nodes_that_one_side_lacks_are_found(tmp_path: Path):
    """4 lines on the left and 8 on the right lie on each other; every second node at x = 1 hangs."""
    tables = diffusion(two_squares(tmp_path / "hanging.msh", right_size=8), ENDS)
    assert any("12 facets belong to one cell only" in sentence for sentence in told(tables))


def test_squares_apart_from_each_other_do_not_touch(tmp_path: Path):
    tables = diffusion(two_squares(tmp_path / "apart.msh", gap=0.01), ENDS)
    assert not any("belong to one cell only" in sentence for sentence in told(tables))


def test_border_that_is_there_twice_on_purpose_is_listed_and_not_told(tmp_path: Path):
    walls = [{"where": f"{side} border", "kind": "wall"} for side in ("left", "right")]
    tables = diffusion(two_squares(tmp_path / "two.msh"), [*ENDS, *walls])
    assert not any("belong to one cell only" in sentence for sentence in told(tables))


@pytest.mark.parametrize("kind", [TRIANGLE, QUADRANGLE])
def test_line_that_is_there_twice_within_one_part_is_told(tmp_path: Path, kind: int):
    """A cut of 2 lines into a square from below, whose other end holds it together."""
    s = Square(4, 4)
    cut = s.numbers[2, :2]
    doubled = {int(n): len(s.points) + i for i, n in enumerate(cut)}
    cells = s.quadrangles if kind == QUADRANGLE else s.triangles
    right = s.points[cells].mean(axis=1)[:, 0] > 0.5
    cells = np.array([[doubled.get(int(n), n) if r else n for n in cell] for cell, r in zip(cells, right, strict=True)])
    blocks = [(LINE, 1, 1, s.side("left")), (LINE, 2, 2, s.side("right")), (kind, 3, 3, cells)]
    mesh = write_msh(tmp_path / "cut.msh", np.concatenate([s.points, s.points[cut]]), blocks, NAMES[:2] + NAMES[4:5])
    sentences = told(diffusion(mesh, ENDS))
    assert any('within "solution" 4 facets belong' in sentence for sentence in sentences)
    assert not any("parts" in sentence for sentence in sentences)


def test_whole_meshes_have_one_part_and_nothing_is_told(tmp_path: Path):
    s = Square(4, 4)
    blocks = [(LINE, 1, 1, s.side("left")), (LINE, 2, 2, s.side("right")), (TRIANGLE, 3, 3, s.triangles)]
    mesh = write_msh(tmp_path / "whole.msh", s.points, blocks, NAMES[:2] + NAMES[4:5])
    assert told(diffusion(mesh, ENDS)) == []


def test_boxes_that_touch_are_found_in_three_dimensions(tmp_path: Path):
    """A cube beside eight of half its size: 1 and 4 facets on each other, 9 cells of which 8 hang together."""
    corners = np.array([[i, j, k] for k in (0, 1) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))], dtype=float)
    small = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)], dtype=float)
    number = {tuple(p): i + 8 for i, p in enumerate(small.astype(int).tolist())}
    cells = [list(range(8))]
    cells += [[number[tuple((np.array(o) + c).astype(int))] for c in corners] for o in np.ndindex(2, 2, 2)]
    points = np.concatenate([corners, 0.5 * small + [1.0, 0.0, 0.0]])
    domain = gmsh_domain(MPI.COMM_SELF, write_msh(tmp_path / "cubes.msh", points, [(HEXAHEDRON, 1, 1, cells)]))
    assert domain.parts.count == 2
    assert len(domain.seams.facets) == 5
