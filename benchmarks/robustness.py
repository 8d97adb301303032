"""How often does a cold start find the steady state, and what does it take? Sixty random one-dimensional cases.

    python benchmarks/robustness.py [--cases 60] [--seed 1]

Two or three species, every law, Debye lengths from 1e-1 to 1e-3 of the domain, up to 100 kT/e, fixed charge, blocked
species, reservoirs up to a packing of 0.999. Prints what each strategy needed: no case is ramped by hand.
"""

from __future__ import annotations

import argparse
import collections
import warnings

import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.errors import ConvergenceError


def random_case(random: np.random.Generator) -> dict:
    """Return the tables of a random case."""
    species = int(random.integers(2, 4))
    charges = [1, -1, int(random.choice([-2, 1, 2]))][:species]
    names = ["a", "b", "c"][:species]
    law = str(random.choice(["mpnp", "shdl", "vacancy"]))
    voltage = float(random.choice([1.0, 10.0, 40.0, 100.0]) * random.choice([-1, 1]))
    blocked = random.random() < 0.3
    left = {"where": "left", "potential": voltage}
    left |= {"kind": "electrode"} if blocked else {"kind": "reservoir", "fraction": _contents(random, names, charges)}
    return {
        "model": {
            "units": "dimensionless",
            "law": law,
            "electrostatics": "poisson",
            "debye_length": float(10.0 ** -random.uniform(1.0, 3.0)),
        },
        "species": [{"name": name, "charge": z} for name, z in zip(names, charges, strict=True)],
        "domain": {"shape": "interval", "length": 1.0},
        "regions": [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": float(random.uniform(-0.8, 0.8))}],
        "boundaries": [
            left,
            {"where": "right", "kind": "reservoir", "fraction": _contents(random, names, charges), "potential": 0.0},
        ],
    }


def _contents(random: np.random.Generator, names: list[str], charges: list[int]) -> dict[str, float]:
    """Fractions that balance each other's charge and fill one of four packings."""
    packing = float(random.choice([0.01, 0.3, 0.9, 0.999]))
    shares = dict(zip(names, random.uniform(0.05, 1.0, size=len(names)), strict=True))
    for sign in (1, -1):
        side = [name for name, z in zip(names, charges, strict=True) if z * sign > 0]
        charge = sum(abs(z) * shares[name] for name, z in zip(names, charges, strict=True) if name in side)
        for name in side:
            shares[name] /= charge
    total = sum(shares.values())
    return {name: packing * share / total for name, share in shares.items()}


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    # what is asked of every case is judged here, from the numbers
    warnings.simplefilter("ignore", pnp.SolutionWarning)
    random = np.random.default_rng(arguments.seed)
    how: dict[str, list[int]] = collections.defaultdict(list)
    worst_identity = worst_balance = 0.0
    for number in range(arguments.cases):
        tables = random_case(random)
        try:
            solution = pnp.solve(pnp.make_case(tables))
        except ConvergenceError as error:
            how["failed"].append(0)
            print(f"case {number}: {tables}\n{error}")
            continue
        report = solution.report
        directly = "clipped" if any("steps damped" in attempt for attempt in report.tried) else "damped"
        way = f"ramp of {report.ramp_steps} steps" if report.ramp_steps else directly
        how[way].append(report.newton_iterations)
        worst_identity = max(worst_identity, solution.identity_residual or 0.0)
        worst_balance = max(worst_balance, solution.summary()["balance"])
    for way, steps in sorted(how.items()):
        print(f"{way:20s} {len(steps):3d} cases, Newton steps: median {np.median(steps):.0f}, most {max(steps)}")
    print(f"worst identity residual {worst_identity:.1e}, worst balance {worst_balance:.1e}")


if __name__ == "__main__":
    main()
