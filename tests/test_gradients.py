"""Derivatives of steady states: against differences of whole solves, closed forms, and what has none."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, dimensionless_case, run_command, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.errors import ConvergenceError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore::pnp_exclusion.SolutionWarning")


def between(left: dict, right: dict, law: str = "mpnp", **model: object) -> dict:
    """A salt between two boundaries, across a fixed charge."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": 0.1, **model},
        "species": [{"name": "A", "charge": 1, "diffusivity": 1.0}, {"name": "B", "charge": -1, "diffusivity": 1.0}],
        "domain": {"shape": "interval", "length": 1.0, "cells": 80},
        "regions": [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.05}],
        "boundaries": [{"where": "left", **left}, {"where": "right", **right}],
    }


def reservoir(content: float, potential: float | None = 0.0, **more: object) -> dict:
    held = {"kind": "reservoir", "fraction": {"A": content, "B": content}, **more}
    return held if potential is None else held | {"potential": potential}


def walled() -> dict:
    tables = between(reservoir(0.1, 1.0), reservoir(0.2), "vacancy", kappa=0.4)
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [8, 4]}
    tables["boundaries"].append({"where": "top", "kind": "wall", "surface_charge": -0.01})
    return tables


def sized() -> dict:
    tables = between(reservoir(0.1, 1.0), reservoir(0.2), sizes="volume-fractions")
    for species, volume in zip(tables["species"], (1.0, 3.0), strict=True):
        species["volume"] = volume
    return tables


def closed() -> dict:
    left, right = ({"kind": "electrode", "potential": v, "stern": {"capacitance": 0.2}} for v in (1.0, -1.0))
    tables = between(left, right, "pnp")
    del tables["regions"]
    for species in tables["species"]:
        species["mean_fraction"] = 0.1
    return tables


def plated() -> dict:
    """A metal that dissolves at the left and is deposited at the right, in a salt whose anion stays."""
    rate = {"k0": 2.0, "formal_potential": 0.3, "alpha": 0.4}
    tables = closed()
    del tables["species"][0]["mean_fraction"]
    tables["reactions"] = [
        {"name": side, "where": side, "equation": "A + e- <-> 0", "butler_volmer": copy.deepcopy(rate)}
        for side in ("left", "right")
    ]
    return tables


def imposed(law: str, right: dict | None = None) -> dict:
    tables = dimensionless_case(law=law)
    for species, field in zip(tables["species"], (2.0, -1.0), strict=True):
        species["field"] = field
    tables["domain"] = {"shape": "interval", "length": 1.0, "cells": 80}
    if right is not None:
        tables["boundaries"][1] = {"where": "right", **right}
    return tables


SALT = ["boundaries.left.potential", "boundaries.right.fraction.A", "boundaries.right.fraction.B"]
SALT += ["species.A.diffusivity=species.B.diffusivity", "species.A.charge", "model.debye_length"]
SALT += ["regions.membrane.fixed_charge"]
FIELDS = ["species.A.field", "boundaries.left.fraction.B"]
PROTONS = {"kind": "wall", "regulation": {"protons": "A", "sites": 0.05, "pK": [0.7, 1.5]}}
SWAP = {"kind": "exchange", "fraction": {"A": 0.2, "B": 0.2}, "rate": {"A": 2.0, "B": 2.0}, "potential": 0.0}
CASES = {
    **{law: (between(reservoir(0.1, 1.0), reservoir(0.2), law), SALT) for law in ("pnp", "mpnp", "shdl")},
    "walls": (walled(), [*SALT, "model.kappa", "boundaries.top.surface_charge"]),
    "sizes": (sized(), [*SALT, "species.B.volume", "species.A.volume"]),
    "exchange": (between(reservoir(0.1, 1.0), SWAP), ["boundaries.right.rate.A=boundaries.right.rate.B", *SALT[:3]]),
    "floating electrode": (
        between(reservoir(0.1, 1.0), {"kind": "floating", "total_charge": 0.02, "stern": {"capacitance": 0.1}}),
        ["boundaries.right.total_charge", "boundaries.right.stern.capacitance", "regions.membrane.fixed_charge"],
    ),
    "given current": (
        between(reservoir(0.1, 1.0), reservoir(0.2, None, total_current=0.05)),
        ["boundaries.right.total_current", *SALT],
    ),
    "regulated wall": (
        between(PROTONS, reservoir(0.1, 0.0), "pnp"),
        ["boundaries.left.regulation.sites", "boundaries.left.regulation.pK.1", "boundaries.right.fraction.A"],
    ),
    "closed cell": (closed(), ["boundaries.left.potential", "species.A.charge=species.B.charge", "model.debye_length"]),
    "reactions": (
        plated(),
        [
            "species.B.mean_fraction",
            "species.A.diffusivity",
            *(f"reactions.left.butler_volmer.{key}" for key in ("k0", "formal_potential", "alpha")),
            "boundaries.right.stern.capacitance",
            "boundaries.left.potential",
        ],
    ),
    "fields": (imposed("shdl"), FIELDS),
    "flux": (imposed("pnp", {"kind": "flux", "flux": {"A": 0.1, "B": -0.1}}), ["boundaries.right.flux.A", *FIELDS]),
}


def goals_of(solution: pnp.Solution) -> list[str]:
    """Fluxes and charges of all boundaries, amounts, the entropy production and what is found."""
    problem, wheres = solution.state.problem, [one.where for one in solution.state.problem.boundaries]
    found = [f"flux.{where}.{name}" for where in wheres for name in problem.names]
    found += [f"amount.{name}" for name in problem.names] + ["entropy_production"]
    found += [f"charge.{where}" for where in wheres] if problem.coupled else []
    found += [f"found_potential.{wheres[tag]}" for tag in problem.floating]
    return found + [f"reactions.{one.name}.current" for one in problem.reactions]


def values(solution: pnp.Solution, goals: list[str]) -> np.ndarray:
    """The same from the summary, and from the means."""
    summary, means, found = solution.summary(), solution.steady.integrals.mean_densities, []
    for goal in goals:
        head, *keys = goal.split(".")
        node = summary.get(head)
        for key in keys if head != "amount" else []:
            node = node[key]
        volume, sizes = solution.steady.integrals.volume, dict(zip(means, solution.setup.scales.sizes, strict=True))
        found.append(means[keys[0]] * volume * sizes[keys[0]] if head == "amount" else node["value"])
    return np.array(found)


def differences(case: pnp.Case, parameter: str, goals: list[str]) -> np.ndarray:
    """Derivatives of fourth order by solves of four cases on one mesh."""
    keys = parameter.split("=")
    at = {key: number_at(case, key) for key in keys}
    step = 1e-3 * (1.0 if keys[0].endswith(("potential", "charge", "field", "current")) else at[keys[0]])
    with pnp.Workbench(case) as bench:
        base = bench.solve(case)
        found = {}
        for times in (-2, -1, 1, 2):
            ratio = 1.0 + times * step / at[keys[0]] if len(keys) > 1 else 1.0
            moved = {key: at[key] * ratio if len(keys) > 1 else at[key] + times * step for key in keys}
            other = case.varied(moved)
            # another size is another case to a workbench
            solved = bench.solve(other, base.state) if bench.fits(other) else pnp.solve(other)
            found[times] = values(solved, goals)
    return np.asarray(8.0 * (found[1] - found[-1]) - (found[2] - found[-2])) / (12.0 * step)


def number_at(case: pnp.Case, key: str) -> float:
    node: object = case.as_written()
    for word in key.split("."):
        if isinstance(node, list):
            named = [one for one in node if isinstance(one, dict) and word in (one.get("name"), one.get("where"))]
            node = named[0] if named else node[int(word) - 1]
        else:
            node = node[word]
    return float(node)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_whole_solves(name: str):
    """To 1e-6, beside what rounding leaves in fluxes of the size of a mean density."""
    tables, parameters = CASES[name]
    case = pnp.make_case({**tables, "solver": {"tolerance": 1e-10}})
    solution = pnp.solve(case)
    before = solution.state.values.copy()
    goals = goals_of(solution)
    gradient = solution.gradient(goals, parameters)
    assert gradient.values == pytest.approx(values(solution, goals), rel=1e-12, abs=1e-13)
    for number, parameter in enumerate(parameters):
        right = differences(case, parameter, goals)
        np.testing.assert_allclose(gradient.derivatives[:, number], right, rtol=1e-6, atol=2e-9, err_msg=parameter)
    # the solution is as it was
    np.testing.assert_array_equal(solution.discretisation.values, before)
    assert solution.gradient(goals[0], parameters[0]).values[0] == gradient.values[0]


def layers(width: float = 0.5) -> dict:
    """Point particles without a field, through a layer in which they diffuse half as fast."""
    tables = dimensionless_case(law="pnp")
    tables["species"], tables["domain"] = [{"name": "A"}], {"shape": "interval", "length": 1.0, "cells": 80}
    for boundary, content in zip(tables["boundaries"], (0.3, 0.1), strict=True):
        boundary["fraction"] = {"A": content}
    tables["regions"] = [{"name": "gel", "x": [0.2, 0.2 + width], "diffusivity": 0.5}]
    return tables


def test_derivatives_by_lengths_are_those_of_resistances_in_series():
    """``J = 0.2/(L - w + w/0.5)``: the mesh goes along with what is moved."""
    keys = ["domain.length", "regions.gel.x.2", "regions.gel.diffusivity", "boundaries.left.fraction.A"]
    gradient = pnp.solve(layers()).gradient("currents.A", keys)
    resistance = 1.5
    right = [-0.2 / resistance**2, -0.2 / resistance**2, 0.2 * 0.5 / 0.25 / resistance**2, 1.0 / resistance]
    assert list(gradient.derivatives[0]) == pytest.approx(right, rel=1e-8)
    assert gradient["currents.A", "domain.length"] == gradient["domain.length"]
    assert gradient.elasticities[0, 3] == pytest.approx(0.3 / 0.2, rel=1e-8)


def test_derivatives_have_the_units_of_their_case():
    """Twice the diffusivities are twice the currents; conductance is that of the curve's exact slope."""
    solution = pnp.solve(EXAMPLES / "membrane.toml")
    together = "species.Na.diffusivity=species.Cl.diffusivity"
    gradient = solution.gradient(["currents.Na", "current.right"], [together, "boundaries.left.potential"])
    assert solution.currents is not None
    assert gradient["currents.Na", together] == pytest.approx(solution.currents["Na"] / 1.6e-9, rel=1e-9)
    assert [gradient.unit_of(0, 0), gradient.unit_of(1, 1)] == ["mol/m^2/s/(m^2/s)", "A/m^2/V"]
    curve = pnp.iv(EXAMPLES / "membrane.toml", "left", -0.04, 0.0, points=2)
    assert gradient["current.right", "boundaries.left.potential"] == pytest.approx(
        curve.points[0].conductance, rel=1e-7
    )
    assert gradient.to_xarray()["derivative"].shape == (2, 2)


REFUSED = {
    "no such goal": ("currents.K", "boundaries.left.potential", 'there is no goal "currents.K"'),
    "no such key": ("currents.Na", "boundaries.left.potentail", 'did you mean "potential"'),
    "number of cells": ("currents.Na", "domain.cells", "is no number of the equations"),
    "law": ("currents.Na", "model.law", "is not a single number"),
    "solver": ("currents.Na", "solver.degree", "is no number of the equations"),
    "table": (
        "currents.Na",
        "boundaries.left.concentration",
        "it has boundaries.left.concentration.Cl, boundaries.left",
    ),
    "not given": ("currents.Na", "regions.membrane.permittivity", "is not given in the case"),
    "law that does not fit": ("currents.Na", "species.Na.diffusivity", "equal diffusivities only"),
    "unlike quantities": ("currents.Na", "model.temperature=model.lattice_spacing", "hold unlike quantities"),
    "twice": ("currents.Na", ["model.temperature", "model.temperature"], "is named twice"),
    "nothing": ("currents.Na", [], "needs one parameter or more"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_derivative_is_refused_in_one_sentence(name: str):
    goal, parameter, sentence = REFUSED[name]
    with pytest.raises(UsageError) as caught:
        pnp.solve(EXAMPLES / "membrane.toml").gradient(goal, parameter)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_command_prints_and_writes_the_derivatives(tmp_path: Path):
    words = ("--of", "currents.Na,charge.left", "--by", "boundaries.left.potential,model.temperature")
    done = run_command("gradient", EXAMPLES / "membrane.toml", *words, "-o", tmp_path / "out", "--quiet")
    assert done.returncode == 0, done.stderr
    gradient = pnp.solve(EXAMPLES / "membrane.toml").gradient(*(word.split(",") for word in words[1::2]))
    written = json.loads((tmp_path / "out" / "gradient.json").read_text())
    entry = written["goals"]["charge.left"]["by"]["model.temperature"]
    assert entry["derivative"] == pytest.approx(gradient["charge.left", "model.temperature"], rel=1e-6)
    assert entry["unit"] == "C/m^2/K"
    rows = list(csv.DictReader((tmp_path / "out" / "gradient.csv").read_text().splitlines()))
    assert [(row["goal"], row["parameter"]) for row in rows[:2]] == [
        ("currents.Na", "boundaries.left.potential"),
        ("currents.Na", "model.temperature"),
    ]
    assert f"{gradient['currents.Na', 'boundaries.left.potential']:.6g}" in done.stdout


@pytest.mark.parametrize(
    ("goal", "key", "wrong"),
    [
        ("currents.Na", "domain.cells", "domain.cells"),
        ("curents.Na", "model.temperature", 'there is no goal "curents.Na"'),
    ],
)
def test_command_refuses_in_one_sentence_with_exit_code_2_before_it_solves(
    goal: str, key: str, wrong: str, tmp_path: Path
):
    words = ("--of", goal, "--by", key, "-o", tmp_path / "out")
    done = run_command("gradient", EXAMPLES / "membrane.toml", *words)
    assert done.returncode == 2
    assert wrong in done.stderr
    assert "newton" not in (done.stdout + done.stderr).lower()
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("preset", ["direct", "fieldsplit"])
def test_gradient_is_the_same_on_two_ranks_and_by_any_solver(preset: str, tmp_path: Path):
    tables = walled()
    tables["domain"]["cells"] = [24, 12]
    tables["solver"] = {"linear": preset}
    case = write_toml(tables, tmp_path / "case.toml")
    keys = ["boundaries.left.potential", "regions.membrane.fixed_charge", "regions.membrane.x.1", "domain.size.2"]
    words = ("--of", "currents.A,charge.top", "--by", ",".join(keys), "-o", tmp_path / "out", "--quiet")
    done = run_command("gradient", case, *words, ranks=2)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out" / "gradient.json").read_text())["goals"]
    gradient = pnp.solve(case).gradient(["currents.A", "charge.top"], keys)
    for goal in gradient.goals:
        found = [written[goal]["by"][key]["derivative"] for key in keys]
        assert found == pytest.approx([gradient[goal, key] for key in keys], rel=1e-6, abs=1e-8), goal


def test_edges_that_meet_move_together_or_not_at_all():
    tables = layers(0.3)
    tables["regions"].append({"name": "next", "x": [0.5, 0.7], "diffusivity": 0.25})
    solution = pnp.solve(tables)
    with pytest.raises(UsageError, match="something else begins or ends there too"):
        solution.gradient("currents.A", "regions.gel.x.2")
    # 1 - 0.5 + (0.3 + d)/0.5 + (0.2 - d)/0.25
    resistance = 0.5 + 0.6 + 0.8
    found = solution.gradient("currents.A", "regions.gel.x.2=regions.next.x.1")
    assert found.derivatives[0, 0] == pytest.approx(0.2 * 2.0 / resistance**2, rel=1e-8)


def test_state_of_a_failed_solve_has_no_gradient():
    solution = pnp.solve(layers())
    solution.converged = False
    with pytest.raises(ConvergenceError, match="did not converge, and has no gradient"):
        solution.gradient("currents.A", "domain.length")
