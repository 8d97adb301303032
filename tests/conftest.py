"""What the tests share: PETSc started once, cases as dictionaries, and the command line as a user calls it."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from pnp_exclusion.case.case import make_case
from pnp_exclusion.errors import CaseError
from pnp_exclusion.runtime import fenicsx

fenicsx.initialise_petsc()

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent


def example(name: str) -> dict:
    """The tables of an example case."""
    with (EXAMPLES / f"{name}.toml").open("rb") as stream:
        return tomllib.load(stream)


@pytest.fixture
def membrane() -> dict:
    """The tables of the membrane example, to be changed."""
    return copy.deepcopy(example("membrane"))


def mistakes(tables: dict, folder: Path = Path()) -> list[str]:
    """The mistakes that are told of a case that has some."""
    with pytest.raises(CaseError) as caught:
        make_case(tables, folder)
    return caught.value.mistakes


def change(tables: dict, *path, to) -> dict:
    """Return a copy with one entry changed."""
    changed = copy.deepcopy(tables)
    target = changed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = to
    return changed


def run_command(*words: str | Path, ranks: int = 1, cwd: Path | None = None, timeout: float = 300.0):
    """Run ``pnp-exclusion`` as a user would; return the finished process with its texts."""
    command = [str(BIN / "pnp-exclusion"), *map(str, words)]
    if ranks > 1:
        command = [str(BIN / "mpiexec"), "-n", str(ranks), *command]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=timeout, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def summary_of(folder: Path) -> dict:
    """The summary of a result folder."""
    return json.loads((folder / "summary.json").read_text())


_READ_FIELDS = """
import json, sys, adios2, numpy
with adios2.FileReader(sys.argv[1]) as file:
    blocks = int(sys.argv[2])
    hidden = () if sys.argv[4:] else ("connectivity", "types")
    names = [name for name in file.available_variables() if name not in hidden]
    fields = {n: numpy.concatenate([numpy.atleast_1d(file.read(n, block_id=b)) for b in range(blocks)]) for n in names}
    markup = file.available_attributes()["vtk.xml"]["Value"]
numpy.savez(sys.argv[3], markup=markup, **fields)
"""


def read_fields(folder: Path, ranks: int = 1, cells: bool = False) -> dict:
    """The fields of a result folder as ADIOS2 reads them, and the markup that ParaView looks for; the cells if asked.

    In a process of its own: the library of the adios2 package does not get on with the one inside DOLFINx.
    """
    table = folder.parent / f"{folder.name}.npz"
    command = [
        sys.executable,
        "-c",
        _READ_FIELDS,
        str(folder / "fields.bp"),
        str(ranks),
        str(table),
        *["cells"] * cells,
    ]
    subprocess.run(command, check=True)
    return dict(np.load(table))


def write_toml(tables: dict, path: Path) -> Path:
    """Write nested dictionaries as TOML: enough of it for case files."""
    lines: list[str] = []
    for key, value in tables.items():
        if not isinstance(value, dict) and not _is_array_of_tables(value):
            lines.append(f"{key} = {_toml(value)}")
    for key, value in tables.items():
        if isinstance(value, dict):
            lines += [f"[{key}]", *(f"{k} = {_toml(v)}" for k, v in value.items())]
        elif _is_array_of_tables(value):
            for entry in value:
                lines += [f"[[{key}]]", *(f"{k} = {_toml(v)}" for k, v in entry.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(_toml(v) for v in value) + "]"
        case bool() | str():
            return json.dumps(value)
    return repr(value)


def dimensionless_case(**model: object) -> dict:
    """Two species between reservoirs (0.2, 0.5) and (0.6, 0.1), as in docs/numerics.md#reference-table."""
    return {
        "model": {"units": "dimensionless", "law": "shdl", "electrostatics": "imposed", **model},
        "species": [{"name": "A"}, {"name": "B"}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"A": 0.2, "B": 0.5}},
            {"where": "right", "kind": "reservoir", "fraction": {"A": 0.6, "B": 0.1}},
        ],
    }


def blocking_electrode(law: str, voltage: float, debye_length: float, bulk: float = 0.05) -> dict:
    """A symmetric salt of bulk fraction ``bulk`` against a blocking electrode on the left."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": debye_length},
        "species": [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "electrode", "potential": voltage},
            {"where": "right", "kind": "reservoir", "fraction": {"cation": bulk, "anion": bulk}, "potential": 0.0},
        ],
    }
