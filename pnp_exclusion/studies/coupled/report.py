"""What is written and printed of coupled transport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pnp_exclusion.output.report import regime_lines
from pnp_exclusion.output.text import columns
from pnp_exclusion.studies.coupled.coupling import Coupling, EnergyConversion, PowerPoint
from pnp_exclusion.studies.coupled.directions import asymmetry, in_directions
from pnp_exclusion.studies.coupled.entropy import EntropyProfile
from pnp_exclusion.studies.coupled.heat import HeatTransport
from pnp_exclusion.studies.coupled.units import Units, in_units, shown

UNEQUAL = 1e-6
"""Relative: a larger difference of the two sums is none of rounding."""


def units_of(coupling: Coupling) -> Units:
    """Return the units in which a coupling is reported."""
    return Units(coupling.solution.setup.scales, coupling.solution.discretisation.problem.boundary_dimension)


def as_json(coupling: Coupling) -> dict[str, Any]:
    """Return the contents of ``coupling.json``; collective. Currents and forces run from first end to second."""
    solution, drive, steady, units = coupling.solution, coupling.drive, coupling.steady, units_of(coupling)
    assert solution.steady.ends is not None
    case, law = solution.setup.case, solution.discretisation.problem.law
    content: dict[str, Any] = {
        "title": case.title,
        "law": law.name,
        "units": case.model.units,
        "from": solution.steady.ends[0].name,
        "to": solution.steady.ends[1].name,
        "equilibrium": coupling.at_equilibrium,
        "force": _by_species(drive.species, drive.forces),
        "current": {name: in_units(j, units.flux) for name, j in zip(drive.species, steady.currents, strict=True)},
        "regime": {name: solution.regimes[name] for name in drive.species},
        "inverse": coupling.inverse,
        "entropy_production": in_units(steady.entropy_production, units.dissipation)
        | {"sum_of_currents_times_forces": coupling.dissipation_by_forces * units.dissipation[0]},
        "onsager": {
            "species": list(drive.species),
            "dimensionless": coupling.onsager.tolist(),
            "value": (coupling.onsager * units.onsager[0]).tolist(),
            "unit": units.onsager[1],
            "asymmetry": coupling.asymmetry,
        },
    }
    if coupling.response.to_fields is not None:
        matrix = coupling.response.to_fields
        content["onsager_by_fields"] = {"dimensionless": matrix.tolist(), "asymmetry": asymmetry(matrix)}
    if coupling.response.to_potential is not None:
        content["onsager"]["by_potential_alone"] = _by_species(drive.species, coupling.response.to_potential)
    if coupling.stirring is not None:
        content["stirring_conductances"] = _by_species(drive.species, coupling.stirring.species) | {
            "vacancy": coupling.stirring.vacancy
        }
    if coupling.electrolyte is not None:
        content["electrolyte"] = _electrolyte(coupling, units)
    if coupling.heat is not None:
        content["heat"] = asdict(coupling.heat)
    if coupling.conversion is not None:
        content["conversion"] = _conversion(coupling, coupling.conversion, units)
    return content


def _by_species(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def _electrolyte(coupling: Coupling, units: Units) -> dict[str, Any]:
    found, drive = coupling.electrolyte, coupling.drive
    assert found is not None
    content = {
        "voltage": in_units(drive.voltage or 0.0, units.potential),
        "salinity": {"value": drive.salinity, "unit": "kT"},
        "conductance": in_units(found.conductance, units.conductance),
        "transport_number": found.transport_numbers,
        "zero_current_voltage": in_units(found.zero_current_voltage, units.potential) | {"per": "kT of salinity"},
    }
    if found.permeability is not None:
        content["permeability"] = in_units(found.permeability, units.permeability)
    return content


def _conversion(coupling: Coupling, conversion: EnergyConversion, units: Units) -> dict[str, Any]:
    (load, driver), reference = conversion.pair, conversion.reference

    def point(one: PowerPoint) -> dict[str, Any]:
        return {
            "load": one.load,
            "power": one.power * units.power[0],
            "consumption": one.consumption * units.power[0],
            "efficiency": one.efficiency if one.consumption else None,
        }

    def figures(one: Any) -> dict[str, Any]:
        return {
            "matrix": one.matrix.tolist(),
            "Z": one.figure_of_merit,
            "q": one.degree_of_coupling,
            "eta_max": one.best_efficiency,
            "eta_at_P_max": one.efficiency_at_best_power,
        }

    strength = float(conversion.strengths[1])
    content = {
        "load": {"name": load.name, "force": float(conversion.strengths[0])},
        "driver": {"name": driver.name, "force": strength},
        "power_unit": units.power[1],
        "linear": figures(reference)
        | {
            "P_max": reference.best_power(strength) * units.power[0],
            "stopping_load": reference.stopping_load(strength),
        },
        "here": point(conversion.point),
        "tangents_here": in_directions(coupling.onsager, conversion.pair).tolist(),
    }
    if conversion.here is not None:
        content["identity"] = figures(conversion.here)
    if conversion.best_power is not None and conversion.best_efficiency is not None:
        content["best_power"] = point(conversion.best_power)
        content["best_efficiency"] = point(conversion.best_efficiency)
        content["curve"] = [point(one) for one in conversion.curve]
    return content


def table(coupling: Coupling) -> list[str]:
    """Return the lines that ``couple`` prints; collective."""
    solution, drive, steady, units = coupling.solution, coupling.drive, coupling.steady, units_of(coupling)
    assert solution.steady.ends is not None
    first, second = (end.name for end in solution.steady.ends)
    in_unit = f" [{units.flux[1]}]" if units.flux[1] else ""
    head = ["species", f"flux {first} -> {second}{in_unit}", "force [kT]", "regime"]
    rows = [
        [name, f"{j * units.flux[0]:.6g}", f"{force:.6g}", solution.regimes[name] or "-"]
        for name, j, force in zip(drive.species, steady.currents, steady.forces, strict=True)
    ]
    lines = [*columns([head, *rows]), *regime_lines([solution.regimes])]
    lines.append(
        f"entropy production {shown(steady.entropy_production, units.dissipation)}; sum of J F "
        f"{shown(coupling.dissipation_by_forces, units.dissipation)}"
    )
    missed = abs(coupling.dissipation_by_forces - steady.entropy_production)
    if not coupling.at_equilibrium and missed > UNEQUAL * steady.entropy_production:
        lines.append("the rest is what fields along the ends do: the forces are not the same all over them")
    lines += ["", f"dJ/dF about this state{in_unit[:-1] + ' per kT]' if in_unit else ''}"]
    rows = [
        [name, *(f"{value * units.flux[0]:.6g}" for value in row)]
        for name, row in zip(drive.species, coupling.onsager, strict=True)
    ]
    lines += columns([["", *drive.species], *rows])
    kind = "at equilibrium, where Onsager's reciprocity makes it zero" if coupling.at_equilibrium else "driven"
    lines.append(f"asymmetry {coupling.asymmetry:.1e} ({kind})")
    if coupling.response.to_fields is not None and not coupling.at_equilibrium:
        lines.append(f"asymmetry {asymmetry(coupling.response.to_fields):.1e} if fields exert the forces")
    if coupling.electrolyte is not None:
        lines += _electrolyte_lines(coupling, units)
    if coupling.heat is not None:
        lines += _heat_lines(coupling.heat)
    if coupling.conversion is not None:
        lines += _conversion_lines(coupling, coupling.conversion, units)
    return lines


def _electrolyte_lines(coupling: Coupling, units: Units) -> list[str]:
    found = coupling.electrolyte
    assert found is not None
    rows = [["conductance", shown(found.conductance, units.conductance)]]
    rows += [[f"transport number {name}", f"{share:.5g}"] for name, share in found.transport_numbers.items()]
    rows.append(["reversal potential", f"{shown(found.zero_current_voltage, units.potential)} per kT of salinity"])
    if found.permeability is not None:
        rows.append(["permeability", shown(found.permeability, units.permeability)])
    return ["", *columns(rows)]


def _heat_lines(heat: HeatTransport) -> list[str]:
    rows = [
        ["species", "transported energy", "Seebeck coefficient"],
        *([name, f"{carried:.6g}", f"{heat.seebeck[name]:.6g}"] for name, carried in heat.transported_energy.items()),
    ]
    return ["", *columns(rows), f"heat conductance {heat.heat_conductance:.6g}; energies count from rest"]


def _conversion_lines(coupling: Coupling, conversion: EnergyConversion, units: Units) -> list[str]:
    (load, driver), linear = conversion.pair, conversion.reference
    head = [f"load {load.name}, driver {driver.name}", "Z", "q", "eta_max", "eta(P_max)", "P_max"]
    strength = float(conversion.strengths[1])
    rows = [
        [
            "linear, about equilibrium",
            f"{linear.figure_of_merit:.6g}",
            f"{linear.degree_of_coupling:.4g}",
            f"{linear.best_efficiency:.4g}",
            f"{linear.efficiency_at_best_power:.4g}",
            shown(linear.best_power(strength), units.power) if strength else "-",
        ]
    ]
    if conversion.here is not None and not coupling.at_equilibrium:
        here = conversion.here
        rows.append(
            [
                "this state, by the identity",
                f"{here.figure_of_merit:.6g}",
                f"{here.degree_of_coupling:.4g}",
                f"{here.best_efficiency:.4g}",
                f"{here.efficiency_at_best_power:.4g}",
                "-",
            ]
        )
    if conversion.best_power is not None and conversion.best_efficiency is not None:
        rows.append(
            [
                f"computed, {driver.name} at {strength:.4g} kT",
                "-",
                "-",
                f"{conversion.best_efficiency.efficiency:.4g}",
                f"{conversion.best_power.efficiency:.4g}",
                shown(conversion.best_power.power, units.power),
            ]
        )
    lines = ["", *columns([head, *rows])]
    point = conversion.point
    if point.lifts:
        lines.append(f"this state lifts {load.name} with efficiency {point.efficiency:.4g}")
    return lines


def entropy_csv(coupling: Coupling, profile: EntropyProfile) -> str:
    """Return ``entropy.csv``: positions and the density of the entropy production, twice where two cells meet."""
    scales = coupling.solution.setup.scales
    unit = " [kT mol/m^3/s]" if scales.si else ""
    length = f" [{scales.length_unit}]" if scales.si else ""
    rows = zip(profile.x * scales.length_in_unit, profile.density * (scales.flux / scales.length), strict=True)
    lines = [f"x{length},entropy_production{unit}", *(f"{x:.12g},{value:.12g}" for x, value in rows)]
    return "\n".join(lines) + "\n"
