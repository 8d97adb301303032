"""What the reactions of a case must satisfy: species that there are, charge and atoms kept, amounts that are fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pnp_exclusion.case.boundary_tables import Electrode
from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.reaction_tables import Reaction, unit_mistake
from pnp_exclusion.case.reading import Draft
from pnp_exclusion.case.sentences import listed, nearest
from pnp_exclusion.case.stoichiometry import ELECTRON, Equation, atoms_of
from pnp_exclusion.mesh.physical_names import SIDES
from pnp_exclusion.physics.stoichiometry import conserved_combinations


def electrodes_that_react(draft: Draft) -> set[str]:
    """Return the boundaries at which electrons react; all, if some do and it is not said where."""
    places = {reaction.where for reaction in draft.reactions if reaction.stoichiometry.electrons}
    everywhere = {boundary.where for boundary in draft.boundaries} if None in places else set()
    return {place for place in places if place is not None} | everywhere


def check_reactions(draft: Draft, model: Model) -> None:
    """Refuse what no reaction of this case can be."""
    titles = [reaction.title for reaction in draft.reactions]
    for reaction in draft.reactions:
        where, equation = f'[[reactions]] "{reaction.title}"', reaction.stoichiometry
        if titles.count(reaction.title) > 1:
            draft.refuse(where, "two reactions have this name; give each a name of its own")
        if model.thermal:
            draft.refuse(where, f'reactions do not go with law "{model.law}", which has no heat of reaction')
        if ELECTRON in draft.species:
            draft.refuse(where, f'"{ELECTRON}" is an electron of a metal here; give the species another name')
        unknown = [name for name in equation.species if name not in draft.species]
        for name in unknown if draft.all_species_read else []:
            draft.refuse(where, f'there is no species "{name}"; {nearest(name, draft.species)}')
        if not unknown:
            _check_sums(draft, where, equation)
        _check_place(draft, where, reaction)
        _check_reference(draft, where, reaction)


def _check_sums(draft: Draft, where: str, equation: Equation) -> None:
    """Charge is kept, and atoms where all formulas are known."""
    charge = equation.excess({name: draft.species[name].charge for name in equation.species}) + equation.electrons
    if abs(charge) > 1e-9:
        draft.refuse(where, f"charge is not kept: the products have {charge:+g} more than the reactants")
    formulas = {name: draft.species[name].formula for name in equation.species}
    if not equation.complete or not all(formulas.values()):
        return
    atoms = {name: atoms_of(formula or "") for name, formula in formulas.items()}
    for element in sorted(set().union(*atoms.values())):
        excess = equation.excess({name: count[element] for name, count in atoms.items()})
        if excess:
            draft.refuse(where, f"atoms are not kept: the products have {excess:+g} {element} more than the reactants")


def _check_place(draft: Draft, where: str, reaction: Reaction) -> None:
    electrons, place = reaction.stoichiometry.electrons, reaction.where
    regions = [region.name for region in draft.regions]
    sides: Sequence[str] = [boundary.where for boundary in draft.boundaries]
    if draft.groups is not None:
        sides = [*sides, *draft.groups.facets()]
    elif draft.dimension:
        sides = [*sides, *SIDES[: 2 * draft.dimension]]
    if electrons:
        electrode = next((b for b in draft.boundaries if b.where == place), None)
        if place is None:
            draft.refuse(
                where, f'electrons react at an electrode; say at which, e.g. where = "{sides[0] if sides else "left"}"'
            )
        elif place in regions and electrode is None:
            draft.refuse(where, "electrons react at an electrode, not in a region")
        elif draft.all_boundaries_read and not isinstance(electrode, Electrode):
            draft.refuse(where, f'electrons react at an electrode; make [[boundaries]] "{place}" a kind = "electrode"')
    elif place is not None and place not in regions and place not in sides:
        places = list(dict.fromkeys([*regions, *sides]))
        draft.refuse(where, f'"{place}" is neither a region nor a boundary; {nearest(place, places)}')
    elif place is not None and place in regions and place in sides:
        draft.refuse(where, f'"{place}" is both a region and a boundary; give the region another name')
    elif mistake := unit_mistake(reaction, place in sides):
        draft.refuse(where, mistake)


def _check_reference(draft: Draft, where: str, reaction: Reaction) -> None:
    """An exchange current is that of some contents, which must leave space."""
    kinetics = reaction.electrode_kinetics
    if kinetics is None or kinetics.exchange_current is None:
        return
    missing = [name for name in reaction.stoichiometry.species if name not in kinetics.reference]
    if missing:
        draft.refuse(where, f"exchange_current is that of one composition: reference lacks {listed(missing)}")
    unknown = [name for name in kinetics.reference if name not in draft.species]
    for name in unknown if draft.all_species_read else []:
        draft.refuse(where, f'reference names an unknown species "{name}"; {nearest(name, draft.species)}')


def amounts_told_wrong(draft: Draft, closed: Sequence[str], key: str, means: Mapping[str, float | None]) -> None:
    """Refuse amounts that are missing, or follow from others, where reactions turn species into each other.

    closed
        Species that no boundary supplies.
    key
        Of a mean amount.
    """
    equations = [reaction.stoichiometry for reaction in draft.reactions]
    changes = [lambda name, e=one: e.products.get(name, 0) - e.reactants.get(name, 0) for one in equations]
    combinations = conserved_combinations(closed, changes)
    kept = {name for combination in combinations for name in combination}
    for combination in combinations:
        together = " + ".join(name if factor == 1.0 else f"{factor:g} {name}" for name, factor in combination.items())
        flows = [
            factor * b.fluxes[a].value for a, factor in combination.items() for b in draft.boundaries if a in b.fluxes
        ]
        if any(flows) and (draft.dimension != 1 or abs(sum(flows)) > 1e-12 * max(map(abs, flows))):
            draft.refuse(
                "[[reactions]]",
                f"{together} flows through a boundary, but no boundary supplies it and no reaction changes it, so "
                "there is no steady state",
            )
        if all(means.get(name) is None for name in combination):
            draft.refuse(
                "[[reactions]]",
                f"no boundary supplies {together} and no reaction changes it, so its amount is not fixed; "
                f"give {key} to {' or '.join(combination)}",
            )
    for name in closed:
        if means.get(name) is not None and name not in kept and any(change(name) for change in changes):
            draft.refuse(f'[[species]] "{name}"', f"its amount follows from reactions and boundaries; remove {key}")
