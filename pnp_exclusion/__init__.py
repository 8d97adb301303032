"""Crowded ions: multispecies drift-diffusion with volume exclusion, coupled to Poisson, by finite elements.

For scripts::

    import pnp_exclusion as pnp

    case = pnp.read_case("membrane.toml")
    solution = pnp.solve(case)
    print(solution.currents, solution.regimes)
    solution.plot()

A case is made of objects too, without a file; numbers are then in SI units, texts have units::

    case = pnp.Case(
        model=pnp.Model("mpnp", lattice_spacing="0.7 nm"),
        species=[pnp.Species(name="Na", charge=1, diffusivity=1.33e-9), ...],
        domain=pnp.Interval(length="5 nm"),
        boundaries=[pnp.Reservoir(where="left", concentration={"Na": "2 mol/L", "Cl": "2 mol/L"}, potential=0.0), ...],
    )

A law of one's own is a `Law`, given as ``pnp.Model(law, ...)`` or ``pnp.solve(case, law=law)``; a mesh of one's own a
`Mesh`; see ``docs/python.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnp_exclusion.case.boundary_tables import (
        Electrode,
        Exchange,
        Floating,
        Flux,
        Interface,
        Reservoir,
        Stern,
        Wall,
    )
    from pnp_exclusion.case.case import Case, make_case, read_case
    from pnp_exclusion.case.domain_tables import AreaTable, Box, Cone, Gmsh, Interval, Rectangle
    from pnp_exclusion.case.domain_tables import GivenMesh as Mesh
    from pnp_exclusion.case.field_tables import FieldTable
    from pnp_exclusion.case.ions import Ion, ion
    from pnp_exclusion.case.law_tables import model as Model
    from pnp_exclusion.case.output_tables import Line, Output, Point
    from pnp_exclusion.case.reaction_tables import ButlerVolmer, LinearKinetics, Marcus, Reaction
    from pnp_exclusion.case.tables import Region, Solver, Species
    from pnp_exclusion.case.time_tables import Checkpoints, Initial, Piece, Records, Time, Until
    from pnp_exclusion.errors import (
        CaseError,
        ConvergenceError,
        DiskError,
        LawError,
        SolutionWarning,
        StoppedError,
        UsageError,
    )
    from pnp_exclusion.physics.energy import Energy
    from pnp_exclusion.physics.free_energies import FreeEnergy, IdealGas, LatticeGas
    from pnp_exclusion.physics.hard_spheres import HardSpheres
    from pnp_exclusion.physics.laws import Law, register_law
    from pnp_exclusion.physics.unequal_sizes import MoleFractions, VolumeFractions
    from pnp_exclusion.solution.solution import Solution, load
    from pnp_exclusion.solution.solve import solve
    from pnp_exclusion.solution.transient import TransientSolution, run
    from pnp_exclusion.studies.coupled.coupling import couple
    from pnp_exclusion.studies.curves import capacitance, iv
    from pnp_exclusion.studies.engine.engine import run_engine
    from pnp_exclusion.studies.engine.gas_engine import run_gas_engine
    from pnp_exclusion.studies.fits.fit import fit
    from pnp_exclusion.studies.gas.run import Settings as GasSettings
    from pnp_exclusion.studies.gas.run import run_gas
    from pnp_exclusion.studies.sweeps.run import sweep
    from pnp_exclusion.studies.voltammetry import cv
    from pnp_exclusion.studies.workbench import Workbench

__version__ = "0.1.0"

__all__ = [
    "AreaTable",
    "Box",
    "ButlerVolmer",
    "Case",
    "CaseError",
    "Checkpoints",
    "Cone",
    "ConvergenceError",
    "DiskError",
    "Electrode",
    "Energy",
    "Exchange",
    "FieldTable",
    "Floating",
    "Flux",
    "FreeEnergy",
    "GasSettings",
    "Gmsh",
    "HardSpheres",
    "IdealGas",
    "Initial",
    "Interface",
    "Interval",
    "Ion",
    "LatticeGas",
    "Law",
    "LawError",
    "Line",
    "LinearKinetics",
    "Marcus",
    "Mesh",
    "Model",
    "MoleFractions",
    "Output",
    "Piece",
    "Point",
    "Reaction",
    "Records",
    "Rectangle",
    "Region",
    "Reservoir",
    "Solution",
    "SolutionWarning",
    "Solver",
    "Species",
    "Stern",
    "StoppedError",
    "Time",
    "TransientSolution",
    "Until",
    "UsageError",
    "VolumeFractions",
    "Wall",
    "Workbench",
    "capacitance",
    "couple",
    "cv",
    "fit",
    "ion",
    "iv",
    "load",
    "make_case",
    "read_case",
    "register_law",
    "run",
    "run_engine",
    "run_gas",
    "run_gas_engine",
    "solve",
    "sweep",
]

_HOME = {
    **dict.fromkeys(
        ("Electrode", "Exchange", "Floating", "Flux", "Interface", "Reservoir", "Stern", "Wall"), "case.boundary_tables"
    ),
    **dict.fromkeys(("Case", "make_case", "read_case"), "case.case"),
    **dict.fromkeys(("Line", "Output", "Point"), "case.output_tables"),
    **dict.fromkeys(("ButlerVolmer", "LinearKinetics", "Marcus", "Reaction"), "case.reaction_tables"),
    **dict.fromkeys(("AreaTable", "Box", "Cone", "Gmsh", "Interval", "Rectangle"), "case.domain_tables"),
    "FieldTable": "case.field_tables",
    **dict.fromkeys(("Region", "Solver", "Species"), "case.tables"),
    **dict.fromkeys(
        ("CaseError", "ConvergenceError", "DiskError", "LawError", "SolutionWarning", "StoppedError", "UsageError"),
        "errors",
    ),
    **dict.fromkeys(("Ion", "ion"), "case.ions"),
    **dict.fromkeys(("FreeEnergy", "IdealGas", "LatticeGas"), "physics.free_energies"),
    **dict.fromkeys(("Law", "register_law"), "physics.laws"),
    **dict.fromkeys(("Checkpoints", "Initial", "Piece", "Records", "Time", "Until"), "case.time_tables"),
    **dict.fromkeys(("TransientSolution", "run"), "solution.transient"),
    **dict.fromkeys(("MoleFractions", "VolumeFractions"), "physics.unequal_sizes"),
    "HardSpheres": "physics.hard_spheres",
    "Energy": "physics.energy",
    "GasSettings": "studies.gas.run.Settings",
    "Mesh": "case.domain_tables.GivenMesh",
    "Model": "case.law_tables.model",
    "Solution": "solution.solution",
    "load": "solution.solution",
    "solve": "solution.solve",
    "sweep": "studies.sweeps.run",
    **dict.fromkeys(("capacitance", "iv"), "studies.curves"),
    "couple": "studies.coupled.coupling",
    "cv": "studies.voltammetry",
    "fit": "studies.fits.fit",
    "run_engine": "studies.engine.engine",
    "run_gas": "studies.gas.run",
    "run_gas_engine": "studies.engine.gas_engine",
    "Workbench": "studies.workbench",
}
"""Where every name is; with its name there, if that is another one."""
ALIASES = ("GasSettings", "Mesh", "Model")
WITHOUT_PETSC = ("case", "errors", "physics")
"""Rooms that do not need it started."""


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    """Import on demand: the command line answers ``--help`` without DOLFINx."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module, _, other = _HOME[name].rpartition(".") if name in ALIASES else (_HOME[name], "", name)
    if module.partition(".")[0] not in WITHOUT_PETSC:
        importlib.import_module("pnp_exclusion.runtime.fenicsx").import_dolfinx()
    return getattr(importlib.import_module(f"pnp_exclusion.{module}"), other)
