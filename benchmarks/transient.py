"""Charging between blocking electrodes: processor time to an error of the charge Q(t), beside SUNDIALS' IDA.

Both solve the same finite elements (residual and Jacobian of one compiled form each) from the same consistent state;
IDA (scikit-sundae) as the method of lines, ``M(U) U' + F(U) = 0`` with the exact Jacobian, a band. Times
are those of stepping alone, the best of several; errors are those at a code's own steps, against a solution at a
tolerance of 1e-7, over the largest charge. Needs ``pip install scikit-sundae``; ``--ours`` does without.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

from mpi4py import MPI  # noqa: F401  (before DOLFINx)

import numpy as np
import ufl
from dolfinx import fem
from scipy.interpolate import CubicSpline
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import spsolve

from pnp_exclusion.case.build import build
from pnp_exclusion.case.case import make_case
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import POTENTIAL
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.transient.drive import Constant
from pnp_exclusion.solver.transient.schemes import RADAU5
from pnp_exclusion.solver.transient.solver import TimeSettings, TransientSolver

BULK, END, FIRST = 0.1, 10.0, 1e-4
"""Errors count from the time `FIRST` on."""
REPEATS = 3


@dataclass(frozen=True)
class Run:
    """Times, charges on the left electrode, processor seconds, drift of the amounts, and what it took in words."""

    times: np.ndarray
    charges: np.ndarray
    seconds: float
    drift: float
    effort: str


class Cell:
    """A symmetric salt between two blocking electrodes at ``+V`` and ``-V``."""

    def __init__(self, voltage: float, law: str = "mpnp", debye_length: float = 0.05) -> None:
        ends = (("left", voltage), ("right", -voltage))
        tables = {
            "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": debye_length},
            "species": [{"name": n, "charge": z, "mean_fraction": BULK} for n, z in (("cation", 1), ("anion", -1))],
            "domain": {"shape": "interval", "length": 1.0},
            "boundaries": [{"where": w, "kind": "electrode", "potential": v} for w, v in ends],
        }
        self.problem = build(make_case(tables)).problem
        self.discrete = Discretisation(self.problem)
        eta = self.problem.law.free_energy.chemical_potentials([BULK, BULK])
        self.uniform = np.tile([*eta, 0.0], len(self.discrete.values) // 3)
        held = self.discrete.constraints.values_of(POTENTIAL)
        self.left = next(value.dofs for value in held if value.tag == 0)

    def ours(self, tolerance: float, **settings: object) -> Run:
        """Step by step with the solver of this package."""
        self.discrete.values[:] = self.uniform
        with OptionsDatabase() as database:
            given = TimeSettings(tolerance=tolerance, **settings)
            solver = TransientSolver(self.discrete, Constant(self.problem), database, time_settings=given)
            with solver:
                times, charges = [], []
                begun = time.process_time()
                for step in solver.run(0.0, END):
                    times.append(step.time)
                    charges.append(step.solved.flowing[-1][self.left].sum())
                seconds = time.process_time() - begun
                report, effort = solver.report, solver.report.effort
        amounts = step.end.reshape(-1, 3)[:, :2].sum(axis=0)
        drift = np.abs(amounts / BULK - 1.0).max()
        words = f"{report.steps} + {report.rejected + report.failed} steps, {effort.jacobians} Jacobians"
        return Run(np.array(times), np.array(charges), seconds, drift, f"{words}, {effort.iterations} iterations")


class MethodOfLines:
    """The same elements for IDA."""

    def __init__(self, cell: Cell) -> None:
        from pnp_exclusion.solver.transient.equations import Equations

        self._cell, discrete = cell, cell.discrete
        discrete.values[:] = cell.uniform
        discrete.integration.mark(np.zeros_like(discrete.integration.is_steep))
        with OptionsDatabase() as database, TransientSolver(discrete, Constant(cell.problem), database) as solver:
            solver.make_consistent(0.0)
        self._start = discrete.values.copy()
        self._equations = Equations(discrete)
        self._matrix = self._equations.matrix.duplicate()
        self._rates, self._factor = fem.Function(discrete.space), fem.Constant(discrete.problem.domain.mesh, 0.0)
        stored = discrete.weak_form.contents_against(discrete.layout.parts(ufl.TestFunction(discrete.space)))
        change = ufl.derivative(stored, discrete.unknown)
        lines = ufl.action(change, self._rates) + discrete.weak_form.residual
        self._residual = discrete.integration.form(lines)
        self._jacobian = discrete.integration.form(ufl.derivative(lines, discrete.unknown) + self._factor * change)
        self._held = self._equations.held
        starts, columns, _ = self._matrix.getValuesCSR()
        rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        # along the interval, so that the matrix is a band
        x = np.repeat(discrete.space.tabulate_dof_coordinates()[:, 0], discrete.layout.size)
        self._order = np.argsort(x, kind="stable")
        self._place = np.argsort(self._order)
        self._entries = self._place[rows], self._place[columns]
        self._width = int(np.abs(self._entries[0] - self._entries[1]).max())
        self._rates_at_first = self._consistent_rates()

    def _consistent_rates(self) -> np.ndarray:
        """Solve ``M U' = -F`` beside ``dP U' = 0``."""
        equations = self._equations
        equations.show(self._start)
        slopes = equations.new_slopes()
        equations.fill_slopes(slopes)
        stored, flowing = (csr_array(one.getValuesCSR()[::-1]) for one in (slopes.stored, slopes.flowing))
        by_potential = equations.is_potential.astype(float)
        by_potential[self._held] = 1.0
        matrix = stored + flowing.multiply(by_potential[:, None])
        right = -equations.flowing()
        right[equations.is_potential] = 0.0
        right[self._held] = 0.0
        slopes.destroy()
        # by the largest of each row: amounts beside the wall are of another size than charges
        scale = 1.0 / abs(matrix).max(axis=1).toarray().ravel()
        return np.asarray(spsolve(csc_array(matrix.multiply(scale[:, None])), scale * right))

    def _show(self, y: np.ndarray, yp: np.ndarray) -> None:
        discrete = self._cell.discrete
        discrete.values[:], self._rates.x.array[:] = y[self._place], yp[self._place]
        discrete.mark_steep_cells()

    def _rows(self, t: float, y: np.ndarray, yp: np.ndarray, res: np.ndarray) -> None:
        self._show(y, yp)
        rows = np.zeros(len(y))
        self._residual.add_to(rows)
        rows[self._held] = self._cell.discrete.values[self._held] - self._start[self._held]
        res[:] = rows[self._order]

    def _slopes(self, t: float, y: np.ndarray, yp: np.ndarray, res: np.ndarray, cj: float, jj: np.ndarray) -> None:
        self._show(y, yp)
        self._factor.value = cj
        self._matrix.zeroEntries()
        self._jacobian.add_to_matrix(self._matrix, self._cell.discrete.constraints.conditions)
        self._matrix.assemble()
        jj[self._entries] = self._matrix.getValuesCSR()[2]
        held = self._place[self._held]
        jj[held, held] = 1.0

    def ida(self, tolerance: float) -> Run:
        """Step by step with IDA."""
        from sksundae.ida import IDA

        discrete = self._cell.discrete
        solver = IDA(
            self._rows,
            rtol=tolerance,
            atol=tolerance,
            linsolver="lapackband",
            lband=self._width,
            uband=self._width,
            jacfn=self._slopes,
            algebraic_idx=np.flatnonzero(self._equations.is_potential[self._order]),
            max_num_steps=20000,
            first_step=1e-6,
        )
        begun = time.process_time()
        found = solver.solve([0.0, END], self._start[self._order], self._rates_at_first[self._order])
        seconds = time.process_time() - begun
        charges = []
        for state in found.y:
            discrete.values[:] = state[self._place]
            discrete.mark_steep_cells()
            charges.append(self._equations.flowing()[self._cell.left].sum())
        amounts = self._equations.stored().reshape(-1, 3)[:, :2].sum(axis=0)
        words = f"{found.nfev} residuals, {found.njev} Jacobians, {len(found.t)} steps"
        words += "" if found.success else f" (failed at t = {found.t[-1]:.2g}: {found.message})"
        return Run(found.t, np.array(charges), seconds, np.abs(amounts / BULK - 1.0).max(), words)


def best(run: Callable[[], Run]) -> Run:
    """Return the quickest of several."""
    return min((run() for _ in range(REPEATS)), key=lambda one: one.seconds)


def error(run: Run, reference: CubicSpline, largest: float) -> float:
    """Return the largest error of the charge at the steps of a run."""
    late = run.times >= FIRST
    return float(np.abs(run.charges[late] - reference(np.log(run.times[late]))).max() / largest)


def main() -> None:
    """Print a table for every voltage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voltages", type=lambda text: [float(v) for v in text.split(",")], default=[1, 4, 10, 40])
    parser.add_argument("--ours", action="store_true")
    asked = parser.parse_args()
    for voltage in asked.voltages:
        cell = Cell(voltage)
        exact = cell.ours(1e-7)
        reference, largest = CubicSpline(np.log(exact.times), exact.charges), np.abs(exact.charges).max()
        print(f"\nV = {voltage:g}\n\n| | error of Q | seconds | drift of amounts | |\n|---|---|---|---|---|")
        ways: list[tuple[str, Callable[[float], Run], list[float]]] = [
            ("Radau IIA", lambda tolerance, cell=cell: cell.ours(tolerance), [1e-1, 3e-2, 1e-2, 1e-3, 1e-4]),
            ("of three stages", lambda tolerance, cell=cell: cell.ours(tolerance, scheme=RADAU5), [1e-1, 1e-2, 1e-3]),
        ]
        if not asked.ours:
            lines = MethodOfLines(cell)
            ways.append(("IDA", lines.ida, [1e-2, 3e-3, 1e-3, 1e-4, 1e-5]))
        for name, way, tolerances in ways:
            for tolerance in tolerances:
                run = best(lambda way=way, tolerance=tolerance: way(tolerance))
                told = f"{error(run, reference, largest):.1e} | {run.seconds:.3f} | {run.drift:.0e} | {run.effort}"
                print(f"| {name}, {tolerance:g} | {told} |", flush=True)


if __name__ == "__main__":
    main()
