"""How often does a cold start find the steady state, and what does it take? 200 random one-dimensional cases.

    python benchmarks/robustness.py [--cases 200] [--seed 1]

One to four species of valence -3 to 3, every law of ions, Debye lengths from 1e-1 to 1e-3 of the domain, up to 100
kT/e, packings from 1e-6 to 0.9999, like charges alone too, fixed charge, blocked and closed species, electrodes that
hold one species of several, given fluxes. No case is ramped by hand. Prints what each strategy needed and every case
that was not solved; `judge.py` says of every solution, by finite volumes, whether it is one.
"""

from __future__ import annotations

import argparse
import collections
import warnings
from typing import Any

import numpy as np
from judge import judge

import pnp_exclusion as pnp
from pnp_exclusion.errors import ConvergenceError

TOLD = ("no solution: ", "can be carried up to", "cannot hold the layer")
"""Words of sentences that show by a number why there is no solution, or none that a mesh can hold."""


def random_case(random: np.random.Generator) -> dict[str, Any]:
    """Return the tables of a random case."""
    count = int(random.integers(1, 5))
    names = ["a", "b", "c", "d"][:count]
    charges = [int(random.choice([-3, -2, -1, 1, 2, 3])) for _ in names]
    voltage = float(10.0 ** random.uniform(0.0, 2.0) * random.choice([-1, 1]))
    right: dict[str, Any] = {"where": "right", "potential": 0.0}
    left: dict[str, Any] = {"where": "left", "potential": voltage}
    kinds = ("reservoirs", "electrode", "electrodes", "holding", "flux")
    kind = str(random.choice(kinds, p=[0.5, 0.2, 0.1, 0.1, 0.1]))
    right |= {"kind": "electrode"} if kind in ("electrodes", "holding") else _reservoir(random, names, charges)
    left |= _reservoir(random, names, charges) if kind == "reservoirs" else {"kind": "electrode"}
    if kind == "holding":
        left["fraction"] = {str(random.choice(names)): 0.9 * _packing(random)}
    if kind == "flux":
        name = str(random.choice(names))
        flux = {name: float(random.uniform(-0.3, 0.3) * right["fraction"][name])}
        left = {"where": "left", "kind": "flux", "flux": flux}
    supplied = {**left.get("fraction", {}), **right.get("fraction", {})}
    closed = [name for name in names if name not in supplied]
    means = dict(zip(closed, _split(random, closed, 0.5 * _packing(random)), strict=True))
    reach = [-z for name, z in zip(names, charges, strict=True) if name in supplied]
    regions = []
    if reach and random.random() < 0.5:
        # one species that comes in from outside can neutralise it
        charge = float(random.uniform(0.0, 0.8) * random.choice(reach))
        regions = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": charge}]
    species = [
        {"name": name, "charge": z} | ({"mean_fraction": means[name]} if name in means else {})
        for name, z in zip(names, charges, strict=True)
    ]
    return {
        "model": {
            "units": "dimensionless",
            "law": str(random.choice(["pnp", "mpnp", "shdl", "vacancy"])),
            "electrostatics": "poisson",
            "debye_length": float(10.0 ** -random.uniform(1.0, 3.0)),
        },
        "species": species,
        "domain": {"shape": "interval", "length": 1.0},
        "regions": regions,
        "boundaries": [left, right],
    }


def _packing(random: np.random.Generator) -> float:
    """Half of them dilute, 1e-6 at least, half crowded, 0.9999 at most."""
    share = float(10.0 ** random.uniform(-6.0, -0.3)) if random.random() < 0.5 else 0.0
    return share or 1.0 - float(10.0 ** random.uniform(-4.0, -0.3))


def _reservoir(random: np.random.Generator, names: list[str], charges: list[int]) -> dict[str, Any]:
    return {"kind": "reservoir", "fraction": _contents(random, names, charges)}


def _contents(random: np.random.Generator, names: list[str], charges: list[int]) -> dict[str, float]:
    """Fractions of a packing that balance each other's charge, if there are both signs."""
    shares = dict(zip(names, random.uniform(0.05, 1.0, size=len(names)), strict=True))
    for sign in (1, -1):
        side = [name for name, z in zip(names, charges, strict=True) if z * sign > 0]
        charge = sum(abs(z) * shares[name] for name, z in zip(names, charges, strict=True) if name in side)
        for name in side:
            shares[name] /= charge
    total = sum(shares.values())
    packing = _packing(random)
    return {name: packing * share / total for name, share in shares.items()}


def _split(random: np.random.Generator, names: list[str], total: float) -> list[float]:
    shares = random.uniform(0.05, 1.0, size=len(names))
    return [float(total * share / shares.sum()) for share in shares]


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    # what is asked of every case is judged here, from the numbers
    warnings.simplefilter("ignore", pnp.SolutionWarning)
    random = np.random.default_rng(arguments.seed)
    how: dict[str, list[int]] = collections.defaultdict(list)
    failed: dict[str, list[int]] = collections.defaultdict(list)
    worst_densities = worst_currents = worst_balance = 0.0
    for number in range(arguments.cases):
        tables = random_case(random)
        try:
            solution = pnp.solve(pnp.make_case(tables))
        except ConvergenceError as error:
            told = next((line for line in str(error).splitlines() if any(words in line for words in TOLD)), "")
            failed["told by a number why not" if told else "not solved"].append(number)
            print(f"case {number}: {told or tables}", flush=True)
            continue
        report = solution.report
        how[f"path of {report.ramp_steps} steps" if report.ramp_steps else "directly"].append(report.newton_iterations)
        worst_balance = max(worst_balance, solution.summary()["balance"])
        verdict = judge(solution)
        if verdict.agrees:
            worst_densities = max(worst_densities, verdict.densities)
            worst_currents = max(worst_currents, verdict.currents)
        else:
            failed["solved, and finite volumes differ" if verdict.converged else "solved, not judged"].append(number)
            print(f"case {number}: {verdict}, {tables}", flush=True)
    paths = [steps for way, steps in how.items() if way != "directly"]
    for way, steps in (("directly", how["directly"]), ("along a path", [step for path in paths for step in path])):
        if steps:
            print(f"{way:12s} {len(steps):3d} cases, Newton steps: median {np.median(steps):.0f}, most {max(steps)}")
    for what, numbers in failed.items():
        print(f"{what}: {len(numbers)} cases, {numbers}")
    print(f"finite volumes: densities within {worst_densities:.1e}, currents {worst_currents:.1e}")
    print(f"worst balance {worst_balance:.1e}")


if __name__ == "__main__":
    main()
