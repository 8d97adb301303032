"""Short tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pnp_exclusion.case.build import Setup
from pnp_exclusion.observe.forces import NO_CURRENT, REGIMES
from pnp_exclusion.output.text import columns, word
from pnp_exclusion.runtime.memory import peak_per_rank
from pnp_exclusion.solution.noise import Noise
from pnp_exclusion.solution.solution import Solution


def run_table(solution: Solution) -> list[str]:
    """Return the lines that ``run`` prints: fluxes, forces and regimes between two ends, or outward fluxes."""
    if not solution.has_state:
        return []
    summary = solution.readings()
    lines = []
    if solution.steady.ends is not None:
        currents, unit = solution.currents or {}, solution.current_unit
        first, second = (end.name for end in solution.steady.ends)
        rows = [
            [name, f"{currents[name]:.6g}", f"{_force(solution.forces[name]):.6g}", solution.regimes[name] or "-"]  # type: ignore[index]
            for name in currents
        ]
        head = ["species", f"flux {first} -> {second}{f' [{unit}]' if unit else ''}", "force [kT]", "regime"]
        lines += [*columns([head, *rows]), *regime_lines([solution.regimes])]
    elif summary["flux"]:
        rows = [
            [where, name, f"{flux['value']:.6g}", flux["unit"]]
            for where, fluxes in summary["flux"].items()
            for name, flux in fluxes.items()
        ]
        lines += columns([["boundary", "species", "outward flux", ""], *rows])
    if "flux_along" in summary:
        rows = [
            [letter, name, f"{flux['value']:.6g}", flux["unit"]]
            for letter, fluxes in summary["flux_along"].items()
            for name, flux in fluxes.items()
        ]
        lines += columns([["along", "species", "flux round", ""], *rows])
    if "reactions" in summary:
        rows = [
            [one["where"], name, f"{one['rate']['value']:.6g}", one["rate"]["unit"]]
            for name, one in summary["reactions"].items()
        ]
        lines += columns([["where", "reaction", "rate", ""], *rows])
    if "found_potential" in summary:
        rows = [[where, f"{one['value']:.6g}", one["unit"]] for where, one in summary["found_potential"].items()]
        lines += columns([["boundary", "potential found", ""], *rows])
    identity = summary["identity_residual"]
    checks = [f"balance {summary['balance']:.1e}"] + ([f"identity {identity:.1e}"] if identity is not None else [])
    lines.append(
        f"{summary['newton_iterations']} Newton steps, {summary['ramp_steps']} ramp steps, {summary['cells']} cells, "
        f"{summary['unknowns']} unknowns; {', '.join(checks)}"
    )
    if "accuracy" in summary:
        accuracy = summary["accuracy"]
        meshes = len(accuracy["history"])
        lines.append(
            f"estimated error {accuracy['estimated']:.1e} (wanted {accuracy['wanted']:g}) on the last of {meshes} "
            f"mesh{'es' * (meshes > 1)}"
        )
    memory = max(peak_per_rank(solution.discretisation.problem.domain.comm))
    lines.append(f"preset {solution.report.linear}; at most {memory / 1e6:.0f} MB on a rank")
    return lines


def regime_lines(regimes: Iterable[Mapping[str, str | None] | None]) -> list[str]:
    """Return a line for every regime that some species is in, which says what it is."""
    found = {regime for one in regimes if one for regime in one.values()}
    return [f"{regime}: {meaning}" for regime, meaning in REGIMES.items() if regime in found]


def _force(force: float) -> float:
    """Return a driving force in kT, or 0 for one that drives no current that counts: it is rounding of potentials."""
    return 0.0 if abs(force) <= NO_CURRENT else force


def comparison_table(solutions: Mapping[str, Solution], noises: Mapping[str, Noise]) -> list[str]:
    """Return the lines that ``compare`` prints: a row for every law and species.

    noises
        Of the laws of which there is any.
    """
    unit = ""
    rows = []
    solutions = {law: solution for law, solution in solutions.items() if solution.has_state}
    if not solutions:
        return []
    for law, solution in solutions.items():
        currents, unit = solution.currents, solution.current_unit
        identity = "-" if solution.identity_residual is None else f"{solution.identity_residual:.1e}"
        noise = noises.get(law)
        for a, name in enumerate(solution.discretisation.problem.quantities):
            fano, own = ("-", "-") if noise is None else (word(noise.fano[0, a]), word(noise.at_zero[0, a, 0, a]))
            current = f"{currents[name]:.6g}" if currents else "-"
            force = f"{_force(solution.forces[name]):.5g}" if solution.forces else "-"
            rows.append([law, name, current, force, solution.regimes[name] or "-", own, fano, identity])
    ends = next(iter(solutions.values())).steady.ends
    noise_unit = next((f" [{noise.particle_unit}]" for noise in noises.values() if noise.particle_unit), "")
    arrow = f" {ends[0].name} -> {ends[1].name}" if ends else ""
    head = [
        "law",
        "species",
        f"flux{arrow}{f' [{unit}]' if unit else ''}",
        "force [kT]",
        "regime",
        f"noise S(0){noise_unit}",
        "Fano factor",
        "identity residual",
    ]
    return [*columns([head, *rows]), *regime_lines(solution.regimes for solution in solutions.values())]


def check_report(setup: Setup) -> list[str]:
    """Return the lines that ``check`` prints."""
    case, scales, problem = setup.case, setup.scales, setup.problem
    # point ions fill nothing: for them the lattice is a unit
    crowded = problem.law.crowded
    full = "full lattice 1/(N_A v)" if case.model.sizes is None else "solvent 1/(N_A v_0)"
    rows = [["title", case.title or "-"], ["law", problem.law.name], ["electrostatics", case.model.electrostatics]]
    if scales.si:
        rows += [
            ["length L", f"{scales.length * 1e9:.6g} nm"],
            ["thermal voltage kT/e", f"{scales.potential * 1e3:.6g} mV"],
            *([[full, f"{scales.displayed_concentration:.6g} mol/L"]] if crowded else []),
            ["diffusivity D", f"{scales.diffusivity:.6g} m^2/s"],
            ["time L^2/D", f"{scales.time:.6g} s"],
            ["flux", f"{scales.flux:.6g} mol/m^2/s"],
        ]
    if scales.debye_length is not None:
        rows.append(["lambda / L", f"{scales.debye_length:.6g}"])
    for boundary in problem.boundaries:
        held = boundary.dirichlet_fractions
        if held and crowded:
            packing = problem.packing([held.get(name, 0.0) for name in problem.names])
            rows.append([f"packing at {boundary.where}", f"{packing:.6g}"])
        if boundary.temperature is not None:
            rows.append([f"temperature at {boundary.where}", f"{boundary.temperature:.6g}"])
        strength = sum(s.charge**2 * held.get(s.name, 0.0) for s in problem.species)
        if scales.debye_length is not None and strength > 0.0:
            debye = scales.debye_length / math.sqrt(strength)
            shown = f"{debye * scales.length * 1e9:.4g} nm" if scales.si else f"{debye:.4g}"
            rows.append([f"Debye length at {boundary.where}", shown])
    rows += [["cells", str(problem.domain.cells)], ["unknowns", str(_nodes(setup) * case.unknowns)]]
    rows += [["mesh file", note] for note in problem.domain.notes]
    return columns(rows)


def _nodes(setup: Setup) -> int:
    from dolfinx import fem

    space = fem.functionspace(setup.problem.domain.mesh, ("Lagrange", setup.case.solver.degree))
    return space.dofmap.index_map.size_global
