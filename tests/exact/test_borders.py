"""Borders of uphill transport and of inverse currents in the plane of two drivings."""

import numpy as np
import pytest

from pnp_exclusion.exact import (
    border_field,
    border_slope,
    equilibrium_fields,
    equilibrium_resistances,
    force,
    inverse_interval,
    stationary_state,
)

CASES = [((0.2, 0.5), (0.6, 0.1)), ((0.3, 0.3), (0.1, 0.6)), ((1e-4, 0.7), (0.5, 0.01))]


def placed(species, own, other):
    return (own, other) if species == 0 else (other, own)


@pytest.mark.parametrize(("left", "right"), CASES)
@pytest.mark.parametrize("species", [0, 1])
@pytest.mark.parametrize("other_field", [-40.0, 3.0, 80.0])
def test_on_the_border_the_current_vanishes_and_it_changes_sign_across(left, right, species, other_field):
    own = border_field(left, right, species, other_field)
    state = stationary_state(left, right, placed(species, own, other_field))
    unit = np.abs(state.forces[1 - species]) / state.resistances[species]
    assert abs(state.currents[species]) < 1e-11 * unit
    for shift in (-1e-3, 1e-3):
        beside = stationary_state(left, right, placed(species, own + shift, other_field))
        assert np.sign(beside.currents[species]) == np.sign(shift)


@pytest.mark.parametrize(("left", "right"), CASES)
def test_the_border_is_where_the_force_equals_the_drag_of_the_other_species(left, right):
    """Exact: `F_1 = F_2 G_2/(G_0 + G_2)` with the conductances of the profile on the border."""
    own = border_field(left, right, 0, 25.0)
    state = stationary_state(left, right, (own, 25.0))
    first, second = state.forces
    share = state.vacancy_resistance / (state.vacancy_resistance + state.resistances[1])
    assert first == pytest.approx(second * share, rel=1e-10)


@pytest.mark.parametrize(("left", "right"), CASES)
@pytest.mark.parametrize("species", [0, 1])
def test_slope_at_equilibrium_is_the_central_difference_of_the_border(left, right, species):
    """Linear response against the computed border; the difference is of second order in `h`."""
    other = equilibrium_fields(left, right)[1 - species]
    h = 1e-3
    ends = [border_field(left, right, species, other + s * h) for s in (-1, 1)]
    assert (ends[1] - ends[0]) / (2 * h) == pytest.approx(border_slope(left, right, species), abs=1e-7)


@pytest.mark.parametrize(("left", "right"), CASES)
def test_all_borders_meet_at_global_equilibrium_where_nothing_flows(left, right):
    fields = equilibrium_fields(left, right)
    np.testing.assert_allclose(force(left, right, fields), 0.0, atol=1e-14)
    for species in (0, 1):
        assert border_field(left, right, species, fields[1 - species]) == pytest.approx(fields[species], abs=1e-12)
    state = stationary_state(left, right, fields)
    np.testing.assert_allclose(state.currents * state.resistances, 0.0, atol=1e-11)


def test_equilibrium_resistances_are_those_of_the_computed_equilibrium_profile():
    left, right = (0.1, 0.2, 0.3), (0.4, 0.05, 1e-8)
    state = stationary_state(left, right, equilibrium_fields(left, right))
    found = equilibrium_resistances(left, right)
    np.testing.assert_allclose(found[1:], state.resistances, rtol=1e-11)
    assert found[0] == pytest.approx(state.vacancy_resistance, rel=1e-11)


@pytest.mark.parametrize("other_field", [-20.0, 20.0])
def test_between_its_borders_a_species_runs_against_its_own_force(other_field):
    """Inverse current: `J_1 F_1 < 0` inside the interval and only there; entropy is produced."""
    left, right = CASES[0]
    low, high = inverse_interval(left, right, 0, other_field)
    width = high - low
    for share in (-0.1, 0.1, 0.5, 0.9, 1.1):
        state = stationary_state(left, right, (low + share * width, other_field))
        inverse = state.currents[0] * state.forces[0] < 0
        assert inverse == (0 < share < 1)
        assert state.entropy_production > 0


@pytest.mark.parametrize("law", ["mpnp", "vacancy"])
def test_laws_of_diagonal_mobility_have_a_straight_border(law):
    """`E_a = log[rho_a^R rho_0^L/(rho_a^L rho_0^R)]` whatever the other field."""
    left, right = CASES[0]
    for other in (-50.0, 0.0, 50.0):
        assert border_field(left, right, 0, other, law=law) == pytest.approx(np.log(0.6 * 0.3 / (0.2 * 0.3)), rel=1e-13)
    assert border_slope(left, right, 0, law=law) == 0.0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="two species"):
        border_field((0.1, 0.1, 0.1), (0.2, 0.2, 0.2), 0, 1.0)
    with pytest.raises(ValueError, match="species: expected 0 or 1"):
        border_slope((0.1, 0.1), (0.2, 0.2), 2)
    with pytest.raises(ValueError, match="other_field: the field must be a finite"):
        border_field((0.1, 0.1), (0.2, 0.2), 0, np.nan)
