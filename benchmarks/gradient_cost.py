"""What a gradient by 50 parameters costs beside the steady solve that it is of: CPU time, best of several.

python benchmarks/gradient_cost.py [cells] [repeats]
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pnp_exclusion.runtime import fenicsx

fenicsx.initialise_petsc()

import pnp_exclusion as pnp

STRIPES = 11
SPECIES = (("Na", 1, 1.33e-9), ("Ca", 2, 0.79e-9), ("Cl", -1, 2.03e-9))


def case(shape: str, cells: list[int]) -> dict:
    """A stack of charged layers between two baths, in one, two or three dimensions."""
    sizes = {"interval": ["40 nm"], "rectangle": ["40 nm", "20 nm"], "box": ["40 nm", "20 nm", "20 nm"]}[shape]
    domain = {"shape": shape, "cells": cells}
    domain |= {"length": sizes[0], "cells": cells[0]} if shape == "interval" else {"size": sizes}
    stripes = [
        {
            "name": f"layer {n}",
            "x": [f"{2 * n + 8} nm", f"{2 * n + 10} nm"],
            "fixed_charge": f"{0.1 * (-1) ** n - 0.02 * n} mol/L",
            "permittivity": 78.5 - 2.0 * n,
            "diffusivity": 0.9 - 0.03 * n,
        }
        for n in range(STRIPES)
    ]
    boundaries = [
        {
            "where": where,
            "kind": "reservoir",
            "potential": potential,
            "concentration": {"Na": f"{c} mol/L", "Ca": f"{0.1 * c} mol/L", "Cl": f"{1.2 * c} mol/L"},
        }
        for where, potential, c in (("left", "60 mV", 0.1), ("right", "0 mV", 0.4))
    ]
    if shape != "interval":
        boundaries += [
            {"where": where, "kind": "wall", "surface_charge": charge}
            for where, charge in (("bottom", "-5 mC/m^2"), ("top", "3 mC/m^2"))
        ]
    return {
        "model": {"law": "mpnp", "lattice_spacing": "0.5 nm"},
        "species": [{"name": a, "charge": z, "diffusivity": f"{d} m^2/s"} for a, z, d in SPECIES],
        "domain": domain,
        "regions": stripes,
        "boundaries": boundaries,
    }


def parameters(shape: str) -> list[str]:
    """Fifty of its numbers."""
    found = [
        f"regions.layer {n}.{key}" for n in range(STRIPES) for key in ("fixed_charge", "permittivity", "diffusivity")
    ]
    found += [f"species.{name}.diffusivity" for name, *_ in SPECIES]
    ends = ("left", "right")
    found += [f"boundaries.{where}.concentration.{name}" for where in ends for name, *_ in SPECIES]
    found += [f"boundaries.{where}.potential" for where in ends]
    if shape != "interval":
        found += [f"boundaries.{where}.surface_charge" for where in ("bottom", "top")]
    found += ["model.temperature", "model.permittivity", "model.lattice_spacing"]
    return found + [f"regions.layer {n}.x.1=regions.layer {n - 1}.x.2" for n in range(1, 51 - len(found))]


def main(words: list[str]) -> None:
    """Print one line for each dimension."""
    repeats = int(words[0]) if words else 3
    for shape, cells in (
        ("interval", [400]),
        ("rectangle", [80, 24]),
        ("rectangle", [200, 80]),
        ("box", [40, 10, 10]),
    ):
        tables, keys = case(shape, cells), parameters(shape)
        solves, gradients = [], []
        for _ in range(repeats):
            start = time.process_time()
            solution = pnp.solve(tables)
            solves.append(time.process_time() - start)
            for one in (solution.currents, solution.steady.ends):
                assert one is not None
            start = time.process_time()
            solution.gradient("currents.Na", keys)
            gradients.append(time.process_time() - start)
        unknowns = solution.summary()["unknowns"]
        print(
            f"{shape} {unknowns} unknowns: solve {min(solves):.3f} s, gradient by {len(keys)} {min(gradients):.3f} s, "
            f"{min(gradients) / min(solves):.2f} of it"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
