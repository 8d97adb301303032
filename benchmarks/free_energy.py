"""Free energy in steps of any length: drawn cells, closed and driven, with the schemes by which it never rises.

What must not rise is the free energy with all work that was done at the boundaries: ``G + W`` with `Reading.work`.
Cells have electrodes, with a Stern layer or without, walls with a charge, and reservoirs, alike or not. A rise counts
beyond 1e-12 of ``|G|`` and of all that was dissipated and done, which is rounding. That it does not rise is algebra,
which holds on any mesh: those here are coarse.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from pnp_exclusion.case.build import Setup, build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.observe.motion import MotionReader
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.transient.drive import Constant
from pnp_exclusion.solver.transient.schemes import EULER, GALERKIN, RADAU
from pnp_exclusion.solver.transient.solver import TimeSettings, TransientSolver

STEPS = 3
"""Of one length."""
LONG = 10.0
"""L^2/D: the end of a run whose steps choose their length."""
LENGTHS = np.geomspace(1e-6, 1e3, 10)
ROUNDING = 1e-12
CELLS = 16
"""Of the mesh."""
ONE_RULE = 24
"""Degree of the rule of all cells: one that changes from step to step changes what is read by up to 1e-8."""
LAWS: dict[str, dict[str, Any]] = {
    "pnp": {"law": "pnp"},
    "mpnp": {"law": "mpnp"},
    "vacancy": {"law": "vacancy"},
    "vacancy, kappa = 0.7": {"law": "vacancy", "kappa": 0.7},
    "shdl": {"law": "shdl"},
    "volume-fractions": {"law": "mpnp", "sizes": "volume-fractions"},
    "mole-fractions": {"law": "mpnp", "sizes": "mole-fractions"},
}
"""Those that have a free energy and charges."""
LARGE = 3.0
"""Sites that a cation fills where particles have sizes."""
VOLTAGE = 10.0
"""kT/e, at most."""


@dataclass(frozen=True)
class Rise:
    """The largest one of a run, relative; at the end of which step, how long it was, and how steps were taken."""

    rise: float
    time: float
    length: float
    taken: Counter[str]


def draw(random: np.random.Generator) -> tuple[str, dict[str, Any], list[float]]:
    """Return the law and the tables of a cell, and what there is of both ions at first."""
    law = str(random.choice([*LAWS]))
    has_sizes = "sizes" in LAWS[law]
    bulk = float(random.uniform(0.01, 0.15 if has_sizes else 0.3))
    divalent = random.random() < 0.3
    contents = [bulk / 2.0, bulk] if divalent else [bulk, bulk]
    if has_sizes:
        # of volume
        contents[0] *= LARGE
    is_open = random.random() < 0.4
    names = {"cation": contents[0], "anion": contents[1]}
    boundaries: list[dict[str, Any]] = []
    for where in ("left", "right"):
        potential = float(random.uniform(-VOLTAGE, VOLTAGE))
        kind = random.choice(["electrode", "stern", "wall"])
        if is_open and random.random() < 0.7:
            share = float(random.choice([1.0, random.uniform(0.3, 1.2)]))
            held = {name: share * content for name, content in names.items()}
            boundaries.append({"where": where, "kind": "reservoir", "potential": potential, "fraction": held})
        elif kind == "wall" and where == "right":
            boundaries.append({"where": where, "kind": "wall", "surface_charge": float(random.uniform(-0.1, 0.1))})
        else:
            layer = {"stern": {"capacitance": float(random.uniform(0.01, 1.0))}} if kind == "stern" else {}
            boundaries.append({"where": where, "kind": "electrode", "potential": potential, **layer})
    closed = not any(boundary["kind"] == "reservoir" for boundary in boundaries)
    given = {name: {"mean_fraction": content} if closed else {} for name, content in names.items()}
    volume = {"volume": LARGE} if has_sizes else {}
    tables = {
        "model": {
            "units": "dimensionless",
            **LAWS[law],
            "electrostatics": "poisson",
            "debye_length": float(np.exp(random.uniform(np.log(0.01), np.log(0.3)))),
        },
        "species": [
            {"name": "cation", "charge": 2 if divalent else 1, **given["cation"], **volume},
            {"name": "anion", "charge": -1, **given["anion"]},
        ],
        "domain": {"shape": "interval", "length": 1.0, "cells": CELLS},
        "boundaries": boundaries,
    }
    return law, tables, contents


def largest_rise(setup: Setup, discrete: Discretisation, contents: list[float], settings: TimeSettings) -> Rise:
    """Return the largest rise of ``G + W`` in a step.

    Steps are of one length, or as long as the tolerance lets them be. Raises `ConvergenceError` if one has no solution.
    """
    rho = np.array(contents) / setup.scales.contents
    eta = setup.problem.law.free_energy.chemical_potentials(rho.tolist())
    discrete.take(setup.problem)
    discrete.layout.at_nodes(discrete.values)[:] = [*eta, 0.0]
    # what a reservoir holds at once is read with the first state, but flows in with the first step: it is there before
    discrete.impose_dirichlet_values()
    end = LONG if settings.fixed_step is None else STEPS * settings.fixed_step
    with (
        OptionsDatabase() as database,
        TransientSolver(discrete, Constant(setup.problem), database, time_settings=settings) as solver,
    ):
        reader, taken = MotionReader(solver), Counter[str]()
        totals, at, size = [], [0.0], 0.0
        for step in solver.run(0.0, end):
            reading = reader.read(step)
            taken[step.scheme.name] += 1
            if not totals:
                totals.append(reader.sums.first_free_energy)
            totals.append(reading.free_energy + reading.work)
            at.append(step.time)
            size = max(size, abs(reading.free_energy) + abs(reading.work) + reading.dissipated)
    rises = np.diff(totals)
    where = int(rises.argmax())
    return Rise(float(rises[where] / (size + abs(totals[0]))), at[where + 1], at[where + 1] - at[where], taken)


def main() -> None:
    """Print how often it rose, and the largest rises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schemes", default="galerkin,euler,radau", help="radau with steps by its tolerance too")
    asked = parser.parse_args()
    schemes = {"radau": RADAU, "galerkin": GALERKIN, "euler": EULER}
    random = np.random.default_rng(asked.seed)
    drawn = [draw(random) for _ in range(asked.cells)]
    print(f"{len(drawn)} cells: {dict(Counter(law for law, _, _ in drawn))}", flush=True)
    runs = {
        name: [TimeSettings(fixed_step=float(x), scheme=schemes[name]) for x in LENGTHS]
        for name in asked.schemes.split(",")
    }
    if "radau" in runs:
        runs["radau, by its tolerance"] = [TimeSettings()]
    found: dict[str, list[tuple[Rise, str]]] = {name: [] for name in runs}
    failed: dict[str, list[str]] = {name: [] for name in runs}
    for number, (law, tables, contents) in enumerate(drawn):
        setup = build(make_case(tables))
        discrete = Discretisation(setup.problem, quadrature_degree=ONE_RULE)
        for name, all_settings in runs.items():
            for settings in all_settings:
                what = f"cell {number}, {law}" + (
                    f", steps of {settings.fixed_step:.0e}" if settings.fixed_step else ""
                )
                try:
                    found[name].append((largest_rise(setup, discrete, contents, settings), what))
                except ConvergenceError:
                    failed[name].append(what)
    for name, rises in found.items():
        rises.sort(key=lambda one: one[0].rise, reverse=True)
        above = sum(one.rise > ROUNDING for one, _ in rises)
        taken = sum((one.taken for one, _ in rises), Counter[str]())
        print(f"{name}: of {len(rises)} runs {above} with a rise, the largest of {rises[0][0].rise:.1e}")
        print(f"  steps by {dict(taken)}; without a solution: {len(failed[name])}")
        for one, what in rises[: min(above, 8)]:
            print(f"  {one.rise:.1e}: {what}, in the step of {one.length:.1e} to {one.time:.1e}")
        for what in failed[name][:8]:
            print(f"  no solution: {what}")


if __name__ == "__main__":
    main()
