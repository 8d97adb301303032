"""What every driven state must show of its noise, and what tells the laws apart: random states of every law.

    python benchmarks/noise_of_random_states.py [--states 500] [--seed 1]

Two species between random reservoirs, half of the states in imposed fields up to 10 kT, half with Poisson's equation, a
fixed charge and up to 10 kT/e; diffusivities up to 5:1 where the law takes them. Prints for every law the largest
``J S^-1 J`` over half the entropy production (at most 1, Dechant and Sasa, PNAS 117, 6430 (2020)), how far the noise is
from entering where it leaves, and the range of the correlation coefficient of the two currents.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.errors import ConvergenceError

LAWS = ("pnp", "mpnp", "vacancy", "shdl")
NAMES = ("A", "B")


def random_case(random: np.random.Generator, law: str, coupled: bool) -> dict[str, Any]:
    """Return the tables of a random case."""
    species: list[dict[str, Any]] = []
    for name in NAMES:
        diffusivity = 1.0 if law == "shdl" or name == "A" else float(5.0 ** random.uniform(-1.0, 0.0))
        own = (
            {"charge": int(random.choice([-2, -1, 1, 2]))} if coupled else {"field": float(random.uniform(-10.0, 10.0))}
        )
        species.append({"name": name, "diffusivity": diffusivity} | own)
    boundaries: list[dict[str, Any]] = []
    for where, potential in (("left", float(random.uniform(-10.0, 10.0))), ("right", 0.0)):
        shares = random.dirichlet(np.ones(3))[:2]
        fraction = dict(zip(NAMES, map(float, shares), strict=True))
        boundaries.append({"where": where, "kind": "reservoir", "fraction": fraction})
        if coupled:
            boundaries[-1]["potential"] = potential
    model: dict[str, Any] = {"units": "dimensionless", "law": law, "electrostatics": "imposed"}
    regions = []
    if coupled:
        model |= {"electrostatics": "poisson", "debye_length": float(10.0 ** random.uniform(-1.5, 0.0))}
        regions = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": float(random.uniform(-0.3, 0.3))}]
    return {
        "model": model,
        "species": species,
        "domain": {"shape": "interval", "length": 1.0, "cells": 100},
        "regions": regions,
        "boundaries": boundaries,
    }


def states(law: str, coupled: bool, count: int, seed: int) -> Iterator[pnp.Solution]:
    """Return solutions of random cases, one after the other; those that are not found are left out."""
    random = np.random.default_rng([seed, LAWS.index(law), coupled])
    workbench: pnp.Workbench | None = None
    for _ in range(count):
        case = pnp.make_case(random_case(random, law, coupled))
        if workbench is None or not workbench.fits(case):
            workbench = pnp.Workbench(case)
        try:
            yield workbench.solve(case)
        except ConvergenceError:
            continue


def main() -> None:
    """Print a row for every law, in fields and with Poisson."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=500, help="of every law (default: %(default)d)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", pnp.SolutionWarning)
    print("law, field                states  largest uncertainty  warnings  correlation: least, largest  > 0      < 0")
    for law in LAWS:
        for coupled in (False, True):
            found = []
            for solution in states(law, coupled, arguments.states // 2, arguments.seed):
                noise = solution.noise([])
                found.append((noise.uncertainty, len(noise.warnings), noise.correlation("left", *NAMES)))
                for warning in noise.warnings:
                    print("   ", warning)
            uncertainty, told, correlation = np.array(found).T
            name = f"{law}, {'Poisson' if coupled else 'imposed'}"
            print(
                f"{name:24s}  {len(found):6d}  {np.nanmax(uncertainty):19.6f}  {int(told.sum()):8d}  "
                f"{correlation.min():18.4f}, {correlation.max():8.4f}  {np.mean(correlation > 1e-9):5.0%}  "
                f"{np.mean(correlation < -1e-9):7.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
