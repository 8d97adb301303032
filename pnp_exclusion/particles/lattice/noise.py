"""Noise that is measured: spectra of counted currents and two-point functions of densities, with error bars.

Crossings ``Q`` in steps of equal length are recorded as sums by weights: every species' current by the weights that
leave it hardly any memory (`linear.LinearNoise.weights`), by the bonds alike, and through chosen bonds. In the long run
all of them have one ``S(0) = lim Cov(Q_a, Q_b)/(t (n + 1))``; the first shows it soonest.

Segments of ``T`` at least as long as the densities are correlated give

    S(0) = < d d + d d' + d' d >/(T (n + 1)) ,

``d`` a segment's crossings less their mean and ``d'`` those of the next: what one segment takes over from the last,
which makes ``<d d>/T`` approach its limit as ``1/T`` only, is in the other two terms. Periodograms are
averages over segments of ten correlation times. Both are of a fixed number of attempts in a segment;
in a fixed time this number is Poisson, which adds ``J_a J_b/((n + 1) rate)``, exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.lattice.comparison import ChiSquare, batches_needed, chi_square
from pnp_exclusion.particles.lattice.engine import Recording
from pnp_exclusion.particles.lattice.linear import LinearNoise, alike, linear_noise
from pnp_exclusion.particles.lattice.process import ExchangeProcess
from pnp_exclusion.particles.lattice.result import Record, StationaryResult
from pnp_exclusion.particles.measure import Estimate, batch_estimate

Array = NDArray[np.float64]

CELLS = 8
SEGMENT = 6.0
"""Correlation times in a segment for frequency zero, whose neighbours are taken into account."""
SHORT_SEGMENT = 0.5
"""The same for currents without memory, but for what is of the order ``1/n``."""
LONG_SEGMENT = 10.0
"""The same for periodograms, whose neighbours are not."""
HIGHEST = 1.6
"""Angular frequency times the length of a step: half the highest that steps can tell, beyond which others fold back."""
MOST_BATCHES = 64
"""Of every replica."""


@dataclass(frozen=True, eq=False)
class MeasuredNoise:
    """Noise of a channel; shapes and units as the continuum has them, frequencies in D/L^2, spectra two-sided.

    at_zero
        ``S_ab(0)`` of the species' currents, ``(N, N)``; ``samples``: batches of it, ``(batches, N, N)``.
    fano
        ``S_aa/|J_a|``, ``(N,)``, of the mean currents that were counted.
    correlation
        ``S_ab/sqrt(S_aa S_bb)``, ``(N, N)``.
    bonds, through_bonds
        Chosen bonds from 0 at the left, and the matrix of the currents through them, ``(B, N, B, N)``.
    frequencies, spectra
        Angular, and the spectra of the species' currents with every bond alike (`linear.alike`),
        ``(frequencies, N, N)``, real parts; ``spectra_samples``: ``(batches, frequencies, N, N)``.
    edges, pairs
        Borders of the cells from 0 to 1, ``(cells + 1,)``, and ``(n + 1) (<a_i b_j> - <a_i><b_j>)`` averaged over sites
        ``i`` of a cell and ``j`` of another, ``(N, N, cells, cells)``, NaN within a cell.
    theory
        To leading order in ``1/n``; None for lattices that are too long for it.
    """

    process: ExchangeProcess
    at_zero: Estimate
    samples: Array
    fano: Estimate
    correlation: Estimate
    bonds: Sequence[int]
    through_bonds: Estimate
    frequencies: Array
    spectra: Estimate
    spectra_samples: Array
    edges: Array
    pairs: Estimate
    theory: LinearNoise | None

    def compared(self, reference: Array | None) -> ChiSquare | None:
        """Compare ``S_ab(0)`` with a reference, ``(N, N)``; None without one or with too few batches for it."""
        if reference is None:
            return None
        upper = np.triu_indices(len(reference))
        return _compared(self.samples[:, upper[0], upper[1]], reference[upper])

    def compared_spectra(self, reference: Array | None) -> ChiSquare | None:
        """The same for spectra, ``(frequencies, N, N)``."""
        if reference is None:
            return None
        upper = np.triu_indices(reference.shape[-1])
        rows = self.spectra_samples[:, :, upper[0], upper[1]]
        return _compared(rows.reshape(len(rows), -1), reference[:, upper[0], upper[1]].ravel())


def _compared(samples: Array, reference: Array) -> ChiSquare | None:
    return chi_square(samples, reference) if len(samples) >= batches_needed(reference.size) else None


def recording_of(process: ExchangeProcess, bonds: Sequence[int]) -> tuple[Recording, LinearNoise | None]:
    """Return what to record of a channel, and its theory; `ValueError` for bonds that are none."""
    count, species = process.lattice.along_bonds, process.species
    wrong = [bond for bond in bonds if not 0 <= bond < count]
    if wrong:
        raise ValueError(f"bond {wrong[0]} is none of a lattice of {process.lattice.length} sites: 0 to {count - 1}")
    try:
        theory = linear_noise(process)
    except ValueError:
        theory = None
    single = np.zeros((len(bonds), species, species, count))
    for place, bond in enumerate(bonds):
        single[place, :, :, bond] = np.eye(species)
    weights = [alike(process) if theory is None else theory.weights, alike(process), single.reshape(-1, species, count)]
    return Recording(np.concatenate(weights), min(CELLS, process.lattice.length)), theory


def measured_noise(
    result: StationaryResult, theory: LinearNoise | None, bonds: Sequence[int], frequencies: Sequence[float]
) -> MeasuredNoise:
    """Evaluate what a run has recorded as `recording_of` says; `ValueError` where the run is too short for it."""
    record, process = result.record, result.process
    if record is None:
        raise ValueError("nothing was recorded")
    species, scale = process.species, process.lattice.scale
    parts = np.split(record.flows, [species, 2 * species], axis=2)
    at_zero, samples = _at_zero(result, record, parts[0], SEGMENT if theory is None else SHORT_SEGMENT)
    through, _ = _at_zero(result, record, parts[2], SEGMENT) if bonds else (Estimate(*np.zeros((2, 0, 0))), None)
    shape = (len(bonds), species, len(bonds), species)
    spectra, spectra_samples = _spectra(result, record, parts[1], frequencies)
    current = record.flows[..., :species].mean(axis=(0, 1)) / record.step / scale
    edges = np.array([0, *np.flatnonzero(np.diff(_cell_of(process, record))) + 1, process.lattice.length])
    return MeasuredNoise(
        process=process,
        at_zero=at_zero,
        samples=samples,
        fano=_ratio(samples, np.abs(current)),
        correlation=_correlation(samples),
        bonds=bonds,
        through_bonds=Estimate(through.mean.reshape(shape), through.error.reshape(shape)),
        frequencies=np.asarray(frequencies, dtype=np.float64),
        spectra=spectra,
        spectra_samples=spectra_samples,
        edges=(edges + 0.5) / scale,
        pairs=_pairs(result, record, np.diff(edges)),
        theory=theory,
    )


def cell_averages(correlations: Array, cells: int) -> Array:
    """Average correlations of sites, ``(N, N, sites, sites)``, over cells as ``pairs`` are."""
    sites = correlations.shape[-1]
    cell_of = np.arange(sites) * cells // sites
    member = (cell_of == np.arange(cells)[:, None]) / np.bincount(cell_of, minlength=cells)[:, None]
    found = member @ correlations @ member.T
    found[..., np.arange(cells), np.arange(cells)] = np.nan
    return np.asarray(found)


def _cell_of(process: ExchangeProcess, record: Record) -> NDArray[np.int64]:
    return np.arange(process.lattice.length) * record.recording.cells // process.lattice.length


def _segments(record: Record, flows: Array, time: float) -> tuple[Array, float]:
    """Crossings in segments of at least a time, ``(replicas, segments, currents)``, and how long they are."""
    rows = max(1, ceil(time / record.step))
    count = flows.shape[1] // rows
    if count < batches_needed(1):
        raise ValueError(f"the run has {count} segments of {rows * record.step:.3g}: too short for its noise")
    cut = flows[:, : count * rows].reshape(len(flows), count, rows, -1)
    return cut, rows * record.step


def _batched(samples: Array) -> Array:
    """Means of up to `MOST_BATCHES` equal parts of every replica's samples, ``(replicas, samples, ...)``."""
    count = min(MOST_BATCHES, samples.shape[1])
    each = samples.shape[1] // count
    kept = samples[:, : count * each].reshape(len(samples), count, each, *samples.shape[2:])
    return np.asarray(kept.mean(axis=2))


def _of_attempts(result: StationaryResult, record: Record, flows: Array) -> Array:
    """What the number of attempts in a fixed time, which is Poisson, adds to the noise, ``(currents, currents)``."""
    scale = result.process.lattice.scale
    rate = flows.mean(axis=(0, 1)) / (record.step * scale**2)
    return np.asarray(np.outer(rate, rate) / record.ring_rate * scale)


def _at_zero(result: StationaryResult, record: Record, flows: Array, times: float) -> tuple[Estimate, Array]:
    segments, time = _segments(record, flows, times * result.correlation_time)
    crossed = segments.sum(axis=2)
    moved = crossed - crossed.mean(axis=(0, 1))
    own = np.einsum("rsk,rsl->rskl", moved[:, :-1], moved[:, :-1])
    across = np.einsum("rsk,rsl->rskl", moved[:, :-1], moved[:, 1:])
    whole = (own + across + across.swapaxes(2, 3)) / (time * result.process.lattice.scale)
    # one degree of freedom went into the mean
    batches = _batched(whole) * (1.0 + 3.0 / moved[..., 0].size) + _of_attempts(result, record, flows)
    return batch_estimate(batches), batches.reshape(-1, *batches.shape[2:])


def _spectra(
    result: StationaryResult, record: Record, flows: Array, frequencies: Sequence[float]
) -> tuple[Estimate, Array]:
    count = flows.shape[2]
    if not len(frequencies):
        empty = np.zeros((0, count, count))
        return Estimate(empty, empty), np.zeros((0, *empty.shape))
    time = max(LONG_SEGMENT * result.correlation_time, 2.0 * np.pi / min(frequencies))
    segments, time = _segments(record, flows - flows.mean(axis=(0, 1)), time)
    rows, wanted = segments.shape[2], np.asarray(frequencies, dtype=np.float64)
    if wanted.max() * record.step > HIGHEST:
        raise ValueError(
            f"the frequency {max(frequencies):.3g} is too high: currents are recorded in steps of {record.step:.3g}"
        )
    waves = np.exp(-1j * record.step * np.outer(np.arange(rows), wanted))
    transforms = np.einsum("rstk,tf->rsfk", segments, waves)
    powers = np.einsum("rsfk,rsfl->rsfkl", transforms.conj(), transforms).real
    batches = _batched(powers / (time * result.process.lattice.scale)) + _of_attempts(result, record, flows)
    return batch_estimate(batches), batches.reshape(-1, *batches.shape[2:])


def _pairs(result: StationaryResult, record: Record, sizes: NDArray[np.int64]) -> Estimate:
    species, cells = record.cells.shape[2:]
    moved = record.cells - record.cells.mean(axis=(0, 1))
    filled = (moved / sizes).reshape(*moved.shape[:2], -1)
    rows = max(1, ceil(result.correlation_time / record.step))
    count = filled.shape[1] // rows
    cut = filled[:, : count * rows].reshape(len(filled), count, rows, -1)
    products = np.einsum("rstk,rstl->rskl", cut, cut) / rows * result.process.lattice.scale
    found = batch_estimate(_batched(products))
    shape = (species, cells, species, cells)
    mean, error = (one.reshape(shape).transpose(0, 2, 1, 3).copy() for one in found)
    mean[..., np.arange(cells), np.arange(cells)] = error[..., np.arange(cells), np.arange(cells)] = np.nan
    return Estimate(mean, error)


def _ratio(samples: Array, current: Array) -> Estimate:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = batch_estimate(np.einsum("saa->sa", samples)[None] / current)
    flows = current > 0
    return Estimate(np.where(flows, found.mean, np.nan), np.where(flows, found.error, np.nan))


def _correlation(samples: Array) -> Estimate:
    mean = samples.mean(axis=0)
    own = np.sqrt(np.outer(mean.diagonal(), mean.diagonal()))
    reduced = mean / own
    change = np.einsum("saa->sa", samples) / mean.diagonal()
    linear = samples / own - 0.5 * reduced * (change[:, :, None] + change[:, None, :])
    return Estimate(reduced, batch_estimate(linear[None]).error)
