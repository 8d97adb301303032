"""Cases made of a case: its equilibrium, about which linear theory is meant, and the load of a pair turned alone."""

from __future__ import annotations

import numpy as np

from pnp_exclusion.case import Case
from pnp_exclusion.coupled.directions import SALINITY, VOLTAGE, Direction, Drive, components, independent
from pnp_exclusion.coupled.ends import from_end_to_end
from pnp_exclusion.coupled.knobs import Knob, contents_knob, force_knob, voltage_knob
from pnp_exclusion.solution import Solution


def equilibrium_case(solution: Solution, drive: Drive) -> Case:
    """Return the case without driving forces.

    With Poisson both reservoirs hold what is half-way between theirs, in chemical potentials (the geometric mean of
    dilute salts), at one electric potential. With imposed fields the reservoirs stay, and uniform fields balance them.
    """
    if drive.voltage is not None:
        first, second = _ends(solution)
        level = _salinity_knob(solution, drive, dict.fromkeys(drive.species, 0.0))(0.0)
        return voltage_knob(level, solution.setup.scales, (first, second))(0.0)
    return _with_forces(solution, dict.fromkeys(drive.species, 0.0))


def drive_knob(solution: Solution, drive: Drive, pair: tuple[Direction, Direction], driver: float) -> Knob | None:
    """Return what turns the first force of a pair with the second at a value (kT); None where nothing does so.

    With Poisson potentials and contents of the reservoirs are what is turned, the contents about what is half-way
    between them. With imposed fields it is a uniform field on the load; forces on other species than the two are taken
    away.
    """
    if drive.voltage is None:
        load = pair[0].name
        others = dict.fromkeys(drive.species, 0.0)
        others |= {load: solution.forces[load], pair[1].name: driver}  # type: ignore[index]
        base = _with_forces(solution, others)
        return force_knob(base, solution.setup.scales, load, others[load], from_end_to_end(solution.weak_form))
    if VOLTAGE not in drive.directions:
        return None
    voltage, salinity = drive.directions[VOLTAGE], drive.directions[SALINITY]
    if not (independent((voltage, salinity)) and all(_spanned(one, voltage, salinity) for one in pair)):
        return None
    contents = _salinity_knob(solution, drive, dict(zip(drive.species, salinity.vector, strict=True)))

    def at(load: float) -> Case:
        forces = load * pair[0].vector + driver * pair[1].vector
        drop, salt = components(forces, (voltage, salinity))
        return voltage_knob(contents(float(salt)), solution.setup.scales, _ends(solution))(float(drop))

    return at


def _spanned(one: Direction, voltage: Direction, salinity: Direction) -> bool:
    """Whether a direction is made of voltage and salinity, as every one of two species is."""
    strengths = components(one.vector, (voltage, salinity))
    return bool(np.allclose(strengths[0] * voltage.vector + strengths[1] * salinity.vector, one.vector, atol=1e-9))


def _ends(solution: Solution) -> tuple[str, str]:
    assert solution.ends is not None
    return solution.ends[0].name, solution.ends[1].name


def _salinity_knob(solution: Solution, drive: Drive, direction: dict[str, float]) -> Knob:
    """Turn the contents of the reservoirs apart about what is half-way between them."""
    assert solution.ends is not None
    energy = solution.weak_form.problem.law.free_energy
    levels = [energy.chemical_potentials([end.rho[name] for name in drive.species]) for end in solution.ends]
    middle = {name: 0.5 * (a + b) for name, a, b in zip(drive.species, *levels, strict=True)}
    return contents_knob(solution.setup.case, solution.setup.scales, _ends(solution), energy, middle, direction)


def _with_forces(solution: Solution, forces: dict[str, float]) -> Case:
    """Return the case with the forces on some species at given values, by uniform fields."""
    assert solution.forces is not None
    case, apart = solution.setup.case, from_end_to_end(solution.weak_form)
    for name, force in forces.items():
        case = force_knob(case, solution.setup.scales, name, solution.forces[name], apart)(force)
    return case
