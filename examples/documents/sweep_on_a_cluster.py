# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A sweep on a cluster
#
# Many cases that differ in a few keys: a sweep. It is described in the case file, and one and the same description
# runs in a notebook, on the cores of a workstation, on the ranks of an MPI job, on a Dask cluster, or as the tasks of
# a SLURM array. Every finished point is on disk before it counts, so that whatever is interrupted is taken up again.

# %%
"""A sweep over voltage and law: in the notebook, resumed, and in the parts of an array job."""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import pnp_exclusion as pnp

# %% [markdown]
# ## The case
#
# The charged membrane of `membrane.toml` over the voltage on its left, under two laws.

# %%
CASE = """
title = "Membrane over the voltage"
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

[sweep]
[[sweep.axes]]
key = "boundaries.left.potential"
name = "voltage"
from = "-100 mV"
to = "0 mV"
count = 21
[[sweep.axes]]
key = "model.law"
name = "law"
values = ["mpnp", "shdl"]
"""
temporary = tempfile.TemporaryDirectory(prefix="sweep-")
folder = Path(temporary.name)
case = folder / "membrane.toml"
case.write_text(CASE)

# %% [markdown]
# ## Here and now
#
# The answer is an xarray dataset with named axes in the units of the case. With a folder it is kept, and asking again
# solves nothing anew. `workers = 8` would use eight processes; a script then needs `if __name__ == "__main__":`.

# %%
results = pnp.sweep(case, folder / "here")
again = pnp.sweep(case, folder / "here")
xr.testing.assert_identical(results, again)
print(results)

# %%
figure, axis = plt.subplots()
for law in results.law.values:
    axis.plot(results.voltage, results.current.sel(law=law, species="Na"), "o-", label=law)
axis.axhline(0.0, color="black", linewidth=0.8)
axis.set_xlabel("voltage on the left [mV]")
axis.set_ylabel(f"flux of Na [{results.current.attrs.get('units', '')}]")
axis.legend()

# %% [markdown]
# Where does sodium stand still? Under `mpnp` where its force vanishes: the two agree, and the force is known exactly.

# %%
sodium = results.sel(species="Na")
still = float(np.interp(0.0, sodium.current.sel(law="mpnp"), sodium.voltage))
unforced = float(np.interp(0.0, sodium.force.sel(law="mpnp"), sodium.voltage))
# exact: V = -(kT/e) log[rho^L rho_0^R / (rho^R rho_0^L)] (docs/theory.md#uphill); the force is linear in V
KT_OVER_E, FULL = 1.380649e-23 * 298.15 / 1.602176634e-19 * 1e3, 1e-3 / (6.02214076e23 * 0.7e-9**3)
exact = -KT_OVER_E * np.log(4.0 * (1.0 - 1.0 / FULL) / (1.0 - 4.0 / FULL))
print(f"no current at {still:.3f} mV, no force at {unforced:.3f} mV, exactly {exact:.3f} mV")
assert abs(unforced - exact) < 1e-3
assert abs(still - exact) < 0.1
backwards = sodium.voltage.values[(sodium.regime.sel(law="shdl") == "inverse").values]
print(f"under shdl sodium runs against its own driving force between {backwards.min():g} and {backwards.max():g} mV")
assert backwards.min() == -70.0
assert backwards.max() == -35.0
assert not (sodium.regime.sel(law="mpnp") == "inverse").any()

# %% [markdown]
# ## On a cluster
#
# Within one MPI job the first rank hands points out to the others; `--ranks-per-point 4` lets groups of four ranks
# solve large cases together:
#
#     srun pnp-exclusion sweep membrane.toml -o results/membrane
#
# With a Dask scheduler, e.g. one that dask-jobqueue started: `--dask tcp://10.0.0.5:8786`. Or as an array of
# independent tasks, which start whenever there is room. The plan is written once, every task solves its part, and the
# parts are gathered:
#
#     pnp-exclusion sweep membrane.toml -o results/membrane --plan-only
#     sbatch --array=0-7 --wrap "pnp-exclusion sweep membrane.toml -o results/membrane \
#                                --part $SLURM_ARRAY_TASK_ID --parts 8"
#     pnp-exclusion sweep membrane.toml -o results/membrane --gather
#
# The same three steps here, with two tasks, one after the other:


# %%
def command(*words: str) -> None:
    """Run ``pnp-exclusion sweep`` on the case, into the folder of the array job."""
    line = [sys.executable, "-m", "pnp_exclusion", "sweep", str(case), "-o", str(folder / "array"), "--quiet", *words]
    subprocess.run(line, check=True)


command("--plan-only")
for task in range(2):
    command("--part", str(task), "--parts", "2")
command("--gather")
gathered = xr.open_dataset(next((folder / "array").glob("*.nc")))
assert np.allclose(gathered.current, results.current, rtol=1e-9)
print("the parts of the array job hold the same currents")
