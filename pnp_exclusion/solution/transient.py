"""Solving a case that moves: from its beginning to its end, with a series of what was read on the way."""

from __future__ import annotations

import time as clock
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from mpi4py import MPI

import numpy as np
from numpy.typing import ArrayLike
from pydantic_core import PydanticCustomError

from pnp_exclusion.case.build import Setup, build
from pnp_exclusion.case.drive import CaseDrive
from pnp_exclusion.case.field_protocol import FieldProtocolDrive
from pnp_exclusion.case.moving import extremes
from pnp_exclusion.case.places import places_in, require_inside, require_places
from pnp_exclusion.case.protocol import Passed, PieceDrive, ProtocolDrive, ProtocolState, is_still_since
from pnp_exclusion.case.quantities import CLOCK_TIME
from pnp_exclusion.case.same_case import files_of
from pnp_exclusion.case.time_tables import Initial
from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.errors import CaseError, ConvergenceError, SolutionWarning, UsageError
from pnp_exclusion.observe.free_space import is_driven_in, least_free_space
from pnp_exclusion.observe.motion import NO_SPACE, MotionReader
from pnp_exclusion.physics.laws import Law
from pnp_exclusion.runtime.parallel import on_rank_zero
from pnp_exclusion.solution import fields
from pnp_exclusion.solution.beginning import begin, require_result
from pnp_exclusion.solution.checkpoints import CheckpointFolder, Motion, find
from pnp_exclusion.solution.series import Row, dataset_of_rows, row_of
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import CaseLike, as_case, settings_of, with_petsc
from pnp_exclusion.solution.steady_state import SteadyState
from pnp_exclusion.solution.stopping import Keeper
from pnp_exclusion.solution.unit_attributes import unit_attributes
from pnp_exclusion.solver.linear.fields import size_of
from pnp_exclusion.solver.linear.presets import OptionsDatabase, resolved
from pnp_exclusion.solver.steady import SteadyReport
from pnp_exclusion.solver.transient.schemes import EULER, GALERKIN, RADAU, RADAU5
from pnp_exclusion.solver.transient.solver import NoStepError, TimeSettings, TransientReport, TransientSolver

if TYPE_CHECKING:
    import xarray

SCHEMES = {"radau": RADAU, "radau5": RADAU5, "galerkin": GALERKIN, "euler": EULER}
IMBALANCE = 10.0
"""Of the tolerance: what may be missing of the free energy that was dissipated and done; a few are usual."""
NEARLY_FULL = 1e-3
"""Of the space: where less is free as no step is found, that is told."""
LEAST_PART = 0.01
"""Of a motion: the first steps are so short that the time left would be told by millions of seconds."""
SAME_PLACE = 1e-9
"""Of the domain: how far apart nodes of one mesh may be."""


class TransientSolution(Solution):
    """A motion in the units of its case, as `pnp_exclusion.run` returns it: its end is a state like any other solution.

    Attributes
    ----------
    time : float
        Of the end, in the units of the case.
    steady_at_end : bool
        Whether it ended because nothing moved any more.
    transient_report : TransientReport
        What it took.
    moments : list[tuple[float, State]]
        The states that were kept, with their times.
    rows : list[Row]
        What was read at the end of every step, as values with their units.
    pieces : list[dict[str, Any]]
        Of a protocol, those that are over: ``piece``, ``cycle``, ``name``, ``began``, ``ended``, ``charge`` that has
        passed the terminal out of the domain, ``potential`` of the terminal at the end, and ``by`` what it ended,
        "until" or "duration"; in imposed fields ``passed_A`` of every species that is watched instead of charge and
        potential.
    failed : str
        Why the protocol was not gone through to its end; empty if it was.
    """

    def __init__(
        self,
        *arguments: Any,
        motion: Motion,
        report_in_time: TransientReport,
        files: dict[str, str | None],
        **others: Any,
    ) -> None:
        super().__init__(*arguments, **others)
        self.files = files
        self.time = motion.last.time * self.setup.scales.time
        self.steady_at_end = motion.is_still
        self.transient_report = report_in_time
        self.moments = [(time * self.setup.scales.time, state) for time, state in motion.moments]
        self.rows = motion.rows
        protocol = motion.protocol or ProtocolState()
        self.pieces = [_piece_of(self.setup, piece) for piece in protocol.passed]
        self.failed = protocol.failed
        self._last = motion.last
        self._first_free_energy = motion.sums.first_free_energy
        self._full_from, self._full_at = motion.sums.full_from, motion.sums.full_at

    @property
    def moves(self) -> bool:
        """Whether something moved still at the end."""
        return not self.steady_at_end

    @cached_property
    def series(self) -> xarray.Dataset:
        """What was read at the end of every step, along ``time``; see `pnp_exclusion.solution.series.row_of`."""
        return dataset_of_rows(self.setup, self.rows)

    def snapshots(self, points: ArrayLike | None = None) -> xarray.Dataset | None:
        """Return the fields at the times that were kept, along ``time``; collective.

        Parameters
        ----------
        points : array_like, optional
            Where to read them off, as in `at`; at all nodes if absent.

        Returns
        -------
        xarray.Dataset or None
            As `to_xarray`, or `at`, with one dimension more, on rank 0; None on the others.

        Raises
        ------
        UsageError
            They are no points of this domain, or all outside.
        """
        places = None if points is None else places_in(self.setup, points)
        if places is not None:
            require_inside(self.setup, places)
        found = []
        for _, state in self.moments:
            steady = SteadyState(self.setup, self.steady.shared, self.report)
            steady.state = state
            found.append(fields.dataset_of(steady) if places is None else fields.dataset_at(steady, places))
        datasets = [dataset for dataset in found if dataset is not None]
        if not datasets:
            return None
        import xarray

        times = xarray.DataArray([time for time, _ in self.moments], dims="time", name="time")
        times.attrs |= unit_attributes("s" if self.setup.scales.si else "L^2/D")
        return xarray.concat(datasets, times)

    @cached_property
    def imbalance(self) -> float | None:
        """What is missing of the free energy that was dissipated and done, relative to it; None if it is not known."""
        last, first = self._last, self._first_free_energy
        if last.balance is None or first is None or last.dissipated is None or last.work is None:
            return None
        whole = abs(last.dissipated) + abs(last.work) + 1e-9 * abs(first)
        return abs(last.balance - first) / whole

    @cached_property
    def warnings(self) -> list[str]:
        """As of every solution, and whether the free energy balances and something is driven where no space is left."""
        found = super().warnings
        time = self.case.time
        limit = IMBALANCE * (0.0 if time is None else time.tolerance)
        if self.imbalance is not None and not self.imbalance <= limit:
            found = [
                *found,
                f"the free energy does not balance: {self.imbalance:.1e} of what was dissipated and done is missing "
                f"(limit {limit:g}); lower tolerance in [time]",
            ]
        if self._full_from is not None:
            since, unit = self._full_from * self.setup.scales.time, " s" * self.setup.scales.si
            found = [
                *found,
                f"from t = {since:.4g}{unit} on no more than {NO_SPACE:g} of the space is free at "
                f"{place_in_words(self.setup, self._full_at)}, which is rounding beside what is filled: what is given "
                "drives more in than there is room for, and what follows may not be resolved",
            ]
        return [*found, self.failed] if self.failed else found

    def readings(self) -> dict[str, Any]:
        """Return the summary of the end, with what the motion took."""
        scales, report = self.setup.scales, self.transient_report
        return super().readings() | {
            "time": {"value": self.time, "unit": "s" if scales.si else ""},
            "ended": self.failed or ("steady" if self.steady_at_end else "end"),
            **({"protocol": [self._with_units(piece) for piece in self.pieces]} if self.pieces else {}),
            "steps": report.steps,
            "rejected_steps": report.rejected + report.failed,
            "jacobians": report.effort.jacobians,
            "free_energy_imbalance": self.imbalance,
        }

    def _with_units(self, piece: dict[str, Any]) -> dict[str, Any]:
        per = self.steady.per_extent
        units = {"began": "s", "ended": "s", "charge": f"C{per}", "potential": "V"}
        units |= {key: f"mol{per}" for key in piece if key.startswith("passed_")}
        si = self.setup.scales.si
        return {
            key: {"value": value, "unit": units[key] if si else ""} if key in units else value
            for key, value in piece.items()
        }


def _piece_of(setup: Setup, piece: Passed) -> dict[str, Any]:
    """Return what is told of a piece, in the units of its case."""
    scales, time = setup.scales, setup.case.time
    assert time is not None
    total = scales.length ** (setup.case.dimension_of_totals - 1)
    passed: dict[str, Any] = {"charge": piece.charge * scales.surface_charge * total}
    passed["potential"] = (piece.potential + setup.problem.potential_reference) * scales.potential
    if not setup.problem.coupled:
        amount = scales.concentration * scales.length * total
        passed = {f"passed_{name}": value * amount for name, value in piece.amounts.items()}
    return {
        "piece": piece.piece,
        "cycle": piece.cycle,
        "name": time.protocol[piece.piece - 1].name or str(piece.piece),
        "began": piece.began * scales.time,
        "ended": piece.ended * scales.time,
        **passed,
        "by": piece.by,
    }


@dataclass(frozen=True)
class Progress:
    """How far a motion is, by the part of its time, on a scale on which steps are equal, that is over."""

    fraction: float
    remaining: float


class Running(TypedDict, total=False):
    """Arguments of `run` by which a run is watched, kept and continued."""

    progress: Callable[[Progress], None]
    on_row: Callable[[Row], None]
    checkpoints: str | Path | None
    restart: str | Path | None
    walltime: str | float | None
    started: float | None
    warn: Callable[[str], None]


def run(
    case: CaseLike,
    law: Law | None = None,
    *,
    petsc: Mapping[str, str | float | int | bool] | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
    petsc_options: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda progress: None,
    on_row: Callable[[Row], None] = lambda row: None,
    checkpoints: str | Path | None = None,
    restart: str | Path | None = None,
    walltime: str | float | None = None,
    started: float | None = None,
    warn: Callable[[str], None] = lambda sentence: warnings.warn(sentence, SolutionWarning, stacklevel=3),
) -> TransientSolution:
    """Solve a case that moves, one with a table ``[time]``; collective over ``comm``.

    Parameters
    ----------
    case, law, petsc, comm
        As of `pnp_exclusion.solve`.
    petsc_options
        The options that PETSc was started with.
    progress : Callable[[Progress], None], optional
        Called on every rank after every step.
    on_row : Callable[[Row], None], optional
        Called on every rank with the row of the series of every step, as soon as it is there; after a restart first
        with all rows up to it.
    checkpoints : str or Path, optional
        A folder, which must be there, in whose sub-folder ``checkpoints`` the run writes where it is
        (``checkpoint`` in ``[time]``). With it SIGINT and SIGTERM stop the run at the end of a step, after a
        checkpoint; a second one acts as usual. Without it, and without ``restart``, none is written.
    restart : str or Path, optional
        Such a folder, from whose newest checkpoint the run goes on; ``checkpoints`` is the same one if not given.
    walltime : str or float, optional
        "2 h", or seconds: when to stop, after a checkpoint.
    started : float, optional
        From when it counts, a moment of `time.monotonic`; from now on if not given.
    warn : Callable[[str], None], optional
        Called on rank 0 with what is to be said before the first step: of a table that it begins with, or of a newest
        checkpoint, where the one before stands in for it.

    Returns
    -------
    TransientSolution
        The state at the end, with the series from the beginning on.

    Raises
    ------
    CaseError
        The case has mistakes, or no table ``[time]``.
    LawError
        The law does not fit the species.
    ConvergenceError
        The beginning was not found, or no step, however short.
    UsageError
        There is no checkpoint to go on from, or it is of another case; or ``walltime`` is no time.
    StoppedError
        The run was asked to stop, and has left a checkpoint.
    DiskError
        A checkpoint could not be written; the ones before are as they were.
    """
    begun = clock.perf_counter()
    limit = None if walltime is None else _seconds(walltime)
    if limit is not None and checkpoints is None and restart is None:
        raise UsageError("walltime stops a run after a checkpoint; give checkpoints, the folder for it, too")
    case = with_petsc(as_case(case), petsc or {})
    if case.time is None:
        raise CaseError(case.path, ["the table [time] is missing; solve() finds the steady state of such a case"])
    on_rank_zero(comm, lambda: require_result(case))
    files = on_rank_zero(comm, lambda: files_of(case))
    found = None if restart is None else find(Path(restart), case, law, comm)
    setup = build(case, comm, law, also=extremes(case)) if found is None else found.setup(case, comm, law)
    require_places(setup)
    drive: CaseDrive | PieceDrive = CaseDrive(setup)
    if case.time.protocol:
        of = ProtocolDrive if setup.problem.coupled else FieldProtocolDrive
        drive = of(setup, None if found is None else found.protocol)
        # the terminal is one whose potential may be found
        setup = replace(setup, problem=drive.problem_at(0.0))
    discrete = Discretisation(setup.problem, case.solver.degree, case.solver.quadrature_degree)
    settings = settings_of(case)
    end = case.time.last / setup.scales.time
    if found is not None and comm.rank == 0:
        for sentence in found.warnings:
            warn(sentence)
    where = checkpoints if checkpoints is not None else restart
    keeper = None
    if where is not None:
        folder = CheckpointFolder(Path(where), setup, discrete, files, found)
        keeper = Keeper(folder, setup, limit, clock.monotonic() if started is None else started)
    before = None if found is None else found.motion(discrete, drive)
    # its arrays are of the whole mesh
    del found
    with OptionsDatabase(petsc_options) as database, nullcontext() if keeper is None else keeper:
        if before is None:
            with nullcontext() if keeper is None else keeper.at_once():
                said = begin(setup, discrete, drive, database, settings)
            for sentence in said if comm.rank == 0 else ():
                warn(sentence)
        with TransientSolver(discrete, drive, database, settings, _time_settings(setup)) as solver:
            if before is None and (case.initial or Initial()).state in ("uniform", "table"):
                # what is found is at first where nothing sits on the boundary
                solver.charges = np.zeros(len(setup.problem.floating))
            try:
                motion = _move(setup, solver, drive, end, before, keeper, progress, on_row)
            except ConvergenceError as error:
                unit, name = setup.scales.time, "s" if setup.scales.si else ""
                told = error.in_unit(unit, name) if isinstance(error, NoStepError) else error
                raise ConvergenceError(f"{told}{_why_not(setup, discrete)}") from None
        options = database.effective(), database.unused()
    effort = solver.report.effort
    report = SteadyReport(
        newton_iterations=effort.iterations,
        linear_iterations=effort.linear_iterations,
        linear=resolved(settings.linear, size_of(discrete)),
    )
    seconds = {"run": clock.perf_counter() - begun}
    return TransientSolution(
        setup,
        discrete,
        report,
        True,
        seconds,
        *options,
        stored=motion.last.stored[: solver.equations.owned],
        motion=motion,
        report_in_time=solver.report,
        files=files,
        command_line=petsc_options,
    )


def place_in_words(setup: Setup, place: Sequence[float]) -> str:
    """Return a place in the unit of results, "x = 2 nm, y = 0 nm"."""
    scales = setup.scales
    unit = f" {scales.length_unit}" if scales.length_unit else ""
    told = zip("xyz", place, strict=False)
    return ", ".join(f"{letter} = {x * scales.length_in_unit:.4g}{unit}" for letter, x in told)


def _why_not(setup: Setup, discrete: Discretisation) -> str:
    """Return what may be said of a state from which no step was found: that there is no room; collective."""
    if not setup.problem.law.crowded:
        return ""
    free, place = least_free_space(discrete)
    if not free < NEARLY_FULL:
        return ""
    driven = "; a flux or a current that is given has no room there" if is_driven_in(discrete.problem) else ""
    left = f"only {free:.1e} of the space" if free >= NO_SPACE else "no space"
    return f": {left} is free at {place_in_words(setup, place)}{driven}"


def _seconds(walltime: str | float) -> float:
    try:
        found = CLOCK_TIME.parse(walltime, "si").value
    except PydanticCustomError as error:
        raise UsageError(f"walltime: {error.message()}") from None
    if not found > 0.0:
        raise UsageError(f"walltime must be positive, but it is {walltime}")
    return found


def _time_settings(setup: Setup) -> TimeSettings:
    time, unit = setup.case.time, setup.scales.time
    assert time is not None
    return TimeSettings(
        tolerance=time.tolerance,
        first_step=None if time.first_step is None else time.first_step.value / unit,
        largest_step=np.inf if time.largest_step is None else time.largest_step.value / unit,
        scheme=SCHEMES[time.scheme],
    )


def _move(
    setup: Setup,
    solver: TransientSolver,
    drive: CaseDrive | PieceDrive,
    end: float,
    before: Motion | None,
    keeper: Keeper | None,
    progress: Callable[[Progress], None],
    on_row: Callable[[Row], None],
) -> Motion:
    """Step to the end, or until nothing moves any more.

    before
        What a checkpoint has of the motion, if it goes on.
    """
    time, unit = setup.case.time, setup.scales.time
    assert time is not None
    kept = [] if time.fields is None else [moment / unit for moment in time.fields.moments(time.last)]
    carried = None
    if before is not None:
        carried = before.carried
        for row in before.rows:
            on_row(row)
        if time.stop == "steady" and before.is_still:
            end = carried.time
    if keeper is not None:
        keeper.begin(before)
    reader = MotionReader(solver, None if before is None else before.sums)
    if isinstance(drive, FieldProtocolDrive):
        drive.fluxes = reader.fluxes
    rows, moments = ([], []) if before is None else (before.rows, before.moments)
    motion = before
    quiet_from = max([0.0, *solver.drive.kinks(0.0, end)])
    begun, done = clock.perf_counter(), 0.0 if before is None else _part(solver, before.carried.time, end)
    protocol = drive if isinstance(drive, PieceDrive) else None
    if protocol is not None:
        # the ends of pieces add up with rounding; a motion that goes on may be over
        end = carried.time if carried is not None and protocol.is_over else end * (1.0 + 1e-9)
    for step in solver.run(0.0, end, kept, carried, protocol):
        reading = reader.read(step)
        if protocol is not None:
            reading = replace(reading, piece=protocol.state.number + 1)
            protocol.accept(step)
        rows.append(row_of(setup, reading))
        on_row(rows[-1])
        of_steps = time.fields is not None and time.fields.steps and solver.report.steps % time.fields.steps == 0
        if of_steps or any(abs(step.time - moment) <= 1e-12 * end for moment in kept):
            moments.append((step.time, solver.discrete.state()))
        fraction = _part(solver, step.time, end)
        spent = clock.perf_counter() - begun
        progress(Progress(fraction, _remaining(spent, done, fraction)))
        is_still = time.stop == "steady" and is_still_since(step, quiet_from)
        state = None if protocol is None else protocol.state
        motion = Motion(solver.carried(), reader.sums, reading, rows, moments, is_still, state)
        if keeper is not None:
            keeper.after(motion)
        if is_still or (protocol is not None and protocol.is_over):
            break
    assert motion is not None
    if keeper is not None:
        keeper.finish(motion)
    return motion


def _remaining(spent: float, done: float, fraction: float) -> float:
    """Return how many seconds are left, from how many a part has taken; nan where that part is too small to tell."""
    return spent * (1.0 - fraction) / (fraction - done) if fraction - done >= LEAST_PART else np.nan


def _part(solver: TransientSolver, time: float, end: float) -> float:
    """Return about what part of all steps is done: they grow after a jump, and are even where numbers keep moving."""
    if solver.drive.moves:
        return time / end
    first = min(1e-6 * end, time)
    return float(min(1.0, np.log(time / first) / np.log(end / first))) if time < end else 1.0
