"""Linear solvers as sets of PETSc options, and the merging of options: defaults < case < command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from petsc4py import PETSc

from pnp_exclusion.errors import UsageError

Options = dict[str, Any]

PACKAGE = "pc_factor_mat_solver_type"
DIRECT: Options = {
    "ksp_type": "preonly",
    "pc_type": "lu",
    PACKAGE: "mumps",
    # blocked species make pivots of 1e-80; MUMPS then wants more room than its estimate
    "mat_mumps_icntl_14": 60,
}
WITHOUT_PIVOTING: Options = {
    "pc_factor_mat_ordering_type": "rcm",
    # blocked species make pivots of 1e-80, which are none the worse for it
    "pc_factor_zeropivot": 1e-300,
}
BANDED: Options = {"pc_type": "lu", PACKAGE: "petsc"} | WITHOUT_PIVOTING
"""Elimination along an interval by PETSc itself, in a tenth of the time of MUMPS."""
CHECKED: Options = {
    # one step as a rule; what needs more than a few has lost its digits for want of pivoting, and fails
    "ksp_type": "fgmres",
    "ksp_rtol": 1e-6,
    "ksp_max_it": 4,
}
SMOOTHER: Options = {
    # one sweep of SOR is worth two Chebyshev steps and costs half of them
    "mg_levels_ksp_type": "richardson",
    "mg_levels_ksp_max_it": 1,
    "mg_levels_pc_type": "sor",
}
ALGEBRAIC_MULTIGRID: Options = {
    "ksp_type": "preonly",
    "pc_type": "gamg",
    # couplings as weak as those across the diagonals of a box do not make an aggregate: 12 Krylov steps instead of 17
    "pc_gamg_threshold": 0.01,
    "pc_gamg_threshold_scale": 1e-4,
    # the square of the graph, whose aggregates save one Krylov step at most, costs two ranks as much as one
    "pc_gamg_aggressive_square_graph": "false",
} | SMOOTHER
"""One V-cycle of algebraic multigrid for one field."""
MULTIGRID: Options = {"ksp_type": "preonly", "pc_type": "mg", "pc_mg_galerkin": "both"} | SMOOTHER
"""One V-cycle over levels of ours (`pnp_exclusion.solver.linear.levels`), above an elimination."""
MULTIGRID_ABOVE_ALGEBRAIC: Options = {
    **MULTIGRID,
    **{f"mg_coarse_{key}": value for key, value in ALGEBRAIC_MULTIGRID.items()},
    # the cells are larger than those of linear elements would be, and so longer beside layers
    "mg_coarse_pc_gamg_threshold": 0.04,
}
ONE_RANK: Options = {
    # P^T A P as two products takes a third of the time; ranks of several have no such choice
    "matptap_via": "rap",
}
SEVERAL_RANKS: Options = {
    # SOR stops at the nodes of other ranks, which leaves modes there that it all but turns round; on cells fifty times
    # as long as wide that took 92 Krylov steps instead of 28
    "mg_levels_ksp_richardson_scale": 0.85,
}


@dataclass(frozen=True)
class Size:
    """What the choice of a linear solver depends on.

    ``unknowns`` over all ranks, ``degree`` of the elements, ``on_grid`` whether the coarser grids are known.
    """

    dimension: int
    unknowns: int
    degree: int
    ranks: int
    on_grid: bool


def _multigrid(size: Size) -> Options:
    """Return the options of one field's multigrid."""
    if size.on_grid:
        return MULTIGRID if size.ranks == 1 else MULTIGRID | SEVERAL_RANKS
    return ALGEBRAIC_MULTIGRID if size.degree == 1 else MULTIGRID_ABOVE_ALGEBRAIC


def fieldsplit(fields: Sequence[str], size: Size) -> Options:
    """Multiplicative fieldsplit with one scalar multigrid per field (docs/numerics.md#linear-solvers).

    Krylov counts do not grow. A single field has nothing to split: its multigrid alone.
    """
    multigrid = _multigrid(size)
    options: Options = {
        "ksp_type": "gmres",
        "ksp_pc_side": "right",
        "ksp_rtol": 1e-4,
        "ksp_max_it": 200,
        "ksp_gmres_restart": 60,
    }
    if size.ranks == 1:
        options |= ONE_RANK
    if len(fields) == 1:
        return options | {key: value for key, value in multigrid.items() if key != "ksp_type"}
    options |= {"pc_type": "fieldsplit", "pc_fieldsplit_type": "multiplicative"}
    for name in fields:
        options |= {f"fieldsplit_{name}_{key}": value for key, value in multigrid.items()}
    return options


SYMMETRIC_ITERATIVE: Options = {"ksp_type": "cg", "ksp_rtol": 1e-8, "pc_type": "gamg"}
"""For the scalar, symmetric positive definite problems of the first guess."""

LARGEST_DIRECT = {1: 10**8, 2: 10**6, 3: 5000}
"""Unknowns up to which a direct solver is the better choice on any mesh, by dimension."""
LARGEST_DIRECT_ON_GRID = {1: 10**8, 2: 4000, 3: 3000}
"""The same where the coarser grids are known: an elimination takes twice as long as the multigrid at 1e5 in 2D and at
1e4 in 3D."""

MATRICES = ("aij", "seqaij", "mpiaij")

SCALAR_PREFIXES = ("guess_", "poisson_")
"""Of the solvers of the first guess; the main solver has none, so that options read as in PETSc's manual."""

WITHOUT_EFFECT = {"snes_rtol", "snes_atol", "snes_stol"}
"""PETSc reads these, but a solution is judged by its full step (``tolerance`` in ``[solver]``), not by them."""


def resolved(name: str, size: Size) -> str:
    """Return the preset that "auto" stands for; any other name as it is.

    `UsageError` for "banded" on several ranks.
    """
    require_ranks(name, size.ranks)
    if name != "auto":
        return name
    if size.dimension == 1 and size.ranks == 1:
        return "banded"
    most = LARGEST_DIRECT_ON_GRID if size.on_grid else LARGEST_DIRECT
    return "direct" if size.unknowns <= most[size.dimension] else "fieldsplit"


def require_ranks(name: str, ranks: int) -> None:
    """Raise `UsageError` if so many ranks cannot work with a preset."""
    if name == "banded" and ranks > 1:
        raise UsageError(f'[solver] linear = "banded" is for one rank, not {ranks}; take "direct" or "auto"')


def with_pivots(name: str, size: Size) -> str:
    """Return the preset that a name stands for, but for "banded" the more careful elimination."""
    found = resolved(name, size)
    return "direct" if found == "banded" else found


def preset(name: str, size: Size, fields: Sequence[str]) -> Options:
    """Return the options of a preset by name, or of the best one for "auto"; those of all solvers of a solve."""
    match resolved(name, size):
        case "banded":
            main = BANDED | CHECKED
        case "direct":
            main = DIRECT
        case _:
            main = fieldsplit(fields, size)
    return main | {prefix + key: value for prefix in SCALAR_PREFIXES for key, value in _scalar(size, fields).items()}


def _scalar(size: Size, fields: Sequence[str]) -> Options:
    """Return the options of a symmetric positive definite problem with the unknowns of one field."""
    if resolved("auto", size) == "banded":
        return BANDED | {"ksp_type": "preonly"}
    return DIRECT if size.unknowns / len(fields) <= LARGEST_DIRECT[size.dimension] / 2 else SYMMETRIC_ITERATIVE


class OptionsDatabase:
    """What PETSc was told for one solve, by whom, and whether it listened; a context that takes its own words back.

    What the command line gave stands in PETSc's database before anything of ours and is never overwritten.
    """

    def __init__(self, command_line: Sequence[str] = ()) -> None:
        self._database = PETSc.Options()
        self._command_line = {word.lstrip("-") for word in command_line if _is_option(word)}
        self._watched = set(self._command_line)
        self._ours: Options = {}

    def __enter__(self) -> Self:
        """Put the merged options back, if they were taken out."""
        for key, value in self._ours.items():
            self._database.setValue(key, None if value is True else value)
        return self

    def __exit__(self, *_: object) -> None:
        for key in self._ours:
            self._database.delValue(key)

    def merge(self, defaults: Mapping[str, Any], case: Mapping[str, Any]) -> None:
        """Put defaults and the case's options into the database, where the command line has not spoken.

        What an earlier call put there goes. `UsageError` for a type of matrix that cannot be worked with.
        """
        self.__exit__()
        self._ours.clear()
        given = {key.lstrip("-"): value for key, value in case.items()}
        chosen = {**defaults, **given}
        matrix = self._database.getString("mat_type", str(chosen.get("mat_type", MATRICES[0])))
        if matrix not in MATRICES:
            raise UsageError(f"mat_type {matrix}: only {' and '.join(MATRICES)} can be worked with here")
        if any(key.endswith(("pc_type", PACKAGE)) for key in {*given, *self._command_line}):
            chosen = _fitting(chosen, self._database, given)
        self._watched |= set(given)
        self._ours |= {k: v for k, v in chosen.items() if k not in self._command_line and v is not False}
        self.__enter__()

    def gives(self, key: str) -> bool:
        """Return whether the case or the command line gives an option."""
        return key in self._watched

    def speaks_of(self, beginnings: tuple[str, ...], case: Mapping[str, Any]) -> bool:
        """Return whether the case's options or the command line have one with such a beginning."""
        return any(key.lstrip("-").startswith(beginnings) for key in {*case, *self._command_line})

    def effective(self) -> dict[str, str]:
        """Return the options of this solve."""
        present = self._database.getAll()
        return {key: present[key] for key in sorted(set(self._ours) | self._command_line) if key in present}

    def unused(self) -> list[str]:
        """Return the options of the case and the command line that had no effect."""
        present = self._database.getAll()
        ignored = (key for key in self._watched if key in present and not self._database.used(key))
        return sorted({*ignored, *(self._watched & WITHOUT_EFFECT)})


REFUSALS = {62, 75, 86, 92}
"""PETSc's errors for a value that it cannot read, one that does not go with others, a type that it does not know, a
package that it does not have; they may come late, where an option is first needed."""
READING_OPTIONS = "SetFromOptions() at"
"""In PETSc's account of an error, where whatever went wrong is an option's fault."""


@contextmanager
def refusals_as_usage_errors() -> Iterator[None]:
    """Turn PETSc's refusal of an option's value into `UsageError`: the user's word is wrong, not the solve."""
    try:
        yield
    except PETSc.Error as error:
        if error.ierr in REFUSALS or READING_OPTIONS in str(error):
            raise UsageError(f"PETSc refuses an option: {petsc_message(error)}") from None
        raise


def petsc_message(error: PETSc.Error) -> str:
    """Return the last line of PETSc's account of an error, which says what was wrong."""
    return str(error).splitlines()[-1].split("] ", 1)[-1]


OPTIONS_OF = {
    "pc_factor": ("lu", "cholesky"),
    "mat_mumps": ("lu", "cholesky"),
    "pc_gamg": ("gamg",),
    "pc_mg": ("mg",),
    "mg_coarse": ("mg",),
    "mg_levels": ("gamg", "mg"),
    "pc_fieldsplit": ("fieldsplit",),
    "fieldsplit": ("fieldsplit",),
}
"""Beginnings of options, and the preconditioners that they are for."""


def _fitting(chosen: Options, database: PETSc.Options, given: Mapping[str, Any]) -> Options:
    """Drop defaults that belong to a preconditioner which the user has replaced; give an elimination our MUMPS."""
    eliminates = database.getString("pc_type", str(chosen.get("pc_type", ""))) in OPTIONS_OF["mat_mumps"]
    package = database.getString(PACKAGE, str(chosen.get(PACKAGE, "")))
    # what is for PETSc's own elimination misleads others, and its few steps are too few for what is none
    misfits = ({} if package == BANDED[PACKAGE] else WITHOUT_PIVOTING) | ({} if eliminates else CHECKED)
    chosen = {key: value for key, value in chosen.items() if key in given or misfits.get(key) != value}
    if eliminates and not package:
        chosen = {key: value for key, value in DIRECT.items() if key not in ("ksp_type", "pc_type")} | chosen
    fields = {match[1] for key in chosen if (match := re.match(r"(fieldsplit_.+_)pc_type$", key))}
    stale = set()
    for prefix in ("", *fields):
        preconditioner = database.getString(f"{prefix}pc_type", str(chosen.get(f"{prefix}pc_type", "")))
        unfit = tuple(prefix + start for start, types in OPTIONS_OF.items() if preconditioner not in types)
        stale |= {key for key in chosen if key.startswith(unfit)}
    return {key: value for key, value in chosen.items() if key not in stale or key in given}


def _is_option(word: str) -> bool:
    """Whether a word of the command line is an option and not the (perhaps negative) value of one."""
    return word.startswith("-") and not word[1:2].isdigit() and word[1:2] != "."
