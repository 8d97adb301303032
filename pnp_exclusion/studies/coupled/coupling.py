"""Coupled transport of a steady state: forces, currents, Onsager's matrix, and one force driving another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.observe.forces import SAME
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import CaseLike, as_solution
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.coupled.channel import Channel, Steady, drive_of, steady_of
from pnp_exclusion.studies.coupled.conversion import Conversion, greatest
from pnp_exclusion.studies.coupled.directions import (
    SALINITY,
    VOLTAGE,
    Direction,
    Drive,
    asymmetry,
    components,
    in_directions,
    independent,
)
from pnp_exclusion.studies.coupled.electrolyte import Electrolyte, electrolyte
from pnp_exclusion.studies.coupled.ends import why_not
from pnp_exclusion.studies.coupled.equilibrium import AT_REST, drive_parameter, equilibrium
from pnp_exclusion.studies.coupled.finite_drive import StirringConductances, conductances, stirring_conductances
from pnp_exclusion.studies.coupled.heat import HeatTransport, heat_transport
from pnp_exclusion.studies.coupled.response import Response, response

type Array = NDArray[np.float64]

LEAST_EFFICIENCY = 1e-12
"""Below it is rounding."""
LEAST_LOAD = 1e-9
"""kT: a driver that is stopped by less lifts nothing."""


@dataclass(frozen=True)
class PowerPoint:
    """One state of a load driven by a finite force; powers in kT times currents.

    load
        Force on the load, kT.
    power
        What the load takes up, ``-I_load X_load``.
    consumption
        What the driver gives, ``I_driver X_driver``.
    """

    load: float
    power: float
    consumption: float

    @property
    def efficiency(self) -> float:
        """``power / consumption``."""
        return self.power / self.consumption

    @property
    def lifts(self) -> bool:
        """Whether the driver works on the load, and by more than rounding."""
        return self.consumption > 0.0 and self.power > LEAST_EFFICIENCY * self.consumption


@dataclass(frozen=True)
class EnergyConversion:
    """One force driving another, the load.

    pair
        Load and driver.
    strengths
        Their forces ``X`` (2,) at the state, kT.
    reference
        Linear theory about equilibrium.
    here
        The state's own matrix by the master identity, ``J = K F`` exactly; None above one dimension.
    point
        The state itself.
    curve
        Loads from zero to the one that stops its current, the driver as in the case, from steady states of their own;
        empty where nothing drives, or lifts the load, or the pair cannot be turned one by one, as beside closed species
        of a crowded law.
    best_power, best_efficiency
        Of all such loads, not only those of the curve; None without it.
    """

    pair: tuple[Direction, Direction]
    strengths: Array
    reference: Conversion
    here: Conversion | None
    point: PowerPoint
    curve: tuple[PowerPoint, ...] = ()
    best_power: PowerPoint | None = None
    best_efficiency: PowerPoint | None = None


@dataclass(frozen=True)
class Coupling:
    """What is known of the coupled transport of a solution; dimensionless, from the first end to the second.

    response
        To each driving force, by exact tangents; holds Onsager's matrix.
    conversion
        None with a single force.
    heat
        Under a law with a temperature.
    """

    solution: Solution
    drive: Drive
    steady: Steady
    response: Response
    electrolyte: Electrolyte | None
    conversion: EnergyConversion | None
    heat: HeatTransport | None = None

    @property
    def onsager(self) -> Array:
        """``dJ_a/dF_b`` (N, N)."""
        return self.response.to_contents

    @property
    def at_equilibrium(self) -> bool:
        """Whether no force acts."""
        return bool(np.abs(self.drive.forces).max() < AT_REST)

    @property
    def asymmetry(self) -> float:
        """``max |L_ab - L_ba| / sqrt(L_aa L_bb)``: rounding at equilibrium (Onsager), free away from it."""
        return asymmetry(self.onsager)

    @property
    def inverse(self) -> list[str]:
        """Species that run against their own thermodynamic force."""
        return [name for name in self.drive.species if self.solution.regimes[name] == "inverse"]

    @property
    def stirring(self) -> StirringConductances | None:
        """The ``G`` of `shdl` in one dimension with two species or more, at the state's own profile."""
        resistance = self.steady.resistance
        if resistance is None or len(resistance) < 2 or self.solution.discretisation.problem.law.name != "shdl":
            return None
        return stirring_conductances(resistance)

    @property
    def dissipation_by_forces(self) -> float:
        """``sum_a J_a F_a``, which the dissipation in the volume must equal."""
        return float(self.steady.currents @ self.steady.forces)


def couple(
    case: CaseLike,
    load: str | None = None,
    driver: str | None = None,
    points: int | None = None,
    petsc_options: Sequence[str] = (),
    *,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> Coupling:
    """Analyse the steady state of a case between two reservoirs; collective.

    case
        What `pnp_exclusion.solve` takes; a converged solution is analysed as it is, all else is solved on ``comm``.
    load, driver
        Names of the forces to set against each other: of species, "voltage" or "salinity". Chosen if not given: a
        species that runs inverse against the first that does not; else voltage against salinity where there are charges
        and Poisson; else the first species against the next. If only the first has a force, it is the driver.
    points
        Of the curve at the case's own driving force, 0 for none; 21 in one dimension, none above, if not given.

    Raises `CaseError` for a case whose currents do not run between two reservoirs, `UsageError` for a pair that it does
    not have or too few points, `ConvergenceError` if the case has no solution or a state of the curve is not found.
    """
    if points is not None and (points < 0 or points in (1, 2)):
        raise UsageError(f"points is 0 or a whole number from 3 on, but it is {points}")
    solution = as_solution(case, comm, petsc_options)
    case = solution.setup.case
    reason = why_not(solution.discretisation)
    if reason:
        raise CaseError(case.path, [reason])
    drive, steady = drive_of(solution), steady_of(solution)
    pair = _pair(solution, drive, load, driver)
    with TangentSolver(solution.discretisation, settings_of(case), petsc_options) as tangents:
        tangent = response(tangents)
    found = None
    if drive.voltage is not None and drive.charges.any():
        assert solution.steady.ends is not None
        contents, names = solution.steady.ends[0].rho, solution.discretisation.problem.names
        rho, vacancy = np.array([contents[name] for name in drive.species]), 1.0 - sum(contents[a] for a in names)
        found = electrolyte(tangent, drive.charges, rho, vacancy, solution.discretisation.problem.law.free_energy)
    heat = None
    if solution.discretisation.problem.law.thermal:
        assert solution.steady.ends is not None
        heat = heat_transport(tangent, solution.steady.ends[0])
    coupling = Coupling(solution, drive, steady, tangent, found, None, heat)
    if pair is None:
        return coupling
    strengths = _strengths(steady, pair)
    if load is None and driver is None and strengths[0] and not strengths[1]:
        pair = pair[1], pair[0]
    if points is None:
        points = 21 if solution.discretisation.problem.domain.dimension == 1 else 0
    return replace(coupling, conversion=_conversion(coupling, pair, points, petsc_options))


def _pair(solution: Solution, drive: Drive, load: str | None, driver: str | None) -> tuple[Direction, Direction] | None:
    """Choose load and driver; None where there is only one force, and none was asked for."""
    known = drive.directions
    for option, name in (("--load", load), ("--driver", driver)):
        if name is not None and name not in known:
            raise UsageError(f'{option}: there is no force "{name}" in this case; there is {", ".join(known)}')
    inverse = [name for name in drive.species if solution.regimes[name] == "inverse"]
    together = [name for name in (VOLTAGE, SALINITY) if name in known]
    apart = list(dict.fromkeys([*inverse, *drive.species]))
    named = load or driver
    candidates = apart + together if named in drive.species or (inverse and not named) else together + apart
    chosen = load or next((name for name in candidates if name != driver), None)
    # a species that runs against its own force gives nothing
    for name in [driver] if driver else sorted(candidates, key=inverse.__contains__):
        if chosen is not None and name != chosen and independent((known[chosen], known[name])):
            return known[chosen], known[name]
    if load is None and driver is None:
        return None
    raise UsageError(
        f"--load {load or chosen} and --driver {driver or '(none left)'} are one force; name two that can be set "
        f"apart, of {', '.join(known)}"
    )


def _conversion(
    coupling: Coupling, pair: tuple[Direction, Direction], points: int, petsc_options: Sequence[str]
) -> EnergyConversion:
    solution, drive, steady = coupling.solution, coupling.drive, coupling.steady
    if coupling.at_equilibrium:
        about_rest = coupling.onsager
    else:
        rest = equilibrium(solution, drive)
        with TangentSolver(rest.discretisation, settings_of(rest.setup.case), petsc_options) as tangents:
            about_rest = response(tangents).to_contents
    here = None
    if steady.resistance is not None:
        here = _of_matrix(conductances(steady.resistance), pair)
    strengths = _strengths(steady, pair)
    point = _point(steady, pair, strengths[0], strengths[1])
    conversion = EnergyConversion(pair, strengths, _of_matrix(about_rest, pair), here, point)
    return _with_curve(coupling, conversion, points, petsc_options)


def _of_matrix(matrix: Array, pair: tuple[Direction, Direction]) -> Conversion:
    try:
        return Conversion(in_directions(matrix, pair))
    except ValueError:
        raise ConvergenceError(
            f"the response to {pair[0].name} and {pair[1].name} is positive to rounding only; "
            "name other forces by --load and --driver"
        ) from None


def _strengths(steady: Steady, pair: tuple[Direction, Direction]) -> Array:
    """Forces on load and driver (2,) at a state, kT."""
    strengths = components(steady.forces, pair)
    strengths[np.abs(strengths) < SAME] = 0.0
    return strengths


def _point(steady: Steady, pair: tuple[Direction, Direction], load: float, driver: float) -> PowerPoint:
    taken, given = (float(direction.vector @ steady.currents) for direction in pair)
    return PowerPoint(float(load), -taken * float(load), given * float(driver))


def _with_curve(
    coupling: Coupling, conversion: EnergyConversion, points: int, petsc_options: Sequence[str]
) -> EnergyConversion:
    """Add steady states under other loads."""
    solution, pair, driver = coupling.solution, conversion.pair, float(conversion.strengths[1])
    if points < 2 or driver == 0.0 or not conversion.reference.couples:
        return conversion
    parameter = drive_parameter(solution, coupling.drive, pair, driver)
    if parameter is None:
        return conversion
    guess = conversion.reference.stopping_load(driver)
    law, comm = solution.discretisation.problem.law, solution.discretisation.problem.domain.comm
    with Channel(parameter, sorted({0.0, guess}), comm, law, petsc_options) as channel:
        stop = channel.root(
            lambda steady: float(pair[0].vector @ steady.currents), guess, f"the current of the load ({pair[0].name})"
        )
        if abs(stop) < LEAST_LOAD:
            return conversion

        def at(load: float) -> PowerPoint:
            return _point(channel.at(load), pair, load, driver)

        curve = tuple(at(stop * i / (points - 1)) for i in range(points))
        return replace(
            conversion,
            curve=curve,
            best_power=greatest(at, lambda point: point.power, stop, curve),
            best_efficiency=greatest(at, lambda point: point.efficiency, stop, curve),
        )
