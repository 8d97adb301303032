"""Cases made of a case: its equilibrium, about which linear theory is meant, and the load of a pair turned alone.

Beside closed species of a crowded law the ends hold densities, which do not fix the chemical potentials by themselves:
these follow from where the closed species go. Such forces cannot be turned one by one, and the fields that balance such
reservoirs are found by a quasi-Newton method on whole solutions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import NoConvergence, broyden1

from pnp_exclusion.case.case import Case
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import solve_quietly
from pnp_exclusion.studies.coupled.channel import drive_of
from pnp_exclusion.studies.coupled.directions import SALINITY, VOLTAGE, Direction, Drive, components, independent
from pnp_exclusion.studies.coupled.driving_parameters import (
    DrivingParameter,
    contents_parameter,
    force_parameter,
    voltage_parameter,
    with_state,
)
from pnp_exclusion.studies.coupled.ends import from_end_to_end

type Array = NDArray[np.float64]

AT_REST = 1e-10
"""kT: forces below it are none, and the state is an equilibrium."""
ROUNDS = 40


def equilibrium(solution: Solution, drive: Drive) -> Solution:
    """Return the steady state without driving forces, see `equilibrium_case`; collective.

    Raises `ConvergenceError` if there is none to be found.
    """
    problem, names = solution.discretisation.problem, drive.species

    def solved(case: Case) -> Solution:
        return solve_quietly(case, problem.law, comm=problem.domain.comm)

    def at(forces: Array) -> Solution:
        return solved(_with_forces(solution, dict(zip(names, forces.tolist(), strict=True))))

    if problem.coupled or not weakly_imposed(solution.discretisation.problem):
        return solved(equilibrium_case(solution, drive))
    try:
        balancing = broyden1(
            lambda forces: drive_of(at(forces)).forces, np.zeros(len(names)), alpha=-1.0, f_tol=AT_REST, maxiter=ROUNDS
        )
    except NoConvergence:
        raise ConvergenceError(
            "no uniform fields were found that balance the reservoirs beside closed species"
        ) from None
    return at(balancing)


def equilibrium_case(solution: Solution, drive: Drive) -> Case:
    """Return the case without driving forces.

    With a temperature both reservoirs hold what is half-way between theirs, in ``mu_a/T`` and ``1/T``.
    With Poisson both reservoirs hold what is half-way between theirs, in chemical potentials (the geometric mean of
    dilute salts), at one electric potential. With imposed fields the reservoirs stay, and uniform fields balance them.
    """
    if solution.discretisation.problem.law.thermal:
        return _half_way(solution, drive)
    if drive.voltage is not None:
        first, second = _ends(solution)
        level = _salinity_parameter(solution, drive, dict.fromkeys(drive.species, 0.0))(0.0)
        return voltage_parameter(level, solution.setup.scales, (first, second))(0.0)
    return _with_forces(solution, dict.fromkeys(drive.species, 0.0))


def drive_parameter(
    solution: Solution, drive: Drive, pair: tuple[Direction, Direction], driver: float
) -> DrivingParameter | None:
    """Return what turns the first force of a pair with the second at a value (kT); None where nothing does so.

    With Poisson potentials and contents of the reservoirs are what is turned, the contents about what is half-way
    between them. With imposed fields it is a uniform field on the load; forces on other species than the two are taken
    away.
    """
    if weakly_imposed(solution.discretisation.problem):
        return None
    if solution.discretisation.problem.law.thermal:
        return None
    if drive.voltage is None:
        load = pair[0].name
        others = dict.fromkeys(drive.species, 0.0)
        others |= {load: solution.forces[load], pair[1].name: driver}  # type: ignore[index]
        base = _with_forces(solution, others)
        return force_parameter(
            base, solution.setup.scales, load, others[load], from_end_to_end(solution.discretisation)
        )
    if VOLTAGE not in drive.directions:
        return None
    voltage, salinity = drive.directions[VOLTAGE], drive.directions[SALINITY]
    if not (independent((voltage, salinity)) and all(_spanned(one, voltage, salinity) for one in pair)):
        return None
    contents = _salinity_parameter(solution, drive, dict(zip(drive.species, salinity.vector, strict=True)))

    def at(load: float) -> Case:
        forces = load * pair[0].vector + driver * pair[1].vector
        drop, salt = components(forces, (voltage, salinity))
        return voltage_parameter(contents(float(salt)), solution.setup.scales, _ends(solution))(float(drop))

    return at


def _spanned(one: Direction, voltage: Direction, salinity: Direction) -> bool:
    """Whether a direction is made of voltage and salinity, as every one of two species is."""
    strengths = components(one.vector, (voltage, salinity))
    return bool(np.allclose(strengths[0] * voltage.vector + strengths[1] * salinity.vector, one.vector, atol=1e-9))


def _ends(solution: Solution) -> tuple[str, str]:
    assert solution.steady.ends is not None
    return solution.steady.ends[0].name, solution.steady.ends[1].name


def _half_way(solution: Solution, drive: Drive) -> Case:
    assert solution.steady.ends is not None
    problem, (first, second) = solution.discretisation.problem, solution.steady.ends
    law, middle = problem.law, {name: 0.5 * (first.mu[name] + second.mu[name]) for name in drive.species}
    potential = 0.5 * (first.potential + second.potential) if problem.coupled else None
    beta = -middle[ENERGY]
    # closed species are in no reservoir
    mu = [middle.get(name, -np.inf) for name in problem.names]
    rho = law.free_energy.densities(law.eta(mu, problem.charges, potential, beta))[1:]
    fractions = {a: float(x) for a, x in zip(problem.names, rho, strict=True) if a in drive.species}
    if potential is not None:
        potential += problem.potential_reference
    ends = (first.name, second.name)
    return with_state(solution.setup.case, ends, fractions, 1.0 / beta, potential)


def _salinity_parameter(solution: Solution, drive: Drive, direction: dict[str, float]) -> DrivingParameter:
    """Turn the contents of the reservoirs apart about what is half-way between them."""
    assert solution.steady.ends is not None
    energy, names = solution.discretisation.problem.law.free_energy, solution.discretisation.problem.names
    levels = [energy.chemical_potentials([end.rho[name] for name in names]) for end in solution.steady.ends]
    middle = {name: 0.5 * (a + b) for name, a, b in zip(names, *levels, strict=True)}
    return contents_parameter(solution.setup.case, solution.setup.scales, _ends(solution), energy, middle, direction)


def _with_forces(solution: Solution, forces: dict[str, float]) -> Case:
    """Return the case with the forces on some species at given values, by uniform fields."""
    assert solution.forces is not None
    case, apart = solution.setup.case, from_end_to_end(solution.discretisation)
    for name, force in forces.items():
        case = force_parameter(case, solution.setup.scales, name, solution.forces[name], apart)(force)
    return case
