"""Free energies: densities as functions of the chemical potentials, and back (docs/theory.md#free-energies)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol, override

import numpy as np

from pnp_exclusion.errors import LawError
from pnp_exclusion.physics.expressions import Value, exp, log, maximum

LEAST_VACANCY = 1e-6
"""What a guess leaves free where the densities that it starts from fill all space, and more."""
DILUTION, PANELS, POINTS = 200.0, 400, 10
"""kT below a state, where its mixture is ideal and without pressure; panels on the way, and Gauss points in each."""


class FreeEnergy(Protocol):
    """The equilibrium part of a law: densities as functions of the chemical potentials, and back.

    ``eta_a`` is the chemical potential without the electric part, in kT; densities are numbers of particles a site,
    which are occupied fractions where a particle fills a site.
    """

    def densities(self, eta: Sequence[Value]) -> list[Value]:
        """Return ``[rho_0, rho_1, .., rho_N]`` (vacancies first) for ``N`` values of ``eta``."""
        ...

    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        """Return the ``N`` values of ``eta`` of a state with the ``N`` densities ``rho``."""
        ...

    def pressure(self, eta: Sequence[Value]) -> Value:
        """Return the osmotic pressure ``Pi = sum_a rho_a eta_a - f``, in kT a site; 0 without particles.

        Where a free energy does not say it, by ``d Pi = sum_a rho_a d eta_a`` from dilution, for numbers and arrays.
        """
        points, weights = np.polynomial.legendre.leggauss(POINTS)
        panel = DILUTION / PANELS
        below = (panel * (np.arange(PANELS)[:, None] + 0.5 * (1.0 + points))).ravel()
        rho = self.densities([np.asarray(eta_a)[..., None] - below for eta_a in eta])[1:]
        return sum(rho) @ np.tile(0.5 * panel * weights, PANELS)

    def chemical_potentials_beside(self, rho: Mapping[int, Value], eta: Mapping[int, Value]) -> dict[int, Value]:
        """Return ``eta`` of species with densities ``rho`` beside others whose ``eta`` is given, for a first guess.

        Species by their position; together these are all.
        """
        count = len(rho) + len(eta)
        nothing = 0.0 * next(iter(rho.values()))
        alone = self.chemical_potentials([rho.get(a, nothing + np.finfo(float).tiny) for a in range(count)])
        all_of_them = self.densities([eta.get(a, alone[a]) for a in range(count)])[1:]
        found = self.chemical_potentials([rho.get(a, all_of_them[a]) for a in range(count)])
        return {a: found[a] for a in rho}

    def susceptibilities(self, eta: np.ndarray) -> np.ndarray:
        """Return ``d rho_a / d eta_b``, ``(N, N, points)``, by differences of order 4; eta is ``(N, points)``."""
        step = 1e-3
        columns = []
        for b in range(len(eta)):
            shift = np.zeros((len(eta), 1))
            shift[b] = step
            near, far = (
                [np.array(self.densities(list(eta + sign * times * shift))[1:]) for sign in (1.0, -1.0)]
                for times in (1.0, 2.0)
            )
            columns.append((8.0 * (near[0] - near[1]) - (far[0] - far[1])) / (12.0 * step))
        return np.stack(columns, axis=1)

    def densities_near(self, eta: Sequence[Value], same: Sequence[Value]) -> list[Value]:
        """Return `densities` as an expression to be differentiated by ``eta``, not by ``same``, which has its values.

        An inverse that is a long iteration has a short derivative there.
        """
        return self.densities(eta)

    def changes(self, rho: Sequence[Value], by: Sequence[Value]) -> list[Value] | None:
        """Return by what densities change as ``eta`` changes; None where differentiating `densities` is as short."""
        return None

    def with_symbols(self, symbol: Callable[[float], Value]) -> FreeEnergy:
        """Return the same with symbols for its numbers, so that others compile nothing anew."""
        return self

    @property
    def numbers(self) -> Sequence[Value]:
        """Those for which `with_symbols` has symbols."""
        return ()


@dataclass(frozen=True)
class LatticeGas(FreeEnergy):
    """One particle a site: ``f = sum_a rho_a log rho_a + rho_0 log rho_0``, so ``eta_a = log(rho_a / rho_0)``.

    The inverse is a softmax, evaluated with its largest exponent taken out so that it neither overflows nor loses the
    vacancies near close packing (Bikerman 1942; Kilic, Bazant, Ajdari, Phys. Rev. E 75, 021503 (2007)).
    """

    @override
    def densities(self, eta: Sequence[Value]) -> list[Value]:
        largest = reduce(maximum, eta, 0.0)
        weights = [exp(-largest), *(exp(eta_a - largest) for eta_a in eta)]
        total = sum(weights[1:], weights[0])
        return [weight / total for weight in weights]

    @override
    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        vacancy = 1.0 - sum(rho)
        return [float(np.log(rho_a) - np.log(vacancy)) for rho_a in rho]

    @override
    def pressure(self, eta: Sequence[Value]) -> Value:
        return -log(self.densities(eta)[0])

    @override
    def chemical_potentials_beside(self, rho: Mapping[int, Value], eta: Mapping[int, Value]) -> dict[int, Value]:
        others = sum(np.exp(eta_b) for eta_b in eta.values())
        vacancy = np.maximum(1.0 - sum(rho.values()), LEAST_VACANCY) / (1.0 + others)
        return {a: np.log(rho_a / vacancy) for a, rho_a in rho.items()}


@dataclass(frozen=True)
class IdealGas(FreeEnergy):
    """Point particles: ``f = sum_a rho_a (log rho_a - 1)``, so ``eta_a = log rho_a``; the "vacancies" are all space."""

    @override
    def densities(self, eta: Sequence[Value]) -> list[Value]:
        return [1.0, *(exp(eta_a) for eta_a in eta)]

    @override
    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        return [float(np.log(rho_a)) for rho_a in rho]

    @override
    def pressure(self, eta: Sequence[Value]) -> Value:
        return sum(exp(eta_a) for eta_a in eta)

    @override
    def chemical_potentials_beside(self, rho: Mapping[int, Value], eta: Mapping[int, Value]) -> dict[int, Value]:
        return {a: np.log(rho_a) for a, rho_a in rho.items()}


def require_free_energy(name: str, free_energy: FreeEnergy, eta: np.ndarray) -> None:
    """Check the Maxwell relations ``d rho_a / d eta_b = d rho_b / d eta_a`` at a state, and that potentials invert.

    Densities are numbers: those of volume fractions are not symmetric where particles are of unlike size.
    """
    step, count = 1e-5, len(eta)

    def densities(at: np.ndarray) -> np.ndarray:
        return np.array([float(rho) for rho in free_energy.densities(list(at))[1:]])

    jacobian = np.column_stack(
        [(densities(eta + shift) - densities(eta - shift)) / (2 * step) for shift in step * np.eye(count)]
    )
    # differences lose the digits of densities that hardly change any more
    rounding = 10.0 * np.finfo(float).eps / step * densities(eta).max()
    if np.abs(jacobian - jacobian.T).max() > 1e-7 * np.abs(jacobian).max() + rounding:
        a, b = divmod(int(np.abs(jacobian - jacobian.T).argmax()), count)
        raise LawError(
            f'law "{name}" has no free energy: d rho_{a + 1}/d eta_{b + 1} = {jacobian[a, b]:.4g} but '
            f"d rho_{b + 1}/d eta_{a + 1} = {jacobian[b, a]:.4g}; the Maxwell relations ask for equality"
        )
    inverted = np.array(free_energy.chemical_potentials(list(densities(eta))))
    if not np.allclose(inverted, eta, rtol=1e-6, atol=1e-6):
        raise LawError(
            f'law "{name}": chemical_potentials is not the inverse of densities: from eta = {eta.round(4).tolist()} '
            f"back to {inverted.round(4).tolist()}"
        )
