"""Speed of the lattice kernel: attempts per second, beside plain C, on two processes and two MPI ranks.

Two species, (0.2, 0.5) | (0.6, 0.1), fields (3, -3), as measured in a run: with currents,
densities and neighbour pairs counted. Needs gcc. Prints one line a figure. Processes are timed with
their start-up; ranks from a common barrier after a short run, for they are up before the work begins.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pnp_exclusion.particles.lattice import ExchangeProcess, Lattice, simulate_stationary
from pnp_exclusion.particles.lattice.engine import Apparatus, Engine, draw_start
from pnp_exclusion.particles.replicas import Monitor

SILENT = Monitor(stopped=lambda: False, say=lambda fraction: None)


def process_of(length: int) -> ExchangeProcess:
    """Return the process that is timed."""
    return ExchangeProcess(Lattice("reservoirs", length), (3.0, -3.0), (0.2, 0.5), (0.6, 0.1))


def kernel_speed(apparatus: Apparatus, samples: int) -> float:
    """Return attempted exchanges per second of the compiled kernel."""
    start = draw_start(apparatus.process, np.random.default_rng(1))
    engine = Engine(apparatus, start, np.random.SeedSequence(1))
    engine.observe(1, 1, SILENT)
    begun = time.perf_counter()
    engine.observe(1, samples, SILENT)
    return samples * apparatus.attempts_per_sample / (time.perf_counter() - begun)


def compile_c(folder: Path) -> Path:
    """Compile the C program and return it."""
    source = Path(__file__).with_suffix(".c")
    target = folder / "lattice_speed"
    subprocess.run(["gcc", "-O3", "-march=native", "-o", str(target), str(source)], check=True)
    return target


def c_speed(program: Path, apparatus: Apparatus, samples: int) -> float:
    """Return attempted exchanges per second of the C program."""
    length = apparatus.process.lattice.length
    command = [str(program), str(length), str(samples), str(apparatus.sweeps_per_sample)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def duration_of(process: ExchangeProcess, attempts: float) -> float:
    """Time in L^2/D that holds roughly so many attempts."""
    return attempts / process.lattice.scale**3


def process_seconds(process: ExchangeProcess, attempts: float, workers: int) -> float:
    """Seconds of two equal replicas on so many processes; ``attempts`` is that of each replica."""
    begun = time.perf_counter()
    simulate_stationary(process, duration_of(process, attempts), 1, replicas=2, workers=workers)
    return time.perf_counter() - begun


def time_ranks(process: ExchangeProcess, attempts: float) -> None:
    """Print, on rank 0, the seconds of two equal replicas on the ranks of this job."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    simulate_stationary(process, duration_of(process, 1e8), 1, replicas=2, communicator=world)
    world.barrier()
    begun = time.perf_counter()
    simulate_stationary(process, duration_of(process, attempts), 1, replicas=2, communicator=world)
    world.barrier()
    if world.rank == 0:
        print(time.perf_counter() - begun)


def rank_seconds(length: int, attempts: float, ranks: int) -> float:
    """Seconds of the same on so many MPI ranks."""
    command = ["mpiexec", "-n", str(ranks), sys.executable, __file__, "--on-ranks"]
    command += ["--length", str(length), "--attempts", str(attempts)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--attempts", type=float, default=3e8, help="per timing")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--on-ranks", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.on_ranks:
        time_ranks(process_of(arguments.length), arguments.attempts)
        return
    apparatus = Apparatus(process_of(arguments.length))
    samples = int(arguments.attempts / apparatus.attempts_per_sample)
    with tempfile.TemporaryDirectory() as folder:
        program = compile_c(Path(folder))
        # Turn about, so that a busy spell of the machine meets both.
        pairs = [
            (kernel_speed(apparatus, samples), c_speed(program, apparatus, samples)) for _ in range(arguments.repeats)
        ]
    ours, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"kernel          {ours / 1e6:8.1f} million attempts/s (n = {arguments.length})")
    print(f"plain C         {plain / 1e6:8.1f} million attempts/s")
    print(f"ratio           {statistics.median(a / b for a, b in pairs):8.2f}")
    attempts = 10 * arguments.attempts
    one, two = (process_seconds(apparatus.process, attempts, workers) for workers in (1, 2))
    print(f"one process     {one:8.2f} s for two replicas")
    print(f"two processes   {two:8.2f} s, {one / two:.2f} times as fast, start-up of the two included")
    one, two = (rank_seconds(arguments.length, attempts, ranks) for ranks in (1, 2))
    print(f"one rank        {one:8.2f} s for two replicas")
    print(f"two ranks       {two:8.2f} s, {one / two:.2f} times as fast")
    print(f"load            {os.getloadavg()[0]:8.2f} processes wanted a core in the last minute")


if __name__ == "__main__":
    main()
