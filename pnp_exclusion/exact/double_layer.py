"""Equilibrium double layers in closed form: a blocking electrode against a bulk of z:z salt.

The electrode stands at `x = 0`, the bulk (potential 0, fraction `rho_b` of either ion) at infinity.
Potentials are in kT/e, lengths and `lambda` in the same unit, charges per area in `e L/v`, so that

    -lambda^2 phi'' = z (rho_+ - rho_-),      sigma = -lambda^2 phi'(0).

`lambda` is built with one charge per site (`lambda^2 = eps kT v/(e^2 L^2)`); the bulk screens over
`lambda/(z sqrt(2 rho_b))`. Point ions: Gouy and Chapman. Crowded ions of equal size, the same for
every law that shares their free energy (mpnp, shdl, vacancy): Bikerman; closed forms of Kilic,
Bazant, Ajdari, Phys. Rev. E 75, 021502 (2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

type Array = NDArray[np.float64]

LARGEST_POINT_ION_POTENTIAL = 700.0
GAUSS_POINTS = 14
NEWTON_STEPS = 50


@dataclass(frozen=True)
class _DoubleLayer:
    """bulk_fraction: `rho_b` of each ion; debye_length: `lambda`; valence: `z > 0`, an integer."""

    bulk_fraction: float
    debye_length: float
    valence: int = 1

    def __post_init__(self) -> None:
        for name in ("bulk_fraction", "debye_length"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name}: {value!r} must be a positive finite number")
        if self.valence != int(self.valence) or self.valence < 1:
            raise ValueError(f"valence: {self.valence!r} must be an integer of at least 1")

    @property
    def screening_length(self) -> float:
        """`lambda/(z sqrt(2 rho_b))`, over which the potential decays in the bulk."""
        return self.debye_length / (self.valence * math.sqrt(2.0 * self.bulk_fraction))

    def _reduced(self, potential: ArrayLike) -> Array:
        values = np.asarray(potential, dtype=np.float64)
        if not np.all(np.isfinite(values)):
            raise ValueError("potential: every value must be a finite number")
        return self.valence * values


@dataclass(frozen=True)
class PointIonLayer(_DoubleLayer):
    """Gouy-Chapman: ions without size, whose fractions have no upper bound.

    Raises ValueError for parameters that are not positive, and for potentials beyond
    `|z V| = 700`, where point-ion densities leave double precision.
    """

    def surface_charge(self, potential: ArrayLike) -> Array:
        """`sigma = lambda sqrt(8 rho_b) sinh(z V/2)`, shape of V, with the sign of V."""
        half = 0.5 * self._reduced(potential)
        return self.debye_length * math.sqrt(8.0 * self.bulk_fraction) * np.sinh(half)

    def capacitance(self, potential: ArrayLike) -> Array:
        """`d sigma/dV = z lambda sqrt(2 rho_b) cosh(z V/2)`, shape of V."""
        scale = self.valence * self.debye_length * math.sqrt(2.0 * self.bulk_fraction)
        return scale * np.cosh(0.5 * self._reduced(potential))

    def potential(self, x: ArrayLike, electrode: float) -> Array:
        """`phi(x)`, shape of x >= 0: `tanh(z phi/4) = tanh(z V/4) exp(-x/screening_length)`."""
        x = _checked_distance(x)
        height = abs(float(self._reduced(electrode)))
        if height == 0.0:
            return np.zeros_like(x)
        decayed = _log_tanh(height / 4.0) - x / self.screening_length
        tanh = np.exp(decayed)
        # near the wall 1 - tanh is what matters, far from it tanh itself
        near = decayed > -0.5
        magnitude = np.where(
            near,
            2.0 * (np.log1p(tanh) - np.log(-np.expm1(np.where(near, decayed, -1.0)))),
            4.0 * np.arctanh(np.where(near, 0.0, tanh)),
        )
        return math.copysign(1.0, electrode) * magnitude / self.valence

    def densities(self, x: ArrayLike, electrode: float) -> Array:
        """Fractions (2, ...) of cation and anion at x: `rho_b exp(-/+ z phi)`."""
        reduced = self._reduced(self.potential(x, electrode))
        return self.bulk_fraction * np.exp(np.stack([-reduced, reduced]))

    def _reduced(self, potential: ArrayLike) -> Array:
        reduced = super()._reduced(potential)
        if np.any(np.abs(reduced) > LARGEST_POINT_ION_POTENTIAL):
            raise ValueError(
                f"potential: point ions overflow beyond |z V| = {LARGEST_POINT_ION_POTENTIAL:g}; "
                "use CrowdedLayer for larger potentials"
            )
        return reduced


@dataclass(frozen=True)
class CrowdedLayer(_DoubleLayer):
    """Bikerman: ions and vacancies share sites, `rho_+ + rho_- < 1`.

    Safe for any finite potential. Raises ValueError for parameters that are not positive and for a
    bulk packing `2 rho_b` of 1 or more.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2.0 * self.bulk_fraction >= 1.0:
            raise ValueError(
                f"bulk_fraction: two ions of {self.bulk_fraction:g} reach a packing of "
                f"{2.0 * self.bulk_fraction:g}; it must stay below 1"
            )

    def surface_charge(self, potential: ArrayLike) -> Array:
        """`sigma = lambda sqrt(2 log(1 + 2 rho_b (cosh z V - 1)))`, shape of V, sign of V."""
        reduced = self._reduced(potential)
        return np.sign(reduced) * self.debye_length * self._field(_log_sinh_half(reduced))

    def capacitance(self, potential: ArrayLike) -> Array:
        """`d sigma/dV = 2 z lambda rho_b sinh|z V| / (g sqrt(2 log g))`, shape of V.

        `g = 1 + 2 rho_b (cosh z V - 1)`; at V = 0 this is `z lambda sqrt(2 rho_b)`.
        """
        log_sinh = _log_sinh_half(self._reduced(potential))
        excess = self._log_excess(log_sinh)
        log_g = np.logaddexp(0.0, excess)
        log_cosh = 0.5 * np.logaddexp(0.0, 2.0 * log_sinh)
        scale = self.valence * self.debye_length * math.sqrt(2.0 * self.bulk_fraction)
        # log g = exp(excess) to the last digit once the excess is negligible
        small = excess < -40.0
        root = np.where(small, 0.0, excess - np.log(np.where(small, 1.0, log_g)))
        return scale * np.exp(log_cosh - log_g + 0.5 * root)

    def potential(self, x: ArrayLike, electrode: float) -> Array:
        """`phi(x)`, shape of x >= 0, to about 1e-13.

        Inverts `x = (lambda/z) int dpsi / sqrt(2 log g(psi))` from `psi = z phi` to `z V`. In the
        variable `u = log sinh(psi/2)` the integrand is smooth from the crowded wall, where `u`
        follows the potential, to the bulk, where `u` falls linearly in x: Gauss-Legendre
        quadrature on panels of unit length, then Newton's iteration within a panel.
        """
        x = _checked_distance(x)
        top = float(_log_sinh_half(self._reduced(electrode)))
        if top == -math.inf:
            return np.zeros_like(x)
        bottom = min(top, -20.0) - 1.0
        edges = np.linspace(top, bottom, math.ceil(top - bottom) + 1)
        depth = np.concatenate([[0.0], np.cumsum(self._thickness(edges[1:], edges[:-1]))])
        panel = np.searchsorted(depth, x, side="right") - 1
        rest = x - depth[panel]
        upper = edges[panel]
        # below the last edge the integrand is constant to exp(-40)
        u = upper - rest / self._thickness_density(upper)
        inside = panel < len(edges) - 1
        for _ in range(NEWTON_STEPS):
            clipped = np.where(inside, np.clip(u, upper - 1.0, upper), u)
            error = np.where(inside, rest - self._thickness(clipped, upper), 0.0)
            change = error / self._thickness_density(clipped)
            u = clipped - change
            if np.all(np.abs(change) <= 1e-14 * (1.0 + np.abs(u))):
                break
        return math.copysign(2.0, electrode) * _log_from_log_sinh(u) / self.valence

    def densities(self, x: ArrayLike, electrode: float) -> Array:
        """Fractions (2, ...) of cation and anion at x: `rho_b exp(-/+ z phi) / g`."""
        reduced = self._reduced(self.potential(x, electrode))
        log_g = np.logaddexp(0.0, self._log_excess(_log_sinh_half(reduced)))
        return self.bulk_fraction * np.exp(np.stack([-reduced, reduced]) - log_g)

    def _log_excess(self, log_sinh: Array) -> Array:
        """`log(g - 1)`, `g - 1 = 2 rho_b (cosh psi - 1) = 4 rho_b sinh^2(psi/2)`."""
        return math.log(4.0 * self.bulk_fraction) + 2.0 * log_sinh

    def _field(self, log_sinh: Array) -> Array:
        """`sqrt(2 log g)`, the field `lambda |phi'|`."""
        return np.sqrt(2.0 * np.logaddexp(0.0, self._log_excess(log_sinh)))

    def _thickness_density(self, u: Array) -> Array:
        """`-dx/du = (lambda/z) 2 tanh(psi/2) / sqrt(2 log g)`."""
        tanh = np.exp(-0.5 * np.logaddexp(0.0, -2.0 * u))
        return self.debye_length / self.valence * 2.0 * tanh / self._field(u)

    def _thickness(self, lower: Array, upper: Array) -> Array:
        """Distance between the points of `u = lower` and `u = upper`, at most one apart."""
        points, weights = np.polynomial.legendre.leggauss(GAUSS_POINTS)
        half, middle = 0.5 * (upper - lower), 0.5 * (upper + lower)
        values = self._thickness_density(middle[..., None] + half[..., None] * points)
        return half * (values @ weights)


def _checked_distance(x: ArrayLike) -> Array:
    distance = np.asarray(x, dtype=np.float64)
    if not np.all(np.isfinite(distance) & (distance >= 0.0)):
        raise ValueError("x: distances from the electrode must be finite and not negative")
    return distance


def _log_sinh_half(reduced: Array) -> Array:
    """`log sinh(|psi|/2)`, without overflow; minus infinity at 0."""
    height = np.abs(reduced)
    with np.errstate(divide="ignore"):
        return 0.5 * height + np.log(-0.5 * np.expm1(-height))


def _log_from_log_sinh(u: Array) -> Array:
    """`arsinh(exp(u))`, without overflow."""
    large = u > 20.0
    return np.where(large, u + math.log(2.0), np.arcsinh(np.exp(np.where(large, 0.0, u))))


def _log_tanh(height: float) -> float:
    """`log tanh(height)` for positive height, also where `tanh` itself rounds to 1."""
    tail = math.exp(-2.0 * height)
    return (math.log1p(-tail) if tail < 0.5 else math.log(-math.expm1(-2.0 * height))) - math.log1p(tail)
