"""The lattice's noise beside the continuum's: units, the field of the charges, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest
from conftest import EXAMPLES, dimensionless_case, run_command

import pnp_exclusion as pnp
from pnp_exclusion.errors import UsageError
from pnp_exclusion.particles.lattice import linear_noise
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.verification.compare import HydrodynamicComparison, LatticeSettings, compare_with_lattice
from pnp_exclusion.verification.continuum import Continuum, read_continuum
from pnp_exclusion.verification.noise_report import noise_table
from pnp_exclusion.verification.report import as_json

CHANCE = 1e-5
"""Below which a chi-square fails a true simulation."""


def salt(diffusivity: float = 1.0, length: float = 1.0, **others: Any) -> dict[str, Any]:
    """A salt driven across a fixed charge and through two media, with Poisson; the same in all units of length."""
    tables = dimensionless_case(electrostatics="poisson", debye_length=0.3 * length, **others)
    tables["species"] = [{"name": name, "charge": z, "diffusivity": diffusivity} for name, z in (("A", 1), ("B", -1))]
    tables["domain"] = {"shape": "interval", "length": length, "cells": 80}
    tables["regions"] = [{"name": "m", "x": [0.25 * length, 0.75 * length], "fixed_charge": 0.15, "permittivity": 0.5}]
    for boundary, content, potential in zip(tables["boundaries"], (0.25, 0.05), (3.0, 0.0), strict=True):
        boundary |= {"fraction": {"A": content, "B": content}, "potential": potential}
    return tables


def solved(tables: dict[str, Any]):
    return pnp.solve(pnp.make_case(tables), comm=MPI.COMM_SELF)


def read(tables: dict[str, Any], sizes: list[int], field: str = "configuration") -> Continuum:
    return read_continuum(solved(tables), sizes, "linear", field, ())  # type: ignore[arg-type]


def test_the_leading_order_on_the_lattice_tends_to_the_noise_of_finite_elements():
    """Two discretisations that share no code, with fixed charge, two media and Poisson: order 2 in 1/n."""
    continuum = read(salt(), [31, 63])
    assert continuum.noise is not None and continuum.noise.at_zero is not None and continuum.noise.electric is not None
    theories = [linear_noise(continuum.processes[sites]) for sites in (31, 63)]
    limit = (4 * theories[1].covariance - theories[0].covariance) / 3
    assert limit == pytest.approx(continuum.noise.at_zero, rel=2e-3)
    for frequency, electric in zip(continuum.noise.frequencies, continuum.noise.electric, strict=True):
        coarse, fine = (np.array([1, -1]) @ one.spectrum(frequency).real @ np.array([1, -1]) for one in theories)
        assert (4 * fine - coarse) / 3 == pytest.approx(electric, rel=2e-3)


def test_two_point_functions_on_the_lattice_tend_to_those_of_finite_elements():
    """Two Lyapunov equations that share no code: at x = 3/8 and y = 3/4, sites of both lattices, species either way."""
    solution = solved(salt())
    found = solution.correlations()
    i, j = (int(np.abs(found.points - x).argmin()) for x in (0.375, 0.75))
    processes = read_continuum(solution, [31, 63], "linear", "configuration").processes
    coarse, fine = (
        linear_noise(processes[spacings - 1]).correlations[:, :, spacings * 3 // 8 - 1, spacings * 3 // 4 - 1]
        for spacings in (32, 64)
    )
    assert (4 * fine - coarse) / 3 == pytest.approx(found.values[:, :, i, j], abs=1e-5)


def test_the_field_of_the_charges_has_a_noise_of_its_own_and_the_lattice_has_it():
    """Particles in the field of their charges, and in the mean field, which does not fluctuate."""
    settings = LatticeSettings(sizes=[24], time=250.0)
    found = {}
    for field in ("configuration", "mean"):
        comparison = compare_with_lattice(read(salt(), [24], field), settings)
        (run,) = comparison.runs
        assert run.noise is not None and run.noise.theory is not None
        verdict = run.noise.compared(run.noise.theory.covariance)
        assert verdict is not None and verdict.probability > CHANCE
        # densities of so few sites do differ from their limit, by 1/n
        assert run.comparison.currents.probability > CHANCE
        found[field] = run.noise
        told = as_json(comparison)
        assert ("continuum" in told["noise"]) == (field == "configuration")
        assert len(noise_table(comparison)) == (7 if field == "configuration" else 4)
    apart = found["mean"].at_zero.mean[0, 0] - found["configuration"].at_zero.mean[0, 0]
    assert apart > 3.0 * np.hypot(*(one.at_zero.error[0, 0] for one in found.values()))
    one = json.loads(json.dumps(told))["sizes"][0]["noise"]
    assert [bond["bond"] for bond in one["bonds"]] == [0, 12, 24]
    assert one["two_point"]["covariance"]["A"]["B"]["mean"][0][0] is None
    assert len(one["spectra"]) == 3 and one["spectra"][0]["currents"]["A"]["A"]["error"] > 0.0


def test_units_of_diffusivity_and_length_scale_spectra_as_they_do_currents():
    unit, other = read(salt(), [8]), read(salt(4.0, 2.0), [8])
    assert unit.noise is not None and other.noise is not None
    assert other.noise.at_zero == pytest.approx(unit.noise.at_zero, rel=1e-6)
    assert other.noise.electric == pytest.approx(unit.noise.electric, rel=1e-6)
    assert other.noise.frequencies == pytest.approx(unit.noise.frequencies)
    assert other.units.noise == pytest.approx(2.0)


def test_a_membrane_in_si_units_has_the_noise_of_its_lattice():
    """examples/membrane.toml, one-sided in particles^2/(s m^2): its Fano factor is free of units."""
    solution = pnp.solve(EXAMPLES / "membrane.toml", comm=MPI.COMM_SELF)
    continuum = read_continuum(solution, [127, 255], "linear", "configuration", [1e8])
    noise, direct = continuum.noise, solution.noise([1e8])
    assert noise is not None and noise.at_zero is not None and noise.electric is not None
    fano = noise.at_zero.diagonal() / np.abs(continuum.currents)
    assert fano == pytest.approx(direct.fano[0], rel=1e-9)
    coarse, fine = (linear_noise(continuum.processes[sites]) for sites in (127, 255))
    assert (4 * fine.covariance - coarse.covariance) / 3 == pytest.approx(noise.at_zero, rel=0.01)
    z, frequency = continuum.charges, float(noise.frequencies[0])
    both = [z @ one.spectrum(frequency).real @ z for one in (coarse, fine)]
    assert (4 * both[1] - both[0]) / 3 == pytest.approx(noise.electric[0], rel=0.01)


def test_what_has_no_such_lattice_or_noise_is_refused(tmp_path: Path):
    imposed = salt()
    imposed["model"] = {"units": "dimensionless", "law": "shdl", "electrostatics": "imposed"}
    imposed["species"] = [{"name": name} for name in "AB"]
    del imposed["regions"]
    for boundary in imposed["boundaries"]:
        boundary.pop("potential")
    with pytest.raises(UsageError, match="--field configuration is for cases with electrostatics"):
        read(imposed, [8])
    thin = salt()
    thin["model"]["debye_length"] = 0.02
    with pytest.raises(UsageError, match="--sizes 8: the field of the charges may speed swaps up"):
        read(thin, [8])
    empty = json.loads(json.dumps(imposed))
    empty["boundaries"][0]["fraction"]["A"] = 0.0
    with pytest.raises(UsageError, match=r"--noise: .*holds no A"):
        read(empty, [8], "mean")
    words = ("--bonds", "0,2", "--noise", "-o", str(tmp_path / "out"))
    finished = run_command("lattice", str(EXAMPLES / "no_field.toml"), *words)
    assert finished.returncode == 2 and "--bonds takes places from 0 to 1" in finished.stderr
    assert not (tmp_path / "out").exists()


def test_a_size_whose_noise_an_interruption_cost_is_left_out_of_the_limit():
    """Two sizes on ``1 - 1/n`` have the limit 1, whatever a third one lacks."""

    def run(sites: int, noise: float | None) -> SimpleNamespace:
        at_zero = None if noise is None else Estimate(np.array([[noise]]), np.array([[1e-3]]))
        return SimpleNamespace(sites=sites, noise=None if at_zero is None else SimpleNamespace(at_zero=at_zero))

    runs = [run(32, 1.0 - 1.0 / 33.0), run(64, 1.0 - 1.0 / 65.0), run(128, None)]
    comparison = HydrodynamicComparison(SimpleNamespace(names=["A"]), None, 1, 1.0, runs)
    limit = comparison.noise_limit
    assert limit is not None
    assert limit.limit.mean == pytest.approx([1.0], abs=2e-3)
