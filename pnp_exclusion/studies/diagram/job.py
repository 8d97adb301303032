"""The diagrams of one command: found in turn, told of as they come, staged with their picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from pnp_exclusion.output.job import Job
from pnp_exclusion.output.manifest import cases_manifest
from pnp_exclusion.runtime.fenicsx import initialise_petsc
from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.runtime.pool import executor_for
from pnp_exclusion.studies.diagram.compute import Diagram, make_diagram
from pnp_exclusion.studies.diagram.plane import Plane
from pnp_exclusion.studies.diagram.readings import reader_of
from pnp_exclusion.studies.diagram.report import as_json, points_csv, table

TELL_SECONDS = 3.0
FIRST_GUESS = 150
"""Solves of a diagram, before one is done."""


def draw_diagrams(job: Job, planes: Sequence[Plane], workers: int) -> tuple[list[str], bool]:
    """Find the diagrams of all planes and stage what is written of them.

    Returns the lines to print, and whether any point has a solution.
    """
    diagrams = _found(_Progress(job.console.say, len(planes)), planes, workers, job.petsc_options)
    job.folder.write_json("diagram.json", lambda: as_json(diagrams))
    job.folder.write("points.csv", lambda: points_csv(diagrams))
    output = planes[0].case.output
    job.folder.draw(output, "diagram", "studies.diagram.plots.draw", diagrams)
    if any(diagram.plane.noise for diagram in diagrams):
        job.folder.draw(output, "noise", "studies.diagram.noise_plots.draw", diagrams)
    manifest = {
        **cases_manifest(list({id(plane.case): plane.case for plane in planes}.values()), job.comm.size),
        "petsc_options": list(job.petsc_options),
        "workers": workers,
        "seconds": time.perf_counter() - job.started,
    }
    job.folder.write_json("manifest.json", lambda: manifest)
    return table(diagrams), any(not reading.failure for diagram in diagrams for reading in diagram.readings)


def _found(progress: _Progress, planes: Sequence[Plane], workers: int, petsc_options: Sequence[str]) -> list[Diagram]:
    """The diagrams of all planes; an interruption ends it even if C code that called back to Python dropped it."""
    diagrams: list[Diagram] = []
    with Interruption() as interruption:

        def tell(count: int) -> None:
            progress.tell(count)
            if interruption.asked:
                raise KeyboardInterrupt

        initializer = partial(initialise_petsc, tuple(petsc_options))
        with interruption.at_once(), executor_for(workers, None, initializer) as executor:
            for plane in planes:
                progress.begin(_name(plane))
                diagrams.append(make_diagram(plane, reader_of(plane, executor, petsc_options, tell)))
                progress.end()
    return diagrams


def _name(plane: Plane) -> str:
    variant = f", {plane.variant}" if plane.variant else ""
    return f"{plane.case.path.stem}, {plane.changed.model.law}{variant}"


class _Progress:
    """Says how far it is: at the end of every diagram, and now and then within one."""

    def __init__(self, say: Callable[[str], None], diagrams: int) -> None:
        self._say, self._diagrams = say, diagrams
        self._begun = self._last = time.monotonic()
        self._name = ""
        self._done: list[int] = []
        self._now = 0

    def begin(self, name: str) -> None:
        self._name, self._now = name, 0

    def tell(self, count: int) -> None:
        """Count new solves."""
        self._now += count
        if time.monotonic() - self._last > TELL_SECONDS:
            self._say(f"  {self._name}: {self._now} solves{self._left()}")
            self._last = time.monotonic()

    def end(self) -> None:
        self._done.append(self._now)
        self._now = 0
        self._say(f"{self._name}: {self._done[-1]} solves ({len(self._done)} of {self._diagrams}{self._left()})")
        self._last = time.monotonic()

    def _left(self) -> str:
        """The time left at the present rate, if the diagrams to come take as many solves as those done."""
        if len(self._done) == self._diagrams:
            return f", {time.monotonic() - self._begun:.0f} s"
        usual = sum(self._done) / len(self._done) if self._done else max(FIRST_GUESS, 1.2 * self._now)
        begun = sum(self._done) + self._now
        expected = max(usual * (self._diagrams - len(self._done)) - self._now, 0.1 * usual)
        return f", about {(time.monotonic() - self._begun) / max(begun, 1) * expected:.0f} s left"
