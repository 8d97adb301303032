"""The process on standby: it waits for commands and forks a child for each, which is then that command."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from pnp_exclusion.errors import DiskError, UsageError
from pnp_exclusion.standby.address import is_ours
from pnp_exclusion.standby.circumstances import circumstances, differences, stamp
from pnp_exclusion.standby.client import TAKEN
from pnp_exclusion.standby.request import PASSED_ON, Request

REQUEST_SECONDS = 5.0
"""For a command to say what it wants."""
LEAVE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOST_DIFFERENCES = 3
"""Named when a command is not taken."""
MOST_SIGNALS = 64
"""Read at once."""


@dataclass
class _Child:
    """A command that runs, and the connection to the one who wants it."""

    process: int
    connection: socket.socket
    name: str
    begun: float = field(default_factory=time.perf_counter)
    attended: bool = True

    def hear(self) -> None:
        """Give the command the signals that came for it; kill it if who wanted it was killed."""
        with contextlib.suppress(OSError):
            numbers = self.connection.recv(MOST_SIGNALS)
            for number in numbers:
                self._signal(number)
            if numbers:
                return
        self.attended = False
        self._signal(signal.SIGKILL)

    def tell(self, code: int) -> None:
        """Say how it ended to who wanted it, if he is still there; a negative code is the signal that ended it."""
        with self.connection, contextlib.suppress(OSError):
            self.connection.sendall(f"{code}\n".encode())

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process, number)
        except ProcessLookupError:
            # just forked, it has no group of its own yet
            os.kill(self.process, number)


class Standby:
    """Waits at a socket for commands; in a child, `wait` returns the words of its command.

    ``say`` tells the user of every command. Raises `UsageError` where another one waits already, where the socket's
    folder is not the user's alone or a stream is closed, and `DiskError` where the socket cannot be made.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        if None in (sys.stdin, sys.stdout, sys.stderr):
            raise UsageError("standby needs its three streams; redirect to /dev/null what should not be seen")
        self._path, self._say = path, say
        self._stamp = stamp()
        self._circumstances = circumstances()
        self._children: list[_Child] = []
        self._asked = False
        self._listener: socket.socket | None = _listen(path)
        # signals write to it, so that none is missed between looking and waiting
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    def wait(self) -> list[str] | None:
        """Serve until a signal or changed files end it and every command has ended; return None then.

        The signals are SIGINT, SIGTERM and SIGHUP; a second one ends it at once, and the commands go on. In a child it
        returns the words of the command, whose folder, streams, environment and ignored signals it has taken over.
        """
        # the collector would otherwise write to, and so copy, all that children share
        gc.collect()
        gc.freeze()
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _not_ignored(LEAVE):
            signal.signal(number, self._ask_to_leave)
        while self._listener or self._children:
            listeners = [self._listener] if self._listener else []
            attended = [child for child in self._children if child.attended]
            ready = wait([self._woken, *listeners, *(child.connection for child in attended)])
            if self._woken in ready:
                self._bury()
            for child in attended:
                if child.connection in ready and child in self._children:
                    child.hear()
            if self._asked:
                self._close()
            elif self._listener in ready:
                words = self._answer(self._listener.accept()[0])
                if words is not None:
                    return words
        return None

    def _ask_to_leave(self, *_: object) -> None:
        self._asked = True
        for number in _not_ignored(LEAVE):
            signal.signal(number, signal.SIG_DFL)

    def _close(self) -> None:
        if self._listener:
            # in this order, lest the socket of one that takes our place is removed
            self._path.unlink(missing_ok=True)
            self._listener.close()
            self._listener = None

    def _bury(self) -> None:
        """Tell how commands ended, to those who wait for them."""
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(MOST_SIGNALS):
                pass
        for child in list(self._children):
            process, status = os.waitpid(child.process, os.WNOHANG)
            if process:
                self._children.remove(child)
                code = os.waitstatus_to_exitcode(status)
                child.tell(code)
                self._say(f"{child.name}: exit code {code}, {time.perf_counter() - child.begun:.2f} s")

    def _answer(self, connection: socket.socket) -> list[str] | None:
        """Take a command or refuse it; return its words in the child that is to do it."""
        with contextlib.ExitStack() as unless_taken:
            unless_taken.enter_context(connection)
            try:
                request = Request.receive(connection)
            except (OSError, ValueError, TypeError):
                # who asked is gone, or speaks another version's language
                return None
            with contextlib.closing(request):
                reason = self._reason_against(request) or _agree(connection, request)
                if reason:
                    self._say(f"{request.name}: not taken, because {reason}")
                    return None
                with _blocked(PASSED_ON):
                    try:
                        process = os.fork()
                    except OSError as error:
                        self._say(f"{request.name}: not done, because no process can be made: {error.strerror}")
                        return None
                    if process == 0:
                        self._leave_to(request)
                        return request.words[1:]
            connection.settimeout(None)
            self._children.append(_Child(process, connection, request.name))
            unless_taken.pop_all()
        return None

    def _reason_against(self, request: Request) -> str:
        if stamp() != self._stamp:
            self._close()
            return "installed files have changed; this process leaves, start it again"
        differing = differences(self._circumstances, request.circumstances)
        if not differing:
            return ""
        more = ", .." if len(differing) > MOST_DIFFERENCES else ""
        return f"of a different {', '.join(differing[:MOST_DIFFERENCES])}{more}"

    def _leave_to(self, request: Request) -> None:
        """Drop, in a child, what the process on standby needs."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._listener, self._woken, self._wake, *(child.connection for child in self._children)):
            if end:
                end.close()
        request.take_over()


def _listen(path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not is_ours(path.parent):
            raise UsageError(f"{path.parent} must be a folder that is yours alone (chmod 700)")
        folder = os.open(path.parent, os.O_RDONLY)
        with contextlib.ExitStack() as afterwards:
            afterwards.callback(os.close, folder)
            # of two that begin at once, one sees the other
            fcntl.flock(folder, fcntl.LOCK_EX)
            if _somebody_waits(path):
                raise UsageError("another process is on standby already")
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen()
            return listener
    except OSError as error:
        raise DiskError(f"cannot wait at {path}: {error.strerror or error}") from None


def _agree(connection: socket.socket, request: Request) -> str:
    """Take a command, and its streams; return why not if that fails."""
    with contextlib.suppress(OSError):
        connection.sendall(TAKEN)
        if request.receive_descriptors(connection):
            return ""
    return "it waited no longer"


def _somebody_waits(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def _not_ignored(numbers: Iterable[signal.Signals]) -> list[signal.Signals]:
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def _blocked(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Keep signals from a child until it has handlers of its own."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
