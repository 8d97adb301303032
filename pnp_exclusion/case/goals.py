"""What ``[solver] goal`` may name: the quantities of a steady state that can be asked for to an accuracy."""

from __future__ import annotations

from pnp_exclusion.case.domain_tables import periodic_letters
from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.reading import Draft
from pnp_exclusion.case.sentences import nearest
from pnp_exclusion.physics.energy import ENERGY

CURRENTS = "currents"
"""All that flow from end to end."""


def goal_names(draft: Draft, model: Model) -> list[str]:
    """Return all names of goals that a case has, as its summary has them; those from end to end are there whether it
    has two ends or not, which is seen on its mesh."""
    wheres, species = [boundary.where for boundary in draft.boundaries], list(draft.species)
    quantities = [*species, *([ENERGY] if model.thermal else [])]
    names = [CURRENTS, *(f"{CURRENTS}.{name}" for name in quantities), "electric_current"]
    names += [f"flux.{where}.{name}" for where in wheres for name in quantities]
    if any(one.charge for one in draft.species.values()):
        names += [f"current.{where}" for where in wheres]
    if model.electrostatics == "poisson":
        names += [f"charge.{where}" for where in wheres]
    names += [*(f"amount.{name}" for name in species), "entropy_production"]
    names += [f"flux_along.{axis}.{name}" for axis in periodic_letters(draft.domain) for name in quantities]
    for reaction in draft.reactions:
        kinds = ("rate", "current") if reaction.stoichiometry.electrons else ("rate",)
        names += [f"reactions.{reaction.title}.{kind}" for kind in kinds]
    return names


def check_accuracy(draft: Draft, model: Model) -> None:
    """Refuse goals that a case does not have, and an accuracy where no cells can be refined for it."""
    solver = draft.solver
    if solver.accuracy is None:
        for key in ("goal", "most_unknowns"):
            if getattr(solver, key) is not None:
                draft.refuse("[solver]", f"{key} goes with accuracy; give one, or remove it")
        return
    names = goal_names(draft, model)
    for name in [solver.goal] if isinstance(solver.goal, str) else solver.goal or []:
        if name not in names:
            draft.refuse("[solver]", f'goal "{name}" is nothing that this case has; {nearest(name, names)}')
    if draft.time is not None:
        draft.refuse("[solver]", "accuracy is of steady states; a case with [time] has [time] tolerance")
    if draft.dimension not in (None, 1) and getattr(draft.domain, "periodic", None):
        draft.refuse(
            "[solver]",
            "accuracy goes with periodic sides in one dimension only, since cells at two sides that are one would have "
            "to be bisected alike; give cells instead",
        )
