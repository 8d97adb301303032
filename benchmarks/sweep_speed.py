"""Speed of a sweep: points a second of a one-dimensional diagram on two processes, start-up apart, and memory.

Two species between the reservoirs (0.6, 0.2) | (0.2, 0.6), stirring law, imposed fields in [-10, 10]^2: P2 elements,
80 cells. The start-up is that of a sweep of four points. Memory is that of the largest worker after a tenth of the
points and after all of them. Prints one line a figure.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASE = """
[model]
units = "dimensionless"
law = "shdl"
electrostatics = "imposed"

[[species]]
name = "A"
field = 0.0

[[species]]
name = "B"
field = 0.0

[domain]
shape = "interval"
length = 1.0

[[boundaries]]
where = "left"
kind = "reservoir"
fraction = {{ A = 0.6, B = 0.2 }}

[[boundaries]]
where = "right"
kind = "reservoir"
fraction = {{ A = 0.2, B = 0.6 }}

[output]
pictures = false

[sweep]
chunk = {chunk}

[[sweep.axes]]
key = "species.A.field"
from = -10.0
to = 10.0
count = {first}

[[sweep.axes]]
key = "species.B.field"
from = -10.0
to = 10.0
count = {second}
"""


def sweep_seconds(folder: Path, first: int, second: int, workers: int, chunk: int = 25) -> float:
    """Seconds of a whole command that solves a grid of points."""
    case = folder / f"{first}x{second}.toml"
    case.write_text(CASE.format(first=first, second=second, chunk=chunk))
    command = [str(Path(sys.executable).parent / "pnp-exclusion"), "sweep", str(case), "--quiet"]
    command += ["-o", str(case.with_suffix(".results")), "--workers", str(workers)]
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def largest_child() -> float:
    """Memory of the largest process so far that has ended below this one, MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=100, help="points along each field")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    side = arguments.side
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_up = min(sweep_seconds(folder / f".{i}", 2, 2, arguments.workers, 2) for i in _folders(folder, 3))
        sweep_seconds(folder, side, max(2, side // 10), arguments.workers)
        after_a_tenth = largest_child()
        whole = sweep_seconds(folder, side, side, arguments.workers)
    points = side * side
    print(f"start-up        {start_up:8.1f} s (four points on {arguments.workers} processes)")
    print(f"{points} points    {whole:8.1f} s, {whole - start_up:.1f} s after start-up")
    print(f"speed           {points / (whole - start_up):8.0f} points/s on {arguments.workers} processes")
    print(f"memory          {largest_child():8.0f} MB in the largest process; {after_a_tenth:.0f} MB for a tenth of it")


def _folders(folder: Path, count: int) -> range:
    """Make folders ``.0``, ``.1``, .. for repeated runs."""
    for number in range(count):
        (folder / f".{number}").mkdir()
    return range(count)


if __name__ == "__main__":
    main()
