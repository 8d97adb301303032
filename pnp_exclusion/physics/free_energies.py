"""Free energies: densities as functions of the chemical potentials, and back (docs/theory.md#free-energies)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Protocol, override, runtime_checkable

import numpy as np

from pnp_exclusion.errors import LawError
from pnp_exclusion.physics.expressions import Value, exp, log, maximum


class FreeEnergy(Protocol):
    """The equilibrium part of a law: densities as functions of the chemical potentials, and back.

    ``eta_a`` is the chemical potential without the electric part, in kT; densities are occupied volume fractions.
    """

    def densities(self, eta: Sequence[Value]) -> list[Value]:
        """Return ``[rho_0, rho_1, .., rho_N]`` (vacancies first) for ``N`` values of ``eta``."""
        ...

    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        """Return the ``N`` values of ``eta`` of a state with the ``N`` densities ``rho``."""
        ...


@runtime_checkable
class HasPressure(Protocol):
    """A free energy of which the pressure is known, and so its value."""

    def pressure(self, eta: Sequence[Value]) -> Value:
        """Return ``Pi = sum_a rho_a eta_a - f``, in kT a site."""
        ...


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

    def pressure(self, eta: Sequence[Value]) -> Value:
        """Return ``-log rho_0``."""
        largest = reduce(maximum, eta, 0.0)
        return largest + log(sum((exp(eta_a - largest) for eta_a in eta), start=exp(-largest)))


class IdealGas(FreeEnergy):
    """Point particles: ``f = sum_a rho_a (log rho_a - 1)``, so ``eta_a = log rho_a``; the "vacancies" are all space."""

    @override
    def densities(self, eta: Sequence[Value]) -> list[Value]:
        return [1.0, *(exp(eta_a) for eta_a in eta)]

    @override
    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        return [float(np.log(rho_a)) for rho_a in rho]

    def pressure(self, eta: Sequence[Value]) -> Value:
        """Return ``sum_a rho_a``."""
        return sum((exp(eta_a) for eta_a in eta), start=0.0)


def require_free_energy(name: str, free_energy: FreeEnergy, eta: np.ndarray) -> None:
    """Check the Maxwell relations ``d rho_a / d eta_b = d rho_b / d eta_a`` at a state, and that potentials invert."""
    step, count = 1e-5, len(eta)

    def densities(at: np.ndarray) -> np.ndarray:
        return np.array([float(rho) for rho in free_energy.densities(list(at))[1:]])

    jacobian = np.column_stack(
        [(densities(eta + shift) - densities(eta - shift)) / (2 * step) for shift in step * np.eye(count)]
    )
    if np.abs(jacobian - jacobian.T).max() > 1e-7 * np.abs(jacobian).max():
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
