"""Geometry, rates and the refusal of bad input."""

import numpy as np
import pytest

from pnp_exclusion.particles.lattice import ExchangeProcess, Lattice
from pnp_exclusion.particles.lattice.modes import slow_modes


@pytest.mark.parametrize(
    ("lattice", "bonds"),
    [
        (Lattice("reservoirs", 5), 6),
        (Lattice("closed", 5), 4),
        (Lattice("ring", 5), 5),
        (Lattice("reservoirs", 5, width=4), 6 * 4 + 5 * 4),
        (Lattice("closed", 5, width=4, across="closed"), 4 * 4 + 5 * 3),
        (Lattice("ring", 5, width=2, across="closed"), 5 * 2 + 5),
    ],
)
def test_every_pair_of_neighbours_has_one_bond(lattice, bonds):
    ends = lattice.bonds
    assert ends.left.size == bonds
    inside = ends.reservoir == 0
    pairs = {frozenset(pair) for pair in zip(ends.left[inside], ends.right[inside], strict=True)}
    assert len(pairs) == inside.sum()
    assert np.sum(ends.reservoir == 1) == np.sum(ends.reservoir == 2)


@pytest.mark.parametrize("ends", ["reservoirs", "closed", "ring"])
@pytest.mark.parametrize("across", ["periodic", "closed"])
def test_slow_modes_are_eigenvectors_of_the_laplacian_and_none_is_slower(ends, across):
    lattice = Lattice(ends, 6, width=4, across=across)
    laplacian = np.zeros((lattice.sites + 2, lattice.sites + 2))
    for left, right in zip(lattice.bonds.left, lattice.bonds.right, strict=True):
        laplacian[[left, right], [left, right]] -= 1
        laplacian[[left, right], [right, left]] += 1
    laplacian = laplacian[: lattice.sites, : lattice.sites]
    modes = slow_modes(lattice)
    images = modes.weights @ laplacian
    rates = -np.sum(images * modes.weights, axis=1)
    assert images == pytest.approx(-rates[:, None] * modes.weights, abs=1e-12)
    decay = -np.linalg.eigvalsh(laplacian)[::-1]
    slowest = decay[decay > 1e-9][0] * lattice.scale**2
    assert 1 / modes.relaxation_time == pytest.approx(slowest, rel=1e-10)


def test_rates_are_those_of_the_two_forms():
    lattice = Lattice("reservoirs", 9)
    fields = np.array([0.0, 3.0, -2.0])
    tilt = (fields[:, None] - fields) / 20
    factors = np.array([[0, 1, 1], [1, 0, 0.5], [1, 0.5, 0]])
    for form, bias in (("linear", 1 + tilt), ("exponential", np.exp(tilt))):
        process = ExchangeProcess(lattice, fields[1:], (0.1, 0.2), (0.2, 0.1), None, 0.5, form)
        assert process.rates[0] == pytest.approx(factors * bias, rel=1e-14)


def test_a_negative_rate_is_refused_with_the_smallest_admissible_length():
    def process(length):
        return ExchangeProcess(Lattice("reservoirs", length), (30.0, -31.0), (0.1, 0.2), (0.2, 0.1))

    with pytest.raises(ValueError, match=r"fields differ by 61 .* at least 30, or form"):
        process(29)
    assert process(30).rates.min() >= 0
    ring = (Lattice("ring", 5), (12.0,))
    with pytest.raises(ValueError, match="at least 6, or form"):
        ExchangeProcess(*ring, content=(2,))
    ExchangeProcess(Lattice("ring", 6), (12.0,), content=(2,))
    ExchangeProcess(*ring, content=(2,), form="exponential")


CHANNEL = Lattice("reservoirs", 8)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((CHANNEL, (0.0, 0.0), (0.7, 0.5), (0.1, 0.1)), "left is overfull.* 1.2, more than 1"),
        ((CHANNEL, (0.0,), (0.7,), (-0.1,)), "right has the fraction -0.1"),
        ((CHANNEL, (0.0,), (0.7, 0.1), (0.1,)), r"left has shape \(2,\): it must be \(1,\)"),
        ((CHANNEL, (0.0,), (0.7,)), "right must give the fraction"),
        ((CHANNEL, np.zeros((2, 5)), (0.7, 0), (0.1, 0)), r"it must be \(2,\) or \(2, 9\)"),
        ((CHANNEL, (np.nan,), (0.7,), (0.1,)), "fields must be finite"),
        ((CHANNEL, (0.0,), (0.7,), (0.1,), None, -1.0), "kappa = -1.0 must be"),
        ((CHANNEL, (0.0,), (0.7,), (0.1,), None, 1.0, "cubic"), "form = 'cubic' must be"),
        ((CHANNEL, (0.0,), (0.7,), (0.1,), (3,)), "reservoirs do not conserve"),
        ((Lattice("ring", 8), (0.0,), (0.5,)), "has no reservoirs"),
        ((Lattice("ring", 8), (0.0,), None, None, (9,)), "9 particles for 8 sites"),
        ((Lattice("ring", 8), (0.0,), None, None, (1.5,)), "1 whole numbers"),
        (
            (CHANNEL, (0.0,), (0.7,), (0.1,), None, 1.0, "linear", (1.0,)),
            "width 1 has no bonds across",
        ),
    ],
)
def test_bad_input_is_refused_with_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        ExchangeProcess(*arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("open", 8), "ends = 'open' must be"),
        (("ring", 2), "length = 2 is too short"),
        (("closed", 8, 2), "width = 2 with across = 'periodic' must be 1, or at least 3"),
        (("closed", 8, 0, "closed"), "width = 0"),
        (("closed", 8, 2, "open"), "across = 'open' must be"),
    ],
)
def test_impossible_lattices_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Lattice(*arguments)
