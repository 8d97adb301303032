"""What a command hands over: its words and all that a process of its own would have had from its shell."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from pnp_exclusion.standby.circumstances import MAY_DIFFER, circumstances

STREAMS = (0, 1, 2)
GO = b"!"
"""What streams and folder are sent with."""
NONSENSE = (ValueError, TypeError, KeyError, RecursionError)
"""What comes of reading what is no request."""
PASSED_ON = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
    signal.SIGCONT,
)
"""Signals that a shell, a terminal or a scheduler sends to a command."""


@dataclass
class Request:
    """A command line, and the process that it was meant for.

    words
        With the program's name first.
    terminal
        The environment variables that may differ.
    ignored
        Numbers of signals.
    """

    words: list[str]
    terminal: dict[str, str]
    circumstances: dict[str, Any]
    ignored: list[int]
    _descriptors: list[int] = field(default_factory=list)
    """Of the streams and, last, of the folder."""

    @property
    def name(self) -> str:
        """The command line as a shell would have it."""
        return shlex.join(self.words[1:])

    @classmethod
    def of_this_process(cls, words: Sequence[str], ignored: Sequence[int]) -> Self:
        """Describe this process, about to do what ``words`` say."""
        terminal = {name: os.environ[name] for name in MAY_DIFFER if name in os.environ}
        return cls([sys.argv[0], *words], terminal, circumstances(), list(ignored))

    def send(self, connection: socket.socket) -> None:
        """Send it, without this process' streams and folder."""
        described = {name: value for name, value in asdict(self).items() if name != "_descriptors"}
        connection.sendall(json.dumps(described).encode() + b"\n")

    @classmethod
    def receive(cls, connection: socket.socket) -> Self:
        """Read what `send` sent; `OSError` or one of `NONSENSE` if it is something else."""
        with connection.makefile("rb") as lines:
            described = json.loads(lines.readline())
        kinds = {"words": list, "terminal": dict, "circumstances": dict, "ignored": list}
        if not all(isinstance(described[name], kind) for name, kind in kinds.items()):
            raise TypeError("not a request")
        request = cls(**described)
        if not all(isinstance(text, str) for text in (*request.words, *request.terminal.values())):
            raise TypeError("words and variables are texts")
        return request

    def receive_descriptors(self, connection: socket.socket) -> bool:
        """Read what `send_descriptors` sent; return whether it was sent."""
        _, self._descriptors, *_ = socket.recv_fds(connection, len(GO), len(STREAMS) + 1)
        return len(self._descriptors) == len(STREAMS) + 1

    def close(self) -> None:
        """Close what came with it."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def take_over(self) -> None:
        """Become the process that it describes, as far as processes in the same `circumstances` differ."""
        os.setsid()
        *streams, folder = self._descriptors
        for number, descriptor in zip(STREAMS, streams, strict=True):
            os.dup2(descriptor, number)
        os.fchdir(folder)
        self.close()
        for number, stream in zip(STREAMS, (sys.stdin, sys.stdout, sys.stderr), strict=True):
            assert isinstance(stream, io.TextIOWrapper)
            stream.reconfigure(line_buffering=stream is sys.stderr or os.isatty(number))
        for name in MAY_DIFFER:
            os.environ.pop(name, None)
        os.environ.update(self.terminal)
        sys.argv[:] = self.words
        for signal_number in (*PASSED_ON, signal.SIGTTOU):
            usual = signal.default_int_handler if signal_number == signal.SIGINT else signal.SIG_DFL
            signal.signal(signal_number, signal.SIG_IGN if signal_number in self.ignored else usual)


def send_descriptors(connection: socket.socket) -> None:
    """Send this process' streams and folder, which the other end holds open from then on."""
    folder = os.open(".", os.O_RDONLY)
    try:
        socket.send_fds(connection, [GO], [*STREAMS, folder])
    finally:
        os.close(folder)
