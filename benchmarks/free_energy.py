"""Free energy in steps of any length: drawn cells, closed and driven, with the schemes by which it never rises.

What must not rise is the free energy with all work that was done at the boundaries: ``G + W`` with `Reading.work`.
Cells have electrodes, with a Stern layer or without, walls with a charge, and reservoirs, alike or not. A rise counts
beyond 1e-12 of ``|G|`` and of all that was dissipated and done, which is rounding.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import numpy as np

from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.observe.motion import MotionReader
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.transient.drive import Constant
from pnp_exclusion.solver.transient.schemes import EULER, GALERKIN, RADAU, Scheme
from pnp_exclusion.solver.transient.solver import TimeSettings, TransientSolver

STEPS = 3
"""Of one length."""
LENGTHS = np.geomspace(1e-6, 1e3, 10)
ROUNDING = 1e-12
CELLS = 40
"""Of the mesh."""
VOLTAGE = 10.0
"""kT/e, at most."""


def draw(random: np.random.Generator) -> tuple[dict[str, Any], list[float]]:
    """Return the tables of a cell, and what there is of both ions at first."""
    bulk = float(random.uniform(0.01, 0.3))
    divalent = random.random() < 0.3
    contents = [bulk / 2.0, bulk] if divalent else [bulk, bulk]
    law = str(random.choice(["pnp", "mpnp", "vacancy", "shdl"]))
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
    tables = {
        "model": {
            "units": "dimensionless",
            "law": law,
            "electrostatics": "poisson",
            "debye_length": float(np.exp(random.uniform(np.log(0.01), np.log(0.3)))),
        },
        "species": [
            {"name": "cation", "charge": 2 if divalent else 1, **given["cation"]},
            {"name": "anion", "charge": -1, **given["anion"]},
        ],
        "domain": {"shape": "interval", "length": 1.0, "cells": CELLS},
        "boundaries": boundaries,
    }
    return tables, contents


def largest_rise(tables: dict[str, Any], contents: list[float], scheme: Scheme, length: float) -> tuple[float, str]:
    """Return the largest rise of ``G + W`` in a step, relative, and with what schemes steps were taken.

    Raises `ConvergenceError` if a step has no solution.
    """
    setup = build(make_case(tables))
    discrete = Discretisation(setup.problem)
    eta = setup.problem.law.free_energy.chemical_potentials(contents)
    discrete.layout.at_nodes(discrete.values)[:] = [*eta, 0.0]
    settings = TimeSettings(fixed_step=length, scheme=scheme)
    with (
        OptionsDatabase() as database,
        TransientSolver(discrete, Constant(setup.problem), database, time_settings=settings) as solver,
    ):
        reader, taken = MotionReader(solver), set()
        totals, size = [], 0.0
        for step in solver.run(0.0, STEPS * length):
            reading = reader.read(step)
            taken.add(step.scheme.name)
            if not totals:
                totals.append(reader.sums.first_free_energy)
            totals.append(reading.free_energy + reading.work)
            size = max(size, abs(reading.free_energy) + abs(reading.work) + reading.dissipated)
    return float(np.diff(totals).max() / (size + abs(totals[0]))), ", ".join(sorted(taken))


def main() -> None:
    """Print how often it rose, and the largest rises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schemes", default="galerkin,euler")
    asked = parser.parse_args()
    schemes = {"radau": RADAU, "galerkin": GALERKIN, "euler": EULER}
    random = np.random.default_rng(asked.seed)
    cells = [draw(random) for _ in range(asked.cells)]
    for name in asked.schemes.split(","):
        rises, found, failed = [], Counter(), []
        for number, (tables, contents) in enumerate(cells):
            for length in LENGTHS:
                try:
                    rise, taken = largest_rise(tables, contents, schemes[name], float(length))
                except ConvergenceError:
                    failed.append(f"cell {number}, {tables['model']['law']}, step {length:.0e}")
                    continue
                found[taken] += 1
                rises.append((rise, f"cell {number}, {tables['model']['law']}, step {length:.0e}"))
        rises.sort(reverse=True)
        above = sum(rise > ROUNDING for rise, _ in rises)
        print(f"{name}: of {len(rises)} runs of {STEPS} steps {above} with a rise, the largest of {rises[0][0]:.1e}")
        print(f"  taken by {dict(found)}; without a solution: {len(failed)}")
        for rise, what in rises[: min(above, 8)]:
            print(f"  {rise:.1e}: {what}")
        for what in failed[:8]:
            print(f"  no solution: {what}")


if __name__ == "__main__":
    main()
