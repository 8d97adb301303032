"""What is written and drawn of an impedance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from pnp_exclusion.output.text import columns
from pnp_exclusion.solution.impedance import Impedance
from pnp_exclusion.solution.style import COLUMN, STYLE, entitle, save, with_unit


def impedance_csv(impedance: Impedance) -> str:
    """Return ``impedance.csv``: frequency, real and imaginary part, units in the header."""
    unit = f" [{impedance.unit}]" if impedance.unit else ""
    head = f"frequency [{impedance.frequency_unit}],re{unit},im{unit}" if impedance.unit else "frequency,re,im"
    return f"{head}\n{impedance_numbers_csv(impedance)}"


def impedance_numbers_csv(impedance: Impedance) -> str:
    """Return the rows of ``impedance.csv`` alone, for readers that take a header for numbers."""
    pairs = zip(impedance.frequencies, impedance.values, strict=True)
    return "".join(f"{frequency:.12g},{value.real:.12g},{value.imag:.12g}\n" for frequency, value in pairs)


def impedance_json(impedance: Impedance) -> dict[str, Any]:
    """Return ``impedance.json``: the ends of the band, and in which sense the values are meant."""
    return {
        "terminal": impedance.terminal,
        "convention": "Z = V/I at exp(i omega t); im is negative for a capacitor",
        "units": {"frequency": impedance.frequency_unit, "impedance": impedance.unit},
        "ends": impedance.ends(),
        "accuracy": impedance.accuracy,
        "warnings": impedance.warnings,
    }


def impedance_table(impedance: Impedance) -> list[str]:
    """Return lines for the terminal: resistance and capacitance at both ends of the band."""
    head = ["end", "frequency", "resistance", "capacitance"]
    rows = [
        [name, *(f"{end[key]:.6g}" for key in ("frequency", "resistance", "capacitance"))]
        for name, end in impedance.ends().items()
    ]
    return columns([head, *rows])


def draw_nyquist(path: Path, title: str, impedance: Impedance) -> None:
    """Draw minus the imaginary part over the real part, both to one scale."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 2.9))
        axis = figure.subplots()
        axis.plot(impedance.values.real, -impedance.values.imag, "o-", markersize=2)
        # capacitors leave the picture upwards; what bends is near the largest resistance
        most = np.ptp(impedance.values.real) or abs(impedance.values.real).max()
        middle = impedance.values.real.min()
        axis.set_xlim(middle - 0.1 * most, middle + 1.3 * most)
        axis.set_ylim(-0.1 * most, 1.3 * most)
        axis.set_aspect("equal")
        axis.set_xlabel(with_unit("Re Z", impedance.unit))
        axis.set_ylabel(with_unit("−Im Z", impedance.unit))
        entitle(figure, title)
        save(figure, path)


def draw_bode(path: Path, title: str, impedance: Impedance) -> None:
    """Draw size and phase over frequency."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(COLUMN, 3.4))
        size, phase = figure.subplots(2, 1, sharex=True)
        size.loglog(impedance.frequencies, np.abs(impedance.values))
        phase.semilogx(impedance.frequencies, np.degrees(np.angle(impedance.values)))
        size.set_ylabel(with_unit("|Z|", impedance.unit))
        phase.set_ylabel("phase [°]")
        phase.set_xlabel(f"frequency [{impedance.frequency_unit}]")
        figure.align_ylabels()
        entitle(figure, title)
        save(figure, path)
