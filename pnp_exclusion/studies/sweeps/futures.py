"""Chunks over the futures of somebody else's executor, each as it comes in."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Generator, Iterable
from typing import Any

from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.studies.sweeps.interruption import GRACE_SECONDS

POLL_SECONDS = 0.2


def completed(futures: Iterable[Any], interruption: Interruption) -> Generator[Any]:
    """Yield futures as they are done; once the sweep is asked to stop, those at work that are soon done.

    A future is anything with ``add_done_callback`` and ``cancel``, which returns False for one that cannot be.
    """
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    waiting = set(futures)
    for future in waiting:
        future.add_done_callback(done.put)
    until = math.inf
    try:
        while waiting and time.monotonic() < until:
            if interruption.asked and until == math.inf:
                waiting = {future for future in waiting if future.cancel() is False}
                until = time.monotonic() + GRACE_SECONDS
            try:
                future = done.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if future in waiting:
                # not kept, so that the results of long sweeps do not pile up in memory
                waiting.remove(future)
                yield future
    finally:
        for future in waiting:
            future.cancel()
