"""Physical groups of a mesh file: by name or number, in several dimensions, overlapping, inside the domain."""

from __future__ import annotations

from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import mistakes, run_command, summary_of, write_toml
from msh import LINE, QUADRANGLE, TRIANGLE, Square, diffusion, holds, write_msh

from pnp_exclusion.case.advice import advice
from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.errors import CaseError
from pnp_exclusion.mesh.gmsh_domain import gmsh_domain
from pnp_exclusion.solution.solve import solve

ENDS = [holds("left", 0.4), holds("right", 0.1)]
THROUGH = 0.3
"""D dc / L through a unit square, whatever the mesh: the exact solution is linear."""


def square(path: Path, *more, names=(), size: int = 8) -> Path:
    """A unit square with groups 2 "left", 3 "right" and 4 "all", and ``more`` blocks before these."""
    s = Square(size, size)
    blocks = [
        *more,
        (LINE, 2, 2, s.side("left")),
        (LINE, 3, 3, s.side("right")),
        (TRIANGLE, 4, 4, s.triangles),
    ]
    return write_msh(path, s.points, blocks, [(1, 2, "left"), (1, 3, "right"), (2, 4, "all"), *names])


def outward(tables: dict) -> dict[str, float]:
    return {where: flux["A"]["value"] for where, flux in solve(make_case(tables)).summary()["flux"].items()}


# ---- numbers and names ----


@pytest.mark.parametrize("ranks", [1, 2])
def test_groups_without_names_go_by_their_numbers(tmp_path: Path, ranks: int):
    """Numbers as numbers and as texts; half of the square conducts three times better: 1/(0.5 + 0.5/3) of the flux."""
    s = Square(8, 4)
    middle = s.points[s.triangles].mean(axis=1)[:, 0] > 0.5
    cells = [(TRIANGLE, 11, 11, s.triangles[~middle]), (TRIANGLE, 12, 12, s.triangles[middle])]
    mesh = write_msh(
        tmp_path / "numbers.msh", s.points, [(LINE, 1, 1, s.side("left")), (LINE, 2, 2, s.side("right")), *cells]
    )
    tables = diffusion(mesh, [holds(1, 0.4), holds("2", 0.1)], [{"name": "gel", "tag": 12, "diffusivity": 3.0}])
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out", ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    flux = summary_of(tmp_path / "out")["flux"]
    assert flux["2"]["A"]["value"] == pytest.approx(THROUGH * 1.5, rel=1e-5)
    assert flux["1"]["A"]["value"] == pytest.approx(-THROUGH * 1.5, rel=1e-5)


def test_sweep_reaches_a_boundary_by_its_number(tmp_path: Path):
    s = Square(2, 2)
    blocks = [(LINE, 1, 1, s.side("left")), (LINE, 2, 2, s.side("right")), (TRIANGLE, 3, 3, s.triangles)]
    tables = diffusion(write_msh(tmp_path / "numbers.msh", s.points, blocks), [holds(1, 0.4), holds(2, 0.1)])
    tables["sweep"] = {"axes": [{"key": "boundaries.1.fraction.A", "values": [0.2, 0.3]}]}
    assert make_case(tables).sweep is not None


def test_unknown_groups_are_answered_with_those_there_are_their_numbers_and_sizes(tmp_path: Path):
    mesh = square(tmp_path / "square.msh", size=2)
    tables = diffusion(mesh, [holds("lefft", 0.4), holds(3, 0.1)], [{"name": "gel", "tag": "left", "diffusivity": 2.0}])
    told = mistakes(tables)
    groups = '"left" (number 2, 2 lines), "right" (number 3, 2 lines)'
    assert any('did you mean "left"?' in m and groups in m for m in told)
    assert any('group 3 has a name there: write "right"' in m for m in told)
    assert any("of this name there is one of lines" in m and '"all" (number 4, 8 cells)' in m for m in told)


def test_mesh_without_groups_can_be_read_but_its_boundaries_not_named(tmp_path: Path):
    s = Square(2, 2)
    mesh = write_msh(tmp_path / "none.msh", s.points, [(LINE, 0, 1, s.side("left")), (TRIANGLE, 0, 2, s.triangles)])
    assert any('Physical Curve("name")' in m and "save the mesh again" in m for m in mistakes(diffusion(mesh, ENDS)))
    assert gmsh_domain(MPI.COMM_SELF, mesh).cells == 8


def test_region_and_boundary_of_one_name_are_both_there(tmp_path: Path):
    s = Square(4, 4)
    blocks = [(LINE, 1, 1, s.side("left")), (LINE, 2, 2, s.side("right")), (TRIANGLE, 3, 3, s.triangles)]
    mesh = write_msh(tmp_path / "same.msh", s.points, blocks, [(1, 1, "gel"), (1, 2, "out"), (2, 3, "gel")])
    region = {"name": "gel", "tag": "gel", "diffusivity": 2.0}
    flux = outward(diffusion(mesh, [holds("gel", 0.4), holds("out", 0.1)], [region]))
    assert flux["out"] == pytest.approx(2.0 * THROUGH, rel=1e-5)


def test_cell_in_two_groups_is_in_both_and_there_once(tmp_path: Path):
    """Format 2 repeats an element for each of its groups."""
    s = Square(4, 4)
    blocks = [(TRIANGLE, 5, 4, s.triangles[:5]), (LINE, 2, 2, s.side("left"))]
    domain = gmsh_domain(MPI.COMM_SELF, square(tmp_path / "twice.msh", *blocks, names=[(2, 5, "some")], size=4))
    assert domain.cells == 32
    assert {name: len(cells) for name, cells in domain.region_cells.items()} == {"all": 32, "some": 5}
    assert len(domain.boundary_facets["left"]) == 4


@pytest.mark.parametrize("entity", [0, 7])
def test_groups_of_files_that_number_no_entities_are_those_of_the_elements(tmp_path: Path, entity: int):
    """Other programs write format 2 with one entity for all; gmsh itself puts all of it into every group."""
    s = Square(4, 4)
    sides = [(LINE, number, entity, s.side(side)) for number, side in ((1, "left"), (2, "right"))]
    cells = [(TRIANGLE, 11, entity, s.triangles[:7]), (TRIANGLE, 12, entity, s.triangles[7:])]
    domain = gmsh_domain(MPI.COMM_SELF, write_msh(tmp_path / "mesh.msh", s.points, [*sides, *cells]))
    assert {name: len(cells) for name, cells in domain.region_cells.items()} == {"11": 7, "12": 25}
    assert {name: len(facets) for name, facets in domain.boundary_facets.items()} == {"1": 4, "2": 4}


@pytest.mark.parametrize(("version", "binary"), [(2.2, 0), (2.2, 1), (4.0, 0), (4.1, 0), (4.1, 1)])
def test_groups_are_the_same_in_every_format(tmp_path: Path, version: float, binary: int):
    """The same square as in format 2.2 by hand, written anew by gmsh."""
    gmsh = pytest.importorskip("gmsh")
    s = Square(4, 4)
    blocks = [(LINE, 1, 1, s.side("left")), (LINE, 2, 2, s.side("right"))]
    blocks += [(TRIANGLE, 11, 3, s.triangles[:7]), (TRIANGLE, 12, 4, s.triangles[7:])]
    mesh = write_msh(tmp_path / "mesh.msh", s.points, blocks, [(1, 1, "in let"), (2, 12, "gel")])
    gmsh.initialize(["-noenv"], interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.open(str(mesh))
        gmsh.option.setNumber("Mesh.MshFileVersion", version)
        gmsh.option.setNumber("Mesh.Binary", binary)
        gmsh.write(str(tmp_path / "anew.msh"))
    finally:
        gmsh.finalize()
    domain = gmsh_domain(MPI.COMM_SELF, tmp_path / "anew.msh")
    assert {name: len(cells) for name, cells in domain.region_cells.items()} == {"11": 7, "gel": 25}
    assert {name: len(facets) for name, facets in domain.boundary_facets.items()} == {"in let": 4, "2": 4}


# ---- facets in two groups ----


@pytest.mark.parametrize("ranks", [1, 2])
def test_group_that_covers_the_whole_surface_takes_nothing_from_the_others(tmp_path: Path, ranks: int):
    """The group of the lowest number would take all facets if each could be in one group only."""
    s = Square(8, 8)
    surface = np.concatenate([s.side(side) for side in ("left", "right", "bottom", "top")])
    mesh = square(tmp_path / "covered.msh", (LINE, 1, 2, surface), names=[(1, 1, "surface")])
    finished = run_command(
        "run", write_toml(diffusion(mesh, ENDS), tmp_path / "case.toml"), "-o", tmp_path / "out", ranks=ranks
    )
    assert finished.returncode == 0, finished.stderr
    flux = summary_of(tmp_path / "out")["flux"]
    assert flux["right"]["A"]["value"] == pytest.approx(THROUGH, rel=1e-6)
    assert flux["left"]["A"]["value"] == pytest.approx(-THROUGH, rel=1e-6)


def _corner(path: Path) -> Path:
    """A square whose groups "left" and "more" share half of the left side; "more" has half of the bottom too."""
    s = Square(8, 8)
    return square(
        path, (LINE, 1, 1, np.concatenate([s.side("left")[:4], s.side("bottom")[:4]])), names=[(1, 1, "more")]
    )


def test_boundaries_that_share_facets_and_agree_both_hold_there(tmp_path: Path):
    """What is the same on both may be given by either alone: the flux is that of the two as one group."""
    mesh = _corner(tmp_path / "corner.msh")
    tables = diffusion(mesh, [*ENDS, holds("more", 0.4)])
    flux = outward(tables)
    s = Square(8, 8)
    one = np.concatenate([s.side("left"), s.side("bottom")[:4]])
    blocks = [(LINE, 1, 1, one), (LINE, 2, 2, s.side("right")), (TRIANGLE, 3, 3, s.triangles)]
    mesh = write_msh(tmp_path / "one.msh", s.points, blocks, [(1, 1, "left"), (1, 2, "right"), (2, 3, "all")])
    whole = outward(diffusion(mesh, ENDS))
    assert flux["left"] + flux["more"] == pytest.approx(whole["left"], rel=1e-9)
    told = list(advice(build(make_case(tables))))
    assert any('"left" and "more" share 4 facets and give the same there' in sentence for sentence in told)


@pytest.mark.parametrize(
    "other",
    [holds("more", 0.3), {"where": "more", "kind": "flux", "flux": {"A": 0.1}}, {"where": "more", "kind": "wall"}],
)
def test_boundaries_that_share_facets_and_differ_are_named(tmp_path: Path, other: dict):
    case = make_case(diffusion(_corner(tmp_path / "corner.msh"), [*ENDS, other]))
    with pytest.raises(CaseError, match='"left" and "more" share 4 facets, but do not give the same conditions'):
        build(case)


def test_flux_given_twice_on_shared_facets_flows_once(tmp_path: Path):
    """The flux out through both is what is given, times the area of their union: 1 and half of the other."""
    s = Square(8, 8)
    mesh = square(
        tmp_path / "flux.msh",
        (LINE, 1, 1, s.side("top")),
        (LINE, 5, 1, s.side("top")[:4]),
        (LINE, 5, 5, s.side("bottom")),
        names=[(1, 1, "top"), (1, 5, "both")],
    )
    given = [{"where": where, "kind": "flux", "flux": {"A": 0.01}} for where in ("top", "both")]
    case = make_case(diffusion(mesh, [ENDS[0], *given]))
    flux = solve(case).summary()["flux"]
    assert flux["top"]["A"]["value"] + flux["both"]["A"]["value"] == pytest.approx(0.02, rel=1e-6)


def test_boundary_that_lies_wholly_on_another_is_refused(tmp_path: Path):
    s = Square(8, 8)
    mesh = square(tmp_path / "within.msh", (LINE, 1, 2, s.side("left")), names=[(1, 1, "again")])
    with pytest.raises(CaseError, match='every facet of the second is one of the first; leave out "again"'):
        build(make_case(diffusion(mesh, [*ENDS, holds("again", 0.4)])))


# ---- facets that are not where a condition can be kept ----


def _with_middle(path: Path) -> Path:
    """A square with a group "middle" along x = 1/2."""
    s = Square(8, 8)
    middle = np.column_stack([s.numbers[4, :-1], s.numbers[4, 1:]])
    return square(path, (LINE, 1, 1, middle), names=[(1, 1, "middle")])


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ({"kind": "flux", "flux": {"A": 0.1}}, "no flux can be given"),
        ({"kind": "wall"}, "nothing is blocked"),
    ],
)
@pytest.mark.parametrize("ranks", [1, 2])
def test_condition_inside_the_domain_that_would_be_ignored_is_refused(
    tmp_path: Path, condition: dict, why: str, ranks: int
):
    tables = diffusion(_with_middle(tmp_path / "middle.msh"), [*ENDS, {"where": "middle", **condition}])
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out", ranks=ranks)
    assert finished.returncode == 2
    assert '"middle": 8 facets of this group have cells on both sides' in finished.stderr
    assert why in finished.stderr
    # nothing was begun
    assert not (tmp_path / "out").exists()


def test_one_of_several_crowded_species_cannot_be_held_inside(tmp_path: Path):
    mesh = _with_middle(tmp_path / "middle.msh")
    tables = diffusion(mesh, [], law="mpnp")
    tables["species"] = [{"name": "A"}, {"name": "B"}]
    tables["boundaries"] = [
        {"where": "left", "kind": "reservoir", "fraction": {"A": 0.2, "B": 0.1}},
        {"where": "right", "kind": "reservoir", "fraction": {"A": 0.1, "B": 0.1}},
        {"where": "middle", "kind": "electrode", "fraction": {"A": 0.1}},
    ]
    with pytest.raises(CaseError, match="no single species can be held with a crowded law, but it holds A"):
        build(make_case(tables))


def test_contents_held_inside_the_domain_are_held_there(tmp_path: Path):
    """0.4, 0.3 and 0.1 at x = 0, 1/2 and 1: fluxes 0.2 and 0.4 in the two halves, and 0.2 more out of the middle."""
    case = make_case(diffusion(_with_middle(tmp_path / "middle.msh"), [*ENDS, holds("middle", 0.3)]))
    flux = solve(case).summary()["flux"]
    assert flux["left"]["A"]["value"] == pytest.approx(-0.2, rel=1e-6)
    assert flux["right"]["A"]["value"] == pytest.approx(0.4, rel=1e-6)
    assert flux["middle"]["A"]["value"] == pytest.approx(-0.2, rel=1e-6)
    assert any("species pass through" in sentence for sentence in advice(build(case)))


def test_lines_that_are_not_facets_of_cells_are_counted(tmp_path: Path):
    s = Square(4, 4)
    diagonal = [[s.numbers[0, 0], s.numbers[1, 1]], [s.numbers[2, 1], s.numbers[1, 2]]]
    mesh = square(tmp_path / "stray.msh", (LINE, 1, 1, diagonal), names=[(1, 1, "cut")], size=4)
    build(make_case(diffusion(mesh, ENDS)))
    with pytest.raises(CaseError, match='"cut": 1 of the 2 elements in this group'):
        build(make_case(diffusion(mesh, [*ENDS, holds("cut", 0.2)])))


@pytest.mark.parametrize("kind", [QUADRANGLE, TRIANGLE])
def test_quadrangles_and_triangles_carry_the_same_flux(tmp_path: Path, kind: int):
    s = Square(8, 8)
    cells = s.quadrangles if kind == QUADRANGLE else s.triangles
    blocks = [(LINE, 2, 2, s.side("left")), (LINE, 3, 3, s.side("right")), (kind, 4, 4, cells)]
    mesh = write_msh(tmp_path / "mesh.msh", s.points, blocks, [(1, 2, "left"), (1, 3, "right")])
    assert outward(diffusion(mesh, ENDS))["right"] == pytest.approx(THROUGH, rel=1e-6)
