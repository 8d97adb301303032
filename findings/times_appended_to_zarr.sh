#!/bin/sh
# xarray appends times to a Zarr store in a unit of their own: 1.5 s after the start is read back as 1500 s.
#
# Versions: xarray 2026.9.0, zarr 3.4.2, numpy 2.5.5, pandas 3.1.1.
#
# Problem: a run that writes its results as it goes, with to_zarr and append_dim. The times of the first part are 0 and
# 1 s, of the second 1.5 and 2 s; as timedelta64, or as whole numbers in the first part and fractions in the second. A
# quantity of whole numbers in the first part (0 and 1 particles, say) has fractions in the second.
# Expected: what was written, or an error, as there is one where a text is longer than those of the first part.
# Seen: 0, 1, 1500, 2000 s. The warning says that milliseconds are written "instead" of seconds, which is what happens to
# the numbers, while the store keeps its "seconds". With numbers 1.5 becomes 2, and 4.7 becomes 5, with a word on missing
# values in integers. In format 2 of Zarr and in format 3 alike.
# Why it matters here: relaxation and impedance in time have steps that grow or shrink, so that the second part need not
# fit the unit of the first. Give times as floats of seconds, or set an encoding with the first part.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet xarray==2026.9.0 zarr==3.4.2 numpy==2.5.5 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import pandas as pd
import xarray as xr

TIMES = ([0, 1], [1.5, 2.0])


def appended(name, version, first, second, values=([0.0, 1.0], [4.7, 5.2])):
    for mode, times, value in zip((None, "t"), (first, second), values, strict=True):
        part = xr.Dataset({"c": ("t", value)}, coords={"t": times})
        part.to_zarr(name, append_dim=mode, zarr_format=version, consolidated=False)
    return xr.open_zarr(name, decode_timedelta=True, consolidated=False).load()


as_described = True
for version in (2, 3):
    spans = appended(f"spans{version}", version, *(pd.to_timedelta(t, unit="s") for t in TIMES))
    seconds = spans.t.values / np.timedelta64(1, "s")
    numbers = appended(f"numbers{version}", version, *TIMES).t.values
    counts = appended(f"counts{version}", version, [0.0, 1.0], TIMES[1], ([0, 1], [4.7, 5.2])).c.values
    print(f"format {version}: timedelta {seconds} s, numbers {numbers}, counts {counts}")
    as_described &= seconds.tolist() == [0, 1, 1500, 2000]
    as_described &= numbers.tolist() == [0, 1, 2, 2] and counts.tolist() == [0, 1, 5, 5]
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
