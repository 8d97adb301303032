"""Double layers: closed forms against the Poisson-Boltzmann equation and their limits."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from pnp_exclusion.exact import CrowdedLayer, PointIonLayer

LAYERS = [
    PointIonLayer(0.05, 0.1),
    PointIonLayer(1e-3, 0.01, valence=2),
    CrowdedLayer(0.05, 0.1),
    CrowdedLayer(0.4, 0.02, valence=2),
    CrowdedLayer(1e-6, 1.0),
]


@pytest.mark.parametrize("bulk", [1e-4, 0.05, 0.45])
@pytest.mark.parametrize("potential", [-60.0, -3.0, 0.7, 25.0, 300.0])
def test_crowded_charge_is_the_closed_form(bulk, potential):
    """`sigma = lambda sqrt(2 log(1 + 2 rho_b (cosh V - 1)))` of Kilic, Bazant, Ajdari (2007)."""
    expected = 0.1 * np.sqrt(2 * np.log(1 + 2 * bulk * (np.cosh(potential) - 1)))
    found = CrowdedLayer(bulk, 0.1).surface_charge(potential)
    assert found == pytest.approx(np.sign(potential) * expected, rel=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("electrode", [-8.0, 1.5])
def test_profile_solves_the_poisson_boltzmann_equation(layer, electrode):
    """Eighth-order integration of `lambda^2 phi'' = -z (rho_+ - rho_-)`, densities by Boltzmann's
    law, from the wall with the slope `-sigma/lambda^2`, over half a screening length."""
    z = layer.valence

    def charge(phi):
        ions = layer.bulk_fraction * np.exp([-z * phi, z * phi])
        crowd = 1 - 2 * layer.bulk_fraction + ions.sum()
        return z * (ions[0] - ions[1]) / (crowd if isinstance(layer, CrowdedLayer) else 1.0)

    x = np.linspace(0, 0.5 * layer.screening_length, 9)
    slope = -float(layer.surface_charge(electrode)) / layer.debye_length**2
    flow = solve_ivp(
        lambda _, y: [y[1], -charge(y[0]) / layer.debye_length**2],
        (0, x[-1]), [electrode, slope],
        t_eval=x, method="DOP853", rtol=1e-13, atol=1e-13,
    )  # fmt: skip
    np.testing.assert_allclose(layer.potential(x, electrode), flow.y[0], rtol=1e-8)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_charge_in_the_layer_balances_the_electrode(layer):
    """Gauss's law: `sigma + int z (rho_+ - rho_-) dx = 0`."""

    def density(logarithm):
        x = np.exp(logarithm) * layer.screening_length
        ions = layer.densities(x, 6.0 / layer.valence)
        return layer.valence * (ions[0] - ions[1]) * x

    total = sum(quad(density, a, a + 2, epsrel=1e-11, epsabs=0)[0] for a in range(-38, 3, 2))
    near_wall = layer.densities(0.0, 6.0 / layer.valence) @ [layer.valence, -layer.valence]
    total += near_wall * np.exp(-38) * layer.screening_length
    exact = layer.surface_charge(6.0 / layer.valence)
    assert total == pytest.approx(-exact, rel=1e-8)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("potential", [-20.0, -0.3, 1e-4, 2.0, 30.0])
def test_capacitance_is_the_derivative_of_the_charge(layer, potential):
    h = 3e-4 * abs(potential)
    nodes = potential + h * np.array([-2, -1, 1, 2])
    difference = layer.surface_charge(nodes) @ [1, -8, 8, -1] / (12 * h)
    assert layer.capacitance(potential) == pytest.approx(difference, rel=1e-8)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_weak_layer_is_that_of_debye_and_hueckel(layer):
    """Linear limit: `phi = V exp(-x/l)`, `sigma = C V`, `C = z lambda sqrt(2 rho_b)`."""
    small, x = 1e-9, layer.screening_length * np.array([0.0, 0.1, 1.0, 10.0, 60.0])
    np.testing.assert_allclose(layer.potential(x, small), small * np.exp(-x / layer.screening_length), rtol=1e-12)
    capacitance = layer.valence * layer.debye_length * np.sqrt(2 * layer.bulk_fraction)
    assert layer.capacitance(0.0) == pytest.approx(capacitance, rel=1e-14)
    assert layer.surface_charge(small) == pytest.approx(capacitance * small, rel=1e-12)


def test_crowded_ions_become_point_ions_when_dilute():
    """Limit `rho_b -> 0` at fixed potential; corrections are of the order of the wall packing."""
    crowded, point = CrowdedLayer(1e-12, 0.1), PointIonLayer(1e-12, 0.1)
    x = crowded.screening_length * np.array([0.0, 0.01, 0.3, 2.0, 15.0])
    np.testing.assert_allclose(crowded.potential(x, 5.0), point.potential(x, 5.0), rtol=1e-9)
    np.testing.assert_allclose(crowded.densities(x, 5.0), point.densities(x, 5.0), rtol=1e-9)
    assert crowded.surface_charge(5.0) == pytest.approx(point.surface_charge(5.0), rel=1e-9)


@pytest.mark.parametrize("potential", [1e3, 5e3, 1e6])
def test_large_potentials_do_not_overflow_and_charge_as_a_root(potential):
    """Limit of a layer packed with one ion: `sigma = lambda sqrt(2 (V + log rho_b))` and
    `C = lambda/sqrt(2 (V + log rho_b))`."""
    layer = CrowdedLayer(0.01, 0.1)
    root = np.sqrt(2 * (potential + np.log(0.01)))
    with np.errstate(all="raise", under="ignore"):
        assert layer.surface_charge(-potential) == pytest.approx(-0.1 * root, rel=1e-13)
        assert layer.capacitance(potential) == pytest.approx(0.1 / root, rel=1e-13)


def test_the_packed_layer_is_a_parabola_at_large_potential():
    """Exact in the packed region: density 1, `sqrt(V + log rho_b) - sqrt(phi + log rho_b)` grows
    as `x/(lambda sqrt 2)`."""
    layer = CrowdedLayer(0.01, 0.1)
    x = np.array([0.0, 0.5, 1.0, 3.0])
    phi = layer.potential(x, 3000.0)
    shift = np.log(0.01)
    expected = (np.sqrt(3000 + shift) - x / (0.1 * np.sqrt(2))) ** 2 - shift
    np.testing.assert_allclose(phi, expected, rtol=1e-12)
    np.testing.assert_allclose(layer.densities(x, 3000.0), [[0] * 4, [1] * 4], atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_reversing_the_electrode_exchanges_the_ions(layer):
    x = layer.screening_length * np.array([0.0, 0.2, 4.0])
    np.testing.assert_allclose(layer.potential(x, -7.0), -layer.potential(x, 7.0), rtol=1e-14)
    np.testing.assert_allclose(layer.densities(x, -7.0), layer.densities(x, 7.0)[::-1], rtol=1e-13)
    assert layer.surface_charge(-7.0) == -layer.surface_charge(7.0)
    assert not layer.potential(x, 0.0).any()


@pytest.mark.parametrize("electrode", [0.01, 1.0, 40.0, 400.0])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_profile_starts_at_the_electrode_and_falls(layer, electrode):
    electrode /= layer.valence
    x = layer.screening_length * np.concatenate([[0.0], np.geomspace(1e-6, 30, 200)])
    phi = layer.potential(x, electrode)
    assert phi[0] == pytest.approx(electrode, rel=1e-13)
    assert np.all(np.diff(phi) < 0) and phi[-1] > 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CrowdedLayer(0.6, 0.1), r"packing of 1\.2; it must stay below 1"),
        (lambda: CrowdedLayer(0.0, 0.1), "bulk_fraction: 0.0 must be a positive"),
        (lambda: PointIonLayer(0.1, -1.0), "debye_length: -1.0 must be a positive"),
        (lambda: PointIonLayer(0.1, 1.0, valence=0), "valence: 0 must be an integer"),
        (lambda: PointIonLayer(0.1, 1.0).surface_charge(800.0), "point ions overflow beyond"),
        (lambda: CrowdedLayer(0.1, 1.0).potential([-1.0], 1.0), "x: distances from the electrode"),
        (lambda: CrowdedLayer(0.1, 1.0).surface_charge(np.nan), "potential: every value"),
    ],
)
def test_bad_input_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
