"""One command that solves and writes: its folder, its console, its clock."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mpi4py import MPI

from pnp_exclusion.case.case import Case, read_case
from pnp_exclusion.errors import CaseError, ConvergenceError, LawError, UsageError
from pnp_exclusion.observe import sample
from pnp_exclusion.output.distances import distances
from pnp_exclusion.output.fields import write_fields
from pnp_exclusion.output.manifest import manifest
from pnp_exclusion.output.noise import noise_at_zero_json
from pnp_exclusion.output.read_off import fields_csv, lines_csv, probes_csv
from pnp_exclusion.output.results import LOG, ResultFolder, SeriesFile, profile_csv
from pnp_exclusion.runtime.console import Console
from pnp_exclusion.runtime.log import LOGGER
from pnp_exclusion.runtime.memory import peak_per_rank
from pnp_exclusion.runtime.parallel import on_rank_zero
from pnp_exclusion.runtime.signals import held_back, results_are_in_place
from pnp_exclusion.solution.limits import limits
from pnp_exclusion.solution.noise import Noise
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import solve_quietly
from pnp_exclusion.solver.watch import Watch

if TYPE_CHECKING:
    from pnp_exclusion.solution.transient import Running, TransientSolution


def read(path: Path, law: str | None = None) -> Case:
    """Read a case, with another law if one is named, on rank 0 and share it; its mistakes are raised on every rank."""
    return on_rank_zero(MPI.COMM_WORLD, lambda: read_case(path, law))


def failure(solution: Solution, folder: Path | None = None) -> str:
    """Return the message of a solve that did not converge: what was tried, and what a folder keeps of it, if any."""
    law, load_parameter = solution.discretisation.problem.law.name, solution.report.load_parameter
    if load_parameter == 1.0:
        accept = 'accept it by unresolved = "warn" in [solver]'
        sentences = "\n".join(f"  - {sentence}" for sentence in solution.unresolved)
        return f"law {law}: the mesh is too coarse for what was found; refine it, or {accept}:\n{sentences}"
    keeps = f"{folder} holds the last good state," if folder else "the last good state (which run would keep) was"
    left = f"{keeps} at {load_parameter:.4g} of the driving forces" if load_parameter else "no state was found"
    attempts = [f"  - {attempt}" for attempt in solution.report.tried]
    carried = limits(solution.setup, solution.report)
    return "\n".join([f"law {law} did not converge; {left}. Tried:", *attempts, *carried])


class Job:
    """A context in which cases are solved and results staged; leaving it by an error abandons what was staged."""

    def __init__(self, arguments: argparse.Namespace, petsc_options: Sequence[str]) -> None:
        self.started, self._started = time.perf_counter(), time.monotonic()
        self.comm = MPI.COMM_WORLD
        self.petsc_options = petsc_options
        self.console = Console(self.comm.rank, arguments.quiet)
        self._restart: Path | None = getattr(arguments, "restart", None)
        path = arguments.output or self._restart or Path(f"{arguments.case.stem}.results")
        goes_on = self._restart is not None and path.resolve() == self._restart.resolve()
        self.folder = ResultFolder(path, self.comm, arguments.overwrite, self.console.warn, goes_on)

    def __enter__(self) -> Self:
        try:
            with held_back():
                # a rank that was interrupted on its way here ends the others before there is a folder to leave behind
                self.comm.Barrier()
                self.folder.open()
                begin = lambda: self.console.open_log(self.folder.staging / LOG)  # noqa: E731
                on_rank_zero(self.comm, lambda: self.folder.on_disk(begin))
        except KeyboardInterrupt as interruption:
            # what was held back comes now, and a context that was not entered is not left
            self.__exit__(type(interruption), interruption, None)
            raise
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is not None:
            with held_back():
                # what is refused once its mesh is known leaves no more behind than what is refused before
                if isinstance(error, CaseError | UsageError | LawError):
                    self.folder.withdraw()
                else:
                    self.folder.abandon()

    def solve(self, case: Case, comm: MPI.Comm | None = None) -> Solution:
        """Solve a case on the ranks of the job or of ``comm``; tell what the user should know of it, and which PETSc
        options nobody asked for."""
        if case.time is not None:
            self.console.warn("[time] does not count here: this is about the steady state under the values at time 0")
        solution = solve_quietly(
            case,
            comm=comm or self.comm,
            petsc_options=self.petsc_options,
            progress=self.console.say,
            keep_failure=True,
            watch=Watch(self.console.rewrite) if self.console.rewrites else None,
        )
        self.console.clear()
        for warning in solution.warnings:
            self.console.warn(warning)
        LOGGER.debug("PETSc options in force: %s", solution.petsc_options)
        return solution

    def run(self, case: Case, walltime: str | None = None) -> TransientSolution:
        """Run a case that moves, each row of its series written as soon as it is there, and warn as `solve` does.

        It goes on from a checkpoint if the command says so, and stops after one by a time, "2h".
        """
        from pnp_exclusion.solution.transient import run

        with self.running(walltime) as running:
            solution = run(case, comm=self.comm, petsc_options=self.petsc_options, **running)
        for warning in solution.warnings:
            self.console.warn(warning)
        return solution

    @contextlib.contextmanager
    def running(self, walltime: str | None) -> Iterator[Running]:
        """Yield how a motion is watched, kept in the folder, and continued as the command says; its series is written
        meanwhile."""
        with SeriesFile(self.folder) as series:
            yield {
                "progress": lambda progress: self.console.progress("time", progress),
                "on_row": series.add,
                "checkpoints": self.folder.path,
                "restart": self._restart,
                "walltime": walltime,
                "started": self._started,
                "warn": self.console.warn,
            }

    def solve_or_end(self, case: Case, comm: MPI.Comm | None = None) -> Solution:
        """Solve a case as `solve` does; `ConvergenceError` if it has no solution, for those who need one to go on."""
        solution = self.solve(case, comm)
        if not solution.converged:
            raise ConvergenceError(f"{case.path}: {failure(solution)}")
        return solution

    def write(self, solution: Solution, prefix: str = "") -> None:
        """Stage everything that the contract asks of one solution, in the sub-folder ``prefix``."""
        summary = solution.summary()
        self.folder.make(prefix)
        if not solution.has_state:
            self.write_manifest(solution, prefix)
            self.folder.write_json(f"{prefix}summary.json", lambda: summary)
            return
        if solution.discretisation.problem.domain.dimension == 1:
            profile = sample.profile(solution.discretisation)
            self.folder.write(f"{prefix}profile.csv", lambda: profile_csv(solution, profile) if profile else "")
        summary |= self._write_fields(solution, prefix)
        self.write_manifest(solution, prefix)
        summary["wall_seconds"] = time.perf_counter() - self.started
        self.folder.write_json(f"{prefix}summary.json", lambda: summary)
        self._draw(solution, prefix)

    def _write_fields(self, solution: Solution, prefix: str) -> dict[str, Any]:
        """Stage the fields in every form that the case asks for; return what the summary says of them."""
        output, motion = solution.case.output, motion_of(solution)
        moments = [] if motion is None else motion.moments_to_end
        formats = output.field_formats
        paths = [self.folder.staging / f"{prefix}fields.{one}" for one in formats if one != "csv"]
        errors = write_fields(solution, paths, moments) if paths else {}
        if "csv" in formats:
            table = fields_csv(solution, moments)
            self.folder.write(f"{prefix}fields.csv", lambda: table)
        if output.lines:
            lines = lines_csv(solution, moments)
            self.folder.write(f"{prefix}lines.csv", lambda: lines)
        if output.points:
            probes = probes_csv(solution, moments)
            self.folder.write(f"{prefix}probes.csv", lambda: probes)
        return {"sampling_error": errors} if errors else {}

    def write_manifest(self, solution: Solution, prefix: str = "") -> None:
        """Stage what is needed to run a case again."""
        memory = peak_per_rank(self.comm)
        self.folder.write_json(f"{prefix}manifest.json", lambda: manifest(solution, self.comm.size, memory))

    def _draw(self, solution: Solution, prefix: str) -> None:
        case, scales, folder = solution.setup.case, solution.setup.scales, self.folder
        output, motion = case.output, motion_of(solution)
        if not output.picture_format and not output.animation:
            return
        if motion is not None and len(motion.moments) > 1 and solution.steady.axes == 1:
            snapshots = motion.snapshots()
            folder.draw(output, f"{prefix}strip", "output.plots.draw_strip", case, scales, snapshots)
            if output.animation:
                animation = "output.animation.draw_animation"
                folder.draw(output, f"{prefix}animation", animation, case, scales, snapshots, ending="gif")
        if not output.picture_format:
            return
        if motion is not None:
            folder.draw(output, f"{prefix}series", "output.plots.draw_series", case, scales, motion.rows)
        if solution.discretisation.problem.domain.dimension == 1:
            profile = sample.profile(solution.discretisation)
            folder.draw(output, f"{prefix}profiles", "output.plots.draw_profiles", case, scales, profile)
        else:
            cut = sample.central_slice(solution.discretisation, solution.steady.axis)
            folder.draw(output, f"{prefix}slice", "output.plots.draw_slice", case, scales, cut)
        if solution.refinement is not None:
            draw = "output.accuracy_picture.draw_accuracy"
            folder.draw(output, f"{prefix}accuracy", draw, case.title, solution.refinement)
        parts, along = solution.steady.flux_parts, solution.steady.axis
        if parts:
            folder.draw(output, f"{prefix}fluxes", "output.plots.draw_flux_parts", case, scales, parts, along)

    def write_comparison(self, solutions: dict[str, Solution], noises: dict[str, Noise]) -> None:
        """Stage the summary and the picture of all laws together; of the noise what there is."""
        case = next(iter(solutions.values())).setup.case
        summaries = {law: solution.summary() for law, solution in solutions.items()}
        converged = all(solution.converged for solution in solutions.values())
        solutions = {law: solution for law, solution in solutions.items() if solution.has_state}
        apart = distances(solutions) if solutions else []
        noise = {law: noise_at_zero_json(one) for law, one in noises.items()}
        content = {"converged": converged, "laws": summaries, "distances": apart, "noise": noise}
        self.folder.write_json("summary.json", lambda: content)
        first = next(iter(solutions.values()), None)
        if first is None or first.steady.ends is None or not case.output.picture_format:
            return
        one_dimensional = first.discretisation.problem.domain.dimension == 1
        profiles = {law: sample.profile(s.discretisation) for law, s in solutions.items()} if one_dimensional else {}
        self.folder.draw(
            case.output,
            "comparison",
            "output.plots.draw_comparison",
            case.title,
            first.setup.scales,
            case.species_names,
            {law: solution.currents for law, solution in solutions.items()},
            {law: solution.regimes for law, solution in solutions.items()},
            profiles,
            tuple(end.name for end in first.steady.ends),
            first.current_unit,
        )

    def complete(self) -> None:
        """Move everything into place; from then on a command cannot be interrupted."""
        self.folder.complete()
        results_are_in_place()

    def print_lines(self, lines: Sequence[str]) -> None:
        """Print on standard output, once."""
        if self.comm.rank == 0:
            print("\n".join(lines), flush=True)
            for line in lines:
                LOGGER.info(line)


def motion_of(solution: Solution) -> TransientSolution | None:
    """Return a solution that is a motion as such; what steps it is imported for cases that move only."""
    if solution.setup.case.time is None:
        return None
    from pnp_exclusion.solution.transient import TransientSolution

    return solution if isinstance(solution, TransientSolution) else None
