"""What can go wrong, and the exit code each kind ends with (listed in README.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class PnpExclusionError(Exception):
    """An error with a message for people; ``exit_code`` is what the command ends with."""

    exit_code = 1
    everywhere = True
    """Whether every rank raises it alike; if not, the rank that does must end the others."""


class UsageError(PnpExclusionError):
    """A command line that cannot be followed."""

    exit_code = 2


class MissingLibraryError(UsageError, ImportError):
    """A library that is not installed; says how it is."""


class CaseError(PnpExclusionError):
    """One or more mistakes in a case file, each in one sentence."""

    exit_code = 2

    def __init__(self, path: Path, mistakes: Sequence[str]) -> None:
        self.path = path
        self.mistakes = list(mistakes)
        super().__init__("\n".join(f"{path}: {mistake}" for mistake in self.mistakes))

    def __reduce__(self) -> tuple[type[CaseError], tuple[Path, list[str]]]:
        """Let it travel between ranks, which rebuilds exceptions from their arguments."""
        return CaseError, (self.path, self.mistakes)


class SolutionWarning(UserWarning):
    """Something about a case or its solution that its user should know; all of them are in ``Solution.warnings``."""


class ConvergenceError(PnpExclusionError):
    """No acceptable solution was found; says what was tried."""

    exit_code = 3


class ReproductionError(PnpExclusionError):
    """A command that was run again gave other numbers; says which."""

    exit_code = 3


class DiskError(PnpExclusionError):
    """Results could not be written."""

    exit_code = 4


class OneRankDiskError(DiskError):
    """A disk that failed on one rank while the others wait for it: that rank must end them all."""

    everywhere = False


class StoppedError(PnpExclusionError):
    """A run that was asked to end, by a signal or as its time was up, and has left a checkpoint.

    code
        5, or 130 after SIGINT.
    """

    def __init__(self, message: str, code: int = 5) -> None:
        super().__init__(message)
        self.exit_code = code


class LawError(ValueError):
    """A law that contradicts itself, or species that it does not describe."""
