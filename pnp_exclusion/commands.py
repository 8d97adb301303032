"""The commands, composed of the rooms: read, solve, observe, write."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnp_exclusion.errors import ConvergenceError, UsageError

if TYPE_CHECKING:
    from pnp_exclusion.case import Case
    from pnp_exclusion.console import Console
    from pnp_exclusion.results import ResultFolder
    from pnp_exclusion.solution import Solution


def schema(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Print the JSON Schema of case files."""
    from pnp_exclusion.case import Case

    print(json.dumps(Case.model_json_schema(), indent=2))
    return 0


def info(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Print versions."""
    from pnp_exclusion import fenicsx

    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.results import versions

    for name, version in versions().items():
        print(f"{name:22s} {version}")
    return 0


def mesh(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Run a gmsh script."""
    from pnp_exclusion.mesh.make import write_mesh

    target = arguments.output or arguments.script.with_suffix(".msh")
    cells = write_mesh(arguments.script, target)
    print(f"{target}: {cells} cells")
    return 0


def check(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Validate a case and print what it amounts to."""
    from pnp_exclusion import fenicsx

    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.advice import advice
    from pnp_exclusion.build import build
    from pnp_exclusion.report import check_report

    case = _read(arguments.case)
    setup = build(case)
    lines, warnings = check_report(setup), advice(setup)
    if MPI.COMM_WORLD.rank == 0:
        print("\n".join(lines))
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
    return 0


def run(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve one case and write its results."""
    job = _Job(arguments, petsc_options)
    case = _read(arguments.case)
    if arguments.law:
        case = case.with_law(arguments.law)
    with job:
        solution = job.solve(case)
        job.write(solution, "")
        job.folder.complete()
    job.print_lines(_run_table(solution))
    if not solution.converged:
        raise ConvergenceError(_failure(solution, job.folder.path))
    return 0


def compare(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve one case under several laws: one table, one picture, one summary, and each law's results in a folder."""
    job = _Job(arguments, petsc_options)
    laws = _laws(arguments.laws)
    case = _read(arguments.case)
    cases = {law: case.with_law(law) for law in laws}
    with job:
        solutions = {}
        for law, one in cases.items():
            job.console.say(f"law {law}")
            solutions[law] = job.solve(one)
            job.write(solutions[law], f"{law}/")
        job.write_comparison(case, solutions)
        job.folder.complete()
    from pnp_exclusion.report import comparison_table

    job.print_lines(comparison_table(solutions))
    failed = [solution for solution in solutions.values() if not solution.converged]
    if failed:
        raise ConvergenceError("\n".join(_failure(solution, job.folder.path) for solution in failed))
    return 0


def _laws(text: str) -> list[str]:
    from pnp_exclusion.case_checks import nearest
    from pnp_exclusion.laws import LAWS

    laws = [word.strip() for word in text.split(",") if word.strip()]
    for law in laws:
        if law not in LAWS:
            raise UsageError(f'--laws: there is no law "{law}"; {nearest(law, LAWS)}')
    if not laws:
        raise UsageError("--laws: name at least one law, e.g. mpnp,shdl")
    return list(dict.fromkeys(laws))


def _read(path: Path) -> Case:
    from mpi4py import MPI

    from pnp_exclusion.case import read_case
    from pnp_exclusion.parallel import on_rank_zero

    return on_rank_zero(MPI.COMM_WORLD, lambda: read_case(path))


def _failure(solution: Solution, folder: Path) -> str:
    attempts = "\n".join(f"  - {attempt}" for attempt in solution.report.tried)
    return (
        f"law {solution.weak_form.problem.law.name} did not converge; {folder} holds the last good state, at "
        f"{solution.report.drive:.4g} of the driving forces. Tried:\n{attempts}"
    )


def _run_table(solution: Solution) -> list[str]:
    from pnp_exclusion.report import run_table

    return run_table(solution)


class _Job:
    """One command that solves and writes: its folder, its console, its clock."""

    def __init__(self, arguments: argparse.Namespace, petsc_options: Sequence[str]) -> None:
        self.started = time.perf_counter()
        from pnp_exclusion import fenicsx

        fenicsx.initialise_petsc(petsc_options)
        from mpi4py import MPI

        from pnp_exclusion.console import Console

        self.comm = MPI.COMM_WORLD
        self.petsc_options = petsc_options
        self.console: Console = Console(self.comm.rank, arguments.quiet)
        self._path = arguments.output or Path(f"{arguments.case.stem}.results")
        self._overwrite = arguments.overwrite
        self.folder: ResultFolder

    def __enter__(self) -> None:
        from pnp_exclusion.results import LOG, ResultFolder

        self.folder = ResultFolder(self._path, self.comm, self._overwrite)
        self.console.open_log(self._path / LOG)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is not None:
            self.folder.abandon()

    def solve(self, case: Case) -> Solution:
        """Solve a case, telling what the user should know first and which PETSc options nobody asked for after."""
        from pnp_exclusion.advice import advice
        from pnp_exclusion.solution import solve

        solution = solve(
            case,
            comm=self.comm,
            petsc_options=self.petsc_options,
            progress=self.console.say,
            keep_failure=True,
        )
        for warning in [*advice(solution.setup), *solution.warnings()]:
            self.console.warn(warning)
        return solution

    def write(self, solution: Solution, prefix: str) -> None:
        """Stage everything that the contract asks of one solution, in the sub-folder ``prefix``."""
        from pnp_exclusion.observe import sample
        from pnp_exclusion.results import manifest, profile_csv, write_fields

        case, scales, weak_form = solution.setup.case, solution.setup.scales, solution.weak_form
        folder, pictures = self.folder, case.output.pictures
        folder.make(prefix)
        if weak_form.problem.domain.dimension == 1:
            profile = sample.profile(weak_form)
            folder.write(f"{prefix}profile.csv", lambda: profile_csv(solution, profile) if profile else "")
            if pictures:
                folder.draw(f"{prefix}profiles.png", "draw_profiles", case, scales, profile)
        elif pictures:
            cut = sample.central_slice(weak_form, solution.axis)
            folder.draw(f"{prefix}slice.png", "draw_slice", case, scales, cut)
        if pictures:
            parts = solution.flux_parts
            folder.draw(f"{prefix}fluxes.png", "draw_flux_parts", case, scales, parts, "xyz"[solution.axis])
        if case.output.fields:
            write_fields(solution, folder.staging / f"{prefix}fields.bp")
        summary = solution.summary() | {"wall_seconds": time.perf_counter() - self.started}
        folder.write_json(
            f"{prefix}manifest.json",
            manifest(
                case, self.comm.size, solution.petsc_options, solution.unused_petsc_options, dict(solution.seconds)
            ),
        )
        folder.write_json(f"{prefix}summary.json", summary)

    def write_comparison(self, case: Case, solutions: dict[str, Solution]) -> None:
        """Stage the summary and the picture of all laws together."""
        from pnp_exclusion.observe import sample
        from pnp_exclusion.report import currents_in_units

        first = next(iter(solutions.values()))
        summaries = {law: solution.summary() for law, solution in solutions.items()}
        self.folder.write_json(
            "summary.json", {"converged": all(s.converged for s in solutions.values()), "laws": summaries}
        )
        if first.ends is None or not case.output.pictures:
            return
        one_dimensional = first.weak_form.problem.domain.dimension == 1
        profiles = {law: sample.profile(s.weak_form) for law, s in solutions.items()} if one_dimensional else {}
        currents = {law: currents_in_units(solution) for law, solution in solutions.items()}
        self.folder.draw(
            "comparison.png",
            "draw_comparison",
            case.title,
            first.setup.scales,
            case.species_names,
            {law: values for law, (values, _) in currents.items()},
            {law: solution.regimes for law, solution in solutions.items()},
            profiles,
            tuple(end.name for end in first.ends),
            next(unit for _, unit in currents.values()),
        )

    def print_lines(self, lines: Sequence[str]) -> None:
        """Print on standard output, once."""
        if self.comm.rank == 0:
            print("\n".join(lines), flush=True)
