"""Sites and bonds of the lattice on which the exchange process lives, in one or two dimensions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ends = Literal["reservoirs", "closed", "ring"]
Across = Literal["periodic", "closed"]

LEFT_RESERVOIR = 1
RIGHT_RESERVOIR = 2


@dataclass(frozen=True)
class Bonds:
    """The bonds of a lattice, those along the channel first, then those across it.

    ``left`` and ``right`` hold the site at either end, shape ``(bonds,)``; a particle that goes
    from ``left`` to ``right`` counts as a positive current. ``reservoir`` is 0 inside, and
    `LEFT_RESERVOIR` or `RIGHT_RESERVOIR` where that end of the bond is a reservoir.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    reservoir: NDArray[np.int64]


@dataclass(frozen=True)
class Lattice:
    """A channel between two reservoirs, a closed channel or a ring, ``width`` sites across.

    Site ``(i, y)`` has the index ``i * width + y``, ``i`` from 0 at the left. The left reservoir
    stands at the index ``sites`` and the right one at ``sites + 1``.

    ``ends`` is ``"reservoirs"`` (left and right), ``"closed"`` (no bond beyond the end sites) or
    ``"ring"`` (the last site is the neighbour of the first). ``across`` says whether rows 0 and
    ``width - 1`` are neighbours; it means nothing at ``width`` 1, the one-dimensional lattice.

    Lengths are macroscopic: ``scale`` lattice spacings make 1. It is ``length + 1`` between
    reservoirs, which stand at x = 0 and x = 1, and ``length`` otherwise: a closed channel has its
    walls half a spacing beyond its end sites, a ring closes after ``length`` spacings.

    Raises `ValueError` for an unknown word or a size at which two sites would share two bonds.
    """

    ends: Ends
    length: int
    width: int = 1
    across: Across = "periodic"

    def __post_init__(self) -> None:
        if self.ends not in ("reservoirs", "closed", "ring"):
            raise ValueError(f"ends = {self.ends!r} must be 'reservoirs', 'closed' or 'ring'")
        if self.across not in ("periodic", "closed"):
            raise ValueError(f"across = {self.across!r} must be 'periodic' or 'closed'")
        shortest = {"reservoirs": 1, "closed": 2, "ring": 3}[self.ends]
        if self.length < shortest:
            raise ValueError(f"length = {self.length} is too short with ends = {self.ends!r}: at least {shortest}")
        if self.width < 1 or (self.width == 2 and self.across == "periodic"):
            raise ValueError(
                f"width = {self.width} with across = {self.across!r} must be 1, or at least "
                f"{3 if self.across == 'periodic' else 2}"
            )

    @property
    def sites(self) -> int:
        """Number of sites."""
        return self.length * self.width

    @property
    def scale(self) -> int:
        """Lattice spacings in the macroscopic unit of length; its square is the unit of time."""
        return self.length + 1 if self.ends == "reservoirs" else self.length

    @property
    def site_shape(self) -> tuple[int, ...]:
        """``(length,)`` in one dimension, ``(length, width)`` in two."""
        return (self.length,) if self.width == 1 else (self.length, self.width)

    @property
    def along_count(self) -> int:
        """Bonds along one row."""
        return self.length + {"reservoirs": 1, "closed": -1, "ring": 0}[self.ends]

    @property
    def along_shape(self) -> tuple[int, ...]:
        """Shape of a quantity on the bonds along: ``(bonds,)``, or ``(bonds, width)`` in 2D."""
        return (self.along_count,) if self.width == 1 else (self.along_count, self.width)

    @property
    def across_count(self) -> int:
        """Bonds across at one place along the channel; 0 in one dimension."""
        if self.width == 1:
            return 0
        return self.width if self.across == "periodic" else self.width - 1

    @property
    def across_shape(self) -> tuple[int, int]:
        """Shape of a quantity on the bonds across: ``(length, bonds across)``."""
        return (self.length, self.across_count)

    @property
    def along_bonds(self) -> int:
        """How many bonds point along the channel; they come first among `bonds`."""
        return self.along_count * self.width

    @property
    def positions(self) -> NDArray[np.float64]:
        """Macroscopic x of the sites along the channel, shape ``(length,)``."""
        offset = {"reservoirs": 1.0, "closed": 0.5, "ring": 0.0}[self.ends]
        return (np.arange(self.length) + offset) / self.scale

    @cached_property
    def bonds(self) -> Bonds:
        """All bonds, in the order of ``along_shape`` followed by that of ``across_shape``."""
        site = np.arange(self.sites).reshape(self.length, self.width)
        left, right = self._ends_along(site)
        upper = np.roll(site, -1, axis=1)[:, : self.across_count]
        lower = site[:, : self.across_count]
        return Bonds(
            left=np.concatenate([left.ravel(), lower.ravel()]),
            right=np.concatenate([right.ravel(), upper.ravel()]),
            reservoir=self._reservoir_flags(left, right, lower.size),
        )

    def _ends_along(self, site: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if self.ends == "closed":
            return site[:-1], site[1:]
        if self.ends == "ring":
            return site, np.roll(site, -1, axis=0)
        first = np.full((1, self.width), self.sites)
        last = np.full((1, self.width), self.sites + 1)
        return np.concatenate([first, site]), np.concatenate([site, last])

    def _reservoir_flags(self, left: NDArray[np.int64], right: NDArray[np.int64], across: int) -> NDArray[np.int64]:
        along = LEFT_RESERVOIR * (left == self.sites) + RIGHT_RESERVOIR * (right == self.sites + 1)
        return np.concatenate([along.ravel(), np.zeros(across, dtype=np.int64)])
