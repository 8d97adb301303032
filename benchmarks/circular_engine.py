"""Efficiency of the circular engine against YT: run as a loop, beside linear theory, measured and in the kinetic limit.

Leg A holds bullets alone, leg B bullets and rods, one of each per length, ``--length`` long; temperatures 1.1 and 0.9,
one copy of each. For every mass ratio and barrier one line: YT and the greatest efficiency (over Carnot's) as the
coefficients of leg B say, in the kinetic limit and as measured, and the loop's efficiency at half the stopping bias
beside that of linear theory there.
"""

import argparse
from pathlib import Path

from pnp_exclusion.case.gas_case import GasCase, checked_gas_case
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.studies.engine.gas_engine import KINETIC, MEASURED, GasEngine, run_gas_engine
from pnp_exclusion.studies.gas.run import Settings

HOT, COLD = 1.1, 0.9


def leg(length: float, mass: float, rods: int, barrier: float) -> GasCase:
    """Return the case of a leg."""
    kinds = [{"name": "bullet", "mass": mass}] + [{"name": "rod", "mass": 1.0, "number": rods}] * bool(rods)
    pairs = [{"kinds": ["bullet", "rod"], "barrier": barrier}] * bool(rods)
    ends = [
        {"where": where, "temperature": t, "density": {"bullet": 1.0}} for where, t in (("left", HOT), ("right", COLD))
    ]
    gas = {"units": "dimensionless", "length": length, "kinds": kinds, "pairs": pairs, "reservoirs": ends}
    return checked_gas_case({"gas": gas}, Path("leg.toml"))


def line(found: GasEngine, mass: float, barrier: float) -> str:
    """Return what is printed of one engine."""

    def shown(one: Estimate) -> str:
        return f"{float(one.mean):.3f} +- {float(one.error):.3f}"

    limit, measured, point = found.linear[KINETIC].engine, found.linear[MEASURED], found.points[1]
    half = -0.5 * measured.engine.stopping_load(found.driver)
    theory = measured.of(lambda one: float(one.conversion.efficiency(half, found.driver)))
    loop = Estimate(point.efficiency.mean / found.carnot, point.efficiency.error / found.carnot)
    stop = measured.of(lambda one: one.stopping_load(found.driver) * found.temperature)
    assert found.line is not None
    words = [
        f"{mass:g}:1",
        f"{barrier:g}",
        f"{limit.figure_of_merit:.3f}",
        shown(measured.of(lambda one: one.figure_of_merit)),
        f"{limit.conversion.best_efficiency:.3f}",
        shown(measured.of(lambda one: one.conversion.best_efficiency)),
        shown(theory),
        shown(loop),
        shown(stop),
        shown(found.line[0]),
    ]
    return f"| {' | '.join(words)} |"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=40)
    parser.add_argument("--masses", type=float, nargs="+", default=[1.5, 2.0])
    parser.add_argument("--barriers", type=float, nargs="+", default=[0.4, 0.8, 1.2])
    parser.add_argument("--time", type=float, default=20_000.0)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    print("| masses | h | YT, limit | YT, measured | eta_max, limit | measured | eta at U/2, linear | loop |", end="")
    print(" stopping bias, linear | loop |\n|---|---|---|---|---|---|---|---|---|---|")
    settings = Settings(time=arguments.time, replicas=4, workers=arguments.workers)
    for mass in arguments.masses:
        for barrier in arguments.barriers:
            legs = leg(4.0, mass, 0, barrier), leg(arguments.length, mass, arguments.length, barrier)
            try:
                print(line(run_gas_engine(*legs, points=3, settings=settings), mass, barrier), flush=True)
            except (ConvergenceError, UsageError) as error:
                print(f"| {mass:g}:1 | {barrier:g} | {error} |", flush=True)


if __name__ == "__main__":
    main()
