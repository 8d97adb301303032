"""Relaxation of a step on the lattice beside the heat equation, which it obeys at every size where no field acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pnp_exclusion.errors import UsageError
from pnp_exclusion.hydrodynamics.compare import LatticeSettings, process_on_lattice
from pnp_exclusion.lattice import (
    ChiSquare,
    NothingMeasuredError,
    Progress,
    RelaxationResult,
    compare_relaxation,
    heat_profile,
    simulate_relaxation,
)
from pnp_exclusion.solution import Solution

SIGNIFICANCE = 1e-3
"""A chi-square that agreement would exceed less often than this counts as a difference."""


@dataclass(frozen=True)
class Relaxation:
    """Mean densities after a step at x = 1/2, and the heat kernels' ``exact`` ones, ``(times, N, sites)``."""

    result: RelaxationResult
    exact: np.ndarray
    chi_square: Sequence[ChiSquare]

    @property
    def agrees(self) -> bool:
        """Whether no time differs beyond its error bars."""
        return all(chi.probability >= SIGNIFICANCE for chi in self.chi_square)

    @property
    def verdict(self) -> str:
        """One plain sentence."""
        worst = max(chi.per_degree for chi in self.chi_square)
        agree = "agree" if self.agrees else "do not agree"
        return (
            f"Lattice and heat equation {agree} within the error bars at n = {self.result.process.lattice.length}: "
            f"chi-square per degree of freedom at most {worst:.2f}."
        )


def relax_step(
    solution: Solution,
    settings: LatticeSettings,
    times: Sequence[float],
    report: Callable[[int, Progress], None] = lambda sites, progress: None,
) -> Relaxation | None:
    """Follow the step from the left to the right reservoir's contents; None if interrupted at once; collective.

    Exact for equal fields only: raises `UsageError` where a field acts or unlike particles are not stirred.
    """
    problem = solution.weak_form.problem
    if problem.coupled or any(field.largest > 0.0 for field in problem.fields.values()):
        raise UsageError("--relaxation compares with the heat equation, which holds without fields: remove them")
    sites = max(settings.sizes)
    process = process_on_lattice(solution, sites, settings.form)
    if process.kappa != 1.0 and len(problem.species) > 1:
        raise UsageError('--relaxation: several species obey the heat equation under stirring only: use law = "shdl"')
    held = {boundary.where: boundary.held_fractions for boundary in problem.boundaries}
    left, right = (np.array([held[side][name] for name in problem.names]) for side in ("left", "right"))
    x = process.lattice.positions
    initial = np.where(x < 0.5, left[:, None], right[:, None])
    comm = problem.domain.comm
    try:
        result = simulate_relaxation(
            process,
            initial,
            sorted(times),
            settings.seed,
            settings.replicas,
            workers=settings.workers,
            communicator=comm if comm.size > 1 else None,
            report=lambda progress: report(sites, progress),
        )
    except NothingMeasuredError:
        return None
    except ValueError as error:
        raise UsageError(f"--relaxation: {error}") from None
    steps = np.stack([left, right], axis=1)
    exact = np.stack([heat_profile(x, t, [0.0, 0.5, 1.0], steps, left, right) for t in result.times])
    try:
        chi = compare_relaxation(result, exact)
    except ValueError as error:
        raise UsageError(f"--replicas {settings.replicas}: {error}") from None
    return Relaxation(result, exact, chi)


def as_json(relaxation: Relaxation, species: Sequence[str]) -> dict[str, Any]:
    """Return the contents of ``lattice.json`` for a relaxation; fractions, times in L^2/D."""
    densities = relaxation.result.densities
    return {
        "verdict": relaxation.verdict,
        "agrees": relaxation.agrees,
        "interrupted": relaxation.result.interrupted,
        "n": relaxation.result.process.lattice.length,
        "replicas": relaxation.result.replicas,
        "times": [
            {
                "time": float(time),
                "chi_square": relaxation.chi_square[moment]._asdict(),
                "densities": {
                    name: {
                        "mean": densities.mean[moment, a].tolist(),
                        "error": densities.error[moment, a].tolist(),
                        "exact": relaxation.exact[moment, a].tolist(),
                    }
                    for a, name in enumerate(species)
                },
            }
            for moment, time in enumerate(relaxation.result.times)
        ],
    }
