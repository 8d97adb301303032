"""What ``noise`` and ``impedance`` share: a band of frequencies."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pnp_exclusion.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pnp_exclusion.case.case import Case


def add_band(parser: argparse.ArgumentParser, dimensionless: str, count: int) -> None:
    """Add the words of a band.

    dimensionless
        What a frequency is in a dimensionless case.
    count
        How many there are unless it is said.
    """
    of_band = f'of the frequencies, e.g. "1 kHz"; Hz without a unit, {dimensionless} if dimensionless'
    parser.add_argument("--from", dest="start", metavar="F", help=f"the lowest {of_band}")
    parser.add_argument("--to", dest="stop", metavar="F", help="the highest")
    spread = f"from --from to --to, spread evenly in their logarithms (default: {count})"
    parser.add_argument("--count", type=int, metavar="N", help=spread)
    parser.set_defaults(usual_count=count)


def band_of(arguments: argparse.Namespace, case: Case) -> NDArray | None:
    """Return the frequencies that the words of a band ask for in a case; None if there are none."""
    from pnp_exclusion.solution.noise import frequency_band

    if (arguments.start is None) != (arguments.stop is None):
        raise UsageError("--from and --to go together: the lowest and the highest frequency")
    if arguments.start is None:
        if arguments.count is not None:
            raise UsageError("--count goes with --from and --to, which say where the frequencies are")
        return None
    count = arguments.usual_count if arguments.count is None else arguments.count
    return frequency_band(arguments.start, arguments.stop, count, si=case.model.si)
