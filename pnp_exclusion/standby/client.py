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
BEGUN, ENDED = "begun", "ended"
"""First words of what comes then: from the process that does the command, with its number, and from the one on standby,
with the exit code."""
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
        self._process: int | None = None
        self._early: list[int] = []

    def run(self, words: Sequence[str]) -> int | None:
        ignored = [int(number) for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN]
        heard = [number for number in PASSED_ON if number not in ignored]
        former = {number: signal.signal(number, self._pass_on) for number in heard}
        try:
            self._process = self._begin(words, ignored)
            if self._process is not None:
                for number in self._early:
                    self._pass_on(number)
                return self._outcome()
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        for number in self._early:
            signal.raise_signal(number)
        return None

    def _begin(self, words: Sequence[str], ignored: Sequence[int]) -> int | None:
        """Return the process that does the command; None if there is none, so that nothing was done."""
        try:
            Request.of_this_process(words, ignored).send(self._connection)
            if self._connection.recv(len(TAKEN)) != TAKEN:
                return None
            self._connection.settimeout(None)
            # not before: one that is stopped would keep a pipe open that others wait to see closed
            send_descriptors(self._connection)
            first, number = self._line()
        except OSError:
            # it ended in the middle of this, or does not listen
            return None
        return int(number) if first == BEGUN else None

    def _outcome(self) -> int:
        try:
            first, code = self._line()
        except ConnectionError:
            first, code = "", ""
        if first != ENDED:
            assert self._process is not None
            # it ends with its parent; this is for systems where it cannot be told to
            send_signal(self._process, signal.SIGTERM)
            print("pnp-exclusion: the process on standby was ended, and this command with it", file=sys.stderr)
            return 1
        if int(code) < 0:
            _end_by(-int(code))
        return int(code)

    def _line(self) -> tuple[str, str]:
        """Read two words, byte by byte, since the next ones are long in coming; empty if the other end is closed."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self._connection.recv(1)
            if not byte:
                return "", ""
            line += byte
        first, second = line.decode().split()
        return first, second

    def _pass_on(self, number: int, *_: object) -> None:
        if self._process is None:
            self._early.append(number)
            return
        # a group without a terminal cannot be asked to stop, only made to
        send_signal(self._process, signal.SIGSTOP if number == signal.SIGTSTP else number)
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)


def send_signal(process: int, number: int) -> None:
    """Send a signal to all of a command, as a terminal does."""
    if process <= 1:
        # to the kernel these numbers are everybody
        raise ValueError(f"{process} is not the number of a command")
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
