"""The compiled event loop of the gas: neighbours that meet, ends that are reached, particles that enter.

Particles stand in a ring buffer in the order of their positions: two that pass exchange their places in it, and all
that enter or leave do so at its ends. Each place has a leaf with the time of its next event: of a particle's meeting
the next one, of the last one's reaching the right end; the leaf before the first particle has its reaching the left
end. A tournament over the leaves gives the next event, and an event changes three leaves that are side by side: O(log
n). A particle is where it was at its own clock; all clocks are set back together, so that times never grow.

`full_scan` finds the next event by going through all particles instead. With the same draws it makes the same
trajectory, which is what it is for.
"""

from math import inf, log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.generator import uniform

NOW, NEXT_LEFT, NEXT_RIGHT = 0, 1, 2
HEAD, COUNT = 0, 1
DONE, FULL, CROWDED = 0, 1, 2
"""How `advance` and `observe` end: at their time, with no room in the ring, after more events than they may take."""
COLUMNS = 5
"""Slow modes of a kind: sums of |v|, |v| cos(pi x/L), |v| sin(pi x/L), energy, energy cos(pi x/L).

A particle as slow as none of the others stays as long as it likes, and sums of 1 have no correlation time.
"""


class Tables(NamedTuple):
    """What the loop reads.

    length; masses: ``(kinds,)``; is_open: ``(kinds,)``; rates: of all that enter, ``(2,)``; shares: cumulative, of the
    kinds among them, ``(2, kinds)``; speeds: ``2T/m``, ``(2, kinds)``; thresholds: ``g^2`` beyond which a pair passes;
    weights: ``m_b/(m_a + m_b)``; slowing: factor on ``g`` of a pair that passes; each ``(kinds, kinds)``; reduced:
    reduced masses.
    """

    length: float
    masses: NDArray[np.float64]
    is_open: NDArray[np.bool_]
    rates: NDArray[np.float64]
    shares: NDArray[np.float64]
    speeds: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    weights: NDArray[np.float64]
    slowing: NDArray[np.float64]
    reduced: NDArray[np.float64]


class State(NamedTuple):
    """A configuration: position, velocity, clock and kind by place in the ring, ``(capacity,)`` a power of 2.

    tree: ``(2 capacity,)``, its second half the leaves; ring: place of the first particle, and how many there are;
    clock: the time, and when the next particles enter left and right; generator: four words.
    """

    x: NDArray[np.float64]
    v: NDArray[np.float64]
    t: NDArray[np.float64]
    kind: NDArray[np.int64]
    tree: NDArray[np.float64]
    ring: NDArray[np.int64]
    clock: NDArray[np.float64]
    generator: NDArray[np.uint64]


class Counts(NamedTuple):
    """What has happened.

    entered, left: particles by end and kind, ``(2, kinds)``; energy_in, energy_out: with their kinetic energies; a
    closed kind that comes back from an end takes and gives energy alone. meetings, passings: by pair, the left one
    first, ``(kinds, kinds)``; lost: energy, ``(kinds, kinds)``; events: ``(1,)``.
    """

    entered: NDArray[np.int64]
    left: NDArray[np.int64]
    energy_in: NDArray[np.float64]
    energy_out: NDArray[np.float64]
    meetings: NDArray[np.int64]
    passings: NDArray[np.int64]
    lost: NDArray[np.float64]
    events: NDArray[np.int64]


def build_tables(gas: Gas) -> Tables:
    """Prepare the tables of a gas."""
    masses, kinds = gas.masses, len(gas.kinds)
    by_kind = np.zeros((2, kinds))
    by_kind[:, gas.open_kinds] = gas.injection_rates
    rates = by_kind.sum(axis=1)
    shares = np.cumsum(by_kind, axis=1) / np.where(rates > 0, rates, 1.0)[:, None]
    # rounding must not leave a draw without a kind
    shares[shares >= shares[:, -1:]] = 1.0
    total = masses[:, None] + masses
    reduced = masses[:, None] * masses / total
    return Tables(
        length=float(gas.length),
        masses=masses,
        is_open=np.array([kind.is_open for kind in gas.kinds]),
        rates=rates,
        shares=shares,
        speeds=2.0 * gas.temperatures[:, None] / masses,
        thresholds=np.where(np.eye(kinds, dtype=bool) & (gas.losses == 0.0), -1.0, 2.0 * gas.barriers / reduced),
        weights=masses / total,
        slowing=np.sqrt(1.0 - gas.losses),
        reduced=reduced,
    )


def no_counts(kinds: int) -> Counts:
    """Return counts at zero."""
    ends, pairs = (2, kinds), (kinds, kinds)
    return Counts(
        entered=np.zeros(ends, dtype=np.int64),
        left=np.zeros(ends, dtype=np.int64),
        energy_in=np.zeros(ends),
        energy_out=np.zeros(ends),
        meetings=np.zeros(pairs, dtype=np.int64),
        passings=np.zeros(pairs, dtype=np.int64),
        lost=np.zeros(pairs),
        events=np.zeros(1, dtype=np.int64),
    )


def empty_state(capacity: int, generator: NDArray[np.uint64]) -> State:
    """Return a state without particles; ``capacity`` is a power of 2."""
    return State(
        x=np.zeros(capacity),
        v=np.zeros(capacity),
        t=np.zeros(capacity),
        kind=np.zeros(capacity, dtype=np.int64),
        tree=np.full(2 * capacity, inf),
        ring=np.zeros(2, dtype=np.int64),
        clock=np.array([0.0, inf, inf]),
        generator=generator,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _meeting_time(x: Any, v: Any, t: Any, place: Any, other: Any, now: Any) -> Any:
    """When two neighbours meet."""
    closing = v[place] - v[other]
    gap = (x[other] - v[other] * t[other]) - (x[place] - v[place] * t[place])
    time = max(gap / closing, now)
    # a choice, not a branch: nobody can guess which neighbours approach
    return time if closing > 0.0 else inf


@njit(nogil=True, cache=True, error_model="numpy")
def _next_time(x: Any, v: Any, t: Any, ring: Any, length: Any, place: Any, now: Any) -> Any:
    """The time that belongs into the leaf of a place."""
    mask = x.shape[0] - 1
    head, count = ring[HEAD], ring[COUNT]
    # 0 is the place before the first particle
    position = (place - head + 1) & mask
    if position > count or count == 0:
        return inf
    if position == 0:
        return max(t[head] - x[head] / v[head], now) if v[head] < 0.0 else inf
    if position == count:
        return max(t[place] + (length - x[place]) / v[place], now) if v[place] > 0.0 else inf
    return _meeting_time(x, v, t, place, (place + 1) & mask, now)


@njit(nogil=True, cache=True, error_model="numpy")
def _replay(tree: Any, first: Any, last: Any) -> None:
    """Play again all matches above the leaves of neighbouring places."""
    capacity = tree.shape[0] >> 1
    # two nodes a level, which are one further up: cheaper than to find out where
    low, high = (capacity + first) >> 1, (capacity + last) >> 1
    while low > 0:
        a, b, c, d = tree[2 * low], tree[2 * low + 1], tree[2 * high], tree[2 * high + 1]
        tree[low] = a if a < b else b
        tree[high] = c if c < d else d
        low >>= 1
        high >>= 1


@njit(nogil=True, cache=True, error_model="numpy")
def _replay_around(tree: Any, first: Any, last: Any) -> None:
    """Play again all matches above the leaves of neighbouring places, which may be at both ends of the ring."""
    if first <= last:
        _replay(tree, first, last)
    else:
        _replay(tree, first, (tree.shape[0] >> 1) - 1)
        _replay(tree, 0, last)


@njit(nogil=True, cache=True, error_model="numpy")
def _refresh(x: Any, v: Any, t: Any, tree: Any, ring: Any, length: Any, first: Any, number: Any, now: Any) -> None:
    """Bring ``number`` leaves from place ``first`` up to date."""
    capacity = x.shape[0]
    mask = capacity - 1
    for step in range(number):
        place = (first + step) & mask
        tree[capacity + place] = _next_time(x, v, t, ring, length, place, now)
    _replay_around(tree, first & mask, (first + number - 1) & mask)


@njit(nogil=True, cache=True, error_model="numpy")
def _winner(tree: Any) -> Any:
    """The place whose event is next."""
    capacity = tree.shape[0] >> 1
    node, time = 1, tree[1]
    while node < capacity:
        node *= 2
        node += int(tree[node] != time)
    return node - capacity


@njit(nogil=True, cache=True, error_model="numpy")
def _scan(x: Any, v: Any, t: Any, ring: Any, length: Any, now: Any) -> Any:
    """The place whose event is next and its time, by looking at every particle."""
    mask = x.shape[0] - 1
    first = ring[HEAD] - 1
    found, earliest = first & mask, inf
    for step in range(ring[COUNT] + 1):
        place = (first + step) & mask
        time = _next_time(x, v, t, ring, length, place, now)
        if time < earliest:
            found, earliest = place, time
    return found, earliest


@njit(nogil=True, cache=True, error_model="numpy")
def _speed(tables: Any, generator: Any, side: Any, kind: Any) -> Any:
    """Draw the size of the velocity of what comes from an end."""
    return sqrt(-tables.speeds[side, kind] * log(uniform(generator)))


@njit(nogil=True, cache=True, error_model="numpy")
def draw_entries(state: Any, tables: Any) -> None:
    """Draw when the first particles enter."""
    for side in range(2):
        if tables.rates[side] > 0.0:
            wait = -log(uniform(state.generator)) / tables.rates[side]
            state.clock[NEXT_LEFT + side] = state.clock[NOW] + wait


@njit(nogil=True, cache=True, error_model="numpy")
def _enter(state: Any, tables: Any, counts: Any, side: Any) -> None:
    mask = state.x.shape[0] - 1
    now = state.clock[NEXT_LEFT + side]
    drawn, kind = uniform(state.generator), 0
    while drawn > tables.shares[side, kind]:
        kind += 1
    speed = _speed(tables, state.generator, side, kind)
    state.clock[NEXT_LEFT + side] = now - log(uniform(state.generator)) / tables.rates[side]
    head, count = state.ring[HEAD], state.ring[COUNT]
    place = (head - 1) & mask if side == 0 else (head + count) & mask
    state.x[place] = 0.0 if side == 0 else tables.length
    state.v[place] = speed if side == 0 else -speed
    state.t[place] = now
    state.kind[place] = kind
    state.ring[COUNT] = count + 1
    if side == 0:
        state.ring[HEAD] = place
    counts.entered[side, kind] += 1
    counts.energy_in[side, kind] += 0.5 * tables.masses[kind] * speed * speed
    # the leaf that was the end's is now beside the new particle, or before it
    _refresh(state.x, state.v, state.t, state.tree, state.ring, tables.length, place - 1, 2, now)


@njit(nogil=True, cache=True, error_model="numpy")
def _reach_end(state: Any, tables: Any, counts: Any, side: Any, now: Any) -> None:
    mask = state.x.shape[0] - 1
    head, count = state.ring[HEAD], state.ring[COUNT]
    place = head if side == 0 else (head + count - 1) & mask
    kind, v = state.kind[place], state.v[place]
    counts.energy_out[side, kind] += 0.5 * tables.masses[kind] * v * v
    if tables.is_open[kind]:
        counts.left[side, kind] += 1
        state.ring[COUNT] = count - 1
        if side == 0:
            state.ring[HEAD] = (head + 1) & mask
    else:
        speed = _speed(tables, state.generator, side, kind)
        counts.energy_in[side, kind] += 0.5 * tables.masses[kind] * speed * speed
        state.x[place] = 0.0 if side == 0 else tables.length
        state.v[place] = speed if side == 0 else -speed
        state.t[place] = now
    _refresh(state.x, state.v, state.t, state.tree, state.ring, tables.length, place - 1, 2, now)


@njit(nogil=True, cache=True, error_model="numpy")
def advance(state: Any, tables: Any, counts: Any, until: Any, most_events: Any, full_scan: bool) -> int:
    """Run to the time ``until``; `FULL` if the ring is full before, to be called again with a larger one.

    `CROWDED` after ``most_events``: particles that lose energy may meet ever more often.
    """
    # taken out once: every look into a tuple of arrays costs a count of references
    x, v, t, kind, tree, ring, clock = state.x, state.v, state.t, state.kind, state.tree, state.ring, state.clock
    thresholds, weights, slowing, reduced = tables.thresholds, tables.weights, tables.slowing, tables.reduced
    meetings, passings, lost, length = counts.meetings, counts.passings, counts.lost, tables.length
    leaves = x.shape[0]
    mask, events = leaves - 1, 0
    while True:
        place, now = _scan(x, v, t, ring, length, clock[NOW]) if full_scan else (-1, tree[1])
        entry = min(clock[NEXT_LEFT], clock[NEXT_RIGHT])
        # one place stays empty before the first particle, and one is taken by what enters
        full = entry < now and entry <= until and ring[COUNT] + 2 > mask
        if full or min(now, entry) > until or events >= most_events:
            stopped = full or min(now, entry) <= until
            clock[NOW] = clock[NOW] if stopped else until
            counts.events[0] += events
            return FULL if full else CROWDED if stopped else DONE
        events += 1
        clock[NOW] = min(now, entry)
        if entry < now:
            _enter(state, tables, counts, 0 if clock[NEXT_LEFT] <= clock[NEXT_RIGHT] else 1)
            continue
        if not full_scan:
            place = _winner(tree)
        position = (place - ring[HEAD] + 1) & mask
        if position == 0 or position == ring[COUNT]:
            _reach_end(state, tables, counts, 0 if position == 0 else 1, now)
            continue
        other = (place + 1) & mask
        a, b, va, vb = kind[place], kind[other], v[place], v[other]
        closing = va - vb
        meetings[a, b] += 1
        if closing * closing > thresholds[a, b]:
            passings[a, b] += 1
            change = (1.0 - slowing[a, b]) * closing
            lost[a, b] += 0.5 * reduced[a, b] * (closing * closing - (closing - change) * (closing - change))
            kind[place], kind[other] = b, a
            v[place], v[other] = vb + weights[b, a] * change, va - weights[a, b] * change
        else:
            v[place] = va - 2.0 * weights[a, b] * closing
            v[other] = vb + 2.0 * weights[b, a] * closing
        x[place] += va * (now - t[place])
        x[other] = x[place]
        t[place] = t[other] = now
        if position == 1 or position == ring[COUNT] - 1:
            _refresh(x, v, t, tree, ring, length, place - 1, 3, now)
            continue
        before, after = (place - 1) & mask, (other + 1) & mask
        tree[leaves + before] = _meeting_time(x, v, t, before, place, now)
        tree[leaves + place] = inf
        tree[leaves + other] = _meeting_time(x, v, t, other, after, now)
        _replay_around(tree, before, other)


@njit(nogil=True, cache=True, error_model="numpy")
def set_clocks_back(state: Any, tables: Any) -> None:
    """Move every particle to the present, call that time 0 and build the tournament anew."""
    capacity = state.x.shape[0]
    mask, now = capacity - 1, state.clock[NOW]
    for step in range(state.ring[COUNT]):
        place = (state.ring[HEAD] + step) & mask
        x = state.x[place] + state.v[place] * (now - state.t[place])
        state.x[place] = min(max(x, 0.0), tables.length)
        state.t[place] = 0.0
    state.clock[NOW] = 0.0
    state.clock[NEXT_LEFT] -= now
    state.clock[NEXT_RIGHT] -= now
    for place in range(capacity):
        state.tree[capacity + place] = _next_time(state.x, state.v, state.t, state.ring, tables.length, place, 0.0)
    for node in range(capacity - 1, 0, -1):
        state.tree[node] = min(state.tree[2 * node], state.tree[2 * node + 1])


@njit(nogil=True, cache=True, error_model="numpy")
def _add_moments(state: Any, tables: Any, moments: Any) -> None:
    """Add to number, velocity and velocity squared by kind and bin, all clocks at 0."""
    mask, bins = state.x.shape[0] - 1, moments.shape[2]
    for step in range(state.ring[COUNT]):
        place = (state.ring[HEAD] + step) & mask
        kind, v = state.kind[place], state.v[place]
        at = min(int(state.x[place] / tables.length * bins), bins - 1)
        moments[0, kind, at] += 1.0
        moments[1, kind, at] += v
        moments[2, kind, at] += v * v


@njit(nogil=True, cache=True, error_model="numpy")
def _slow_modes(state: Any, tables: Any, amplitudes: Any) -> None:
    amplitudes[:] = 0.0
    mask = state.x.shape[0] - 1
    for step in range(state.ring[COUNT]):
        place = (state.ring[HEAD] + step) & mask
        kind, v = state.kind[place], state.v[place]
        phase = np.pi * state.x[place] / tables.length
        energy, cosine, first = 0.5 * tables.masses[kind] * v * v, np.cos(phase), COLUMNS * kind
        amplitudes[first] += abs(v)
        amplitudes[first + 1] += abs(v) * cosine
        amplitudes[first + 2] += abs(v) * np.sin(phase)
        amplitudes[first + 3] += energy
        amplitudes[first + 4] += energy * cosine


@njit(nogil=True, cache=True, error_model="numpy")
def observe(
    state: Any,
    tables: Any,
    counts: Any,
    done: Any,
    samples_per_probe: int,
    sample_time: float,
    amplitudes: Any,
    moments: Any,
    most_events: Any,
    full_scan: bool,
) -> int:
    """Run and take samples, one row of ``amplitudes`` after the other, ``(probes, COLUMNS * kinds)``.

    ``done``: how many samples of them are taken, ``(1,)``; ``moments``: sums over samples, ``(3, kinds, bins)``;
    ``most_events``: from one sample to the next. Ends as `advance` does.
    """
    while done[0] < amplitudes.shape[0] * samples_per_probe:
        ending = advance(state, tables, counts, sample_time, most_events, full_scan)
        if ending != DONE:
            return ending
        set_clocks_back(state, tables)
        _add_moments(state, tables, moments)
        done[0] += 1
        if done[0] % samples_per_probe == 0:
            _slow_modes(state, tables, amplitudes[done[0] // samples_per_probe - 1])
    return DONE
