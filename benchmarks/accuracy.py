"""How far are currents on automatic meshes from those on uniform meshes of 20,000 cells? Two hundred random cases.

    python benchmarks/accuracy.py [--cases 200] [--seed 1] [--cells 20000]

The cases are those of robustness.py. Prints the errors of the largest current of every case, relative to the largest
of the case, the cases beyond 1e-5, and whether a warning was given for them.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from robustness import random_case

import pnp_exclusion as pnp
from pnp_exclusion.errors import ConvergenceError

TELLING = 1e-5
LONG = 60
"""Newton steps: a case that needs more, from one easy problem to the next, would take minutes on the fine mesh."""


def currents_of(tables: dict, cells: int | None) -> tuple[np.ndarray, pnp.Solution]:
    """Return the currents of a case, on so many equal cells or on the automatic mesh, and the solution."""
    domain = tables["domain"] | ({"cells": cells} if cells else {})
    solution = pnp.solve(pnp.make_case(tables | {"domain": domain}))
    return np.array(list((solution.steady.currents or {}).values())), solution


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cells", type=int, default=20_000)
    arguments = parser.parse_args()
    # those of a case beyond the limit are printed with it
    warnings.simplefilter("ignore", pnp.SolutionWarning)
    random = np.random.default_rng(arguments.seed)
    errors, left_out, silent = [], 0, 0
    while len(errors) < arguments.cases:
        tables = random_case(random)
        try:
            found, solution = currents_of(tables, None)
            if solution.report.newton_iterations > LONG:
                left_out += 1
                continue
            if not any(solution.steady.totals.passes(name) for name in solution.steady.currents or {}):
                # blocked by an electrode: there is no current to be wrong
                continue
            right, _ = currents_of(tables, arguments.cells)
        except ConvergenceError:
            left_out += 1
            continue
        error = float(np.abs(found - right).max() / np.abs(right).max())
        errors.append(error)
        if error > TELLING:
            told = solution.warnings
            silent += not told
            print(f"{error:.1e}: {tables}\n  {told or 'no warning'}", flush=True)
    sorted_errors = np.sort(errors)
    print(
        f"{len(errors)} cases ({left_out} more left out), error of the currents: median {np.median(errors):.1e}, "
        f"nine in ten {sorted_errors[int(0.9 * len(errors))]:.1e}, largest {max(errors):.1e}; "
        f"{sum(error > TELLING for error in errors)} beyond {TELLING:g}, {silent} of them without a warning"
    )


if __name__ == "__main__":
    main()
