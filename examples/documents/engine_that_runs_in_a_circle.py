# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # An engine that runs in a circle
#
# Two different channels join a hot and a cold reservoir of particles. No piston, no cycle, nobody who opens a valve:
# if a particle carries less energy through one channel than through the other, heat makes particles go round, out
# through one and back through the other, and they can be made to work. (Benenti, Casati, Marchesoni, Wang, Phys. Rev.
# E 106, 044104 (2022); masses and densities here are our own.) The same circuit of two membranes lives on salt in the
# place of heat. This document runs both and says how good they can be.

# %%
"""The circular engine: two gases between two temperatures, and two membranes between two salts."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import quad

import pnp_exclusion as pnp
from pnp_exclusion.particles.gas.coefficients import loop_figure_of_merit
from pnp_exclusion.particles.gas.kinetic_limit import KineticLimit
from pnp_exclusion.particles.gas.onsager import Onsager
from pnp_exclusion.studies.engine.linear import LinearEngine, LinearLeg

# %% [markdown]
# ## Two gases
#
# Leg A holds *bullets* alone, which nothing hinders; each carries the energy `T`. In leg B there are *rods* as well,
# which stay inside; bullet and rod pass each other only if the energy of their relative motion exceeds a barrier. The
# reservoirs are finite, and their chemical potentials float until as many bullets come back through B as go through A.
# The load is a bias: a bullet that goes round does the work `U`.


# %%
def leg(length: float, rods: int = 0) -> dict:
    """Bullets between a hot reservoir on the left and a cold one, perhaps with rods, at a barrier of 1."""
    rod = {"name": "rod", "mass": 1.0, "number": rods}
    return {
        "title": "Bullets and rods" if rods else "Bullets",
        "gas": {
            "units": "dimensionless",
            "length": length,
            "kinds": [{"name": "bullet", "mass": MASS}, *([rod] if rods else [])],
            "pairs": [{"kinds": ["bullet", "rod"], "barrier": 1.0}] if rods else [],
            "reservoirs": [
                {"where": where, "temperature": temperature, "density": {"bullet": 1.0}}
                for where, temperature in (("left", 1.2), ("right", 0.8))
            ],
        },
    }


MASS = 1.5
engine = pnp.run_gas_engine(leg(5.0), leg(20.0, 20), points=3, settings=pnp.GasSettings(time=50000.0, replicas=1))
print("bias   round the loop        from end to end       power                 over heat (Carnot's: 1/3)")
for point in engine.points:
    found = (point.current, point.net, point.power, point.efficiency)
    print(f"{point.load:.3f}" + "".join(f"  {one.mean:+.5f} +- {one.error:.5f}" for one in found))

# %% [markdown]
# Particles go round, no net current flows, and work is done. What does theory say? Nothing is in the way in leg A, so
# that its currents are those of effusion, `T e^(mu/T)/planck` from either end with the energy `T` each, at whatever
# `mu` has floated to. Through B they come back.

# %%
temperatures = np.array([1.2, 0.8])
middle = np.log(1.0 / np.sqrt(2 * np.pi * MASS * temperatures)).mean()  # of mu/T, as both reservoirs began


def effusion(force: float, bias: float) -> np.ndarray:
    """Currents of particles and energy; at the cold end the bias raises mu inside."""
    rates = temperatures * np.exp(middle + np.array([force / 2, -force / 2 + bias / 0.8]))
    return np.array([rates[0] - rates[1], temperatures @ (rates * [1, -1])])


for point in engine.points:
    force, wide = float(point.force.mean), float(point.force.error)
    exact = effusion(force, point.load / 2)
    error = np.hypot(point.currents.error[0], np.abs(effusion(force + wide, point.load / 2) - exact))
    assert np.all(np.abs(point.currents.mean[0] - exact) < 4 * error)
    assert abs(point.net.mean) < 4 * point.net.error
    assert point.efficiency.mean < 1 / 3  # Carnot

# %% [markdown]
# ## Linear theory
#
# Each leg has an Onsager matrix `L` over its length: the conductance `g = L_bb`, the energy `r = L_bu/L_bb` that a
# bullet carries, and the leak of heat `kappa = L_uu - L_bu^2/L_bb`. Kirchhoff's laws for the two in a loop give
#
#     I = K [(r_A - r_B) F_u - U/T_cold] ,    K = g_A g_B/(g_A + g_B) ,    F_u = 1/T_cold - 1/T_hot ,
#     YT = K (r_A - r_B)^2/(kappa_A + kappa_B) ,    eta_max/eta_Carnot = (sqrt(1 + YT) - 1)/(sqrt(1 + YT) + 1) .
#
# Leg B is measured by its response to small forces of either sign, apart from any loop. The straight line through the
# currents of the loop is to end at the bias that this predicts, and to deliver its maximum power.

# %%
measured = engine.linear["measured"]
driver = 1 / 0.8 - 1 / 1.2
stopping = measured.of(lambda linear: linear.stopping_load(driver) * 0.8)
power = measured.of(lambda linear: linear.best_power(driver) * 0.8)
for words, predicted, seen in zip(("stopping bias", "maximum power"), (stopping, power), engine.line, strict=True):
    print(f"{words}: linear {predicted.mean:.4f} +- {predicted.error:.4f}, loop {seen.mean:.4f} +- {seen.error:.4f}")
    assert abs(predicted.mean - seen.mean) < 4 * np.hypot(predicted.error, seen.error)
    assert seen.mean > 4 * seen.error

# %% [markdown]
# ## No zero of energy
#
# `r` of a leg depends on where energies count from: `r -> r + e_0`. An engine does not, because no net current flows:
# what is booked for bullets that go is booked back for those that come. Only `r_A - r_B` is in its formulas.

# %%
legs = [coefficients.onsager.matrix for coefficients in measured.coefficients]
for zero in (-5.0, 0.0, 5.0):
    moved = [np.array([[1, 0], [zero, 1]]) @ matrix @ np.array([[1, zero], [0, 1]]) for matrix in legs]
    linear = LinearEngine(*(LinearLeg(matrix) for matrix in moved))
    ratios = linear.first.ratio, linear.second.ratio
    print(f"zero at {zero:+.0f}: r_A {ratios[0]:+.3f}, r_B {ratios[1]:+.3f}, YT {linear.figure_of_merit:.4f}")
    assert np.isclose(linear.figure_of_merit, measured.engine.figure_of_merit, rtol=1e-9)

# %% [markdown]
# ## How good can it be?
#
# Small barriers have a limit without noise, in which everything depends on `h^2 L`. Beside a free leg, with the number
# of copies of either that is best, `YT = g_B (r_A - r_B)^2/(sqrt(g_B) + sqrt(kappa_B))^2`. It grows up to a bound, that
# of long gases, which one integral gives.

# %%
limit = KineticLimit((MASS, 1.0), (1.0, 1.0))
h2l = np.geomspace(1.0, 1e6, 25)


def best_merit(b: Onsager) -> float:
    """YT of a leg beside so many free ones that it is greatest, at T = 1."""
    free = np.sqrt(b.conductance * b.heat_conductance)  # g_A, which is kappa_A too
    return loop_figure_of_merit(Onsager(np.array([[free, free], [free, 2 * free]])), b)


merits = [best_merit(limit.onsager(value)) for value in h2l]

# exact: K = 0 in the flow that closes the matrix of bullets, energy and open rods (docstring of KineticLimit)
e_b, e_r = np.sqrt(1 / (2 * np.pi * MASS)), np.sqrt(1 / (2 * np.pi))


def weight(v: float) -> float:
    """``v w``, a sum of resistances: ``1/w = 1/(m_b^2 f_b) + 1/(m_r^2 f_r)``, f Maxwell's."""
    bullets, rods = (m**2 * np.sqrt(m / (2 * np.pi)) * np.exp(-m * v**2 / 2) for m in (MASS, 1.0))
    return v * bullets * rods / (bullets + rods)


x = quad(weight, 0, 30)[0] / MASS
both = np.array([[e_b - x / MASS, e_b, x], [e_b, 2 * (e_b + e_r), e_r], [x, e_r, e_r - x * MASS]])
closed = both[:2, :2] - np.outer(both[:2, 2], both[2, :2]) / both[2, 2]
bound = best_merit(Onsager(closed))
print("h^2 L   YT      eta_max/eta_Carnot")
for value, merit in zip(h2l[::4], merits[::4], strict=True):
    print(f"{value:7.0f} {merit:6.3f}  {(np.sqrt(1 + merit) - 1) / (np.sqrt(1 + merit) + 1):.3f}")
print(f"bound of long gases: {bound:.3f}")
assert np.isclose(best_merit(limit.onsager(np.inf)), bound, rtol=1e-3)
assert np.all(np.diff(merits) > 0)
assert merits[-1] < bound

# %% [markdown]
# ## Two membranes
#
# Salt instead of heat, charges instead of bullets, at one temperature: an ion `a` of the diffusivity `D_a` in thin
# membranes without a fixed charge. In leg A the cation is four times as fast as the anion, in leg B it is the other
# way round. About equilibrium Nernst-Planck has `L_aa = D_a c`, and the whole engine is a formula,
#
#     Z = (D_+ - D_-)^2/(4 D_+ D_-) ,    eta_max = [(sqrt(D_+) - sqrt(D_-))/(sqrt(D_+) + sqrt(D_-))]^2 ,
#
# while the open circuit is at twice the liquid junction potential, `(D_+ - D_-)/(D_+ + D_-)` times the logarithm of
# the ratio of concentrations, at any concentrations if the Debye length is small.

# %%
FAST, SLOW, HIGH, LOW = 4.0, 1.0, 2e-3, 1e-3


def junction(cation: float, anion: float) -> dict:
    """A salt of two concentrations at the ends of a slab in which its ions have these diffusivities."""
    return {
        "model": {"units": "dimensionless", "law": "pnp", "electrostatics": "poisson", "debye_length": 1e-4},
        "species": [
            {"name": "cation", "charge": 1, "diffusivity": cation},
            {"name": "anion", "charge": -1, "diffusivity": anion},
        ],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": where, "kind": "reservoir", "fraction": {"cation": c, "anion": c}, "potential": 0.0}
            for where, c in (("left", HIGH), ("right", LOW))
        ],
    }


salt = pnp.run_engine(junction(FAST, SLOW), junction(SLOW, FAST), points=11)
conversion = salt.linear.conversion
print(f"Z {salt.linear.figure_of_merit:.6f}, eta_max {conversion.best_efficiency:.6f}")
print(f"open circuit {salt.open_circuit_voltage:.5f} kT/e; best efficiency {salt.best_efficiency.efficiency:.4f}")
assert np.isclose(salt.linear.figure_of_merit, (FAST - SLOW) ** 2 / (4 * FAST * SLOW), rtol=1e-6)
assert np.isclose(conversion.best_efficiency, (np.sqrt(FAST) - 1) ** 2 / (np.sqrt(FAST) + 1) ** 2, rtol=1e-6)
assert np.isclose(salt.open_circuit_voltage, 2 * (FAST - SLOW) / (FAST + SLOW) * np.log(HIGH / LOW), rtol=1e-3)
for state in salt.curve:  # what the reservoirs lose at their ends is work and what is dissipated inside
    assert np.isclose(state.consumption, state.power + state.entropy_production, rtol=1e-7)

# %% [markdown]
# What goes round falls on a line over the load; between no load and the one that stops it, the engine is worth most.

# %%
figure, (gases, figures_of_merit, salts) = plt.subplots(1, 3, figsize=(12.0, 3.8), layout="constrained")
loads = np.linspace(0.0, 1.1 * float(stopping.mean), 21)
theory = [measured.of(lambda one, load=load: one.conductance * (one.ratio * driver - load / 0.8)) for load in loads]
line, width = np.array(theory, dtype=float).T
gases.fill_between(loads, line - width, line + width, alpha=0.2)
gases.plot(loads, line, label="linear theory, legs as measured")
values, errors = np.array([point.current for point in engine.points], dtype=float).T
gases.errorbar([point.load for point in engine.points], values, errors, fmt="o", capsize=2, label="the loop")
gases.axhline(0.0, color="black", linewidth=0.8)
gases.set_xlabel("bias")
gases.set_ylabel("current round the loop")
gases.set_title("gases: heat")
gases.legend(fontsize=8)
figures_of_merit.semilogx(h2l, merits, label="beside free legs")
figures_of_merit.axhline(bound, linestyle="--", color="0.5", label="long gases")
figures_of_merit.set_xlabel("h² L")
figures_of_merit.set_ylabel("YT")
figures_of_merit.set_title("gases: how good")
figures_of_merit.legend(fontsize=8)
voltages = np.linspace(0.0, salt.linear.stopping_load(salt.salinity), 101)
salts.plot(voltages, conversion.efficiency(-voltages, salt.salinity), label="linear theory")
salts.plot([state.load for state in salt.curve], [state.efficiency for state in salt.curve], "o", label="solver")
salts.set_xlabel("voltage of the load [kT/e]")
salts.set_ylabel("efficiency")
salts.set_title("membranes: salt")
salts.legend(fontsize=8)
