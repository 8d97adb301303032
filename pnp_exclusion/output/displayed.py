"""Fields in the units of tables, pictures and files, by the names that they have there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pnp_exclusion.case.scales import Scales
from pnp_exclusion.observe.nodes import NodalFields
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.physics.problem import Problem


class Displayed(NamedTuple):
    """A field at points: values ``(points,)`` of a scalar, ``(dimension, points)`` of a vector."""

    name: str
    unit: str
    values: np.ndarray


def displayed(fields: NodalFields, scales: Scales, problem: Problem) -> Iterator[Displayed]:
    """Yield every field in the unit in which it is written: V, mol/L, kT, mol/m^2/s; none without dimensions."""
    if fields.potential is not None:
        yield Displayed("potential", "V" if scales.si else "kT/e", fields.potential * scales.potential)
    kind, unit = ("concentration", "mol/L") if scales.si else ("fraction", "")
    for a, name in enumerate(problem.names):
        yield Displayed(f"{kind}_{name}", unit, fields.rho[a] * scales.displayed_contents[a])
        yield Displayed(f"electrochemical_potential_{name}", "kT", fields.mu[a])
    yield Displayed("packing", "", problem.packing(fields.rho))
    if fields.temperature is not None and fields.energy is not None:
        yield Displayed("temperature", "", fields.temperature)
        yield Displayed(ENERGY, "", fields.energy)
    for name, flux in zip(problem.quantities, fields.flux, strict=True):
        yield Displayed(f"flux_{name}", "mol/m^2/s" if scales.si else "", flux * scales.flux)
