"""Flux laws: a free energy and the rates at which neighbours change places.

Every law of the package has the form (docs/theory.md#laws; Onsager's structure)

    J_a = -sum_b w_ab (G_a - G_b) ,    G_a = grad mu_a - E_a ,    G_0 = 0 ,    b = 0..N, b != a

where ``0`` is the vacancy and ``w_ab = w_ba >= 0`` is the exchange coefficient of the pair ``a, b``: how readily a
particle of ``a`` and one of ``b`` change places. In terms of the mobility matrix ``M_ab = -w_ab`` and
``M_aa = sum_b w_ab``. Any symmetric mobility can be written so, the entropy production ``sum w_ab |G_a - G_b|^2`` is
never negative, and the differences do not cancel when the lattice is nearly full. A new law is one function ``w``.

With a temperature (`pnp_exclusion.physics.energy`) an exchange carries energy with it, of mean ``q_ab = -q_ba`` and
variance ``s_ab``, and feels the force on it: with ``j_ab = -w_ab (G_a - G_b + q_ab G_energy)``

    J_a = sum_b j_ab ,    J_energy = sum_pairs (q_ab j_ab - w_ab s_ab G_energy) .

The functions here take and return either numpy arrays or UFL expressions: this module is the only place where a law is
written, for the weak form and for the observables alike.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pnp_exclusion.errors import LawError
from pnp_exclusion.physics.barrier_exchange import EXPONENTIAL, over_a_barrier
from pnp_exclusion.physics.energy import STATES_OF_BETA, Energy, Warmth, require_mean_energies
from pnp_exclusion.physics.expressions import Value
from pnp_exclusion.physics.free_energies import FreeEnergy, IdealGas, LatticeGas, require_free_energy
from pnp_exclusion.physics.hard_spheres import HardSpheres
from pnp_exclusion.physics.unequal_sizes import MoleFractions, VolumeFractions

LEAST_MOBILITY = 1e-14
"""Of a particle in empty space: what every particle keeps in a layer without a single vacancy.

Exchanges in such a layer leave the total flux undetermined (vacancies of e^-100 and less), and the linear systems would
be singular. The value is the smallest that survives beside exchange coefficients of order one in double precision; it
adds 1e-14 of a one-way flux per kT, which is less than the rounding of the currents.
"""
LEAST_DENSITY = 1e-280
"""With which a particle counts in that where a layer keeps less of it than there are numbers for: large ones within a
layer of small ones. Its row of a linear system would be zero."""


SIZES: Mapping[str, Callable[[tuple[float, ...]], FreeEnergy]] = {
    "volume-fractions": VolumeFractions,
    "mole-fractions": MoleFractions,
    "carnahan-starling": HardSpheres,
}
"""Free energies of particles of unlike size, by the names that cases have for them."""

Exchange = Callable[..., Value]
"""``w(a, b, rho, diffusivity, **parameters)`` for a species ``a >= 1`` and a partner ``b`` (0: the vacancy).

``rho[0]`` is the vacancy and ``rho[a]`` species ``a``; ``diffusivity[a]`` likewise (``diffusivity[0]`` is unused).
Return the number 0 where the pair never changes places. Must be symmetric in ``a, b >= 1`` and never negative. That of
a law with a temperature also takes ``beta``, the inverse temperature.
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
    energy
        What particles carry, for a law with a temperature; None for one at a single temperature.
    kinds
        What the species are, in their order, for a law that tells them apart; empty for one of any species.
    """

    name: str
    exchange: Exchange
    free_energy: FreeEnergy = field(default_factory=LatticeGas)
    equal_diffusivities: bool = False
    parameters: Mapping[str, float] = field(default_factory=dict)
    lattice_exchange: float | None = None
    energy: Energy | None = None
    kinds: tuple[str, ...] = ()

    @property
    def thermal(self) -> bool:
        """Whether there is a temperature, and energy flows."""
        return self.energy is not None

    @property
    def diagonal_mobility(self) -> bool:
        """Whether unlike particles never change places, so that every flux follows its own force alone."""
        thirds = [1.0 / 3.0] * 3
        return not self.thermal and (2, 1) not in self.coefficients(thirds, [1.0, 1.0])

    @property
    def crowded(self) -> bool:
        """Whether particles exclude each other's volume, so that fractions must add up to less than one."""
        return not isinstance(self.free_energy, IdealGas)

    def with_sizes(self, kind: str, sizes: tuple[float, ...]) -> Law:
        """Return the law for particles of unlike size, of a free energy of `SIZES`; `LawError` if it knows no such.

        An exchange must conserve volume. ``n_a`` vacancies for a particle do so, with the force on the particle alone;
        two unlike particles would take vacancies along, and which coefficients that has no lattice says yet.
        """
        sized = SIZES[kind](sizes)
        if self.free_energy == sized:
            return self
        only = '; laws with sizes are "mpnp" and, but for "carnahan-starling", "vacancy" (kappa = 0)'
        if not self.crowded:
            raise LawError(f'law "{self.name}" is of point particles, which have no sizes{only}')
        if self.thermal or type(self.free_energy) is not LatticeGas:
            raise LawError(f'law "{self.name}" has a free energy of its own, and sizes would give it another one{only}')
        if not self.diagonal_mobility:
            raise LawError(
                f'law "{self.name}" lets unlike particles change places one for one, which those of unlike volume '
                f"cannot: in numbers its coefficients would break Onsager's symmetry{only}"
            )
        if kind == "carnahan-starling" and self.lattice_exchange is not None:
            raise LawError(f'law "{self.name}" counts the vacancies of a lattice, which hard spheres do not have{only}')
        # the processes that are known have one particle a site
        return replace(self, free_energy=sized, lattice_exchange=None)

    def require_fit(self, diffusivities: Sequence[float]) -> None:
        """Raise `LawError` if the law contradicts itself or does not describe species with these diffusivities."""
        if self.kinds and len(diffusivities) != len(self.kinds):
            raise LawError(
                f'law "{self.name}" is of {len(self.kinds)} species, {" and ".join(self.kinds)} in this order, '
                f"and not of {len(diffusivities)}"
            )
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
                require_free_energy(self.name, self.free_energy, eta)
        betas: Sequence[float | None] = STATES_OF_BETA if self.thermal else (None,)
        for eta, beta in itertools.product(states, betas):
            self._require_symmetric_exchange(self.free_energy.densities(list(eta)), [1.0, *diffusivities], beta)
        if self.energy is not None:
            require_mean_energies(self.name, self.energy, len(diffusivities), self.parameters)

    def _require_symmetric_exchange(self, rho: Sequence[float], rates: Sequence[float], beta: float | None) -> None:
        given = self._given(None, beta)
        if beta is not None and self._conduction(rho, rates[1:], Warmth(beta), None) < 0.0:
            raise LawError(f'law "{self.name}" conducts energy from cold to hot at some densities')
        for a in range(1, len(rho)):
            for b in range(a):
                forth = float(self.exchange(a, b, rho, rates, **given))
                if not forth >= 0.0:
                    raise LawError(
                        f'law "{self.name}": the exchange coefficient of {_partners(a, b)} is {forth:g} at some '
                        "densities; it must not be negative, or entropy would be destroyed"
                    )
                back = float(self.exchange(b, a, rho, rates, **given)) if b > 0 else forth
                if not math.isclose(forth, back, rel_tol=1e-12):
                    raise LawError(
                        f'law "{self.name}": the exchange coefficient of {_partners(a, b)} is {forth:g} in one order '
                        f"and {back:g} in the other; it must be symmetric (Onsager)"
                    )

    def _given(self, parameters: Mapping[str, Value] | None, beta: Value | None) -> Mapping[str, Value]:
        """Return what an exchange coefficient takes by name."""
        given = self.parameters if parameters is None else parameters
        return given if beta is None else {**given, "beta": beta}

    def eta(
        self,
        mu: Sequence[Value] | np.ndarray,
        charges: Sequence[Value] | np.ndarray,
        potential: Value | None = None,
        beta: Value | None = None,
        parameters: Mapping[str, Value] | None = None,
        partition: Sequence[Value] | np.ndarray | None = None,
    ) -> list[Value]:
        """Return ``eta_a``, on which the densities depend: ``mu_a`` without the electric part and the partition energy,
        and with a temperature ``mu_a - z_a beta phi + log z_a(beta)``; what lies between the two if all ``mu_a`` are
        0."""
        eta = list(mu)
        if partition is not None:
            eta = [mu_a - energy for mu_a, energy in zip(eta, partition, strict=True)]
        if potential is not None:
            reduced = potential if beta is None else beta * potential
            eta = [eta_a - z * reduced for eta_a, z in zip(eta, charges, strict=True)]
        if self.energy is not None:
            given = self.parameters if parameters is None else parameters
            eta = [eta_a + self.energy.log_weight(a, beta, **given) for a, eta_a in enumerate(eta, start=1)]
        return eta

    def coefficients(
        self,
        rho: Sequence[Value],
        diffusivities: Sequence[Value],
        parameters: Mapping[str, Value] | None = None,
        least_mobility: Value = LEAST_MOBILITY,
        beta: Value | None = None,
    ) -> dict[tuple[int, int], Value]:
        """Return ``w_ab`` for every pair ``a > b >= 0`` that changes places; ``rho`` has the vacancy first.

        ``parameters`` stand for those of the law, by name, where symbols are wanted; ``least_mobility`` for
        `LEAST_MOBILITY`, which a solver may lower from large values; ``beta`` is for a law with a temperature.
        """
        given = self._given(parameters, beta)
        rates = [1.0, *diffusivities]
        pairs = ((a, b) for a in range(1, len(rho)) for b in range(a))
        found = {(a, b): self.exchange(a, b, rho, rates, **given) for a, b in pairs}
        for a in range(1, len(rho)):
            found[a, 0] = found[a, 0] + least_mobility * (rho[a] + LEAST_DENSITY)
        return {pair: w for pair, w in found.items() if not (isinstance(w, int | float) and w == 0)}

    def fluxes(
        self,
        rho: Sequence[Value],
        forces: Sequence[Value],
        diffusivities: Sequence[Value],
        parameters: Mapping[str, Value] | None = None,
        least_mobility: Value = LEAST_MOBILITY,
        warmth: Warmth | None = None,
    ) -> list[Value]:
        """Return ``J_a = -sum_b w_ab (G_a - G_b)`` for the ``N`` species, and with a temperature that of energy.

        ``rho`` has the vacancy first, ``forces`` are the ``N`` gradients ``G_a = grad mu_a - E_a``, and with a
        temperature ``G_energy = -grad beta`` behind them.
        """
        flux: list[Value] = [0.0 * force for force in forces]
        beta = None if warmth is None else warmth.beta
        for (a, b), w in self.coefficients(rho, diffusivities, parameters, least_mobility, beta).items():
            difference = forces[a - 1] if b == 0 else forces[a - 1] - forces[b - 1]
            if warmth is not None:
                mean, variance = self._carried(a, b, warmth, parameters)
                difference = difference + mean * forces[-1]
            exchanged = w * difference
            flux[a - 1] = flux[a - 1] - exchanged
            if b > 0:
                flux[b - 1] = flux[b - 1] + exchanged
            if warmth is not None:
                flux[-1] = flux[-1] - mean * exchanged - w * variance * forces[-1]
        if warmth is not None:
            flux[-1] = flux[-1] - self._conduction(rho, diffusivities, warmth, parameters) * forces[-1]
        return flux

    def mobility(
        self, rho: Sequence[np.ndarray], diffusivities: Sequence[Value], warmth: Warmth | None = None
    ) -> np.ndarray:
        """Return the mobility matrix ``(points, N, N)`` of densities ``rho`` (vacancy first), each ``(points,)``.

        With a temperature ``(points, N + 1, N + 1)``, energy last.
        """
        species, thermal = len(rho) - 1, warmth is not None
        matrix = np.zeros((len(rho[1]), species + thermal, species + thermal))
        for (a, b), w in self.coefficients(rho, diffusivities, beta=warmth.beta if warmth else None).items():
            moved = np.zeros((len(rho[1]), species + thermal))
            moved[:, a - 1] = 1.0
            if b > 0:
                moved[:, b - 1] = -1.0
            if warmth is not None:
                moved[:, -1], variance = self._carried(a, b, warmth, None)
                matrix[:, -1, -1] += w * variance
            matrix += np.einsum("p,pa,pb->pab", w, moved, moved)
        if warmth is not None:
            matrix[:, -1, -1] += self._conduction(rho, diffusivities, warmth, None)
        return matrix

    def _carried(self, a: int, b: int, warmth: Warmth, parameters: Mapping[str, Value] | None) -> tuple[Value, Value]:
        """Return mean and variance of the energy that an exchange carries, with the potential energies of the two."""
        assert self.energy is not None
        given = self.parameters if parameters is None else parameters
        mean, variance = self.energy.carried(a, b, warmth.beta, **given)
        if warmth.works is not None:
            mean = mean + (warmth.works[a - 1] if b == 0 else warmth.works[a - 1] - warmth.works[b - 1])
        return mean, variance

    def _conduction(
        self,
        rho: Sequence[Value],
        diffusivities: Sequence[Value],
        warmth: Warmth,
        parameters: Mapping[str, Value] | None,
    ) -> Value:
        assert self.energy is not None
        if self.energy.conduction is None:
            return 0.0
        given = self.parameters if parameters is None else parameters
        return self.energy.conduction(rho, warmth.beta, [1.0, *diffusivities], **given)


def _partners(a: int, b: int) -> str:
    return f"species {a} and {b}" if b > 0 else f"species {a} and the vacancies"


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


def barrier_exchange(h: float = 0.0, w_b: float = 1.0, w_r: float = 1.0, e_b: float = 0.0, e_r: float = 0.0) -> Law:
    """Bullets and rods that carry energy and change places, with each other only over a barrier.

    See `pnp_exclusion.physics.barrier_exchange`; ``e_b`` and ``e_r`` are energies at rest, which say where the zero of
    energy is.
    """
    for name, value in (("h", h), ("w_b", w_b), ("w_r", w_r)):
        if not value >= 0.0:
            raise LawError(f"{name} must be 0 or more, but it is {value:g}")
    return Law(
        "barrier_exchange",
        over_a_barrier,
        equal_diffusivities=True,
        parameters={"h": h, "w_b": w_b, "w_r": w_r, "e_b": e_b, "e_r": e_r},
        energy=EXPONENTIAL,
        kinds=("bullets", "rods"),
    )


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
    charged: bool = True
    """Whether its particles may bear charges."""


LAWS: dict[str, NamedLaw] = {
    "pnp": NamedLaw(pnp),
    "mpnp": NamedLaw(mpnp),
    "shdl": NamedLaw(shdl),
    "vacancy": NamedLaw(
        vacancy,
        {"kappa": Parameter(0.0, 0.0, "Rate at which unlike particles change places, relative to hops into vacancies")},
    ),
    "barrier_exchange": NamedLaw(
        barrier_exchange,
        {
            "h": Parameter(0.0, 0.0, "Energy of a rod that a bullet can change places with, at least"),
            "w_b": Parameter(1.0, 0.0, "Rate of bullets into vacancies, relative to swaps over the barrier"),
            "w_r": Parameter(1.0, 0.0, "Rate of rods into vacancies, relative to swaps over the barrier"),
            "e_b": Parameter(0.0, -math.inf, "Energy of a bullet at rest: the zero of energy"),
            "e_r": Parameter(0.0, -math.inf, "Energy of a rod at rest"),
        },
        charged=False,
    ),
}
"""The laws that a case can name: those of this file, and `register_law`'s."""
BUILT_IN = tuple(LAWS)
"""Names of those of this file."""
OF_IONS = tuple(name for name, law in LAWS.items() if law.charged)
"""Those among them that describe the same cases."""
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
