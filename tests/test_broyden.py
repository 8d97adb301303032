"""Broyden's updates of a Jacobian that is kept over iterations of a step in time."""

from __future__ import annotations

from types import SimpleNamespace

from mpi4py import MPI

import numpy as np
import pytest
from test_transient import between_electrodes

import pnp_exclusion as pnp
from pnp_exclusion.solver.transient.broyden import BroydenUpdates


def test_a_linear_system_is_solved_in_twice_as_many_steps_as_unknowns():
    """Whatever the kept matrix is (Gay, SIAM J. Numer. Anal. 16, 623 (1979)); by itself it comes nowhere near."""
    generator = np.random.default_rng(3)
    matrix, right = np.eye(4) + 0.2 * generator.standard_normal((4, 4)), generator.standard_normal(4)
    exact = np.linalg.solve(matrix, right)

    def left_after(steps: int, updated: bool) -> float:
        updates, x = BroydenUpdates(SimpleNamespace(owned=2, comm=MPI.COMM_SELF)), np.zeros((2, 2))
        for _ in range(steps):
            # the kept matrix is the unit matrix
            change = (right - matrix @ x.ravel()).reshape(2, 2)
            if updated:
                change = updates.applied_to(change)
                updates.take(change)
            x = x + change
        return float(np.abs(x.ravel() - exact).max())

    assert left_after(8, True) < 1e-10
    assert left_after(8, False) > 1e-3


def test_updates_save_iterations_and_change_no_result(monkeypatch):
    """Newton's method ends at the same stages with or without them; a fifth fewer iterations were measured."""
    tables = between_electrodes("mpnp", 10.0, -10.0, end=1e-3)
    updated = pnp.run(tables)
    monkeypatch.setattr(BroydenUpdates, "applied_to", lambda self, step: step)
    plain = pnp.run(tables)
    assert updated.series.charge_left.values[-1] == pytest.approx(plain.series.charge_left.values[-1], rel=1e-7)
    assert updated.report.newton_iterations < 0.9 * plain.report.newton_iterations
