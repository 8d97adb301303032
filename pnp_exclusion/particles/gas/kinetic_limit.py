"""The kinetic limit of small barriers: a gas of bullets (open) and rods (closed), solved without noise.

Only unlike pairs matter. One that bounces changes its velocities by O(sqrt h), and the densities ``f(x, v)`` obey a
local Landau equation,

    v df_b/dx = (4 h^2/m_b) d/dv [ f_r df_b/dv/m_b - f_b df_r/dv/m_r ] ,

with ``b`` and ``r`` changed for the rods, so that currents depend on ``h^2 L`` alone. Linearised about Maxwell's
``rho M``, ``f = rho M (1 + phi)``, between ends that send in ``phi = -delta(mu/T) + (m v^2/2) delta(1/T)``:

* ``m_b f_b + m_r f_r`` streams freely at every ``v``: the momentum of a pair is conserved, and heat stays ballistic.
* What is left is one equation for ``g = phi_b/m_b - phi_r/m_r``,

      v w dg/dx = 4 h^2 d/dv (rho_b M_b rho_r M_r dg/dv) ,   1/w = 1/(m_b^2 rho_b M_b) + 1/(m_r^2 rho_r M_r) .

* Ends send in the same ``g`` at every ``v``, and none for a difference of temperatures.

The whole matrix follows from one number, the current ``x`` of bullets by a force on the rods. With ``g`` of 1/2 coming
in from the left and -1/2 from the right, ``K = int v w g dv`` (``K_0`` without collisions) and the effusion
``e = rho sqrt(T/(2 pi m))`` of either kind,

    x = (K_0 - K)/(m_b m_r) ,   L_bb/L = e_b - x m_r/m_b ,   L_br/L = x ,   L_rr/L = e_r - x m_b/m_r ,
    L_bu/L = T e_b ,   L_ru/L = T e_r ,   L_uu/L = 2 T^2 (e_b + e_r)

with both kinds open. Rods that thermal walls send back are those of reservoirs whose potentials have floated until no
rods flow; their number is then right by symmetry.

Finite volumes in ``v`` (second order); in ``x`` the modes of the discrete equation are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solve
from scipy.linalg.lapack import dgejsv
from scipy.optimize import brentq

from pnp_exclusion.errors import UsageError
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.gas.onsager import Onsager

Array = NDArray[np.float64]

FASTEST = 7.0
"""Thermal velocities of the heavier kind up to which ``v`` is resolved: beyond, 1e-10 of the weight ``v w``."""
GRADING = 1.5
"""Power by which the volumes grow with ``v``: at the ends ``g`` has an edge at ``v = 0``."""


class Extrapolated(NamedTuple):
    """A value extrapolated over two grids, and by how much it differs from that of the finer one."""

    value: float | Array
    error: float | Array


@dataclass(frozen=True)
class KineticLimit:
    """Bullets and rods in the limit of small barriers, in any consistent units with Boltzmann's constant 1.

    masses, densities
        Of bullets and rods; densities are per length. Without rods nothing depends on the barrier.
    cells
        Finite volumes in ``v`` on the finer of two grids, even; the coarser has half of them.

    Raises `UsageError` for values that are not positive.
    """

    masses: tuple[float, float]
    densities: tuple[float, float]
    temperature: float = 1.0
    cells: int = 128

    def __post_init__(self) -> None:
        for name in ("masses", "densities", "temperature"):
            if not all(np.isfinite(value) and value > 0 for value in np.ravel(getattr(self, name))):
                raise UsageError(f"{name} = {getattr(self, name)} must be finite and greater than 0")
        if self.cells < 8 or self.cells % 2:
            raise UsageError(f"cells is an even number from 8 on, but it is {self.cells}")

    @classmethod
    def of(cls, gas: Gas) -> KineticLimit:
        """Return the limit of a gas about its state midway; `UsageError` unless it is of bullets and rods."""
        kinds = [kind.is_open for kind in gas.kinds]
        if sorted(kinds) != [False, True] or gas.loses_energy:
            raise UsageError("the kinetic limit is that of one open and one closed kind that lose no energy")
        bullet, rod = kinds.index(True), kinds.index(False)
        middle = gas.midway
        masses, densities = ((float(a[bullet]), float(a[rod])) for a in (middle.masses, middle.mean_densities))
        return cls(masses, densities, middle.mean_temperature)

    @property
    def effusion(self) -> Array:
        """``e`` of bullets and rods: their currents by force where nothing is in the way."""
        return np.asarray(self.densities * np.sqrt(self.temperature / (2 * np.pi * np.array(self.masses))))

    def onsager(self, h2l: float) -> Onsager:
        """Return the matrix at ``h^2 L``, which may be infinite."""
        return self._onsager(_extrapolate(*self._exchange(h2l)).value)

    def at(self, h2l: float, quantity: Callable[[Onsager], float | Array]) -> Extrapolated:
        """Return a quantity of the matrix at ``h^2 L`` with its error."""
        return _extrapolate(*(quantity(self._onsager(exchange)) for exchange in self._exchange(h2l)))

    def reaches(self, threshold: float) -> bool:
        """Whether the ratio ``L_ru/L_rr`` passes a threshold at some ``h^2 L``; it is monotonic, from ``T`` on."""
        start, end = self.temperature, self.onsager(np.inf).ratio
        return min(start, end) < threshold < max(start, end)

    def critical(self, threshold: float) -> Extrapolated:
        """Return the ``h^2 L`` at which ``L_ru/L_rr`` is the threshold, with its error.

        Raises `UsageError` if none does: the critical barrier then leaves the small ones as the gas grows longer, and
        falls more slowly than ``L^(-1/2)``.
        """
        if not self.reaches(threshold):
            raise UsageError(
                f"the ratio L_ru/L_rr goes from {self.temperature:.6g} at h = 0 to {self.onsager(np.inf).ratio:.6g} at "
                f"infinite h^2 L and does not pass {threshold:g}: no barrier that falls as L^(-1/2) is critical"
            )
        share, (bullets, rods) = threshold / self.temperature, self.effusion
        lighter = self.masses[1] / self.masses[0]
        common = 1 / (lighter * rods)
        exchange = (1 - share) / (common + 1 / bullets - share * (common + lighter / bullets))
        roots = (grid.thickness(grid.free - exchange / self._unit) for grid in self._grids)
        return _extrapolate(*(root * self.temperature**2 / (4 * sum(self.densities)) for root in roots))

    @cached_property
    def _grids(self) -> tuple[_Relaxation, _Relaxation]:
        masses, densities = np.array(self.masses), np.array(self.densities)
        first, second = (
            _Relaxation.of(masses / masses.max(), densities / densities.sum(), cells)
            for cells in (self.cells // 2, self.cells)
        )
        return first, second

    @property
    def _unit(self) -> float:
        """Of ``x``, by ``K`` in units of the total density and the heavier mass."""
        heavier = max(self.masses)
        scale = heavier**2 / (self.masses[0] * self.masses[1])
        return float(sum(self.densities) * np.sqrt(self.temperature / heavier) * scale)

    def _exchange(self, h2l: float) -> tuple[float, float]:
        """``x`` on both grids."""
        if not h2l >= 0:
            raise UsageError(f"h^2 L = {h2l} must be 0 or greater")
        thickness = 4 * h2l * sum(self.densities) / self.temperature**2
        coarse, fine = (self._unit * (grid.free - grid.flow(thickness)) for grid in self._grids)
        return coarse, fine

    def _onsager(self, x: float | Array) -> Onsager:
        t, (bullets, rods), ratio = self.temperature, self.effusion, self.masses[0] / self.masses[1]
        both = np.array(
            [
                [bullets - x / ratio, t * bullets, x],
                [t * bullets, 2 * t**2 * (bullets + rods), t * rods],
                [x, t * rods, rods - x * ratio],
            ]
        )
        return Onsager(both[:2, :2] - np.outer(both[:2, 2], both[2, :2]) / both[2, 2])


@dataclass(frozen=True, eq=False)
class _Relaxation:
    """The equation for ``g`` in units of the heavier mass, temperature, total density and ``L``, by its modes in ``x``.

    Its part even in ``v`` and its odd part obey ``b de/dx = -A_o o`` and ``b do/dx = -A_e e`` on ``v > 0``, ``b`` the
    weights ``v w`` of the cells and ``A = B^T B`` the diffusion without and with a wall of ``o = 0`` at ``v = 0``. The
    singular values of ``B_e b^-1 B_o^T`` are the inverse lengths of the modes, odd about the middle of the gas for
    ``e`` and even for ``o``; the mode of infinite length alone carries a flow, ``K``. What comes in, ``e + o`` at the
    ends, makes one symmetric positive system for the amplitudes of all.

    free
        ``K_0``.
    diffusion
        Limit of ``K`` by gradient of ``g``.
    overlap
        ``(cells, cells)``: of the odd parts of the modes by the weights, the mode of infinite length first.
    lengths
        Of the others, ``(cells - 1,)``.
    """

    free: float
    diffusion: float
    overlap: Array
    lengths: Array

    @classmethod
    def of(cls, masses: Array, densities: Array, cells: int) -> _Relaxation:
        """Return the modes for a number of cells in ``v > 0``."""

        def maxwell(v: Array) -> Array:
            mass, density = (column.reshape(2, *[1] * v.ndim) for column in (masses, densities))
            return np.asarray(density * np.sqrt(mass / (2 * np.pi)) * np.exp(-mass * v**2 / 2))

        faces = FASTEST * np.linspace(0.0, 1.0, cells + 1) ** GRADING
        centres, widths = 0.5 * (faces[1:] + faces[:-1]), np.diff(faces)
        points, shares = leggauss(5)
        v = centres[:, None] + 0.5 * widths[:, None] * points
        bullets, rods = masses.reshape(2, 1, 1) ** 2 * maxwell(v)
        weights = 0.5 * widths * ((v * bullets * rods / (bullets + rods)) @ shares)
        roots = np.sqrt(maxwell(faces[:-1]).prod(axis=0) / np.diff(centres, prepend=0.0))
        odd = roots[:, None] * (np.eye(cells) - np.eye(cells, k=-1))  # B_o; without the wall's row it is B_e
        inverse = np.sqrt(weights)[:, None] * np.tril(np.ones((cells, cells))) / roots  # sqrt(b) B_o^-1
        uniform = inverse.T @ np.sqrt(weights)
        diffusion = float(uniform @ uniform)
        rates, modes = _singular(odd @ (odd[1:] / weights).T)
        overlap = inverse @ np.column_stack([uniform / np.sqrt(diffusion), modes])
        return cls(float(weights.sum()), diffusion, overlap.T @ overlap, 1 / rates)

    def flow(self, thickness: float) -> float:
        """``K``: a decreasing function of the thickness ``4 h^2 L rho/T^2``."""
        if np.isinf(thickness):
            return 0.0
        even = np.append(thickness / 2, self.lengths * np.tanh(thickness / 2 / self.lengths))
        system = self.overlap + np.diag(even)
        scale = 1 / np.sqrt(np.diag(system))
        first = np.zeros_like(scale)
        first[0] = 1.0
        solution = solve(system * scale * scale[:, None], first, assume_a="pos")
        return float(self.diffusion * scale[0] ** 2 * solution[0])

    def thickness(self, flow: float) -> float:
        """Return the thickness at which ``K`` is a ``flow`` between 0 and ``K_0``; beyond its bound it is less."""
        return float(brentq(lambda thickness: self.flow(thickness) - flow, 0.0, 2 * self.diffusion / flow))


def _singular(matrix: Array) -> tuple[Array, Array]:
    """Singular values and left vectors by Jacobi rotations: the small ones too, where rows and columns are graded.

    From a wall to the fastest velocities rates of modes differ by more than the inverse of the rounding error.
    """
    values, vectors, _, scale, _, failed = dgejsv(matrix, joba=2, jobu=0, jobv=3, jobr=1, jobt=0, jobp=1)
    if failed:
        raise LinAlgError("the singular values of the kinetic limit did not converge")
    return values * scale[0] / scale[1], vectors


def _extrapolate(coarse: float | Array, fine: float | Array) -> Extrapolated:
    """Richardson's extrapolation to second order."""
    change = (fine - coarse) / 3
    return Extrapolated(fine + change, np.abs(change) if isinstance(change, np.ndarray) else abs(change))
