"""Functions of numbers, numpy arrays or UFL expressions: laws are written once, for weak form and observables."""

from __future__ import annotations

from typing import Any

import numpy as np

Value = Any
"""A float, a numpy array or a UFL expression."""


def _is_symbolic(value: Value) -> bool:
    return hasattr(value, "ufl_shape")


def exp(value: Value) -> Value:
    """Return the exponential."""
    if _is_symbolic(value):
        import ufl

        return ufl.exp(value)
    return np.exp(value)


def log(value: Value) -> Value:
    """Return the natural logarithm."""
    if _is_symbolic(value):
        import ufl

        return ufl.ln(value)
    return np.log(value)


def maximum(left: Value, right: Value) -> Value:
    """Return the larger of two values, point by point."""
    if _is_symbolic(left) or _is_symbolic(right):
        import ufl

        return ufl.max_value(left, right)
    return np.maximum(left, right)
