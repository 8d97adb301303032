"""What ``iv`` and ``capacitance`` share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Literal

from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime import fenicsx


def add_curve(parser: argparse.ArgumentParser) -> None:
    """Add the words of a curve."""
    add_case(parser)
    add_range(parser)
    parser.add_argument("--points", type=int, metavar="N", help="equally spaced (default: steps adapt to --accuracy)")
    parser.add_argument(
        "--accuracy", type=float, default=1e-3, metavar="A", help="of the range of the curve (default: %(default)g)"
    )
    parser.add_argument("--law", help="instead of the law of the case")
    add_output(parser)


def add_range(parser: argparse.ArgumentParser) -> None:
    """Add the boundary whose potential varies, and between what."""
    parser.add_argument("--boundary", required=True, metavar="NAME", help="the boundary whose potential is varied")
    parser.add_argument(
        "--from",
        dest="start",
        required=True,
        metavar="V",
        help='e.g. "-0.5 V"; V without a unit, kT/e if dimensionless',
    )
    parser.add_argument("--to", dest="stop", required=True, metavar="V")


def follow(kind: Literal["iv", "capacitance"], arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Follow a curve, or one that was stopped to its end; write ``curve.csv``, ``curve.json``, a picture, print."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.output.manifest import case_manifest
    from pnp_exclusion.output.results import UNFINISHED_CURVE
    from pnp_exclusion.runtime.parallel import on_rank_zero
    from pnp_exclusion.studies import curves
    from pnp_exclusion.studies.curve_files import curve_csv, curve_json, curve_table

    case = read(arguments.case, arguments.law)
    ends = [number_or_text(text) for text in (arguments.start, arguments.stop)]
    with Job(arguments, petsc_options) as job:
        points = job.folder.path / UNFINISHED_CURVE
        if arguments.overwrite:
            on_rank_zero(job.comm, lambda: job.folder.on_disk(lambda: points.unlink(missing_ok=True)))
        curve = getattr(curves, kind)(
            case,
            arguments.boundary,
            *ends,
            points=arguments.points,
            accuracy=arguments.accuracy,
            comm=job.comm,
            progress=job.console.say,
            petsc_options=petsc_options,
            resume=points,
        )
        for warning in curve.warnings:
            job.console.warn(warning)
        lines = curve_table(curve)
        job.folder.write("curve.csv", lambda: curve_csv(curve))
        job.folder.draw(case.output, "curve", f"studies.curve_files.draw_{kind}", curve)
        job.folder.write_json("manifest.json", lambda: case_manifest(case, job.comm.size))
        job.folder.write_json("curve.json", lambda: curve_json(curve))
        job.complete()
        on_rank_zero(job.comm, lambda: job.folder.on_disk(lambda: points.unlink(missing_ok=True)))
    job.print_lines(lines)
    if curve.ended:
        raise ConvergenceError(f"{case.path}: the curve {curve.ended}; the points before are written")
    return 0


def number_or_text(text: str) -> float | str:
    """Return a number without a unit as such, anything else as the text that it is."""
    try:
        return float(text)
    except ValueError:
        return text
