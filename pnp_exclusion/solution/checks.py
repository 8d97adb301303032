"""What is checked on every solution: a check is a function that says in one sentence what is beyond its limit.

Limits are constants with their reasons. A new check is one more function in `CHECKS`; what it says is in
`Solution.warnings`, in ``warnings`` of every summary and on the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from mpi4py import MPI

from pnp_exclusion.case.advice import cure, length_in_words
from pnp_exclusion.case.layers import CELLS_IN_LAYER
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.mesh.contacts import meeting_boundaries
from pnp_exclusion.observe import currents
from pnp_exclusion.observe.resolution import coarsest_cells
from pnp_exclusion.solution.steady_state import SteadyState

BALANCE = 1e-6
"""Of a species' gross flux. Rounding and the last Newton step leave 1e-10 and less; a current that flows in and out to
fewer digits than this has fewer than the documented 1e-6."""
STILL = 1e-4
"""Of the mean flux, where nothing passes: rounding, 1e-15 times 40 kT/e, in the thinnest cells of automatic meshes,
1e-9 of the domain."""
IDENTITY = {1: 1e-3, 2: 1e-5, 3: 1e-5, 4: 1e-5}
"""By degree, of a species' gross flux: automatic meshes leave a tenth of it and less, and currents err by as much."""
DIGITS = 1e-3
"""Of a current: with fewer than three digits it is told."""
BESIDE_STEEP = 100.0
"""Times `IDENTITY`, where a potential is steep within a cell, beside a sink: potentials at its ends are then less
accurate than currents by as much."""
BESIDE_ACCURACY = 10.0
"""Times the accuracy that a case asks of its currents: those of its profile are less accurate."""
NO_FORCE = 1e-9
"""kT."""
NO_FLUX = 1e-9
"""Of the flux that one kT would drive: what is less is no current."""
ENTROPY = 1e-6
"""Of ``sum |J F|``. The two sides are equal to the last digits on any mesh, so that a difference means a state that is
not steady, or currents that belong to another one."""
NO_DISSIPATION = 1e-9
"""Of the mean fluxes times kT: entropy production that rounding may leave where nothing flows."""
OVERLAP = 1.0
"""Of the space there is: more point ions than that are no points at this lattice spacing."""
UNRESOLVED = 20.0
"""Times too large for the layer at a boundary, which takes `CELLS_IN_LAYER`; see `CoarseCells`. Measured at blocking
electrodes against Gouy-Chapman and Bikerman, 1 to 40 kT/e: up to there the charge is off by 35 % at degree 2 and by 5 %
at degree 4 (at degree 1 it may be 2.6 times what is right); at 200 times it is off by half, and at 1e6 it is a
thousandth."""


def beyond_limits(steady: SteadyState) -> list[str]:
    """Return what the checks say of a steady state, nothing if all is within the limits; collective."""
    checks = CHECKS if steady.stored is None else CHECKS_IN_MOTION
    return [sentence for check in checks if steady.has_state for sentence in check(steady)]


def without_effect(petsc_options: Sequence[str]) -> list[str]:
    """Return a sentence for each of the user's options that nobody asked for."""
    return [f"PETSc's option -{name} had no effect in this solve" for name in petsc_options]


def balance(steady: SteadyState) -> Iterator[str]:
    """What flows in minus what flows out, beyond `BALANCE`, or `STILL` where nothing passes."""
    for name, mean_flux in steady.mean_fluxes.items():
        share = currents.balance(steady.totals, {name: mean_flux})
        limit = BALANCE if steady.totals.passes(name) else STILL
        and_reactions = ", nor does a reaction take it" if name in steady.totals.production else ""
        if not share <= limit:
            yield (
                f"the fluxes of {name} do not balance: {share:.1e} of what passes flows in and not out{and_reactions} "
                f"(limit {limit:g}); its flux has no more digits than that"
            )


def digits(steady: SteadyState) -> Iterator[str]:
    """Currents of which rounding leaves no digits, although their thermodynamic force is not zero."""
    if steady.currents is None or steady.forces is None:
        return
    predicted = steady.currents_of_profile or {}
    for name, current in steady.currents.items():
        uncertainty = steady.totals.uncertainty(name)
        asked = predicted[name] if predicted else steady.one_way[name] * min(1.0, abs(steady.forces[name]))
        wanted = max(abs(asked), abs(current))
        moved = abs(steady.forces[name]) > NO_FORCE and wanted > NO_FLUX * steady.one_way[name]
        if moved and not uncertainty <= DIGITS * wanted:
            scale = steady.setup.scales.flux * steady.extent
            asks = f"; the computed profile itself asks for {predicted[name] * scale:.6g}" if predicted else ""
            yield (
                f"the flux of {name} is below what rounding leaves of its exchange at the boundaries "
                f"({uncertainty * scale:.1e}, flux {current * scale:.1e}){asks}"
            )


def identity(steady: SteadyState) -> Iterator[str]:
    """Currents against the exact relation of any steady state in one dimension, beyond `IDENTITY`."""
    residual, limit = steady.identity_residual, IDENTITY[steady.discretisation.degree]
    # what is asked for to fewer digits may have fewer
    limit = max(limit, BESIDE_ACCURACY * (steady.setup.case.solver.accuracy or 0.0))
    if steady.has_steep_cells:
        limit *= BESIDE_STEEP
    if residual is not None and not residual <= limit:
        yield (
            f"the fluxes differ from those that belong to the computed profile by {residual:.1e} of a gross flux "
            f"(identity_residual; limit {limit:g} at degree {steady.discretisation.degree}): the mesh is too coarse "
            "somewhere; give more cells, or a higher degree"
        )


def entropy(steady: SteadyState) -> Iterator[str]:
    """Entropy production against ``sum J_a F_a``, beyond `ENTROPY`, where the two must be equal."""
    if steady.currents is None or steady.forces is None or not _forces_are_all(steady):
        return
    if not any(steady.totals.passes(name) for name in steady.currents):
        return
    powers = list(steady.powers.values())
    scale = sum(map(abs, powers)) + NO_DISSIPATION * sum(steady.mean_fluxes.values())
    difference = abs(steady.entropy_production + steady.released_free_energy - sum(powers)) / scale
    if not difference <= ENTROPY:
        yield (
            f"the entropy production differs from sum J F by {difference:.1e} of it (limit {ENTROPY:g}): "
            "the state is not steady to that accuracy"
        )


def _forces_are_all(steady: SteadyState) -> bool:
    """Whether all that flows flows between two ends, each with one electrochemical potential.

    Where something reacts, a force that is imposed on it is no difference of potentials, and it has none at all.
    Above one dimension potentials vary along a boundary through which fluxes are given or at which some species of a
    crowded law are held, where a wall gives or takes heat, and where two boundaries that hold different values meet. A
    species that cannot be at an end has no potential there.
    """
    discrete = steady.discretisation
    problem = discrete.problem
    if any(math.isnan(force) for force in (steady.forces or {}).values()):
        return False
    if any(name in problem.fields for reaction in problem.reactions for name in reaction.species):
        return False
    if problem.domain.periodic and problem.fields:
        # along a periodic axis they drive what flows round
        return False
    if problem.domain.dimension == 1:
        return True
    tags = range(len(problem.boundaries))
    given = any(discrete.weak_form.outward_flux(tag, name) is not None for tag in tags for name in problem.quantities)
    heated = any(
        boundary.temperature is not None and not boundary.dirichlet_fractions for boundary in problem.boundaries
    )
    holding = [boundary.where for boundary in problem.boundaries if boundary.dirichlet_fractions]
    return not weakly_imposed(problem) and not given and not heated and not meeting_boundaries(problem.domain, holding)


def overlap(steady: SteadyState) -> Iterator[str]:
    """Point ions that take more space than there is, where the case says how large they are."""
    problem = steady.discretisation.problem
    if problem.law.crowded or steady.setup.case.model.lattice_spacing is None:
        return
    filled = float(steady.nodal.rho.sum(axis=0).max(initial=0.0))
    filled = problem.domain.comm.allreduce(filled, op=MPI.MAX)
    if filled > OVERLAP:
        yield f"point ions overlap: they would fill {filled:.3g} times the space there is; use a crowded law"


def unresolved_layers(steady: SteadyState) -> Iterator[str]:
    """Cells at a boundary beyond `UNRESOLVED`: its charge is wrong."""
    for coarse in coarsest_cells(steady.discretisation, steady.nodal):
        if CELLS_IN_LAYER[steady.discretisation.degree] * coarse.size > UNRESOLVED * coarse.layer:
            size, layer = (length_in_words(steady.setup, length) for length in (coarse.size, coarse.layer))
            yield (
                f'boundary "{coarse.where}": cells of {size} cannot hold the layer there, which is {layer} thick; '
                f"its charge is wrong, and so may be what depends on it; {cure(steady.setup.case)}"
            )


CHECKS: Sequence[Callable[[SteadyState], Iterator[str]]] = (
    balance,
    digits,
    identity,
    entropy,
    overlap,
    unresolved_layers,
)
CHECKS_IN_MOTION: Sequence[Callable[[SteadyState], Iterator[str]]] = (overlap, unresolved_layers)
"""Of a state that is not steady: fluxes then balance with what is stored."""
