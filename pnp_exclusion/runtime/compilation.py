"""Compiling forms: the cache holds whole libraries only, so that a process killed at work leaves nothing to wait for.

DOLFINx marks what is being compiled by a file that outlives a process that is killed; every later run with that form
waits for it and fails. Here a form is compiled in a folder of its own, which takes its place in the cache by being
renamed: at once, on file systems that computers share too, and without locks. Processes that need the same form at the
same time each compile it, and the first one's stays.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mpi4py import MPI

import cffi
import ffcx
import ffcx.naming
import numpy as np
import ufl
from dolfinx import default_scalar_type, fem, jit

from pnp_exclusion.errors import DiskError, PnpExclusionError, UsageError
from pnp_exclusion.runtime.log import LOGGER
from pnp_exclusion.runtime.parallel import on_rank_zero

OPTIONS: dict[str, Any] = {"cffi_extra_compile_args": ["-O2"]}
UNFINISHED = ".unfinished-"
"""How the names of folders begin in which something is compiled, or was when its process was killed."""
ABANDONED = 24 * 3600.0
"""Seconds after which such a folder belongs to nobody."""
DEEPEST = 10_000
"""Calls within calls: UFL follows an expression from end to end, and an iteration that is written out is long."""
LEAST_SPACE = 2**20
"""Bytes: with less left the disk is why a compiler fails."""


def cache_folder() -> Path:
    """Return the folder of compiled forms: ``fenics`` in ``XDG_CACHE_HOME``, unless DOLFINx was told another."""
    return Path(jit.get_options()["cache_dir"])


def compiled_form(form: ufl.Form) -> fem.CompiledForm:
    """Return the code of a form, compiled or found in the cache; collective over the ranks of its mesh.

    Raises `UsageError` where there is no compiler for it and `DiskError` where the cache cannot be written, on every
    rank.
    """
    comm = form.ufl_domain().ufl_cargo().comm
    return fem.compile_form(comm, form, _compiler_options(), _options(comm, form))


def compiled_expression(expression: Any, points: np.ndarray) -> fem.Expression:
    """Return an expression compiled for evaluation at points ``(points, dimension)`` of the reference cell.

    As `compiled_form` otherwise.
    """
    comm = ufl.domain.extract_domains(expression)[0].ufl_cargo().comm
    listed = np.reshape(points, (points.shape[0] if points.ndim == 2 else 1, -1))
    options = _options(comm, (expression, listed))
    return fem.Expression(expression, points, jit_options=options, dtype=default_scalar_type)


def _options(comm: MPI.Comm, compiled: Any) -> dict[str, Any]:
    """Return the options by which DOLFINx finds a form or expression compiled; collective."""
    folder = cache_folder() / "pnp_exclusion" / _key(compiled)
    on_rank_zero(comm, lambda: _compile(compiled, folder))
    if comm.size > 1:
        # of other computers, with caches of their own
        met = comm.allgather(_attempt(compiled, folder) if comm.rank else None)
        for error in met:
            if error is not None:
                raise error
    return OPTIONS | {"cache_dir": folder}


def _key(compiled: Any) -> str:
    """Return a name that differs wherever the library would."""
    return str(ffcx.naming.compute_signature([compiled], _circumstances()))


@cache
def _circumstances() -> str:
    """Return what a library depends on beside its form."""
    options = jit.get_options(OPTIONS)
    flags = {name: options[name] for name in sorted(options) if name not in ("cache_dir", "timeout", "cffi_verbose")}
    platform = [sysconfig.get_config_var(name) for name in ("CFLAGS", "SOABI")]
    return str([sorted(ffcx.get_options(_compiler_options()).items()), flags, platform])


def _compiler_options() -> dict[str, Any]:
    """Return what DOLFINx tells FFCx of itself."""
    return {"scalar_type": default_scalar_type}


def _attempt(compiled: Any, folder: Path) -> PnpExclusionError | None:
    try:
        _compile(compiled, folder)
    except PnpExclusionError as error:
        return error
    return None


def _compile(compiled: Any, folder: Path) -> None:
    """Make the folder with the library, unless it is there."""
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder.parent, ignore_cleanup_errors=True) as own:
            # a folder within, because others may not read the temporary one
            fresh, began = Path(own) / "form", time.monotonic()
            with _deep_recursion():
                jit.ffcx_jit(MPI.COMM_SELF, compiled, _compiler_options(), OPTIONS | {"cache_dir": fresh})
            _move(fresh, folder)
            LOGGER.debug("compiled a form in %.1f s, into %s", time.monotonic() - began, folder)
    except OSError as error:
        raise _unwritable(folder.parent, error.strerror or str(error)) from None
    except cffi.VerificationError as error:
        if shutil.disk_usage(folder.parent).free < LEAST_SPACE:
            raise _unwritable(folder.parent, "the disk is full") from None
        reason = str(error).splitlines()[0].split(": ", 1)[-1]
        raise UsageError(
            f"forms are compiled at their first use, and the C compiler does not work here: {reason}; install gcc "
            "and the headers of Python (Debian: gcc, libc6-dev and python3-dev), or fill the cache where there is one: "
            "pnp-exclusion warm CASE"
        ) from None


@contextlib.contextmanager
def _deep_recursion() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _unwritable(folder: Path, why: str) -> DiskError:
    return DiskError(f"cannot write the cache of compiled forms, {folder}: {why}; XDG_CACHE_HOME names another place")


def _move(fresh: Path, folder: Path) -> None:
    try:
        fresh.rename(folder)
    except OSError:
        # not if another process was first
        if not folder.is_dir():
            raise


def _remove_abandoned(parent: Path) -> None:
    oldest = time.time() - ABANDONED
    for path in parent.glob(f"{UNFINISHED}*"):
        # another process may be at it too, or another user's it may be
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)
