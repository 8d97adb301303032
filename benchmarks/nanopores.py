"""Is a pore around its axis the pore in three dimensions? Conductances of a cylinder and a cone between two baths.

    python benchmarks/nanopores.py

Both drawings of meshes/ on meshes of two finenesses: the difference between them is the estimated error of the finer
one. Prints conductances, estimates, the difference of the two descriptions and the sum of the estimates it must be
within, and the processor time.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pnp_exclusion as pnp
from pnp_exclusion.mesh.make import write_mesh

MESHES = Path(__file__).parents[1] / "meshes"
VOLTAGE = 0.05
PORES = {"cylinder": {"TIP": 2.0, "BASE": 2.0}, "cone": {"TIP": 2.0, "BASE": 4.0}}
SIZES = {"LENGTH": 10.0, "BATH": 6.0, "DEBYE": 0.96}
ANGLE = 60.0
FINENESS = {
    "nanopore": [
        {"FINE": 0.3, "GROWTH": 0.2, "COARSE": 1.5},
        {"FINE": 0.15, "GROWTH": 0.1, "COARSE": 0.75},
    ],
    "nanopore_3d": [
        {"FINE": 0.45, "GROWTH": 0.4, "COARSE": 2.5},
        {"FINE": 0.3, "GROWTH": 0.27, "COARSE": 1.7},
    ],
}


def conductance(drawing: str, numbers: dict[str, float], folder: Path) -> tuple[float, int]:
    """Return the conductance of the whole pore (S), and the cells of its mesh."""
    mesh = folder / f"{drawing}.msh"
    around_axis = drawing == "nanopore"
    if not around_axis:
        numbers = numbers | {"ANGLE": ANGLE}
    cells = write_mesh(MESHES / f"{drawing}.py", mesh, [f"{k}={v}" for k, v in numbers.items()] + ["MEMBRANE=false"])
    salt = {"concentration": {"K": "0.1 mol/L", "Cl": "0.1 mol/L"}}
    case = pnp.Case(
        model=pnp.Model("pnp"),
        species=[
            pnp.Species(name="K", charge=1, diffusivity=1.96e-9),
            pnp.Species(name="Cl", charge=-1, diffusivity=2.03e-9),
        ],
        domain=pnp.Gmsh(file=str(mesh), unit="1 nm", coordinates="axisymmetric" if around_axis else "cartesian"),
        boundaries=[
            pnp.Reservoir(where="bottom", **salt, potential=VOLTAGE),
            pnp.Reservoir(where="top", **salt, potential=0.0),
            pnp.Wall(where="pore", surface_charge=-0.02),
            pnp.Wall(where="faces", surface_charge=-0.02),
        ],
    )
    current = pnp.solve(case).summary()["current"]["top"]["value"]
    return current / VOLTAGE * (1.0 if around_axis else 360.0 / ANGLE), cells


def main() -> None:
    """Compare and print."""
    with tempfile.TemporaryDirectory() as made:
        for pore, radii in PORES.items():
            found = {}
            for drawing, meshes in FINENESS.items():
                begun = time.process_time()
                coarse, fine = (conductance(drawing, SIZES | radii | sizes, Path(made)) for sizes in meshes)
                found[drawing] = fine[0], abs(fine[0] - coarse[0])
                print(
                    f"{pore}, {drawing}: {fine[0]:.5e} S with {fine[1]} cells, {coarse[0]:.5e} S with {coarse[1]}; "
                    f"{time.process_time() - begun:.0f} s",
                    flush=True,
                )
            (flat, flat_error), (solid, solid_error) = found.values()
            print(
                f"{pore}: apart by {abs(solid / flat - 1.0):.2%}, "
                f"within the sum of the estimates: {(flat_error + solid_error) / flat:.2%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
