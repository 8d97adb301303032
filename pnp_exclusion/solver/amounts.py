"""How much there is of every closed species, and of what reactions conserve, in the unknown."""

from __future__ import annotations

from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation


def amount_ratios(discrete: Discretisation) -> dict[str, float]:
    """Return the amount of every closed species relative to what it must be; collective."""
    problem = discrete.problem
    closed = {s.name: s.mean_fraction or 0.0 for s in problem.species if s.name in problem.conserved}
    if not closed:
        return {}
    one, rho = fem.Constant(problem.domain.mesh, 1.0), discrete.fields.rho
    volume, *amounts = discrete.forms.integrals("amounts", lambda: [one, *(rho[name] for name in closed)])
    return {name: float(amount / (volume * closed[name])) for name, amount in zip(closed, amounts, strict=True)}


def linked_lacks(discrete: Discretisation) -> list[float]:
    """Return what every combination that reactions conserve lacks of its mean over the domain; collective."""
    problem = discrete.problem
    linked = problem.linked
    if not linked:
        return []
    one, rho = fem.Constant(problem.domain.mesh, 1.0), discrete.fields.rho
    totals = lambda: [sum(factor * rho[name] for name, factor in pairs.items()) for pairs in linked]  # noqa: E731
    volume, *amounts = discrete.forms.integrals("linked amounts", lambda: [one, *totals()])
    return [problem.mean_of(pairs) - float(amount / volume) for pairs, amount in zip(linked, amounts, strict=True)]
