"""``noise``: spectra of the currents through the boundaries."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.band import add_band, band_of
from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.runtime import fenicsx

HELP = "noise of the currents about the steady state: spectra, Fano factors, correlations, admittance"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_band(parser, "angular in D/L^2", count=41)
    parser.add_argument("--law", help="instead of the law of the case")
    add_output(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve, write ``noise.csv``, ``noise.json`` and a picture, print."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.output.noise import noise_csv, noise_json, noise_table

    case = read(arguments.case, arguments.law)
    frequencies = band_of(arguments, case)
    with Job(arguments, petsc_options) as job:
        solution = job.solve_or_end(case)
        noise = solution.noise(frequencies)
        for warning in noise.warnings:
            job.console.warn(warning)
        job.folder.write("noise.csv", lambda: noise_csv(noise))
        job.folder.draw(case.output, "noise", "output.noise_picture.draw_noise", case.title, noise)
        job.folder.write_json("noise.json", lambda: noise_json(noise))
        job.write_manifest(solution)
        job.complete()
    job.print_lines(noise_table(noise))
    return 0
