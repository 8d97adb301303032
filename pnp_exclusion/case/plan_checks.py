"""What ``[sweep]`` and ``[diagram]`` must satisfy beside the rest of their case: keys that it has, values that fit."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pnp_exclusion.case.axes import Driving, read_axis, with_unit
from pnp_exclusion.case.base import as_written
from pnp_exclusion.case.domain_tables import GivenMesh
from pnp_exclusion.case.keys import CaseKeyError, set_key
from pnp_exclusion.case.plans import Axis, Diagram, Sweep
from pnp_exclusion.case.quantities import shown
from pnp_exclusion.case.reading import Draft
from pnp_exclusion.errors import CaseError

PLANS = ("sweep", "diagram")


CheckTables = Callable[[dict[str, Any], Path], object]
"""Raises `CaseError` if tables are not a case."""


def check_plans(raw: dict[str, Any], draft: Draft, check_tables: CheckTables, plain: bool = False) -> None:
    """Note the mistakes of the plans of a case, if its own tables could be read: keys are looked for in them.

    plain
        Whether numbers without a unit are in SI units, as from Python; the plans of the draft are then given units.
    """
    if draft.model is None or draft.domain is None or not (draft.all_species_read and draft.all_boundaries_read):
        return
    if plain and (draft.sweep or draft.diagram):
        if isinstance(draft.domain, GivenMesh):
            draft.refuse(
                "[domain]",
                "a plan is written down and handed to others, which a mesh that Python has made cannot be: save it as "
                "a .msh file, or leave out [sweep] and [diagram] and vary the case in a loop or with a Workbench",
            )
            return
        raw = _tables_of(draft)
        _give_units(raw, draft)
    if draft.sweep is not None:
        _check_sweep(raw, draft, draft.sweep)
    if draft.diagram is not None:
        _check_diagram(raw, draft, draft.diagram, check_tables)


def _tables_of(draft: Draft) -> dict[str, Any]:
    """Return the tables of a case made of objects as those of a file, without its plans."""
    single = {"model": draft.model, "domain": draft.domain, "solver": draft.solver, "output": draft.output}
    arrays = {
        "species": draft.species.values(),
        "regions": draft.regions,
        "boundaries": draft.boundaries,
        "reactions": draft.reactions,
    }
    return {
        **{key: as_written(table) for key, table in single.items() if table is not None},
        **{key: [as_written(table) for table in array] for key, array in arrays.items()},
    }


def _give_units(raw: dict[str, Any], draft: Draft) -> None:
    """Write units behind the plain numbers of axes."""
    if draft.sweep is not None:
        axes = [with_unit(axis, raw) for axis in draft.sweep.axes]
        draft.sweep = draft.sweep.model_copy(update={"axes": axes})
    if draft.diagram is not None:
        both = {"x": with_unit(draft.diagram.x, raw), "y": with_unit(draft.diagram.y, raw)}
        draft.diagram = draft.diagram.model_copy(update=both)


def _check_sweep(raw: dict[str, Any], draft: Draft, sweep: Sweep) -> None:
    for axis in sweep.axes:
        where = f'[[sweep.axes]] "{axis.title}"'
        driving = _read(raw, draft, where, axis)
        if driving is None:
            continue
        repeated = [value for value, times in Counter(driving.values).items() if times > 1]
        if sweep.design == "grid" and repeated:
            draft.refuse(where, f"the value {shown(repeated[0])} is given twice")


def _check_diagram(raw: dict[str, Any], draft: Draft, diagram: Diagram, check_tables: CheckTables) -> None:
    for letter, axis in (("x", diagram.x), ("y", diagram.y)):
        _read(raw, draft, f"[diagram.{letter}]", axis)
    if draft.mistakes:
        return
    for variant in diagram.variants:
        where = f'[[diagram.variants]] "{variant.name}"'
        tables = {key: copy.deepcopy(table) for key, table in raw.items() if key not in PLANS}
        try:
            for key, value in variant.set.items():
                set_key(tables, key, value)
            check_tables(tables, draft.path)
        except CaseKeyError as error:
            draft.refuse(where, str(error))
            continue
        except CaseError as error:
            for mistake in error.mistakes:
                draft.refuse(where, mistake)
            continue
        for axis in (diagram.x, diagram.y):
            _read(tables, draft, where, axis)


def _read(raw: dict[str, Any], draft: Draft, where: str, axis: Axis) -> Driving | None:
    try:
        return read_axis(axis, raw)
    except CaseKeyError as error:
        draft.refuse(where, str(error))
        return None
