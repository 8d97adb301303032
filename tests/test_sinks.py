"""Contents near zero at a boundary: the right current on any mesh, for any content down to and including zero.

Neutral particles and a neutral salt without voltage diffuse: between two reservoirs ``J_a`` is constant in one
dimension, with ``J_a = c_0 - c_1`` for ``pnp``, ``shdl`` and, all species alike, ``vacancy``; ``mpnp`` has
``J_a = log((1 - N c_1)/(1 - N c_0))/N`` for ``N`` species alike (``rho' = -J rho_0`` integrated).
"""

from __future__ import annotations

import math
from pathlib import Path

import basix
import numpy as np
import pytest
from conftest import run_command, summary_of, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.discretisation.integration import positive_degree

FULL = 0.3
SHARES = (1e-3, 1e-6, 1e-9, 1e-12, 0.0)
DOMAINS = {
    "interval": {"shape": "interval", "length": 1.0},
    "rectangle": {"shape": "rectangle", "size": [1.0, 1.0]},
    "box": {"shape": "box", "size": [1.0, 1.0, 1.0], "cells": 4},
}


def sink(law: str, share: float, domain: dict, salt: bool = False, degree: int = 2) -> dict:
    """A neutral species, or a salt, from a reservoir into one that holds a share of it."""
    names = {"cation": 1, "anion": -1} if salt else {"a": 0}

    def reservoir(where: str, content: float) -> dict:
        held = {"where": where, "kind": "reservoir", "fraction": dict.fromkeys(names, content)}
        return held | ({"potential": 0.0} if salt else {})

    electrostatics = {"electrostatics": "poisson", "debye_length": 0.05} if salt else {"electrostatics": "imposed"}
    return {
        "model": {"units": "dimensionless", "law": law, **electrostatics},
        "species": [{"name": name, "charge": z} for name, z in names.items()],
        "domain": dict(domain),
        "boundaries": [reservoir("left", FULL), reservoir("right", FULL * share)],
        "solver": {"degree": degree},
    }


def diffused(law: str, share: float, species: int) -> float:
    first, second = FULL, FULL * share
    if law == "mpnp":
        return math.log((1.0 - species * second) / (1.0 - species * first)) / species
    return first - second


@pytest.mark.parametrize("salt", [False, True])
@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_current_into_a_sink_is_that_of_diffusion_in_one_dimension(law: str, salt: bool):
    for share in SHARES:
        for degree, cells in ((1, 16), (2, None), (2, 16), (4, 8)):
            domain = DOMAINS["interval"] | ({"cells": cells} if cells else {})
            solution = pnp.solve(sink(law, share, domain, salt, degree))
            expected = diffused(law, share, 1 + salt)
            assert next(iter(solution.steady.currents.values())) == pytest.approx(expected, rel=1e-5), (
                share,
                degree,
                cells,
            )
            assert solution.report.newton_iterations <= 12
            assert solution.report.tried == []
            assert solution.warnings == []


@pytest.mark.parametrize(
    ("shape", "law", "salt", "degree"),
    [
        ("rectangle", "pnp", True, 2),
        ("rectangle", "shdl", False, 1),
        ("rectangle", "mpnp", False, 4),
        ("box", "pnp", False, 2),
        ("box", "mpnp", True, 1),
    ],
)
def test_current_into_a_sink_is_that_of_diffusion_in_two_and_three_dimensions(
    shape: str, law: str, salt: bool, degree: int
):
    for share in (1e-6, 0.0):
        solution = pnp.solve(sink(law, share, DOMAINS[shape], salt, degree))
        assert next(iter(solution.steady.currents.values())) == pytest.approx(diffused(law, share, 1 + salt), rel=1e-4)
        assert solution.report.newton_iterations <= 20


def quarter_of_a_ring(path: Path) -> None:
    """Triangles of second order between radii 1 and 4, around a hole into which everything falls."""
    import gmsh

    gmsh.initialize(["-noenv"], interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        geometry = gmsh.model.geo
        centre = geometry.addPoint(0, 0, 0)
        arcs, ends = [], []
        for radius, size in ((1, 0.08), (4, 0.32)):
            points = [geometry.addPoint(radius, 0, 0, size), geometry.addPoint(0, radius, 0, size)]
            arcs.append(geometry.addCircleArc(points[0], centre, points[1]))
            ends.append(points)
        sides = [geometry.addLine(*pair) for pair in zip(*ends, strict=True)]
        face = geometry.addPlaneSurface([geometry.addCurveLoop([sides[0], arcs[1], -sides[1], -arcs[0]])])
        geometry.synchronize()
        for curve, name in zip(arcs, ("right", "left"), strict=True):
            gmsh.model.addPhysicalGroup(1, [curve], name=name)
        gmsh.model.addPhysicalGroup(2, [face], name="ring")
        gmsh.option.setNumber("Mesh.ElementOrder", 2)
        gmsh.model.mesh.generate(2)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()


def test_current_into_a_hole_is_that_of_the_logarithmic_profile(tmp_path: Path):
    # rho = c log(r)/log(4) between radii 1 and 4, so that a quarter carries (pi/2) c / log 4
    quarter_of_a_ring(tmp_path / "ring.msh")
    tables = sink("pnp", 0.0, {"shape": "gmsh", "file": "ring.msh"})
    solution = pnp.solve(pnp.make_case(tables, tmp_path))
    assert solution.steady.currents["a"] == pytest.approx(0.5 * math.pi * FULL / math.log(4.0), rel=1e-4)
    assert solution.report.newton_iterations <= 12


def test_nearly_full_end_beside_an_empty_one_carries_the_current_of_the_law():
    # one species, vacancy: J = c_0 - c_1; mpnp: log((1 - c_1)/(1 - c_0))
    for law, full, empty in (("vacancy", 0.99, 1e-5), ("mpnp", 0.998, 1e-6)):
        for degree in (1, 2, 4):
            tables = sink(law, 1.0, DOMAINS["interval"], degree=degree)
            for boundary, content in zip(tables["boundaries"], (full, empty), strict=True):
                boundary["fraction"] = {"a": content}
            expected = full - empty if law == "vacancy" else math.log((1.0 - empty) / (1.0 - full))
            assert pnp.solve(tables).steady.currents["a"] == pytest.approx(expected, rel=1e-5), (law, degree)


def test_two_ranks_give_the_same_current_into_a_sink_to_1e_9(tmp_path: Path):
    case = write_toml(sink("shdl", 0.0, DOMAINS["rectangle"], salt=True), tmp_path / "sink.toml")
    fluxes = []
    for ranks in (1, 2):
        finished = run_command("run", case, "-o", tmp_path / str(ranks), ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        fluxes.append(summary_of(tmp_path / str(ranks))["flux"]["left"]["anion"]["value"])
    assert fluxes[1] == pytest.approx(fluxes[0], rel=1e-9)


def test_all_rules_have_positive_weights():
    # a residual can vanish where densities do not, if weights cancel
    for cell in (
        basix.CellType.interval,
        basix.CellType.triangle,
        basix.CellType.tetrahedron,
        basix.CellType.hexahedron,
    ):
        for degree in range(1, 21):
            chosen = positive_degree(cell, degree)
            assert degree <= chosen <= degree + 2
            assert basix.make_quadrature(cell, chosen)[1].min() > 0.0
    assert basix.make_quadrature(basix.CellType.tetrahedron, 8)[1].min() < 0.0


def test_integrals_of_steep_densities_are_those_of_the_exponential():
    # int_0^1 exp(-35 x) dx on one cell of degree 1
    tables = sink("pnp", 1.0, DOMAINS["interval"] | {"cells": 1}, degree=1)
    solution = pnp.solve(tables)
    discrete = solution.discretisation
    discrete.unknown.x.array[:] = -35.0 * discrete.space.tabulate_dof_coordinates()[:, 0]
    discrete.mark_steep_cells()
    assert discrete.integration.steep_cells.tolist() == [0]
    total = discrete.forms.integrals("content", lambda: [discrete.fields.rho["a"]])[0]
    assert total == pytest.approx(-np.expm1(-35.0) / 35.0, rel=1e-9)
