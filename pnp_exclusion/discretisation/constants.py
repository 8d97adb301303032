"""Numbers of boundary conditions as constants of compiled forms, so that other numbers compile nothing anew."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from dolfinx import fem


class ConstantBook:
    """Constants by page (one term of one boundary) and by the order in which that term asks for its numbers.

    Writing the same term again, for a condition of the same kind with other numbers, gives the same constants their
    new values: every form that holds them follows.
    """

    def __init__(self, mesh: Any) -> None:
        self._mesh = mesh
        self._pages: dict[Hashable, list[fem.Constant]] = {}

    def page(self, key: Hashable) -> ConstantPage:
        """Open a page at its beginning."""
        return ConstantPage(self._mesh, self._pages.setdefault(key, []))


class ConstantPage:
    """The constants of one term, handed out in order."""

    def __init__(self, mesh: Any, constants: list[fem.Constant]) -> None:
        self._mesh = mesh
        self._constants = constants
        self._given = 0

    def number(self, value: float) -> fem.Constant:
        """Return the next constant, with this value."""
        if self._given == len(self._constants):
            self._constants.append(fem.Constant(self._mesh, float(value)))
        constant = self._constants[self._given]
        constant.value = float(value)
        self._given += 1
        return constant
