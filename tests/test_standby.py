"""A command done by the process on standby is what it would have been on its own; references are commands that were."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from conftest import BIN, EXAMPLES, ROOT, change, example, write_toml

from pnp_exclusion import commands
from pnp_exclusion.standby.address import address
from pnp_exclusion.standby.client import send_signal

MEMBRANE = str(EXAMPLES / "membrane.toml")
PATIENCE = 60.0
LEGS = [str(EXAMPLES / f"engine_{ion}.toml") for ion in ("cation", "anion")]
ONE_OF_EACH: list[tuple[str, ...]] = [
    ("run", MEMBRANE, "--quiet"),
    ("compare", MEMBRANE, "--laws", "pnp,shdl", "--quiet"),
    ("sweep", str(EXAMPLES / "voltage_and_salt.toml"), "--plan-only", "--quiet"),
    ("lattice", str(EXAMPLES / "no_field.toml"), "--sizes", "8", "--time", "5", "--quiet"),
    ("couple", MEMBRANE, "--points", "3", "--quiet"),
    ("engine", *LEGS, "--points", "3", "--quiet"),
    ("diagram", str(EXAMPLES / "diagrams" / "contents.toml"), "--resolution", "3", "--quiet"),
    ("check", MEMBRANE),
    ("mesh", str(ROOT / "meshes" / "slit.py"), "-o", "slit.msh"),
    ("warm", MEMBRANE, "--quiet"),
    ("schema",),
    ("info",),
]


def hear_signals() -> None:
    """Undo in a new process that whoever runs the tests has them ignored, as a shell in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Standby:
    """A process on standby, what it says, and commands that find it."""

    def __init__(self, folder: Path, program: Sequence[str | Path], **variables: str) -> None:
        self.folder, self.program = folder, program
        self.commands: list[subprocess.Popen[str]] = []
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_RUNTIME_DIR": str(folder), **variables}
        self._lines = folder / "lines"
        # through a pipe, whose reader may go
        self.process = subprocess.Popen(
            [*program, "standby"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=hear_signals,
        )
        with self._lines.open("w") as lines:
            self.reader = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=lines)
        self.process.stderr.close()

    @property
    def said(self) -> str:
        return self._lines.read_text()

    def until(self, come: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not come():
            assert time.monotonic() < end, self.said
            time.sleep(0.02)

    def begin(self, *words: str | Path, **options: object) -> subprocess.Popen[str]:
        """Begin a command that is to be handed over, from the same shell."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True}
        usual = {"env": self.environment, "preexec_fn": hear_signals, **pipes}
        command = subprocess.Popen([*self.program, *words], **{**usual, **options})
        self.commands.append(command)
        return command

    def do(self, *words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        """Do such a command."""
        command = self.begin(*words, **options)
        out, err = command.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(command.args, command.returncode, out, err)

    def kill_commands(self) -> None:
        """Leave nothing at work."""
        for command in self.commands:
            command.kill()
            command.wait()
        self.taken(0)

    def children(self) -> list[int]:
        """The processes of commands at work."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(number) for number in listed.split()]

    def taken(self, count: int) -> list[int]:
        """Wait until so many commands are at work."""
        self.until(lambda: len(self.children()) == count)
        return self.children()


@contextlib.contextmanager
def on_standby(
    folder: Path, program: Sequence[str | Path] = (BIN / "pnp-exclusion",), **variables: str
) -> Iterator[Standby]:
    folder.mkdir(exist_ok=True)
    standby = Standby(folder, program, **variables)
    try:
        standby.until(lambda: "stands by" in standby.said)
        yield standby
    finally:
        standby.process.terminate()
        try:
            standby.process.wait(PATIENCE)
        finally:
            standby.process.kill()
            standby.reader.wait(PATIENCE)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standby]:
    with on_standby(tmp_path_factory.mktemp("run"), PS1="$ ") as process:
        yield process
        assert process.process.poll() is None, process.said


@pytest.fixture
def standby(shared: Standby) -> Iterator[Standby]:
    yield shared
    shared.kill_commands()


def alone(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "pnp-exclusion", *words],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def without_measurements(text: str) -> str:
    return re.sub(r"(at most|in) \d+ (MB|s)", r"\1 .. \2", text)


def state_of(process: int) -> str:
    """One letter of Linux: T is stopped, R and S are not."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_results_and_words_are_those_of_a_process_of_its_own(standby: Standby, tmp_path: Path):
    done = standby.do("run", MEMBRANE, "-o", "taken", "--", "-snes_rtol", "1e-11", cwd=tmp_path)
    reference = alone("run", MEMBRANE, "-o", "alone", "--", "-snes_rtol", "1e-11", cwd=tmp_path)
    standby.until(lambda: "taken -- -snes_rtol 1e-11: exit code 0" in standby.said)
    assert without_measurements(done.stdout) == without_measurements(reference.stdout)
    assert done.stderr == reference.stderr
    assert done.returncode == reference.returncode == 0
    taken, own = tmp_path / "taken", tmp_path / "alone"
    assert sorted(p.name for p in taken.iterdir()) == sorted(p.name for p in own.iterdir())
    assert (taken / "profile.csv").read_text() == (own / "profile.csv").read_text()
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (taken, own)]
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (taken, own)]
    for summary in summaries:
        del summary["wall_seconds"]
    for manifest in manifests:
        del manifest["seconds"], manifest["peak_memory_mb"]
        manifest["command_line"].remove("taken" if "taken" in manifest["command_line"] else "alone")
    assert summaries[0] == summaries[1]
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "missing.toml"), 2),
        (("run", MEMBRANE, "-o", "/proc/nowhere"), 4),
        (("run",), 2),
        (("run", MEMBRANE, "-o", "stuck", "--", "-snes_max_it", "1"), 3),
        (("--version",), 0),
        *((command, 0) for command in ONE_OF_EACH),
    ],
)
def test_sentences_and_exit_codes_are_those_of_a_process_of_its_own(
    standby: Standby, words: tuple[str, ...], code: int, tmp_path: Path
):
    for name in ("taken", "alone"):
        (tmp_path / name).mkdir()
    before = standby.said.count("exit code")
    done = standby.do(*words, cwd=tmp_path / "taken")
    reference = alone(*words, cwd=tmp_path / "alone")
    assert done.returncode == reference.returncode == code
    assert without_measurements(done.stdout) == without_measurements(reference.stdout)
    assert done.stderr == reference.stderr
    standby.until(lambda: standby.said.count("exit code") == before + 1)


def test_every_command_is_tried_on_standby():
    assert {command for command, *_ in ONE_OF_EACH} == {*commands.NAMES} - {"standby"}


def test_commands_run_side_by_side_and_a_sweep_has_its_workers(standby: Standby, tmp_path: Path):
    sweep = standby.begin("sweep", EXAMPLES / "voltage_and_salt.toml", "-o", "sweep", "--workers", "2", cwd=tmp_path)
    runs = [standby.begin("run", MEMBRANE, "-o", f"run{n}", cwd=tmp_path) for n in range(2)]
    assert [command.wait(PATIENCE) for command in (sweep, *runs)] == [0, 0, 0]
    assert (tmp_path / "sweep" / "sweep.nc").stat().st_size > 0
    assert (tmp_path / "run0" / "profile.csv").read_text() == (tmp_path / "run1" / "profile.csv").read_text()


@pytest.mark.parametrize(
    ("options", "name"),
    [({"umask": 0o077}, "umask"), ({"env": {"OMP_NUM_THREADS": "2"}}, "$OMP_NUM_THREADS")],
)
def test_command_in_other_circumstances_runs_on_its_own(standby: Standby, options: dict, name: str, tmp_path: Path):
    options = {key: {**standby.environment, **value} if key == "env" else value for key, value in options.items()}
    done = standby.do("check", MEMBRANE, cwd=tmp_path, **options)
    assert done.returncode == 0
    assert done.stdout == alone("check", MEMBRANE).stdout
    assert f"check {MEMBRANE}: not taken, because of a different {name}" in standby.said


def test_ranks_run_on_their_own(standby: Standby, tmp_path: Path):
    command = [BIN / "mpiexec", "-n", "2", BIN / "pnp-exclusion", "run", MEMBRANE, "-o", tmp_path / "results"]
    subprocess.run(command, env=standby.environment, check=True, capture_output=True, timeout=PATIENCE)
    assert json.loads((tmp_path / "results" / "manifest.json").read_text())["ranks"] == 2


def test_command_whose_output_is_closed_runs_on_its_own(standby: Standby):
    lines = standby.said
    script = f"exec {BIN / 'pnp-exclusion'} check {MEMBRANE} >&-"
    assert subprocess.run(["sh", "-c", script], env=standby.environment, timeout=PATIENCE).returncode == 0
    assert standby.said == lines


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_reach_the_command(standby: Standby, number: signal.Signals, code: int, tmp_path: Path):
    command = standby.begin("run", write_slow_case(tmp_path), "-o", tmp_path / "results")
    standby.taken(1)
    wait_for_log(standby, tmp_path / "results")
    command.send_signal(number)
    assert command.wait(PATIENCE) == code
    assert standby.children() == []
    assert not (tmp_path / "results" / "summary.json").exists()


def test_ignored_signals_stay_ignored(standby: Standby, tmp_path: Path):
    command = standby.begin(
        "run",
        write_slow_case(tmp_path),
        "-o",
        tmp_path / "results",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    (process,) = standby.taken(1)
    wait_for_log(standby, tmp_path / "results")
    os.kill(process, signal.SIGINT)
    command.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert standby.children() == [process]
    command.terminate()
    assert command.wait(PATIENCE) == -signal.SIGTERM


def test_command_stops_and_goes_on_with_whoever_asked_for_it(standby: Standby, tmp_path: Path):
    command = standby.begin("run", write_slow_case(tmp_path), "-o", tmp_path / "results")
    (process,) = standby.taken(1)
    wait_for_log(standby, tmp_path / "results")
    command.send_signal(signal.SIGTSTP)
    standby.until(lambda: state_of(process) == state_of(command.pid) == "T")
    command.send_signal(signal.SIGCONT)
    standby.until(lambda: "T" not in (state_of(process), state_of(command.pid)))
    command.terminate()
    command.wait(PATIENCE)


def test_killed_command_takes_its_process_along_and_the_other_way_round(standby: Standby, tmp_path: Path):
    case = write_slow_case(tmp_path)
    command = standby.begin("run", case, "-o", tmp_path / "first")
    standby.taken(1)
    command.kill()
    standby.taken(0)
    command = standby.begin("run", case, "-o", tmp_path / "second")
    (process,) = standby.taken(1)
    os.kill(process, signal.SIGKILL)
    assert command.wait(PATIENCE) == -signal.SIGKILL


def test_command_does_not_wait_for_one_that_is_stopped(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        standby.process.send_signal(signal.SIGSTOP)
        done = standby.do("run", MEMBRANE, "-o", tmp_path / "results")
        standby.process.send_signal(signal.SIGCONT)
        assert done.returncode == 0
        assert (tmp_path / "results" / "summary.json").exists()
        assert standby.do("--version").returncode == 0
        standby.until(lambda: "--version: exit code 0" in standby.said)
        # done by itself, not a second time
        assert "not taken, because it waited no longer" in standby.said
        assert standby.said.count("exit code") == 1


def test_command_can_be_ended_while_the_one_on_standby_is_stopped(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        command = standby.begin("run", write_slow_case(tmp_path), "-o", tmp_path / "results")
        (process,) = standby.taken(1)
        wait_for_log(standby, tmp_path / "results")
        standby.process.send_signal(signal.SIGSTOP)
        command.terminate()
        standby.until(lambda: state_of(process) == "Z")
        standby.process.send_signal(signal.SIGCONT)
        assert command.wait(PATIENCE) == -signal.SIGTERM


def test_nobody_waits_for_whoever_does_not_read_what_it_says(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        standby.reader.send_signal(signal.SIGSTOP)
        pipe = os.open(f"/proc/{standby.reader.pid}/fd/0", os.O_RDONLY)
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        begun = time.monotonic()
        for _ in range(5):
            # a line that would be longer than the pipe
            assert standby.do("check", "n" * 6000).returncode == 2
        assert time.monotonic() - begun < PATIENCE / 2
        os.close(pipe)
        standby.reader.send_signal(signal.SIGCONT)


FAULTY = """
import os, signal, sys
from pnp_exclusion.cli import main
from pnp_exclusion.standby.request import Request
def take_over(self): {fault}
Request.take_over = take_over
sys.exit(main())
"""


@pytest.mark.parametrize("fault", ['raise OSError(116, "Stale file handle")', "os.kill(os.getpid(), signal.SIGKILL)"])
def test_command_that_could_not_begin_is_done_by_whoever_asked(fault: str, tmp_path: Path):
    program = tmp_path / "faulty.py"
    program.write_text(FAULTY.format(fault=fault))
    with on_standby(tmp_path / "run", [sys.executable, program]) as standby:
        done = standby.do("check", MEMBRANE)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == alone("check", MEMBRANE).stdout
        standby.until(lambda: "exit code" in standby.said)
        assert "exit code 0" not in standby.said and "Traceback" not in standby.said


@pytest.mark.parametrize("number", [1, 0, -9])
def test_signals_are_for_commands_and_never_for_everybody(number: int):
    with pytest.raises(ValueError, match="is not the number of a command"):
        send_signal(number, signal.SIGCONT)


def test_another_one_takes_over_while_the_first_waits_for_its_last_commands(tmp_path: Path):
    with on_standby(tmp_path / "run") as first:
        command = first.begin("run", write_slow_case(tmp_path), "-o", tmp_path / "results")
        first.taken(1)
        first.process.send_signal(signal.SIGHUP)
        # of which a terminal that closes sends two
        first.process.send_signal(signal.SIGHUP)
        first.until(lambda: not address_in(first.folder).exists())
        with on_standby(tmp_path / "run") as second:
            assert second.do("--version").returncode == 0
            second.until(lambda: "--version: exit code 0" in second.said)
            assert first.process.poll() is None or command.poll() == 0
        command.kill()
        command.wait(PATIENCE)


def test_leaving_waits_for_commands_and_a_second_one_is_refused(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        second = standby.do("standby")
        assert second.returncode == 2
        assert "another process is on standby already" in second.stderr
        command = standby.begin("run", MEMBRANE, "-o", tmp_path / "results")
        standby.taken(1)
        standby.process.terminate()
        assert command.wait(PATIENCE) == 0
        assert standby.process.wait(PATIENCE) == 0
        assert not address_in(standby.folder).exists()
    assert (tmp_path / "results" / "summary.json").exists()


def test_one_that_is_killed_ends_its_commands_and_does_no_other_harm(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        command = standby.begin("run", write_slow_case(tmp_path), "-o", tmp_path / "results")
        (process,) = standby.taken(1)
        standby.process.kill()
        assert command.wait(PATIENCE) == 1
        assert "the process on standby was ended, and this command with it" in command.communicate()[1]
        standby.until(lambda: not Path(f"/proc/{process}").exists())
        # its socket is still there
        assert standby.do("check", MEMBRANE).returncode == 0
    with on_standby(tmp_path / "run") as standby:
        assert standby.do("check", MEMBRANE).returncode == 0
        standby.until(lambda: "exit code 0" in standby.said)


def test_nobody_who_stays_silent_or_talks_nonsense_holds_up_commands(standby: Standby):
    for nonsense in (
        b"",
        b"[" * 100_000 + b"\n",
        b"[]\n",
        b'{"words": []}\n',
        b'{"words": 1, "terminal": {}, "circumstances": {}, "ignored": []}\n',
    ):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(address_in(standby.folder)))
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(nonsense)
            count = standby.said.count("--version: exit code 0")
            assert standby.do("--version").returncode == 0
            standby.until(lambda count=count: standby.said.count("--version: exit code 0") == count + 1)


def test_nobody_has_to_read_what_it_says(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        standby.reader.kill()
        standby.reader.wait()
        command = standby.begin("run", MEMBRANE, "-o", tmp_path / "results")
        assert standby.taken(1)
        assert standby.do("check", MEMBRANE).returncode == 0
        assert command.wait(PATIENCE) == 0
        assert standby.process.poll() is None


def test_script_without_the_prompt_of_its_shell_is_taken(standby: Standby):
    environment = {name: value for name, value in standby.environment.items() if name != "PS1"}
    before = standby.said.count("--version: exit code 0")
    assert standby.do("--version", env=environment).returncode == 0
    standby.until(lambda: standby.said.count("--version: exit code 0") == before + 1)


def test_file_that_only_the_shell_has_is_read(standby: Standby):
    before = standby.said
    script = f"{BIN / 'pnp-exclusion'} check <(cat {MEMBRANE})"
    done = subprocess.run(["bash", "-c", script], env=standby.environment, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0
    assert standby.said == before


def test_it_leaves_when_installed_files_change(tmp_path: Path):
    package = tmp_path / "site" / "pnp_exclusion"
    shutil.copytree(ROOT / "pnp_exclusion", package, ignore=shutil.ignore_patterns("__pycache__"))
    # the lock of an editor
    (package / ".#cli.py").symlink_to("nobody@nowhere")
    # not from the current folder, which may be the repository's
    module = [sys.executable, "-P", "-m", "pnp_exclusion"]
    with on_standby(tmp_path / "run", module, PYTHONPATH=str(package.parent)) as standby:
        assert standby.do("check", MEMBRANE).returncode == 0
        standby.until(lambda: "exit code 0" in standby.said)
        (package / "cli.py").touch()
        assert standby.do("check", MEMBRANE).returncode == 0
        assert standby.process.wait(PATIENCE) == 0
        standby.until(lambda: "not taken, because installed files have changed" in standby.said)
        assert standby.said.count("exit code 0") == 1


def test_folder_that_others_can_write_to_is_not_trusted(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        address_in(standby.folder).parent.chmod(0o777)
        assert standby.do("check", MEMBRANE).returncode == 0
        assert "check" not in standby.said
        standby.process.terminate()
        standby.process.wait(PATIENCE)
        again = standby.do("standby")
    assert again.returncode == 2
    assert "must be a folder that is yours alone" in again.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--", "-log_view"], "standby takes no options for PETSc; give them to the commands"),
        ([], "standby is one process without an MPI launcher"),
    ],
)
def test_what_it_cannot_do_is_refused(words: list[str], sentence: str, tmp_path: Path):
    launcher = [] if words else [BIN / "mpiexec", "-n", "2"]
    command = [*launcher, BIN / "pnp-exclusion", "standby", *words]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert refused.returncode == 2
    assert refused.stderr.count(sentence) == 1


def write_slow_case(folder: Path) -> Path:
    """A case that is at work for several seconds."""
    tables = change(example("membrane"), "domain", to={"shape": "interval", "length": "5 nm", "cells": 300_000})
    return write_toml(tables, folder / "slow.toml")


def wait_for_log(standby: Standby, folder: Path) -> None:
    standby.until((folder / ".unfinished" / "log.txt").exists)


def address_in(folder: Path) -> Path:
    return folder / address().relative_to(address().parents[1])
