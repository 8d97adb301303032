"""Interruptions of one run in three dimensions at moments spread over it: how each ends, and what it leaves behind.

    python benchmarks/interruptions.py --ranks 2 --times 50

A signal goes to the process group, as a terminal sends Ctrl-C; the launcher passes it on to its ranks. Every run must
end with exit code 130 and leave nothing but its log. The first moment is that at which the command begins: before, the
signal is the launcher's or the interpreter's to act on. The last line says how many ended so; the exit code is 1 unless
all did.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

BIN = Path(sys.executable).parent
INTERRUPTED = 130
FIRST = 0.6
"""Seconds until the command has begun; for each rank."""
LAST = 0.93
"""Of the time that a run takes: some end earlier than others."""
PATIENCE = 120.0
"""Seconds in which an interrupted run must have ended."""

CASE = """
title = "Salt in a box, by multigrid for every field"

[model]
units = "dimensionless"
law = "shdl"
electrostatics = "poisson"
debye_length = 0.3

[[species]]
name = "A"
charge = 1

[[species]]
name = "B"
charge = -1

[domain]
shape = "box"
size = [1.0, 1.0, 1.0]
cells = 20

[[boundaries]]
where = "left"
kind = "reservoir"
fraction = { A = 0.2, B = 0.2 }
potential = 3.0

[[boundaries]]
where = "right"
kind = "reservoir"
fraction = { A = 0.4, B = 0.4 }
potential = 0.0

[solver]
degree = 1
linear = "fieldsplit"
"""


def hear_interrupts() -> None:
    """Let a process hear SIGINT, which it ignores where this script runs in the background of a shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(case: Path, folder: Path, ranks: int) -> subprocess.Popen[str]:
    """Start a run in a process group of its own, as a shell does."""
    words = [str(BIN / "pnp-exclusion"), "run", str(case), "-o", str(folder), "--quiet"]
    if ranks > 1:
        words = [str(BIN / "mpiexec"), "-n", str(ranks), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=hear_interrupts,
    )


def interrupted(case: Path, folder: Path, ranks: int, after: float, number: signal.Signals) -> tuple[int, str] | None:
    """Return the exit code of a run that gets a signal, and what is wrong with how it ended, if anything.

    None if it had done its work before.
    """
    process = start(case, folder, ranks)
    time.sleep(after)
    if process.poll() is not None:
        return None
    os.killpg(process.pid, number)
    try:
        _, said = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
        return INTERRUPTED, f"still there after {PATIENCE:.0f} s: {said}"
    left = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    wrong = []
    if process.returncode == 0 and "summary.json" in left:
        # so late that it was heard no more
        return None
    if process.returncode != INTERRUPTED:
        wrong.append(f"exit code {process.returncode}: {said}")
    if set(left) - {"log.txt"}:
        wrong.append(f"left {', '.join(left)}")
    return process.returncode, "; ".join(wrong)


def main(words: Sequence[str] | None = None) -> int:
    """Interrupt and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--case", type=Path, help="instead of a box of 20 x 20 x 20 cells")
    parser.add_argument("--signal", choices=["SIGINT", "SIGTERM"], default="SIGINT")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(words)
    draw = random.Random(arguments.seed)
    number = signal.Signals[arguments.signal]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        case = arguments.case or folder / "box.toml"
        if not arguments.case:
            case.write_text(CASE)
        # the first compiles
        for name in ("cold", "warm"):
            begun = time.perf_counter()
            _, said = (process := start(case, folder / name, arguments.ranks)).communicate()
            if process.returncode:
                sys.exit(f"the run itself ends with exit code {process.returncode}: {said}")
            whole = time.perf_counter() - begun
        print(f"a run takes {whole:.1f} s on {arguments.ranks} rank(s)", flush=True)
        codes: Counter[int] = Counter()
        failed = 0
        for count in range(arguments.times):
            share = (count + draw.random()) / arguments.times
            first = FIRST * arguments.ranks
            after = first + share * (LAST * whole - first)
            ended = None
            while ended is None:
                ended = interrupted(case, folder / f"out{count}", arguments.ranks, after, number)
                shutil.rmtree(folder / f"out{count}", ignore_errors=True)
                after = max(first, 0.9 * after)
            code, wrong = ended
            codes[code] += 1
            if wrong:
                failed += 1
                print(f"after {after:.2f} s: {wrong}", flush=True)
    told = ", ".join(f"{count} with exit code {code}" for code, count in sorted(codes.items()))
    print(f"{arguments.times} of {arguments.signal} on {arguments.ranks} rank(s): {told}; {failed} not as they should")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
