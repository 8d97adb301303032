"""What 50 frequencies of an impedance cost: beside a steady solve in 1D, and a Newton step of the conical nanopore.

Processor time, in 1D the best of several; compile by a run before. Needs ``make meshes``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pnp_exclusion as pnp

EXAMPLES = Path(__file__).parents[1] / "examples"


def cheapest(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the least processor time of a call, and what it returned last."""
    least, found = np.inf, None
    for _ in range(repeats):
        begun = time.process_time()
        found = run()
        least = min(least, time.process_time() - begun)
    return least, found


def main() -> None:
    """Print both ratios."""
    for name, repeats in (("two_electrodes", 5), ("conical_nanopore", 1)):
        case = pnp.read_case(EXAMPLES / f"{name}.toml")
        steady, solution = cheapest(lambda case=case: pnp.solve(case), repeats)
        scale = solution.setup.scales.time
        frequencies = np.geomspace(1e-3, 1e5, 50) / scale
        spectrum, found = cheapest(lambda solution=solution, f=frequencies: solution.impedance(f), repeats)
        unknowns = solution.discretisation.space.dofmap.index_map.size_global * solution.discretisation.layout.size
        steps = solution.report.newton_iterations
        print(
            f"{name}: {unknowns} unknowns; 50 frequencies {spectrum:.3f} s, accurate to {found.accuracy:.0e}; a solve "
            f"{steady:.3f} s with {steps} Newton steps: {spectrum / steady:.2f} solves, "
            f"{spectrum / (steady / max(steps, 1)):.0f} Newton steps",
            flush=True,
        )


if __name__ == "__main__":
    main()
