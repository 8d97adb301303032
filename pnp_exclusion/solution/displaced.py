"""What parameters of a case displace: the problems beside that of a steady state, on the mesh as it goes along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.build import Setup, problem_on
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.layers import kept_nodes
from pnp_exclusion.case.region_cells import RegionCells
from pnp_exclusion.case.scales import domain_length, scales_of
from pnp_exclusion.case.smooth_keys import Parameter, Variations
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.errors import UsageError
from pnp_exclusion.solution.steady_state import SteadyState

type Real = NDArray[np.float64]


class Displacement:
    """The problems beside that of a steady state that belong to a parameter a little less and a little more."""

    def __init__(self, steady: SteadyState, variations: Variations, parameter: Parameter, regions: RegionCells) -> None:
        self._setup, self._potentials = steady.setup, found_potentials(steady)
        self._variations, self._parameter, self._regions = variations, parameter, regions
        law = steady.state.problem.law
        # a law of Python is no other for another case; one that the case names has its numbers from there
        named = steady.setup.case.model.flux_law.exchange
        self._law = None if getattr(named, "__qualname__", "") == getattr(law.exchange, "__qualname__", "") else law
        self.step = parameter.step
        self.moves_nodes = parameter.moves_mesh

    @contextmanager
    def at(self, sign: float) -> Iterator[Setup]:
        """Move the mesh to where it is at a displaced parameter; gives what the case is turned into there."""
        parameter, domain = self._parameter, self._setup.problem.domain
        case = self._variations.at([(parameter, parameter.value + sign * self.step)])
        scales = scales_of(case, self._length(case))
        points, at_rest = domain.mesh.geometry.x, None
        try:
            if self.moves_nodes:
                at_rest = points.copy()
                self._move(points, case)
            problem = problem_on(domain, scales, case, self._law, self._regions)
            self._require_same_form(problem.law.free_energy)
            yield Setup(case, scales, problem.at_potentials(self._potentials))
        finally:
            if at_rest is not None:
                points[:] = at_rest

    def _length(self, case: Case) -> float:
        found = domain_length(case)
        if found is not None:
            return found
        here, there = (getattr(one.domain, "unit", None) for one in (self._setup.case, case))
        return self._setup.scales.length * (there.value / here.value if here and there else 1.0)

    def _move(self, points: Real, case: Case) -> None:
        """Take the nodes along with the ends of the domain and what else must be a node."""
        setup, name = self._setup, self._parameter.name
        if getattr(setup.case.domain, "area", None) is not None:
            raise UsageError(f'no derivative by "{name}": the section of a channel stands at fixed places')
        if setup.problem.domain.grid is None:
            raise UsageError(f'no derivative by "{name}": a mesh that is given or refined does not move')
        there = kept_nodes(case, scales_of(case, self._length(case)))
        for axis, (old, new) in enumerate(zip(kept_nodes(setup.case, setup.scales), there, strict=True)):
            pairs = sorted(set(zip(old, new, strict=True)))
            before, after = np.array(pairs).T
            # what is twice in one place, and goes to two
            apart = np.abs(np.diff(after)[np.diff(before) < 1e-12])
            if (apart > 1e-12).any() or (np.diff(after)[np.diff(before) >= 1e-12] <= 0.0).any():
                raise UsageError(
                    f'no derivative by "{name}": something else begins or ends there too; name both, joined by "="'
                )
            points[:, axis] = np.interp(points[:, axis], before, after)

    def _require_same_form(self, free_energy: Any) -> None:
        here = self._setup.problem.law.free_energy
        if bool(getattr(here, "steps", 1)) != bool(getattr(free_energy, "steps", 1)):
            raise UsageError(
                f'no derivative by "{self._parameter.name}": particles of one size have equations of their own; let '
                'all sizes change together, joined by "="'
            )


class PotentialDisplacement:
    """The same for the potential of a boundary that is found, in kT/e."""

    step, moves_nodes = 1e-4, False

    def __init__(self, steady: SteadyState, position: int) -> None:
        self._setup, self._potentials, self._position = steady.setup, found_potentials(steady), position

    @contextmanager
    def at(self, sign: float) -> Iterator[Setup]:
        """Give the setup at a displaced potential."""
        potentials = list(self._potentials)
        potentials[self._position] += sign * self.step
        yield replace(self._setup, problem=self._setup.problem.at_potentials(potentials))


def found_potentials(steady: SteadyState) -> list[float]:
    """Return the potentials that are found, relative to the reference."""
    problem = steady.state.problem
    return [problem.boundaries[tag].applied_potential or 0.0 for tag in problem.floating]


class Numbers:
    """The numbers of a problem as a discretisation has taken them, what it holds, and where its nodes are.

    held
        The unknowns that boundaries hold, as of `Constraints.dofs`.
    moved
        Whether nodes are elsewhere than usually.
    """

    def __init__(self, discrete: Discretisation, held: NDArray[np.int32], moved: bool) -> None:
        self._discrete, parameters = discrete, discrete.parameters
        self._constants = [(constant, np.copy(constant.value)) for constant in parameters.constants]
        self._functions = [(function, function.x.array.copy()) for function in parameters.functions]
        self._held = held
        self._values = discrete.values[self._held]
        self._points = discrete.problem.domain.mesh.geometry.x.copy() if moved else None
        self._problem = discrete.problem

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let the discretisation have them."""
        discrete, points = self._discrete, self._discrete.problem.domain.mesh.geometry.x
        discrete.problem = self._problem
        for constant, value in self._constants:
            constant.value[...] = value
        for function, array in self._functions:
            function.x.array[:] = array
        discrete.values[self._held] = self._values
        at_rest = None if self._points is None else points.copy()
        try:
            if self._points is not None:
                points[:] = self._points
            yield
        finally:
            if at_rest is not None:
                points[:] = at_rest

    def differing_cells(self, other: Numbers) -> NDArray[np.bool_]:
        """Return in which cells of this rank integrals may differ."""
        discrete, forms = self._discrete, self._discrete.forms
        found = np.zeros(len(discrete.integration.is_steep), dtype=bool)
        everywhere = forms.residual.constants_of_cells | forms.balance.constants_of_cells
        constants = zip(self._constants, other._constants, strict=True)
        if any(a in everywhere and np.any(low != high) for (a, low), (_, high) in constants):
            found[:] = True
            return found
        if self._points is not None and other._points is not None:
            is_elsewhere = (self._points != other._points).any(axis=1)
            found |= is_elsewhere[discrete.problem.domain.mesh.geometry.dofmaps[0][: len(found)]].any(axis=1)
        for (function, low), (_, high) in zip(self._functions, other._functions, strict=True):
            found |= (low != high)[function.function_space.dofmap.list[: len(found)]].any(axis=1)
        is_moved = np.zeros(len(discrete.values) // discrete.layout.size, dtype=bool)
        is_moved[discrete.layout.nodes_of(self._held[self._values != other._values])] = True
        found |= is_moved[discrete.space.dofmap.list[: len(found)]].any(axis=1)
        return found
