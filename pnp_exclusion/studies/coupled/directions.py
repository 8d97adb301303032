"""Which forces drive which currents: by species, or as voltage and salinity.

By species the forces are the drops ``F_a`` of the electrochemical potentials between the ends, and the currents ``J_a``
those of the particles. Any other set of forces ``X`` with ``F = sum_i d_i X_i`` has the currents ``I_i = d_i . J``, by
which ``sum_a J_a F_a = sum_i I_i X_i`` stays what it is, and the matrix ``d_i . L d_j``, symmetric as ``L`` is.

voltage
    ``d = z``: the drop of the electric potential (kT/e). Its current is the electric one, ``sum z_a J_a``.
salinity
    The rest, ``F_a - z_a V``: the drop of the chemical potentials, which the reservoirs' contents fix. ``d`` is this
    drop, species by species, over its largest entry, which is ``X``. For one salt between neutral reservoirs all
    species have the same drop, ``log(c/rho_0)`` at one end less that at the other: ``d = (1, 1)``, and its current is
    that of all ions together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[np.float64]

VOLTAGE, SALINITY = "voltage", "salinity"
"""Names of the two forces that are no species'."""


@dataclass(frozen=True)
class Direction:
    """A way to drive: forces ``(N,)`` on the species that pass, for a strength of one kT."""

    name: str
    vector: Array


@dataclass(frozen=True)
class Drive:
    """The forces at a steady state, kT.

    species
        Names of those that pass.
    forces
        ``F_a`` (N,).
    charges
        ``z_a`` (N,).
    voltage
        Drop of the electric potential from the first end to the second, kT/e; None with imposed fields or a
        temperature.
    """

    species: tuple[str, ...]
    forces: Array
    charges: Array
    voltage: float | None

    @property
    def chemical(self) -> Array:
        """``F_a - z_a V`` (N,): the drop of the chemical potentials."""
        return self.forces - self.charges * (self.voltage or 0.0)

    @property
    def salinity(self) -> float:
        """The largest drop of a chemical potential, with its sign; zero between equal reservoirs."""
        chemical = self.chemical
        largest = float(chemical[np.argmax(np.abs(chemical))])
        return largest if abs(largest) > SAME else 0.0

    @property
    def directions(self) -> dict[str, Direction]:
        """Every direction that can be named: each species, and with Poisson voltage and salinity."""
        found = {
            name: Direction(name, unit) for name, unit in zip(self.species, np.eye(len(self.species)), strict=True)
        }
        if self.voltage is not None and self.charges.any():
            together = self.chemical / self.salinity if self.salinity else np.ones(len(self.species))
            found[VOLTAGE] = Direction(VOLTAGE, self.charges)
            found[SALINITY] = Direction(SALINITY, together)
        return found


SAME = 1e-12
"""kT: forces below this are rounding."""


def in_directions(matrix: Array, pair: tuple[Direction, ...]) -> Array:
    """Return ``d_i . L d_j`` of a matrix by species."""
    columns = np.column_stack([direction.vector for direction in pair])
    transformed: Array = columns.T @ matrix @ columns
    return transformed


def components(values: Array, pair: tuple[Direction, Direction]) -> Array:
    """Return the strengths ``X`` (2,) with ``sum_i d_i X_i`` nearest to forces (N,); exact for two species."""
    columns = np.column_stack([direction.vector for direction in pair])
    strengths: Array = np.linalg.lstsq(columns, values, rcond=None)[0]
    return strengths


def independent(pair: tuple[Direction, Direction]) -> bool:
    """Whether two directions are not one and the same."""
    columns = np.column_stack([direction.vector / np.linalg.norm(direction.vector) for direction in pair])
    return bool(np.linalg.matrix_rank(columns, tol=1e-9) == 2)


def asymmetry(matrix: Array) -> float:
    """``max |L_ab - L_ba| / sqrt(L_aa L_bb)``: how far a matrix is from Onsager's reciprocity."""
    unit = np.sqrt(np.abs(np.diagonal(matrix)))
    return float((np.abs(matrix - matrix.T) / np.outer(unit, unit)).max())
