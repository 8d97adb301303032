"""Signals wait where they would break something, and are acted on afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
from conftest import EXAMPLES

from pnp_exclusion.cli.main import main
from pnp_exclusion.runtime.signals import SIGNALS, held_back, kept_from_children, listen

INTERRUPTED_IN_THE_MIDDLE_OF_AN_IMPORT = """
import os, signal, sys

def interrupt(frame, event, argument):
    importing = "dolfinx.cpp" in sys.modules or "dolfinx.common" in sys.modules
    if importing and frame.f_code.co_filename.endswith("enum.py"):
        sys.setprofile(None)
        print("sent", flush=True)
        os.kill(os.getpid(), signal.SIGINT)

# what runs in the background of a shell inherits that SIGINT is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.setprofile(interrupt)
from pnp_exclusion.cli.main import main
sys.exit(main(["run", sys.argv[1], "-o", sys.argv[2]]))
"""


@pytest.fixture
def noted():
    """Numbers of the signals that were acted on."""
    numbers: list[int] = []
    former = {number: signal.signal(number, lambda number, _: numbers.append(number)) for number in SIGNALS}
    yield numbers
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("held", [held_back, kept_from_children])
def test_signals_are_held_back_until_the_end_even_of_a_failure(noted, held):
    handlers = [signal.getsignal(number) for number in SIGNALS]

    def fail() -> None:
        with held():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            assert noted == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert sorted(noted) == sorted(SIGNALS)
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_signals_are_held_back_while_another_thread_would_hear_them(noted):
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    with kept_from_children():
        os.kill(os.getpid(), signal.SIGINT)
        assert noted == []
    done.set()
    other.join()
    assert noted == [signal.SIGINT]


def test_nothing_is_held_back_in_other_threads():
    outcomes: list[object] = []

    def work() -> None:
        with held_back():
            outcomes.append(signal.getsignal(signal.SIGINT))

    former = signal.getsignal(signal.SIGINT)
    other = threading.Thread(target=work)
    other.start()
    other.join()
    assert outcomes == [former]


def test_process_started_deaf_hears_what_it_listens_to():
    with kept_from_children():
        program = "import signal; print(*sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
        blocked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert {int(number) for number in blocked.split()} == set(SIGNALS)
    former = signal.getsignal(signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    listen(ignored=(signal.SIGINT,))
    os.kill(os.getpid(), signal.SIGINT)
    assert not set(SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, [])
    signal.signal(signal.SIGINT, former)


def test_interruption_in_the_middle_of_a_compiled_import_ends_in_one_sentence(tmp_path):
    case = EXAMPLES / "membrane.toml"
    program = [sys.executable, "-c", INTERRUPTED_IN_THE_MIDDLE_OF_AN_IMPORT, case, tmp_path / "out"]
    ended = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert "sent" in ended.stdout
    assert (ended.returncode, ended.stderr) == (130, "pnp-exclusion: interrupted; no results were written\n")


def test_error_that_a_library_makes_of_an_interruption_is_one(monkeypatch, capfd):
    def execute(*_: object) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interruption:
            raise ImportError("a compiled module's own words") from interruption

    monkeypatch.setattr("pnp_exclusion.cli.commands.info.execute", execute)
    assert main(["info"]) == 130
    assert capfd.readouterr().err == "pnp-exclusion: interrupted; no results were written\n"
