"""Charged pores: conductances against closed forms, the drawings of meshes/, and descriptions of one pore compared."""

from __future__ import annotations

from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import ROOT
from dolfinx import mesh as dmesh

import pnp_exclusion as pnp
from pnp_exclusion.errors import UsageError
from pnp_exclusion.mesh.make import write_mesh

BULK = 0.05
SALT = {"cation": BULK, "anion": BULK}
SPECIES = [pnp.Species(name="cation", charge=1), pnp.Species(name="anion", charge=-1)]


def reservoirs(first: str, second: str, voltage: float) -> list[pnp.Reservoir]:
    """The same salt on both sides, a voltage on the first."""
    return [
        pnp.Reservoir(where=first, fraction=SALT, potential=voltage),
        pnp.Reservoir(where=second, fraction=SALT, potential=0.0),
    ]


def current(solution: pnp.Solution) -> float:
    currents = solution.steady.currents
    return currents["cation"] - currents["anion"]


def test_surface_conductance_of_a_long_cylinder_follows_bikerman():
    """pi R^2 K + 2 pi R K_s with K_s = 2 l rho (e^(-zeta/2) - 1 + e^(zeta/2) - 1), Bikerman, Kolloid-Z. 72, 100 (1935).

    Of layers thin against the radius, here a fiftieth, zeta by Grahame; two lengths are taken, to be rid of the ends.
    """
    radius, layer, charge = 1.0, 0.02, -0.03
    debye_length = layer * np.sqrt(2.0 * BULK)
    resistances = []
    for length in (4.0, 8.0):
        case = pnp.Case(
            model={"units": "dimensionless", "law": "pnp", "debye_length": debye_length},
            species=SPECIES,
            domain=pnp.Rectangle(size=[radius, length], coordinates="axisymmetric"),
            boundaries=[*reservoirs("bottom", "top", 0.1), pnp.Wall(where="right", surface_charge=charge)],
        )
        resistances.append(0.1 / current(pnp.solve(case)))
    zeta = 2.0 * np.arcsinh(charge / (2.0 * debye_length * np.sqrt(2.0 * BULK)))
    surface = 2.0 * layer * BULK * (np.expm1(-zeta / 2.0) + np.expm1(zeta / 2.0))
    expected = np.pi * radius**2 * 2.0 * BULK + 2.0 * np.pi * radius * surface
    assert surface > 0.2 * 2.0 * BULK * radius
    assert 4.0 / (resistances[1] - resistances[0]) == pytest.approx(expected, rel=2e-3)


# ---- a long cone: 1D and around its axis ----

NARROW, WIDE, CHARGE, LONG_LAYER = 0.01, 0.03, -5e-4, 0.05
LONG_MODEL = {"units": "dimensionless", "law": "pnp", "debye_length": LONG_LAYER * np.sqrt(2.0 * BULK)}


def cone_around_axis(voltage: float) -> pnp.Solution:
    """Without baths, the narrow mouth at the bottom; layers are wider than the pore."""
    mesh = dmesh.create_rectangle(MPI.COMM_WORLD, [np.zeros(2), np.ones(2)], (6, 160), dmesh.CellType.quadrilateral)
    points = mesh.geometry.x
    points[:, 1] = 0.5 - 0.5 * np.cos(np.pi * points[:, 1])
    points[:, 0] *= NARROW + (WIDE - NARROW) * points[:, 1]
    sides = {
        "bottom": lambda x: np.isclose(x[1], 0.0),
        "top": lambda x: np.isclose(x[1], 1.0),
        "wall": lambda x: np.isclose(x[0], NARROW + (WIDE - NARROW) * x[1]),
    }
    return pnp.solve(
        pnp.Case(
            model=LONG_MODEL,
            species=SPECIES,
            domain=pnp.Mesh(mesh=mesh, boundaries=sides, coordinates="axisymmetric"),
            boundaries=[*reservoirs("bottom", "top", voltage), pnp.Wall(where="wall", surface_charge=CHARGE)],
        )
    )


def cone_along_x(voltage: float) -> pnp.Solution:
    """The same as an interval with a cross-section."""
    domain = pnp.Interval(length=1.0, area={"left": NARROW, "right": WIDE}, wall_charge=CHARGE)
    boundaries = reservoirs("left", "right", voltage)
    return pnp.solve(pnp.Case(model=LONG_MODEL, species=SPECIES, domain=domain, boundaries=boundaries))


@pytest.mark.filterwarnings("ignore::pnp_exclusion.SolutionWarning")
def test_long_cone_is_one_dimensional_and_rectifies_by_what_its_narrow_mouth_lets_in():
    """dR/dx = 0.02 leaves 2e-4. Cations carry a larger share of the current in the narrow mouth than in the wide one:
    where they run from it to the wide one, salt gathers within, and the other way it leaves. More salt carries more.
    """
    along, around = ([make(sign * 8.0) for sign in (1.0, -1.0)] for make in (cone_along_x, cone_around_axis))
    for one, other in zip(along, around, strict=True):
        assert current(one) == pytest.approx(current(other), rel=1e-3)
        for name, flux in other.steady.currents.items():
            assert one.steady.currents[name] == pytest.approx(flux, rel=1e-3)
    rest = sum(cone_along_x(0.0).steady.integrals.mean_densities.values())
    gathered, left = (sum(solution.steady.integrals.mean_densities.values()) for solution in along)
    assert gathered > rest > left
    assert current(along[0]) > 1.05 * -current(along[1]) > 0.0


# ---- drawings ----

SMALL = ["TIP=2", "BASE=4", "LENGTH=10", "BATH=6"]


def drawn(mesh: Path, charged: str, membrane: list[pnp.Region], **domain: str) -> pnp.Case:
    """A drawing in 0.1 mol/L of KCl, walls of -20 mC/m^2, 50 mV."""
    salt = {"K": "0.1 mol/L", "Cl": "0.1 mol/L"}
    kind = {"wall": pnp.Wall, "interface": pnp.Interface}[charged]
    return pnp.Case(
        model=pnp.Model("pnp"),
        species=[
            pnp.Species(name="K", charge=1, diffusivity="1.96e-9 m^2/s"),
            pnp.Species(name="Cl", charge=-1, diffusivity="2.03e-9 m^2/s"),
        ],
        domain=pnp.Gmsh(file=str(mesh), unit="1 nm", **domain),
        regions=membrane,
        boundaries=[
            pnp.Reservoir(where="bottom", concentration=salt, potential="50 mV"),
            pnp.Reservoir(where="top", concentration=salt, potential="0 V"),
            *(kind(where=where, surface_charge="-20 mC/m^2") for where in ("pore", "faces")),
        ],
    )


def through(case: pnp.Case) -> float:
    """The current, in A."""
    return pnp.solve(case).summary()["current"]["top"]["value"]


@pytest.mark.filterwarnings("ignore::pnp_exclusion.SolutionWarning")
def test_pores_of_the_drawings_agree_around_the_axis_and_in_three_dimensions(tmp_path: Path):
    """On coarse meshes to 1 %; benchmarks/nanopores.py goes below 0.5 % with estimates of the errors."""
    flat, solid = tmp_path / "flat.msh", tmp_path / "solid.msh"
    write_mesh(ROOT / "meshes" / "nanopore.py", flat, [*SMALL, "MEMBRANE=false"])
    write_mesh(ROOT / "meshes" / "nanopore_3d.py", solid, [*SMALL, "MEMBRANE=false", "FINE=0.6", "ANGLE=60"])
    around = through(drawn(flat, "wall", [], coordinates="axisymmetric"))
    assert 6.0 * through(drawn(solid, "wall", [])) == pytest.approx(around, rel=0.01)


def test_membrane_of_hardly_any_permittivity_is_a_hole(tmp_path: Path):
    """Then no field goes through it: the two ways to draw and charge it are one, also in a curve."""
    hole, whole = tmp_path / "hole.msh", tmp_path / "whole.msh"
    write_mesh(ROOT / "meshes" / "nanopore.py", hole, [*SMALL, "MEMBRANE=false"])
    write_mesh(ROOT / "meshes" / "nanopore.py", whole, SMALL)
    membrane = [pnp.Region(name="membrane", tag="membrane", ions=False, permittivity=1e-6)]
    whole_case = drawn(whole, "interface", membrane, coordinates="axisymmetric")
    hole_case = drawn(hole, "wall", [], coordinates="axisymmetric")
    current_of_whole = through(whole_case)
    assert current_of_whole == pytest.approx(through(hole_case), rel=2e-3)
    curve = pnp.iv(whole_case, "bottom", "-50 mV", "50 mV", points=2)
    assert curve.units["current"] == "A"
    assert curve.points[-1].current == pytest.approx(current_of_whole, rel=1e-6)
    assert curve.rectification == pytest.approx(-current_of_whole / curve.points[0].current, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("WIDTH=2", 'has no number "WIDTH" at its top; there is TIP, BASE, LENGTH'),
        ("TIP=two", 'TIP is a number like 3.0, but not "two"'),
        ("MEMBRANE=0", 'MEMBRANE is true or false, but not "0"'),
    ],
)
def test_other_numbers_of_a_drawing_are_those_it_has(tmp_path: Path, change: str, told: str):
    with pytest.raises(UsageError, match=told):
        write_mesh(ROOT / "meshes" / "nanopore.py", tmp_path / "pore.msh", [change])
