"""Pictures of a lattice that carries energy."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pnp_exclusion.solution.style import PAGE, STYLE, entitle, save, species_colour, zero_line
from pnp_exclusion.studies.energy.run import EnergyCampaign

ERROR_BARS_DRAWN = 2.0
"""Standard errors."""


def draw_energy(path: Path, title: str, campaign: EnergyCampaign) -> None:
    """Write `energy_profiles`."""
    with matplotlib.rc_context(STYLE):
        save(energy_profiles(title, campaign), path)


def energy_profiles(title: str, campaign: EnergyCampaign) -> Figure:
    """Fractions, temperature, and each current through every bond at the largest size, over what theory says."""
    run = campaign.runs[-1]
    result, reference = run.result, run.reference
    process, x = result.process, result.process.positions
    panels = 2 + len(process.flowing)
    figure = Figure(figsize=(PAGE / 3.5 * panels, 2.8))
    fractions, temperature, *currents = figure.subplots(1, panels)
    for row, name in enumerate(process.names[:-1]):
        fields = result.fields
        _points(fractions, x, fields.mean[row], fields.error[row], row, name)
        fractions.plot(x, reference.fields[row], color=species_colour(row))
    fractions.set_ylabel("volume fraction")
    fractions.legend()
    warm = len(process.names) - 1
    particles = reference.fields[:-1].sum(axis=0)
    _points(temperature, x, result.temperatures.mean, result.temperatures.error, warm, "")
    temperature.plot(x, reference.fields[-1] / particles, color=species_colour(warm))
    temperature.set_ylabel("temperature (energy of a particle)")
    bonds = (np.arange(process.scale) + 0.5) / process.scale
    for row, (axis, field) in enumerate(zip(currents, process.flowing, strict=True)):
        flow = result.bond_currents
        _points(axis, bonds, flow.mean[field], flow.error[field], field, "")
        axis.axhline(reference.currents[row], color=species_colour(field))
        zero_line(axis)
        axis.set_ylabel(f"current of {process.names[field]}, positive to the right")
        axis.set_title(run.directions[process.names[field]])
    for axis in (fractions, temperature, *currents):
        axis.set_xlabel("x [channel length]")
    points = f"lattice of n = {process.cells} (points, {ERROR_BARS_DRAWN:.0f} standard errors)"
    entitle(figure, f"{title}\n{points} and theory (lines)")
    return figure


def _points(axis: Axes, x: np.ndarray, mean: np.ndarray, error: np.ndarray, colour: int, label: str) -> None:
    drawn = ERROR_BARS_DRAWN * error
    axis.errorbar(x, mean, drawn, fmt=".", markersize=3, linewidth=0.7, color=species_colour(colour), label=label)
