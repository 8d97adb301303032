# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # When crowding matters
#
# Ions are drawn as points in the Poisson-Nernst-Planck equations. When does their size change the answer? At an
# electrode: as soon as the voltage would pack them more densely than they fit. In transport: as soon as the salt
# fills a good part of the space, and then it also matters *how* ions get past each other.

# %%
"""When the size of ions changes the charge of a double layer, and the diffusion of a salt."""

import matplotlib.pyplot as plt
import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.exact import CrowdedLayer, PointIonLayer

# %% [markdown]
# ## At an electrode
#
# A salt of which either ion fills 5 % of the bulk, against a blocking electrode. Point ions (Gouy and Chapman) pile
# up like `exp(V)`; ions with a size (Bikerman) cannot exceed full packing, and the charge grows like `sqrt(V)`
# instead. All crowded laws share this equilibrium; only currents tell them apart.

# %%
BULK, DEBYE = 0.05, 0.02


def electrode(voltage: float, law: str) -> pnp.Case:
    """An electrode on the left at a voltage in kT/e, a reservoir of salt on the right."""
    return pnp.make_case(
        {
            "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": DEBYE},
            "species": [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}],
            "domain": {"shape": "interval", "length": 1.0},
            "boundaries": [
                {"where": "left", "kind": "electrode", "potential": voltage},
                {"where": "right", "kind": "reservoir", "fraction": {"cation": BULK, "anion": BULK}, "potential": 0.0},
            ],
        }
    )


points, crowded = PointIonLayer(BULK, DEBYE), CrowdedLayer(BULK, DEBYE)
voltages = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0])
print("V [kT/e]   charge: point ions   crowded   solver (mpnp)")
charges = []
for voltage in voltages:
    charges.append(pnp.solve(electrode(float(voltage), "mpnp")).steady.totals.charge["left"])
    exact = float(points.surface_charge(voltage)), float(crowded.surface_charge(voltage))
    print(f"{voltage:8g}   {exact[0]:18.5g}   {exact[1]:7.5g}   {charges[-1]:12.7g}")

# %% [markdown]
# The two part ways at about `V = log(1/packing)`, 2.3 here: there the point ions would fill the space.

# %%
# exact: Kilic, Bazant, Ajdari, Phys. Rev. E 75, 021502 (2007):
# sigma = lambda sqrt(2 log[1 + 2 nu sinh^2(V/2)]), nu = 2 BULK the packing of the bulk
closed_form = DEBYE * np.sqrt(2.0 * np.log1p(4.0 * BULK * np.sinh(0.5 * voltages) ** 2))
assert np.allclose(charges, closed_form, rtol=1e-6)
figure, axis = plt.subplots()
dense = np.linspace(0.1, 16.0, 200)
axis.semilogy(dense, points.surface_charge(dense), "--", label="point ions")
axis.semilogy(dense, crowded.surface_charge(dense), label="crowded")
axis.semilogy(voltages, charges, "o", label="solver")
axis.axvline(np.log(1.0 / (2.0 * BULK)), color="0.6")
axis.set_xlabel("voltage [kT/e]")
axis.set_ylabel("charge")
axis.legend()

# %% [markdown]
# ## In transport
#
# The same salt now diffuses between two reservoirs, cations and anions alike, so that no potential builds up. `mpnp`
# predicts a flux of `-c'/(1 - 2c)` of either ion: the crowd pushes. `shdl` predicts plain diffusion, `-c'`: what
# pushes from one side must let others pass. A measurement of how fast a concentrated salt diffuses tells the two
# apart.


# %%
def gradient(left: float, right: float, law: str) -> pnp.Case:
    """A salt that diffuses from left to right, without a voltage."""
    tables = electrode(0.0, law).as_written()
    tables["boundaries"] = [
        {"where": where, "kind": "reservoir", "fraction": {"cation": c, "anion": c}, "potential": 0.0}
        for where, c in (("left", left), ("right", right))
    ]
    return pnp.make_case(tables)


print("salt [mol/L] at 0.7 nm   packing   mpnp over shdl")
FULL = 1e-3 / (6.02214076e23 * 0.7e-9**3)
for molar in (0.01, 0.1, 0.5, 1.0, 2.0):
    fraction = molar / FULL
    flows = {law: pnp.solve(gradient(fraction, 0.5 * fraction, law)).currents["cation"] for law in ("mpnp", "shdl")}
    ratio = flows["mpnp"] / flows["shdl"]
    print(f"{molar:22g}   {2 * fraction:7.3f}   {ratio:14.5f}")
    # exact: the integral of -c'/(1 - 2c) over that of -c' (docs/theory.md#shdl-and-mpnp)
    assert np.isclose(ratio, 0.5 * np.log((1 - fraction) / (1 - 2 * fraction)) / (0.5 * fraction), rtol=1e-6)

# %% [markdown]
# At 0.1 mol/L the difference is three per cent, at 2 mol/L it is a factor of three. With a current through a membrane
# the laws can even disagree about its direction: see `membrane_that_runs_backwards.py`.
