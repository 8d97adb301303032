# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A charged slit without any file
#
# A slit between two salt solutions, whose walls carry a surface charge, is the simplest nanopore. This document makes
# it of objects alone: a mesh of one's own, a flux law of one's own, a loop over voltages, a table and a picture.
# Numbers are in SI units; a text with a unit is taken as well.

# %%
"""A slit with charged walls from Python objects: mesh, law, voltages, xarray, picture."""

import matplotlib.pyplot as plt
import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.runtime.fenicsx import initialise_petsc

# loads DOLFINx in the order that every distribution of it needs
initialise_petsc()

from mpi4py import MPI  # noqa: E402

from dolfinx import mesh as dmesh  # noqa: E402

# %% [markdown]
# ## The mesh
#
# Any dolfinx mesh will do. This one is a rectangle of 60 nm by 8 nm, finer towards its walls and its mouths. Boundaries
# are named by functions of the coordinates; numbers of facets or MeshTags serve as well.

# %%
LENGTH, HEIGHT = 60.0, 8.0  # nm
mesh = dmesh.create_rectangle(MPI.COMM_SELF, [[0.0, 0.0], [1.0, 1.0]], [48, 24])
x, y = mesh.geometry.x[:, 0].copy(), mesh.geometry.x[:, 1].copy()
mesh.geometry.x[:, 0] = 0.5 * LENGTH * (1.0 - np.cos(np.pi * x))
mesh.geometry.x[:, 1] = 0.5 * HEIGHT * (1.0 - np.cos(np.pi * y))

slit = pnp.Mesh(
    mesh=mesh,
    boundaries={
        "inlet": lambda x: np.isclose(x[0], 0.0),
        "outlet": lambda x: np.isclose(x[0], LENGTH),
        "walls": lambda x: np.isclose(x[1], 0.0) | np.isclose(x[1], HEIGHT),
    },
    unit="1 nm",
)

# %% [markdown]
# ## The law
#
# A law is the rate at which a particle of species `a` changes places with one of `b`, or with a vacancy (`b = 0`). Here
# unlike ions change places half as readily as ions and vacancies.


# %%
def exchange(a, b, rho, diffusivity):
    """Return the exchange coefficient of a pair."""
    hindrance = 1.0 if b == 0 else 0.5
    return hindrance * diffusivity[a] * rho[a] * rho[b]


law = pnp.Law("half stirring", exchange, equal_diffusivities=True)

# %% [markdown]
# ## The case
#
# 0.1 mol/L of a salt on both sides, and walls with -20 mC/m^2.

# %%
SALT = {"K": "0.1 mol/L", "Cl": "0.1 mol/L"}
CHARGE = -0.02  # C/m^2
case = pnp.Case(
    title="A charged slit",
    model=pnp.Model(law, lattice_spacing="0.6 nm"),
    species=[
        pnp.Species(name="K", charge=1, diffusivity=2e-9),
        pnp.Species(name="Cl", charge=-1, diffusivity=2e-9),
    ],
    domain=slit,
    boundaries=[
        pnp.Reservoir(where="inlet", concentration=SALT, potential=0.0),
        pnp.Reservoir(where="outlet", concentration=SALT, potential=0.0),
        pnp.Wall(where="walls", surface_charge=CHARGE),
    ],
)

# %% [markdown]
# ## A loop over voltages
#
# Every solution keeps its own state, so they can be read in any order. The slit selects potassium: the walls draw it in
# and push chloride out.

# %%
voltages = np.array([-0.1, -0.05, 0.05, 0.1])
solutions = [
    pnp.solve(case.varied({"boundaries.inlet.potential": float(volts)}), comm=MPI.COMM_SELF) for volts in voltages
]
FARADAY = 96485.33212
electric = np.array([FARADAY * (s.currents["K"] - s.currents["Cl"]) for s in solutions])
for volts, solution, current in zip(voltages, solutions, electric, strict=True):
    share = solution.currents["K"] / (solution.currents["K"] - solution.currents["Cl"])
    print(f"{1e3 * volts:6.1f} mV: {current:10.4e} A/m, carried by potassium: {share:.4f}")
assert np.allclose(electric, -electric[::-1], rtol=1e-6)  # the slit is the same from either side

# %% [markdown]
# The charge on the walls is what was given, times their length:

# %%
on_walls = solutions[0].summary()["charge"]["walls"]["value"]
print(f"on the walls: {on_walls:.6e} C/m")
assert np.isclose(on_walls, 2.0 * CHARGE * LENGTH * 1e-9, rtol=1e-9)

# %% [markdown]
# ## A table and a picture
#
# `to_xarray` returns every field at every node, in SI units with names and units; `plot` returns a figure.

# %%
fields = solutions[-1].to_xarray()
print(fields["concentration"].attrs["units"], dict(fields.sizes))
middle = fields.isel(node=np.abs(fields.x - 0.5 * LENGTH * 1e-9).argsort()[:49].values)
excess = float((middle["concentration"].sel(species="K") - middle["concentration"].sel(species="Cl")).mean())
print(f"excess of potassium across the middle: {excess:.1f} mol/m^3")

figure = solutions[-1].plot()
fig, axis = plt.subplots()
axis.plot(1e3 * voltages, 1e3 * electric, "o-")
axis.set_xlabel("voltage, mV")
axis.set_ylabel("current, mA/m")
plt.show()
