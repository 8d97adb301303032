"""Bodies around an axis: exact cylinders and rings, both directions of the axis, units, and what is refused."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np
import pytest
from conftest import mistakes
from dolfinx import mesh as dmesh
from scipy.special import i0, i1

import pnp_exclusion as pnp

RADIUS, HEIGHT = 0.4, 1.0


def cylinder(law: str = "mpnp", axis: str = "y", **model: object) -> dict:
    """One species between the two ends of a full cylinder."""
    ends = ("bottom", "top") if axis == "y" else ("left", "right")
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "imposed", **model},
        "species": [{"name": "A"}],
        "domain": {
            "shape": "rectangle",
            "size": [RADIUS, HEIGHT] if axis == "y" else [HEIGHT, RADIUS],
            "coordinates": "axisymmetric",
            "axis": axis,
        },
        "boundaries": [
            {"where": ends[0], "kind": "reservoir", "fraction": {"A": 0.6}},
            {"where": ends[1], "kind": "reservoir", "fraction": {"A": 0.1}},
        ],
    }


@pytest.mark.parametrize("axis", ["x", "y"])
def test_current_through_a_cylinder_is_that_through_its_section(axis: str):
    """One species under shdl diffuses with D: pi R^2 dc / H."""
    summary = pnp.solve(cylinder("shdl", axis)).summary()
    flux = summary["flux"]["top" if axis == "y" else "right"]["A"]["value"]
    assert flux == pytest.approx(np.pi * RADIUS**2 * 0.5 / HEIGHT, rel=1e-9)
    assert summary["balance"] < 1e-9


@pytest.mark.parametrize("degree", [1, 2])
def test_current_between_two_cylinders_follows_the_logarithm(degree: int):
    """2 pi H dc / log(b/a), to the order of the elements."""
    inner, outer, height = 0.2, 1.0, 0.3
    errors = []
    for cells in (16, 32):
        corners = [np.array([inner, 0.0]), np.array([outer, height])]
        mesh = dmesh.create_rectangle(MPI.COMM_WORLD, corners, [cells, 2], dmesh.CellType.quadrilateral)
        sides = {
            "inner": lambda x: np.isclose(x[0], inner),
            "outer": lambda x: np.isclose(x[0], outer),
        }
        case = pnp.Case(
            model={"units": "dimensionless", "law": "shdl", "electrostatics": "imposed"},
            species=[pnp.Species(name="A")],
            domain=pnp.Mesh(mesh=mesh, boundaries=sides, coordinates="axisymmetric"),
            boundaries=[
                pnp.Reservoir(where="inner", fraction={"A": 0.6}),
                pnp.Reservoir(where="outer", fraction={"A": 0.1}),
            ],
            solver={"degree": degree},
        )
        flux = pnp.solve(case).summary()["flux"]["outer"]["A"]["value"]
        errors.append(abs(flux * np.log(outer / inner) / (2.0 * np.pi * height * 0.5) - 1.0))
    # currents from the residual converge with twice the degree
    assert errors[1] < 1e-3
    assert np.log2(errors[0] / errors[1]) > 2 * degree - 0.4


def test_weakly_charged_pore_has_the_potential_of_debye_and_hueckel():
    """phi(r) = sigma lambda_D / lambda^2 I_0(r/lambda_D) / I_1(R/lambda_D), Rice and Whitehead 1965; 1e-3 V_T."""
    debye_length, bulk, charge, depth = 0.1, 0.05, 1e-5, 8.0
    screening = debye_length / np.sqrt(2.0 * bulk)
    tables = {
        "model": {"units": "dimensionless", "law": "pnp", "debye_length": debye_length},
        "species": [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}],
        "domain": {"shape": "rectangle", "size": [RADIUS, depth], "coordinates": "axisymmetric", "cells": [24, 40]},
        "boundaries": [{"where": "right", "kind": "wall", "surface_charge": charge}],
    }
    reservoir = {"where": "bottom", "kind": "reservoir", "potential": 0.0}
    tables["boundaries"].append(reservoir | {"fraction": {"cation": bulk, "anion": bulk}})
    solution = pnp.solve(tables)
    points = solution.to_xarray()
    at_bottom_of_pore = points.isel(node=np.flatnonzero(points.y > depth - 1e-9))
    right = charge * screening / debye_length**2 * i0(at_bottom_of_pore.x / screening) / i1(RADIUS / screening)
    assert np.abs(at_bottom_of_pore.potential - right).max() < 2e-4 * float(right.max())
    assert solution.summary()["charge"]["right"]["value"] == pytest.approx(
        2 * np.pi * RADIUS * depth * charge, rel=1e-9
    )


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        ({"shape": "interval", "length": 1.0, "coordinates": "axisymmetric"}, 'unknown key "coordinates"'),
        ({"axis": "z"}, 'a rectangle has the axis "y" (x is r) or "x" (y is r), but not "z"'),
        ({"coordinates": "cartesian", "axis": "x"}, 'axis goes with coordinates = "axisymmetric"'),
    ],
)
def test_axis_that_makes_no_sense_is_refused(domain: dict, told: str):
    tables = cylinder()
    tables["domain"] = domain if "shape" in domain else tables["domain"] | domain
    assert any(told in mistake for mistake in mistakes(tables)), mistakes(tables)


def test_nothing_is_given_on_the_axis():
    tables = cylinder()
    tables["boundaries"][0] |= {"where": "left"}
    with pytest.raises(pnp.CaseError, match=r'"left": it is the axis, where nothing can be given'):
        pnp.solve(tables)


def test_domain_across_the_axis_is_refused():
    corners = [np.array([-0.1, 0.0]), np.array([1.0, 1.0])]
    mesh = dmesh.create_rectangle(MPI.COMM_WORLD, corners, [4, 4])
    tables = cylinder()
    tables["domain"] = pnp.Mesh(
        mesh=mesh,
        boundaries={"bottom": lambda x: np.isclose(x[1], 0.0), "top": lambda x: np.isclose(x[1], 1.0)},
        coordinates="axisymmetric",
    )
    with pytest.raises(pnp.CaseError, match="reaches across it"):
        pnp.solve(pnp.Case(**tables))
