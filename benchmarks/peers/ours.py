"""This package, as installed: a case as nested dictionaries, default solver, currents and charges as it reports them.

The size multiplies the resolution of the automatic graded mesh (1: what a user gets), or is the number of squares or
cubes along the unit of length; the variant is the degree of the elements, "P1" to "P4". Every solve starts from the
first guess, with no factorisation or hierarchy of an earlier one. "P2-adaptive": refined from 5 squares to the accuracy
``10^-size``; a solve is then all that `pnp_exclusion.solve` does, meshes, forms and estimates included.
"""

from __future__ import annotations

from common import (
    ADAPTIVE,
    BULK,
    DEBYE_LENGTH,
    FIXED_CHARGE,
    FROM,
    HIGH,
    LAYER_DEBYE_LENGTH,
    SALT_LEFT,
    SALT_RIGHT,
    TO,
    Prepared,
    Task,
    main,
)

import pnp_exclusion as pnp
from pnp_exclusion.mesh.grading import RESOLUTION, Resolution


def tables(task: Task) -> dict:
    """Return the case, as a case file would have it."""
    crowded = task.problem == "P2"
    salt = lambda amount: {"plus": amount, "minus": amount}  # noqa: E731
    reservoir = {"where": "left", "kind": "reservoir", "fraction": salt(SALT_LEFT), "potential": task.voltage}
    electrode = {"where": "left", "kind": "electrode", "potential": task.voltage}
    bulk = {"where": "right", "kind": "reservoir", "fraction": salt(BULK if crowded else SALT_RIGHT), "potential": 0.0}
    sides = [1.0] * task.dimension
    box = {"x": [FROM, TO], "y": [0.0, HIGH], "z": [0.0, HIGH]}
    case = {
        "model": {
            "units": "dimensionless",
            "law": "mpnp" if crowded else "pnp",
            "debye_length": LAYER_DEBYE_LENGTH if crowded else DEBYE_LENGTH,
        },
        "species": [{"name": "plus", "charge": 1.0}, {"name": "minus", "charge": -1.0}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [electrode if crowded else reservoir, bulk],
        "solver": {"degree": degree(task)},
    }
    if task.dimension > 1:
        case["domain"] = {"shape": {2: "rectangle", 3: "box"}[task.dimension], "size": sides}
        region = {axis: box[axis] for axis in "xyz"[: task.dimension]}
        case["regions"] = [{"name": "charged", "fixed_charge": FIXED_CHARGE, **region}]
    return case


def degree(task: Task) -> int:
    """Return the degree of the elements."""
    return int(task.variant.removesuffix(f"-{ADAPTIVE}").removeprefix("P"))


def prepare(task: Task) -> Prepared:
    """Make mesh, forms and solvers once; every solve starts from the first guess."""
    if task.problem in ("P6", "P7", "P9"):
        return prepare_pore(task)
    kind = task.dimension, degree(task)
    usual = RESOLUTION[kind]
    RESOLUTION[kind] = Resolution(
        usual.cells_per_layer * task.size, usual.growth / task.size, usual.largest / task.size
    )
    case = pnp.make_case(tables(task))
    bench = pnp.Workbench(case)

    def measure(solution: pnp.Solution) -> list[float]:
        if task.problem == "P2":
            return [solution.steady.totals.charge["left"]]
        return [solution.steady.totals.through(name, "left", "right") for name in ("plus", "minus")]

    index_map = bench.discrete.unknown.x.index_map

    def solve() -> pnp.Solution:
        bench.forget()
        return bench.solve(case)

    return Prepared(index_map.size_global * bench.discrete.layout.size, solve, measure)


def prepare_pore(task: Task) -> Prepared:
    """Do the same for the pores and the patch, whose corners no grid is made for."""
    from pore import case_of

    names = ("plus",) if task.problem == "P7" else ("plus", "minus")
    ends = ("patch", "bath") if task.problem == "P7" else ("left", "right")

    def measure(solution: pnp.Solution) -> list[float]:
        return [solution.steady.totals.through(name, *ends) for name in names]

    if not task.variant.endswith(ADAPTIVE):
        case = case_of(task.problem, round(task.size), degree=degree(task))
        bench = pnp.Workbench(case)

        def solve() -> pnp.Solution:
            bench.forget()
            return bench.solve(case)

        return Prepared(bench.discrete.unknown.x.index_map.size_global * bench.discrete.layout.size, solve, measure)
    goal = [f"flux.{ends[1]}.{name}" for name in names]
    cells = 4 if task.problem == "P7" else 5
    case = case_of(task.problem, cells, degree=degree(task), accuracy=10.0**-task.size, goal=goal)
    unknowns = lambda solution: solution.refinement.levels[-1].unknowns  # noqa: E731
    return Prepared(unknowns, lambda: pnp.solve(case), measure)


if __name__ == "__main__":
    main(prepare)
