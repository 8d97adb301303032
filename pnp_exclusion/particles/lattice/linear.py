"""Fluctuating hydrodynamics on the sites of a lattice: what the noise is to the leading order in ``1/n``.

Mean fractions ``rho`` obey ``d rho/dt = -D J(rho)``, ``J`` the expected crossings of the bonds if neighbours are
independent and ``D`` what flows out of a site less what flows in. About their stationary state fluctuations are linear,

    d delta rho/dt = -D (delta J + xi) ,    delta J = G delta rho ,    <xi xi> = C ,

``C`` the crossings of each bond in both directions. Hence a sum of currents ``g . (delta J + xi)`` is ``h . xi``,

    h = g - D^T (i omega + D G)^-T G^T g ,    S = h^H C h ,

and covariances obey ``D G X + X (D G)^T = D C D^T``. With charges ``J`` depends on all of them through their field. The
continuum's noise (docs/theory.md#noise) is the limit of this, which is computed here without its finite elements.

A current weighted with ``h`` at frequency zero has the same ``S(0)`` as one that counts every bond alike, and hardly
any memory: a simulation knows its noise after short times.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_continuous_lyapunov

from pnp_exclusion.particles.lattice.process import ExchangeProcess

Array = NDArray[np.float64]

MOST_UNKNOWNS = 1600
"""Species times sites: the matrices are dense."""
STEPS = 50
STEADY = 1e-12
"""Of the fractions: a Newton step as small as this is the last."""


@dataclass(frozen=True, eq=False)
class LinearNoise:
    """Noise of a channel to leading order; currents and spectra as the continuum has them, frequencies in D/L^2.

    ``densities``: the stationary state of independent neighbours, ``(N, sites)``.
    """

    process: ExchangeProcess
    densities: Array

    @property
    def scale(self) -> int:
        """Spacings of the channel."""
        return self.process.lattice.scale

    @cached_property
    def currents(self) -> Array:
        """Through every bond in D/L, ``(N, bonds)``."""
        return _currents(self.process, self.densities) * self.scale

    @cached_property
    def weights(self) -> Array:
        """``h`` of every species' current at frequency zero, ``(N, N, bonds)``: the sum over all crossings has it."""
        return np.asarray(self._weighed(self.alike, 0.0).real, dtype=np.float64)

    @property
    def alike(self) -> Array:
        """See `alike`."""
        return alike(self.process)

    def spectrum(self, frequency: float, weights: ArrayLike | None = None) -> NDArray[np.complex128]:
        """Return ``S`` of sums of currents at an angular frequency, two-sided.

        ``weights``: by how much a crossing counts, ``(K, N, bonds)``; every species' current, every bond alike, if
        None. Returns ``(K, K)``, Hermitian.
        """
        chosen = self.alike if weights is None else np.asarray(weights, dtype=np.float64)
        found = self._weighed(chosen, frequency)
        return np.asarray(np.einsum("kai,abi,lbi->kl", found.conj(), self._crossings, found) * self.scale)

    @cached_property
    def covariance(self) -> Array:
        """``S_ab(0)`` of the currents, ``(N, N)``."""
        return np.asarray(self.spectrum(0.0).real)

    @cached_property
    def correlations(self) -> Array:
        """``(n + 1) (<a_i b_j> - <a_i><b_j>)``, ``(N, N, sites, sites)``; what is on one site is not taken out."""
        species, sites = self.densities.shape
        width = self._crossings.shape[0] * self._crossings.shape[2]
        noise = np.einsum("abi,ij->aibj", self._crossings, np.eye(sites + 1)).reshape(width, width)
        found = solve_continuous_lyapunov(self._decay, self._divergence @ noise @ self._divergence.T)
        return np.asarray(found.reshape(species, sites, species, sites).transpose(0, 2, 1, 3) * self.scale)

    def _weighed(self, weights: Array, frequency: float) -> NDArray[np.complex128]:
        """``h`` of sums of currents, ``(K, N, bonds)``."""
        shifted = self._decay + 1j * frequency / self.scale**2 * np.eye(len(self._decay))
        given = weights.reshape(len(weights), -1).T
        found = given - self._divergence.T @ np.linalg.solve(shifted.T, self._answer.T @ given)
        return np.asarray(found.T.reshape(weights.shape))

    @cached_property
    def _answer(self) -> Array:
        return _derivative(self.process, self.densities)

    @cached_property
    def _divergence(self) -> Array:
        return _divergence(*self.densities.shape)

    @cached_property
    def _decay(self) -> Array:
        return np.asarray(self._divergence @ self._answer)

    @cached_property
    def _crossings(self) -> Array:
        """``C``: ``(N, N, bonds)``."""
        flow = _flows(self.process, self.densities)
        both = flow + flow.transpose(0, 2, 1)
        found = -both
        every = np.arange(self.process.types)
        found[:, every, every] = both.sum(axis=2)
        return np.asarray(found[:, 1:, 1:].transpose(1, 2, 0))


def alike(process: ExchangeProcess) -> Array:
    """Weights by which the current of every species counts every bond as its part of the length, ``(N, N, bonds)``.

    With charges as its part of a drop of the potential, so that the currents times their charges are what electrodes
    measure, displacement included (Shockley and Ramo).
    """
    field, bonds = process.field_of_charges, process.lattice.along_bonds
    shares = np.full(bonds, 1.0 / bonds) if field is None else field.shares
    return np.asarray(np.eye(process.species)[:, :, None] * shares)


def linear_noise(process: ExchangeProcess) -> LinearNoise:
    """Return the noise of a channel about its stationary state, to leading order.

    Raises `ValueError` for a lattice without reservoirs, one of too many sites, and a state that is not found.
    """
    lattice, species = process.lattice, process.species
    if lattice.ends != "reservoirs" or lattice.width > 1:
        raise ValueError("the noise of a channel is that of a lattice of width 1 between reservoirs")
    unknowns = species * lattice.length
    if unknowns > MOST_UNKNOWNS:
        raise ValueError(f"{lattice.length} sites and {species} species are too many: {MOST_UNKNOWNS} at most together")
    left, right = process.reservoirs[:, 1:]
    densities = left[:, None] + np.outer(right - left, lattice.positions)
    divergence = _divergence(species, lattice.length)
    for _ in range(STEPS):
        decay = divergence @ _derivative(process, densities)
        step = np.linalg.solve(decay, divergence @ _currents(process, densities).ravel()).reshape(densities.shape)
        densities = np.asarray(densities - _admissible(densities, step) * step, dtype=np.float64)
        if np.abs(step).max() < STEADY:
            return LinearNoise(process, densities)
    raise ValueError("the stationary state of the linear noise was not found")


def _admissible(densities: Array, step: Array) -> float:
    """Return by how much of a Newton step fractions stay fractions."""
    every, change = np.vstack([densities, 1.0 - densities.sum(axis=0)]), np.vstack([step, -step.sum(axis=0)])
    falls = change > 0
    return float(min(1.0, 0.5 * (every[falls] / change[falls]).min(initial=np.inf) + 1e-9))


def _divergence(species: int, sites: int) -> Array:
    one = np.eye(sites, sites + 1, 1) - np.eye(sites, sites + 1)
    return np.asarray(np.kron(np.eye(species), one), dtype=np.float64)


def _ends(process: ExchangeProcess, densities: Array) -> tuple[Array, Array]:
    """Fractions of all types at both ends of every bond, ``(bonds, N + 1)`` each."""
    left, right = process.reservoirs
    inside = np.concatenate([1.0 - densities.sum(axis=0, keepdims=True), densities]).T
    whole = np.concatenate([left[None], inside, right[None]])
    return whole[:-1], whole[1:]


def _rates(process: ExchangeProcess, densities: Array) -> Array:
    """Rates of swaps of every bond, ``(bonds, N + 1, N + 1)``, in the mean field of the charges."""
    _, class_of_bond = process.field_classes
    rates, field = process.rates[class_of_bond], process.field_of_charges
    if field is None:
        return np.asarray(rates)
    return np.asarray(rates * field.every_swap(field.drops(field.charges[1:] @ densities)))


def _flows(process: ExchangeProcess, densities: Array) -> Array:
    """Expected swaps of ``a`` on the left with ``b`` on the right, ``(bonds, N + 1, N + 1)``."""
    before, after = _ends(process, densities)
    return np.asarray(_rates(process, densities) * before[:, :, None] * after[:, None, :])


def _currents(process: ExchangeProcess, densities: Array) -> Array:
    """Expected net crossings per lattice unit of time, ``(N, bonds)``."""
    flow = _flows(process, densities)
    return np.asarray((flow.sum(axis=2) - flow.sum(axis=1))[:, 1:].T)


def _derivative(process: ExchangeProcess, densities: Array) -> Array:
    """Return ``G``: crossings by fractions, ``(N bonds, N sites)``."""
    species, sites = densities.shape
    before, after = _ends(process, densities)
    rates = _rates(process, densities)
    unit = np.eye(species + 1)
    gain_left = np.einsum("kab,kb,ac->kac", rates, after, unit) - np.einsum("kca,ka->kac", rates, after)
    gain_right = np.einsum("kac,ka->kac", rates, before) - np.einsum("kba,kb,ac->kac", rates, before, unit)
    # what comes to a site takes the place of a vacancy
    by_left = (gain_left - gain_left[:, :, :1])[:, 1:, 1:]
    by_right = (gain_right - gain_right[:, :, :1])[:, 1:, 1:]
    found = np.zeros((species, sites + 1, species, sites))
    for site in range(sites):
        found[:, site + 1, :, site] += by_left[site + 1]
        found[:, site, :, site] += by_right[site]
    field = process.field_of_charges
    if field is not None:
        pushed = -0.5 * field.moved * _flows(process, densities)
        by_drop = (pushed.sum(axis=2) - pushed.sum(axis=1))[:, 1:].T
        drops = field.drops(np.eye(sites)) - field.drops(np.zeros((1, sites)))
        found += np.einsum("ak,c,ik->akci", by_drop, field.charges[1:], drops)
    return found.reshape(species * (sites + 1), species * sites)
