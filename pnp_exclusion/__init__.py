"""Crowded ions: multispecies drift-diffusion with volume exclusion, coupled to Poisson, by finite elements.

For scripts::

    import pnp_exclusion as pnp

    case = pnp.read_case("membrane.toml")
    solution = pnp.solve(case)
    print(solution.currents, solution.regimes)
    solution.plot()

A law of one's own is a `Law`, given as ``pnp.solve(case, law=...)``; see ``examples/own_law.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnp_exclusion.case.case import Case, make_case, read_case
    from pnp_exclusion.errors import SolutionWarning
    from pnp_exclusion.physics.laws import FreeEnergy, IdealGas, LatticeGas, Law
    from pnp_exclusion.solution.solution import Solution, load
    from pnp_exclusion.solution.solve import solve
    from pnp_exclusion.studies.coupled.coupling import couple
    from pnp_exclusion.studies.engine.engine import run_engine
    from pnp_exclusion.studies.sweeps.run import sweep
    from pnp_exclusion.studies.workbench import Workbench

__version__ = "0.1.0"

__all__ = [
    "Case",
    "FreeEnergy",
    "IdealGas",
    "LatticeGas",
    "Law",
    "Solution",
    "SolutionWarning",
    "Workbench",
    "couple",
    "load",
    "make_case",
    "read_case",
    "run_engine",
    "solve",
    "sweep",
]

_HOME = {
    "Case": "case.case",
    "make_case": "case.case",
    "read_case": "case.case",
    "FreeEnergy": "physics.laws",
    "IdealGas": "physics.laws",
    "LatticeGas": "physics.laws",
    "Law": "physics.laws",
    "Solution": "solution.solution",
    "SolutionWarning": "errors",
    "load": "solution.solution",
    "solve": "solution.solve",
    "sweep": "studies.sweeps.run",
    "couple": "studies.coupled.coupling",
    "run_engine": "studies.engine.engine",
    "Workbench": "studies.workbench",
}
WITHOUT_PETSC = ("case.case", "errors", "physics.laws")
"""Modules that do not need it started."""


def __getattr__(name: str) -> Any:
    """Import on demand: the command line answers ``--help`` without DOLFINx."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if _HOME[name] not in WITHOUT_PETSC:
        importlib.import_module("pnp_exclusion.runtime.fenicsx").import_wheel()
    return getattr(importlib.import_module(f"pnp_exclusion.{_HOME[name]}"), name)
