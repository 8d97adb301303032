"""The lattice beside the continuum of a case that moves, and in fields that change, against the exact generator.

Seeds are fixed. A chi-square fails a true simulation once in 1e5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import dimensionless_case
from scipy.linalg import expm

import pnp_exclusion as pnp
from pnp_exclusion.errors import UsageError
from pnp_exclusion.particles.lattice import (
    ExchangeProcess,
    FieldEnergy,
    Lattice,
    chi_square,
    compare_relaxation,
    simulate_relaxation,
)
from pnp_exclusion.particles.lattice.small import enumerate_jumps, enumerate_states, generator_of
from pnp_exclusion.verification.compare import LatticeSettings
from pnp_exclusion.verification.motion import read_motion, solve_motion
from pnp_exclusion.verification.relax import Course, relax
from pnp_exclusion.verification.report import relaxation_as_json, relaxation_verdict

CHANCE = 1e-5
TIMES = [0.003, 0.02, 0.1]


def three_species() -> dict[str, Any]:
    """From the same contents everywhere, between reservoirs of others, in fields of three signs and strengths."""
    tables = dimensionless_case()
    tables |= {"time": {"end": 1.0}, "initial": {"fraction": {"A": 0.1, "B": 0.3, "C": 0.4}}}
    tables["species"] = [{"name": name, "field": field} for name, field in zip("ABC", (4.0, -3.0, 1.0), strict=True)]
    for boundary, contents in zip(tables["boundaries"], ((0.2, 0.5, 0.1), (0.5, 0.1, 0.3)), strict=True):
        boundary["fraction"] = dict(zip("ABC", contents, strict=True))
    return tables


def salt() -> dict[str, Any]:
    """A salt between unlike reservoirs across a fixed charge: at time 0 a voltage jumps on."""
    tables = dimensionless_case(electrostatics="poisson", debye_length=0.3)
    tables |= {"time": {"end": 1.0}, "initial": {"state": "equilibrium"}}
    tables["species"] = [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}]
    tables["regions"] = [{"name": "m", "x": [0.3, 0.7], "fixed_charge": 0.15}]
    potentials = ({"step": [0.0, 8.0]}, 0.0)
    for boundary, content, potential in zip(tables["boundaries"], (0.4, 0.05), potentials, strict=True):
        boundary |= {"fraction": {"A": content, "B": content}, "potential": potential}
    return tables


def course_of(tables: dict[str, Any], sites: int, field: str) -> Course:
    solution = solve_motion(pnp.make_case(tables), sites, TIMES)
    return read_motion(solution, sites, TIMES, "linear", field)  # type: ignore[arg-type]


@pytest.mark.parametrize(("make", "field"), [(three_species, "mean"), (salt, "mean"), (salt, "configuration")])
def test_densities_on_the_lattice_move_as_those_of_the_continuum(make, field):
    """From the beginning of the case; the beginning itself would be refused at the last time."""
    course = course_of(make(), 32, field)
    found = relax(course, LatticeSettings([32], replicas=1024))
    assert found is not None and found.times == pytest.approx(TIMES)
    assert [chi.probability > CHANCE for chi in found.chi_square] == [True] * 3
    still = np.repeat(course.start[None], 3, axis=0)
    assert compare_relaxation(found.result, still)[-1].probability < CHANCE
    assert "lattice and continuum agree" in relaxation_verdict(found).lower()
    told = relaxation_as_json(found)
    assert told["reference"] == "continuum" and set(told["times"][0]["densities"]["A"]) == {
        "mean",
        "error",
        "continuum",
    }


def generator(process):
    """Rates between all configurations."""
    states = enumerate_states(process)
    return generator_of(enumerate_jumps(process, states), len(states))


def law_at(generators, process, start, lapses):
    """Densities of the exact law after a time under each generator in turn, from independent sites."""
    states = enumerate_states(process)
    fractions = np.concatenate([1 - start.sum(axis=0, keepdims=True), start])
    law = np.prod(fractions[states, np.arange(states.shape[1])], axis=1)
    found = []
    for generator, lapse in zip(generators, lapses, strict=True):
        law = law @ expm(generator.toarray() * lapse)
        found.append([[law[states[:, site] == a].sum() for site in range(start.shape[1])] for a in (1, 2)])
    return np.array(found)


def test_a_process_that_changes_and_one_in_the_field_of_its_charges_follow_their_generators():
    """A field that turns round at half time, and charges: the law is that of the generators, one after the other."""
    lattice, contents = Lattice("reservoirs", 4), ((0.2, 0.5), (0.6, 0.1))
    forth, back = (ExchangeProcess(lattice, (sign * 5.0, -2.0), *contents, form="exponential") for sign in (1, -1))
    energy = FieldEnergy((1.0, -1.0), 0.5, (3.0, 0.0), 0.2)
    charged = ExchangeProcess(lattice, (0.0, 0.0), *contents, form="exponential", energy=energy)
    start, times = np.array([[0.6, 0.5, 0.1, 0.1], [0.1, 0.2, 0.5, 0.3]]), [0.04, 0.08]
    turned = simulate_relaxation([forth, back], start, times, 3, replicas=3200)
    for processes, found in (
        ([forth, back], turned),
        ([charged, charged], simulate_relaxation(charged, start, times, 3, replicas=3200)),
    ):
        generators = [generator(one) for one in processes]
        exact = law_at(generators, forth, start, [0.04 * 25] * 2)
        for moment in range(2):
            groups = found.groups[:, moment].reshape(len(found.groups), -1)
            assert chi_square(groups, exact[moment].ravel()).probability > CHANCE
    # without the turn the second time would be refused
    straight = law_at([generator(forth)] * 2, forth, start, [0.04 * 25] * 2)[1].ravel()
    assert chi_square(turned.groups[:, 1].reshape(len(turned.groups), -1), straight).probability < CHANCE


def test_what_the_lattice_cannot_follow_is_refused():
    ramp = salt()
    ramp["boundaries"][0]["potential"] = {"ramp": [0.0, 3.0], "duration": 0.01}
    with pytest.raises(UsageError, match="let numbers of the case jump at time 0 only"):
        solve_motion(pnp.make_case(ramp), 16, TIMES)
    process = ExchangeProcess(Lattice("reservoirs", 4), (0.0,), (0.2,), (0.1,))
    with pytest.raises(ValueError, match="one process for every time"):
        simulate_relaxation([process], np.full((1, 4), 0.2), [0.1, 0.2], 1, replicas=8)
