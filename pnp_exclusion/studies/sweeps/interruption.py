"""What an interruption of a sweep means: how long others are waited for, and what the user is told."""

from __future__ import annotations

from pnp_exclusion.errors import PnpExclusionError

GRACE_SECONDS = 5.0
"""For others to come to the end of a point once the sweep was asked to stop."""


class SweepInterruptedError(PnpExclusionError):
    """A sweep was asked to stop; says how it goes on."""

    exit_code = 130
