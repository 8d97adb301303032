"""A sweep from beginning to end: its plan, what is on disk already, who solves the rest, the results."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mpi4py import MPI

import numpy as np
import xarray as xr

from pnp_exclusion.case.case import Case
from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.output.manifest import case_manifest
from pnp_exclusion.output.netcdf import write_netcdf
from pnp_exclusion.output.results import draw_or_say
from pnp_exclusion.output.text import columns
from pnp_exclusion.runtime.console import Console
from pnp_exclusion.runtime.fenicsx import initialise_petsc
from pnp_exclusion.runtime.interruption import Interruption
from pnp_exclusion.runtime.parallel import on_rank_zero
from pnp_exclusion.runtime.pool import executor_for
from pnp_exclusion.solution.solve import as_case
from pnp_exclusion.solver.linear.presets import require_ranks
from pnp_exclusion.studies.sweeps.coupling import coupling_csv, coupling_json, coupling_rows
from pnp_exclusion.studies.sweeps.dataset import dataset_of
from pnp_exclusion.studies.sweeps.executors import dask_executor, over_executor
from pnp_exclusion.studies.sweeps.groups import groups_of, in_turn, over_groups
from pnp_exclusion.studies.sweeps.noise import noise_rows
from pnp_exclusion.studies.sweeps.pictures import MOST_COLUMNS, Row, current_rows, draw_sweep
from pnp_exclusion.studies.sweeps.plan import Chunk, CouplingChoice, Work, plan_of
from pnp_exclusion.studies.sweeps.progress import Progress
from pnp_exclusion.studies.sweeps.record import Outcome
from pnp_exclusion.studies.sweeps.store import POINTS, WHOLE, Part, Store

MANIFEST, RESULTS = "manifest.json", "sweep.nc"
NO_PICTURE = (
    "no picture: it takes a grid over one to three axes, at least one of numbers, "
    f"and a third of {MOST_COLUMNS} values at most"
)
Task = Literal["solve", "plan", "gather"]


class SweepInterruptedError(PnpExclusionError):
    """A sweep was asked to stop; says how it goes on."""

    exit_code = 130


@dataclass(frozen=True)
class Workers:
    """Who solves: processes on this machine, the ranks of the job in groups, a Dask cluster, or a user's executor."""

    processes: int = 1
    ranks_per_point: int = 1
    dask: str | None = None
    executor: Executor | None = None

    def require_fit(self, ranks: int, linear: str) -> None:
        """Raise `UsageError` if these do not go together, or not with so many ranks or the preset of linear solver."""
        for name, count in (("--workers", self.processes), ("--ranks-per-point", self.ranks_per_point)):
            if count < 1:
                raise UsageError(f"{name} must be 1 or more, but it is {count}")
        if (self.dask is not None) + (self.processes > 1) + (ranks > 1) + (self.executor is not None) > 1:
            raise UsageError(
                "--workers, --dask, an executor and several ranks under mpiexec exclude each other; take one of them"
            )
        groups_of(ranks, self.ranks_per_point)
        require_ranks(linear, self.ranks_per_point)

    def solve(
        self, work: Work, chunks: Iterator[Chunk], comm: MPI.Intracomm, interruption: Interruption
    ) -> Generator[Outcome]:
        """Yield on rank 0 what comes of the chunks, as it comes in; collective."""
        with self._executor(work) as executor:
            if executor is not None:
                yield from over_executor(work, chunks, executor, interruption.stopped)
            elif groups_of(comm.size, self.ranks_per_point):
                yield from over_groups(work, chunks, comm, self.ranks_per_point, interruption)
            else:
                yield from in_turn(work, chunks, comm, interruption)

    def in_words(self, ranks: int) -> dict[str, Any]:
        """Return what the manifest says of them."""
        executor = None if self.executor is None else type(self.executor).__name__
        counts = {"workers": self.processes, "ranks": ranks, "ranks_per_point": self.ranks_per_point}
        return counts | {"dask": self.dask, "executor": executor}

    def _executor(self, work: Work) -> AbstractContextManager[Executor | None]:
        if self.dask is not None:
            return dask_executor(self.dask)
        return executor_for(self.processes, self.executor, partial(initialise_petsc, work.petsc_options))


ALONE = Workers()


@dataclass(frozen=True)
class Options:
    """How a sweep is run; see ``pnp-exclusion sweep --help``."""

    workers: Workers = ALONE
    task: Task = "solve"
    part: Part = WHOLE
    overwrite: bool = False
    retry: bool = False
    petsc_options: tuple[str, ...] = ()
    quiet: bool = False
    coupling: CouplingChoice | None = None


def sweep(
    case: Case | str | Path | Mapping[str, Any],
    output: str | Path | None = None,
    *,
    workers: int = 1,
    ranks_per_point: int = 1,
    dask: str | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
    retry: bool = False,
    petsc_options: Sequence[str] = (),
    quiet: bool = True,
    comm: MPI.Intracomm = MPI.COMM_WORLD,
) -> xr.Dataset:
    """Solve the sweep of a case and return its results; collective over ``comm``, but for this rank alone if an
    executor is given.

    case
        With a ``[sweep]``: as from `read_case` or `make_case`, or the path of a case file, or its tables.
    output
        Folder for the results, which is taken up where it holds some of the same sweep; none are kept if absent.
    workers, ranks_per_point, dask
        Processes on this machine (a script that asks for several needs ``if __name__ == "__main__":``), or how many
        ranks of an MPI job solve a point together, or the address of a Dask scheduler.
    executor
        Instead of these a `concurrent.futures.Executor`, which is left open: of processes (started by "spawn", as MPI
        does not survive a fork), of the ranks of `mpi4py.futures`, of a Dask client, of executorlib, ...
    overwrite, retry
        Begin anew in a folder that holds another sweep; solve the points that failed again.

    Points without a solution are nan. Raises `CaseError` before anything runs if a point makes no case, `UsageError`
    for a folder of another sweep, `DiskError`, `SweepInterruptedError` after SIGINT or SIGTERM, and `ExecutorLostError`
    if an executor ends before the sweep does.
    """
    chosen = Workers(workers, ranks_per_point, dask, executor)
    options = Options(chosen, overwrite=overwrite, retry=retry, petsc_options=tuple(petsc_options), quiet=quiet)
    if executor is not None:
        comm = MPI.COMM_SELF
    with tempfile.TemporaryDirectory(prefix="pnp-sweep-") as temporary:
        folder = Path(output) if output is not None else Path(temporary)
        return run(as_case(case), folder, options, comm).results


@dataclass(frozen=True)
class Report:
    """What came of a run: the lines to print, and the results where the sweep is complete."""

    lines: list[str]
    results: xr.Dataset = field(default_factory=xr.Dataset)

    @property
    def fruitless(self) -> bool:
        """Whether the sweep is complete, and no point of it has a solution."""
        return "converged" in self.results and not self.results["converged"].any()


def run(case: Case, folder: Path, options: Options, comm: MPI.Intracomm = MPI.COMM_WORLD) -> Report:
    """Do what the options ask for; collective. The report is that of rank 0 on every rank."""
    options.workers.require_fit(comm.size, case.solver.linear)
    session: _Session | None = None

    def begin() -> Work:
        nonlocal session
        session = _Session(case, folder, options, comm.size)
        return session.plan.work

    work = on_rank_zero(comm, begin)
    try:
        problem: PnpExclusionError | None = None
        with Interruption() as interruption:
            if options.task == "solve":
                problem = _solve(session, work, options.workers, comm, interruption)

        def end() -> Report:
            assert session is not None
            if problem is not None:
                raise problem
            if interruption.asked and session.missing:
                raise session.interrupted()
            return session.report()

        return on_rank_zero(comm, end)
    finally:
        if session is not None:
            session.close()


def _solve(
    session: _Session | None, work: Work, workers: Workers, comm: MPI.Intracomm, interruption: Interruption
) -> PnpExclusionError | None:
    """Solve what is missing; what goes wrong is returned, because the other ranks do not know of it yet."""
    chunks = session.chunks() if session is not None else iter(())
    missing = on_rank_zero(comm, lambda: session is not None and session.missing > 0)
    if not missing:
        return None
    try:
        with closing(workers.solve(work, chunks, comm, interruption)) as outcomes:
            for outcome in outcomes:
                assert session is not None
                session.take(outcome)
    except PnpExclusionError as error:
        return error
    return None


class _Session:
    """What rank 0 does while others solve: keep, tell, and write the results."""

    def __init__(self, case: Case, folder: Path, options: Options, ranks: int) -> None:
        # the parts of an array look at their own points
        whole = options.part.whole and options.task == "solve"
        self.plan = plan_of(case, options.petsc_options, options.coupling, check=whole)
        own = self.plan.part(*options.part)
        if not whole:
            self.plan.require_cases(self.plan.samples() if options.part.whole else own)
        self.options = options
        self.ranks = ranks
        self.store = Store(folder, self.plan, options.part)
        self.store.open(options.overwrite)
        name = "log.txt" if options.part.whole else f"log-{options.part.number}.txt"
        with self.store.on_disk():
            self.progress = Progress(Console(0, options.quiet), folder / name, options.quiet)
        self._finished = self.store.complete and all((folder / name).exists() for name in (MANIFEST, RESULTS))
        if options.retry and self.store.failed.any():
            (folder / MANIFEST).unlink(missing_ok=True)
            self.store.forget_failed()
            self._finished = False
        self._mine = np.zeros(self.plan.size, dtype=bool)
        self._mine[own] = True
        self._told: set[str] = set()
        self._say_what_there_is()

    def close(self) -> None:
        """Close what is open."""
        self.progress.close()
        self.store.close()

    @property
    def missing(self) -> int:
        """How many points this run has to solve."""
        return int((self._mine & ~self.store.done).sum())

    def chunks(self) -> Iterator[Chunk]:
        """Return the chunks with missing points."""
        return self.plan.chunks(~self.store.done, *self.options.part)

    def take(self, outcome: Outcome) -> None:
        """Put on disk what came of a chunk, then count it."""
        new = self.store.append(outcome.records)
        failed = [record for record in outcome.records if not record["converged"]]
        with self.store.on_disk():
            for record in failed:
                self.progress.note(f"  {self.plan.design.describe(record['index'])}: {record['reason']}")
            for sentence in outcome.warnings:
                if sentence not in self._told:
                    self._told.add(sentence)
                    self.progress.warn(sentence)
            self.progress.note(f"chunk {outcome.chunk}: {new} points in {outcome.seconds:.3f} s")
            self.progress.tell(new, len(failed))

    def interrupted(self) -> SweepInterruptedError:
        """Return what says how the sweep goes on."""
        return SweepInterruptedError(
            f"interrupted with {int(self.store.done.sum())} of {self.plan.size} points, which {self.store.folder} "
            "keeps; the same command goes on from there"
        )

    def report(self) -> Report:
        """Write the results if all points are there; return what to print."""
        done, size, task = int(self.store.done.sum()), self.plan.size, self.options.task
        if task == "plan":
            return Report(self._parts_in_words())
        if task == "gather" and done < size:
            raise UsageError(
                f"{size - done} of {size} points are missing in {self.store.folder}; run the parts that did not finish "
                "again, or the sweep without --gather, which solves the rest here"
            )
        if not self.options.part.whole:
            lines = [f"part {self.options.part.number} of {self.options.part.of}: {int(self._mine.sum())} points done"]
            return Report([*lines, "when all parts are: the same command with --gather"])
        return self._complete()

    # ---- words ----

    def _say_what_there_is(self) -> None:
        plan, done = self.plan, int((self._mine & self.store.done).sum())
        total = int(self._mine.sum())
        self.progress.begin(done, total)
        if self.store.dropped:
            self.progress.warn(
                f"{self.store.dropped} lines in {self.store.folder} are no records of this sweep, or not as they were "
                "written; their points are solved again"
            )
        if self.options.task == "solve":
            kept = f"; {done} are there already" if done else ""
            number, of = self.options.part
            self.progress.say(f"{total} points in {len(plan.pieces[number::of])} chunks{kept}")

    def _parts_in_words(self) -> list[str]:
        plan, folder = self.plan, self.store.folder
        parts = min(16, len(plan.pieces))
        command = shlex.join(["pnp-exclusion", "sweep", str(plan.case.path), "-o", str(folder)])
        options = f" -- {shlex.join(plan.petsc_options)}" if plan.petsc_options else ""
        looked_at = len(plan.samples())
        rest = "" if looked_at == plan.size else f"; {looked_at} of them looked at, every part looks at its own"
        return [
            f"{plan.size} points in {len(plan.pieces)} chunks: {folder / 'plan.json'}{rest}",
            f"as an array of jobs (SLURM: --array=0-{parts - 1}):",
            f"  {command} --part $SLURM_ARRAY_TASK_ID --parts {parts}{options}",
            "when all have ended:",
            f"  {command} --gather{options}",
        ]

    # ---- results ----

    def _complete(self) -> Report:
        store, plan = self.store, self.plan
        if not self._finished:
            store.finish()
        results = dataset_of(plan, store.records())
        if self._finished:
            self.progress.say(f"{store.folder} holds this sweep, finished; nothing was left to do")
        else:
            self._write(results)
        converged = int((~store.failed).sum())
        if converged < plan.size:
            self.progress.warn(
                f"{plan.size - converged} of {plan.size} points have no solution; {store.folder / POINTS} says why, "
                "--retry solves them again"
            )
        return Report(self._table(results, converged), results)

    def _write(self, results: xr.Dataset) -> None:
        """The manifest comes last, as the sign that all is there."""
        store = self.store
        with store.on_disk(), store.replacing(RESULTS) as unfinished:
            write_netcdf(results, unfinished)
        pictures = {"sweep": current_rows(results)}
        if self.plan.coupling is not None:
            coupling = coupling_json(self.plan, store.records())
            store.write("coupling.json", json.dumps(coupling, indent=2, ensure_ascii=False) + "\n")
            store.write("coupling.csv", coupling_csv(results))
            pictures["coupling"] = coupling_rows(results)
        if self.plan.work.noise:
            pictures["noise"] = noise_rows(results)
        ending = self.plan.case.output.picture_format
        for name, rows in pictures.items() if ending else ():
            self._draw(f"{name}.{ending}", results, rows)
        store.write(MANIFEST, json.dumps(self._manifest(), indent=2, ensure_ascii=False) + "\n")

    def _draw(self, name: str, results: xr.Dataset, rows: Sequence[Row]) -> None:
        drawn = []
        with self.store.on_disk(), self.store.replacing(name) as unfinished:
            failure = draw_or_say(lambda path: drawn.append(draw_sweep(path, results, rows)), unfinished, name)
        if failure:
            self.progress.warn(failure)
        elif not any(drawn):
            self.progress.say(NO_PICTURE)

    def _manifest(self) -> dict[str, Any]:
        store, plan = self.store, self.plan
        return {
            **case_manifest(plan.case, self.ranks),
            "fingerprint": plan.fingerprint,
            "points": plan.size,
            "failed": int(store.failed.sum()),
            "petsc_options": plan.petsc_options,
            "solved_by": self.options.workers.in_words(self.ranks),
        }

    def _table(self, results: xr.Dataset, converged: int) -> list[str]:
        plan = self.plan
        lines = [f"{plan.size} points, {converged} with a solution: {self.store.folder / RESULTS}"]
        if "regime" not in results:
            return lines
        names = [str(name) for name in results["species"].values]
        counts = {name: Counter(results["regime"].sel(species=name).values.ravel().tolist()) for name in names}
        regimes = sorted({regime for count in counts.values() for regime in count if regime})
        rows = [[name, *(str(counts[name][regime]) for regime in regimes)] for name in names]
        return [*lines, *columns([["species", *regimes], *rows])]
