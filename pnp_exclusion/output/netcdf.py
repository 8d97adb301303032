"""Datasets as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def write_netcdf(results: xr.Dataset, path: Path) -> None:
    """Write a classic NetCDF file (the 64-bit form of NetCDF 3), which everything reads.

    By SciPy, because the HDF5 that other writers bring along does not get on with the one inside DOLFINx.
    """
    results.to_netcdf(path, format="NETCDF3_64BIT", engine="scipy")
