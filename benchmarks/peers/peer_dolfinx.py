"""Plain DOLFINx, the script that a user would write: densities and potential as unknowns, SNES, a uniform mesh.

The variant is the degree of the elements, "P1", "P2" or "P4", then how it is solved: nothing for MUMPS, "-ilu" for
GMRES with ILU(0), PETSc's own default; "-ramp" raises the voltage of P2 in steps. The size is the number of cells per
side. Currents and charges are residuals of the discrete equations.
"""

from __future__ import annotations

import dolfinx_solver  # noqa: F401 - the wheel wants to be imported before DOLFINx

# isort: split
from mpi4py import MPI

import basix.ufl
import common as c
import numpy as np
import ufl
from dolfinx import fem, mesh
from dolfinx.fem.petsc import NonlinearProblem, assemble_vector

LINEAR = {
    "": {"ksp_type": "preonly", "pc_type": "lu", "pc_factor_mat_solver_type": "mumps"},
    "ilu": {"ksp_type": "gmres", "pc_type": "ilu", "ksp_rtol": 1e-6, "ksp_max_it": 2000, "ksp_gmres_restart": 100},
}
RAMP_STEP = 0.5
SNES = {"snes_type": "newtonls", "snes_linesearch_type": "bt", "snes_rtol": 1e-9, "snes_atol": 1e-12, "snes_max_it": 60}


def make_mesh(task: c.Task) -> mesh.Mesh:
    """Return a uniform mesh of the interval, square or cube."""
    cells = round(task.size)
    if task.dimension == 1:
        return mesh.create_interval(MPI.COMM_WORLD, cells, (0.0, 1.0))
    if task.dimension == 2:
        return mesh.create_unit_square(MPI.COMM_WORLD, cells, cells)
    return mesh.create_unit_cube(MPI.COMM_WORLD, cells, cells, cells)


def fixed_charge(domain: mesh.Mesh) -> fem.Function:
    """Return the charge of P4 and P5, constant in every cell."""
    charge = fem.Function(fem.functionspace(domain, ("DG", 0)))
    if domain.topology.dim > 1:
        beyond = lambda x: np.ones(x.shape[1], dtype=bool) if domain.topology.dim == 2 else x[2] < c.HIGH + 1e-9  # noqa: E731
        within = lambda x: (x[0] > c.FROM - 1e-9) & (x[0] < c.TO + 1e-9) & (x[1] < c.HIGH + 1e-9) & beyond(x)  # noqa: E731
        charge.x.array[mesh.locate_entities(domain, domain.topology.dim, within)] = c.FIXED_CHARGE
    return charge


def prepare(task: c.Task) -> c.Prepared:
    """Set up spaces, conditions, forms and SNES; a solve starts from linear densities and potential."""
    crowded = task.problem == "P2"
    degree, _, way = task.variant.removeprefix("P").partition("-")
    ramped, linear = way == "ramp", way.replace("ramp", "")
    domain = make_mesh(task)
    element = basix.ufl.element("Lagrange", domain.basix_cell(), int(degree), shape=(3,))
    space = fem.functionspace(domain, element)
    state, test = fem.Function(space), ufl.TestFunction(space)
    (phi, plus, minus), (psi, v, w) = ufl.split(state), ufl.split(test)
    squared_length = (c.LAYER_DEBYE_LENGTH if crowded else c.DEBYE_LENGTH) ** 2
    dx = ufl.dx(metadata={"quadrature_degree": 3 * int(degree)})
    form = squared_length * ufl.inner(ufl.grad(phi), ufl.grad(psi)) * dx
    form -= (plus - minus + fixed_charge(domain)) * psi * dx
    for density, valence, test_a in ((plus, 1, v), (minus, -1, w)):
        minus_flux = ufl.grad(density) + valence * density * ufl.grad(phi)
        if crowded:
            minus_flux += density * ufl.grad(plus + minus) / (1 - plus - minus)
        form += ufl.inner(minus_flux, ufl.grad(test_a)) * dx

    right_amount = c.BULK if crowded else c.SALT_RIGHT
    applied = fem.Constant(domain, task.voltage)
    left = {0: applied} if crowded else {0: applied, 1: c.SALT_LEFT, 2: c.SALT_LEFT}
    right = {0: 0.0, 1: right_amount, 2: right_amount}
    facets, conditions = domain.topology.dim - 1, []
    for x, values in ((0.0, left), (1.0, right)):
        side = mesh.locate_entities_boundary(domain, facets, lambda points, x=x: np.isclose(points[0], x))
        for component, value in values.items():
            dofs = fem.locate_dofs_topological(space.sub(component), facets, side)
            held = value if isinstance(value, fem.Constant) else fem.Constant(domain, value)
            conditions.append(fem.dirichletbc(held, dofs, space.sub(component)))
    problem = NonlinearProblem(
        form, state, bcs=conditions, petsc_options_prefix="peer_", petsc_options=LINEAR[linear] | SNES
    )
    balance = fem.form(form)

    def solve() -> None:
        state.sub(0).interpolate(lambda x: (0.0 if ramped else task.voltage) * (1.0 - x[0]))
        for component in (1, 2):
            first = right_amount if crowded else c.SALT_LEFT
            state.sub(component).interpolate(lambda x, first=first: first + (right_amount - first) * x[0])
        steps = round(task.voltage / RAMP_STEP) if ramped else 1
        for step in range(1, steps + 1):
            applied.value = task.voltage * step / steps
            problem.solve()
            if (reason := problem.solver.getConvergedReason()) < 0:
                word = {-5: "too many steps", -6: "line search failed"}.get(reason, f"reason {reason}")
                raise c.NotSolved(f"SNES at V = {applied.value:g}: {word}")

    def measure(_: None) -> list[float]:
        residual = assemble_vector(balance).array
        side = mesh.locate_entities_boundary(domain, facets, lambda x: np.isclose(x[0], 0.0 if crowded else 1.0))
        totals = [residual[fem.locate_dofs_topological(space.sub(a), facets, side)].sum() for a in range(3)]
        return [totals[0]] if crowded else [-totals[1], -totals[2]]

    return c.Prepared(space.dofmap.index_map.size_global * 3, solve, measure)


if __name__ == "__main__":
    c.main(prepare)
