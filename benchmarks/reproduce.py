"""Runs every example by its command, reproduces what it has left, then again with one number of it changed.

    python benchmarks/reproduce.py [--ranks 2] [--only COMMAND,..]

The second run is on so many ranks (1).

A line for each: how many numbers there are, the largest relative difference, whether the changed one was found.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import xarray

BIN = Path(sys.executable).parent
EXAMPLES = Path(__file__).parents[1] / "examples"
SHORT_GAS = ("--time", "6000", "--replicas", "2")
SHORT_LATTICE = ("--sizes", "8,16", "--time", "10", "--replicas", "2")
COMMANDS = [
    *(
        ("run", f"{name}.toml")
        for name in (
            "two_electrodes",
            "cycled_electrodes",
            "charge_and_hold",
            "plating",
            "membrane",
            "uphill_calcium",
            "imposed_fields",
            "slit",
            "sphere",
            "striped_slit",
            "conical_nanopore",
            "no_field",
            "solvated_ions",
            "membrane_at_rest",
            "bullets_and_rods",
        )
    ),
    ("compare", "membrane.toml"),
    ("iv", "membrane.toml", "--boundary", "left", "--from", "-0.2 V", "--to", "0.2 V"),
    ("capacitance", "solvated_ions.toml", "--boundary", "left", "--from", "0 V", "--to", "0.2 V"),
    ("cv", "voltammogram.toml", "--boundary", "left", "--from", "0.25 V", "--to", "-0.3 V", "--rate", "50 mV/s"),
    ("impedance", "two_electrodes.toml"),
    ("noise", "membrane.toml"),
    ("correlations", "membrane.toml"),
    ("couple", "membrane.toml"),
    ("sweep", "voltage_and_salt.toml"),
    ("diagram", "diagrams/fields.toml", "--accuracy", "0.05"),
    ("diagram", "diagrams/contents.toml", "diagrams/bullets_and_rods.toml", "--accuracy", "0.05"),
    ("diagram", "diagrams/poisson.toml", "--accuracy", "0.05"),
    ("diagram", "diagrams/membrane_salt.toml", "diagrams/membrane_charge.toml", "--accuracy", "0.05"),
    ("engine", "engine_cation.toml", "engine_anion.toml"),
    ("engine", "engine_free_gas.toml", "engine_rods.toml", "--kinetic-limit"),
    ("lattice", "imposed_fields.toml", *SHORT_LATTICE),
    ("lattice", "no_field.toml", "--relaxation", "0.01,0.03", "--sizes", "32", "--replicas", "100"),
    ("lattice", "inverse_current.toml", "--sizes", "8", "--time", "200", "--replicas", "2"),
    ("lattice", "hot_and_crowded.toml", "--sizes", "8", "--time", "200", "--replicas", "2"),
    ("gas", "gas.toml", *SHORT_GAS),
    ("gas", "gas_diagram.toml", *SHORT_GAS),
]


def pnp_exclusion(*words: str | Path, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    """Run the command, on some ranks."""
    launcher = [str(BIN / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run([*launcher, str(BIN / "pnp-exclusion"), *map(str, words)], capture_output=True, text=True)


def change_one_number(folder: Path) -> str:
    """Change the last number of the first file of results that has one of some size by 1e-5 of it; name the file."""
    for path in sorted(folder.glob("*.csv")) + sorted(folder.glob("*.json")) + sorted(folder.glob("*/*.csv")):
        text = path.read_text()
        numbers = list(re.finditer(r"(?<![\w.])-?\d+\.\d*[1-9]\d{3,}", text))
        if numbers and path.name != "manifest.json":
            last = numbers[-1]
            path.write_text(text[: last.start()] + repr(1.00001 * float(last[0])) + text[last.end() :])
            return path.name
    for path in folder.glob("*.nc"):
        with xarray.open_dataset(path) as dataset:
            changed = dataset.load()
        changed["current"].values.flat[0] *= 1.00001
        changed.to_netcdf(path, format="NETCDF3_64BIT", engine="scipy")
        return path.name
    return ""


def main(ranks: int, only: list[str]) -> None:
    """Go through all commands, or those of some names."""
    for command, *words in COMMANDS:
        if only and command not in only:
            continue
        given = [str(EXAMPLES / word) if word.endswith(".toml") else word for word in words]
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "results"
            first = pnp_exclusion(command, *given, "-o", folder, "--quiet")
            title = " ".join([command, *(word.removesuffix(".toml") for word in words if word.endswith(".toml"))])
            if not (folder / "manifest.json").is_file():
                print(f"{title:55s} exit {first.returncode}, no results: {first.stderr.strip()[-200:]}", flush=True)
                continue
            again = pnp_exclusion("reproduce", folder, "--quiet", ranks=ranks)
            rows = [re.split(r"  +", line) for line in again.stdout.splitlines()[1:-1]]
            numbers = sum(int(row[1]) for row in rows)
            largest = max((float(row[2]) for row in rows), default=float("nan"))
            changed = change_one_number(folder)
            third = pnp_exclusion("reproduce", folder, "--quiet") if changed else again
            found = (
                f"{changed} changed: {'found' if third.returncode == 3 and changed in third.stderr else 'NOT FOUND'}"
            )
            print(f"{title:55s} exit {again.returncode}, {numbers:7d}, {largest:8.1e}; {found}", flush=True)
            if again.returncode:
                print(again.stderr[-1500:], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    main(given.ranks, given.only.split(",") if given.only else [])
