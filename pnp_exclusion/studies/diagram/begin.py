"""How a worker process begins; imports nothing that starts PETSc, which is to be told its options first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

from pnp_exclusion.runtime.fenicsx import initialise_petsc
from pnp_exclusion.runtime.signals import listen


def begin(petsc_options: tuple[str, ...]) -> None:
    """Begin a worker: a Ctrl-C, which goes to the whole group, is for its parent, without which it ends."""
    # a broken pool ends the others by SIGTERM
    listen(ignored=(signal.SIGINT,))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    initialise_petsc(petsc_options)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
