"""Speed of the gas: events per second beside a full scan in the same run, over the number of particles, and memory.

Bullets and rods, masses 2:1, barrier 0.5, one of each per length, at equilibrium. Processor time of this process, the
best of several rounds; loops are compiled before. Prints one line a figure. ``--events`` runs on and shows the memory.
"""

import argparse
import resource
import time

import numpy as np

from pnp_exclusion.particles.gas.copy import GasCopy
from pnp_exclusion.particles.gas.model import bullets_and_rods
from pnp_exclusion.particles.replicas import Monitor

SILENT = Monitor(stopped=lambda: False, say=lambda fraction: None)
COMPARED = 400
ROUNDS = 5


def copy_of(particles: int, full_scan: bool = False) -> GasCopy:
    """Return a gas of about so many particles that has run a little."""
    gas = GasCopy(bullets_and_rods(particles / 2, 0.5), 40, np.random.SeedSequence(1), full_scan)
    gas.observe(1, 1, SILENT)
    return gas


def speed(gas: GasCopy, events: float) -> float:
    """Return events per second of processor time, the best of a few rounds of about so many events in all."""
    samples = max(1, round(events / ROUNDS / gas.counts.events[0]))
    best = 0.0
    for _ in range(ROUNDS):
        begun = time.process_time()
        gas.observe(1, samples, SILENT)
        best = max(best, int(gas.counts.events[0]) / (time.process_time() - begun))
        samples = max(1, round(events / ROUNDS / (gas.counts.events[0] / samples)))
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=float, default=0.0, help="run so many at n = 400 and show the memory")
    arguments = parser.parse_args()
    found = {n: speed(copy_of(n), 5e6) for n in (50, 100, 200, 400, 800, 1600, 3200)}
    for n, rate in found.items():
        print(f"n = {n:5d}: {rate / 1e6:6.2f} million events a second, {1e9 / rate:5.0f} ns an event")
    slope = np.polyfit(np.log2(list(found)), 1e9 / np.array(list(found.values())), 1)[0]
    print(f"time of an event grows by {slope:.1f} ns with every doubling of n")
    scan = speed(copy_of(COMPARED, full_scan=True), 3e5)
    print(f"full scan at n = {COMPARED}: {scan / 1e6:.2f} million a second; ratio {found[COMPARED] / scan:.1f}")
    if arguments.events:
        gas, events = copy_of(COMPARED), 0
        samples = max(1, round(arguments.events / 20 / gas.counts.events[0]))
        while events < arguments.events:
            gas.observe(1, samples, SILENT)
            events += int(gas.counts.events[0])
            held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"after {events / 1e6:6.0f} million events: {held:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
