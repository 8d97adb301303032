"""The unknowns at every node: what they are called, and where each stands among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pnp_exclusion.physics.energy import ENERGY

POTENTIAL = "phi"
"""The electric potential, kT/e."""
INVERSE_TEMPERATURE = "beta"
"""``1/T``, the entropic variable of energy as ``mu_a`` is that of a species."""


def electrochemical_potential(species: str) -> str:
    """Return the name of the unknown ``mu_a``, kT."""
    return f"mu_{species}"


def unknown_of(quantity: str) -> str:
    """Return the name of the unknown that is conjugate to a conserved quantity, a species or energy."""
    return INVERSE_TEMPERATURE if quantity == ENERGY else electrochemical_potential(quantity)


class Layout:
    """Names of the unknowns, in the order in which they stand at every node of a blocked space.

    names
        Each once.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._positions = {name: position for position, name in enumerate(self.names)}

    @property
    def size(self) -> int:
        """How many unknowns a node has."""
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._positions

    def index(self, name: str) -> int:
        """Return where an unknown stands; `KeyError` for one that there is not."""
        return self._positions[name]

    def indices(self, names: Iterable[str]) -> list[int]:
        """Return where several unknowns stand."""
        return [self._positions[name] for name in names]

    def at_nodes(self, array: np.ndarray) -> np.ndarray:
        """Return an array of the blocked space as ``(nodes, size)``, a view."""
        return array.reshape(-1, self.size)

    def split(self, array: np.ndarray) -> dict[str, np.ndarray]:
        """Return every unknown of an array of the blocked space by its name, ``(nodes,)`` each, as views."""
        return dict(zip(self.names, self.at_nodes(array).T, strict=True))

    def nodes_of(self, dofs: np.ndarray) -> np.ndarray:
        """Return the nodes to which numbers of unknowns belong."""
        return dofs // self.size

    def dofs_at(self, nodes: np.ndarray, name: str) -> np.ndarray:
        """Return the numbers of an unknown at nodes."""
        return self.size * nodes + self._positions[name]

    def parts(self, function: Any) -> dict[str, Any]:
        """Return every unknown of a UFL function of the blocked space by its name."""
        return dict(zip(self.names, self.components(function), strict=True))

    def components(self, function: Any) -> Sequence[Any]:
        """Return the components of a UFL function of the blocked space, which is scalar if there is one unknown."""
        return [function[c] for c in range(self.size)] if self.size > 1 else [function]
