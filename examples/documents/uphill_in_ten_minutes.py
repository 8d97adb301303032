# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Uphill transport in ten minutes
#
# A species of particles normally runs from where there is more of it to where there is less. *Uphill* transport is
# the opposite. Two things can bring it about: a force from outside, and a crowd of other particles. This document
# shows both, and the map of where they win. It runs as it is, or as a notebook: `jupytext --to ipynb
# uphill_in_ten_minutes.py`.

# %%
"""Uphill transport: by a crowd, by a field, and the map of both."""

import matplotlib.pyplot as plt
import numpy as np

import pnp_exclusion as pnp
from pnp_exclusion.studies.diagram.compute import diagrams_of

# %% [markdown]
# ## Two species in a channel
#
# Species A and B share a lattice between two reservoirs. Lengths are in the channel's length, energies in kT,
# densities as volume fractions of the lattice. On the left there is 0.3 of A and 0.1 of B; on the right a little
# less A, but a crowd of B: 0.25 and 0.6, which leaves only 15 % of the sites empty.

# %%
LEFT, RIGHT = {"A": 0.3, "B": 0.1}, {"A": 0.25, "B": 0.6}


def channel(law: str, field_a: float = 0.0, field_b: float = 0.0, **tables: object) -> pnp.Case:
    """The channel under one of the flux laws, with a force on the particles of each species (kT per length)."""
    return pnp.make_case(
        {
            "model": {"units": "dimensionless", "law": law, "electrostatics": "imposed"},
            "species": [{"name": "A", "field": field_a}, {"name": "B", "field": field_b}],
            "domain": {"shape": "interval", "length": 1.0},
            "boundaries": [
                {"where": "left", "kind": "reservoir", "fraction": LEFT},
                {"where": "right", "kind": "reservoir", "fraction": RIGHT},
            ],
            **tables,
        }
    )


# %% [markdown]
# ## Without any field: the crowd
#
# Four laws say how particles move. Point ions (`pnp`) do not see each other, and A diffuses down its gradient. With
# Bikerman's crowding (`mpnp`), A runs *uphill*: few sites are empty on the right, the many B press back to the left,
# and that pressure is felt by A too. Its driving force, the drop of `log(rho_A / rho_0)`, points to the left,
# and the current follows the force. That happens whenever the ratio of A's concentrations lies between 1 and
# the ratio of the vacancies'.

# %%
solutions = {law: pnp.solve(channel(law)) for law in ("pnp", "mpnp", "vacancy", "shdl")}
for law, solution in solutions.items():
    current, force = solution.currents["A"], solution.forces["A"]
    print(f"{law:8s} J_A = {current:+.4f}   F_A = {force:+.3f} kT   {solution.regimes['A']}")

# %% [markdown]
# Hopping into vacancies (`vacancy`) agrees in sign. Stirring (`shdl`), in which unlike particles change places as
# readily as particles and vacancies, does not: without a field every species just diffuses, `J_A = 0.3 - 0.25`, down
# its gradient and thus *against* its own driving force. Such a current is called inverse; B pays for it.

# %%
# exact: J = rho_L - rho_R for shdl without fields (Casini et al., arXiv 2602.08583). For vacancy hopping rho_0 is
# linear and J = -rho_0^2 (rho_A/rho_0)', so that J_A = rho_A^L rho_0^R - rho_A^R rho_0^L
assert abs(solutions["shdl"].currents["A"] - 0.05) < 1e-9
assert abs(solutions["vacancy"].currents["A"] - (0.3 * 0.15 - 0.25 * 0.6)) < 1e-8
assert solutions["mpnp"].regimes["A"] == "uphill-steric"
assert solutions["shdl"].regimes["A"] == "inverse"

# %% [markdown]
# ## With a field
#
# A field on A pushes it along. With `mpnp` the current changes sign exactly where the field balances the force of the
# crowd, at `E_A = log[rho_A^R rho_0^L / (rho_A^L rho_0^R)]`, whatever the field on B may be. With `shdl` the field on
# B matters as well, because B drags A along.

# %%
fields = np.linspace(-4.0, 4.0, 9)
figure, axis = plt.subplots()
crossings = {}
for law, field_b in (("mpnp", 0.0), ("mpnp", 6.0), ("shdl", 0.0), ("shdl", 6.0)):
    currents = [pnp.solve(channel(law, field, field_b)).currents["A"] for field in fields]
    crossings[law, field_b] = float(np.interp(0.0, currents, fields))
    axis.plot(fields, currents, "o-", label=f"{law}, E_B = {field_b:g}")
axis.axhline(0.0, color="black", linewidth=0.8)
axis.set_xlabel("E_A [kT/L]")
axis.set_ylabel("J_A [D/L]")
axis.legend()
balance = np.log(0.25 * 0.6 / (0.3 * 0.15))
for (law, field_b), crossing in crossings.items():
    print(f"{law}, E_B = {field_b:g}: A stands still at E_A = {crossing:.3f}; its force vanishes at {balance:.3f}")

# %% [markdown]
# ## The map
#
# Over both fields the borders of the regimes are lines; `pnp-exclusion diagram` finds them with about a hundred
# solves. All of them meet in one point, global equilibrium, where nothing flows. Between a solid line (no current)
# and the dashed line of the same colour (no force) a species runs against its own driving force.

# %%
axes = {
    "x": {"key": "species.A.field", "name": "E_A", "from": -10.0, "to": 10.0},
    "y": {"key": "species.B.field", "name": "E_B", "from": -10.0, "to": 10.0},
}
(diagram,) = diagrams_of(channel("shdl", diagram=axes))
figure, axis = plt.subplots()
for border in diagram.borders:
    style = {"current": "-", "force": "--"}[border.kind]
    axis.plot(*diagram.plane.coordinates(border.points).T, style, color=("C0", "C3")[border.species])
(common,) = diagram.common_points
equilibrium = diagram.plane.coordinates(common.point)
axis.plot(*equilibrium, "ko")
axis.set_xlabel("E_A [kT/L]")
axis.set_ylabel("E_B [kT/L]")
uphill = sum(region.share for region in diagram.regions if region.uphill[0])
print(f"{diagram.solves} solves; A runs uphill on {uphill:.1%} of the square; equilibrium at {equilibrium}")

# %%
# exact: at equilibrium the fields balance log[rho_a^R rho_0^L/(rho_a^L rho_0^R)] of either species
assert np.allclose(equilibrium, [balance, np.log(0.6 * 0.6 / (0.1 * 0.15))], atol=2e-3)
assert abs(crossings["mpnp", 0.0] - balance) < 0.02
assert abs(crossings["mpnp", 6.0] - balance) < 0.02

# %% [markdown]
# The same from the command line, for four models and four compositions of the reservoirs side by side:
#
#     cd examples/diagrams
#     pnp-exclusion diagram fields.toml poisson.toml --law shdl,mpnp -o results
