"""What the compiled loops of both processes count in the same way."""

from typing import Any

from numba import njit


@njit(nogil=True, cache=True)
def count_fields(state: Any, fields: Any) -> None:
    """Add the state, ``(fields, cells)``, to a sum of the same shape."""
    for field in range(state.shape[0]):
        for cell in range(state.shape[1]):
            fields[field, cell] += state[field, cell]


@njit(nogil=True, cache=True)
def project(state: Any, modes: Any, amplitudes: Any) -> None:
    """Project every field on its mode, ``(fields, cells)``, into ``amplitudes``, ``(fields,)``."""
    for field in range(state.shape[0]):
        total = 0.0
        for cell in range(state.shape[1]):
            total += modes[field, cell] * state[field, cell]
        amplitudes[field] = total
