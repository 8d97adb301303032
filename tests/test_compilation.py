"""The cache of compiled forms: whole libraries only, whoever is killed at work; one sentence where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import BIN, ROOT, dimensionless_case, write_toml

PATIENCE = 90.0
"""Seconds: less than the two minutes for which a run waited for a lock without an owner."""


def start(case: Path, folder: Path, ranks: int = 1, **environment: str) -> subprocess.Popen[str]:
    words = [str(BIN / "pnp-exclusion"), "run", str(case), "-o", str(folder), "--quiet", "--overwrite"]
    if ranks > 1:
        words = [str(BIN / "mpiexec"), "-n", str(ranks), *words]
    return subprocess.Popen(
        words,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A case of one species with few forms, small enough to be compiled in seconds."""
    tables = dimensionless_case() | {"species": [{"name": "A"}], "output": {"pictures": False, "fields": False}}
    for boundary in tables["boundaries"]:
        boundary["fraction"] = {"A": boundary["fraction"]["A"]}
    return write_toml(tables | {"solver": {"degree": 1}}, tmp_path / "case.toml")


def test_whoever_is_killed_while_compiling_holds_up_nobody(case: Path, tmp_path: Path):
    """Killed as soon as there is the code of a form and no library: where DOLFINx leaves a lock without an owner."""
    cache = tmp_path / "cache"
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130), (signal.SIGINT, 130)):
        process = start(case, tmp_path / "killed", XDG_CACHE_HOME=str(cache))
        before = set(cache.rglob("*.c"))
        until = time.monotonic() + PATIENCE
        while not set(cache.rglob("*.c")) - before:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, told
    process = start(case, tmp_path / "out", XDG_CACHE_HOME=str(cache))
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    finished = list((cache / "fenics" / "pnp_exclusion").glob("[!.]*"))
    # as DOLFINx marks what is ready; it found nothing that it had to compile into the cache itself
    assert all(len(list(form.glob("*.c"))) == len(list(form.glob("*.c.cached"))) == 1 for form in finished)
    assert len(finished) > 3
    # of the process that could do nothing about it
    assert len(list((cache / "fenics" / "pnp_exclusion").glob(".*"))) == 1


@pytest.mark.parametrize("ranks", [1, 2])
def test_no_compiler_is_one_sentence(case: Path, ranks: int, tmp_path: Path):
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "CC": str(tmp_path / "none")}
    process = start(case, tmp_path / "out", ranks, **cache)
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert told.startswith(
        "pnp-exclusion: forms are compiled at their first use, and the C compiler does not work here"
    )
    assert len(told.splitlines()) == 1


def test_cache_that_cannot_be_written_is_one_sentence(case: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    process = start(case, tmp_path / "out", XDG_CACHE_HOME=str(tmp_path / "file"))
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 4
    place = tmp_path / "file" / "fenics" / "pnp_exclusion"
    assert told.startswith(f"pnp-exclusion: cannot write the cache of compiled forms, {place}: Not a directory")
    assert len(told.splitlines()) == 1


def test_all_forms_are_compiled_in_one_place():
    """DOLFINx' own way leaves locks behind."""
    for path in (ROOT / "pnp_exclusion").rglob("*.py"):
        if path.name != "compilation.py":
            assert "fem.form(" not in path.read_text(), path
            assert "fem.Expression(" not in path.read_text(), path
