"""``ions``: the ions whose data are known, for ``ion = "Na+"`` in a case."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from pnp_exclusion.cli.commands.words import refuse_petsc_options
from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime.launcher import launched_rank

HELP = "list the ions whose data are known: charge, diffusivity, hydrated diameter, and where these are from"
COLUMNS = ("ion", "name", "charge", "diffusivity [m^2/s]", "hydrated diameter [nm]", "sources")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument("ions", nargs="*", metavar="ION", help='those to list, e.g. "Na+" "SO4^2-"; all if absent')
    parser.add_argument(
        "--temperature",
        metavar="T",
        help='of the diffusivities, e.g. "37 °C", from those at 25 °C by Stokes and Einstein: as T over the viscosity '
        "of water, a few per cent off for most ions and more for H+ and OH-",
    )


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Print the table."""
    refuse_petsc_options("ions", petsc_options)
    from pnp_exclusion.case.ions import REFERENCE_TEMPERATURE, SOURCES, ion, ions
    from pnp_exclusion.output.text import columns

    chosen = [ion(name) for name in arguments.ions] or list(ions().values())
    temperature = REFERENCE_TEMPERATURE if arguments.temperature is None else _temperature(arguments.temperature)
    try:
        rows = table(chosen, temperature)
    except ValueError as error:
        raise UsageError(f"--temperature: {error}") from None
    # MPI is not started for this: its libraries may print into what is printed here
    if not launched_rank():
        print("\n".join(columns([COLUMNS, *rows])))
        print(f"\nat infinite dilution in water of {temperature:g} K")
        for name, source in SOURCES.items():
            print(f"{name}: {source}")
    return 0


def table(chosen: Iterable, temperature: float) -> list[list[str]]:
    """Return a row of words for every ion; `ValueError` for a temperature at which water is not liquid."""
    return [
        [
            one.symbol,
            one.name,
            f"{one.charge:+d}",
            f"{one.diffusivity_at(temperature):.4g}",
            "-" if one.hydrated_diameter is None else f"{1e9 * one.hydrated_diameter:.3f}",
            ", ".join(one.sources),
        ]
        for one in chosen
    ]


def _temperature(text: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from pnp_exclusion.case.quantities import Temperature

    try:
        return float(TypeAdapter(Temperature).validate_python(text))
    except ValidationError as error:
        raise UsageError(f"--temperature: {error.errors()[0]['msg']}") from None
