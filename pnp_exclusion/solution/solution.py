"""A solution: a steady state in the units of its case, with what its user should know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpi4py import MPI

import numpy as np
from numpy.typing import ArrayLike

from pnp_exclusion.case.advice import advice
from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.places import places_in, require_inside
from pnp_exclusion.discretisation.discretisation import Discretisation, State
from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.observe.sample import central_slice, profile
from pnp_exclusion.physics.laws import Law
from pnp_exclusion.solution import fields, stored
from pnp_exclusion.solution.adaptive import Refinement
from pnp_exclusion.solution.checks import beyond_limits, unresolved_layers, without_effect
from pnp_exclusion.solution.correlations import (
    Correlations,
    Covariances,
    Observable,
    correlations_of,
    covariances_of,
)
from pnp_exclusion.solution.gradient import Gradient, gradient_of
from pnp_exclusion.solution.impedance import Impedance, impedance_of
from pnp_exclusion.solution.noise import Noise, noise_of, why_not
from pnp_exclusion.solution.readings import failure_of, mechanisms_of, readings_of, regions_of
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solver.steady import SteadyReport

if TYPE_CHECKING:
    import xarray

    from pnp_exclusion.solution.style import Picture


class Solution:
    """A steady state in the units of its case, as `pnp_exclusion.solve` returns it.

    Everything is in SI units for a case in SI units, and dimensionless otherwise. What is read off the solution is
    collective over the ranks that share it, and computed when it is first asked for; it is a `ConvergenceError` if a
    solve that failed has left no state (`has_state`).

    Attributes
    ----------
    steady : SteadyState
        The same state and its readings without units.
    setup : Setup
        The case, its scales, and the problem that they make.
    report : SteadyReport
        What the solve took.
    converged : bool
        False for the last good state of a solve that failed, which belongs to ``report.load_parameter`` of the
        driving forces, and for a state whose layers of charge the mesh cannot hold (then it is 1).
    seconds : Mapping[str, float]
        What the parts of the solve took.
    petsc_options : dict[str, str]
        Options of PETSc in force.
    unused_petsc_options : list[str]
        Those of the user that had no effect.
    command_line : tuple[str, ...]
        The options that PETSc was started with, over which none of ours may be put.
    refinement : Refinement or None
        How cells were refined, with the estimated errors of all meshes, for ``[solver] accuracy``.
    files : Mapping[str, str or None] or None
        Hashes of the files that the case names as a motion began, by their names; None where they were not taken.
    """

    files: Mapping[str, str | None] | None = None

    def __init__(
        self,
        setup: Setup,
        discretisation: Discretisation,
        report: SteadyReport,
        converged: bool,
        seconds: Mapping[str, float] | None = None,
        petsc_options: Mapping[str, str] | None = None,
        unused_petsc_options: list[str] | None = None,
        stored: np.ndarray | None = None,
        command_line: Sequence[str] = (),
        refinement: Refinement | None = None,
    ) -> None:
        self.steady = SteadyState(setup, discretisation, report, stored)
        self.setup = setup
        self.report = report
        self.converged = converged
        self.seconds = dict(seconds or {})
        self.petsc_options = dict(petsc_options or {})
        self.unused_petsc_options = list(unused_petsc_options or [])
        self.command_line = tuple(command_line)
        self.refinement = refinement

    @property
    def case(self) -> Case:
        """The case that was solved."""
        return self.setup.case

    @property
    def discretisation(self) -> Discretisation:
        """The finite elements, holding the state of this solution; other solutions may share them."""
        return self.steady.discretisation

    @property
    def state(self) -> State:
        """The unknowns of this solution, for `Discretisation.show` and as a start for others."""
        return self.steady.state

    @property
    def moves(self) -> bool:
        """Whether it is a state of a motion that has not become steady."""
        return False

    @property
    def has_state(self) -> bool:
        """Whether there is a state to read: the solution, or the last good state before a failure."""
        return self.steady.has_state

    @cached_property
    def currents(self) -> dict[str, float] | None:
        """Flux of every species, and with a temperature of energy, from the first end to the second, in `current_unit`.

        None without two ends.

        mol/m^2/s in one dimension; in two and three integrated over the boundary; around an axis of the whole body.
        """
        self._require_state()
        if self.steady.currents is None:
            return None
        scales = self.setup.scales
        factor = scales.flux * self.steady.extent
        return {name: current * factor for name, current in self.steady.currents.items()}

    @property
    def current_unit(self) -> str:
        """Unit of `currents` and of fluxes through boundaries; empty for a dimensionless case."""
        return f"mol{self.steady.per_extent}/s" if self.setup.scales.si else ""

    @property
    def forces(self) -> dict[str, float] | None:
        """Driving force on every species from the first end to the second, kT; None without two ends."""
        self._require_state()
        return self.steady.forces

    @property
    def regimes(self) -> dict[str, str | None]:
        """Label of the transport of every species; None without two ends."""
        self._require_state()
        return self.steady.regimes

    @property
    def identity_residual(self) -> float | None:
        """How far the currents are from the master identity, relative; None above one dimension."""
        self._require_state()
        return self.steady.identity_residual

    @cached_property
    def warnings(self) -> list[str]:
        """One sentence for everything about the case and its solution that the user should know.

        First what ``pnp-exclusion check`` says too, then what is beyond the limits of `pnp_exclusion.solution.checks`.
        """
        inaccurate = [] if self.refinement is None else self.refinement.warnings
        return [
            *advice(self.setup),
            *without_effect(self.unused_petsc_options),
            *inaccurate,
            *beyond_limits(self.steady),
        ]

    # ---- fields ----

    def profile(self) -> xarray.Dataset | None:
        """Return the solution along an interval; collective.

        Returns
        -------
        xarray.Dataset or None
            As `to_xarray`, on rank 0; None on the others.

        Raises
        ------
        ValueError
            Above one dimension, where `to_xarray` has all nodes.
        ConvergenceError
            There is no state, see `has_state`.
        """
        if self.steady.axes > 1:
            raise ValueError(f"a profile is of one dimension, and this case has {self.steady.axes}; see to_xarray()")
        return self.to_xarray()

    def to_xarray(self) -> xarray.Dataset | None:
        """Return every field at all nodes of the solution; collective.

        Returns
        -------
        xarray.Dataset or None
            On rank 0; None on the others. Along ``x`` (ascending) in one dimension, along ``node`` with coordinates
            ``x``, ``y`` and ``z`` in more. With shapes by their dimensions, and units for a case in SI units:

            ``potential (node)``
                Electric potential in V; not there with imposed fields.
            ``concentration (species, node)``
                mol/m^3; in a dimensionless case occupied fractions. On the border of a region with partition energies
                that on the side of the least.
            ``electrochemical_potential (species, node)``
                kT; with imposed fields chemical potentials. NaN where a species does not enter.
            ``packing (node)``
                Occupied fraction of all species together.
            ``flux (species, axis, node)``
                Flux density in mol/m^2/s, averaged at the vertices of the mesh.

            Coordinates are in m. Every variable has the attributes ``units`` and ``long_name``, the dataset ``title``,
            ``law`` and ``version`` of this package.

        Raises
        ------
        ConvergenceError
            There is no state, see `has_state`.
        """
        self._require_state()
        return fields.dataset_of(self.steady)

    def at(self, points: ArrayLike) -> xarray.Dataset | None:
        """Return every field at some points; collective.

        Parameters
        ----------
        points : array_like
            One point, or ``(n, dimension)``, in m for a case in SI units, where texts have their own unit
            (``["1 nm", "2 nm"]``); numbers along an interval.

        Returns
        -------
        xarray.Dataset or None
            As `to_xarray`, along ``point``; NaN outside the domain.

        Raises
        ------
        UsageError
            They are no points of this domain, or all outside.
        ConvergenceError
            There is no state, see `has_state`.
        """
        self._require_state()
        places = places_in(self.setup, points)
        require_inside(self.setup, places)
        return fields.dataset_at(self.steady, places)

    def along(self, start: ArrayLike, end: ArrayLike, count: int = 201) -> xarray.Dataset | None:
        """Return every field along a straight line; collective.

        Parameters
        ----------
        start, end : array_like
            Its ends, as points of `at`.
        count : int, optional
            How many points it has, evenly spaced, both ends included.

        Returns
        -------
        xarray.Dataset or None
            As `to_xarray`, along ``distance`` from the start; NaN outside the domain.

        Raises
        ------
        UsageError
            They are no points of this domain, or the whole line is outside.
        ConvergenceError
            There is no state, see `has_state`.
        """
        self._require_state()
        first, last = (places_in(self.setup, place) for place in (start, end))
        if len(first) != 1 or len(last) != 1 or count < 2:
            raise UsageError("a line goes from one point to another, with a count of 2 points or more")
        places = np.linspace(first[0], last[0], count)
        require_inside(self.setup, places)
        return fields.dataset_at(self.steady, places, "distance")

    def to_grid(self, count: int = 101) -> xarray.Dataset | None:
        """Return every field on a regular grid over the domain: plain arrays ``(y, x)``; collective.

        Parameters
        ----------
        count : int, optional
            Points along the longest side.

        Returns
        -------
        xarray.Dataset or None
            As `to_xarray`, along ``x``, ``(y, x)`` or ``(z, y, x)``; NaN outside the domain.

        Raises
        ------
        UsageError
            There would be less than two points.
        ConvergenceError
            There is no state, see `has_state`.
        """
        self._require_state()
        if count < 2:
            raise UsageError(f"a grid has a count of 2 points or more, not {count}")
        return fields.dataset_on_grid(self.steady, count)

    def to_pyvista(self) -> Any:
        """Return every field on the cells of the solution; collective.

        Returns
        -------
        pyvista.UnstructuredGrid or None
            On rank 0; None on the others. One array at the points for each field of `to_xarray` and species, e.g.
            ``concentration_Na``; fluxes are vectors ``(nodes, 3)``. Coordinates are in
            ``field_data["length_unit"]``, that of tables and pictures: in metres a scene would be too small to draw.

        Raises
        ------
        MissingLibraryError
            pyvista, an optional library, is not installed.
        ConvergenceError
            There is no state, see `has_state`.
        """
        self._require_state()
        return fields.pyvista_grid_of(self.steady)

    def plot(self) -> Picture | None:
        """Return the picture that ``pnp-exclusion run`` writes: profiles in one dimension, else a slice; collective.

        Returns
        -------
        matplotlib.figure.Figure or None
            On rank 0; None on the others. A notebook shows it; ``figure.savefig(path)`` writes it.

        Raises
        ------
        ConvergenceError
            There is no state, see `has_state`.
        """
        self._require_state()
        if self.steady.axes == 1:
            along = profile(self.discretisation)
            cut = None
        else:
            along = None
            cut = central_slice(self.discretisation, self.steady.axis)

        from pnp_exclusion.solution.figures import profiles_picture, slice_picture

        if along is not None:
            return profiles_picture(self.case, self.setup.scales, along)
        return None if cut is None else slice_picture(self.case, self.setup.scales, cut)

    def noise(self, frequencies: ArrayLike | None = None) -> Noise:
        """Return the spectra of the currents, at frequency zero and others; collective.

        Parameters
        ----------
        frequencies : array_like, optional
            Above zero, in Hz for a case in SI units, else angular in D/L^2. Six decades from 0.1 D/L^2, or up to the
            highest that the mesh resolves, if absent.

        Returns
        -------
        pnp_exclusion.solution.noise.Noise
            On every rank.

        Raises
        ------
        CaseError
            The theory does not have the noise of this case, see docs/noise.md; or its state moves.
        ConvergenceError
            The solve has not converged, or the linear systems of the noise could not be solved.
        """
        self._require_steady("noise")
        return noise_of(self.steady, frequencies, settings_of(self.case), self.command_line)

    def noise_at_zero(self) -> Noise | None:
        """Return the noise at frequency zero alone; None where the theory does not have it; collective.

        Raises
        ------
        ConvergenceError
            The linear systems of the noise could not be solved.
        """
        if not self.converged or self.moves or why_not(self.setup, self.discretisation):
            return None
        return noise_of(self.steady, [], settings_of(self.case), self.command_line)

    def correlations(self) -> Correlations:
        """Return how densities fluctuate together at two points of an interval; collective.

        Returns
        -------
        pnp_exclusion.solution.correlations.Correlations
            On every rank.

        Raises
        ------
        CaseError
            The theory does not have the noise of this case, it has more than one dimension, or too many nodes.
        ConvergenceError
            The solve has not converged, or a species is so scarce that rounding is all there is.
        """
        self._require_steady("correlations")
        return correlations_of(self.steady, settings_of(self.case), self.command_line)

    def covariances(self, observables: Mapping[str, Observable] | None = None) -> Covariances:
        """Return how amounts, or other sums over densities, fluctuate together, in any dimension; collective.

        Parameters
        ----------
        observables : mapping, optional
            By its name what an observable counts of every species: a number, or a function that takes points
            ``(3, points)`` and returns ``(points,)``, smooth over a cell. The amounts of all species if absent.

        Returns
        -------
        pnp_exclusion.solution.correlations.Covariances
            On every rank.

        Raises
        ------
        CaseError
            The theory does not have the noise of this case.
        UsageError
            There is no such species.
        ConvergenceError
            The solve has not converged, or the linear systems could not be solved.
        """
        self._require_steady("covariances")
        return covariances_of(self.steady, observables, settings_of(self.case), self.command_line)

    def impedance(self, frequencies: ArrayLike | None = None, terminal: str | None = None) -> Impedance:
        """Return the impedance of a terminal, the potentials of all others being held; collective.

        Parameters
        ----------
        frequencies : array_like, optional
            Above zero, in Hz for a case in SI units, else ``omega/(2 pi)`` in D/L^2. Eight decades if absent.
        terminal : str, optional
            Name of a boundary that holds the potential; the first of them if absent.

        Returns
        -------
        pnp_exclusion.solution.impedance.Impedance
            On every rank.

        Raises
        ------
        CaseError
            The case has imposed fields.
        UsageError
            The terminal does not hold the potential.
        ConvergenceError
            The solve has not converged, or the linear systems could not be solved.
        """
        self._require_steady("impedance")
        return impedance_of(self.steady, frequencies, terminal, settings_of(self.case), self.command_line)

    def gradient(self, goals: str | Sequence[str], parameters: str | Sequence[str]) -> Gradient:
        """Return the derivatives of currents, charges, amounts or potentials by numbers of the case; collective.

        Parameters
        ----------
        goals : str or sequence of str
            Names of the summary, ``"currents.Na"``, ``"charge.left"``, ``"found_potential.top"``; one adjoint for each.
        parameters : str or sequence of str
            Keys of the case as sweeps write them, ``"species.Na.diffusivity"``, as many as are wanted. Keys joined by
            "=" are one parameter, and change in proportion to their values.

        Returns
        -------
        pnp_exclusion.solution.gradient.Gradient
            On every rank, in the units of the case.

        Raises
        ------
        UsageError
            There is no such goal, or a parameter is no number that the solution follows smoothly.
        ConvergenceError
            The solve has not converged, or the linear system of an adjoint could not be solved.
        """
        self._require_steady("gradient")
        return gradient_of(self.steady, goals, parameters, settings_of(self.case), self.command_line)

    def save(self, path: str | Path) -> None:
        """Write the solution into one file that `pnp_exclusion.load` reads, complete or not at all; collective.

        Its case, its mesh, its unknowns and what its solve took: data without code. A law that was written in Python
        is not in it.

        Parameters
        ----------
        path : str or Path
            Of the file; rank 0 writes it. A file that is there is replaced.

        Raises
        ------
        DiskError
            It cannot be written.
        ConvergenceError
            There is no state, see `has_state`.
        """
        self._require_state()
        outcome = stored.Outcome(
            report=self.report,
            converged=self.converged,
            seconds=self.seconds,
            petsc_options=self.petsc_options,
            unused_petsc_options=self.unused_petsc_options,
        )
        stored.write(Path(path), self.steady, outcome)

    def _require_steady(self, what: str) -> None:
        if not self.converged:
            raise ConvergenceError(f"{self.case.path}: this solution did not converge, and has no {what}")
        if self.moves:
            sentence = f"[time]: {what} would be about a steady state, but this one moves; go on until it is steady"
            raise CaseError(self.case.path, [sentence])

    def _require_state(self) -> None:
        if not self.has_state:
            raise ConvergenceError(f"{self.case.path}: this solve has found no state to read")

    # ---- in words ----

    def __repr__(self) -> str:
        problem = self.steady.shared.problem
        state = "" if self.converged else ", not converged"
        title = f"{self.case.title!r}, " if self.case.title else ""
        lines = [f"<Solution {title}law {problem.law.name}, {problem.domain.cells} cells{state}>"]
        if self._is_readable:
            lines += [
                f"  {name}: flux {current}, force {force}, {regime}" for name, current, force, regime in self._rows()
            ]
            lines += [f"  warning: {sentence}" for sentence in self.warnings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        problem = self.steady.shared.problem
        state = "" if self.converged else ", not converged"
        title = f"<b>{escape(self.case.title)}</b><br>" if self.case.title else ""
        parts = [f"{title}law {escape(problem.law.name)}, {problem.domain.cells} cells{state}"]
        if self._is_readable:
            ends = self.steady.ends
            arrow = f" {escape(ends[0].name)} → {escape(ends[1].name)}" if ends else ""
            rows = [["species", f"current{arrow}", "force", "regime"]]
            rows += [[escape(cell) for cell in row] for row in self._rows()]
            cells = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
            parts.append("<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>")
            if self.warnings:
                sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.warnings)
                parts.append(f"<ul>{sentences}</ul>")
        return "".join(f"<div>{part}</div>" for part in parts)

    @property
    def _is_readable(self) -> bool:
        """Whether one rank can read the currents without the others, which may not be asked too."""
        known = {*self.__dict__, *self.steady.__dict__}
        alone = self.steady.shared.problem.domain.comm.size == 1
        return self.has_state and (alone or {"currents", "forces", "regimes", "warnings"} <= known)

    def _rows(self) -> list[list[str]]:
        """Return name, current, force and regime of every species in words."""
        if self.currents is None or self.forces is None:
            return []
        unit = f" {self.current_unit}".rstrip()
        return [
            [name, f"{current:.6g}{unit}", f"{self.forces[name]:.6g} kT", self.regimes[name] or "-"]
            for name, current in self.currents.items()
        ]

    @cached_property
    def unresolved(self) -> list[str]:
        """A sentence for every boundary whose charge the mesh cannot hold, see `checks.UNRESOLVED`; collective."""
        return list(unresolved_layers(self.steady))

    def refuse_unresolved(self) -> None:
        """Take it as not converged if the mesh cannot hold its layers, unless the case wants to be warned only."""
        if self.converged and self.setup.case.solver.unresolved == "refuse" and self.unresolved:
            self.converged = False

    def summary(self) -> dict[str, Any]:
        """Return what `summary.json` holds, in SI units for an SI case, with `warnings`; collective.

        Without any state (`has_state`) only what was tried is in it.
        """
        more = mechanisms_of(self.steady) | regions_of(self.steady) if self.has_state else {}
        return self.readings() | more | {"warnings": self.warnings}

    def readings(self) -> dict[str, Any]:
        """Return the summary without its warnings, for those who read many solutions; collective."""
        if not self.has_state:
            return failure_of(self.steady)
        readings = readings_of(self.steady, self.converged, sum(self.seconds.values()))
        if self.refinement is not None:
            readings["accuracy"] = self.refinement.summary()
        return readings if self.converged else readings | failure_of(self.steady)


def load(path: str | Path, law: Law | None = None, *, comm: MPI.Comm = MPI.COMM_WORLD) -> Solution:
    """Return a solution that `Solution.save` has written, on any number of ranks; collective.

    Parameters
    ----------
    path : str or Path
        Of the file, which rank 0 reads.
    law : Law, optional
        The law of a solution that was computed with one written in Python: code is not in the file.
    comm : MPI.Comm, optional
        The ranks that share the solution.

    Returns
    -------
    Solution
        Its readings agree to rounding with those of the one that was saved.

    Raises
    ------
    CaseError
        The file is missing, damaged or none of a solution, or its law must be given.
    UsageError
        There are more ranks than cells.
    """
    setup, discretisation, outcome = stored.read(Path(path), law, comm)
    return Solution(
        setup,
        discretisation,
        outcome.report,
        outcome.converged,
        outcome.seconds,
        outcome.petsc_options,
        outcome.unused_petsc_options,
    )
