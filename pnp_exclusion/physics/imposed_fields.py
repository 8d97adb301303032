"""Given forces on the particles of a species, where the potential is not solved for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import ufl
from dolfinx import fem

from pnp_exclusion.mesh.domain import Domain


class ImposedField(Protocol):
    """A force ``E_a`` on every particle, kT per length; its numbers stand in a coefficient of compiled forms."""

    @property
    def largest(self) -> float:
        """An upper bound of its size."""
        ...

    def work(self, points: np.ndarray) -> np.ndarray:
        """Return the work it does from a fixed point to ``points`` ``(3, n)``, kT: it is the gradient of this."""
        ...

    def coefficient(self, domain: Domain) -> fem.Constant | fem.Function:
        """Return a new constant or function with the numbers of this field."""
        ...

    def fill(self, coefficient: Any, domain: Domain) -> None:
        """Give a coefficient that a field of the same kind has made the numbers of this one."""
        ...

    def vector(self, coefficient: Any, domain: Domain) -> Any:
        """Return the field as a UFL vector of the coefficient."""
        ...


@dataclass(frozen=True)
class UniformField(ImposedField):
    """The same force everywhere.

    components
        ``(dimension,)``.
    """

    components: np.ndarray

    @property
    def largest(self) -> float:
        """Its size."""
        return float(np.linalg.norm(self.components))

    def work(self, points: np.ndarray) -> np.ndarray:
        """Return the work from the origin."""
        work: np.ndarray = self.components @ points[: len(self.components)]
        return work

    def coefficient(self, domain: Domain) -> fem.Constant:
        """Return a constant vector."""
        return fem.Constant(domain.mesh, self.components.copy())

    def fill(self, coefficient: Any, domain: Domain) -> None:
        """Write the components."""
        coefficient.value[...] = self.components

    def vector(self, coefficient: Any, domain: Domain) -> Any:
        """Return the constant itself."""
        return coefficient


@dataclass(frozen=True)
class TabulatedField(ImposedField):
    """A force along x that depends on x: linear between knots; a knot given twice is a jump.

    knots, values
        ``(n,)``, ascending positions and the force there.
    """

    knots: np.ndarray
    values: np.ndarray

    @property
    def largest(self) -> float:
        """The largest value."""
        return float(np.abs(self.values).max())

    def work(self, points: np.ndarray) -> np.ndarray:
        """Return the work from the first knot."""
        steps = np.diff(self.knots)
        at_knots = np.concatenate([[0.0], np.cumsum(0.5 * (self.values[1:] + self.values[:-1]) * steps)])
        slopes = np.divide(np.diff(self.values), steps, out=np.zeros_like(steps), where=steps > 0.0)
        piece = np.clip(np.searchsorted(self.knots, points[0], side="right") - 1, 0, len(steps) - 1)
        beyond = points[0] - self.knots[piece]
        work: np.ndarray = at_knots[piece] + self.values[piece] * beyond + 0.5 * slopes[piece] * beyond**2
        return work

    def coefficient(self, domain: Domain) -> fem.Function:
        """Return a function that is linear in every cell: knots are nodes of the mesh."""
        function = fem.Function(fem.functionspace(domain.mesh, ("Discontinuous Lagrange", 1)), name="field")
        self.fill(function, domain)
        return function

    def fill(self, coefficient: Any, domain: Domain) -> None:
        """Write the values, at a jump the limit from within each cell."""
        space = coefficient.function_space
        positions = space.tabulate_dof_coordinates()[:, 0]
        midpoints = domain.cell_midpoints()[:, 0]
        inside = positions.copy()
        cells = space.dofmap.list
        inside[cells] = midpoints[:, None] + (positions[cells] - midpoints[:, None]) * (1.0 - 1e-9)
        coefficient.x.array[:] = np.interp(inside, self.knots, self.values)

    def vector(self, coefficient: Any, domain: Domain) -> Any:
        """Return the field along x."""
        return coefficient * ufl.as_vector([1.0] + [0.0] * (domain.dimension - 1))
