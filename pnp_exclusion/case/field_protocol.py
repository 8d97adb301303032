"""A case in imposed fields under a protocol: the forces on its species, piece by piece, and what they have moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import override

import numpy as np

from pnp_exclusion.case.build import Setup, fields_of
from pnp_exclusion.case.courses import Course
from pnp_exclusion.case.moving import at_time, courses_in
from pnp_exclusion.case.protocol import PieceDrive, ProtocolState, integrals_over
from pnp_exclusion.case.time_tables import Piece, Until
from pnp_exclusion.physics.imposed_fields import ImposedField
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.solver.transient.schemes import lagrange
from pnp_exclusion.solver.transient.step import Step


class FieldProtocolDrive(PieceDrive):
    """The numbers of a case whose fields a protocol changes; species that a piece does not name keep those of the case.

    fluxes
        What leaves through every boundary at the stages of a step, ``(stages, boundaries, quantities)``; needed where a
        piece ends by what flows.
    """

    def __init__(self, setup: Setup, state: ProtocolState | None = None) -> None:
        super().__init__(setup, state)
        time = setup.case.time
        assert time is not None
        names = [boundary.where for boundary in setup.problem.boundaries]
        self._tag = names.index(time.terminal) if time.terminal is not None else None
        untils = [piece.until for piece in time.protocol if piece.until is not None]
        watched = dict.fromkeys(name for until in untils for name in (*until.flux, *until.passed))
        self._species = {name: setup.problem.names.index(name) for name in watched}
        total = setup.scales.length ** (setup.case.dimension_of_totals - 1)
        self._flux_unit = setup.scales.flux * total
        self._amount_unit = setup.scales.concentration * setup.scales.length * total
        self.fluxes: Callable[[Step], np.ndarray] | None = None
        # a step is asked for several times
        self._read: tuple[Step, np.ndarray] | None = None

    @override
    def _driven(self, problem: Problem, time: float, before: bool) -> Problem:
        case = case_in(self._setup, self.piece, self._own(time), before=before)
        return replace(problem, fields=dict(problem.fields) | case)

    @property
    @override
    def _courses(self) -> list[Course]:
        return list(courses_in(self.piece.fields))

    def _at_stages(self, step: Step) -> dict[str, np.ndarray]:
        """Return the outward fluxes of the watched species through the terminal at the stages."""
        if not self._species or self._tag is None:
            return {}
        if self._read is None or self._read[0] is not step:
            assert self.fluxes is not None
            self._read = step, self.fluxes(step)[:, self._tag]
        _, found = self._read
        return {name: found[:, position] for name, position in self._species.items()}

    @override
    def _missing(self, until: Until, step: Step, at: np.ndarray) -> list[np.ndarray]:
        missing = []
        fluxes = self._at_stages(step) if until.flux or until.passed else {}
        for name, most in until.flux.items():
            values = lagrange(step.scheme.nodes, at) @ fluxes[name]
            missing.append(np.abs(values) - most.value / self._flux_unit)
        for name, wanted in until.passed.items():
            passed = step.length * integrals_over(step.scheme.nodes, fluxes[name], at)
            missing.append(wanted.value / self._amount_unit - np.abs(self.state.amounts.get(name, 0.0) + passed))
        return missing

    @override
    def _note(self, step: Step) -> None:
        for name, fluxes in self._at_stages(step).items():
            passed = step.length * float(step.scheme.weights @ fluxes)
            self.state.amounts[name] = self.state.amounts.get(name, 0.0) + passed
            self.state.fluxes[name] = float(fluxes[-1])

    @override
    def _reached(self, until: Until) -> list[str]:
        si, per = self._setup.scales.si, ("/m^2", "/m", "")[self._setup.case.dimension_of_totals - 1]
        told = [
            (f"the flux of {name}", abs(self.state.fluxes.get(name, 0.0)) * self._flux_unit, f"mol{per}/s", given)
            for name, given in until.flux.items()
        ]
        told += [
            (f"what passed of {name}", abs(self.state.amounts.get(name, 0.0)) * self._amount_unit, f"mol{per}", given)
            for name, given in until.passed.items()
        ]
        return [f"{what} reached {x:.4g}{f' {unit}' if si else ''} and not {one.text}" for what, x, unit, one in told]


def case_in(setup: Setup, piece: Piece, own: float, *, before: bool = False) -> dict[str, ImposedField]:
    """Return the fields of a piece at a time since it began, in the units of the case."""
    fields = at_time(piece.fields, own, before=before)
    species = [one.model_copy(update={"field": fields[one.name]}) for one in setup.case.species if one.name in fields]
    return fields_of(species, setup.case, setup.scales, setup.problem.domain)
