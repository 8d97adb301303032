"""What every script here shares: the numbers of the problems, the clock, and the JSON line at the end.

Needs the standard library only, because it is imported from every peer's own environment. Lengths are in L, energies in
kT, densities fractions of the sites; two ions, z = +1 and -1, both with D = 1.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

VALENCES = (1, -1)

# P1, P4, P5: point ions between two reservoirs of salt, potential VOLTAGE on the left and 0 on the right
DEBYE_LENGTH = 0.05
SALT_LEFT, SALT_RIGHT, VOLTAGE = 0.3, 0.1, 5.0
# P4 (square), P5 (cube): a fixed charge in FROM < x < TO and y < HIGH, in the cube also z < HIGH
FIXED_CHARGE, FROM, TO, HIGH = -0.5, 0.4, 0.6, 0.4

# P2: Bikerman's ions at a blocking electrode (left) against a bulk (right) of BULK of each ion
LAYER_DEBYE_LENGTH, BULK = 0.02, 0.1

# P6 (slit pore between two baths of this length, half of it), P9 (the same in space), P7 (electrode on a part of the
# bottom beside a wall): point ions, charge per area of the pore's walls
BATH, HALF_WIDTH, PATCH = 1.0, 0.2, 1.0
PORE_SALT, PORE_VOLTAGE, WALL_CHARGE = 0.1, 2.0, -0.02

DIMENSION = {"P1": 1, "P2": 1, "P4": 2, "P5": 3, "P6": 2, "P7": 2, "P9": 3}
ADAPTIVE = "adaptive"
"""End of a variant whose meshes are refined on the way; sizes are then ``-log10`` of the wanted accuracy, or how many
meshes there are."""


def surface_charge(voltage: float) -> float:
    """Return the exact surface charge of P2 (Kilic, Bazant and Ajdari 2007), the bulk being far away."""
    return LAYER_DEBYE_LENGTH * math.sqrt(2.0 * math.log(1.0 + 2.0 * BULK * (math.cosh(voltage) - 1.0)))


@dataclass(frozen=True)
class Task:
    """What the command line asks of a script.

    problem
        One of `DIMENSION`; P2 at ``voltage``.
    size
        How fine: cells per side, or what the script says.
    variant
        One of the ways of a script that knows several, such as the degree of its elements.
    """

    problem: str
    size: float
    variant: str
    voltage: float

    @property
    def dimension(self) -> int:
        """Of the domain."""
        return DIMENSION[self.problem]


@dataclass(frozen=True)
class Prepared:
    """A problem up to its solution: mesh, spaces and compiled forms exist.

    unknowns
        How many, or a function of what ``solve`` returned, for adaptive meshes.
    solve
        Cold start, first guess to converged state; this is timed, and repeated.
    measure
        From what ``solve`` returned to the quantities of interest: the flux of both ions through the right side (in
        the direction of x), or P2's surface charge.
    """

    unknowns: int | Callable[[Any], int]
    solve: Callable[[], Any]
    measure: Callable[[Any], list[float]]


class NotSolved(Exception):
    """The peer gave up; the message says how."""


def main(prepare: Callable[[Task], Prepared]) -> None:
    """Run a script: prepare, solve ``--repeats`` times, print one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", choices=DIMENSION)
    parser.add_argument("size", type=float)
    parser.add_argument("--variant", default="")
    parser.add_argument("--voltage", type=float, default=VOLTAGE)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    task = Task(arguments.problem, arguments.size, arguments.variant, arguments.voltage)
    result: dict[str, Any] = {}
    wall: list[float] = []
    cpu: list[float] = []
    try:
        prepared = prepare(task)
        for _ in range(arguments.repeats):
            start, cpu_start = time.perf_counter(), time.process_time()
            state = prepared.solve()
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - cpu_start)
        unknowns = prepared.unknowns(state) if callable(prepared.unknowns) else prepared.unknowns
        result["unknowns"] = int(unknowns)
        values = [float(value) for value in prepared.measure(state)]
        if all(math.isfinite(value) for value in values):
            result["values"] = values
        else:
            result["failed"] = "not a number"
    except Exception as error:  # noqa: BLE001 - whatever stops a peer belongs into the table
        lines = str(error).strip().splitlines() or [type(error).__name__]
        result["failed"] = lines[0] if isinstance(error, NotSolved) else f"{type(error).__name__}: {lines[-1]}"
    for name, seconds in (("", wall), ("cpu_", cpu)):
        if len(cpu) == arguments.repeats:
            result[f"solve_{name}seconds"] = min(seconds)
            result[f"repeat_{name}seconds"] = sum(seconds[1:])
    result["cpu_seconds"] = time.process_time()
    result["peak_memory_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(json.dumps(result), file=sys.__stdout__, flush=True)
