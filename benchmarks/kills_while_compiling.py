"""Processes killed while they compile forms into an empty cache: the next run with that cache must not be held up.

    python benchmarks/kills_while_compiling.py --times 20

SIGKILL, SIGTERM and SIGINT in turn, at moments spread over a run that compiles everything. The run that follows must
end with exit code 0, in no more time than one that finds the cache empty takes, but for what the machine does beside.
What can hear a signal ends with exit code 130. The exit code is 1 unless all do.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from interruptions import BIN, INTERRUPTED, hear_interrupts

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
FIRST = 1.0
"""Seconds until the first form is compiled."""
HELD_UP = 60.0
"""Seconds that a run after a kill may take beyond what one takes that finds the cache empty, on a busy machine."""


def start(case: Path, folder: Path, cache: Path) -> subprocess.Popen[str]:
    """Start a run with a cache of its own, in a process group of its own."""
    settings = {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(BIN / "pnp-exclusion"), "run", str(case), "-o", str(folder), "--quiet"],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=hear_interrupts,
    )


def finished(case: Path, folder: Path, cache: Path) -> float:
    """Return the seconds of a run; `SystemExit` if it does not end with exit code 0."""
    begun = time.perf_counter()
    process = start(case, folder, cache)
    _, said = process.communicate()
    if process.returncode:
        sys.exit(f"exit code {process.returncode}: {said}")
    return time.perf_counter() - begun


def main(words: Sequence[str] | None = None) -> int:
    """Kill, run, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--case", type=Path, default=Path(__file__).parents[1] / "examples" / "membrane.toml")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(words)
    draw, held_up, amiss = random.Random(arguments.seed), 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cold = finished(arguments.case, folder / "cold", folder / "cache")
        warm = finished(arguments.case, folder / "warm", folder / "cache")
        print(f"a run takes {cold:.1f} s with an empty cache, {warm:.1f} s with a full one", flush=True)
        for count in range(arguments.times):
            number, cache = SIGNALS[count % len(SIGNALS)], folder / f"cache{count}"
            after = FIRST + (cold - warm) * (count + draw.random()) / arguments.times
            process = start(arguments.case, folder / f"killed{count}", cache)
            time.sleep(after)
            # as somebody who knows the process does it, or the terminal, whose signal compilers hear too
            (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
            _, said = process.communicate()
            left = sum(1 for _ in cache.rglob("*.so"))
            seconds = finished(arguments.case, folder / f"next{count}", cache)
            held_up += seconds > cold + HELD_UP
            badly = number != signal.SIGKILL and process.returncode != INTERRUPTED
            amiss += badly
            print(
                f"{number.name} after {after:.1f} s: exit code {process.returncode}, {left} libraries left; "
                f"the next run: exit code 0 in {seconds:.1f} s{f'; it said: {said}' if badly else ''}",
                flush=True,
            )
    print(f"{arguments.times} killed, {amiss} of them ended amiss, {held_up} of the runs that followed were held up")
    return int(held_up + amiss > 0)


if __name__ == "__main__":
    sys.exit(main())
