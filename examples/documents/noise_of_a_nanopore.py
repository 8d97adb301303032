# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # What the noise of a nanopore says
#
# A current is made of single ions, so that it fluctuates. Measured spectra of nanopores have thermal noise at high
# frequencies, at low ones what the current adds to it, and below some kilohertz the 1/f noise of walls and membranes,
# which is no matter of the ions alone and not in this theory. This document computes the first two for a conical pore,
# about its steady states, without drawing a single random number.

# %%
"""The noise of a conical nanopore at rest and driven either way: thermal, excess, and its spectrum."""

import matplotlib.pyplot as plt
import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.runtime.fenicsx import initialise_petsc

# loads DOLFINx in the order that every distribution of it needs
initialise_petsc()

from mpi4py import MPI  # noqa: E402

from dolfinx import mesh as dmesh  # noqa: E402

# %% [markdown]
# ## The pore
#
# A cone of 20 nm from a mouth of 1.5 nm to one of 5 nm, its wall charged, around its axis: half of its section is the
# mesh, a rectangle that is stretched, finer at the wall and the mouths. Reservoirs are at the mouths.

# %%
LENGTH, NARROW, WIDE = 20.0, 1.5, 5.0  # nm
mesh = dmesh.create_rectangle(MPI.COMM_SELF, [[0.0, 0.0], [1.0, 1.0]], [20, 6])
along, out = mesh.geometry.x[:, 0].copy(), mesh.geometry.x[:, 1].copy()
mesh.geometry.x[:, 0] = 0.5 * LENGTH * (1.0 - np.cos(np.pi * along))
radius = NARROW + (WIDE - NARROW) * mesh.geometry.x[:, 0] / LENGTH
mesh.geometry.x[:, 1] = radius * np.sin(0.5 * np.pi * out)


def wall(points):
    """Return which points are on the wall."""
    return np.isclose(points[1], NARROW + (WIDE - NARROW) * points[0] / LENGTH)


pore = pnp.Mesh(
    mesh=mesh,
    boundaries={
        "narrow": lambda points: np.isclose(points[0], 0.0),
        "wide": lambda points: np.isclose(points[0], LENGTH),
        "wall": wall,
    },
    unit="1 nm",
    coordinates="axisymmetric",
    axis="x",
)
SALT = {"K": "0.1 mol/L", "Cl": "0.1 mol/L"}


def at(millivolts):
    """Return the steady state with a voltage on the narrow mouth."""
    case = pnp.Case(
        model=pnp.Model("pnp"),
        species=[
            pnp.Species(name="K", charge=1, diffusivity="1.96e-9 m^2/s"),
            pnp.Species(name="Cl", charge=-1, diffusivity="2.03e-9 m^2/s"),
        ],
        domain=pore,
        boundaries=[
            pnp.Reservoir(where="narrow", concentration=SALT, potential=f"{millivolts} mV"),
            pnp.Reservoir(where="wide", concentration=SALT, potential="0 V"),
            pnp.Wall(where="wall", surface_charge="-20 mC/m^2"),
        ],
    )
    return pnp.solve(case)


def amperes(solution):
    """Return the electric current."""
    return 96485.33 * (solution.currents["K"] - solution.currents["Cl"])


# %% [markdown]
# ## At rest: Johnson and Nyquist
#
# Without a voltage the noise is that of a resistor, `4 kT Re Y`, at every frequency, and at frequency zero `4 kT G`
# with the conductance that a millivolt measures. Both come out: the first to rounding on any mesh, as the discrete
# equations keep the theorem of fluctuation and dissipation.

# %%
KT = 1.380649e-23 * 298.15
band = np.geomspace(1e5, 3e10, 12)
rest = at(0.0).noise(band)
conductance = (amperes(at(1.0)) - amperes(at(-1.0))) / 2e-3
print(f"conductance: {conductance * 1e9:.4f} nS")
print(f"noise over thermal noise, at most: {rest.thermal[np.isfinite(rest.thermal)].max():.9f}")
print(f"noise at frequency zero over 4 kT G: {rest.electric_at_zero[0, 0] / (4.0 * KT * conductance):.6f}")

# %% [markdown]
# ## Driven: what the current adds
#
# At half a volt, twenty `kT/e`, the slow noise is some ten times that of a resistor, and near `2 e I`: ions pass nearly
# one by one. What tells of it is the Fano factor, `S/(2 e |I|)`, less than 1 where passages are spaced more evenly. The
# flows of K and Cl, which are opposite, are correlated negatively: their electric currents swell and shrink together.
# `J S^-1 J`, the precision of all currents, is not more than half the entropy production.

# %%
driven = {millivolts: at(millivolts) for millivolts in (-500.0, 500.0)}
spectra = {millivolts: solution.noise(band) for millivolts, solution in driven.items()}
for millivolts, noise in spectra.items():
    print(f"{millivolts:+.0f} mV: {amperes(driven[millivolts]) * 1e9:.3f} nA")
    print(f"  noise over thermal noise at 0.1 MHz: {noise.thermal[0, 0]:.3f}")
    print(f"  Fano factor: {noise.electric_fano[0]:.4f}")
    print(f"  correlation of K and Cl: {noise.correlation('narrow', 'K', 'Cl'):.4f}")
    print(f"  precision over what the entropy production allows: {noise.uncertainty:.4f}")
assert all(noise.uncertainty < 1.0 for noise in spectra.values())

# %% [markdown]
# ## The spectrum
#
# From ten megahertz on ions have no time any more to cross the pore, and what the current adds falls off, in another
# way at either sign of the voltage, as the cone has two unlike ends. Fast enough, the noise is that of all ions
# jittering where they are, whatever drives them.

# %%
figure, axis = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
axis.semilogx(band, rest.electric[:, 0, 0].real * 1e28, color="0.3", label="at rest: thermal")
for colour, (millivolts, noise) in zip(("#0072b2", "#d55e00"), spectra.items(), strict=True):
    own = noise.electric[:, 0, 0].real
    axis.semilogx(band, own * 1e28, color=colour, label=f"{millivolts:+.0f} mV")
    axis.semilogx(band, own / noise.thermal[:, 0] * 1e28, ":", color=colour, label=f"{millivolts:+.0f} mV, 4 kT Re Y")
axis.set_xlabel("frequency [Hz]")
axis.set_ylabel("noise of the current [10⁻²⁸ A²/Hz]")
axis.legend()
plt.show()

# %% [markdown]
# ## Limits
#
# The theory is the leading order in the number of ions: a pore of this size holds some hundred, so that corrections of
# a percent are to be expected. The 1/f noise of walls, the dielectric noise of the membrane and that of the amplifier
# come on top.
