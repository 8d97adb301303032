"""What is drawn of noise."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pnp_exclusion.solution.noise import Noise
from pnp_exclusion.solution.style import COLUMN, STYLE, entitle, plain, save, species_colour, with_unit


def draw_noise(path: Path, title: str, noise: Noise) -> None:
    """Draw the spectrum of the electric current with that of thermal noise, or of every species, over frequency."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 3.3))
        axis = figure.subplots()
        terminals = list(noise.terminals)
        if noise.electric is not None and len(terminals) == 2:
            # what enters at one leaves at the other
            terminals = [" and ".join(terminals)]
        for t, where in enumerate(terminals):
            if noise.electric is None or noise.thermal is None:
                for a, name in enumerate(noise.quantities):
                    line = "-" if t == 0 else ":"
                    own = noise.particle[:, t, a, t, a].real
                    axis.loglog(noise.frequencies, own, line, color=species_colour(a), label=f"{name}, {plain(where)}")
            else:
                own = noise.electric[:, t, t].real
                axis.loglog(noise.frequencies, own, color=species_colour(t), label=plain(where))
                thermal = own / noise.thermal[:, t]
                axis.loglog(
                    noise.frequencies,
                    thermal,
                    ":",
                    color=species_colour(t),
                    label=f"{plain(where)}: thermal, 4 kT Re Y",
                )
        electric = noise.electric is not None
        name = "noise of the electric current" if electric else "noise of the currents"
        unit = noise.unit if electric else noise.particle_unit
        axis.set_ylabel(with_unit(name, unit) if unit else f"{name}, two-sided, over eps")
        axis.set_xlabel(f"frequency [{noise.frequency_unit}]" if noise.unit else "angular frequency [D/L²]")
        shown = np.concatenate([line.get_ydata() for line in axis.lines])
        if shown.max() < 5.0 * shown.min():
            axis.set_yscale("linear")
        figure.legend(loc="outside lower center")
        entitle(figure, title)
        save(figure, path)
