"""The impedance of a solution: how its current answers to a small potential, in the units of its case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnp_exclusion.discretisation.layout import POTENTIAL
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.solution.noise import above_zero
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solution.unit_attributes import unit_attributes
from pnp_exclusion.solver.linearised import LinearisedEquations
from pnp_exclusion.solver.linearised_forms import terminals_of
from pnp_exclusion.solver.noise import spectra, total_current_of
from pnp_exclusion.solver.steady import SolverSettings

if TYPE_CHECKING:
    import xarray

type Real = NDArray[np.float64]
type Complex = NDArray[np.complex128]

FREQUENCIES = (1e-3, 1e5, 50)
"""From, to (D/L^2) and how many, if none are given."""
ACCURATE = 1e-4
"""Relative: with less than this it is told."""


@dataclass(frozen=True)
class Impedance:
    """``Z = V/I`` of one terminal, the potentials of all others being held, at ``exp(i omega t)``.

    terminal
        Name of the boundary.
    frequencies
        ``(frequencies,)``, in Hz; of a dimensionless case ``omega/(2 pi)`` in D/L^2.
    values
        ``(frequencies,)``, complex: the imaginary part of a capacitor is negative. The current is the total one,
        conduction and displacement.
    accuracy
        Relative, as the residuals of the linear systems have it.
    unit, frequency_unit
        Of what is above, per area or per length where the case is; "" and "D/L^2" without units.
    warnings
        One sentence for each check that failed.
    """

    terminal: str
    frequencies: Real
    values: Complex
    accuracy: float
    unit: str
    frequency_unit: str
    warnings: list[str] = field(default_factory=list)

    def ends(self) -> dict[str, dict[str, float]]:
        """Return frequency, series resistance and series capacitance at the lowest and at the highest frequency; no
        capacitance where the current is ahead of none."""
        found = {}
        for name, position in (("low", 0), ("high", -1)):
            frequency, value = float(self.frequencies[position]), complex(self.values[position])
            capacitance = -1.0 / (2.0 * np.pi * frequency * value.imag) if value.imag < 0.0 else np.nan
            found[name] = {"frequency": frequency, "resistance": value.real, "capacitance": capacitance}
        return found

    def to_xarray(self) -> xarray.Dataset:
        """Return real and imaginary part, ``re`` and ``im``, along ``frequency``."""
        import xarray

        units = unit_attributes(self.unit)
        variables: dict[str, Any] = {
            "re": ("frequency", self.values.real, units),
            "im": ("frequency", self.values.imag, units),
        }
        coordinates: dict[str, Any] = {
            "frequency": ("frequency", self.frequencies, unit_attributes(self.frequency_unit))
        }
        return xarray.Dataset(variables, coordinates, {"terminal": self.terminal, "accuracy": self.accuracy})


def impedance_of(
    steady: SteadyState,
    frequencies: ArrayLike | None,
    terminal: str | None,
    settings: SolverSettings,
    petsc_options: Sequence[str] = (),
) -> Impedance:
    """Return the impedance of a steady state; collective.

    terminal
        A boundary that holds the potential; the first of them if None.

    Raises `CaseError` if no current could be told, `UsageError` for another terminal or frequencies that are none,
    `ConvergenceError` if the linear systems cannot be solved.
    """
    setup, discrete = steady.setup, steady.discretisation
    problem, scales = discrete.problem, setup.scales
    if not problem.coupled:
        needs = 'an impedance needs a potential that is solved for, electrostatics = "poisson"'
        raise CaseError(setup.case.path, [f"[model]: {needs}; imposed fields take a small sine in [time] instead"])
    if problem.floating:
        where = problem.boundaries[problem.floating[0]].where
        raise CaseError(
            setup.case.path, [f'[[boundaries]] "{where}": an impedance is at given potentials; give the one found here']
        )
    terminals = [problem.boundaries[tag].where for tag, name in terminals_of(discrete) if name == POTENTIAL]
    terminal = terminal or next(iter(terminals), None)
    if terminal not in terminals:
        raise UsageError(f'no boundary "{terminal}" holds the potential; there is {", ".join(terminals) or "none"}')
    per_frequency = 2.0 * np.pi * (scales.time if scales.si else 1.0)
    low, high, count = FREQUENCIES
    wanted: Real = (
        np.geomspace(low, high, count) * 2.0 * np.pi if frequencies is None else above_zero(frequencies) * per_frequency
    )
    tag = [boundary.where for boundary in problem.boundaries].index(terminal)
    with LinearisedEquations(discrete, settings, petsc_options) as equations:
        # a potential takes with it the electrochemical potentials that are held beside it: densities there stay
        found = spectra(equations, wanted, total_current_of(equations, tag)[None])
    admittance = found.admittance[:, 0, 0]
    ohm = scales.potential / (scales.current * steady.extent) if scales.si else 1.0
    unit = {"": "ohm", "/m": "ohm m", "/m^2": "ohm m^2"}[steady.per_extent]
    return Impedance(
        terminal,
        wanted / per_frequency,
        ohm / admittance,
        found.accuracy,
        unit if scales.si else "",
        "Hz" if scales.si else "D/L^2",
        list(_warnings(found.accuracy)),
    )


def _warnings(accuracy: float) -> Iterator[str]:
    if not accuracy < ACCURATE:
        yield f"the impedance is accurate to {accuracy:.0e} only: take a narrower band"
