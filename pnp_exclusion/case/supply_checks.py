"""What must be given so that every unknown of a case is fixed: potentials, temperatures, amounts, and what may flow."""

from __future__ import annotations

from pnp_exclusion.case.boundary_tables import BLOCKED_CURRENT, Contents, Wall
from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.reaction_checks import amounts_told_wrong, electrodes_that_react
from pnp_exclusion.case.reading import Draft


def check_supply(draft: Draft, model: Model) -> None:
    """Every unknown must be fixed somewhere, or the steady problem is singular."""
    if not draft.all_boundaries_read or not draft.all_species_read or (draft.has_ends and not draft.boundaries):
        return
    held = any(b.dirichlet_potential is not None or (b.needs_potential and not b.floats) for b in draft.boundaries)
    if model.electrostatics == "poisson" and not held and not _is_closed_cell(draft):
        floating = [f'"{b.where}"' for b in draft.boundaries if b.floats]
        of_whom = f": {' and '.join(floating)} float beside nothing that fixes a potential" if floating else ""
        cure = "add a reservoir or an electrode"
        if not draft.has_ends:
            cure = "where all axes are periodic there can be none, so give the amounts of all species"
        draft.refuse(
            "[[boundaries]]", f"no boundary gives a potential, so it is fixed only up to a constant{of_whom}; {cure}"
        )
    if draft.time is None:
        # in time a boundary that blocks all is charged
        _check_current(draft)
    if model.thermal and all(b.held_temperature is None and b.kind != "reservoir" for b in draft.boundaries):
        draft.refuse(
            "[[boundaries]]", "no boundary gives a temperature, so the energy is not fixed; give one to a wall"
        )
    reacting = {name for reaction in draft.reactions for name in reaction.stoichiometry.species}
    closed = [name for name in draft.species if not any(name in b.held for b in draft.boundaries)]
    key = "mean_concentration" if model.si else "mean_fraction"
    if draft.all_reactions_read:
        first = {name: next(iter(species.closing.values()), None) for name, species in draft.species.items()}
        told = {name: None if value is None else float(value) for name, value in first.items()}
        amounts_told_wrong(draft, closed, key, told)
    for name, species in draft.species.items():
        where = f'[[species]] "{name}"'
        closing = species.closing
        supplied = name not in closed
        if len(closing) > 1:
            draft.refuse(where, f"has both {' and '.join(closing)}; give one of the two")
        if supplied and closing:
            draft.refuse(where, f"{' and '.join(closing)} is for a species that no boundary supplies; remove it")
        if name in reacting or not draft.all_reactions_read:
            for given_key, given in closing.items():
                if float(given) < 0.0:
                    draft.refuse(where, f"{given_key} must be 0 or more")
            continue
        if not supplied and not closing:
            draft.refuse(where, f"no boundary supplies it, so its amount is not fixed; give {key} or a reservoir")
        for given_key, given in closing.items():
            if float(given) <= 0.0:
                draft.refuse(where, f"{given_key} must be positive")
        if not supplied and draft.time is None:
            _check_closed_fluxes(draft, name, where)


def _is_closed_cell(draft: Draft) -> bool:
    """Whether all that can be charged is given, so that a potential up to a constant is all that there is to know."""
    adjusts = any(b.floats or b.held or (isinstance(b, Wall) and b.regulation is not None) for b in draft.boundaries)
    return not adjusts and all(species.is_closed for species in draft.species.values())


def _check_current(draft: Draft) -> None:
    """What enters must leave: one of the boundaries that let charge through must have its potential given."""
    charged = {name for name, species in draft.species.items() if species.charge}
    reacting = electrodes_that_react(draft)
    passing = [b for b in draft.boundaries if charged & {*b.held, *b.fluxes} or b.where in reacting]
    given = [b for b in draft.boundaries if isinstance(b, Contents) and b.total_current is not None]
    blocked = [boundary for boundary in given if boundary not in passing]
    for boundary in blocked:
        lacking = "total_current has no carrier: it holds nothing charged" if boundary.held else BLOCKED_CURRENT
        draft.refuse(f'[[boundaries]] "{boundary.where}"', lacking)
    if blocked or not draft.all_reactions_read:
        return
    if given and all(boundary in given or boundary.fluxes for boundary in passing):
        draft.refuse(
            f'[[boundaries]] "{given[-1].where}"',
            "total_current is given wherever charge can pass, but what enters must leave; give one of these boundaries "
            "a potential instead",
        )


def _check_closed_fluxes(draft: Draft, name: str, where: str) -> None:
    fluxes = [b.fluxes[name].value for b in draft.boundaries if name in b.fluxes]
    if any(fluxes) and (draft.dimension != 1 or abs(sum(fluxes)) > 1e-12 * max(map(abs, fluxes))):
        draft.refuse(
            where,
            "flows through a boundary but is supplied by none, so there is no steady state; "
            "let a reservoir or an electrode hold it",
        )
