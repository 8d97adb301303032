"""The commands, one a file: its words (`add_to`) and what it does (`execute`).

Nothing heavy is imported at the top of these files, so that ``--help`` answers at once; `execute` starts PETSc with the
user's options before it imports what computes.
"""

from __future__ import annotations

NAMES = (
    "run",
    "compare",
    "sweep",
    "lattice",
    "gas",
    "iv",
    "capacitance",
    "cv",
    "noise",
    "correlations",
    "impedance",
    "gradient",
    "fit",
    "couple",
    "engine",
    "diagram",
    "reproduce",
    "check",
    "verify",
    "mesh",
    "warm",
    "ions",
    "example",
    "schema",
    "info",
)
"""In the order of ``--help``."""
