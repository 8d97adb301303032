"""What does a solve cost as problems and ranks grow? Everything also in products of the same matrix with a vector.

    python benchmarks/scaling.py [--largest 2e6] [--largest-2d 1e6] [--ranks 2] [--out benchmarks]

Problem: point ions between reservoirs of (0.3, 0.3) and (0.1, 0.1), 5 kT/e, Debye length 0.05, fixed charge of -0.5 in
0.4 < x < 0.6, y < 0.4 (z < 0.4), linear elements. Writes ``scaling.md`` and ``scaling.png``. Every solve is a process
of its own, so that memory is its own, and is done three times there, the least of every time being kept: the first
solve also pays for the memory that the next ones find, on a virtual machine anything from 5 to 30 % of its time. Ranks
are compared in three such processes each, in turn. Times are the processor time of the busiest rank, which other
programs on the machine disturb less than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

STRONG = 1e5
"""Unknowns of the comparison of ranks, and per rank for the growing problem."""
LATENCY, BANDWIDTH = 2e-6, 10e9
"""Seconds a message and bytes per second of a link: an ordinary cluster's network."""
PROJECTED_RANKS = 1000
REPEATS = 3
"""Of every measurement, and of the processes where ranks are compared."""
EXCHANGES_PER_KRYLOV_STEP, VOLUME_PER_KRYLOV_STEP = 52, 11.0
"""Halo exchanges, and values sent in them relative to the matrix's own halo: counted by PETSc's log on two ranks at 8e5
unknowns (1909 messages of 10.6 kB a rank in 37 steps, the halo being 6201 values)."""
REDUCTIONS_PER_KRYLOV_STEP = 2


def case(dimension: int, cells: int) -> dict:
    """Return the tables of the problem."""
    region = {"name": "membrane", "x": [0.4, 0.6], "y": [0.0, 0.4], "fixed_charge": -0.5}
    return {
        "model": {"units": "dimensionless", "law": "pnp", "electrostatics": "poisson", "debye_length": 0.05},
        "species": [{"name": "a", "charge": 1}, {"name": "b", "charge": -1}],
        "domain": {"shape": ("rectangle", "box")[dimension - 2], "size": [1.0] * dimension, "cells": cells},
        "regions": [region | ({"z": [0.0, 0.4]} if dimension == 3 else {})],
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"a": 0.3, "b": 0.3}, "potential": 5.0},
            {"where": "right", "kind": "reservoir", "fraction": {"a": 0.1, "b": 0.1}, "potential": 0.0},
        ],
        "solver": {"degree": 1, "linear": "fieldsplit"},
    }


def measure(dimension: int, cells: int) -> Row | None:
    """Solve repeatedly, then repeat the parts of a Newton step at the solution; return the row on rank 0."""
    from pnp_exclusion.runtime import fenicsx

    fenicsx.initialise_petsc()
    from mpi4py import MPI

    import pnp_exclusion as pnp
    from pnp_exclusion.solution.solve import solve_quietly
    from pnp_exclusion.solver.linear.presets import OptionsDatabase
    from pnp_exclusion.solver.newton import NewtonSolver

    comm = MPI.COMM_WORLD
    parts: dict[str, float] = {}

    def least(name: str, part: Callable[[], Any], before: Callable[[], Any] = lambda: None, times: int = 3) -> None:
        """Keep the least time of a part, that of the busiest rank."""
        for _ in range(times):
            before()
            comm.barrier()
            begun = time.process_time()
            part()
            spent = comm.allreduce(time.process_time() - begun, op=MPI.MAX)
            parts[name] = min(parts.get(name, spent), spent)

    solutions: list[pnp.Solution] = []
    least("solve", lambda: solutions.append(solve_quietly(case(dimension, cells))), solutions.clear, REPEATS)
    (solution,) = solutions
    discrete = solution.discretisation
    index_map = discrete.space.dofmap.index_map
    with OptionsDatabase() as database:
        database.merge({**solution.petsc_options, "ksp_rtol": 1e-6}, {})
        newton = NewtonSolver(discrete, database, 1e-7, 40, lambda line: None)
        matrix = newton._matrix
        solver = newton._solver().getKSP()
        state, function, step = newton._solution, newton._function, matrix.createVecRight()
        state.array_w[:] = discrete.unknown.x.array[: newton._owned]

        def set_up() -> None:
            newton._preconditioning.renew()
            solver.setUp()
            solver.getPC().setUpOnBlocks()

        least("residual", lambda: newton._assemble_residual(newton._snes, state, function))
        least("Jacobian", newton._assembly.fill_jacobian)
        function.setRandom()
        least("product", lambda: matrix.mult(function, step), times=30)
        least("first set-up", set_up, times=1)
        least("set-up", set_up, newton._assembly.fill_jacobian)
        least("Krylov", lambda: solver.solve(function, step), lambda: step.set(0.0))
        row = {
            "dimension": dimension,
            "ranks": comm.size,
            "unknowns": index_map.size_global * discrete.layout.size,
            "newton": solution.report.newton_iterations,
            "krylov": solver.getIterationNumber(),
            "solve": parts.pop("solve"),
            "memory": comm.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, op=MPI.MAX),
            "halo": comm.allreduce(index_map.num_ghosts, op=MPI.MAX) * discrete.layout.size,
            "balance": solution.summary()["balance"],
            "parts": parts,
        }
        newton.close()
    return row if comm.rank == 0 else None


def measured(dimension: int, unknowns: float, ranks: int = 1) -> Row:
    """Measure in processes of their own."""
    # an even number, which two ranks can halve
    cells = 2 * round(((unknowns / 3.0) ** (1.0 / dimension) - 1.0) / 2.0)
    words = [sys.executable, __file__, "--worker", str(dimension), str(cells)]
    if ranks > 1:
        beside = Path(sys.executable).with_name("mpiexec")
        launcher = str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec"
        words = [launcher, "-n", str(ranks), *words]
    # MPICH's ranks give way while they wait for each other
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MPIR_CVAR_POLLS_BEFORE_YIELD": "1"}
    finished = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
    row: Row = json.loads(finished.stdout.splitlines()[-1])
    print(f"{dimension}D, {ranks} ranks: {row}", flush=True)
    return row


def best(rows: list[Row]) -> Row:
    """Return the row of the fastest solve, with the least time of every part."""
    fastest = min(rows, key=lambda row: float(row["solve"]))
    parts = {name: min(float(row["parts"][name]) for row in rows) for name in fastest["parts"]}
    return fastest | {"parts": parts}


def table(rows: list[Row]) -> str:
    """Return a table in Markdown."""
    names = ["residual", "Jacobian", "first set-up", "set-up", "Krylov"]
    heads = ["", "ranks", "unknowns", *names, "Krylov steps", "Newton steps", "product, ms", "solve, s", "GB a rank"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        product = row["parts"]["product"]
        costs = [f"{row['parts'][name] / product:.0f}" for name in names]
        counts = [str(row["krylov"]), str(row["newton"])]
        rest = [f"{1e3 * product:.2f}", f"{row['solve']:.1f}", f"{row['memory']:.2f}"]
        lines.append(
            "| "
            + " | ".join([f"{row['dimension']}D", f"{row['ranks']}", f"{row['unknowns']}", *costs, *counts, *rest])
            + " |"
        )
    return "\n".join(lines)


def projection(row: Row) -> str:
    """Return a paragraph on many ranks with as many unknowns each as a rank of ``row`` has."""
    own = row["unknowns"] / row["ranks"]
    # a box inside the domain has six sides, the half that was measured has one
    halo = 6.0 * (own / 3.0) ** (2.0 / 3.0) * 3.0
    krylov = row["krylov"]
    exchange = krylov * (EXCHANGES_PER_KRYLOV_STEP * 6 * LATENCY + VOLUME_PER_KRYLOV_STEP * 8.0 * halo / BANDWIDTH)
    reduction = krylov * REDUCTIONS_PER_KRYLOV_STEP * 10 * LATENCY
    computed = sum(row["parts"][name] for name in ("residual", "Jacobian", "set-up", "Krylov"))
    efficiency = computed / (computed + exchange + reduction)
    return (
        f"**Projection, not a measurement**: {PROJECTED_RANKS} ranks of {own:.0f} unknowns each, so "
        f"{PROJECTED_RANKS * own:.2g} in all. On {row['ranks']} ranks a halo of {row['halo']} unknowns was measured; "
        f"a box with neighbours on all sides has {halo:.0f}. With {krylov} Krylov steps of {EXCHANGES_PER_KRYLOV_STEP} "
        f"exchanges with six neighbours each, {1e6 * LATENCY:.0f} microseconds a message, {BANDWIDTH / 1e9:.0f} GB/s "
        f"and reductions over ten stages, communication adds {1e3 * (exchange + reduction):.0f} ms to the "
        f"{1e3 * computed:.0f} ms of a Newton step: an efficiency of {100 * efficiency:.0f} %. "
        "Left out: imbalance, congestion, the memory bandwidth that cores of a node share, "
        "a hierarchy that is deeper by three levels, and the communication of the set-up."
    )


def ratios(strong: list[Row], weak: list[Row]) -> str:
    """Return a sentence on two ranks and one."""
    one, many = strong
    newton = [sum(row["parts"][name] for name in ("residual", "Jacobian", "set-up", "Krylov")) for row in strong]
    return (
        f"{many['ranks']} ranks over one at {one['unknowns']} unknowns: the whole solve "
        f"{one['solve'] / many['solve']:.2f} times, a Newton step {newton[0] / newton[1]:.2f} times, a product "
        f"{one['parts']['product'] / many['parts']['product']:.2f} times as fast. With {weak[0]['unknowns']} unknowns "
        f"on one rank and {weak[1]['unknowns']} on {weak[1]['ranks']}, the solve takes "
        f"{weak[1]['solve'] / weak[0]['solve']:.2f} times as long."
    )


def draw(rows: list[Row], path: Path) -> None:
    """Draw costs against unknowns."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    for dimension in (2, 3):
        chosen = [row for row in rows if row["dimension"] == dimension]
        unknowns = [row["unknowns"] for row in chosen]
        left.loglog(unknowns, [row["solve"] for row in chosen], "o-", label=f"{dimension}D")
        for part in ("Jacobian", "set-up", "Krylov") if dimension == 3 else ():
            right.semilogx(unknowns, [row["parts"][part] / row["parts"]["product"] for row in chosen], "o-", label=part)
    left.set(xlabel="unknowns", ylabel="processor time of a solve, s")
    right.set(xlabel="unknowns (3D)", ylabel="matrix-vector products", ylim=(0.0, None))
    for axes in (left, right):
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def sizes(largest: float) -> list[float]:
    """Sizes from 1e4 on, eight times apart, and the largest."""
    chosen = [1e4 * 8.0**k for k in range(10) if 1e4 * 8.0**k < 0.8 * largest]
    return [*chosen, largest]


def write(rows: list[Row], strong: list[Row], weak: list[Row], folder: Path) -> None:
    """Write table and picture."""
    draw(rows, folder / "scaling.png")
    text = [
        "## Scaling",
        "`python benchmarks/scaling.py` (what is measured and how: see its first lines). Costs of one Newton step in "
        "products of the same matrix with a vector in the same run; Krylov steps to 1e-6 for a random right-hand side.",
        table(rows),
        "![cost against unknowns](scaling.png)",
        "Ranks:",
        table([*strong, *(row for row in weak if row not in strong)]),
        ratios(strong, weak),
        projection(weak[1]),
        f"Largest imbalance of the fluxes in these runs: {max(row['balance'] for row in rows):.1e}.",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}; load during the run: {os.getloadavg()[1]:.1f} "
        "(other programs beyond the number of ranks make times worse, ratios less so).",
    ]
    (folder / "scaling.md").write_text("\n\n".join(text) + "\n")


def main() -> None:
    """Run the measurements and write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=float, default=2e6, help="unknowns in 3D")
    parser.add_argument("--largest-2d", type=float, default=1e6)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--strong", type=float, default=STRONG, help="unknowns of the comparison of ranks")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--worker", type=int, nargs=2, metavar=("DIMENSION", "CELLS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        row = measure(*given.worker)
        if row is not None:
            print(json.dumps(row))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [measured(2, size) for size in sizes(given.largest_2d)] + [
        measured(3, size) for size in sizes(given.largest)
    ]
    # in turn, so that what disturbs the machine disturbs both
    turns = [[measured(3, given.strong, ranks) for ranks in (1, given.ranks)] for _ in range(REPEATS)]
    strong = [best([turn[which] for turn in turns]) for which in (0, 1)]
    weak = [strong[0], measured(3, given.strong * given.ranks, given.ranks)]
    write(rows, strong, weak, given.out)


if __name__ == "__main__":
    main()
