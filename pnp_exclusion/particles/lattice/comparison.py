"""Statistics that set a measured lattice beside a reference: chi-square, distance, order in 1/n.

Neighbouring sites and both species fluctuate together, so a sum of squared residuals over all sites
has no chi-square law. Profiles are therefore averaged over a few cells and whitened with the
covariance of the batches; what is left is Hotelling's statistic, whose law is known.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit
from scipy.stats import f as f_law

from pnp_exclusion.particles.lattice.relaxation import RelaxationResult
from pnp_exclusion.particles.lattice.result import StationaryResult
from pnp_exclusion.particles.measure import Estimate, batch_estimate

Array = NDArray[np.float64]

CELLS = 8
BATCHES_PER_DEGREE = 2
CLEAR = 2.0
"""Standard errors by which a distance must differ from zero to say something of an order."""
SMALLEST_EIGENVALUE = 1e-9
SIGNIFICANCE = 1e-3


class ChiSquare(NamedTuple):
    """Chi-square per degree of freedom, near 1 when measurement and reference agree.

    ``per_degree`` is corrected for the covariance being estimated from the same batches, and
    ``probability`` is that of a larger value if the two agree. ``degrees`` counts the independent
    directions; a direction that does not fluctuate counts as none, and makes ``per_degree``
    infinite if it misses the reference.
    """

    per_degree: float
    degrees: int
    probability: float

    def __str__(self) -> str:
        """In words, for people."""
        degrees = f"{self.degrees} degree{'' if self.degrees == 1 else 's'}"
        return f"{self.per_degree:.2f} ({degrees} of freedom, probability {self.probability:.2g})"


class Distance(NamedTuple):
    """Root mean square difference from a reference, the noise taken out, and its standard error."""

    value: float
    error: float

    @property
    def clear(self) -> bool:
        """Whether it is more than noise: beyond two standard errors."""
        return self.value > CLEAR * self.error


class Order(NamedTuple):
    """Fit of ``distance = amplitude * n**-order``; nan when the distances leave none, see `fitted_order`."""

    order: float
    error: float
    amplitude: float


class Limit(NamedTuple):
    """Fit of ``value = limit + slope / n + ...``: the limit of many sites, ``(N,)``.

    ``per_degree``: chi-square per degree of freedom of the fit, all entries together; nan when the
    fit has as many coefficients as sizes.
    """

    limit: Estimate
    per_degree: float


class Comparison(NamedTuple):
    """A stationary result beside a continuum solution.

    ``current_deviations``: measured minus reference current, with its error, ``(N,)``;
    ``agrees``: neither chi-square has a probability below 0.001.
    """

    length: int
    densities: ChiSquare
    currents: ChiSquare
    density_distance: Distance
    current_distance: Distance
    current_deviations: Estimate

    @property
    def agrees(self) -> bool:
        """Whether neither chi-square is less probable than one in a thousand."""
        return min(self.densities.probability, self.currents.probability) >= SIGNIFICANCE


def compare(
    result: StationaryResult,
    densities: ArrayLike,
    currents: ArrayLike,
    cells: int = CELLS,
) -> Comparison:
    """Compare with a reference profile on the sites and reference currents along the channel.

    ``densities``: ``(N,) + lattice.site_shape``, at ``lattice.positions``; ``currents``: ``(N,)``,
    per row of the lattice. In two dimensions cells span the whole width. Currents are the
    ``channel_currents``, except where these have no noise (no fields): there they would only
    restate the reservoirs, and the counted ones are compared.

    Raises `ValueError` when a shape does not fit or there are too few batches for so many cells.
    """
    process = result.process
    lattice = process.lattice
    profile = _shaped("densities", densities, (process.species, *lattice.site_shape))
    flow = _shaped("currents", currents, (process.species,))
    batches = result.batches
    counted = batches.currents[..., : lattice.along_bonds].mean(axis=-1)
    current_batches = counted if process.has_linear_averages else batches.channel_currents
    flat_profile = profile.reshape(process.species, -1)
    cell_batches = coarse(batches.densities, lattice.width, cells)
    cell_profile = coarse(flat_profile, lattice.width, cells)
    estimate = batch_estimate(current_batches)
    return Comparison(
        length=lattice.length,
        densities=chi_square(_columns(cell_batches), cell_profile.ravel()),
        currents=chi_square(_columns(current_batches), flow),
        density_distance=distance(batches.densities, flat_profile),
        current_distance=distance(current_batches, flow),
        current_deviations=Estimate(estimate.mean - flow, estimate.error),
    )


def compare_relaxation(result: RelaxationResult, densities: ArrayLike, cells: int = CELLS) -> list[ChiSquare]:
    """Compare profiles with ``densities``, ``(times, N) + lattice.site_shape``; one a time.

    Raises as `compare` does, the groups of replicas being the batches.
    """
    process, times = result.process, result.times.size
    lattice = process.lattice
    shape = (times, process.species, *lattice.site_shape)
    reference = _shaped("densities", densities, shape).reshape(times, process.species, -1)
    groups = coarse(result.groups, lattice.width, cells)
    expected = coarse(reference, lattice.width, cells)
    return [chi_square(groups[:, moment].reshape(len(groups), -1), expected[moment].ravel()) for moment in range(times)]


def batches_needed(entries: int) -> int:
    """Return how many independent batches the covariance of so many numbers needs."""
    return BATCHES_PER_DEGREE * entries + 2


def affordable_cells(batches: int, species: int) -> int:
    """Return into how many cells, eight at most, so many batches allow a profile to be divided; 0: too few for one."""
    return min(CELLS, max(0, (batches - 2) // (BATCHES_PER_DEGREE * species)))


def coarse(profile: Array, width: int, cells: int) -> Array:
    """Average ``(..., sites)`` over at most ``cells`` stretches of the channel of equal length."""
    rows = profile.reshape(*profile.shape[:-1], -1, width).mean(axis=-1)
    pieces = np.array_split(rows, min(cells, rows.shape[-1]), axis=-1)
    return np.stack([piece.mean(axis=-1) for piece in pieces], axis=-1)


def whitened_residuals(batches: Array, reference: Array) -> Array:
    """Turn mean minus reference into independent residuals of unit variance.

    ``batches``: independent batches of the entries, ``(batches, entries)``; ``reference``:
    ``(entries,)``. Returns one residual per fluctuating direction; their sum of squares is
    Hotelling's T-squared. Infinite where an entry or a combination of entries never fluctuates but
    misses the reference.

    Raises `ValueError` with fewer than two batches per entry.
    """
    count, entries = batches.shape
    if count < batches_needed(entries):
        raise ValueError(
            f"{count} batches are too few for the covariance of {entries} numbers: there must be "
            f"at least {batches_needed(entries)}; measure for longer, with more replicas "
            "or in fewer cells"
        )
    deviation = batches.mean(axis=0) - reference
    spread = batches.std(axis=0, ddof=1)
    size = np.maximum(np.abs(reference), np.abs(batches).max(axis=0))
    fixed = spread <= 1e-12 * size
    if np.any(np.abs(deviation[fixed]) > 1e-9 * np.maximum(size[fixed], 1e-3)):
        return np.array([np.inf])
    if fixed.all():
        return np.zeros(0)
    scaled = deviation[~fixed] / spread[~fixed]
    # A mean of rows, not numpy's corrcoef, which returns a scalar for a single entry.
    centred = (batches[:, ~fixed] - batches[:, ~fixed].mean(axis=0)) / spread[~fixed]
    values, vectors = np.linalg.eigh(centred.T @ centred / (count - 1))
    projected = vectors.T @ scaled
    moving = values > SMALLEST_EIGENVALUE
    if np.any(np.abs(projected[~moving]) > np.sqrt(SMALLEST_EIGENVALUE)):
        return np.array([np.inf])
    return np.asarray(projected[moving] * np.sqrt(count / values[moving]))


def chi_square(batches: Array, reference: Array) -> ChiSquare:
    """Chi-square per degree of freedom of independent batches, ``(batches, entries)``.

    Hotelling's T-squared is scaled to the F law with (degrees, batches - degrees) degrees of
    freedom, which tends to chi-square per degree as the batches grow. Raises as
    `whitened_residuals` does.
    """
    residuals = whitened_residuals(batches, reference)
    count, degrees = len(batches), residuals.size
    if degrees == 0:
        return ChiSquare(0.0, 0, 1.0)
    scale = (count - degrees) / ((count - 1) * degrees)
    value = float(np.sum(residuals**2) * scale)
    return ChiSquare(value, degrees, float(f_law.sf(value, degrees, count - degrees)))


def distance(batches: Array, reference: Array) -> Distance:
    """Root mean square of mean minus reference, ``(replicas, batches, ...)`` against ``(...)``.

    The mean of the squared error bars, by which noise alone would raise the square, is subtracted;
    the value is 0 when less than that is left.
    """
    estimate = batch_estimate(batches)
    deviation = estimate.mean - reference
    noise = float(np.mean(estimate.error**2))
    square = float(np.mean(deviation**2)) - noise
    if square <= 0:
        return Distance(0.0, float(np.sqrt(noise)))
    value = float(np.sqrt(square))
    axes = tuple(range(2, batches.ndim))
    along = np.mean(batches * deviation, axis=axes) / value
    linear = float(batch_estimate(along).error)
    # The second part is what the noise of the square itself amounts to, at most.
    return Distance(value, float(np.hypot(linear, noise / (np.sqrt(2) * value))))


def fitted_order(lengths: Sequence[int], distances: Sequence[float], errors: Sequence[float]) -> Order:
    """Fit the distance against the number of sites by weighted least squares.

    The fit is of the distances themselves, not of their logarithms, so that one lost in its noise
    weighs little instead of a lot. There is none (nan) unless two distances at least are clear of
    their errors, and the order of its own. Raises `ValueError` with fewer than two lengths or errors
    that are not positive.
    """
    sites, found, sigma = (np.asarray(one, dtype=np.float64) for one in (lengths, distances, errors))
    if not sites.shape == found.shape == sigma.shape or np.unique(sites).size < 2:
        raise ValueError("an order needs distances and errors of at least two different lengths")
    if not np.all(sigma > 0):
        raise ValueError("errors must be greater than 0")
    none = Order(np.nan, np.nan, np.nan)
    if np.sum(found > CLEAR * sigma) < 2:
        return none
    clearest = int(np.argmax(found / sigma))
    guess = (found[clearest] * sites[clearest], 1.0)
    try:
        best, covariance = curve_fit(
            lambda n, amplitude, order: amplitude * n**-order,
            sites,
            found,
            p0=guess,
            sigma=sigma,
            absolute_sigma=True,
            maxfev=10_000,
        )
    except RuntimeError:
        # no order fits worse than another
        return none
    order = Order(float(best[1]), float(np.sqrt(covariance[1, 1])), float(best[0]))
    return order if order.error < order.order else none


def hydrodynamic_limit(lengths: Sequence[int], values: ArrayLike, errors: ArrayLike, degree: int = 1) -> Limit:
    """Extrapolate to ``1/n = 0`` by weighted least squares with a polynomial in ``1/n``.

    ``values`` and ``errors``: ``(lengths, N)``. Where single sizes are measured well enough to
    resolve their distance from the continuum, this is what should agree with it. Raises
    `ValueError` with fewer lengths than coefficients or errors that are not positive.
    """
    found, sigma = (np.asarray(one, dtype=np.float64) for one in (values, errors))
    if found.ndim != 2 or found.shape != sigma.shape or len(lengths) != len(found):
        raise ValueError("values and errors must both have the shape (lengths, species)")
    if np.unique(lengths).size < degree + 1:
        raise ValueError(f"degree = {degree} needs at least {degree + 1} different lengths")
    if not np.all(sigma > 0):
        raise ValueError("errors must be greater than 0")
    powers = np.vander(1 / np.asarray(lengths, dtype=np.float64), degree + 1, increasing=True)
    limits, limit_errors, square = [], [], 0.0
    for column, error in zip(found.T, sigma.T, strict=True):
        weighted = powers / error[:, None]
        covariance = np.linalg.inv(weighted.T @ weighted)
        coefficients = covariance @ weighted.T @ (column / error)
        limits.append(coefficients[0])
        limit_errors.append(np.sqrt(covariance[0, 0]))
        square += float(np.sum((column / error - weighted @ coefficients) ** 2))
    freedom = found.size - powers.shape[1] * found.shape[1]
    per_degree = square / freedom if freedom > 0 else np.nan
    return Limit(Estimate(np.array(limits), np.array(limit_errors)), per_degree)


def exact_limit(lengths: Sequence[int], values: ArrayLike) -> Array:
    """Extrapolate values without noise to infinitely many sites, by rational functions of ``1/(n + 1)``.

    ``values``: ``(lengths, ...)``. The scheme of Bulirsch and Stoer (Stoer and Bulirsch, Introduction to Numerical
    Analysis, 2.2.3), which bears poles at small sizes. Raises `ValueError` for fewer than two different lengths.
    """
    found = np.asarray(values, dtype=np.float64)
    if len(lengths) != len(found) or np.unique(lengths).size != len(lengths) or len(lengths) < 2:
        raise ValueError("a limit needs values of at least two different lengths")
    step = 1.0 / (np.asarray(lengths, dtype=np.float64).reshape(-1, *[1] * (found.ndim - 1)) + 1.0)
    older, column = np.zeros((len(found) + 1, *found.shape[1:])), found
    for order in range(1, len(found)):
        change = column[1:] - column[:-1]
        whole = column[1:] - older[1:-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            below = step[:-order] / step[order:] * (1.0 - change / whole) - 1.0
            correction = change / below
        # what no longer changes is there
        older, column = column, column[1:] + np.where(np.isfinite(correction), correction, 0.0)
    return np.asarray(column[0])


def _columns(batches: Array) -> Array:
    return batches.reshape(batches.shape[0] * batches.shape[1], -1)


def _shaped(name: str, given: ArrayLike, shape: tuple[int, ...]) -> Array:
    values = np.asarray(given, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}: it must be {shape}")
    return values
