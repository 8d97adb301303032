"""Signals, kills, and others who are silent or gone: commands on standby end as on their own and nobody waits."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from conftest import change, example, write_toml
from standby_process import MEMBRANE, PATIENCE, Standby, address_in, alone, on_standby

from pnp_exclusion.standby.client import send_signal


def state_of(process: int) -> str:
    """One letter of Linux: T is stopped, R and S are not."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def write_slow_case(folder: Path) -> Path:
    """A case that is at work for several seconds."""
    tables = change(example("membrane"), "domain", to={"shape": "interval", "length": "5 nm", "cells": 300_000})
    return write_toml(tables, folder / "slow.toml")


def wait_for_log(standby: Standby, folder: Path) -> None:
    standby.until((folder / ".unfinished" / "log.txt").exists)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(standby: Standby, number: signal.Signals, tmp_path: Path):
    command = standby.begin("run", write_slow_case(tmp_path), "-o", tmp_path / "results")
    standby.taken(1)
    wait_for_log(standby, tmp_path / "results")
    command.send_signal(number)
    assert command.wait(PATIENCE) == 130
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
    assert command.wait(PATIENCE) == 130


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
        assert command.wait(PATIENCE) == 130


def test_nobody_waits_for_whoever_does_not_read_what_it_says(tmp_path: Path):
    with on_standby(tmp_path / "run") as standby:
        standby.reader.send_signal(signal.SIGSTOP)
        pipe = os.open(f"/proc/{standby.reader.pid}/fd/0", os.O_RDONLY)
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        for _ in range(5):
            # a line that would be longer than the pipe
            assert standby.do("check", "n" * 6000).returncode == 2
        # one that waits to be read takes nothing
        command = standby.begin("run", write_slow_case(tmp_path), "-o", tmp_path / "results")
        standby.taken(1)
        command.terminate()
        assert command.wait(PATIENCE) == 130
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
