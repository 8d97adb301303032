"""The C library's heap: what is freed is kept for the next array, until memory is counted.

Large arrays are otherwise given back to the kernel at once, and the next one comes page by page, zeroed: a quarter of
the processor time of a solve with 2e6 unknowns went into that. Nothing happens where the C library is not glibc.
"""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""As in ``malloc.h``."""


def keep_freed_memory() -> None:
    """From now on keep what is freed; for a process that is ours alone."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, -1)


def give_back_freed_memory() -> None:
    """Give the kernel what is free, so that it counts as available."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
