"""Integrals over cells by two rules: the usual one, and a high one where a potential is steep within a cell.

Densities are exponentials of the unknowns. Where a chemical potential falls by many kT within a cell (beside a sink,
at a nearly full end), the usual rule misses most of ``int rho``, and currents are wrong by percents or Newton's method
does not converge, although the elements themselves are fine: with exact integration ``rho grad mu = grad rho``, so that
one cell carries a straight profile to almost nothing. Such cells are found from the unknown (`changes_within`) and
integrated by a rule of `STEEP_DEGREE`; the others do not feel it. All weights are positive, or a residual could vanish
where densities do not.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from mpi4py import MPI

import basix
import numpy as np
import ufl
from dolfinx import cpp, fem
from dolfinx import mesh as dmesh
from dolfinx.fem.forms import form_cpp_creator

from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.sizes import one_side_of
from pnp_exclusion.runtime.compilation import compiled_form

QUADRATURE_PER_DEGREE = 2
"""Times the degree of the elements: the errors are those of degree 20, the cost a hundredth of UFL's own estimate's
(docs/numerics.md#quadrature)."""
STEEP = 1.9
"""kT: a cell over which a potential changes by more is integrated by the high rule."""
STEEP_DEGREE = {1: (48, 48, 64, 64), 2: (24, 24, 36, 36), 3: (19, 19, 21, 21)}
"""By dimension and degree of the elements: a density that falls by 35 kT within a cell is integrated to 1e-16, 1e-6 and
1e-4 of its integral over that cell, by 25, 112 and 1000 points."""
USUAL_CELLS, STEEP_CELLS = 0, 1
"""Numbers of the two sets of cells in forms."""


class Integration:
    """The measures of a problem's forms, and which cells of this rank are integrated by which rule.

    boundaries
        Names of the boundaries, numbered in this order by `ds`.
    degree
        Of the elements.
    quadrature_degree
        Of the rule on usual cells and on boundaries; `QUADRATURE_PER_DEGREE` times that of the elements if not given.
    weight
        Of every integral, a UFL expression; None for 1.
    sheets
        Surfaces inside the domain, ``(n, 2)`` cells and numbers of their facets, numbered behind the boundaries.
    inside
        Names of those boundaries that are integrated over where they have cells on both sides, and not elsewhere.
    """

    def __init__(
        self,
        domain: Domain,
        boundaries: Sequence[str],
        degree: int,
        quadrature_degree: int | None = None,
        weight: Any = None,
        sheets: Sequence[np.ndarray] = (),
        inside: Sequence[str] = (),
    ) -> None:
        self.domain = domain
        mesh = domain.mesh
        cell = mesh.basix_cell()
        usual_degree = quadrature_degree or QUADRATURE_PER_DEGREE * degree
        steep_degree = max(usual_degree, STEEP_DEGREE[domain.dimension][min(degree, 4) - 1])
        usual = {"quadrature_degree": positive_degree(cell, usual_degree)}
        steep = {"quadrature_degree": positive_degree(cell, steep_degree)}
        over_usual = ufl.Measure("dx", mesh, subdomain_id=USUAL_CELLS, metadata=usual)
        over_cells = over_usual + ufl.Measure("dx", mesh, subdomain_id=STEEP_CELLS, metadata=steep)
        self.dx = WeightedMeasure(over_cells, weight)
        self.ds = WeightedMeasure(ufl.Measure("ds", mesh, metadata=usual), weight)
        # a surface inside is integrated over from the cells on one of its sides, on whichever rank these are
        behind = [(len(boundaries) + k, sides.ravel().astype(np.int32)) for k, sides in enumerate(sheets)]
        self._facets = [*_integration_facets(domain, boundaries, inside), *behind]
        self.is_steep = np.zeros(mesh.topology.index_map(domain.dimension).size_local, dtype=bool)
        self.version = 0
        """Grows whenever other cells are marked."""

    @property
    def usual_cells(self) -> np.ndarray:
        """Numbers of this rank's cells of the usual rule."""
        return np.flatnonzero(~self.is_steep).astype(np.int32)

    @property
    def steep_cells(self) -> np.ndarray:
        """Numbers of this rank's cells of the high rule."""
        return np.flatnonzero(self.is_steep).astype(np.int32)

    def mark(self, is_steep: np.ndarray) -> None:
        """Choose the cells of the high rule, ``(cells of this rank,)``; forms follow."""
        if not np.array_equal(is_steep, self.is_steep):
            self.is_steep = is_steep
            self.version += 1

    def form(self, form: ufl.Form) -> CellwiseForm:
        """Compile a form in `dx` and `ds`; collective."""
        return CellwiseForm(self, form)

    def subdomains(self, among: np.ndarray | None = None) -> dict[fem.IntegralType, list[tuple[int, np.ndarray]]]:
        """Return what every number of `dx` and `ds` stands for, as DOLFINx takes it.

        among
            ``(cells of this rank,)``: leave out the other cells, but not their facets.
        """
        usual, steep = self.usual_cells, self.steep_cells
        if among is not None:
            usual, steep = usual[among[usual]], steep[among[steep]]
        return {
            fem.IntegralType.cell: [(USUAL_CELLS, usual), (STEEP_CELLS, steep)],
            fem.IntegralType.exterior_facet: list(self._facets),
        }


class WeightedMeasure:
    """A measure of UFL, times a weight: the one place where all integrals get theirs."""

    def __init__(self, measure: Any, weight: Any = None) -> None:
        self._measure = measure
        self._weight = weight

    def __call__(self, *arguments: Any, **others: Any) -> WeightedMeasure:
        """Return the measure of a part, as UFL's own."""
        return WeightedMeasure(self._measure(*arguments, **others), self._weight)

    def __rmul__(self, integrand: Any) -> ufl.Form:
        return (integrand if self._weight is None else self._weight * integrand) * self._measure


class CellwiseForm:
    """A form that is compiled once and follows the cells as they are marked."""

    def __init__(self, integration: Integration, form: ufl.Form) -> None:
        self._integration = integration
        self._compiled = compiled_form(form)
        code, functions = self._compiled.ufcx_form, form.coefficients()
        positions = [code.original_coefficient_positions[k] for k in range(code.num_coefficients)]
        self._functions = {f"w{k}": functions[position]._cpp_object for k, position in enumerate(positions)}
        self._constants = {f"c{k}": constant._cpp_object for k, constant in enumerate(form.constants())}
        self._spaces = [argument.ufl_function_space()._cpp_object for argument in form.arguments()]
        self._form: fem.Form | None = None
        self._version = -1

    def add_to(self, vector: np.ndarray) -> None:
        """Add the form, of one test function, to a local vector of owned and ghost unknowns."""
        form = self.now._cpp_object
        # as `dolfinx.fem.assemble_vector` without its search for what it was given, which takes as long on small meshes
        cpp.fem.assemble_vector(vector, form, cpp.fem.pack_constants(form), cpp.fem.pack_coefficients(form))

    def add_to_matrix(self, matrix: Any, conditions: Sequence[fem.DirichletBC]) -> None:
        """Add the form, of a test and a trial function, to a matrix, but for the rows and columns of held unknowns."""
        form, held = self.now._cpp_object, [condition._cpp_object for condition in conditions]
        constants, coefficients = cpp.fem.pack_constants(form), cpp.fem.pack_coefficients(form)
        cpp.fem.petsc.assemble_matrix(matrix, form, constants, coefficients, held)

    def add_among(self, cells: np.ndarray, vector: np.ndarray) -> None:
        """Add the form over some cells ``(cells of this rank,)`` and all facets, as `add_to`."""
        if cells.all():
            self.add_to(vector)
            return
        among = self._form_over(self._integration.subdomains(cells))._cpp_object
        cpp.fem.assemble_vector(vector, among, cpp.fem.pack_constants(among), cpp.fem.pack_coefficients(among))

    @functools.cached_property
    def constants_of_cells(self) -> frozenset[Any]:
        """Its constants in integrals over cells, in which any change is felt everywhere."""
        integrals = [one for one in self._compiled.ufl_form.integrals() if one.integral_type() == "cell"]
        return frozenset(ufl.Form(integrals).constants())

    @property
    def library(self) -> str:
        """File of the compiled code; the code itself is beside it."""
        return self._compiled.module.__file__ or ""

    @property
    def now(self) -> fem.Form:
        """The form over the cells as they are marked now."""
        if self._form is None or self._version != self._integration.version:
            self._version = self._integration.version
            self._form = self._form_over(self._integration.subdomains())
        return self._form

    def _form_over(self, subdomains: dict[fem.IntegralType, list[tuple[int, np.ndarray]]]) -> fem.Form:
        """As `dolfinx.fem.create_form`, which looks through the whole form for what it holds: longer than to assemble
        it."""
        compiled = self._compiled
        form = form_cpp_creator(compiled.dtype)(
            compiled.module.ffi.cast("uintptr_t", compiled.module.ffi.addressof(compiled.ufcx_form)),
            self._spaces,
            self._functions,
            self._constants,
            # in the order of their numbers, as it must be
            {kind: sorted(parts, key=lambda part: part[0]) for kind, parts in subdomains.items()},
            [],
            self._integration.domain.mesh._cpp_object,
        )
        return fem.Form(form, compiled.ufcx_form, compiled.code)


def integral(domain: Domain, weight: Any = None, of: Any = 1.0) -> float:
    """Return the integral over a domain of a UFL expression that is linear within a cell, or of 1; collective.

    weight
        As for `Integration`.
    """
    integration = Integration(domain, [], 1, None, weight)
    one = integration.form(fem.Constant(domain.mesh, 1.0) * of * integration.dx)
    return float(domain.comm.allreduce(fem.assemble_scalar(one.now), op=MPI.SUM))


@functools.cache
def positive_degree(cell: basix.CellType, degree: int) -> int:
    """Return the lowest degree from ``degree`` on whose default rule on a cell has positive weights only.

    Basix' rules of degrees 3, 7 and 8 on tetrahedra (Xiao and Gimbutas, Comput. Math. Appl. 59, 663 (2010)) have not.
    """
    while basix.make_quadrature(cell, degree)[1].min() < 0.0:
        degree += 1
    return degree


def changes_within(potentials: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return how much every potential changes within every cell, ``(potentials, cells)``.

    potentials
        ``(potentials, nodes)``, in kT.
    cells
        ``(nodes of a cell, cells)``, numbers of nodes.
    """
    values = potentials[:, cells]
    with np.errstate(invalid="ignore"):
        changes: np.ndarray = values.max(axis=1) - values.min(axis=1)
    return changes


def _integration_facets(
    domain: Domain, boundaries: Sequence[str], inside: Sequence[str]
) -> list[tuple[int, np.ndarray]]:
    """Return pairs of a cell and the number of its facet for every boundary; what two share belongs to the first.

    inside
        Boundaries whose facets have two cells, of which one is taken.
    """
    topology, dimension = domain.mesh.topology, domain.dimension
    topology.create_connectivity(dimension - 1, dimension)
    topology.create_connectivity(dimension, dimension - 1)
    free = dmesh.exterior_facet_indices(topology)
    pairs = []
    for tag, name in enumerate(boundaries):
        if name in inside:
            pairs.append((tag, one_side_of(domain, name).ravel()))
            continue
        facets = np.intersect1d(domain.boundary_facets[name], free)
        free = np.setdiff1d(free, facets)
        found = cpp.fem.compute_integration_domains(fem.IntegralType.exterior_facet, topology._cpp_object, facets)
        pairs.append((tag, np.array(found)))
    return pairs
