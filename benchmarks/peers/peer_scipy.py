"""scipy.integrate.solve_bvp: fourth-order collocation, adaptive mesh, analytic Jacobian as its manual advises.

The size is the number of digits asked for: tol = 10^-size. Variants for P2: "densities" keeps both ions as unknowns;
"equilibrium" uses that nothing flows at a blocking electrode and solves for the potential alone.
"""

from __future__ import annotations

import numpy as np
from common import BULK, DEBYE_LENGTH, LAYER_DEBYE_LENGTH, SALT_LEFT, SALT_RIGHT, NotSolved, Prepared, Task, main
from scipy.integrate import solve_bvp

FIRST_NODES = 41


def reservoirs(task: Task) -> dict:
    """P1: unknowns phi, phi', c+, c- and the two currents as parameters."""

    def right_side(x, y, currents):
        _, slope, plus, minus = y
        j_plus, j_minus = currents
        return np.vstack([slope, (minus - plus) / DEBYE_LENGTH**2, -j_plus - plus * slope, -j_minus + minus * slope])

    def jacobian(x, y, currents):
        _, slope, plus, minus = y
        by_state = np.zeros((4, 4, x.size))
        by_state[0, 1] = 1.0
        by_state[1, 2], by_state[1, 3] = -1.0 / DEBYE_LENGTH**2, 1.0 / DEBYE_LENGTH**2
        by_state[2, 1], by_state[2, 2] = -plus, -slope
        by_state[3, 1], by_state[3, 3] = minus, slope
        by_current = np.zeros((4, 2, x.size))
        by_current[2, 0] = by_current[3, 1] = -1.0
        return by_state, by_current

    def boundary(a, b, currents):
        left = [a[0] - task.voltage, a[2] - SALT_LEFT, a[3] - SALT_LEFT]
        return np.array([*left, b[0], b[2] - SALT_RIGHT, b[3] - SALT_RIGHT])

    x = np.linspace(0.0, 1.0, FIRST_NODES)
    salt = SALT_LEFT + (SALT_RIGHT - SALT_LEFT) * x
    guess = np.vstack([task.voltage * (1.0 - x), np.full_like(x, -task.voltage), salt, salt])
    return {"fun": right_side, "bc": boundary, "x": x, "y": guess, "p": np.zeros(2), "fun_jac": jacobian}


def layer(task: Task) -> dict:
    """P2 with densities: no flux, so grad c_a = -z_a c_a grad phi - c_a grad(sum c)/vacancies, solved for grad c."""

    def right_side(x, y):
        _, slope, plus, minus = y
        charge = plus - minus
        return np.vstack(
            [slope, -charge / LAYER_DEBYE_LENGTH**2, -plus * slope * (1.0 - charge), minus * slope * (1.0 + charge)]
        )

    def jacobian(x, y):
        _, slope, plus, minus = y
        charge = plus - minus
        by_state = np.zeros((4, 4, x.size))
        by_state[0, 1] = 1.0
        by_state[1, 2], by_state[1, 3] = -1.0 / LAYER_DEBYE_LENGTH**2, 1.0 / LAYER_DEBYE_LENGTH**2
        by_state[2, 1:] = -plus * (1.0 - charge), -slope * (1.0 - charge - plus), -slope * plus
        by_state[3, 1:] = minus * (1.0 + charge), slope * minus, slope * (1.0 + charge - minus)
        return by_state

    def boundary(a, b):
        return np.array([a[0] - task.voltage, b[0], b[2] - BULK, b[3] - BULK])

    x = np.linspace(0.0, 1.0, FIRST_NODES)
    bulk = np.full_like(x, BULK)
    guess = np.vstack([task.voltage * (1.0 - x), np.full_like(x, -task.voltage), bulk, bulk])
    return {"fun": right_side, "bc": boundary, "x": x, "y": guess, "fun_jac": jacobian}


def equilibrium(task: Task) -> dict:
    """P2 reduced by hand: phi'' = 2 b sinh(phi) / (1 + 2 b (cosh(phi) - 1)) / lambda^2, the ions in equilibrium."""

    def right_side(x, y):
        crowd = 1.0 + 2.0 * BULK * (np.cosh(y[0]) - 1.0)
        return np.vstack([y[1], 2.0 * BULK * np.sinh(y[0]) / crowd / LAYER_DEBYE_LENGTH**2])

    def jacobian(x, y):
        crowd = 1.0 + 2.0 * BULK * (np.cosh(y[0]) - 1.0)
        share = 2.0 * BULK * np.sinh(y[0]) / crowd
        by_state = np.zeros((2, 2, x.size))
        by_state[0, 1] = 1.0
        by_state[1, 0] = (2.0 * BULK * np.cosh(y[0]) / crowd - share**2) / LAYER_DEBYE_LENGTH**2
        return by_state

    x = np.linspace(0.0, 1.0, FIRST_NODES)
    guess = np.vstack([task.voltage * (1.0 - x), np.full_like(x, -task.voltage)])
    boundary = lambda a, b: np.array([a[0] - task.voltage, b[0]])  # noqa: E731
    return {"fun": right_side, "bc": boundary, "x": x, "y": guess, "fun_jac": jacobian}


def prepare(task: Task) -> Prepared:
    """Choose the system; mesh and unknowns are solve_bvp's own affair, so they are counted after the first solve."""
    system = (
        reservoirs(task)
        if task.problem == "P1"
        else {"densities": layer, "equilibrium": equilibrium}[task.variant](task)
    )

    def solve():
        solution = solve_bvp(**system, tol=10.0**-task.size, max_nodes=200_000)
        if not solution.success:
            raise NotSolved(f"solve_bvp: {solution.message}")
        return solution

    def measure(solution):
        return list(solution.p) if task.problem == "P1" else [-(LAYER_DEBYE_LENGTH**2) * solution.yp[0, 0]]

    return Prepared(lambda solution: solution.y.size, solve, measure)


if __name__ == "__main__":
    main(prepare)
