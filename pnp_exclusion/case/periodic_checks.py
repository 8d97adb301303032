"""What periodic sides ask of a case."""

from __future__ import annotations

from typing import Any

from pnp_exclusion.case import domain_tables
from pnp_exclusion.case.field_tables import FieldTable
from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.reading import Draft
from pnp_exclusion.case.sentences import counted
from pnp_exclusion.mesh.physical_names import SIDES

LEAST_CELLS = 3
"""Between two sides that are one: with fewer the two neighbours of a node are one node too."""


def check_periodic(draft: Draft, model: Model) -> None:
    """Refuse axes that cannot be periodic, and what is given on sides that are none."""
    domain, given = draft.domain, domain_tables.periodic_letters(draft.domain)
    if not given or not draft.dimension:
        return
    letters = domain_tables.LETTERS[: draft.dimension]
    for letter in dict.fromkeys(given):
        if given.count(letter) > 1:
            draft.refuse("[domain]", f'periodic names "{letter}" more than once')
        if letter not in letters:
            has = counted(draft.dimension, "dimension")
            draft.refuse("[domain]", f'periodic names "{letter}", but the domain has {has}')
        elif getattr(domain, "coordinates", "cartesian") == "axisymmetric" and letter == letters[domain.radial]:
            draft.refuse("[domain]", f'periodic names "{letter}", which is the distance from the axis; remove it')
    axes = [letters.index(letter) for letter in given if letter in letters]
    _check_cells(draft, axes)
    if draft.shape in domain_tables.DIMENSIONS:
        gone = {side: axis for axis in axes for side in SIDES[2 * axis : 2 * axis + 2]}
        for boundary in draft.boundaries:
            if boundary.where in gone:
                letter = letters[gone[boundary.where]]
                draft.refuse(
                    f'[[boundaries]] "{boundary.where}"',
                    f"the domain is periodic along {letter} and has no end there; remove this boundary, or take "
                    f'"{letter}" out of periodic',
                )


def is_along_periodic(draft: Draft, field: Any) -> bool:
    """Whether an imposed field is uniform, and along axes only along which the domain is periodic."""
    if isinstance(field, FieldTable):
        return False
    components = field if isinstance(field, list) else [field]
    axes = domain_tables.periodic_axes(draft.domain)
    return all(axis in axes or float(component) == 0.0 for axis, component in enumerate(components)) and bool(axes)


def _check_cells(draft: Draft, axes: list[int]) -> None:
    cells = getattr(draft.domain, "cells", None)
    for axis in axes:
        along = cells[axis] if isinstance(cells, list) else cells
        if along is not None and along < LEAST_CELLS:
            draft.refuse(
                "[domain]", f"cells = {along} along {domain_tables.LETTERS[axis]}, which is periodic: at least three"
            )
