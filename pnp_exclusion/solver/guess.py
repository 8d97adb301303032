"""The first guess: from boundary values to a state from which Newton converges in a few steps.

See docs/numerics.md#first-guess:

0. under a law with a temperature, this harmonic between the boundaries that hold it;
1. every ``mu_a`` harmonic between the boundaries that hold it, or (`Start`) such that the densities of the species
   which pass are; constant where one boundary holds it;
2. ``phi`` that makes every node electroneutral;
3. the nonlinear Poisson problem at these ``mu``, whose Jacobian is symmetric positive definite;
4. for closed species, ``mu_a`` shifted until the amount is right, together with 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import ufl
from dolfinx import fem, la

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import INVERSE_TEMPERATURE, POTENTIAL
from pnp_exclusion.discretisation.parameters import EXCLUDED
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.runtime.parallel import largest_over_ranks
from pnp_exclusion.solver.constant_potentials import ConstantPotentials, passing
from pnp_exclusion.solver.depletion import depletion_rates
from pnp_exclusion.solver.harmonic import HarmonicExtension
from pnp_exclusion.solver.nonlinear_poisson import NonlinearPoisson

Start = Literal["densities", "potentials"]
"""What is harmonic between boundaries that hold different values. Densities are nearly so where particles pass,
potentials where nothing does: equilibrium is then exact."""

LEAST_SHARE = 1e-6
"""Of the largest density: what harmonic ones are credited with near a sink, and the vacancies in a full lattice."""
EMPTY = 1e-16
"""Of a species that reactions use up: what is left of it far from where it is supplied."""


class FirstGuess:
    """Fills the unknown of a weak form; built once, used again at every load parameter of a ramp."""

    def __init__(self, discrete: Discretisation) -> None:
        self.discrete = discrete
        self.scalar_space = discrete.scalar_space()
        self.species = len(self.problem.species)
        self._poisson = NonlinearPoisson(discrete, self.scalar_space) if self.problem.coupled else None
        self.constants = ConstantPotentials(discrete, self._poisson)
        self._extensions: dict[tuple[tuple[int, ...], str], HarmonicExtension] = {}

    @property
    def problem(self) -> Problem:
        """The problem with its present numbers."""
        return self.discrete.problem

    def fill(self, start: Start) -> None:
        """Write the guess for the load parameter in force into the unknown."""
        discrete = self.discrete
        if self.problem.floating:
            discrete.set_potentials([0.0] * len(self.problem.floating))
        values = np.zeros_like(discrete.layout.at_nodes(discrete.values))
        mu = discrete.layout.indices(discrete.mu)
        if INVERSE_TEMPERATURE in discrete.layout:
            values[:, discrete.layout.index(INVERSE_TEMPERATURE)] = self.inverse_temperature()
        straight = self.passing if start == "densities" else []
        for a in set(range(self.species)) - set(straight):
            values[:, mu[a]] = self._harmonic(a, values)
        if straight:
            self._straighten_densities(values, straight)
        for a in range(self.species):
            values[:, mu[a]] += self._log_depletion(a)
        discrete.values[:] = values.ravel()
        if self.problem.coupled:
            if not straight or self.has_fixed_charge:
                self._make_electroneutral()
            discrete.impose_dirichlet_values()
            self.solve_poisson()
        self.constants.restore()
        discrete.impose_dirichlet_values()

    def solve_poisson(self) -> bool:
        """Solve for the potential at the ``mu`` in the unknown; return whether it converged (a guess need not)."""
        return self._poisson.solve() if self._poisson is not None else True

    def close(self) -> None:
        """Free PETSc's objects."""
        for problem in self._problems():
            problem.close()

    def forget(self) -> None:
        """Drop all factorisations."""
        for problem in self._problems():
            problem.forget()

    def _problems(self) -> list[NonlinearPoisson | HarmonicExtension]:
        return [*self._extensions.values(), *([self._poisson] if self._poisson is not None else [])]

    def inverse_temperature(self) -> np.ndarray:
        """Return ``beta`` of a temperature that is harmonic between the boundaries that hold one."""
        held = self.discrete.constraints.values_of(INVERSE_TEMPERATURE)
        levels = {h.tag: 1.0 / float(h.constant.value) for h in held}
        temperatures = self._extended(levels, INVERSE_TEMPERATURE)
        return 1.0 / np.clip(temperatures, min(levels.values()), max(levels.values()))

    def _harmonic(self, a: int, values: np.ndarray) -> np.ndarray:
        """Return the harmonic extension of the held ``mu_a``; for a closed species, the value of its mean density."""
        held = self.discrete.constraints.values_of(self.discrete.mu[a])
        weakly = [rho for _, species, rho in weakly_imposed(self.problem) if species == self.problem.names[a]]
        if not held:
            means = [
                s.mean_fraction or self._mean_exchanged(s.name) or self._unsaid(s.name) for s in self.problem.species
            ]
            if weakly:
                means[a] = weakly[0]
            crowding = min(1.0, 0.9 / self.problem.packing(means))
            eta = self.problem.law.free_energy.chemical_potentials([mean * crowding for mean in means])[a]
            # phi is zero as yet
            return np.full(1, eta) if not self.problem.law.thermal else eta - self._offsets(values)[a]
        return self._extended({h.tag: float(h.constant.value) for h in held}, self.discrete.mu[a])

    def _log_depletion(self, a: int) -> np.ndarray | float:
        """Return by what reactions that use a species up lower its potential, at all nodes."""
        discrete, problem, name = self.discrete, self.problem, self.problem.names[a]
        rates = depletion_rates(problem, name)
        claimed, unknown = discrete.constraints.claimed, discrete.mu[a]
        tags = [tag for tag, held in claimed if held == unknown]
        if not rates or not tags:
            return 0.0
        parameters, space = discrete.parameters, self.scalar_space
        numbers = parameters.of_term(("depletion", name))
        taken = sum(numbers.number(rate) * (parameters.reacting_cells[number] or 1.0) for number, rate in rates.items())
        u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
        form = (
            parameters.local_diffusivities[a] * ufl.inner(ufl.grad(u), ufl.grad(v)) + taken * u * v
        ) * discrete.integration.dx
        nodes = [discrete.layout.nodes_of(claimed[tag, unknown]) for tag in tags]
        extension = HarmonicExtension(discrete.integration.form(form).now, space, nodes)
        left = extension.of([1.0] * len(tags))
        extension.close()
        return np.log(np.clip(left, EMPTY, 1.0))

    def _unsaid(self, species: str) -> float:
        """Return the content of a species of which nothing says how much there is; little of what reactions make, since
        what they make it of is counted already."""
        made = any(reaction.change(species) for reaction in self.problem.reactions)
        return 1e-3 if made else 0.1

    def _mean_exchanged(self, species: str) -> float:
        """Return the mean of the contents with which boundaries exchange a species; 0 if none does."""
        contents = [b.exchanged_fractions for b in self.problem.boundaries if species in b.exchanged_fractions]
        return sum(held[species] for held in contents) / len(contents) if contents else 0.0

    def _offsets(self, values: np.ndarray) -> np.ndarray:
        """Return ``eta_a - mu_a`` at unknowns ``(nodes, size)``, (species, nodes)."""
        mu, eta, _ = self.discrete.potentials(values)
        return eta - mu

    def _extended(self, levels: Mapping[int, float], unknown: str) -> np.ndarray:
        """Return the harmonic function with a level at every boundary that holds an unknown; ``(1,)`` if constant."""
        if len(set(levels.values())) == 1:
            return np.full(1, next(iter(levels.values())))
        # which boundaries hold an unknown says which nodes are held, on every rank alike; where a species may not be
        # there is no way for it
        constraints, layout = self.discrete.constraints, self.discrete.layout
        boundaries, part = tuple(levels), unknown if unknown in constraints.absent else ""
        if (boundaries, part) not in self._extensions:
            laplacian = self.discrete.forms.kept(f"laplacian {part}", partial(self._laplacian, part))
            nodes = [layout.nodes_of(constraints.claimed[tag, unknown]) for tag in boundaries]
            absent = layout.nodes_of(constraints.absent[part]) if part else np.empty(0, dtype=np.int32)
            self._extensions[boundaries, part] = HarmonicExtension(laplacian, self.scalar_space, [*nodes, absent])
        return self._extensions[boundaries, part].of([*levels.values(), 0.0])

    @property
    def passing(self) -> list[int]:
        """Species that may flow, by `passing`."""
        return passing(self.discrete)

    @property
    def has_fixed_charge(self) -> bool:
        """Whether there is any, on any rank."""
        return (
            self.problem.coupled
            and largest_over_ranks(self.problem.domain.comm, np.abs(self.problem.immobile_charge)) > 0.0
        )

    def _straighten_densities(self, values: np.ndarray, passing: Sequence[int]) -> None:
        """Write ``mu`` of harmonic densities of the species that pass, and a harmonic potential.

        values
            ``(nodes, size)``, with ``mu`` of the other species.
        """
        discrete, problem, boundaries = self.discrete, self.problem, self.problem.boundaries
        mu = discrete.layout.indices(discrete.mu)
        if problem.coupled:
            held = discrete.constraints.values_of(POTENTIAL)
            potential = self._extended({h.tag: float(h.constant.value) for h in held}, POTENTIAL) if held else 0.0
            values[:, discrete.layout.index(POTENTIAL)] = potential
        zero = values.copy()
        zero[:, mu] = 0.0
        offsets = discrete.potentials(zero)[1]
        densities = {}
        for a in passing:
            name = problem.names[a]
            claimed = [tag for tag, unknown in discrete.constraints.claimed if unknown == discrete.mu[a]]
            levels = {tag: boundaries[tag].dirichlet_fractions[name] for tag in claimed}
            low, high = min(levels.values()), max(levels.values())
            # elements of higher degree and iterative solvers leave the bounds by a little
            densities[a] = np.clip(self._extended(levels, discrete.mu[a]), max(low, LEAST_SHARE * high), high)
        _, eta, _ = discrete.potentials(values)
        others = {b: eta[b] for b in range(self.species) if b not in passing}
        found = problem.law.free_energy.chemical_potentials_beside(densities, others)
        for a, eta_a in found.items():
            values[:, mu[a]] = eta_a - offsets[a]

    def _laplacian(self, part: str) -> fem.Form:
        """Return the Laplacian over the whole domain, or over where the species of an unknown may be."""
        u, v = ufl.TrialFunction(self.scalar_space), ufl.TestFunction(self.scalar_space)
        there: Any = 1.0
        if part:
            energies = self.discrete.parameters.partition or []
            energy = energies[self.discrete.mu.index(part)]
            there = ufl.conditional(ufl.lt(energy, EXCLUDED), 1.0, 0.0)
        form = there * ufl.inner(ufl.grad(u), ufl.grad(v)) * self.discrete.integration.dx
        return self.discrete.integration.form(form).now

    def _make_electroneutral(self) -> None:
        """Choose ``phi`` node by node so that ``sum z_a rho_a + q`` vanishes, or comes as near as saturation allows."""
        problem, charges = self.problem, self.problem.charges
        if not charges.any():
            return
        mu, _, potential = self.discrete.potentials(self.discrete.values)
        assert potential is not None
        fixed = float(self.discrete.parameters.load_parameter.value) * self._nodal_fixed_charge()
        densities = problem.law.free_energy.densities

        beta, partition = (
            self.discrete.inverse_temperature(self.discrete.unknown.x.array),
            self.discrete.partition_at_nodes(),
        )

        def charge(phi: np.ndarray, q: np.ndarray, *mu: np.ndarray) -> np.ndarray:
            eta = problem.law.eta(mu, charges, phi, beta, partition=partition)
            total: np.ndarray = problem.charge_density(densities(eta)[1:], q)
            return total

        # charge falls with phi; halving the bracket to a tenth of kT/e is enough for Poisson to start from
        reach = (60.0 + np.ptp(mu, axis=0) + np.abs(mu).max(axis=0)) / np.abs(charges[charges != 0.0]).min()
        low, high = -reach, reach
        with np.errstate(over="ignore"):
            farthest = largest_over_ranks(problem.domain.comm, reach, least=1.0)
            for _ in range(int(np.ceil(np.log2(20.0 * farthest)))):
                middle = 0.5 * (low + high)
                positive = charge(middle, fixed, *mu) > 0.0
                low, high = np.where(positive, middle, low), np.where(positive, high, middle)
        middle = 0.5 * (low + high)
        # where no potential is neutral (a fixed charge beyond what packing can compensate), Poisson decides
        potential[:] = np.where(np.abs(middle) < 0.99 * reach, middle, 0.0)
        # owner and ghost of a node round differently
        self.discrete.unknown.x.scatter_forward()

    def _nodal_fixed_charge(self) -> np.ndarray:
        """Return the mean fixed charge of the cells around every node, the same on every rank."""
        return _nodal_mean(self.problem.immobile_charge, self.scalar_space)


def _nodal_mean(cellwise: np.ndarray, space: fem.FunctionSpace) -> np.ndarray:
    """Average a cell-wise constant over the cells around every node of a space, owned and ghost."""
    total, count = la.vector(space.dofmap.index_map, 1), la.vector(space.dofmap.index_map, 1)
    owned = space.mesh.topology.index_map(space.mesh.topology.dim).size_local
    cells = space.dofmap.list[:owned]
    np.add.at(total.array, cells, cellwise[:owned, None])
    np.add.at(count.array, cells, 1.0)
    for vector in (total, count):
        vector.scatter_reverse(la.InsertMode.add)
        vector.scatter_forward()
    return total.array / count.array
