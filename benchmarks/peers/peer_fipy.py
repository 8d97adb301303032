"""FiPy: cell-centred finite volumes, the three equations coupled and swept with an LU solver.

The drift term is linearised in both factors, so that a sweep is a Newton step; the crowding term of P2 keeps its
coefficient from the sweep before. FiPy takes a source into the matrix only if its sign is right, so the anions' density
is counted negative. The size is the number of cells per side, for P2 of cells that grow from the electrode. Variant
"ramped": the voltage is raised in steps.
"""

from __future__ import annotations

import common as c
import numpy as np
from fipy import (
    CellVariable,
    CentralDifferenceConvectionTerm,
    DiffusionTerm,
    FaceVariable,
    Grid1D,
    Grid2D,
    ImplicitSourceTerm,
    Variable,
)
from fipy.solvers import LinearLUSolver

TOLERANCE = 1e-8
MOST_SWEEPS = 100
RAMP_STEP = 0.5
FIRST_TO_LAST_CELL = 1e-3


def make_mesh(task: c.Task):
    """Return a uniform grid, for P2 a geometric one."""
    cells = round(task.size)
    if task.problem == "P2":
        widths = np.geomspace(FIRST_TO_LAST_CELL, 1.0, cells)
        return Grid1D(dx=widths / widths.sum())
    return Grid1D(nx=cells, Lx=1.0) if task.dimension == 1 else Grid2D(nx=cells, ny=cells, Lx=1.0, Ly=1.0)


def prepare(task: c.Task) -> c.Prepared:
    """Write the equations; a solve starts from linear profiles, if ramped from the bulk at no voltage."""
    crowded, ramped = task.problem == "P2", task.variant == "ramped"
    mesh = make_mesh(task)
    solver = LinearLUSolver(tolerance=1e-10)
    phi, plus, minus, charge = (CellVariable(mesh=mesh, name=name) for name in ("phi", "plus", "minus", "charge"))
    x = mesh.cellCenters[0].value
    if task.dimension == 2:
        y = mesh.cellCenters[1].value
        charge.setValue(np.where((x > c.FROM) & (x < c.TO) & (y < c.HIGH), c.FIXED_CHARGE, 0.0))
    right_amount = c.BULK if crowded else c.SALT_RIGHT

    # a blocked side lets no ions through although the potential is held there
    passable = FaceVariable(mesh=mesh, value=1.0)
    passable.setValue(0.0 if crowded else 1.0, where=mesh.facesLeft)

    poisson = DiffusionTerm(coeff=(c.LAYER_DEBYE_LENGTH if crowded else c.DEBYE_LENGTH) ** 2, var=phi)
    poisson = poisson + ImplicitSourceTerm(coeff=1.0, var=plus) + ImplicitSourceTerm(coeff=1.0, var=minus) + charge
    equations = poisson == 0.0
    for density, valence in ((plus, 1.0), (minus, -1.0)):
        face = density.faceValue * passable
        transport = DiffusionTerm(coeff=1.0, var=density) + DiffusionTerm(coeff=valence * face, var=phi)
        transport = transport + CentralDifferenceConvectionTerm(coeff=valence * passable * phi.faceGrad, var=density)
        transport = transport - (valence * face * phi.faceGrad).divergence
        if crowded:
            crowding = face / (1.0 - plus.faceValue + minus.faceValue)
            transport = transport + DiffusionTerm(coeff=crowding, var=plus) - DiffusionTerm(coeff=crowding, var=minus)
        equations = equations & (transport == 0.0)
        density.constrain(valence * right_amount, mesh.facesRight)
        if not crowded:
            density.constrain(valence * c.SALT_LEFT, mesh.facesLeft)
    applied = Variable(value=task.voltage)
    phi.constrain(applied, mesh.facesLeft)
    phi.constrain(0.0, mesh.facesRight)

    def converge() -> None:
        for _ in range(MOST_SWEEPS):
            before = [variable.value.copy() for variable in (phi, plus, minus)]
            equations.sweep(solver=solver)
            after = [variable.value for variable in (phi, plus, minus)]
            change = max(np.abs(a - b).max() for a, b in zip(after, before, strict=True))
            if not np.isfinite(change):
                raise c.NotSolved("a sweep gave numbers that are not finite")
            if change < TOLERANCE * (1.0 + task.voltage):
                return
        raise c.NotSolved(f"not converged after {MOST_SWEEPS} sweeps")

    def solve() -> None:
        first = right_amount if crowded else c.SALT_LEFT
        phi.setValue(0.0 if ramped else task.voltage * (1.0 - x))
        for density, valence in ((plus, 1.0), (minus, -1.0)):
            density.setValue(valence * (first + (right_amount - first) * x))
        steps = round(task.voltage / RAMP_STEP) if ramped else 1
        for step in range(1, steps + 1):
            applied.setValue(task.voltage * step / steps)
            converge()

    def measure(_: None) -> list[float]:
        if crowded:
            return [-(c.LAYER_DEBYE_LENGTH**2) * phi.faceGrad.value[0][mesh.facesLeft.value][0]]
        # where the scheme's own flux is, one cell before the side
        near, fluxes = np.isclose(mesh.faceCenters[0].value, 1.0 - 1.0 / round(task.size)), []
        for density, valence in ((plus, 1.0), (minus, -1.0)):
            flux = -density.faceGrad.value[0] - valence * density.faceValue.value * phi.faceGrad.value[0]
            fluxes.append(valence * flux[near].mean())
        return fluxes

    return c.Prepared(3 * mesh.numberOfCells, solve, measure)


if __name__ == "__main__":
    c.main(prepare)
