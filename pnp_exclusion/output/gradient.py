"""What is written of a gradient."""

from __future__ import annotations

from typing import Any

from pnp_exclusion.output.text import columns, word
from pnp_exclusion.solution.gradient import Gradient


def gradient_csv(gradient: Gradient) -> str:
    """Return ``gradient.csv``: one row for each goal and parameter."""
    rows = [
        ["goal", "parameter", "value", "unit", "at", "parameter_unit", "derivative", "derivative_unit", "elasticity"]
    ]
    for i, goal in enumerate(gradient.goals):
        for j, parameter in enumerate(gradient.parameters):
            value, at = repr(float(gradient.values[i])), repr(float(gradient.at[j]))
            derivative, elasticity = (repr(float(one[i, j])) for one in (gradient.derivatives, gradient.elasticities))
            units = gradient.units[i], gradient.parameter_units[j], gradient.unit_of(i, j)
            rows.append([goal, parameter, value, units[0], at, units[1], derivative, units[2], elasticity])
    return "".join(",".join(_cell(cell) for cell in row) + "\n" for row in rows)


def gradient_json(gradient: Gradient) -> dict[str, Any]:
    """Return ``gradient.json``: values, derivatives and elasticities by goal and parameter."""
    goals = {}
    for i, goal in enumerate(gradient.goals):
        by = {
            parameter: {
                "derivative": float(gradient.derivatives[i, j]),
                "unit": gradient.unit_of(i, j),
                "elasticity": float(gradient.elasticities[i, j]),
            }
            for j, parameter in enumerate(gradient.parameters)
        }
        goals[goal] = {"value": float(gradient.values[i]), "unit": gradient.units[i], "by": by}
    at = zip(gradient.parameters, gradient.at.tolist(), gradient.parameter_units, strict=True)
    return {"goals": goals, "parameters": {name: {"value": value, "unit": unit} for name, value, unit in at}}


def gradient_table(gradient: Gradient) -> list[str]:
    """Return lines for the terminal."""
    rows = [["goal", "parameter", "derivative", "unit", "d log/d log"]]
    for i, goal in enumerate(gradient.goals):
        for j, parameter in enumerate(gradient.parameters):
            derivative, elasticity = (word(float(one[i, j])) for one in (gradient.derivatives, gradient.elasticities))
            rows.append([goal, parameter, derivative, gradient.unit_of(i, j), elasticity])
    return columns(rows)


def _cell(text: str) -> str:
    return f'"{text}"' if "," in text else text
