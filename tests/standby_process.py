"""A process on standby with what it says, and commands that find it: what the tests of standby are made with."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from conftest import BIN, EXAMPLES

from pnp_exclusion.standby.address import address

MEMBRANE = str(EXAMPLES / "membrane.toml")
PATIENCE = 60.0


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


def alone(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "pnp-exclusion", *words],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def address_in(folder: Path) -> Path:
    return folder / address().relative_to(address().parents[1])
