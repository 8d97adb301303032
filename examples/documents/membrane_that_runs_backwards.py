# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A membrane that runs backwards
#
# A positively charged membrane between salt of 2 and 0.5 mol/L, with -40 mV on the concentrated side. The
# concentration drives sodium to the right, the voltage to the left, and the concentration is stronger: the
# driving force on sodium is +1.35 kT. All the same, in the hydrodynamic limit of stirred particles, sodium runs
# to the *left*.

# %%
"""A cation that flows against its own driving force: who pays, and at which voltage it begins."""

import tomllib

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq

import pnp_exclusion as pnp

# %%
MEMBRANE = """
[model]
law = "shdl"
temperature = "298.15 K"
permittivity = 78.5
lattice_spacing = "0.7 nm"
[[species]]
name = "Na"
charge = 1
diffusivity = "1.6e-9 m^2/s"
[[species]]
name = "Cl"
charge = -1
diffusivity = "1.6e-9 m^2/s"
[domain]
shape = "interval"
length = "5 nm"
[[regions]]
name = "membrane"
x = ["1.25 nm", "3.75 nm"]
fixed_charge = "1.45 mol/L"
[[boundaries]]
where = "left"
kind = "reservoir"
concentration = { Na = "2 mol/L", Cl = "2 mol/L" }
potential = "-40 mV"
[[boundaries]]
where = "right"
kind = "reservoir"
concentration = { Na = "0.5 mol/L", Cl = "0.5 mol/L" }
potential = "0 V"
"""


def membrane(law: str, millivolts: float = -40.0) -> pnp.Case:
    """The membrane under a flux law, with a voltage on its left."""
    tables = tomllib.loads(MEMBRANE)
    tables["model"]["law"] = law
    tables["boundaries"][0]["potential"] = f"{millivolts!r} mV"
    return pnp.make_case(tables)


# %% [markdown]
# ## Four laws, one force

# %%
solutions = {law: pnp.solve(membrane(law)) for law in ("pnp", "mpnp", "vacancy", "shdl")}
for law, solution in solutions.items():
    flux = solution.summary()["flux"]["right"]
    for name in ("Na", "Cl"):
        print(
            f"{law:8s} {name}: {flux[name]['value']:9.1f} {flux[name]['unit']}, "
            f"force {solution.forces[name]:+.2f} kT, {solution.regimes[name]}"
        )

# %% [markdown]
# ## Who pays
#
# Chloride, on which concentration and voltage pull the same way. The free energy that the two dissipate together,
# `J_Na F_Na + J_Cl F_Cl`, stays positive; what sodium gains against its force is paid by chloride, which drags it
# along. The master identity makes this exact for any steady state in one dimension: with the conductances `G_a =
# 1/<1/rho_a>` and `G_0 = 1/<1/rho_0>` of the profile,
#
#     J_Na = G_Na (F_Na - Fbar),    Fbar = (G_Na F_Na + G_Cl F_Cl) / (G_0 + G_Na + G_Cl)
#
# A law without such a drag (`pnp`, `mpnp`, `vacancy`) has `Fbar = 0`: no current of its can be inverse.

# %%
stirred = solutions["shdl"]
vacancy_resistance = stirred.steady.resistance[0, 1]
conductance = 1.0 / (np.diagonal(stirred.steady.resistance) - vacancy_resistance)
force = np.array([stirred.forces["Na"], stirred.forces["Cl"]])
drag = conductance @ force / (1.0 / vacancy_resistance + conductance.sum())
print(f"force on Na {force[0]:.3f} kT, drag {drag:.3f} kT, on Cl {force[1]:.3f} kT")
current = np.array([stirred.steady.currents["Na"], stirred.steady.currents["Cl"]])
assert np.allclose(current, conductance * (force - drag), rtol=1e-7)  # docs/theory.md#master-identity
assert force[0] > 0.0 > current[0]
assert current @ force > 0.0
assert [law for law, solution in solutions.items() if "inverse" in solution.regimes.values()] == ["shdl"]

# %% [markdown]
# ## Where it begins
#
# Lower the voltage step by step. With `mpnp` sodium turns round where its force vanishes, at a voltage that only the
# reservoirs decide. With `shdl` it turns round at less than half of that; in between it runs backwards.


# %%
def sodium(law: str, millivolts: float) -> float:
    """The current of sodium to the right, mol/m^2/s."""
    return pnp.solve(membrane(law, millivolts)).currents["Na"]


voltages = np.linspace(-100.0, 0.0, 11)
figure, axis = plt.subplots()
thresholds = {}
for law in ("mpnp", "shdl"):
    axis.plot(voltages, [sodium(law, float(voltage)) for voltage in voltages], "o-", label=law)
    thresholds[law] = brentq(lambda voltage, law=law: sodium(law, voltage), -100.0, -10.0, xtol=1e-3)
    print(f"{law}: sodium stands still at {thresholds[law]:.3f} mV")
axis.axvspan(thresholds["mpnp"], thresholds["shdl"], alpha=0.15, label="shdl: against its own driving force")
axis.axhline(0.0, color="black", linewidth=0.8)
axis.set_xlabel("voltage on the left [mV]")
axis.set_ylabel("flux of sodium [mol/m²/s]")
axis.legend()

# %%
# exact: F_Na = 0, that is V = -(kT/e) log[rho^L rho_0^R / (rho^R rho_0^L)] (docs/theory.md#uphill)
KT_OVER_E, FULL = 1.380649e-23 * 298.15 / 1.602176634e-19 * 1e3, 1e-3 / (6.02214076e23 * 0.7e-9**3)
left, right = 2.0 / FULL, 0.5 / FULL
exact = -KT_OVER_E * np.log(left * (1.0 - 2.0 * right) / (right * (1.0 - 2.0 * left)))
print(f"the force on sodium vanishes at {exact:.3f} mV")
assert abs(thresholds["mpnp"] / exact - 1.0) < 1e-4
assert exact < thresholds["shdl"] < -10.0

# %% [markdown]
# How the threshold depends on the charge of the membrane, and on the salt:
#
#     pnp-exclusion diagram examples/diagrams/membrane_charge.toml --law shdl,mpnp -o results/membrane-charge
#     pnp-exclusion diagram examples/diagrams/membrane_salt.toml --law shdl,mpnp -o results/membrane-salt
#
# Whether real particles do this, not only their continuum limit: `pnp-exclusion lattice examples/membrane.toml`.
