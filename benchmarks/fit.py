"""Fits of diffusivities and membrane charge to noisy currents and reversal potentials of a known case.

    python benchmarks/fit.py [draws]

Prints in how many draws the intervals of 95 % cover the truth, for every parameter and for all together.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from pnp_exclusion.runtime import fenicsx

fenicsx.initialise_petsc()

import pnp_exclusion as pnp

TRUTH = {"species.K.diffusivity": 1.96e-9, "species.Cl.diffusivity": 2.03e-9, "regions.membrane.fixed_charge": -800.0}
"""m^2/s, m^2/s, mol/m^3."""
BEGIN = {"species.K.diffusivity": 1.2e-9, "species.Cl.diffusivity": 3e-9, "regions.membrane.fixed_charge": -400.0}
NOISE, NOISE_OF_POTENTIALS = 0.01, 0.3
"""Of the largest current, and mV."""
SALT = "boundaries.left.concentration.K=boundaries.left.concentration.Cl"


def case(values: dict[str, float]) -> pnp.Case:
    """A charged membrane between two solutions of potassium chloride."""
    tables = {
        "model": {"law": "pnp"},
        "species": [
            {"name": "K", "charge": 1, "diffusivity": "1e-9 m^2/s"},
            {"name": "Cl", "charge": -1, "diffusivity": "1e-9 m^2/s"},
        ],
        "domain": {"shape": "interval", "length": "50 nm", "cells": 60},
        "regions": [{"name": "membrane", "x": ["15 nm", "35 nm"], "fixed_charge": "-1 mol/L"}],
        "boundaries": [
            {
                "where": "left",
                "kind": "reservoir",
                "concentration": {"K": "0.1 mol/L", "Cl": "0.1 mol/L"},
                "potential": "0 V",
            },
            {
                "where": "right",
                "kind": "reservoir",
                "concentration": {"K": "0.5 mol/L", "Cl": "0.5 mol/L"},
                "potential": "0 V",
            },
        ],
    }
    return pnp.make_case(tables).varied(values)


def rows() -> list[dict[str, object]]:
    """What is measured, without values: currents at seven potentials, and reversal potentials at four contents."""
    potential, content = "boundaries.left.potential [mV]", f"{SALT} [mol/L]"
    found: list[dict[str, object]] = [
        {"observable": "electric_current", "unit": "kA/m^2", potential: v, content: ""}
        for v in (-150, -100, -50, 20, 50, 100, 150)
    ]
    return found + [
        {"observable": "reversal_potential.left", "unit": "mV", potential: "", content: c}
        for c in (0.02, 0.1, 0.3, 1.0)
    ]


def exact(table: list[dict[str, object]]) -> np.ndarray:
    """What the true case gives."""
    from mpi4py import MPI

    from pnp_exclusion.studies.fits.data import measurements
    from pnp_exclusion.studies.fits.model import Model

    true = case(TRUTH)
    data = measurements([{**row, "value": 0.0} for row in table], true)
    with Model(true, data, list(TRUTH), MPI.COMM_SELF, ()) as model:
        return model.evaluate(list(TRUTH.values()))[0]


def noisy(
    table: list[dict[str, object]], values: np.ndarray, generator: np.random.Generator
) -> list[dict[str, object]]:
    """The table with values and their uncertainties."""
    largest = max(abs(v) for v, row in zip(values, table, strict=True) if row["unit"] != "mV")
    found = []
    for row, value in zip(table, values, strict=True):
        sigma = NOISE_OF_POTENTIALS if row["unit"] == "mV" else NOISE * largest
        found.append({**row, "value": value + sigma * generator.standard_normal(), "uncertainty": sigma})
    return found


def main(words: list[str]) -> None:
    """Fit so many draws of the noise."""
    draws = int(words[0]) if words else 100
    table, generator = rows(), np.random.default_rng(1)
    values = exact(table)
    begun, inside, squares, steps = time.process_time(), np.zeros(len(TRUTH), dtype=int), [], []
    for _ in range(draws):
        fit = pnp.fit(case(BEGIN), noisy(table, values, generator), list(TRUTH))
        truth = np.array(list(TRUTH.values()))
        inside += (fit.intervals[:, 0] <= truth) & (truth <= fit.intervals[:, 1])
        squares.append(fit.chi_squared)
        steps.append(fit.steps)
    seconds = (time.process_time() - begun) / draws
    for name, count, error in zip(TRUTH, inside, fit.errors / np.abs(fit.values), strict=True):
        print(f"{name}: {count} of {draws} within 95 %, standard deviation {100.0 * error:.2g} %")
    print(f"mean sum of squares {np.mean(squares):.3g} for {fit.degrees_of_freedom} degrees of freedom")
    print(f"{np.mean(steps):.3g} evaluations of {len(table)} points, {seconds:.2f} s a fit")


if __name__ == "__main__":
    main(sys.argv[1:])
