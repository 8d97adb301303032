"""The exact law of small lattices against closed forms."""

import numpy as np
import pytest

from pnp_exclusion.particles.lattice import ExchangeProcess, Lattice, exact_law

LEFT, RIGHT = (0.2, 0.5), (0.6, 0.1)


def channel(length, fields, left=LEFT, right=RIGHT, **options):
    return ExchangeProcess(Lattice("reservoirs", length), fields, left, right, **options)


def linear_profile(process):
    left, right = process.reservoirs[:, 1:]
    return left[:, None] + np.outer(right - left, process.lattice.positions)


@pytest.mark.parametrize("length", range(1, 8))
def test_profiles_without_fields_are_linear_at_every_length(length):
    """Stirring with unit end rates: d<rho_i>/dt is the discrete Laplacian (Casini et al. 2026)."""
    process = channel(length, (0.0, 0.0))
    law = exact_law(process)
    assert np.abs(law.densities - linear_profile(process)).max() < 1e-12
    assert np.abs(law.currents - np.subtract(LEFT, RIGHT)[:, None]).max() < 1e-12


def test_three_species_without_fields_are_linear_too():
    process = channel(5, (0.0, 0.0, 0.0), (0.2, 0.5, 0.1), (0.3, 0.1, 0.4))
    assert np.abs(exact_law(process).densities - linear_profile(process)).max() < 1e-12


def test_one_site_is_the_two_state_chain_solved_by_hand():
    """One site fills at rate ``l r+ + r r-`` and empties at ``(1-l) r- + (1-r) r+``."""
    left, right, field = 0.3, 0.8, 1.4
    hop_right, hop_left = 1 + field / 4, 1 - field / 4
    fills = left * hop_right + right * hop_left
    empties = (1 - left) * hop_left + (1 - right) * hop_right
    density = fills / (fills + empties)
    current = 2 * (left * (1 - density) * hop_right - density * (1 - left) * hop_left)
    law = exact_law(channel(1, (field,), (left,), (right,)))
    assert law.densities[0, 0] == pytest.approx(density, abs=1e-14)
    assert law.currents[0] == pytest.approx([current, current], abs=1e-14)
    assert law.relaxation_gap() == pytest.approx(4 * (fills + empties), rel=1e-12)


@pytest.mark.parametrize("kappa", [0.0, 0.4, 1.0, 2.5])
@pytest.mark.parametrize("form", ["linear", "exponential"])
def test_the_current_is_the_same_through_every_bond_in_fields_that_vary(kappa, form):
    """Continuity in the stationary state; currents here come from the law, not from continuity."""
    generator = np.random.default_rng(7)
    fields = generator.uniform(-4, 4, size=(2, 7))
    currents = exact_law(channel(6, fields, kappa=kappa, form=form)).currents
    assert np.ptp(currents, axis=1).max() < 1e-12
    assert np.abs(currents).min() > 1e-3


def test_the_relaxation_gap_without_fields_is_that_of_one_walker():
    """Duality: the slowest mode is a single walker killed at the ends, 2(1 - cos(pi/(n+1)))."""
    for length, species in ((6, 1), (4, 2), (7, 2)):
        law = exact_law(channel(length, (0.0,) * species, LEFT[:species], RIGHT[:species]))
        walker = 2 * (1 - np.cos(np.pi / (length + 1))) * (length + 1) ** 2
        assert law.relaxation_gap() == pytest.approx(walker, rel=1e-9)


def test_correlations_without_fields_are_those_of_the_symmetric_exclusion_process():
    """``-d_a d_b i (n+1-j) / (n (n+1)^2)``, i < j: Derrida, J. Stat. Mech. P07023 (2007), rates 1.

    Two species: exact by the same argument, since any union of species is again a simple process.
    """
    length = 6
    law = exact_law(channel(length, (0.0, 0.0)))
    site = np.arange(1, length + 1)
    shape = np.minimum.outer(site, site) * (length + 1 - np.maximum.outer(site, site))
    slope = np.subtract(RIGHT, LEFT)
    expected = -np.multiply.outer(np.outer(slope, slope), shape) / (length * (length + 1) ** 2)
    apart = ~np.eye(length, dtype=bool)
    assert np.abs(law.correlations - expected)[..., apart].max() < 1e-13


def balanced_fields(left=LEFT, right=RIGHT):
    """``E_a = log[rho_a^R rho_0^L / (rho_a^L rho_0^R)]``: global equilibrium of the reservoirs."""
    activities = [np.asarray(side) / (1 - np.sum(side)) for side in (left, right)]
    return np.log(activities[1] / activities[0])


def product_profile(process):
    """Product law with activities ``z_a^L exp(E_a x)``."""
    lattice, left = process.lattice, process.reservoirs[0]
    x = lattice.positions
    weights = left[:, None] * np.exp(np.outer(np.log(balanced_ratio(process)), x))
    return weights[1:] / weights.sum(axis=0)


def balanced_ratio(process):
    left, right = process.reservoirs
    return (right / right[0]) / (left / left[0])


@pytest.mark.parametrize("kappa", [0.0, 1.0])
def test_exponential_rates_balance_in_detail_between_reservoirs_at_equilibrium(kappa):
    """The swap rates then are in the ratio of the weights of a product law, at every size."""
    process = channel(5, balanced_fields(), form="exponential", kappa=kappa)
    law = exact_law(process)
    assert np.abs(law.currents).max() < 1e-12
    assert np.abs(law.densities - product_profile(process)).max() < 1e-12
    flow = law.generator.toarray() * law.probabilities[:, None]
    assert np.abs(flow - flow.T).max() < 1e-14


def shifted(fields, length):
    """Field of the linear form whose forward-to-backward ratio is that of the exponential form."""
    return 2 * (length + 1) * np.tanh(np.asarray(fields) / (2 * (length + 1)))


def test_linear_rates_balance_for_one_species_in_a_shifted_field():
    """``(1 + u)/(1 - u) = exp(E/(n+1))`` at ``u = tanh(E/(2(n+1)))``."""
    fields = shifted(balanced_fields((0.2,), (0.6,)), 6)
    law = exact_law(channel(6, fields, (0.2,), (0.6,)))
    assert np.abs(law.currents).max() < 1e-12


def test_linear_rates_balance_for_many_species_only_without_swaps_of_unlike_particles():
    """Round a triangle vacancy, a, b the linear ratios multiply to 1 only to order (1/n)^3.

    The remaining current of stirring then falls as 1/n^2 at least.
    """
    fields = balanced_fields()
    hopping = exact_law(channel(5, shifted(fields, 5), kappa=0.0))
    assert np.abs(hopping.currents).max() < 1e-12
    left_over = [np.abs(exact_law(channel(length, shifted(fields, length))).currents).max() for length in (3, 7)]
    assert left_over[0] > 1e-4
    assert left_over[1] < left_over[0] / 3


def test_a_closed_channel_settles_to_the_boltzmann_law_of_its_content():
    """Detailed balance in the exponential form: weight exp(sum of E_a x_i), content fixed."""
    lattice = Lattice("closed", 6)
    fields = np.array([5.0, -2.0])
    process = ExchangeProcess(lattice, fields, content=(2, 1), form="exponential")
    law = exact_law(process)
    energies = np.concatenate([[0.0], fields])[law.states] @ lattice.positions
    weights = np.exp(energies)
    assert law.probabilities == pytest.approx(weights / weights.sum(), abs=1e-13)
    assert np.abs(law.currents).max() < 1e-12
    assert law.densities.sum(axis=1) == pytest.approx([2, 1], abs=1e-12)


def test_a_ring_in_constant_fields_is_uniform_and_carries_the_current_of_its_pairs():
    """Entrance and exit rates are equal in the linear form, so all configurations are as likely.

    Unlike pairs are then as frequent as in a random order: ``J_a = sum_b (E_a - E_b) c_a c_b /
    (n (n - 1))``, with c the numbers of all types, the vacancy included.
    """
    length, content, fields = 7, (2, 3), np.array([3.0, -1.0])
    law = exact_law(ExchangeProcess(Lattice("ring", length), fields, content=content))
    assert np.ptp(law.probabilities) < 1e-14
    counts = np.array([length - sum(content), *content])
    drives = np.concatenate([[0.0], fields])
    flow = (drives[:, None] - drives) * np.outer(counts, counts) / (length * (length - 1))
    assert law.channel_currents == pytest.approx(flow.sum(axis=1)[1:], abs=1e-12)


def test_a_two_dimensional_lattice_without_fields_is_the_channel_in_every_row():
    lattice = Lattice("reservoirs", 2, width=3)
    law = exact_law(ExchangeProcess(lattice, (0.0, 0.0), LEFT, RIGHT))
    expected = np.asarray(LEFT)[:, None] + np.outer(np.subtract(RIGHT, LEFT), lattice.positions)
    assert np.abs(law.densities - expected[:, :, None]).max() < 1e-12
    assert np.abs(law.currents_across).max() < 1e-12
    assert law.currents_across.shape == (2, 2, 3)


def test_swaps_of_unlike_particles_change_the_currents():
    stirring, hopping = (exact_law(channel(5, (3.0, -3.0), kappa=kappa)).channel_currents for kappa in (1.0, 0.0))
    assert np.abs(stirring - hopping).min() > 0.05


def test_too_many_configurations_are_refused_with_their_number():
    with pytest.raises(ValueError, match=r"177147 configurations.*at most 100000"):
        exact_law(channel(11, (0.0, 0.0)))


def test_a_ring_that_keeps_its_order_has_no_one_stationary_law():
    process = ExchangeProcess(Lattice("ring", 6), (0.0, 0.0), content=(2, 2), kappa=0.0)
    with pytest.raises(ValueError, match=r"fall into 2 classes.*kappa > 0"):
        exact_law(process)


def test_a_closed_lattice_needs_its_content():
    with pytest.raises(ValueError, match="content must give the number"):
        exact_law(ExchangeProcess(Lattice("closed", 4), (0.0,)))
