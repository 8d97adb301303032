"""The laws against the written-out formulas of docs/theory.md#laws."""

from __future__ import annotations

import numpy as np
import pytest

from pnp_exclusion.physics import laws
from pnp_exclusion.physics.laws import FreeEnergy, LatticeGas, Law, LawError

STATES = np.random.default_rng(1).dirichlet([1.0, 1.0, 1.0, 1.0], size=40)
"""Rows of (rho_0, rho_1, rho_2, rho_3)."""


def densities() -> list[np.ndarray]:
    return list(STATES.T)


def test_mobility_matrices_are_those_of_the_table_in_physics():
    vacancy, *rho = densities()
    rho = np.array(rho).T
    diagonal = np.einsum("pa,ab->pab", rho, np.eye(3))
    outer = np.einsum("pa,pb->pab", rho, rho)
    particles = rho.sum(axis=1)[:, None, None]
    # every particle keeps 1e-14 of its free mobility (LEAST_MOBILITY), which is the tolerance's reason
    table = {
        "mpnp": (laws.mpnp(), diagonal),
        "pnp": (laws.pnp(), diagonal),
        "shdl": (laws.shdl(), diagonal - outer),
        "vacancy": (laws.vacancy(), vacancy[:, None, None] * diagonal),
        "kappa": (laws.vacancy(0.3), vacancy[:, None, None] * diagonal + 0.3 * (particles * diagonal - outer)),
    }
    for name, (law, expected) in table.items():
        np.testing.assert_allclose(law.mobility(densities(), [1.0] * 3), expected, atol=1e-13, err_msg=name)


def test_vacancy_law_with_kappa_one_is_shdl():
    np.testing.assert_allclose(
        laws.vacancy(1.0).mobility(densities(), [1.0] * 3), laws.shdl().mobility(densities(), [1.0] * 3), atol=1e-15
    )


@pytest.mark.parametrize("law", [laws.pnp(), laws.mpnp(), laws.shdl(), laws.vacancy(), laws.vacancy(0.4)])
def test_fluxes_are_minus_mobility_times_forces(law: Law):
    forces = list(np.random.default_rng(2).normal(size=(3, len(STATES))))
    expected = -np.einsum("pab,bp->ap", law.mobility(densities(), [1.0] * 3), np.array(forces))
    np.testing.assert_allclose(law.fluxes(densities(), forces, [1.0] * 3), expected, atol=1e-15)


@pytest.mark.parametrize("law", [laws.mpnp(), laws.vacancy()])
def test_unequal_diffusivities_scale_each_species_flux(law: Law):
    forces = list(np.ones((3, len(STATES))))
    equal = np.array(law.fluxes(densities(), forces, [1.0, 1.0, 1.0]))
    unequal = np.array(law.fluxes(densities(), forces, [1.0, 2.0, 5.0]))
    np.testing.assert_allclose(unequal, equal * np.array([[1.0], [2.0], [5.0]]), rtol=1e-12)


@pytest.mark.parametrize("free_energy", [LatticeGas(), laws.IdealGas()])
def test_densities_invert_chemical_potentials(free_energy: FreeEnergy):
    for state in STATES:
        eta = free_energy.chemical_potentials(list(state[1:]))
        np.testing.assert_allclose([float(rho) for rho in free_energy.densities(eta)[1:]], state[1:], rtol=1e-12)


def test_lattice_gas_stays_in_the_simplex_at_any_potential():
    """At 700 kT and more exp overflows; the softmax must not, nor may the vacancies become negative."""
    for eta in ([1000.0, -1000.0], [-1e4, -1e4], [800.0, 799.0]):
        rho = [float(value) for value in LatticeGas().densities(eta)]
        assert all(0.0 <= value <= 1.0 for value in rho)
        assert sum(rho) == pytest.approx(1.0, abs=1e-15)


def test_unequal_diffusivities_are_refused_by_shdl_with_a_reason():
    with pytest.raises(LawError, match="equal diffusivities only, but they are 1, 2"):
        laws.shdl().require_fit([1.0, 2.0])
    laws.mpnp().require_fit([1.0, 2.0])
    laws.vacancy().require_fit([1.0, 2.0])
    with pytest.raises(LawError, match="equal diffusivities"):
        laws.vacancy(0.5).require_fit([1.0, 2.0])


class UnequalVolumes(LatticeGas):
    """The steric term weighted by volume for the vacancies only: no free energy has these potentials."""

    def densities(self, eta):
        weights = [np.exp(eta_a) for eta_a in eta]
        total = 1.0 + sum((a + 1) * weight for a, weight in enumerate(weights))
        return [1.0 / total, *(weight / total for weight in weights)]

    def chemical_potentials(self, rho):
        vacancy = 1.0 - sum((a + 1) * rho_a for a, rho_a in enumerate(rho))
        return [float(np.log(rho_a / vacancy)) for rho_a in rho]


class BindingGas(LatticeGas):
    """The lattice gas with an energy of -0.3 kT for every particle in its site: it has a free energy."""

    def densities(self, eta):
        return super().densities([eta_a + 0.3 for eta_a in eta])

    def chemical_potentials(self, rho):
        return [eta_a - 0.3 for eta_a in super().chemical_potentials(rho)]


class ForgetfulGas(LatticeGas):
    """Its potentials are not those of its densities: reservoirs would hold other densities than they are given."""

    def densities(self, eta):
        return super().densities([eta_a + 0.3 for eta_a in eta])


@pytest.mark.parametrize("species", [2, 3])
def test_law_that_breaks_the_maxwell_relations_is_refused(species: int):
    with pytest.raises(LawError, match="Maxwell relations"):
        Law("unequal", laws.mpnp().exchange, UnequalVolumes()).require_fit([1.0] * species)


@pytest.mark.parametrize("species", [1, 2, 3])
def test_own_law_with_a_free_energy_is_accepted(species: int):
    Law("binding", laws.mpnp().exchange, BindingGas()).require_fit([1.0] * species)


def test_potentials_that_do_not_invert_the_densities_are_refused():
    with pytest.raises(LawError, match="not the inverse of densities"):
        Law("forgetful", laws.mpnp().exchange, ForgetfulGas()).require_fit([1.0, 1.0])


@pytest.mark.parametrize("free_energy", [LatticeGas(), laws.IdealGas()])
def test_asymmetric_or_negative_exchange_is_refused(free_energy: FreeEnergy):
    for exchange, reason in (
        (lambda a, b, rho, diffusivity: rho[a] * rho[b] * a, "must be symmetric"),
        (lambda a, b, rho, diffusivity: rho[a] ** 2 * rho[b], "must be symmetric"),
        (lambda a, b, rho, diffusivity: -rho[a] * rho[b], "must not be negative"),
    ):
        with pytest.raises(LawError, match=reason):
            Law("lopsided", exchange, free_energy).require_fit([1.0, 1.0])


def test_negative_kappa_is_refused():
    with pytest.raises(LawError, match="0 or more"):
        laws.vacancy(-0.1)
