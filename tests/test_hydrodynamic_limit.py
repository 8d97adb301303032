"""The lattice process, the exact solutions and the finite elements against each other.

Seeds are fixed. Where a bound is statistical it is stated how often the right code would miss it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import BIN, EXAMPLES, dimensionless_case, run_command, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.errors import UsageError
from pnp_exclusion.exact import stationary_state
from pnp_exclusion.verification.continuum import require_channel


def channel(left: list[float], right: list[float], fields: list[float]) -> dict:
    names = "abcde"[: len(left)]
    tables = dimensionless_case()
    tables["species"] = [{"name": name, "field": field} for name, field in zip(names, fields, strict=True)]
    for boundary, contents in zip(tables["boundaries"], (left, right), strict=True):
        boundary["fraction"] = dict(zip(names, contents, strict=True))
    return tables


@pytest.mark.parametrize(
    ("left", "right", "fields"),
    [
        ([0.2, 0.3, 0.1], [0.1, 0.2, 0.5], [4.0, -7.0, 2.0]),
        ([0.1, 0.2, 0.05, 0.3, 0.15], [0.3, 0.05, 0.2, 0.1, 0.1], [6.0, -3.0, 10.0, 0.0, -8.0]),
    ],
)
def test_finite_elements_agree_with_the_exact_solution_for_three_and_five_species(left, right, fields):
    """Currents and profile of `exact`, a matrix exponential that knows nothing of meshes."""
    exact = stationary_state(left, right, fields)
    solution = pnp.solve(pnp.make_case(channel(left, right, fields)))
    np.testing.assert_allclose(
        list(solution.steady.currents.values()), exact.currents, atol=1e-7 * np.abs(exact.currents).max()
    )
    from pnp_exclusion.observe.sample import profile

    found = profile(solution.discretisation)
    np.testing.assert_allclose(found.rho, exact.density(found.x), atol=1e-6)


def test_finite_elements_agree_with_the_exact_solution_in_pieces_of_field_and_diffusivity():
    tables = channel([0.2, 0.5], [0.6, 0.1], [0.0, 0.0])
    tables["species"][0]["field"] = {"x": [0.0, 0.4, 0.4, 1.0], "values": [8.0, 8.0, -3.0, -3.0]}
    tables["regions"] = [{"name": "slow", "x": [0.4, 1.0], "diffusivity": 0.5}]
    exact = stationary_state(
        [0.2, 0.5], [0.6, 0.1], [[8.0, -3.0], [0.0, 0.0]], edges=(0.0, 0.4, 1.0), diffusivity=[1.0, 0.5]
    )
    solution = pnp.solve(pnp.make_case(tables))
    np.testing.assert_allclose(list(solution.steady.currents.values()), exact.currents, rtol=1e-6)


def lattice(case: Path, folder: Path, *words: str, ranks: int = 1) -> dict:
    finished = run_command("lattice", case, "-o", folder, "--quiet", *words, ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    return json.loads((folder / "lattice.json").read_text())


def deviations(found: dict, size: int) -> np.ndarray:
    """Measured minus continuum currents in standard errors."""
    measured = next(entry for entry in found["sizes"] if entry["n"] == size)["currents"]
    continuum = found["continuum"]["currents"]
    return np.array([(m["value"] - continuum[name]["value"]) / m["error"] for name, m in measured.items()])


def test_lattice_approaches_the_continuum_between_reservoirs_in_opposite_fields(tmp_path: Path):
    """At n = 64 the lattice is 0.0026 from its limit; the bound of 6 errors of 0.0012 leaves 4 for noise."""
    case = write_toml(channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0]), tmp_path / "case.toml")
    found = lattice(case, tmp_path / "out", "--sizes", "16,64", "--time", "150")
    assert np.abs(deviations(found, 64)).max() < 6.0
    # at n = 16 the distance, 0.009, is far outside the error bars: the comparison must see it
    assert found["sizes"][0]["agrees"] is False
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {
        "lattice.json", "manifest.json", "lattice_profiles.png", "lattice_convergence.png", "log.txt",
    }  # fmt: skip


def test_species_flows_against_its_own_force_on_the_lattice_too(tmp_path: Path):
    """Equal reservoirs (0.3, 0.3), fields (1, 6): uniform state, J_1 = 0.3 (1 - 0.3 * 7) = -0.33 exactly in the limit.

    F_1 = 1 > 0 and J_1 < 0. The standard error is near 0.005, so a positive current would be 60 of them away.
    """
    case = write_toml(channel([0.3, 0.3], [0.3, 0.3], [1.0, 6.0]), tmp_path / "case.toml")
    found = lattice(case, tmp_path / "out", "--sizes", "64", "--time", "40")
    assert found["continuum"]["currents"]["a"]["value"] == pytest.approx(-0.33, rel=1e-9)
    assert found["sizes"][0]["direction"] == {"a": "inverse", "b": "with its force"}
    assert found["sizes"][0]["currents"]["a"]["value"] == pytest.approx(-0.33, abs=0.05)


def test_lattice_in_the_self_consistent_field_of_the_membrane(tmp_path: Path):
    """P-SHDL in SI: currents within 3 % (1/n at n = 64) and the cation against its force, as in the continuum."""
    found = lattice(EXAMPLES / "membrane.toml", tmp_path / "out", "--sizes", "64", "--time", "100")
    measured, continuum = found["sizes"][0]["currents"], found["continuum"]["currents"]
    assert measured["Cl"]["value"] == pytest.approx(continuum["Cl"]["value"], rel=0.03)
    assert found["sizes"][0]["direction"]["Na"] == "inverse"
    assert measured["Na"]["unit"] == "mol/m^2/s"


def test_step_relaxes_as_the_heat_equation_says(tmp_path: Path):
    """Chi-square against heat kernels at two times; a true simulation misses either bound once in ten million."""
    case = write_toml(dimensionless_case(), tmp_path / "case.toml")
    found = lattice(case, tmp_path / "out", "--sizes", "64", "--relaxation", "0.01,0.05")
    assert all(entry["chi_square"]["probability"] > 1e-7 for entry in found["times"])
    assert [entry["time"] for entry in found["times"]] == [{"value": 0.01, "unit": ""}, {"value": 0.05, "unit": ""}]
    assert found["replicas"] == 1000


def test_hopping_is_labelled_as_a_departure_from_its_mean_field_law(tmp_path: Path):
    tables = channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0])
    tables["model"]["law"] = "vacancy"
    found = lattice(write_toml(tables, tmp_path / "case.toml"), tmp_path / "out", "--sizes", "32", "--time", "100")
    assert found["continuum_is_the_limit"] is False
    assert found["verdict"].startswith("Departure of the process from the mean-field law")


def without_seconds(found: dict) -> dict:
    return found | {"sizes": [{key: value for key, value in one.items() if key != "seconds"} for one in found["sizes"]]}


def test_ranks_and_processes_do_not_change_a_bit_of_the_answer_in_the_self_consistent_field(tmp_path: Path):
    """The field of the membrane comes from a solution that several ranks would round in another way."""
    words = (EXAMPLES / "membrane.toml", "--sizes", "16,32", "--time", "30", "--replicas", "3")
    one = lattice(words[0], tmp_path / "one", *words[1:])
    two = lattice(words[0], tmp_path / "two", *words[1:], ranks=2)
    processes = lattice(words[0], tmp_path / "processes", *words[1:], "--workers", "2")
    for other in (two, processes):
        assert without_seconds(other) == without_seconds(one)


@pytest.mark.parametrize(
    ("change", "words", "sentence"),
    [
        ({"law": "mpnp"}, [], 'law "mpnp" is not the limit of a lattice process'),
        ({}, ["--time", "1e-4", "--form", "exponential"], "--time 0.0001 is too short for n = 16"),
        ({}, ["--time", "inf"], "--time must be a number greater than 0"),
        ({}, ["--sizes", "0,16"], "--sizes takes whole numbers greater than 0"),
        ({}, ["--sizes", "x"], "--sizes takes whole numbers greater than 0"),
        ({}, ["--sizes", "32,100000000"], "--sizes are at most 10000, but one is 100000000"),
        ({}, ["--replicas", "0"], "--replicas must be a number greater than 0"),
        ({}, ["--seed", "-1"], "--seed must be 0 or greater, but it is -1"),
        # fields of 30 and -30 differ by 60, and the least rate is 1 - 60/(2 (n + 1)): 0 at n = 29
        ({}, ["--sizes", "3,64"], "--sizes 3: the field is too strong"),
        ({}, ["--sizes", "3,64"], "take at least --sizes 29, or --form exponential"),
        ({}, ["--relaxation", "0.1"], "--relaxation compares with the heat equation"),
    ],
)
def test_what_the_lattice_cannot_do_is_told_in_a_sentence(
    change: dict, words: list[str], sentence: str, tmp_path: Path
):
    tables = channel([0.2, 0.5], [0.6, 0.1], [30.0, -30.0])
    tables["model"] |= change
    case = write_toml(tables, tmp_path / "case.toml")
    finished = run_command("lattice", case, "-o", tmp_path / "out", "--sizes", "16", *words)
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" not in finished.stderr
    assert sentence in finished.stderr


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"domain": {"shape": "interval", "length": 1.0, "area": "1 + x"}}, "the same section everywhere: remove area"),
        ({"regions": [{"name": "m", "x": [0.3, 0.6], "partition": {"a": 1.0}}]}, "remove ions, excluded and partition"),
        ({"regions": [{"name": "m", "x": [0.3, 0.6], "excluded": ["a"]}]}, "remove ions, excluded and partition"),
        ({"reactions": [{"equation": "a <-> b", "forward": 1.0, "backward": 2.0}]}, "remove [[reactions]]"),
        ({"model": {"law": "vacancy", "sizes": "volume-fractions"}}, "fill one site each: remove sizes"),
    ],
)
def test_lattice_that_lacks_what_the_case_has_is_refused(changes: dict, sentence: str):
    """It would be compared with the solution of another case."""
    tables = channel([0.2, 0.5], [0.6, 0.1], [1.0, -1.0])
    for key, value in changes.items():
        tables[key] = tables[key] | value if key == "model" else value
    with pytest.raises(UsageError, match=re.escape(sentence)):
        require_channel(pnp.solve(tables))


def start(tmp_path: Path, *words: str) -> subprocess.Popen:
    """A run in two opposite fields with a group of processes of its own, as in a terminal."""
    case = write_toml(channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0]), tmp_path / "case.toml")
    return subprocess.Popen(
        [str(BIN / "pnp-exclusion"), "lattice", str(case), "-o", str(tmp_path / "out"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
        start_new_session=True,
    )


def workers_of(job: subprocess.Popen) -> list[int]:
    """Process ids of its workers, by their session and their command line; they may outlive it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ours = os.getsid(int(process.name)) == job.pid and "spawn_main" in (process / "cmdline").read_text()
            found += [int(process.name)] if ours else []
    return sorted(found)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_interruption_just_after_a_finished_size_keeps_it_and_says_so(workers: str, tmp_path: Path):
    job = start(tmp_path, "--sizes", "16,128", "--time", "60", "--workers", workers)
    for line in job.stderr:
        if "n = 128" in line:
            os.killpg(job.pid, signal.SIGINT)
            break
    printed, told = job.communicate(timeout=60)
    assert job.returncode == 130, told
    assert "Traceback" not in told
    assert "Interrupted: n = 128 not measured; lattice and continuum" in printed
    found = json.loads((tmp_path / "out" / "lattice.json").read_text())
    assert found["interrupted"] is True
    assert [one["n"] for one in found["sizes"]] == [16]
    assert found["missing_sizes"] == [128]


def test_interruption_while_workers_start_ends_quietly(tmp_path: Path):
    job = start(tmp_path, "--sizes", "256", "--workers", "2", "--quiet")
    while not workers_of(job):
        assert job.poll() is None
        time.sleep(0.01)
    os.killpg(job.pid, signal.SIGINT)
    printed, told = job.communicate(timeout=60)
    assert job.returncode == 130, told
    assert told == ""
    assert "Interrupted: nothing was measured." in printed


def test_workers_that_are_killed_again_and_again_end_the_run_with_a_sentence(tmp_path: Path):
    """As by a kernel short of memory; nothing half-written is left, and no process."""
    job = start(tmp_path, "--sizes", "256", "--workers", "2", "--quiet")
    while job.poll() is None:
        for worker in workers_of(job)[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        time.sleep(0.05)
    _, told = job.communicate(timeout=60)
    assert job.returncode == 1
    assert told.startswith(
        "pnp-exclusion: n = 256: worker processes ended 2 times at the same task, the last by SIGKILL"
    )
    assert len(told.splitlines()) == 1
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["log.txt"]
    assert workers_of(job) == []
