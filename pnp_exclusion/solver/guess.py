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

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import follow_potentials
from pnp_exclusion.discretisation.layout import INVERSE_TEMPERATURE, POTENTIAL, electrochemical_potential
from pnp_exclusion.discretisation.parameters import EXCLUDED
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.runtime.parallel import largest_over_ranks
from pnp_exclusion.solver.depletion import depletion_rates
from pnp_exclusion.solver.linear.presets import refusals_as_usage_errors
from pnp_exclusion.solver.newton import damped
from pnp_exclusion.solver.poisson_border import PoissonBorder

Start = Literal["densities", "potentials"]
"""What is harmonic between boundaries that hold different values. Densities are nearly so where particles pass,
potentials where nothing does: equilibrium is then exact."""

POISSON_STEPS = 60
"""The damped iteration on a monotone problem: 5 steps as a rule, 11 at most when it was tried."""
POISSON_TOLERANCE = 0.03
"""kT/e, of the full step: what is left is corrected by Newton's method, which follows."""
LEAST_SHARE = 1e-6
"""Of the largest density: what harmonic ones are credited with near a sink, and the vacancies in a full lattice."""
LEVEL_ROUNDS = 60
"""Of shifting constant ``mu``."""
LEVEL_PROGRESS, IDLE_ROUNDS = 0.7, 5
"""Slopes are taken anew after so many rounds without an excess that is so many times the least before."""
LEVEL_DIFFERENCE = 0.05
"""kT, by which slopes are taken, with Poisson's equation to `FINE_TOLERANCE`."""
FINE_TOLERANCE = 1e-6
FULL = 1e-3
"""Vacancies that are none."""
LEVEL_TOLERANCE = 1e-2
"""Relative, of amounts and contents: what is left is Newton's work."""
LARGEST_SHIFT = 3.0
"""kT, in one round."""
EMPTY = 1e-16
"""Of a species that reactions use up: what is left of it far from where it is supplied."""


class FirstGuess:
    """Fills the unknown of a weak form; built once, used again at every load parameter of a ramp."""

    def __init__(self, discrete: Discretisation) -> None:
        self.discrete = discrete
        self.scalar_space = discrete.scalar_space()
        self.species = len(self.problem.species)
        self._poisson = _NonlinearPoisson(discrete, self.scalar_space) if self.problem.coupled else None
        self._extensions: dict[tuple[tuple[int, ...], str], _HarmonicExtension] = {}

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
        self.restore_levels()
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

    def _problems(self) -> list[_NonlinearPoisson | _HarmonicExtension]:
        return [*self._extensions.values(), *([self._poisson] if self._poisson is not None else [])]

    def restore_levels(self) -> None:
        """Shift constant ``mu`` until closed species have their amounts, and others their contents at the one boundary
        that holds them; the potential follows.

        Closed ones together with Poisson's equation, if that converges; what is left by Broyden's method, from a state
        in which each amount follows its own ``mu`` alone, and where that makes no progress, with slopes taken by
        differences.
        """
        if self.problem.conserved and self._poisson is not None:
            self._poisson.solve(with_amounts=True)
        excesses = self._excesses()
        answers, least, idle = -np.eye(len(excesses)), np.inf, 0
        for _ in range(LEVEL_ROUNDS):
            now = np.array(list(excesses.values()))
            largest = np.abs(now).max(initial=0.0)
            if largest < LEVEL_TOLERANCE:
                return
            least, idle = (largest, 0) if largest < LEVEL_PROGRESS * least else (least, idle + 1)
            if idle == IDLE_ROUNDS:
                answers, idle = -np.linalg.pinv(self._slopes(list(excesses), now), rcond=1e-8), 0
            shifts = np.clip(answers @ now, -LARGEST_SHIFT, LARGEST_SHIFT)
            self._shift(dict(zip(excesses, shifts, strict=True)), FINE_TOLERANCE)
            excesses = self._excesses()
            answered = answers @ (np.array(list(excesses.values())) - now)
            along = shifts @ answered
            if abs(along) > 1e-3 * (shifts @ shifts):
                answers += np.outer(-shifts - answered, shifts @ answers) / along

    def reached_in_full_lattice(self) -> dict[str, float]:
        """Return the share of what must be there of every species with a constant ``mu``, if `fill` has filled the
        lattice without having enough of any."""
        excesses = self._excesses()
        if not self.problem.law.crowded or len(excesses) < self.species:
            return {}
        vacancies = 1.0 - self.discrete.nodal_values().rho.sum(axis=0)
        is_full = largest_over_ranks(self.problem.domain.comm, vacancies) < FULL
        if not is_full or not all(excess < -LEVEL_TOLERANCE for excess in excesses.values()):
            return {}
        return {name: float(np.exp(excess)) for name, excess in excesses.items()}

    def _slopes(self, names: Sequence[str], now: np.ndarray) -> np.ndarray:
        """Return the slopes of excesses by constant ``mu``, by differences: a solution of Poisson's equation each."""
        values = self.discrete.values.copy()
        slopes = np.zeros((len(names), len(names)))
        for column, name in enumerate(names):
            self._shift({name: LEVEL_DIFFERENCE}, FINE_TOLERANCE)
            slopes[:, column] = (np.array(list(self._excesses().values())) - now) / LEVEL_DIFFERENCE
            self.discrete.values[:] = values
        return slopes

    def _shift(self, shifts: Mapping[str, float], tolerance: float) -> None:
        unknowns = self.discrete.layout.split(self.discrete.values)
        for name, shift in shifts.items():
            unknowns[electrochemical_potential(name)] += shift
        if self._poisson is not None:
            self._poisson.solve(tolerance=tolerance)

    def _excesses(self) -> dict[str, float]:
        """Return the logarithm of what there is of every species with a constant ``mu`` over what there must be."""
        excesses = {name: float(np.log(ratio)) for name, ratio in self.amount_ratios().items()}
        weakly = weakly_imposed(self.problem)
        for tag, name, held in weakly:
            if self.problem.names.index(name) in self.passing or sum(other == name for _, other, _ in weakly) > 1:
                continue
            nodes = self.discrete.constraints.nodes_on(self.problem.boundaries[tag].where)
            own = nodes[nodes < self.discrete.space.dofmap.index_map.size_local]
            at_nodes = self.discrete.layout.at_nodes(self.discrete.values)[own]
            there = self.discrete.contents(at_nodes)[self.problem.names.index(name)]
            comm = self.problem.domain.comm
            total = comm.allreduce(float(np.log(np.maximum(there, 1e-300) / held).sum()), op=MPI.SUM)
            excesses[name] = total / comm.allreduce(len(own), op=MPI.SUM)
        return excesses

    def amount_ratios(self) -> dict[str, float]:
        """Return the amount of every closed species relative to what it must be."""
        closed = {s.name: s.mean_fraction or 0.0 for s in self.problem.species if s.name in self.problem.conserved}
        if not closed:
            return {}
        one, rho = fem.Constant(self.problem.domain.mesh, 1.0), self.discrete.fields.rho
        volume, *amounts = self.discrete.forms.integrals("amounts", lambda: [one, *(rho[name] for name in closed)])
        return {name: float(amount / (volume * closed[name])) for name, amount in zip(closed, amounts, strict=True)}

    def linked_lacks(self) -> list[float]:
        """Return what every combination that reactions conserve lacks of its mean over the domain."""
        problem = self.problem
        linked = problem.linked
        if not linked:
            return []
        one, rho = fem.Constant(problem.domain.mesh, 1.0), self.discrete.fields.rho
        totals = lambda: [sum(factor * rho[name] for name, factor in pairs.items()) for pairs in linked]  # noqa: E731
        volume, *amounts = self.discrete.forms.integrals("linked amounts", lambda: [one, *totals()])
        return [problem.mean_of(pairs) - float(amount / volume) for pairs, amount in zip(linked, amounts, strict=True)]

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
            means = [s.mean_fraction or self._mean_exchanged(s.name) or 0.1 for s in self.problem.species]
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
        extension = _HarmonicExtension(discrete.integration.form(form).now, space, nodes)
        left = extension.of([1.0] * len(tags))
        extension.close()
        return np.log(np.clip(left, EMPTY, 1.0))

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
            self._extensions[boundaries, part] = _HarmonicExtension(laplacian, self.scalar_space, [*nodes, absent])
        return self._extensions[boundaries, part].of([*levels.values(), 0.0])

    @property
    def passing(self) -> list[int]:
        """Species that boundaries hold at different electrochemical potentials, or contents, so that they may flow."""
        return [a for a in range(self.species) if self._passes(a)]

    def _passes(self, a: int) -> bool:
        weakly = {rho for _, species, rho in weakly_imposed(self.problem) if species == self.problem.names[a]}
        held = {float(h.constant.value) for h in self.discrete.constraints.values_of(self.discrete.mu[a])}
        return len(weakly) + len(held) > 1

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


def scalar_solver(matrix: PETSc.Mat, prefix: str) -> PETSc.KSP:
    """Return a solver for a scalar symmetric positive definite matrix, configured under a prefix of options."""
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOptionsPrefix(prefix)
    solver.setOperators(matrix)
    with refusals_as_usage_errors():
        solver.setFromOptions()
    return solver


def _scalar_conditions(discrete: Discretisation, space: fem.FunctionSpace, unknown: str) -> list[fem.DirichletBC]:
    """The held values of one unknown as conditions on a scalar space, on the same nodes."""
    held = discrete.constraints.values_of(unknown)
    return [fem.dirichletbc(h.constant, discrete.layout.nodes_of(h.dofs), space) for h in held]


class _HarmonicExtension:
    """The harmonic function that takes one value on each of some sets of nodes; its matrix never changes."""

    def __init__(self, laplacian: fem.Form, space: fem.FunctionSpace, nodes: Sequence[np.ndarray]) -> None:
        self.laplacian = laplacian
        self.values = [fem.Constant(space.mesh, 0.0) for _ in nodes]
        self.conditions = [
            fem.dirichletbc(value, own.astype(np.int32), space) for value, own in zip(self.values, nodes, strict=True)
        ]
        self.matrix = fem_petsc.assemble_matrix(laplacian, bcs=self.conditions)
        self.matrix.assemble()
        self.right = fem_petsc.create_vector(space)
        self.solution = fem.Function(space)
        self.solver = scalar_solver(self.matrix, "guess_")

    def of(self, levels: Sequence[float]) -> np.ndarray:
        """Return its values at all nodes, owned and ghost, for the level of every set."""
        for value, level in zip(self.values, levels, strict=True):
            value.value = level
        with self.right.localForm() as local:
            local.set(0.0)
        fem_petsc.apply_lifting(self.right, [self.laplacian], bcs=[self.conditions])
        self.right.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
        fem_petsc.set_bc(self.right, self.conditions)
        with refusals_as_usage_errors():
            self.solver.solve(self.right, self.solution.x.petsc_vec)
        self.solution.x.scatter_forward()
        return self.solution.x.array.copy()

    def forget(self) -> None:
        """Start with a new factorisation."""
        self.solver.destroy()
        self.solver = scalar_solver(self.matrix, "guess_")

    def close(self) -> None:
        """Free PETSc's objects."""
        for thing in (self.solver, self.matrix, self.right):
            thing.destroy()


class _NonlinearPoisson:
    """``R_phi = 0`` for the potential at given ``mu``: a monotone scalar problem."""

    def __init__(self, discrete: Discretisation, space: fem.FunctionSpace) -> None:
        self.discrete = discrete
        self.frozen = fem.Function(discrete.space, name="frozen")
        self.potential = fem.Function(space, name="phi")
        self.step = fem.Function(space, name="step")
        law, parameters = discrete.problem.law, discrete.parameters

        def eta_of(frozen: fem.Function, potential: fem.Function) -> list[Any]:
            parts = discrete.layout.parts(frozen)
            mu, beta = [parts[name] for name in discrete.mu], parts.get(INVERSE_TEMPERATURE)
            return law.eta(mu, parameters.charges, potential, beta, parameters.law, parameters.partition)

        # the same values, for derivatives to pass by
        same = eta_of(fem.Function(discrete.space, self.frozen.x), fem.Function(space, self.potential.x))
        rho = parameters.free_energy.densities_near(eta_of(self.frozen, self.potential), same)[1:]
        residual = discrete.weak_form.poisson_equation(self.potential, rho, ufl.TestFunction(space))
        self.border = PoissonBorder(discrete, self.frozen, self.potential, rho, residual)
        self.residual_form = discrete.integration.form(residual)
        self.jacobian_form = discrete.integration.form(ufl.derivative(residual, self.potential))
        self.conditions = _scalar_conditions(discrete, space, POTENTIAL)
        self.matrix = fem_petsc.create_matrix(self.jacobian_form.now)
        self.right = self.matrix.createVecLeft()
        self.increment = self.matrix.createVecRight()
        self.residual = la.vector(space.dofmap.index_map, 1)
        self.solver = scalar_solver(self.matrix, "poisson_")
        charged = discrete.problem.charges != 0.0
        self.is_ion_free = discrete.is_absent[:, charged].all(axis=1) & charged.any()

    def _damped(self, step: np.ndarray) -> np.ndarray:
        """Limit a step: it raises the densities of one sign of charge and lowers those of the other."""
        largest = max((abs(species.charge) for species in self.discrete.problem.species), default=0.0) or 1.0
        return np.sign(step) * damped(np.abs(largest * step)) / largest

    def forget(self) -> None:
        """Start with a new factorisation."""
        self.solver.destroy()
        self.solver = scalar_solver(self.matrix, "poisson_")

    def close(self) -> None:
        """Free PETSc's objects."""
        for thing in (self.solver, self.matrix, self.right, self.increment):
            thing.destroy()

    def solve(self, with_amounts: bool = False, tolerance: float = POISSON_TOLERANCE) -> bool:
        """Write the potential into the unknown if the iteration converges; otherwise leave it as it was.

        with_amounts
            Shift ``mu`` of closed species too, so that their amounts are right.
        """
        discrete, potential = self.discrete, self.potential
        of_unknown = discrete.layout.split(discrete.values)[POTENTIAL]
        self.frozen.x.array[:] = discrete.values
        potential.x.array[:] = of_unknown
        for condition in self.conditions:
            condition.set(potential.x.array)
        # particles that exclude each other bound the charge, and full steps settle. Where a large ion would take the
        # place of a small one they may go too far: then the next one is larger
        is_bounded, earlier = discrete.problem.law.crowded, np.inf
        for _ in range(POISSON_STEPS):
            step, of_scalars = self._newton_step(with_amounts)
            largest = largest_over_ranks(discrete.problem.domain.comm, np.abs(np.append(step, of_scalars)))
            if not np.isfinite(largest):
                break
            is_bounded = is_bounded and not len(of_scalars) and largest < earlier
            # where there are no ions the equation is linear
            potential.x.array[:] += step if is_bounded else np.where(self.is_ion_free, step, self._damped(step))
            self.border.move(self._damped(of_scalars))
            earlier = largest
            if largest < tolerance:
                discrete.values[:] = self.frozen.x.array
                of_unknown[:] = potential.x.array
                break
        follow_potentials(discrete)
        return largest < tolerance

    def _newton_step(self, with_amounts: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the Newton step at every node, owned and ghost, and that of scalars; NaN where a solver failed."""
        self.matrix.zeroEntries()
        fem_petsc.assemble_matrix(self.matrix, self.jacobian_form.now, bcs=self.conditions)
        self.matrix.assemble()
        self.residual.array[:] = 0.0
        self.residual_form.add_to(self.residual.array)
        self.residual.scatter_reverse(la.InsertMode.add)
        owned = self.right.getLocalSize()
        fixed = -self._solved(self.residual.array[:owned])
        self.step.x.array[:owned], of_scalars = self.border.correct(fixed, self._solved, with_amounts)
        self.step.x.scatter_forward()
        return self.step.x.array, of_scalars

    def _solved(self, right: np.ndarray) -> np.ndarray:
        """Solve with the matrix for a right-hand side at the owned nodes, taken as 0 where the potential is held."""
        owned = self.right.getLocalSize()
        self.right.array_w[:] = right
        for condition in self.conditions:
            nodes = condition.dof_indices()[0]
            self.right.array_w[nodes[nodes < owned]] = 0.0
        with refusals_as_usage_errors():
            self.solver.solve(self.right, self.increment)
        failed = self.solver.getConvergedReason() < 0
        return np.full(owned, np.nan) if failed else self.increment.array_r.copy()
