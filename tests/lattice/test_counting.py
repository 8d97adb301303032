"""Full counting statistics of small lattices, with and without the field of the charges, against closed forms."""

from itertools import product

import numpy as np
import pytest

from pnp_exclusion.particles.lattice import (
    ExchangeProcess,
    FieldEnergy,
    Lattice,
    counting_statistics,
    cumulants_of_one_number,
    exact_law,
    exact_limit,
    reservoir_number,
)
from pnp_exclusion.particles.lattice.small import require_eliminable

LEFT, RIGHT = (0.2, 0.5), (0.6, 0.1)
THREE = ((0.2, 0.3, 0.1), (0.1, 0.1, 0.5))


def channel(length, left=LEFT, right=RIGHT, fields=None, **options):
    fields = np.zeros(len(left)) if fields is None else fields
    return ExchangeProcess(Lattice("reservoirs", length), fields, left, right, **options)


def one_species(length):
    """Between a full and an empty reservoir."""
    return counting_statistics(channel(length, (1.0,), (0.0,)))


@pytest.mark.parametrize(("length", "ends"), [(5, (LEFT, RIGHT)), (4, THREE)])
def test_statistics_of_several_species_are_those_of_one_with_one_number(length, ends):
    """Permutations of the types commute with stirring (Cantini, arXiv 2606.27186): mu = F_n(w), for all cumulants."""
    process, single = channel(length, *ends), one_species(length)
    statistics = counting_statistics(process)
    cumulants = single.cumulants()
    generator = np.random.default_rng(2)
    for _ in range(3):
        direction = generator.normal(size=process.species)
        expected = cumulants_of_one_number(process, direction, cumulants)
        assert np.abs(statistics.cumulants(direction) - expected).max() < 1e-10
        number = reservoir_number(process, direction)
        expected = single.generating_function([np.log1p(number)])
        assert statistics.generating_function(direction) == pytest.approx(expected, abs=1e-10)


def test_cumulants_between_a_full_and_an_empty_reservoir_tend_to_those_of_arcsinh():
    """Derrida, Doucot and Roche, J. Stat. Phys. 115, 717 (2004): 1, 1/3, 1/15, -1/105, from 1 to 10 sites."""
    lengths = range(1, 11)
    limit = exact_limit(lengths, [one_species(length).cumulants() for length in lengths])
    assert limit == pytest.approx([1.0, 1 / 3, 1 / 15, -1 / 105], abs=1e-7)


@pytest.mark.parametrize("ends", [(LEFT, RIGHT), THREE])
def test_noise_of_stirring_without_fields_is_exact_at_every_size(ends):
    """delta_ab (l_a + r_a) - l_a r_b - l_b r_a - (2n + 1)/(3 (n + 1)) d_a d_b: docs/noise.md with the lattice's 2/3."""
    left, right = np.array(ends)
    apart = right - left
    for length in (1, 2, 4):
        exact = np.diag(left + right) - np.outer(left, right) - np.outer(right, left)
        exact -= (2 * length + 1) / (3 * (length + 1)) * np.outer(apart, apart)
        assert np.abs(counting_statistics(channel(length, *ends)).covariance - exact).max() < 1e-12


def charged(length, drop=1.5, **options):
    """Two species of unlike charge between electrodes, with a fixed charge and a permittivity that vary."""
    fixed, permittivity = np.linspace(-0.3, 0.4, length), np.linspace(1.0, 2.0, length + 1)
    energy = FieldEnergy((1.0, -1.0), 0.5, (drop, 0.0), fixed, permittivity)
    return channel(length, (0.2, 0.3), (0.25, 0.1), form="exponential", energy=energy, **options)


@pytest.mark.parametrize("process", [channel(4, fields=(3.0, -2.0)), charged(4, fields=(0.5, 1.0))])
def test_every_bond_counts_the_same_currents_in_the_long_run(process):
    """What passes one bond and not the next stays in between, which holds no more than there are sites."""
    mean = counting_statistics(process)
    for bond in (0, 2):
        one = counting_statistics(process, bond)
        assert np.abs(one.covariance - mean.covariance).max() < 1e-12
        assert np.abs(one.cumulants((1.0, -0.5)) - mean.cumulants((1.0, -0.5))).max() < 1e-11
    assert mean.cumulants((1.0, 0.0))[0] == pytest.approx(mean.law.channel_currents[0], abs=1e-13)
    assert mean.cumulants((1.0, 0.0))[1] == pytest.approx(mean.covariance[0, 0], abs=1e-12)


def test_the_rate_function_is_least_at_the_mean_and_bends_with_the_inverse_noise():
    """Legendre: I(J) = 0 at the mean; its slope there is 0 and its second derivative 1/S. Where s is, mu' = J."""
    statistics = counting_statistics(channel(4, (0.7,), (0.2,), (2.0,)))
    current, noise, third = statistics.cumulants((1.0,))[:3]
    assert statistics.rate_function([current])[0] == pytest.approx(0.0, abs=1e-12)
    small = 1e-2
    expected = small**2 / (2 * noise) - third * small**3 / (6 * noise**3)
    assert statistics.rate_function([current + small])[0] == pytest.approx(expected, rel=1e-3)
    value, fields = statistics.rate_function([current - 0.4])
    assert value == pytest.approx(float(fields[0]) * (current - 0.4) - statistics.generating_function(fields))


def test_currents_against_the_drive_are_less_probable_by_their_entropy():
    """Gallavotti and Cohen: I(-J) - I(J) = F J, F = log[l (1 - r)/(r (1 - l))] without a field."""
    statistics = counting_statistics(channel(3, (0.7,), (0.2,)))
    force = np.log(0.7 * 0.8 / (0.2 * 0.3))
    forward, backward = (statistics.rate_function([current])[0] for current in (0.3, -0.3))
    assert backward - forward == pytest.approx(0.3 * force, abs=1e-9)


def test_a_move_of_charge_costs_the_difference_of_the_field_energy():
    """drops of the potential and self-energies against the energy of both configurations; drops add up to the whole."""
    field = charged(5).field_of_charges
    charge = np.array([1.0, -1.0, 0.0, 1.0, -1.0])
    drops = field.drops(charge)
    assert drops.sum() == pytest.approx(1.5, abs=1e-14)
    for site in range(4):
        for moved in (1.0, -2.0):
            after = charge.copy()
            after[site : site + 2] += moved, -moved
            cost = moved * drops[site + 1] + 0.5 * moved**2 * field.self_energies[site + 1]
            assert field.energy(after) - field.energy(charge) == pytest.approx(cost, abs=1e-13)
    every = np.array([np.abs(field.drops(np.array(one))) for one in product((-1.0, 0.0, 1.0), repeat=5)])
    assert field.largest_drops() == pytest.approx(every.max(axis=0), abs=1e-14)


def test_like_charges_in_their_own_field_may_pass_together():
    """docs/noise.md: currents of two species of the stirring process that are positively correlated, enumerated."""
    energy = FieldEnergy((2.0, 1.0), 1.0, (-10.0, 0.0), 0.5)
    for length, expected in ((1, 0.201), (3, 0.138), (5, 0.089)):
        process = channel(length, (0.7, 0.06), (0.4, 0.002), form="exponential", energy=energy)
        noise = counting_statistics(process).covariance
        assert noise[0, 1] / np.sqrt(noise[0, 0] * noise[1, 1]) == pytest.approx(expected, abs=1e-3)


def test_charges_between_reservoirs_at_equilibrium_balance_in_detail():
    """l_a/l_0 exp(z_a V_L) = r_a/r_0 exp(z_a V_R): no current, for the rates are exp(-dH/2)."""
    left, drop = np.array([0.2, 0.3]), 0.9
    activity = left / 0.5 * np.exp(np.array([1.0, -1.0]) * drop)
    energy = FieldEnergy((1.0, -1.0), 0.4, (drop, 0.0), 0.2)
    law = exact_law(channel(4, left, activity / (1 + activity.sum()), form="exponential", energy=energy))
    flow = law.generator.toarray() * law.probabilities[:, None]
    assert np.abs(flow - flow.T).max() < 1e-14
    assert np.abs(law.currents).max() < 1e-13


def test_what_has_no_counting_statistics_is_refused():
    energy = FieldEnergy((1.0,), 0.5)
    for complaint, attempt in {
        "between reservoirs": lambda: counting_statistics(
            ExchangeProcess(Lattice("closed", 4), (0.0,), content=(2,)),
        ),
        "bond = 5 must be from 0 to 4": lambda: counting_statistics(channel(4), 5),
        "one number only under stirring": lambda: reservoir_number(channel(4, fields=(1.0, 0.0)), (0.0, 0.0)),
        "no counting fields make": lambda: counting_statistics(channel(2, (0.7,), (0.0,))).rate_function([-1.0]),
        "energy needs form = 'exponential'": lambda: channel(4, energy=FieldEnergy((1.0, -1.0), 0.5)),
        "1 charges for 2 species": lambda: channel(4, form="exponential", energy=energy),
        "debye_length = 0.0 must be finite": lambda: FieldEnergy((1.0,), 0.0),
        r"fixed has shape \(3,\)": lambda: FieldEnergy((1.0,), 0.5, fixed=np.zeros(3)).on(4),
        "permittivity must be greater": lambda: FieldEnergy((1.0,), 0.5, permittivity=0.0),
        "must be finite": lambda: FieldEnergy((np.nan,), 0.5),
        "eigenvalues of 10001 configurations are not computed": lambda: require_eliminable(10_001),
        "at least two different lengths": lambda: exact_limit([2], [[1.0]]),
    }.items():
        with pytest.raises(ValueError, match=complaint):
            attempt()
