"""Matrices of the linearised equations, as forms: the answer, the storage and the mobility, and what boundaries add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from petsc4py import PETSc

import ufl
from dolfinx import fem
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.layout import POTENTIAL, unknown_of
from pnp_exclusion.physics.events import Event

type Terminal = tuple[int, str]
"""Number of a boundary and name of an unknown whose current passes it."""


def terminals_of(discrete: Discretisation) -> list[Terminal]:
    """Return all terminals of a discretisation: where an unknown is held, and where a boundary has terms of its own."""
    return list(dict.fromkeys([*discrete.constraints.claimed, *terms_at_boundaries(discrete)]))


def terms_at_boundaries(discrete: Discretisation) -> list[Terminal]:
    """Return where species pass a boundary in single events, and where charge sits behind a layer."""
    problem, found = discrete.problem, []
    for tag, boundary in enumerate(problem.boundaries):
        reacting = [one for one in problem.reactions if one.boundary == boundary.where]
        found += [
            (tag, unknown_of(name))
            for name in problem.names
            if name in boundary.exchanged_fractions or any(one.change(name) for one in reacting)
        ]
        is_behind_layer = boundary.applied_potential is not None and boundary.dirichlet_potential is None
        if problem.coupled and is_behind_layer:
            found.append((tag, POTENTIAL))
    return found


@dataclass(frozen=True)
class LinearisedForms:
    """Compiled: ``A``, ``B`` and ``K``, and of `terms_at_boundaries` ``A`` and ``K`` at one boundary at a time."""

    answer: CellwiseForm
    storage: CellwiseForm
    mobility: CellwiseForm
    natural: CellwiseForm | None
    events: CellwiseForm | None
    switches: Mapping[int, fem.Constant]

    def assembled_at(self, tag: int) -> tuple[PETSc.Mat, PETSc.Mat | None]:
        """Return ``A^T`` and ``K`` of the terms at one boundary; None if nothing happens there in events."""
        assert self.natural is not None
        self.switches[tag].value = 1.0
        found = transposed(self.natural), None if self.events is None else assembled(self.events)
        self.switches[tag].value = 0.0
        return found

    @staticmethod
    def of(discrete: Discretisation) -> LinearisedForms:
        """Compile those of a discretisation."""
        fields, layout, weak_form = discrete.fields, discrete.layout, discrete.weak_form
        test, trial = (layout.parts(argument(discrete.space)) for argument in (ufl.TestFunction, ufl.TrialFunction))
        dx = discrete.integration.dx
        parameters = discrete.parameters
        fluxes = discrete.problem.law.fluxes(
            [fields.vacancy, *fields.rho.values()],
            [ufl.grad(trial[unknown]) for unknown in discrete.entropic],
            parameters.local_diffusivities,
            parameters.law,
            parameters.least_mobility,
            fields.warmth,
        )
        moved = ufl.Form([])
        for unknown, flux in zip(discrete.entropic, fluxes, strict=True):
            moved += -ufl.inner(flux, ufl.grad(test[unknown])) * dx
        for event in weak_form.volume_events():
            moved += _covariance(event, test, trial) * dx
        tags = sorted({tag for tag, _ in terms_at_boundaries(discrete)})
        switches = {tag: fem.Constant(discrete.problem.domain.mesh, 0.0) for tag in tags}
        natural, events = ufl.Form([]), ufl.Form([])
        for tag, switch in switches.items():
            ds = discrete.integration.ds(tag)
            for name in discrete.problem.names:
                outward = weak_form.outward_flux(tag, name)
                if outward is not None:
                    natural += switch * outward * test[unknown_of(name)] * ds
            if POTENTIAL in layout:
                charge = weak_form.surface_charge(tag, fields.rho, fields.potential)
                if charge is not None:
                    natural -= switch * charge * test[POTENTIAL] * ds
            for event in weak_form.events_at(tag):
                events += switch * _covariance(event, test, trial) * ds
        of: Callable[[Any], CellwiseForm] = discrete.integration.form
        by_unknown = lambda form: of(ufl.derivative(form, discrete.unknown))  # noqa: E731
        stored = weak_form.contents_against(test)
        return LinearisedForms(
            by_unknown(weak_form.balance),
            by_unknown(stored),
            of(moved),
            None if natural.empty() else by_unknown(natural),
            None if events.empty() else of(events),
            switches,
        )


def _covariance(event: Event, test: Mapping[str, Any], trial: Mapping[str, Any]) -> Any:
    """Return half of what one event per rate, forward and backward, adds to the noise."""
    changes = [
        sum((count * part[unknown_of(name)] for name, count in event.changes.items()), start=ufl.as_ufl(0.0))
        for part in (test, trial)
    ]
    return 0.5 * (event.forth + event.back) * changes[0] * changes[1]


def assembled(form: CellwiseForm) -> PETSc.Mat:
    """Return the matrix of a form, held rows and all; collective."""
    matrix = fem_petsc.create_matrix(form.now)
    fem_petsc.assemble_matrix(matrix, form.now)
    matrix.assemble()
    return matrix


def transposed(form: CellwiseForm) -> PETSc.Mat:
    """Return the transposed matrix of a form; collective."""
    matrix = assembled(form)
    found = matrix.transpose(PETSc.Mat())
    matrix.destroy()
    return found
