"""How much of a warm run in one dimension is start-up: imports, and forms that are loaded instead of compiled.

    python benchmarks/start_up.py [--repeats 5]

Runs commands on examples, once for the caches and then several times, each in a process of its own and then with a
process on standby (docs/standby.md); the fastest counts. Imports are timed around the outermost import statements, on
standby those of the command and of the child that does it; forms by each run itself (`seconds` in its manifest; a sweep
does not say), all of it by a clock outside. Prints seconds and shares, and how many forms the warm runs compiled.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
COMMANDS = {
    "run membrane.toml": ("run", "membrane.toml"),
    "run two_electrodes.toml": ("run", "two_electrodes.toml"),
    "compare membrane.toml, four laws": ("compare", "membrane.toml"),
    "sweep voltage_and_salt.toml, one process": ("sweep", "voltage_and_salt.toml", "--workers", "1"),
}

TIMED = """
import builtins, importlib, os, sys, time

original, original_by_name = builtins.__import__, importlib.import_module
depth, seconds = 0, 0.0

def timed(function):
    def outermost(*words, **named):
        global depth, seconds
        depth, begun = depth + 1, time.perf_counter()
        try:
            return function(*words, **named)
        finally:
            depth -= 1
            if depth == 0:
                seconds += time.perf_counter() - begun
    return outermost

def forget():
    global seconds
    seconds = 0.0

os.register_at_fork(after_in_child=forget)
builtins.__import__, importlib.import_module = timed(original), timed(original_by_name)
note = sys.argv.pop(1)
from pnp_exclusion.cli import main
code = main()
with open(note, "a") as file:
    print(seconds, file=file)
sys.exit(code)
"""
"""A command that notes what its imports took: its first word is the file for that."""


def measure(words: tuple[str, ...], folder: Path, meeting_place: Path) -> tuple[float, float, float]:
    """Return seconds of a command, of its imports, and of the forms of its solves (nan where it does not say)."""
    command, case, *others = words
    note, results = meeting_place / "imports", folder / "results"
    program = [sys.executable, "-c", TIMED, str(note), command, str(EXAMPLES / case), *others, "-o", str(results)]
    note.unlink(missing_ok=True)
    begun = time.perf_counter()
    subprocess.run(
        [*program, "--quiet", "--overwrite"], env=environment(meeting_place), check=True, capture_output=True
    )
    whole = time.perf_counter() - begun
    manifests = [json.loads(path.read_text()) for path in results.rglob("manifest.json")]
    forms = sum(manifest.get("seconds", {}).get("forms", float("nan")) for manifest in manifests)
    return whole, sum(map(float, note.read_text().split())), forms


def environment(meeting_place: Path) -> dict[str, str]:
    """Return that of commands which look for a process on standby in this folder."""
    return {**os.environ, "XDG_RUNTIME_DIR": str(meeting_place)}


@contextlib.contextmanager
def on_standby(meeting_place: Path) -> Iterator[None]:
    """Keep a process on standby."""
    program = [sys.executable, "-c", TIMED, str(meeting_place / "imports"), "standby"]
    server = subprocess.Popen(program, env=environment(meeting_place), stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        server.stderr.readline()
        yield
    finally:
        server.terminate()
        _, said = server.communicate()
        if "not taken" in said:
            raise SystemExit(said)


def compiled() -> int:
    """Count the compiled forms in DOLFINx's cache."""
    program = "import pnp_exclusion.fenicsx as f; f.initialise_petsc(); import dolfinx.jit as j; "
    program += "print(j.get_options()['cache_dir'])"
    folder = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    return len(list(Path(folder).glob("*.so")))


def main() -> None:
    """Run the commands and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("| | process | whole, s | imports, s | forms, s | share of both | forms compiled when warm |")
    print("|---|---|---|---|---|---|---|")
    for name, words in COMMANDS.items():
        for kind, waiting in (("its own", contextlib.nullcontext), ("on standby", on_standby)):
            with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as meeting_place:
                place = Path(meeting_place)
                arguments = words, Path(folder), place
                with waiting(place):
                    measure(*arguments)
                    before = compiled()
                    whole, imports, forms = min(measure(*arguments) for _ in range(repeats))
                    new = compiled() - before
            share = (imports + (0.0 if math.isnan(forms) else forms)) / whole
            shown = "" if math.isnan(forms) else f"{forms:.2f}"
            print(f"| {name} | {kind} | {whole:.2f} | {imports:.2f} | {shown} | {share:.2f} | {new} |", flush=True)


if __name__ == "__main__":
    main()
