# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Currents that run backwards
#
# Two forces drive two currents, and both forces point to the right. May one of the currents run to the left? The
# second law asks only that the sum `J_1 F_1 + J_2 F_2` is not negative: one current may run *against every force there
# is* if the other pays. This document shows it for particles and heat in a gas, for particles and heat on a lattice,
# and for two kinds of particles in a membrane. The mathematics is the same in all three; what is meant by a force is
# not.

# %%
"""Inverse currents of a gas, a lattice and a membrane: what is the same, and what depends on the zero of energy."""

import matplotlib.pyplot as plt
import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.exact.barrier_exchange import Mixture, Rates
from pnp_exclusion.particles.energy.barrier import BarrierExchange
from pnp_exclusion.particles.energy.stationary import simulate_energy
from pnp_exclusion.particles.gas.coefficients import free_matrix

# %% [markdown]
# ## A gas
#
# Point particles on a line between a hot reservoir (left) and a cold one. *Bullets* come and go at both ends; *rods*,
# half as heavy, stay inside and carry energy alone. A bullet and a rod that meet pass if the energy of their relative
# motion exceeds a barrier, and bounce else. The forces are the differences `F_b` of `mu/T` (left less right) and
# `F_u = 1/T_right - 1/T_left`. Both are positive here.


# %%
def gas(barrier: float) -> dict:
    """Bullets and as many rods, at a temperature of 1 and a density of 1 midway between the reservoirs."""
    return {
        "gas": {
            "units": "dimensionless",
            "length": 20.0,
            "forces": {"bullet": 0.01, "energy": 0.4},
            "kinds": [{"name": "bullet", "mass": 2.0}, {"name": "rod", "mass": 1.0, "number": 20}],
            "pairs": [{"kinds": ["bullet", "rod"], "barrier": barrier}],
            "reservoirs": [
                {"where": where, "temperature": 1.0, "density": {"bullet": 1.0}} for where in ("left", "right")
            ],
        }
    }


settings = pnp.GasSettings(time=60000.0, replicas=1)
among_rods, free = pnp.run_gas(gas(1.5), settings, with_coefficients=True), pnp.run_gas(gas(0.0), settings)
for words, run in (("barrier of 1.5", among_rods), ("no barrier", free)):
    for name, force, current, error in zip(run.names, run.gas.forces, *run.result.currents, strict=True):
        print(f"gas, {words}: {name:7s} force {force:+.2f}, current {current:+.4f} +- {error:.4f}, {run.regimes[name]}")

# %% [markdown]
# Bullets run from cold to hot, against both forces; heat pays. Rods that are fast enough to let a bullet pass come
# from the hot side, and a bullet that passes one goes to it. Without the barrier the same gas runs forward, and
# everything is known: particles effuse at the rate `density sqrt(T/2 pi m)` with the energy `T` each, and every rod
# that goes to and fro carries `T_left - T_right`.

# %%
(hot, cold), mass = free.gas.temperatures, 2.0
rates = free.gas.contact_densities[:, 0] * np.sqrt(free.gas.temperatures / (2 * np.pi * mass))
to_and_fro = 20.0 * np.sqrt(np.pi / 2) * (hot**-0.5 + cold**-0.5)  # length <1/v>, there and back, of a mass of 1
exact = np.array([rates[0] - rates[1], hot * rates[0] - cold * rates[1] + 20 * (hot - cold) / to_and_fro])
print(f"gas, no barrier: exact {exact[0]:+.4f} and {exact[1]:+.4f}")
assert np.all(np.abs(free.result.currents.mean - exact) < 4 * free.result.currents.error)
# the second law, and the first: the energy in the gas is what came in less what went out
assert among_rods.regimes == {"bullet": "inverse", "energy": "forward"}
assert among_rods.result.entropy_production.mean > 4 * among_rods.result.entropy_production.error
assert among_rods.result.imbalance < 1e-12

# %% [markdown]
# ## A lattice
#
# The same two kinds on the sites of a lattice. Contents of neighbouring sites change places with their energies: a
# bullet or a rod with a vacancy at the rates `w_b` and `w_r`, a bullet and a rod at the rate 1, but only if the rod's
# energy exceeds `h`. In large mixed cells the mobility is explicit (docs/theory.md#barrier-exchange); here it is with
# rods that cannot leave, `L_ab = M_ab - M_ar M_rb/M_rr`.

# %%
H, W_B, W_R, RODS = 3.0, 0.02, 1.0, 0.5


def bullets_and_rods(left: dict, right: dict, zero: float = 0.0) -> dict:
    """The lattice as equations, between two reservoirs; a bullet at rest has the energy ``zero``."""
    return {
        "model": {"units": "dimensionless", "law": "barrier_exchange", "h": H, "w_b": W_B, "w_r": W_R, "e_b": zero},
        "species": [{"name": "bullet"}, {"name": "rod", "mean_fraction": RODS}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": where, "kind": "reservoir", "fraction": {"bullet": end["b"]}, "temperature": end["T"]}
            for where, end in (("left", left), ("right", right))
        ],
    }


MIDDLE, HOT, COLD = {"b": 0.5, "T": 1.0}, {"b": 0.6, "T": 1.5}, {"b": 0.4, "T": 0.7}
at_rest = pnp.couple(bullets_and_rods(MIDDLE, MIDDLE), points=0)
driven = pnp.solve(bullets_and_rods(HOT, COLD))
names = ("bullet", "energy")
for name in names:
    print(f"lattice: {name:7s} force {driven.forces[name]:+.3f}, current {driven.currents[name]:+.5f}")

# exact: M = <w df df^T>/2 over the product law of two sites, at T = 1
r, b = RODS, 0.5 * (1 - RODS)
v, k = 1 - r - b, np.exp(-H)
bb, rr, br = b * (v * W_B + r * k), r * (v * W_R + b * k), -b * r * k
bu, ru = b * v * W_B - b * r * k * H, r * v * W_R + b * r * k * H
uu = 2 * v * (b * W_B + r * W_R) + b * r * k * (2 + H**2)
full = np.array([[bb, br, bu], [br, rr, ru], [bu, ru, uu]])
explicit = (full - np.outer(full[:, 1], full[1]) / full[1, 1])[np.ix_([0, 2], [0, 2])]
assert np.allclose(at_rest.onsager, explicit, rtol=1e-9)
assert driven.currents["bullet"] < 0 < min(driven.forces["bullet"], driven.forces["energy"])
dissipated = sum(driven.currents[name] * driven.forces[name] for name in names)
assert np.isclose(driven.steady.entropy_production, dissipated, rtol=1e-8)

# %% [markdown]
# Do particles do what the equations say? Four cells of 128 sites, exchange by exchange, beside the exact currents of
# four such cells if they were infinitely large; and the equations above beside the same equations solved by shooting.

# %%
particles = BarrierExchange(
    4, 128, Rates(H, W_B, W_R), Mixture(HOT["b"], 0, HOT["T"]), Mixture(COLD["b"], 0, COLD["T"]), RODS, contact=4.0
)
measured, expected = simulate_energy(particles, time=100.0, seed=1).currents, particles.reference().currents
for name, current, error, chain in zip(names, *measured, expected, strict=True):
    print(f"lattice of 4 cells: {name:7s} {current:+.4f} +- {error:.4f}, exact {chain:+.4f}")
assert np.all(np.abs(measured.mean - expected) < 4 * measured.error)
assert measured.mean[0] < -4 * measured.error[0]
assert np.allclose([driven.currents[name] for name in names], particles.continuum_currents(), rtol=1e-6)

# %% [markdown]
# ## A membrane
#
# Two kinds of ions share a lattice with vacancies, at one temperature, under the stirring law `shdl`: unlike particles
# change places as readily as a particle and a vacancy. Now the second force is not that of heat but that on the other
# kind. About a uniform state `L_ab = rho_a delta_ab - rho_a rho_b` exactly: one kind drags the other along backwards.


# %%
def membrane(left: dict, right: dict, potentials: tuple[float, float] | None = None) -> dict:
    """Between two reservoirs; with their potentials it has a fixed charge, and ions make their own field."""
    charges = dict(zip(left, (1, -1) if potentials else (0, 0), strict=False))
    charged = {"electrostatics": "poisson", "debye_length": 0.04} if potentials else {"electrostatics": "imposed"}
    ends = zip(("left", "right"), (left, right), potentials or (None, None), strict=True)
    return {
        "model": {"units": "dimensionless", "law": "shdl", **charged},
        "species": [{"name": name, "charge": charges[name]} for name in left],
        "domain": {"shape": "interval", "length": 1.0},
        "regions": [{"name": "membrane", "x": [0.25, 0.75], "fixed_charge": 0.3}] if potentials else [],
        "boundaries": [
            {"where": where, "kind": "reservoir", "fraction": held} | ({} if phi is None else {"potential": phi})
            for where, held, phi in ends
        ],
    }


uniform = {"A": 0.3, "B": 0.5}
salt_at_rest = pnp.couple(membrane(uniform, uniform), points=0)
rho = np.array([0.3, 0.5])
assert np.allclose(salt_at_rest.onsager, np.diag(rho) - np.outer(rho, rho), rtol=1e-9)
concentrated, dilute = {"A": 0.41, "B": 0.41}, {"A": 0.1, "B": 0.1}
salt = pnp.solve(membrane(concentrated, dilute, (-1.56, 0.0)))
for name in ("A", "B"):
    print(f"membrane: {name} force {salt.forces[name]:+.3f}, current {salt.currents[name]:+.4f}, {salt.regimes[name]}")

# exact: F_A = log[rho^L rho_0^R/(rho^R rho_0^L)] less the voltage; the second law
assert np.isclose(salt.forces["A"], np.log(0.41 * 0.8 / (0.1 * 0.18)) - 1.56, rtol=1e-9)
assert salt.regimes["A"] == "inverse"
assert sum(salt.currents[name] * salt.forces[name] for name in ("A", "B")) > 0

# %% [markdown]
# It takes a third: sites hold A, B or nothing. With A and vacancies alone there is one current and one force, and the
# second law leaves no choice of sign.

# %%
alone = pnp.solve(membrane({"A": 0.41}, {"A": 0.1}))
assert np.isclose(alone.currents["A"], 0.41 - 0.1, rtol=1e-9)  # exact for shdl without fields
assert np.isclose(alone.forces["A"], np.log(0.41 * 0.9 / (0.1 * 0.59)), rtol=1e-9)

# %% [markdown]
# ## What is the same
#
# Close to equilibrium `J = L F`, and `L` is symmetric (Onsager) and positive. `J_1` runs against two positive forces if
# `F_1 < -(L_12/L_11) F_2`, a wedge in the plane of the forces that is there if and only if `L_12 < 0`. Both currents
# cannot run backwards at once. The gas' `L` is measured by its response to small forces, and by how its currents
# fluctuate at equilibrium.

# %%
response, fluctuations = (among_rods.coefficients[way] for way in ("response", "covariance"))
matrices = {"gas": response.symmetric.mean, "lattice": at_rest.onsager, "membrane": salt_at_rest.onsager}
for name, matrix in matrices.items():
    print(f"{name:8s} L_12/L_11 = {matrix[0, 1] / matrix[0, 0]:+.3f}, determinant {np.linalg.det(matrix):.4g}")
    assert matrix[0, 1] < 0 < np.linalg.det(matrix)
assert abs(response.asymmetry) < 4  # Onsager: standard errors of L_12 - L_21
spread = np.hypot(response.symmetric.error, fluctuations.matrix.error)
assert np.all(np.abs(response.symmetric.mean - fluctuations.matrix.mean) < 4 * spread)  # Green, Kubo

# %% [markdown]
# ## What depends on the zero of energy
#
# Energies were counted from rest. Suppose that a bullet at rest has the energy `e_0` instead: that of a bond, or of
# its mass. Nothing that happens is different, but every bullet that crosses is booked with `e_0` more, and `mu` is
# higher by `e_0`, so that `mu/T` changes more where it is cold:
#
#     J_u -> J_u + e_0 J_b ,   F_b -> F_b - e_0 F_u ,   L_bu -> L_bu + e_0 L_bb .
#
# The sum `J_b F_b + J_u F_u`, the entropy production, stays. Whether `F_b` points against the current does not. A few
# hundredths of `T` are enough to turn the very same states into bullets that follow their own force.

# %%
zero = 0.05
recounted = among_rods.gas.forces[0] - zero * among_rods.gas.forces[1]
still = float(among_rods.result.currents.mean[0])
print(f"gas, zero at {zero}: force {recounted:+.3f}, current {still:+.4f}")
zero = 0.1
shifted = pnp.solve(bullets_and_rods(HOT, COLD, zero))
print(f"lattice, zero at {zero}: force {shifted.forces['bullet']:+.3f}, current {shifted.currents['bullet']:+.5f}")
assert recounted < 0
assert still < 0
assert np.isclose(shifted.forces["bullet"], driven.forces["bullet"] - zero * driven.forces["energy"], rtol=1e-9)
assert shifted.forces["bullet"] < 0
energy = driven.currents["energy"] + zero * driven.currents["bullet"]
assert np.allclose([shifted.currents[name] for name in names], [driven.currents["bullet"], energy], rtol=1e-8)
assert np.isclose(shifted.steady.entropy_production, driven.steady.entropy_production, rtol=1e-8)

# %% [markdown]
# The ratio `r = L_bu/L_bb`, the energy that a bullet carries, just moves by `e_0`. Counted from far enough below rest,
# even a gas without barriers has inverse currents; counted from far enough above, none has. What no zero touches is
# the *difference* of `r` between two channels that join the same reservoirs: what drives an engine
# (`engine_that_runs_in_a_circle.py`). Nor does it touch the Seebeck coefficient `(r - mu)/T`.

# %%
ratios = {
    "free gas": free_matrix(free.gas)[0, 1] / free_matrix(free.gas)[0, 0],
    "gas with rods": float(response.energy_per_particle.mean),
    "lattice": at_rest.onsager[0, 1] / at_rest.onsager[0, 0],
}
print("zero    " + "".join(f"{name:>15s}" for name in ratios) + "   free gas less gas with rods")
for zero in (-2.0, 0.0, 2.0):
    moved = {name: ratio + zero for name, ratio in ratios.items()}
    difference = moved["free gas"] - moved["gas with rods"]
    print(f"{zero:+.0f} T    " + "".join(f"{ratio:+15.3f}" for ratio in moved.values()) + f"   {difference:+.3f}")
    equations = pnp.couple(bullets_and_rods(MIDDLE, MIDDLE, zero), points=0)
    assert np.isclose(equations.onsager[0, 1] / equations.onsager[0, 0], moved["lattice"], rtol=1e-8)
    assert np.isclose(equations.heat.seebeck["bullet"], at_rest.heat.seebeck["bullet"], rtol=1e-8)
assert np.isclose(ratios["free gas"], 1.0)  # effusion: T

# %% [markdown]
# At *one* temperature `e_0/T` is the same at both ends and drops out of every force; nor can particles of one kind be
# booked as those of another, as energy can. The inverse current of a membrane is one whatever energies count from. For
# ions the zero is that of the potential: 4 kT/e more at both ends change nothing.

# %%
raised = pnp.solve(membrane(concentrated, dilute, (-1.56 + 4.0, 4.0)))
for name in ("A", "B"):
    print(f"membrane, potentials raised: {name} {raised.currents[name]:+.4f}, {raised.regimes[name]}")
    assert np.isclose(raised.currents[name], salt.currents[name], rtol=1e-7)
    assert np.isclose(raised.forces[name], salt.forces[name], rtol=1e-9)
assert raised.regimes == salt.regimes

# %% [markdown]
# The wedges side by side, close to equilibrium. In the first two the border (solid) goes with the zero of energy
# (dashed: zero at `T`, or `-T`); in the membrane there is nothing to choose.

# %%
figure, axes = plt.subplots(1, 3, figsize=(11.0, 3.8), layout="constrained")
second = np.array([0.0, 1.0])
for axis, (name, matrix), on in zip(axes, matrices.items(), ("energy", "energy", "B"), strict=True):
    ratio = matrix[0, 1] / matrix[0, 0]
    axis.fill_betweenx(second, 0.0, -ratio * second, alpha=0.2, label="against both forces")
    axis.plot(-ratio * second, second, label="no current of the first")
    for zero in (-1.0, 1.0) if on == "energy" else ():
        axis.plot(-(ratio + zero) * second, second, "--", color="C0", linewidth=1.0)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axis.text(-(ratio + zero) * 0.8, 0.8, f"zero at {zero:+.0f} T", fontsize=8, ha="center", bbox=box)
    axis.axvline(0.0, color="black", linewidth=0.8)
    axis.set_ylim(0.0, 1.0)
    axis.set_title(name)
    axis.set_xlabel("force on A" if on == "B" else "force on bullets")
    axis.set_ylabel(f"force on {on}")
axes[0].legend(fontsize=8, loc="lower right")
