"""Linear solvers as sets of PETSc options, and the merging of options: defaults < case < command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from petsc4py import PETSc

Options = dict[str, Any]

DIRECT: Options = {
    "ksp_type": "preonly",
    "pc_type": "lu",
    "pc_factor_mat_solver_type": "mumps",
    # blocked species make pivots of 1e-80; MUMPS then wants more room than its estimate
    "mat_mumps_icntl_14": 60,
}


def fieldsplit(fields: Sequence[str]) -> Options:
    """Multiplicative fieldsplit with one scalar GAMG per field: Krylov counts that do not grow (NUMERICS)."""
    options: Options = {
        "ksp_type": "gmres",
        "ksp_pc_side": "right",
        "ksp_rtol": 1e-6,
        "ksp_max_it": 200,
        "ksp_gmres_restart": 60,
        "pc_type": "fieldsplit",
        "pc_fieldsplit_type": "multiplicative",
    }
    for name in fields:
        options[f"fieldsplit_{name}_ksp_type"] = "preonly"
        options[f"fieldsplit_{name}_pc_type"] = "gamg"
    return options


SYMMETRIC_ITERATIVE: Options = {"ksp_type": "cg", "ksp_rtol": 1e-8, "pc_type": "gamg"}
"""For the scalar, symmetric positive definite problems of the first guess."""

LARGEST_DIRECT = {1: 10**8, 2: 10**6, 3: 5 * 10**4}
"""Unknowns up to which a direct solver is the better choice, by dimension (NUMERICS)."""


def preset(name: str, dimension: int, unknowns: int, fields: Sequence[str]) -> Options:
    """Return the options of preset "direct", "fieldsplit", or of the better one for "auto"."""
    if name == "auto":
        name = "direct" if unknowns <= LARGEST_DIRECT[dimension] or len(fields) == 1 else "fieldsplit"
    return dict(DIRECT) if name == "direct" else fieldsplit(fields)


class OptionsLedger:
    """What PETSc was told, by whom, and whether it listened.

    The main solver has no prefix, so that options read as in PETSc's manual. What the command line gave stands in
    PETSc's database before anything of ours and is never overwritten.
    """

    def __init__(self, command_line: Sequence[str] = ()) -> None:
        self._database = PETSc.Options()
        self._command_line = {word.lstrip("-") for word in command_line if _is_option(word)}
        self._watched = set(self._command_line)
        self._ours: set[str] = set()

    def merge(self, defaults: Mapping[str, Any], case: Mapping[str, Any]) -> None:
        """Put defaults and the case's options into the database, where the command line has not spoken."""
        for key in self._ours:
            self._database.delValue(key)
        chosen = {**defaults, **{key.lstrip("-"): value for key, value in case.items()}}
        if "ksp_type" in case or "pc_type" in case or {"ksp_type", "pc_type"} & self._command_line:
            chosen = _without_stale_subsolver_options(chosen, self._database, case)
        self._watched |= set(case)
        self._ours = {key for key in chosen if key not in self._command_line}
        for key in self._ours:
            value = chosen[key]
            if value is not False:
                self._database.setValue(key, None if value is True else value)

    def effective(self) -> dict[str, str]:
        """Return the options in force."""
        return {key: self._database.getAll()[key] for key in sorted(self._database.getAll())}

    def unused(self) -> list[str]:
        """Return the options of the case and the command line that no PETSc object has asked for."""
        present = self._database.getAll()
        return sorted(key for key in self._watched if key in present and not self._database.used(key))


def _without_stale_subsolver_options(chosen: Options, database: PETSc.Options, case: Mapping[str, Any]) -> Options:
    """Drop defaults that belong to a preconditioner which the user has replaced."""
    preconditioner = database.getString("pc_type", str(chosen.get("pc_type", "")))
    stale = []
    if preconditioner not in ("lu", "cholesky"):
        stale += ["pc_factor_mat_solver_type", "mat_mumps_icntl_14"]
    if preconditioner != "fieldsplit":
        stale += [key for key in chosen if "fieldsplit" in key]
    return {key: value for key, value in chosen.items() if key not in stale or key in case}


def _is_option(word: str) -> bool:
    """Whether a word of the command line is an option and not the (perhaps negative) value of one."""
    return word.startswith("-") and not word[1:2].isdigit() and word[1:2] != "."
