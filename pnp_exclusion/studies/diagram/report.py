"""Diagrams as they land on disk and on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pnp_exclusion.case.axes import Driving
from pnp_exclusion.output.text import columns, header
from pnp_exclusion.studies.diagram.compute import Border, CommonPoint, Diagram
from pnp_exclusion.studies.diagram.readings import Reading
from pnp_exclusion.studies.diagram.samples import Array


def as_json(diagrams: Sequence[Diagram]) -> dict[str, Any]:
    """The content of ``diagram.json``."""
    return {"converged": all(not failed(diagram) for diagram in diagrams), "diagrams": [_one(d) for d in diagrams]}


def _one(diagram: Diagram) -> dict[str, Any]:
    plane, names = diagram.plane, diagram.species
    residuals = [r.identity_residual for r in diagram.readings if r.identity_residual is not None]
    return {
        "case": plane.case.path.name,
        "title": plane.case.title,
        "variant": plane.variant,
        "law": plane.changed.model.law,
        "parameters": dict(plane.changed.model.flux_law.parameters),
        "electrostatics": plane.changed.model.electrostatics,
        "units": plane.case.model.units,
        "x": _axis(plane.x),
        "y": _axis(plane.y),
        "resolution": plane.resolution,
        "accuracy": plane.accuracy,
        "species": names,
        "shares": shares(diagram),
        "regions": [
            {
                "regimes": dict(zip(names, region.regimes, strict=True)),
                "uphill": [name for name, up in zip(names, region.uphill, strict=True) if up],
                "share": region.share,
            }
            for region in diagram.regions
        ],
        "common_points": [_common_point(diagram, common) for common in diagram.common_points],
        "borders": [_border(diagram, border) for border in diagram.borders],
        "exact_borders": [_border(diagram, border) for border in diagram.exact],
        "uncorrelated": [_border(diagram, border) for border in diagram.uncorrelated],
        "solves": diagram.solves,
        "solves_of_a_grid_of_labels": diagram.grid_of_labels,
        "solves_of_a_grid_of_currents": diagram.grid_of_currents,
        "failed": failed(diagram),
        "contradictions": diagram.contradictions,
        "largest_identity_residual": max(residuals, default=None),
    }


def shares(diagram: Diagram) -> dict[str, Any]:
    """Shares of the plane: of every regime by species, of uphill transport and inverse currents, of what is left."""
    regions = diagram.regions
    regimes: dict[str, dict[str, float]] = {}
    for a, name in enumerate(diagram.species):
        labels = sorted({region.regimes[a] for region in regions})
        regimes[name] = {label: sum(r.share for r in regions if r.regimes[a] == label) for label in labels}
    return {
        "regimes": regimes,
        "uphill": {name: sum((r.share for r in regions if r.uphill[a]), 0.0) for a, name in enumerate(diagram.species)},
        "uphill_all": sum((r.share for r in regions if all(r.uphill)), 0.0),
        "uphill_any": sum((r.share for r in regions if any(r.uphill)), 0.0),
        "inverse": {name: regimes[name].get("inverse", 0.0) for name in diagram.species},
        "inverse_any": sum((r.share for r in regions if "inverse" in r.regimes), 0.0),
        "unresolved": diagram.unresolved,
        "unknown": diagram.unknown,
    }


def failed(diagram: Diagram) -> list[dict[str, Any]]:
    """The points at which there was no solution, with the reasons."""
    places = diagram.plane.coordinates(diagram.points)
    return [
        {"x": place[0], "y": place[1], "reason": reading.failure}
        for place, reading in zip(places.tolist(), diagram.readings, strict=True)
        if reading.failure
    ]


def _axis(driving: Driving) -> dict[str, Any]:
    return {
        "name": driving.name,
        "unit": driving.unit,
        "keys": list(driving.keys),
        "factors": list(driving.factors),
        "from": driving.low,
        "to": driving.high,
    }


def _border(diagram: Diagram, border: Border) -> dict[str, Any]:
    return {
        "species": diagram.pairs[border.species] if border.kind == "correlation" else diagram.species[border.species],
        "vanishing": border.kind,
        "closed": border.closed,
        "error": border.error,
        "distance_from_exact": border.from_exact,
        "roots": border.vertices,
        "points": _rounded(diagram.plane.coordinates(border.points)),
    }


def _rounded(points: Array) -> list[list[float]]:
    return [[float(f"{value:.12g}") for value in point] for point in points]


def _common_point(diagram: Diagram, common: CommonPoint) -> dict[str, Any]:
    x, y = diagram.plane.coordinates(common.point).tolist()
    return {
        "x": x,
        "y": y,
        "species": [diagram.species[a] for a in common.species],
        "equilibrium": common.equilibrium,
        "distance_from_exact": common.from_exact,
    }


def _shared(units: Iterable[str]) -> str:
    """Return the one unit that there is, nothing if there are several."""
    found = set(units)
    return found.pop() if len(found) == 1 else ""


def points_csv(diagrams: Sequence[Diagram]) -> str:
    """The content of ``points.csv``: a row for every solve, in their order; columns of species that it lacks are empty.

    Currents run from the first reservoir to the second, in the unit of the column ``unit``; forces are in kT. Where the
    noise of any of them is asked for it stands behind. Units that all diagrams share are in the header.
    """
    names = list(dict.fromkeys(name for diagram in diagrams for name in diagram.species))
    planes = [diagram.plane for diagram in diagrams]
    current = _shared(reading.unit for diagram in diagrams for reading in diagram.readings if not reading.failure)
    kinds = {"current": current, "force": "kT" if current else "", "regime": ""}
    by_species = [header(f"{what}_{name}", unit) for name in names for what, unit in kinds.items()]
    axes = [header(axis, _shared(getattr(plane, axis).unit for plane in planes)) for axis in ("x", "y")]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    pairs = list(dict.fromkeys(pair for diagram in diagrams for pair in diagram.pairs))
    noise = [f"fano_{name}" for name in names] + ["fano_electric"] + [f"correlation_{a}_{b}" for a, b in pairs]
    noise = noise if any(diagram.plane.noise for diagram in diagrams) else []
    writer.writerow(["case", "law", "variant", *axes, *by_species, "unit", "failure", *noise])
    for diagram in diagrams:
        own = {name: a for a, name in enumerate(diagram.species)}
        places = diagram.plane.coordinates(diagram.points)
        for (x, y), reading in zip(places, diagram.readings, strict=True):
            plane = diagram.plane
            row = [plane.case.path.name, plane.changed.model.law, plane.variant, f"{x:.12g}", f"{y:.12g}"]
            for name in names:
                if name not in own or reading.failure:
                    row += ["", "", ""]
                    continue
                a = own[name]
                row += [f"{reading.current[a]:.9g}", f"{reading.force[a]:.9g}", reading.regime[a]]
            told = _noise(diagram, reading)
            writer.writerow([*row, reading.unit, reading.failure, *(told.get(name, "") for name in noise)])
    return stream.getvalue()


def _noise(diagram: Diagram, reading: Reading) -> dict[str, str]:
    """The noise of a reading by its columns; what is not a number is left empty."""
    if not reading.fano:
        return {}
    found = {f"fano_{name}": value for name, value in zip(diagram.species, reading.fano, strict=True)}
    found["fano_electric"] = reading.electric_fano
    found |= {f"correlation_{a}_{b}": v for (a, b), v in zip(diagram.pairs, reading.correlation, strict=True)}
    return {name: f"{value:.9g}" for name, value in found.items() if np.isfinite(value)}


def table(diagrams: Sequence[Diagram]) -> list[str]:
    """The lines that the command prints: a row for every diagram."""
    rows = [["case", "variant", "uphill", "all", "inverse", "common point", "solves", "of a grid", "off the exact"]]
    for diagram in diagrams:
        found = shares(diagram)
        apart = [border.from_exact for border in diagram.borders if border.from_exact is not None]
        points = [diagram.plane.coordinates(common.point.round(6)) for common in diagram.common_points]
        rows.append(
            [
                f"{diagram.plane.case.path.stem} ({diagram.plane.changed.model.law})",
                diagram.plane.variant or "-",
                _percent(found["uphill"]),
                f"{found['uphill_all']:.2%}",
                _percent(found["inverse"]),
                "; ".join(f"({x:.5g}, {y:.5g})" for x, y in points) or "-",
                str(diagram.solves),
                str(diagram.grid_of_currents),
                f"{max(apart):.1e}" if apart else "-",
            ]
        )
    lost = sum(len(failed(diagram)) for diagram in diagrams)
    unknown = max((diagram.unknown for diagram in diagrams), default=0.0)
    told = f"{lost} solves failed, which leaves up to {unknown:.2%} of a plane without a regime; points.csv says why"
    return [*columns(rows), *([told] if lost else [])]


def _percent(parts: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.2%}" for name, share in parts.items())
