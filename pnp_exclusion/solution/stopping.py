"""When a motion writes a checkpoint, and when it stops after one: by the clock, by its own time, and at signals."""

from __future__ import annotations

import contextlib
import math
import signal
import time as clock
from typing import Self

from mpi4py import MPI

import numpy as np

from pnp_exclusion.case.build import Setup
from pnp_exclusion.errors import StoppedError
from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.runtime.signals import INTERRUPTED
from pnp_exclusion.solution.checkpoints import CheckpointFolder, Motion

STOPPED = 5
"""The exit code of a run that stopped because its time was up, or at SIGTERM, after its checkpoint."""
USUALLY = 600.0
"""Seconds between two checkpoints, where a case does not say."""


class Keeper:
    """A context that notes signals, writes checkpoints as they are due, and stops a run that is asked to; collective.

    walltime
        Seconds from ``started`` on, a moment of `time.monotonic`, by which the run should have stopped; None for no
        limit.
    """

    def __init__(self, folder: CheckpointFolder, setup: Setup, walltime: float | None, started: float) -> None:
        time = setup.case.time
        assert time is not None
        settings = time.checkpoint
        self._folder, self._setup, self._comm = folder, setup, setup.problem.domain.comm
        self._end = time.last
        self._is_asked = settings is not None
        every = None if settings is None else settings.every
        self._every = USUALLY if settings is None else math.inf if every is None else every.value
        self._interval = None if settings is None or settings.time is None else settings.time.value
        self._steps = None if settings is None else settings.steps
        self._walltime, self._started = walltime, started
        self._interruption = Interruption()
        self._last_look = self._last_written = clock.monotonic()
        self._last_time, self._last_step = 0.0, 0

    def __enter__(self) -> Self:
        self._interruption.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._interruption.__exit__()
        if kind is None and self._interruption.number is not None:
            # it came when there was no step left at whose end to stop
            signal.raise_signal(self._interruption.number)

    def at_once(self) -> contextlib.AbstractContextManager[None]:
        """Let a signal act as usual meanwhile: there is nothing to be kept yet."""
        return self._interruption.at_once()

    def begin(self, before: Motion | None) -> None:
        """Begin to count; ``before`` is what the run goes on from."""
        self._last_look = clock.monotonic()
        if before is not None:
            self._note_written(before)

    def after(self, motion: Motion) -> None:
        """Write a checkpoint at the end of a step if one is due; `StoppedError` if the run stops there."""
        is_due, reason, code = self._look(motion)
        if is_due or reason:
            self._write(motion)
        if reason:
            scales = self._setup.scales
            time, where = motion.carried.time * scales.time, self._folder.path
            raise StoppedError(
                f"stopped {reason}, at t = {time:.6g}{' s' * scales.si} ({100.0 * time / self._end:.0f} %); the "
                f"checkpoint in {where} goes on from there: --restart {where.parent}",
                code,
            )

    def finish(self, motion: Motion) -> None:
        """Write the end, from which the motion may be extended, if checkpoints were asked for or there are any."""
        if self._is_asked or self._folder.is_used:
            self._write(motion)
        self._folder.finish()

    def _write(self, motion: Motion) -> None:
        self._folder.write(motion)
        self._note_written(motion)

    def _note_written(self, motion: Motion) -> None:
        self._last_written = clock.monotonic()
        self._last_time, self._last_step = motion.carried.time * self._setup.scales.time, motion.carried.steps

    def _look(self, motion: Motion) -> tuple[bool, str, int]:
        """Return whether a checkpoint is due, and why the run stops, if it does, and with which exit code."""
        now = clock.monotonic()
        is_due = now - self._last_written >= self._every
        # the next step may take as long as this one, and its checkpoint some time too
        is_late = self._walltime is not None and now - self._started + 2.0 * (now - self._last_look) >= self._walltime
        self._last_look = now
        heard = self._interruption.number
        asked = np.array([is_due, is_late, heard == signal.SIGTERM, heard == signal.SIGINT], dtype=np.int32)
        self._comm.Allreduce(MPI.IN_PLACE, asked, op=MPI.MAX)
        is_due, is_late, is_ended, is_interrupted = map(bool, asked)
        is_due |= self._is_due_by_motion(motion)
        if is_interrupted:
            return is_due, "at SIGINT", INTERRUPTED
        if is_ended:
            return is_due, "at SIGTERM", STOPPED
        return is_due, "as its time is up" if is_late else "", STOPPED

    def _is_due_by_motion(self, motion: Motion) -> bool:
        time = motion.carried.time * self._setup.scales.time
        if self._interval is not None and self._multiples(time) > self._multiples(self._last_time):
            return True
        return self._steps is not None and motion.carried.steps - self._last_step >= self._steps

    def _multiples(self, time: float) -> int:
        # one may be landed on but for rounding
        return math.floor(time / (self._interval or math.inf) * (1.0 + 1e-12))
