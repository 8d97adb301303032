"""SI and back: against constants of nature and textbook numbers."""

from __future__ import annotations

import pytest

from pnp_exclusion.case.case import make_case
from pnp_exclusion.case.quantities import (
    _COMMON_UNITS,
    AVOGADRO,
    BOLTZMANN,
    ELEMENTARY_CHARGE,
    VACUUM_PERMITTIVITY,
    unit_registry,
)
from pnp_exclusion.case.scales import domain_length, scales_of


def test_thermal_voltage_at_room_temperature_is_25_69_mv(membrane):
    assert scales_of(make_case(membrane), 5e-9).potential * 1e3 == pytest.approx(25.69, abs=0.005)


def test_debye_length_of_one_molar_salt_in_water_is_0_304_nm(membrane):
    """The textbook value 0.304 nm / sqrt(I) for a 1:1 salt at 25 C."""
    scales = scales_of(make_case(membrane), 5e-9)
    fraction = 1000.0 / scales.concentration
    assert scales.debye_length * 5.0 / (2.0 * fraction) ** 0.5 == pytest.approx(0.304, abs=0.002)


def test_lambda_squared_is_the_expression_of_physics(membrane):
    spacing, length = 0.7e-9, 5e-9
    expected = VACUUM_PERMITTIVITY * 78.5 * BOLTZMANN * 298.15 * spacing**3 / (ELEMENTARY_CHARGE * length) ** 2
    assert scales_of(make_case(membrane), length).debye_length ** 2 == pytest.approx(expected, rel=1e-12)


def test_full_lattice_concentration_is_one_particle_a_site(membrane):
    assert scales_of(make_case(membrane), 5e-9).concentration * AVOGADRO == pytest.approx(0.7e-9**-3)


@pytest.mark.parametrize(("written", "unit"), [("5 nm ", "nm"), (" 5nm", "nm"), ("50 Å", "Å"), ("0.005 µm\t", "µm")])
def test_lengths_are_shown_in_the_unit_of_the_domain_however_it_is_written(membrane, written: str, unit: str):
    membrane["domain"]["length"] = written
    case = make_case(membrane)
    scales = scales_of(case, domain_length(case))
    assert scales.length == pytest.approx(5e-9, rel=1e-12)
    assert scales.length_unit == unit
    assert scales.length_in_unit == pytest.approx(case.domain.length.number, rel=1e-12)


def test_units_known_without_pint_have_its_values():
    """The right values are pint's: the short list only saves the third of a second that it takes to begin."""
    registry = unit_registry()
    for unit, (value, in_si) in _COMMON_UNITS.items():
        assert registry.Quantity(1.0, unit).to(in_si).magnitude == pytest.approx(value, rel=1e-15), unit
