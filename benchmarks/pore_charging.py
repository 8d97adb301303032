"""Charging of a blind cylindrical pore beside the transmission line (de Levie, Electrochim. Acta 8, 751 (1963)).

An electrode is the wall of a pore of radius 1 and length 5, which opens into a reservoir of radius 10 and length 10; a
small potential is switched on. The line has the capacitance of a cylindrical double layer (Debye and Hueckel) and the
resistance of the salt per length, and at its mouth the access resistance of a disc, 1/(4 kappa a) (Hall, J. Gen.
Physiol. 66, 531 (1975)):

    Q(t)/Q(oo) = 1 - sum_n A_n exp(-b_n^2 t/tau) ,    b tan b = B ,    A_n = 2 B^2/(b_n^2 (b_n^2 + B^2 + B)) ,

``tau = R C L^2`` of the pore, ``B`` the resistance of the pore over that of its mouth. Draws ``--picture FILE``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.optimize import brentq
from scipy.special import iv

import pnp_exclusion as pnp
from pnp_exclusion.mesh.make import write_mesh

RADIUS, LENGTH, FAR = 1.0, 5.0, 10.0
BULK, VOLTAGE = 0.1, 0.05
DRAWING = """
RADIUS, LENGTH, FAR = 1.0, 5.0, 10.0
FINE, GROWTH, COARSE = 0.03, 0.4, 2.0

def build(gmsh):
    gmsh.model.add("pore")
    geo = gmsh.model.geo
    corners = [(0.0, -LENGTH), (RADIUS, -LENGTH), (RADIUS, 0.0), (FAR, 0.0), (FAR, FAR), (0.0, FAR)]
    points = [geo.addPoint(x, y, 0.0) for x, y in corners]
    lines = [geo.addLine(a, b) for a, b in zip(points, points[1:] + points[:1])]
    surface = geo.addPlaneSurface([geo.addCurveLoop(lines)])
    geo.synchronize()
    gmsh.model.addPhysicalGroup(2, [surface], name="salt")
    for name, members in {"end": [0], "pore": [1], "face": [2], "far": [3, 4], "axis": [5]}.items():
        gmsh.model.addPhysicalGroup(1, [lines[k] for k in members], name=name)

    def size(dimension, tag, x, y, z, given):
        from_wall = abs(RADIUS - x) if y < 0.0 else ((x - RADIUS) ** 2 + y**2) ** 0.5
        return min(FINE + GROWTH * from_wall, COARSE)

    gmsh.model.mesh.setSizeCallback(size)
    for source in ("ExtendFromBoundary", "FromPoints", "FromCurvature"):
        gmsh.option.setNumber(f"Mesh.MeshSize{source}", 0)
"""


def charging(screening: float, tolerance: float) -> tuple[np.ndarray, np.ndarray, str]:
    """Return times, charges on the pore, and what it took."""
    salt = {"fraction": {"cation": BULK, "anion": BULK}}
    with tempfile.TemporaryDirectory() as made:
        script, mesh = Path(made) / "pore.py", Path(made) / "pore.msh"
        script.write_text(DRAWING)
        cells = write_mesh(script, mesh, [f"FINE={0.5 * screening}"])
        tables = {
            "model": {
                "units": "dimensionless",
                "law": "mpnp",
                "electrostatics": "poisson",
                "debye_length": screening * np.sqrt(2.0 * BULK),
            },
            "species": [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}],
            "domain": {"shape": "gmsh", "file": str(mesh), "coordinates": "axisymmetric"},
            "boundaries": [
                {"where": "far", "kind": "reservoir", "potential": 0.0, **salt},
                {"where": "pore", "kind": "electrode", "potential": VOLTAGE},
            ],
            "initial": salt,
            "time": {"end": 200.0, "tolerance": tolerance},
        }
        begun = time.process_time()
        found = pnp.run(tables)
    effort = found.transient_report.effort
    krylov = effort.linear_iterations / max(effort.iterations, 1)
    words = f"{cells} cells, {found.transient_report.steps} steps, {effort.jacobians} Jacobians, {krylov:.1f} Krylov "
    words += f"iterations a Newton step, {time.process_time() - begun:.0f} s"
    return found.series.time.values, found.series.charge_pore.values, words


def line(times: np.ndarray, screening: float) -> tuple[np.ndarray, float]:
    """Return the charge of the transmission line."""
    ratio = RADIUS / screening
    per_area = (screening * np.sqrt(2.0 * BULK)) ** 2 / screening * iv(1, ratio) / iv(0, ratio)
    conductivity = 2.0 * BULK
    capacitance, resistance = 2.0 * np.pi * RADIUS * per_area, 1.0 / (conductivity * np.pi * RADIUS**2)
    tau = resistance * capacitance * LENGTH**2
    share = resistance * LENGTH * 4.0 * conductivity * RADIUS
    roots = [
        brentq(lambda b: b * np.sin(b) - share * np.cos(b), n * np.pi + 1e-9, (n + 0.5) * np.pi) for n in range(200)
    ]
    b = np.array(roots)[:, None]
    weights = 2.0 * share**2 / (b**2 * (b**2 + share**2 + share))
    relative = 1.0 - (weights * np.exp(-(b**2) * times / tau)).sum(axis=0)
    return capacitance * LENGTH * VOLTAGE * relative, tau


def main() -> None:
    """Print, and draw if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screening", type=float, nargs="*", default=[0.1, 0.05])
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    found = {}
    for screening in asked.screening:
        times, charges, words = charging(screening, asked.tolerance)
        model, tau = line(times, screening)
        found[screening] = times / tau, charges, model
        half = [np.interp(0.5, one / one[-1], times) for one in (charges, model)]
        late = times > 0.05 * tau
        apart = np.abs(charges - model)[late].max() / model[-1]
        print(
            f"lambda_D = {screening:g}: end {charges[-1] / model[-1]:.4f} of the line's charge, half of it after "
            f"{half[0] / half[1]:.3f} of its time, largest difference from t = 0.05 tau on {apart:.2%}; {words}",
            flush=True,
        )
    if asked.picture:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(figsize=(6.0, 4.0), layout="constrained")
        for screening, (times, charges, model) in found.items():
            (drawn,) = axes.semilogx(times, charges / model[-1], "o", ms=3, label=f"$\\lambda_D$ = {screening:g}")
            axes.semilogx(times, model / model[-1], color=drawn.get_color(), label="transmission line")
        axes.set(xlabel="$t/\\tau$", ylabel="$Q/Q_\\infty$ of the line", xlim=(1e-4, 20))
        axes.legend(frameon=False)
        figure.savefig(asked.picture, dpi=150)


if __name__ == "__main__":
    main()
