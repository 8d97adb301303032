"""The master identity: stationary currents from forces and the averages of a profile.

With `J = -M (grad mu - E)` constant along a stationary one-dimensional channel, dividing by `M` and
integrating gives, for any law, with any imposed or self-consistent field and any fixed charge,

    F = (int M^-1 dx) J,      F_a = int E_a dx - [mu_a(R) - mu_a(L)].

The currents follow from the profile alone, so that a computed profile is tested against its
computed currents without a reference solution. In a channel of section `A(x)`, through which `A J` is constant, `A M`
takes the place of `M`. Lengths are in the domain length, energies in kT,
currents positive to the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .reservoirs import checked_pair

type Array = NDArray[np.float64]
type Law = Literal["pnp", "mpnp", "shdl", "vacancy"]

LAWS: tuple[str, ...] = get_args(Law.__value__)


@dataclass(frozen=True, eq=False)
class Resistances:
    """Integrals of the inverse mobility of a law along a profile.

    species: (N,) `int dx/(D rho_a)` for pnp, mpnp and shdl, `int dx/(D rho_0 rho_a)` for vacancy;
    vacancy: `int dx/(D rho_0)` for shdl, whose species push the vacancies back; zero otherwise.
    """

    species: Array
    vacancy: float = 0.0


def electrochemical_potential(
    law: Law, density: ArrayLike, *, valences: ArrayLike = 0.0, potential: ArrayLike = 0.0
) -> Array:
    """`mu_a = log(rho_a/rho_0) + z_a phi`, for pnp `log rho_a + z_a phi`, in kT.

    density: (N,) or (N, n); valences: (N,); potential: a number or (n,) in kT/e.
    Raises ValueError for an unknown law.
    """
    _check_law(law)
    density = np.asarray(density, dtype=np.float64)
    chemical = np.log(density)
    if law != "pnp":
        chemical = chemical - np.log1p(-density.sum(axis=0))
    charge = np.broadcast_to(np.asarray(valences, dtype=np.float64), density.shape[:1])
    return chemical + np.multiply.outer(charge, np.asarray(potential, dtype=np.float64))


def force(
    left: ArrayLike,
    right: ArrayLike,
    field_integral: ArrayLike = 0.0,
    *,
    valences: ArrayLike = 0.0,
    potential_left: float = 0.0,
    potential_right: float = 0.0,
    law: Law = "shdl",
) -> Array:
    """Drop of electrochemical potential `F_a = int E_a dx - [mu_a(R) - mu_a(L)]` (N,), in kT.

    left, right: reservoir fractions (N,); field_integral: `int E_a dx` of the imposed field, a
    number or (N,); valences (N,) and the reservoir potentials (kT/e) when the field comes from
    Poisson's equation. Raises ValueError for bad reservoirs, another number of field integrals or an
    unknown law.
    """
    left, right = checked_pair(left, right)
    work = np.asarray(field_integral, dtype=np.float64)
    if work.ndim > 0 and work.shape != left.shape:
        raise ValueError(f"field_integral: shape {work.shape} does not fit; expected a number or {left.shape}")
    drop = electrochemical_potential(
        law, left, valences=valences, potential=potential_left
    ) - electrochemical_potential(law, right, valences=valences, potential=potential_right)
    return work + drop


def resistances(
    law: Law, density: ArrayLike, weights: ArrayLike, *, diffusivity: ArrayLike = 1.0, area: ArrayLike = 1.0
) -> Resistances:
    """Resistances from densities (N, n) at quadrature points with weights (n,) over the channel.

    diffusivity: a number or (n,) common to all species; for laws but shdl also (N, n) or (N, 1).
    area: of the section of a channel, a number or (n,).
    Raises ValueError for densities outside the open simplex or a diffusivity the law cannot have.
    """
    _check_law(law)
    density, weights = _checked_profile(law, density, weights, "weights")
    factor = np.asarray(diffusivity, dtype=np.float64)
    if law == "shdl" and factor.ndim > 1:
        raise ValueError("diffusivity: shdl needs one factor common to all species")
    measure = weights / (factor * np.asarray(area, dtype=np.float64))
    vacancy = 1.0 - density.sum(axis=0)
    inverse = 1.0 / (vacancy * density) if law == "vacancy" else 1.0 / density
    species = (measure * inverse).sum(axis=1)
    return Resistances(species, float((measure / vacancy).sum()) if law == "shdl" else 0.0)


def sampled_resistances(law: Law, x: ArrayLike, density: ArrayLike) -> Resistances:
    """Resistances of densities (N, n) sampled at increasing positions x (n,), `D = 1`.

    Exact for densities linear between the samples, however steep: second order otherwise. Raises
    ValueError for densities outside the open simplex or positions that do not increase.
    """
    _check_law(law)
    density, x = _checked_profile(law, density, x, "x")
    step = np.diff(x)
    if not np.all(step > 0.0):
        raise ValueError("x: the positions must increase")
    vacancy = 1.0 - density.sum(axis=0)
    if law == "vacancy":
        ratio = density / vacancy
        between = logarithmic_mean(ratio[:, :-1], ratio[:, 1:])
        return Resistances((step / (vacancy[:-1] * vacancy[1:] * between)).sum(axis=1))
    species = (step / logarithmic_mean(density[:, :-1], density[:, 1:])).sum(axis=1)
    if law != "shdl":
        return Resistances(species)
    return Resistances(species, float((step / logarithmic_mean(vacancy[:-1], vacancy[1:])).sum()))


def currents(law: Law, forces: ArrayLike, resistance: Resistances) -> Array:
    """Currents `J_a` (N,) from forces (N,) in kT and the resistances of the same law.

    shdl: `J_a = G_a (F_a - Fbar)`, `Fbar = sum_{b>=1} G_b F_b / sum_{b>=0} G_b`, with `G` the
    inverse resistances: the common drag `Fbar` lets a species run against its own force. Other
    laws, of diagonal mobility: `J_a = G_a F_a`. Raises ValueError for an unknown law, forces and
    resistances of different numbers of species, or resistances of another law.
    """
    _check_law(law)
    conductance = 1.0 / resistance.species
    drive = _per_species("forces", forces, resistance)
    if law != "shdl":
        return conductance * drive
    if not resistance.vacancy > 0.0:
        raise ValueError("resistance: has none of the vacancies, which shdl needs; take the resistances of shdl")
    total = conductance.sum() + 1.0 / resistance.vacancy
    return conductance * (drive - conductance @ drive / total)


def currents_from_mobility(mobility: ArrayLike, weights: ArrayLike, forces: ArrayLike) -> Array:
    """Currents (N,) for any law: solves `(int M^-1 dx) J = F`.

    mobility: `M` (n, N, N) at quadrature points with weights (n,), diffusivity included. Raises
    `numpy.linalg.LinAlgError` when a mobility is singular.
    """
    inverse = np.linalg.inv(np.asarray(mobility, dtype=np.float64))
    matrix = np.tensordot(np.asarray(weights, dtype=np.float64), inverse, axes=1)
    return np.linalg.solve(matrix, np.asarray(forces, dtype=np.float64))


def identity_residual(law: Law, computed: ArrayLike, forces: ArrayLike, resistance: Resistances) -> float:
    """Largest departure of computed currents (N,) from the master identity, species by species.

    Relative to the current itself, or to what one kT would drive (`G_a`) if that is more. Raises as
    `currents`.
    """
    given = _per_species("computed", computed, resistance)
    scale = np.maximum(np.abs(given), 1.0 / resistance.species)
    return float((np.abs(given - currents(law, forces, resistance)) / scale).max())


def logarithmic_mean(a: ArrayLike, b: ArrayLike) -> Array:
    """`(b - a)/log(b/a)`, and `a` where `a = b`; the integral of `a^(1-x) b^x` over `0 < x < 1`.

    Its inverse is the average of `1/rho` for `rho` linear from a to b. Positive a and b.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    low, high = np.minimum(a, b), np.maximum(a, b)
    fall = np.log(low / high)
    equal = fall == 0.0
    mean: Array = high * np.where(equal, 1.0, np.expm1(fall) / np.where(equal, 1.0, fall))
    return mean


def _check_law(law: str) -> None:
    if law not in LAWS:
        raise ValueError(f"law: unknown law {law!r}; expected one of {', '.join(LAWS)}")


def _per_species(name: str, values: ArrayLike, resistance: Resistances) -> Array:
    given = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if given.shape != resistance.species.shape:
        raise ValueError(
            f"{name}: shape {given.shape} does not fit; expected {resistance.species.shape}, one value per species"
        )
    return given


def _checked_profile(law: str, density: ArrayLike, points: ArrayLike, name: str) -> tuple[Array, Array]:
    profile = np.asarray(density, dtype=np.float64)
    along = np.asarray(points, dtype=np.float64)
    if profile.ndim != 2 or along.shape != profile.shape[1:]:
        raise ValueError(
            f"{name}: shape {along.shape} does not fit densities of shape {profile.shape}; "
            "expected (N, n) densities and (n,) values"
        )
    if not np.all(profile > 0.0):
        raise ValueError("density: every density must be positive at every point")
    if law != "pnp" and not np.all(profile.sum(axis=0) < 1.0):
        raise ValueError(f"density: the packing reaches {profile.sum(axis=0).max():.17g}; it must stay below 1")
    return profile, along
