"""How large the particles of a case are: what its tables say, and what cannot be (docs/case-file.md#sizes)."""

from __future__ import annotations

from collections.abc import Sequence

from pnp_exclusion.case.law_tables import Model
from pnp_exclusion.case.quantities import AVOGADRO
from pnp_exclusion.case.reading import Draft
from pnp_exclusion.case.tables import Species
from pnp_exclusion.errors import LawError
from pnp_exclusion.physics.laws import Law


def site_volume(model: Model, species: Sequence[Species]) -> float | None:
    """Return what a site measures in m^3: one particle's cell, or a solvent molecule; None if the case does not say."""
    if model.sizes is None:
        return None if model.lattice_spacing is None else model.lattice_spacing.value**3
    given = model.solvent_volume or next((one.volume for one in species if one.volume), None)
    return None if given is None else given.value


def sizes_of(model: Model, species: Sequence[Species]) -> tuple[float, ...]:
    """Return how many sites a particle of every species fills, with the solvent that it carries."""
    if model.sizes is None:
        return (1.0,) * len(species)
    site = (site_volume(model, species) or 1.0) if model.si else 1.0
    return tuple((one.volume.value / site if one.volume else 1.0) + one.solvation for one in species)


def law_of(model: Model, species: Sequence[Species], law: Law | None = None) -> Law:
    """Return the law of a case, for particles of its sizes; `LawError` if it is not one for them."""
    law = law or model.flux_law
    return law if model.sizes is None else law.with_sizes(model.sizes, sizes_of(model, species))


def fill(model: Model, species: Sequence[Species]) -> list[float]:
    """Return what a unit of amount of every species fills: of mol/m^3, or of occupied fraction without dimensions."""
    if not model.si:
        return [1.0] * len(species)
    site = site_volume(model, species) or 0.0
    return [AVOGADRO * site * size for size in sizes_of(model, species)]


def check_sizes(draft: Draft, model: Model) -> None:
    """Refuse sizes that are incomplete, or of no effect, or of particles that the law does not know."""
    where, species = "[model]", list(draft.species.values())
    if model.sizes is None:
        for one in species:
            for key in ("volume", "solvation"):
                if getattr(one, key):
                    draft.refuse(
                        f'[[species]] "{one.name}"',
                        f'{key} has no effect without sizes in [model], e.g. sizes = "volume-fractions"',
                    )
        if model.solvent_volume is not None:
            draft.refuse(where, 'solvent_volume has no effect without sizes, e.g. sizes = "volume-fractions"')
        return
    if model.lattice_spacing is not None:
        draft.refuse(where, "lattice_spacing is one size for all; with sizes each species has a volume, remove it")
    if not model.si and model.solvent_volume is not None:
        draft.refuse(where, "solvent_volume is the unit of volume in a dimensionless case; remove it")
    for one in species:
        if one.volume is not None and one.volume.value <= 0.0:
            draft.refuse(f'[[species]] "{one.name}"', f"volume must be positive, but it is {one.volume.text}")
    if model.solvent_volume is not None and model.solvent_volume.value <= 0.0:
        draft.refuse(where, f"solvent_volume must be positive, but it is {model.solvent_volume.text}")
    elif model.si and model.solvent_volume is None and draft.all_species_read:
        spheres = model.sizes == "carnahan-starling"
        if not spheres or any(one.volume is None or one.solvation for one in species):
            needing = "volumes that are not given, and solvation," if spheres else f'sizes = "{model.sizes}"'
            draft.refuse(where, f'solvent_volume is missing: {needing} need it, e.g. "0.03 nm^3" or "18 cm^3/mol"')
    if draft.mistakes or not draft.all_species_read:
        return
    try:
        law_of(model, species)
    except LawError as error:
        draft.refuse(where, str(error))
