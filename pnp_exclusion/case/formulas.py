"""Formulas that a case gives as data: a small grammar of arithmetic, read by Python's parser and never run as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LONGEST = 300
"""Characters of a formula."""

type Value = float | np.ndarray

_OPERATORS: dict[type[ast.AST], Callable[..., Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
    ast.Pow: np.float_power,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
FUNCTIONS: dict[str, Callable[..., Value]] = {
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "min": np.minimum,
    "max": np.maximum,
}
"""What may be called; the last two take two values."""
_OF_TWO = ("min", "max")
CONSTANTS = {"pi": np.pi}


class FormulaError(ValueError):
    """A text is no formula of the grammar; the message says what in it is not, as the end of a sentence."""


@dataclass(frozen=True)
class Formula:
    """A function that a text writes: ``+ - * / ^`` (or ``**``), brackets, `FUNCTIONS`, `CONSTANTS` and variables.

    text
        As it is written.
    variables
        Names of the variables that it may have.

    Raises `FormulaError` for anything else.
    """

    text: str
    variables: tuple[str, ...]

    def __post_init__(self) -> None:
        _require_known(self._tree, self.variables)

    @cached_property
    def _tree(self) -> ast.expr:
        if len(self.text) > LONGEST:
            raise FormulaError(f"it has more than {LONGEST} characters")
        try:
            return ast.parse(self.text.strip().replace("^", "**"), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise FormulaError("it is not arithmetic") from None

    def __call__(self, **values: Value) -> Value:
        """Return the value at those of the variables, numbers or arrays; not finite where it has none."""
        with np.errstate(all="ignore"):
            return _evaluated(self._tree, {**CONSTANTS, **values})


def _require_known(node: ast.expr, variables: Sequence[str]) -> None:
    inner: list[ast.expr] = []
    match node:
        case ast.Constant(value=bool() | complex() | str() | bytes() | None):
            raise FormulaError(f"{ast.unparse(node)} is not a number")
        case ast.Constant(value=int() | float() as number) if abs(number) < 1e300:
            pass
        case ast.Name(id=name) if name in variables or name in CONSTANTS:
            pass
        case ast.Name(id=name):
            known = ", ".join([*variables, *CONSTANTS])
            raise FormulaError(f'it has no variable "{name}"; there is {known}')
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            inner = [operand]
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
            inner = [left, right]
        case ast.Call(func=ast.Name(id=name), args=inner, keywords=[]) if name in FUNCTIONS:
            wanted = 1 + (name in _OF_TWO)
            if len(inner) != wanted:
                raise FormulaError(f"{name} takes {wanted} value{'s' * (wanted > 1)}, not {len(inner)}")
        case ast.Call(func=ast.Name(id=name)):
            raise FormulaError(f'it has no function "{name}"; there are {", ".join(FUNCTIONS)}')
        case _:
            raise FormulaError(f'"{ast.unparse(node)[:40]}" is not arithmetic')
    for part in inner:
        _require_known(part, variables)


def _evaluated(node: ast.expr, values: dict[str, Value]) -> Value:
    match node:
        case ast.Constant(value=number):
            # a float, or powers of integers would have any number of digits
            return float(number)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_evaluated(operand, values))
        case ast.BinOp(op=op, left=left, right=right):
            return _OPERATORS[type(op)](_evaluated(left, values), _evaluated(right, values))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name](*(_evaluated(argument, values) for argument in arguments))
    raise TypeError(f"{ast.dump(node)} was not refused")
