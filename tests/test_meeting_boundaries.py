"""Boundaries that meet and hold different values: currents and charges that no mesh settles are named, others not.

Near a right angle the potentials depend on the angle alone; a flux density that is ``k`` over the distance makes a flux
that grows by ``k log 2`` with every halving of the cells, ``k = (2/pi) D dc`` for a neutral species.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BIN, run_command, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.case.advice import advice
from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.mesh.contacts import meeting_boundaries

PER_HALVING = 2.0 / math.pi * math.log(2.0)


def corner(
    cells: int, law: str, left: dict, bottom: dict, charges: tuple[float, ...], shape: str = "rectangle"
) -> dict:
    """Species A, B, .. in a square or cube of which two sides that meet hold something; Poisson if there is charge."""
    model: dict = {"units": "dimensionless", "law": law, "electrostatics": "imposed"}
    if any(charges):
        model |= {"electrostatics": "poisson", "debye_length": 10.0}
    return {
        "model": model,
        "species": [{"name": name, "charge": charge} for name, charge in zip("ABC", charges, strict=False)],
        "domain": {"shape": shape, "size": [1.0] * (3 if shape == "box" else 2), "cells": cells},
        "boundaries": [{"where": "left"} | left, {"where": "bottom"} | bottom],
    }


def reservoir(potential: float | None = None, **fraction: float) -> dict:
    return {"kind": "reservoir", "fraction": fraction} | ({} if potential is None else {"potential": potential})


def growth(tables: dict, what: str, cells: tuple[int, int] = (32, 64)) -> float:
    """How much a total at the bottom grows from one mesh to another of half the size."""
    totals = []
    for count in cells:
        tables["domain"]["cells"] = count
        found = pnp.solve(tables).steady.totals
        totals.append(found.charge["bottom"] if what == "charge" else found.flux["bottom"][what])
    return totals[1] - totals[0]


def told_of(tables: dict) -> list[str]:
    return [warning for warning in advice(build(make_case(tables))) if " meet, but hold " in warning]


def test_flux_between_unlike_contents_grows_with_every_halving_and_is_named():
    tables = corner(8, "pnp", reservoir(A=0.2), reservoir(A=0.6), (0.0,))
    assert growth(tables, "A") == pytest.approx(-PER_HALVING * 0.4, rel=1e-3)
    assert told_of(tables) == [
        'boundaries "left" and "bottom" meet, but hold different concentrations of A: the fluxes of A there have no '
        "limit, they grow by as much with every halving of the cells; leave a piece of wall between the two"
    ]


def test_ions_held_alike_flow_without_limit_between_unlike_potentials():
    """Contents alike, a voltage of 0.5: rho is constant over the angle, and the flux density z rho dphi/(r angle)."""
    tables = corner(8, "pnp", reservoir(0.5, A=0.3, B=0.3), reservoir(0.0, A=0.3, B=0.3), (1.0, -1.0))
    assert growth(tables, "A") == pytest.approx(PER_HALVING * 0.3 * 0.5, rel=1e-2)
    told = told_of(tables)
    assert len(told) == 1
    assert "different potentials (0.5 and 0.0): the charges and the fluxes of A, B there have no limit" in told[0]


def test_contents_as_potentials_make_them_at_equilibrium_have_fluxes_with_a_limit():
    """Boltzmann: the same electrochemical potential on both sides, so that nothing flows; charges grow."""
    held = {"A": 0.3 * math.exp(0.5), "B": 0.3 * math.exp(-0.5)}
    tables = corner(8, "pnp", reservoir(0.0, **held), reservoir(0.5, A=0.3, B=0.3), (1.0, -1.0))
    assert abs(growth(tables, "A")) < 1e-10
    assert growth(tables, "charge") == pytest.approx(100.0 * PER_HALVING * 0.5, rel=1e-2)
    (told,) = told_of(tables)
    assert "and concentrations of A, B: the charges there have no limit" in told


def test_species_that_only_one_of_them_holds_has_a_limit():
    """A wall at a zeta potential, which blocks ions, beside a reservoir: only the charges are named."""
    tables = corner(8, "mpnp", reservoir(0.0, A=0.3, B=0.3), {"kind": "electrode", "potential": -2.0}, (1.0, -1.0))
    (told,) = told_of(tables)
    assert ": the charges there have no limit" in told
    assert "fluxes" not in told


@pytest.mark.parametrize(("law", "named"), [("mpnp", "A, C"), ("shdl", "A, B, C")])
def test_species_that_drag_each_other_are_all_named(law: str, named: str):
    """C makes up for A, so that B, alike among as many vacancies, has no force of its own; under shdl A drags it."""
    tables = corner(4, law, reservoir(A=0.2, B=0.3, C=0.2), reservoir(A=0.3, B=0.3, C=0.1), (0.0, 0.0, 0.0))
    (told,) = told_of(tables)
    assert f"different concentrations of A, C: the fluxes of {named} there have no limit" in told


def test_boundaries_that_hold_alike_or_do_not_meet_are_not_named():
    alike = reservoir(1.0, A=0.3, B=0.3)
    assert told_of(corner(4, "pnp", alike, alike, (1.0, -1.0))) == []
    tables = corner(4, "pnp", alike, reservoir(0.0, A=0.1, B=0.1), (1.0, -1.0))
    tables["boundaries"][1]["where"] = "right"
    assert told_of(tables) == []


def test_faces_of_a_box_meet_along_edges():
    tables = corner(2, "pnp", reservoir(A=0.2), reservoir(A=0.6), (0.0,), "box")
    assert len(told_of(tables)) == 1
    domain = build(make_case(tables)).problem.domain
    pairs = meeting_boundaries(domain, ["left", "right", "bottom", "top", "back", "front"])
    assert len(pairs) == 12
    assert ("left", "right") not in pairs
    assert ("bottom", "top") not in pairs


def test_pairs_are_found_on_any_number_of_ranks(tmp_path: Path):
    """A channel with walls at a zeta potential between two reservoirs: four corners."""
    salt = {"cat": "20 mmol/L", "an": "20 mmol/L"}
    open_end = {"kind": "reservoir", "concentration": salt, "potential": "0 mV"}
    wall = {"kind": "electrode", "potential": "-60 mV"}
    sides = {"left": open_end, "right": open_end, "bottom": wall, "top": wall}
    tables = {
        "model": {"law": "pnp"},
        "species": [
            {"name": name, "charge": charge, "diffusivity": "1.5e-9 m^2/s"} for name, charge in (("cat", 1), ("an", -1))
        ],
        "domain": {"shape": "rectangle", "size": ["60 nm", "6 nm"], "cells": [8, 2]},
        "boundaries": [{"where": where} | side for where, side in sides.items()],
    }
    case = write_toml(tables, tmp_path / "case.toml")
    told = [run_command("check", case, ranks=ranks).stderr for ranks in (1, 2)]
    assert told[0].count(" meet, but hold different potentials (0 mV and -60 mV): the charges there have no limit") == 4
    assert told[1] == told[0]


def test_pairs_are_found_where_no_rank_has_both_sides_of_a_corner():
    command = [BIN / "mpiexec", "-n", "2", sys.executable, Path(__file__).with_name("contacts_check.py")]
    finished = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr


def test_fluxes_of_species_that_do_not_enter_where_boundaries_meet_are_not_named():
    """Where a membrane without ions fills the corner there is no way for A from one to the other; charges grow."""
    tables = corner(4, "pnp", reservoir(0.5, A=0.3, B=0.3), reservoir(0.0, A=0.3, B=0.3), (1.0, -1.0))
    tables["regions"] = [{"name": "membrane", "x": [0.0, 0.5], "y": [0.0, 0.5], "ions": False}]
    (told,) = told_of(tables)
    assert ": the charges there have no limit" in told
    assert "fluxes" not in told
