"""What does a point of a current-voltage curve cost, beside one Newton step on the same mesh?

    make meshes
    OMP_NUM_THREADS=1 python benchmarks/curve_cost.py [--points 100] [--size 1.4]

The axisymmetric cone of `examples/conical_nanopore.toml` on a mesh of about 3e4 unknowns: processor time of `iv` from
-0.5 V to 0.5 V in equally spaced points, its mesh, forms and cold start apart, and of single Newton steps (residual,
Jacobian, factors, solve), each with a Jacobian of its own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.mesh.make import write_mesh
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.solve import as_case
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SteadySolver
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.workbench import Workbench

ROOT = Path(__file__).parents[1]
STEPS = 5
"""Newton steps and tangents that are timed: the least of them counts."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--size", type=float, default=1.4, help="of the cells, times that of the drawing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mesh = Path(folder) / "cone.msh"
        numbers = {"FINE": 0.28 * arguments.size, "GROWTH": 0.35 * arguments.size, "COARSE": 8.0 * arguments.size}
        write_mesh(ROOT / "meshes" / "nanopore.py", mesh, [f"{name}={value}" for name, value in numbers.items()])
        case = as_case(str(ROOT / "examples" / "conical_nanopore.toml"))
        case = case.model_copy(update={"domain": case.domain.model_copy(update={"file": str(mesh)})})
        step, tangent, unknowns = _of_a_step(case)
        ends: list[float] = []
        iterations: list[str] = []

        def told(line: str) -> None:
            ends.append(time.process_time())
            iterations.append(line)

        begun = time.process_time()
        pnp.iv(case, "bottom", -0.5, 0.5, points=arguments.points, progress=told)
        whole = time.process_time() - begun
    newton = [int(line.split()[-3]) for line in iterations]
    # the first point is after mesh, forms and cold start
    points = ends[-1] - ends[0]
    each = points / (len(ends) - 1)
    print(f"{unknowns} unknowns, {len(ends)} points")
    print(
        f"Newton steps of a point: median {np.median(newton[1:]):.0f}, most {max(newton[1:])}, of the first {newton[0]}"
    )
    print(f"a Newton step {step:.3f} s, a tangent {tangent:.3f} s of processor time, the least of {STEPS}")
    print(
        f"a point {each:.3f} s: {each / step:.2f} Newton steps; the first one, mesh and forms {ends[0] - begun:.1f} s"
    )
    print(f"the whole curve over as many Newton steps: {whole / (len(ends) * step):.2f}")


def _of_a_step(case: pnp.Case) -> tuple[float, float, int]:
    """Return the processor time of a Newton step and of a tangent at a state of the case, and the unknowns."""
    settings = settings_of(case)
    with Workbench(case) as bench:
        bench.solve(case)
        discrete = bench.discrete
        with OptionsDatabase(()) as database, SteadySolver(discrete, database, settings) as solver:
            # from a solution one step is taken, and enough
            steps = [_seconds(lambda: solver.newton.solve("damp")) for _ in range(STEPS)]
        with TangentSolver(discrete, settings) as tangent:

            def take() -> None:
                tangent.renew()
                tangent.by_potential(0)

            tangents = [_seconds(take) for _ in range(STEPS)]
        return min(steps), min(tangents), len(discrete.values)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
