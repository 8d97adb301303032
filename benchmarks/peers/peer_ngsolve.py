"""NGSolve: densities and potential in one product space of high order, Newton, interior unknowns condensed.

The variant is the order and the mesh: "P2" or "P4" on Netgen's simplices, finer at the reservoirs and around the
charge, "Q4" or "Q6" on quadrilaterals or hexahedra; "P3-adaptive": so many meshes as the size, each refined from
the one before where gradients differ most from continuous ones (Zienkiewicz and Zhu, as NGSolve's documentation has
it), all of them counted. The size divides the elements' size. Linear systems by UMFPACK in
two dimensions and by GMRES with BDDC in three, where UMFPACK was slower. Currents are residuals of the discrete
equations.
"""

from __future__ import annotations

import common as c
from netgen.occ import Box, Glue, MoveTo, OCCGeometry, X
from ngsolve import (
    BND,
    H1,
    VOL,
    BilinearForm,
    CoefficientFunction,
    FESpace,
    GridFunction,
    IfPos,
    InnerProduct,
    Integrate,
    Mesh,
    Preconditioner,
    VectorH1,
    ds,
    dx,
    grad,
    x,
    y,
    z,
)
from ngsolve.krylovspace import GMRESSolver
from ngsolve.meshes import MakeStructured2DMesh, MakeStructured3DMesh
from ngsolve.nonlinearsolvers import NewtonSolver

CELL, FINE_CELL = 0.2, 0.1
EDGE = 1e-9


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
    if task.variant.endswith(c.ADAPTIVE):
        return prepare_adaptive(task)
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


def corners(task: c.Task) -> tuple[OCCGeometry, str, dict[str, float]]:
    """Return P6 or P7, the sides on which ions are held, and what the potential is there."""
    if task.problem == "P7":
        shape = MoveTo(0, 0).Line(c.PATCH).Line(2 - c.PATCH).Rotate(90).Line(1).Rotate(90).Line(2).Close().Face()
        for edge in shape.edges:
            bottom = "patch" if edge.center.x < c.PATCH else "wall"
            edge.name = "bath" if edge.center.y > 1 - EDGE else bottom if edge.center.y < EDGE else "side"
        return OCCGeometry(shape, dim=2), "bath", {"bath": 0.0, "patch": -c.PORE_VOLTAGE}
    baths = [MoveTo(place, 0).Rectangle(c.BATH, 1).Face() for place in (0, 2 * c.BATH)]
    shape = baths[0] + MoveTo(c.BATH, 0).Rectangle(c.BATH, c.HALF_WIDTH).Face() + baths[1]
    for edge in shape.edges:
        at, height = edge.center.x, edge.center.y
        is_wall = min(abs(at - c.BATH), abs(at - 2 * c.BATH), abs(height - c.HALF_WIDTH)) < EDGE
        edge.name = "left" if at < EDGE else "right" if at > 3 * c.BATH - EDGE else "wall" if is_wall else "side"
    return OCCGeometry(shape, dim=2), "left|right", {"left": c.PORE_VOLTAGE, "right": 0.0}


def prepare_adaptive(task: c.Task) -> c.Prepared:
    """Solve P6 or P7 on meshes that are refined on the way."""
    order = int(task.variant[1])
    geometry, reservoirs, potentials = corners(task)
    is_patch = task.problem == "P7"

    def solve() -> tuple:
        mesh = Mesh(geometry.GenerateMesh(maxh=CELL))
        given = "|".join(potentials)
        of_phi, of_plus, of_minus = (
            H1(mesh, order=order, dirichlet=held, autoupdate=True) for held in (given, given, reservoirs)
        )
        space = FESpace([of_phi, of_plus, of_minus], autoupdate=True)
        (phi, plus, minus), (psi, v, w) = space.TnT()
        form = BilinearForm(space, condense=True)
        poisson = c.DEBYE_LENGTH**2 * grad(phi) * grad(psi) - (plus - minus) * psi
        transport = (grad(plus) + plus * grad(phi)) * grad(v) + (grad(minus) - minus * grad(phi)) * grad(w)
        form += (poisson + transport).Compile() * dx
        if not is_patch:
            form += -c.WALL_CHARGE * psi * ds("wall")
        state = GridFunction(space, autoupdate=True)
        of_potential, of_salt = state.components[0], state.components[1:]
        middle = 1.0 - y if is_patch else 1.0 - x / (3 * c.BATH)
        of_potential.Set(sum(potentials.values()) * middle)
        for component in of_salt:
            component.Set(CoefficientFunction(c.PORE_SALT))
        of_salt[0].Set(mesh.BoundaryCF({"patch": 0.5 * c.PORE_SALT}, default=c.PORE_SALT), BND)
        if is_patch:
            of_salt[0].Set(c.PORE_SALT * (1.0 - 0.5 * (1.0 - y)))
        for level in range(round(task.size)):
            if level:
                refine(mesh, state, order)
                space.Update()
                state.Update()
            flag, _ = NewtonSolver(form, state, inverse="umfpack").Solve(maxit=20, maxerr=1e-8, printing=False)
            if flag < 0:
                raise c.NotSolved("Newton did not converge")
        return mesh, space, form, state

    def refine(mesh: Mesh, state: GridFunction, order: int) -> None:
        error = 0.0
        for component, weight in zip(state.components, (c.DEBYE_LENGTH, 1.0, 1.0), strict=True):
            smooth = GridFunction(VectorH1(mesh, order=order))
            smooth.Set(grad(component))
            error += weight**2 * InnerProduct(grad(component) - smooth, grad(component) - smooth)
        of_cells = Integrate(error, mesh, VOL, element_wise=True).NumPy()
        mesh.ngmesh.Elements2D().NumPy()["refine"] = of_cells > 0.25 * of_cells.max()
        mesh.Refine()

    def measure(found: tuple) -> list[float]:
        mesh, space, form, state = found
        residual, indicator = state.vec.CreateVector(), GridFunction(space)
        form.Apply(state.vec, residual)
        fluxes = []
        for component in (1,) if is_patch else (1, 2):
            indicator.vec[:] = 0.0
            side = "bath" if is_patch else "right"
            indicator.components[component].Set(1.0, definedon=mesh.Boundaries(side))
            fluxes.append(-InnerProduct(indicator.vec, residual))
        return fluxes

    return c.Prepared(lambda found: found[1].ndof, solve, measure)


if __name__ == "__main__":
    c.main(prepare)
