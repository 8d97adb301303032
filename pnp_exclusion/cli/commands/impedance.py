"""``impedance``: how the current through a boundary answers to a small potential."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime import fenicsx

HELP = "impedance of the steady state: Nyquist, Bode, resistances and capacitances"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    of_band = 'of the frequencies, e.g. "1 kHz"; Hz without a unit, omega/(2 pi) in D/L^2 if dimensionless'
    parser.add_argument("--from", dest="start", metavar="F", help=f"the lowest {of_band}")
    parser.add_argument("--to", dest="stop", metavar="F", help="the highest")
    spread = "spread evenly in their logarithms (default: %(default)d)"
    parser.add_argument("--count", type=int, default=50, metavar="N", help=spread)
    parser.add_argument("--boundary", metavar="NAME", help="that holds the potential; the first of them if absent")
    parser.add_argument("--law", help="instead of the law of the case")
    add_output(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve, write ``impedance.csv``, ``impedance.json`` and pictures, print."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.impedance import impedance_csv, impedance_json, impedance_table
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.solution.noise import frequency_band

    case = read(arguments.case, arguments.law)
    if (arguments.start is None) != (arguments.stop is None):
        raise UsageError("--from and --to go together: the lowest and the highest frequency")
    frequencies = None
    if arguments.start is not None:
        frequencies = frequency_band(arguments.start, arguments.stop, arguments.count, si=case.model.si)
    with Job(arguments, petsc_options) as job:
        solution = job.solve_or_end(case)
        impedance = solution.impedance(frequencies, arguments.boundary)
        for warning in impedance.warnings:
            job.console.warn(warning)
        job.folder.write("impedance.csv", lambda: impedance_csv(impedance))
        if case.output.pictures:
            job.folder.draw("nyquist.png", "output.impedance.draw_nyquist", case.title, impedance)
            job.folder.draw("bode.png", "output.impedance.draw_bode", case.title, impedance)
        job.folder.write_json("impedance.json", lambda: impedance_json(impedance))
        job.write_manifest(solution)
        job.complete()
    job.print_lines(impedance_table(impedance))
    return 0
