"""The same numbers on one, two and three ranks; an error or a death on one rank ends them all."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import BIN, EXAMPLES, dimensionless_case, read_fields, run_command, summary_of, write_toml


def solved(case: Path, folder: Path, ranks: int) -> dict:
    finished = run_command("run", case, "-o", folder, ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count(" Newton steps") == 1
    return summary_of(folder)


def _kind(key: str) -> str:
    first = key.split()[0]
    return first if first in ("charge", "force", "entropy") else "flux"


def flattened(summary: dict) -> dict[str, float]:
    fluxes = {f"{side} {name}": flux["value"] for side, all_ in summary["flux"].items() for name, flux in all_.items()}
    charges = {f"charge {side}": charge["value"] for side, charge in summary["charge"].items()}
    forces = {f"force {name}": force for name, force in summary["force"].items()}
    return fluxes | charges | forces | {"entropy": summary["entropy_production"]["value"]}


@pytest.mark.parametrize(("name", "many"), [("membrane", 2), ("two_electrodes", 3), ("slit", 3), ("sphere", 2)])
def test_several_ranks_give_the_numbers_of_one_to_1e_9(name: str, many: int, tmp_path: Path):
    case = EXAMPLES / f"{name}.toml"
    one, other = (solved(case, tmp_path / str(ranks), ranks) for ranks in (1, many))
    expected = flattened(one)
    largest = {key: max(abs(v) for k, v in expected.items() if _kind(k) == _kind(key)) for key in expected}
    if name == "two_electrodes":
        # nothing flows: compare with one kT and with what that would drive through the cell, some 1e-3 mol/m^2/s
        least = {"flux": 1e-3, "force": 1.0, "entropy": 1e-3, "charge": 0.0}
        largest = {key: max(value, least[_kind(key)]) for key, value in largest.items()}
    for key, value in flattened(other).items():
        assert value == pytest.approx(expected[key], rel=1e-9, abs=1e-9 * largest[key]), key
    assert other["unknowns"] == one["unknowns"]


def test_profile_is_gathered_whole_from_every_rank(tmp_path: Path):
    case = EXAMPLES / "membrane.toml"
    tables = []
    for ranks in (1, 3):
        solved(case, tmp_path / str(ranks), ranks)
        tables.append(np.loadtxt(tmp_path / str(ranks) / "profile.csv", delimiter=",", skiprows=1))
    np.testing.assert_allclose(tables[1], tables[0], atol=1e-9)


def test_fields_of_several_ranks_hold_every_cell(tmp_path: Path):
    summary = solved(EXAMPLES / "slit.toml", tmp_path / "out", 3)
    assert read_fields(tmp_path / "out", ranks=3)["NumberOfEntities"].sum() == summary["cells"]


_GUESS = """
import sys
import numpy as np
from pnp_exclusion.runtime import fenicsx
fenicsx.initialise_petsc()
import pnp_exclusion as pnp
from pnp_exclusion.case.build import build
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SteadySolver
from pnp_exclusion.discretisation.discretisation import Discretisation

discrete = Discretisation(build(pnp.read_case(sys.argv[1])).problem)
with OptionsDatabase() as database, SteadySolver(discrete, database) as solver:
    solver.guess.fill("densities")
before = discrete.unknown.x.array.copy()
discrete.unknown.x.scatter_forward()
assert np.abs(discrete.unknown.x.array - before).max() == 0.0
"""


@pytest.mark.parametrize("ranks", [2, 3])
def test_first_guess_is_one_function_on_all_ranks(ranks: int, tmp_path: Path):
    """Owner and ghosts of a node must hold the same value, or it would depend on the partition."""
    script = tmp_path / "guess.py"
    script.write_text(_GUESS)
    command = [str(BIN / "mpiexec"), "-n", str(ranks), str(BIN / "python"), str(script), str(EXAMPLES / "slit.toml")]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr


def test_disk_error_on_one_rank_while_fields_are_written_ends_every_rank(tmp_path: Path):
    """The VTX writer is made to fail on rank 1 alone."""
    script = tmp_path / "fail.py"
    script.write_text(
        "import sys\n"
        "from pnp_exclusion.cli import main as cli\n"
        "from pnp_exclusion.runtime import fenicsx\n"
        "fenicsx.initialise_petsc()\n"
        "from mpi4py import MPI\n"
        "from pnp_exclusion.output import vtx\n"
        "class Writer(vtx.VTXWriter):\n"
        "    def write(self, time):\n"
        "        if MPI.COMM_WORLD.rank == 1: raise RuntimeError('disk of rank one')\n"
        "vtx.VTXWriter = Writer\n"
        f"sys.exit(cli.main(['run', {str(EXAMPLES / 'membrane.toml')!r}, '-o', {str(tmp_path / 'out')!r}]))\n"
    )
    command = [str(BIN / "mpiexec"), "-n", "3", str(BIN / "python"), str(script)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 4, finished.stderr
    assert finished.stderr.count("disk of rank one") == 1


def test_mistake_is_told_once_and_ends_every_rank(tmp_path: Path):
    tables = dimensionless_case()
    tables["boundaries"][0]["fraction"]["A"] = 0.6
    case = write_toml(tables, tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out", ranks=3, timeout=60)
    assert finished.returncode == 2
    assert finished.stderr.count("the species fill 1.1 of the space") == 1


def test_disk_error_on_rank_zero_ends_every_rank():
    finished = run_command("run", EXAMPLES / "membrane.toml", "-o", "/proc/results", ranks=2, timeout=60)
    assert finished.returncode == 4
    assert finished.stderr.count("cannot write to /proc/results") == 1


def test_unexpected_error_on_one_rank_ends_every_rank(tmp_path: Path):
    """The others would wait in a collective for ever."""
    script = tmp_path / "fail.py"
    script.write_text(
        "import sys\n"
        "from mpi4py import MPI\n"
        "from pnp_exclusion.cli import main as cli\n"
        "from pnp_exclusion.cli.commands import run as command\n"
        "def run(arguments, options):\n"
        "    if MPI.COMM_WORLD.rank == 1:\n"
        "        raise RuntimeError('rank one broke')\n"
        "    MPI.COMM_WORLD.Barrier()\n"
        "command.execute = run\n"
        "sys.exit(cli.main(['run', 'x.toml']))\n"
    )
    command = [str(BIN / "mpiexec"), "-n", "3", str(BIN / "python"), str(script)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode != 0
    assert "rank one broke" in finished.stderr


def test_killing_one_rank_ends_the_job(tmp_path: Path):
    command = [str(BIN / "mpiexec"), "-n", "3", str(BIN / "pnp-exclusion"), "run", str(EXAMPLES / "sphere.toml"), "-o"]
    job = subprocess.Popen([*command, str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        victim = _wait_for_rank(job.pid)
        time.sleep(1.0)
        os.kill(victim, signal.SIGKILL)
        job.communicate(timeout=60)
    finally:
        job.kill()
    assert job.returncode != 0
    assert not (tmp_path / "out" / "summary.json").exists()


def _wait_for_rank(launcher: int) -> int:
    """Return the process of one rank: a Python that descends from the launcher."""
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        ranks = [
            pid
            for pid in _descendants(launcher)
            if "pnp-exclusion" in _command_line(pid) and "mpiexec" not in _command_line(pid)
        ]
        ranks = [pid for pid in ranks if "hydra" not in _command_line(pid)]
        if len(ranks) >= 3:
            return ranks[1]
        time.sleep(0.05)
    raise TimeoutError("the ranks did not start")


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(grandchild for child in children for grandchild in _descendants(child))]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


_LARGEST = """
from mpi4py import MPI
import numpy as np
from pnp_exclusion.runtime.parallel import largest_over_ranks
comm = MPI.COMM_WORLD
found = []
for bad in (None, 0, 1, 2):
    values = np.array([1.0 + comm.rank, np.nan if comm.rank == bad else 0.0])
    found.append(largest_over_ranks(comm, values))
found.append(largest_over_ranks(comm, np.array([]) if comm.rank else np.array([-5.0]), least=-np.inf))
gathered = comm.gather(found)
if comm.rank == 0:
    print(gathered)
"""


def test_largest_over_ranks_is_nan_on_all_if_it_is_on_one(tmp_path: Path):
    """MPI's maximum over NaN depends on the order of the ranks; the right values are plain to see in the script."""
    (tmp_path / "largest.py").write_text(_LARGEST)
    command = [str(BIN / "mpiexec"), "-n", "3", str(BIN / "python"), str(tmp_path / "largest.py")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.strip() == str([[3.0, float("nan"), float("nan"), float("nan"), -5.0]] * 3)
