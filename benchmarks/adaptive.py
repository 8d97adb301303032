"""Estimated errors beside true ones on ten problems with known values, and what refinement for an accuracy costs.

    python benchmarks/adaptive.py

For every problem and accuracy: estimated and true relative error of the goal that is worst, on the last mesh, and their
ratios on all meshes; the unknowns of the last mesh, and those of equal cells that are as accurate.
"""

from __future__ import annotations

import copy
import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

import common
from ladders import REFERENCES
from ours import tables
from pore import case_of

import pnp_exclusion as pnp

ACCURACIES = (1e-4, 1e-6)
MOST_UNIFORM = 40_000
"""Unknowns of uniform meshes that are tried."""
SALT = [{"name": "plus", "charge": 1}, {"name": "minus", "charge": -1}]

type Exact = Mapping[str, float]
type Made = Callable[[int, Mapping[str, Any]], pnp.Case]


def by_tables(written: dict[str, Any]) -> Made:
    """Return what makes a case with so many cells, and settings of its solver."""

    def made(cells: int, solver: Mapping[str, Any]) -> pnp.Case:
        case = copy.deepcopy(written)
        case["domain"]["cells"] = cells
        case["solver"] = dict(solver)
        return pnp.make_case(case)

    return made


def of_peers(problem: str, voltage: float = 5.0) -> Made:
    """Return what makes a problem of the comparison with other codes."""
    return by_tables(tables(common.Task(problem, 1.0, "P2", voltage)))


def neutral(law: str, left: float, right: float, **domain: Any) -> Made:
    """Return what makes a case of neutral particles between two reservoirs."""
    ends = zip(("left", "right"), (left, right), strict=True)
    return by_tables(
        {
            "model": {"units": "dimensionless", "law": law, "electrostatics": "imposed"},
            "species": [{"name": "a"}],
            "domain": {"shape": "interval", "length": 1.0, **domain},
            "boundaries": [{"where": where, "kind": "reservoir", "fraction": {"a": held}} for where, held in ends],
        }
    )


def layer(voltage: float) -> Made:
    """Return what makes a blocking electrode in a salt of point ions, 20 Debye lengths wide."""
    return by_tables(
        {
            "model": {"units": "dimensionless", "law": "pnp", "debye_length": 0.05 * math.sqrt(0.2)},
            "species": SALT,
            "domain": {"shape": "interval", "length": 1.0},
            "boundaries": [
                {"where": "left", "kind": "electrode", "potential": voltage},
                {"where": "right", "kind": "reservoir", "fraction": {"plus": 0.1, "minus": 0.1}, "potential": 0.0},
            ],
        }
    )


def pore(problem: str) -> Made:
    """Return what makes a pore or a patch with so many squares to the unit of length."""
    return lambda cells, solver: case_of(problem, cells, **solver)


def currents(plus: float, minus: float) -> Exact:
    """Return the currents of two ions as goals."""
    return {"currents.plus": plus, "currents.minus": minus}


PROBLEMS: dict[str, tuple[Made, int, Exact]] = {
    "P1": (of_peers("P1"), 8, currents(*REFERENCES["P1"])),
    **{
        f"P2 at V = {v:g}": (of_peers("P2", v), 16, {"charge.left": common.surface_charge(v)})
        for v in (1.0, 10.0, 40.0)
    },
    "Gouy-Chapman, V = 4": (
        layer(4.0),
        16,
        # 2 lambda sqrt(2 c) sinh(V/2) of a salt of density c
        {"charge.left": 2.0 * 0.05 * math.sqrt(0.2) * math.sqrt(0.2) * math.sinh(2.0)},
    ),
    "sink, 0.3 to 3e-4": (neutral("pnp", 0.3, 3e-4), 4, {"currents.a": 0.3 - 3e-4}),
    "crowded, 0.9 to 0.1": (neutral("mpnp", 0.9, 0.1), 4, {"currents.a": math.log(0.9 / 0.1)}),
    "widening channel": (
        neutral("pnp", 0.3, 0.1, area="1 + 9*x"),
        4,
        {"currents.a": 0.2 * 9.0 / math.log(10.0)},
    ),
    "P4": (of_peers("P4"), 10, currents(*REFERENCES["P4"])),
    "P6": (pore("P6"), 5, currents(*REFERENCES["P6"])),
    "P7": (pore("P7"), 4, {"flux.bath.plus": REFERENCES["P7"][0]}),
}


def errors_of(solution: pnp.Solution, exact: Exact) -> list[tuple[int, float, float]]:
    """Return of every mesh the unknowns, the estimated error of the goal that is worst, and its true one, relative."""
    found = []
    for level in solution.refinement.levels:
        goal = max(exact, key=lambda name: abs(level.errors[name] / exact[name]))
        true = abs(level.values[goal] / exact[goal] - 1.0)
        found.append((level.unknowns, abs(level.errors[goal] / exact[goal]), true))
    return found


def uniform(made: Made, cells: int, exact: Exact, accuracy: float) -> int | None:
    """Return the unknowns of the coarsest mesh of equal cells, each half as large as those before, that is as accurate;
    None if none is that may be tried."""
    while True:
        # an accuracy that is reached at once has the error of this mesh estimated
        solution = pnp.solve(made(cells, {"accuracy": 0.999, "goal": goals_of(exact)}))
        level = solution.refinement.levels[0]
        if all(abs(level.values[name] / value - 1.0) <= accuracy for name, value in exact.items()):
            return level.unknowns
        if 3 * level.unknowns > MOST_UNIFORM:
            return None
        cells *= 2


def goals_of(exact: Exact) -> list[str]:
    """Return the goals whose values are known, as a case names them."""
    return list(dict.fromkeys(name.partition(".")[0] if name.startswith("currents") else name for name in exact))


def main() -> None:
    """Run all problems and print a table."""
    warnings.simplefilter("ignore", pnp.SolutionWarning)
    print("| problem | wanted | meshes | unknowns | estimated | true | estimated over true | CPU, s | equal cells |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (made, cells, exact) in PROBLEMS.items():
        for accuracy in ACCURACIES:
            settings = {"accuracy": accuracy, "goal": goals_of(exact)}
            pnp.solve(made(cells, settings))
            start = time.process_time()
            solution = pnp.solve(made(cells, settings))
            seconds = time.process_time() - start
            meshes = errors_of(solution, exact)
            unknowns, estimated, true = meshes[-1]
            as_many = uniform(made, cells, exact, true if true > 0.0 else accuracy)
            ratios = ", ".join(f"{one / other:.2f}" for _, one, other in meshes if other > 0.0)
            equal = f"{as_many}" if as_many else f"> {MOST_UNIFORM}"
            print(
                f"| {name} | {accuracy:.0e} | {len(meshes)} | {unknowns} | {estimated:.1e} | {true:.1e} | {ratios} | "
                f"{seconds:.2f} | {equal} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
