"""Calls of PETSc that call back to Python: whatever is raised meanwhile is raised when PETSc has returned.

An exception that passes through PETSc leaves objects half made, and the process ends with SIGSEGV where they are used
or freed. So signals are held back and errors noted; a residual that is not a number then ends a solve on every rank.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from pnp_exclusion.errors import DiskError, OneRankDiskError, PnpExclusionError
from pnp_exclusion.runtime.parallel import end_all_ranks, leaves_together
from pnp_exclusion.runtime.signals import held_back

FAILED = object()


class Callbacks:
    """What the callbacks of one solver may not raise, kept for the end of `at_work`."""

    def __init__(self, comm: MPI.Comm) -> None:
        self._comm = comm
        self._error: BaseException | None = None
        self._signals: list[int] = []

    @property
    def ending(self) -> bool:
        """Whether this rank has something to raise, so that nothing more is worth computing."""
        return self._error is not None or bool(self._signals)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Let PETSc work; collective.

        Raises on every rank what a callback raised on one, or `KeyboardInterrupt` if a signal came to any.
        """
        self._error = None
        failure: PETSc.Error | None = None
        with held_back() as self._signals:
            try:
                yield
            except PETSc.Error as error:
                failure = error
            met = self._met()
        if met is not None:
            raise met
        if failure is not None:
            raise failure

    def run[T](self, callback: Callable[..., T], *arguments: Any, otherwise: T) -> T:
        """Return what a callback does, or ``otherwise`` if it raised, which is noted."""
        try:
            return callback(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised at the end of `at_work`
            self._note(error)
        return otherwise

    def residual(self, callback: Callable[[PETSc.SNES, PETSc.Vec, PETSc.Vec], None]) -> Callable[..., None]:
        """Return a residual's callback that raises nothing, and that ends the solve if there is something to raise."""

        def assemble(snes: PETSc.SNES, x: PETSc.Vec, f: PETSc.Vec) -> None:
            self.run(callback, snes, x, f, otherwise=None)
            if self.ending:
                f.array_w[:] = np.nan

        return assemble

    def jacobian(self, callback: Callable[..., object]) -> Callable[..., None]:
        """Return a Jacobian's callback that raises nothing; the step of one that failed costs nothing."""

        def assemble(snes: PETSc.SNES, *arguments: Any) -> None:
            if self.run(callback, snes, *arguments, otherwise=FAILED) is FAILED:
                solver = snes.getKSP()
                solver.setType("preonly")
                solver.getPC().setType("none")

        return assemble

    def words[T](self, say: Callable[[T], None]) -> Callable[[T], None]:
        """Return a way to tell of progress that raises nothing; called on some ranks and not on others."""

        def tell(word: T) -> None:
            try:
                say(word)
            except BaseException as error:  # noqa: BLE001 - raised at the end of `at_work`
                self._error = self._error or error

        return tell

    def _note(self, error: BaseException) -> None:
        if not leaves_together(type(error), self._comm):
            # the others wait in the middle of the callback
            end_all_ranks(self._comm, error)
        self._error = self._error or error

    def _met(self) -> BaseException | None:
        """Return what is to be raised: this rank's own, or that of the first that has something; collective."""
        own = self._error or (KeyboardInterrupt() if self._signals else None)
        self._error = None
        if own is not None:
            # PETSc's objects in them would outlive those of other ranks, and all ranks must free one together
            traceback.clear_frames(own.__traceback__)
        if isinstance(own, OneRankDiskError):
            # of which all know now
            own = DiskError(str(own))
        if self._comm.size == 1 or not self._comm.allreduce(own is not None, op=MPI.LOR):
            return own
        travels = own is None or isinstance(own, (PnpExclusionError, KeyboardInterrupt))
        met = self._comm.allgather(own if travels else RuntimeError(repr(own)))
        return own or next(error for error in met if error is not None)
