"""Runs in time that are killed, stopped, or find their disk full: each must end as one that nobody disturbed.

    python benchmarks/survive.py --kills 50 --stops 10 --full 10

A cell of two electrodes, one of which is pulsed and the other follows a sine, writes a checkpoint every second step.
Its systems are solved by one method on any number of ranks, so that step lengths agree to rounding. SIGKILL goes, at
random moments of the run, to it, or to one of two ranks, their launcher, or all of them; the next run goes on from
what is there on another number of ranks, and is killed too now and then. SIGTERM must end a run with exit code 5. The
full disk is a small one in memory (which only root can mount) that something else fills up while a run writes to it:
the run must end with exit code 4, lose no checkpoint, and go on once there is space.

Whatever happened, in the end the series must have the rows of the undisturbed run, to 1e-8 of the largest in each
column, each once, and so must the profile of the end. The exit code is 1 unless all do.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
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

import numpy as np
from interruptions import BIN, hear_interrupts

STOPPED, NO_DISK = 5, 4
ALIKE = 1e-8
"""Of the largest number in a column."""
AGAIN = 0.3
"""How often a run that goes on is killed too."""
EARLY = 0.1
"""How often a run is killed before its first step; all others are after they have left a checkpoint."""
PATIENCE = 300.0
SPACE = "8M"
"""Of the small disk."""

CASE = """
title = "A pulsed cell"

[model]
units = "dimensionless"
law = "shdl"
electrostatics = "poisson"
debye_length = 0.2

[[species]]
name = "cation"
charge = 1
mean_fraction = 0.1

[[species]]
name = "anion"
charge = -1
mean_fraction = 0.1

[domain]
shape = "interval"
length = 1.0
cells = 24

[[boundaries]]
where = "left"
kind = "electrode"
potential = { pulses = [0.0, 1.0], period = 0.02, width = 0.01 }

[[boundaries]]
where = "right"
kind = "electrode"
potential = { sine = 0.5, frequency = 20.0 }

[time]
end = 0.02
tolerance = 1e-2
fields = { count = 3 }
checkpoint = { steps = 2 }

[solver]
linear = "direct"

[output]
pictures = false
"""


def start(case: Path, folder: Path, ranks: int, *words: str) -> subprocess.Popen[str]:
    """Start a run in a process group of its own."""
    line = [str(BIN / "pnp-exclusion"), "run", str(case), "-o", str(folder), "--quiet", *words]
    if ranks > 1:
        line = [str(BIN / "mpiexec"), "-n", str(ranks), *line]
    return subprocess.Popen(
        line,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=hear_interrupts,
    )


def begin_or_go_on(case: Path, folder: Path, ranks: int) -> subprocess.Popen[str]:
    """As a script that is submitted again does."""
    goes_on = any((folder / "checkpoints").glob("checkpoint_*"))
    return start(case, folder, ranks, *(["--restart", str(folder)] if goes_on else ["--overwrite"]))


def processes_of(launcher: int) -> list[int]:
    """The process and all below it, the ranks last."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, rest = status.read_text().partition(" ")
            parents[int(number)] = int(rest.rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [launcher]
    for process in found:
        found += sorted(child for child, parent in parents.items() if parent == process)
    return found


def wait_until_gone(processes: Sequence[int]) -> None:
    """Wait until ranks whose launcher was killed have ended too."""
    until = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{process}/exe").exists() for process in processes):
        if time.monotonic() > until:
            sys.exit(f"still there after {PATIENCE:.0f} s: {processes}")
        time.sleep(0.05)


def kill(process: subprocess.Popen[str], whom: str) -> None:
    """End a run as nobody can prevent: one of its ranks, the launcher, or all there is."""
    all_of_it = processes_of(process.pid)
    ranks = [p for p in all_of_it if not list(set(processes_of(p)) - {p})]
    for victim in {"rank": ranks[-1:], "launcher": [process.pid], "all": all_of_it}[whom]:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate(timeout=PATIENCE)
    wait_until_gone(all_of_it)


def table(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the header of a table and its numbers."""
    with path.open() as stream:
        header, *rows = list(csv.reader(stream))
    return header, np.array([[float(cell) for cell in row] for row in rows])


def difference(folder: Path, right: Path) -> tuple[float, str]:
    """Return by how much the tables of a run differ at most from the right ones, and what else is wrong with them."""
    farthest = 0.0
    for name in ("series.csv", "profile.csv"):
        (header, found), (headed, there) = table(folder / name), table(right / name)
        if header != headed or found.shape != there.shape:
            return np.inf, f"{name} has {len(found)} rows instead of {len(there)}"
        scale = np.maximum(np.abs(there).max(axis=0), 1e-12)
        farthest = max(farthest, float((np.abs(found - there).max(axis=0) / scale).max()))
        if name == "series.csv" and not (np.diff(found[:, 0]) > 0.0).all():
            return farthest, "times do not ascend"
    left = {"series_unfinished.csv", ".unfinished"} & {entry.name for entry in folder.iterdir()}
    if left:
        return farthest, f"left {left}"
    return farthest, "" if farthest < ALIKE else f"differs by {farthest:.1e}"


def finish(case: Path, folder: Path, ranks: int, right: Path) -> tuple[float, str]:
    """Go on to the end; return as `difference`."""
    process = begin_or_go_on(case, folder, ranks)
    _, said = process.communicate(timeout=PATIENCE)
    if process.returncode:
        return np.inf, f"exit code {process.returncode}: {said}"
    return difference(folder, right)


def is_amiss(name: str, wrong: str, out: Path) -> bool:
    """Tell what is wrong with a run, if anything, and remove its results; return whether something is."""
    if wrong:
        print(f"{name}: {wrong}", flush=True)
    shutil.rmtree(out, ignore_errors=True)
    return bool(wrong)


def wait_for_rows(process: subprocess.Popen[str], out: Path, rows: int, *, checkpoint: bool = False) -> None:
    """Wait until a run has written so many steps, and a checkpoint if asked for, or has ended."""
    series = out / ".unfinished" / "series.csv"
    while process.poll() is None:
        with contextlib.suppress(OSError):
            has_one = not checkpoint or any((out / "checkpoints").glob("checkpoint_*"))
            if has_one and series.read_bytes().count(b"\n") > rows:
                return
        time.sleep(0.005)


def kills(
    case: Path, right: Path, rows: int, whole: dict[int, float], times: int, draw: random.Random, folder: Path
) -> int:
    """Kill runs, and let each go on; return how many did not end as they should."""
    failed, farthest, how, gone_on = 0, 0.0, Counter[str](), 0
    for count in range(times):
        out, ranks = folder / f"killed{count}", 1 + count % 2
        wrong, deaths = "", 0
        while deaths == 0 or (deaths < 4 and draw.random() < AGAIN):
            process = begin_or_go_on(case, out, ranks)
            if draw.random() > EARLY:
                wait_for_rows(process, out, draw.randint(0, rows - 2), checkpoint=True)
            time.sleep(whole[ranks] / rows * draw.random())
            if process.poll() is not None:
                _, said = process.communicate()
                if process.returncode:
                    wrong = f"exit code {process.returncode}: {said}"
                break
            whom = "all" if ranks == 1 else draw.choice(["rank", "launcher", "all"])
            kill(process, whom)
            how[f"{whom if ranks > 1 else 'the run'} on {ranks}"] += 1
            deaths += 1
            gone_on += any((out / "checkpoints").glob("checkpoint_*"))
            # on another number of ranks
            ranks = 3 - ranks
        apart, amiss = (
            finish(case, out, ranks, right) if not (out / "summary.json").exists() else difference(out, right)
        )
        farthest = max(farthest, apart)
        failed += is_amiss(f"killed {count}", wrong or amiss, out)
    told = ", ".join(f"{number} {what}" for what, number in sorted(how.items()))
    print(
        f"{times} runs, SIGKILL to {told}; {gone_on} times there was a checkpoint to go on from; tables differ by at "
        f"most {farthest:.1e}; {failed} not as they should",
        flush=True,
    )
    return failed


def stops(case: Path, right: Path, rows: int, times: int, draw: random.Random, folder: Path) -> int:
    """Stop runs by SIGTERM once they have begun to step, and let each go on."""
    failed, farthest, codes = 0, 0.0, Counter[int]()
    for count in range(times):
        out, ranks, after = folder / f"stopped{count}", 1 + count % 2, draw.randint(1, max(1, rows // 2))
        process = begin_or_go_on(case, out, ranks)
        wait_for_rows(process, out, after)
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
        codes[process.returncode] += 1
        wrong = "" if process.returncode == STOPPED else f"exit code {process.returncode}: {said}"
        apart, amiss = finish(case, out, 3 - ranks, right)
        farthest = max(farthest, apart)
        failed += is_amiss(f"stopped {count}", wrong or amiss, out)
    told = ", ".join(f"{number} with exit code {code}" for code, number in sorted(codes.items()))
    print(
        f"{times} runs at SIGTERM: {told}; tables differ by at most {farthest:.1e}; {failed} not as they should",
        flush=True,
    )
    return failed


def full(case: Path, right: Path, rows: int, times: int, draw: random.Random, folder: Path) -> int:
    """Fill the disk up while runs write to it; they go on when there is space again."""
    failed, farthest, disk = 0, 0.0, folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SPACE}", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        print(f"no small disk could be mounted ({mounted.stderr.decode().strip()}); not done", flush=True)
        return 1
    try:
        for count in range(times):
            out, ranks, after = disk / f"full{count}", 1 + count % 2, draw.randint(1, max(1, rows // 2))
            process = begin_or_go_on(case, out, ranks)
            wait_for_rows(process, out, after, checkpoint=True)
            filler, wrong = disk / "filler", ""
            with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
                while True:
                    stream.write(bytes(4096))
            there = newest_of(out)
            _, said = process.communicate(timeout=PATIENCE)
            if process.returncode != NO_DISK or "No space left" not in said:
                wrong = f"exit code {process.returncode}: {said}"
            elif not there or newest_of(out) < there:
                wrong = "a checkpoint was lost"
            filler.unlink()
            apart, amiss = finish(case, out, 3 - ranks, right)
            farthest = max(farthest, apart)
            failed += is_amiss(f"full disk {count}", wrong or amiss, out)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
    print(f"{times} full disks; tables differ by at most {farthest:.1e}; {failed} not as they should", flush=True)
    return failed


def newest_of(out: Path) -> str:
    """Return the name of the newest checkpoint of a run, empty if there is none."""
    return max((entry.name for entry in (out / "checkpoints").glob("checkpoint_*.npz")), default="")


def main(words: Sequence[str] | None = None) -> int:
    """Disturb and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--full", type=int, default=10)
    parser.add_argument("--case", type=Path, help="instead of a pulsed cell in one dimension")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(words)
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        case = arguments.case or folder / "cell.toml"
        if not arguments.case:
            case.write_text(CASE)
        whole = {}
        # the first compiles
        for name, ranks in (("cold", 1), ("right", 1), ("two", 2)):
            begun = time.perf_counter()
            process = start(case, folder / name, ranks)
            _, said = process.communicate()
            if process.returncode:
                sys.exit(f"the run itself ends with exit code {process.returncode}: {said}")
            whole[ranks] = time.perf_counter() - begun
        right = folder / "right"
        rows, (apart, amiss) = len(table(right / "series.csv")[1]), difference(folder / "two", right)
        print(
            f"a run takes {whole[1]:.1f} s, {whole[2]:.1f} s on two ranks, {rows} steps; between them tables differ by "
            f"{apart:.1e}{f', {amiss}' if amiss else ''}",
            flush=True,
        )
        failed = kills(case, right, rows, whole, arguments.kills, draw, folder) if arguments.kills else 0
        failed += stops(case, right, rows, arguments.stops, draw, folder) if arguments.stops else 0
        failed += full(case, right, rows, arguments.full, draw, folder) if arguments.full else 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
