"""Which of PETSc's options a case may give: a case is data, and some of them write files, load modules or run programs.

The command line may give any.
"""

from __future__ import annotations

import re

FAMILIES = re.compile(
    r"""
    (?:[a-z][\w+-]*_)?              # of a solver within another: fieldsplit_mu_Na_, mg_levels_, guess_ ..
    (?:
        (?:snes|ksp|pc)_\w+
      | mat_mumps_i?cntl_\d+
      | mat_superlu_dist_\w+
      | mat_type
      | matptap_via | matproduct_\w+
    )
    """,
    re.VERBOSE,
)
"""Names of options of nonlinear and linear solvers, preconditioners, eliminations and products of matrices."""
SHOWING = re.compile(r"view|monitor|converged_(reason|rate)")
"""In the names of those whose value says where to write."""
OF_FILES = re.compile(r"python|tmpdir|file|load|dump|draw|saws|mat_mumps_icntl_(1|2|3|22)$")
"""In the names of those that write files or run code; MUMPS takes numbers of streams, and keeps its factors on disk."""
VALUE = re.compile(r"[\w.,+-]*")
CODE_AND_VIEWERS = {"python", "shell", "ascii", "binary", "draw", "socket", "string", "hdf5", "vtk", "matlab", "saws"}
"""Types that are made of a program, or that write."""


def why_not(name: str, value: str | float | bool) -> str:
    """Return why a case may not give an option this value, as a clause; empty if it may."""
    # PETSc does not tell capital letters from small ones
    name = name.lower()
    if not FAMILIES.fullmatch(name) or OF_FILES.search(name):
        return "it is not one of those for solvers and preconditioners that neither name files nor run code"
    if SHOWING.search(name) and not isinstance(value, bool):
        return "what it shows goes to the terminal only, so its value must be true"
    if isinstance(value, str) and (
        not VALUE.fullmatch(value) or CODE_AND_VIEWERS & set(re.split("[,.]", value.lower()))
    ):
        return "its value must be a number or the name of a type, and no file or code"
    return ""
