"""What a command does where a process is on standby: hand itself over, pass signals on, end as the other ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from pnp_exclusion.standby.address import is_ours
from pnp_exclusion.standby.request import PASSED_ON, Request, send_descriptors

TAKEN = b"y"
"""What the process on standby answers, or else it closes the connection."""
ANSWER_SECONDS = 2.0
"""For that answer; the process on standby may be stopped."""
OWN_DESCRIPTORS = ("/dev/fd/", "/proc/self/fd/")
"""Files, as of a shell's ``<(..)``, that only this process has."""


def hand_over(path: Path, words: Sequence[str]) -> int | None:
    """Have a command line done by the process that waits at ``path``.

    Returns its exit code; None where it was not taken, so that nothing was done. If a signal ends the other process,
    it ends this one too.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        # closed, so that it cannot be handed over, and the next thing opened here would take its place
        return None
    if any(name in word for word in words for name in OWN_DESCRIPTORS):
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            if not is_ours(path.parent):
                return None
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(path))
        except OSError:
            # nobody is there any more
            return None
        return _Errand(connection).run(words)


class _Errand:
    """A command that another process does, and the signals that come for it here."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._taken = False
        self._early: list[int] = []

    def run(self, words: Sequence[str]) -> int | None:
        request = Request.of_this_process(words)
        heard = [number for number in PASSED_ON if number not in request.ignored]
        former = {number: signal.signal(number, self._pass_on) for number in heard}
        try:
            self._taken = self._ask(request)
            if self._taken:
                for number in self._early:
                    self._pass_on(number)
                return self._outcome()
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        for number in self._early:
            signal.raise_signal(number)
        return None

    def _ask(self, request: Request) -> bool:
        try:
            request.send(self._connection)
            taken = self._connection.recv(len(TAKEN)) == TAKEN
            self._connection.settimeout(None)
            if taken:
                # not before: one that is stopped would keep a pipe open that others wait to see closed
                send_descriptors(self._connection)
        except OSError:
            # it ended in the middle of this, or does not listen
            return False
        return taken

    def _outcome(self) -> int:
        process = code = ""
        with contextlib.suppress(ConnectionError), self._connection.makefile("r") as answers:
            process, code = answers.readline(), answers.readline()
        if not code:
            if process:
                send_signal(int(process), signal.SIGTERM)
            print("pnp-exclusion: the process on standby was ended, and this command with it", file=sys.stderr)
            return 1
        if int(code) < 0:
            _end_by(-int(code))
        return int(code)

    def _pass_on(self, number: int, *_: object) -> None:
        if not self._taken:
            self._early.append(number)
            return
        with contextlib.suppress(ConnectionError):
            # a group without a terminal cannot be asked to stop, only made to
            self._connection.sendall(bytes([signal.SIGSTOP if number == signal.SIGTSTP else number]))
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)


def send_signal(process: int, number: int) -> None:
    """Send a signal to all of a command, as a terminal does."""
    with contextlib.suppress(ProcessLookupError):
        try:
            os.killpg(process, number)
        except ProcessLookupError:
            # just forked, it has no group of its own yet
            os.kill(process, number)


def _end_by(number: int) -> None:
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
