"""Events at finite rates, each of which changes a few particles at once: where there are rates there is shot noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """An event and its reverse.

    changes
        By species: how many particles the forward direction makes in the domain.
    forth, back
        Rates of the two directions, per volume or per area and time.
    """

    changes: Mapping[str, float]
    forth: Any
    back: Any
