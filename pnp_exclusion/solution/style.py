"""How pictures look: sizes and fonts that a journal prints as they are, colours that everyone can tell apart, units."""

from __future__ import annotations

import io
import math
import re
import textwrap
from pathlib import Path
from typing import IO, Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SPECIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
"""Of Okabe and Ito, which the colour-blind tell apart."""
LINESTYLES = ("-", "--", "-.", ":")
COLUMN, PAGE = 3.4, 7.0
"""Inches: the width of a column and of a page of most journals."""
SMALL = 7
"""Points: of legends and remarks."""
FRACTIONS_OF_SECONDS = ("s", "ms", "µs", "ns", "ps", "fs")
LETTERS_PER_INCH = 17
"""Of a title, about."""
STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.titlesize": 8,
    "figure.labelsize": 8,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "legend.framealpha": 0.8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "hatch.linewidth": 0.6,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=SPECIES_COLOURS),
    "grid.alpha": 0.3,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-4, 4),
    "figure.dpi": 300,
    "figure.constrained_layout.use": True,
    # letters in files stay letters, in a font that is in the file
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "pnp_exclusion",
}
SCREEN = 150
"""Dots an inch in a notebook."""


class Picture(Figure):
    """A figure that draws itself: no window, and shown by a notebook without pyplot."""

    def _repr_png_(self) -> bytes:
        drawn = io.BytesIO()
        save(self, drawn, dpi=SCREEN)
        return drawn.getvalue()


def save(figure: Figure, target: Path | IO[bytes], dpi: float = 300) -> None:
    """Write a figure into a file, by its path, whose ending says in which format, or as PNG into an open one."""
    # ticks are made, and take their style, as they are drawn
    with matplotlib.rc_context(STYLE):
        form = target.suffix[1:] if isinstance(target, Path) else "png"
        FigureCanvasAgg(figure).print_figure(target, format=form, dpi=dpi)


def species_colour(position: int) -> str:
    """Return the colour of a species by its position in the case."""
    return SPECIES_COLOURS[position % len(SPECIES_COLOURS)]


def plain(text: str) -> str:
    """Return a text that matplotlib shows as it is written: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def wrapped(text: str, width: float) -> str:
    """Return a text in lines that fit a width in inches, as it is written."""
    lines = [textwrap.fill(plain(line), max(10, int(LETTERS_PER_INCH * width))) for line in text.splitlines()]
    return "\n".join(lines)


def entitle(figure: Figure, text: str) -> None:
    """Put a title over a figure, in as many lines as it needs; none if there is no text."""
    if text:
        figure.suptitle(wrapped(text, figure.get_figwidth()))


def unit_in_picture(unit: str) -> str:
    """Return a unit as products of raised powers: "mol/m^2/s" as "mol m⁻² s⁻¹"; natural units as they are written."""
    if any(natural in re.findall(r"[A-Za-z]+", unit) for natural in ("D", "e", "L")) and not unit.startswith("mol"):
        return "".join(_raised(part) for part in re.split(r"(\^-?\d)", unit))
    first, *below = unit.split("/")
    above = [] if first.strip() == "1" else [_word(word, 1) for word in first.split()]
    return " ".join([*above, *(_word(word, -1) for part in below for word in part.split())])


def _raised(part: str) -> str:
    return "".join("⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".index(c)] for c in part[1:]) if part.startswith("^") else part


def _word(word: str, sign: int) -> str:
    name, _, power = word.partition("^")
    exponent = sign * int(power or 1)
    return name if exponent == 1 else name + _raised(f"^{exponent}")


def with_unit(words: str, unit: str) -> str:
    """Return words for an axis with the unit of what is drawn along it, if it has one."""
    return f"{words} [{unit_in_picture(unit)}]" if unit else words


def time_in_picture(longest: float, unit: str) -> tuple[float, str]:
    """Return a factor and a unit in which times up to a longest one, in seconds, are numbers of a few digits."""
    if unit != "s" or longest <= 0.0:
        return 1.0, unit
    power = min(max(-(math.floor(math.log10(longest)) // 3), 0), len(FRACTIONS_OF_SECONDS) - 1)
    return 1e3**power, FRACTIONS_OF_SECONDS[power]


def ticks(most: int) -> MaxNLocator:
    """Return what puts a few ticks at round numbers."""
    return MaxNLocator(most, steps=[1, 2, 2.5, 5, 10])


def zero_line(axis: Axes) -> None:
    """Draw where an axis is zero."""
    axis.axhline(0.0, color="0.5", linewidth=0.6, zorder=1.5)
