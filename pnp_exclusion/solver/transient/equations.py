"""What is stored and what flows at a state, as arrays of this rank, with their derivatives as matrices."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import la

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import POTENTIAL
from pnp_exclusion.runtime.parallel import largest_over_ranks
from pnp_exclusion.solver.assembly.assembly import assembly_of


@dataclass(frozen=True, eq=False)
class Slopes:
    """The derivatives of what is stored and of what flows at one state, rows and columns of held unknowns left out."""

    stored: PETSc.Mat
    flowing: PETSc.Mat

    def destroy(self) -> None:
        """Free PETSc's objects."""
        self.stored.destroy()
        self.flowing.destroy()


class Equations:
    """The equations of a discretisation, ``dS/dt + F = 0`` and ``P = 0``; all methods are collective.

    Arrays are of the owned unknowns: ``S_a`` and ``F_a`` stand where the unknowns of species and energy do, ``P`` where
    the potential does.
    """

    def __init__(self, discrete: Discretisation) -> None:
        self.discrete = discrete
        layout = discrete.layout
        self.comm = discrete.problem.domain.comm
        self.owned = discrete.space.dofmap.index_map.size_local * layout.size
        self.is_potential = np.zeros(self.owned, dtype=bool)
        if POTENTIAL in layout:
            self.is_potential[layout.index(POTENTIAL) :: layout.size] = True
        dofs = discrete.constraints.dofs
        self.held = dofs[dofs < self.owned]
        self._assembly = assembly_of(discrete, repeated=True)
        # a copy of a matrix has the places that have been filled once
        self._assembly.fill_jacobian()
        self._work = la.vector(discrete.space.dofmap.index_map, discrete.space.dofmap.index_map_bs)
        test = layout.parts(ufl.TestFunction(discrete.space))
        stored = discrete.weak_form.contents_against(test)
        self._stored = discrete.forms.kept("stored", lambda: discrete.integration.form(stored))
        self._stored_slope = discrete.forms.kept(
            "slope of what is stored", lambda: discrete.integration.form(ufl.derivative(stored, discrete.unknown))
        )

    @property
    def matrix(self) -> PETSc.Mat:
        """A matrix with all places of the slopes."""
        return self._assembly.matrix

    def close(self) -> None:
        """Free PETSc's objects."""
        self._assembly.close()

    def show(self, values: np.ndarray) -> None:
        """Write a state, owned and ghost, into the unknown."""
        self.discrete.values[:] = values

    def stored(self) -> np.ndarray:
        """Return ``S`` at the unknown; 0 where the potential stands."""
        return self._assembled(self._stored.add_to)

    def flowing(self) -> np.ndarray:
        """Return ``F`` and ``P`` at the unknown."""
        return self._assembled(self._assembly.add_residual)

    def _assembled(self, add_to: object) -> np.ndarray:
        self._work.array[:] = 0.0
        add_to(self._work.array)  # type: ignore[operator]
        self._work.scatter_reverse(la.InsertMode.add)
        return self._work.array[: self.owned].copy()

    def new_slopes(self) -> Slopes:
        """Return matrices for `fill_slopes`."""
        return Slopes(self.matrix.duplicate(), self.matrix.duplicate())

    def fill_slopes(self, slopes: Slopes) -> None:
        """Take the derivatives at the unknown."""
        self._assembly.fill_jacobian()
        self.matrix.copy(slopes.flowing, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        slopes.stored.zeroEntries()
        self._stored_slope.add_to_matrix(slopes.stored, self.discrete.constraints.conditions)
        slopes.stored.assemble()

    def with_ghosts(self, owned: np.ndarray) -> np.ndarray:
        """Return an array of owned unknowns with those of the ghosts behind it."""
        self._work.array[: self.owned] = owned
        self._work.scatter_forward()
        return self._work.array.copy()

    def largest(self, values: np.ndarray) -> float:
        """Return the largest absolute value over all ranks; NaN if there is one."""
        return largest_over_ranks(self.comm, np.abs(values))

    def any(self, flag: bool) -> bool:
        """Return whether something is so on any rank."""
        return bool(self.comm.allreduce(bool(flag), op=MPI.LOR))
