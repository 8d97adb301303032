"""What must be right about a case that moves, beside what must be about any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pnp_exclusion.case.beginning_table import BeginningError, read_beginning
from pnp_exclusion.case.boundary_tables import BLOCKED_CURRENT, Contents
from pnp_exclusion.case.contents import contents_at_first
from pnp_exclusion.case.courses import CourseError
from pnp_exclusion.case.field_tables import FieldTable
from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.moving import at_time, courses_in
from pnp_exclusion.case.reading import Draft
from pnp_exclusion.case.sentences import nearest
from pnp_exclusion.case.sizes import fill
from pnp_exclusion.case.tables import CaseTables
from pnp_exclusion.case.time_tables import Initial, Piece, Time
from pnp_exclusion.errors import CaseError

type Check = Callable[[Draft, Model], None]


def check_motion(draft: Draft, model: Model, check_packing: Check) -> None:
    """Refuse numbers in time where there is none, contents that are none at some moment, and unknown beginnings."""
    tables = [*draft.species.values(), draft.domain, *draft.regions, *draft.boundaries]
    courses = list(courses_in(tables))
    if draft.time is None:
        if courses:
            kind = next(iter(courses[0].written))
            draft.refuse(
                "[time]", f"a number is given in time ({kind} = ..), but this table is missing, e.g. end = 1.0"
            )
        if draft.initial is not None:
            draft.refuse("[initial]", "is the beginning of a motion, but the table [time] is missing")
        return
    if draft.sweep is not None or draft.diagram is not None:
        draft.refuse("[time]", "a sweep or diagram is of steady states; remove it, or [time]")
    _check_protocol(draft, draft.time, model)
    _check_beginning(draft, model)
    end = draft.time.last
    try:
        moments = {moment for course in courses for moment in course.extremes(end)}
    except CourseError as error:
        draft.refuse("[time]", str(error))
        return
    for time, before in moments:
        moved = replace(draft, mistakes=[], boundaries=at_time(draft.boundaries, time, before=before))
        _check_contents(moved, time)
        check_packing(moved, model)
        draft.mistakes += [mistake for mistake in moved.mistakes if mistake not in draft.mistakes]


def _check_protocol(draft: Draft, time: Time, model: Model) -> None:
    """The terminal must be one whose potential may be given and found."""
    if not time.protocol:
        return
    for number, piece in enumerate(time.protocol, start=1):
        _check_piece(draft, f"[[time.protocol]] {number}", piece, model)
    if not draft.all_boundaries_read or (model.electrostatics == "imposed" and time.terminal is None):
        return
    names = [boundary.where for boundary in draft.boundaries]
    terminal = next((boundary for boundary in draft.boundaries if boundary.where == time.terminal), None)
    if terminal is None:
        near = nearest(time.terminal or "", names)
        draft.refuse("[time]", f'terminal names an unknown boundary "{time.terminal}"; {near}')
        return
    if model.electrostatics == "imposed":
        return
    where = f'[[boundaries]] "{terminal.where}"'
    if not isinstance(terminal, Contents) or terminal.potential is None:
        draft.refuse(where, "the terminal of a protocol has a potential, at which it is before; give it one")
    elif terminal.potential.course is not None:
        draft.refuse(where, "its potential is given in time and by a protocol too; give what it is before the protocol")
    if all(other is terminal or other.dirichlet_potential is None for other in draft.boundaries):
        draft.refuse("[time]", "beside the terminal of a protocol another boundary must hold a potential")


def _check_piece(draft: Draft, where: str, piece: Piece, model: Model) -> None:
    """What it gives must be what the case has: a terminal's, or fields of the same kind as those before."""
    is_imposed = model.electrostatics == "imposed"
    if is_imposed and not piece.fields:
        draft.refuse(where, 'needs a potential that is solved for, electrostatics = "poisson"; give fields here')
    if piece.fields and not is_imposed:
        draft.refuse(where, 'fields go with electrostatics = "imposed"; give a potential, or a total_current')
    try:
        for course in courses_in([piece.potential, piece.total_current, piece.fields]):
            course.extremes(piece.duration.value)
        _check_charge(draft, where, piece)
    except CourseError as error:
        draft.refuse(where, str(error))
    if not draft.all_species_read:
        return
    watched = [] if piece.until is None else [*piece.until.flux, *piece.until.passed]
    for name in (*piece.fields, *watched):
        if name not in draft.species:
            draft.refuse(where, f'names an unknown species "{name}"; {nearest(name, draft.species)}')
    for name, field in piece.fields.items():
        species = draft.species.get(name)
        if species is not None and species.field is None:
            draft.refuse(f'[[species]] "{name}"', "a protocol gives it a field; give what it is before, field = 0.0")
        elif species is not None and isinstance(species.field, FieldTable) != isinstance(field, FieldTable):
            draft.refuse(where, f"the field of {name} is a table over x before or here, but not both")


def require_rest(case: CaseTables) -> None:
    """Refuse a case that has no steady state because a current charges an electrode that blocks all ions: `CaseError`.

    A case that does not move was refused as it was read.
    """
    charged = {species.name for species in case.species if species.charge}
    reacting = {reaction.where for reaction in case.reactions if reaction.stoichiometry.electrons}
    blocked = [
        f'[[boundaries]] "{boundary.where}": {BLOCKED_CURRENT}'
        for boundary in case.boundaries
        if getattr(boundary, "total_current", None) is not None
        and not charged & boundary.held
        and boundary.where not in reacting
    ]
    if blocked:
        raise CaseError(case.path, blocked)


def _check_contents(draft: Draft, time: float) -> None:
    for boundary in draft.boundaries:
        for name, amount in boundary.amounts.items():
            if amount < 0.0:
                where = f'[[boundaries]] "{boundary.where}"'
                draft.refuse(where, f"the concentration of {name} is negative at {time:g}")


def _check_charge(draft: Draft, where: str, piece: Piece) -> None:
    """A current in time must be able to bring the charge that ends its piece, were it always the largest."""
    course = None if piece.total_current is None else piece.total_current.course
    if course is None or piece.until is None or piece.until.charge is None:
        return
    duration, wanted = piece.duration, piece.until.charge
    largest = max(abs(course.value(time, before=before)) for time, before in course.extremes(duration.value))
    if largest * duration.value < wanted.value:
        most = f"{largest * duration.value:.4g} at most within {duration.text}"
        draft.refuse(where, f"until.charge = {wanted.text} cannot be met: the current brings {most}")


def _check_beginning(draft: Draft, model: Model) -> None:
    initial = draft.initial
    if initial is not None:
        wrong, right = ("fraction", "concentration") if model.si else ("concentration", "fraction")
        if getattr(initial, wrong):
            draft.refuse("[initial]", f"{wrong} is not for a case in these units; write {right}")
        for name, amount in {**initial.fraction, **{n: c.value for n, c in initial.concentration.items()}}.items():
            if draft.all_species_read and name not in draft.species:
                draft.refuse("[initial]", f'{right} names an unknown species "{name}"; {nearest(name, draft.species)}')
            species = draft.species.get(name)
            mean = None if species is None else species.mean_concentration or species.mean_fraction
            if mean is not None and float(mean) != amount:
                draft.refuse("[initial]", f"{name} has a mean, of which there is as much at first; remove its {right}")
            if not amount > 0.0:
                draft.refuse("[initial]", f"the concentration of {name} must be positive")
        if initial.state == "table":
            _check_beginning_table(draft, initial, model)
        if initial.state != "uniform":
            return
    if not draft.all_boundaries_read:
        return
    for name in draft.species:
        if contents_at_first(draft.species[name], draft.initial, draft.boundaries, 1.0) is None:
            draft.refuse("[initial]", f"what there is of {name} at first is not known; give its {content_key(model)}")


def _check_beginning_table(draft: Draft, initial: Initial, model: Model) -> None:
    """It must be of the species of the case, and leave vacancies; its places are looked at once there is a mesh."""
    if not draft.all_species_read:
        return
    species = list(draft.species.values())
    assert initial.file is not None
    try:
        table = read_beginning(
            draft.path.parent / initial.file,
            [*draft.species],
            si=model.si,
            thermal=model.thermal,
            dimension=draft.dimension,
        )
    except BeginningError as error:
        draft.refuse("[initial]", f'"{initial.file}" {error}')
        return
    if model.flux_law.crowded:
        packing = np.array(fill(model, species)) @ np.array([*table.contents.values()])
        row = int(np.argmax(packing))
        if packing[row] >= 1.0:
            full = f"{packing[row]:.4g} of the space in row {row + 1} (packing; it must be below 1)"
            draft.refuse("[initial]", f'"{initial.file}" has species that fill {full}')


def content_key(model: Model) -> str:
    """Return the key of contents in the units of a case."""
    return "concentration" if model.si else "fraction"
