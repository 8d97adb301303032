"""How much of a warm run in one dimension is start-up: imports, and forms that are loaded instead of compiled.

    python benchmarks/start_up.py [--repeats 5]

Runs commands on examples, once for the caches and then several times; the fastest counts. Imports are timed around the
outermost import statements, forms by each run itself (`seconds` in its manifest; a sweep does not say), all of it by a
clock outside. Prints seconds and shares, and how many forms the warm runs compiled.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
COMMANDS = {
    "run membrane.toml": ("run", "membrane.toml"),
    "run two_electrodes.toml": ("run", "two_electrodes.toml"),
    "compare membrane.toml, four laws": ("compare", "membrane.toml"),
    "sweep voltage_and_salt.toml, one process": ("sweep", "voltage_and_salt.toml", "--workers", "1"),
}

TIMED = """
import builtins, importlib, sys, time

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

builtins.__import__, importlib.import_module = timed(original), timed(original_by_name)
note = sys.argv.pop(1)
from pnp_exclusion.cli.main import main
code = main()
with open(note, "w") as file:
    print(seconds, file=file)
sys.exit(code)
"""
"""A command that notes what its imports took: its first word is the file for that."""


def measure(words: tuple[str, ...], folder: Path) -> tuple[float, float, float]:
    """Return seconds of a command, of its imports, and of the forms of its solves (nan where it does not say)."""
    command, case, *others = words
    note, results = folder / "imports", folder / "results"
    program = [sys.executable, "-c", TIMED, str(note), command, str(EXAMPLES / case), *others, "-o", str(results)]
    note.unlink(missing_ok=True)
    begun = time.perf_counter()
    subprocess.run([*program, "--quiet", "--overwrite"], check=True, capture_output=True)
    whole = time.perf_counter() - begun
    manifests = [json.loads(path.read_text()) for path in results.rglob("manifest.json")]
    forms = sum(manifest.get("seconds", {}).get("forms", float("nan")) for manifest in manifests)
    return whole, float(note.read_text()), forms


def compiled() -> int:
    """Count the compiled forms in DOLFINx's cache."""
    program = "import pnp_exclusion.runtime.fenicsx as f; f.initialise_petsc(); import dolfinx.jit as j; "
    program += "print(j.get_options()['cache_dir'])"
    folder = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
    return len(list(Path(folder).glob("*.so")))


def main() -> None:
    """Run the commands and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("| | whole, s | imports, s | forms, s | share of both | forms compiled when warm |")
    print("|---|---|---|---|---|---|")
    for name, words in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            measure(words, Path(folder))
            before = compiled()
            whole, imports, forms = min(measure(words, Path(folder)) for _ in range(repeats))
            new = compiled() - before
        share = (imports + (0.0 if math.isnan(forms) else forms)) / whole
        shown = "" if math.isnan(forms) else f"{forms:.2f}"
        print(f"| {name} | {whole:.2f} | {imports:.2f} | {shown} | {share:.2f} | {new} |", flush=True)


if __name__ == "__main__":
    main()
