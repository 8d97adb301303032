"""``engine``: two membranes in a loop between two salinities, loaded from short circuit to open circuit."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pnp_exclusion.cli.commands.words import add_output
from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime import fenicsx

HELP = "two membranes in a loop: power and efficiency of reverse electrodialysis"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument("case", type=Path, metavar="CASE_A", help="the case file of leg A, e.g. a cation-selective one")
    parser.add_argument("other", type=Path, metavar="CASE_B", help="that of leg B, between the same reservoirs")
    add_output(parser)
    parser.add_argument(
        "--area-ratio", type=float, default=1.0, metavar="R", help="area of leg B over that of leg A (default: 1)"
    )
    parser.add_argument("--points", type=int, default=21, metavar="N", help="loads of the curve (default: %(default)s)")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve both legs, load the loop, write, print."""
    if not 0.0 < arguments.area_ratio < float("inf"):
        raise UsageError(f"--area-ratio must be greater than 0, but it is {arguments.area_ratio:g}")
    if arguments.points < 3:
        raise UsageError(f"--points takes a whole number from 3 on, but it is {arguments.points}")
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.studies.engine.engine import run_engine
    from pnp_exclusion.studies.engine.report import as_json, table

    cases = [read(arguments.case), read(arguments.other)]
    with Job(arguments, petsc_options) as job:
        solutions = []
        for leg, case in zip("AB", cases, strict=True):
            job.console.say(f"leg {leg}: {case.path}")
            solutions.append(job.solve_or_end(case))
        job.console.say("the loop under load")
        engine = run_engine(solutions[0], solutions[1], arguments.area_ratio, arguments.points, petsc_options)
        if cases[0].output.pictures:
            job.folder.draw("engine.png", "studies.engine.plots.draw_engine", engine)
        for leg, solution in zip("ab", solutions, strict=True):
            job.folder.make(f"leg_{leg}/")
            job.write_manifest(solution, f"leg_{leg}/")
        content, lines = as_json(engine), table(engine)
        job.folder.write_json("engine.json", lambda: content)
        job.complete()
    job.print_lines(lines)
    return 0
