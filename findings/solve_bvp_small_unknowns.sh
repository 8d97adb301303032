#!/bin/sh
# scipy.integrate.solve_bvp calls a solution of small unknowns converged, whatever it is.
#
# Versions: scipy 1.18.1, numpy 2.5.5.
#
# Problem: y'' = k^2 y on (0, 1) with k = 100, y(0) = a, y(1) = 0: a minority species in a layer of thickness 1/k, or a
# weak potential in a double layer. It is linear, so that y/a = sinh(k (1 - x))/sinh(k) does not depend on a. Asked for:
# tol = 1e-6, up to 100,000 nodes, from 11 even nodes and the guess 0.
# Expected: the same digits of y/a for every a, as for any method whose tolerance is relative to the solution, or a
# status that says that the tolerance was not met.
# Seen: a = 1 is refined to hundreds of nodes and right. a = 1e-10 stays on its 11 nodes with status 0, "The algorithm
# converged to the desired accuracy", and y(0.05) is some -30 times what it should be: wrong in size and in sign. The
# residual is divided by 1 + |f|, not by |f|, so that anything small in the user's units passes.
# Why it matters here: one reaches for solve_bvp to check one-dimensional Poisson-Nernst-Planck solutions. Fractions of
# 1e-10, or currents of A/nm^2 in SI units, then "agree" by luck. Unknowns must be scaled to order one, each for itself.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet scipy==1.18.1 numpy==2.5.5
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from scipy.integrate import solve_bvp

k, where = 100.0, 0.05
exact = np.sinh(k * (1.0 - where)) / np.sinh(k)


def solved(a):
    found = solve_bvp(
        lambda x, y: np.vstack([y[1], k**2 * y[0]]),
        lambda left, right: np.array([left[0] - a, right[0]]),
        np.linspace(0.0, 1.0, 11),
        np.zeros((2, 11)),
        tol=1e-6,
        max_nodes=100_000,
    )
    ratio = float(found.sol(where)[0] / a / exact)
    print(f"a = {a:g}: status {found.status}, {len(found.x)} nodes, y({where})/exact = {ratio:.6g}")
    return found.status, ratio


statuses, ratios = zip(*map(solved, (1.0, 1e-6, 1e-8, 1e-10)), strict=True)
as_described = set(statuses) == {0} and abs(ratios[0] - 1.0) < 1e-6 and ratios[-1] < -10.0
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
