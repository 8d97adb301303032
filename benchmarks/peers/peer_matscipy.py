"""matscipy's Poisson-Nernst-Planck system: Scharfetter-Gummel finite volumes on a uniform grid, point ions only.

The size is the number of segments. Its default solver forms a dense Jacobian by finite differences and computes its
rank at every step. Its SI units are turned into ours by setting R = T = F = 1.
"""

from __future__ import annotations

import common as c
import numpy as np
from matscipy.electrochemistry import PoissonNernstPlanckSystem
from matscipy.electrochemistry.poisson_nernst_planck_solver import B


def system(task: c.Task) -> PoissonNernstPlanckSystem:
    """Return P1 with its boundary conditions, starting from linear densities and potential."""
    x = np.linspace(0.0, 1.0, round(task.size) + 1)
    salt = c.SALT_LEFT + (c.SALT_RIGHT - c.SALT_LEFT) * x
    pnp = PoissonNernstPlanckSystem(
        c=np.array([c.SALT_LEFT, c.SALT_LEFT]),
        z=np.array(c.VALENCES),
        L=1.0,
        T=1.0,
        R=1.0,
        F=1.0,
        relative_permittivity=c.DEBYE_LENGTH**2,
        vacuum_permittivity=1.0,
        delta_u=task.voltage,
        N=round(task.size),
        e=1e-8,
        maxit=50,
        potential0=task.voltage * (1.0 - x),
        concentration0=np.vstack([salt, salt]),
    )
    pnp.boundary_conditions = [
        lambda x: pnp.left_potential_dirichlet_bc(x, pnp.delta_u_scaled),
        lambda x: pnp.right_potential_dirichlet_bc(x, 0.0),
    ]
    for ion in range(2):
        pnp.boundary_conditions += [
            lambda x, ion=ion: pnp.left_dirichlet_bc(x, ion, c.SALT_LEFT / pnp.c_unit),
            lambda x, ion=ion: pnp.right_dirichlet_bc(x, ion, c.SALT_RIGHT / pnp.c_unit),
        ]
    return pnp


def prepare(task: c.Task) -> c.Prepared:
    """Set up; the flux is the scheme's own, which is the same between all nodes."""
    pnp = system(task)

    def solve() -> None:
        pnp.solve()
        if not pnp.converged:
            raise c.NotSolved("its Newton solver reached its limit of steps")

    def measure(_: None) -> list[float]:
        phi, spacing, fluxes = pnp.uij, 1.0 / pnp.N, []
        for valence, density in zip(c.VALENCES, pnp.concentration, strict=True):
            drop = valence * (phi[1:] - phi[:-1])
            fluxes.append(np.mean(B(drop) * density[:-1] - B(-drop) * density[1:]) / spacing)
        return fluxes

    return c.Prepared(3 * (pnp.N + 1), solve, measure)


if __name__ == "__main__":
    c.main(prepare)
