#!/bin/sh
# py-pde: diffusion in a closed box, written as the divergence of a flux, ends in a straight profile as if between two
# reservoirs, or at the mean, by whether a step lies after an odd or an even cell.
#
# Versions: py-pde 0.60.0, numpy 2.4.6.
#
# Problem: dc/dt = div grad c on the unit interval in 10 cells with {"derivative": 0} at both ends, from 2 in the first
# k cells and 1 in the others, until nothing changes. k = 3 or 4, and the right-hand side is written as laplace(c) or as
# divergence(gradient(c)).
# Expected: the mean, 1.3 or 1.4, everywhere; the amount stays as it was.
# Seen: laplace(c) does so. divergence(gradient(c)) too with k = 4. With k = 3 it ends in steps of two cells from 2 down
# to 1, with 15 % more in the box than before, and a steady flux through it. The condition goes to the divergence as
# well, where it says that the flux has no slope at a wall, not that there is none; and central differences of central
# differences split the grid in two, of which an odd step is seen by one alone. {"*:divergence": {"value": 0}} is
# accepted and changes nothing; {"*:divergence": {"normal_value": 0}} closes the box.
# Why it matters here: drift and steric terms are divergences of fluxes, so the Poisson-Nernst-Planck equations cannot be
# written with laplace alone. Blocking electrodes then let ions through without a message, and a check from another
# initial state may pass.
# The operators are run without compilation (NUMBA_DISABLE_JIT), which would take most of the time; the result is the
# same with it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet py-pde==0.60.0 numpy==2.4.6
NUMBA_DISABLE_JIT=1 "$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from pde import PDE, CartesianGrid, ScalarField

CELLS = 10
STEP = 2e-3
STEPS = 1000
FLUX = "divergence(gradient(c))"


def at_rest(right_hand_side, filled, conditions=None):
    density = ScalarField(CartesianGrid([[0, 1]], CELLS), np.where(np.arange(CELLS) < filled, 2.0, 1.0))
    equation = PDE({"c": right_hand_side}, bc={"derivative": 0}, bc_ops=conditions)
    for _ in range(STEPS):
        density.data[:] += STEP * equation.evolution_rate(density).data
    assert np.abs(equation.evolution_rate(density).data).max() < 1e-3
    return density.data


found = {
    "laplace, 3 cells filled": at_rest("laplace(c)", 3),
    "divergence, 4 cells filled": at_rest(FLUX, 4),
    "divergence, 3 cells filled": at_rest(FLUX, 3),
    "divergence, 3 cells, value 0": at_rest(FLUX, 3, {"*:divergence": {"value": 0}}),
    "divergence, 3 cells, normal value 0": at_rest(FLUX, 3, {"*:divergence": {"normal_value": 0}}),
}
for name, density in found.items():
    print(f"{name}: mean {density.mean():.3f}, {density.round(3)}")
stairs = np.array([2.0, 1.8, 1.8, 1.6, 1.6, 1.4, 1.4, 1.2, 1.2, 1.0])
wanted = [1.3, 1.4, stairs, stairs, 1.3]
as_described = all(np.allclose(seen, expected, atol=1e-4) for seen, expected in zip(found.values(), wanted, strict=True))
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
