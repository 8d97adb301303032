"""What is kept of a point: one line of JSON, in the units of the case, without anything that depends on the machine."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pnp_exclusion.case.axes import Driving
from pnp_exclusion.studies.sweeps.plan import Chunk, Point, Work

if TYPE_CHECKING:
    from pnp_exclusion.solution.solution import Solution

Record = dict[str, Any]

CHECKSUM = ',"checksum":"'
"""How the last entry of a line begins."""
WORKER_DIED = "the worker died at it twice, perhaps for want of memory"


@dataclass(frozen=True)
class Outcome:
    """What came of a chunk: records in the order of its points, fewer than these if it was stopped, and warnings of
    the mesh that they share."""

    chunk: int
    records: list[Record]
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


def record_of(point: Point, drivings: Sequence[Driving], solution: Solution) -> Record:
    """Return what is kept of a converged point; collective over the ranks of the solution.

    ``current`` of every species and ``electric_current`` run from the first of the ``ends`` to the second; ``density``
    is that at the ends; ``flux`` and ``charge`` are those of every boundary, outward, ``found_potential`` of those
    where it is found. Units are those of the summary, see `pnp_exclusion.studies.sweeps.dataset.units_of`.
    """
    summary = solution.readings()
    record = _begin(point, drivings) | {"converged": True}
    if solution.steady.ends is not None:
        scales, currents = solution.setup.scales, solution.currents or {}
        species = solution.discretisation.problem.species
        charges = {one.name: one.charge for one in species}
        # energy, with a temperature, is in its own unit
        shown = {one.name: unit for one, unit in zip(species, scales.displayed_contents.tolist(), strict=True)}
        faraday = scales.current / scales.flux
        record |= {
            "ends": [end.name for end in solution.steady.ends],
            "current": currents,
            "electric_current": faraday * sum(z * currents.get(name, 0.0) for name, z in charges.items()),
            "force": summary["force"],
            "regime": summary["regime"],
            "density": {
                end.name: {name: rho * shown.get(name, 1.0) for name, rho in end.rho.items()}
                for end in solution.steady.ends
            },
        }
    record |= {
        "flux": {where: _values(fluxes) for where, fluxes in summary["flux"].items()},
        "charge": _values(summary["charge"]),
        "entropy_production": summary["entropy_production"]["value"],
    }
    if "found_potential" in summary:
        record["found_potential"] = _values(summary["found_potential"])
    return record | {name: summary[name] for name in ("balance", "identity_residual", "newton_iterations")}


def failure(point: Point, drivings: Sequence[Driving], reason: str) -> Record:
    """Return what is kept of a point without a solution: why."""
    return _begin(point, drivings) | {"converged": False, "reason": " ".join(reason.split())}


def lost(chunk: Chunk, work: Work) -> Outcome:
    """Return what is kept of a chunk that was given up because workers died over it."""
    return Outcome(chunk.number, [failure(point, work.cases.drivings, WORKER_DIED) for point in chunk.points])


def line_of(record: Record, fingerprint: str) -> str:
    """Return a record as it is stored, with a checksum of itself and of the plan that it belongs to.

    Numbers that are not finite become null.
    """
    line = json.dumps(_plain(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f'{line[:-1]}{CHECKSUM}{_checksum(line[:-1].encode(), fingerprint)}"}}\n'


def record_in(line: bytes, fingerprint: str) -> Record | None:
    """Return the record of a line; None if it is none of this plan, or not as it was written."""
    content, mark, checksum = line.rstrip(b"\n").rpartition(CHECKSUM.encode())
    if not mark or checksum != f'{_checksum(content, fingerprint)}"}}'.encode():
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record.get("index"), int) and isinstance(record.get("converged"), bool) else None


def _checksum(content: bytes, fingerprint: str) -> str:
    return f"{zlib.crc32(content, zlib.crc32(fingerprint.encode())):08x}"


def _begin(point: Point, drivings: Sequence[Driving]) -> Record:
    names = [driving.name for driving in drivings]
    return {"index": point.index, "at": dict(zip(names, point.coordinates, strict=True))}


def _values(quantities: dict[str, dict[str, Any]]) -> dict[str, float]:
    return {name: quantity["value"] for name, quantity in quantities.items()}


def _plain(content: Any) -> Any:
    match content:
        case dict():
            return {key: _plain(value) for key, value in content.items()}
        case list() | tuple():
            return [_plain(value) for value in content]
        case bool() | int() | str() | None:
            return content
    number = float(content)
    return number if math.isfinite(number) else None
