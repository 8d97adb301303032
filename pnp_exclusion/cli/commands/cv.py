"""``cv``: the current as the potential of a boundary goes up and down."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnp_exclusion.cli.commands.curve import add_range, number_or_text
from pnp_exclusion.cli.commands.words import add_case, add_output, add_restart
from pnp_exclusion.runtime import fenicsx

if TYPE_CHECKING:
    from pnp_exclusion.case.case import Case

HELP = "cyclic voltammogram: current over potential, peaks, the capacitive part"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_range(parser)
    parser.add_argument("--turn", metavar="V", help="where it turns once more, after --to (default: at --from)")
    parser.add_argument("--rate", required=True, metavar="R", help='e.g. "50 mV/s"; V/s without a unit')
    parser.add_argument("--cycles", type=int, default=1, metavar="N", help="how many (default: %(default)d)")
    parser.add_argument(
        "--points", type=int, default=400, metavar="N", help="of a cycle at least (default: %(default)d)"
    )
    parser.add_argument("--law", help="instead of the law of the case")
    add_output(parser)
    add_restart(parser, "cv")


def _not_written(case: Case) -> list[str]:
    """Return the keys of a case that ask for fields as files."""
    of_time, output = case.time is not None and case.time.fields is not None, case.output
    asked = {"fields of [time]": of_time, "lines of [output]": output.lines, "points of [output]": output.points}
    return [key for key, is_asked in asked.items() if is_asked]


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Run, write ``cv.csv``, ``cv.json``, a picture and ``series.csv``, print."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.studies.voltammetry import cv
    from pnp_exclusion.studies.voltammetry_files import cv_csv, cv_json, cv_table

    case = read(arguments.case, arguments.law)
    with Job(arguments, petsc_options) as job:
        if asked := _not_written(case):
            held = "solution.snapshots() of pnp_exclusion.cv"
            job.console.warn(f"cv writes no fields, so {', '.join(asked)} do not count; {held} has them")
        with job.running(arguments.walltime) as running:
            found = cv(
                case,
                arguments.boundary,
                number_or_text(arguments.start),
                number_or_text(arguments.stop),
                number_or_text(arguments.rate),
                turn=None if arguments.turn is None else number_or_text(arguments.turn),
                cycles=arguments.cycles,
                points=arguments.points,
                comm=job.comm,
                petsc_options=petsc_options,
                **running,
            )
        for warning in found.solution.warnings:
            job.console.warn(warning)
        lines = cv_table(found)
        job.folder.write("cv.csv", lambda: cv_csv(found))
        job.folder.draw(case.output, "cv", "studies.voltammetry_files.draw_cv", found)
        job.folder.write_json("cv.json", lambda: cv_json(found))
        job.write_manifest(found.solution)
        job.complete()
    job.print_lines(lines)
    return 0
