"""``fit``: numbers of a case from measured currents and potentials."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime import fenicsx

if TYPE_CHECKING:
    from pnp_exclusion.case.case import Case

HELP = "numbers of a case that fit measured currents and potentials best, with what is known of them"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    parser.add_argument("data", type=Path, metavar="DATA", help="a CSV of measured values, see docs/fits.md")
    parser.add_argument(
        "--parameters",
        required=True,
        metavar="KEYS",
        help="of the case, e.g. species.Na.diffusivity,regions.membrane.fixed_charge; those joined by = are one",
    )
    parser.add_argument(
        "--bounds",
        action="append",
        default=[],
        metavar="BOUNDS",
        help='of a parameter, e.g. "species.Na.diffusivity: 1e-10 m^2/s to 1e-8 m^2/s"; may be repeated',
    )
    parser.add_argument("--profile", action="store_true", help="profile likelihoods of all parameters too")
    add_output(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Fit, write ``fit.json``, ``fit.csv`` and ``fit.png``, print."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.output.manifest import case_manifest
    from pnp_exclusion.studies.fits.files import fit_csv, fit_json, fit_table
    from pnp_exclusion.studies.fits.fit import fit

    case = read(arguments.case, None)
    names = [word.strip() for word in arguments.parameters.split(",") if word.strip()]
    bounds = dict(_bounds(text, case) for text in arguments.bounds)
    with Job(arguments, petsc_options) as job:
        found = fit(
            case,
            arguments.data,
            names,
            bounds=bounds,
            comm=job.comm,
            progress=job.console.say,
            petsc_options=petsc_options,
        )
        profiles = [found.profile(name) for name in names] if arguments.profile else []
        for sentence in (*found.warnings, *found.unidentified):
            job.console.warn(sentence)
        job.folder.write("fit.csv", lambda: fit_csv(found))
        job.folder.draw(case.output, "fit", "studies.fits.files.draw_fit", case.title, found)
        files = {"data": arguments.data}
        job.folder.write_json("manifest.json", lambda: case_manifest(case, job.comm.size, files=files))
        job.folder.write_json("fit.json", lambda: fit_json(found, profiles))
        job.complete()
    job.print_lines(fit_table(found))
    return 0


def _bounds(text: str, case: Case) -> tuple[str, tuple[float, float]]:
    from pydantic_core import PydanticCustomError

    from pnp_exclusion.case.keys import dimension_of_key

    name, colon, limits = text.partition(":")
    ends = [end.strip() for end in limits.split(" to ")]
    if not colon or len(ends) != 2:
        raise UsageError(f'--bounds "{text}" is not of the form "KEY: LEAST to LARGEST"')
    kind = dimension_of_key(case.as_written(), name.split("=")[0].strip())
    try:
        if kind is None or not case.model.si:
            low, high = (float(end) for end in ends)
        else:
            low, high = (kind.parse(end, "si").value for end in ends)
    except PydanticCustomError as error:
        raise UsageError(f'--bounds "{text}": {error.message()}') from None
    except ValueError:
        raise UsageError(f'--bounds "{text}": a bound is not a number') from None
    return name.strip(), (low, high)
