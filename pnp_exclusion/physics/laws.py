"""Flux laws: a free energy and the rates at which neighbours change places.

Every law of the package has the form (docs/theory.md#laws; Onsager's structure)

    J_a = -sum_b w_ab (G_a - G_b) ,    G_a = grad mu_a - E_a ,    G_0 = 0 ,    b = 0..N, b != a

where ``0`` is the vacancy and ``w_ab = w_ba >= 0`` is the exchange coefficient of the pair ``a, b``: how readily a
particle of ``a`` and one of ``b`` change places. In terms of the mobility matrix ``M_ab = -w_ab`` and
``M_aa = sum_b w_ab``. Any symmetric mobility can be written so, the entropy production ``sum w_ab |G_a - G_b|^2`` is
never negative, and the differences do not cancel when the lattice is nearly full. A new law is one function ``w``.

The functions here take and return either numpy arrays or UFL expressions: this module is the only place where a law is
written, for the weak form and for the observables alike.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Protocol, override

import numpy as np

Value = Any
"""A float, a numpy array or a UFL expression."""


LEAST_MOBILITY = 1e-14
"""Of a particle in empty space: what every particle keeps in a layer without a single vacancy.

Exchanges in such a layer leave the total flux undetermined (vacancies of e^-100 and less), and the linear systems would
be singular. The value is the smallest that survives beside exchange coefficients of order one in double precision; it
adds 1e-14 of a one-way flux per kT, which is less than the rounding of the currents.
"""


class LawError(ValueError):
    """A law that contradicts itself, or species that it does not describe."""


def _is_symbolic(value: Value) -> bool:
    return hasattr(value, "ufl_shape")


def _exp(value: Value) -> Value:
    if _is_symbolic(value):
        import ufl

        return ufl.exp(value)
    return np.exp(value)


def _max(left: Value, right: Value) -> Value:
    if _is_symbolic(left) or _is_symbolic(right):
        import ufl

        return ufl.max_value(left, right)
    return np.maximum(left, right)


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


class LatticeGas(FreeEnergy):
    """One particle a site: ``f = sum_a rho_a log rho_a + rho_0 log rho_0``, so ``eta_a = log(rho_a / rho_0)``.

    The inverse is a softmax, evaluated with its largest exponent taken out so that it neither overflows nor loses the
    vacancies near close packing (Bikerman 1942; Kilic, Bazant, Ajdari, Phys. Rev. E 75, 021503 (2007)).
    """

    @override
    def densities(self, eta: Sequence[Value]) -> list[Value]:
        largest = reduce(_max, eta, 0.0)
        weights = [_exp(-largest), *(_exp(eta_a - largest) for eta_a in eta)]
        total = sum(weights[1:], weights[0])
        return [weight / total for weight in weights]

    @override
    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        vacancy = 1.0 - sum(rho)
        return [float(np.log(rho_a) - np.log(vacancy)) for rho_a in rho]


class IdealGas(FreeEnergy):
    """Point particles: ``f = sum_a rho_a (log rho_a - 1)``, so ``eta_a = log rho_a``; the "vacancies" are all space."""

    @override
    def densities(self, eta: Sequence[Value]) -> list[Value]:
        return [1.0, *(_exp(eta_a) for eta_a in eta)]

    @override
    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        return [float(np.log(rho_a)) for rho_a in rho]


Exchange = Callable[..., Value]
"""``w(a, b, rho, diffusivity, **parameters)`` for a species ``a >= 1`` and a partner ``b`` (0: the vacancy).

``rho[0]`` is the vacancy and ``rho[a]`` species ``a``; ``diffusivity[a]`` likewise (``diffusivity[0]`` is unused).
Return the number 0 where the pair never changes places. Must be symmetric in ``a, b >= 1`` and never negative.
"""


@dataclass(frozen=True)
class Law:
    """A flux law.

    name
        As written in case files and results.
    exchange
        The exchange coefficients ``w`` (dimensionless: in units of density times reference diffusivity).
    free_energy
        `LatticeGas` unless given. `require_fit` refuses one whose densities break the Maxwell relations
        ``d rho_a / d eta_b = d rho_b / d eta_a``, without which there is no free energy, no Onsager symmetry and no
        bound on the entropy production (docs/theory.md#free-energies).
    equal_diffusivities
        True for a law that is derived only for species of the same diffusivity.
    parameters
        Numbers passed to ``exchange`` by name; changing one compiles nothing anew.
    lattice_exchange
        Rate at which unlike particles change places, relative to hops into vacancies, in the lattice process to which
        the law belongs: 1 for the stirring process, whose limit is exact. None where there is no such process.
    """

    name: str
    exchange: Exchange
    free_energy: FreeEnergy = field(default_factory=LatticeGas)
    equal_diffusivities: bool = False
    parameters: Mapping[str, float] = field(default_factory=dict)
    lattice_exchange: float | None = None

    @property
    def diagonal_mobility(self) -> bool:
        """Whether unlike particles never change places, so that every flux follows its own force alone."""
        thirds = [1.0 / 3.0] * 3
        return (2, 1) not in self.coefficients(thirds, [1.0, 1.0])

    @property
    def crowded(self) -> bool:
        """Whether particles exclude each other's volume, so that fractions must add up to less than one."""
        return not isinstance(self.free_energy, IdealGas)

    def require_fit(self, diffusivities: Sequence[float]) -> None:
        """Raise `LawError` if the law contradicts itself or does not describe species with these diffusivities."""
        if self.equal_diffusivities and len(set(diffusivities)) > 1:
            listed = ", ".join(f"{value:g}" for value in diffusivities)
            raise LawError(
                f'law "{self.name}" exchanges unlike particles at one common rate and is derived for equal '
                f"diffusivities only, but they are {listed}; give all species the same diffusivity, or use "
                '"mpnp" or "vacancy" (kappa = 0), which take any'
            )
        # as if drawn at random, without what draws: it takes a while to import
        states = 3.0 * np.sin(np.arange(20.0 * len(diffusivities)).reshape(20, -1) ** 2) - 1.0
        if type(self.free_energy) not in (LatticeGas, IdealGas):
            for eta in states:
                _require_free_energy(self.name, self.free_energy, eta)
        for eta in states:
            self._require_symmetric_exchange(self.free_energy.densities(list(eta)), [1.0, *diffusivities])

    def _require_symmetric_exchange(self, rho: Sequence[float], rates: Sequence[float]) -> None:
        for a in range(1, len(rho)):
            for b in range(a):
                forth = float(self.exchange(a, b, rho, rates, **self.parameters))
                if not forth >= 0.0:
                    raise LawError(
                        f'law "{self.name}": the exchange coefficient of {_partners(a, b)} is {forth:g} at some '
                        "densities; it must not be negative, or entropy would be destroyed"
                    )
                back = float(self.exchange(b, a, rho, rates, **self.parameters)) if b > 0 else forth
                if not math.isclose(forth, back, rel_tol=1e-12):
                    raise LawError(
                        f'law "{self.name}": the exchange coefficient of {_partners(a, b)} is {forth:g} in one order '
                        f"and {back:g} in the other; it must be symmetric (Onsager)"
                    )

    def coefficients(
        self,
        rho: Sequence[Value],
        diffusivities: Sequence[Value],
        parameters: Mapping[str, Value] | None = None,
        least_mobility: Value = LEAST_MOBILITY,
    ) -> dict[tuple[int, int], Value]:
        """Return ``w_ab`` for every pair ``a > b >= 0`` that changes places; ``rho`` has the vacancy first.

        ``parameters`` stand for those of the law, by name, where symbols are wanted; ``least_mobility`` for
        `LEAST_MOBILITY`, which a solver may lower from large values.
        """
        given = self.parameters if parameters is None else parameters
        rates = [1.0, *diffusivities]
        pairs = ((a, b) for a in range(1, len(rho)) for b in range(a))
        found = {(a, b): self.exchange(a, b, rho, rates, **given) for a, b in pairs}
        for a in range(1, len(rho)):
            found[a, 0] = found[a, 0] + least_mobility * rho[a]
        return {pair: w for pair, w in found.items() if not (isinstance(w, int | float) and w == 0)}

    def fluxes(
        self,
        rho: Sequence[Value],
        forces: Sequence[Value],
        diffusivities: Sequence[Value],
        parameters: Mapping[str, Value] | None = None,
        least_mobility: Value = LEAST_MOBILITY,
    ) -> list[Value]:
        """Return ``J_a = -sum_b w_ab (G_a - G_b)`` for the ``N`` species.

        ``rho`` has the vacancy first, ``forces`` are the ``N`` gradients ``G_a = grad mu_a - E_a``.
        """
        flux: list[Value] = [0.0 * force for force in forces]
        for (a, b), w in self.coefficients(rho, diffusivities, parameters, least_mobility).items():
            if b == 0:
                flux[a - 1] = flux[a - 1] - w * forces[a - 1]
            else:
                exchanged = w * (forces[a - 1] - forces[b - 1])
                flux[a - 1] = flux[a - 1] - exchanged
                flux[b - 1] = flux[b - 1] + exchanged
        return flux

    def mobility(self, rho: Sequence[np.ndarray], diffusivities: Sequence[Value]) -> np.ndarray:
        """Return the mobility matrix ``(points, N, N)`` of densities ``rho`` (vacancy first), each ``(points,)``."""
        species = len(rho) - 1
        matrix = np.zeros((len(rho[1]), species, species))
        for (a, b), w in self.coefficients(rho, diffusivities).items():
            matrix[:, a - 1, a - 1] += w
            if b > 0:
                matrix[:, b - 1, b - 1] += w
                matrix[:, a - 1, b - 1] -= w
                matrix[:, b - 1, a - 1] -= w
        return matrix


def _partners(a: int, b: int) -> str:
    return f"species {a} and {b}" if b > 0 else f"species {a} and the vacancies"


def _require_free_energy(name: str, free_energy: FreeEnergy, eta: np.ndarray) -> None:
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


def _into_all_space(a: int, b: int, rho: Sequence[Value], diffusivity: Sequence[Value]) -> Value:
    return diffusivity[a] * rho[a] if b == 0 else 0


def _stirring(a: int, b: int, rho: Sequence[Value], diffusivity: Sequence[Value]) -> Value:
    return diffusivity[a] * rho[a] * rho[b]


def pnp() -> Law:
    """Nernst-Planck: point particles, ``J_a = -D_a (grad rho_a + z_a rho_a grad phi)``."""
    return Law("pnp", _into_all_space, IdealGas())


def mpnp() -> Law:
    """Bikerman's steric law, ``M = diag(D rho)``: Kilic, Bazant, Ajdari, Phys. Rev. E 75, 021503 (2007)."""
    return Law("mpnp", _into_all_space)


def shdl() -> Law:
    """Stirring process: stationary hydrodynamic limit, ``M = D (diag(rho) - rho rho^T)``.

    Casini, Giardina, Nicolini, Selmi, Vernia, arXiv 2602.08583 (2026). Equal diffusivities only.
    """
    return Law("shdl", _stirring, equal_diffusivities=True, lattice_exchange=1.0)


def vacancy(kappa: float = 0.0) -> Law:
    """Hopping into vacancies, mean field, ``M = rho_0 diag(D rho)``: Burger et al., SIAM J. Math. Anal. 42 (2010) 2842.

    ``kappa >= 0`` lets unlike particles change places too, ``kappa = 1`` being `shdl`; it then asks for equal
    diffusivities, because no single rate is defined for a pair of unlike ones.
    """
    if not kappa >= 0.0:
        raise LawError(f"kappa is an exchange rate and must be 0 or more, but it is {kappa:g}")
    if kappa == 0.0:
        return Law("vacancy", _into_vacancies, lattice_exchange=0.0)
    return Law(
        "vacancy",
        _into_vacancies_and_swapping,
        equal_diffusivities=True,
        parameters={"kappa": kappa},
        lattice_exchange=kappa,
    )


def _into_vacancies(a: int, b: int, rho: Sequence[Value], diffusivity: Sequence[Value]) -> Value:
    return diffusivity[a] * rho[a] * rho[0] if b == 0 else 0


def _into_vacancies_and_swapping(
    a: int, b: int, rho: Sequence[Value], diffusivity: Sequence[Value], kappa: Value
) -> Value:
    return diffusivity[a] * rho[a] * rho[b] * (1.0 if b == 0 else kappa)


@dataclass(frozen=True)
class Parameter:
    """A number of a law: what it is if a case does not say, the least it may be, and what it means."""

    default: float
    least: float
    meaning: str


@dataclass(frozen=True)
class NamedLaw:
    """A law that cases can name.

    make
        Returns it; takes its parameters by name.
    """

    make: Callable[..., Law]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


LAWS: dict[str, NamedLaw] = {
    "pnp": NamedLaw(pnp),
    "mpnp": NamedLaw(mpnp),
    "shdl": NamedLaw(shdl),
    "vacancy": NamedLaw(
        vacancy,
        {"kappa": Parameter(0.0, 0.0, "Rate at which unlike particles change places, relative to hops into vacancies")},
    ),
}
"""The laws that a case can name: those of this file, and `register_law`'s."""
BUILT_IN = tuple(LAWS)
"""Names of those of this file."""
ENTRY_POINTS = "pnp_exclusion.laws"
"""Group of entry points by which an installed package offers laws to cases: each a `Law`, under its name."""


def register_law(law: Law) -> None:
    """Let cases name a law that was written in Python, in this process.

    Processes that start others, for sweeps with workers, do so at the top of their script. An installed package offers
    its laws to every process by entry points of the group `ENTRY_POINTS`. Raises `LawError` if the name is taken.
    """
    if law.name in BUILT_IN:
        raise LawError(f'the name "{law.name}" is that of a law of pnp_exclusion; give the law another one')
    LAWS[law.name] = NamedLaw(lambda: law)


def find_law(name: str) -> NamedLaw | None:
    """Return the law that a case names, also one that an installed package offers; None if there is none."""
    if name not in LAWS:
        for entry in importlib.metadata.entry_points(group=ENTRY_POINTS, name=name):
            register_law(entry.load())
    return LAWS.get(name)
