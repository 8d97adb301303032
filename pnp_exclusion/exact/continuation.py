"""From the exact state without fields to the state asked for: damped Newton, then a field ramp.

Newton with steps limited by positivity usually succeeds at full field at once. When it does not,
the fields grow from zero with a secant predictor in `log rho`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .profile import Profile
from .shooting import Array, Channel, Iterate, Nodes, linear_profile, newton_step

CONVERGED_STEP = 1e-11
ROUND_OFF = 1e-13
TRUSTED_STEP = 1e-6
DIRECT_STEPS = 30
RAMP_STEPS = 20
FIRST_RAMP_DRIVE = 2.0
SMALLEST_RAMP_DRIVE = 1e-3
QUICK_STEPS = 6
LARGEST_PREDICTION = 2.0
KEPT_FRACTION = 0.1


class StationaryStateNotFound(RuntimeError):
    """No stationary state with positive densities could be computed; the message says how far."""


class NewtonFailure(Exception):
    """Newton's iteration did not converge to a positive profile."""


@dataclass(frozen=True)
class Root:
    """A converged profile.

    `residual`: largest relative mismatch at a node; `uncertainty`: largest relative correction that
    Newton still asked for; `newton_steps`: of the last solution; `ramp_steps`: of the field ramp.
    """

    profile: Profile
    residual: float
    uncertainty: float
    newton_steps: int
    ramp_steps: int = 0


def find_root(channel: Channel, guess: Iterate | None = None) -> Root:
    """The positive stationary profile of a channel, from a guess on its nodes or from none.

    Raises StationaryStateNotFound.
    """
    nodes = Nodes.of(channel)
    start = linear_profile(channel, nodes) if guess is None else guess
    try:
        return solve_newton(channel, nodes, start, DIRECT_STEPS)
    except NewtonFailure:
        return ramp_fields(channel, nodes)


def solve_newton(channel: Channel, nodes: Nodes, iterate: Iterate, limit: int) -> Root:
    """Newton's iteration with every density kept above a tenth of itself at each step.

    It has converged when a step is below 1e-11; or when the mismatch is at round-off, the currents
    no longer move and the densities by no more than 1e-6: a profile that hangs on the last digits
    of the reservoirs, such as a shock far from both. Raises NewtonFailure.
    """
    for count in range(1, limit + 1):
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                step = newton_step(channel, nodes, iterate)
        except np.linalg.LinAlgError as error:
            raise NewtonFailure("the matching conditions are singular") from error
        if not np.isfinite(step.size):
            raise NewtonFailure("the matching conditions overflow")
        iterate = _limited(iterate, step.density, step.current)
        still = step.residual <= ROUND_OFF and step.current_size <= CONVERGED_STEP
        if step.size <= (TRUSTED_STEP if still else CONVERGED_STEP):
            profile = Profile(channel, nodes, iterate)
            if not profile.is_positive():
                raise NewtonFailure("the root found is spurious: not positive everywhere")
            return Root(profile, step.residual, step.size, count)
    raise NewtonFailure(f"no convergence in {limit} steps")


def ramp_fields(channel: Channel, nodes: Nodes) -> Root:
    """Raise the fields from zero to their values, solving on the way.

    Raises StationaryStateNotFound.
    """
    drive = float((np.abs(channel.centred_fields()).max(axis=1) * channel.lengths).max())
    here, increment = 0.0, min(1.0, FIRST_RAMP_DRIVE / max(drive, FIRST_RAMP_DRIVE))
    current = linear_profile(channel, nodes)
    behind: tuple[float, Iterate] | None = None
    ramp_steps = 0
    while True:
        ahead = min(1.0, here + increment)
        guess = current
        if behind is not None:
            guess = _extrapolated(behind[1], current, (ahead - here) / (here - behind[0]))
        ramp_steps += 1
        try:
            root = solve_newton(channel.scaled(ahead), nodes, guess, RAMP_STEPS)
        except NewtonFailure as failure:
            increment /= 3.0
            if increment * drive < SMALLEST_RAMP_DRIVE:
                raise StationaryStateNotFound(
                    f"no positive stationary state found beyond {100 * here:.4g} % of the fields "
                    f"(max |E| = {np.abs(channel.fields).max():g}): {failure}"
                ) from failure
            continue
        if ahead == 1.0:
            return replace(root, ramp_steps=ramp_steps)
        behind, here, current = (here, current), ahead, root.profile.solution
        if root.newton_steps <= QUICK_STEPS:
            increment *= 2.0


def _limited(iterate: Iterate, relative: Array, change: Array) -> Iterate:
    """The step, shortened as a whole so that no density falls below a tenth of itself."""
    fall = float(-relative.min())
    fraction = min(1.0, (1.0 - KEPT_FRACTION) / fall) if fall > 0.0 else 1.0
    return _on_simplex(iterate.density * (1.0 + fraction * relative), iterate.current + fraction * change)


def _extrapolated(behind: Iterate, here: Iterate, ratio: float) -> Iterate:
    growth = ratio * np.log(here.density / behind.density)
    growth = np.clip(growth, -LARGEST_PREDICTION, LARGEST_PREDICTION)
    return _on_simplex(here.density * np.exp(growth), here.current + ratio * (here.current - behind.current))


def _on_simplex(density: Array, current: Array) -> Iterate:
    return Iterate(density / density.sum(axis=1, keepdims=True), current)
