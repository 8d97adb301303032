"""The process on standby: it waits for commands and forks a child for each, which is then that command."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from pnp_exclusion.errors import DiskError, UsageError
from pnp_exclusion.signals import SIGNALS, blocked
from pnp_exclusion.standby.address import is_ours
from pnp_exclusion.standby.circumstances import circumstances, differences, stamp
from pnp_exclusion.standby.client import BEGUN, ENDED, TAKEN, send_signal
from pnp_exclusion.standby.request import NONSENSE, PASSED_ON, Request

REQUEST_SECONDS = 1.0
"""For every step in which a command says what it wants; others wait meanwhile."""
LEAVE = (*SIGNALS, signal.SIGHUP)
MOST_DIFFERENCES = 3
"""Named when a command is not taken."""
LONGEST_LINE = select.PIPE_BUF // 4 - 10
"""In characters, of up to four bytes each: a pipe that can be written to has room for so much, and perhaps no more."""
MOST_SIGNALS = 64
"""Read at once."""
PR_SET_PDEATHSIG = 1
"""As in Linux' ``prctl.h``."""


@dataclass
class _Child:
    """A command that runs, and the connection to the one who wants it."""

    process: int
    connection: socket.socket
    name: str
    begun: float = field(default_factory=time.perf_counter)

    @property
    def attended(self) -> bool:
        """Whether somebody wants it still."""
        return self.connection.fileno() >= 0

    def abandon(self) -> None:
        """Kill it: who wanted it was killed, and says no more."""
        self.connection.close()
        send_signal(self.process, signal.SIGKILL)

    def tell_ended(self, code: int) -> None:
        """Say how it ended to who wanted it, if he is still there; a negative code is the signal that ended it."""
        with self.connection, contextlib.suppress(OSError):
            self.connection.sendall(f"{ENDED} {code}\n".encode())


class Standby:
    """Waits at a socket for commands; in a child, `wait` returns the words of its command.

    ``say`` tells the user of every command. To be made before anything is imported that changes the environment. Raises
    `UsageError` where another one is on standby, where the socket's folder is not the user's alone or a stream is
    closed, and `DiskError` where nothing can be written there.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        if None in (sys.stdin, sys.stdout, sys.stderr):
            raise UsageError("standby needs its three streams; redirect to /dev/null what should not be seen")
        self._path, self._say_to_user = path, say
        self._stamp = stamp()
        self._circumstances = circumstances()
        self._children: list[_Child] = []
        self._asked = False
        self._process = os.getpid()
        with _disk_errors(path):
            self._lock: int | None = _lock(path)
        self._listener: socket.socket | None = None
        # signals write to it, so that none is missed between looking and waiting
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)

    def wait(self) -> list[str] | None:
        """Serve until a signal or changed files end it and every command has ended; return None then.

        The signals are SIGINT, SIGTERM and SIGHUP; a second one ends it at once, and commands with it. In a child it
        returns the words of the command, whose folder, streams, terminal and ignored signals it has taken over.
        `DiskError` where the socket cannot be made.
        """
        with _disk_errors(self._path):
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._path))
            self._listener.listen()
        self._say(f"process {os.getpid()} stands by; Ctrl-C ends it")
        # the collector would otherwise write to, and so copy, all that children share
        gc.collect()
        gc.freeze()
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # where the terminal stops whoever writes from the background
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
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
                    child.abandon()
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
            # a terminal that closes sends two of SIGHUP
            signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)

    def _say(self, line: str) -> None:
        # whoever reads it may be gone, or not reading now; commands are not to be the worse for it
        with contextlib.suppress(OSError):
            if select.select([], [sys.stderr], [], 0.0)[1]:
                self._say_to_user(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ..")

    def _close(self) -> None:
        if self._listener:
            self._path.unlink(missing_ok=True)
            self._listener.close()
            self._listener = None
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

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
                child.tell_ended(code)
                self._say(f"{child.name}: exit code {code}, {time.perf_counter() - child.begun:.2f} s")

    def _answer(self, connection: socket.socket) -> list[str] | None:
        """Take a command or refuse it; return its words in the child that is to do it."""
        with contextlib.ExitStack() as unless_taken:
            unless_taken.enter_context(connection)
            connection.settimeout(REQUEST_SECONDS)
            try:
                request = Request.receive(connection)
            except (OSError, *NONSENSE):
                # who asked is gone, or speaks another version's language
                return None
            with contextlib.closing(request):
                reason = self._reason_against(request) or _agree(connection, request)
                if reason:
                    self._say(f"{request.name}: not taken, because {reason}")
                    return None
                # until it has handlers of its own
                with blocked(PASSED_ON):
                    try:
                        process = os.fork()
                    except OSError as error:
                        self._say(f"{request.name}: not done, because no process can be made: {error.strerror}")
                        return None
                    if process == 0:
                        self._leave_to(request, connection)
                        return request.words[1:]
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

    def _leave_to(self, request: Request, connection: socket.socket) -> None:
        """Drop, in a child, what the process on standby needs; say which process it is to who wants it."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._unlock()
        for end in (self._listener, self._woken, self._wake, *(child.connection for child in self._children)):
            if end:
                end.close()
        with contextlib.ExitStack() as unless_begun:
            # whoever still wants it does it himself; errors would be told as those of the one on standby
            unless_begun.callback(os._exit, 1)
            request.take_over()
            _end_with_parent(self._process)
            connection.sendall(f"{BEGUN} {os.getpid()}\n".encode())
            unless_begun.pop_all()


def _end_with_parent(parent: int) -> None:
    """Let this process be killed when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(f"cannot wait at {path}: {error.strerror or error}") from None


def _lock(path: Path) -> int:
    """Lock out others for as long as this process lives; return the descriptor that does."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not is_ours(path.parent):
        raise UsageError(f"{path.parent} must be a folder that is yours alone (chmod 700)")
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UsageError("another process is on standby already") from None
    return lock


def _agree(connection: socket.socket, request: Request) -> str:
    """Take a command, and its streams; return why not if that fails."""
    with contextlib.suppress(OSError):
        connection.sendall(TAKEN)
        if request.receive_descriptors(connection):
            return ""
    return "it waited no longer"


def _not_ignored(numbers: Iterable[signal.Signals]) -> list[signal.Signals]:
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
