"""The master identity and its closed forms against states known in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnp_exclusion.exact import (
    Resistances,
    currents,
    currents_from_mobility,
    electrochemical_potential,
    force,
    identity_residual,
    resistances,
    sampled_resistances,
    stationary_state,
)
from pnp_exclusion.exact.identity import logarithmic_mean

POINTS, WEIGHTS = np.polynomial.legendre.leggauss(60)
X, WEIGHTS = 0.5 * (1 + POINTS), 0.5 * WEIGHTS


def mobility(law, rho):
    """`M` (n, N, N) of densities (N, n), as the laws are defined."""
    vacancy = 1 - rho.sum(axis=0)
    if law == "vacancy":
        return np.einsum("ab,bn->nab", np.eye(len(rho)), vacancy * rho)
    diagonal = np.einsum("ab,bn->nab", np.eye(len(rho)), rho)
    return diagonal - np.einsum("an,bn->nab", rho, rho) if law == "shdl" else diagonal


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_closed_forms_agree_with_the_inverse_of_the_averaged_mobility(law):
    """Algebra: Sherman-Morrison for shdl, diagonal inversion for the others."""
    rho = np.array([0.2 + 0.3 * X, 0.4 - 0.3 * X**2, 0.05 + 0 * X])
    drive = np.array([1.0, -2.0, 0.5])
    expected = currents_from_mobility(mobility(law, rho), WEIGHTS, drive)
    found = currents(law, drive, resistances(law, rho, WEIGHTS))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_point_ions_in_a_constant_field_carry_the_goldman_current():
    """Goldman's flux equation, `J = E (rho^L - rho^R exp(-E))/(1 - exp(-E))`."""
    left, right, field = 0.2, 0.7, 3.0
    exact = field * (left - right * np.exp(-field)) / -np.expm1(-field)
    rho = (exact / field + (left - exact / field) * np.exp(field * X))[None]
    drive = force([left], [right], field, law="pnp")
    found = currents("pnp", drive, resistances("pnp", rho, WEIGHTS))
    np.testing.assert_allclose(found, [exact], rtol=1e-12)


def test_a_neutral_salt_gradient_carries_the_current_of_each_law():
    """Exact without field: shdl has c linear, J = -c'; mpnp has log(1-2c) linear,
    J = -c'/(1-2c)."""
    left, right = 0.1, 0.4
    drive = force([left, left], [right, right])
    linear = left + (right - left) * X
    found = currents("shdl", drive, resistances("shdl", np.stack([linear, linear]), WEIGHTS))
    np.testing.assert_allclose(found, left - right, rtol=1e-12)
    rate = np.log((1 - 2 * right) / (1 - 2 * left))
    crowded = 0.5 * (1 - (1 - 2 * left) * np.exp(rate * X))
    found = currents("mpnp", drive, resistances("mpnp", np.stack([crowded, crowded]), WEIGHTS))
    np.testing.assert_allclose(found, rate / 2, rtol=1e-12)


def test_one_species_hopping_into_vacancies_diffuses_linearly():
    """Exact without field: `-rho_0 rho' + rho rho_0' = -rho'`."""
    rho = (0.1 + 0.7 * X)[None]
    found = currents("vacancy", force([0.1], [0.8]), resistances("vacancy", rho, WEIGHTS))
    np.testing.assert_allclose(found, [-0.7], rtol=1e-12)


def test_a_common_diffusivity_divides_the_resistances():
    rho = np.array([0.2 + 0.3 * X, 0.3 - 0.1 * X])
    plain = resistances("shdl", rho, WEIGHTS)
    fast = resistances("shdl", rho, WEIGHTS, diffusivity=4.0)
    np.testing.assert_allclose(fast.species, plain.species / 4)
    assert fast.vacancy == pytest.approx(plain.vacancy / 4)
    unlike = resistances("mpnp", rho, WEIGHTS, diffusivity=[[1.0], [2.0]])
    np.testing.assert_allclose(unlike.species, plain.species / [1, 2])


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_two_samples_of_a_linear_profile_give_its_exact_resistances(law):
    """Against Gauss quadrature of the same linear densities, to round-off."""
    ends = np.array([[0.1, 0.5], [0.6, 0.2], [0.1, 0.1]])
    rho = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * X
    expected = resistances(law, rho, WEIGHTS)
    found = sampled_resistances(law, [0.0, 1.0], ends)
    np.testing.assert_allclose(found.species, expected.species, rtol=1e-12)
    assert found.vacancy == pytest.approx(expected.vacancy, rel=1e-12)


def test_sampled_resistances_converge_with_the_square_of_the_spacing():
    state = stationary_state((0.2, 0.5), (0.6, 0.1), (10, -10))
    errors = []
    for count in (101, 201):
        x = np.linspace(0, 1, count)
        found = sampled_resistances("shdl", x, state.density(x))
        errors.append(np.abs(found.species - state.resistances).max())
    assert 3.8 < errors[0] / errors[1] < 4.2


def test_force_collects_field_potential_and_mixing():
    """`F_a = int E_a dx - [mu_a(R) - mu_a(L)]`, written out for two ions."""
    found = force(
        (0.2, 0.3), (0.1, 0.4), (2.0, -1.0),
        valences=(1, -1), potential_left=3.0, potential_right=-1.0,
    )  # fmt: skip
    expected = [2 - np.log(0.1 / 0.2) + 4, -1 - np.log(0.4 / 0.3) - 4]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_potential_of_a_profile_has_one_row_a_species():
    rho = np.array([[0.1, 0.2], [0.3, 0.3]])
    found = electrochemical_potential("mpnp", rho, valences=(1, -2), potential=[0.5, 1.0])
    expected = np.log(rho / (1 - rho.sum(axis=0))) + np.array([[0.5, 1.0], [-1.0, -2.0]])
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_identity_residual_sees_a_wrong_current_at_its_size():
    state = stationary_state((0.2, 0.5), (0.6, 0.1), (10, -10))
    resistance = Resistances(state.resistances, state.vacancy_resistance)
    assert identity_residual("shdl", state.currents, state.forces, resistance) < 1e-12
    wrong = state.currents * [1.0, 1.001]
    assert identity_residual("shdl", wrong, state.forces, resistance) == pytest.approx(1e-3, rel=0.1)


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-200, 1e3), st.floats(1e-200, 1e3))
def test_logarithmic_mean_lies_between_geometric_and_arithmetic_mean(a, b):
    mean = float(logarithmic_mean(a, b))
    assert np.sqrt(a) * np.sqrt(b) * (1 - 1e-13) <= mean <= (a + b) / 2 * (1 + 1e-13)


TWO = Resistances(np.array([2.0, 3.0]), 4.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: force([0.5], [0.5], law="nernst"), "law: unknown law 'nernst'"),
        (lambda: resistances("shdl", [[0.5, 0.4], [0.5, 0.4]], [1, 1]), "packing reaches 1"),
        (lambda: resistances("shdl", [[0.5, 0.0]], [1, 1]), "density: every density must be"),
        (lambda: resistances("shdl", [[0.5, 0.5]], [1]), "weights: shape"),
        (lambda: resistances("shdl", [[0.5]], [1], diffusivity=[[1]]), "diffusivity: shdl needs"),
        (lambda: sampled_resistances("mpnp", [1, 0], [[0.5, 0.5]]), "x: the positions must"),
        (lambda: force([0.5, 0.2], [0.5, 0.2], [1, 2, 3]), r"field_integral: shape \(3,\) does not fit"),
        (lambda: currents("shdl", [1, 2, 3], TWO), r"forces: shape \(3,\) does not fit; expected \(2,\)"),
        (lambda: currents("mpnp", [1], TWO), r"forces: shape \(1,\) does not fit; expected \(2,\)"),
        (lambda: currents("shdl", [1, 2], Resistances(np.array([2.0, 3.0]))), "resistance: has none of the vacancies"),
        (lambda: identity_residual("shdl", [1], [1, 2], TWO), r"computed: shape \(1,\) does not fit"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
