"""The C library's heap: what is freed is kept for the next array, until memory is counted.

Large arrays are otherwise given back to the kernel at once, and the next one comes page by page, zeroed: a quarter of
the processor time of a solve with 2e6 unknowns went into that. Nothing happens where the C library is not glibc.
"""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""As in ``malloc.h``."""


class _MallocInformation(ctypes.Structure):
    """``struct mallinfo2``."""

    _fields_ = [("others", ctypes.c_size_t * 8), ("fordblks", ctypes.c_size_t), ("keepcost", ctypes.c_size_t)]


def keep_freed_memory() -> None:
    """From now on keep what is freed; for a process that is ours alone."""
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, -1)


def freed_memory() -> int:
    """Return the bytes that are free in the heap, kept or given back; 0 where the C library does not say."""
    inquire = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if inquire is None:
        return 0
    inquire.restype = _MallocInformation
    return int(inquire().fordblks)


def give_back_freed_memory() -> None:
    """Give the kernel what is free, so that it counts as available."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
