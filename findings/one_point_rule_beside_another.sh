#!/bin/sh
# FFCx evaluates a finer quadrature rule at one point if a term of the same form has a rule of a single point.
#
# Versions: dolfinx-solver-real 0.11.0.post0, fenics-ufl 2026.1.0, fenics-ffcx 0.11.0, numpy 2.5.5.
#
# Problem: exp(3 x) over the unit interval, square and cube by the rule of degree 8, alone and in one form with
# u^2 = x^2 by a rule of degree 1 (one point a cell) or of degree 2 (several).
# Expected: the integral of a sum is the sum of the integrals, to rounding, whatever the rules of its terms.
# Seen: beside degree 2 it is. Beside degree 1 the exponential has, cell by cell, its value in the centre times the
# volume: exactly what its own rule of degree 1 gives, 0.6 % to 4.5 % too little here. It goes by the terms: exp(3 x) by
# one point and u^2 by degree 8 are both right. Neither the form compiler nor the assembly says a word; the C compiler
# sees an unused table. Rules on different sets of cells (different subdomain numbers) do not disturb each other.
# Why it matters here: a one-point rule is a usual saving for linear elements, and a source of a steep exponential is
# just the term that gets a rule of its own. The charge is then of the cheap rule, and the refined one shows no error.
# Our usual and our high rule are on different cells, and may stay as they are.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet \
    dolfinx-solver-real==0.11.0.post0 fenics-ufl==2026.1.0 fenics-ffcx==0.11.0 numpy==2.5.5
export XDG_CACHE_HOME="$folder/cache"
"$folder/venv/bin/python" - <<'PY' 2>"$folder/messages" || { cat "$folder/messages"; exit 1; }
import sys

import dolfinx_solver  # noqa: F401
import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI


def integral(form):
    return fem.assemble_scalar(fem.form(form))


as_described = True
for domain in (
    mesh.create_unit_interval(MPI.COMM_SELF, 8),
    mesh.create_unit_square(MPI.COMM_SELF, 4, 4),
    mesh.create_unit_cube(MPI.COMM_SELF, 2, 2, 2),
):
    u = fem.Function(fem.functionspace(domain, ("Lagrange", 1)))
    u.interpolate(lambda x: x[0])
    over = {degree: ufl.Measure("dx", domain, metadata={"quadrature_degree": degree}) for degree in (1, 2, 8)}
    steep = ufl.exp(3 * u)
    alone, coarse = integral(steep * over[8]), integral(steep * over[1])
    beside = {cheap: integral(u**2 * over[cheap] + steep * over[8]) - integral(u**2 * over[cheap]) for cheap in (1, 2)}
    swapped = integral(steep * over[1] + u**2 * over[8]) - integral(u**2 * over[8])
    print(f"{domain.basix_cell().name}: alone {alone:.5f}, beside degree 2 {beside[2]:.5f}, beside degree 1", end=" ")
    print(f"{beside[1]:.5f}; by one point {coarse:.5f}; exact {(np.e**3 - 1) / 3:.5f}")
    as_described &= np.isclose(alone, (np.e**3 - 1) / 3, rtol=1e-6) and np.isclose(beside[2], alone, rtol=1e-12)
    as_described &= np.isclose(beside[1], coarse, rtol=1e-12) and abs(coarse / alone - 1) > 5e-3
    as_described &= np.isclose(swapped, coarse, rtol=1e-12)
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
