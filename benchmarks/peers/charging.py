"""Charging between blocking electrodes by FiPy and DEVSIM, beside the package: ``python benchmarks/peers/charging.py``.

Point ions between +1 and -1 kT/e (``lambda`` 0.05, content 0.1 of either ion) from a uniform state to the time 1, along
an interval and across a square, on which all is the same along its sides. Peers step by implicit Euler (FiPy has no
other; BDF2 of DEVSIM 2.11 ends with a floating point exception at its first step), with steps that grow by one factor.
Their cells and steps are refined in turns, whichever lowers the error, down to `WANTED` or until a run takes `LONGEST`.
Errors are those of the charge Q(t) at a code's own steps from `FIRST` on, over the largest; times are processor seconds
of stepping alone. Environments are those of compare.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

DEBYE_LENGTH, BULK, VOLTAGE, END, FIRST = 0.05, 0.1, 1.0, 1.0, 1e-3
ACROSS = 12
"""Cells along the sides of the square, of every code."""
SHORTEST = 1e-5
WANTED, LONGEST = 1e-3, 15.0


def moments(steps: int) -> np.ndarray:
    """Return the ends of steps that grow by one factor, the first of `SHORTEST`."""
    low, high = 1.0 + 1e-9, 1e6 ** (1.0 / steps)
    for _ in range(200):
        middle = 0.5 * (low + high)
        whole = SHORTEST * (middle**steps - 1.0) / (middle - 1.0)
        low, high = (middle, high) if whole < END else (low, middle)
    return np.cumsum(SHORTEST * low ** np.arange(steps))


# ---- peers, each in an environment of its own ----


def by_fipy(dimension: int, cells: int, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Three coupled equations, linearised in both factors of the drift, as in peer_fipy.py."""
    from fipy import (
        CellVariable,
        CentralDifferenceConvectionTerm,
        DiffusionTerm,
        FaceVariable,
        Grid1D,
        Grid2D,
        ImplicitSourceTerm,
        TransientTerm,
    )
    from fipy.solvers import LinearLUSolver

    across = {"ny": ACROSS, "Ly": 1.0}
    mesh = Grid1D(nx=cells, Lx=1.0) if dimension == 1 else Grid2D(nx=cells, Lx=1.0, **across)
    # anions are counted negative: FiPy takes a source into the matrix only if its sign is right
    phi = CellVariable(mesh=mesh, value=VOLTAGE * (1.0 - 2.0 * mesh.cellCenters[0].value))
    plus = CellVariable(mesh=mesh, value=BULK, hasOld=True)
    minus = CellVariable(mesh=mesh, value=-BULK, hasOld=True)
    phi.constrain(VOLTAGE, mesh.facesLeft)
    phi.constrain(-VOLTAGE, mesh.facesRight)
    passable = FaceVariable(mesh=mesh, value=1.0)
    passable.setValue(0.0, where=mesh.facesLeft | mesh.facesRight)
    poisson = DiffusionTerm(coeff=DEBYE_LENGTH**2, var=phi)
    equations = poisson + ImplicitSourceTerm(coeff=1.0, var=plus) + ImplicitSourceTerm(coeff=1.0, var=minus) == 0.0
    for density, valence in ((plus, 1.0), (minus, -1.0)):
        face = density.faceValue * passable
        transport = DiffusionTerm(coeff=1.0, var=density) + DiffusionTerm(coeff=valence * face, var=phi)
        transport = transport + CentralDifferenceConvectionTerm(coeff=valence * passable * phi.faceGrad, var=density)
        equations = equations & (TransientTerm(var=density) == transport - (valence * face * phi.faceGrad).divergence)
    solver, left, begin = LinearLUSolver(tolerance=1e-10), mesh.facesLeft.value, time.process_time()
    charges, last, times = [], 0.0, moments(steps)
    for moment in times:
        plus.updateOld()
        minus.updateOld()
        for _ in range(20):
            before = phi.value.copy()
            equations.sweep(dt=moment - last, solver=solver)
            if np.abs(phi.value - before).max() < 1e-5:
                break
        last = moment
        charges.append(-(DEBYE_LENGTH**2) * phi.faceGrad.value[0][left].mean())
    return times, np.array(charges), time.process_time() - begin


def by_devsim(dimension: int, cells: int, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Scharfetter-Gummel fluxes, as in peer_devsim.py, on lines that are three times closer at the electrodes."""
    from peer_devsim import IONS, WHERE, devsim, model

    edge, middle, sides = 0.5 / cells, 1.5 / cells, {0.0: "left", 1.0: "right"}
    xs = [(0.0, edge), (0.5, middle), (1.0, edge)]
    if dimension == 1:
        devsim.create_1d_mesh(mesh="mesh")
        for x, spacing in xs:
            devsim.add_1d_mesh_line(mesh="mesh", pos=x, ps=spacing, tag=sides.get(x, "middle"))
        devsim.add_1d_region(mesh="mesh", material="solution", region="region", tag1="left", tag2="right")
        for side in sides.values():
            devsim.add_1d_contact(mesh="mesh", name=side, tag=side, material="metal")
    else:
        devsim.create_2d_mesh(mesh="mesh")
        for x, spacing in [(-0.01, 0.01), *xs, (1.01, 0.01)]:
            devsim.add_2d_mesh_line(mesh="mesh", dir="x", pos=x, ps=spacing)
        for y in (0.0, 1.0):
            devsim.add_2d_mesh_line(mesh="mesh", dir="y", pos=y, ps=1.0 / ACROSS)
        devsim.add_2d_region(mesh="mesh", material="solution", region="region")
        devsim.add_2d_region(mesh="mesh", material="metal", region="strip1", xl=-0.01, xh=0.0)
        devsim.add_2d_region(mesh="mesh", material="metal", region="strip2", xl=1.0, xh=1.01)
        for x, side in sides.items():
            devsim.add_2d_contact(mesh="mesh", name=side, region="region", material="metal", xl=x, xh=x, bloat=1e-10)
    devsim.finalize_mesh(mesh="mesh")
    devsim.create_device(mesh="mesh", device="device")
    for variable in ("phi", *IONS):
        devsim.node_solution(**WHERE, name=variable)
        devsim.edge_from_node_model(**WHERE, node_model=variable)
    for name, value in (("lambda2", DEBYE_LENGTH**2), ("leak", 1.0), ("bias", 0.0)):
        devsim.set_parameter(name=name, value=value)
    model("edge", "D", "lambda2*(phi@n0 - phi@n1)*EdgeInverseLength", ["phi"])
    model("node", "charge", "minus - plus", list(IONS))
    devsim.equation(**WHERE, name="poisson", variable_name="phi", node_model="charge", edge_model="D")
    for ion, valence in IONS.items():
        model("edge", f"drop_{ion}", f"{valence}*(phi@n0 - phi@n1)", ["phi"])
        model("edge", f"B_{ion}", f"B(drop_{ion})", ["phi"])
        flux = f"EdgeInverseLength*({ion}@n0*(B_{ion} + drop_{ion}) - {ion}@n1*B_{ion})"
        model("edge", f"J{ion}", flux, ["phi", ion])
        model("node", f"stored_{ion}", ion, [ion])
        # without it the steady state that a motion begins with is not unique
        model("node", f"leak_{ion}", f"leak*({ion} - {BULK})", [ion])
        devsim.equation(
            **WHERE,
            name=ion,
            variable_name=ion,
            edge_model=f"J{ion}",
            node_model=f"leak_{ion}",
            time_node_model=f"stored_{ion}",
            variable_update="positive",
        )
    for side, sign in (("left", 1.0), ("right", -1.0)):
        model("node", f"{side}_phi", f"phi - {sign}*bias", ["phi"])
        devsim.contact_equation(
            device="device", contact=side, name="poisson", node_model=f"{side}_phi", edge_charge_model="D"
        )
    x = np.array(devsim.get_node_model_values(**WHERE, name="x"))
    for ion in IONS:
        devsim.set_node_values(**WHERE, name=ion, values=[BULK] * len(x))
    volume, wall = np.array(devsim.get_node_model_values(**WHERE, name="NodeVolume")), np.abs(x) < 1e-9
    own = {"absolute_error": 1e-6, "relative_error": 1e-5, "maximum_iterations": 30}
    devsim.solve(type="transient_dc", **own)
    devsim.set_parameter(name="leak", value=0.0)
    devsim.set_parameter(name="bias", value=VOLTAGE)
    begin = time.process_time()
    charges, last, times = [], 0.0, moments(steps)
    for moment in times:
        devsim.solve(type="transient_bdf1", tdelta=moment - last, charge_error=1e10, **own)
        last = moment
        # what the contact reports lacks the charge in its own half cell
        inside = np.array(devsim.get_node_model_values(**WHERE, name="charge")) * volume
        reported = devsim.get_contact_charge(device="device", contact="left", equation="poisson")
        charges.append(reported + inside[wall].sum())
    return times, np.array(charges), time.process_time() - begin


PEERS = {"fipy": by_fipy, "devsim": by_devsim}
SIZES = {"fipy": (50, 100, 200, 400), "devsim": (25, 50, 100, 200)}
STEPS = {"fipy": (100, 200, 400, 800, 1600, 3200), "devsim": (50, 100, 200, 400, 800)}


# ---- the package, and the table ----


def by_us(dimension: int, cells: int | None, tolerance: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Radau IIA, `Attempts` and all, as in benchmarks/transient.py."""
    from pnp_exclusion.case.build import build
    from pnp_exclusion.case.case import make_case
    from pnp_exclusion.discretisation.discretisation import Discretisation
    from pnp_exclusion.discretisation.layout import POTENTIAL
    from pnp_exclusion.solver.linear.presets import OptionsDatabase
    from pnp_exclusion.solver.transient.drive import Constant
    from pnp_exclusion.solver.transient.solver import TimeSettings, TransientSolver

    line = {"shape": "interval", "length": 1.0} | ({} if cells is None else {"cells": cells})
    square = {"shape": "rectangle", "size": [1.0, 1.0], "cells": [cells, ACROSS // 2]}
    ends = (("left", VOLTAGE), ("right", -VOLTAGE))
    model = {"units": "dimensionless", "law": "pnp", "electrostatics": "poisson", "debye_length": DEBYE_LENGTH}
    tables = {
        "model": model,
        "species": [{"name": n, "charge": z, "mean_fraction": BULK} for n, z in (("cation", 1), ("anion", -1))],
        "domain": line if dimension == 1 else square,
        "boundaries": [{"where": w, "kind": "electrode", "potential": v} for w, v in ends],
    }
    problem = build(make_case(tables)).problem
    discrete = Discretisation(problem)
    eta = problem.law.free_energy.chemical_potentials([BULK, BULK])
    discrete.layout.at_nodes(discrete.values)[:] = [*eta, 0.0]
    left = next(value.dofs for value in discrete.constraints.values_of(POTENTIAL) if value.tag == 0)
    times, charges = [], []
    with OptionsDatabase() as database:
        settings = TimeSettings(tolerance=tolerance)
        with TransientSolver(discrete, Constant(problem), database, time_settings=settings) as solver:
            begin = time.process_time()
            for step in solver.run(0.0, END):
                times.append(step.time)
                charges.append(step.solved.flowing[-1][left].sum())
            return np.array(times), np.array(charges), time.process_time() - begin


def elsewhere(python: str, peer: str, dimension: int, cells: int, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Run a peer in its own environment; `RuntimeError` if it fails."""
    command = [python, __file__, "--peer", peer, "--run", f"{dimension},{cells},{steps}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return np.array(found["times"]), np.array(found["charges"]), found["seconds"]


def main() -> None:
    """Print a table: of every code, dimension and error the cheapest run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--run")
    parser.add_argument("--environments", type=Path)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if asked.peer:
        dimension, cells, steps = map(int, asked.run.split(","))
        times, charges, seconds = PEERS[asked.peer](dimension, cells, steps)
        print(json.dumps({"times": times.tolist(), "charges": charges.tolist(), "seconds": seconds}))
        return
    from compare import default_folder, make_environment
    from scipy.interpolate import CubicSpline

    times, charges, _ = by_us(1, None, 1e-7)
    exact, largest = CubicSpline(np.log(times), charges), np.abs(charges).max()
    print("| | dimension | size | steps or tolerance | error of Q | seconds |\n|---|---|---|---|---|---|")

    def tell(name: str, dimension: int, size: object, how: object, run: tuple[np.ndarray, np.ndarray, float]) -> float:
        times, charges, seconds = run
        late = times >= FIRST
        error = float(np.abs(charges[late] - exact(np.log(times[late]))).max() / largest)
        print(f"| {name} | {dimension} | {size} | {how} | {error:.1e} | {seconds:.3f} |", flush=True)
        return error

    for dimension in (1, 2):
        for tolerance in (0.3, 0.1, 0.03, 0.01):
            cells = None if dimension == 1 else 24
            runs = [by_us(dimension, cells, tolerance) for _ in range(3)]
            tell("this package", dimension, cells or "own", tolerance, min(runs, key=lambda run: run[2]))
        for peer in PEERS:
            python, reason = make_environment(peer, asked.environments or default_folder())
            if reason:
                print(f"{peer}: {reason}", file=sys.stderr)
                continue
            # from the cheapest on, refined where that lowers the error
            at, best, seconds = [0, 0], np.inf, 0.0
            while best > WANTED and seconds < LONGEST:
                cells, steps = SIZES[peer][at[0]], STEPS[peer][at[1]]
                try:
                    run = elsewhere(python, peer, dimension, cells, steps)
                    error, seconds = tell(peer, dimension, cells, steps, run), run[2]
                except (RuntimeError, subprocess.TimeoutExpired) as failure:
                    print(f"{peer}, {cells} cells, {steps} steps: {failure}", file=sys.stderr)
                    error = np.inf
                grows = 1 if error > 0.7 * best else 0
                best = min(best, error)
                at[grows] += 1
                if at[0] == len(SIZES[peer]) or at[1] == len(STEPS[peer]):
                    break


if __name__ == "__main__":
    main()
