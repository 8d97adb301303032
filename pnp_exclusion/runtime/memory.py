"""Memory: what a solve will need, what there is for it, and what it took. All of it per node of a cluster."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from mpi4py import MPI

from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime.heap import freed_memory, give_back_freed_memory

GB = 1e9
HOPELESS = 3.0
"""Times more than is available is refused; less is warned of: the estimate may err by a third, and others may end."""
MOST_KEPT = 2.0
"""Of freed memory, times what is needed next: others on the machine may need the rest."""

ITERATIVE = {
    1: (1000.0, 1000.0, 1200.0, 1400.0),
    2: (1200.0, 1700.0, 2100.0, 2800.0),
    3: (3000.0, 3300.0, 4600.0, 7100.0),
}
"""Bytes per unknown, by dimension; for elements of degree 1, 2, 3, 4."""
DIRECT: dict[int, Callable[[float], float]] = {
    1: lambda nodes: 850.0,
    2: lambda nodes: 220.0 * math.log2(nodes),
    3: lambda nodes: 580.0 * nodes ** (1.0 / 3.0),
}
"""Bytes per unknown by dimension, of the number of nodes: nested dissection's fill."""
DENSER = (1.0, 1.0, 1.2, 1.4)
"""Times this for elements of degree 1, 2, 3, 4, each of which couples more nodes."""
FITTED_COMPONENTS = 3
"""Unknowns of a node in the measurements that the numbers above fit (docs/clusters.md)."""


def estimate(nodes: float, dimension: int, degree: int, components: int, linear: str) -> float:
    """Return the bytes that solving takes on all ranks together, beyond what the libraries themselves take.

    nodes
        Of the elements of this degree, over all ranks.
    linear
        "banded", "direct" or "fieldsplit"; anything else of the user's is taken for iterative.
    """
    direct = linear in ("banded", "direct")
    each = DIRECT[dimension](nodes) * DENSER[degree - 1] if direct else ITERATIVE[dimension][degree - 1]
    # about half of it are matrices, whose rows grow with the components
    return nodes * components * each * (1 + components) / (1 + FITTED_COMPONENTS)


def check_memory(comm: MPI.Comm, needed: float, linear: str, what: str) -> str:
    """Return a sentence if some node has not the memory for its ranks' shares of ``needed`` bytes, else nothing.

    Raises `UsageError` on every rank if it is `HOPELESS` times too little.
    """
    share = needed / comm.size
    there = available_per_rank(comm, share)
    if share <= there:
        return ""
    ways = ["a coarser mesh (`cells`)", "more nodes"]
    if linear == "direct":
        ways.insert(1, '`linear = "fieldsplit"` in [solver]')
    ranks = f" on each of {comm.size} ranks" if comm.size > 1 else ""
    sentence = (
        f"{what} would take about {share / GB:.3g} GB{ranks}, but {there / GB:.3g} GB are available there; "
        f"take {', '.join(ways[:-1])} or {ways[-1]}"
    )
    if share > HOPELESS * there:
        raise UsageError(sentence)
    return sentence


def available_per_rank(comm: MPI.Comm, wanted: float) -> float:
    """Return the bytes that are there for every rank, on the node where they are fewest; collective.

    What processes have freed, and keep for the next arrays, is not counted. They give it back, which makes these arrays
    dearer, where it is more than what is wanted would use again, and where there are fewer than ``wanted`` without it.
    """
    if freed_memory() > MOST_KEPT * wanted:
        give_back_freed_memory()
    there = _available_per_rank(comm)
    if there < wanted:
        give_back_freed_memory()
        there = _available_per_rank(comm)
    return there


def _available_per_rank(comm: MPI.Comm) -> float:
    assert isinstance(comm, MPI.Intracomm)
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    try:
        # what other ranks see of one node differs by what they take meanwhile
        least = node.allreduce(available(), op=MPI.MIN) / node.size
    finally:
        node.Free()
    return float(comm.allreduce(least, op=MPI.MIN))


def available() -> float:
    """Return the bytes that this machine still has for this process, which its control groups may limit (SLURM)."""
    return min([_available_in_machine(), *_left_in_groups()])


def _available_in_machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), float("inf"))


def _left_in_groups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[float]:
    """Yield what the limits (version 2) of this process's control group and of those around it leave."""
    try:
        name = next((line[3:].strip() for line in own.read_text().splitlines() if line.startswith("0::")), "/")
    except OSError:
        return
    group = root / name.lstrip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(root):
            return
        try:
            limit, used = ((folder / f"memory.{word}").read_text().strip() for word in ("max", "current"))
            kept = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # pages of files are given back when memory is short
            cached = sum(int(amount) for kind, amount in kept if kind in ("active_file", "inactive_file"))
        except (OSError, ValueError):
            continue
        if limit.isdigit():
            yield float(int(limit) - int(used) + cached)


def peak_per_rank(comm: MPI.Comm) -> list[float]:
    """Return the most bytes that every rank has held so far; collective."""
    return list(comm.allgather(1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
