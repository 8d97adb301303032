"""What the launchers of MPI tell a process before MPI starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

LAUNCHER_VARIABLES = ("PMI_", "PMIX_", "HYDRA_", "HYDI_", "OMPI_", "MPI_LOCAL", "MPIEXEC_")
"""Beginnings of the environment variables by which a launcher knows its ranks."""
RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")
"""Those in which the launchers (MPICH, Intel, Open MPI, Slurm) say which rank this is."""

LAUNCHER_DELAY = 0.5
"""Seconds that a launcher may take to read what a rank printed."""


def launched_rank() -> int | None:
    """Return the rank that a launcher gave this process, None if it has none."""
    said = (os.environ.get(variable, "") for variable in RANKS)
    return max((int(rank) for rank in said if rank.isdecimal()), default=None)


@contextlib.contextmanager
def no_rank() -> Iterator[None]:
    """Start processes that are no ranks of a launcher."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(LAUNCHER_VARIABLES)}
    try:
        yield
    finally:
        os.environ.update(hidden)
