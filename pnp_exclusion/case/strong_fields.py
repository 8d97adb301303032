"""Fields that no matter withstands: most often a unit that was meant otherwise, volts for millivolts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from mpi4py import MPI

import numpy as np
from dolfinx import mesh as dmesh

from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.layers import largest_field
from pnp_exclusion.case.quantities import ELEMENTARY_CHARGE
from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.physics.boundaries import Electrode
from pnp_exclusion.physics.problem import Problem

STRONG_FIELD = 1e9
"""V/m. At 1 V/nm an elementary charge falls through 40 kT on its own diameter: the orientation of water saturates, and
the double layers of real electrodes do not reach more; beyond it this theory says nothing."""
LEAST_DISTANCE = 1e-6
"""Of the domain: boundaries with the same box around them, whose distance that does not tell."""
LARGEST_EXPONENT = 700.0
"""Its exponential is still a number."""


def strong_fields(setup: Setup) -> Iterator[str]:
    """Yield a sentence for what makes a field beyond `STRONG_FIELD`: the strongest between two boundaries, in a layer,
    and of every imposed one; collective. Dimensionless cases do not know their fields."""
    scales = setup.scales
    if not scales.si:
        return
    for species in setup.case.species:
        imposed = largest_field(species.field, scales) * scales.force / ELEMENTARY_CHARGE
        if imposed > STRONG_FIELD:
            yield f'species "{species.name}": its field is {_shown(imposed, "eV")}; {_question("eV")}'
    potentials = {
        boundary.where: boundary.potential.text  # type: ignore[union-attr]
        for boundary in setup.case.boundaries
        if getattr(boundary, "potential", None) is not None
    }
    volts_per_metre = scales.potential / scales.length
    field, first, second = _between_boundaries(setup.problem)
    if field * volts_per_metre > STRONG_FIELD:
        yield (
            f'the potentials of "{first}" ({potentials[first]}) and "{second}" ({potentials[second]}) make '
            f"a mean field of {_shown(field * volts_per_metre, 'V')} between them; {_question('V')}"
        )
        return
    field, where = _in_layers(setup.problem)
    if field * volts_per_metre > STRONG_FIELD:
        yield (
            f'the potential of "{where}" ({potentials[where]}) makes a field of '
            f"{_shown(field * volts_per_metre, 'V')} in the layer beside it; {_question('V')}"
        )


def _shown(field: float, unit: str) -> str:
    return f"{field * 1e-9:.3g} {unit}/nm"


def _question(unit: str) -> str:
    return f"above 1 {unit}/nm neither water nor this theory holds: are the units right?"


def _between_boundaries(problem: Problem) -> tuple[float, str, str]:
    """The strongest mean field between two boundaries with potentials, kT/(e L), and which.

    Their distance is that of the boxes around them, side by side: also of two rings, one within the other.
    """
    held = {
        b.where: b.applied_potential
        for b in problem.boundaries
        if b.applied_potential is not None and b.given_total is None
    }
    boxes = {where: _box(problem.domain, where) for where in held} if problem.coupled else {}
    apart = {(a, b): float(np.abs(boxes[a] - boxes[b]).max()) for a, b in combinations(boxes, 2)}
    fields = [(abs(held[a] - held[b]) / d, a, b) for (a, b), d in apart.items() if d > LEAST_DISTANCE]
    return max(fields, default=(0.0, "", ""))


def _box(domain: Domain, where: str) -> np.ndarray:
    """Lowest and highest middles of the facets of a boundary over all ranks, ``(6,)``."""
    middles = dmesh.compute_midpoints(domain.mesh, domain.dimension - 1, domain.boundary_facets[where].astype(np.int32))
    low, high = middles.min(axis=0, initial=np.inf), middles.max(axis=0, initial=-np.inf)
    domain.comm.Allreduce(MPI.IN_PLACE, low, op=MPI.MIN)
    domain.comm.Allreduce(MPI.IN_PLACE, high, op=MPI.MAX)
    return np.concatenate([low, high])


def _in_layers(problem: Problem) -> tuple[float, str]:
    """The strongest field at a blocking electrode, kT/(e L), and at which; 0 where there is no solution to face it.

    The osmotic pressure of its ions balances the field's, ``lambda^2 E^2/2 = Pi(eta - z V) - Pi(eta)``; ``V`` is
    against the saltiest solution at a boundary, or half the voltage between two electrodes.
    """
    if not problem.coupled or problem.debye_length is None:
        return 0.0, ""
    charges = np.array([species.charge for species in problem.species])
    solutions = [
        ([b.dirichlet_fractions[name] for name in problem.names], b.dirichlet_potential or 0.0)
        for b in problem.boundaries
        if len(b.dirichlet_fractions) == len(problem.names)
    ]
    facing = {
        b.where: b.potential
        for b in problem.boundaries
        if isinstance(b, Electrode) and b.potential is not None and b.given_total is None and not b.dirichlet_fractions
    }
    stern = {b.where: b.stern_capacitance for b in problem.boundaries if isinstance(b, Electrode)}
    if solutions:
        contents, potential = max(solutions, key=lambda solution: float(charges**2 @ solution[0]))
    elif all(species.mean_fraction for species in problem.species) and facing:
        contents = [species.mean_fraction or 0.0 for species in problem.species]
        potential = 0.5 * (min(facing.values()) + max(facing.values()))
    else:
        return 0.0, ""
    fields = [
        (_behind_stern(problem, np.array(contents), charges, v - potential, stern[where]), where)
        for where, v in facing.items()
    ]
    return max(fields, default=(0.0, ""))


def _behind_stern(
    problem: Problem, contents: np.ndarray, charges: np.ndarray, voltage: float, capacitance: float | None
) -> float:
    """The field at the wall where a layer without ions takes its part of the voltage: its charge ``C_S (V - V_D)`` is
    that of the diffuse layer, ``lambda^2 E(V_D)``."""
    if capacitance is None:
        return _wall_field(problem, contents, charges, voltage)
    low, high = 0.0, 1.0
    for _ in range(60):
        share = 0.5 * (low + high)
        field = _wall_field(problem, contents, charges, share * voltage)
        if (problem.debye_length or 0.0) ** 2 * field > capacitance * (1.0 - share) * abs(voltage):
            high = share
        else:
            low = share
    return _wall_field(problem, contents, charges, low * voltage)


def _wall_field(problem: Problem, contents: np.ndarray, charges: np.ndarray, voltage: float) -> float:
    energy = problem.law.free_energy
    eta = np.array(energy.chemical_potentials(contents.tolist()))
    at_wall = eta + np.clip(-charges * voltage, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    pressure = float(energy.pressure(at_wall.tolist())) - float(energy.pressure(eta.tolist()))
    return float(np.sqrt(2.0 * max(pressure, 0.0))) / (problem.debye_length or 1.0)
