"""Noise and motion on the lattice beside the continuum: enumeration, counted currents, spectra, relaxation.

    python benchmarks/lattice_noise.py [exact] [noise] [relaxation]

Two and three species in imposed fields, and a salt with Poisson's equation in the field of its own charges. Prints
tables as benchmarks/README.md has them; a few minutes of processor time for all. A chi-square is against the continuum,
which a size may miss by O(1/n), and against theory at n: fluctuating hydrodynamics on its sites, the leading order.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.particles.lattice import (
    ChiSquare,
    ExchangeProcess,
    Lattice,
    counting_statistics,
    cumulants_of_one_number,
    exact_limit,
)
from pnp_exclusion.particles.lattice.noise import cell_averages
from pnp_exclusion.verification.compare import LatticeRun, LatticeSettings, compare_with_lattice
from pnp_exclusion.verification.continuum import Continuum, read_continuum
from pnp_exclusion.verification.motion import read_motion, solve_motion
from pnp_exclusion.verification.noise_report import spectra_of_theory
from pnp_exclusion.verification.relax import relax

TWO = ((0.2, 0.5), (0.6, 0.1), (3.0, -2.0))
THREE = ((0.2, 0.3, 0.1), (0.1, 0.1, 0.5), (3.0, -2.0, 1.0))
NOISE = (
    ("two species", TWO, "mean", {64: 4000.0, 256: 60.0}),
    ("three species", THREE, "mean", {64: 1000.0, 128: 150.0}),
    ("a salt", None, "configuration", {64: 300.0, 128: 40.0}),
)
"""What is run with ``--noise``: contents and fields, and the time of each of four copies by size."""
TIMES = (0.003, 0.01, 0.03, 0.1)


def main(parts: Sequence[str]) -> None:
    """Run the parts that are named, or all."""
    warnings.filterwarnings("ignore", category=pnp.SolutionWarning)
    for name, part in {"exact": exact, "noise": noise, "relaxation": relaxation}.items():
        if not parts or name in parts:
            begun = time.process_time()
            print(f"\n{name}\n", flush=True)
            for row in part():
                print(f"| {' | '.join(row)} |", flush=True)
            print(f"\n{time.process_time() - begun:.0f} s of processor time", flush=True)


def case(ends: tuple[Sequence[float], ...] | None, **others: Any) -> dict[str, Any]:
    """Tables of species between reservoirs in fields, or of a salt across a fixed charge where no ends are given."""
    tables: dict[str, Any] = {
        "model": {"units": "dimensionless", "law": "shdl", "electrostatics": "poisson", "debye_length": 0.3},
        "domain": {"shape": "interval", "length": 1.0, "cells": 160},
        "boundaries": [{"where": where, "kind": "reservoir"} for where in ("left", "right")],
    }
    if ends is None:
        tables["species"] = [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}]
        tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.15}]
        for boundary, content, potential in zip(tables["boundaries"], (0.25, 0.05), (3.0, 0.0), strict=True):
            boundary |= {"fraction": {"A": content, "B": content}, "potential": potential}
        return tables | others
    left, right, fields = ends
    tables["model"] = {"units": "dimensionless", "law": "shdl", "electrostatics": "imposed"}
    tables["species"] = [{"name": name, "field": field} for name, field in zip("ABC", fields, strict=False)]
    for boundary, contents in zip(tables["boundaries"], (left, right), strict=True):
        boundary["fraction"] = dict(zip("ABC", contents, strict=False))
    return tables | others


def exact() -> Iterator[list[str]]:
    """Enumeration: one number, the cumulants of arcsinh, and S(0) extrapolated beside the continuum."""
    yield ["check", "sizes", "result"]
    single = [
        counting_statistics(ExchangeProcess(Lattice("reservoirs", n), (0.0,), (1.0,), (0.0,))) for n in range(1, 11)
    ]
    cumulants = [one.cumulants() for one in single]
    found = exact_limit(range(1, 11), cumulants)
    yield [
        "contents 1 and 0: cumulants less 1, 1/3, 1/15, -1/105",
        "1 to 10",
        _spread(found - [1, 1 / 3, 1 / 15, -1 / 105]),
    ]
    generator, worst = np.random.default_rng(1), 0.0
    for count, length in ((2, 6), (3, 5)):
        for _ in range(5):
            left, right = generator.dirichlet(np.ones(count + 1), size=2)[:, 1:]
            process = ExchangeProcess(Lattice("reservoirs", length), np.zeros(count), left, right)
            direction = generator.normal(size=count)
            expected = cumulants_of_one_number(process, direction, cumulants[length - 1])
            worst = max(worst, np.abs(counting_statistics(process).cumulants(direction) - expected).max())
    yield [
        "two and three species without fields: cumulants to fourth order less those of one number",
        "6, 5",
        f"{worst:.1e}",
    ]
    even = case(None)
    even["model"]["debye_length"], even["regions"][0]["x"] = 0.5, [0.0, 1.0]
    cases = (
        ("two species", case(TWO), "mean", 10),
        ("three species", case(THREE), "mean", 8),
        ("a salt, debye_length = 0.5, even fixed charge", even, "configuration", 10),
    )
    for title, tables, field, largest in cases:
        sizes = range(1, largest + 1)
        continuum = read_continuum(pnp.solve(pnp.make_case(tables)), sizes, "exponential", field, ())  # type: ignore[arg-type]
        assert continuum.noise is not None
        limit = exact_limit(sizes, [counting_statistics(continuum.processes[n]).covariance for n in sizes])
        apart = np.abs(limit / continuum.noise.at_zero - 1).max()
        yield [f"{title}: S(0) extrapolated over the continuum's, less 1", f"1 to {largest}", f"{apart:.1e}"]


def noise() -> Iterator[list[str]]:
    """Counted currents, spectra and two-point functions."""
    yield [
        "",
        "n",
        "S_11 over the continuum's",
        "S_12",
        "chi-square of S(0) (probability)",
        "against theory at n",
        "spectra at 3, 10, 30 D/L^2",
        "two-point functions, mean square in errors",
        "signal over error",
    ]
    for title, ends, field, times in NOISE:
        for sites, duration in times.items():
            continuum = read_continuum(pnp.solve(pnp.make_case(case(ends))), [sites], "exponential", field, ())  # type: ignore[arg-type]
            comparison = compare_with_lattice(continuum, LatticeSettings([sites], time=duration))
            yield [title, str(sites), *_measured(continuum, comparison.runs[0])]


def _measured(continuum: Continuum, run: LatticeRun) -> list[str]:
    measured, reference = run.noise, continuum.noise
    assert measured is not None
    assert reference is not None
    assert reference.at_zero is not None
    mean, error = measured.at_zero.mean / reference.at_zero, measured.at_zero.error / np.abs(reference.at_zero)
    theory = measured.theory
    assert theory is not None
    pairs = cell_averages(theory.correlations, len(measured.edges) - 1)
    return [
        f"{mean[0, 0]:.4f} +- {error[0, 0]:.4f}",
        f"{mean[0, 1]:.4f} +- {error[0, 1]:.4f}",
        _chi(measured.compared(reference.at_zero)),
        _chi(measured.compared(theory.covariance)),
        _chi(measured.compared_spectra(spectra_of_theory(measured))),
        f"{np.nanmean(((measured.pairs.mean - pairs) / measured.pairs.error) ** 2):.2f}",
        f"{np.sqrt(np.nanmean((pairs / measured.pairs.error) ** 2)):.1f}",
    ]


def relaxation() -> Iterator[list[str]]:
    """Densities in time: a uniform start in fields, and a salt whose voltage jumps on, at n = 128, 2000 copies."""
    yield ["", "field", *(f"t = {moment:g}" for moment in TIMES)]
    two, three = ({"A": 0.1, "B": 0.2}, {"A": 0.1, "B": 0.3, "C": 0.4})
    salt = case(None, time={"end": 1.0}, initial={"state": "equilibrium"})
    salt["boundaries"][0]["potential"] = {"step": [0.0, 3.0]}
    moving = (
        ("two species", case(TWO, time={"end": 1.0}, initial={"fraction": two}), "mean"),
        ("three species", case(THREE, time={"end": 1.0}, initial={"fraction": three}), "mean"),
        ("a salt", salt, "mean"),
        ("a salt", salt, "configuration"),
    )
    for title, tables, field in moving:
        solution = solve_motion(pnp.make_case(tables), 128, TIMES)
        course = read_motion(solution, 128, TIMES, "exponential", field)  # type: ignore[arg-type]
        found = relax(course, LatticeSettings([128], replicas=2000))
        assert found is not None
        yield [title, field, *(_chi(chi) for chi in found.chi_square)]


def _chi(found: ChiSquare | None) -> str:
    return "" if found is None else f"{found.per_degree:.2f} ({found.probability:.2g})"


def _spread(values: np.ndarray) -> str:
    return ", ".join(f"{value:.1e}" for value in values)


if __name__ == "__main__":
    main(sys.argv[1:])
