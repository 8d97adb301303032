"""How far a solve is, for those who wait at a terminal."""

from __future__ import annotations

import io
import sys

import pytest
from conftest import EXAMPLES

from pnp_exclusion.runtime.console import Console
from pnp_exclusion.solution.solve import solve_quietly
from pnp_exclusion.solver import watch as module
from pnp_exclusion.solver.watch import Watch


class Terminal(io.StringIO):
    """What looks like one."""

    def isatty(self) -> bool:
        return True


def test_steps_to_come_are_those_of_a_method_that_squares_its_errors():
    """0.1, 0.01, then 1e-4 and 1e-8, which is below 1e-7."""
    level = Watch(print).level(1000, tolerance=1e-7)
    assert level.expected == module.COLD_STEPS
    for size in (1e-1, 1e-2):
        level.newton(size)
    assert level.expected == 2 + 2
    for size in (1e-4, 1e-8):
        level.newton(size)
    assert level.expected == level.done == 4


def test_work_counts_as_unknowns_and_a_level_that_is_left_is_over():
    watch = Watch(print)
    watch.announce(1000)
    coarse = watch.level(100, 1e-3)
    assert watch.fraction() == 0.0
    for size in (1e-1, 1e-2, 1e-4):
        coarse.newton(size)
    # three steps of 100 unknowns, of these and two of 1000
    assert watch.fraction() == pytest.approx(300 / 2300)
    fine = watch.level(1000, 1e-7)
    fine.krylov(3)
    assert watch.fraction() == pytest.approx((300 + 1000 * 3 / module.KRYLOV_STEPS) / 2300)
    for size in (1e-4, 1e-8):
        fine.newton(size)
    assert watch.fraction() == 1.0


def test_a_solve_tells_of_its_steps_and_is_the_same_as_unwatched(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(module, "SECONDS_BETWEEN", 0.0)
    lines: list[str] = []
    watched = solve_quietly(EXAMPLES / "membrane.toml", watch=Watch(lines.append))
    assert watched.steady.currents == solve_quietly(EXAMPLES / "membrane.toml").steady.currents
    assert "  1287 unknowns, Newton step 1, Krylov step 1: " in "".join(lines)
    assert lines[-1].startswith(f"  1287 unknowns, Newton step {watched.report.newton_iterations + 1}: 100 %")


def test_what_is_said_takes_the_place_of_the_line_that_is_rewritten(monkeypatch: pytest.MonkeyPatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console = Console(0)
    assert console.rewrites and not Console(1).rewrites and not Console(0, quiet=True).rewrites
    console.rewrite("half way")
    console.rewrite("near")
    console.say("done")
    console.clear()
    assert terminal.getvalue() == f"\rhalf way\rnear    \r{'':4s}\rdone\n"
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not console.rewrites
