"""How far one solve is, for those who wait: levels, Newton steps and Krylov steps, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_SECONDS = 2.0
"""Of a solve, in which nobody is told: it may be over."""
SECONDS_BETWEEN = 0.2
COLD_STEPS, WARM_STEPS = 6.0, 2.0
"""Newton steps of a level, from a first guess and from the level below, until its own steps say more."""
KRYLOV_STEPS = 15
"""Of a Newton step, until there has been one."""
MOST_STEPS = 20
NEARLY = 0.95


@dataclass
class Level:
    """One level of a solve: a Newton step of it costs as its unknowns.

    tell
        Called where something has happened.
    """

    unknowns: int
    tolerance: float
    tell: Callable[[Level], None]
    expected: float
    done: int = 0
    krylov_steps: int = 0
    """Of the Newton step that is under way."""
    _usual: int = KRYLOV_STEPS
    _sizes: list[float] = field(default_factory=list)

    @property
    def steps(self) -> float:
        """Newton steps that are done, with a part of the one under way."""
        return self.done + min(self.krylov_steps / max(self._usual, 1), NEARLY)

    def newton(self, size: float) -> None:
        """Count a Newton step of some size, relative to the unknowns, and foresee how many are to come.

        Steps get smaller as Newton's method has it, each as the square of the one before.
        """
        self.done += 1
        self._usual, self.krylov_steps = max(self.krylov_steps, 1), 0
        self._sizes.append(size)
        more = 0
        if len(self._sizes) > 1 and 0.0 < size < self._sizes[-2]:
            curvature = size / self._sizes[-2] ** 2
            while size > self.tolerance and more < MOST_STEPS:
                size = min(curvature * size**2, 0.5 * size)
                more += 1
        elif size > self.tolerance:
            more = max(1, round(self.expected - self.done))
        self.expected = self.done + more
        self.tell(self)

    def krylov(self, count: int) -> None:
        """Note how many Krylov steps the Newton step under way has had."""
        self.krylov_steps = count
        self.tell(self)


class Watch:
    """The work of one solve on its levels, of which the finest is announced before the others are worked on.

    say
        Called now and then with a line, on the rank that has the watch.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._levels: list[Level] = []
        self._announced = 0
        self._began = self._told = time.monotonic()

    def announce(self, unknowns: int) -> None:
        """The finest level is to come."""
        self._announced = unknowns

    def level(self, unknowns: int, tolerance: float) -> Level:
        """Return the next level; those before it are coarser, and over when it begins."""
        steps = WARM_STEPS if self._levels else COLD_STEPS
        self._levels.append(Level(unknowns, tolerance, self._tell, steps))
        return self._levels[-1]

    def fraction(self) -> float:
        """Return how much of the work is done, as far as it can be foreseen."""
        at_work = [position for position, level in enumerate(self._levels) if level.steps > 0.0]
        last = at_work[-1] if at_work else 0
        done = whole = 0.0
        for position, level in enumerate(self._levels):
            # of one that was left no more comes
            steps = level.steps if position < last else max(level.steps, level.expected)
            done += level.unknowns * level.steps
            whole += level.unknowns * steps
        if self._announced and all(level.unknowns != self._announced for level in self._levels):
            whole += self._announced * (WARM_STEPS if self._levels else COLD_STEPS)
        return done / whole if whole else 0.0

    def _tell(self, level: Level) -> None:
        now = time.monotonic()
        if now - self._began < FIRST_SECONDS or now - self._told < SECONDS_BETWEEN:
            return
        self._told, fraction = now, self.fraction()
        left = (now - self._began) * (1.0 - fraction) / fraction if fraction > 0.0 else float("nan")
        within = f", Krylov step {level.krylov_steps}" if level.krylov_steps else ""
        until = f", about {left:.0f} s left" if left == left else ""
        self._say(f"  {level.unknowns} unknowns, Newton step {level.done + 1}{within}: {100 * fraction:.0f} %{until}")
