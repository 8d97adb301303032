"""Chunks over an executor: processes on this machine, the workers of a Dask cluster, or what the user hands over."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial

from pnp_exclusion.errors import UsageError
from pnp_exclusion.runtime.pool import ExecutorLostError, results_of
from pnp_exclusion.studies.sweeps.chunks import solve_chunk
from pnp_exclusion.studies.sweeps.plan import Chunk, Work
from pnp_exclusion.studies.sweeps.record import Outcome, lost

DASK_PATIENCE = "20s"
"""For the scheduler to answer."""


def over_executor(
    work: Work, chunks: Iterator[Chunk], executor: Executor, asked: Callable[[], bool]
) -> Generator[Outcome]:
    """Solve chunks on an executor, until ``asked`` to stop; yield what comes of each as it comes in.

    A chunk over which workers died again and again is recorded as failed. `ExecutorLostError` if all are gone.
    """
    solve, given_up = partial(solve_chunk, work), partial(lost, work=work)
    try:
        for _, outcome in results_of(executor, solve, chunks, asked=asked, given_up=given_up):
            yield outcome
    except ExecutorLostError as error:
        raise ExecutorLostError(f"{error}; the same command goes on from what is on disk") from None


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Yield the executor of the Dask scheduler at an address; `UsageError` if none answers or Dask is not installed."""
    try:
        from distributed import Client
    except ImportError:
        raise UsageError('--dask needs the package distributed: pip install "pnp-exclusion[dask]"') from None
    try:
        client = Client(address, timeout=DASK_PATIENCE)
    except Exception as error:  # noqa: BLE001 - whatever is at the address may answer anything
        raise UsageError(f'no Dask scheduler answers at "{address}": {error}') from None
    with client:
        yield client.get_executor(pure=False)
