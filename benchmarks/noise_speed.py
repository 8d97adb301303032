"""What noise costs beside a Newton step of the same case: processor time, best of a few.

    python benchmarks/noise_speed.py [--cells 60] [--times 3] [--frequencies 50]
    python benchmarks/noise_speed.py --dimension 3 --cells 24 --times 1 --frequencies 10

A salt across a fixed charge, driven: `S(0)` of all terminals, and a spectrum over four decades.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings

import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.solver.linearised import LinearisedEquations
from pnp_exclusion.solver.noise import noise_at_zero, spectra


def case(cells: int, dimension: int = 2) -> pnp.Case:
    """Return the case, with so many cells along its current."""
    domain = (
        pnp.Rectangle(size=[1.0, 0.5], cells=[cells, cells // 2])
        if dimension == 2
        else pnp.Box(size=[1.0, 0.5, 0.5], cells=[cells, 5 * cells // 6, 2 * cells // 3])
    )
    return pnp.Case(
        model=pnp.Model("mpnp", units="dimensionless", debye_length=0.1),
        species=[pnp.Species(name="A", charge=1), pnp.Species(name="B", charge=-1)],
        domain=domain,
        regions=[pnp.Region(name="membrane", x=[0.3, 0.7], fixed_charge=0.15)],
        boundaries=[
            pnp.Reservoir(where="left", fraction={"A": 0.25, "B": 0.25}, potential=3.0),
            pnp.Reservoir(where="right", fraction={"A": 0.05, "B": 0.05}, potential=0.0),
        ],
    )


def main() -> None:
    """Print seconds, and Newton steps that take as long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--dimension", type=int, default=2, choices=(2, 3))
    parser.add_argument("--frequencies", type=int, default=50)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", pnp.SolutionWarning)
    one = case(arguments.cells, arguments.dimension)
    solution = pnp.solve(one)
    steps, zeros, bands = [], [], []
    for _ in range(arguments.times):
        began = time.process_time()
        solution = pnp.solve(one)
        steps.append((time.process_time() - began) / solution.report.newton_iterations)
        began = time.process_time()
        with LinearisedEquations(solution.discretisation) as equations:
            noise_at_zero(equations)
            zeros.append(time.process_time() - began)
            began = time.process_time()
            found = spectra(equations, np.geomspace(0.1, 1e3, arguments.frequencies))
            bands.append(time.process_time() - began)
    step, zero, band = min(steps), min(zeros), min(bands)
    print(f"{len(solution.discretisation.values)} unknowns; a Newton step, all of the solve counted: {step:.3f} s")
    print(f"S(0) of all terminals: {zero:.3f} s, {zero / step:.1f} steps")
    print(f"{arguments.frequencies} frequencies: {band:.3f} s, {band / step:.0f} steps, to {found.accuracy:.0e}")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB at most")


if __name__ == "__main__":
    main()
