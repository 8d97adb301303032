"""``impedance``: how the current through a boundary answers to a small potential."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.band import add_band, band_of
from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.runtime import fenicsx

HELP = "impedance of the steady state: Nyquist, Bode, resistances and capacitances"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_band(parser, "omega/(2 pi) in D/L^2", count=50)
    parser.add_argument("--boundary", metavar="NAME", help="that holds the potential; the first of them if absent")
    parser.add_argument("--law", help="instead of the law of the case")
    add_output(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve, write ``impedance.csv``, ``impedance.json`` and pictures, print."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.impedance import (
        impedance_csv,
        impedance_json,
        impedance_numbers_csv,
        impedance_table,
    )
    from pnp_exclusion.output.job import Job, read

    case = read(arguments.case, arguments.law)
    frequencies = band_of(arguments, case)
    with Job(arguments, petsc_options) as job:
        solution = job.solve_or_end(case)
        impedance = solution.impedance(frequencies, arguments.boundary)
        for warning in impedance.warnings:
            job.console.warn(warning)
        job.folder.write("impedance.csv", lambda: impedance_csv(impedance))
        job.folder.write("impedance_numbers.csv", lambda: impedance_numbers_csv(impedance))
        job.folder.draw(case.output, "nyquist", "output.impedance.draw_nyquist", case.title, impedance)
        job.folder.draw(case.output, "bode", "output.impedance.draw_bode", case.title, impedance)
        job.folder.write_json("impedance.json", lambda: impedance_json(impedance))
        job.write_manifest(solution)
        job.complete()
    job.print_lines(impedance_table(impedance))
    return 0
