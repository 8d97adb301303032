#!/bin/sh
# GillesPy2: one model in a volume of 10 reacts five times as fast as an ODE than as random events, in one solver even.
#
# Versions: gillespy2 1.8.3, numpy 2.5.5, scipy 1.18.1.
#
# Problem: 100 particles A and 100 B, A + B -> C with k = 0.01 by mass action, and nothing -> C with k = 5, each in a
# Model of volume 1 and of volume 10, up to time 1. By ODESolver, NumPySSASolver, and TauHybridSolver with all species
# in the mode "continuous" or "discrete".
# Expected: the mean number of C is the same from all, within a few percent of noise, in any one volume. With numbers of
# particles the pair makes 50 in volume 1 and 9.1 in volume 10; the source 5 and 50.
# Seen: so in volume 1, and from the stochastic solvers in volume 10. ODESolver and the continuous mode give 50 and 5 there
# too: their rates do not know the volume, though they start from the same 100 particles and count C beside the others.
# Why it matters here: rates of an exclusion process go over into rate equations in exactly this comparison. A crowded
# site and its mean field would differ by a factor of the volume, and a hybrid run changes its kinetics whenever a
# species is switched from one mode to the other.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet gillespy2==1.8.3 numpy==2.5.5 scipy==1.18.1
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from gillespy2 import Model, NumPySSASolver, ODESolver, Parameter, Reaction, Species, TauHybridSolver


def made(reaction, volume, solver, mode="dynamic"):
    model = Model(name="pot", volume=volume)
    model.add_species([Species(name=n, initial_value=v, mode=mode) for n, v in (("A", 100), ("B", 100), ("C", 0))])
    consumed, rate = {"pair": ({"A": 1, "B": 1}, 0.01), "source": ({}, 5)}[reaction]
    model.add_parameter(Parameter(name="k", expression=rate))
    model.add_reaction(Reaction(name="r", reactants=consumed, products={"C": 1}, rate="k"))
    model.timespan(np.linspace(0, 1, 3))
    options = {} if solver is ODESolver else {"seed": 1}
    runs = model.run(solver=solver, number_of_trajectories=1 if "continuous" in mode else 100, **options)
    return float(np.mean([run["C"][-1] for run in runs]))


solvers = {
    "ODE": (ODESolver, "continuous"),
    "continuous": (TauHybridSolver, "continuous"),
    "SSA": (NumPySSASolver, "discrete"),
    "discrete": (TauHybridSolver, "discrete"),
}
as_described = True
for reaction, small, large in (("pair", 50, 100 - 100 / 1.1), ("source", 5, 50)):
    for volume in (1, 10):
        counts = {name: made(reaction, volume, *solver) for name, solver in solvers.items()}
        print(f"{reaction}, volume {volume}:", {name: round(count, 2) for name, count in counts.items()})
        events = small if volume == 1 else large
        wanted = dict(zip(solvers, (small, small, events, events), strict=True))
        as_described &= all(abs(counts[name] / wanted[name] - 1) < 0.2 for name in solvers)
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
