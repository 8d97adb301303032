"""A chain of cells between two reservoirs whose contents carry energy: what all such processes have in common."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Reference(NamedTuple):
    """What theory says of a channel: currents that can flow, fields of the cells, and the noise of the currents.

    ``noise`` is `lim Cov(Q_a, Q_b)/t` times ``scale``, two-sided; None where it is not known.
    """

    currents: Array
    fields: Array
    noise: Array | None


class Sampling(NamedTuple):
    """Rings from one sample to the next, samples in a row, slow modes ``(fields, cells)``, and what is counted.

    ``counts``: net crossings of every bond, ``(fields, cells + 1)``, and sums over samples, ``(fields, cells)``.
    """

    rings: int
    samples: int
    modes: Array
    counts: tuple[Array, Array]


class EnergyChannel(ABC):
    """Cells in a row between two reservoirs, conserved fields in each, the energy last.

    Currents are macroscopic: counts per unit of time and site times ``scale``, positive to the right; times are in
    ``scale**2`` lattice units, lengths in the distance of the reservoirs.
    """

    cells: int
    names: tuple[str, ...]
    """Of the fields."""
    sites_per_cell: int

    def check_cells(self) -> None:
        """Raise `ValueError` without a cell."""
        if self.cells < 1:
            raise ValueError(f"cells = {self.cells} must be at least 1")

    @property
    def flowing(self) -> tuple[int, ...]:
        """Those fields that can leave the channel."""
        return tuple(range(len(self.names)))

    @property
    def scale(self) -> int:
        """Cells in the macroscopic unit of length."""
        return self.cells + 1

    @property
    def positions(self) -> Array:
        """Macroscopic places of the cells, the reservoirs at 0 and 1, ``(cells,)``."""
        return np.arange(1, self.cells + 1) / self.scale

    @property
    def relaxation_time(self) -> float:
        """First guess of the slowest relaxation, macroscopic."""
        decay = 2.0 * (1.0 - np.cos(np.pi / self.scale)) * self.scale**2
        return float(1.0 / (self.slowest_diffusion * decay))

    @property
    def modes(self) -> Array:
        """Slowest shape of every field, which leaves by the ends or, where it cannot, swings, ``(fields, cells)``."""
        leaving = np.sin(np.pi * self.positions)
        swinging = np.cos(np.pi * (np.arange(self.cells) + 0.5) / self.cells)
        return np.stack([leaving if field in self.flowing else swinging for field in range(len(self.names))])

    @property
    def shares(self) -> Array:
        """Weights of the counts of all bonds in the count of the channel, ``(flowing, fields, cells + 1)``.

        Any that add up to 1 over the bonds count the same current in the long run. These, how a force falls on the
        bonds, leave the least transient part.
        """
        even = np.zeros((len(self.flowing), len(self.names), self.scale))
        for row, field in enumerate(self.flowing):
            even[row, field] = 1.0 / self.scale
        return even

    @property
    @abstractmethod
    def rings_per_time(self) -> float:
        """Rings of all bonds per lattice unit of time."""

    @property
    @abstractmethod
    def slowest_diffusion(self) -> float:
        """Smallest eigenvalue of the diffusion matrix, as far as it is known."""

    @property
    @abstractmethod
    def at_equilibrium(self) -> bool:
        """Whether no current flows."""

    @property
    @abstractmethod
    def forces(self) -> Array:
        """Over the channel, on what can flow, ``(flowing,)``."""

    @abstractmethod
    def reference(self) -> Reference:
        """Return what theory says."""

    @abstractmethod
    def continuum_currents(self) -> Array:
        """Return the currents that can flow in the limit of many cells, ``(flowing,)``."""

    @abstractmethod
    def start(self, generator: np.random.Generator) -> Array:
        """Draw a start near the steady state: contents of the cells, ``(fields, cells)``."""

    @abstractmethod
    def run(self, state: Array, generator: NDArray[np.uint64], sampling: Sampling, amplitudes: Array) -> None:
        """Ring bonds and sample, as many rows as ``amplitudes`` has, ``(rows, fields)``; add to the counts."""
