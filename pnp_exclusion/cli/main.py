"""The command: its exit codes, and who of several ranks tells of an error. Imports nothing heavy before it must."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from types import ModuleType

from pnp_exclusion.cli.line import called_with, command, read_line
from pnp_exclusion.errors import PnpExclusionError
from pnp_exclusion.runtime.launcher import LAUNCHER_DELAY, launched_rank
from pnp_exclusion.runtime.signals import INTERRUPTED, hear_interruptions, ignore_interruptions


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, this process' own if none is given, and return its exit code."""
    own = argv is None
    line = list(sys.argv[1:] if argv is None else argv)
    with contextlib.ExitStack() as at_the_end:
        if own:
            # there is nothing more to lose then, and Python and MPI are to end in their own way
            at_the_end.callback(ignore_interruptions)
            # to look for garbage once more would take longer than a short solve
            at_the_end.callback(gc.freeze)
        try:
            if "_ARGCOMPLETE" in os.environ:
                from pnp_exclusion.cli.completion import complete

                complete()
            if own:
                hear_interruptions()
                return _execute(line)
            with called_with(line):
                return _execute(line)
        except KeyboardInterrupt:
            at_the_end.close()
            return _tell_of_interruption()


def _execute(line: list[str]) -> int:
    with contextlib.ExitStack() as listeners:
        try:
            with _mute_but_first():
                arguments, petsc_options = read_line(line)
            if (arguments.verbose or arguments.log_file) and not launched_rank():
                from pnp_exclusion.runtime.log import listening

                listeners.enter_context(listening(arguments.verbose, arguments.log_file, line))
            return command(arguments.command).execute(arguments, petsc_options)
        except PnpExclusionError as error:
            return _tell(error)
        except BrokenPipeError:
            sys.stderr.close()
            return 1
        except Exception as error:  # noqa: BLE001 - the last resort: told in full, and the other ranks ended
            if _came_of_interruption(error):
                return _tell_of_interruption()
            _say(f"unexpected error on rank {_rank()}\n{traceback.format_exc().rstrip()}")
            _abort_others(1)
            return 1


def _say(text: str) -> None:
    """Print what went wrong on standard error, and write it into a log file if there is one."""
    print(f"pnp-exclusion: {text}", file=sys.stderr, flush=True)
    if "pnp_exclusion.runtime.log" in sys.modules:
        # a full disk has been told of
        with contextlib.suppress(PnpExclusionError):
            sys.modules["pnp_exclusion.runtime.log"].LOGGER.error(text)


TURN = 1.5 * LAUNCHER_DELAY
"""Seconds that a rank waits for each one before it to tell of an interruption."""
LAST_TO_WAIT = 4
"""The rank from which on none waits longer."""


def _came_of_interruption(error: BaseException) -> bool:
    """Whether a compiled module made an error of its own of a `KeyboardInterrupt`, as those of scipy do."""
    earlier: BaseException | None = error
    while earlier is not None and not isinstance(earlier, KeyboardInterrupt):
        # any other error that came in its course is one of ours
        comes_of_import = isinstance(earlier, (ImportError, SystemError))
        earlier = earlier.__cause__ or (earlier.__context__ if comes_of_import else None)
    return earlier is not None


def _tell_of_interruption() -> int:
    # rank 0 speaks and ends the others as they wait; if it was not interrupted, or is at work in compiled code that
    # hears no signals, the next one does
    time.sleep(min(_rank(), LAST_TO_WAIT) * TURN)
    _say("interrupted; no results were written")
    _abort_others(INTERRUPTED)
    return INTERRUPTED


@contextlib.contextmanager
def _mute_but_first() -> Iterator[None]:
    """Let only the first of several ranks print its help or complaints, without starting MPI for them."""
    if not launched_rank():
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def _tell(error: PnpExclusionError) -> int:
    """Say once what is wrong; return the exit code on every rank, or end the ranks that do not know of the error."""
    if not getattr(error, "everywhere", True) and _size() > 1:
        _say(f"rank {_rank()}: {error}")
        _abort_others(error.exit_code)
    elif not getattr(error, "everywhere", True):
        _say(str(error))
        # destructors of what broke would end the process in their own way
        os._exit(error.exit_code)
    elif _rank() == 0:
        _say(str(error))
    return error.exit_code


def _rank() -> int:
    mpi = _mpi()
    return mpi.COMM_WORLD.rank if mpi else launched_rank() or 0


def _size() -> int:
    mpi = _mpi()
    return mpi.COMM_WORLD.size if mpi else 1


def _mpi() -> ModuleType | None:
    """Return MPI if it runs."""
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi if mpi and mpi.Is_initialized() else None


def _abort_others(code: int) -> None:
    """End every rank: those that still compute would wait for this one for ever."""
    if _size() > 1:
        # what was just printed is lost if the launcher ends this rank before it has passed it on
        time.sleep(LAUNCHER_DELAY)
        sys.modules["mpi4py.MPI"].COMM_WORLD.Abort(code)
