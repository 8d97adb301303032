"""The package beside its peers: ``python benchmarks/peers/compare.py``; see README.md in this folder.

Every peer gets a virtual environment of its own, every run a process of its own with one thread, one after another.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from ladders import ACCURACY, CANNOT, CHECKS, LADDERS, NAMES, OURS, PEERS, REFERENCES, VOLTAGES, Series

LEVELS = [10.0**-digits for digits in range(3, 11)]
FALSE_ROOT = 0.1
"""A relative error above this is no discretisation error on any mesh of the ladders."""
ONE_THREAD = dict.fromkeys(
    ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NGS_NUM_THREADS", "NUMBA_NUM_THREADS"], "1"
)


@dataclass(frozen=True)
class Run:
    """One process: what it printed, or why it failed; times in seconds, memory in MB."""

    series: Series
    size: float
    failed: str = ""
    unknowns: int = 0
    error: float = math.nan
    solve: float = math.nan
    process: float = math.nan
    memory: float = math.nan
    values: tuple[float, ...] = ()


# ---- environments ----


def make_environment(peer: str, folder: Path) -> tuple[str, str]:
    """Return the interpreter of a peer's environment, made if need be, and why it cannot be had (or nothing)."""
    requirements = HERE / "requirements" / f"{peer}.txt"
    environment, stamp = folder / peer, folder / peer / "complete.txt"
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return str(python), ""
    print(f"installing {peer} ..", file=sys.stderr, flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    uv = shutil.which("uv")
    if uv:
        create = [uv, "venv", "--quiet", "--python", sys.executable, str(environment)]
        install = [uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(requirements)]
    else:
        create = [sys.executable, "-m", "venv", str(environment)]
        install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
    for command in (create, install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return "", "could not be installed: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
    stamp.write_text(requirements.read_text())
    return str(python), ""


def default_folder() -> Path:
    """Return where environments go if nothing is said."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pnp_exclusion" / "peers"


# ---- running ----


class Bench:
    """Runs scripts and measures them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.pythons = {OURS: (sys.executable, "")}

    def python(self, peer: str) -> tuple[str, str]:
        """Return a peer's interpreter and why there is none."""
        if peer not in self.pythons:
            self.pythons[peer] = make_environment(peer, self.options.environments)
        return self.pythons[peer]

    def run(self, problem: str, series: Series, size: float, repeats: int) -> Run:
        """Run one script once; it solves ``repeats`` times."""
        python, why = self.python(series.peer)
        if not python:
            return Run(series, size, failed=why)
        name, _, voltage = problem.partition(" at V = ")
        command = [python, str(HERE / series.script), name, repr(size), "--variant", series.variant]
        command += ["--repeats", str(repeats), *(["--voltage", voltage] if voltage else [])]
        start = time.perf_counter()
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=self.options.timeout,
                env=os.environ | ONE_THREAD,
            )
        except subprocess.TimeoutExpired:
            return Run(series, size, failed=f"failed: no answer in {self.options.timeout:g} s")
        seconds = time.perf_counter() - start
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return Run(series, size, failed=f"failed: {last[:100]}")
        return self._judge(problem, series, size, json.loads(lines[-1]), seconds)

    def _judge(self, problem: str, series: Series, size: float, result: dict[str, Any], seconds: float) -> Run:
        memory = result["peak_memory_MB"]
        if "failed" in result:
            return Run(series, size, failed=f"failed: {result['failed'][:100]}", memory=memory)
        values, reference = tuple(result["values"]), REFERENCES[problem]
        scale = max(map(abs, reference))
        error = max(abs(a - b) for a, b in zip(values, reference, strict=True)) / scale
        failed = f"false root: off by {100 * error:.3g} %" if error > FALSE_ROOT else ""
        solve, process = result["solve_seconds"], seconds - result["repeat_seconds"]
        if self.options.clock == "cpu":
            solve, process = result["solve_cpu_seconds"], result["cpu_seconds"] - result["repeat_cpu_seconds"]
        return Run(series, size, failed, result["unknowns"], error, solve, process, memory, values)

    def ladder(self, problem: str, series: Series) -> Iterator[Run]:
        """Run a series from coarse to fine, after one run that warms caches of files and of compiled forms."""
        sizes = series.sizes[: 2 if self.options.quick else None]
        self.run(problem, series, sizes[0], 1)
        for size in sizes:
            run = self.run(problem, series, size, self.options.repeats)
            print(f"{problem}: {series.label} {size:g}: {outcome(run)}", file=sys.stderr, flush=True)
            yield run


def outcome(run: Run) -> str:
    """Return a few words on a run, for the eye that waits."""
    return run.failed or f"error {run.error:.1e}, {run.solve:.3g} s"


# ---- tables ----


def envelope(runs: Sequence[Run], quantity: str) -> list[tuple[float, float]]:
    """Return (error, cost) of the runs that no other one beats in both, from inaccurate and cheap to the opposite."""
    points = sorted((getattr(run, quantity), run.error) for run in runs if not run.failed and run.error > 0.0)
    best: list[tuple[float, float]] = []
    for cost, error in points:
        if not best or error < best[-1][0]:
            best.append((error, cost))
    return best


def cost_at(level: float, points: Sequence[tuple[float, float]]) -> tuple[float, bool] | None:
    """Return the cost of an error level, log-log between runs, and whether it is only an upper bound; None if finer
    than the finest run."""
    if not points or points[-1][0] > level:
        return None
    if points[0][0] <= level:
        return points[0][1], points[0][0] < 0.5 * level
    for (error, cost), (next_error, next_cost) in pairwise(points):
        if next_error <= level:
            share = math.log(error / level) / math.log(error / next_error)
            return cost * (next_cost / cost) ** share, False
    return None


def short(number: float) -> str:
    """Return a cost in two digits, without exponents."""
    return f"{number:.0f}" if number >= 100.0 else f"{number:.2g}"


def by_series(runs: Sequence[Run]) -> dict[Series, list[Run]]:
    """Group runs."""
    groups: dict[Series, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.series, []).append(run)
    return groups


def runs_table(problem: str, runs: Sequence[Run]) -> Iterator[str]:
    """Yield the lines of the table of all runs."""
    yield "| peer | unknowns | error | solve, s | process, s | memory, MB |"
    yield "|---|---|---|---|---|---|"
    for run in runs:
        if run.failed:
            yield f"| {run.series.label} ({run.size:g}) | {run.unknowns or ''} | {run.failed.replace('|', '/')} | | | |"
        else:
            cells = f"{run.unknowns} | {run.error:.1e} | {short(run.solve)} | {short(run.process)} | {run.memory:.0f}"
            yield f"| {run.series.label} | {cells} |"
    for peer, why in CANNOT.get(problem.split()[0], {}).items():
        yield f"| {NAMES[peer]} | | {why} | | | |"


def equal_error_table(problem: str, runs: Sequence[Run], quantity: str) -> Iterator[str]:
    """Yield the lines of the table of costs at equal error; in brackets the ratio to ours."""
    ours = envelope([run for run in runs if run.series.peer == OURS], quantity)
    groups = {series: envelope(group, quantity) for series, group in by_series(runs).items()}
    levels = [
        level
        for level in LEVELS
        if level > ACCURACY.get(problem, 0.0)
        and sum(cost_at(level, points) is not None for points in groups.values()) > 1
    ]
    yield "| error | " + " | ".join(f"{level:.0e}" for level in levels) + " |"
    yield "|---|" + "---|" * len(levels)
    for series, points in groups.items():
        cells = []
        for level in levels:
            found, own = cost_at(level, points), cost_at(level, ours)
            if found is None:
                cells.append("")
                continue
            ratio = f" ({short(found[0] / own[0])})" if own and series.peer != OURS else ""
            cells.append(f"{'≤ ' if found[1] else ''}{short(found[0])}{ratio}")
        if any(cells):
            yield f"| {series.label} | " + " | ".join(cells) + " |"
    peers = [points for series, points in groups.items() if series.peer != OURS]
    ratios = [advantage(level, peers, ours) for level in levels]
    yield "| **cheapest peer, times ours** | " + " | ".join(ratios) + " |"


def advantage(level: float, peers: Sequence[Sequence[tuple[float, float]]], ours: Sequence[tuple[float, float]]) -> str:
    """Return what the cheapest peer pays for an error, times ours; empty if one side does not reach it."""
    found = [cost for points in peers if (cost := cost_at(level, points))]
    own = cost_at(level, ours)
    if not found or not own:
        return ""
    cost, bound = min(found)
    sign = "≤ " if bound and not own[1] else ""
    return f"**{sign}{short(cost / own[0])}**"


def report(problem: str, runs: Sequence[Run]) -> Iterator[str]:
    """Yield the lines of a problem's section."""
    reference = ", ".join(f"{value:.10g}" for value in REFERENCES[problem])
    yield f"\n## {problem}\n\nReference: {reference}.\n"
    yield from runs_table(problem, runs)
    for quantity, title in (
        ("solve", "Seconds of the solve alone at equal error (in brackets: times ours)"),
        ("process", "Seconds of the whole process at equal error (times ours)"),
        ("memory", "Peak memory in MB at equal error (times ours)"),
    ):
        yield f"\n{title}:\n"
        yield from equal_error_table(problem, runs, quantity)


# ---- command ----


def problems_of(names: str) -> list[str]:
    """Return the problems that a list of names means; P2 stands for its voltages."""
    chosen = []
    for name in names.split(","):
        if name not in LADDERS:
            raise SystemExit(f"there is no problem {name!r}; there is {', '.join(LADDERS)}")
        chosen += [f"P2 at V = {v:g}" for v in VOLTAGES] if name == "P2" else [name]
    return chosen


def check_references(bench: Bench, problems: Sequence[str]) -> None:
    """Print what fine runs by several codes give, relative to the references."""
    print("| problem | run | values | off the reference by |\n|---|---|---|---|")
    for problem in problems:
        for series in CHECKS.get(problem, []):
            for size in series.sizes:
                run = bench.run(problem, series, size, 1)
                values = ", ".join(f"{value:.12g}" for value in run.values)
                print(f"| {problem} | {series.label} {size:g} | {run.failed or values} | {run.error:.1e} |", flush=True)


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=",".join(LADDERS), help="default: %(default)s")
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="solves in every process; the best counts")
    parser.add_argument("--quick", action="store_true", help="only the two coarsest meshes of every ladder")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a machine with other users")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one process")
    parser.add_argument("--environments", type=Path, default=default_folder(), help="default: %(default)s")
    parser.add_argument("--references", action="store_true", help="only check the reference values by fine runs")
    options = parser.parse_args()
    problems = problems_of(options.problems)
    wanted = {OURS, *options.peers.split(",")}
    options.environments.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    if options.references:
        check_references(bench, problems)
        return
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start, {options.clock} clock, one thread"
    )
    for problem in problems:
        ladder = [series for series in LADDERS[problem.split()[0]] if series.peer in wanted]
        runs = [run for series in ladder for run in bench.ladder(problem, series)]
        print("\n".join(report(problem, runs)), flush=True)


if __name__ == "__main__":
    main()
