"""NGSolve: densities and potential in one product space of high order, Newton, interior unknowns condensed.

The variant is the order and the mesh: "P2" or "P4" on Netgen's simplices, finer at the reservoirs and around the
charge, "Q4" or "Q6" on quadrilaterals or hexahedra. The size divides the elements' size. Linear systems by UMFPACK in
two dimensions and by GMRES with BDDC in three, where UMFPACK was slower. Currents are residuals of the discrete
equations.
"""

from __future__ import annotations

import common as c
from netgen.occ import Box, Glue, MoveTo, OCCGeometry, X
from ngsolve import H1, BilinearForm, GridFunction, IfPos, InnerProduct, Mesh, Preconditioner, dx, grad, x, y, z
from ngsolve.krylovspace import GMRESSolver
from ngsolve.meshes import MakeStructured2DMesh, MakeStructured3DMesh
from ngsolve.nonlinearsolvers import NewtonSolver

CELL, FINE_CELL = 0.2, 0.1


def simplices(task: c.Task) -> tuple[Mesh, str, str]:
    """Return Netgen's mesh and the names of the left and the right side."""
    if task.dimension == 2:
        outer = MoveTo(0, 0).Rectangle(1, 1).Face()
        inner = MoveTo(c.FROM, 0).Rectangle(c.TO - c.FROM, c.HIGH).Face()
        sides, edges = outer.edges, inner.edges
    else:
        outer = Box((0, 0, 0), (1, 1, 1))
        inner = Box((c.FROM, 0, 0), (c.TO, c.HIGH, c.HIGH))
        sides, edges = outer.faces, inner.faces
    for side, name in ((sides.Min(X), "left"), (sides.Max(X), "right")):
        side.name = name
        side.maxh = FINE_CELL / task.size
    edges.maxh = FINE_CELL / task.size
    geometry = OCCGeometry(Glue([outer - inner, inner]), dim=task.dimension)
    return Mesh(geometry.GenerateMesh(maxh=CELL / task.size)), "left", "right"


def blocks(task: c.Task) -> tuple[Mesh, str, str]:
    """Return a uniform mesh of quadrilaterals or hexahedra that fits the charge."""
    n = round(task.size / CELL)
    if task.dimension == 2:
        return MakeStructured2DMesh(quads=True, nx=n, ny=n), "left", "right"
    # the sides of this mesh are named along y
    return MakeStructured3DMesh(hexes=True, nx=n, ny=n, nz=n), "back", "front"


def prepare(task: c.Task) -> c.Prepared:
    """Set up mesh, space and form; a solve starts from linear densities and potential."""
    order = int(task.variant[1:])
    mesh, left, right = simplices(task) if task.variant[0] == "P" else blocks(task)
    charge = IfPos((x - c.FROM) * (c.TO - x), IfPos(c.HIGH - y, c.FIXED_CHARGE, 0.0), 0.0)
    if task.dimension == 3:
        charge = IfPos(c.HIGH - z, charge, 0.0)
    # with its edges in the coarse space BDDC is a direct solver for order 2
    scalar = H1(mesh, order=order, dirichlet=f"{left}|{right}", wb_withedges=order > 2)
    space = scalar * scalar * scalar
    (phi, plus, minus), (psi, v, w) = space.TnT()
    form = BilinearForm(space, condense=True)
    poisson = c.DEBYE_LENGTH**2 * grad(phi) * grad(psi) - (plus - minus + charge) * psi
    transport = (grad(plus) + plus * grad(phi)) * grad(v) + (grad(minus) - minus * grad(phi)) * grad(w)
    form += (poisson + transport).Compile() * dx
    state = GridFunction(space)
    if task.dimension == 2:
        linear = {"inverse": "umfpack"}
    else:
        krylov = {"pre": Preconditioner(form, "bddc", inverse="umfpack"), "tol": 1e-7, "maxiter": 200}
        linear = {"lin_solver_cls": GMRESSolver, "lin_solver_args": krylov}

    def solve() -> None:
        salt = c.SALT_LEFT + (c.SALT_RIGHT - c.SALT_LEFT) * x
        for component, start in zip(state.components, (task.voltage * (1.0 - x), salt, salt), strict=True):
            component.Set(start)
        flag, _ = NewtonSolver(form, state, **linear).Solve(maxit=20, maxerr=1e-8)
        if flag < 0:
            raise c.NotSolved("Newton did not converge")

    def measure(_: None) -> list[float]:
        residual, indicator = state.vec.CreateVector(), GridFunction(space)
        form.Apply(state.vec, residual)
        fluxes = []
        for component in (1, 2):
            indicator.vec[:] = 0.0
            indicator.components[component].Set(1.0, definedon=mesh.Boundaries(right))
            fluxes.append(-InnerProduct(indicator.vec, residual))
        return fluxes

    return c.Prepared(space.ndof, solve, measure)


if __name__ == "__main__":
    c.main(prepare)
